//! What is remembered of one trial.

use serde::{Deserialize, Serialize};

use crate::model::{Cost, Genome};

/// One genome tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Counted from 0 within the study, never used twice.
    pub number: u64,
    /// The trial whose weights it began with.
    pub parent: Option<u64>,
    pub genome: Genome,
    pub cost: Cost,
    /// How many times it was begun: the fence against a late write of a dead worker.
    pub attempt: u32,
    pub state: TrialState,
    /// Validation results after each epoch.
    pub curve: Vec<CurvePoint>,
    /// Seconds of training, of the attempt that finished.
    pub seconds: f64,
    /// Trained values that came from the parent.
    pub n_inherited: u64,
}

/// How far a trial is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TrialState {
    /// A worker has it, or had it when it died.
    Running,
    Complete {
        scores: Scores,
    },
    Failed {
        reason: String,
    },
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
    /// The scores of a finished trial.
    pub fn scores(&self) -> Option<&Scores> {
        match &self.state {
            TrialState::Complete { scores } => Some(scores),
            TrialState::Running | TrialState::Failed { .. } => None,
        }
    }
}
