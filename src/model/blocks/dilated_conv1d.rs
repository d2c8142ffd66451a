//! `dilated-conv1d`: a dense temporal convolution whose taps lie `dilation_frames` apart (van den Oord
//! et al. 2016), normalised, ReLU: a long past for few weights.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_CHANNELS, MAX_FRAMES, check_range};
use crate::model::layers::conv_norm::ConvShape;
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DilatedConv1dSpec {
    pub n_channels: usize,
    pub kernel_frames: usize,
    pub dilation_frames: usize,
}

impl DilatedConv1dSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "n_channels", self.n_channels, MAX_CHANNELS)?;
        check_range(place, "kernel_frames", self.kernel_frames, MAX_FRAMES)?;
        check_range(place, "dilation_frames", self.dilation_frames, MAX_FRAMES)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let n_in = input.n_values();
        let shape = ConvShape::dense(n_in, self.n_channels, self.kernel_frames)
            .with_dilation(self.dilation_frames);
        Wiring::chain([Link {
            name: "conv",
            layer: Layer::Conv(shape.with_relu()),
        }])
    }
}

impl fmt::Display for DilatedConv1dSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n_channels,
            kernel_frames,
            dilation_frames,
        } = self;
        write!(f, "dilated {n_channels}k{kernel_frames}d{dilation_frames}")
    }
}
