//! A finished ingestion, opened for training or judging.

use std::path::Path;

use auricle_datasets::shard::Shard;
use auricle_datasets::{Utterance, manifest};
use auricle_features::FrontendSpec;

use super::IngestError;
use super::receipt::{FEATURES, MANIFEST, NOISE, RECEIPT, Receipt, SAMPLES};

/// The clips of a corpus: row `i` of the manifest is item `i` of both shards.
pub struct Prepared {
    /// Names all that went in.
    pub fingerprint: String,
    pub utterances: Vec<Utterance>,
    /// Frames of each clip, `[n_frames, n_mels]`.
    pub features: Shard,
    /// 16-bit samples of each clip.
    pub samples: Shard,
    /// Pieces of background noise that training may hear; perhaps none.
    pub noise: Shard,
}

/// Opens a folder that [`super::ingest`] has filled, and checks it against the front-end and every file against its checksum.
///
/// # Errors
///
/// [`IngestError::NotIngested`] when no finished run filled it, or one with another front-end; [`IngestError::Shard`] and
/// [`IngestError::Manifest`] when its content was changed.
pub fn open(into: &Path, frontend: &FrontendSpec) -> Result<Prepared, IngestError> {
    let not = |found: String, expected: String| IngestError::NotIngested {
        path: into.join(RECEIPT),
        found,
        expected,
    };
    let receipt = Receipt::read(into).ok_or_else(|| {
        not(
            "no receipt that fits its files".to_owned(),
            "that of a finished ingestion".to_owned(),
        )
    })?;
    let stamp = frontend.fingerprint();
    if receipt.frontend != stamp {
        return Err(not(
            format!("front-end {}", receipt.frontend),
            format!("front-end {stamp}"),
        ));
    }
    let utterances = manifest::read_jsonl(&into.join(MANIFEST))?;
    let features = Shard::open_features(&into.join(FEATURES), &stamp, frontend.n_mels)?;
    let samples = Shard::open_samples(&into.join(SAMPLES), &stamp)?;
    let noise = Shard::open_samples(&into.join(NOISE), &stamp)?;
    if (features.len(), samples.len()) != (utterances.len(), utterances.len()) {
        return Err(not(
            format!("{} features and {} sounds", features.len(), samples.len()),
            format!("{} of each, as in the manifest", utterances.len()),
        ));
    }
    Ok(Prepared {
        fingerprint: receipt.fingerprint,
        utterances,
        features,
        samples,
        noise,
    })
}
