//! Adaptive coordinate descent with a beam, Model Search's default (Mazzawi et al. 2019, algorithms 1 and 2): take
//! one of the best trials, change one thing, let depth grow with the number of trials.
//!
//! What differs from it on purpose: a replaced part is never replaced by itself; besides replacing a whole part
//! one field can be varied, slots included; failed trials do not count towards depth; depth after a list of
//! thresholds is the number of thresholds reached, without a leap to the greatest depth at the last; the first
//! trials may all be different beginnings, since an empty beam draws anew; a beam whose neighbours are all tried
//! does so too.

use rand::{RngExt, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::beam::Beam;
use super::{Controller, MAX_MOVES, Observation, Proposal};
use crate::search::domain::{Domain, How, Point};

/// When depth may grow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DepthSchedule {
    /// One part more every so many finished trials, from the least depth on.
    Every(usize),
    /// As many parts as thresholds are reached; never fewer than the least depth, nor than one.
    At(Vec<usize>),
}

impl DepthSchedule {
    /// Most parts allowed after that many finished trials, in a domain of `depth`.
    pub fn allowed_depth(&self, n_complete: usize, depth: [usize; 2]) -> usize {
        let [low, high] = depth;
        let low = low.max(1).min(high);
        let allowed = match self {
            Self::Every(n_trials) => low + n_complete / n_trials,
            Self::At(thresholds) => thresholds.iter().filter(|at| **at <= n_complete).count(),
        };
        allowed.clamp(low, high)
    }

    /// Whether every step waits for a trial more than the one before.
    pub(super) fn is_sound(&self) -> bool {
        match self {
            Self::Every(n_trials) => *n_trials > 0,
            Self::At(thresholds) => !thresholds.is_empty() && thresholds.is_sorted_by(|a, b| a < b),
        }
    }
}

/// The state: the best trials so far and how many there were.
pub struct CoordinateDescent {
    domain: Domain,
    grow_probability: f64,
    vary_probability: f64,
    trials_per_depth: DepthSchedule,
    beam: Beam,
    n_complete: usize,
}

impl CoordinateDescent {
    pub fn new(
        domain: Domain,
        beam_size: usize,
        grow_probability: f64,
        vary_probability: f64,
        trials_per_depth: DepthSchedule,
    ) -> Self {
        Self {
            domain,
            grow_probability,
            vary_probability,
            trials_per_depth,
            beam: Beam::new(beam_size),
            n_complete: 0,
        }
    }

    /// Most parts allowed now.
    pub fn allowed_depth(&self) -> usize {
        self.trials_per_depth
            .allowed_depth(self.n_complete, self.domain.depth())
    }

    fn step(&self, point: &Point, rng: &mut ChaCha8Rng) -> Option<(Point, How)> {
        let may_grow = point.parts.len() < self.allowed_depth();
        if may_grow && rng.random_bool(self.grow_probability) {
            return Some((self.domain.grow(point, rng)?, How::Grow));
        }
        if rng.random_bool(self.vary_probability)
            && let Some(varied) = self.domain.vary(point, rng)
        {
            return Some((varied, How::Vary));
        }
        Some((self.domain.replace(point, rng)?, How::Replace))
    }
}

impl Controller for CoordinateDescent {
    fn ask(&mut self, admit: &dyn Fn(&Point) -> bool, rng: &mut ChaCha8Rng) -> Option<Proposal> {
        for _ in 0..MAX_MOVES {
            let Some(parent) = self.beam.best().choose(rng) else {
                break;
            };
            if let Some((point, how)) = self.step(&parent.point, rng)
                && admit(&point)
            {
                return Some(Proposal {
                    point,
                    parent: Some(parent.number),
                    how,
                });
            }
        }
        let [low, high] = self.domain.depth();
        let first = low.max(1).min(high);
        Some(Proposal {
            point: begin(&self.domain, first..=self.allowed_depth(), admit, rng)?,
            parent: None,
            how: How::Draw,
        })
    }

    fn tell(&mut self, observation: &Observation) {
        self.n_complete += usize::from(observation.loss().is_some());
        self.beam.insert(observation);
    }
}

/// A point to begin with: of such a depth where one is admitted, else of any.
pub(super) fn begin(
    domain: &Domain,
    depths: std::ops::RangeInclusive<usize>,
    admit: &dyn Fn(&Point) -> bool,
    rng: &mut ChaCha8Rng,
) -> Option<Point> {
    let draw = &mut |rng: &mut ChaCha8Rng| {
        let depth = rng.random_range(depths.clone());
        Some(domain.draw_of_depth(depth, rng))
    };
    let found = domain.find_by(draw, admit, rng);
    found.or_else(|| domain.find(admit, rng))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::search::domain::tests::chains;

    fn descent(beam_size: usize, grow: f64, vary: f64) -> CoordinateDescent {
        CoordinateDescent::new(chains(), beam_size, grow, vary, DepthSchedule::Every(5))
    }

    fn tell(
        controller: &mut CoordinateDescent,
        number: u64,
        outcome: Option<f64>,
        depth: usize,
    ) -> Point {
        let point = chains().draw_of_depth(depth, &mut ChaCha8Rng::seed_from_u64(number));
        controller.tell(&Observation {
            number,
            point: point.clone(),
            parent: None,
            outcome,
            costs: vec![],
        });
        point
    }

    fn ask(controller: &mut CoordinateDescent, seed: u64) -> Proposal {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        controller.ask(&|_| true, rng).unwrap()
    }

    #[test]
    fn depth_is_allowed_as_upstream_allows_it_by_default() {
        // model_search's allowed_depth with its default thresholds 5 i: floor(n / 5) + 1, at most D.
        let trials = [0, 4, 5, 9, 10, 14, 15, 100];
        let every = trials.map(|n| DepthSchedule::Every(5).allowed_depth(n, [1, 4]));
        let at = DepthSchedule::At(vec![0, 5, 10, 15]);
        assert_eq!(every, [1, 1, 2, 2, 3, 3, 4, 4]);
        assert_eq!(trials.map(|n| at.allowed_depth(n, [1, 4])), every);
    }

    #[test]
    fn a_list_of_thresholds_allows_one_part_each_and_never_leaps() {
        // Upstream gives 0, 1, 2 below 10, 30, 50 trials too, but then its greatest depth at once.
        let at = DepthSchedule::At(vec![10, 30, 50]);
        let allowed = [0, 9, 10, 29, 30, 49, 50, 1_000].map(|n| at.allowed_depth(n, [1, 9]));
        assert_eq!(allowed, [1, 1, 1, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn parents_come_from_the_best_trials_only() {
        let mut controller = descent(2, 0.5, 0.5);
        for (number, loss) in [(0, 0.9), (1, 0.3), (2, 0.5), (3, 0.4), (4, 2.0)] {
            tell(&mut controller, number, Some(loss), 2);
        }
        for seed in 0..100 {
            let parent = ask(&mut controller, seed).parent;
            assert!(matches!(parent, Some(1 | 3)), "{parent:?}");
        }
    }

    #[test]
    fn growing_adds_one_part_behind_the_parents() {
        let mut controller = descent(1, 1.0, 0.0);
        let parent = tell(&mut controller, 0, Some(0.5), 1);
        for number in 1..5 {
            tell(&mut controller, number, Some(number as f64), 1);
        }
        let Proposal { point, how, .. } = ask(&mut controller, 0);
        assert_eq!((point.parts.len(), how), (2, How::Grow));
        assert_eq!(point.parts[0], parent.parts[0]);
        assert_eq!(point.slots, parent.slots);
    }

    #[test]
    fn replacing_changes_exactly_one_part_or_slot() {
        let mut controller = descent(1, 0.0, 0.0);
        let parent = tell(&mut controller, 0, Some(1.0), 4);
        for seed in 0..50 {
            let Proposal { point, how, .. } = ask(&mut controller, seed);
            let before = parent.slots.iter().chain(&parent.parts);
            let after = point.slots.iter().chain(&point.parts);
            let n_changed = before.zip(after).filter(|(a, b)| a != b).count();
            assert_eq!((n_changed, point.parts.len()), (1, 4));
            assert_eq!(how, How::Replace);
        }
    }

    #[test]
    fn a_failed_or_non_finite_trial_is_no_parent_and_adds_no_depth() {
        let mut controller = descent(3, 1.0, 0.0);
        for number in 0..20 {
            let outcome = (number % 2 == 0).then_some(f64::NAN);
            tell(&mut controller, number, outcome, 1);
        }
        assert_eq!(controller.allowed_depth(), 1);
        assert_eq!(ask(&mut controller, 0).parent, None);
    }

    #[test]
    fn a_beam_whose_neighbours_are_all_tried_begins_anew() {
        let mut controller = descent(1, 0.5, 0.5);
        let parent = tell(&mut controller, 0, Some(1.0), 1);
        let is_far =
            |point: &Point| point.slots[0] != parent.slots[0] && point.slots[1] != parent.slots[1];
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        let proposal = controller.ask(&is_far, rng).unwrap();
        assert_eq!((proposal.parent, proposal.how), (None, How::Draw));
    }
}
