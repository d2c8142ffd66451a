//! Random search: depth, kinds and fields drawn evenly. The baseline that any other must beat.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Controller, Observation, Proposal};
use crate::search::space::SpaceSpec;

/// Draws every genome anew.
pub struct Random {
    space: SpaceSpec,
}

impl Random {
    pub fn new(space: SpaceSpec) -> Self {
        Self { space }
    }
}

impl Controller for Random {
    fn propose(&mut self, rng: &mut ChaCha8Rng) -> Proposal {
        let [low, high] = self.space.depth;
        let depth = rng.random_range(low..=high);
        Proposal {
            genome: self.space.draw_genome(depth, rng),
            parent: None,
        }
    }

    fn observe(&mut self, _observation: &Observation) {}
}
