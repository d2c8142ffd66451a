//! Mean or maximum over neighbouring bands and the last frames. Only what exists is pooled: at the start of a
//! clip the window is shorter, and so is the last group of bands where they do not divide.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{History, LayerShape, Step};
use crate::model::port::Port;

/// What becomes of the values in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    Mean,
    Max,
}

impl fmt::Display for Reduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mean => "mean",
            Self::Max => "max",
        })
    }
}

/// The shape of one pooling: no weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolShape {
    pub input: Port,
    pub reduction: Reduction,
    pub window_frames: usize,
    pub stride_frames: usize,
    /// Bands that become one; windows of bands do not overlap.
    pub window_bands: usize,
}

impl LayerShape for PoolShape {
    fn n_params(&self) -> u64 {
        0
    }

    fn macs_per_step(&self) -> u64 {
        0
    }

    fn n_state_values(&self) -> u64 {
        self.window_frames as u64 * self.input.n_values() as u64
    }

    fn past_frames(&self) -> Option<usize> {
        Some(self.window_frames - 1)
    }

    fn stride_frames(&self) -> usize {
        self.stride_frames
    }

    fn output(&self) -> Port {
        Port {
            n_channels: self.input.n_channels,
            n_bands: self.input.n_bands.div_ceil(self.window_bands),
        }
    }
}

/// The stepping form.
#[derive(Clone, Debug)]
pub struct PoolStep {
    shape: PoolShape,
    window: History,
    n_seen: usize,
    phase: usize,
}

impl PoolStep {
    pub fn new(shape: PoolShape) -> Self {
        Self {
            shape,
            window: History::new(shape.window_frames, shape.input.n_values()),
            n_seen: 0,
            phase: 0,
        }
    }
}

impl Step for PoolStep {
    fn step(&mut self, frame: &[f32], output: &mut [f32]) -> bool {
        let n_window = self.shape.window_frames;
        self.window.push(frame);
        self.n_seen = (self.n_seen + 1).min(n_window);
        let emits = self.phase == 0;
        self.phase = (self.phase + 1) % self.shape.stride_frames;
        if !emits {
            return false;
        }
        let is_max = self.shape.reduction == Reduction::Max;
        let (n_bands, n_each) = (self.shape.input.n_bands, self.shape.window_bands);
        let n_out = self.shape.output().n_bands;
        output.fill(if is_max { f32::MIN } else { 0.0 });
        for i in n_window - self.n_seen..n_window {
            let channels = self.window.frame(i).chunks_exact(n_bands);
            for (pooled, bands) in output.chunks_exact_mut(n_out).zip(channels) {
                for (pooled, bands) in pooled.iter_mut().zip(bands.chunks(n_each)) {
                    if is_max {
                        *pooled = bands.iter().fold(*pooled, |max, value| max.max(*value));
                    } else {
                        let share = 1.0 / (self.n_seen * bands.len()) as f32;
                        *pooled += share * bands.iter().sum::<f32>();
                    }
                }
            }
        }
        true
    }

    fn reset(&mut self) {
        self.window.clear();
        self.n_seen = 0;
        self.phase = 0;
    }

    fn n_state_values(&self) -> usize {
        self.window.n_values()
    }
}

#[cfg(feature = "search")]
pub use trainable::Pool;

#[cfg(feature = "search")]
mod trainable {
    use burn::module::Module;
    use burn::tensor::module::max_pool2d;
    use burn::tensor::ops::MaxPoolOptions;
    use burn::tensor::{Tensor, TensorData};

    use super::{PoolShape, Reduction};
    use crate::model::layers::{LayerShape, Trainable, window_shares};
    use crate::model::lengths::Lengths;
    use crate::model::ops::planes::pool;
    use crate::model::weights::Weights;

    /// The trainable form: nothing to train.
    #[derive(Module, Debug)]
    pub struct Pool {
        #[module(skip)]
        shape: PoolShape,
    }

    impl Pool {
        pub fn new(shape: PoolShape) -> Self {
            Self {
                shape: PoolShape {
                    window_bands: shape.window_bands.min(shape.input.n_bands),
                    ..shape
                },
            }
        }

        /// Bands that the last group lacks.
        fn n_missing(&self) -> usize {
            self.shape.output().n_bands * self.shape.window_bands - self.shape.input.n_bands
        }

        /// # Shapes
        ///
        /// - `frames`: `[batch * n_channels, n_bands, n_frames]`
        /// - output: `[batch * n_channels, n_bands_out, n_frames_out]`
        fn mean(&self, frames: Tensor<3>) -> Tensor<3> {
            let [n_rows, n_bands, n_frames] = frames.dims();
            let device = frames.device();
            let shares = window_shares(
                n_frames,
                self.shape.window_frames,
                self.shape.stride_frames,
                &device,
            );
            let pooled = frames.reshape([n_rows * n_bands, n_frames]).matmul(shares);
            let n_frames = pooled.dims()[1];
            let pooled = pooled.reshape([n_rows, n_bands, n_frames]);
            if self.shape.window_bands == 1 {
                return pooled;
            }
            let (n_out, n_each, n_missing) = (
                self.shape.output().n_bands,
                self.shape.window_bands,
                self.n_missing(),
            );
            let pooled = pooled.pad((0, 0, 0, n_missing), 0.0);
            let grouped = pooled.reshape([n_rows, n_out, n_each, n_frames]);
            let mut shares = vec![1.0 / n_each as f32; n_out];
            shares[n_out - 1] = 1.0 / (n_each - n_missing) as f32;
            let shares = Tensor::from_data(TensorData::new(shares, [1, n_out, 1]), &device);
            grouped.sum_dim(2).squeeze_dim::<3>(2) * shares
        }

        /// As tensor operations: what [`Trainable::forward`] is on every device but the CPU's.
        pub(crate) fn forward_composed(&self, frames: Tensor<3>) -> Tensor<3> {
            let [n_batch, n_values, n_frames] = frames.dims();
            let n_channels = n_values / self.shape.input.n_bands;
            let frames = frames.reshape([n_batch * n_channels, self.shape.input.n_bands, n_frames]);
            let pooled = if self.shape.reduction == Reduction::Max {
                self.max(frames)
            } else {
                self.mean(frames)
            };
            let n_frames = pooled.dims()[2];
            pooled.reshape([n_batch, n_channels * self.shape.output().n_bands, n_frames])
        }

        fn max(&self, frames: Tensor<3>) -> Tensor<3> {
            let (past, n_missing) = (self.shape.window_frames - 1, self.n_missing());
            let padded = frames.pad((past, 0, 0, n_missing), f32::MIN);
            let options = MaxPoolOptions::new([self.shape.window_bands, self.shape.window_frames])
                .with_stride([self.shape.window_bands, self.shape.stride_frames]);
            max_pool2d(padded.unsqueeze_dim::<4>(1), options).squeeze_dim(1)
        }
    }

    impl Trainable for Pool {
        fn store(&self, _prefix: &str, _weights: &mut Weights) {}

        fn stride_frames(&self) -> usize {
            self.shape.stride_frames
        }

        fn forward(&self, frames: Tensor<3>, _lengths: Option<&Lengths>) -> Tensor<3> {
            let fused = (self.shape.reduction == Reduction::Mean)
                .then(|| pool::mean(self.shape, &frames))
                .flatten();
            fused.unwrap_or_else(|| self.forward_composed(frames))
        }
    }
}
