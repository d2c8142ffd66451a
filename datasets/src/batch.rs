//! Clips of different lengths side by side: one block of numbers that a network takes at once.
//!
//! Padding is on the left, in the past, so the newest frame of every clip is the last one. It knows no tensor: the
//! caller copies the block to its device.

use rand::{Rng, RngExt};

/// Clips with their classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `[batch, n_mels, n_frames]`, row-major: all frames of a band lie together.
    pub frames: Vec<f32>,
    /// Frames of each clip that are not padding.
    pub lengths: Vec<usize>,
    /// The class of each clip.
    pub labels: Vec<usize>,
    /// Bands.
    pub n_mels: usize,
    /// Frames of every clip, padding included.
    pub n_frames: usize,
}

/// Which part of a clip is taken that is longer than the batch.
pub enum Crop<'a> {
    /// The middle: the same every time, for evaluation.
    Centre,
    /// Anywhere, drawn from the generator: for training.
    Random(&'a mut dyn Rng),
}

impl Batch {
    /// An empty batch with room for `n_clips`.
    pub fn with_capacity(n_clips: usize, n_mels: usize, n_frames: usize) -> Self {
        Self {
            frames: Vec::with_capacity(n_clips * n_mels * n_frames),
            lengths: Vec::with_capacity(n_clips),
            labels: Vec::with_capacity(n_clips),
            n_mels,
            n_frames,
        }
    }

    /// Clips in it.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether it holds no clip.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Forgets the clips and keeps the memory.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.lengths.clear();
        self.labels.clear();
    }

    /// Appends a clip, frame-major `[n_clip_frames, n_mels]`: cropped to `n_frames` if longer, and padded on the left
    /// with `pad` if shorter (0 for normalised features; the logarithm of the floor for raw log-mel).
    ///
    /// # Panics
    ///
    /// When `clip` is not a whole number of frames.
    pub fn push(&mut self, clip: &[f32], label: usize, pad: f32, crop: Crop) {
        assert!(
            clip.len().is_multiple_of(self.n_mels),
            "{} values in frames of {}",
            clip.len(),
            self.n_mels
        );
        let n_clip_frames = clip.len() / self.n_mels;
        let n_beyond = n_clip_frames.saturating_sub(self.n_frames);
        let first = match crop {
            _ if n_beyond == 0 => 0,
            Crop::Centre => n_beyond / 2,
            Crop::Random(rng) => rng.random_range(0..=n_beyond),
        };
        let length = n_clip_frames.min(self.n_frames);
        let clip = &clip[first * self.n_mels..(first + length) * self.n_mels];
        let n_padding = self.n_frames - length;
        for band in 0..self.n_mels {
            self.frames.extend(std::iter::repeat_n(pad, n_padding));
            self.frames
                .extend(clip.iter().skip(band).step_by(self.n_mels));
        }
        self.lengths.push(length);
        self.labels.push(label);
    }

    /// Appends a clip, frame-major `[n_clip_frames, n_mels]`, with its first frame first and `pad`, one value a band,
    /// behind its last: for networks that are told the lengths.
    ///
    /// # Panics
    ///
    /// When `clip` is not a whole number of frames, or longer than the batch.
    pub fn push_from_start(&mut self, clip: &[f32], label: usize, pad: &[f32]) {
        assert!(
            clip.len().is_multiple_of(self.n_mels) && clip.len() <= self.n_mels * self.n_frames,
            "{} values in at most {} frames of {}",
            clip.len(),
            self.n_frames,
            self.n_mels
        );
        let length = clip.len() / self.n_mels;
        for (band, &pad) in pad.iter().enumerate().take(self.n_mels) {
            self.frames
                .extend(clip.iter().skip(band).step_by(self.n_mels));
            self.frames
                .extend(std::iter::repeat_n(pad, self.n_frames - length));
        }
        self.lengths.push(length);
        self.labels.push(label);
    }
}

/// Puts clips (features frame-major, class) into one batch, padded with zeros: see [`Batch::push`].
/// `rng` draws the crops of training; without it the middle is taken.
pub fn collate(
    clips: &[(&[f32], usize)],
    n_mels: usize,
    n_frames: usize,
    mut rng: Option<&mut dyn Rng>,
) -> Batch {
    let mut batch = Batch::with_capacity(clips.len(), n_mels, n_frames);
    for &(clip, label) in clips {
        let crop = match rng.as_mut() {
            Some(rng) => Crop::Random(&mut **rng),
            None => Crop::Centre,
        };
        batch.push(clip, label, 0.0, crop);
    }
    batch
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Frame `t` of the clip holds `[10 t, 10 t + 1, 10 t + 2]`.
    fn clip(n_frames: usize) -> Vec<f32> {
        (0..n_frames)
            .flat_map(|t| (0..3).map(move |band| (10 * t + band) as f32))
            .collect()
    }

    fn row(batch: &Batch, item: usize, band: usize) -> &[f32] {
        let start = (item * batch.n_mels + band) * batch.n_frames;
        &batch.frames[start..start + batch.n_frames]
    }

    #[test]
    fn the_newest_frame_is_last_and_the_past_is_padded() {
        let (short, exact) = (clip(2), clip(4));
        let batch = collate(&[(&short, 7), (&exact, 1), (&[], 3)], 3, 4, None);
        assert_eq!(batch.frames.len(), 3 * 3 * 4);
        assert_eq!(row(&batch, 0, 0), [0.0, 0.0, 0.0, 10.0]);
        assert_eq!(row(&batch, 0, 2), [0.0, 0.0, 2.0, 12.0]);
        assert_eq!(row(&batch, 1, 1), [1.0, 11.0, 21.0, 31.0]);
        assert_eq!(row(&batch, 2, 1), [0.0; 4]);
        assert_eq!(
            (batch.lengths, batch.labels),
            (vec![2, 4, 0], vec![7, 1, 3])
        );
    }

    #[test]
    fn a_long_clip_is_cropped_in_the_middle_for_evaluation() {
        let long = clip(9);
        let batch = collate(&[(&long, 0)], 3, 4, None);
        assert_eq!(row(&batch, 0, 0), [20.0, 30.0, 40.0, 50.0]);
        assert_eq!(batch.lengths, [4]);
    }

    #[test]
    fn a_long_clip_is_cropped_anywhere_for_training_by_the_seed() {
        let long = clip(9);
        let starts = |seed| -> Vec<f32> {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            (0..200)
                .map(|_| {
                    let batch = collate(&[(&long, 0)], 3, 4, Some(&mut rng));
                    let row = row(&batch, 0, 0);
                    assert!(
                        row.windows(2).all(|pair| pair[1] - pair[0] == 10.0),
                        "a crop is in one piece"
                    );
                    row[0]
                })
                .collect()
        };
        let distinct: std::collections::BTreeSet<u32> =
            starts(1).iter().map(|&s| s as u32).collect();
        assert_eq!(distinct, (0..=50).step_by(10).collect());
        assert_eq!(starts(1), starts(1));
        assert_ne!(starts(1), starts(2));
    }

    #[test]
    fn clips_may_begin_together_and_be_padded_behind() {
        let mut batch = Batch::with_capacity(2, 3, 4);
        batch.push_from_start(&clip(2), 7, &[-1.0, -2.0, -3.0]);
        batch.push_from_start(&clip(4), 1, &[-1.0, -2.0, -3.0]);
        assert_eq!(row(&batch, 0, 0), [0.0, 10.0, -1.0, -1.0]);
        assert_eq!(row(&batch, 0, 2), [2.0, 12.0, -3.0, -3.0]);
        assert_eq!(row(&batch, 1, 1), [1.0, 11.0, 21.0, 31.0]);
        assert_eq!((batch.lengths, batch.labels), (vec![2, 4], vec![7, 1]));
    }

    #[test]
    fn padding_may_be_the_floor_and_a_batch_may_be_filled_again() {
        let mut batch = Batch::with_capacity(1, 3, 4);
        batch.push(&clip(3), 0, -13.8, Crop::Centre);
        assert_eq!(row(&batch, 0, 1), [-13.8, 1.0, 11.0, 21.0]);
        batch.clear();
        assert!(batch.is_empty());
        batch.push(&clip(4), 2, 0.0, Crop::Centre);
        assert_eq!((batch.len(), batch.labels.as_slice()), (1, [2].as_slice()));
    }
}
