//! Greedy forward selection from a library of finished trials (Caruana et al. 2004): add whichever trial
//! lowers the loss of the mean of probabilities most, with replacement, from a sorted beginning, over bags of
//! the library if asked for.
//!
//! Only cross-entropy on the given split decides, under budgets for the ensemble as a whole. It refuses to
//! judge what it chose: that takes another split.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::loss::log_probability;
use super::{Combination, CombineError, EnsembleBudget, MemberLogits, Predictions};

/// The selection, as a recipe writes it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GreedySpec {
    /// Trials added one after another, those of the beginning included; the best moment is kept.
    pub n_rounds: usize,
    /// Most trials of the sorted beginning, of which the best `k` for the best `k` are taken: 1 begins with the
    /// best trial alone.
    pub n_initial: usize,
    /// Bags of the library, each selected from by itself; the selections are added up. Left out: no bags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bags: Option<BagSpec>,
    pub budget: EnsembleBudget,
}

/// Bags of a library.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BagSpec {
    pub n_bags: usize,
    /// Share of the library in each bag.
    pub share: f64,
}

/// What was selected.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Numbers of different trials, heaviest first, and how often each counts.
    pub members: Vec<(u64, usize)>,
    /// Mean cross-entropy in nats of the selection on the split that chose it.
    pub loss: f64,
}

impl GreedySpec {
    /// Checks ranges.
    pub fn validate(&self) -> Result<(), CombineError> {
        let fault = |field, found: String, expected| {
            Err(CombineError::Setting {
                field,
                found,
                expected,
            })
        };
        for (field, found) in [("n_rounds", self.n_rounds), ("n_initial", self.n_initial)] {
            if found == 0 {
                return fault(field, found.to_string(), "at least 1");
            }
        }
        match self.bags {
            Some(bags) if bags.n_bags == 0 => fault("bags.n_bags", "0".into(), "at least 1"),
            Some(bags) if !(bags.share > 0.0 && bags.share <= 1.0) => fault(
                "bags.share",
                format!("{:?}", bags.share),
                "above 0, at most 1",
            ),
            _ => Ok(()),
        }
    }
}

impl Selection {
    pub fn numbers(&self) -> Vec<u64> {
        self.members.iter().map(|(number, _)| *number).collect()
    }

    /// The rule for members in the order of [`members`](Self::members).
    pub fn combination(&self) -> Combination {
        let counts = self.members.iter().map(|(_, count)| *count as f32);
        Combination::WeightedProbabilities {
            weights: counts.collect(),
        }
    }
}

/// A trial and its probability of the true label of every clip.
struct Entry<'a> {
    member: &'a MemberLogits,
    probabilities: Vec<f64>,
    loss: f64,
}

/// How often each entry counts, and the sum of their probabilities.
#[derive(Clone)]
struct Bag {
    counts: Vec<usize>,
    sums: Vec<f64>,
}

/// Selects from all members of the predictions. `rng` draws the bags and nothing else.
///
/// # Errors
///
/// Where a setting makes no sense, there is no member, or none fits the budget by itself.
pub fn select(
    predictions: &Predictions,
    spec: &GreedySpec,
    rng: &mut ChaCha8Rng,
) -> Result<Selection, CombineError> {
    spec.validate()?;
    let entries = library(predictions);
    let may_begin = |i: &usize| spec.budget.admits(std::iter::once(entries[*i].member));
    let all: Vec<usize> = (0..entries.len()).filter(may_begin).collect();
    if all.is_empty() {
        return Err(CombineError::NothingFits {
            n_candidates: entries.len(),
        });
    }
    let mut total = Bag::empty(&entries);
    match spec.bags {
        None => total.add_all(&entries, &forward(&entries, &all, spec).counts),
        Some(bags) => {
            let n = ((bags.share * all.len() as f64).round() as usize).clamp(1, all.len());
            for _ in 0..bags.n_bags {
                let mut bag = all.clone();
                bag.shuffle(rng);
                bag.truncate(n);
                bag.sort_unstable();
                total.add_all(&entries, &forward(&entries, &bag, spec).counts);
            }
            total.shrink_to(&entries, &spec.budget);
        }
    }
    Ok(total.selection(&entries))
}

/// All members, best first; ties to the earlier trial.
fn library(predictions: &Predictions) -> Vec<Entry<'_>> {
    let members = predictions.members().iter();
    let mut entries: Vec<Entry<'_>> = members
        .map(|member| {
            let rows = member.logits.chunks_exact(predictions.n_classes());
            let rows = rows.zip(predictions.labels());
            let logs: Vec<f64> = rows
                .map(|(row, label)| log_probability(row, *label))
                .collect();
            Entry {
                member,
                loss: -logs.iter().sum::<f64>() / logs.len() as f64,
                probabilities: logs.into_iter().map(f64::exp).collect(),
            }
        })
        .collect();
    entries.sort_by(|a, b| {
        a.loss
            .total_cmp(&b.loss)
            .then(a.member.number.cmp(&b.member.number))
    });
    entries
}

/// The best moment of one hill climb among the entries of those places, which are best first and not none.
fn forward(entries: &[Entry<'_>], among: &[usize], spec: &GreedySpec) -> Bag {
    // The sorted beginning: the best one, the best two, ... as long as they fit.
    let mut bag = Bag::empty(entries);
    let mut best = (f64::INFINITY, bag.clone());
    for &i in among {
        if bag.n_counted() == spec.n_initial.min(spec.n_rounds) {
            break;
        }
        if bag.has_room_for(entries, i, &spec.budget) {
            bag.add(entries, i);
            if bag.loss() < best.0 {
                best = (bag.loss(), bag.clone());
            }
        }
    }
    bag = best.1.clone();
    for _ in bag.n_counted()..spec.n_rounds {
        let open = among
            .iter()
            .filter(|i| bag.has_room_for(entries, **i, &spec.budget));
        // The first of the best: ties go to the trial that is better by itself.
        let next = open
            .map(|&i| (bag.loss_with(&entries[i]), i))
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let Some((loss, i)) = next else { break };
        bag.add(entries, i);
        if loss < best.0 {
            best = (loss, bag.clone());
        }
    }
    best.1
}

impl Bag {
    fn empty(entries: &[Entry<'_>]) -> Self {
        let n = entries.first().map_or(0, |entry| entry.probabilities.len());
        Self {
            counts: vec![0; entries.len()],
            sums: vec![0.0; n],
        }
    }

    fn n_counted(&self) -> usize {
        self.counts.iter().sum()
    }

    fn add(&mut self, entries: &[Entry<'_>], i: usize) {
        self.add_times(entries, i, 1);
    }

    fn add_times(&mut self, entries: &[Entry<'_>], i: usize, n_times: usize) {
        self.counts[i] += n_times;
        for (sum, probability) in self.sums.iter_mut().zip(&entries[i].probabilities) {
            *sum += n_times as f64 * probability;
        }
    }

    fn add_all(&mut self, entries: &[Entry<'_>], counts: &[usize]) {
        for (i, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.add_times(entries, i, *count);
        }
    }

    fn has_room_for(&self, entries: &[Entry<'_>], i: usize, budget: &EnsembleBudget) -> bool {
        let with = entries
            .iter()
            .enumerate()
            .filter(|(j, _)| *j == i || self.counts[*j] > 0);
        budget.admits(with.map(|(_, entry)| entry.member))
    }

    fn loss(&self) -> f64 {
        mean_loss(self.sums.iter().copied(), self.n_counted())
    }

    fn loss_with(&self, entry: &Entry<'_>) -> f64 {
        let sums = self.sums.iter().zip(&entry.probabilities);
        mean_loss(
            sums.map(|(sum, probability)| sum + probability),
            self.n_counted() + 1,
        )
    }

    /// Leaves out the lightest, of several the worst by itself, until the rest fits.
    fn shrink_to(&mut self, entries: &[Entry<'_>], budget: &EnsembleBudget) {
        loop {
            let counted = (0..entries.len()).filter(|i| self.counts[*i] > 0);
            if budget.admits(counted.clone().map(|i| entries[i].member)) {
                return;
            }
            let lightest =
                counted.min_by(|a, b| self.counts[*a].cmp(&self.counts[*b]).then(b.cmp(a)));
            let lightest = lightest.expect("nothing at all fits any budget");
            let mut counts = self.counts.clone();
            counts[lightest] = 0;
            *self = Self::empty(entries);
            self.add_all(entries, &counts);
        }
    }

    fn selection(&self, entries: &[Entry<'_>]) -> Selection {
        let mut members: Vec<(u64, usize)> = entries
            .iter()
            .zip(&self.counts)
            .filter(|(_, count)| **count > 0)
            .map(|(entry, count)| (entry.member.number, *count))
            .collect();
        members.sort_by_key(|(_, count)| std::cmp::Reverse(*count)); // stable: then the better by itself
        Selection {
            members,
            loss: self.loss(),
        }
    }
}

fn mean_loss(sums: impl ExactSizeIterator<Item = f64>, n_counted: usize) -> f64 {
    let n = sums.len() as f64;
    let total: f64 = sums
        .map(|sum| -(sum / n_counted as f64).max(f64::MIN_POSITIVE).ln())
        .sum();
    total / n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_of_bags_beyond_the_budget_loses_its_lightest_and_of_these_the_worst() {
        let members: Vec<MemberLogits> = (0..4)
            .map(|number| MemberLogits {
                number,
                depth: 1,
                n_params: 1,
                macs_per_second: 1,
                logits: vec![],
            })
            .collect();
        let entries: Vec<Entry<'_>> = members
            .iter()
            .map(|member| Entry {
                member,
                probabilities: vec![0.1 * (4 - member.number) as f64],
                loss: member.number as f64,
            })
            .collect();
        for (max_members, expected) in [
            (4, [1, 3, 2, 1]),
            (3, [1, 3, 2, 0]),
            (2, [0, 3, 2, 0]),
            (1, [0, 3, 0, 0]),
        ] {
            let mut bag = Bag::empty(&entries);
            bag.add_all(&entries, &[1, 3, 2, 1]);
            let budget = EnsembleBudget {
                max_members: Some(max_members),
                ..EnsembleBudget::none()
            };
            bag.shrink_to(&entries, &budget);
            assert_eq!(bag.counts, expected);
            let sum: f64 = expected
                .iter()
                .zip([0.4, 0.3, 0.2, 0.1])
                .map(|(n, p)| *n as f64 * p)
                .sum();
            assert!((bag.sums[0] - sum).abs() < 1e-12);
        }
    }
}
