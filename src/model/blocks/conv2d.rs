//! `conv2d`: a dense convolution over bands and time, normalised by channel, ReLU.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_BANDS, MAX_CHANNELS, MAX_FRAMES, check_range};
use crate::model::layers::conv2d::{Conv2dShape, Extent};
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2dSpec {
    pub n_channels: usize,
    pub kernel_bands: usize,
    pub kernel_frames: usize,
    pub stride_bands: usize,
    pub stride_frames: usize,
}

impl Conv2dSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "n_channels", self.n_channels, MAX_CHANNELS)?;
        check_range(place, "kernel_bands", self.kernel_bands, MAX_BANDS)?;
        check_range(place, "kernel_frames", self.kernel_frames, MAX_FRAMES)?;
        check_range(place, "stride_bands", self.stride_bands, MAX_BANDS)?;
        check_range(place, "stride_frames", self.stride_frames, MAX_FRAMES)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let kernel = Extent::new(self.kernel_bands, self.kernel_frames);
        let stride = Extent::new(self.stride_bands, self.stride_frames);
        let shape = Conv2dShape::dense(input, self.n_channels, kernel).with_stride(stride);
        Wiring::chain([Link {
            name: "conv",
            layer: Layer::Conv2d(shape.with_relu()),
        }])
    }
}

/// Bands before frames: `conv2d 16k5x3s2x1`.
impl fmt::Display for Conv2dSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n_channels,
            kernel_bands,
            kernel_frames,
            stride_bands,
            stride_frames,
        } = self;
        write!(
            f,
            "conv2d {n_channels}k{kernel_bands}x{kernel_frames}s{stride_bands}x{stride_frames}"
        )
    }
}
