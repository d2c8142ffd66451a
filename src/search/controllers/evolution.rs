//! Regularised evolution (Real et al. 2019, algorithm 1): the population is the latest trials, not the best ones,
//! so a lucky loss ages out. A parent is the best of a random sample; its child differs by one mutation.
//!
//! Besides the paper's mutation a share of children may be crossed from two parents.

use std::collections::VecDeque;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::beam::Ranked;
use super::{Controller, MAX_MOVES, Observation, Proposal};
use crate::search::domain::{Domain, How, Point};

/// The state: the latest trials that did not fail, oldest first.
pub struct Evolution {
    domain: Domain,
    population_size: usize,
    tournament_size: usize,
    crossover_probability: f64,
    population: VecDeque<Ranked>,
}

impl Evolution {
    pub fn new(
        domain: Domain,
        population_size: usize,
        tournament_size: usize,
        crossover_probability: f64,
    ) -> Self {
        Self {
            domain,
            population_size,
            tournament_size,
            crossover_probability,
            population: VecDeque::new(),
        }
    }

    /// The best of a sample with replacement.
    fn parent(&self, rng: &mut ChaCha8Rng) -> &Ranked {
        let n = self.population.len();
        let sample = (0..self.tournament_size).map(|_| &self.population[rng.random_range(0..n)]);
        sample
            .min_by(|a, b| a.loss.total_cmp(&b.loss).then(a.number.cmp(&b.number)))
            .expect("a tournament has a member")
    }
}

impl Controller for Evolution {
    fn ask(&mut self, admit: &dyn Fn(&Point) -> bool, rng: &mut ChaCha8Rng) -> Option<Proposal> {
        if self.population.len() == self.population_size {
            for _ in 0..MAX_MOVES {
                let parent = self.parent(rng);
                let moved = if rng.random_bool(self.crossover_probability) {
                    let other = self.parent(rng);
                    let crossed = self.domain.cross(&parent.point, &other.point, rng);
                    crossed.map(|crossed| (crossed, How::Cross))
                } else {
                    self.domain.mutate(&parent.point, rng)
                };
                if let Some((point, how)) = moved.filter(|(point, _)| admit(point)) {
                    return Some(Proposal {
                        point,
                        parent: Some(parent.number),
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
        if self.population.len() == self.population_size {
            self.population.pop_front();
        }
        self.population.push_back(Ranked {
            loss,
            number: observation.number,
            point: observation.point.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::search::domain::tests::cells;

    fn evolved(losses: &[f64]) -> Evolution {
        let mut controller = Evolution::new(cells(), 3, 3, 0.0);
        for (number, loss) in losses.iter().enumerate() {
            controller.tell(&Observation {
                number: number as u64,
                point: cells().nth(number as u64).unwrap(),
                parent: None,
                outcome: Some(*loss),
                costs: vec![],
            });
        }
        controller
    }

    fn parents(mut controller: Evolution) -> Vec<Option<u64>> {
        let ask = |seed| {
            let rng = &mut ChaCha8Rng::seed_from_u64(seed);
            controller.ask(&|_| true, rng).unwrap().parent
        };
        (0..100).map(ask).collect()
    }

    #[test]
    fn it_draws_anew_until_the_population_is_full() {
        assert!(parents(evolved(&[0.1, 0.2])).iter().all(Option::is_none));
    }

    #[test]
    fn the_oldest_leaves_even_when_it_is_the_best() {
        let parents = parents(evolved(&[0.0, 0.5, 0.6, 0.7]));
        assert!(!parents.contains(&Some(0)));
        // The best of three draws out of three is the best of all 19 times in 27.
        let n_best = parents.iter().filter(|parent| **parent == Some(1)).count();
        assert!((50..=90).contains(&n_best), "{n_best}");
    }
}
