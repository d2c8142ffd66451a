//! What a recurrent layer does with the sum of its products: from gates and memory to an answer, of one clip
//! and, in the trainable form, of a batch and of all its frames in order.
//!
//! No weights here but those handed in: [`super::recurrent`] owns them.

use super::sigmoid;

/// The kind of recurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// `h' = tanh(a)` (Elman 1990).
    Tanh,
    /// `h' = max(a, 0)` (Le et al. 2015).
    Relu,
    /// Long short-term memory with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000), no
    /// peepholes, gates in PyTorch's order input, forget, candidate, output:
    ///
    /// ```text
    /// i, f, o = sigmoid(ai), sigmoid(af), sigmoid(ao)     g = tanh(ag)
    /// c' = f * c + i * g                                  h' = o * tanh(c')
    /// ```
    Lstm,
}

impl Cell {
    /// Sums that a unit asks for.
    pub fn n_gates(self) -> usize {
        match self {
            Self::Tanh | Self::Relu => 1,
            Self::Lstm => 4,
        }
    }

    /// Values that a unit remembers beside its answer.
    pub fn n_memory(self) -> usize {
        match self {
            Self::Tanh | Self::Relu => 0,
            Self::Lstm => 1,
        }
    }

    /// One frame of one clip: `gates` `[n_gates * n_units]`, `memory` `[n_memory * n_units]` (renewed),
    /// `answer` `[n_units]` (written).
    pub fn step(self, gates: &[f32], memory: &mut [f32], answer: &mut [f32]) {
        match self {
            Self::Tanh => {
                for (answer, gate) in answer.iter_mut().zip(gates) {
                    *answer = gate.tanh();
                }
            }
            Self::Relu => {
                for (answer, gate) in answer.iter_mut().zip(gates) {
                    *answer = gate.max(0.0);
                }
            }
            Self::Lstm => {
                let n = answer.len();
                let (enter, leave) = gates.split_at(2 * n);
                let (input, forget) = enter.split_at(n);
                let (candidate, output) = leave.split_at(n);
                let gates = input.iter().zip(forget).zip(candidate.iter().zip(output));
                let units = answer.iter_mut().zip(memory).zip(gates);
                for ((answer, memory), ((input, forget), (candidate, output))) in units {
                    *memory = sigmoid(*forget) * *memory + sigmoid(*input) * candidate.tanh();
                    *answer = sigmoid(*output) * memory.tanh();
                }
            }
        }
    }
}

#[cfg(feature = "search")]
mod trainable {
    use burn::tensor::Tensor;
    use burn::tensor::activation::{relu, sigmoid};

    use super::Cell;

    impl Cell {
        /// One frame of a batch: the answer, and the memory renewed.
        ///
        /// # Shapes
        ///
        /// - `gates`: `[batch, n_gates * n_units]`
        /// - `memory`: `[batch, n_units]`, `None` at the first frame and for cells without
        /// - answer: `[batch, n_units]`
        fn advance(self, gates: Tensor<2>, memory: &mut Option<Tensor<2>>) -> Tensor<2> {
            match self {
                Self::Tanh => gates.tanh(),
                Self::Relu => relu(gates),
                Self::Lstm => {
                    let n = gates.dims()[1] / 4;
                    let part =
                        |from: usize, n_parts| gates.clone().narrow(1, from * n, n_parts * n);
                    let enter = sigmoid(part(0, 2)); // input and forget
                    let (candidate, output) = (part(2, 1).tanh(), sigmoid(part(3, 1)));
                    let mut renewed = enter.clone().narrow(1, 0, n) * candidate;
                    if let Some(memory) = memory.take() {
                        renewed = renewed + enter.narrow(1, n, n) * memory;
                    }
                    *memory = Some(renewed.clone());
                    output * renewed.tanh()
                }
            }
        }

        /// All frames in order, from silence: one product with the last answer a frame. The one place where
        /// time is walked in training.
        ///
        /// # Shapes
        ///
        /// - `from_input`: `[n_frames, batch, n_gates * n_units]`, bias included
        /// - `w_hidden`: `[n_out, n_gates * n_units]`
        /// - `w_projection`: `[n_units, n_out]`; without it `n_out` is `n_units`
        /// - output: `[n_frames, batch, n_out]`
        pub fn scan(
            self,
            from_input: Tensor<3>,
            w_hidden: Tensor<2>,
            w_projection: Option<Tensor<2>>,
        ) -> Tensor<3> {
            let [n_frames, _, _] = from_input.dims();
            let (mut hidden, mut memory) = (None::<Tensor<2>>, None);
            let mut outputs = Vec::with_capacity(n_frames);
            for frame in from_input.split(1, 0) {
                let mut gates = frame.squeeze_dim::<2>(0);
                if let Some(hidden) = hidden.take() {
                    gates = gates + hidden.matmul(w_hidden.clone());
                }
                let mut answer = self.advance(gates, &mut memory);
                if let Some(w_projection) = &w_projection {
                    answer = answer.matmul(w_projection.clone());
                }
                outputs.push(answer.clone());
                hidden = Some(answer);
            }
            Tensor::stack(outputs, 0)
        }
    }
}
