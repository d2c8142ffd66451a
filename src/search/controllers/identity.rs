//! Model Search's identity: one position after another of a chain of fixed depth, each a categorical parameter of
//! the initial architecture, set by Gaussian-process Bayesian optimisation. It knows no mutation and no parent.

use rand_chacha::ChaCha8Rng;

use super::loss_model::LossModel;
use super::{Controller, Incumbent, Observation, Proposal};
use crate::search::domain::{Domain, How, Point, shuffled};

/// Candidates for which the improvement is worked out, the best means first.
const N_WEIGHED: usize = 48;
/// Pools looked through before the domain is searched for any point at all.
const MAX_POOLS: usize = 6;

/// The state: the model.
pub struct Identity {
    domain: Domain,
    depth: usize,
    n_initial: usize,
    n_pool: usize,
    model: LossModel,
}

impl Identity {
    /// Chains of `depth` parts; `n_initial` drawn ones first, then the best of `n_pool` candidates.
    pub fn new(
        domain: Domain,
        depth: usize,
        n_initial: usize,
        n_pool: usize,
        window: usize,
    ) -> Self {
        Self {
            model: LossModel::new(&domain, window),
            domain,
            depth,
            n_initial,
            n_pool,
        }
    }

    /// Half drawn, half one parameter away from the best so far; best expected improvement first.
    fn pool(&self, rng: &mut ChaCha8Rng) -> impl Iterator<Item = Point> {
        let n_drawn = self.n_pool / 2;
        let mut pool: Vec<Point> = (0..n_drawn)
            .map(|_| self.domain.draw_of_depth(self.depth, rng))
            .collect();
        let ranking = self.model.ranking();
        let best = ranking
            .iter()
            .find(|row| row.point.parts.len() == self.depth);
        if let Some(best) = best {
            let neighbours = shuffled(self.domain.n_neighbours(&best.point), rng)
                .filter_map(|index| self.domain.neighbour(&best.point, index))
                .filter(|(_, how)| *how == How::Replace);
            pool.extend(
                neighbours
                    .take(self.n_pool - n_drawn)
                    .map(|(point, _)| point),
            );
        }
        let known = self.model.known();
        pool.retain(|point| !known.contains(point));
        let order = self
            .model
            .order(&pool.iter().collect::<Vec<_>>(), N_WEIGHED);
        order.into_iter().map(move |at| pool[at].clone())
    }
}

impl Controller for Identity {
    fn ask(&mut self, admit: &dyn Fn(&Point) -> bool, rng: &mut ChaCha8Rng) -> Option<Proposal> {
        let proposal = |point, how| Proposal {
            point,
            parent: None,
            how,
        };
        if self.model.n_complete() >= self.n_initial {
            self.model.learn();
            for _ in 0..MAX_POOLS {
                if let Some(point) = self.pool(rng).find(|point| admit(point)) {
                    return Some(proposal(point, How::Model));
                }
            }
        }
        let depth = self.depth;
        let draw = &mut |rng: &mut ChaCha8Rng| Some(self.domain.draw_of_depth(depth, rng));
        let admit = |point: &Point| point.parts.len() == depth && admit(point);
        let point = self.domain.find_by(draw, &admit, rng)?;
        Some(proposal(point, How::Draw))
    }

    fn tell(&mut self, observation: &Observation) {
        self.model.tell(observation);
    }

    fn incumbent(&mut self) -> Option<Incumbent> {
        self.model.incumbent()
    }
}
