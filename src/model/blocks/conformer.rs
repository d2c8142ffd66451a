//! `conformer`: attention and a temporal convolution between two half-step feed-forward parts, each normalised
//! first and added to its input, one normalisation at the end (Gulati et al. 2020), made causal: attention
//! reaches `left_context_frames` back, the convolution's `kernel_frames` end at the present frame.
//!
//! Positions are a bias for each distance and head instead of the paper's relative sinusoids. Where the input
//! has another width, one matrix comes first.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::transformer::{activation, attention_stage, check_heads, fit_width, linear, norm};
use crate::model::genome::{GenomeError, MAX_CHANNELS, MAX_FRAMES, check_range};
use crate::model::layers::activation::Activation;
use crate::model::layers::attention::{AttentionShape, Context};
use crate::model::layers::conv_norm::ConvShape;
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Stage, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConformerSpec {
    pub n_channels: usize,
    /// Divides `n_channels`.
    pub n_heads: usize,
    pub left_context_frames: usize,
    pub kernel_frames: usize,
    /// Values between the two matrices of a feed-forward part.
    pub n_hidden: usize,
}

impl ConformerSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_heads(place, self.n_channels, self.n_heads)?;
        let context = self.left_context_frames;
        check_range(place, "left_context_frames", context, MAX_FRAMES)?;
        check_range(place, "kernel_frames", self.kernel_frames, MAX_FRAMES)?;
        check_range(place, "n_hidden", self.n_hidden, MAX_CHANNELS)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let n = self.n_channels;
        let attention = AttentionShape {
            n_channels: n,
            n_heads: self.n_heads,
            context: Context::Left {
                past_frames: self.left_context_frames,
            },
        };
        let mut stages: Vec<Stage> = fit_width(input, n).into_iter().collect();
        stages.extend([
            self.half_step([
                "first_norm",
                "first_expand",
                "first_swish",
                "first_contract",
                "first_half",
            ]),
            attention_stage(attention),
            self.convolution(),
            self.half_step([
                "last_norm",
                "last_expand",
                "last_swish",
                "last_contract",
                "last_half",
            ]),
            Stage::chain([norm("norm", n)]),
        ]);
        Wiring { stages }
    }

    /// Half a feed-forward part, added to its input.
    fn half_step(&self, names: [&'static str; 5]) -> Stage {
        let (n, n_hidden) = (self.n_channels, self.n_hidden);
        let links = [
            norm(names[0], n),
            linear(names[1], n, n_hidden),
            activation(names[2], Activation::Swish, n_hidden),
            linear(names[3], n_hidden, n),
            activation(names[4], Activation::Half, n),
        ];
        Stage::chain(links).with_identity()
    }

    /// A gate, one filter a channel over time, a matrix, added to their input.
    fn convolution(&self) -> Stage {
        let n = self.n_channels;
        let depthwise = Link {
            name: "depthwise",
            layer: Layer::Conv(ConvShape::depthwise(n, self.kernel_frames)),
        };
        let links = [
            norm("conv_norm", n),
            linear("pointwise_in", n, 2 * n),
            activation("glu", Activation::Glu, n),
            depthwise,
            activation("swish", Activation::Swish, n),
            linear("pointwise_out", n, n),
        ];
        Stage::chain(links).with_identity()
    }
}

impl fmt::Display for ConformerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n_channels,
            n_heads,
            left_context_frames,
            kernel_frames,
            n_hidden,
        } = self;
        write!(
            f,
            "conformer {n_channels}h{n_heads}l{left_context_frames}k{kernel_frames}f{n_hidden}"
        )
    }
}
