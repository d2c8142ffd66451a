//! `conv1d`: a dense temporal convolution, normalised, ReLU. Also every genome's stem.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_CHANNELS, MAX_FRAMES, check_range};
use crate::model::layers::conv_norm::ConvShape;
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv1dSpec {
    pub n_channels: usize,
    pub kernel_frames: usize,
    pub stride_frames: usize,
}

impl Conv1dSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "n_channels", self.n_channels, MAX_CHANNELS)?;
        check_range(place, "kernel_frames", self.kernel_frames, MAX_FRAMES)?;
        check_range(place, "stride_frames", self.stride_frames, MAX_FRAMES)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let n_in = input.n_values();
        let shape = ConvShape::dense(n_in, self.n_channels, self.kernel_frames)
            .with_stride(self.stride_frames);
        Wiring::chain([Link {
            name: "conv",
            layer: Layer::Conv(shape.with_relu()),
        }])
    }
}

impl fmt::Display for Conv1dSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n_channels,
            kernel_frames,
            stride_frames,
        } = self;
        write!(f, "conv {n_channels}k{kernel_frames}s{stride_frames}")
    }
}
