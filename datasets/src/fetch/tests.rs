//! A server that misbehaves, and archives that mean harm: what is left in the folder, and what the user is told.

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::card::ArchiveFormat;

mod archives;
mod downloads;
mod server;

/// Sees all, and may ask to stop after so many bytes.
struct Seen {
    notes: Mutex<Vec<String>>,
    n_bytes: AtomicU64,
    stop_at: u64,
}

impl Seen {
    fn all() -> Self {
        Self::until(u64::MAX)
    }

    fn until(stop_at: u64) -> Self {
        Self {
            notes: Mutex::default(),
            n_bytes: AtomicU64::new(0),
            stop_at,
        }
    }

    fn notes(&self) -> String {
        self.notes.lock().unwrap().join("\n")
    }
}

impl Watch for Seen {
    fn progress(&self, done: u64, total: Option<u64>, what: &str) {
        assert!(
            total.is_none_or(|total| done <= total),
            "{what}: {done} of {total:?}"
        );
        if what.starts_with("downloading") {
            self.n_bytes.store(done, Ordering::SeqCst);
        }
    }

    fn note(&self, text: &str) {
        self.notes.lock().unwrap().push(text.to_owned());
    }

    fn stopped(&self) -> bool {
        self.n_bytes.load(Ordering::SeqCst) >= self.stop_at
    }
}

/// No waiting, and a disk of a terabyte.
fn hasty() -> Rules {
    Rules {
        n_fruitless: 3,
        n_rounds: 1,
        pause: Duration::ZERO,
        answer_timeout: Duration::from_secs(5),
        silence_timeout: Duration::from_secs(2),
        reserve_bytes: 1 << 20,
        max_ratio: 20,
        small_bytes: 4 << 20,
        max_entries: 1000,
        free_bytes: |_| Ok(1 << 40),
    }
}

/// Bytes that no compression makes smaller, the same on every run.
fn noise(n_bytes: usize) -> Vec<u8> {
    use rand::Rng;
    let mut bytes = vec![0; n_bytes];
    crate::seeded::purpose_rng(7, "noise").fill_bytes(&mut bytes);
    bytes
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tar_gz(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    gz(&builder.into_inner().unwrap())
}

/// Two words, big enough for a connection to break in the middle.
fn corpus() -> Vec<u8> {
    tar_gz(&[("./go/ann.wav", &noise(300_000)), ("up/bob.wav", b"RIFF")])
}

fn sha256(bytes: &[u8]) -> Checksum {
    use sha2::Digest;
    Checksum::Sha256 {
        hex: hex::encode(sha2::Sha256::digest(bytes)),
    }
}

fn archive(urls: Vec<String>, checksum: Checksum) -> ArchiveSpec {
    ArchiveSpec {
        part: "main".into(),
        optional: false,
        file: "words.tar.gz".into(),
        urls,
        n_bytes: None,
        checksum,
        format: ArchiveFormat::TarGz,
        into: "words".into(),
        unpacked_bytes: None,
    }
}

fn card(archives: Vec<ArchiveSpec>) -> CardSpec {
    CardSpec {
        name: "test".into(),
        archives,
        languages: Vec::new(),
        by_hand: None,
        ..crate::card::card("musan").unwrap().clone()
    }
}

/// Fetches, and gives what is left in the folder besides hidden files.
fn fetch(
    archive: ArchiveSpec,
    to: &Path,
    rules: &Rules,
    watch: &dyn Watch,
) -> Result<Vec<Fetched>, FetchError> {
    get(
        &card(vec![archive]),
        &Selection::default(),
        to,
        false,
        rules,
        watch,
    )
}

/// The files under a folder, sorted, with their sizes.
fn files(folder: &Path) -> Vec<(String, u64)> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<(String, u64)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                walk(&path, root, found);
            } else {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                found.push((name, metadata.len()));
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found.sort();
    found
}

/// The corpus is there, and nothing but it and its receipt.
#[track_caller]
fn check_whole(to: &Path) {
    let names: Vec<(String, u64)> = files(to);
    let names: Vec<(&str, u64)> = names
        .iter()
        .map(|(name, n)| (name.as_str(), *n))
        .filter(|(name, _)| *name != ".words.tar.gz.json")
        .collect();
    assert_eq!(
        names,
        [("words/go/ann.wav", 300_000), ("words/up/bob.wav", 4)]
    );
    assert_eq!(
        fs::read(to.join("words/go/ann.wav")).unwrap(),
        noise(300_000)
    );
}
