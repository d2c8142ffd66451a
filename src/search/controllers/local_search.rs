//! Local search by first improvement with restarts (White et al. 2021): try the neighbours of the present point
//! in random order, move at once to the first that is better, begin anew where none is left.

use rand_chacha::ChaCha8Rng;

use super::beam::Ranked;
use super::{Controller, Observation, Proposal};
use crate::search::domain::{Domain, How, Point, shuffled};

/// Neighbours looked at before the present point counts as exhausted: a bound on the cost of a proposal in spaces
/// whose points have very many.
const MAX_NEIGHBOURS: usize = 4_000;

/// The state: where the search stands.
pub struct LocalSearch {
    domain: Domain,
    n_initial: usize,
    n_complete: usize,
    present: Option<Ranked>,
}

impl LocalSearch {
    /// `n_initial` drawn points come first; the search begins at the best of them.
    pub fn new(domain: Domain, n_initial: usize) -> Self {
        Self {
            domain,
            n_initial,
            n_complete: 0,
            present: None,
        }
    }
}

impl Controller for LocalSearch {
    fn ask(&mut self, admit: &dyn Fn(&Point) -> bool, rng: &mut ChaCha8Rng) -> Option<Proposal> {
        if self.n_complete >= self.n_initial
            && let Some(present) = &self.present
        {
            let neighbours = shuffled(self.domain.n_neighbours(&present.point), rng)
                .filter_map(|index| self.domain.neighbour(&present.point, index))
                .take(MAX_NEIGHBOURS);
            for (point, how) in neighbours {
                if admit(&point) {
                    return Some(Proposal {
                        point,
                        parent: Some(present.number),
                        how,
                    });
                }
            }
        }
        Some(Proposal {
            point: self.domain.find(admit, rng)?,
            parent: None,
            how: How::Draw,
        })
    }

    fn tell(&mut self, observation: &Observation) {
        let Some(loss) = observation.loss() else {
            return;
        };
        // A point without a parent that is told after the first ones is a new beginning, however good it is.
        let begins = observation.parent.is_none() && self.n_complete >= self.n_initial;
        self.n_complete += 1;
        let is_better = self
            .present
            .as_ref()
            .is_none_or(|present| loss < present.loss);
        if begins || is_better {
            self.present = Some(Ranked {
                loss,
                number: observation.number,
                point: observation.point.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;

    use super::*;
    use crate::search::domain::tests::cells;

    /// The loss of a point is the sum of its options: one optimum, at all zeroes.
    fn run(n_trials: u64) -> (Vec<Proposal>, Vec<f64>) {
        let mut controller = LocalSearch::new(cells(), 2);
        let mut tried = HashSet::new();
        let (mut proposals, mut losses) = (Vec::new(), Vec::new());
        for number in 0..n_trials {
            let rng = &mut ChaCha8Rng::seed_from_u64(number);
            let admit = |point: &Point| !tried.contains(point);
            let proposal = controller.ask(&admit, rng).unwrap();
            tried.insert(proposal.point.clone());
            let loss = f64::from(proposal.point.parts.iter().sum::<u32>());
            controller.tell(&Observation {
                number,
                point: proposal.point.clone(),
                parent: proposal.parent,
                outcome: Some(loss),
                costs: vec![],
            });
            proposals.push(proposal);
            losses.push(loss);
        }
        (proposals, losses)
    }

    #[test]
    fn every_parent_is_the_best_point_since_the_last_beginning() {
        let (proposals, losses) = run(120);
        for (number, proposal) in proposals.iter().enumerate().skip(2) {
            let Some(parent) = proposal.parent else {
                continue;
            };
            let since = (2..number).rfind(|i| proposals[*i].parent.is_none());
            let line = since.unwrap_or(0)..number;
            let best = line.map(|i| losses[i]).fold(f64::INFINITY, f64::min);
            assert_eq!(losses[parent as usize], best);
        }
    }

    #[test]
    fn it_reaches_the_optimum_and_begins_anew_there() {
        let (proposals, losses) = run(150);
        let reached = losses.iter().position(|loss| *loss == 0.0).unwrap();
        assert!(reached < 100, "{reached}");
        let after = &proposals[reached..];
        assert!(after.iter().any(|proposal| proposal.parent.is_none()));
    }
}
