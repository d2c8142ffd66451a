//! Rows of features.

/// Frames of `n_mels` values, frame-major: all bands of a frame lie together.
#[derive(Clone, Debug, PartialEq)]
pub struct Frames {
    /// Bands.
    pub n_mels: usize,
    /// `[n_frames, n_mels]`, in log units (or those of PCEN).
    pub values: Vec<f32>,
}

impl Frames {
    /// Rows; none where there are no bands.
    pub fn n_frames(&self) -> usize {
        self.values.len().checked_div(self.n_mels).unwrap_or(0)
    }

    /// Row `index`.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    pub fn frame(&self, index: usize) -> &[f32] {
        &self.values[index * self.n_mels..(index + 1) * self.n_mels]
    }
}
