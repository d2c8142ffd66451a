//! What is remembered of one trial.

use serde::{Deserialize, Serialize};

use super::hyper::HyperPoint;
use crate::model::{Cost, Genome};

/// One genome tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Counted from 0 within the study, never used twice.
    pub number: u64,
    /// The trial that its genome was made from.
    pub parent: Option<u64>,
    pub genome: Genome,
    /// What the training was told besides the recipe.
    pub hyper: HyperPoint,
    pub cost: Cost,
    /// Trials whose weights it began with, chosen when it was begun.
    pub donors: Vec<u64>,
    /// Trials that teach it, chosen when it was begun.
    pub teachers: Vec<u64>,
    /// How many times it was begun: the fence against a late write of a dead worker.
    pub attempt: u32,
    pub state: TrialState,
    /// Validation results after each epoch.
    pub curve: Vec<CurvePoint>,
    /// Seconds of training, of the attempts that ended.
    pub seconds: f64,
    /// Trained values that came from the donors.
    pub n_inherited: u64,
    /// Clips in a batch: the recipe's, or what was left of it when memory was short.
    pub batch_size: usize,
}

/// How far a trial is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TrialState {
    /// A worker has it, or had it when it died.
    Running,
    /// It waits at a rung of successive halving, and may go on.
    Paused {
        scores: Scores,
    },
    /// It was ended early: it could no longer win.
    GivenUp {
        scores: Scores,
    },
    Complete {
        scores: Scores,
    },
    Failed {
        failure: Failure,
    },
}

/// Why a trial came to nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    pub kind: FailureKind,
    pub reason: String,
    /// Where the code was, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// The kinds of failure. Each is told to the controller as a trial without a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The loss became infinite or not a number.
    NonFinite,
    /// Memory did not suffice, not even for the smallest batch tried.
    OutOfMemory,
    /// Beyond the limits of the space, or the time of a trial.
    OverBudget,
    /// The code gave up.
    Panicked,
    /// The genome cannot be built.
    Invalid,
}

impl FailureKind {
    /// As it is written in a store.
    pub fn name(self) -> &'static str {
        match self {
            Self::NonFinite => "non-finite",
            Self::OutOfMemory => "out-of-memory",
            Self::OverBudget => "over-budget",
            Self::Panicked => "panicked",
            Self::Invalid => "invalid",
        }
    }
}

/// How well a network does on the validation split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// Mean cross-entropy in nats, without label smoothing: what a search minimises.
    pub validation_loss: f64,
    /// Share of clips whose likeliest class is right.
    pub validation_accuracy: f64,
}

/// One epoch of a training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurvePoint {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean of the training loss (with label smoothing and augmentation) over the epoch.
    pub train_loss: f64,
    pub validation_loss: f64,
    pub validation_accuracy: f64,
}

impl Trial {
    /// The scores so far of a trial that no worker has and that did not fail.
    pub fn scores(&self) -> Option<&Scores> {
        match &self.state {
            TrialState::Complete { scores }
            | TrialState::Paused { scores }
            | TrialState::GivenUp { scores } => Some(scores),
            TrialState::Running | TrialState::Failed { .. } => None,
        }
    }

    pub fn failure(&self) -> Option<&Failure> {
        match &self.state {
            TrialState::Failed { failure } => Some(failure),
            _ => None,
        }
    }
}
