//! One small network taught by a packed ensemble, over the corpus of a recipe.

use auricle_datasets::Split;

use super::team::Team;
use super::{Run, RunError, Watch, pack, trained};
use crate::bundle::Bundle;
use crate::evaluate::Judgement;
use crate::model::{Combination, Cost, Genome, Network};
use crate::search::distil::{DistilSpec, Teacher};
use crate::search::full::{Guidance, Job, Member, train_in_full};
use crate::search::hyper::HyperPoint;

/// A student and how it does beside its teacher.
pub struct Distilled {
    pub bundle: Bundle,
    pub genome: Genome,
    pub cost: Cost,
    pub teacher_cost: Vec<Cost>,
    /// On the validation split.
    pub teacher_validation: Judgement,
    pub validation: Judgement,
    /// On the test split; `None` where the corpus has none.
    pub test: Option<Judgement>,
}

impl Run<'_> {
    /// The networks of a bundle as teachers over this corpus.
    ///
    /// # Errors
    ///
    /// Where its labels or its front-end are others than the recipe's.
    pub(super) fn networks_of(&self, bundle: &Bundle) -> Result<Vec<Network>, RunError> {
        if bundle.labels != self.corpus.labels() {
            return Err(RunError::OtherTeacher {
                what: "labels",
                found: bundle.labels.join(", "),
                expected: self.corpus.labels().join(", "),
            });
        }
        let frontend = self.corpus.frontend();
        if bundle.frontend != *frontend {
            return Err(RunError::OtherTeacher {
                what: "a front-end",
                found: bundle.frontend.fingerprint(),
                expected: frontend.fingerprint(),
            });
        }
        let ports = self.corpus.ports();
        let networks = bundle.members.iter();
        let load = |member: &crate::bundle::Member| {
            Network::load(&member.genome, &ports, &member.weights, self.plan.device)
        };
        Ok(networks.map(load).collect::<Result<_, _>>()?)
    }

    /// The networks of the bundle that the recipe's search is taught by; none where no bundle teaches it.
    pub(super) fn packed_teachers(&self) -> Result<Vec<Network>, RunError> {
        let teaching = self.plan.recipe.search.teaching.as_ref();
        match teaching.map(|teaching| &teaching.teacher) {
            Some(Teacher::Bundle { .. }) if !self.plan.recipe.other_frontends().is_empty() => {
                Err(RunError::OtherTeacher {
                    what: "front-ends",
                    found: "one, the bundle's".into(),
                    expected: "the same for all trials: leave `frontend` out of search.hyper.space"
                        .into(),
                })
            }
            Some(Teacher::Bundle { path }) => self.networks_of(&Bundle::load(path)?),
            Some(Teacher::BestTrials { .. }) | None => Ok(Vec::new()),
        }
    }

    /// Teaches a network of that genome, the smallest member's where there is none, by the bundle's averaged logits
    /// with the recipe's full training.
    pub fn distil(
        &self,
        teacher: &Bundle,
        genome: Option<&Genome>,
        distil: &DistilSpec,
        watch: &dyn Watch,
    ) -> Result<Distilled, RunError> {
        let networks = self.networks_of(teacher)?;
        let ports = self.corpus.ports();
        let cost = |genome: &Genome| Cost::of(genome, &ports);
        let members: Vec<Member> = teacher
            .members
            .iter()
            .map(|member| self.member_of(member))
            .collect();
        let smallest = teacher
            .members
            .iter()
            .map(|member| &member.genome)
            .min_by_key(|genome| cost(genome).n_params);
        let genome = genome.or(smallest).expect("a bundle has a member");
        watch.step("teach a student");
        let train = self.plan.recipe.ensemble.student_train();
        let folder = self.folder.join("distilled");
        let name = format!(
            "student-{}",
            super::short_hash(&(
                genome,
                distil,
                &train,
                members
                    .iter()
                    .map(|member| super::short_hash(&member.weights.to_bytes()))
                    .collect::<Vec<_>>(),
            ))
        );
        let job = Job {
            name,
            genome: genome.clone(),
            hyper: HyperPoint::default(),
            replica: 0,
            first: None,
        };
        let guidance = Guidance {
            teacher: Some((distil, &networks)),
            base: &[],
        };
        let ends = train_in_full(&[job], &train, guidance, &self.workshop(&folder, watch), 1)?;
        let mut done = trained(ends)?;
        let student = done.members.pop().ok_or_else(|| RunError::NoStudent {
            reason: done.failures.join("; "),
        })?;
        let alone = Combination::MeanProbabilities;
        let team = Team::of_bundle(teacher, members);
        let taught_by: Vec<&Member> = team.members.iter().collect();
        let judge = |members: &[&Member], combination, split| {
            self.judge(members, combination, split)
                .map(|judged| judged.judgement)
        };
        let has_test = !self.corpus.items(Split::Test).is_empty();
        let test = has_test.then(|| judge(&[&student], &alone, Split::Test));
        let test = test.transpose()?;
        Ok(Distilled {
            bundle: pack::student(self, &student, test.as_ref())?,
            genome: genome.clone(),
            cost: student.cost,
            teacher_cost: team.members.iter().map(|member| member.cost).collect(),
            teacher_validation: judge(&taught_by, &team.combination, Split::Validation)?,
            validation: judge(&[&student], &alone, Split::Validation)?,
            test,
        })
    }

    fn member_of(&self, member: &crate::bundle::Member) -> Member {
        Member {
            name: "teacher".into(),
            genome: member.genome.clone(),
            hyper: HyperPoint::default(),
            cost: Cost::of(&member.genome, &self.corpus.ports()),
            seed: 0,
            scores: crate::search::Scores {
                validation_loss: f64::NAN,
                validation_accuracy: f64::NAN,
            },
            curve: Vec::new(),
            seconds: 0.0,
            weights: member.weights.clone(),
        }
    }
}
