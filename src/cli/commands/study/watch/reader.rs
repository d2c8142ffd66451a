//! What a dashboard shows of a study, read from its store. A second look reads what changed since the first.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::workers::{Worker, workers};
use crate::search::store::{Status, StoreError, StudyStore};
use crate::search::{Budget, Failure, FailureKind, Trial, TrialState};

/// What the recipe of a study says, as far as it is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intent {
    pub budget: Budget,
    /// Of a whole training.
    pub n_epochs: usize,
    /// Trainings at a time of a run that works alone; `None` of a shared study.
    pub n_workers_alone: Option<usize>,
}

/// A study at one instant.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    pub name: String,
    pub fingerprint: String,
    pub status: Status,
    /// Since the first trial began, by the store's clock.
    pub seconds: f64,
    /// Of training, of all trials.
    pub training_seconds: f64,
    /// `None` where neither study nor recipe is at hand to say it.
    pub budget: Option<Budget>,
    /// Seconds that count against it.
    pub spent_seconds: f64,
    /// Trials begun, which is what a budget counts.
    pub n_begun: u64,
    pub n_by_state: BTreeMap<&'static str, u64>,
    /// Trials with a result, by number.
    pub scored: Vec<Scored>,
    /// By number.
    pub running: Vec<Running>,
    /// By name.
    pub workers: Vec<Worker>,
    /// The most frequent kind first.
    pub failures: Vec<Failures>,
    /// Of a whole training, where the recipe is at hand.
    pub n_epochs: Option<usize>,
}

/// A trial with a result.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scored {
    pub number: u64,
    pub n_params: u64,
    pub macs_per_second: u64,
    pub loss: f64,
    pub accuracy: f64,
    pub genome: Arc<str>,
}

/// A trial that a worker has.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Running {
    pub number: u64,
    pub attempt: u32,
    /// Empty where it changed hands between two questions to the store.
    pub worker: String,
    /// Validation loss after each epoch.
    pub losses: Vec<f64>,
    /// After the last of them.
    pub accuracy: Option<f64>,
    pub genome: Arc<str>,
}

/// Failures of one kind.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failures {
    pub kind: FailureKind,
    /// Trials that ended so.
    pub n_ended: u64,
    /// Times that a trial was tried again after it.
    pub n_retried: u64,
    /// Of the trial with the highest number.
    pub reason: String,
}

/// What trials are compared by, beside their size: both on the validation split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    Loss,
    Accuracy,
}

impl Measure {
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy",
        }
    }

    pub fn other(self) -> Self {
        match self {
            Self::Loss => Self::Accuracy,
            Self::Accuracy => Self::Loss,
        }
    }

    pub fn of(self, trial: &Scored) -> f64 {
        match self {
            Self::Loss => trial.loss,
            Self::Accuracy => trial.accuracy,
        }
    }

    /// Whether `a` is better than `b`.
    pub fn is_better(self, a: f64, b: f64) -> bool {
        match self {
            Self::Loss => a < b,
            Self::Accuracy => a > b,
        }
    }
}

impl Picture {
    /// The trial with the lowest validation loss, which is what a search minimises; ties to the earlier.
    pub fn best(&self) -> Option<&Scored> {
        let finite = self.scored.iter().filter(|it| it.loss.is_finite());
        finite.min_by(|a, b| a.loss.total_cmp(&b.loss))
    }

    /// Trials that no other beats in that measure with as few parameters; the smallest first.
    pub fn front(&self, measure: Measure) -> Vec<&Scored> {
        let comparable = |it: &&Scored| measure.of(it).is_finite();
        let mut by_size: Vec<&Scored> = self.scored.iter().filter(comparable).collect();
        by_size.sort_by(|a, b| {
            let better_first = match measure {
                Measure::Loss => a.loss.total_cmp(&b.loss),
                Measure::Accuracy => b.accuracy.total_cmp(&a.accuracy),
            };
            a.n_params
                .cmp(&b.n_params)
                .then(better_first)
                .then(a.number.cmp(&b.number))
        });
        let mut front: Vec<&Scored> = Vec::new();
        for trial in by_size {
            let is_better = front
                .last()
                .is_none_or(|last| measure.is_better(measure.of(trial), measure.of(last)));
            if is_better {
                front.push(trial);
            }
        }
        front
    }

    /// Trials that were better than all of lower numbers.
    pub fn records(&self, measure: Measure) -> Vec<&Scored> {
        let mut records: Vec<&Scored> = Vec::new();
        for trial in self.scored.iter().filter(|it| measure.of(it).is_finite()) {
            let is_better = records
                .last()
                .is_none_or(|last| measure.is_better(measure.of(trial), measure.of(last)));
            if is_better {
                records.push(trial);
            }
        }
        records
    }
}

/// Reads a study again and again.
pub(super) struct Reader {
    store: Box<dyn StudyStore>,
    intent: Option<Intent>,
    mark: u64,
    trials: BTreeMap<u64, Seen>,
}

/// What is kept of a trial between two looks: of a study of 100,000 not the whole rows.
struct Seen {
    state: &'static str,
    seconds: f64,
    scored: Option<Scored>,
    running: Option<Running>,
    failure: Option<Failure>,
    earlier: Vec<Failure>,
}

impl Seen {
    fn of(trial: Trial) -> Self {
        let genome: Arc<str> = match trial.state {
            TrialState::Failed { .. } | TrialState::Infeasible { .. } => "".into(),
            _ => trial.genome.to_string().into(),
        };
        let scored = trial.scores().map(|scores| Scored {
            number: trial.number,
            n_params: trial.cost.n_params,
            macs_per_second: trial.cost.macs_per_second,
            loss: scores.validation_loss,
            accuracy: scores.validation_accuracy,
            genome: genome.clone(),
        });
        let running = (trial.state == TrialState::Running).then(|| Running {
            number: trial.number,
            attempt: trial.attempt,
            worker: String::new(),
            losses: trial.curve.iter().map(|it| it.validation_loss).collect(),
            accuracy: trial.curve.last().map(|it| it.validation_accuracy),
            genome,
        });
        Self {
            state: trial.state.name(),
            seconds: trial.seconds,
            scored,
            running,
            failure: trial.failure().cloned(),
            earlier: trial.earlier,
        }
    }
}

impl Reader {
    pub fn new(store: Box<dyn StudyStore>, intent: Option<Intent>) -> Self {
        Self {
            store,
            intent,
            mark: 0,
            trials: BTreeMap::new(),
        }
    }

    /// The study now.
    ///
    /// # Errors
    ///
    /// A store that cannot be reached, which may be tried again, or a study that is gone.
    pub fn look(&mut self) -> Result<Picture, StoreError> {
        let changes = self.store.changed(self.mark)?;
        let leases = self.store.leases()?;
        let study = self.store.study()?;
        self.mark = changes.mark;
        for trial in changes.trials {
            self.trials.insert(trial.number, Seen::of(trial));
        }
        let seen = || self.trials.values();
        let mut n_by_state = BTreeMap::new();
        for trial in seen() {
            *n_by_state.entry(trial.state).or_default() += 1;
        }
        let holders: BTreeMap<u64, &str> = leases
            .iter()
            .map(|lease| (lease.number, lease.worker.as_str()))
            .collect();
        let mut running: Vec<Running> = seen().filter_map(|it| it.running.clone()).collect();
        for trial in &mut running {
            let worker = holders.get(&trial.number).copied().unwrap_or_default();
            trial.worker = worker.to_owned();
        }
        let training_seconds = seen().map(|it| it.seconds).sum();
        let alone = self.intent.and_then(|it| it.n_workers_alone);
        Ok(Picture {
            name: study.name,
            fingerprint: study.fingerprint,
            status: study.status,
            seconds: study.seconds,
            training_seconds,
            budget: study.settings.budget.or(self.intent.map(|it| it.budget)),
            // As its next sitting will count what this one used.
            spent_seconds: alone.map_or(study.seconds, |n| training_seconds / n.max(1) as f64),
            n_begun: self.trials.keys().next_back().map_or(0, |last| last + 1),
            n_by_state,
            scored: seen().filter_map(|it| it.scored.clone()).collect(),
            running,
            workers: workers(&leases),
            failures: self.failures(),
            n_epochs: self.intent.map(|it| it.n_epochs),
        })
    }

    fn failures(&self) -> Vec<Failures> {
        let mut by_kind: BTreeMap<FailureKind, Failures> = BTreeMap::new();
        for trial in self.trials.values() {
            let ended = trial.failure.iter().map(|failure| (failure, 1, 0));
            let retried = trial.earlier.iter().map(|failure| (failure, 0, 1));
            for (failure, n_ended, n_retried) in retried.chain(ended) {
                let failures = by_kind.entry(failure.kind).or_insert_with(|| Failures {
                    kind: failure.kind,
                    n_ended: 0,
                    n_retried: 0,
                    reason: String::new(),
                });
                failures.n_ended += n_ended;
                failures.n_retried += n_retried;
                failures.reason = failure.reason.clone();
            }
        }
        let mut failures: Vec<Failures> = by_kind.into_values().collect();
        failures.sort_by_key(|it| std::cmp::Reverse(it.n_ended + it.n_retried));
        failures
    }
}
