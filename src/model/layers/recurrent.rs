//! Recurrent layers of one direction: the simple RNN, the LSTM, and the LSTM whose answer is narrowed before
//! it comes back (LSTMP, Sak et al. 2014, without peepholes).
//!
//! ```text
//! a = x W + h U + b        h' = cell(a)        with a projection: h' = cell(a) P
//! ```
//!
//! What a cell makes of the sum is in [`super::cell`]; a GRU, whose reset gate lies between sum and product,
//! is a layer of its own.

use super::cell::Cell;
use super::{LayerShape, Step, add_scaled};
use crate::model::port::Port;
use crate::model::weights::{Weights, WeightsError};

/// The shape of one recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecurrentShape {
    pub cell: Cell,
    pub n_in: usize,
    pub n_units: usize,
    /// Values that leave the layer and come back to it, where they are not the units themselves.
    pub n_projected: Option<usize>,
}

impl RecurrentShape {
    /// Values that leave the layer.
    pub fn n_out(&self) -> usize {
        self.n_projected.unwrap_or(self.n_units)
    }

    fn n_gates(&self) -> usize {
        self.cell.n_gates() * self.n_units
    }

    fn n_memory(&self) -> usize {
        self.cell.n_memory() * self.n_units
    }
}

impl LayerShape for RecurrentShape {
    fn n_params(&self) -> u64 {
        self.macs_per_step() + self.n_gates() as u64
    }

    fn macs_per_step(&self) -> u64 {
        let products = self.n_gates() * (self.n_in + self.n_out());
        let projection = self.n_projected.map_or(0, |n| self.n_units * n);
        (products + projection) as u64
    }

    fn n_state_values(&self) -> u64 {
        (self.n_out() + self.n_memory()) as u64
    }

    fn past_frames(&self) -> Option<usize> {
        None
    }

    fn output(&self) -> Port {
        Port::flat(self.n_out())
    }
}

/// The stepping form.
#[derive(Clone, Debug)]
pub struct RecurrentStep {
    cell: Cell,
    /// `[n_in, n_gates]`
    w_input: Vec<f32>,
    /// `[n_out, n_gates]`
    w_hidden: Vec<f32>,
    /// `[n_units, n_out]`
    w_projection: Option<Vec<f32>>,
    bias: Vec<f32>,
    hidden: Vec<f32>,
    memory: Vec<f32>,
    gates: Vec<f32>,
    answer: Vec<f32>,
}

impl RecurrentStep {
    pub fn load(
        shape: RecurrentShape,
        prefix: &str,
        weights: &Weights,
    ) -> Result<Self, WeightsError> {
        let part = |name: &str, dims: &[usize]| {
            let values = weights.get(&format!("{prefix}.{name}"), dims);
            values.map(<[f32]>::to_vec)
        };
        let (n_out, n_gates) = (shape.n_out(), shape.n_gates());
        let projection = shape
            .n_projected
            .map(|n| part("w_projection", &[shape.n_units, n]));
        Ok(Self {
            cell: shape.cell,
            w_input: part("w_input", &[shape.n_in, n_gates])?,
            w_hidden: part("w_hidden", &[n_out, n_gates])?,
            w_projection: projection.transpose()?,
            bias: part("bias", &[n_gates])?,
            hidden: vec![0.0; n_out],
            memory: vec![0.0; shape.n_memory()],
            gates: vec![0.0; n_gates],
            answer: vec![0.0; shape.n_units],
        })
    }
}

impl Step for RecurrentStep {
    /// Leaves what comes back to the layer in `output`.
    fn step(&mut self, frame: &[f32], output: &mut [f32]) -> bool {
        let n_gates = self.gates.len();
        self.gates.copy_from_slice(&self.bias);
        for (values, matrix) in [(frame, &self.w_input), (&self.hidden[..], &self.w_hidden)] {
            for (value, row) in values.iter().zip(matrix.chunks_exact(n_gates)) {
                add_scaled(&mut self.gates, *value, row);
            }
        }
        self.cell
            .step(&self.gates, &mut self.memory, &mut self.answer);
        match &self.w_projection {
            None => self.hidden.copy_from_slice(&self.answer),
            Some(matrix) => {
                self.hidden.fill(0.0);
                for (value, row) in self.answer.iter().zip(matrix.chunks_exact(output.len())) {
                    add_scaled(&mut self.hidden, *value, row);
                }
            }
        }
        output.copy_from_slice(&self.hidden);
        true
    }

    fn reset(&mut self) {
        self.hidden.fill(0.0);
        self.memory.fill(0.0);
    }

    fn n_state_values(&self) -> usize {
        self.hidden.len() + self.memory.len()
    }
}

#[cfg(feature = "search")]
pub use trainable::Recurrent;

#[cfg(feature = "search")]
mod trainable {
    use burn::module::{Module, Param};
    use burn::tensor::{Device, Tensor};
    use rand::Rng;

    use super::RecurrentShape;
    use crate::model::layers::cell::Cell;
    use crate::model::layers::{Trainable, first_weights, tensors};
    use crate::model::lengths::Lengths;
    use crate::model::ops::cells::LstmCell;
    use crate::model::ops::recurrent::{self, Parameters};
    use crate::model::weights::{NamedTensor, Weights, WeightsError};

    /// The trainable form. The input's part of all gates is one product over the whole clip; the rest is
    /// [`Cell::scan`].
    #[derive(Module, Debug)]
    pub struct Recurrent {
        w_input: Param<Tensor<2>>,
        w_hidden: Param<Tensor<2>>,
        w_projection: Option<Param<Tensor<2>>>,
        bias: Param<Tensor<1>>,
        #[module(skip)]
        cell: Cell,
    }

    impl RecurrentShape {
        /// Draws first weights under `prefix`. An LSTM's forget gates start open, at a bias of one
        /// (Jozefowicz et al. 2015).
        pub fn init(&self, prefix: &str, weights: &mut Weights, rng: &mut impl Rng) {
            let (n_gates, n_out) = (self.n_gates(), self.n_out());
            let mut matrix = |part: &str, n_rows: usize, n_columns: usize| {
                let (name, shape) = (format!("{prefix}.{part}"), [n_rows, n_columns]);
                first_weights::uniform(weights, name, &shape, n_rows, 1.0, rng);
            };
            matrix("w_input", self.n_in, n_gates);
            matrix("w_hidden", n_out, n_gates);
            if let Some(n_projected) = self.n_projected {
                matrix("w_projection", self.n_units, n_projected);
            }
            let mut values = vec![0.0; n_gates];
            if self.cell == Cell::Lstm {
                values[self.n_units..2 * self.n_units].fill(1.0);
            }
            let shape = vec![n_gates];
            let bias = NamedTensor { shape, values };
            weights.tensors.insert(format!("{prefix}.bias"), bias);
        }
    }

    impl Recurrent {
        pub fn load(
            shape: RecurrentShape,
            prefix: &str,
            weights: &Weights,
            device: &Device,
        ) -> Result<Self, WeightsError> {
            let (n_gates, name) = (shape.n_gates(), |part: &str| format!("{prefix}.{part}"));
            let matrix =
                |part: &str, dims| tensors::load_param::<2>(weights, &name(part), dims, device);
            let projection = shape
                .n_projected
                .map(|n| matrix("w_projection", [shape.n_units, n]));
            Ok(Self {
                w_input: matrix("w_input", [shape.n_in, n_gates])?,
                w_hidden: matrix("w_hidden", [shape.n_out(), n_gates])?,
                w_projection: projection.transpose()?,
                bias: tensors::load_param(weights, &name("bias"), [n_gates], device)?,
                cell: shape.cell,
            })
        }

        /// Time first, so that a frame of all clips is one contiguous matrix.
        ///
        /// # Shapes
        ///
        /// - `frames`: `[n_frames, batch, n_in]`
        /// - output: `[n_frames, batch, n_out]`
        pub fn forward_time_first(&self, frames: Tensor<3>) -> Tensor<3> {
            let [n_frames, n_batch, n_in] = frames.dims();
            let rows = frames.reshape([n_frames * n_batch, n_in]);
            let from_input = rows.matmul(self.w_input.val()) + self.bias.val().unsqueeze();
            let n_gates = from_input.dims()[1];
            let from_input = from_input.reshape([n_frames, n_batch, n_gates]);
            let w_projection = self.w_projection.as_ref().map(Param::val);
            self.cell
                .scan(from_input, self.w_hidden.val(), w_projection)
        }
    }

    impl Recurrent {
        /// A plain LSTM as one operation; `None` where that is not to be had.
        fn fused(&self, frames: &Tensor<3>) -> Option<Tensor<3>> {
            if self.cell != Cell::Lstm || self.w_projection.is_some() {
                return None;
            }
            let (w_input, w_hidden) = (self.w_input.val(), self.w_hidden.val());
            let bias = self.bias.val();
            let parameters = Parameters {
                w_input: &w_input,
                w_hidden: &w_hidden,
                b_hidden: &bias.zeros_like(),
                b_input: &bias,
            };
            recurrent::run(LstmCell, frames, &parameters)
        }
    }

    impl Trainable for Recurrent {
        fn store(&self, prefix: &str, weights: &mut Weights) {
            let name = |part: &str| format!("{prefix}.{part}");
            tensors::store(weights, name("w_input"), self.w_input.val());
            tensors::store(weights, name("w_hidden"), self.w_hidden.val());
            if let Some(w_projection) = &self.w_projection {
                tensors::store(weights, name("w_projection"), w_projection.val());
            }
            tensors::store(weights, name("bias"), self.bias.val());
        }

        /// Padding lies behind a clip's last frame, where no earlier answer can see it.
        fn forward(&self, frames: Tensor<3>, _lengths: Option<&Lengths>) -> Tensor<3> {
            if let Some(output) = self.fused(&frames) {
                return output;
            }
            let time_first = frames.permute([2, 0, 1]);
            self.forward_time_first(time_first).permute([1, 2, 0])
        }
    }
}

#[cfg(all(test, feature = "search"))]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn an_untrained_lstm_remembers_until_it_learns_to_forget() {
        let shape = RecurrentShape {
            cell: Cell::Lstm,
            n_in: 2,
            n_units: 3,
            n_projected: None,
        };
        let mut weights = Weights::default();
        shape.init("lstm", &mut weights, &mut ChaCha8Rng::seed_from_u64(1));
        let bias = weights.get("lstm.bias", &[12]).unwrap();
        assert_eq!(bias[3..6], [1.0; 3], "forget gates");
        assert_eq!(bias.iter().sum::<f32>(), 3.0, "the others");
    }
}
