//! What the axes of a layer's tensors count, so that a layer can be copied into a wider or narrower one.
//!
//! It knows shapes and no values. A layer that it does not know is copied whole or not at all.

use crate::model::layers::conv_norm::ConvShape;
use crate::model::wiring::{Layer, Shortcut, Wiring};
use crate::model::{Genome, Head, Port, Ports};

/// What one axis of a tensor counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Channels that the layer reads, in that many parts of equal length one behind the other.
    In { n_parts: usize },
    /// Channels that the layer makes, in that many parts of equal length (the gates of a recurrent layer).
    Out { n_parts: usize },
    /// Anything that must not differ: taps, classes.
    Fixed,
}

const IN: Axis = Axis::In { n_parts: 1 };
const OUT: Axis = Axis::Out { n_parts: 1 };

/// The layers of one part of a genome: the stem, a block, or the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// `stem`, `blocks.3`, `head`
    pub prefix: String,
    pub layers: Vec<LayerLayout>,
    /// What else makes two parts the same but for their widths.
    kind: PartKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PartKind {
    Block {
        adds_input: bool,
        /// The input that stands before what the block makes: a wider one would move all that follows.
        keeps: Option<Port>,
    },
    /// A head whose classifier reads each channel in that many ways.
    PooledHead { n_parts: usize },
    /// Any other head, and the channels that it reads.
    Head { head: Head, n_channels: usize },
}

/// One layer and the axes of its tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerLayout {
    /// `stem.conv`, `blocks.3.second`, `head.classifier`
    pub prefix: String,
    /// The layer with its widths taken out.
    form: Form,
    /// Channels read and made.
    n_in: usize,
    n_out: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Conv {
        shape: ConvShape,
    },
    Linear {
        bias: bool,
    },
    Gru,
    Classifier {
        n_parts: usize,
    },
    /// A layer whose tensors are not known here.
    Whole(Layer),
}

/// The parts of a genome from features to logits.
pub fn parts(genome: &Genome, ports: &Ports) -> Vec<Part> {
    let wirings = genome.wirings(ports.n_mels);
    let n_channels = genome.features_port(ports.n_mels).n_values();
    let mut parts: Vec<Part> = wirings
        .iter()
        .map(|(prefix, wiring)| block_part(prefix, wiring))
        .collect();
    parts.push(head_part(&genome.head, n_channels, ports.n_classes));
    parts
}

/// A head's window changes no weight, so heads of one kind are the same part.
fn head_part(head: &Head, n_channels: usize, n_classes: usize) -> Part {
    let n_parts = if matches!(head, Head::Mean { .. }) {
        Some(1)
    } else if matches!(head, Head::Statistics { .. }) {
        Some(2)
    } else {
        None
    };
    let prefix = "head.classifier".to_owned();
    let classifier = |n_parts| LayerLayout {
        prefix,
        form: Form::Classifier { n_parts },
        n_in: n_channels,
        n_out: n_classes,
    };
    Part {
        prefix: "head".into(),
        layers: n_parts.map(classifier).into_iter().collect(),
        kind: match n_parts {
            Some(n_parts) => PartKind::PooledHead { n_parts },
            None => PartKind::Head {
                head: *head,
                n_channels,
            },
        },
    }
}

fn block_part(prefix: &str, wiring: &Wiring) -> Part {
    let layer = |name: &str, layer: &Layer| {
        let (form, n_in, n_out) = if let Layer::Conv(shape) = *layer {
            (Form::conv(shape), shape.n_in, shape.n_out)
        } else if let Layer::Linear(shape) = *layer {
            (Form::Linear { bias: shape.bias }, shape.n_in, shape.n_out)
        } else if let Layer::Gru(shape) = *layer {
            (Form::Gru, shape.n_in, shape.n_units)
        } else {
            (Form::Whole(*layer), 0, 0)
        };
        LayerLayout {
            prefix: format!("{prefix}.{name}"),
            form,
            n_in,
            n_out,
        }
    };
    let mut layers = Vec::new();
    for stage in &wiring.stages {
        layers.extend(stage.chain.iter().map(|link| layer(link.name, &link.layer)));
        if let Shortcut::Layer(inner) = &stage.shortcut {
            layers.push(layer("shortcut", inner));
        }
    }
    let shortcuts = || wiring.stages.iter().map(|stage| stage.shortcut);
    Part {
        prefix: prefix.into(),
        layers,
        kind: PartKind::Block {
            adds_input: shortcuts().any(|shortcut| shortcut == Shortcut::Identity),
            keeps: shortcuts().find_map(|shortcut| match shortcut {
                Shortcut::Concatenate(input) => Some(input),
                _ => None,
            }),
        },
    }
}

impl Form {
    fn conv(shape: ConvShape) -> Self {
        let shape = ConvShape {
            n_in: 0,
            n_out: 0,
            ..shape
        };
        Self::Conv { shape }
    }
}

impl Part {
    /// Whether a donor's part can be copied into this one, tensor for tensor: the same layers but for their
    /// widths, each of which may be taken over (see [`LayerLayout::takes`]).
    pub fn takes(&self, donor: &Self) -> bool {
        let pairs = self.layers.iter().zip(&donor.layers);
        self.prefix == donor.prefix
            && self.kind == donor.kind
            && self.layers.len() == donor.layers.len()
            && pairs.into_iter().all(|(own, other)| own.takes(other))
    }
}

impl LayerLayout {
    /// Whether a donor's layer may be copied into this one.
    ///
    /// What a layer makes may grow or shrink: each channel that both have is computed from the same weights. What
    /// it reads may only grow: a channel that is read no more would be missing from sums that were trained with
    /// it. A depthwise filter reads its own channel only and may do both. The units of a recurrent layer are read
    /// back by itself, so they may only grow.
    pub fn takes(&self, donor: &Self) -> bool {
        let reads_only_own = matches!(self.form, Form::Conv { shape, .. } if shape.depthwise);
        let has_memory = self.form == Form::Gru;
        let has_classes = matches!(self.form, Form::Classifier { .. });
        self.prefix == donor.prefix
            && self.form == donor.form
            && (reads_only_own || self.n_in >= donor.n_in)
            && (!has_memory || self.n_out >= donor.n_out)
            && (!has_classes || self.n_out == donor.n_out)
    }

    /// The axes of the tensor of that name below the layer's prefix; `None` where the layer has no such tensor.
    pub fn axes(&self, suffix: &str) -> Option<Vec<Axis>> {
        let gates = Axis::Out { n_parts: 3 };
        Some(match (self.form, suffix) {
            (Form::Conv { shape, .. }, "weight") if shape.depthwise => {
                vec![OUT, Axis::Fixed, Axis::Fixed]
            }
            (Form::Conv { .. }, "weight") => vec![OUT, IN, Axis::Fixed],
            (Form::Conv { .. }, suffix) if suffix.starts_with("norm.") => vec![OUT],
            (Form::Linear { .. }, "weight") => vec![IN, OUT],
            (Form::Linear { bias: true }, "bias") => vec![OUT],
            (Form::Gru, "w_input" | "w_hidden") => vec![IN, gates],
            (Form::Gru, "b_input" | "b_hidden") => vec![gates],
            (Form::Classifier { n_parts }, "weight") => vec![Axis::In { n_parts }, Axis::Fixed],
            (Form::Classifier { .. }, "bias") => vec![Axis::Fixed],
            _ => return None,
        })
    }
}
