//! One frame times a matrix, with or without a bias: heads, SVDF features, projections of a gate.

use super::{LayerShape, Step, add_scaled};
use crate::model::port::Port;
use crate::model::weights::{Weights, WeightsError};

/// The shape of one matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearShape {
    pub n_in: usize,
    pub n_out: usize,
    pub bias: bool,
}

impl LayerShape for LinearShape {
    fn n_params(&self) -> u64 {
        let bias = if self.bias { self.n_out } else { 0 };
        (self.n_in * self.n_out + bias) as u64
    }

    fn macs_per_step(&self) -> u64 {
        (self.n_in * self.n_out) as u64
    }

    fn output(&self) -> Port {
        Port::flat(self.n_out)
    }
}

/// The stepping form: no state.
#[derive(Clone, Debug)]
pub struct LinearStep {
    shape: LinearShape,
    /// `[n_in, n_out]`
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl LinearStep {
    pub fn load(shape: LinearShape, prefix: &str, weights: &Weights) -> Result<Self, WeightsError> {
        let weight = weights.get(&format!("{prefix}.weight"), &[shape.n_in, shape.n_out])?;
        let bias = if shape.bias {
            weights
                .get(&format!("{prefix}.bias"), &[shape.n_out])?
                .to_vec()
        } else {
            vec![0.0; shape.n_out]
        };
        Ok(Self {
            shape,
            weight: weight.to_vec(),
            bias,
        })
    }
}

impl Step for LinearStep {
    /// `output = frame * weight + bias`
    fn step(&mut self, frame: &[f32], output: &mut [f32]) -> bool {
        output.copy_from_slice(&self.bias);
        for (value, row) in frame.iter().zip(self.weight.chunks_exact(self.shape.n_out)) {
            add_scaled(output, *value, row);
        }
        true
    }
}

#[cfg(feature = "search")]
pub use trainable::Linear;

#[cfg(feature = "search")]
mod trainable {
    use burn::module::{Module, Param};
    use burn::tensor::{Device, Tensor};
    use rand::Rng;

    use super::LinearShape;
    use crate::model::layers::{Trainable, first_weights, tensors};
    use crate::model::lengths::Lengths;
    use crate::model::ops;
    use crate::model::weights::{Weights, WeightsError};

    /// The trainable form.
    #[derive(Module, Debug)]
    pub struct Linear {
        pub(in crate::model::layers) weight: Param<Tensor<2>>,
        bias: Option<Param<Tensor<1>>>,
    }

    impl LinearShape {
        /// Draws first weights under `prefix`.
        pub fn init(&self, prefix: &str, weights: &mut Weights, rng: &mut impl Rng) {
            let (name, shape) = (format!("{prefix}.weight"), [self.n_in, self.n_out]);
            first_weights::uniform(weights, name, &shape, self.n_in, 1.0, rng);
            if self.bias {
                first_weights::constant(weights, format!("{prefix}.bias"), self.n_out, 0.0);
            }
        }
    }

    impl Linear {
        pub fn load(
            shape: LinearShape,
            prefix: &str,
            weights: &Weights,
            device: &Device,
        ) -> Result<Self, WeightsError> {
            let (name, dims) = (format!("{prefix}.weight"), [shape.n_in, shape.n_out]);
            let bias = format!("{prefix}.bias");
            Ok(Self {
                weight: tensors::load_param(weights, &name, dims, device)?,
                bias: shape
                    .bias
                    .then(|| tensors::load_param(weights, &bias, [shape.n_out], device))
                    .transpose()?,
            })
        }

        /// # Shapes
        ///
        /// - `rows`: `[n_rows, n_in]`
        /// - output: `[n_rows, n_out]`
        pub fn forward_rows(&self, rows: Tensor<2>) -> Tensor<2> {
            let output = rows.matmul(self.weight.val());
            match &self.bias {
                Some(bias) => output + bias.val().unsqueeze(),
                None => output,
            }
        }
    }

    impl Trainable for Linear {
        fn store(&self, prefix: &str, weights: &mut Weights) {
            tensors::store(weights, format!("{prefix}.weight"), self.weight.val());
            if let Some(bias) = &self.bias {
                tensors::store(weights, format!("{prefix}.bias"), bias.val());
            }
        }

        /// The same matrix at every frame.
        fn forward(&self, frames: Tensor<3>, _lengths: Option<&Lengths>) -> Tensor<3> {
            let bias = self.bias.as_ref().map(Param::val);
            ops::linear::frames(&frames, &self.weight.val(), bias.as_ref())
                .unwrap_or_else(|| self.forward_frames_composed(frames))
        }
    }

    impl Linear {
        /// The same, composed of tensor operations: on any device.
        pub(crate) fn forward_frames_composed(&self, frames: Tensor<3>) -> Tensor<3> {
            let weight = self.weight.val().transpose().unsqueeze::<3>(); // [1, n_out, n_in]
            let output = weight.matmul(frames);
            match &self.bias {
                Some(bias) => output + bias.val().unsqueeze_dims(&[0, 2]),
                None => output,
            }
        }
    }
}
