//! Random search: depth, kinds and fields drawn evenly. The baseline that any other must beat.

use rand_chacha::ChaCha8Rng;

use super::{Controller, Observation, Proposal};
use crate::search::domain::{Domain, How, Point};

/// Draws every point anew.
pub struct Random {
    domain: Domain,
}

impl Random {
    pub fn new(domain: Domain) -> Self {
        Self { domain }
    }
}

impl Controller for Random {
    fn ask(&mut self, admit: &dyn Fn(&Point) -> bool, rng: &mut ChaCha8Rng) -> Option<Proposal> {
        Some(Proposal {
            point: self.domain.find(admit, rng)?,
            parent: None,
            how: How::Draw,
        })
    }

    fn tell(&mut self, _observation: &Observation) {}
}
