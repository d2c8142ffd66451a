//! Several networks' answers made one: rules, learned mixtures, and which trials to take.
//!
//! The room sees logits and labels of one split. It trains nothing, reads no file and judges nothing: the split
//! that fits and selects is the validation split, and a loss given here is a fitting loss.

mod candidates;
mod fit;
mod greedy;
mod loss;
mod objective;
mod predictions;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use crate::model::{Combination, CombinationError, Mixture};
pub use candidates::{CandidateStrategy, Choice, best_candidate, candidates};
pub use fit::{Complexity, Fitted, LearnedSpec, MixtureKind, fit};
pub use greedy::{BagSpec, GreedySpec, Selection, select};
pub use loss::{cross_entropy, log_probability, log_sum_exp, negative_log_likelihood};
pub use predictions::{EnsembleBudget, MemberLogits, Predictions};

/// How members are combined, as a recipe writes it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum CombineSpec {
    MeanProbabilities,
    MeanLogits,
    /// A mixture of logits fitted to the split.
    Learned(LearnedSpec),
}

/// Why answers cannot be combined.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum CombineError {
    #[error("combine.{field}: found {found}, expected {expected}")]
    Setting {
        field: &'static str,
        found: String,
        expected: &'static str,
    },
    #[error("found no clips or no classes, expected at least one of each")]
    NoClips,
    #[error("found a label {found}, expected one of {n_classes} classes, counted from 0")]
    Label { found: usize, n_classes: usize },
    #[error("trial {number}: found {found} logits, expected {expected}")]
    Logits {
        number: u64,
        found: usize,
        expected: usize,
    },
    #[error("trial {number}: a logit is not finite")]
    NotFinite { number: u64 },
    #[error("trial {number} is among the candidates twice")]
    Twice { number: u64 },
    #[error("trial {number} is not among the candidates")]
    NoSuch { number: u64 },
    #[error("found no members, expected at least one")]
    NoMembers,
    #[error("none of {n_candidates} candidates fits the budget by itself")]
    NothingFits { n_candidates: usize },
}

impl CombineSpec {
    /// Checks ranges.
    pub fn validate(&self) -> Result<(), CombineError> {
        match self {
            Self::MeanProbabilities | Self::MeanLogits => Ok(()),
            Self::Learned(spec) => spec.validate(),
        }
    }
}

/// The combination of those members, fitted to the split where the spec asks for it. The objective of a mean
/// is its loss.
///
/// # Errors
///
/// Where a setting makes no sense, there is no member, or a number is of none.
pub fn combine(
    predictions: &Predictions,
    numbers: &[u64],
    spec: &CombineSpec,
) -> Result<Fitted, CombineError> {
    let members = predictions.of(numbers)?;
    if members.is_empty() {
        return Err(CombineError::NoMembers);
    }
    let combination = match spec {
        CombineSpec::Learned(spec) => return fit(predictions, &members, spec),
        CombineSpec::MeanProbabilities => Combination::MeanProbabilities,
        CombineSpec::MeanLogits => Combination::MeanLogits,
    };
    let loss = loss_of(&combination, predictions, numbers)?;
    Ok(Fitted {
        combination,
        loss,
        objective: loss,
        n_iterations: 0,
    })
}

/// The ensemble's probabilities on the split.
///
/// # Shapes
///
/// - output: `[n, n_classes]`
///
/// # Errors
///
/// Where a number is of no member.
///
/// # Panics
///
/// If the combination is for another number of members or classes.
pub fn probabilities(
    combination: &Combination,
    predictions: &Predictions,
    numbers: &[u64],
) -> Result<Vec<f32>, CombineError> {
    let members = predictions.of(numbers)?;
    let (n, n_classes) = (predictions.labels().len(), predictions.n_classes());
    let mut output = vec![0.0; n * n_classes];
    let mut logits = vec![0.0; members.len() * n_classes];
    for (i, probabilities) in output.chunks_exact_mut(n_classes).enumerate() {
        for (member, row) in members.iter().zip(logits.chunks_exact_mut(n_classes)) {
            row.copy_from_slice(&member.logits[i * n_classes..(i + 1) * n_classes]);
        }
        combination.apply(&logits, probabilities);
    }
    Ok(output)
}

/// The ensemble's mean cross-entropy in nats on the split, as the running program would have it.
///
/// # Errors
///
/// Where a number is of no member.
///
/// # Panics
///
/// If the combination is for another number of members or classes.
pub fn loss_of(
    combination: &Combination,
    predictions: &Predictions,
    numbers: &[u64],
) -> Result<f64, CombineError> {
    let probabilities = probabilities(combination, predictions, numbers)?;
    let (n_classes, labels) = (predictions.n_classes(), predictions.labels());
    Ok(negative_log_likelihood(&probabilities, n_classes, labels))
}
