//! Everything this room can say about one set of scores, as plain data.
//!
//! Made from [`Scores`] alone: it does not know which split they are of, nor whether it was looked at before. Who calls
//! answers for judging the test split once.

use serde::{Deserialize, Serialize};

use super::calibration::{self, ReliabilityBin};
use super::confusion::{ClassResult, Confusion};
use super::measured::{NOT_THEN_MEASURED, Quantity, not_measured};
use super::{Breakdown, EvaluateError, Interval, Measured, Scores, cost, detection, intervals};

/// How often to resample, and from which seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    pub n_resamples: usize,
    pub seed: u64,
}

/// The numbers of one system on one set of examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    pub n_examples: u64,
    pub n_correct: u64,
    /// Share of examples whose most probable class is the true one.
    pub accuracy: Measured,
    /// Wilson interval of the accuracy, as if examples were independent.
    pub accuracy_interval: Measured<Interval>,
    /// Bootstrap interval of the accuracy over speakers, where they are known.
    pub accuracy_interval_by_speaker: Measured<Interval>,
    /// Mean recall over classes.
    pub balanced_accuracy: Measured,
    /// Bootstrap interval of the balanced accuracy over speakers; a class that a draw lacks does not count in it.
    #[serde(default = "no_interval")]
    pub balanced_accuracy_interval_by_speaker: Measured<Interval>,
    pub macro_f1: Measured,
    /// Nats per example.
    pub cross_entropy: Measured,
    /// From 0 to 2.
    pub brier: Measured,
    /// From 0 to 1, 15 bins.
    pub expected_calibration_error: Measured,
    /// Of all pairs of an example and a class.
    #[serde(default = "not_measured")]
    pub pooled_equal_error_rate: Measured,
    /// Under misses against false accepts of all pairs; see [`ClassDetection::area`](detection::ClassDetection::area).
    #[serde(default = "not_measured")]
    pub pooled_det_area: Measured,
    /// Cavg, each class accepted above chance; see [`cost::average_cost`].
    #[serde(default = "not_measured")]
    pub average_cost: Measured,
    /// The lowest that one threshold could have had.
    #[serde(default = "not_measured")]
    pub minimum_average_cost: Measured,
    pub per_class: Vec<ClassResult>,
    pub confusion: Confusion,
    pub reliability: Vec<ReliabilityBin>,
    /// Of parts of the examples, where the caller knows some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breakdowns: Vec<Breakdown>,
}

/// Why nothing is said by speaker where nobody is known.
pub(super) const NO_SPEAKERS: &str = "the speakers are not known";

fn no_interval() -> Measured<Interval> {
    Measured::missing(NOT_THEN_MEASURED)
}

impl Quantity for Judgement {}

impl Judgement {
    /// Judges scores whose speakers are not known.
    pub fn of(scores: &Scores) -> Result<Self, EvaluateError> {
        scores.validate()?;
        let confusion = Confusion::of(scores);
        let reliability = calibration::reliability(scores);
        let pooled = cost::pooled_detection(scores);
        let of_class = detection::one_versus_rest(scores);
        let of_class = of_class
            .iter()
            .map(|class| (class.equal_error_rate(), class.area()));
        Ok(Judgement {
            n_examples: confusion.n_examples(),
            n_correct: confusion.n_correct(),
            accuracy: confusion.accuracy(),
            accuracy_interval: intervals::wilson(confusion.n_correct(), confusion.n_examples()),
            accuracy_interval_by_speaker: Measured::missing(NO_SPEAKERS),
            balanced_accuracy: confusion.balanced_accuracy(),
            balanced_accuracy_interval_by_speaker: Measured::missing(NO_SPEAKERS),
            macro_f1: confusion.macro_f1(),
            cross_entropy: scores.cross_entropy().into(),
            brier: calibration::brier(scores).into(),
            expected_calibration_error: calibration::expected_calibration_error(&reliability),
            pooled_equal_error_rate: pooled.equal_error_rate(),
            pooled_det_area: pooled.area(),
            average_cost: cost::average_cost(scores),
            minimum_average_cost: cost::minimum_average_cost(scores),
            per_class: confusion.per_class(of_class.collect()),
            confusion,
            reliability,
            breakdowns: Vec::new(),
        })
    }

    /// Judges scores whose speakers are known, `[n_examples]`.
    pub fn of_speakers<G: AsRef<str>>(
        scores: &Scores,
        speakers: &[G],
        bootstrap: Bootstrap,
    ) -> Result<Self, EvaluateError> {
        let mut judgement = Self::of(scores)?;
        let Bootstrap { n_resamples, seed } = bootstrap;
        let right = scores.correct();
        judgement.accuracy_interval_by_speaker =
            intervals::bootstrap_share_by_group(speakers, &right, n_resamples, seed)?;
        judgement.balanced_accuracy_interval_by_speaker =
            intervals::bootstrap_by_group(speakers, n_resamples, seed, |drawn| {
                mean_recall(scores, &right, drawn)
            });
        Ok(judgement)
    }
}

/// Mean recall over the classes that occur among some examples, each counted as often as it comes.
fn mean_recall(scores: &Scores, right: &[bool], examples: &[usize]) -> Option<f64> {
    let mut counts = vec![(0_usize, 0_usize); scores.n_classes()];
    for &example in examples {
        let (n, n_right) = &mut counts[scores.truth[example]];
        *n += 1;
        *n_right += usize::from(right[example]);
    }
    let recalls = counts.iter().filter(|(n, _)| *n > 0);
    let recalls: Vec<f64> = recalls.map(|&(n, k)| k as f64 / n as f64).collect();
    (!recalls.is_empty()).then(|| recalls.iter().sum::<f64>() / recalls.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_the_balanced_accuracy_is_of_speakers_and_holds_the_number() {
        // Ten speakers of two classes with three clips each; every third speaker is wrong on the second class.
        let (mut truth, mut probabilities, mut speakers) = (Vec::new(), Vec::new(), Vec::new());
        for speaker in 0..10 {
            for clip in 0..3 {
                let class = usize::from(clip == 2);
                let is_right = class == 0 || speaker % 3 != 0;
                truth.push(class);
                let first = if (class == 0) == is_right { 0.9 } else { 0.1 };
                probabilities.extend([first, 1.0 - first]);
                speakers.push(format!("s{speaker}"));
            }
        }
        let ids = (0..truth.len()).map(|i| i.to_string()).collect();
        let labels = vec!["a".into(), "b".into()];
        let scores = Scores::new(labels, truth, probabilities, ids).unwrap();
        let bootstrap = Bootstrap {
            n_resamples: 1_000,
            seed: 1,
        };
        let judged = Judgement::of_speakers(&scores, &speakers, bootstrap).unwrap();
        let balanced = judged.balanced_accuracy.number().unwrap();
        // (1 + 6/10) / 2, and of it the half that comes from 10 coins of 0.6: 0.8 +- 0.15.
        assert!((balanced - 0.8).abs() < 1e-12);
        let interval = *judged
            .balanced_accuracy_interval_by_speaker
            .value()
            .unwrap();
        assert!(interval.contains(balanced));
        assert!((interval.low - 0.65).abs() < 0.051 && (interval.high - 0.95).abs() < 0.051);
        let all: Vec<usize> = (0..30).collect();
        assert_eq!(
            mean_recall(&scores, &scores.correct(), &all),
            Some(balanced)
        );
        assert_eq!(mean_recall(&scores, &scores.correct(), &[]), None);
    }
}
