//! The second half of a broadcasted residual (Kim et al. 2021, "Broadcasted residual learning for efficient
//! keyword spotting", equation 3): what the mean over bands says in time is added to every band.
//!
//! ```text
//! y[c, f, t] = x[c, f, t] + (swish(norm(depthwise over time(mean over f of x))) W)[c, t]
//! ```
//!
//! The temporal convolution is causal. The dropout behind the matrix is left out.

use super::conv_norm::{ConvNormStep, ConvShape};
use super::linear::{LinearShape, LinearStep};
use super::{LayerShape, Step, sigmoid};
use crate::model::port::Port;
use crate::model::weights::{Weights, WeightsError};

/// The shape of one broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BroadcastShape {
    pub port: Port,
    pub kernel_frames: usize,
    pub dilation_frames: usize,
}

impl BroadcastShape {
    pub(crate) fn temporal(&self) -> ConvShape {
        ConvShape::depthwise(self.port.n_channels, self.kernel_frames)
            .with_dilation(self.dilation_frames)
    }

    pub(crate) fn pointwise(&self) -> LinearShape {
        LinearShape {
            n_in: self.port.n_channels,
            n_out: self.port.n_channels,
            bias: false,
        }
    }
}

impl LayerShape for BroadcastShape {
    fn n_params(&self) -> u64 {
        self.temporal().n_params() + self.pointwise().n_params()
    }

    fn macs_per_step(&self) -> u64 {
        self.temporal().macs_per_step() + self.pointwise().macs_per_step()
    }

    fn n_state_values(&self) -> u64 {
        self.temporal().n_state_values()
    }

    fn past_frames(&self) -> Option<usize> {
        self.temporal().past_frames()
    }

    fn output(&self) -> Port {
        self.port
    }
}

/// The stepping form.
#[derive(Clone, Debug)]
pub struct BroadcastStep {
    n_bands: usize,
    temporal: ConvNormStep,
    pointwise: LinearStep,
    mean: Vec<f32>,
    filtered: Vec<f32>,
}

impl BroadcastStep {
    pub fn load(
        shape: BroadcastShape,
        prefix: &str,
        weights: &Weights,
    ) -> Result<Self, WeightsError> {
        let (temporal, pointwise) = (format!("{prefix}.temporal"), format!("{prefix}.pointwise"));
        Ok(Self {
            n_bands: shape.port.n_bands,
            temporal: ConvNormStep::load(shape.temporal(), &temporal, weights)?,
            pointwise: LinearStep::load(shape.pointwise(), &pointwise, weights)?,
            mean: vec![0.0; shape.port.n_channels],
            filtered: vec![0.0; shape.port.n_channels],
        })
    }
}

impl Step for BroadcastStep {
    fn step(&mut self, frame: &[f32], output: &mut [f32]) -> bool {
        let channels = frame.chunks_exact(self.n_bands);
        for (mean, bands) in self.mean.iter_mut().zip(channels.clone()) {
            *mean = bands.iter().sum::<f32>() / self.n_bands as f32;
        }
        self.temporal.step(&self.mean, &mut self.filtered);
        for value in &mut self.filtered {
            *value *= sigmoid(*value);
        }
        // The means have been read: their room takes what is added.
        self.pointwise.step(&self.filtered, &mut self.mean);
        let outputs = output.chunks_exact_mut(self.n_bands);
        for ((output, bands), added) in outputs.zip(channels).zip(&self.mean) {
            for (output, value) in output.iter_mut().zip(bands) {
                *output = value + added;
            }
        }
        true
    }

    fn reset(&mut self) {
        self.temporal.reset();
    }

    fn n_state_values(&self) -> usize {
        self.temporal.n_state_values()
    }
}

#[cfg(feature = "search")]
pub use trainable::Broadcast;

#[cfg(feature = "search")]
mod trainable {
    use burn::module::Module;
    use burn::tensor::activation::silu;
    use burn::tensor::{Device, Tensor};
    use rand::Rng;

    use super::BroadcastShape;
    use crate::model::layers::conv_norm::ConvNorm;
    use crate::model::layers::linear::Linear;
    use crate::model::layers::{Trainable, batch_norm};
    use crate::model::lengths::Lengths;
    use crate::model::ops::planes::broadcast::{Parameters, broadcast};
    use crate::model::port::Port;
    use crate::model::weights::{Weights, WeightsError};

    /// The trainable form.
    #[derive(Module, Debug)]
    pub struct Broadcast {
        temporal: ConvNorm,
        pointwise: Linear,
        #[module(skip)]
        shape: BroadcastShape,
    }

    impl BroadcastShape {
        /// Draws first weights under `prefix`.
        pub fn init(&self, prefix: &str, weights: &mut Weights, rng: &mut impl Rng) {
            self.temporal()
                .init(&format!("{prefix}.temporal"), weights, rng);
            self.pointwise()
                .init(&format!("{prefix}.pointwise"), weights, rng);
        }
    }

    impl Broadcast {
        pub fn load(
            shape: BroadcastShape,
            prefix: &str,
            weights: &Weights,
            device: &Device,
        ) -> Result<Self, WeightsError> {
            let (temporal, pointwise) =
                (format!("{prefix}.temporal"), format!("{prefix}.pointwise"));
            Ok(Self {
                temporal: ConvNorm::load(shape.temporal(), &temporal, weights, device)?,
                pointwise: Linear::load(shape.pointwise(), &pointwise, weights, device)?,
                shape,
            })
        }

        /// As tensor operations: what [`Trainable::forward`] is on every device but the CPU's.
        pub(crate) fn forward_composed(&self, frames: Tensor<3>) -> Tensor<3> {
            let [n_batch, n_values, n_frames] = frames.dims();
            let Port {
                n_channels,
                n_bands,
            } = self.shape.port;
            let banded = frames.reshape([n_batch, n_channels, n_bands, n_frames]);
            let mean = banded.clone().mean_dim(2).squeeze_dim::<3>(2); // [batch, n_channels, n_frames]
            let filtered = silu(self.temporal.forward_composed(mean));
            let added = self.pointwise.forward_frames_composed(filtered);
            (banded + added.unsqueeze_dim(2)).reshape([n_batch, n_values, n_frames])
        }

        /// As one operation; `None` where that is not to be had.
        fn fused(&self, frames: &Tensor<3>) -> Option<Tensor<3>> {
            let norm = &self.temporal.norm;
            let running = batch_norm::mode(norm, &frames.device())?;
            let learns = running.is_none();
            let parameters = Parameters {
                temporal: &self.temporal.weight.val(),
                gamma: &norm.gamma.val(),
                beta: &norm.beta.val(),
                pointwise: &self.pointwise.weight.val(),
                epsilon: norm.epsilon,
            };
            let (output, statistics) = broadcast(self.shape, frames, &parameters, running)?;
            if learns {
                batch_norm::remember(norm, statistics);
            }
            Some(output)
        }
    }

    impl Trainable for Broadcast {
        fn store(&self, prefix: &str, weights: &mut Weights) {
            self.temporal.store(&format!("{prefix}.temporal"), weights);
            self.pointwise
                .store(&format!("{prefix}.pointwise"), weights);
        }

        fn forward(&self, frames: Tensor<3>, _lengths: Option<&Lengths>) -> Tensor<3> {
            match self.fused(&frames) {
                Some(output) => output,
                None => self.forward_composed(frames),
            }
        }
    }
}
