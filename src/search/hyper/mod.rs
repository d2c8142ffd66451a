//! Hyper-parameters searched beside the architecture: a space, algorithms that ask and are told, one
//! file each, and a queue of points that somebody wants tried first.
//!
//! It sees names, values and losses only: it never trains, reads a file or asks for the time. The same
//! observations and the same generator give the same point, so a search is resumed by telling again.

mod parzen;
mod random;
mod space;
mod tpe;

#[cfg(test)]
mod tests;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use random::Random;
pub use space::{HyperPoint, HyperRange, HyperSpace, HyperValue};
pub use tpe::{Tpe, TpeSpec};

/// A search of hyper-parameters, as a recipe writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HyperSpec {
    pub oracle: HyperOracleSpec,
    pub space: HyperSpace,
    /// Points tried first: trial `i` gets suggestion `i`. What one leaves out the oracle fills in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suggestions: Vec<HyperPoint>,
}

/// Which algorithm, as a recipe writes it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum HyperOracleSpec {
    /// Every point drawn anew.
    Random,
    /// Tree-structured Parzen estimator.
    Tpe(TpeSpec),
}

/// What came of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HyperOutcome {
    /// Somebody is at it: others should look elsewhere meanwhile.
    Running,
    /// What is minimised.
    Loss(f64),
    /// It failed, and counts as worse than any loss.
    Failed,
}

/// What an oracle learns of a trial.
#[derive(Clone, Debug, PartialEq)]
pub struct HyperObservation {
    /// The trial's number. A running trial is told again when it ends.
    pub number: u64,
    pub point: HyperPoint,
    pub outcome: HyperOutcome,
}

/// Proposes points (ask) and learns from their losses (tell).
///
/// The generator of each ask is made from the study's seed and the trial's number.
pub trait HyperOracle: Send {
    fn ask(&mut self, rng: &mut ChaCha8Rng) -> HyperPoint;
    /// Losses that are not finite count as failed.
    fn tell(&mut self, observation: &HyperObservation);
}

/// Why a space, a setting or a point makes no sense.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum HyperError {
    #[error("hyper.space.{name}: found {found}, expected {expected}")]
    Range {
        name: String,
        found: String,
        expected: &'static str,
    },
    #[error("hyper.oracle.{field}: found {found}, expected {expected}")]
    Setting {
        field: &'static str,
        found: String,
        expected: &'static str,
    },
    #[error("hyper-parameter {name}: found {found}, expected {expected}")]
    Outside {
        name: String,
        found: String,
        expected: String,
    },
    #[error("found a hyper-parameter {name}, expected one of: {expected}")]
    NoSuch { name: String, expected: String },
    #[error("hyper-parameter {name} is missing")]
    Missing { name: String },
}

impl HyperOracleSpec {
    /// Checks ranges.
    pub fn validate(&self) -> Result<(), HyperError> {
        match self {
            Self::Random => Ok(()),
            Self::Tpe(spec) => spec.validate(),
        }
    }

    /// The algorithm, before its first observation.
    pub fn build(&self, space: &HyperSpace) -> Box<dyn HyperOracle> {
        match *self {
            Self::Random => Box::new(Random::new(space.clone())),
            Self::Tpe(spec) => Box::new(Tpe::new(space.clone(), spec)),
        }
    }
}

impl HyperSpec {
    /// Checks the ranges, the oracle's settings and every suggestion.
    pub fn validate(&self) -> Result<(), HyperError> {
        self.space.validate()?;
        self.oracle.validate()?;
        for suggestion in &self.suggestions {
            self.space.admits_part(suggestion)?;
        }
        Ok(())
    }

    /// The search, before its first observation.
    ///
    /// # Errors
    ///
    /// Those of [`validate`](Self::validate).
    pub fn build(&self) -> Result<HyperSearch, HyperError> {
        self.validate()?;
        Ok(HyperSearch {
            oracle: self.oracle.build(&self.space),
            suggestions: self.suggestions.clone(),
        })
    }
}

/// An oracle behind a queue of suggestions.
pub struct HyperSearch {
    oracle: Box<dyn HyperOracle>,
    suggestions: Vec<HyperPoint>,
}

impl HyperSearch {
    /// The point of that trial.
    pub fn ask(&mut self, number: u64, rng: &mut ChaCha8Rng) -> HyperPoint {
        let mut point = self.oracle.ask(rng);
        let index = usize::try_from(number).ok();
        if let Some(suggestion) = index.and_then(|index| self.suggestions.get(index)) {
            point.values.extend(suggestion.values.clone());
        }
        point
    }

    /// Learns from any trial, suggested or not.
    pub fn tell(&mut self, observation: &HyperObservation) {
        self.oracle.tell(observation);
    }
}
