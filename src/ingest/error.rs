//! Why an ingestion did not come to its end.

use std::path::PathBuf;

use auricle_datasets::shard::ShardError;
use auricle_datasets::{AuditError, CorpusError, ManifestError};
use auricle_features::SpecError;

use crate::audio::AudioError;

#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The corpus or what the recipe says of it is wrong.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// The split is not honest.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The front-end makes no sense.
    #[error("front-end: {0}")]
    Frontend(#[from] SpecError),
    /// The front-end's rate is none that sound is decoded at.
    #[error("front-end: {0}")]
    Rate(AudioError),
    /// What was written or found in the folder is wrong.
    #[error(transparent)]
    Shard(#[from] ShardError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    /// More bad files than the recipe allows. They are listed in `rejects.jsonl`.
    #[error(
        "{n_rejected} of the first {n_seen} clips are bad ({n_total} in all), expected at most {} %; listed in {}. The first:\n  {}",
        max_share * 100.0, rejects.display(), first.join("\n  ")
    )]
    TooManyRejects {
        n_rejected: usize,
        n_seen: usize,
        n_total: usize,
        max_share: f64,
        rejects: PathBuf,
        first: Vec<String>,
    },
    /// Not one clip is any good.
    #[error("all {n_rejected} clips are bad, expected some to learn from; listed in {}. The first:\n  {}", rejects.display(), first.join("\n  "))]
    NothingLeft {
        n_rejected: usize,
        rejects: PathBuf,
        first: Vec<String>,
    },
    /// The folder was not filled by a finished ingestion of this kind.
    #[error("{}: found {found}, expected {expected}; ingest again", path.display())]
    NotIngested {
        path: PathBuf,
        found: String,
        expected: String,
    },
    /// No threads to work with.
    #[error("cannot start {n_workers} workers: {reason}")]
    Workers { n_workers: usize, reason: String },
    /// [`super::Watch::stopped`] said so.
    #[error("stopped before it was done; nothing is left half-made")]
    Stopped,
}
