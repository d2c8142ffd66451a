//! What a study is and how it is to go on: read by workers between trials, changed by hand at any time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Trial;
use crate::search::study::Budget;
use crate::search::trial::{Failure, FailureKind};

/// A study beside its trials.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// Unique in its database.
    pub name: String,
    /// Of the run: recipe, data and kind of device.
    pub fingerprint: String,
    /// The recipe as JSON; empty in the file of a run, which has it beside the study.
    pub recipe: String,
    pub status: Status,
    pub settings: StudySettings,
    /// Since its first trial began, by the store's clock; 0 before.
    pub seconds: f64,
}

/// Whether workers go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Running,
    /// What runs is finished, nothing is begun; workers wait.
    Paused,
    /// What runs is handed back; workers leave.
    Stopped,
}

/// What can be set while workers run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudySettings {
    /// In place of the recipe's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    pub retry: RetryPolicy,
    /// Where weights and checkpoints lie; `None`: in the run's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<String>,
}

/// How often a trial is tried again after a failure of each kind. A kind that is not named ends it at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RetryPolicy {
    pub n_retries: BTreeMap<FailureKind, u32>,
}

/// One change; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StudyEdit {
    pub status: Option<Status>,
    pub settings: Option<StudySettings>,
}

/// A study in a few numbers.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Summary {
    /// Trials in each state, by its name.
    pub n_by_state: BTreeMap<String, u64>,
    /// Failed and infeasible trials by kind of failure.
    pub n_by_failure: BTreeMap<String, u64>,
    /// Seconds of training of all trials.
    pub seconds: f64,
    pub best: Option<Trial>,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        [Self::Running, Self::Paused, Self::Stopped]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

impl RetryPolicy {
    /// Of one process that is its study's only one: what failed has failed.
    pub fn none() -> Self {
        Self {
            n_retries: BTreeMap::new(),
        }
    }

    /// Of workers that come and go: a lost trial runs up to four times, one that was short of memory or panicked
    /// twice, perhaps on another machine.
    pub fn shared() -> Self {
        Self {
            n_retries: BTreeMap::from([
                (FailureKind::Lost, 3),
                (FailureKind::OutOfMemory, 1),
                (FailureKind::Panicked, 1),
            ]),
        }
    }

    /// Whether a trial with those failures behind it may be tried again after one more of that kind.
    pub fn allows(&self, kind: FailureKind, earlier: &[Failure]) -> bool {
        let n_before = earlier
            .iter()
            .filter(|failure| failure.kind == kind)
            .count();
        let most = self.n_retries.get(&kind).copied().unwrap_or(0);
        n_before < most as usize
    }
}

impl StudySettings {
    /// Of one process in its own folder.
    pub fn alone() -> Self {
        Self {
            budget: None,
            retry: RetryPolicy::none(),
            artifacts: None,
        }
    }
}

impl Summary {
    pub(super) fn of<'a>(trials: impl Iterator<Item = &'a Trial>) -> Self {
        let mut summary = Self::default();
        let loss = |trial: &Trial| trial.scores().map(|scores| scores.validation_loss);
        for trial in trials {
            let failure = trial
                .failure()
                .map(|failure| failure.kind.name().to_owned());
            summary.add(trial.state.name().to_owned(), failure, 1, trial.seconds);
            let is_better = match (loss(trial), summary.best.as_ref().and_then(loss)) {
                (Some(new), Some(old)) => new < old,
                (new, None) => new.is_some(),
                (None, _) => false,
            };
            if is_better {
                summary.best = Some(trial.clone());
            }
        }
        summary
    }

    /// Counts that many trials in.
    pub(super) fn add(&mut self, state: String, failure: Option<String>, n: u64, seconds: f64) {
        *self.n_by_state.entry(state).or_default() += n;
        if let Some(failure) = failure {
            *self.n_by_failure.entry(failure).or_default() += n;
        }
        self.seconds += seconds;
    }

    pub fn n_trials(&self) -> u64 {
        self.n_by_state.values().sum()
    }
}
