//! A bundle that knows four hummed words, trained once for all tests that listen, and a recording of them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde::Deserialize;

use crate::pipeline::{auricle, run_folder};
use crate::tones;

/// A line of `kws-infer`.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    pub keyword: String,
    pub start_s: f64,
    pub latency_s: f64,
}

pub struct Listener {
    folder: tempfile::TempDir,
    pub bundle: PathBuf,
}

impl Listener {
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Trained when first asked for; gone with the last test that holds it.
pub fn listener() -> Arc<Listener> {
    static LISTENER: Mutex<Weak<Listener>> = Mutex::new(Weak::new());
    let mut shared = LISTENER.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let folder = tempfile::tempdir().unwrap();
        let corpus = folder.path().join("corpus");
        tones::corpus(&corpus, &tones::words(4), 16);
        let recipe = tones::recipe(folder.path(), 2);
        let runs = folder.path().join("runs");
        let words = [
            "run".as_ref(),
            recipe.as_os_str(),
            "--data".as_ref(),
            corpus.as_os_str(),
        ];
        let rest = [
            "--runs".as_ref(),
            runs.as_os_str(),
            "--device".as_ref(),
            "cpu".as_ref(),
        ];
        let (status, text) =
            auricle(&[&words[..], &rest[..], &["--workers".as_ref(), "1".as_ref()]].concat());
        assert!(status, "{text}");
        let bundle = folder.path().join("tones.auricle");
        std::fs::copy(run_folder(&runs).join("ensemble.auricle"), &bundle).unwrap();
        let listener = Arc::new(Listener { folder, bundle });
        *shared = Arc::downgrade(&listener);
        listener
    })
}

/// Speakers that were not trained on saying words in turn, a second and a half of hiss between them.
pub fn recording(path: &Path, n_words: usize) {
    let mut samples = tones::hiss(24_000, 1);
    for i in 0..n_words {
        samples.extend(tones::clip(i % 4, 3 + 4 * (i % 3), 7));
        samples.extend(tones::hiss(24_000, 2 + i as u64));
    }
    tones::write(path, samples);
}

/// What `kws-infer` hears in a file.
pub fn heard_in_file(bundle: &Path, wav: &Path) -> Vec<Line> {
    let output = Command::new(env!("CARGO_BIN_EXE_kws-infer"))
        .args([bundle, wav])
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A program that ends with the test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a program can be started.
pub fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output();
    found.is_ok_and(|output| output.status.success())
}
