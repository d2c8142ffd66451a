//! Samples to log-mel frames, a whole clip or a chunk at a time, bit for bit the same.
//!
//! The crate opens no file, knows no tensor and reads no clock. [`FrontendSpec`] says what is
//! computed, [`LogMel`] is the plan that does it to a clip, [`LogMelStream`] does it to a stream, and
//! [`fit_clip`] brings a recording to the length that a network was trained on.

mod clip;
mod fingerprint;
mod frames;
mod log_mel;
mod mel;
mod normalise;
mod spec;
mod stream;
mod validate;
mod window;

pub use clip::fit_clip;
pub use frames::Frames;
pub use log_mel::LogMel;
pub use mel::MelBand;
pub use spec::{FrontendSpec, MelNorm, MelScale, PcenSpec, RunningNormSpec, Spectrum, Window};
pub use stream::LogMelStream;
pub use validate::SpecError;
