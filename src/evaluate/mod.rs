//! Scores and labels in, numbers and a report out.
//!
//! Refuses to know a network, a tensor or a file of audio: whoever calls has already turned sound into class probabilities
//! ([`Scores`]) or into timed detections ([`detection::Event`]). What cannot be measured is a [`Measured::Missing`] with its
//! reason, never a NaN and never a made-up zero.

pub mod breakdown;
pub mod calibration;
pub mod confusion;
pub mod cost;
pub mod detection;
mod error;
pub(crate) mod format;
pub mod intervals;
pub mod judgement;
pub mod measured;
pub mod over_seeds;
pub mod paired;
pub mod report;
pub mod side_by_side;
pub mod text;

#[cfg(test)]
mod tests;

pub use breakdown::Breakdown;
pub use confusion::Scores;
pub use error::EvaluateError;
pub use intervals::Interval;
pub use judgement::{Bootstrap, Judgement};
pub use measured::Measured;
pub use paired::Paired;
pub use report::Report;
