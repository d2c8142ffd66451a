//! `skip-conv1d`: a dense temporal convolution, normalised, ReLU, and its input beside it: added (ResNet's way,
//! through a normalised matrix where widths differ) or kept as further channels (DenseNet's, Huang et al. 2017).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_CHANNELS, MAX_FRAMES, check_range};
use crate::model::layers::conv_norm::ConvShape;
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Shortcut, Stage, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkipConv1dSpec {
    pub n_channels: usize,
    pub kernel_frames: usize,
    pub dilation_frames: usize,
    pub merge: Merge,
}

/// How input and convolution come together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Merge {
    Sum,
    Concatenate,
}

impl SkipConv1dSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "n_channels", self.n_channels, MAX_CHANNELS)?;
        check_range(place, "kernel_frames", self.kernel_frames, MAX_FRAMES)?;
        check_range(place, "dilation_frames", self.dilation_frames, MAX_FRAMES)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let n_in = input.n_values();
        let conv = ConvShape::dense(n_in, self.n_channels, self.kernel_frames)
            .with_dilation(self.dilation_frames);
        let shortcut = match self.merge {
            Merge::Concatenate => Shortcut::Concatenate(input),
            Merge::Sum if n_in == self.n_channels => Shortcut::Identity,
            Merge::Sum => Shortcut::Layer(Layer::Conv(ConvShape::dense(n_in, self.n_channels, 1))),
        };
        let link = Link {
            name: "conv",
            layer: Layer::Conv(conv.with_relu()),
        };
        Wiring {
            stages: vec![Stage {
                shortcut,
                ..Stage::chain([link])
            }],
        }
    }
}

/// `skip + 32k3d1` where the input is added, `skip & 32k3d1` where it is kept beside.
impl fmt::Display for SkipConv1dSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n_channels,
            kernel_frames,
            dilation_frames,
            merge,
        } = self;
        let sign = match merge {
            Merge::Sum => '+',
            Merge::Concatenate => '&',
        };
        write!(
            f,
            "skip {sign} {n_channels}k{kernel_frames}d{dilation_frames}"
        )
    }
}
