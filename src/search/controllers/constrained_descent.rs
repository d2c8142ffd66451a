//! Constrained adaptive coordinate descent (Model Search): the descent of the parts of a cell alone. Reductions
//! stand where the cells end and are no parts, so they are never replaced or stripped; slots keep what the first
//! draw gave them.
//!
//! Where the cell is repeated it is full from the start and only its parts are replaced; else the chain grows, and
//! of the depth that is allowed the places of the reductions are taken off, as upstream does.

use rand::{RngExt, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::beam::Beam;
use super::coordinate_descent::begin;
use super::{Controller, DepthSchedule, MAX_MOVES, Observation, Proposal};
use crate::search::domain::{CellShape, Domain, How, Point};

/// The state: the best trials so far and how many there were.
pub struct ConstrainedDescent {
    domain: Domain,
    cell: CellShape,
    grow_probability: f64,
    trials_per_depth: DepthSchedule,
    beam: Beam,
    n_complete: usize,
}

impl ConstrainedDescent {
    /// `cell` is the domain's.
    pub fn new(
        domain: Domain,
        cell: CellShape,
        beam_size: usize,
        grow_probability: f64,
        trials_per_depth: DepthSchedule,
    ) -> Self {
        Self {
            domain,
            cell,
            grow_probability,
            trials_per_depth,
            beam: Beam::new(beam_size),
            n_complete: 0,
        }
    }

    /// Most parts allowed now, reductions not counted.
    pub fn allowed_depth(&self) -> usize {
        let [low, high] = self.domain.depth();
        if self.cell.repeated {
            return high;
        }
        let n_reductions = high / self.cell.n_parts;
        let with_reductions = [low, high + n_reductions];
        let allowed = self
            .trials_per_depth
            .allowed_depth(self.n_complete, with_reductions);
        // Of every n_parts + 1 blocks one is a reduction.
        (allowed - allowed / (self.cell.n_parts + 1)).clamp(low.max(1).min(high), high)
    }
}

impl Controller for ConstrainedDescent {
    fn ask(&mut self, admit: &dyn Fn(&Point) -> bool, rng: &mut ChaCha8Rng) -> Option<Proposal> {
        let allowed = self.allowed_depth();
        for _ in 0..MAX_MOVES {
            let Some(parent) = self.beam.best().choose(rng) else {
                break;
            };
            let may_grow = !self.cell.repeated && parent.point.parts.len() < allowed;
            let (moved, how) = if may_grow && rng.random_bool(self.grow_probability) {
                (self.domain.grow(&parent.point, rng), How::Grow)
            } else {
                (self.domain.replace_part(&parent.point, rng), How::Replace)
            };
            if let Some(point) = moved.filter(|point| admit(point)) {
                return Some(Proposal {
                    point,
                    parent: Some(parent.number),
                    how,
                });
            }
        }
        let [low, high] = self.domain.depth();
        let first = if self.cell.repeated {
            high
        } else {
            low.max(1).min(high)
        };
        Some(Proposal {
            point: begin(&self.domain, first..=allowed, admit, rng)?,
            parent: None,
            how: How::Draw,
        })
    }

    fn tell(&mut self, observation: &Observation) {
        self.n_complete += usize::from(observation.loss().is_some());
        self.beam.insert(observation);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::search::domain::tests::chains;

    fn descent(n_parts: usize, repeated: bool) -> ConstrainedDescent {
        let cell = CellShape { n_parts, repeated };
        ConstrainedDescent::new(chains(), cell, 1, 1.0, DepthSchedule::Every(5))
    }

    fn tell(controller: &mut ConstrainedDescent, number: u64, depth: usize) -> Point {
        let point = chains().draw_of_depth(depth, &mut ChaCha8Rng::seed_from_u64(number));
        controller.tell(&Observation {
            number,
            point: point.clone(),
            parent: None,
            outcome: Some(number as f64),
            costs: vec![],
        });
        point
    }

    #[test]
    fn the_places_of_reductions_are_taken_off_the_allowed_depth() {
        let mut controller = descent(2, false);
        let mut allowed = Vec::new();
        for number in 0..30 {
            if number % 5 == 0 {
                allowed.push(controller.allowed_depth());
            }
            tell(&mut controller, number, 1);
        }
        // 1 to 6 blocks of which every third is a reduction.
        assert_eq!(allowed, [1, 2, 2, 3, 4, 4]);
    }

    #[test]
    fn slots_stay_and_one_part_changes_or_is_added() {
        for (depth, repeated) in [(1, false), (2, false), (4, true)] {
            let mut controller = descent(4, repeated);
            let parent = tell(&mut controller, 0, depth);
            for number in 1..8 {
                tell(&mut controller, number, 1);
            }
            for seed in 0..50 {
                let rng = &mut ChaCha8Rng::seed_from_u64(seed);
                let child = controller.ask(&|_| true, rng).unwrap().point;
                assert_eq!(child.slots, parent.slots);
                let pairs = child.parts.iter().zip(&parent.parts);
                let n_changed = pairs.filter(|(a, b)| a != b).count();
                let n_added = child.parts.len() - parent.parts.len();
                assert_eq!(n_changed + n_added, 1);
                assert!(!repeated || n_added == 0);
            }
        }
    }

    #[test]
    fn a_repeated_cell_is_full_from_the_start() {
        let mut controller = descent(4, true);
        let rng = &mut ChaCha8Rng::seed_from_u64(0);
        assert_eq!(controller.ask(&|_| true, rng).unwrap().point.parts.len(), 4);
    }
}
