//! What the workers of a study share: who has which trial, what comes next, and what came of it.
//!
//! All of it follows from the stored trials. Each says what its proposer had learned, so a desk that reads them tells
//! its controller the same in the same order and proposes what any other would.

use std::collections::{BTreeSet, HashMap, HashSet};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::trials::Trials;
use super::{Budget, Ending, StudyError, StudySpec};
use crate::model::Cost;
use crate::search::controllers::Controller;
use crate::search::distil::Teacher;
use crate::search::fidelity::{CurveState, Next, Scheduler, TrialCurve, Verdict};
use crate::search::hyper::{HyperPoint, HyperSearch};
use crate::search::sharing::{Finished, donors_wanted};
use crate::search::space::{Space, SpaceSpec};
use crate::search::store::{Changes, Holder, NewTrial, StoreError, StudyStore, TrialEnd};
use crate::search::train_spec::{TrainSpec, frontend_of};
use crate::search::trial::{Artifacts, Failure, FailureKind, Learned, Trial, TrialState};
use crate::search::worker::{Source, Workshop, seed_for};

/// Failed trials without a single complete one after which a search gives up.
const MAX_FAILURES: usize = 12;

/// A trial for a worker.
pub(super) struct Task {
    pub trial: Trial,
    pub train: TrainSpec,
    /// Trials whose weights it begins with.
    pub donors: Vec<Source>,
    /// Trials that teach it.
    pub teachers: Vec<Source>,
}

pub(super) struct Desk<'a> {
    pub(super) spec: &'a StudySpec,
    pub(super) workshop: &'a Workshop<'a>,
    pub(super) holder: &'a Holder,
    pub(super) space: Space,
    pub(super) max_depth: usize,
    pub(super) controller: Box<dyn Controller>,
    pub(super) hyper: Option<HyperSearch>,
    pub(super) scheduler: Scheduler,
    /// What is known of every trial, the running ones as they were begun.
    pub(super) trials: Trials,
    pub(super) known: HashSet<String>,
    /// Epochs of each trial that the scheduler has seen.
    pub(super) n_seen: HashMap<u64, usize>,
    /// Trials that controller and oracle were told of, and those that they are to be told of.
    pub(super) told: HashSet<u64>,
    pub(super) pending: BTreeSet<u64>,
    /// Told since the last proposal that is written down.
    pub(super) learned: Vec<Learned>,
    /// The first trial whose proposal was not replayed yet.
    pub(super) next_replayed: u64,
    pub(super) orphans: Vec<u64>,
    pub(super) running: HashSet<u64>,
    /// What the store said of trials that run here: looked at when they have ended here.
    pub(super) later: HashMap<u64, Trial>,
    pub(super) mark: u64,
    pub(super) n_complete: usize,
    pub(super) n_failed: usize,
    pub(super) ending: Option<Ending>,
    pub(super) fault: Option<StudyError>,
}

impl<'a> Desk<'a> {
    pub fn new(
        spec: &'a StudySpec,
        space_spec: &SpaceSpec,
        workshop: &'a Workshop<'a>,
        holder: &'a Holder,
        changes: Changes,
    ) -> Result<Self, StudyError> {
        spec.validate(space_spec)?;
        let space = space_spec.compile()?;
        let curves = changes.trials.iter().map(|trial| TrialCurve {
            number: trial.number,
            losses: losses(trial),
            state: match trial.state {
                TrialState::Queued | TrialState::Running => CurveState::Running,
                TrialState::Paused { .. } => CurveState::Paused,
                TrialState::GivenUp { .. } | TrialState::Complete { .. } => CurveState::Ended,
                TrialState::Failed { .. } | TrialState::Infeasible { .. } | TrialState::Stopped => {
                    CurveState::Failed
                }
            },
        });
        let scheduler = Scheduler::replay(&spec.fidelity, spec.train.n_epochs, curves)?;
        let hyper = spec.hyper.as_ref().map(|hyper| hyper.build()).transpose()?;
        let mut desk = Self {
            controller: spec.controller.build(space.domain())?,
            max_depth: space_spec.depth[1].max(1),
            spec,
            workshop,
            holder,
            space,
            hyper,
            scheduler,
            trials: Trials::default(),
            known: HashSet::new(),
            n_seen: HashMap::new(),
            told: HashSet::new(),
            pending: BTreeSet::new(),
            learned: Vec::new(),
            next_replayed: 0,
            orphans: Vec::new(),
            running: HashSet::new(),
            later: HashMap::new(),
            mark: 0,
            n_complete: 0,
            n_failed: 0,
            ending: None,
            fault: None,
        };
        for trial in &changes.trials {
            desk.n_seen.insert(trial.number, trial.curve.len());
        }
        desk.absorb(changes)?;
        if holder.lease.is_none() {
            let of_earlier = desk.trials.values();
            let of_earlier = of_earlier.filter(|trial| trial.state == TrialState::Running);
            desk.orphans = of_earlier.map(|trial| trial.number).collect();
            desk.orphans.reverse(); // taken from the end, the lowest number first
        }
        Ok(desk)
    }

    pub fn is_over(&self) -> bool {
        self.ending.is_some() || self.fault.is_some()
    }

    pub fn end(&mut self, ending: Ending) {
        self.ending = Some(ending);
    }

    pub fn fail(&mut self, fault: StudyError) {
        self.fault.get_or_insert(fault);
    }

    pub fn into_ending(self) -> Result<Ending, StudyError> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(self.ending.unwrap_or(Ending::BudgetSpent)),
        }
    }

    pub fn n_running(&self) -> usize {
        self.running.len()
    }

    pub(super) fn is_running(&self, number: u64) -> bool {
        self.running.contains(&number)
    }

    /// Whether any worker has a trial, or one waits for a worker.
    pub fn has_open_trials(&self) -> bool {
        self.trials.n_open() > 0
    }

    /// What a free worker does: an orphan of an earlier sitting, a trial that waits, a promotion, a new trial; the
    /// last two only where it `may_begin`. `None` where there is nothing to do. It is written down before it runs.
    pub fn next_task(
        &mut self,
        store: &dyn StudyStore,
        budget: &Budget,
        may_begin: bool,
    ) -> Result<Option<Task>, StudyError> {
        while let Some(number) = self.orphans.last().copied() {
            let taken = store.take_over(number, self.holder);
            if !matches!(&taken, Err(error) if error.is_passing()) {
                self.orphans.pop();
            }
            match taken {
                // It is on lease, or was ended by hand.
                Err(StoreError::Fenced { .. }) => {}
                taken => return self.take(taken?).map(Some),
            }
        }
        let busy: Vec<u64> = self.running.iter().copied().collect();
        let claimed = store.claim(self.holder, &busy)?;
        if let Some(trial) = claimed {
            self.refresh(store)?;
            return self.take(trial).map(Some);
        }
        if !may_begin {
            self.refresh(store)?;
            return Ok(None);
        }
        let _held = store.suggesting()?;
        loop {
            self.refresh(store)?;
            if let Next::Promote { number, .. } = self.scheduler.next() {
                match store.resume(number, self.holder) {
                    Ok(trial) => {
                        self.scheduler.promote(number);
                        return self.take(trial).map(Some);
                    }
                    // Somebody else promoted it, or stopped it by hand.
                    Err(StoreError::Fenced { .. }) => {
                        let trial = store.trial(number)?;
                        self.absorb(Changes {
                            trials: vec![trial],
                            mark: self.mark,
                        })?;
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            let number = self.next_number();
            if budget.n_trials.is_some_and(|n_trials| number >= n_trials) {
                return Ok(None);
            }
            match self.begin(number, store) {
                Ok(Some(task)) => return Ok(Some(task)),
                Ok(None) => {}
                // Somebody else proposed at the same time: what it learned counts.
                Err(StudyError::Store(StoreError::Taken { .. })) if self.holder.lease.is_some() => {
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn next_number(&self) -> u64 {
        self.trials.keys().next_back().map_or(0, |last| last + 1)
    }

    /// A new trial; `None` where it failed before it ran.
    fn begin(&mut self, number: u64, store: &dyn StudyStore) -> Result<Option<Task>, StudyError> {
        self.learn();
        let purpose = |what: &str| seed_for(self.workshop.seed, &format!("{what} {number}"));
        let mut rng = ChaCha8Rng::seed_from_u64(purpose("proposal"));
        let mut hyper_rng = ChaCha8Rng::seed_from_u64(purpose("settings"));
        let hyper = match &mut self.hyper {
            Some(hyper) => hyper.ask(number, &mut hyper_rng),
            None => HyperPoint::default(),
        };
        let ports = self.workshop.corpus.behind(&hyper).ports();
        let suggestion = self.spec.suggestions.get(number as usize).cloned();
        let is_suggested = suggestion.is_some();
        let (genome, parent) = match suggestion {
            Some(genome) => (genome, None),
            None => {
                let (space, known, repeats) = (&self.space, &self.known, self.spec.repeats);
                let admit = |point: &_| {
                    let genome = space.genome(point);
                    space.admits(&genome, &ports)
                        && (repeats || !known.contains(&genome.hash_hex()))
                };
                let proposal = self.controller.ask(&admit, &mut rng);
                let proposal = proposal.ok_or(StudyError::Exhausted {
                    n_trials: self.n_complete,
                })?;
                (self.space.genome(&proposal.point), proposal.parent)
            }
        };
        let train = self.spec.train_for(&genome, &hyper, self.max_depth)?;
        let cost = Cost::of(&genome, &ports);
        let hash = genome.hash_hex();
        let is_new = !self.known.contains(&hash);
        let key = if is_new && !self.spec.repeats {
            hash.clone()
        } else {
            format!("{hash}-{number}")
        };
        // Weights that learned behind another front-end are of no use here.
        let hears_the_same = |trial: &Trial| frontend_of(&trial.hyper) == frontend_of(&hyper);
        let best = self.trials.best().filter(|trial| hears_the_same(trial));
        let finished = best.filter_map(|trial| {
            Some(Finished {
                number: trial.number,
                genome: &trial.genome,
                loss: trial.scores()?.validation_loss,
            })
        });
        let heir_of = parent.filter(|number| self.trials.get(number).is_some_and(hears_the_same));
        let donors = donors_wanted(&self.spec.sharing, &genome, &ports, finished, heir_of);
        let teachers = self.teachers_now(&hyper);
        let new = NewTrial {
            number,
            key,
            parent,
            genome,
            hyper,
            cost,
            donors,
            teachers,
            batch_size: train.batch_size,
            learned: self.learned.clone(),
        };
        let trial = store.begin(&new, Some(self.holder))?;
        self.known.insert(hash);
        self.scheduler.begin(number);
        self.running.insert(number);
        self.trials.insert(trial.clone());
        self.replay();
        if is_suggested && !self.space.limits().admit(&cost) {
            let failure = Failure {
                kind: FailureKind::OverBudget,
                reason: "a suggestion beyond the limits of the space".into(),
                trace: None,
            };
            let end = TrialEnd {
                number,
                attempt: trial.attempt,
                state: TrialState::Infeasible { failure },
                curve: Vec::new(),
                seconds: 0.0,
                n_inherited: 0,
                batch_size: trial.batch_size,
                artifacts: Artifacts::default(),
            };
            store.finish(&end)?;
            let trial = self.record(trial, end)?;
            self.workshop.watch.trial(&trial);
            return Ok(None);
        }
        self.take(trial).map(Some)
    }

    /// Hands a running trial over to a worker.
    fn take(&mut self, trial: Trial) -> Result<Task, StudyError> {
        let train = self
            .spec
            .train_for(&trial.genome, &trial.hyper, self.max_depth)?;
        let sources = |numbers: &[u64]| -> Vec<Source> {
            let found = numbers.iter().filter_map(|number| {
                let source = self.trials.get(number)?;
                Some(Source {
                    number: *number,
                    genome: source.genome.clone(),
                    loss: source.scores()?.validation_loss,
                    artifacts: source.artifacts.clone(),
                })
            });
            found.collect()
        };
        let (donors, teachers) = (sources(&trial.donors), sources(&trial.teachers));
        self.tell_running(trial.number, trial.hyper.clone());
        self.scheduler.begin(trial.number);
        self.running.insert(trial.number);
        self.later.remove(&trial.number);
        self.trials.insert(trial.clone());
        Ok(Task {
            trial,
            train,
            donors,
            teachers,
        })
    }

    /// The trials that teach a trial begun now: such as hear what it hears.
    fn teachers_now(&self, hyper: &HyperPoint) -> Vec<u64> {
        let teaching = self
            .spec
            .teaching
            .as_ref()
            .map(|teaching| &teaching.teacher);
        let Some(Teacher::BestTrials {
            n_trials,
            after_trials,
        }) = teaching
        else {
            return Vec::new();
        };
        if (self.trials.n_scored() as u64) < *after_trials {
            return Vec::new();
        }
        let best = self.trials.best();
        let best = best.filter(|trial| frontend_of(&trial.hyper) == frontend_of(hyper));
        best.take(*n_trials).map(|trial| trial.number).collect()
    }

    /// A running trial has trained so far.
    pub fn observe_curve(&mut self, number: u64, losses: &[f64]) -> Verdict {
        let n_seen = self.n_seen.entry(number).or_default();
        if losses.len() <= *n_seen {
            // What it had trained beyond that was lost with its last worker.
            *n_seen = losses.len().saturating_sub(1);
            self.scheduler.rewind(number, *n_seen);
        }
        let mut verdict = Verdict::GoOn;
        for loss in &losses[*n_seen..] {
            verdict = self.scheduler.observe(number, *loss);
        }
        *n_seen = losses.len();
        verdict
    }

    /// Learns from a result that was written down.
    pub fn record(&mut self, mut trial: Trial, end: TrialEnd) -> Result<Trial, StudyError> {
        let number = trial.number;
        trial.state = end.state;
        trial.curve = end.curve;
        trial.seconds = end.seconds;
        trial.n_inherited = end.n_inherited;
        trial.batch_size = end.batch_size;
        trial.artifacts = end.artifacts;
        match &trial.state {
            TrialState::Failed { .. } | TrialState::Infeasible { .. } | TrialState::Stopped => {
                self.scheduler.fail(number);
            }
            TrialState::Complete { .. } | TrialState::GivenUp { .. } => {
                self.scheduler.end(number);
            }
            TrialState::Queued | TrialState::Running | TrialState::Paused { .. } => {}
        }
        self.note(&trial);
        self.trials.insert(trial.clone());
        self.release(number)?;
        if let Some(failure) = trial.failure()
            && self.n_complete == 0
            && self.n_failed >= MAX_FAILURES
        {
            return Err(StudyError::AllFailed {
                n_failed: self.n_failed,
                reason: failure.reason.clone(),
            });
        }
        Ok(trial)
    }

    /// A trial does not run here any more: what the store said of it meanwhile counts, where it is newer.
    pub fn release(&mut self, number: u64) -> Result<(), StudyError> {
        self.running.remove(&number);
        let Some(later) = self.later.remove(&number) else {
            return Ok(());
        };
        let known = self.trials.get(&number);
        let is_newer = known.is_none_or(|known| {
            later.attempt > known.attempt || (known.state == TrialState::Running && later != *known)
        });
        match is_newer {
            true => self.absorb(Changes {
                trials: vec![later],
                mark: self.mark,
            }),
            false => Ok(()),
        }
    }
}

pub(super) fn losses(trial: &Trial) -> Vec<f64> {
    let curve = trial.curve.iter();
    curve.map(|point| point.validation_loss).collect()
}
