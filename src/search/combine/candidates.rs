//! AdaNet's next ensemble: candidates made of the ensemble so far and of new trials, each combined, the best by
//! the objective kept.

use serde::{Deserialize, Serialize};

use super::{CombineError, CombineSpec, EnsembleBudget, Fitted, Predictions, combine};

/// Which ensembles are tried, as a recipe writes it (`adanet.ensemble.strategy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateStrategy {
    /// The ensemble so far and one new trial, for each new one.
    Grow,
    /// Each new trial alone.
    Solo,
    /// The ensemble so far and all new trials together.
    All,
}

/// The members of each candidate, in the order of strategies and of new trials, none twice. A trial that is
/// in the ensemble already is not new.
pub fn candidates(
    strategies: &[CandidateStrategy],
    previous: &[u64],
    new: &[u64],
) -> Vec<Vec<u64>> {
    let new: Vec<u64> = new
        .iter()
        .copied()
        .filter(|number| !previous.contains(number))
        .collect();
    let with = |added: &[u64]| [previous, added].concat();
    let mut all: Vec<Vec<u64>> = Vec::new();
    for strategy in strategies {
        let made: Vec<Vec<u64>> = match strategy {
            CandidateStrategy::Grow => new.iter().map(|number| with(&[*number])).collect(),
            CandidateStrategy::Solo => new.iter().map(|number| vec![*number]).collect(),
            CandidateStrategy::All if new.is_empty() => Vec::new(),
            CandidateStrategy::All => vec![with(&new)],
        };
        for candidate in made {
            if !all.contains(&candidate) {
                all.push(candidate);
            }
        }
    }
    all
}

/// One step of the ensemble.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub members: Vec<u64>,
    pub fitted: Fitted,
}

/// The best candidate within the budget by its objective, the ensemble so far among them unless it is empty or
/// `must_grow`; ties to fewer members, then to the earlier candidate. `None` where no candidate fits the budget.
///
/// # Errors
///
/// Where a setting makes no sense or a number is of no member.
pub fn best_candidate(
    predictions: &Predictions,
    previous: &[u64],
    new: &[u64],
    strategies: &[CandidateStrategy],
    spec: &CombineSpec,
    budget: &EnsembleBudget,
    must_grow: bool,
) -> Result<Option<Choice>, CombineError> {
    let stay = (!must_grow && !previous.is_empty()).then(|| previous.to_vec());
    let mut best: Option<Choice> = None;
    for members in stay
        .into_iter()
        .chain(candidates(strategies, previous, new))
    {
        if !budget.admits(predictions.of(&members)?.into_iter()) {
            continue;
        }
        let fitted = combine(predictions, &members, spec)?;
        let is_better = best.as_ref().is_none_or(|best| {
            let (before, now) = (best.fitted.objective, fitted.objective);
            now < before || now == before && members.len() < best.members.len()
        });
        if is_better {
            best = Some(Choice { members, fitted });
        }
    }
    Ok(best)
}
