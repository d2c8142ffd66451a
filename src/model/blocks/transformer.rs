//! `transformer`: one encoder layer, attention and then two matrices with a ReLU between them, each normalised
//! first and added to its input (Vaswani et al. 2017; the order of Xiong et al. 2020), each frame attending to
//! itself and `left_context_frames` frames before it.
//!
//! Positions are a bias for each distance and head, so the block streams from any start. Where the input has
//! another width, one matrix comes first.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_CHANNELS, MAX_FRAMES, check_multiple, check_range};
use crate::model::layers::activation::{Activation, ActivationShape};
use crate::model::layers::attention::{AttentionShape, Context};
use crate::model::layers::layer_norm::LayerNormShape;
use crate::model::layers::linear::LinearShape;
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Stage, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformerSpec {
    pub n_channels: usize,
    /// Divides `n_channels`.
    pub n_heads: usize,
    pub left_context_frames: usize,
    /// Values between the two matrices.
    pub n_hidden: usize,
}

impl TransformerSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_heads(place, self.n_channels, self.n_heads)?;
        let context = self.left_context_frames;
        check_range(place, "left_context_frames", context, MAX_FRAMES)?;
        check_range(place, "n_hidden", self.n_hidden, MAX_CHANNELS)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let attention = AttentionShape {
            n_channels: self.n_channels,
            n_heads: self.n_heads,
            context: Context::Left {
                past_frames: self.left_context_frames,
            },
        };
        encoder(input, attention, self.n_hidden)
    }
}

impl fmt::Display for TransformerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n_channels,
            n_heads,
            left_context_frames,
            n_hidden,
        } = self;
        write!(
            f,
            "transformer {n_channels}h{n_heads}l{left_context_frames}f{n_hidden}"
        )
    }
}

pub(super) fn check_heads(
    place: &str,
    n_channels: usize,
    n_heads: usize,
) -> Result<(), GenomeError> {
    check_range(place, "n_channels", n_channels, MAX_CHANNELS)?;
    check_range(place, "n_heads", n_heads, MAX_CHANNELS)?;
    check_multiple(place, ("n_channels", n_channels), ("n_heads", n_heads))
}

/// An encoder layer around that attention.
pub(super) fn encoder(input: Port, attention: AttentionShape, n_hidden: usize) -> Wiring {
    let n = attention.n_channels;
    let mut stages: Vec<Stage> = fit_width(input, n).into_iter().collect();
    stages.push(attention_stage(attention));
    let feed_forward = [
        norm("feed_norm", n),
        linear("expand", n, n_hidden),
        activation("relu", Activation::Relu, n_hidden),
        linear("contract", n_hidden, n),
    ];
    stages.push(Stage::chain(feed_forward).with_identity());
    Wiring { stages }
}

/// A matrix to `n_channels`, where the input has not as many already.
pub(super) fn fit_width(input: Port, n_channels: usize) -> Option<Stage> {
    let n_in = input.n_values();
    let fits = n_in == n_channels;
    (!fits).then(|| Stage::chain([linear("projection", n_in, n_channels)]))
}

/// Attention over normalised frames, added to the frames.
pub(super) fn attention_stage(shape: AttentionShape) -> Stage {
    let layer = Layer::Attention(shape);
    let attention = Link {
        name: "attention",
        layer,
    };
    Stage::chain([norm("attention_norm", shape.n_channels), attention]).with_identity()
}

pub(super) fn norm(name: &'static str, n_values: usize) -> Link {
    let layer = Layer::LayerNorm(LayerNormShape { n_values });
    Link { name, layer }
}

pub(super) fn linear(name: &'static str, n_in: usize, n_out: usize) -> Link {
    let bias = true;
    let layer = Layer::Linear(LinearShape { n_in, n_out, bias });
    Link { name, layer }
}

pub(super) fn activation(name: &'static str, activation: Activation, n_out: usize) -> Link {
    let layer = Layer::Activation(ActivationShape { activation, n_out });
    Link { name, layer }
}
