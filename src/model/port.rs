//! What flows from one block to the next at each frame.

/// The values of one frame: `n_channels * n_bands`, channel-major. Blocks over time alone leave one band;
/// the features are one channel of `n_mels` bands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    pub n_channels: usize,
    pub n_bands: usize,
}

impl Port {
    /// Channels without bands.
    pub fn flat(n_channels: usize) -> Self {
        Self {
            n_channels,
            n_bands: 1,
        }
    }

    /// One channel over bands of frequency.
    pub fn bands(n_bands: usize) -> Self {
        Self {
            n_channels: 1,
            n_bands,
        }
    }

    /// Values in a frame.
    pub fn n_values(&self) -> usize {
        self.n_channels * self.n_bands
    }
}
