//! One trial or one full training, done in this thread: first weights, training, artefact. Any failure,
//! a panic included, becomes a reason.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use auricle_datasets::partial::write_bytes;
use burn::tensor::Device;
use sha2::{Digest, Sha256};

use super::corpus::Corpus;
use super::trainer::{self, Outcome, TrainError, TrainSpec, Training};
use super::transfer::inherit;
use super::trial::{Trial, TrialState};
use super::{Watch, store::TrialEnd};
use crate::model::{Genome, Weights, WeightsError};

/// What all trainings of a run share.
#[derive(Clone, Copy)]
pub struct Workshop<'a> {
    pub corpus: &'a Corpus,
    /// Without autodiff.
    pub device: &'a Device,
    pub seed: u64,
    /// Where weights are kept.
    pub folder: &'a Path,
    pub watch: &'a dyn Watch,
}

/// Weights that could not be kept or found again.
#[derive(Debug, thiserror::Error)]
pub enum ArtefactError {
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {source}", path.display())]
    Weights { path: PathBuf, source: WeightsError },
}

/// What came of a training.
pub enum Done {
    Trained { outcome: Outcome, seconds: f64 },
    Failed { reason: String, seconds: f64 },
    Stopped,
}

impl Workshop<'_> {
    /// A seed of its own for each purpose, from the run's: the first 8 bytes of SHA-256.
    pub fn seed_for(&self, purpose: &str) -> u64 {
        seed_for(self.seed, purpose)
    }

    /// Where the weights of that name are kept.
    pub fn weights_path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.safetensors"))
    }

    /// Keeps weights: wholly or not at all.
    pub fn keep(&self, name: &str, weights: &Weights) -> Result<(), ArtefactError> {
        write_whole(&self.weights_path(name), &weights.to_bytes())
    }

    /// Weights kept earlier.
    pub fn fetch(&self, name: &str) -> Result<Weights, ArtefactError> {
        let path = self.weights_path(name);
        let blob = std::fs::read(&path).map_err(|source| ArtefactError::Io {
            path: path.clone(),
            source,
        })?;
        Weights::from_bytes(&blob).map_err(|source| ArtefactError::Weights { path, source })
    }

    /// Trains a genome from those first weights.
    pub fn train(
        &self,
        name: &str,
        genome: &Genome,
        first_weights: &Weights,
        spec: &TrainSpec,
        seed: u64,
    ) -> Done {
        let training = Training {
            name,
            genome,
            first_weights,
            corpus: self.corpus,
            spec,
            seed,
            device: self.device,
        };
        let start = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| trainer::train(&training, self.watch)));
        let seconds = start.elapsed().as_secs_f64();
        match result {
            Ok(Ok(outcome)) => Done::Trained { outcome, seconds },
            Ok(Err(TrainError::Stopped)) => Done::Stopped,
            Ok(Err(error)) => Done::Failed {
                reason: error.to_string(),
                seconds,
            },
            Err(panic) => Done::Failed {
                reason: format!("panicked: {}", panic_text(&*panic)),
                seconds,
            },
        }
    }

    /// Runs a trial: its parent's weights where they fit, fresh ones elsewhere. `None` where it was
    /// stopped: the trial stays running and is taken over later.
    pub fn run_trial(
        &self,
        trial: &Trial,
        spec: &TrainSpec,
    ) -> Result<Option<TrialEnd>, ArtefactError> {
        let seed = self.seed_for(&format!("trial {}", trial.number));
        let (ports, norm) = (self.corpus.ports(), self.corpus.input_norm());
        let mut weights = trial.genome.init_weights(&ports, norm, seed);
        let n_inherited = match trial.parent {
            Some(parent) => inherit(&mut weights, &self.fetch(&trial_name(parent))?),
            None => 0,
        };
        let name = trial_name(trial.number);
        let end = |state, curve, seconds| TrialEnd {
            number: trial.number,
            attempt: trial.attempt,
            state,
            curve,
            seconds,
            n_inherited,
        };
        Ok(
            match self.train(&name, &trial.genome, &weights, spec, seed) {
                Done::Stopped => None,
                Done::Failed { reason, seconds } => {
                    Some(end(TrialState::Failed { reason }, Vec::new(), seconds))
                }
                Done::Trained { outcome, seconds } => {
                    // The weights first and the row that speaks of them after.
                    self.keep(&name, &outcome.weights)?;
                    let scores = outcome.scores;
                    Some(end(TrialState::Complete { scores }, outcome.curve, seconds))
                }
            },
        )
    }
}

/// The name under which a trial's weights are kept.
pub fn trial_name(number: u64) -> String {
    format!("trial-{number:05}")
}

/// A seed of its own for each purpose.
pub fn seed_for(seed: u64, purpose: &str) -> u64 {
    let digest = Sha256::digest(format!("{seed} {purpose}"));
    u64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
}

/// Writes a file and the folders above it: wholly or not at all, also after a crash.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ArtefactError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)
        .and_then(|()| write_bytes(path, bytes))
        .map_err(|source| ArtefactError::Io {
            path: path.into(),
            source,
        })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".into())
}
