//! Two systems on the same examples: is one better by more than chance?

use serde::{Deserialize, Serialize};

use super::judgement::{Bootstrap, NO_SPEAKERS};
use super::{EvaluateError, Interval, Measured, Scores, intervals};

/// Where two systems differ on the same examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paired {
    pub n_examples: u64,
    pub n_both_right: u64,
    pub n_only_first_right: u64,
    pub n_only_second_right: u64,
    pub n_both_wrong: u64,
    /// How much the second's accuracy is above the first's.
    pub gain: Measured,
    /// Bootstrap interval of the gain over speakers, 95 %.
    pub gain_interval_by_speaker: Measured<Interval>,
    /// How likely so uneven a table is if both are as good: McNemar (1947), exact and two-sided. It takes examples for
    /// independent, which several clips of one speaker are not.
    pub mcnemar_p: Measured,
}

impl Paired {
    /// Compares two systems' scores of the same examples, `speakers` `[n_examples]` where somebody is known.
    ///
    /// # Errors
    ///
    /// Other examples, in another order, or another truth about them.
    pub fn of<G: AsRef<str>>(
        first: &Scores,
        second: &Scores,
        speakers: Option<&[G]>,
        bootstrap: Bootstrap,
    ) -> Result<Self, EvaluateError> {
        if first.n_examples() != second.n_examples() {
            return Err(EvaluateError::Size {
                what: "examples of the second system",
                found: second.n_examples(),
                expected: first.n_examples(),
            });
        }
        for example in 0..first.n_examples() {
            let what = |scores: &Scores| {
                let label = &scores.labels[scores.truth[example]];
                format!("{} ({label})", scores.ids[example])
            };
            let (one, other) = (what(first), what(second));
            if one != other {
                return Err(EvaluateError::OtherExample {
                    example,
                    found: other,
                    expected: one,
                });
            }
        }
        let (a, b) = (first.correct(), second.correct());
        let count = |of: (bool, bool)| {
            let pairs = a.iter().zip(&b);
            pairs.filter(|&(&x, &y)| (x, y) == of).count() as u64
        };
        let (only_first, only_second) = (count((true, false)), count((false, true)));
        let n = first.n_examples() as f64;
        Ok(Self {
            n_examples: first.n_examples() as u64,
            n_both_right: count((true, true)),
            n_only_first_right: only_first,
            n_only_second_right: only_second,
            n_both_wrong: count((false, false)),
            gain: Measured::from((only_second as f64 - only_first as f64) / n),
            gain_interval_by_speaker: match speakers {
                Some(speakers) => intervals::bootstrap_gain_by_group(
                    speakers,
                    &a,
                    &b,
                    bootstrap.n_resamples,
                    bootstrap.seed,
                )?,
                None => Measured::missing(NO_SPEAKERS),
            },
            mcnemar_p: mcnemar(only_first, only_second),
        })
    }
}

/// The exact two-sided test: twice the share of coins tossed `n + m` times that fall one way at most `min(n, m)` times.
pub fn mcnemar(n_only_first: u64, n_only_second: u64) -> Measured {
    let n = n_only_first + n_only_second;
    if n == 0 {
        return Measured::missing("both were right on the same examples");
    }
    let n = n as f64;
    let log_share = |k: f64| {
        libm::lgamma(n + 1.0)
            - libm::lgamma(k + 1.0)
            - libm::lgamma(n - k + 1.0)
            - n * std::f64::consts::LN_2
    };
    let least = n_only_first.min(n_only_second);
    let tail: f64 = (0..=least).map(|k| log_share(k as f64).exp()).sum();
    Measured::from((2.0 * tail).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(right: &[bool]) -> Scores {
        Scores::new(
            vec!["a".into(), "b".into()],
            vec![0; right.len()],
            right
                .iter()
                .flat_map(|&right| if right { [0.9, 0.1] } else { [0.2, 0.8] })
                .collect(),
            (0..right.len()).map(|i| format!("clip {i}")).collect(),
        )
        .unwrap()
    }

    const BOOTSTRAP: Bootstrap = Bootstrap {
        n_resamples: 500,
        seed: 1,
    };

    #[test]
    fn the_four_cells_and_the_gain_are_counted() {
        let first = scores(&[true, true, false, false, true, false]);
        let second = scores(&[true, false, true, false, true, true]);
        let speakers = ["x", "x", "y", "y", "z", "z"];
        let found = Paired::of(&first, &second, Some(&speakers), BOOTSTRAP).unwrap();
        let cells = (
            found.n_both_right,
            found.n_only_first_right,
            found.n_only_second_right,
            found.n_both_wrong,
        );
        assert_eq!(cells, (2, 1, 2, 1));
        assert!((found.gain.number().unwrap() - 1.0 / 6.0).abs() < 1e-12);
        // 1 of 3 coins or fewer: 4 of 8, twice.
        assert_eq!(found.mcnemar_p, Measured::Value(1.0));
        let interval = *found.gain_interval_by_speaker.value().unwrap();
        assert!(interval.contains(1.0 / 6.0));
    }

    #[test]
    fn a_system_against_itself_differs_nowhere() {
        let one = scores(&[true, false, true]);
        let found = Paired::of(&one, &one, Some(&["x", "y", "z"]), BOOTSTRAP).unwrap();
        assert_eq!(found.gain, Measured::Value(0.0));
        assert!(found.mcnemar_p.reason().is_some());
        let of_nobody = Paired::of::<&str>(&one, &one, None, BOOTSTRAP).unwrap();
        assert_eq!(of_nobody.gain, Measured::Value(0.0));
        assert!(of_nobody.gain_interval_by_speaker.reason().is_some());
    }

    #[test]
    fn other_examples_are_refused() {
        let one = scores(&[true, false, true]);
        let mut other = one.clone();
        other.ids[1] = "another".into();
        let error = Paired::of(&one, &other, Some(&["x"; 3]), BOOTSTRAP).unwrap_err();
        assert!(error.to_string().contains("another"), "{error}");
        let fewer = scores(&[true]);
        assert!(Paired::of(&one, &fewer, Some(&["x"; 3]), BOOTSTRAP).is_err());
    }
}
