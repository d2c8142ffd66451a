//! Causal 1-D convolution over time and batch normalisation: the workhorse of most blocks.
//!
//! Dense (`[n_out, n_in, kernel]`) or depthwise (`[n_channels, 1, kernel]`), with a stride and a
//! dilation, no bias: the normalisation that follows has one (Ioffe & Szegedy 2015). The stepping
//! form folds the normalisation into the weights, `w * gamma / sqrt(var + eps)`.

use super::{History, LayerShape, Step, add_scaled, relu};
use crate::model::port::Port;
use crate::model::weights::{Weights, WeightsError};

/// Added to the variance before the root, in both forms.
pub const EPSILON: f64 = 1e-5;

/// The shape of one convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    pub n_in: usize,
    pub n_out: usize,
    pub kernel_frames: usize,
    pub stride_frames: usize,
    pub dilation_frames: usize,
    /// One filter a channel (`n_in == n_out`) instead of one a pair of channels.
    pub depthwise: bool,
    /// ReLU after the normalisation.
    pub relu: bool,
}

impl ConvShape {
    /// Dense, without stride or dilation.
    pub fn dense(n_in: usize, n_out: usize, kernel_frames: usize) -> Self {
        Self {
            n_in,
            n_out,
            kernel_frames,
            stride_frames: 1,
            dilation_frames: 1,
            depthwise: false,
            relu: false,
        }
    }

    /// One filter a channel.
    pub fn depthwise(n_channels: usize, kernel_frames: usize) -> Self {
        Self {
            depthwise: true,
            ..Self::dense(n_channels, n_channels, kernel_frames)
        }
    }

    pub fn with_stride(self, stride_frames: usize) -> Self {
        Self {
            stride_frames,
            ..self
        }
    }

    pub fn with_dilation(self, dilation_frames: usize) -> Self {
        Self {
            dilation_frames,
            ..self
        }
    }

    pub fn with_relu(self) -> Self {
        Self { relu: true, ..self }
    }

    /// Frames before the current one that are read.
    pub(crate) fn n_past(&self) -> usize {
        (self.kernel_frames - 1) * self.dilation_frames
    }

    fn n_in_per_filter(&self) -> usize {
        if self.depthwise { 1 } else { self.n_in }
    }

    pub(crate) fn weight_shape(&self) -> [usize; 3] {
        [self.n_out, self.n_in_per_filter(), self.kernel_frames]
    }
}

impl LayerShape for ConvShape {
    /// Weights, gamma and beta.
    fn n_params(&self) -> u64 {
        (self.n_out * self.n_in_per_filter() * self.kernel_frames + 2 * self.n_out) as u64
    }

    fn macs_per_step(&self) -> u64 {
        (self.n_out * self.n_in_per_filter() * self.kernel_frames) as u64
    }

    fn n_state_values(&self) -> u64 {
        (self.n_past() as u64 + 1) * self.n_in as u64
    }

    fn past_frames(&self) -> Option<usize> {
        Some(self.n_past())
    }

    fn stride_frames(&self) -> usize {
        self.stride_frames
    }

    fn output(&self) -> Port {
        Port::flat(self.n_out)
    }
}

/// The stepping form.
#[derive(Clone, Debug)]
pub struct ConvNormStep {
    shape: ConvShape,
    /// Dense: `[kernel, n_in, n_out]`; depthwise: `[kernel, n_channels]`. Normalisation folded in.
    taps: Vec<f32>,
    bias: Vec<f32>,
    history: History,
    phase: usize,
}

impl ConvNormStep {
    /// Reads and folds the weights under `prefix`.
    pub fn load(shape: ConvShape, prefix: &str, weights: &Weights) -> Result<Self, WeightsError> {
        let n_out = shape.n_out;
        let part = |name: &str, dims: &[usize]| weights.get(&format!("{prefix}.{name}"), dims);
        let weight = part("weight", &shape.weight_shape())?;
        let gamma = part("norm.gamma", &[n_out])?;
        let beta = part("norm.beta", &[n_out])?;
        let mean = part("norm.running_mean", &[n_out])?;
        let var = part("norm.running_var", &[n_out])?;
        let (n_in, n_taps) = (shape.n_in_per_filter(), shape.kernel_frames);
        let mut taps = vec![0.0; weight.len()];
        let mut bias = vec![0.0; n_out];
        for o in 0..n_out {
            let scale = f64::from(gamma[o]) / (f64::from(var[o].max(0.0)) + EPSILON).sqrt();
            bias[o] = (f64::from(beta[o]) - f64::from(mean[o]) * scale) as f32;
            for i in 0..n_in {
                for k in 0..n_taps {
                    let value = f64::from(weight[(o * n_in + i) * n_taps + k]) * scale;
                    taps[(k * n_in + i) * n_out + o] = value as f32;
                }
            }
        }
        Ok(Self {
            shape,
            taps,
            bias,
            history: History::new(shape.n_past() + 1, shape.n_in),
            phase: 0,
        })
    }
}

impl Step for ConvNormStep {
    fn step(&mut self, frame: &[f32], output: &mut [f32]) -> bool {
        self.history.push(frame);
        let emits = self.phase == 0;
        self.phase = (self.phase + 1) % self.shape.stride_frames;
        if !emits {
            return false;
        }
        let n_out = self.shape.n_out;
        output.copy_from_slice(&self.bias);
        for k in 0..self.shape.kernel_frames {
            let past = self.history.frame(k * self.shape.dilation_frames);
            if self.shape.depthwise {
                let taps = &self.taps[k * n_out..(k + 1) * n_out];
                for ((sum, value), tap) in output.iter_mut().zip(past).zip(taps) {
                    *sum += value * tap;
                }
            } else {
                let taps = &self.taps[k * past.len() * n_out..];
                for (value, row) in past.iter().zip(taps.chunks_exact(n_out)) {
                    add_scaled(output, *value, row);
                }
            }
        }
        if self.shape.relu {
            relu(output);
        }
        true
    }

    fn reset(&mut self) {
        self.history.clear();
        self.phase = 0;
    }

    fn n_state_values(&self) -> usize {
        self.history.n_values()
    }
}

#[cfg(feature = "search")]
pub use trainable::ConvNorm;

#[cfg(feature = "search")]
mod trainable {
    use burn::module::{Module, Param};
    use burn::nn::BatchNorm;
    use burn::tensor::activation::relu;
    use burn::tensor::module::conv1d;
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Device, Tensor};
    use rand::Rng;

    use super::ConvShape;
    use crate::model::layers::{Trainable, batch_norm, first_weights, tensors};
    use crate::model::lengths::Lengths;
    use crate::model::ops::conv::{self, ConvNormSpec};
    use crate::model::weights::{Weights, WeightsError};

    /// The trainable form.
    #[derive(Module, Debug)]
    pub struct ConvNorm {
        pub(in crate::model::layers) weight: Param<Tensor<3>>,
        pub(in crate::model::layers) norm: BatchNorm,
        stride_frames: usize,
        dilation_frames: usize,
        groups: usize,
        relu: bool,
        is_depthwise: bool,
    }

    impl ConvShape {
        /// Draws first weights under `prefix`.
        pub fn init(&self, prefix: &str, weights: &mut Weights, rng: &mut impl Rng) {
            let fan_in = self.n_in_per_filter() * self.kernel_frames;
            let name = |part: &str| format!("{prefix}.{part}");
            let shape = self.weight_shape();
            first_weights::uniform(weights, name("weight"), &shape, fan_in, 2.0, rng);
            batch_norm::init(weights, &name("norm"), self.n_out);
        }
    }

    impl ConvNorm {
        pub fn load(
            shape: ConvShape,
            prefix: &str,
            weights: &Weights,
            device: &Device,
        ) -> Result<Self, WeightsError> {
            let name = |part: &str| format!("{prefix}.{part}");
            Ok(Self {
                weight: tensors::load_param(
                    weights,
                    &name("weight"),
                    shape.weight_shape(),
                    device,
                )?,
                norm: batch_norm::load(weights, &name("norm"), shape.n_out, device)?,
                stride_frames: shape.stride_frames,
                dilation_frames: shape.dilation_frames,
                groups: if shape.depthwise { shape.n_in } else { 1 },
                is_depthwise: shape.depthwise,
                relu: shape.relu,
            })
        }
    }

    impl Trainable for ConvNorm {
        fn store(&self, prefix: &str, weights: &mut Weights) {
            let name = |part: &str| format!("{prefix}.{part}");
            tensors::store(weights, name("weight"), self.weight.val());
            batch_norm::store(&self.norm, &name("norm"), weights);
        }

        fn stride_frames(&self) -> usize {
            self.stride_frames
        }

        fn forward(&self, frames: Tensor<3>, _lengths: Option<&Lengths>) -> Tensor<3> {
            self.fused(&frames)
                .unwrap_or_else(|| self.forward_composed(frames))
        }
    }

    impl ConvNorm {
        /// Composed of tensor operations: on any device.
        pub(crate) fn forward_composed(&self, frames: Tensor<3>) -> Tensor<3> {
            // Zeros before the first frame and none after the last: a frame never sees its future.
            let frames = match self.past_frames() {
                0 => frames,
                past => frames.pad((past, 0, 0, 0), 0.0),
            };
            let options = ConvOptions::new(
                [self.stride_frames],
                [0],
                [self.dilation_frames],
                self.groups,
            );
            let output = self
                .norm
                .forward(conv1d(frames, self.weight.val(), None, options));
            if self.relu { relu(output) } else { output }
        }

        /// As one operation; `None` where that is not to be had.
        fn fused(&self, frames: &Tensor<3>) -> Option<Tensor<3>> {
            let spec = ConvNormSpec {
                shape: self.shape(),
                epsilon: self.norm.epsilon,
            };
            let (weight, gamma, beta) = (
                self.weight.val(),
                self.norm.gamma.val(),
                self.norm.beta.val(),
            );
            if !frames.device().is_autodiff() {
                let (mean, var) = (
                    self.norm.running_mean.value_sync(),
                    self.norm.running_var.value_sync(),
                );
                return conv::infer(spec, frames, &weight, [&gamma, &beta], [&mean, &var]);
            }
            if !self.norm.training.is_enabled() {
                return None;
            }
            let (output, statistics) = conv::train(spec, frames, &weight, &gamma, &beta)?;
            batch_norm::remember(&self.norm, statistics);
            Some(output)
        }

        fn shape(&self) -> ConvShape {
            let [n_out, n_in_per_filter, kernel_frames] = self.weight.dims();
            ConvShape {
                n_in: n_in_per_filter * self.groups,
                n_out,
                kernel_frames,
                stride_frames: self.stride_frames,
                dilation_frames: self.dilation_frames,
                depthwise: self.is_depthwise,
                relu: self.relu,
            }
        }

        fn past_frames(&self) -> usize {
            self.shape().n_past()
        }
    }
}
