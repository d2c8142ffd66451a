//! A gate a channel from what was heard lately (Hu et al. 2018, "Squeeze-and-excitation networks", made causal):
//!
//! ```text
//! m[t] = mean of x over the last window_frames frames, fewer at the start
//! y[t] = x[t] * sigmoid(relu(m[t] W1 + b1) W2 + b2)
//! ```
//!
//! A bounded window rather than an exponential average: its receptive field is exact, and a stream forgets.

use super::linear::{LinearShape, LinearStep};
use super::{History, LayerShape, Step, add_scaled, relu, sigmoid};
use crate::model::port::Port;
use crate::model::weights::{Weights, WeightsError};

/// The shape of one gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SqueezeExciteShape {
    pub n_channels: usize,
    /// Width of the narrow layer between the two matrices.
    pub n_hidden: usize,
    pub window_frames: usize,
}

impl SqueezeExciteShape {
    pub(crate) fn squeeze(&self) -> LinearShape {
        LinearShape {
            n_in: self.n_channels,
            n_out: self.n_hidden,
            bias: true,
        }
    }

    pub(crate) fn excite(&self) -> LinearShape {
        LinearShape {
            n_in: self.n_hidden,
            n_out: self.n_channels,
            bias: true,
        }
    }
}

impl LayerShape for SqueezeExciteShape {
    fn n_params(&self) -> u64 {
        self.squeeze().n_params() + self.excite().n_params()
    }

    /// The two matrices and the gate.
    fn macs_per_step(&self) -> u64 {
        let matrices = self.squeeze().macs_per_step() + self.excite().macs_per_step();
        matrices + self.n_channels as u64
    }

    fn n_state_values(&self) -> u64 {
        self.window_frames as u64 * self.n_channels as u64
    }

    fn past_frames(&self) -> Option<usize> {
        Some(self.window_frames - 1)
    }

    fn output(&self) -> Port {
        Port::flat(self.n_channels)
    }
}

/// The stepping form.
#[derive(Clone, Debug)]
pub struct SqueezeExciteStep {
    squeeze: LinearStep,
    excite: LinearStep,
    window: History,
    n_window: usize,
    n_seen: usize,
    mean: Vec<f32>,
    hidden: Vec<f32>,
}

impl SqueezeExciteStep {
    pub fn load(
        shape: SqueezeExciteShape,
        prefix: &str,
        weights: &Weights,
    ) -> Result<Self, WeightsError> {
        let load =
            |part: &str, matrix| LinearStep::load(matrix, &format!("{prefix}.{part}"), weights);
        Ok(Self {
            squeeze: load("squeeze", shape.squeeze())?,
            excite: load("excite", shape.excite())?,
            window: History::new(shape.window_frames, shape.n_channels),
            n_window: shape.window_frames,
            n_seen: 0,
            mean: vec![0.0; shape.n_channels],
            hidden: vec![0.0; shape.n_hidden],
        })
    }
}

impl Step for SqueezeExciteStep {
    fn step(&mut self, frame: &[f32], output: &mut [f32]) -> bool {
        self.window.push(frame);
        self.n_seen = (self.n_seen + 1).min(self.n_window);
        // Summed anew at every frame: a running sum would drift away from the clip's.
        self.mean.fill(0.0);
        for i in self.n_window - self.n_seen..self.n_window {
            let share = 1.0 / self.n_seen as f32;
            add_scaled(&mut self.mean, share, self.window.frame(i));
        }
        self.squeeze.step(&self.mean, &mut self.hidden);
        relu(&mut self.hidden);
        self.excite.step(&self.hidden, output);
        for (gate, value) in output.iter_mut().zip(frame) {
            *gate = value * sigmoid(*gate);
        }
        true
    }

    fn reset(&mut self) {
        self.window.clear();
        self.n_seen = 0;
    }

    fn n_state_values(&self) -> usize {
        self.window.n_values()
    }
}

#[cfg(feature = "search")]
pub use trainable::SqueezeExcite;

#[cfg(feature = "search")]
mod trainable {
    use burn::module::Module;
    use burn::tensor::activation::{relu, sigmoid};
    use burn::tensor::{Device, Tensor};
    use rand::Rng;

    use super::SqueezeExciteShape;
    use crate::model::layers::linear::Linear;
    use crate::model::layers::{Trainable, window_shares};
    use crate::model::lengths::Lengths;
    use crate::model::weights::{Weights, WeightsError};

    /// The trainable form.
    #[derive(Module, Debug)]
    pub struct SqueezeExcite {
        squeeze: Linear,
        excite: Linear,
        window_frames: usize,
    }

    impl SqueezeExciteShape {
        /// Draws first weights under `prefix`.
        pub fn init(&self, prefix: &str, weights: &mut Weights, rng: &mut impl Rng) {
            self.squeeze()
                .init(&format!("{prefix}.squeeze"), weights, rng);
            self.excite()
                .init(&format!("{prefix}.excite"), weights, rng);
        }
    }

    impl SqueezeExcite {
        pub fn load(
            shape: SqueezeExciteShape,
            prefix: &str,
            weights: &Weights,
            device: &Device,
        ) -> Result<Self, WeightsError> {
            let load = |part: &str, matrix| {
                Linear::load(matrix, &format!("{prefix}.{part}"), weights, device)
            };
            Ok(Self {
                squeeze: load("squeeze", shape.squeeze())?,
                excite: load("excite", shape.excite())?,
                window_frames: shape.window_frames,
            })
        }
    }

    impl Trainable for SqueezeExcite {
        fn store(&self, prefix: &str, weights: &mut Weights) {
            self.squeeze.store(&format!("{prefix}.squeeze"), weights);
            self.excite.store(&format!("{prefix}.excite"), weights);
        }

        fn forward(&self, frames: Tensor<3>, _lengths: Option<&Lengths>) -> Tensor<3> {
            let [n_batch, n_channels, n_frames] = frames.dims();
            let shares = window_shares(n_frames, self.window_frames, 1, &frames.device());
            let rows = frames.clone().reshape([n_batch * n_channels, n_frames]);
            let mean = rows.matmul(shares).reshape([n_batch, n_channels, n_frames]);
            let hidden = relu(self.squeeze.forward(mean, None)); // [batch, n_hidden, n_frames]
            frames * sigmoid(self.excite.forward(hidden, None))
        }
    }
}
