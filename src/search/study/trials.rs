//! What is known of every trial, by number, with what a proposal asks for at hand: those that have a loss in its
//! order, and how many are open. So a proposal costs the same after a hundred trials and after a hundred thousand.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use crate::search::trial::Trial;

/// Trials by number, read as a map.
#[derive(Default)]
pub(super) struct Trials {
    by_number: BTreeMap<u64, Trial>,
    /// Loss as an [`order`] and number of those with scores.
    by_loss: BTreeSet<(i64, u64)>,
    n_open: usize,
}

impl Deref for Trials {
    type Target = BTreeMap<u64, Trial>;

    fn deref(&self) -> &Self::Target {
        &self.by_number
    }
}

/// An integer that is less where [`f64::total_cmp`] says that the loss is.
fn order(loss: f64) -> i64 {
    let bits = loss.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

fn entry(trial: &Trial) -> Option<(i64, u64)> {
    let scores = trial.scores()?;
    Some((order(scores.validation_loss), trial.number))
}

impl Trials {
    /// In place of what was known of that number.
    pub fn insert(&mut self, trial: Trial) {
        self.n_open += usize::from(trial.is_open());
        let new = entry(&trial);
        if let Some(old) = self.by_number.insert(trial.number, trial) {
            self.n_open -= usize::from(old.is_open());
            if let Some(old) = entry(&old) {
                self.by_loss.remove(&old);
            }
        }
        self.by_loss.extend(new);
    }

    /// Those with scores, the lowest validation loss first, ties to the earlier.
    pub fn best(&self) -> impl DoubleEndedIterator<Item = &Trial> {
        self.by_loss
            .iter()
            .map(|(_, number)| &self.by_number[number])
    }

    pub fn n_scored(&self) -> usize {
        self.by_loss.len()
    }

    /// Queued ones and those that a worker has.
    pub fn n_open(&self) -> usize {
        self.n_open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::store::{MemoryStore, StudyStore, new_trial};
    use crate::search::trial::{Scores, TrialState};

    fn trial(number: u64, loss: Option<f64>) -> Trial {
        let store = MemoryStore::default();
        let mut trial = store
            .begin(&new_trial(number, 8 + number as usize), None)
            .unwrap();
        if let Some(validation_loss) = loss {
            let scores = Scores {
                validation_loss,
                validation_accuracy: 0.5,
            };
            trial.state = TrialState::Complete { scores };
        }
        trial
    }

    #[test]
    fn the_best_and_the_open_ones_are_those_of_what_was_written_last() {
        let mut trials = Trials::default();
        let losses = [0.5, f64::INFINITY, -0.25, f64::NAN, 0.5, 0.0];
        for (number, loss) in (0..).zip(losses) {
            trials.insert(trial(number, None));
            assert_eq!(trials.n_open(), 1);
            trials.insert(trial(number, Some(loss)));
        }
        let numbers = |trials: &Trials| -> Vec<u64> { trials.best().map(|it| it.number).collect() };
        assert_eq!(numbers(&trials), [2, 5, 0, 4, 1, 3]);
        trials.insert(trial(2, None)); // it runs again
        trials.insert(trial(0, Some(9.0)));
        assert_eq!(numbers(&trials), [5, 4, 0, 1, 3]);
        assert_eq!(
            (trials.n_open(), trials.n_scored(), trials.len()),
            (1, 5, 6)
        );
    }
}
