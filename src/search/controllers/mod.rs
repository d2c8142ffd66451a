//! Algorithms that propose genomes, one file each. None trains, reads a file or asks for the time.

mod coordinate_descent;
mod random;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::space::SpaceSpec;
use crate::model::Genome;
pub use coordinate_descent::CoordinateDescent;
pub use random::Random;

/// A genome to try, and the finished trial that it was made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    pub genome: Genome,
    pub parent: Option<u64>,
}

/// What a controller learns of a finished trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    pub number: u64,
    pub genome: Genome,
    /// What is minimised; `None` for a trial that failed.
    pub loss: Option<f64>,
}

/// Proposes genomes (ask) and learns from their scores (tell).
///
/// The generator of each proposal is made from the study's seed and the trial's number, so the same
/// observations lead to the same proposals whoever asks.
pub trait Controller: Send {
    fn propose(&mut self, rng: &mut ChaCha8Rng) -> Proposal;
    fn observe(&mut self, observation: &Observation);
}

/// Which algorithm, as a recipe writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ControllerSpec {
    /// Every genome drawn anew.
    Random,
    /// Model Search's adaptive coordinate descent with a beam.
    CoordinateDescent {
        /// Best trials that may become parents.
        beam_size: usize,
        /// How often a parent grows by a block while it may.
        grow_probability: f64,
        /// How often a parent that does not grow has one field varied, and not a whole block replaced.
        vary_probability: f64,
        /// Finished trials after which one block more is allowed.
        trials_per_depth: usize,
    },
}

/// A setting that makes no sense.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("controller.{field}: found {found}, expected {expected}")]
pub struct ControllerError {
    pub field: &'static str,
    pub found: String,
    pub expected: &'static str,
}

impl ControllerSpec {
    /// Checks ranges.
    pub fn validate(&self) -> Result<(), ControllerError> {
        let Self::CoordinateDescent {
            beam_size,
            grow_probability,
            vary_probability,
            trials_per_depth,
        } = self
        else {
            return Ok(());
        };
        let fault = |field, found: String, expected| {
            Err(ControllerError {
                field,
                found,
                expected,
            })
        };
        for (field, found) in [
            ("beam_size", beam_size),
            ("trials_per_depth", trials_per_depth),
        ] {
            if *found == 0 {
                return fault(field, found.to_string(), "at least 1");
            }
        }
        for (field, found) in [
            ("grow_probability", grow_probability),
            ("vary_probability", vary_probability),
        ] {
            if !(0.0..=1.0).contains(found) {
                return fault(field, found.to_string(), "0 to 1");
            }
        }
        Ok(())
    }

    /// The algorithm, before its first observation.
    pub fn build(&self, space: &SpaceSpec) -> Box<dyn Controller> {
        match *self {
            Self::Random => Box::new(Random::new(space.clone())),
            Self::CoordinateDescent {
                beam_size,
                grow_probability,
                vary_probability,
                trials_per_depth,
            } => Box::new(CoordinateDescent::new(
                space.clone(),
                beam_size,
                grow_probability,
                vary_probability,
                trials_per_depth,
            )),
        }
    }
}
