//! A detector in the field: recordings of its keywords and of everything else -> what it misses, what it
//! takes for a keyword, and which thresholds would serve better.
//!
//! Each recording is heard by a [`Session`](crate::stream::Session), as a microphone would be: with sound before it, its own
//! warm-up and the bundle's own detector. The smoothed answers are kept ([`Trace`]), so that another threshold is tried
//! by the same [`Detector`](crate::stream::Detector) over the same answers, not guessed from scores.

mod conditions;
mod material;
mod retrain;
mod trace;
mod tuning;

pub use conditions::{
    AREA_TO_PER_HOUR, Condition, ConditionJudgement, FieldReport, NoiseSpec, judge_stream,
};
pub use material::{Material, Take, Times};
pub use retrain::{FalseClip, save_false_clips};
pub use trace::{Trace, threshold_grid};
pub use tuning::{Choice, Tuned, tune};

use std::path::PathBuf;

use crate::evaluate::EvaluateError;

/// What a detector's trial cannot do.
#[derive(Debug, thiserror::Error)]
pub enum FieldError {
    #[error("{}: {reason}", path.display())]
    Material { path: PathBuf, reason: String },
    #[error(transparent)]
    Corpus(#[from] auricle_datasets::CorpusError),
    #[error(transparent)]
    Manifest(#[from] auricle_datasets::ManifestError),
    #[error(transparent)]
    Audio(#[from] crate::audio::AudioError),
    #[error(transparent)]
    Bundle(#[from] crate::bundle::BundleError),
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    /// No rate of false accepts can be told.
    #[error(
        "found no sound without a keyword that can be heard, in {n_files} files; expected an hour or more. The last: {reason}"
    )]
    Silent { n_files: usize, reason: String },
    #[error("stopped")]
    Stopped,
}

#[cfg(test)]
mod tests;
