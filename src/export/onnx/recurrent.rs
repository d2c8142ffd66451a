//! Recurrent layers: ONNX's own `GRU`, `LSTM` and `RNN`, and a `Scan` for what these are not: an answer that
//! is narrowed, and the RNN of ReLUs, whose attribute not every reader of ONNX heeds.
//!
//! ONNX wants gates in an order of its own and matrices turned round: both are done here.

use super::Form;
use super::graph::{Builder, Dim, body, int, text};
use super::layers::turned;
use super::writer::Writer;
use crate::model::WeightsError;
use crate::model::layers::bidirectional::BidirectionalShape;
use crate::model::layers::cell::Cell;
use crate::model::layers::gru::GruShape;
use crate::model::layers::recurrent::RecurrentShape;

/// Which of our gates (reset, update, new) stands at each of ONNX's places (update, reset, hidden).
const GRU_GATES: [usize; 3] = [1, 0, 2];
/// Which of our gates (input, forget, candidate, output) stands at each of ONNX's places (input, output,
/// forget, cell).
const LSTM_GATES: [usize; 4] = [0, 3, 1, 2];

/// The matrices of one direction, in ONNX's order.
#[derive(Default)]
struct Direction {
    /// `[n_gates, n_in]`
    w_input: Vec<f32>,
    /// `[n_gates, n_units]`
    w_hidden: Vec<f32>,
    /// `[2 * n_gates]`: of the input's product, then of the hidden state's.
    bias: Vec<f32>,
}

/// One of ONNX's own recurrent operators, in one direction or two.
struct Native {
    op: &'static str,
    n_in: usize,
    n_units: usize,
    n_gates: usize,
    has_memory: bool,
    /// Apply the reset gate behind the product.
    linear_before_reset: bool,
}

impl Native {
    /// The operator that does what the layer does, if there is one.
    fn of(shape: &RecurrentShape) -> Option<Self> {
        let op = match (shape.cell, shape.n_projected) {
            (Cell::Tanh, None) => "RNN",
            (Cell::Lstm, None) => "LSTM",
            (Cell::Relu, None) | (_, Some(_)) => return None,
        };
        Some(Self {
            op,
            n_in: shape.n_in,
            n_units: shape.n_units,
            n_gates: shape.cell.n_gates() * shape.n_units,
            has_memory: shape.cell.n_memory() > 0,
            linear_before_reset: false,
        })
    }
}

/// Which of our gates stands at each of ONNX's places.
fn gate_order(cell: Cell) -> &'static [usize] {
    match cell {
        Cell::Tanh | Cell::Relu => &[0],
        Cell::Lstm => &LSTM_GATES,
    }
}

/// Columns of a matrix `[n_rows, gates]` by gate in another order, then turned: `[gates, n_rows]`.
fn gates_first(matrix: &[f32], n_rows: usize, order: &[usize]) -> Vec<f32> {
    in_order(&turned(matrix, n_rows), order)
}

/// Equal parts in another order.
fn in_order(values: &[f32], order: &[usize]) -> Vec<f32> {
    let n = values.len() / order.len();
    let part = |&at: &usize| values[at * n..(at + 1) * n].iter().copied();
    order.iter().flat_map(part).collect()
}

impl Writer<'_> {
    pub(super) fn gru(
        &mut self,
        shape: &GruShape,
        prefix: &str,
        frames: &str,
    ) -> Result<String, WeightsError> {
        let (n_in, n) = (shape.n_in, shape.n_units);
        let part = |name: &str, dims: &[usize]| self.weight(&format!("{prefix}.{name}"), dims);
        let direction = Direction {
            w_input: gates_first(part("w_input", &[n_in, 3 * n])?, n_in, &GRU_GATES),
            w_hidden: gates_first(part("w_hidden", &[n, 3 * n])?, n, &GRU_GATES),
            bias: [
                in_order(part("b_input", &[3 * n])?, &GRU_GATES),
                in_order(part("b_hidden", &[3 * n])?, &GRU_GATES),
            ]
            .concat(),
        };
        let native = Native {
            op: "GRU",
            n_in,
            n_units: n,
            n_gates: 3 * n,
            has_memory: false,
            linear_before_reset: true,
        };
        Ok(self.native(&native, prefix, frames, &[direction]))
    }

    pub(super) fn recurrent(
        &mut self,
        shape: &RecurrentShape,
        prefix: &str,
        frames: &str,
    ) -> Result<String, WeightsError> {
        let Some(native) = Native::of(shape) else {
            return self.scanned(shape, prefix, frames);
        };
        let direction = self.direction(shape, prefix)?;
        Ok(self.native(&native, prefix, frames, &[direction]))
    }

    /// Both directions as one operator; whole clips only.
    pub(super) fn bidirectional(
        &mut self,
        shape: &BidirectionalShape,
        prefix: &str,
        frames: &str,
    ) -> Result<String, WeightsError> {
        let direction = &shape.direction;
        let (forward, backward) = (format!("{prefix}.forward"), format!("{prefix}.backward"));
        let native =
            Native::of(direction).expect("the one kind that reads both ways is of LSTM cells");
        let both = [
            self.direction(direction, &forward)?,
            self.direction(direction, &backward)?,
        ];
        Ok(self.native(&native, prefix, frames, &both))
    }

    fn direction(&self, shape: &RecurrentShape, prefix: &str) -> Result<Direction, WeightsError> {
        let (n_in, n) = (shape.n_in, shape.n_units);
        let (order, n_gates) = (gate_order(shape.cell), shape.cell.n_gates() * n);
        let part = |name: &str, dims: &[usize]| self.weight(&format!("{prefix}.{name}"), dims);
        let mut bias = in_order(part("bias", &[n_gates])?, order);
        bias.resize(2 * n_gates, 0.0);
        Ok(Direction {
            w_input: gates_first(part("w_input", &[n_in, n_gates])?, n_in, order),
            w_hidden: gates_first(part("w_hidden", &[n, n_gates])?, n, order),
            bias,
        })
    }

    /// `[1, n_in, n_frames]` to `[1, n_directions * n_units, n_frames]`.
    fn native(
        &mut self,
        native: &Native,
        prefix: &str,
        frames: &str,
        directions: &[Direction],
    ) -> String {
        let (n_dir, n_units, n_gates) = (directions.len(), native.n_units, native.n_gates);
        let name = |part: &str| format!("{prefix}.{part}");
        let all = |part: fn(&Direction) -> &[f32]| -> Vec<f32> {
            directions.iter().flat_map(part).copied().collect()
        };
        let w_input = all(|direction| &direction.w_input);
        let w_input = self.floats(&name("w_input"), &[n_dir, n_gates, native.n_in], &w_input);
        let w_hidden = all(|direction| &direction.w_hidden);
        let w_hidden = self.floats(&name("w_hidden"), &[n_dir, n_gates, n_units], &w_hidden);
        let bias = all(|direction| &direction.bias);
        let bias = self.floats(&name("bias"), &[n_dir, 2 * n_gates], &bias);
        let time_first = self.transpose(&name("time_first"), frames, &[2, 0, 1]);
        let mut inputs = vec![time_first, w_input, w_hidden, bias];
        let mut attributes = vec![int("hidden_size", n_units as i64)];
        if n_dir == 2 {
            attributes.push(text("direction", "bidirectional"));
        }
        if native.linear_before_reset {
            attributes.push(int("linear_before_reset", 1));
        }
        let state_shape = [1, 1, n_units];
        let remembered: &[(&str, &str)] = match (self.form, native.has_memory) {
            (Form::Clip, _) => &[],
            (Form::Stream, false) => &[("hidden", ".hidden")],
            (Form::Stream, true) => &[("hidden", ".hidden"), ("memory", ".memory")],
        };
        if !remembered.is_empty() {
            inputs.push(String::new()); // no lengths: every frame counts
        }
        let mut suffixes = vec![""];
        let mut old = Vec::new();
        for (what, suffix) in remembered {
            let state = self.state(&name(what), &state_shape);
            inputs.push(state.clone());
            old.push(state);
            suffixes.push(suffix);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let node = self.name(&name("all"));
        let outputs = self
            .graph
            .node_of(native.op, &node, &inputs, attributes, &suffixes);
        for (((what, _), old), new) in remembered.iter().zip(&old).zip(&outputs[1..]) {
            self.renew(&name(what), &state_shape, old, new);
        }
        // [n_frames, n_directions, 1, n_units]
        let time_last = self.transpose(&name("time_last"), &outputs[0], &[2, 1, 3, 0]);
        self.reshape(prefix, &time_last, &[1, (n_dir * n_units) as i64, -1])
    }

    /// Any recurrent layer as a `Scan` over its frames.
    fn scanned(
        &mut self,
        shape: &RecurrentShape,
        prefix: &str,
        frames: &str,
    ) -> Result<String, WeightsError> {
        let name = |part: &str| format!("{prefix}.{part}");
        let (n_out, n_gates) = (shape.n_out(), shape.cell.n_gates() * shape.n_units);
        let part = |part: &str, dims: &[usize]| self.weight(&name(part), dims);
        let w_input = part("w_input", &[shape.n_in, n_gates])?;
        let bias = part("bias", &[n_gates])?;
        let recurrence = Recurrence {
            cell: shape.cell,
            n_units: shape.n_units,
            n_out,
            w_hidden: part("w_hidden", &[n_out, n_gates])?,
            w_projection: match shape.n_projected {
                Some(_) => Some(part("w_projection", &[shape.n_units, n_out])?),
                None => None,
            },
        };
        let from_input = self.matrix(&name("w_input"), frames, shape.n_in, w_input, Some(bias));
        let time_first = self.transpose(&name("time_first"), &from_input, &[2, 0, 1]);
        let has_memory = shape.cell.n_memory() > 0;
        let mut states = vec![("hidden", n_out)];
        if has_memory {
            states.push(("memory", shape.n_units));
        }
        let full = |part: &str| self.name(&name(part));
        let (scan, body_name) = (full("all"), full("body"));
        let mut step = Builder::default();
        let within = |part: &str| format!("{body_name}.{part}");
        let mut inputs = Vec::new();
        for (state, n) in &states {
            inputs.push(step.input(&within(state), &[1, *n].map(Dim::Fixed), ""));
        }
        let gates = step.input(&within("gates"), &[1, n_gates].map(Dim::Fixed), "");
        let memory = inputs.get(1).map(String::as_str);
        let (hidden, memory) = recurrence.write(&mut step, &body_name, &gates, &inputs[0], memory);
        let dims = [1, n_out].map(Dim::Fixed);
        step.output(&within("hidden.renewed"), &hidden, &dims, "");
        if let Some(memory) = memory {
            let dims = [1, shape.n_units].map(Dim::Fixed);
            step.output(&within("memory.renewed"), &memory, &dims, "");
        }
        step.output(&within("answer"), &hidden, &dims, "");
        let step = step.finish(&body_name);

        let mut first = Vec::new();
        for (state, n) in &states {
            first.push(match self.form {
                Form::Clip => {
                    self.floats(&name(&format!("{state}.first")), &[1, *n], &vec![0.0; *n])
                }
                Form::Stream => self.state(&name(state), &[1, *n]),
            });
        }
        let mut scanned: Vec<&str> = first.iter().map(String::as_str).collect();
        scanned.push(&time_first);
        let suffixes: &[&str] = match has_memory {
            true => &[".hidden", ".memory", ".answers"],
            false => &[".hidden", ".answers"],
        };
        let attributes = vec![int("num_scan_inputs", 1), body("body", step)];
        let outputs = self
            .graph
            .node_of("Scan", &scan, &scanned, attributes, suffixes);
        if self.form == Form::Stream {
            for (((state, n), old), new) in states.iter().zip(&first).zip(&outputs) {
                self.renew(&name(state), &[1, *n], old, new);
            }
        }
        let answers = outputs.last().expect("a scan has an answer at every frame");
        // [n_frames, 1, n_out]
        Ok(self.transpose(prefix, answers, &[1, 2, 0]))
    }
}

/// What happens at one frame of a recurrent layer.
struct Recurrence<'a> {
    cell: Cell,
    n_units: usize,
    /// Values that leave the layer and come back to it.
    n_out: usize,
    /// `[n_out, n_gates]`
    w_hidden: &'a [f32],
    /// `[n_units, n_out]`
    w_projection: Option<&'a [f32]>,
}

impl Recurrence<'_> {
    /// The hidden state and the memory renewed, `[1, n]` each.
    fn write(
        &self,
        graph: &mut Builder,
        prefix: &str,
        from_input: &str,
        hidden: &str,
        memory: Option<&str>,
    ) -> (String, Option<String>) {
        let name = |part: &str| format!("{prefix}.{part}");
        let n_gates = self.cell.n_gates() * self.n_units;
        let dims = [self.n_out, n_gates];
        let w_hidden = graph.floats(&name("w_hidden"), &dims, self.w_hidden);
        let mut op =
            |op: &str, part: &str, inputs: &[&str]| graph.node(op, &name(part), inputs, vec![]);
        let from_hidden = op("MatMul", "from_hidden", &[hidden, &w_hidden]);
        let gates = op("Add", "sums", &[from_input, &from_hidden]);
        let (answer, memory) = match (self.cell, memory) {
            (Cell::Tanh, _) => (op("Tanh", "units", &[&gates]), None),
            (Cell::Relu, _) => (op("Relu", "units", &[&gates]), None),
            (Cell::Lstm, memory) => {
                let memory = memory.expect("an LSTM has a memory");
                let suffixes = [".input", ".forget", ".candidate", ".output"];
                let axis = vec![int("axis", 1)];
                let parts =
                    graph.node_of("Split", &name("gates.split"), &[&gates], axis, &suffixes);
                let mut op = |op: &str, part: &str, inputs: &[&str]| {
                    graph.node(op, &name(part), inputs, vec![])
                };
                let input = op("Sigmoid", "input", &[&parts[0]]);
                let forget = op("Sigmoid", "forget", &[&parts[1]]);
                let candidate = op("Tanh", "candidate", &[&parts[2]]);
                let output = op("Sigmoid", "output", &[&parts[3]]);
                let kept = op("Mul", "kept", &[&forget, memory]);
                let entered = op("Mul", "entered", &[&input, &candidate]);
                let memory = op("Add", "remembered", &[&kept, &entered]);
                let bounded = op("Tanh", "bounded", &[&memory]);
                (op("Mul", "units", &[&output, &bounded]), Some(memory))
            }
        };
        let Some(w_projection) = self.w_projection else {
            return (answer, memory);
        };
        let dims = [self.n_units, self.n_out];
        let w_projection = graph.floats(&name("w_projection"), &dims, w_projection);
        let inputs = [&answer[..], &w_projection];
        let projected = graph.node("MatMul", &name("projected"), &inputs, vec![]);
        (projected, memory)
    }
}
