//! A finished run as the plain data of its report.

use std::collections::{BTreeMap, BTreeSet};

use auricle_datasets::Split;

use super::judge::{Judged, bootstrap};
use super::team::Team;
use super::{Full, Run, RunError};
use crate::evaluate::report::{
    Budget, ClassCount, CorpusSummary, CostSummary, EpochPoint, MemberSummary, RejectSummary,
    Report, Spent, SplitSummary, System, TrialStatus, TrialSummary,
};
use crate::evaluate::{Judgement, Measured, Paired};
use crate::model::{Combination, Cost, Mixture};
use crate::recipe::Baseline;
use crate::search::full::Member;
use crate::search::{Trial, TrialState};

impl Run<'_> {
    /// Judges everything on validation and, once, on test.
    pub(super) fn report(
        &self,
        trials: &[Trial],
        full: &Full,
        team: &Team,
        student: Option<&Member>,
    ) -> Result<Report, RunError> {
        let recipe = self.plan.recipe;
        let alone = Combination::MeanProbabilities;
        let judge_one = |member: &Member, split| self.judge(&[member], &alone, split);
        let system = |name: &str, member: &Member, test: Judgement| -> Result<System, RunError> {
            Ok(System {
                name: name.into(),
                genome: member.genome.to_string(),
                trial: None,
                cost: self.cost_summary(&[&member.cost]),
                members: Vec::new(),
                validation: Measured::Value(judge_one(member, Split::Validation)?.judgement),
                test: Measured::Value(test),
            })
        };
        let other = |name: &str, member: &Member| {
            let test = judge_one(member, Split::Test)?.judgement;
            system(name, member, test)
        };
        let single_test = judge_one(&full.chosen, Split::Test)?;
        let single = System {
            trial: full.trial,
            ..system(
                "searched, single",
                &full.chosen,
                single_test.judgement.clone(),
            )?
        };
        let members: Vec<&Member> = team.members.iter().collect();
        let judge = |split| self.judge(&members, &team.combination, split);
        let ensemble_test = judge(Split::Test)?;
        let ensemble = if members.len() > 1 {
            let costs: Vec<_> = members.iter().map(|member| &member.cost).collect();
            Measured::Value(System {
                name: format!("ensemble of {}", members.len()),
                genome: genomes_of(&members),
                trial: full.trial,
                cost: self.cost_summary(&costs),
                members: (0..members.len())
                    .map(|at| member_summary(members[at], &team.combination, at))
                    .collect(),
                validation: Measured::Value(judge(Split::Validation)?.judgement),
                test: Measured::Value(ensemble_test.judgement.clone()),
            })
        } else {
            Measured::missing("the recipe asks for one member, or no more would help")
        };
        let student = student.map(|student| other("student of the ensemble", student));
        let baselines = full
            .baselines
            .iter()
            .map(|member| other(Baseline::of_file_stem(&member.name), member))
            .chain(student)
            .collect::<Result<_, _>>()?;
        Ok(Report {
            title: recipe.title.clone(),
            fingerprint: self.fingerprint.clone(),
            created: self.plan.today.into(),
            device: self.plan.device_name.into(),
            seed: recipe.seed,
            corpus: self.corpus_summary(),
            protocol: self.protocol(full, team),
            trials: trials
                .iter()
                .map(|trial| trial_summary(trial, full))
                .collect(),
            single: Measured::Value(single),
            ensemble_gain: self.gain(&single_test, &ensemble_test)?,
            ensemble,
            baselines,
            budget: self.budget(trials, full, &team.members),
            environment: BTreeMap::from([
                (
                    "program".to_owned(),
                    format!("auricle {}", env!("CARGO_PKG_VERSION")),
                ),
                (
                    "system".to_owned(),
                    format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
                ),
                (
                    "trainings at a time".to_owned(),
                    self.plan.n_workers.to_string(),
                ),
            ]),
        })
    }

    fn gain(
        &self,
        single: &Judged,
        ensemble: &Judged,
    ) -> Result<Measured<crate::evaluate::Interval>, RunError> {
        let paired = Paired::of(
            &single.scores,
            &ensemble.scores,
            single.speakers.as_deref(),
            bootstrap(self.plan.recipe.seed),
        )?;
        Ok(paired.gain_interval_by_speaker)
    }

    fn cost_summary(&self, costs: &[&Cost]) -> CostSummary {
        let frame_ms = 1e6 / self.corpus.ports().frames_per_1000_s as f64;
        let window_ms = self.plan.recipe.frontend().map_or(0.0, |f| {
            1000.0 * f.window_samples as f64 / f64::from(f.sample_rate_hz)
        });
        let longest = costs
            .iter()
            .map(|cost| cost.receptive_field_frames)
            .try_fold(0, |longest, frames| Some(longest.max(frames?)));
        let latency = costs
            .iter()
            .map(|cost| cost.latency_frames)
            .max()
            .unwrap_or(0);
        CostSummary {
            n_params: costs.iter().map(|cost| cost.n_params).sum(),
            macs_per_second: costs.iter().map(|cost| cost.macs_per_second).sum(),
            receptive_field_ms: match longest {
                Some(frames) => Measured::from((frames - 1) as f64 * frame_ms + window_ms),
                None => Measured::missing("a recurrent block remembers without end"),
            },
            latency_ms: Measured::from(latency as f64 * frame_ms + window_ms),
            state_bytes: costs.iter().map(|cost| cost.state_bytes).sum(),
        }
    }

    fn corpus_summary(&self) -> CorpusSummary {
        let splits = [
            ("train", Split::Train),
            ("validation", Split::Validation),
            ("test", Split::Test),
        ];
        let summary = |(name, split): (&str, Split)| {
            let items = self.corpus.items(split);
            let people: BTreeSet<&str> = items
                .iter()
                .filter_map(|&item| self.corpus.utterance(item).speaker.as_deref())
                .collect();
            let count = |class: usize| {
                items
                    .iter()
                    .filter(|&&item| self.corpus.class(item) == class)
                    .count()
            };
            SplitSummary {
                name: name.into(),
                n_utterances: items.len() as u64,
                n_speakers: if people.is_empty() {
                    Measured::missing("the corpus names no speakers")
                } else {
                    Measured::Value(people.len() as u64)
                },
                per_class: self
                    .corpus
                    .labels()
                    .iter()
                    .enumerate()
                    .map(|(class, label)| ClassCount {
                        label: label.clone(),
                        n_utterances: count(class) as u64,
                    })
                    .collect(),
            }
        };
        CorpusSummary {
            name: self.plan.source.file_name().map_or_else(
                || "corpus".into(),
                |name| name.to_string_lossy().into_owned(),
            ),
            splits: splits.into_iter().map(summary).collect(),
            rejects: self
                .ingested
                .rejects_by_reason
                .iter()
                .map(|(reason, &n)| RejectSummary {
                    reason: reason.to_string(),
                    n_files: n as u64,
                })
                .collect(),
        }
    }

    fn protocol(&self, full: &Full, team: &Team) -> Vec<String> {
        let synthetic = self.corpus.utterances().iter().any(|u| u.synthetic);
        let mut protocol = vec![
            "The train split was learnt from; trials, epochs, finalists and members were chosen on the \
             validation split; the test split was judged once, after everything was chosen."
                .to_owned(),
            format!(
                "The best {} genomes of the search, of every line of descent the best first, were trained in full \
                 from fresh weights; the best of them by validation loss is the single model.",
                full.finalists.len()
            ),
            format!(
                "The ensemble: {}; {}.",
                team.story,
                combined(&team.combination)
            ),
        ];
        if synthetic {
            protocol.push(
                "The clips, test clips included, were spoken by a speech synthesiser: these numbers say \
                 nothing of people."
                    .to_owned(),
            );
        }
        let failures = full.failures.iter().chain(&team.failures);
        protocol.extend(failures.map(|failure| format!("Not trained: {failure}.")));
        protocol
    }

    fn budget(&self, trials: &[Trial], full: &Full, members: &[Member]) -> Budget {
        let recipe = self.plan.recipe;
        let (budget, limits) = (&recipe.search.budget, &recipe.space.limits);
        let mut sentences = Vec::new();
        sentences.extend(budget.n_trials.map(|n| format!("{n} trials")));
        sentences.extend(
            budget
                .minutes
                .map(|minutes| format!("{minutes} minutes of search")),
        );
        for (range, what) in [
            (limits.n_params, "parameters"),
            (limits.macs_per_second, "multiply-accumulates a second"),
            (limits.receptive_field_frames, "frames of receptive field"),
            (limits.latency_frames, "frames of latency"),
            (limits.state_bytes, "bytes of state"),
        ] {
            sentences.extend(range.map(|[low, high]| format!("{low} to {high} {what}")));
        }
        // The sum of nothing is -0.0 in floating point.
        let spent = |what: &str, seconds: f64| Spent {
            what: what.into(),
            seconds: Measured::from(seconds + 0.0),
        };
        Budget {
            limits: sentences,
            spent: vec![
                spent(
                    "training trials, all workers",
                    trials.iter().map(|t| t.seconds).sum(),
                ),
                spent(
                    "training the members",
                    members.iter().map(|m| m.seconds).sum(),
                ),
                spent(
                    "training baselines",
                    full.baselines.iter().map(|m| m.seconds).sum(),
                ),
            ],
        }
    }
}

fn combined(combination: &Combination) -> &'static str {
    match combination {
        Combination::MeanProbabilities => "probabilities are averaged evenly",
        Combination::MeanLogits => "logits are averaged evenly",
        Combination::WeightedProbabilities { .. } => "probabilities are averaged by weight",
        Combination::WeightedLogits { .. } => "logits are added up by weight",
    }
}

/// `3 x GENOME`, or each genome once.
fn genomes_of(members: &[&Member]) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for member in members {
        let genome = member.genome.to_string();
        match counts.iter_mut().find(|(known, _)| *known == genome) {
            Some((_, n)) => *n += 1,
            None => counts.push((genome, 1)),
        }
    }
    let parts = counts.iter().map(|(genome, n)| format!("{n} x {genome}"));
    parts.collect::<Vec<_>>().join(" + ")
}

/// `at`: the member's place in the ensemble.
fn member_summary(member: &Member, combination: &Combination, at: usize) -> MemberSummary {
    MemberSummary {
        name: member.name.clone(),
        genome: member.genome.to_string(),
        seed: member.seed,
        weight: match combination {
            Combination::WeightedProbabilities { weights } => f64::from(weights[at]),
            Combination::WeightedLogits {
                mixture: Mixture::Scalar(weights),
                ..
            } => f64::from(weights[at]),
            _ => 1.0,
        },
        n_params: member.cost.n_params,
        validation_accuracy: Measured::from(member.scores.validation_accuracy),
    }
}

fn trial_summary(trial: &Trial, full: &Full) -> TrialSummary {
    let (status, missing) = match &trial.state {
        TrialState::Complete { .. } => (TrialStatus::Completed, ""),
        TrialState::Paused { .. } => (
            TrialStatus::Stopped {
                reason: "not promoted".into(),
            },
            "",
        ),
        TrialState::GivenUp { .. } => (
            TrialStatus::Stopped {
                reason: "given up: it could no longer win".into(),
            },
            "",
        ),
        TrialState::Failed { failure } | TrialState::Infeasible { failure } => (
            TrialStatus::Failed {
                reason: format!("{}: {}", failure.kind.name(), failure.reason),
            },
            "the trial failed",
        ),
        TrialState::Stopped => (
            TrialStatus::Stopped {
                reason: "stopped by hand".into(),
            },
            "the trial was stopped",
        ),
        TrialState::Running | TrialState::Queued => (
            TrialStatus::Stopped {
                reason: "still running when the budget was spent".into(),
            },
            "the trial did not end",
        ),
    };
    let score = |value: Option<f64>| match value {
        Some(value) => Measured::from(value),
        None => Measured::missing(missing),
    };
    let scores = trial.scores();
    TrialSummary {
        number: trial.number,
        genome: trial.genome.to_string(),
        n_params: trial.cost.n_params,
        macs_per_second: trial.cost.macs_per_second,
        validation_accuracy: score(scores.map(|scores| scores.validation_accuracy)),
        validation_loss: score(scores.map(|scores| scores.validation_loss)),
        seconds: Measured::from(trial.seconds),
        status,
        parent: trial.parent,
        fate: if full.trial == Some(trial.number) {
            "chosen".into()
        } else if full.finalists.iter().any(|it| it.number == trial.number) {
            "finalist".into()
        } else {
            "dropped".into()
        },
        curve: trial
            .curve
            .iter()
            .map(|point| EpochPoint {
                epoch: point.epoch as u64,
                train_loss: Measured::from(point.train_loss),
                validation_loss: Measured::from(point.validation_loss),
                validation_accuracy: Measured::from(point.validation_accuracy),
            })
            .collect(),
    }
}
