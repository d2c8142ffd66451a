//! `matchbox`: MatchboxNet's block (Majumdar & Ginsburg 2020), made causal: sub-blocks of one filter a channel over
//! time, a matrix over channels, a normalisation and ReLU, and around them all a normalised matrix.
//!
//! Unlike `separable-conv1d` nothing stands between filter and matrix.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_CHANNELS, MAX_FRAMES, check_range};
use crate::model::layers::conv_norm::ConvShape;
use crate::model::layers::conv2d::{Conv2dShape, Extent, Norm};
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Shortcut, Stage, Wiring};

/// Names of a sub-block's filter and matrix.
const NAMES: [(&str, &str); 5] = [
    ("depthwise_0", "pointwise_0"),
    ("depthwise_1", "pointwise_1"),
    ("depthwise_2", "pointwise_2"),
    ("depthwise_3", "pointwise_3"),
    ("depthwise_4", "pointwise_4"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchboxSpec {
    pub n_channels: usize,
    pub kernel_frames: usize,
    pub dilation_frames: usize,
    /// Sub-blocks.
    pub n_repeats: usize,
    /// Whether the input is added through a normalised matrix.
    pub residual: bool,
}

impl MatchboxSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "n_channels", self.n_channels, MAX_CHANNELS)?;
        check_range(place, "kernel_frames", self.kernel_frames, MAX_FRAMES)?;
        check_range(place, "dilation_frames", self.dilation_frames, MAX_FRAMES)?;
        check_range(place, "n_repeats", self.n_repeats, NAMES.len())
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let n_in = input.n_values();
        let kernel = Extent::new(1, self.kernel_frames);
        let dilation = Extent::new(1, self.dilation_frames);
        let mut chain = Vec::with_capacity(2 * self.n_repeats);
        let mut n_channels = n_in;
        for (i, (filter, matrix)) in NAMES.iter().take(self.n_repeats).enumerate() {
            let depthwise = Conv2dShape::depthwise(Port::flat(n_channels), kernel)
                .with_dilation(dilation)
                .with_norm(Norm::None);
            let pointwise = ConvShape::dense(n_channels, self.n_channels, 1);
            let is_last = i + 1 == self.n_repeats;
            chain.push(Link {
                name: filter,
                layer: Layer::Conv2d(depthwise),
            });
            chain.push(Link {
                name: matrix,
                // The last ReLU stands behind the sum.
                layer: Layer::Conv(if is_last {
                    pointwise
                } else {
                    pointwise.with_relu()
                }),
            });
            n_channels = self.n_channels;
        }
        let shortcut = if self.residual {
            Shortcut::Layer(Layer::Conv(ConvShape::dense(n_in, self.n_channels, 1)))
        } else {
            Shortcut::None
        };
        Wiring {
            stages: vec![Stage {
                chain,
                shortcut,
                relu: true,
            }],
        }
    }
}

/// `matchbox 64k13d1x2`: two sub-blocks; `+` behind it where the input is added.
impl fmt::Display for MatchboxSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n_channels,
            kernel_frames,
            dilation_frames,
            n_repeats,
            residual,
        } = self;
        let sum = if *residual { "+" } else { "" };
        write!(
            f,
            "matchbox {n_channels}k{kernel_frames}d{dilation_frames}x{n_repeats}{sum}"
        )
    }
}
