//! A file as mono samples at the rate that was asked for: chunk by chunk, or whole.

use std::path::{Path, PathBuf};

use super::source::Source;
use super::{AudioError, Clip, Mixdown, Resampler};

/// The longest clip that [`decode`] holds in memory, in seconds: two hours (460 MB at 16 kHz). [`AudioReader`] has no limit.
pub const MAX_CLIP_S: f64 = 7_200.0;

/// Decodes, mixes down and resamples a file in bounded memory.
///
/// It gives all that can be heard. A file that is cut, damaged or lying about its length is heard as far as it goes, and
/// [`AudioReader::fault`] says so afterwards.
pub struct AudioReader {
    source: Source,
    mixdown: Mixdown,
    resampler: Resampler,
    sample_rate_hz: u32,
    interleaved: Vec<f32>,
    mono: Vec<f32>,
    ended: bool,
}

impl AudioReader {
    /// # Errors
    ///
    /// All of [`AudioError`] but those of devices: nothing at all can be heard.
    pub fn open(path: &Path, sample_rate_hz: u32) -> Result<Self, AudioError> {
        let source = Source::open(path)?;
        Ok(AudioReader {
            mixdown: Mixdown::new(source.n_channels),
            resampler: Resampler::new(source.sample_rate_hz, sample_rate_hz)?,
            source,
            sample_rate_hz,
            interleaved: Vec::new(),
            mono: Vec::new(),
            ended: false,
        })
    }

    /// Appends the next samples to `out`. `false`: that was all.
    ///
    /// # Errors
    ///
    /// [`AudioError::Io`], [`AudioError::NonFinite`]; [`AudioError::Damaged`] where a decoder gives up altogether.
    pub fn read(&mut self, out: &mut Vec<f32>) -> Result<bool, AudioError> {
        let n_before = out.len();
        while !self.ended && out.len() == n_before {
            self.mono.clear();
            match self.source.next(&mut self.interleaved) {
                Ok(true) => {
                    self.mixdown.push(&self.interleaved, &mut self.mono);
                    self.resampler.push(&self.mono, out);
                }
                Ok(false) => {
                    self.ended = true;
                    self.mixdown.finish(&mut self.mono);
                    self.resampler.push(&self.mono, out);
                    self.resampler.finish(out);
                }
                Err(error) => {
                    self.ended = true;
                    return Err(error);
                }
            }
        }
        Ok(!self.ended)
    }

    /// Once [`AudioReader::read`] has returned `false`: what was wrong with the file, if anything was.
    pub fn fault(&self) -> Option<&AudioError> {
        self.source.fault().filter(|_| self.ended)
    }

    /// The rate the samples are given at.
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// The rate of the file itself.
    pub fn source_rate_hz(&self) -> u32 {
        self.source.sample_rate_hz
    }

    /// The channels of the file itself.
    pub fn n_source_channels(&self) -> usize {
        self.source.n_channels
    }

    /// [`AudioReader::fault`], for keeps.
    pub fn into_fault(self) -> Option<AudioError> {
        if self.ended {
            self.source.into_fault()
        } else {
            None
        }
    }
}

/// A whole file as one clip. Strict: for training and judging, where half a word is worse than none.
///
/// # Errors
///
/// All of [`AudioError`] but those of devices, among them [`AudioError::Truncated`] for a file that was cut,
/// [`AudioError::LyingHeader`], [`AudioError::Damaged`], and [`AudioError::TooLong`] beyond [`MAX_CLIP_S`].
pub fn decode(path: &Path, sample_rate_hz: u32) -> Result<Clip, AudioError> {
    match decode_what_is_there(path, sample_rate_hz)? {
        (clip, None) => Ok(clip),
        (_, Some(fault)) => Err(fault),
    }
}

/// What can be heard of a file, and what is wrong with it, if anything is.
///
/// # Errors
///
/// As [`decode`], when nothing can be heard, or a sample is no number.
pub fn decode_what_is_there(
    path: &Path,
    sample_rate_hz: u32,
) -> Result<(Clip, Option<AudioError>), AudioError> {
    let mut reader = AudioReader::open(path, sample_rate_hz)?;
    let n_most = (MAX_CLIP_S * f64::from(sample_rate_hz)) as usize;
    let mut samples = Vec::new();
    while reader.read(&mut samples)? {
        if samples.len() > n_most {
            return Err(AudioError::TooLong {
                path: PathBuf::from(path),
                max_s: MAX_CLIP_S,
            });
        }
    }
    Ok((
        Clip {
            samples,
            sample_rate_hz,
        },
        reader.into_fault(),
    ))
}
