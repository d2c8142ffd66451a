//! Gated recurrent unit (Cho et al. 2014) as PyTorch and cuDNN define it: gates in the order reset,
//! update, new, and the reset gate applied after the recurrent product.
//!
//! ```text
//! r = sigmoid(x Wr + br + h Ur + cr)      z = sigmoid(x Wz + bz + h Uz + cz)
//! n = tanh(x Wn + bn + r * (h Un + cn))   h' = (1 - z) * n + z * h
//! ```

use super::{LayerShape, Step, add_scaled, sigmoid};
use crate::model::port::Port;
use crate::model::weights::{Weights, WeightsError};

/// The shape of one recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GruShape {
    pub n_in: usize,
    pub n_units: usize,
}

impl LayerShape for GruShape {
    fn n_params(&self) -> u64 {
        (3 * self.n_units * (self.n_in + self.n_units + 2)) as u64
    }

    fn macs_per_step(&self) -> u64 {
        (3 * self.n_units * (self.n_in + self.n_units)) as u64
    }

    fn n_state_values(&self) -> u64 {
        self.n_units as u64
    }

    fn past_frames(&self) -> Option<usize> {
        None
    }

    fn output(&self) -> Port {
        Port::flat(self.n_units)
    }
}

impl GruShape {
    fn n_gates(&self) -> usize {
        3 * self.n_units
    }
}

/// The stepping form.
#[derive(Clone, Debug)]
pub struct GruStep {
    shape: GruShape,
    w_input: Vec<f32>,
    w_hidden: Vec<f32>,
    b_input: Vec<f32>,
    b_hidden: Vec<f32>,
    hidden: Vec<f32>,
    from_input: Vec<f32>,
    from_hidden: Vec<f32>,
}

impl GruStep {
    pub fn load(shape: GruShape, prefix: &str, weights: &Weights) -> Result<Self, WeightsError> {
        let part = |name: &str, dims: &[usize]| {
            weights
                .get(&format!("{prefix}.{name}"), dims)
                .map(<[f32]>::to_vec)
        };
        let n_gates = shape.n_gates();
        Ok(Self {
            shape,
            w_input: part("w_input", &[shape.n_in, n_gates])?,
            w_hidden: part("w_hidden", &[shape.n_units, n_gates])?,
            b_input: part("b_input", &[n_gates])?,
            b_hidden: part("b_hidden", &[n_gates])?,
            hidden: vec![0.0; shape.n_units],
            from_input: vec![0.0; n_gates],
            from_hidden: vec![0.0; n_gates],
        })
    }
}

impl Step for GruStep {
    /// Leaves the new hidden state in `output`.
    fn step(&mut self, frame: &[f32], output: &mut [f32]) -> bool {
        let (n, n_gates) = (self.shape.n_units, self.shape.n_gates());
        self.from_input.copy_from_slice(&self.b_input);
        for (value, row) in frame.iter().zip(self.w_input.chunks_exact(n_gates)) {
            add_scaled(&mut self.from_input, *value, row);
        }
        self.from_hidden.copy_from_slice(&self.b_hidden);
        for (value, row) in self.hidden.iter().zip(self.w_hidden.chunks_exact(n_gates)) {
            add_scaled(&mut self.from_hidden, *value, row);
        }
        let (x, h) = (&self.from_input, &self.from_hidden);
        for i in 0..n {
            let reset = sigmoid(x[i] + h[i]);
            let update = sigmoid(x[n + i] + h[n + i]);
            let new = (x[2 * n + i] + reset * h[2 * n + i]).tanh();
            self.hidden[i] = (1.0 - update) * new + update * self.hidden[i];
        }
        output.copy_from_slice(&self.hidden);
        true
    }

    fn reset(&mut self) {
        self.hidden.fill(0.0);
    }

    fn n_state_values(&self) -> usize {
        self.hidden.len()
    }
}

#[cfg(feature = "search")]
pub use trainable::Gru;

#[cfg(feature = "search")]
mod trainable {
    use burn::module::{Module, Param};
    use burn::tensor::activation::sigmoid;
    use burn::tensor::{Device, Tensor};
    use rand::Rng;

    use super::GruShape;
    use crate::model::layers::{Trainable, first_weights, tensors};
    use crate::model::lengths::Lengths;
    use crate::model::ops::cells::GruCell;
    use crate::model::ops::recurrent::{self, Parameters};
    use crate::model::weights::{Weights, WeightsError};

    /// The trainable form. The input's part of all gates is one product over the whole clip; the
    /// hidden state's part is one product a frame. On the CPU device it is one operation.
    #[derive(Module, Debug)]
    pub struct Gru {
        w_input: Param<Tensor<2>>,
        w_hidden: Param<Tensor<2>>,
        b_input: Param<Tensor<1>>,
        b_hidden: Param<Tensor<1>>,
        n_units: usize,
    }

    impl GruShape {
        /// Draws first weights under `prefix`.
        pub fn init(&self, prefix: &str, weights: &mut Weights, rng: &mut impl Rng) {
            let (n_gates, name) = (self.n_gates(), |part: &str| format!("{prefix}.{part}"));
            for (part, n_in) in [("w_input", self.n_in), ("w_hidden", self.n_units)] {
                let shape = [n_in, n_gates];
                first_weights::uniform(weights, name(part), &shape, n_in, 1.0, rng);
            }
            first_weights::constant(weights, name("b_input"), n_gates, 0.0);
            first_weights::constant(weights, name("b_hidden"), n_gates, 0.0);
        }
    }

    impl Gru {
        pub fn load(
            shape: GruShape,
            prefix: &str,
            weights: &Weights,
            device: &Device,
        ) -> Result<Self, WeightsError> {
            let (n_gates, name) = (shape.n_gates(), |part: &str| format!("{prefix}.{part}"));
            let matrix = |part: &str, n_in: usize| {
                tensors::load_param(weights, &name(part), [n_in, n_gates], device)
            };
            let vector = |part: &str| tensors::load_param(weights, &name(part), [n_gates], device);
            Ok(Self {
                w_input: matrix("w_input", shape.n_in)?,
                w_hidden: matrix("w_hidden", shape.n_units)?,
                b_input: vector("b_input")?,
                b_hidden: vector("b_hidden")?,
                n_units: shape.n_units,
            })
        }
    }

    impl Trainable for Gru {
        fn store(&self, prefix: &str, weights: &mut Weights) {
            let name = |part: &str| format!("{prefix}.{part}");
            tensors::store(weights, name("w_input"), self.w_input.val());
            tensors::store(weights, name("w_hidden"), self.w_hidden.val());
            tensors::store(weights, name("b_input"), self.b_input.val());
            tensors::store(weights, name("b_hidden"), self.b_hidden.val());
        }

        fn forward(&self, frames: Tensor<3>, _lengths: Option<&Lengths>) -> Tensor<3> {
            let (w_input, w_hidden) = (self.w_input.val(), self.w_hidden.val());
            let parameters = Parameters {
                w_input: &w_input,
                w_hidden: &w_hidden,
                b_input: &self.b_input.val(),
                b_hidden: &self.b_hidden.val(),
            };
            recurrent::run(GruCell, &frames, &parameters)
                .unwrap_or_else(|| self.forward_composed(frames))
        }
    }

    impl Gru {
        /// Composed of tensor operations: on any device.
        pub(crate) fn forward_composed(&self, frames: Tensor<3>) -> Tensor<3> {
            let [n_batch, n_in, n_frames] = frames.dims();
            let n = self.n_units;
            // Time first, so that a frame of all clips is one contiguous matrix.
            let rows = frames
                .permute([2, 0, 1])
                .reshape([n_frames * n_batch, n_in]);
            let from_input = (rows.matmul(self.w_input.val()) + self.b_input.val().unsqueeze())
                .reshape([n_frames, n_batch, 3 * n]);
            let w_hidden = self.w_hidden.val();
            let b_hidden = self.b_hidden.val().unsqueeze::<2>();
            let mut hidden = Tensor::<2>::zeros([n_batch, n], &from_input.device());
            let mut outputs = Vec::with_capacity(n_frames);
            for frame in from_input.split(1, 0) {
                let x = frame.reshape([n_batch, 3 * n]);
                let h = hidden.clone().matmul(w_hidden.clone()) + b_hidden.clone();
                let [x_gates, x_new] = [x.clone().narrow(1, 0, 2 * n), x.narrow(1, 2 * n, n)];
                let [h_gates, h_new] = [h.clone().narrow(1, 0, 2 * n), h.narrow(1, 2 * n, n)];
                let gates = sigmoid(x_gates + h_gates); // [batch, 2 * n_units]
                let (reset, update) = (gates.clone().narrow(1, 0, n), gates.narrow(1, n, n));
                let new = (x_new + reset * h_new).tanh();
                hidden = new.clone() + update * (hidden - new); // (1 - z) n + z h
                outputs.push(hidden.clone().unsqueeze_dim::<3>(2)); // [batch, n_units, 1]
            }
            Tensor::cat(outputs, 2)
        }
    }
}
