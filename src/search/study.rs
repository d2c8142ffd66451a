//! The short loop that introduces controller, trainer and store to one another.
//!
//! Any number of worker threads; proposals are made one at a time, each with a generator of its own
//! from the study's seed and the trial's number. With one worker the trials and their scores are the
//! same every time; a study that was killed goes on as if it had not been.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::controllers::{Controller, ControllerError, ControllerSpec, Observation};
use super::space::{SpaceError, SpaceSpec};
use super::store::{NewTrial, StoreError, StudyStore};
use super::trainer::TrainSpec;
use super::trial::{Trial, TrialState};
use super::worker::{ArtefactError, Workshop, seed_for};
use crate::model::{Cost, Genome, Ports};

/// Proposals in a row that may be too costly or known before the space counts as exhausted.
const MAX_PROPOSALS: usize = 5_000;

/// A search, as a recipe writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudySpec {
    pub controller: ControllerSpec,
    pub budget: Budget,
    /// How each trial is trained.
    pub train: TrainSpec,
}

/// When a search ends: at whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Trials begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_trials: Option<u64>,
    /// Wall-clock minutes after which no trial is begun, earlier sittings included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
}

/// Why a search could not go on.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    #[error(transparent)]
    Space(#[from] SpaceError),
    #[error(transparent)]
    Controller(#[from] ControllerError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Artefact(#[from] ArtefactError),
    #[error("budget: found neither n_trials nor minutes, expected at least one")]
    NoBudget,
    #[error(
        "{MAX_PROPOSALS} proposals in a row were beyond the limits or known: the space is exhausted or its limits \
         admit next to nothing ({n_trials} trials so far)"
    )]
    Exhausted { n_trials: usize },
    #[error("all of the first {n_failed} trials failed, the last: {reason}")]
    AllFailed { n_failed: usize, reason: String },
}

/// Failed trials without a single complete one after which a search gives up.
const MAX_FAILURES: usize = 12;

impl Budget {
    pub fn validate(&self) -> Result<(), StudyError> {
        if self.n_trials.is_none() && self.minutes.is_none() {
            return Err(StudyError::NoBudget);
        }
        Ok(())
    }
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    BudgetSpent,
    Stopped,
    Exhausted,
}

/// What the workers share.
struct Desk {
    controller: Box<dyn Controller>,
    known: HashSet<Genome>,
    next_number: u64,
    orphans: Vec<Trial>,
    ending: Option<Ending>,
    n_complete: usize,
    n_failed: usize,
    fault: Option<StudyError>,
}

/// Searches until the budget is spent or the watcher says stop; trials of an earlier sitting count.
pub fn search(
    spec: &StudySpec,
    space: &SpaceSpec,
    workshop: &Workshop,
    store: &dyn StudyStore,
    n_workers: usize,
) -> Result<Ending, StudyError> {
    space.validate()?;
    spec.controller.validate()?;
    spec.budget.validate()?;
    let mut desk = Desk {
        controller: spec.controller.build(space),
        known: HashSet::new(),
        next_number: 0,
        orphans: Vec::new(),
        ending: None,
        n_complete: 0,
        n_failed: 0,
        fault: None,
    };
    let mut spent = Duration::ZERO;
    for trial in store.trials()? {
        desk.next_number = desk.next_number.max(trial.number + 1);
        desk.known.insert(trial.genome.clone());
        spent += Duration::from_secs_f64(trial.seconds.max(0.0) / n_workers as f64);
        match trial.state {
            TrialState::Running => desk.orphans.push(trial),
            TrialState::Complete { .. } | TrialState::Failed { .. } => desk.observe(&trial),
        }
    }
    desk.orphans.reverse(); // taken from the end, the lowest number first
    let start = Instant::now();
    let desk = Mutex::new(desk);
    let over = |desk: &Desk| {
        let elapsed = (spent + start.elapsed()).as_secs_f64();
        let no_time = spec
            .budget
            .minutes
            .is_some_and(|minutes| elapsed >= 60.0 * minutes);
        let no_trials = spec
            .budget
            .n_trials
            .is_some_and(|n_trials| desk.next_number >= n_trials && desk.orphans.is_empty());
        no_time || no_trials
    };
    let work = || {
        loop {
            let trial = {
                let mut desk = lock(&desk);
                if desk.ending.is_some() || desk.fault.is_some() {
                    return;
                }
                if workshop.watch.stopped() {
                    desk.ending = Some(Ending::Stopped);
                    return;
                }
                if over(&desk) {
                    desk.ending = Some(Ending::BudgetSpent);
                    return;
                }
                match desk.next_trial(space, &workshop.corpus.ports(), workshop.seed, store) {
                    Ok(trial) => trial,
                    Err(StudyError::Exhausted { n_trials }) if n_trials > 0 => {
                        desk.ending = Some(Ending::Exhausted);
                        return;
                    }
                    Err(error) => {
                        desk.fault = Some(error);
                        return;
                    }
                }
            };
            let result = workshop.run_trial(&trial, &spec.train);
            let mut desk = lock(&desk);
            match desk.record(trial, result, store) {
                Ok(Some(trial)) => workshop.watch.trial(&trial),
                Ok(None) => desk.ending = Some(Ending::Stopped),
                Err(error) => desk.fault = Some(error),
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
    match desk.fault {
        Some(fault) => Err(fault),
        None => Ok(desk.ending.unwrap_or(Ending::BudgetSpent)),
    }
}

fn lock<'a>(desk: &'a Mutex<Desk>) -> MutexGuard<'a, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    fn observe(&mut self, trial: &Trial) {
        let loss = trial.scores().map(|scores| scores.validation_loss);
        match loss {
            Some(_) => self.n_complete += 1,
            None => self.n_failed += 1,
        }
        self.controller.observe(&Observation {
            number: trial.number,
            genome: trial.genome.clone(),
            loss,
        });
    }

    /// An orphan of an earlier sitting, else a new proposal: written down before it runs.
    fn next_trial(
        &mut self,
        space: &SpaceSpec,
        ports: &Ports,
        seed: u64,
        store: &dyn StudyStore,
    ) -> Result<Trial, StudyError> {
        if let Some(orphan) = self.orphans.pop() {
            return Ok(store.take_over(orphan.number)?);
        }
        let number = self.next_number;
        let mut rng = ChaCha8Rng::seed_from_u64(seed_for(seed, &format!("proposal {number}")));
        let proposal = (0..MAX_PROPOSALS)
            .map(|_| self.controller.propose(&mut rng))
            .find(|proposal| {
                space.admits(&proposal.genome, ports) && !self.known.contains(&proposal.genome)
            })
            .ok_or(StudyError::Exhausted {
                n_trials: self.n_complete,
            })?;
        let trial = store.begin(&NewTrial {
            number,
            parent: proposal.parent,
            cost: Cost::of(&proposal.genome, ports),
            genome: proposal.genome,
        })?;
        self.known.insert(trial.genome.clone());
        self.next_number += 1;
        Ok(trial)
    }

    /// Writes a result down and tells the controller; `None` where the trial was stopped.
    fn record(
        &mut self,
        mut trial: Trial,
        result: Result<Option<super::store::TrialEnd>, ArtefactError>,
        store: &dyn StudyStore,
    ) -> Result<Option<Trial>, StudyError> {
        let Some(end) = result? else {
            return Ok(None);
        };
        store.finish(&end)?;
        trial.state = end.state;
        trial.curve = end.curve;
        trial.seconds = end.seconds;
        trial.n_inherited = end.n_inherited;
        self.observe(&trial);
        if let TrialState::Failed { reason } = &trial.state
            && self.n_complete == 0
            && self.n_failed >= MAX_FAILURES
        {
            return Err(StudyError::AllFailed {
                n_failed: self.n_failed,
                reason: reason.clone(),
            });
        }
        Ok(Some(trial))
    }
}

/// Complete trials, best validation loss first; ties to fewer parameters, then to the earlier.
pub fn ranking(trials: &[Trial]) -> Vec<&Trial> {
    let mut complete: Vec<(&Trial, f64)> = trials
        .iter()
        .filter_map(|trial| Some((trial, trial.scores()?.validation_loss)))
        .collect();
    complete.sort_by(|(a, loss_a), (b, loss_b)| {
        loss_a
            .total_cmp(loss_b)
            .then(a.cost.n_params.cmp(&b.cost.n_params))
            .then(a.number.cmp(&b.number))
    });
    complete.into_iter().map(|(trial, _)| trial).collect()
}

/// Which trials are worth a full training: the best of each line of descent first, then the second best of
/// each, and so on, by validation loss within a round.
///
/// A child begins with its parent's weights, so the trials of a long line have been trained for longer
/// than their own epochs; between lines the losses of short trainings do not compare. Without
/// inheritance every trial is a line of its own, and this is [`ranking`].
pub fn finalists(trials: &[Trial], n: usize) -> Vec<&Trial> {
    let parents: HashMap<u64, Option<u64>> = trials
        .iter()
        .map(|trial| (trial.number, trial.parent))
        .collect();
    let root = |mut number: u64| {
        // A parent's number is always the smaller one, so this ends.
        while let Some(Some(parent)) = parents
            .get(&number)
            .filter(|p| p.is_some_and(|p| p < number))
        {
            number = *parent;
        }
        number
    };
    let mut n_of_line: HashMap<u64, usize> = HashMap::new();
    let mut rounds: Vec<(usize, &Trial)> = ranking(trials)
        .into_iter()
        .map(|trial| {
            let round = n_of_line.entry(root(trial.number)).or_default();
            *round += 1;
            (*round, trial)
        })
        .collect();
    rounds.sort_by_key(|(round, _)| *round); // stable: within a round the ranking stays
    rounds.into_iter().take(n).map(|(_, trial)| trial).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Head;
    use crate::model::blocks::conv1d::Conv1dSpec;
    use crate::search::trial::Scores;

    fn trial(number: u64, parent: Option<u64>, loss: Option<f64>) -> Trial {
        let genome = Genome {
            stem: Conv1dSpec {
                n_channels: 8 + number as usize,
                kernel_frames: 3,
                stride_frames: 1,
            },
            blocks: vec![],
            head: Head::Mean { window_frames: 98 },
        };
        let ports = Ports {
            n_mels: 40,
            n_classes: 12,
            frames_per_1000_s: 100_000,
        };
        let state = match loss {
            Some(validation_loss) => TrialState::Complete {
                scores: Scores {
                    validation_loss,
                    validation_accuracy: 0.9,
                },
            },
            None => TrialState::Failed {
                reason: "for the test".into(),
            },
        };
        Trial {
            number,
            parent,
            cost: Cost::of(&genome, &ports),
            genome,
            attempt: 1,
            state,
            curve: vec![],
            seconds: 1.0,
            n_inherited: 0,
        }
    }

    fn numbers(trials: Vec<&Trial>) -> Vec<u64> {
        trials.into_iter().map(|trial| trial.number).collect()
    }

    #[test]
    fn a_ranking_is_by_loss_then_size_and_leaves_failures_out() {
        let trials = [
            trial(0, None, Some(0.5)),
            trial(1, None, None),
            trial(2, None, Some(0.3)),
            trial(3, None, Some(0.5)),
        ];
        assert_eq!(numbers(ranking(&trials)), [2, 0, 3]);
    }

    #[test]
    fn every_line_of_descent_sends_its_best_before_any_sends_a_second() {
        let trials = [
            trial(0, None, Some(0.50)),
            trial(1, None, Some(0.45)),
            trial(2, Some(1), Some(0.30)),
            trial(3, Some(2), Some(0.20)),
            trial(4, Some(0), Some(0.40)),
        ];
        assert_eq!(numbers(finalists(&trials, 2)), [3, 4]);
        assert_eq!(numbers(finalists(&trials, 9)), [3, 4, 2, 0, 1]);
    }
}
