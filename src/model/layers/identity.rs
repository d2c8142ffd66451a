//! What comes in goes out: a place in a chain that a search may leave empty.

use super::{LayerShape, Step};
use crate::model::port::Port;

/// The shape that passes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityShape {
    pub port: Port,
}

impl LayerShape for IdentityShape {
    fn n_params(&self) -> u64 {
        0
    }

    fn macs_per_step(&self) -> u64 {
        0
    }

    fn output(&self) -> Port {
        self.port
    }
}

/// The stepping form.
#[derive(Clone, Debug)]
pub struct IdentityStep;

impl Step for IdentityStep {
    fn step(&mut self, frame: &[f32], output: &mut [f32]) -> bool {
        output.copy_from_slice(frame);
        true
    }
}

#[cfg(feature = "search")]
pub use trainable::Identity;

#[cfg(feature = "search")]
mod trainable {
    use burn::module::Module;
    use burn::tensor::Tensor;

    use crate::model::layers::Trainable;
    use crate::model::lengths::Lengths;
    use crate::model::weights::Weights;

    /// The trainable form: nothing to train.
    #[derive(Module, Debug)]
    pub struct Identity {
        n_values: usize,
    }

    impl Identity {
        pub fn new(shape: super::IdentityShape) -> Self {
            Self {
                n_values: shape.port.n_values(),
            }
        }
    }

    impl Trainable for Identity {
        fn store(&self, _prefix: &str, _weights: &mut Weights) {}

        fn forward(&self, frames: Tensor<3>, _lengths: Option<&Lengths>) -> Tensor<3> {
            debug_assert_eq!(frames.dims()[1], self.n_values);
            frames
        }
    }
}
