//! From finished trainings to an ensemble: which members, and how their answers are combined.
//!
//! Model Search's own (Mazzawi et al. 2019, algorithm 3: the best architecture trained p times), the non-adaptive and
//! intermixed draws of its code, AdaNet's adaptive and residual growth (Cortes et al. 2017), and greedy selection
//! (Caruana et al. 2004). Everything is chosen on the validation split; nothing here trains or reads files.

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::combine::{
    BagSpec, CandidateStrategy, CombineError, CombineSpec, EnsembleBudget, Fitted, GreedySpec,
    Predictions, combine, select,
};
use super::distil::DistilSpec;
use super::train_spec::TrainSpec;
use crate::model::Genome;

/// What follows a search, as a recipe writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnsembleSpec {
    /// Best genomes of the search that are trained in full.
    pub n_finalists: usize,
    /// Most members.
    pub n_members: usize,
    /// The full training.
    pub train: TrainSpec,
    #[serde(default, skip_serializing_if = "WarmStart::is_none")]
    pub warm_start: WarmStart,
    #[serde(default = "replicas", skip_serializing_if = "Method::is_replicas")]
    pub method: Method,
    #[serde(default = "mean", skip_serializing_if = "is_mean")]
    pub combine: CombineSpec,
    /// Bounds on the ensemble as a whole.
    #[serde(default = "EnsembleBudget::none")]
    pub budget: EnsembleBudget,
    /// A small network taught by the ensemble.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub student: Option<StudentSpec>,
}

/// Which full trainings go on from the weights of the trial that found their genome, with a schedule of their own
/// (a warm restart, Loshchilov & Hutter 2017). With shared weights a trial has learned from all its ancestors' epochs,
/// which a fresh training forgets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarmStart {
    #[default]
    None,
    /// The finalists; replicas begin fresh.
    Finalists,
    /// Also replicas, which differ by the order of clips and by augmentation only, and a student of the chosen
    /// finalist's genome, which begins as that finalist ended.
    Members,
}

impl WarmStart {
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// A network that learns from the ensemble.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudentSpec {
    /// Left out: the chosen finalist's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genome: Option<Genome>,
    /// Epochs of its training, which is otherwise the members'; left out: as many as theirs. A teacher is worth
    /// patience (Beyer et al. 2021).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_epochs: Option<usize>,
    pub distil: DistilSpec,
}

/// Who the members are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Method {
    /// The best finalist trained again from other seeds.
    Replicas,
    /// Trials drawn at random from the best ones, as they were trained in the search.
    NonAdaptive { width: usize, n_considered: usize },
    /// The same after every so many trials, from the trials up to then; the best such draw.
    Intermixed {
        every: u64,
        width: usize,
        n_considered: usize,
    },
    /// One after another: each finalist is trained anew, and the one that helps the ensemble so far most stays.
    Adaptive { rounds: Rounds },
    /// The same by growing alone, each trained on what the ensemble so far leaves over: logits are added up.
    Residual,
    /// Forward selection from all trials and all full trainings.
    Greedy {
        n_rounds: usize,
        n_initial: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bags: Option<BagSpec>,
    },
}

/// How an ensemble grows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rounds {
    pub grow: bool,
    pub solo: bool,
    pub all: bool,
}

impl Rounds {
    /// The strategies that are on.
    pub fn strategies(&self) -> Vec<CandidateStrategy> {
        let all = [
            (self.grow, CandidateStrategy::Grow),
            (self.solo, CandidateStrategy::Solo),
            (self.all, CandidateStrategy::All),
        ];
        let on = all.into_iter().filter(|(is_on, _)| *is_on);
        on.map(|(_, strategy)| strategy).collect()
    }
}

impl Method {
    fn is_replicas(&self) -> bool {
        *self == Self::Replicas
    }
}

fn replicas() -> Method {
    Method::Replicas
}

fn mean() -> CombineSpec {
    CombineSpec::MeanProbabilities
}

fn is_mean(spec: &CombineSpec) -> bool {
    *spec == CombineSpec::MeanProbabilities
}

/// Members by their numbers in a library of predictions, heaviest or earliest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    pub members: Vec<u64>,
    pub fitted: Fitted,
}

impl EnsembleSpec {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        self.train.validate().map_err(|error| error.to_string())?;
        self.combine.validate().map_err(|error| error.to_string())?;
        for (field, found) in [
            ("n_finalists", self.n_finalists),
            ("n_members", self.n_members),
        ] {
            if !(1..=64).contains(&found) {
                return Err(format!("{field}: found {found}, expected 1 to 64"));
            }
        }
        if let Some(student) = &self.student {
            student.distil.check()?;
            if let Some(genome) = &student.genome {
                genome.validate().map_err(|e| format!("student: {e}"))?;
            }
            let train = self.student_train().validate();
            train.map_err(|error| format!("student: {error}"))?;
        }
        match self.method {
            Method::Adaptive { rounds } if rounds.strategies().is_empty() => {
                Err("method.rounds: found none of grow, solo and all, expected at least one".into())
            }
            Method::NonAdaptive {
                width,
                n_considered,
            }
            | Method::Intermixed {
                width,
                n_considered,
                ..
            } if width == 0 || width > n_considered => Err(format!(
                "method.width: found {width}, expected 1 to n_considered, which is {n_considered}"
            )),
            Method::Intermixed { every: 0, .. } => {
                Err("method.every: found 0, expected at least 1".into())
            }
            Method::Greedy { .. } => self.greedy().map_or(Ok(()), |greedy| {
                greedy.validate().map_err(|e| e.to_string())
            }),
            _ => Ok(()),
        }
    }

    /// How a student is trained.
    pub fn student_train(&self) -> TrainSpec {
        let n_epochs = self.student.as_ref().and_then(|student| student.n_epochs);
        TrainSpec {
            n_epochs: n_epochs.unwrap_or(self.train.n_epochs),
            ..self.train.clone()
        }
    }

    /// The selection's settings, where the method is greedy.
    pub fn greedy(&self) -> Option<GreedySpec> {
        let Method::Greedy {
            n_rounds,
            n_initial,
            bags,
        } = self.method
        else {
            return None;
        };
        let mut budget = self.budget;
        let most = budget.max_members.unwrap_or(self.n_members);
        budget.max_members = Some(most.min(self.n_members));
        Some(GreedySpec {
            n_rounds,
            n_initial,
            bags,
            budget,
        })
    }
}

/// Greedy selection from the whole library.
pub fn choose_greedily(
    library: &Predictions,
    spec: &GreedySpec,
    seed: u64,
) -> Result<Chosen, CombineError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let selection = select(library, spec, &mut rng)?;
    Ok(Chosen {
        members: selection.numbers(),
        fitted: Fitted {
            combination: selection.combination(),
            loss: selection.loss,
            objective: selection.loss,
            n_iterations: 0,
        },
    })
}

/// Members drawn from the best trials of a library.
pub struct Draw<'a> {
    pub library: &'a Predictions,
    /// The library's trials that count, best first.
    pub ranked: &'a [u64],
    pub width: usize,
    /// Best trials that are drawn from.
    pub n_considered: usize,
    pub combine: &'a CombineSpec,
    pub budget: &'a EnsembleBudget,
    pub seed: u64,
}

impl Draw<'_> {
    /// One even draw; `None` where it does not fit the budget or there is nothing to draw from.
    pub fn once(&self) -> Result<Option<Chosen>, CombineError> {
        self.from(self.ranked, self.seed)
    }

    /// The best of the draws made after every `every` trials from the trials numbered below.
    pub fn best_of_every(&self, every: u64) -> Result<Option<Chosen>, CombineError> {
        let last = self.ranked.iter().max().copied().unwrap_or(0);
        let mut best: Option<Chosen> = None;
        for end in (every..=last + every).step_by(every as usize) {
            let so_far = self.ranked.iter().copied().filter(|n| *n < end);
            let chosen = self.from(&so_far.collect::<Vec<_>>(), self.seed ^ end)?;
            if let Some(chosen) = chosen
                && best
                    .as_ref()
                    .is_none_or(|best| chosen.fitted.objective < best.fitted.objective)
            {
                best = Some(chosen);
            }
        }
        Ok(best)
    }

    fn from(&self, ranked: &[u64], seed: u64) -> Result<Option<Chosen>, CombineError> {
        let considered = &ranked[..ranked.len().min(self.n_considered)];
        if considered.is_empty() {
            return Ok(None);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let width = self.width.min(considered.len());
        let drawn = index::sample(&mut rng, considered.len(), width);
        let members: Vec<u64> = drawn.iter().map(|at| considered[at]).collect();
        if !self.budget.admits(self.library.of(&members)?.into_iter()) {
            return Ok(None);
        }
        let fitted = combine(self.library, &members, self.combine)?;
        Ok(Some(Chosen { members, fitted }))
    }
}
