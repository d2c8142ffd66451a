//! How far a measured share or rate may be from the true one.
//!
//! Shares get the Wilson score interval, counts per time the exact Poisson interval of Garwood, and statistics of examples
//! that are not independent (several clips of one speaker) a bootstrap that draws whole groups. All are 95 %. Nothing here
//! is random without a seed.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::measured::Quantity;
use super::{EvaluateError, Measured};

/// The 97.5 % point of the standard normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;

/// What is left out on each side of a 95 % interval.
const TAIL: f64 = 0.025;

/// A 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Interval {
    /// Whether the interval holds a value, its ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

impl Quantity for Interval {
    fn problem(&self) -> Option<String> {
        self.low.problem().or_else(|| self.high.problem())
    }
}

/// Wilson score interval of a share, without continuity correction.
///
/// E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
pub fn wilson(n_successes: u64, n_trials: u64) -> Measured<Interval> {
    if n_trials == 0 {
        return Measured::missing("no examples");
    }
    if n_successes > n_trials {
        return Measured::missing(format!("{n_successes} successes in {n_trials} trials"));
    }
    let n = n_trials as f64;
    let share = n_successes as f64 / n;
    let z2 = Z_95 * Z_95;
    let centre = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z_95 / (1.0 + z2 / n) * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    // At the ends the formula gives the point estimate itself but for rounding.
    let low = if n_successes == 0 {
        0.0
    } else {
        (centre - half).clamp(0.0, share)
    };
    let high = if n_successes == n_trials {
        1.0
    } else {
        (centre + half).clamp(share, 1.0)
    };
    Measured::Value(Interval { low, high })
}

/// The 97.5 % points of Student's t, for 1 to 30 degrees of freedom.
const T_95: [f64; 30] = [
    12.706_205, 4.302_653, 3.182_446, 2.776_445, 2.570_582, 2.446_912, 2.364_624, 2.306_004,
    2.262_157, 2.228_139, 2.200_985, 2.178_813, 2.160_369, 2.144_787, 2.131_450, 2.119_905,
    2.109_816, 2.100_922, 2.093_024, 2.085_963, 2.079_614, 2.073_873, 2.068_658, 2.063_899,
    2.059_539, 2.055_529, 2.051_831, 2.048_407, 2.045_230, 2.042_272,
];

/// Interval of the mean of a few independent values that scatter normally, such as the accuracies of several seeds.
///
/// Student, "The probable error of a mean", Biometrika 6 (1908). With more than 31 values it is that of 31, hardly wider.
pub fn student_t(values: &[f64]) -> Measured<Interval> {
    let n = values.len();
    if n < 2 {
        return Measured::missing(format!("found {n} values, expected two at least"));
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let half = T_95[(n - 2).min(T_95.len() - 1)] * (squares / (n - 1) as f64 / n as f64).sqrt();
    Measured::Value(Interval {
        low: mean - half,
        high: mean + half,
    })
}

/// Exact interval of the mean of a Poisson count.
///
/// F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28 (1936): the means under which a count this
/// high, or this low, has a probability of 2.5 %.
pub fn poisson(n_events: u64) -> Interval {
    let ln_factorial: f64 = (2..=n_events).map(|i| (i as f64).ln()).sum();
    let k = n_events as f64;
    let low = if n_events == 0 {
        0.0
    } else {
        bisect(0.0, k, |mean| at_least(n_events, ln_factorial, mean) < TAIL)
    };
    let high = bisect(k, k + 10.0 * (k + 1.0).sqrt() + 20.0, |mean| {
        at_most(n_events, ln_factorial, mean) > TAIL
    });
    Interval { low, high }
}

/// Exact Poisson interval of a rate: events per unit of exposure.
pub fn poisson_rate(n_events: u64, exposure: f64) -> Measured<Interval> {
    if !(exposure.is_finite() && exposure > 0.0) {
        return Measured::missing(format!("an exposure of {exposure} gives no rate"));
    }
    let Interval { low, high } = poisson(n_events);
    Measured::Value(Interval {
        low: low / exposure,
        high: high / exposure,
    })
}

/// `P(count >= k)` for a mean below `k`, from its largest term upwards.
fn at_least(k: u64, ln_factorial: f64, mean: f64) -> f64 {
    if mean <= 0.0 {
        return 0.0;
    }
    let mut term = (k as f64 * mean.ln() - mean - ln_factorial).exp();
    let (mut sum, mut i) = (0.0, k as f64);
    while term > sum * 1e-17 {
        sum += term;
        i += 1.0;
        term *= mean / i;
    }
    sum
}

/// `P(count <= k)` for a mean above `k`, from its largest term downwards.
fn at_most(k: u64, ln_factorial: f64, mean: f64) -> f64 {
    if mean <= 0.0 {
        return 1.0;
    }
    let mut term = (k as f64 * mean.ln() - mean - ln_factorial).exp();
    let (mut sum, mut i) = (0.0, k as f64);
    while term > sum * 1e-17 {
        sum += term;
        term *= i / mean;
        i -= 1.0;
    }
    sum
}

/// The point up to which `holds` holds, between `low` and `high`.
fn bisect(mut low: f64, mut high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if holds(middle) {
            low = middle
        } else {
            high = middle
        }
    }
    0.5 * (low + high)
}

/// Percentile bootstrap that draws whole groups with replacement: as many groups as there are, `n_resamples` times.
///
/// `groups` names the group (the speaker) of each example; `statistic` gets the examples of one draw, an example as often
/// as its group was drawn, and returns `None` where it is not defined. Groups are drawn in the order of their names, so the
/// order of the examples does not matter to a statistic that does not look at it.
///
/// B. Efron, R. Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 8 and 13.
pub fn bootstrap_by_group<G: AsRef<str>>(
    groups: &[G],
    n_resamples: usize,
    seed: u64,
    mut statistic: impl FnMut(&[usize]) -> Option<f64>,
) -> Measured<Interval> {
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (example, group) in groups.iter().enumerate() {
        members.entry(group.as_ref()).or_default().push(example);
    }
    let members: Vec<Vec<usize>> = members.into_values().collect();
    if members.len() < 2 {
        return Measured::missing(format!(
            "{} group(s) of examples, at least 2 are needed",
            members.len()
        ));
    }
    let Ok(n_groups) = u32::try_from(members.len()) else {
        return Measured::missing("too many groups of examples");
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut drawn = Vec::with_capacity(groups.len());
    let mut values = Vec::with_capacity(n_resamples);
    for _ in 0..n_resamples {
        drawn.clear();
        for _ in 0..n_groups {
            drawn.extend_from_slice(&members[rng.random_range(0..n_groups) as usize]);
        }
        values.extend(statistic(&drawn).filter(|value| value.is_finite()));
    }
    if values.len() < 2 || values.len() * 2 < n_resamples {
        return Measured::missing(format!(
            "defined in only {} of {n_resamples} resamples",
            values.len()
        ));
    }
    values.sort_by(f64::total_cmp);
    Measured::Value(Interval {
        low: quantile(&values, TAIL),
        high: quantile(&values, 1.0 - TAIL),
    })
}

/// Bootstrap by group of a share: which examples were right, and whose they are.
pub fn bootstrap_share_by_group<G: AsRef<str>>(
    groups: &[G],
    right: &[bool],
    n_resamples: usize,
    seed: u64,
) -> Result<Measured<Interval>, EvaluateError> {
    if groups.len() != right.len() {
        return Err(EvaluateError::Size {
            what: "groups",
            found: groups.len(),
            expected: right.len(),
        });
    }
    Ok(bootstrap_by_group(groups, n_resamples, seed, |drawn| {
        let n_right = drawn.iter().filter(|&&example| right[example]).count();
        (!drawn.is_empty()).then(|| n_right as f64 / drawn.len() as f64)
    }))
}

/// Bootstrap by group of how much larger the second share is: two systems judged on the same examples.
///
/// An interval that lies above zero says that the second is better by more than the choice of speakers explains.
pub fn bootstrap_gain_by_group<G: AsRef<str>>(
    groups: &[G],
    first_right: &[bool],
    second_right: &[bool],
    n_resamples: usize,
    seed: u64,
) -> Result<Measured<Interval>, EvaluateError> {
    for (what, found) in [
        ("groups", groups.len()),
        ("second judgements", second_right.len()),
    ] {
        if found != first_right.len() {
            return Err(EvaluateError::Size {
                what,
                found,
                expected: first_right.len(),
            });
        }
    }
    Ok(bootstrap_by_group(groups, n_resamples, seed, |drawn| {
        let gain =
            |&example: &usize| f64::from(second_right[example]) - f64::from(first_right[example]);
        (!drawn.is_empty()).then(|| drawn.iter().map(gain).sum::<f64>() / drawn.len() as f64)
    }))
}

/// Quantile of sorted values by linear interpolation (type 7, numpy's default). Not for empty slices.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(measured: Measured<Interval>) -> Interval {
        *measured.value().expect("measured")
    }

    #[track_caller]
    fn check_close(found: Interval, expected: (f64, f64), tolerance: f64) {
        assert!(
            (found.low - expected.0).abs() <= tolerance,
            "low {} against {}",
            found.low,
            expected.0
        );
        assert!(
            (found.high - expected.1).abs() <= tolerance,
            "high {} against {}",
            found.high,
            expected.1
        );
    }

    #[test]
    fn half_of_ten_has_the_interval_of_the_textbook() {
        check_close(interval(wilson(5, 10)), (0.236_593_1, 0.763_406_9), 1e-7);
    }

    #[test]
    fn intervals_contain_the_point_estimate_and_narrow_with_evidence() {
        for n in [1_u64, 2, 7, 50, 1000] {
            for k in 0..=n {
                let found = interval(wilson(k, n));
                assert!(
                    found.contains(k as f64 / n as f64) && found.low >= 0.0 && found.high <= 1.0,
                    "{k} of {n}"
                );
                let tenfold = interval(wilson(10 * k, 10 * n));
                assert!(tenfold.high - tenfold.low < found.high - found.low);
            }
        }
        for k in 0..200 {
            let found = poisson(k);
            assert!(found.contains(k as f64));
            assert!(poisson(k + 1).low > found.low && poisson(k + 1).high > found.high);
        }
    }

    #[test]
    fn what_has_no_evidence_says_so() {
        assert_eq!(wilson(0, 0).reason(), Some("no examples"));
        assert!(wilson(3, 2).reason().is_some());
        assert!(poisson_rate(3, 0.0).reason().is_some());
        assert!(poisson_rate(3, f64::NAN).reason().is_some());
        assert!(
            bootstrap_by_group(&["a", "a"], 100, 1, |_| Some(1.0))
                .reason()
                .is_some()
        );
        assert!(
            bootstrap_by_group(&["a", "b"], 100, 1, |_| None)
                .reason()
                .is_some()
        );
        assert!(bootstrap_share_by_group(&["a"], &[true, false], 10, 1).is_err());
    }

    /// 40 speakers of 5 clips each; speaker `s` has `s % 6` of its clips right.
    fn speakers() -> (Vec<String>, Vec<bool>) {
        (0..40)
            .flat_map(|s| (0..5).map(move |clip| (format!("speaker-{s:02}"), clip < s % 6)))
            .unzip()
    }

    #[test]
    fn bootstrap_draws_speakers_not_clips() {
        let (groups, right) = speakers();
        let by_speaker =
            interval(bootstrap_share_by_group(&groups, &right, 4000, 7).expect("sizes agree"));
        let oracle = crate::evaluate::tests::oracle();
        let (low, high) = (
            oracle.bootstrap_by_speaker[0],
            oracle.bootstrap_by_speaker[1],
        );
        check_close(by_speaker, (low, high), 0.011);
        let each_alone: Vec<String> = (0..groups.len()).map(|i| format!("{i:03}")).collect();
        let by_clip =
            interval(bootstrap_share_by_group(&each_alone, &right, 4000, 7).expect("sizes agree"));
        assert!(by_clip.high - by_clip.low < 0.75 * (by_speaker.high - by_speaker.low));
    }

    #[test]
    fn bootstrap_is_its_seed_and_not_the_order_of_examples() {
        let (mut groups, mut right) = speakers();
        let first = bootstrap_share_by_group(&groups, &right, 200, 7).expect("sizes agree");
        assert_ne!(
            first,
            bootstrap_share_by_group(&groups, &right, 200, 8).expect("sizes agree")
        );
        groups.reverse();
        right.reverse();
        assert_eq!(
            first,
            bootstrap_share_by_group(&groups, &right, 200, 7).expect("sizes agree")
        );
    }

    #[test]
    fn a_system_that_is_right_wherever_the_other_is_and_more_has_a_gain_above_zero() {
        let (groups, right) = speakers();
        let better: Vec<bool> = right
            .iter()
            .enumerate()
            .map(|(i, &r)| r || i % 4 == 0)
            .collect();
        let gain = interval(
            bootstrap_gain_by_group(&groups, &right, &better, 1000, 3).expect("sizes agree"),
        );
        assert!(gain.low > 0.0 && gain.high < 0.3);
        let none = interval(
            bootstrap_gain_by_group(&groups, &right, &right, 1000, 3).expect("sizes agree"),
        );
        assert_eq!(
            none,
            Interval {
                low: 0.0,
                high: 0.0
            }
        );
    }
}
