//! A study that lives as long as the process: for tests and for searches that nobody resumes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{NewTrial, StoreError, StudyStore, Trial, TrialEnd, TrialState};

/// Trials in a vector.
#[derive(Default)]
pub struct MemoryStore {
    /// Each trial beside its key.
    trials: Mutex<Vec<(String, Trial)>>,
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, Vec<(String, Trial)>> {
        // Every change is one assignment, so a panic elsewhere leaves the rows whole.
        self.trials.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StudyStore for MemoryStore {
    fn trials(&self) -> Result<Vec<Trial>, StoreError> {
        let trials = self.lock();
        let mut trials: Vec<Trial> = trials.iter().map(|(_, trial)| trial.clone()).collect();
        trials.sort_by_key(|trial| trial.number);
        Ok(trials)
    }

    fn begin(&self, new: &NewTrial) -> Result<Trial, StoreError> {
        let mut trials = self.lock();
        let is_same =
            |(key, trial): &(String, Trial)| trial.number == new.number || *key == new.key;
        if trials.iter().any(is_same) {
            return Err(StoreError::Taken {
                number: new.number,
                key: new.key.clone(),
            });
        }
        let trial = new.running();
        trials.push((new.key.clone(), trial.clone()));
        Ok(trial)
    }

    fn take_over(&self, number: u64) -> Result<Trial, StoreError> {
        let mut trials = self.lock();
        let trial = trials
            .iter_mut()
            .map(|(_, trial)| trial)
            .find(|trial| trial.number == number && trial.state == TrialState::Running)
            .ok_or(StoreError::Fenced { number, attempt: 0 })?;
        trial.attempt += 1;
        Ok(trial.clone())
    }

    fn resume(&self, number: u64) -> Result<Trial, StoreError> {
        let mut trials = self.lock();
        let is_paused = |trial: &&mut Trial| {
            trial.number == number && matches!(trial.state, TrialState::Paused { .. })
        };
        let trial = trials.iter_mut().map(|(_, trial)| trial).find(is_paused);
        let trial = trial.ok_or(StoreError::Fenced { number, attempt: 0 })?;
        trial.attempt += 1;
        trial.state = TrialState::Running;
        Ok(trial.clone())
    }

    fn finish(&self, end: &TrialEnd) -> Result<(), StoreError> {
        let mut trials = self.lock();
        let is_ours = |trial: &&mut Trial| {
            trial.number == end.number
                && trial.attempt == end.attempt
                && trial.state == TrialState::Running
        };
        let ours = trials.iter_mut().map(|(_, trial)| trial).find(is_ours);
        let trial = ours.ok_or(StoreError::Fenced {
            number: end.number,
            attempt: end.attempt,
        })?;
        trial.state = end.state.clone();
        trial.curve = end.curve.clone();
        trial.seconds = end.seconds;
        trial.n_inherited = end.n_inherited;
        trial.batch_size = end.batch_size;
        Ok(())
    }
}

impl NewTrial {
    /// The row of its first attempt.
    pub(super) fn running(&self) -> Trial {
        Trial {
            number: self.number,
            parent: self.parent,
            genome: self.genome.clone(),
            hyper: self.hyper.clone(),
            cost: self.cost,
            donors: self.donors.clone(),
            teachers: self.teachers.clone(),
            attempt: 1,
            state: TrialState::Running,
            curve: Vec::new(),
            seconds: 0.0,
            n_inherited: 0,
            batch_size: self.batch_size,
        }
    }
}
