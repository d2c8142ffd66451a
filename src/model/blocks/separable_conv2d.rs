//! `separable-conv2d`: one filter a channel over bands and time, then a matrix over channels, each normalised
//! and ReLU (DS-CNN's block, Zhang et al. 2017, "Hello edge", made causal).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_BANDS, MAX_CHANNELS, MAX_FRAMES, check_range};
use crate::model::layers::LayerShape;
use crate::model::layers::conv2d::{Conv2dShape, Extent};
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeparableConv2dSpec {
    pub n_channels: usize,
    pub kernel_bands: usize,
    pub kernel_frames: usize,
    pub stride_bands: usize,
    pub stride_frames: usize,
}

impl SeparableConv2dSpec {
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
        let depthwise = Conv2dShape::depthwise(input, kernel).with_stride(stride);
        let pointwise = Conv2dShape::dense(depthwise.output(), self.n_channels, Extent::new(1, 1));
        let link = |name, shape: Conv2dShape| Link {
            name,
            layer: Layer::Conv2d(shape.with_relu()),
        };
        Wiring::chain([link("depthwise", depthwise), link("pointwise", pointwise)])
    }
}

/// Bands before frames: `separable2d 64k3x3s1x1`.
impl fmt::Display for SeparableConv2dSpec {
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
            "separable2d {n_channels}k{kernel_bands}x{kernel_frames}s{stride_bands}x{stride_frames}"
        )
    }
}
