//! The operations of networks over bands and time, on planes: one plane a channel, a band after the other, the frames
//! side by side. That is how their tensors `[batch, n_channels * n_bands, n_frames]` lie in memory anyway.
//!
//! Such networks have few channels and many positions, so vectors run along the positions, where the operations over
//! time alone ([`super::rows`]) have them run along the channels.

pub mod broadcast;
pub mod conv;
pub mod depthwise;
pub mod grid;
pub mod multiply;
pub mod norm;
pub mod pool;

#[cfg(test)]
mod tests;

use burn::backend::flex::FlexTensor;

use super::rows::plain_tensor;

/// A batch of clips as its planes.
#[derive(Clone, Debug)]
pub struct Planes {
    /// Contiguous, `[batch, n_values, n_frames]`.
    values: FlexTensor,
}

impl Planes {
    /// Reads a tensor `[batch, n_values, n_frames]`, without a copy where the frames are innermost already.
    pub fn of(tensor: &FlexTensor) -> Self {
        let values = match tensor.as_slice::<f32>() {
            Some(_) => tensor.clone(),
            None => tensor.to_contiguous(),
        };
        Self { values }
    }

    /// Row-major.
    pub fn values(&self) -> &[f32] {
        self.values
            .as_slice()
            .expect("kept contiguous and f32 by its constructor")
    }

    pub fn n_clips(&self) -> usize {
        self.values.layout().shape()[0]
    }

    pub fn n_frames(&self) -> usize {
        self.values.layout().shape()[2]
    }
}

/// A tensor `[batch, n_values, n_frames]` over planes.
pub fn planes_tensor(values: Vec<f32>, n_clips: usize, n_frames: usize) -> FlexTensor {
    let n_values = values.len() / (n_clips * n_frames).max(1);
    plain_tensor(values, [n_clips, n_values, n_frames])
}
