//! `ingest.json`: what went into an ingestion and what came out of it. A folder without one is not trusted.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use auricle_datasets::partial::write_bytes;
use auricle_datasets::{CorpusSpec, Utterance};
use auricle_features::FrontendSpec;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{IngestError, Reason};

pub(super) const RECEIPT: &str = "ingest.json";
pub(super) const MANIFEST: &str = "manifest.jsonl";
pub(super) const REJECTS: &str = "rejects.jsonl";
pub(super) const FEATURES: &str = "features.shard";
pub(super) const SAMPLES: &str = "samples.shard";
pub(super) const NOISE: &str = "noise.shard";

/// What a finished ingestion leaves beside its receipt.
const FILES: [&str; 5] = [MANIFEST, REJECTS, FEATURES, SAMPLES, NOISE];

/// Goes up whenever the same input would give another output.
const VERSION: u32 = 2;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Receipt {
    pub version: u32,
    /// Of the corpus spec, the front-end and the source's files as they lie there: by size and time.
    pub state: String,
    /// Of the corpus spec, the front-end and the files' bytes, see [`Content`].
    pub fingerprint: String,
    /// Of the front-end alone: what the shards are stamped with.
    pub frontend: String,
    pub audio_s: f64,
    pub noise_s: f64,
    pub n_rejected: usize,
    pub rejects_by_reason: BTreeMap<Reason, usize>,
    /// Bytes of each file that was written.
    pub files: BTreeMap<String, u64>,
}

impl Receipt {
    /// The receipt of a finished ingestion; `None` where there is none, or what it lists is no longer there.
    pub fn read(into: &Path) -> Option<Receipt> {
        let text = fs::read(into.join(RECEIPT)).ok()?;
        let receipt: Receipt = serde_json::from_slice(&text).ok()?;
        let is_whole = receipt.files.iter().all(|(name, &n_bytes)| {
            fs::metadata(into.join(name)).is_ok_and(|metadata| metadata.len() == n_bytes)
        });
        (receipt.version == VERSION && is_whole).then_some(receipt)
    }

    /// From now on nothing in the folder is trusted.
    pub fn remove(into: &Path) -> Result<(), IngestError> {
        let path = into.join(RECEIPT);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(IngestError::Io { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Weighs the files and writes the receipt: the folder is done.
    pub fn write(mut self, into: &Path) -> Result<(), IngestError> {
        self.version = VERSION;
        for name in FILES {
            let path = into.join(name);
            let metadata =
                fs::metadata(&path).map_err(|source| IngestError::Io { path, source })?;
            self.files.insert(name.to_owned(), metadata.len());
        }
        let text = serde_json::to_string_pretty(&self).expect("a receipt is plain data");
        write_whole(&into.join(RECEIPT), text.as_bytes())
    }
}

/// Removes what a killed run has left: half-written files that never got their name.
pub(super) fn remove_leftovers(into: &Path) {
    let Ok(entries) = fs::read_dir(into) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = FILES
            .iter()
            .chain([&RECEIPT])
            .any(|ours| name.starts_with(ours));
        if is_ours && name.ends_with(".partial") {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A whole file or none.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), IngestError> {
    write_bytes(path, bytes).map_err(|source| IngestError::Io {
        path: path.to_owned(),
        source,
    })
}

/// Tells at once whether anything can have changed, in 16 hex digits: the spec, the front-end, the rows, and size and time of
/// every file. A file that cannot be asked counts as one of no bytes.
pub(super) fn state_of(
    source: &Path,
    spec: &CorpusSpec,
    frontend: &FrontendSpec,
    utterances: &[Utterance],
    noise: &[PathBuf],
) -> String {
    let mut digest = Sha256::new();
    digest.update(format!("{VERSION}\0{}\0", frontend.fingerprint()));
    digest.update(serde_json::to_vec(spec).expect("a spec is plain data"));
    let mut last = None;
    for utterance in utterances {
        digest.update(serde_json::to_vec(utterance).expect("a row is plain data"));
        // Rows are sorted: the pieces of one file follow one another.
        if last != Some(&utterance.path) {
            digest.update(file_state(source, &utterance.path));
            last = Some(&utterance.path);
        }
    }
    for path in noise {
        digest.update(file_state(source, path));
    }
    hex::encode(&digest.finalize()[..8])
}

fn file_state(source: &Path, path: &Path) -> String {
    let metadata = fs::metadata(source.join(path)).ok();
    let n_bytes = metadata.as_ref().map_or(0, |metadata| metadata.len());
    let modified = metadata.and_then(|metadata| metadata.modified().ok());
    let age = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!(
        "\0{}\0{n_bytes}\0{}\n",
        path.display(),
        age.map_or(0, |age| age.as_nanos())
    )
}

/// SHA-256 of a file; `None` where it cannot be read.
pub(super) type FileDigest = Option<[u8; 32]>;

/// Names everything that can change the outcome by its bytes: the same wherever the corpus lies, whenever it was copied there,
/// and on whichever machine.
pub(super) struct Content(Sha256);

impl Content {
    pub fn new(spec: &CorpusSpec, frontend: &FrontendSpec, rows: &[Utterance]) -> Self {
        let mut spec = spec.clone();
        spec.background.folders.clear();
        let mut digest = Sha256::new();
        digest.update(format!("{VERSION}\0{}\0", frontend.fingerprint()));
        digest.update(serde_json::to_vec(&spec).expect("a spec is plain data"));
        for row in rows {
            let row = match portable(&row.path) {
                Cow::Owned(path) => Cow::Owned(Utterance {
                    path,
                    ..row.clone()
                }),
                Cow::Borrowed(_) => Cow::Borrowed(row),
            };
            digest.update(serde_json::to_vec(&row).expect("a row is plain data"));
        }
        Self(digest)
    }

    /// Takes in one file more; their order counts.
    pub fn take(&mut self, path: &Path, file: FileDigest) {
        self.0.update(format!("\0{}\0", portable(path).display()));
        self.0.update(file.unwrap_or_default());
    }

    /// 16 hex digits.
    pub fn fingerprint(self) -> String {
        hex::encode(&self.0.finalize()[..8])
    }
}

/// A path inside of the corpus as it is, one from elsewhere by the name of the file.
fn portable(path: &Path) -> Cow<'_, Path> {
    match path.file_name() {
        Some(name) if path.is_absolute() => Cow::Owned(name.into()),
        _ => Cow::Borrowed(path),
    }
}

pub(super) fn digest_of(path: &Path) -> FileDigest {
    let mut file = File::open(path).ok()?;
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(digest.finalize().into()),
            n_bytes => digest.update(&buffer[..n_bytes]),
        }
    }
}
