//! Learned mixtures: AdaNet's objective minimised by an accelerated proximal gradient method with
//! backtracking (FISTA, Beck & Teboulle 2009), begun at the mean of the logits and never above it.
//!
//! The problem is convex and the method draws nothing, so the same answers give the same weights. The absolute
//! sum is met exactly: a member that does not pay gets a weight of exactly zero.

use serde::{Deserialize, Serialize};

use super::objective::Objective;
use super::{Combination, CombineError, MemberLogits, Predictions};
use crate::model::combination::Mixture;

/// Relative decrease below which a step counts as idle.
const TOLERANCE: f64 = 1e-10;
/// Idle steps in a row after which the method stops.
const N_IDLE: usize = 5;

/// A learned mixture, as a recipe writes it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnedSpec {
    pub mixture: MixtureKind,
    /// Scalar weights only: none negative, and their sum one.
    pub normalised: bool,
    /// Whether the ensemble's logits get a bias.
    pub bias: bool,
    /// Price of a member's complexity, per unit of weight.
    pub lambda: f64,
    /// Price of any member, per unit of weight.
    pub beta: f64,
    pub complexity: Complexity,
    /// Steps after which the method stops at the latest.
    pub max_iterations: usize,
}

/// What a member's logits are multiplied with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MixtureKind {
    Scalar,
    Vector,
    Matrix,
}

/// `r(h)`: what makes a member complex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Complexity {
    /// The root of its number of blocks.
    Depth,
    /// The root of its number of parameters.
    Params,
}

/// A fitted combination and how it does on the clips that fitted it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    pub combination: Combination,
    /// Mean cross-entropy in nats.
    pub loss: f64,
    /// The loss and the price of complexity: what is minimised.
    pub objective: f64,
    pub n_iterations: usize,
}

impl LearnedSpec {
    /// Checks ranges.
    pub fn validate(&self) -> Result<(), CombineError> {
        let fault = |field, found: String, expected| {
            Err(CombineError::Setting {
                field,
                found,
                expected,
            })
        };
        for (field, found) in [("lambda", self.lambda), ("beta", self.beta)] {
            if !(found >= 0.0 && found.is_finite()) {
                return fault(field, format!("{found:?}"), "at least 0, finite");
            }
        }
        if self.max_iterations == 0 {
            return fault("max_iterations", "0".into(), "at least 1");
        }
        if self.normalised && self.mixture != MixtureKind::Scalar {
            return fault("normalised", "true".into(), "false, or a scalar mixture");
        }
        Ok(())
    }

    /// The price of one unit of each member's weight.
    pub fn prices(&self, members: &[&MemberLogits]) -> Vec<f64> {
        let complexity = |member: &&MemberLogits| match self.complexity {
            Complexity::Depth => (member.depth as f64).sqrt(),
            Complexity::Params => (member.n_params as f64).sqrt(),
        };
        let prices = members
            .iter()
            .map(|member| self.lambda * complexity(member) + self.beta);
        prices.collect()
    }
}

/// Fits a mixture of those members to the labels.
///
/// # Errors
///
/// Where a setting makes no sense, or there is no member.
pub fn fit(
    predictions: &Predictions,
    members: &[&MemberLogits],
    spec: &LearnedSpec,
) -> Result<Fitted, CombineError> {
    spec.validate()?;
    if members.is_empty() {
        return Err(CombineError::NoMembers);
    }
    let (n_classes, labels) = (predictions.n_classes(), predictions.labels());
    let smooth = Objective::new(spec.mixture, spec.bias, members, n_classes, labels);
    let per_member = smooth.n_per_member();
    let prices = spec.prices(members);
    let prices: Vec<f64> = prices
        .iter()
        .flat_map(|price| std::iter::repeat_n(*price, per_member))
        .collect();
    let problem = Problem {
        smooth,
        prices,
        is_normalised: spec.normalised,
    };
    let (parameters, objective, n_iterations) = problem.minimise(spec.max_iterations);
    let (weights, bias) = parameters.split_at(problem.prices.len());
    let narrow = |values: &[f64]| {
        values
            .iter()
            .map(|value| *value as f32)
            .collect::<Vec<f32>>()
    };
    let mixture = match spec.mixture {
        MixtureKind::Scalar => Mixture::Scalar(narrow(weights)),
        MixtureKind::Vector => Mixture::Vector(narrow(weights)),
        MixtureKind::Matrix => Mixture::Matrix(narrow(weights)),
    };
    Ok(Fitted {
        combination: Combination::WeightedLogits {
            mixture,
            bias: narrow(bias),
        },
        loss: problem.smooth.loss(&parameters),
        objective,
        n_iterations,
    })
}

/// A smooth loss, and a price for each of its first parameters.
pub(super) struct Problem<'a> {
    pub smooth: Objective<'a>,
    pub prices: Vec<f64>,
    pub is_normalised: bool,
}

impl Problem<'_> {
    fn price(&self, parameters: &[f64]) -> f64 {
        let priced = parameters.iter().zip(&self.prices);
        priced.map(|(value, price)| price * value.abs()).sum()
    }

    /// The point that minimises the price and the squared distance over twice `step`, in place.
    fn proximal(&self, parameters: &mut [f64], step: f64) {
        for (value, price) in parameters.iter_mut().zip(&self.prices) {
            *value = if self.is_normalised {
                *value - step * price
            } else {
                value.signum() * (value.abs() - step * price).max(0.0)
            };
        }
        if self.is_normalised {
            project_to_simplex(&mut parameters[..self.prices.len()]);
        }
    }

    /// Parameters, objective and number of steps. The objective never rises from one step to the next.
    pub(super) fn minimise(&self, max_iterations: usize) -> (Vec<f64>, f64, usize) {
        let mut at = self.smooth.uniform_mean();
        let mut objective = self.smooth.loss(&at) + self.price(&at);
        let mut ahead = at.clone(); // where the gradient is taken
        let mut gradient = vec![0.0; at.len()];
        let (mut curvature, mut momentum, mut n_idle) = (1.0, 1.0_f64, 0);
        for iteration in 0..max_iterations {
            let loss = self.smooth.loss_and_gradient(&ahead, &mut gradient);
            let (next, next_loss) = loop {
                let mut next: Vec<f64> = ahead
                    .iter()
                    .zip(&gradient)
                    .map(|(value, slope)| value - slope / curvature)
                    .collect();
                self.proximal(&mut next, 1.0 / curvature);
                let next_loss = self.smooth.loss(&next);
                let moves = next.iter().zip(&ahead).map(|(next, value)| next - value);
                let (linear, squares) =
                    moves.zip(&gradient).fold((0.0, 0.0), |sums, (d, slope)| {
                        (sums.0 + d * slope, sums.1 + d * d)
                    });
                let bound = loss + linear + 0.5 * curvature * squares;
                // The slack keeps rounding from asking for ever smaller steps.
                if next_loss <= bound + 1e-14 * (1.0 + loss.abs()) || curvature > 1e18 {
                    break (next, next_loss);
                }
                curvature *= 2.0;
            };
            let next_objective = next_loss + self.price(&next);
            let is_plain = momentum == 1.0;
            if next_objective > objective {
                if is_plain {
                    return (at, objective, iteration); // a plain step does not go down: this is the end
                }
                // Too much momentum: again from here without any.
                ahead.clone_from(&at);
                momentum = 1.0;
                continue;
            }
            let is_idle = objective - next_objective <= TOLERANCE * objective.abs().max(1e-3);
            n_idle = if is_idle { n_idle + 1 } else { 0 };
            let next_momentum = 0.5 * (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt());
            let carried = (momentum - 1.0) / next_momentum;
            for ((ahead, next), at) in ahead.iter_mut().zip(&next).zip(&at) {
                *ahead = next + carried * (next - at);
            }
            at = next;
            objective = next_objective;
            momentum = next_momentum;
            curvature *= 0.95;
            if n_idle == N_IDLE {
                return (at, objective, iteration + 1);
            }
        }
        (at, objective, max_iterations)
    }
}

/// The nearest point whose values are not negative and sum to one (Duchi et al. 2008).
pub(super) fn project_to_simplex(values: &mut [f64]) {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut shift) = (0.0, 0.0);
    for (i, value) in sorted.iter().enumerate() {
        sum += value;
        let candidate = (sum - 1.0) / (i + 1) as f64;
        if value - candidate > 0.0 {
            shift = candidate;
        }
    }
    for value in values {
        *value = (*value - shift).max(0.0);
    }
}
