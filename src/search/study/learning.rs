//! What a desk takes in: rows that others wrote, results of trials, and what it tells controller and oracle of them.
//!
//! They are told before a proposal, and the proposal's row says what; whoever reads the rows tells the same in the
//! same order.

use super::StudyError;
use super::desk::{Desk, losses};
use crate::search::controllers::Observation;
use crate::search::hyper::{HyperObservation, HyperOutcome, HyperPoint};
use crate::search::store::{Changes, StudyStore};
use crate::search::trial::{Learned, Trial, TrialState};

impl Desk<'_> {
    /// Takes in what others wrote since the last time.
    pub fn refresh(&mut self, store: &dyn StudyStore) -> Result<(), StudyError> {
        let changes = store.changed(self.mark)?;
        self.absorb(changes)
    }

    pub(super) fn absorb(&mut self, changes: Changes) -> Result<(), StudyError> {
        self.mark = changes.mark;
        let mut has_diverged = false;
        for trial in changes.trials {
            let number = trial.number;
            if number >= self.next_replayed && !self.learned.is_empty() {
                has_diverged |= trial.learned != self.learned;
            }
            if self.running.contains(&number) {
                self.later.insert(number, trial);
            } else if self.trials.get(&number) != Some(&trial) {
                self.known.insert(trial.genome.hash_hex());
                self.follow(&trial);
                self.note(&trial);
                self.trials.insert(trial);
            }
        }
        if has_diverged {
            self.forget_all_told()?;
        }
        self.replay();
        Ok(())
    }

    /// Controller and oracle as they were before the first trial: what they were told since the last proposal is not
    /// what the one that won had learned.
    fn forget_all_told(&mut self) -> Result<(), StudyError> {
        self.controller = self.spec.controller.build(self.space.domain())?;
        self.hyper = self
            .spec
            .hyper
            .as_ref()
            .map(|hyper| hyper.build())
            .transpose()?;
        self.learned.clear();
        self.pending.extend(self.told.drain());
        self.next_replayed = 0;
        Ok(())
    }

    /// Learns what the proposers of trials not replayed yet had learned, in their order.
    pub(super) fn replay(&mut self) {
        while let Some(trial) = self.trials.get(&self.next_replayed) {
            let (number, point) = (trial.number, trial.hyper.clone());
            for learned in trial.learned.clone() {
                self.tell(learned);
            }
            self.learned.clear();
            self.tell_running(number, point);
            self.next_replayed += 1;
        }
    }

    /// Keeps the scheduler in step with a trial that runs elsewhere.
    fn follow(&mut self, trial: &Trial) {
        let number = trial.number;
        self.scheduler.begin(number);
        let losses = losses(trial);
        let n_seen = self.n_seen.insert(number, losses.len()).unwrap_or(0);
        if losses.len() < n_seen {
            self.scheduler.rewind(number, losses.len());
        }
        for (epoch, loss) in losses.iter().enumerate().skip(n_seen) {
            if self.scheduler.until_epoch(number).is_none() {
                self.scheduler.rewind(number, epoch);
            }
            self.scheduler.observe(number, *loss);
        }
        let is_running = self.scheduler.until_epoch(number).is_some();
        match trial.state {
            TrialState::Queued | TrialState::Running if is_running => {}
            TrialState::Queued | TrialState::Running => {
                self.scheduler.rewind(number, losses.len());
            }
            TrialState::Paused { .. } if is_running => self.scheduler.pause(number),
            TrialState::Paused { .. } => {}
            TrialState::GivenUp { .. } | TrialState::Complete { .. } => self.scheduler.end(number),
            TrialState::Failed { .. } | TrialState::Infeasible { .. } | TrialState::Stopped => {
                self.scheduler.fail(number);
            }
        }
    }

    /// Epochs after which a trial is told: its first stop, where all trials compare.
    fn first_stop(&self, number: u64) -> usize {
        let fresh = self.spec.fidelity.scheduler(self.spec.train.n_epochs);
        fresh.map_or(usize::MAX, |mut fresh| fresh.begin(number))
    }

    fn has_result(&self, trial: &Trial) -> bool {
        match trial.state {
            TrialState::Queued | TrialState::Running => {
                trial.curve.len() >= self.first_stop(trial.number)
            }
            _ => true,
        }
    }

    /// Counts a trial that has come to its first stop, once; controller and oracle are told before the next
    /// proposal.
    pub(super) fn note(&mut self, trial: &Trial) {
        let number = trial.number;
        if !self.has_result(trial) || self.told.contains(&number) || self.pending.contains(&number)
        {
            return;
        }
        match self.first_loss(trial) {
            Some(_) => self.n_complete += 1,
            None => self.n_failed += 1,
        }
        self.pending.insert(number);
    }

    /// The loss that a trial had at its first stop, so that losses compare.
    fn first_loss(&self, trial: &Trial) -> Option<f64> {
        let first_stop = self.first_stop(trial.number);
        let has_failed = trial.failure().is_some() || trial.state == TrialState::Stopped;
        if has_failed && trial.curve.len() < first_stop {
            return None;
        }
        losses(trial)
            .into_iter()
            .take(first_stop)
            .filter(|loss| loss.is_finite())
            .min_by(f64::total_cmp)
    }

    /// Tells controller and oracle of all that has a result, lowest number first.
    pub(super) fn learn(&mut self) {
        while let Some(number) = self.pending.first().copied() {
            let learned = Learned {
                number,
                loss: self.first_loss(&self.trials[&number]),
            };
            self.tell(learned);
            self.learned.push(learned);
        }
    }

    fn tell(&mut self, learned: Learned) {
        let Learned { number, loss } = learned;
        self.pending.remove(&number);
        let Some(trial) = self.trials.get(&number) else {
            return;
        };
        if !self.told.insert(number) {
            return;
        }
        if let Some(point) = self.space.point(&trial.genome) {
            self.controller.tell(&Observation {
                number,
                point,
                parent: trial.parent,
                outcome: loss,
                costs: vec![
                    trial.cost.n_params as f64,
                    trial.cost.macs_per_second as f64,
                ],
            });
        }
        if let Some(hyper) = &mut self.hyper {
            hyper.tell(&HyperObservation {
                number,
                point: trial.hyper.clone(),
                outcome: loss.map_or(HyperOutcome::Failed, HyperOutcome::Loss),
            });
        }
    }

    pub(super) fn tell_running(&mut self, number: u64, point: HyperPoint) {
        if let Some(hyper) = &mut self.hyper {
            hyper.tell(&HyperObservation {
                number,
                point,
                outcome: HyperOutcome::Running,
            });
        }
    }
}
