//! Listening: samples in, detections out, with the networks of one bundle.
//!
//! Invariant: whatever way the samples are cut into chunks, a [`Session`] gives the same answers bit
//! for bit and the same detections. Its answer at any time is what the bundle's networks say of the
//! frames of all samples so far.
//!
//! The room opens no file and no microphone, knows no corpus, and learns nothing. Samples come at the
//! rate of the bundle's front-end.

mod clip;
mod committee;
mod detector;
pub mod extent;
mod languages;
mod session;
mod smoothing;
mod voice;

pub use clip::{ClipClassifier, classify_clip};
pub use detector::{Detector, Event};
pub use languages::{
    CHANGE_HOLDS_MS, LanguageError, LanguageSession, Occasion, Opinion, TOLD_AFTER_S,
};
pub use session::{Answer, Detection, Session};

pub use crate::bundle::DetectorSpec;

#[cfg(test)]
mod tests;
