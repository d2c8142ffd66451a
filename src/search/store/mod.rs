//! What a study remembers, behind one trait: in memory, in an SQLite file in the run's folder, or in a PostgreSQL
//! database that any number of machines share.
//!
//! Every write of a worker names the attempt that it belongs to; a write of an attempt that has been taken over is
//! refused. Whoever has a trial on lease renews it; time is the store's own, no worker's clock is read. Resuming is
//! reading: there is no other state.

mod memory;
mod open;
#[cfg(feature = "postgres")]
mod postgres;
mod row;
mod settings;
mod sqlite;

#[cfg(test)]
mod contract;

#[cfg(test)]
pub(super) use contract::new_trial;

pub use memory::MemoryStore;
pub use open::{Place, StudyAddress, studies_in};
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
pub use settings::{RetryPolicy, Status, Study, StudyEdit, StudySettings, Summary};
pub use sqlite::SqliteStore;

use std::path::PathBuf;
use std::time::Duration;

use super::hyper::HyperPoint;
use super::trial::{Artifacts, CurvePoint, Failure, FailureKind, Learned, Trial, TrialState};
use crate::model::{Cost, Genome};

/// Trials of one study. Safe to share between threads.
pub trait StudyStore: Send + Sync {
    /// What the study is and how it is to go on.
    fn study(&self) -> Result<Study, StoreError>;

    /// Changes how it is to go on, while workers run.
    fn edit(&self, edit: &StudyEdit) -> Result<(), StoreError>;

    /// All trials by number.
    fn trials(&self) -> Result<Vec<Trial>, StoreError> {
        Ok(self.changed(0)?.trials)
    }

    /// Trials written since that mark, by number; from mark 0 all. A trial may come again unchanged, none is left
    /// out.
    fn changed(&self, since: u64) -> Result<Changes, StoreError>;

    /// One trial.
    fn trial(&self, number: u64) -> Result<Trial, StoreError>;

    /// Counts and the best, without reading every trial.
    fn summary(&self) -> Result<Summary, StoreError>;

    /// Trials with the lowest validation losses, ties to the earlier.
    fn best(&self, n: usize) -> Result<Vec<Trial>, StoreError>;

    /// Who has which running trial.
    fn leases(&self) -> Result<Vec<Lease>, StoreError>;

    /// Waits until nobody else proposes for this study; until what it returns is dropped nobody will. It saves work
    /// and is no guard: two that propose the same number are told apart by [`begin`](Self::begin).
    fn suggesting(&self) -> Result<Box<dyn Suggesting + '_>, StoreError>;

    /// Writes a new trial down: running at attempt 1 for that holder, or queued at attempt 0 for whoever comes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`] where the number or the key is there already.
    fn begin(&self, new: &NewTrial, holder: Option<&Holder>) -> Result<Trial, StoreError>;

    /// Writes trials of another study down as they are, each with its key, all or none; a running one is queued.
    fn import(&self, trials: &[(String, Trial)]) -> Result<(), StoreError>;

    /// A trial for a free worker, its attempt counted up: one that it has on lease and is not busy with (what a lost
    /// answer left behind), the lowest queued one, or one whose lease ran out. The study's policy says how often a trial may
    /// be lost before it has failed.
    fn claim(&self, holder: &Holder, busy: &[u64]) -> Result<Option<Trial>, StoreError>;

    /// Takes over a running trial that is not on lease, since its one process is gone: its attempt counts up, so that
    /// a late write of the old one is refused.
    fn take_over(&self, number: u64, holder: &Holder) -> Result<Trial, StoreError>;

    /// Sets a paused trial running again, its attempt counted up.
    fn resume(&self, number: u64, holder: &Holder) -> Result<Trial, StoreError>;

    /// Renews a lease, also one that ran out and was not taken over, and writes down how far the trial is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] where the trial is not running at that attempt.
    fn heartbeat(&self, beat: &Beat) -> Result<(), StoreError>;

    /// Gives a running trial back unfinished: it is queued, and goes on where `beat` says.
    fn hand_back(&self, back: &HandBack) -> Result<(), StoreError>;

    /// Ends or pauses a running trial.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] where the trial is not running at that attempt.
    fn finish(&self, end: &TrialEnd) -> Result<(), StoreError>;

    /// By hand, whoever has the trial: stops it, or queues it anew. Its attempt counts up, so that its worker is
    /// fenced off.
    fn force(&self, number: u64, to: Force) -> Result<Trial, StoreError>;
}

/// Nobody else proposes while this is held.
pub trait Suggesting {}

/// Who has a trial, and for how long without a sign of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Unique among all workers.
    pub worker: String,
    /// `None`: for as long as the process lives; nobody takes the trial over before it is said so by hand.
    pub lease: Option<Duration>,
}

/// Trials changed since a mark, and the mark to ask from next.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub trials: Vec<Trial>,
    pub mark: u64,
}

/// Who has a running trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Lease {
    pub number: u64,
    pub worker: String,
    /// By the store's clock.
    pub seconds_since_beat: f64,
    /// Below 0 where it ran out; `None` where it never does.
    pub seconds_left: Option<f64>,
}

/// A sign of life.
#[derive(Clone, Debug)]
pub struct Beat {
    pub number: u64,
    pub attempt: u32,
    pub lease: Option<Duration>,
    /// What is new since the last one.
    pub progress: Option<Progress>,
}

/// How far a running trial is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    pub curve: Vec<CurvePoint>,
    /// Where it can be taken up again.
    pub artifacts: Artifacts,
}

/// A trial given back unfinished.
#[derive(Clone, Debug)]
pub struct HandBack {
    pub number: u64,
    pub attempt: u32,
    pub progress: Progress,
    /// Seconds of training so far, of all attempts.
    pub seconds: f64,
    /// Why, where it failed and is to be tried again.
    pub failure: Option<Failure>,
}

/// What is done to a trial by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// An open or paused trial ends.
    Stop,
    /// A trial that failed, was stopped or is running is queued anew.
    Queue,
}

/// A trial before it runs.
#[derive(Clone, Debug)]
pub struct NewTrial {
    pub number: u64,
    /// What must not be tried twice: the genome's hash, or whatever tells repeats apart where they are wanted.
    pub key: String,
    pub parent: Option<u64>,
    pub genome: Genome,
    pub hyper: HyperPoint,
    pub cost: Cost,
    pub donors: Vec<u64>,
    pub teachers: Vec<u64>,
    pub batch_size: usize,
    pub learned: Vec<Learned>,
}

/// How a trial ended.
#[derive(Clone, Debug)]
pub struct TrialEnd {
    pub number: u64,
    pub attempt: u32,
    pub state: TrialState,
    pub curve: Vec<CurvePoint>,
    pub seconds: f64,
    pub n_inherited: u64,
    pub batch_size: usize,
    pub artifacts: Artifacts,
}

/// Why a store refused.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("trial {number} or what it tries ({key}) is in the study already")]
    Taken { number: u64, key: String },
    #[error("trial {number} is not running at attempt {attempt}: a late write is refused")]
    Fenced { number: u64, attempt: u32 },
    #[error("trial {number} is {found}, expected {expected}")]
    State {
        number: u64,
        found: &'static str,
        expected: &'static str,
    },
    #[error("{place}: found no trial {number}")]
    NoTrial { place: String, number: u64 },
    #[error("{}: {source}", path.display())]
    Sqlite {
        path: PathBuf,
        source: rusqlite::Error,
    },
    /// It may be back soon: whoever asked tries again.
    #[error("{place}: the database cannot be reached: {reason}")]
    Unavailable { place: String, reason: String },
    #[error("{place}: {reason}")]
    Postgres { place: String, reason: String },
    #[error("{}: {what} is damaged: {reason}", path.display())]
    Damaged {
        path: PathBuf,
        what: String,
        reason: String,
    },
    #[error("{}: found nothing there, expected the folder of a run or the SQLite file of a study", path.display())]
    NoFile { path: PathBuf },
    #[error("{}: found a study of schema {found}, this version reads {expected}", path.display())]
    Schema {
        path: PathBuf,
        found: u32,
        expected: u32,
    },
    #[error("{}: found the study of run {found}, expected that of {expected}", path.display())]
    OtherStudy {
        path: PathBuf,
        found: String,
        expected: String,
    },
    #[error("{place}: found no study `{name}`, expected one of: {names}")]
    NoStudy {
        place: String,
        name: String,
        names: String,
    },
    #[error("{place}: there is a study `{name}` already")]
    StudyExists { place: String, name: String },
    #[error("study address: found {found}, expected {expected}")]
    Address { found: String, expected: String },
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl StoreError {
    /// Whether asking again later may help.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

impl NewTrial {
    /// The row of its first attempt, or of one that waits for it.
    fn row(&self, is_running: bool) -> Trial {
        Trial {
            number: self.number,
            parent: self.parent,
            genome: self.genome.clone(),
            hyper: self.hyper.clone(),
            cost: self.cost,
            donors: self.donors.clone(),
            teachers: self.teachers.clone(),
            attempt: u32::from(is_running),
            state: match is_running {
                true => TrialState::Running,
                false => TrialState::Queued,
            },
            curve: Vec::new(),
            seconds: 0.0,
            n_inherited: 0,
            batch_size: self.batch_size,
            learned: self.learned.clone(),
            earlier: Vec::new(),
            artifacts: Artifacts::default(),
        }
    }
}

// What every store does to a row in the same way. Each leaves the attempt to be compared to its caller.
impl Trial {
    /// A worker begins with it.
    fn set_running(&mut self) {
        self.attempt += 1;
        self.state = TrialState::Running;
    }

    /// Its worker fell silent. Whether it is to run again; else it has failed.
    fn set_lost(&mut self, worker: &str, policy: &RetryPolicy) -> bool {
        let failure = Failure {
            kind: FailureKind::Lost,
            reason: format!("worker {worker} fell silent"),
            trace: None,
        };
        let may_go_on = policy.allows(FailureKind::Lost, &self.earlier);
        if may_go_on {
            self.earlier.push(failure);
            self.set_running();
        } else {
            self.attempt += 1; // the silent one, should it come back, is fenced off
            self.state = TrialState::Failed { failure };
        }
        may_go_on
    }

    /// As it goes into another study.
    fn imported(&self) -> Trial {
        let mut trial = self.clone();
        if trial.state == TrialState::Running {
            trial.state = TrialState::Queued;
        }
        trial
    }

    fn set_progress(&mut self, progress: &Progress) {
        self.curve = progress.curve.clone();
        self.artifacts = progress.artifacts.clone();
    }

    fn set_back(&mut self, back: &HandBack) {
        self.state = TrialState::Queued;
        self.set_progress(&back.progress);
        self.seconds = back.seconds;
        self.earlier.extend(back.failure.clone());
    }

    fn set_end(&mut self, end: &TrialEnd) {
        self.state = end.state.clone();
        self.curve = end.curve.clone();
        self.seconds = end.seconds;
        self.n_inherited = end.n_inherited;
        self.batch_size = end.batch_size;
        self.artifacts = end.artifacts.clone();
    }

    fn set_forced(&mut self, to: Force) -> Result<(), StoreError> {
        let refused = |expected| {
            Err(StoreError::State {
                number: self.number,
                found: self.state.name(),
                expected,
            })
        };
        match (to, &self.state) {
            (Force::Stop, TrialState::Queued | TrialState::Running | TrialState::Paused { .. }) => {
                self.state = TrialState::Stopped
            }
            (Force::Stop, _) => return refused("queued, running or paused"),
            (
                Force::Queue,
                TrialState::Failed { .. }
                | TrialState::Infeasible { .. }
                | TrialState::Stopped
                | TrialState::Running,
            ) => {
                if let TrialState::Failed { failure } = &self.state {
                    self.earlier.push(failure.clone());
                }
                self.state = TrialState::Queued;
            }
            (Force::Queue, _) => return refused("failed, infeasible, stopped or running"),
        }
        self.attempt += 1;
        Ok(())
    }
}
