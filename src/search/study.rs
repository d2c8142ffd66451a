//! The loop that introduces space, controller, scheduler, trainer and store to one another.
//!
//! Any number of worker threads in any number of processes; proposals are made one at a time, each with a generator
//! of its own from the study's seed and the trial's number, so that the history is the same whoever asks. With one
//! worker the trials and their scores are the same every time; a study that was killed goes on as if it had not
//! been. Nobody leads: whatever one process knows, another reads in the store.

mod desk;
mod learning;
mod pulse;
mod quota;
mod ranking;
mod spec;
mod trials;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::controllers::ControllerError;
use super::fidelity::{self, FidelityError};
use super::hyper::HyperError;
use super::space::{SpaceError, SpaceSpec};
use super::store::{HandBack, Holder, Progress, Status, StoreError, StudyStore};
use super::train_spec::TrainSpecError;
use super::trainer::Verdict;
use super::trial::{Artifacts, CurvePoint, Failure, Trial, TrialState};
use super::worker::{ArtefactError, Ran, TrialJob, Workshop};
use crate::model::GenomeError;

use desk::{Desk, Task};
use pulse::{Pulse, Watched};
pub use ranking::{finalists, ranking};
pub use spec::{Budget, StudySpec};

/// Why a search could not go on.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    #[error(transparent)]
    Space(#[from] SpaceError),
    #[error(transparent)]
    Controller(#[from] ControllerError),
    #[error(transparent)]
    Hyper(#[from] HyperError),
    #[error(transparent)]
    Fidelity(#[from] FidelityError),
    #[error(transparent)]
    Sharing(#[from] super::sharing::SharingError),
    #[error(transparent)]
    Train(#[from] TrainSpecError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Artefact(#[from] ArtefactError),
    #[error("search.suggestions: number {index}: {source}")]
    Suggestion { index: usize, source: GenomeError },
    #[error("search.teaching.{0}")]
    Teaching(String),
    #[error("budget: found neither n_trials nor minutes, expected at least one")]
    NoBudget,
    #[error("{field}: found {found}, expected {expected}")]
    Setting {
        field: &'static str,
        found: String,
        expected: &'static str,
    },
    #[error(
        "nothing is left to propose: the space is exhausted or its limits admit next to nothing ({n_trials} trials so \
         far)"
    )]
    Exhausted { n_trials: usize },
    #[error("all of the first {n_failed} trials failed, the last: {reason}")]
    AllFailed { n_failed: usize, reason: String },
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    BudgetSpent,
    Stopped,
    Exhausted,
}

/// While there is nothing to do, a worker that shares its study looks again so often.
const IDLE: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(500)];

/// Between attempts to reach a store that is away.
const BACK_OFF: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];

/// How long a worker that was told to stop tries to reach a store that is away: after that its trials are taken over
/// when their leases run out.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Searches until the budget is spent or the watcher says stop; trials of an earlier sitting count. The process is
/// the study's only one: what it left running is its own.
pub fn search(
    spec: &StudySpec,
    space: &SpaceSpec,
    workshop: &Workshop,
    store: &dyn StudyStore,
    n_workers: usize,
) -> Result<Ending, StudyError> {
    let alone = Holder {
        worker: "alone".into(),
        lease: None,
    };
    work(spec, space, workshop, store, n_workers, &alone)
}

/// The same beside other processes, where the holder has a lease: trials are renewed while they run, handed back at
/// a stop, and those of workers that fell silent are taken over. It ends when nothing is left to do, the study is
/// stopped, or the watcher says stop.
pub fn work(
    spec: &StudySpec,
    space: &SpaceSpec,
    workshop: &Workshop,
    store: &dyn StudyStore,
    n_workers: usize,
    holder: &Holder,
) -> Result<Ending, StudyError> {
    let changes = patiently(workshop, || store.changed(0))?;
    let trained = changes.trials.iter().map(|trial| trial.seconds.max(0.0));
    let seconds: f64 = trained.sum();
    let worker = Worker {
        spec,
        workshop,
        store,
        is_shared: holder.lease.is_some(),
        spent: Duration::from_secs_f64(seconds / n_workers.max(1) as f64),
        start: Instant::now(),
        pulse: Pulse::new(store, holder),
        desk: Mutex::new(Desk::new(spec, space, workshop, holder, changes)?),
    };
    std::thread::scope(|scope| {
        scope.spawn(|| worker.pulse.run());
        let others: Vec<_> = (1..n_workers.max(1))
            .map(|_| scope.spawn(|| worker.work()))
            .collect();
        let mut panics = Vec::new();
        panics
            .extend(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| worker.work())).err());
        panics.extend(others.into_iter().filter_map(|other| other.join().err()));
        worker.pulse.stop();
        if let Some(panic) = panics.pop() {
            std::panic::resume_unwind(panic);
        }
    });
    let desk = worker.desk.into_inner();
    desk.unwrap_or_else(PoisonError::into_inner).into_ending()
}

/// What the threads of one process share.
struct Worker<'a> {
    spec: &'a StudySpec,
    workshop: &'a Workshop<'a>,
    store: &'a dyn StudyStore,
    /// Beside other processes.
    is_shared: bool,
    /// By earlier sittings.
    spent: Duration,
    start: Instant,
    pulse: Pulse<'a>,
    desk: Mutex<Desk<'a>>,
}

impl<'a> Worker<'a> {
    fn desk(&self) -> MutexGuard<'_, Desk<'a>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One thread, to the end of the search.
    fn work(&self) {
        let mut idle = IDLE[0];
        loop {
            match self.next() {
                Ok(Step::Run(task, budget)) => {
                    idle = IDLE[0];
                    if let Err(error) = self.run(*task, &budget) {
                        self.desk().fail(error);
                    }
                }
                Ok(Step::Wait) => {
                    std::thread::sleep(idle);
                    if self.is_shared {
                        idle = (2 * idle).min(IDLE[1]);
                    }
                }
                Ok(Step::Leave) => return,
                Err(StudyError::Store(error)) if error.is_passing() => {
                    if self.workshop.watch.stopped() {
                        self.desk().end(Ending::Stopped);
                        return;
                    }
                    std::thread::sleep(IDLE[1]);
                }
                Err(error) => {
                    self.desk().fail(error);
                    return;
                }
            }
        }
    }

    fn next(&self) -> Result<Step, StudyError> {
        let end = |ending| {
            self.desk().end(ending);
            Ok(Step::Leave)
        };
        if self.desk().is_over() {
            return Ok(Step::Leave);
        }
        if self.workshop.watch.stopped() {
            return end(Ending::Stopped);
        }
        let study = self.store.study()?;
        match study.status {
            Status::Running => {}
            Status::Paused => return Ok(Step::Wait),
            Status::Stopped => return end(Ending::Stopped),
        }
        let budget = study.settings.budget.unwrap_or(self.spec.budget);
        let elapsed = match self.is_shared {
            true => study.seconds,
            false => (self.spent + self.start.elapsed()).as_secs_f64(),
        };
        let has_time = budget.minutes.is_none_or(|most| elapsed < 60.0 * most);
        if !has_time && !self.is_shared {
            return end(Ending::BudgetSpent);
        }
        let mut desk = self.desk();
        if desk.is_over() {
            return Ok(Step::Leave);
        }
        // Beside others a worker stays while any trial is open: it may have to take it over.
        let may_come = |desk: &Desk| match self.is_shared {
            true => desk.has_open_trials(),
            false => desk.n_running() > 0,
        };
        match desk.next_task(self.store, &budget, has_time) {
            Ok(Some(task)) => {
                self.pulse.begin(&task.trial);
                Ok(Step::Run(Box::new(task), budget))
            }
            // Nothing to begin, but a running trial may yet be paused and promoted.
            Ok(None) if may_come(&desk) => Ok(Step::Wait),
            Ok(None) => {
                desk.end(Ending::BudgetSpent);
                Ok(Step::Leave)
            }
            Err(StudyError::Exhausted { .. }) if self.is_shared && may_come(&desk) => {
                Ok(Step::Wait)
            }
            Err(StudyError::Exhausted { n_trials }) if n_trials > 0 => {
                desk.end(Ending::Exhausted);
                Ok(Step::Leave)
            }
            Err(error) => Err(error),
        }
    }

    /// Trains a trial and writes down what came of it.
    fn run(&self, task: Task, budget: &Budget) -> Result<(), StudyError> {
        let number = task.trial.number;
        let verdict = |curve: &[CurvePoint]| {
            self.pulse
                .report(number, |progress| progress.curve = curve.to_vec());
            let losses: Vec<f64> = curve.iter().map(|point| point.validation_loss).collect();
            match self.desk().observe_curve(number, &losses) {
                fidelity::Verdict::GoOn | fidelity::Verdict::Finished => Verdict::GoOn,
                fidelity::Verdict::Pause => Verdict::Pause,
                fidelity::Verdict::Stop => Verdict::GiveUp,
            }
        };
        let watched = Watched::new(&self.pulse, self.workshop, number);
        let result = self.workshop.run_trial(&TrialJob {
            trial: &task.trial,
            spec: &task.train,
            sharing: &self.spec.sharing,
            donors: &task.donors,
            teachers: &task.teachers,
            distil: self.spec.teaching.as_ref().map(|teaching| &teaching.distil),
            verdict: &verdict,
            max_duration: budget
                .trial_minutes
                .map(|minutes| Duration::from_secs_f64(60.0 * minutes)),
            watch: &watched,
        });
        let written = self.write_down(&task.trial, result);
        self.pulse.end(number);
        written
    }

    fn write_down(
        &self,
        trial: &Trial,
        result: Result<Ran, ArtefactError>,
    ) -> Result<(), StudyError> {
        let number = trial.number;
        let end = match result {
            Ok(Ran::Ended(end)) => end,
            Ok(Ran::Interrupted { progress, seconds }) => {
                if self.is_shared && !self.pulse.is_lost(number) {
                    self.hand_back(trial, progress, seconds, None)?;
                }
                let mut desk = self.desk();
                desk.release(number)?;
                if self.workshop.watch.stopped() || self.pulse.is_leaving() || !self.is_shared {
                    desk.end(Ending::Stopped);
                }
                return Ok(());
            }
            Err(error) => {
                if self.is_shared {
                    // Another worker may have a disk that is not full.
                    let known = self.pulse.end(number).unwrap_or_else(|| Progress {
                        curve: trial.curve.clone(),
                        artifacts: trial.artifacts.clone(),
                    });
                    self.hand_back(trial, known, trial.seconds, None)?;
                }
                self.desk().release(number)?;
                return Err(error.into());
            }
        };
        if let TrialState::Failed { failure } = &end.state {
            let policy = patiently(self.workshop, || self.store.study())?
                .settings
                .retry;
            if policy.allows(failure.kind, &trial.earlier) {
                let progress = Progress {
                    curve: Vec::new(),
                    artifacts: Artifacts::default(),
                };
                self.hand_back(trial, progress, end.seconds, Some(failure.clone()))?;
                return self.desk().release(number);
            }
        }
        let written = patiently(self.workshop, || self.store.finish(&end));
        match written {
            Ok(()) => {}
            Err(StoreError::Fenced { .. }) => {
                // Written, and the answer was lost; or somebody else has it, and what came of it here is void.
                let found = patiently(self.workshop, || self.store.trial(number))?;
                if found.attempt != end.attempt || found.state != end.state {
                    return self.desk().release(number);
                }
            }
            Err(error) => return Err(error.into()),
        }
        let mut desk = self.desk();
        let trial = desk.record(trial.clone(), end)?;
        self.workshop.watch.trial(&trial);
        match self.workshop.depot {
            Some(_) => Ok(()),
            None => desk.keep_quota(),
        }
    }

    fn hand_back(
        &self,
        trial: &Trial,
        progress: Progress,
        seconds: f64,
        failure: Option<Failure>,
    ) -> Result<(), StudyError> {
        let back = HandBack {
            number: trial.number,
            attempt: trial.attempt,
            progress,
            seconds,
            failure,
        };
        match patiently(self.workshop, || self.store.hand_back(&back)) {
            // Another worker has it, or the lost answer to an earlier attempt was that it is back.
            Ok(()) | Err(StoreError::Fenced { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// What a thread does next.
enum Step {
    Run(Box<Task>, Budget),
    Wait,
    Leave,
}

/// Asks a store until it can be reached.
fn patiently<T>(
    workshop: &Workshop,
    mut ask: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut wait = BACK_OFF[0];
    let mut stopped: Option<Instant> = None;
    loop {
        match ask() {
            Err(error) if error.is_passing() => {
                if workshop.watch.stopped() {
                    let since = stopped.get_or_insert_with(Instant::now);
                    if since.elapsed() > LAST_WORDS {
                        return Err(error);
                    }
                }
                std::thread::sleep(wait);
                wait = (2 * wait).min(BACK_OFF[1]);
            }
            result => return result,
        }
    }
}
