//! What all layers of one network need while it is written: names, weights, and the past.
//!
//! A layer is written once for both forms. It asks for its past here: in the whole-clip form that is
//! zeros before the first frame, in the streaming form a state. Knows no layer.

use std::collections::BTreeMap;

use super::Form;
use super::graph::{Builder, Dim, NEXT, ints};
use super::proto::Attribute;
use crate::model::{Genome, Ports, Weights, WeightsError};

/// Behind the last of anything.
const END: i64 = i64::MAX;

/// One network being written.
pub struct Writer<'a> {
    pub graph: &'a mut Builder,
    pub form: Form,
    pub weights: &'a Weights,
    /// Before every name: which member it is.
    member: String,
    /// Feature frames from one frame to the next at this place.
    pub jump_frames: usize,
    /// Streaming, behind strides: which of the feature frames this one is, `[1]`.
    phase: Option<String>,
    /// Whether this frame counts, by the jump at a place.
    counts: BTreeMap<usize, String>,
}

/// Frames with what lies before them.
pub struct Past {
    pub frames: String,
    /// Zeros that the operator has to put before the first frame itself.
    pub n_padded: usize,
}

impl<'a> Writer<'a> {
    pub fn new(graph: &'a mut Builder, form: Form, member: String, weights: &'a Weights) -> Self {
        Self {
            graph,
            form,
            weights,
            member,
            jump_frames: 1,
            phase: None,
            counts: BTreeMap::new(),
        }
    }

    /// Features `[1, n_mels, n_frames]` to logits `[1, n_classes]`.
    pub fn network(
        &mut self,
        genome: &Genome,
        ports: &Ports,
        features: &str,
    ) -> Result<String, WeightsError> {
        let wirings = genome.wirings(ports.n_mels);
        let jumps = wirings.iter().map(|(_, wiring)| wiring.stride_frames());
        let jump_frames: usize = jumps.product();
        if self.form == Form::Stream && jump_frames > 1 {
            self.count_phase(jump_frames);
        }
        let mut frames = self.scale(ports.n_mels, features)?;
        for (prefix, wiring) in &wirings {
            frames = self.wiring(wiring, prefix, &frames)?;
        }
        let n_features = genome.features_port(ports.n_mels).n_values();
        let logits = self.head(&genome.head, n_features, ports.n_classes, &frames)?;
        Ok(self.latest(&logits, ports.n_classes))
    }

    /// The scale of the features, per band.
    fn scale(&mut self, n_mels: usize, features: &str) -> Result<String, WeightsError> {
        let shape = [1, n_mels, 1];
        let mean = self.weight("input.mean", &[n_mels])?;
        let mean = self.floats("input.mean", &shape, mean);
        let inv_deviation = self.weight("input.inv_deviation", &[n_mels])?;
        let inv_deviation = self.floats("input.inv_deviation", &shape, inv_deviation);
        let centred = self.op("Sub", "input.centred", &[features, &mean]);
        Ok(self.op("Mul", "input.scaled", &[&centred, &inv_deviation]))
    }

    /// Which frame this is, as a state, and which the next one will be.
    fn count_phase(&mut self, jump_frames: usize) {
        let name = self.name("phase");
        let phase = self
            .graph
            .input(&name, &[Dim::Fixed(1)], "frames since an answer");
        let one = self.float("phase.one", 1.0);
        let jump = self.float("phase.jump", jump_frames as f32);
        let zero = self.float("phase.first", 0.0);
        let next = self.op("Add", "phase.later", &[&phase, &one]);
        let is_within = self.op("Less", "phase.is_within", &[&next, &jump]);
        let next = self.op("Where", "phase.wrapped", &[&is_within, &next, &zero]);
        let output = format!("{name}{NEXT}");
        self.graph.output(&output, &next, &[Dim::Fixed(1)], "");
        self.phase = Some(phase);
    }

    /// Whether this frame counts at the present place, `[1]`; `None` where every frame does.
    fn counts(&mut self) -> Option<String> {
        let phase = self.phase.clone().filter(|_| self.jump_frames > 1)?;
        if let Some(known) = self.counts.get(&self.jump_frames) {
            return Some(known.clone());
        }
        let name = format!("every.{}", self.jump_frames);
        let jump = self.float(&format!("{name}.jump"), self.jump_frames as f32);
        let share = self.op("Div", &format!("{name}.share"), &[&phase, &jump]);
        let whole = self.op("Floor", &format!("{name}.whole"), &[&share]);
        let back = self.op("Mul", &format!("{name}.back"), &[&whole, &jump]);
        let counts = self.op("Equal", &name, &[&back, &phase]);
        self.counts.insert(self.jump_frames, counts.clone());
        Some(counts)
    }

    /// A state of that name: what earlier frames left.
    pub fn state(&mut self, name: &str, shape: &[usize]) -> String {
        let dims: Vec<Dim> = shape.iter().map(|&n| Dim::Fixed(n)).collect();
        let name = self.name(name);
        self.graph.input(&name, &dims, "")
    }

    /// What the state of that name will be, where this frame counts.
    pub fn renew(&mut self, name: &str, shape: &[usize], old: &str, new: &str) {
        let new = match self.counts() {
            Some(counts) => self.op("Where", &format!("{name}.kept"), &[&counts, new, old]),
            None => new.to_owned(),
        };
        let dims: Vec<Dim> = shape.iter().map(|&n| Dim::Fixed(n)).collect();
        let output = format!("{}{NEXT}", self.name(name));
        self.graph.output(&output, &new, &dims, "");
    }

    /// Frames `[1, n_values, n_frames]` with `n_past` frames before them; zeros before the first.
    pub fn past(&mut self, name: &str, frames: &str, n_values: usize, n_past: usize) -> Past {
        if self.form == Form::Clip || n_past == 0 {
            return Past {
                frames: frames.to_owned(),
                n_padded: n_past,
            };
        }
        let (name, shape) = (format!("{name}.past"), [1, n_values, n_past]);
        let old = self.state(&name, &shape);
        let window = self.concat(&format!("{name}.window"), &[&old, frames], 2);
        let later = self.slice(&format!("{name}.later"), &window, 1, END, 2);
        self.renew(&name, &shape, &old, &later);
        Past {
            frames: window,
            n_padded: 0,
        }
    }

    /// Streaming only: how many of the last `n_window` frames there were, `[1]`.
    pub fn seen(&mut self, name: &str, n_window: usize) -> String {
        let name = format!("{name}.seen");
        let old = self.state(&name, &[1]);
        let one = self.float(&format!("{name}.one"), 1.0);
        let most = self.float(&format!("{name}.most"), n_window as f32);
        let more = self.op("Add", &format!("{name}.more"), &[&old, &one]);
        let seen = self.op("Min", &format!("{name}.now"), &[&more, &most]);
        self.renew(&name, &[1], &old, &seen);
        seen
    }

    /// Streaming only: which frames of a window were there, `[1, 1, n_window]`.
    pub fn in_sight(&mut self, name: &str, seen: &str, n_window: usize) -> String {
        let ages: Vec<f32> = (0..n_window).rev().map(|age| age as f32).collect();
        let ages = self.floats(&format!("{name}.ages"), &[1, 1, n_window], &ages);
        self.op("Less", &format!("{name}.in_sight"), &[&ages, seen])
    }

    /// The answer of the last frame that counted.
    fn latest(&mut self, logits: &str, n_classes: usize) -> String {
        if self.phase.is_none() {
            return logits.to_owned();
        }
        let shape = [1, n_classes];
        let old = self.state("logits", &shape);
        let counts = self
            .counts()
            .expect("there is a phase because frames are skipped");
        let latest = self.op("Where", "logits.latest", &[&counts, logits, &old]);
        let dims = shape.map(Dim::Fixed);
        let output = format!("{}{NEXT}", self.name("logits"));
        self.graph.output(&output, &latest, &dims, "");
        latest
    }

    /// The name with the member's before it.
    pub fn name(&self, name: &str) -> String {
        format!("{}{name}", self.member)
    }

    pub fn weight(&self, name: &str, shape: &[usize]) -> Result<&'a [f32], WeightsError> {
        self.weights.get(name, shape)
    }

    pub fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> String {
        let name = self.name(name);
        self.graph.floats(&name, shape, values)
    }

    pub fn float(&mut self, name: &str, value: f32) -> String {
        self.floats(name, &[1], &[value])
    }

    pub fn op(&mut self, op: &str, name: &str, inputs: &[&str]) -> String {
        self.op_with(op, name, inputs, vec![])
    }

    pub fn op_with(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        let name = self.name(name);
        self.graph.node(op, &name, inputs, attributes)
    }

    pub fn concat(&mut self, name: &str, parts: &[&str], axis: usize) -> String {
        let axis = super::graph::int("axis", axis as i64);
        self.op_with("Concat", name, parts, vec![axis])
    }

    pub fn transpose(&mut self, name: &str, value: &str, axes: &[usize]) -> String {
        self.op_with("Transpose", name, &[value], vec![ints("perm", axes)])
    }

    /// To that shape; -1 is what is left.
    pub fn reshape(&mut self, name: &str, value: &str, shape: &[i64]) -> String {
        let shape_name = self.name(&format!("{name}.shape"));
        let shape = self.graph.ints(&shape_name, shape);
        self.op("Reshape", name, &[value, &shape])
    }

    /// `value[start..end]` along one axis; negative places count from the end.
    pub fn slice(&mut self, name: &str, value: &str, start: i64, end: i64, axis: usize) -> String {
        let mut bound = |what: &str, at: i64| {
            let name = self.name(&format!("{name}.{what}"));
            self.graph.ints(&name, &[at])
        };
        let [start, end, axis] = [
            bound("start", start),
            bound("end", end),
            bound("axis", axis as i64),
        ];
        self.op("Slice", name, &[value, &start, &end, &axis])
    }

    /// The last `n` frames of `[1, n_values, n_frames]`, fewer where there are fewer.
    pub fn last_frames(&mut self, name: &str, frames: &str, n: usize) -> String {
        self.slice(name, frames, -(n as i64), END, 2)
    }

    /// The mean along one axis, which stays with size 1.
    pub fn mean(&mut self, name: &str, value: &str, axis: usize) -> String {
        self.op_with("ReduceMean", name, &[value], vec![ints("axes", &[axis])])
    }

    /// The sum along one axis, which stays with size 1.
    pub fn sum(&mut self, name: &str, value: &str, axis: usize) -> String {
        let axes_name = self.name(&format!("{name}.axes"));
        let axes = self.graph.ints(&axes_name, &[axis as i64]);
        self.op("ReduceSum", name, &[value, &axes])
    }

    /// `x * sigmoid(x)`
    pub fn swish(&mut self, name: &str, value: &str) -> String {
        let gate = self.op("Sigmoid", &format!("{name}.gate"), &[value]);
        self.op("Mul", name, &[value, &gate])
    }
}
