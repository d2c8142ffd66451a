//! Everything this room can say about one set of scores, as plain data.
//!
//! Made from [`Scores`] alone: it does not know which split they are of, nor whether it was looked at before. Who calls
//! answers for judging the test split once.

use serde::{Deserialize, Serialize};

use super::calibration::{self, ReliabilityBin};
use super::confusion::{ClassResult, Confusion};
use super::measured::Quantity;
use super::{EvaluateError, Interval, Measured, Scores, detection, intervals};

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
    pub macro_f1: Measured,
    /// Nats per example.
    pub cross_entropy: Measured,
    /// From 0 to 2.
    pub brier: Measured,
    /// From 0 to 1, 15 bins.
    pub expected_calibration_error: Measured,
    pub per_class: Vec<ClassResult>,
    pub confusion: Confusion,
    pub reliability: Vec<ReliabilityBin>,
}

impl Quantity for Judgement {}

impl Judgement {
    /// Judges scores whose speakers are not known.
    pub fn of(scores: &Scores) -> Result<Self, EvaluateError> {
        scores.validate()?;
        let confusion = Confusion::of(scores);
        let reliability = calibration::reliability(scores);
        Ok(Judgement {
            n_examples: confusion.n_examples(),
            n_correct: confusion.n_correct(),
            accuracy: confusion.accuracy(),
            accuracy_interval: intervals::wilson(confusion.n_correct(), confusion.n_examples()),
            accuracy_interval_by_speaker: Measured::missing("the speakers are not known"),
            balanced_accuracy: confusion.balanced_accuracy(),
            macro_f1: confusion.macro_f1(),
            cross_entropy: scores.cross_entropy().into(),
            brier: calibration::brier(scores).into(),
            expected_calibration_error: calibration::expected_calibration_error(&reliability),
            per_class: confusion.per_class(detection::equal_error_rates(scores)),
            confusion,
            reliability,
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
        judgement.accuracy_interval_by_speaker =
            intervals::bootstrap_share_by_group(speakers, &scores.correct(), n_resamples, seed)?;
        Ok(judgement)
    }
}
