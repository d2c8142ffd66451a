//! One clip, heard once as a stream: its length, level, extremes, and a number that equal samples share.

use sha1::{Digest, Sha1};

/// A sample this close to full scale counts as driven against it.
const FULL_SCALE: f32 = 0.998;

/// What was heard of a clip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// Equal for two clips whose samples are equal at 16 bits and the same rate, and for hardly any others.
    pub content: u128,
    /// Length in seconds.
    pub duration_s: f64,
    /// The rate of the file in Hz.
    pub rate_hz: u32,
    /// The channels of the file.
    pub n_channels: usize,
    /// The largest magnitude, 1 at full scale.
    pub peak: f32,
    /// Root mean square, in dB of full scale (a square wave at full scale is 0); minus infinity for exact silence.
    pub level_dbfs: f64,
    /// The share of samples at full scale, 0 to 1.
    pub full_scale_share: f64,
    /// Every sample is the same number.
    pub is_constant: bool,
}

/// Takes the samples of one clip as they come.
pub struct Listener {
    hash: Sha1,
    n_samples: u64,
    n_full_scale: u64,
    peak: f32,
    sum_of_squares: f64,
    first: Option<f32>,
    is_constant: bool,
    bytes: Vec<u8>,
}

impl Default for Listener {
    fn default() -> Self {
        Self::new()
    }
}

impl Listener {
    /// Before the first sample.
    pub fn new() -> Self {
        Self {
            hash: Sha1::new(),
            n_samples: 0,
            n_full_scale: 0,
            peak: 0.0,
            sum_of_squares: 0.0,
            first: None,
            is_constant: true,
            bytes: Vec::new(),
        }
    }

    /// The next samples, -1 to 1. How they are cut into pieces makes no difference.
    pub fn push(&mut self, samples: &[f32]) {
        self.bytes.clear();
        for &sample in samples {
            let whole = (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
            self.bytes.extend_from_slice(&whole.to_le_bytes());
            self.peak = self.peak.max(sample.abs());
            self.n_full_scale += u64::from(sample.abs() >= FULL_SCALE);
            self.sum_of_squares += f64::from(sample) * f64::from(sample);
            let first = *self.first.get_or_insert(sample);
            self.is_constant &= sample == first;
        }
        self.n_samples += samples.len() as u64;
        self.hash.update(&self.bytes);
    }

    /// What was heard, of a file with this rate and these channels; `None` if there was no sample.
    pub fn finish(mut self, rate_hz: u32, n_channels: usize) -> Option<Heard> {
        if self.n_samples == 0 {
            return None;
        }
        self.hash.update(rate_hz.to_le_bytes());
        let digest = self.hash.finalize();
        let n_samples = self.n_samples as f64;
        Some(Heard {
            content: u128::from_le_bytes(
                digest[..16]
                    .try_into()
                    .expect("a SHA-1 digest has 20 bytes"),
            ),
            duration_s: n_samples / f64::from(rate_hz),
            rate_hz,
            n_channels,
            peak: self.peak,
            level_dbfs: 10.0 * (self.sum_of_squares / n_samples).log10(),
            full_scale_share: self.n_full_scale as f64 / n_samples,
            is_constant: self.is_constant,
        })
    }
}
