//! Layer normalisation of one frame over its values (Ba et al. 2016): each frame by its own mean and
//! variance, so that it streams and no statistic of a clip or a batch is in it.
//!
//! ```text
//! y = (x - mean(x)) / sqrt(var(x) + eps) * gamma + beta
//! ```

use super::{LayerShape, Step};
use crate::model::port::Port;
use crate::model::weights::{Weights, WeightsError};

/// Added to the variance before the root, in both forms.
pub const EPSILON: f32 = 1e-5;

/// How many values a frame has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerNormShape {
    pub n_values: usize,
}

impl LayerShape for LayerNormShape {
    /// Gamma and beta.
    fn n_params(&self) -> u64 {
        2 * self.n_values as u64
    }

    /// The variance and the scale: they come from the frame and fold into no weight.
    fn macs_per_step(&self) -> u64 {
        2 * self.n_values as u64
    }

    fn output(&self) -> Port {
        Port::flat(self.n_values)
    }
}

/// The stepping form: no state.
#[derive(Clone, Debug)]
pub struct LayerNormStep {
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

impl LayerNormStep {
    pub fn load(
        shape: LayerNormShape,
        prefix: &str,
        weights: &Weights,
    ) -> Result<Self, WeightsError> {
        let part = |name: &str| {
            let values = weights.get(&format!("{prefix}.{name}"), &[shape.n_values]);
            values.map(<[f32]>::to_vec)
        };
        Ok(Self {
            gamma: part("gamma")?,
            beta: part("beta")?,
        })
    }
}

impl Step for LayerNormStep {
    fn step(&mut self, frame: &[f32], output: &mut [f32]) -> bool {
        let share = 1.0 / frame.len() as f32;
        let mean = frame.iter().sum::<f32>() * share;
        for (centred, value) in output.iter_mut().zip(frame) {
            *centred = value - mean;
        }
        let squares = output.iter().map(|centred| centred * centred);
        let variance = squares.sum::<f32>() * share;
        let scale = 1.0 / (variance + EPSILON).sqrt();
        let affine = self.gamma.iter().zip(&self.beta);
        for (value, (gamma, beta)) in output.iter_mut().zip(affine) {
            *value = *value * scale * gamma + beta;
        }
        true
    }
}

#[cfg(feature = "search")]
pub use trainable::LayerNorm;

#[cfg(feature = "search")]
mod trainable {
    use burn::module::{Module, Param};
    use burn::tensor::{Device, Tensor};
    use rand::Rng;

    use super::{EPSILON, LayerNormShape};
    use crate::model::layers::{Trainable, first_weights, tensors};
    use crate::model::lengths::Lengths;
    use crate::model::weights::{Weights, WeightsError};

    /// The trainable form.
    #[derive(Module, Debug)]
    pub struct LayerNorm {
        gamma: Param<Tensor<1>>,
        beta: Param<Tensor<1>>,
    }

    impl LayerNormShape {
        /// First weights under `prefix`: they change nothing.
        pub fn init(&self, prefix: &str, weights: &mut Weights, _rng: &mut impl Rng) {
            for (part, value) in [("gamma", 1.0), ("beta", 0.0)] {
                first_weights::constant(weights, format!("{prefix}.{part}"), self.n_values, value);
            }
        }
    }

    impl LayerNorm {
        pub fn load(
            shape: LayerNormShape,
            prefix: &str,
            weights: &Weights,
            device: &Device,
        ) -> Result<Self, WeightsError> {
            let param = |part: &str| {
                tensors::load_param(
                    weights,
                    &format!("{prefix}.{part}"),
                    [shape.n_values],
                    device,
                )
            };
            Ok(Self {
                gamma: param("gamma")?,
                beta: param("beta")?,
            })
        }
    }

    impl Trainable for LayerNorm {
        fn store(&self, prefix: &str, weights: &mut Weights) {
            tensors::store(weights, format!("{prefix}.gamma"), self.gamma.val());
            tensors::store(weights, format!("{prefix}.beta"), self.beta.val());
        }

        fn forward(&self, frames: Tensor<3>, _lengths: Option<&Lengths>) -> Tensor<3> {
            let centred = frames.clone() - frames.mean_dim(1); // [batch, n_values, n_frames]
            let variance = centred.clone().square().mean_dim(1); // [batch, 1, n_frames]
            let normalised = centred / (variance + EPSILON).sqrt();
            let affine = |param: &Param<Tensor<1>>| param.val().unsqueeze_dims::<3>(&[0, 2]);
            normalised * affine(&self.gamma) + affine(&self.beta)
        }
    }
}
