//! One trial or one full training, done in this thread: first weights, training, artefacts. Any failure,
//! a panic included, becomes a typed outcome.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use auricle_datasets::partial::write_bytes;
use burn::tensor::Device;
use sha2::{Digest, Sha256};

use super::Watch;
use super::checkpoint::{Checkpoint, CheckpointError};
use super::corpus::Corpus;
use super::depot::{Depot, DepotError};
use super::distil::DistilSpec;
use super::panics::catch;
use super::sharing::{Donor, Inherited, SharingSpec, first_weights};
use super::store::{Progress, TrialEnd};
use super::trainer::{
    Ending, Guides, Outcome, Start, TrainError, TrainSpec, Trainer, Training, Verdict,
};
use super::trial::{Artifacts, CurvePoint, Failure, FailureKind, Scores, Trial, TrialState};
use crate::model::stream_net::NetworkError;
use crate::model::{Genome, Network, Weights, WeightsError};

/// Times that a batch is halved where memory is short.
const MAX_HALVINGS: usize = 3;

/// What all trainings of a run share.
#[derive(Clone, Copy)]
pub struct Workshop<'a> {
    pub corpus: &'a Corpus,
    /// Without autodiff.
    pub device: &'a Device,
    pub seed: u64,
    /// Where weights are kept.
    pub folder: &'a Path,
    /// Where those of trials are kept instead, where several workers share them.
    pub depot: Option<&'a Depot>,
    pub trainer: &'a dyn Trainer,
    /// Networks that teach every trial, besides those that the study chooses.
    pub teachers: &'a [Network],
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
    #[error("{}: {source}", path.display())]
    Checkpoint {
        path: PathBuf,
        source: CheckpointError,
    },
    #[error("{}: {source}", path.display())]
    Network { path: PathBuf, source: NetworkError },
    #[error(transparent)]
    Depot(#[from] DepotError),
}

/// One training that is to be done.
pub struct Job<'a> {
    pub name: &'a str,
    pub genome: &'a Genome,
    pub start: Start<'a>,
    pub spec: &'a TrainSpec,
    pub guides: Guides<'a>,
    pub seed: u64,
    pub verdict: &'a (dyn Fn(&[CurvePoint]) -> Verdict + Sync),
    /// After which it is given up between two epochs.
    pub max_duration: Option<Duration>,
}

/// What came of it.
pub struct Done {
    pub end: End,
    pub seconds: f64,
    /// What was left of the spec's batch where memory was short.
    pub batch_size: usize,
}

/// How it ended.
pub enum End {
    Trained(Outcome),
    GivenUp(Outcome),
    Paused(Box<Checkpoint>),
    Stopped(Option<Box<Checkpoint>>),
    Failed(Failure),
}

/// A trial that is to be run.
pub struct TrialJob<'a> {
    pub trial: &'a Trial,
    pub spec: &'a TrainSpec,
    pub sharing: &'a SharingSpec,
    /// The trials that it begins from.
    pub donors: &'a [Source],
    /// The trials that teach it.
    pub teachers: &'a [Source],
    pub distil: Option<&'a DistilSpec>,
    pub verdict: &'a (dyn Fn(&[CurvePoint]) -> Verdict + Sync),
    pub max_duration: Option<Duration>,
    /// Shown this one training, and asked whether it goes on.
    pub watch: &'a dyn Watch,
}

/// A finished trial whose weights another one uses.
#[derive(Clone, Debug)]
pub struct Source {
    pub number: u64,
    pub genome: Genome,
    pub loss: f64,
    pub artifacts: Artifacts,
}

/// What came of a trial.
pub enum Ran {
    Ended(TrialEnd),
    /// It was told to stop; what it had learned is kept.
    Interrupted {
        progress: Progress,
        seconds: f64,
    },
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

    /// Where an interrupted training of that name is kept.
    pub fn checkpoint_path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.checkpoint"))
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

    /// A network of those weights, on the device without autodiff.
    pub fn network(&self, genome: &Genome, weights: &Weights) -> Result<Network, NetworkError> {
        Network::load(genome, &self.corpus.ports(), weights, self.device)
    }

    /// An interrupted training kept earlier; `None` where there is none.
    pub fn fetch_checkpoint(&self, name: &str) -> Result<Option<Checkpoint>, ArtefactError> {
        let path = self.checkpoint_path(name);
        let blob = match std::fs::read(&path) {
            Ok(blob) => blob,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ArtefactError::Io { path, source }),
        };
        let checkpoint = Checkpoint::from_bytes(&blob);
        checkpoint
            .map(Some)
            .map_err(|source| ArtefactError::Checkpoint { path, source })
    }

    /// Trains; where memory is short again with half the batch.
    pub fn train(&self, job: &Job) -> Done {
        let begun = Instant::now();
        let mut spec = job.spec.clone();
        let mut start = job.start;
        for n_halvings in 0.. {
            let end = self.train_once(job, start, &spec, begun);
            let is_short =
                matches!(&end, End::Failed(failure) if failure.kind == FailureKind::OutOfMemory);
            if !is_short || n_halvings >= MAX_HALVINGS || spec.batch_size < 4 {
                return Done {
                    end,
                    seconds: begun.elapsed().as_secs_f64(),
                    batch_size: spec.batch_size,
                };
            }
            spec.batch_size /= 2;
            // Steps of another size do not continue an old schedule: what was learned stays, the count begins anew.
            if let Start::Resumed(checkpoint) = start {
                start = Start::Fresh(&checkpoint.last);
            }
        }
        unreachable!("the loop returns")
    }

    fn train_once(&self, job: &Job, start: Start, spec: &TrainSpec, begun: Instant) -> End {
        let is_late = AtomicBool::new(false);
        let verdict = |curve: &[CurvePoint]| {
            if job.max_duration.is_some_and(|most| begun.elapsed() > most) {
                is_late.store(true, Ordering::Relaxed);
                return Verdict::GiveUp;
            }
            (job.verdict)(curve)
        };
        let training = Training {
            name: job.name,
            genome: job.genome,
            start,
            corpus: self.corpus,
            spec,
            guides: job.guides,
            seed: job.seed,
            device: self.device,
            verdict: &verdict,
        };
        let failed = |kind, reason: String, trace| {
            End::Failed(Failure {
                kind,
                reason,
                trace,
            })
        };
        match catch(|| self.trainer.train(&training, self.watch)) {
            Ok(Ok(Ending::GivenUp(_))) if is_late.load(Ordering::Relaxed) => {
                let reason = format!(
                    "not done after {:.0} s, the most that a trial may take",
                    begun.elapsed().as_secs_f64()
                );
                failed(FailureKind::OverBudget, reason, None)
            }
            Ok(Ok(Ending::Done(outcome))) => End::Trained(outcome),
            Ok(Ok(Ending::GivenUp(outcome))) => End::GivenUp(outcome),
            Ok(Ok(Ending::Paused(checkpoint))) => End::Paused(checkpoint),
            Ok(Ok(Ending::Stopped(checkpoint))) => End::Stopped(checkpoint),
            Ok(Err(error)) => {
                let kind = match error {
                    TrainError::NonFinite { .. } => FailureKind::NonFinite,
                    TrainError::Network(_) | TrainError::Record(_) => FailureKind::Invalid,
                };
                failed(kind, error.to_string(), None)
            }
            Err(panic) => {
                let kind = if speaks_of_memory(&panic.message) {
                    FailureKind::OutOfMemory
                } else {
                    FailureKind::Panicked
                };
                failed(kind, panic.message, panic.trace)
            }
        }
    }

    /// Runs a trial from where it was interrupted, or from its donors' weights where they fit and fresh ones
    /// elsewhere.
    pub fn run_trial(&self, job: &TrialJob) -> Result<Ran, ArtefactError> {
        let trial = job.trial;
        let own = Workshop {
            corpus: self.corpus.behind(&trial.hyper),
            watch: job.watch,
            ..*self
        };
        let name = trial_name(trial.number);
        let seed = self.seed_for(&format!("trial {}", trial.number));
        let checkpoint = self.checkpoint_of(trial)?;
        let mut spec = job.spec.clone();
        spec.batch_size = spec.batch_size.min(trial.batch_size);
        let (fresh, inherited) = own.first_weights(job, seed)?;
        let start = match &checkpoint {
            Some(checkpoint) => Start::Resumed(checkpoint),
            None => Start::Fresh(&fresh),
        };
        let teachers = own.teachers_of(job)?;
        let guides = Guides {
            teacher: job.distil.map(|distil| (distil, &teachers[..])),
            base: &[],
        };
        let done = own.train(&Job {
            name: &name,
            genome: &trial.genome,
            start,
            spec: &spec,
            guides,
            seed,
            verdict: job.verdict,
            max_duration: job.max_duration,
        });
        let seconds = trial.seconds + done.seconds;
        let end = |state, curve, artifacts| {
            Ran::Ended(TrialEnd {
                number: trial.number,
                attempt: trial.attempt,
                state,
                curve,
                seconds,
                n_inherited: inherited.n_values,
                batch_size: done.batch_size,
                artifacts,
            })
        };
        let finish = |outcome: Outcome, state: fn(Scores) -> TrialState| {
            // The weights first and the row that speaks of them after.
            let artifacts = Artifacts {
                weights: self.keep_trial(&name, &outcome.weights)?,
                checkpoint: None,
            };
            remove(&self.checkpoint_path(&name))?;
            Ok(end(state(outcome.scores), outcome.curve, artifacts))
        };
        match done.end {
            End::Stopped(checkpoint) => {
                let mut progress = Progress {
                    curve: trial.curve.clone(),
                    artifacts: trial.artifacts.clone(),
                };
                if let Some(checkpoint) = checkpoint {
                    progress.artifacts.checkpoint = self.keep_progress(&name, &checkpoint)?;
                    progress.curve = checkpoint.progress.curve;
                }
                Ok(Ran::Interrupted { progress, seconds })
            }
            End::Failed(failure) => {
                remove(&self.checkpoint_path(&name))?;
                let curve = checkpoint.map_or(Vec::new(), |it| it.progress.curve);
                let state = match failure.kind {
                    FailureKind::Invalid => TrialState::Infeasible { failure },
                    _ => TrialState::Failed { failure },
                };
                Ok(end(state, curve, Artifacts::default()))
            }
            End::Paused(checkpoint) => {
                let artifacts = Artifacts {
                    weights: self.keep_trial(&name, &checkpoint.best)?,
                    checkpoint: self.keep_progress(&name, &checkpoint)?,
                };
                let scores = checkpoint.progress.best_scores;
                let state = TrialState::Paused { scores };
                Ok(end(state, checkpoint.progress.curve, artifacts))
            }
            End::Trained(outcome) => finish(outcome, |scores| TrialState::Complete { scores }),
            End::GivenUp(outcome) => finish(outcome, |scores| TrialState::GivenUp { scores }),
        }
    }

    /// Keeps a trial's weights; their name in the depot, where there is one.
    fn keep_trial(&self, name: &str, weights: &Weights) -> Result<Option<String>, ArtefactError> {
        match self.depot {
            Some(depot) => Ok(Some(depot.put(&weights.to_bytes())?)),
            None => self.keep(name, weights).map(|()| None),
        }
    }

    /// Keeps how far a trial is; its name in the depot, where there is one.
    pub(super) fn keep_progress(
        &self,
        name: &str,
        checkpoint: &Checkpoint,
    ) -> Result<Option<String>, ArtefactError> {
        match self.depot {
            Some(depot) => Ok(Some(depot.put(&checkpoint.to_bytes())?)),
            None => self.keep_checkpoint(name, checkpoint).map(|()| None),
        }
    }

    /// How far an earlier attempt came; `None` where nothing is left of it.
    fn checkpoint_of(&self, trial: &Trial) -> Result<Option<Checkpoint>, ArtefactError> {
        let Some(depot) = self.depot else {
            return self.fetch_checkpoint(&trial_name(trial.number));
        };
        let Some(id) = &trial.artifacts.checkpoint else {
            return Ok(None);
        };
        let read = |bytes: Vec<u8>| {
            Checkpoint::from_bytes(&bytes).map_err(|source| ArtefactError::Checkpoint {
                path: id.into(),
                source,
            })
        };
        depot.get(id)?.map(read).transpose()
    }

    /// A finished trial's weights; `None` where they are gone.
    pub fn weights_of(
        &self,
        number: u64,
        artifacts: &Artifacts,
    ) -> Result<Option<Weights>, ArtefactError> {
        if let (Some(depot), Some(id)) = (self.depot, &artifacts.weights) {
            let read = |bytes: Vec<u8>| {
                Weights::from_bytes(&bytes).map_err(|source| ArtefactError::Weights {
                    path: id.into(),
                    source,
                })
            };
            return depot.get(id)?.map(read).transpose();
        }
        let name = trial_name(number);
        match self.weights_path(&name).exists() {
            true => self.fetch(&name).map(Some),
            false => Ok(None),
        }
    }

    /// The run's own teachers, and the trial's whose weights are still there.
    fn teachers_of(&self, job: &TrialJob) -> Result<Vec<Network>, ArtefactError> {
        let mut teachers = self.teachers.to_vec();
        for source in job.teachers {
            if let Some(weights) = self.weights_of(source.number, &source.artifacts)? {
                let network = self.network(&source.genome, &weights);
                teachers.push(network.map_err(|error| ArtefactError::Network {
                    path: self.weights_path(&trial_name(source.number)),
                    source: error,
                })?);
            }
        }
        Ok(teachers)
    }

    /// Fresh weights with what the donors share; a donor whose weights are gone gives nothing.
    fn first_weights(
        &self,
        job: &TrialJob,
        seed: u64,
    ) -> Result<(Weights, Inherited), ArtefactError> {
        let (ports, norm) = (self.corpus.ports(), self.corpus.input_norm());
        let mut fresh = job.trial.genome.init_weights(&ports, norm, seed);
        let mut kept = Vec::with_capacity(job.donors.len());
        for source in job.donors {
            if let Some(weights) = self.weights_of(source.number, &source.artifacts)? {
                kept.push((source, weights));
            }
        }
        let donors: Vec<Donor> = kept
            .iter()
            .map(|(source, weights)| Donor {
                number: source.number,
                genome: &source.genome,
                weights,
                loss: source.loss,
            })
            .collect();
        let inherited = first_weights(&mut fresh, &job.trial.genome, &ports, &donors, job.sharing);
        Ok((fresh, inherited))
    }

    /// Keeps an interrupted training: wholly or not at all.
    pub fn keep_checkpoint(
        &self,
        name: &str,
        checkpoint: &Checkpoint,
    ) -> Result<(), ArtefactError> {
        write_whole(&self.checkpoint_path(name), &checkpoint.to_bytes())
    }
}

/// Whether a panic's message is one of the many ways to say that memory ran out.
fn speaks_of_memory(message: &str) -> bool {
    let message = message.to_lowercase();
    [
        "out of memory",
        "outofmemory",
        "out_of_memory",
        "memory allocation",
        "not enough memory",
    ]
    .iter()
    .any(|phrase| message.contains(phrase))
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

/// Removes a file that may not be there.
pub fn remove(path: &Path) -> Result<(), ArtefactError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(ArtefactError::Io {
            path: path.into(),
            source,
        }),
        _ => Ok(()),
    }
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
