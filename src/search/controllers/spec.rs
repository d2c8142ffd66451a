//! Which algorithm and its settings, as a recipe writes them.

use serde::{Deserialize, Serialize};

use super::coordinate_descent::DepthSchedule;
use super::linear_model::{LinearModel, LinearModelSettings};
use super::{
    ConstrainedDescent, Controller, CoordinateDescent, Evolution, Harmonica, Identity, LocalSearch,
    Pareto, Random, Surrogate,
};
use crate::search::domain::{Align, Domain};

/// Which algorithm, its variant owning its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ControllerSpec {
    /// Every point drawn anew.
    Random,
    /// Model Search's adaptive coordinate descent with a beam.
    CoordinateDescent {
        /// Best trials that may become parents.
        beam_size: usize,
        /// How often a parent grows by a part while it may.
        grow_probability: f64,
        /// How often a parent that does not grow has one field varied, and not a whole part replaced.
        vary_probability: f64,
        /// Finished trials after which one part more is allowed, or a list: at each of them one more.
        trials_per_depth: DepthSchedule,
    },
    /// The same within cells; the space must have some.
    ConstrainedDescent {
        beam_size: usize,
        grow_probability: f64,
        trials_per_depth: DepthSchedule,
    },
    /// Gaussian-process Bayesian optimisation of an initial architecture of fixed depth.
    Identity {
        depth: usize,
        /// Trials drawn before the model is asked.
        n_initial: usize,
        /// Candidates weighed for each proposal.
        n_pool: usize,
        /// Trials that the model holds.
        window: usize,
    },
    /// Ridge regression on one-hot features.
    LinearModel {
        n_initial: usize,
        ridge_penalty: f64,
        /// Where shorter chains stand.
        align: Align,
        /// Leaves out losses from the 90th percentile, or ten times the median, on.
        remove_outliers: bool,
        grow_probability: f64,
        trials_per_depth: DepthSchedule,
    },
    /// Sparse low-degree polynomials of categories.
    Harmonica {
        depth: usize,
        n_initial: usize,
        lasso_penalty: f64,
        /// Terms of the polynomial that are kept.
        n_monomials: usize,
        n_pool: usize,
    },
    /// Regularised (aging) evolution.
    Evolution {
        population_size: usize,
        tournament_size: usize,
        crossover_probability: f64,
    },
    /// First improvement among neighbours, with restarts.
    LocalSearch {
        /// Trials drawn before the search begins at the best of them.
        n_initial: usize,
    },
    /// A model of the losses over mutations of the best trials: what to take where nothing speaks against it.
    Surrogate {
        n_initial: usize,
        n_pool: usize,
        window: usize,
    },
    /// Loss against costs, in the way of NSGA-II.
    Pareto {
        population_size: usize,
        crossover_probability: f64,
    },
}

/// A setting that makes no sense.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("controller.{field}: found {found}, expected {expected}")]
pub struct ControllerError {
    pub field: &'static str,
    pub found: String,
    pub expected: String,
}

fn fault(field: &'static str, found: impl ToString, expected: impl ToString) -> ControllerError {
    ControllerError {
        field,
        found: found.to_string(),
        expected: expected.to_string(),
    }
}

fn count(field: &'static str, found: usize, low: usize) -> Result<(), ControllerError> {
    const HIGH: usize = 100_000;
    if (low..=HIGH).contains(&found) {
        return Ok(());
    }
    Err(fault(field, found, format!("{low} to {HIGH}")))
}

/// A model's cost rises with the square of its window.
fn window(found: usize) -> Result<(), ControllerError> {
    if (16..=1024).contains(&found) {
        return Ok(());
    }
    Err(fault("window", found, "16 to 1024"))
}

fn probability(field: &'static str, found: f64) -> Result<(), ControllerError> {
    if (0.0..=1.0).contains(&found) {
        return Ok(());
    }
    Err(fault(field, found, "0 to 1"))
}

fn penalty(field: &'static str, found: f64) -> Result<(), ControllerError> {
    if found > 0.0 && found.is_finite() {
        return Ok(());
    }
    Err(fault(field, found, "more than 0"))
}

fn schedule(found: &DepthSchedule) -> Result<(), ControllerError> {
    if found.is_sound() {
        return Ok(());
    }
    let expected = "at least 1, or a rising list";
    Err(fault("trials_per_depth", format!("{found:?}"), expected))
}

impl ControllerSpec {
    /// The recommended controller and its settings.
    pub fn recommended() -> Self {
        Self::Surrogate {
            n_initial: 10,
            n_pool: 256,
            window: 128,
        }
    }

    /// Every algorithm with settings that suit a space for 100 trials and more: Model Search's where it has the
    /// algorithm, the papers' elsewhere, populations scaled to a hundred trials. Constrained descent is there
    /// where the domain has cells.
    pub fn presets(domain: &Domain) -> Vec<Self> {
        let [low, high] = domain.depth();
        let depth = low.max(1).min(high);
        let trials_per_depth = DepthSchedule::Every(5);
        let mut presets = vec![
            Self::Random,
            Self::CoordinateDescent {
                beam_size: 5,
                grow_probability: 0.9,
                vary_probability: 0.5,
                trials_per_depth: trials_per_depth.clone(),
            },
            Self::Identity {
                depth,
                n_initial: 10,
                n_pool: 256,
                window: 128,
            },
            Self::LinearModel {
                n_initial: 10,
                ridge_penalty: 0.001,
                align: Align::Head,
                remove_outliers: true,
                grow_probability: 0.1,
                trials_per_depth: trials_per_depth.clone(),
            },
            Self::Harmonica {
                depth,
                n_initial: 20,
                lasso_penalty: 0.05,
                n_monomials: 10,
                n_pool: 2_000,
            },
            Self::Evolution {
                population_size: 20,
                tournament_size: 5,
                crossover_probability: 0.0,
            },
            Self::LocalSearch { n_initial: 10 },
            Self::recommended(),
            Self::Pareto {
                population_size: 20,
                crossover_probability: 0.5,
            },
        ];
        if domain.cell().is_some() {
            presets.push(Self::ConstrainedDescent {
                beam_size: 5,
                grow_probability: 0.9,
                trials_per_depth,
            });
        }
        presets
    }

    /// As recipes write it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::CoordinateDescent { .. } => "coordinate-descent",
            Self::ConstrainedDescent { .. } => "constrained-descent",
            Self::Identity { .. } => "identity",
            Self::LinearModel { .. } => "linear-model",
            Self::Harmonica { .. } => "harmonica",
            Self::Evolution { .. } => "evolution",
            Self::LocalSearch { .. } => "local-search",
            Self::Surrogate { .. } => "surrogate",
            Self::Pareto { .. } => "pareto",
        }
    }

    /// Checks ranges.
    pub fn validate(&self) -> Result<(), ControllerError> {
        match self {
            Self::Random => Ok(()),
            Self::CoordinateDescent {
                beam_size,
                grow_probability,
                vary_probability,
                trials_per_depth,
            } => {
                count("beam_size", *beam_size, 1)?;
                probability("grow_probability", *grow_probability)?;
                probability("vary_probability", *vary_probability)?;
                schedule(trials_per_depth)
            }
            Self::ConstrainedDescent {
                beam_size,
                grow_probability,
                trials_per_depth,
            } => {
                count("beam_size", *beam_size, 1)?;
                probability("grow_probability", *grow_probability)?;
                schedule(trials_per_depth)
            }
            Self::Identity {
                depth: _,
                n_initial,
                n_pool,
                window: n_window,
            } => {
                count("n_initial", *n_initial, 1)?;
                count("n_pool", *n_pool, 2)?;
                window(*n_window)
            }
            Self::LinearModel {
                n_initial,
                ridge_penalty,
                align: _,
                remove_outliers: _,
                grow_probability,
                trials_per_depth,
            } => {
                count("n_initial", *n_initial, 1)?;
                penalty("ridge_penalty", *ridge_penalty)?;
                probability("grow_probability", *grow_probability)?;
                schedule(trials_per_depth)
            }
            Self::Harmonica {
                depth: _,
                n_initial,
                lasso_penalty,
                n_monomials,
                n_pool,
            } => {
                count("n_initial", *n_initial, 3)?;
                penalty("lasso_penalty", *lasso_penalty)?;
                count("n_monomials", *n_monomials, 1)?;
                count("n_pool", *n_pool, 1)
            }
            Self::Evolution {
                population_size,
                tournament_size,
                crossover_probability,
            } => {
                count("population_size", *population_size, 1)?;
                count("tournament_size", *tournament_size, 1)?;
                probability("crossover_probability", *crossover_probability)
            }
            Self::LocalSearch { n_initial } => count("n_initial", *n_initial, 1),
            Self::Surrogate {
                n_initial,
                n_pool,
                window: n_window,
            } => {
                count("n_initial", *n_initial, 1)?;
                count("n_pool", *n_pool, 1)?;
                window(*n_window)
            }
            Self::Pareto {
                population_size,
                crossover_probability,
            } => {
                count("population_size", *population_size, 2)?;
                probability("crossover_probability", *crossover_probability)
            }
        }
    }

    /// The algorithm, before its first observation. Refuses settings that do not suit the domain.
    pub fn build(&self, domain: &Domain) -> Result<Box<dyn Controller>, ControllerError> {
        self.validate()?;
        let domain = domain.clone();
        let [low, high] = domain.depth();
        let fits = |depth: usize| {
            if (low..=high).contains(&depth) {
                return Ok(depth);
            }
            Err(fault(
                "depth",
                depth,
                format!("{low} to {high}, as the space has"),
            ))
        };
        Ok(match self.clone() {
            Self::Random => Box::new(Random::new(domain)),
            Self::CoordinateDescent {
                beam_size,
                grow_probability,
                vary_probability,
                trials_per_depth,
            } => Box::new(CoordinateDescent::new(
                domain,
                beam_size,
                grow_probability,
                vary_probability,
                trials_per_depth,
            )),
            Self::ConstrainedDescent {
                beam_size,
                grow_probability,
                trials_per_depth,
            } => {
                let Some(cell) = domain.cell() else {
                    let expected = "a space with cells, or another controller";
                    return Err(fault("kind", self.kind(), expected));
                };
                Box::new(ConstrainedDescent::new(
                    domain,
                    cell,
                    beam_size,
                    grow_probability,
                    trials_per_depth,
                ))
            }
            Self::Identity {
                depth,
                n_initial,
                n_pool,
                window,
            } => Box::new(Identity::new(
                domain,
                fits(depth)?,
                n_initial,
                n_pool,
                window,
            )),
            Self::LinearModel {
                n_initial,
                ridge_penalty,
                align,
                remove_outliers,
                grow_probability,
                trials_per_depth,
            } => Box::new(LinearModel::new(
                domain,
                LinearModelSettings {
                    n_initial,
                    ridge_penalty,
                    align,
                    remove_outliers,
                    grow_probability,
                    trials_per_depth,
                },
            )),
            Self::Harmonica {
                depth,
                n_initial,
                lasso_penalty,
                n_monomials,
                n_pool,
            } => Box::new(Harmonica::new(
                domain,
                fits(depth)?,
                n_initial,
                lasso_penalty,
                n_monomials,
                n_pool,
            )),
            Self::Evolution {
                population_size,
                tournament_size,
                crossover_probability,
            } => Box::new(Evolution::new(
                domain,
                population_size,
                tournament_size,
                crossover_probability,
            )),
            Self::LocalSearch { n_initial } => Box::new(LocalSearch::new(domain, n_initial)),
            Self::Surrogate {
                n_initial,
                n_pool,
                window,
            } => Box::new(Surrogate::new(domain, n_initial, n_pool, window)),
            Self::Pareto {
                population_size,
                crossover_probability,
            } => Box::new(Pareto::new(domain, population_size, crossover_probability)),
        })
    }
}
