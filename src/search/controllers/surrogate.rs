//! Model-based search, the default: a [`LossModel`] of all that was tried says where improvement is to be expected
//! (expected improvement, Jones et al. 1998) among mutations of the best trials and points drawn anew, as BANANAS
//! does with networks for a model (White et al. 2021).

use std::collections::HashSet;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::loss_model::LossModel;
use super::{Controller, Incumbent, Observation, Proposal};
use crate::search::domain::{Domain, How, Point};

/// Best trials that candidates are made from.
const N_PARENTS: usize = 10;
/// Share of candidates drawn anew, in percent.
const DRAWN_PERCENT: usize = 30;
/// Candidates for which the improvement is worked out, the best means first.
const N_WEIGHED: usize = 48;
/// Pools looked through before the domain is searched for any point at all.
const MAX_POOLS: usize = 6;

/// The state: the model.
pub struct Surrogate {
    domain: Domain,
    n_initial: usize,
    n_pool: usize,
    model: LossModel,
}

/// A candidate: a point, its parent, how it was made.
type Candidate = (Point, Option<u64>, How);

impl Surrogate {
    /// Draws `n_initial` points first; then picks among `n_pool` candidates by a model of `window` trials.
    pub fn new(domain: Domain, n_initial: usize, n_pool: usize, window: usize) -> Self {
        Self {
            model: LossModel::new(&domain, window),
            domain,
            n_initial,
            n_pool,
        }
    }

    /// Candidates, none of them in the window, best expected improvement first.
    fn pool(&self, rng: &mut ChaCha8Rng) -> impl Iterator<Item = Candidate> {
        let ranking = self.model.ranking();
        let parents: Vec<(&Point, u64)> = ranking
            .iter()
            .take(N_PARENTS)
            .map(|row| (&row.point, row.number))
            .collect();
        let known = self.model.known();
        let mut seen: HashSet<Point> = HashSet::new();
        let mut pool: Vec<Candidate> = Vec::with_capacity(self.n_pool);
        let mut add = |candidate: Candidate| {
            let is_new = !known.contains(&candidate.0) && !seen.contains(&candidate.0);
            if is_new {
                seen.insert(candidate.0.clone());
                pool.push(candidate);
            }
        };
        let n_drawn = self.n_pool * DRAWN_PERCENT / 100;
        for _ in 0..n_drawn {
            add((self.domain.draw(rng), None, How::Draw));
        }
        if !parents.is_empty() {
            for _ in n_drawn..self.n_pool {
                // Two draws, the better one: half of the mutations are of the best three in ten.
                let at = rng.random_range(0..parents.len());
                let at = at.min(rng.random_range(0..parents.len()));
                let (point, number) = parents[at];
                let Some((mut point, mut how)) = self.domain.mutate(point, rng) else {
                    continue;
                };
                while rng.random_bool(0.35)
                    && let Some((further, move_made)) = self.domain.mutate(&point, rng)
                {
                    (point, how) = (further, move_made);
                }
                add((point, Some(number), how));
            }
        }
        let points: Vec<&Point> = pool.iter().map(|(point, ..)| point).collect();
        let order = self.model.order(&points, N_WEIGHED);
        order.into_iter().map(move |at| pool[at].clone())
    }
}

impl Controller for Surrogate {
    fn ask(&mut self, admit: &dyn Fn(&Point) -> bool, rng: &mut ChaCha8Rng) -> Option<Proposal> {
        if self.model.n_complete() >= self.n_initial {
            self.model.learn();
            for _ in 0..MAX_POOLS {
                if let Some((point, parent, how)) = self.pool(rng).find(|(point, ..)| admit(point))
                {
                    return Some(Proposal { point, parent, how });
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
        self.model.tell(observation);
    }

    fn incumbent(&mut self) -> Option<Incumbent> {
        self.model.incumbent()
    }
}
