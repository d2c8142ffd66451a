//! What the workers of a study share: who has which trial, what comes next, and what came of it.
//!
//! All of it follows from the stored trials, told again in the order of their numbers.

use std::collections::{BTreeMap, HashMap, HashSet};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{Ending, StudyError, StudySpec};
use crate::model::{Cost, Genome};
use crate::search::controllers::{Controller, Observation};
use crate::search::distil::Teacher;
use crate::search::fidelity::{CurveState, Next, Scheduler, TrialCurve, Verdict};
use crate::search::hyper::{HyperObservation, HyperOutcome, HyperPoint, HyperSearch};
use crate::search::sharing::{Finished, donors_wanted};
use crate::search::space::{Space, SpaceSpec};
use crate::search::store::{NewTrial, StudyStore, TrialEnd};
use crate::search::train_spec::TrainSpec;
use crate::search::trial::{Failure, FailureKind, Trial, TrialState};
use crate::search::worker::{ArtefactError, Workshop, seed_for};

/// Failed trials without a single complete one after which a search gives up.
const MAX_FAILURES: usize = 12;

/// A trial for a worker.
pub(super) struct Task {
    pub trial: Trial,
    pub train: TrainSpec,
    /// Trials whose weights it begins with, and their losses.
    pub donors: Vec<(u64, Genome, f64)>,
    /// Trials that teach it.
    pub teachers: Vec<(u64, Genome)>,
}

pub(super) struct Desk<'a> {
    pub(super) spec: &'a StudySpec,
    pub(super) workshop: &'a Workshop<'a>,
    space: Space,
    max_depth: usize,
    controller: Box<dyn Controller>,
    hyper: Option<HyperSearch>,
    pub(super) scheduler: Scheduler,
    /// What is known of every trial, the running ones as they were begun.
    pub(super) trials: BTreeMap<u64, Trial>,
    known: HashSet<String>,
    /// Epochs of each trial that the scheduler has seen.
    n_seen: HashMap<u64, usize>,
    orphans: Vec<u64>,
    running: HashSet<u64>,
    n_complete: usize,
    n_failed: usize,
    ending: Option<Ending>,
    fault: Option<StudyError>,
}

impl<'a> Desk<'a> {
    pub fn new(
        spec: &'a StudySpec,
        space_spec: &SpaceSpec,
        workshop: &'a Workshop<'a>,
        trials: Vec<Trial>,
    ) -> Result<Self, StudyError> {
        spec.validate(space_spec)?;
        let space = space_spec.compile()?;
        let curves = trials.iter().map(|trial| TrialCurve {
            number: trial.number,
            losses: losses(trial),
            state: match trial.state {
                TrialState::Running => CurveState::Running,
                TrialState::Paused { .. } => CurveState::Paused,
                TrialState::GivenUp { .. } | TrialState::Complete { .. } => CurveState::Ended,
                TrialState::Failed { .. } => CurveState::Failed,
            },
        });
        let scheduler = Scheduler::replay(&spec.fidelity, spec.train.n_epochs, curves)?;
        let hyper = spec.hyper.as_ref().map(|hyper| hyper.build()).transpose()?;
        let mut desk = Self {
            controller: spec.controller.build(space.domain())?,
            max_depth: space_spec.depth[1].max(1),
            spec,
            workshop,
            space,
            hyper,
            scheduler,
            trials: BTreeMap::new(),
            known: HashSet::new(),
            n_seen: HashMap::new(),
            orphans: Vec::new(),
            running: HashSet::new(),
            n_complete: 0,
            n_failed: 0,
            ending: None,
            fault: None,
        };
        for trial in trials {
            desk.known.insert(trial.genome.hash_hex());
            desk.n_seen.insert(trial.number, trial.curve.len());
            if trial.state == TrialState::Running {
                desk.orphans.push(trial.number);
            }
            desk.learn(&trial);
            desk.trials.insert(trial.number, trial);
        }
        desk.orphans.reverse(); // taken from the end, the lowest number first
        Ok(desk)
    }

    pub fn is_over(&self) -> bool {
        self.ending.is_some() || self.fault.is_some()
    }

    pub fn end(&mut self, ending: Ending) {
        self.ending = Some(ending);
    }

    pub fn fail(&mut self, fault: StudyError) {
        self.fault = Some(fault);
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

    /// What a free worker does: an orphan of an earlier sitting, a promotion, a new trial. `None` where there is
    /// nothing to begin. It is written down before it runs.
    pub fn next_task(&mut self, store: &dyn StudyStore) -> Result<Option<Task>, StudyError> {
        loop {
            if let Some(number) = self.orphans.pop() {
                return self.take(store.take_over(number)?).map(Some);
            }
            if let Next::Promote { number, .. } = self.scheduler.next() {
                let trial = store.resume(number)?;
                self.scheduler.promote(number);
                return self.take(trial).map(Some);
            }
            let number = self.next_number();
            let n_trials = self.spec.budget.n_trials;
            if n_trials.is_some_and(|n_trials| number >= n_trials) {
                return Ok(None);
            }
            if let Some(task) = self.begin(number, store)? {
                return Ok(Some(task));
            }
        }
    }

    fn next_number(&self) -> u64 {
        self.trials.keys().next_back().map_or(0, |last| last + 1)
    }

    /// A new trial; `None` where it failed before it ran.
    fn begin(&mut self, number: u64, store: &dyn StudyStore) -> Result<Option<Task>, StudyError> {
        let purpose = |what: &str| seed_for(self.workshop.seed, &format!("{what} {number}"));
        let mut rng = ChaCha8Rng::seed_from_u64(purpose("proposal"));
        let mut hyper_rng = ChaCha8Rng::seed_from_u64(purpose("settings"));
        let ports = self.workshop.corpus.ports();
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
        let hyper = match &mut self.hyper {
            Some(hyper) => hyper.ask(number, &mut hyper_rng),
            None => HyperPoint::default(),
        };
        let train = self.spec.train_for(&genome, &hyper, self.max_depth)?;
        let cost = Cost::of(&genome, &ports);
        let hash = genome.hash_hex();
        let is_new = self.known.insert(hash.clone());
        let key = if is_new && !self.spec.repeats {
            hash
        } else {
            format!("{hash}-{number}")
        };
        let finished: Vec<Finished> = self
            .trials
            .values()
            .filter_map(|trial| {
                Some(Finished {
                    number: trial.number,
                    genome: &trial.genome,
                    loss: trial.scores()?.validation_loss,
                })
            })
            .collect();
        let donors = donors_wanted(&self.spec.sharing, &genome, &ports, &finished, parent);
        let teachers = self.teachers_now();
        let trial = store.begin(&NewTrial {
            number,
            key,
            parent,
            genome,
            hyper,
            cost,
            donors,
            teachers,
            batch_size: train.batch_size,
        })?;
        self.scheduler.begin(number);
        if is_suggested && !self.space.limits().admit(&cost) {
            let failure = Failure {
                kind: FailureKind::OverBudget,
                reason: "a suggestion beyond the limits of the space".into(),
                trace: None,
            };
            let end = TrialEnd {
                number,
                attempt: trial.attempt,
                state: TrialState::Failed { failure },
                curve: Vec::new(),
                seconds: 0.0,
                n_inherited: 0,
                batch_size: trial.batch_size,
            };
            self.running.insert(number);
            self.trials.insert(number, trial.clone());
            if let Some(trial) = self.record(trial, Ok(Some(end)), store)? {
                self.workshop.watch.trial(&trial);
            }
            return Ok(None);
        }
        self.take(trial).map(Some)
    }

    /// Hands a running trial over to a worker.
    fn take(&mut self, trial: Trial) -> Result<Task, StudyError> {
        let train = self
            .spec
            .train_for(&trial.genome, &trial.hyper, self.max_depth)?;
        let donors = trial.donors.iter().filter_map(|number| {
            let donor = self.trials.get(number)?;
            Some((
                *number,
                donor.genome.clone(),
                donor.scores()?.validation_loss,
            ))
        });
        let donors = donors.collect();
        let teachers = trial.teachers.iter();
        let teachers = teachers.filter_map(|n| Some((*n, self.trials.get(n)?.genome.clone())));
        let teachers = teachers.collect();
        if let Some(hyper) = &mut self.hyper {
            hyper.tell(&HyperObservation {
                number: trial.number,
                point: trial.hyper.clone(),
                outcome: HyperOutcome::Running,
            });
        }
        self.running.insert(trial.number);
        self.trials.insert(trial.number, trial.clone());
        Ok(Task {
            trial,
            train,
            donors,
            teachers,
        })
    }

    /// The trials that teach a trial begun now.
    fn teachers_now(&self) -> Vec<u64> {
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
        let scored = self.trials.values();
        let mut scored: Vec<(f64, u64)> = scored
            .filter_map(|trial| Some((trial.scores()?.validation_loss, trial.number)))
            .collect();
        if (scored.len() as u64) < *after_trials {
            return Vec::new();
        }
        scored.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        scored
            .iter()
            .take(*n_trials)
            .map(|(_, number)| *number)
            .collect()
    }

    /// A running trial has trained so far.
    pub fn observe_curve(&mut self, number: u64, losses: &[f64]) -> Verdict {
        let n_seen = self.n_seen.entry(number).or_default();
        let mut verdict = Verdict::GoOn;
        for loss in &losses[(*n_seen).min(losses.len())..] {
            verdict = self.scheduler.observe(number, *loss);
        }
        *n_seen = losses.len();
        verdict
    }

    /// Writes a result down and learns from it; `None` where the trial was stopped.
    pub fn record(
        &mut self,
        mut trial: Trial,
        result: Result<Option<TrialEnd>, ArtefactError>,
        store: &dyn StudyStore,
    ) -> Result<Option<Trial>, StudyError> {
        self.running.remove(&trial.number);
        let Some(end) = result? else {
            return Ok(None);
        };
        store.finish(&end)?;
        trial.state = end.state;
        trial.curve = end.curve;
        trial.seconds = end.seconds;
        trial.n_inherited = end.n_inherited;
        trial.batch_size = end.batch_size;
        match &trial.state {
            TrialState::Failed { .. } => self.scheduler.fail(trial.number),
            TrialState::Complete { .. } | TrialState::GivenUp { .. } => {
                self.scheduler.end(trial.number);
            }
            TrialState::Running | TrialState::Paused { .. } => {}
        }
        let was_told = self.is_told(&self.trials[&trial.number]);
        if !was_told {
            self.learn(&trial);
        }
        self.trials.insert(trial.number, trial.clone());
        if let TrialState::Failed { failure } = &trial.state
            && self.n_complete == 0
            && self.n_failed >= MAX_FAILURES
        {
            return Err(StudyError::AllFailed {
                n_failed: self.n_failed,
                reason: failure.reason.clone(),
            });
        }
        Ok(Some(trial))
    }

    /// Epochs after which a trial is told: its first stop, where all trials compare.
    fn first_stop(&self, number: u64) -> usize {
        let fresh = self.spec.fidelity.scheduler(self.spec.train.n_epochs);
        fresh.map_or(usize::MAX, |mut fresh| fresh.begin(number))
    }

    fn is_told(&self, trial: &Trial) -> bool {
        trial.state != TrialState::Running || trial.curve.len() >= self.first_stop(trial.number)
    }

    /// Tells controller and oracle of a trial that has come to its first stop: once, with the loss that it had
    /// there, so that losses compare and a study that goes on is told what it was told before.
    fn learn(&mut self, trial: &Trial) {
        if !self.is_told(trial) {
            return;
        }
        let first_stop = self.first_stop(trial.number);
        let has_failed = trial.failure().is_some() && trial.curve.len() < first_stop;
        let loss = match has_failed {
            true => None,
            false => losses(trial)
                .into_iter()
                .take(first_stop)
                .filter(|loss| loss.is_finite())
                .min_by(f64::total_cmp),
        };
        match loss {
            Some(_) => self.n_complete += 1,
            None => self.n_failed += 1,
        }
        if let Some(point) = self.space.point(&trial.genome) {
            self.controller.tell(&Observation {
                number: trial.number,
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
                number: trial.number,
                point: trial.hyper.clone(),
                outcome: loss.map_or(HyperOutcome::Failed, HyperOutcome::Loss),
            });
        }
    }
}

fn losses(trial: &Trial) -> Vec<f64> {
    let curve = trial.curve.iter();
    curve.map(|point| point.validation_loss).collect()
}
