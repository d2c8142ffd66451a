//! Random search: every hyper-parameter drawn evenly from its range. The baseline that any other must beat.

use rand_chacha::ChaCha8Rng;

use super::{HyperObservation, HyperOracle, HyperPoint, HyperSpace};

/// Draws every point anew.
pub struct Random {
    space: HyperSpace,
}

impl Random {
    pub fn new(space: HyperSpace) -> Self {
        Self { space }
    }
}

impl HyperOracle for Random {
    fn ask(&mut self, rng: &mut ChaCha8Rng) -> HyperPoint {
        self.space.draw(rng)
    }

    fn tell(&mut self, _observation: &HyperObservation) {}
}
