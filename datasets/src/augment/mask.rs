//! SpecAugment (Park et al. 2019, without time warping): stretches of time and of frequency that the network must do
//! without.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// How much is hidden.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpecAugment {
    /// Stretches of time.
    pub n_time_masks: usize,
    /// The longest of them; each is 0 to this many frames long, and never longer than half of the clip.
    pub max_time_frames: usize,
    /// Stretches of frequency.
    pub n_frequency_masks: usize,
    /// The widest of them; each is 0 to this many bands wide, and never wider than half of the bands.
    pub max_bands: usize,
}

/// Hides stretches of features in place, frame-major `[n_frames, n_mels]`: they become `fill`, one value a band.
///
/// # Panics
///
/// When `fill` is empty or `frames` is not a whole number of frames of its length.
pub fn mask_frames(frames: &mut [f32], fill: &[f32], masks: &SpecAugment, rng: &mut impl Rng) {
    let n_mels = fill.len();
    assert!(
        n_mels > 0 && frames.len().is_multiple_of(n_mels),
        "{} values in frames of {n_mels}",
        frames.len()
    );
    let n_frames = frames.len() / n_mels;
    let mut stretch = |n: usize, longest: usize| {
        let length = rng.random_range(0..=longest.min(n / 2));
        let start = rng.random_range(0..=n - length);
        start..start + length
    };
    for _ in 0..masks.n_time_masks {
        for frame in stretch(n_frames, masks.max_time_frames) {
            frames[frame * n_mels..(frame + 1) * n_mels].copy_from_slice(fill);
        }
    }
    for _ in 0..masks.n_frequency_masks {
        let bands = stretch(n_mels, masks.max_bands);
        for frame in frames.chunks_exact_mut(n_mels) {
            frame[bands.clone()].copy_from_slice(&fill[bands.clone()]);
        }
    }
}
