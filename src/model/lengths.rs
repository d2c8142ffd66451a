//! How long each clip of a padded batch really is.
//!
//! Padding lies after a clip's last frame. Causal layers never read it for a frame of the clip; a layer that
//! looks at a whole clip, a head, and statistics over a batch ask here what is real.

use burn::tensor::{Device, Tensor, TensorData};

/// True lengths in frames of the present rate, one a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lengths(Vec<usize>);

impl Lengths {
    /// # Panics
    ///
    /// If a length is zero: a clip without a frame has no answer.
    pub fn new(n_frames: Vec<usize>) -> Self {
        assert!(n_frames.iter().all(|&n| n > 0), "a clip holds a frame");
        Self(n_frames)
    }

    /// The lengths, one a clip.
    pub fn frames(&self) -> &[usize] {
        &self.0
    }

    /// Lengths behind a layer that answers every `stride_frames` frames, first on the first.
    pub fn strided(&self, stride_frames: usize) -> Self {
        Self(self.0.iter().map(|n| n.div_ceil(stride_frames)).collect())
    }

    /// One where a clip is, zero where padding is.
    ///
    /// # Shapes
    ///
    /// - output: `[batch, 1, n_frames]`
    pub fn mask(&self, n_frames: usize, device: &Device) -> Tensor<3> {
        self.window_mask(n_frames, n_frames, device)
    }

    /// One at the last `n_window` true frames of each clip, zero elsewhere.
    ///
    /// # Shapes
    ///
    /// - output: `[batch, 1, n_frames]`
    pub fn window_mask(&self, n_frames: usize, n_window: usize, device: &Device) -> Tensor<3> {
        let mut values = vec![0.0_f32; self.0.len() * n_frames];
        for (row, &length) in values.chunks_exact_mut(n_frames).zip(&self.0) {
            let end = length.min(n_frames);
            row[end.saturating_sub(n_window)..end].fill(1.0);
        }
        Tensor::from_data(TensorData::new(values, [self.0.len(), 1, n_frames]), device)
    }
}
