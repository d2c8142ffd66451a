//! The noise that training clips are mixed with, and crops of it.

use rand::{Rng, RngExt};

/// Noise recordings in memory, at one rate, as 16-bit samples. Put only what training may hear into it:
/// the `Train` regions of [`crate::background::divide`].
#[derive(Clone, Debug)]
pub struct NoiseBank {
    sample_rate_hz: u32,
    recordings: Vec<Vec<i16>>,
    n_samples: usize,
}

impl NoiseBank {
    /// A bank without noise, for clips of the given rate.
    pub fn new(sample_rate_hz: u32) -> Self {
        Self {
            sample_rate_hz,
            recordings: Vec::new(),
            n_samples: 0,
        }
    }

    /// Adds a recording; an empty or exactly silent one is passed over.
    pub fn push(&mut self, samples: Vec<i16>) {
        if samples.iter().any(|&x| x != 0) {
            self.n_samples += samples.len();
            self.recordings.push(samples);
        }
    }

    /// The rate of the noise, and of the clips it is for.
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// Whether there is no noise.
    pub fn is_empty(&self) -> bool {
        self.recordings.is_empty()
    }

    /// Recordings in it.
    pub fn len(&self) -> usize {
        self.recordings.len()
    }

    /// A stretch of noise of this many samples, -1..1, from anywhere in any recording; longer recordings are drawn more
    /// often. One that is too short goes on from its start. Empty from an empty bank.
    ///
    /// A stretch that is silent (recordings are often padded with zeros) is drawn again, a few times.
    pub fn crop(&self, n_samples: usize, rng: &mut impl Rng) -> Vec<f32> {
        const N_TRIES: usize = 4;
        let mut crop = Vec::new();
        if self.is_empty() {
            return crop;
        }
        for _ in 0..N_TRIES {
            let mut at = rng.random_range(0..self.n_samples);
            let mut recordings = self.recordings.iter();
            let recording = recordings
                .find(|recording| {
                    let inside = at < recording.len();
                    if !inside {
                        at -= recording.len();
                    }
                    inside
                })
                .expect("the place is inside one of the recordings");
            // A stretch that fits is taken in one piece.
            let start = match recording.len().checked_sub(n_samples) {
                Some(last) => rng.random_range(0..=last),
                None => at,
            };
            let samples = recording.iter().cycle().skip(start).take(n_samples);
            crop.clear();
            crop.extend(samples.map(|&x| f32::from(x) / 32_768.0));
            if crop.iter().any(|&x| x != 0.0) {
                break;
            }
        }
        crop
    }
}
