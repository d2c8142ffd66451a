//! Functions of a frame without weights or memory, where a chain needs one between two layers: ReLU, swish,
//! the gated linear unit and a half.
//!
//! A layer whose activation belongs to it (a normalised convolution's ReLU) carries it itself.

use super::{LayerShape, Step, relu, sigmoid};
use crate::model::port::Port;

/// One function of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// The first half of the values times the sigmoid of the second (Dauphin et al. 2017).
    Glu,
    /// Half of every value: the half step of a conformer's feed-forward parts (Gulati et al. 2020).
    Half,
    /// Negative values become zero.
    Relu,
    /// `x * sigmoid(x)` (Ramachandran et al. 2017).
    Swish,
}

/// A function and how many values leave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActivationShape {
    pub activation: Activation,
    pub n_out: usize,
}

impl LayerShape for ActivationShape {
    fn n_params(&self) -> u64 {
        0
    }

    /// Nought: what a frame costs beside its matrices is not counted in any layer.
    fn macs_per_step(&self) -> u64 {
        0
    }

    fn output(&self) -> Port {
        Port::flat(self.n_out)
    }
}

/// The stepping form: no state.
#[derive(Clone, Debug)]
pub struct ActivationStep {
    activation: Activation,
}

impl ActivationStep {
    pub fn load(shape: ActivationShape) -> Self {
        Self {
            activation: shape.activation,
        }
    }
}

impl Step for ActivationStep {
    fn step(&mut self, frame: &[f32], output: &mut [f32]) -> bool {
        let (values, gates) = frame.split_at(output.len());
        output.copy_from_slice(values);
        match self.activation {
            Activation::Glu => {
                for (value, gate) in output.iter_mut().zip(gates) {
                    *value *= sigmoid(*gate);
                }
            }
            Activation::Half => output.iter_mut().for_each(|value| *value *= 0.5),
            Activation::Relu => relu(output),
            Activation::Swish => {
                for value in output {
                    *value *= sigmoid(*value);
                }
            }
        }
        true
    }
}

#[cfg(feature = "search")]
pub use trainable::ActivationNet;

#[cfg(feature = "search")]
mod trainable {
    use burn::module::Module;
    use burn::tensor::Tensor;
    use burn::tensor::activation::{glu, relu, silu};

    use super::{Activation, ActivationShape};
    use crate::model::layers::Trainable;
    use crate::model::lengths::Lengths;
    use crate::model::weights::Weights;

    /// The form in a trainable network: nothing in it learns.
    #[derive(Module, Debug)]
    pub struct ActivationNet {
        #[module(skip)]
        activation: Activation,
    }

    impl ActivationNet {
        pub fn load(shape: ActivationShape) -> Self {
            Self {
                activation: shape.activation,
            }
        }
    }

    impl Trainable for ActivationNet {
        fn store(&self, _prefix: &str, _weights: &mut Weights) {}

        fn forward(&self, frames: Tensor<3>, _lengths: Option<&Lengths>) -> Tensor<3> {
            match self.activation {
                Activation::Glu => glu(frames, 1),
                Activation::Half => frames * 0.5,
                Activation::Relu => relu(frames),
                Activation::Swish => silu(frames),
            }
        }
    }
}
