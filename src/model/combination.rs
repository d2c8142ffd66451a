//! How members' logits become the ensemble's probabilities: plain data that a packed file can hold and a
//! stream can apply at every step.
//!
//! It refuses to know where its numbers came from and who the members are: only their order counts.

use serde::{Deserialize, Serialize};

/// Most values of a combination, so that a damaged file cannot ask for the moon.
pub const MAX_VALUES: usize = 1 << 24;

/// A rule for an ensemble of `n_members` over `n_classes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Combination {
    /// `softmax` of each member, averaged evenly.
    MeanProbabilities,
    /// `softmax` of the mean of the logits: the normalised geometric mean of the members' probabilities.
    MeanLogits,
    /// `softmax` of each member, averaged by weights that are not negative and are divided by their sum.
    WeightedProbabilities {
        /// `[n_members]`
        weights: Vec<f32>,
    },
    /// `softmax(bias + sum over members of mixture(logits))` (AdaNet, Cortes et al. 2017).
    WeightedLogits {
        mixture: Mixture,
        /// `[n_classes]`, or empty for none.
        bias: Vec<f32>,
    },
}

/// What a member's logits are multiplied with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mixture {
    /// One weight a member: `[n_members]`.
    Scalar(Vec<f32>),
    /// One weight a member and class: `[n_members, n_classes]`.
    Vector(Vec<f32>),
    /// One matrix a member, from its logits to the ensemble's: `[n_members, n_classes (in), n_classes (out)]`.
    Matrix(Vec<f32>),
}

/// A combination that does not fit its members.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum CombinationError {
    #[error("combination.{field}: found {found} values, expected {expected}")]
    Length {
        field: &'static str,
        found: usize,
        expected: usize,
    },
    #[error("combination.{field}: found {found}, expected {expected}")]
    Value {
        field: &'static str,
        found: f32,
        expected: &'static str,
    },
    #[error(
        "an ensemble of {n_members} members over {n_classes} classes: expected at least one of each and at most {MAX_VALUES} values"
    )]
    Size { n_members: usize, n_classes: usize },
}

impl Mixture {
    pub(crate) fn values(&self) -> &[f32] {
        match self {
            Self::Scalar(values) | Self::Vector(values) | Self::Matrix(values) => values,
        }
    }
}

impl Combination {
    /// Checks lengths and values against the ensemble that it is for.
    pub fn validate(&self, n_members: usize, n_classes: usize) -> Result<(), CombinationError> {
        let n_values = n_classes
            .checked_mul(n_classes)
            .and_then(|n| n.checked_mul(n_members))
            .filter(|n| (1..=MAX_VALUES).contains(n));
        let size = CombinationError::Size {
            n_members,
            n_classes,
        };
        let n_values = n_values.ok_or(size)?;
        let check = |field, values: &[f32], expected| {
            if values.len() != expected {
                let found = values.len();
                return Err(CombinationError::Length {
                    field,
                    found,
                    expected,
                });
            }
            match values.iter().find(|value| !value.is_finite()) {
                Some(found) => Err(CombinationError::Value {
                    field,
                    found: *found,
                    expected: "a finite number",
                }),
                None => Ok(()),
            }
        };
        match self {
            Self::MeanProbabilities | Self::MeanLogits => Ok(()),
            Self::WeightedProbabilities { weights } => {
                check("weights", weights, n_members)?;
                let total: f32 = weights.iter().sum();
                let negative = weights.iter().find(|weight| **weight < 0.0);
                let wrong = negative.copied().or((total <= 0.0).then_some(total));
                match wrong {
                    Some(found) => Err(CombinationError::Value {
                        field: "weights",
                        found,
                        expected: "no negative weight and a sum above zero",
                    }),
                    None => Ok(()),
                }
            }
            Self::WeightedLogits { mixture, bias } => {
                let expected = match mixture {
                    Mixture::Scalar(_) => n_members,
                    Mixture::Vector(_) => n_members * n_classes,
                    Mixture::Matrix(_) => n_values,
                };
                check("mixture", mixture.values(), expected)?;
                match bias.len() {
                    0 => Ok(()),
                    _ => check("bias", bias, n_classes),
                }
            }
        }
    }

    /// Multiply-accumulates of one step, exponentials not counted.
    pub fn macs_per_step(&self, n_members: usize, n_classes: usize) -> u64 {
        let n = (n_members * n_classes) as u64;
        match self {
            Self::WeightedLogits {
                mixture: Mixture::Matrix(_),
                ..
            } => n * n_classes as u64,
            _ => n,
        }
    }

    /// The ensemble's probabilities at one step. Allocates nothing.
    ///
    /// # Shapes
    ///
    /// - `logits`: `[n_members, n_classes]`, one member after the other
    /// - `probabilities`: `[n_classes]`, overwritten
    ///
    /// # Panics
    ///
    /// If the lengths are not those that [`validate`](Self::validate) accepted.
    pub fn apply(&self, logits: &[f32], probabilities: &mut [f32]) {
        let n_classes = probabilities.len();
        let members = logits.chunks_exact(n_classes);
        assert!(members.remainder().is_empty() && members.len() > 0);
        let n_members = members.len();
        match self {
            Self::MeanProbabilities => {
                probabilities.fill(0.0);
                for member in members {
                    add_softmax(probabilities, 1.0 / n_members as f32, member);
                }
            }
            Self::WeightedProbabilities { weights } => {
                assert_eq!(weights.len(), n_members);
                let total: f32 = weights.iter().sum();
                probabilities.fill(0.0);
                for (member, weight) in members.zip(weights) {
                    add_softmax(probabilities, weight / total, member);
                }
            }
            Self::MeanLogits => {
                probabilities.fill(0.0);
                for member in members {
                    add_scaled(probabilities, 1.0 / n_members as f32, member);
                }
                softmax(probabilities);
            }
            Self::WeightedLogits { mixture, bias } => {
                match bias.len() {
                    0 => probabilities.fill(0.0),
                    _ => probabilities.copy_from_slice(bias),
                }
                match mixture {
                    Mixture::Scalar(weights) => {
                        assert_eq!(weights.len(), n_members);
                        for (member, weight) in members.zip(weights) {
                            add_scaled(probabilities, *weight, member);
                        }
                    }
                    Mixture::Vector(weights) => {
                        assert_eq!(weights.len(), n_members * n_classes);
                        for (member, weights) in members.zip(weights.chunks_exact(n_classes)) {
                            let products = member.iter().zip(weights);
                            for (sum, (logit, weight)) in probabilities.iter_mut().zip(products) {
                                *sum += logit * weight;
                            }
                        }
                    }
                    Mixture::Matrix(weights) => {
                        assert_eq!(weights.len(), n_members * n_classes * n_classes);
                        for (logit, row) in logits.iter().zip(weights.chunks_exact(n_classes)) {
                            add_scaled(probabilities, *logit, row);
                        }
                    }
                }
                softmax(probabilities);
            }
        }
    }
}

fn add_scaled(sums: &mut [f32], scale: f32, values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += scale * value;
    }
}

/// Adds `scale` times the softmax of `logits`.
fn add_softmax(sums: &mut [f32], scale: f32, logits: &[f32]) {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f32 = logits.iter().map(|logit| (logit - top).exp()).sum();
    for (sum, logit) in sums.iter_mut().zip(logits) {
        *sum += scale * (logit - top).exp() / total;
    }
}

fn softmax(values: &mut [f32]) {
    let top = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for value in values.iter_mut() {
        *value = (*value - top).exp();
        total += *value;
    }
    for value in values {
        *value /= total;
    }
}
