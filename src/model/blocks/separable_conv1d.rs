//! `separable-conv1d`: one filter a channel over time, then a matrix over channels, each normalised
//! and ReLU (the temporal form of MobileNet's and DS-CNN's block).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_CHANNELS, MAX_FRAMES, check_range};
use crate::model::layers::conv_norm::ConvShape;
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeparableConv1dSpec {
    pub n_channels: usize,
    pub kernel_frames: usize,
    pub stride_frames: usize,
}

impl SeparableConv1dSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "n_channels", self.n_channels, MAX_CHANNELS)?;
        check_range(place, "kernel_frames", self.kernel_frames, MAX_FRAMES)?;
        check_range(place, "stride_frames", self.stride_frames, MAX_FRAMES)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let n_in = input.n_values();
        let depthwise =
            ConvShape::depthwise(n_in, self.kernel_frames).with_stride(self.stride_frames);
        let pointwise = ConvShape::dense(n_in, self.n_channels, 1);
        let link = |name, shape: ConvShape| Link {
            name,
            layer: Layer::Conv(shape.with_relu()),
        };
        Wiring::chain([link("depthwise", depthwise), link("pointwise", pointwise)])
    }
}

impl fmt::Display for SeparableConv1dSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n_channels,
            kernel_frames,
            stride_frames,
        } = self;
        write!(f, "separable {n_channels}k{kernel_frames}s{stride_frames}")
    }
}
