//! Any file, raw PCM on a pipe, or a microphone -> mono `f32` at the rate that was asked for.
//!
//! Refuses to know labels, corpora or features, and never prints. A file is judged by its content, not by its name.
//! Whatever a header promises is checked against the bytes that are there before anything is allocated for it.
//!
//! - [`decode`] is strict: a file that is cut, damaged or lying is an error.
//! - [`AudioReader`] hears what there is, chunk by chunk in bounded memory, and says afterwards what was wrong
//!   ([`AudioReader::fault`]). [`decode_what_is_there`] collects the same.
//!
//! The mix-down rule stands in [`Mixdown`], the resampler's figures in [`Resampler`].

mod au;
#[cfg(feature = "mic")]
pub mod capture;
mod decoder;
mod error;
mod format;
pub mod lasting;
mod mixdown;
mod mp4;
mod raw;
mod reader;
mod resample;
mod riff;
mod silence;
mod source;
mod track;
mod wav;

#[cfg(test)]
mod tests;

pub use error::AudioError;
pub use mixdown::Mixdown;
pub use raw::{RawFormat, RawIntake, RawReader, SampleFormat};
pub use reader::{AudioReader, MAX_CLIP_S, decode, decode_what_is_there};
pub use resample::Resampler;
pub use silence::{SilenceWatch, SoundNotice};
pub use wav::{wav_bytes, write_wav};

/// The sample rates this room takes in or gives out, in Hz. Beyond them a header lies, or a clip would grow out of measure.
pub const SAMPLE_RATES_HZ: std::ops::RangeInclusive<u32> = 2_000..=768_000;

/// The channel counts this room takes in.
pub const CHANNEL_COUNTS: std::ops::RangeInclusive<usize> = 1..=32;

/// A sample further from zero than this is no sound: it is refused like a NaN.
/// Wide enough for float files that hold 16-bit integers.
pub const MAX_MAGNITUDE: f32 = 65_536.0;

/// Whether a sample is one: NaN is not within anything.
fn is_number(sample: f32) -> bool {
    sample.abs() <= MAX_MAGNITUDE
}

/// A finished recording, one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// Full scale is -1 to 1; float files and resampling may step a little beyond.
    pub samples: Vec<f32>,
    pub sample_rate_hz: u32,
}

impl Clip {
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.sample_rate_hz)
    }
}
