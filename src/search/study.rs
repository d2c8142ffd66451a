//! The loop that introduces space, controller, scheduler, trainer and store to one another.
//!
//! Any number of worker threads; proposals are made one at a time, each with a generator of its own
//! from the study's seed and the trial's number. With one worker the trials and their scores are the
//! same every time; a study that was killed goes on as if it had not been.

mod desk;
mod quota;
mod ranking;
mod spec;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::controllers::ControllerError;
use super::fidelity::{self, FidelityError};
use super::hyper::HyperError;
use super::space::{SpaceError, SpaceSpec};
use super::store::{StoreError, StudyStore};
use super::train_spec::TrainSpecError;
use super::trainer::Verdict;
use super::trial::CurvePoint;
use super::worker::{ArtefactError, TrialJob, Workshop};
use crate::model::GenomeError;

use desk::Desk;
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

/// Searches until the budget is spent or the watcher says stop; trials of an earlier sitting count.
pub fn search(
    spec: &StudySpec,
    space: &SpaceSpec,
    workshop: &Workshop,
    store: &dyn StudyStore,
    n_workers: usize,
) -> Result<Ending, StudyError> {
    let trials = store.trials()?;
    let seconds: f64 = trials.iter().map(|trial| trial.seconds.max(0.0)).sum();
    let spent = Duration::from_secs_f64(seconds / n_workers.max(1) as f64);
    let desk = Desk::new(spec, space, workshop, trials)?;
    let start = Instant::now();
    let desk = Mutex::new(desk);
    let minutes = spec.budget.minutes;
    let has_time = || {
        let elapsed = (spent + start.elapsed()).as_secs_f64();
        minutes.is_none_or(|minutes| elapsed < 60.0 * minutes)
    };
    let work = || {
        loop {
            let task = {
                let mut desk = lock(&desk);
                if desk.is_over() {
                    return;
                }
                let ending = if workshop.watch.stopped() {
                    Some(Ending::Stopped)
                } else if !has_time() {
                    Some(Ending::BudgetSpent)
                } else {
                    None
                };
                if let Some(ending) = ending {
                    desk.end(ending);
                    return;
                }
                match desk.next_task(store) {
                    Ok(Some(task)) => task,
                    // Nothing to begin, but a running trial may yet be paused and promoted.
                    Ok(None) if desk.n_running() > 0 => {
                        drop(desk);
                        std::thread::sleep(Duration::from_millis(20));
                        continue;
                    }
                    Ok(None) => {
                        desk.end(Ending::BudgetSpent);
                        return;
                    }
                    Err(StudyError::Exhausted { n_trials }) if n_trials > 0 => {
                        desk.end(Ending::Exhausted);
                        return;
                    }
                    Err(error) => {
                        desk.fail(error);
                        return;
                    }
                }
            };
            let number = task.trial.number;
            let verdict = |curve: &[CurvePoint]| {
                let losses: Vec<f64> = curve.iter().map(|point| point.validation_loss).collect();
                match lock(&desk).observe_curve(number, &losses) {
                    fidelity::Verdict::GoOn | fidelity::Verdict::Finished => Verdict::GoOn,
                    fidelity::Verdict::Pause => Verdict::Pause,
                    fidelity::Verdict::Stop => Verdict::GiveUp,
                }
            };
            let result = workshop.run_trial(&TrialJob {
                trial: &task.trial,
                spec: &task.train,
                sharing: &spec.sharing,
                donors: &task.donors,
                teachers: &task.teachers,
                distil: spec.teaching.as_ref().map(|teaching| &teaching.distil),
                verdict: &verdict,
                max_duration: spec
                    .budget
                    .trial_minutes
                    .map(|minutes| Duration::from_secs_f64(60.0 * minutes)),
            });
            let mut desk = lock(&desk);
            match desk.record(task.trial, result, store) {
                Ok(Some(trial)) => {
                    workshop.watch.trial(&trial);
                    if let Err(error) = desk.keep_quota() {
                        desk.fail(error);
                    }
                }
                Ok(None) => desk.end(Ending::Stopped),
                Err(error) => desk.fail(error),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..n_workers.max(1) {
            scope.spawn(work);
        }
        work();
    });
    let desk = desk.into_inner().unwrap_or_else(PoisonError::into_inner);
    desk.into_ending()
}

fn lock<'a, 'b>(desk: &'a Mutex<Desk<'b>>) -> MutexGuard<'a, Desk<'b>> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}
