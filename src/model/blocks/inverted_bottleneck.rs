//! `inverted-bottleneck`: MobileNetV2's block over time (Sandler et al. 2018), made causal: widen, one filter a
//! channel, perhaps a squeeze-and-excitation gate (as MobileNetV3 and MixNet place it), narrow. The input is added
//! where shapes agree; nothing is rectified at the narrow end.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_CHANNELS, MAX_FRAMES, check_range};
use crate::model::layers::conv_norm::ConvShape;
use crate::model::layers::squeeze_excite::SqueezeExciteShape;
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Shortcut, Stage, Wiring};

/// Most times that a block is wider inside than at its input.
const MAX_EXPANSION: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvertedBottleneckSpec {
    pub n_channels: usize,
    /// Inner channels per input channel; 1 leaves out the widening matrix.
    pub expansion: usize,
    pub kernel_frames: usize,
    pub stride_frames: usize,
    pub gate: Gate,
}

/// The gate on the inner channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Gate {
    None,
    /// Squeeze and excitation by the mean over the last `window_frames` frames at the block's output rate.
    SqueezeExcite {
        /// Inner channels per hidden value of the gate.
        reduction: usize,
        window_frames: usize,
    },
}

impl InvertedBottleneckSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "n_channels", self.n_channels, MAX_CHANNELS)?;
        check_range(place, "expansion", self.expansion, MAX_EXPANSION)?;
        check_range(place, "kernel_frames", self.kernel_frames, MAX_FRAMES)?;
        check_range(place, "stride_frames", self.stride_frames, MAX_FRAMES)?;
        match self.gate {
            Gate::None => Ok(()),
            Gate::SqueezeExcite {
                reduction,
                window_frames,
            } => {
                check_range(place, "reduction", reduction, MAX_CHANNELS)?;
                check_range(place, "window_frames", window_frames, MAX_FRAMES)
            }
        }
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let n_in = input.n_values();
        let n_inner = n_in * self.expansion;
        let link = |name, layer| Link { name, layer };
        let mut chain = Vec::with_capacity(4);
        if self.expansion > 1 {
            let widen = ConvShape::dense(n_in, n_inner, 1).with_relu();
            chain.push(link("widen", Layer::Conv(widen)));
        }
        let filter =
            ConvShape::depthwise(n_inner, self.kernel_frames).with_stride(self.stride_frames);
        chain.push(link("depthwise", Layer::Conv(filter.with_relu())));
        if let Gate::SqueezeExcite {
            reduction,
            window_frames,
        } = self.gate
        {
            let gate = SqueezeExciteShape {
                n_channels: n_inner,
                n_hidden: (n_inner / reduction).max(1),
                window_frames,
            };
            chain.push(link("gate", Layer::SqueezeExcite(gate)));
        }
        let narrow = ConvShape::dense(n_inner, self.n_channels, 1);
        chain.push(link("narrow", Layer::Conv(narrow)));
        let shortcut = if n_in == self.n_channels && self.stride_frames == 1 {
            Shortcut::Identity
        } else {
            Shortcut::None
        };
        Wiring {
            stages: vec![Stage {
                chain,
                shortcut,
                relu: false,
            }],
        }
    }
}

impl fmt::Display for InvertedBottleneckSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n_channels,
            expansion,
            kernel_frames,
            stride_frames,
            gate,
        } = self;
        write!(
            f,
            "bottleneck {n_channels}e{expansion}k{kernel_frames}s{stride_frames}"
        )?;
        match gate {
            Gate::None => Ok(()),
            Gate::SqueezeExcite {
                reduction,
                window_frames,
            } => write!(f, "se{reduction}w{window_frames}"),
        }
    }
}
