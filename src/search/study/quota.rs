//! The room that the weights of trials may take: what can no longer win goes first.

use std::path::PathBuf;

use super::StudyError;
use super::desk::Desk;
use crate::search::trial::TrialState;
use crate::search::worker::{remove, trial_name};

/// Best trials whose weights stay whatever the quota: what a search is for.
const N_KEPT: usize = 3;

impl Desk<'_> {
    /// Removes files until the quota holds: first what paused trials wait with that can never be promoted, then
    /// the weights of the worst trials. The best ones, the running ones and those whose weights a running one may
    /// be reading stay.
    pub(super) fn keep_quota(&self) -> Result<(), StudyError> {
        let Some(quota_mb) = self.spec.disk_quota_mb else {
            return Ok(());
        };
        let most = (quota_mb * 1e6) as u64;
        let files = |number: u64| -> [PathBuf; 2] {
            let name = trial_name(number);
            [
                self.workshop.checkpoint_path(&name),
                self.workshop.weights_path(&name),
            ]
        };
        let size = |path: &PathBuf| path.metadata().map_or(0, |found| found.len());
        let mut total: u64 = self
            .trials
            .keys()
            .flat_map(|number| files(*number))
            .map(|path| size(&path))
            .sum();
        let is_read = |number: u64| {
            let running = self.trials.values().filter(|it| self.is_running(it.number));
            running
                .flat_map(|it| it.donors.iter().chain(&it.teachers))
                .any(|read| *read == number)
        };
        let ranked: Vec<u64> = self.trials.best().map(|trial| trial.number).collect();
        let losers = ranked.into_iter().skip(N_KEPT).rev();
        let losers: Vec<u64> = losers
            .filter(|number| !self.is_running(*number) && !is_read(*number))
            .collect();
        let n_more = match self.spec.budget.n_trials {
            Some(n_trials) => n_trials.saturating_sub(self.trials.len() as u64),
            None => u64::MAX,
        };
        let is_stuck = |number: &u64| {
            matches!(self.trials[number].state, TrialState::Paused { .. })
                && !self.scheduler.may_be_promoted(*number, n_more)
        };
        let stuck = losers.iter().filter(|number| is_stuck(number));
        let stuck: Vec<PathBuf> = stuck.map(|number| files(*number)[0].clone()).collect();
        // The checkpoint of a trial that may still be promoted is not a loser's to give.
        let is_out = |number: &&u64| {
            !matches!(self.trials[*number].state, TrialState::Paused { .. }) || is_stuck(number)
        };
        let weights = losers
            .iter()
            .filter(is_out)
            .map(|number| files(*number)[1].clone());
        for path in stuck.into_iter().chain(weights) {
            if total <= most {
                break;
            }
            total -= size(&path);
            remove(&path)?;
        }
        Ok(())
    }
}
