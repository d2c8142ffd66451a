//! `residual`: two dense temporal convolutions and a shortcut around them (TC-ResNet's block, Choi et
//! al. 2019, made causal). The shortcut is the input itself where shapes agree, else one matrix.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_CHANNELS, MAX_FRAMES, check_range};
use crate::model::layers::conv_norm::ConvShape;
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Shortcut, Stage, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResidualSpec {
    pub n_channels: usize,
    pub kernel_frames: usize,
    pub stride_frames: usize,
}

impl ResidualSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "n_channels", self.n_channels, MAX_CHANNELS)?;
        check_range(place, "kernel_frames", self.kernel_frames, MAX_FRAMES)?;
        check_range(place, "stride_frames", self.stride_frames, MAX_FRAMES)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let n_in = input.n_values();
        let first = ConvShape::dense(n_in, self.n_channels, self.kernel_frames)
            .with_stride(self.stride_frames);
        let second = ConvShape::dense(self.n_channels, self.n_channels, self.kernel_frames);
        let link = |name, shape| Link {
            name,
            layer: Layer::Conv(shape),
        };
        let shortcut = if n_in == self.n_channels && self.stride_frames == 1 {
            Shortcut::Identity
        } else {
            let shape = ConvShape::dense(n_in, self.n_channels, 1);
            Shortcut::Layer(Layer::Conv(shape.with_stride(self.stride_frames)))
        };
        Wiring {
            stages: vec![Stage {
                chain: vec![link("first", first.with_relu()), link("second", second)],
                shortcut,
                relu: true,
            }],
        }
    }
}

impl fmt::Display for ResidualSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n_channels,
            kernel_frames,
            stride_frames,
        } = self;
        write!(f, "residual {n_channels}k{kernel_frames}s{stride_frames}")
    }
}
