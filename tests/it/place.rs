//! A small corpus of tones with its recipe, for tests that call the rooms themselves.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use auricle::recipe::Recipe;
use auricle::run::{Plan, Run};
use auricle::search::{CurvePoint, StudySpec, Trial};
use burn::tensor::Device;

use crate::tones;

/// Says stop at the end of that many epochs.
pub struct Quiet {
    n_epochs_left: AtomicUsize,
}

impl Quiet {
    pub fn stopping_after(n_epochs: usize) -> Self {
        Self {
            n_epochs_left: AtomicUsize::new(n_epochs),
        }
    }

    pub fn never() -> Self {
        Self::stopping_after(usize::MAX)
    }
}

impl auricle::search::Watch for Quiet {
    fn epoch(&self, _: &str, _: &CurvePoint, _: usize) {
        let less = |n: usize| Some(n.saturating_sub(1));
        let _ = self
            .n_epochs_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
    fn trial(&self, _: &Trial) {}
    fn stopped(&self) -> bool {
        self.n_epochs_left.load(Ordering::Relaxed) == 0
    }
}

impl auricle::ingest::Watch for Quiet {
    fn progress(&self, _: usize, _: usize, _: &str) {}
    fn stopped(&self) -> bool {
        false
    }
}

impl auricle::run::Watch for Quiet {
    fn step(&self, _: &str) {}
}

/// A corpus of tones with its run, and a study over it.
pub struct Place {
    _folder: tempfile::TempDir,
    source: PathBuf,
    runs: PathBuf,
    pub recipe: Recipe,
    pub device: Device,
}

impl Place {
    pub fn new(n_trials: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        tones::corpus(&folder.path().join("corpus"), &tones::words(4), 8);
        let path = tones::recipe(folder.path(), n_trials);
        Self {
            recipe: Recipe::read(&path).unwrap(),
            source: folder.path().join("corpus"),
            runs: folder.path().join("runs"),
            _folder: folder,
            device: Device::flex(),
        }
    }

    pub fn run(&self) -> Run<'_> {
        let plan = Plan {
            recipe: &self.recipe,
            source: &self.source,
            runs: &self.runs,
            device: &self.device,
            device_kind: "cpu",
            device_name: "test",
            n_workers: 1,
            today: "2026-01-01",
        };
        Run::open(plan, &Quiet::never()).unwrap()
    }

    pub fn source(&self) -> &Path {
        &self.source
    }

    #[cfg(feature = "postgres")]
    pub fn runs(&self) -> &Path {
        &self.runs
    }

    pub fn spec(&self) -> StudySpec {
        self.recipe.search.clone()
    }
}
