//! Res2Net's hierarchy of narrow convolutions (Gao et al. 2019), over time and causal, as ECAPA-TDNN has it
//! (Desplanques et al. 2020). Channels are cut into groups; the first passes as it is, each further one is convolved,
//! normalised and rectified after the answer of the group before it was added to it:
//!
//! ```text
//! y[0] = x[0]        y[1] = conv(x[1])        y[i] = conv(x[i] + y[i - 1])
//! ```
//!
//! So later groups hear a longer past: `n_groups - 1` times that of one convolution for the last.

use super::conv_norm::{ConvNormStep, ConvShape};
use super::{LayerShape, Step, add_scaled};
use crate::model::port::Port;
use crate::model::weights::{Weights, WeightsError};

/// The shape of one hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Res2Shape {
    /// A multiple of `n_groups`.
    pub n_channels: usize,
    pub n_groups: usize,
    pub kernel_frames: usize,
    pub dilation_frames: usize,
}

impl Res2Shape {
    /// Channels of one group.
    pub(crate) fn n_each(&self) -> usize {
        self.n_channels / self.n_groups
    }

    /// The convolution of one group.
    pub(crate) fn conv(&self) -> ConvShape {
        let n_each = self.n_each();
        ConvShape::dense(n_each, n_each, self.kernel_frames)
            .with_dilation(self.dilation_frames)
            .with_relu()
    }

    /// Prefixes of the convolved groups' weights.
    pub(crate) fn prefixes(&self, prefix: &str) -> Vec<String> {
        let groups = 1..self.n_groups;
        groups.map(|group| format!("{prefix}.{group}")).collect()
    }

    /// `n` of the convolved groups together.
    fn of_groups(&self, n: u64) -> u64 {
        (self.n_groups as u64 - 1) * n
    }
}

impl LayerShape for Res2Shape {
    fn n_params(&self) -> u64 {
        self.of_groups(self.conv().n_params())
    }

    fn macs_per_step(&self) -> u64 {
        self.of_groups(self.conv().macs_per_step())
    }

    fn n_state_values(&self) -> u64 {
        self.of_groups(self.conv().n_state_values())
    }

    fn past_frames(&self) -> Option<usize> {
        Some((self.n_groups - 1) * self.conv().n_past())
    }

    fn output(&self) -> Port {
        Port::flat(self.n_channels)
    }
}

/// The stepping form.
#[derive(Clone, Debug)]
pub struct Res2Step {
    convs: Vec<ConvNormStep>,
    /// One group's input.
    mixed: Vec<f32>,
}

impl Res2Step {
    pub fn load(shape: Res2Shape, prefix: &str, weights: &Weights) -> Result<Self, WeightsError> {
        let prefixes = shape.prefixes(prefix);
        let convs = prefixes
            .iter()
            .map(|prefix| ConvNormStep::load(shape.conv(), prefix, weights));
        Ok(Self {
            convs: convs.collect::<Result<_, _>>()?,
            mixed: vec![0.0; shape.n_each()],
        })
    }
}

impl Step for Res2Step {
    fn step(&mut self, frame: &[f32], output: &mut [f32]) -> bool {
        let n_each = self.mixed.len();
        output[..n_each].copy_from_slice(&frame[..n_each]);
        for (i, conv) in self.convs.iter_mut().enumerate() {
            let from = (i + 1) * n_each;
            let (before, rest) = output.split_at_mut(from);
            self.mixed.copy_from_slice(&frame[from..from + n_each]);
            if i > 0 {
                add_scaled(&mut self.mixed, 1.0, &before[from - n_each..]);
            }
            conv.step(&self.mixed, &mut rest[..n_each]);
        }
        true
    }

    fn reset(&mut self) {
        self.convs.iter_mut().for_each(ConvNormStep::reset);
    }

    fn n_state_values(&self) -> usize {
        self.convs.iter().map(ConvNormStep::n_state_values).sum()
    }
}

#[cfg(feature = "search")]
pub use trainable::Res2;

#[cfg(feature = "search")]
mod trainable {
    use burn::module::Module;
    use burn::tensor::{Device, Tensor};
    use rand::Rng;

    use super::Res2Shape;
    use crate::model::layers::Trainable;
    use crate::model::layers::conv_norm::ConvNorm;
    use crate::model::lengths::Lengths;
    use crate::model::weights::{Weights, WeightsError};

    /// The trainable form.
    #[derive(Module, Debug)]
    pub struct Res2 {
        convs: Vec<ConvNorm>,
        #[module(skip)]
        shape: Res2Shape,
    }

    impl Res2Shape {
        /// Draws first weights under `prefix`.
        pub fn init(&self, prefix: &str, weights: &mut Weights, rng: &mut impl Rng) {
            for prefix in self.prefixes(prefix) {
                self.conv().init(&prefix, weights, rng);
            }
        }
    }

    impl Res2 {
        pub fn load(
            shape: Res2Shape,
            prefix: &str,
            weights: &Weights,
            device: &Device,
        ) -> Result<Self, WeightsError> {
            let prefixes = shape.prefixes(prefix);
            let convs = prefixes
                .iter()
                .map(|prefix| ConvNorm::load(shape.conv(), prefix, weights, device));
            Ok(Self {
                convs: convs.collect::<Result<_, _>>()?,
                shape,
            })
        }
    }

    impl Trainable for Res2 {
        fn store(&self, prefix: &str, weights: &mut Weights) {
            for (conv, prefix) in self.convs.iter().zip(self.shape.prefixes(prefix)) {
                conv.store(&prefix, weights);
            }
        }

        fn forward(&self, frames: Tensor<3>, lengths: Option<&Lengths>) -> Tensor<3> {
            let n_each = self.shape.n_each();
            let mut groups = vec![frames.clone().narrow(1, 0, n_each)];
            for (i, conv) in self.convs.iter().enumerate() {
                let own = frames.clone().narrow(1, (i + 1) * n_each, n_each);
                let mixed = if i == 0 { own } else { own + groups[i].clone() };
                groups.push(conv.forward(mixed, lengths));
            }
            Tensor::cat(groups, 1)
        }
    }
}
