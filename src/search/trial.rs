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
    /// What its proposer had learned since the proposal before, in that order. With the trials before it this is all
    /// that the proposal followed from besides its number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub learned: Vec<Learned>,
    /// Failures of earlier attempts after which it was tried again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Failure>,
    /// What it left in the depot, where its study has one.
    #[serde(default, skip_serializing_if = "Artifacts::is_empty")]
    pub artifacts: Artifacts,
}

/// The loss that a controller was told of a trial; `None` of one that came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    pub number: u64,
    pub loss: Option<f64>,
}

/// Names of bytes in the depot: the SHA-256 of what they name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifacts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// Of a training that may go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}

impl Artifacts {
    pub fn is_empty(&self) -> bool {
        self.weights.is_none() && self.checkpoint.is_none()
    }
}

/// How far a trial is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TrialState {
    /// It waits for a worker: suggested by hand, handed back, or to be tried again.
    Queued,
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
    /// It cannot be trained at all: beyond the limits of the space, or not to be built.
    Infeasible {
        failure: Failure,
    },
    /// Ended by hand.
    Stopped,
}

impl TrialState {
    /// What tables have columns for: the kind of failure, the validation loss.
    pub(super) fn columns(&self) -> (Option<&'static str>, Option<f64>) {
        match self {
            Self::Queued | Self::Running | Self::Stopped => (None, None),
            Self::Paused { scores } | Self::GivenUp { scores } | Self::Complete { scores } => {
                (None, Some(scores.validation_loss))
            }
            Self::Failed { failure } | Self::Infeasible { failure } => {
                (Some(failure.kind.name()), None)
            }
        }
    }

    /// What [`name`](Self::name) may say.
    pub const NAMES: [&str; 8] = [
        "queued",
        "running",
        "paused",
        "given-up",
        "complete",
        "failed",
        "infeasible",
        "stopped",
    ];

    /// As it is written in a store: the tag of its text, one of [`NAMES`](Self::NAMES).
    pub fn name(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused { .. } => "paused",
            Self::GivenUp { .. } => "given-up",
            Self::Complete { .. } => "complete",
            Self::Failed { .. } => "failed",
            Self::Infeasible { .. } => "infeasible",
            Self::Stopped => "stopped",
        }
    }
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
    /// Its workers fell silent, too many of them.
    Lost,
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
            Self::Lost => "lost",
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
            TrialState::Queued
            | TrialState::Running
            | TrialState::Failed { .. }
            | TrialState::Infeasible { .. }
            | TrialState::Stopped => None,
        }
    }

    pub fn failure(&self) -> Option<&Failure> {
        match &self.state {
            TrialState::Failed { failure } | TrialState::Infeasible { failure } => Some(failure),
            _ => None,
        }
    }

    /// Whether a worker has it or is still to have it.
    pub fn is_open(&self) -> bool {
        matches!(self.state, TrialState::Queued | TrialState::Running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_its_name_among_the_names() {
        let scores = Scores {
            validation_loss: 0.5,
            validation_accuracy: 0.5,
        };
        let failure = || Failure {
            kind: FailureKind::Lost,
            reason: String::new(),
            trace: None,
        };
        let states = [
            TrialState::Queued,
            TrialState::Running,
            TrialState::Paused { scores },
            TrialState::GivenUp { scores },
            TrialState::Complete { scores },
            TrialState::Failed { failure: failure() },
            TrialState::Infeasible { failure: failure() },
            TrialState::Stopped,
        ];
        assert_eq!(states.map(|state| state.name()), TrialState::NAMES);
    }
}
