//! How long each trial trains: decided from the curves of validation loss so far.
//!
//! Successive halving whose trials pause at rungs and are promoted (ASHA, Li et al. 2020), and median
//! stopping (Golovin et al. 2017). The room neither trains nor knows what a trial is: it sees numbers,
//! curves and how trials ended. Its state is those curves, so a search is resumed by
//! [`Scheduler::replay`], and the same curves lead to the same decisions.

mod asha;
mod median;
mod scaled;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use asha::Rungs;
pub use scaled::parameter_scaled_steps;

/// Which rule, as a recipe writes it. The most epochs of a trial are those of its training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FidelitySpec {
    /// Every trial trains to its end.
    Full,
    /// Asynchronous successive halving by promotion.
    Asha {
        /// Epochs of the first rung.
        min_epochs: usize,
        /// Of the trials of a rung one in so many goes on; rungs lie so many times as far.
        reduction_factor: usize,
        /// Brackets, each beginning one rung later than the one before (Hyperband); 1 if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        n_brackets: Option<usize>,
    },
    /// A trial stops when its best loss is worse than the median of the others' running means.
    MedianStopping {
        /// Epochs before a trial may be stopped.
        grace_epochs: usize,
        /// Other trials that must have come as far before one is stopped.
        min_trials: usize,
    },
}

/// A setting that makes no sense.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("fidelity.{field}: found {found}, expected {expected}")]
pub struct FidelityError {
    pub field: &'static str,
    pub found: usize,
    pub expected: String,
}

/// What to train next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A paused trial goes on from the weights and the optimiser that it paused with.
    Promote { number: u64, until_epoch: usize },
    /// A trial that was not there before.
    New,
}

/// What a running trial does after an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    GoOn,
    /// Keep its state: it may be promoted later.
    Pause,
    /// It cannot win: its state need not be kept.
    Stop,
    /// It has trained to its end.
    Finished,
}

/// A stored trial, as [`Scheduler::replay`] reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialCurve {
    /// Given in order of beginning, from 0.
    pub number: u64,
    /// Validation loss after each epoch, from the first.
    pub losses: Vec<f64>,
    pub state: CurveState,
}

/// How far a stored trial is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CurveState {
    /// A worker has it, or had it when it died.
    Running,
    Paused,
    /// It was stopped, or trained to its end.
    Ended,
    Failed,
}

/// What is known of one trial.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    losses: Vec<f64>,
    /// Sum of the losses up to each epoch.
    sums: Vec<f64>,
    /// Lowest finite loss so far, which is that of the weights that a training keeps; infinite without one.
    best_loss: f64,
    state: CurveState,
    /// The epoch that the trial runs to, or would run to next.
    until_epoch: usize,
}

/// The decisions of one search.
#[derive(Clone, Debug)]
pub struct Scheduler {
    rule: Rule,
    n_epochs: usize,
    curves: BTreeMap<u64, Curve>,
}

#[derive(Clone, Debug)]
enum Rule {
    Full,
    Asha(Rungs),
    Median {
        grace_epochs: usize,
        min_trials: usize,
    },
}

impl FidelitySpec {
    /// Checks the settings against the most epochs of a trial.
    pub fn validate(&self, n_epochs: usize) -> Result<(), FidelityError> {
        let check = |field, found, low: usize, high: usize| {
            if (low..=high).contains(&found) {
                return Ok(());
            }
            let expected = match high {
                usize::MAX => format!("at least {low}"),
                _ => format!("{low} to {high}"),
            };
            Err(FidelityError {
                field,
                found,
                expected,
            })
        };
        check("n_epochs", n_epochs, 1, usize::MAX)?;
        match *self {
            Self::Full => Ok(()),
            Self::Asha {
                min_epochs,
                reduction_factor,
                n_brackets,
            } => {
                check("min_epochs", min_epochs, 1, n_epochs)?;
                check("reduction_factor", reduction_factor, 2, usize::MAX)?;
                let n_rungs = Rungs::new(min_epochs, reduction_factor, 1, n_epochs).n_rungs();
                check("n_brackets", n_brackets.unwrap_or(1), 1, n_rungs)
            }
            Self::MedianStopping {
                grace_epochs,
                min_trials,
            } => {
                check("grace_epochs", grace_epochs, 0, n_epochs)?;
                check("min_trials", min_trials, 1, usize::MAX)
            }
        }
    }

    /// The decisions of a search without trials. `n_epochs`: the most epochs of a trial.
    ///
    /// # Errors
    ///
    /// Those of [`validate`](Self::validate).
    pub fn scheduler(&self, n_epochs: usize) -> Result<Scheduler, FidelityError> {
        self.validate(n_epochs)?;
        let rule = match *self {
            Self::Full => Rule::Full,
            Self::Asha {
                min_epochs,
                reduction_factor,
                n_brackets,
            } => Rule::Asha(Rungs::new(
                min_epochs,
                reduction_factor,
                n_brackets.unwrap_or(1),
                n_epochs,
            )),
            Self::MedianStopping {
                grace_epochs,
                min_trials,
            } => Rule::Median {
                grace_epochs,
                min_trials,
            },
        };
        Ok(Scheduler {
            rule,
            n_epochs,
            curves: BTreeMap::new(),
        })
    }
}

impl Scheduler {
    /// The scheduler of a search as it was when these trials were stored. Running ones are those whose
    /// worker died: they go on at the epoch after their last, up to [`until_epoch`](Self::until_epoch).
    ///
    /// # Errors
    ///
    /// Those of [`FidelitySpec::validate`].
    pub fn replay(
        spec: &FidelitySpec,
        n_epochs: usize,
        trials: impl IntoIterator<Item = TrialCurve>,
    ) -> Result<Self, FidelityError> {
        let mut scheduler = spec.scheduler(n_epochs)?;
        for trial in trials {
            let mut curve = Curve::empty(scheduler.next_stop(trial.number, trial.losses.len()));
            for loss in trial.losses {
                curve.push(loss);
                scheduler.arrive(trial.number, &curve);
            }
            curve.state = trial.state;
            if let (Rule::Asha(rungs), CurveState::Paused) = (&mut scheduler.rule, trial.state) {
                rungs.wait(trial.number, curve.losses.len(), curve.best_loss);
            }
            scheduler.curves.insert(trial.number, curve);
        }
        Ok(scheduler)
    }

    /// What a free worker should do. Changes nothing: [`begin`](Self::begin) or [`promote`](Self::promote)
    /// says that it is done.
    pub fn next(&self) -> Next {
        match &self.rule {
            Rule::Full | Rule::Median { .. } => Next::New,
            Rule::Asha(rungs) => match rungs.promotable() {
                Some((number, until_epoch)) => Next::Promote {
                    number,
                    until_epoch,
                },
                None => Next::New,
            },
        }
    }

    /// A new trial runs; the epoch that it runs to before it is paused or ends.
    pub fn begin(&mut self, number: u64) -> usize {
        let until_epoch = self.next_stop(number, 0);
        self.curves
            .entry(number)
            .or_insert_with(|| Curve::empty(until_epoch));
        until_epoch
    }

    /// A paused trial runs again; the epoch that it runs to. `None` where no such trial is paused.
    pub fn promote(&mut self, number: u64) -> Option<usize> {
        let curve = self.curves.get(&number)?;
        if curve.state != CurveState::Paused {
            return None;
        }
        self.set_state(number, CurveState::Running);
        self.until_epoch(number)
    }

    /// A running trial has trained one more epoch, with that validation loss.
    ///
    /// A trial that is not known counts as begun now. One that does not run (any more) is told to stop, and what
    /// it says is not kept.
    pub fn observe(&mut self, number: u64, validation_loss: f64) -> Verdict {
        self.begin(number);
        let mut curve = self.curves.remove(&number).expect("the trial was begun");
        if curve.state != CurveState::Running {
            self.curves.insert(number, curve);
            return Verdict::Stop;
        }
        curve.push(validation_loss);
        self.arrive(number, &curve);
        let epoch = curve.losses.len();
        let verdict = match &self.rule {
            _ if epoch >= self.n_epochs => Verdict::Finished,
            Rule::Asha(_) if epoch >= curve.until_epoch => Verdict::Pause,
            Rule::Median {
                grace_epochs,
                min_trials,
            } if epoch >= *grace_epochs
                && median::is_hopeless(&curve, self.curves.values(), *min_trials) =>
            {
                Verdict::Stop
            }
            _ => Verdict::GoOn,
        };
        self.curves.insert(number, curve);
        match verdict {
            Verdict::GoOn => {}
            Verdict::Pause => self.set_state(number, CurveState::Paused),
            Verdict::Stop | Verdict::Finished => self.set_state(number, CurveState::Ended),
        }
        verdict
    }

    /// A trial runs again from an earlier epoch, since what it trained after that is lost (its worker died, or ran
    /// out of memory): later epochs are forgotten. The epoch that it runs to; `None` where it is not known.
    pub fn rewind(&mut self, number: u64, n_epochs: usize) -> Option<usize> {
        self.set_state(number, CurveState::Running);
        let until_epoch = self.next_stop(number, n_epochs);
        let curve = self.curves.get_mut(&number)?;
        let losses: Vec<f64> = curve.losses.drain(..).take(n_epochs).collect();
        *curve = Curve::empty(until_epoch);
        losses.into_iter().for_each(|loss| curve.push(loss));
        if let Rule::Asha(rungs) = &mut self.rule {
            rungs.forget_beyond(number, n_epochs);
        }
        Some(until_epoch)
    }

    /// A running trial was paused by whoever trains it.
    pub fn pause(&mut self, number: u64) {
        self.set_state(number, CurveState::Paused);
    }

    /// A running trial ended by itself before its time (early stopping): it has nothing more to learn.
    pub fn end(&mut self, number: u64) {
        self.set_state(number, CurveState::Ended);
    }

    /// A trial failed: it is never promoted, and nobody is compared with it.
    pub fn fail(&mut self, number: u64) {
        self.set_state(number, CurveState::Failed);
    }

    /// The epoch that a running trial runs to.
    pub fn until_epoch(&self, number: u64) -> Option<usize> {
        let curve = self.curves.get(&number)?;
        (curve.state == CurveState::Running).then_some(curve.until_epoch)
    }

    /// Epochs trained so far, by all trials.
    pub fn n_epochs_spent(&self) -> usize {
        self.curves.values().map(|curve| curve.losses.len()).sum()
    }

    /// The trial of the lowest loss at any epoch, and that loss; ties to the earlier. Failed ones do not count.
    pub fn incumbent(&self) -> Option<(u64, f64)> {
        let sound = self
            .curves
            .iter()
            .filter(|(_, curve)| curve.state != CurveState::Failed);
        sound
            .map(|(number, curve)| (*number, curve.best_loss))
            .filter(|(_, loss)| loss.is_finite())
            .min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)))
    }

    /// Whether a paused trial could still be promoted if at most `n_more_trials` began from now on. Where it
    /// could not, its state need not be kept.
    pub fn may_be_promoted(&self, number: u64, n_more_trials: u64) -> bool {
        let (Rule::Asha(rungs), Some(curve)) = (&self.rule, self.curves.get(&number)) else {
            return false;
        };
        let epoch = curve.losses.len();
        let may_come = |(other, rival): &(&u64, &Curve)| {
            rungs.are_rivals(**other, number)
                && rival.losses.len() < epoch
                && matches!(rival.state, CurveState::Running | CurveState::Paused)
        };
        let n_coming = self.curves.iter().filter(may_come).count() as u64;
        let n_more = n_more_trials.saturating_add(n_coming);
        curve.state == CurveState::Paused && rungs.may_be_promoted(number, epoch, n_more)
    }

    /// Keeps the curve, the rungs and the state of a trial in step.
    fn set_state(&mut self, number: u64, state: CurveState) {
        let Some(curve) = self.curves.get(&number) else {
            return;
        };
        let (before, epoch, loss) = (curve.state, curve.losses.len(), curve.best_loss);
        if let Rule::Asha(rungs) = &mut self.rule {
            if before == CurveState::Paused {
                rungs.leave(number, epoch);
            }
            if state == CurveState::Paused {
                rungs.wait(number, epoch, loss);
            }
        }
        let until_epoch = self.next_stop(number, epoch);
        let curve = self.curves.get_mut(&number).expect("it was there just now");
        curve.state = state;
        curve.until_epoch = until_epoch;
    }

    fn arrive(&mut self, number: u64, curve: &Curve) {
        if let Rule::Asha(rungs) = &mut self.rule {
            rungs.arrive(number, curve.losses.len(), curve.best_loss);
        }
    }

    /// The first epoch after that many at which the trial is paused or ends.
    fn next_stop(&self, number: u64, n_epochs: usize) -> usize {
        match &self.rule {
            Rule::Asha(rungs) => rungs.next_after(number, n_epochs),
            Rule::Full | Rule::Median { .. } => self.n_epochs,
        }
    }
}

impl Curve {
    fn empty(until_epoch: usize) -> Self {
        Self {
            losses: Vec::new(),
            sums: Vec::new(),
            best_loss: f64::INFINITY,
            state: CurveState::Running,
            until_epoch,
        }
    }

    fn push(&mut self, loss: f64) {
        self.sums
            .push(self.sums.last().copied().unwrap_or(0.0) + loss);
        self.losses.push(loss);
        if loss.is_finite() {
            self.best_loss = self.best_loss.min(loss);
        }
    }

    /// Mean of the losses up to that epoch, counted from 1; `None` where the curve is shorter.
    fn mean_at(&self, epoch: usize) -> Option<f64> {
        Some(self.sums.get(epoch.checked_sub(1)?)? / epoch as f64)
    }
}
