//! The best trials so far, best first.

use super::Observation;
use crate::search::domain::Point;

/// A finished trial that may become a parent.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    pub loss: f64,
    pub number: u64,
    pub point: Point,
}

/// At most `size` trials; ties go to the earlier trial.
#[derive(Clone, Debug)]
pub struct Beam {
    size: usize,
    best: Vec<Ranked>,
}

impl Beam {
    pub fn new(size: usize) -> Self {
        Self {
            size,
            best: Vec::new(),
        }
    }

    /// Takes a trial in, unless it failed or is worse than a full beam's worst.
    pub fn insert(&mut self, observation: &Observation) {
        let Some(loss) = observation.loss() else {
            return;
        };
        let before = |other: &Ranked| (other.loss, other.number) < (loss, observation.number);
        let at = self.best.partition_point(before);
        if at < self.size {
            self.best.truncate(self.size - 1);
            let entry = Ranked {
                loss,
                number: observation.number,
                point: observation.point.clone(),
            };
            self.best.insert(at, entry);
        }
    }

    /// Best first.
    pub fn best(&self) -> &[Ranked] {
        &self.best
    }
}
