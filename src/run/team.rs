//! Who answers together: the ensemble by the recipe's method, and on request a student of it.

use auricle_datasets::Split;

use super::{Full, Run, RunError, Trained, Watch, trained};
use crate::bundle::Bundle;
use crate::model::{Combination, Mixture, Network};
use crate::search::Trial;
use crate::search::combine::{CombineSpec, MemberLogits, Predictions, best_candidate, combine};
use crate::search::ensemble::{Chosen, Draw, Method, Rounds, WarmStart, choose_greedily};
use crate::search::full::{Guidance, Job, Member, train_in_full};
use crate::search::study::ranking;
use crate::search::train_spec::TrainSpec;
use crate::search::worker::trial_name;

/// Members and the rule that makes one answer of theirs.
pub(super) struct Team {
    pub members: Vec<Member>,
    pub combination: Combination,
    /// What it was chosen from and how, for the report.
    pub story: String,
    /// Trainings for it that failed, and why.
    pub failures: Vec<String>,
}

impl Team {
    /// The members of a bundle by its own rule.
    pub(super) fn of_bundle(bundle: &Bundle, members: Vec<Member>) -> Self {
        let weights = bundle.members.iter().map(|member| member.weight);
        let combination = bundle.mixture.clone();
        Self {
            members,
            combination: combination.unwrap_or_else(|| Combination::WeightedProbabilities {
                weights: weights.collect(),
            }),
            story: String::new(),
            failures: Vec::new(),
        }
    }
}

impl Run<'_> {
    /// The ensemble by the recipe's method.
    pub(super) fn assemble(
        &self,
        trials: &[Trial],
        full: &Full,
        watch: &dyn Watch,
    ) -> Result<Team, RunError> {
        let spec = &self.plan.recipe.ensemble;
        let seed = self.plan.recipe.seed;
        match spec.method {
            Method::Replicas => self.replicas(full, watch),
            Method::Adaptive { rounds } => self.grow(full, rounds, watch),
            Method::Residual => self.boost(full, watch),
            Method::NonAdaptive {
                width,
                n_considered,
            } => {
                let library = self.library(trials, full, false, watch)?;
                let chosen = self
                    .draw(&library, &library.numbers(), width, n_considered)
                    .once()?;
                let story = format!("{width} trials drawn from the best {n_considered}");
                library.team(chosen, story)
            }
            Method::Intermixed {
                every,
                width,
                n_considered,
            } => {
                let library = self.library(trials, full, false, watch)?;
                let ranked = library.numbers();
                let draw = self.draw(&library, &ranked, width, n_considered);
                let chosen = draw.best_of_every(every)?;
                let story = format!(
                    "{width} trials drawn from the best {n_considered} after every {every} trials, the best draw"
                );
                library.team(chosen, story)
            }
            Method::Greedy { .. } => {
                let library = self.library(trials, full, true, watch)?;
                let greedy = spec.greedy().expect("the method is greedy");
                let chosen = choose_greedily(&library.predictions, &greedy, seed)?;
                let story = format!(
                    "greedy forward selection from {} trials and full trainings",
                    library.members.len()
                );
                library.team(Some(chosen), story)
            }
        }
    }

    fn draw<'a>(
        &'a self,
        library: &'a Library,
        ranked: &'a [u64],
        width: usize,
        n_considered: usize,
    ) -> Draw<'a> {
        let spec = &self.plan.recipe.ensemble;
        Draw {
            library: &library.predictions,
            ranked,
            width,
            n_considered,
            combine: &spec.combine,
            budget: &spec.budget,
            seed: self.plan.recipe.seed,
        }
    }

    /// The best architecture trained again from other seeds, as many as the budget admits.
    fn replicas(&self, full: &Full, watch: &dyn Watch) -> Result<Team, RunError> {
        let spec = &self.plan.recipe.ensemble;
        let cost = &full.chosen.cost;
        let within = |most: Option<u64>, one: u64| {
            most.map_or(usize::MAX, |most| (most / one.max(1)) as usize)
        };
        let n_members = spec
            .n_members
            .min(spec.budget.max_members.unwrap_or(usize::MAX))
            .min(within(spec.budget.max_params, cost.n_params))
            .min(within(
                spec.budget.max_macs_per_second,
                cost.macs_per_second,
            ))
            .max(1);
        let first = match (spec.warm_start, full.trial) {
            (WarmStart::Members, Some(number)) => self.trial_weights(number, watch)?,
            _ => None,
        };
        let jobs: Vec<Job> = (1..n_members as u64)
            .map(|replica| Job {
                name: format!("member-{replica}"),
                genome: full.chosen.genome.clone(),
                hyper: full.hyper.clone(),
                replica,
                first: first.clone(),
            })
            .collect();
        let train = &self.plan.recipe.ensemble.train;
        let more = self.train_jobs(&jobs, train, Guidance::default(), watch)?;
        let mut members = vec![full.chosen.clone()];
        members.extend(more.members);
        let library = self.library_of((0..).zip(members).collect())?;
        let numbers = library.numbers();
        let fitted = combine(&library.predictions, &numbers, &spec.combine)?;
        let chosen = Chosen {
            members: numbers,
            fitted,
        };
        let story = "the single model and the same architecture trained again from other seeds";
        Ok(Team {
            failures: more.failures,
            ..library.team(Some(chosen), story.into())?
        })
    }

    /// AdaNet's rounds: every finalist's architecture is trained anew, then the best candidate is kept.
    fn grow(&self, full: &Full, rounds: Rounds, watch: &dyn Watch) -> Result<Team, RunError> {
        let spec = &self.plan.recipe.ensemble;
        let strategies = rounds.strategies();
        let mut library = self.library_of(vec![(0, full.chosen.clone())])?;
        let mut present: Vec<u64> = vec![0];
        let mut failures = Vec::new();
        for round in 1..spec.n_members as u64 {
            let new = self.train_round(full, round, &[], watch)?;
            failures.extend(new.failures);
            let first = library.members.len() as u64;
            let mut pool = library.members;
            pool.extend((first..).zip(new.members));
            library = self.library_of(pool)?;
            let fresh: Vec<u64> = (first..library.members.len() as u64).collect();
            let choice = best_candidate(
                &library.predictions,
                &present,
                &fresh,
                &strategies,
                &spec.combine,
                &spec.budget,
                false,
            )?;
            match choice {
                Some(choice) if choice.members != present => present = choice.members,
                // Nothing new helps: neither would another round from the same beginning.
                _ => break,
            }
        }
        let fitted = combine(&library.predictions, &present, &spec.combine)?;
        let chosen = Chosen {
            members: present,
            fitted,
        };
        let story = "grown round by round from the finalists' architectures";
        Ok(Team {
            failures,
            ..library.team(Some(chosen), story.into())?
        })
    }

    /// The same by adding up logits: each member is trained on top of those before it.
    fn boost(&self, full: &Full, watch: &dyn Watch) -> Result<Team, RunError> {
        let spec = &self.plan.recipe.ensemble;
        let mut members = vec![full.chosen.clone()];
        let mut failures = Vec::new();
        for round in 1..spec.n_members as u64 {
            let base = members.iter().map(|member| self.network(member));
            let base = base.collect::<Result<Vec<_>, _>>()?;
            let new = self.train_round(full, round, &base, watch)?;
            failures.extend(new.failures);
            // Scored with the logits of the base added: its loss is the ensemble's.
            let best = new.members.into_iter().min_by(|a, b| {
                let loss = |member: &Member| member.scores.validation_loss;
                loss(a).total_cmp(&loss(b))
            });
            let now = members[members.len() - 1].scores.validation_loss;
            match best.filter(|best| best.scores.validation_loss < now) {
                Some(best) => members.push(best),
                None => break,
            }
            let library = self.library_of((0..).zip(members.clone()).collect())?;
            let together = library.predictions.members().iter();
            if !spec.budget.admits(together) {
                members.pop();
                break;
            }
        }
        let n_members = members.len();
        let combination = match spec.combine {
            CombineSpec::Learned(_) => {
                let library = self.library_of((0..).zip(members.clone()).collect())?;
                let numbers = library.numbers();
                combine(&library.predictions, &numbers, &spec.combine)?.combination
            }
            CombineSpec::MeanProbabilities | CombineSpec::MeanLogits => {
                Combination::WeightedLogits {
                    mixture: Mixture::Scalar(vec![1.0; n_members]),
                    bias: Vec::new(),
                }
            }
        };
        Ok(Team {
            members,
            combination,
            story:
                "grown round by round, each member trained on what the ensemble before it left over"
                    .into(),
            failures,
        })
    }

    /// Every finalist's architecture, trained once more.
    fn train_round(
        &self,
        full: &Full,
        round: u64,
        base: &[Network],
        watch: &dyn Watch,
    ) -> Result<Trained, RunError> {
        let jobs: Vec<Job> = full
            .finalists
            .iter()
            .filter(|trial| full.hears_as(&trial.hyper))
            .map(|trial| Job {
                name: format!("round-{round}-{:05}", trial.number),
                genome: trial.genome.clone(),
                hyper: trial.hyper.clone(),
                replica: round,
                first: None,
            })
            .collect();
        let guidance = Guidance {
            teacher: None,
            base,
        };
        self.train_jobs(&jobs, &self.plan.recipe.ensemble.train, guidance, watch)
    }

    /// A network taught by the ensemble, where the recipe asks for one.
    pub(super) fn teach(
        &self,
        full: &Full,
        team: &Team,
        watch: &dyn Watch,
    ) -> Result<Option<Member>, RunError> {
        let Some(student) = &self.plan.recipe.ensemble.student else {
            return Ok(None);
        };
        watch.step("teach a student");
        let teachers: Vec<Network> = team
            .members
            .iter()
            .map(|member| self.network(member))
            .collect::<Result<_, _>>()?;
        let warm_start = self.plan.recipe.ensemble.warm_start;
        let is_warm = student.genome.is_none() && warm_start == WarmStart::Members;
        let job = Job {
            name: "student".into(),
            genome: student
                .genome
                .clone()
                .unwrap_or_else(|| full.chosen.genome.clone()),
            hyper: full.hyper.clone(),
            replica: 0,
            first: is_warm.then(|| full.chosen.weights.clone()),
        };
        let guidance = Guidance {
            teacher: Some((&student.distil, &teachers)),
            base: &[],
        };
        let Trained {
            mut members,
            failures,
        } = self.train_jobs(
            &[job],
            &self.plan.recipe.ensemble.student_train(),
            guidance,
            watch,
        )?;
        match members.pop() {
            Some(member) => Ok(Some(member)),
            None => Err(RunError::NoStudent {
                reason: failures.join("; "),
            }),
        }
    }

    fn train_jobs(
        &self,
        jobs: &[Job],
        spec: &TrainSpec,
        guidance: Guidance,
        watch: &dyn Watch,
    ) -> Result<Trained, RunError> {
        let folder = self.folder.join("full");
        let workshop = self.workshop(&folder, watch);
        trained(train_in_full(
            jobs,
            spec,
            guidance,
            &workshop,
            self.plan.n_workers,
        )?)
    }

    /// A trained network, on the run's device.
    pub(super) fn network(&self, member: &Member) -> Result<Network, RunError> {
        let ports = self.corpus.behind(&member.hyper).ports();
        let (genome, weights) = (&member.genome, &member.weights);
        Ok(Network::load(genome, &ports, weights, self.plan.device)?)
    }

    /// Trials whose weights are still there, best first, and then on request the full trainings: all that hear through the
    /// same front-end as the chosen one.
    fn library(
        &self,
        trials: &[Trial],
        full: &Full,
        with_full: bool,
        watch: &dyn Watch,
    ) -> Result<Library, RunError> {
        let folder = self.folder.join("trials");
        let workshop = self.workshop(&folder, watch);
        let mut members: Vec<(u64, Member)> = Vec::new();
        for trial in ranking(trials) {
            if !full.hears_as(&trial.hyper) {
                continue;
            }
            let Some(weights) = workshop.weights_of(trial.number, &trial.artifacts)? else {
                continue;
            };
            let member = Member {
                seed: workshop.seed_for(&format!("trial {}", trial.number)),
                weights,
                name: trial_name(trial.number),
                genome: trial.genome.clone(),
                hyper: trial.hyper.clone(),
                cost: trial.cost,
                scores: *trial.scores().expect("a ranked trial has scores"),
                curve: trial.curve.clone(),
                seconds: trial.seconds,
            };
            members.push((trial.number, member));
        }
        let first = trials
            .iter()
            .map(|trial| trial.number + 1)
            .max()
            .unwrap_or(0);
        let trained = full.trained.iter().filter(|_| with_full);
        let trained = trained.filter(|member| full.hears_as(&member.hyper));
        members.extend((first..).zip(trained.cloned()));
        self.library_of(members)
    }

    /// What each says of the validation split.
    fn library_of(&self, members: Vec<(u64, Member)>) -> Result<Library, RunError> {
        let items = self.corpus.items(Split::Validation);
        let logits = members.iter().map(|(number, member)| {
            Ok(MemberLogits {
                number: *number,
                depth: member.genome.blocks.len(),
                n_params: member.cost.n_params,
                macs_per_second: member.cost.macs_per_second,
                logits: self.logits(member, Split::Validation)?,
            })
        });
        let logits = logits.collect::<Result<Vec<_>, RunError>>()?;
        let labels = items.iter().map(|&item| self.corpus.class(item)).collect();
        Ok(Library {
            predictions: Predictions::new(self.corpus.labels().len(), labels, logits)?,
            members,
        })
    }
}

/// Trained networks and what they say of the validation split.
#[derive(Clone)]
struct Library {
    /// Each beside its number.
    members: Vec<(u64, Member)>,
    predictions: Predictions,
}

impl Library {
    fn numbers(&self) -> Vec<u64> {
        self.members.iter().map(|(number, _)| *number).collect()
    }

    fn team(self, chosen: Option<Chosen>, story: String) -> Result<Team, RunError> {
        let chosen = chosen.ok_or_else(|| RunError::NoEnsemble {
            reason: format!("{story}: nothing fits the budget"),
        })?;
        let members = chosen.members.iter();
        Ok(Team {
            members: members
                .filter_map(|number| self.members.iter().find(|(own, _)| own == number))
                .map(|(_, member)| member.clone())
                .collect(),
            combination: chosen.fitted.combination,
            story,
            failures: Vec::new(),
        })
    }
}
