//! `residual2d`: two dense convolutions over bands and time and a shortcut around them (the block of res8 and
//! res15, Tang & Lin 2018, made causal). The shortcut is the input itself where channels agree, else one matrix
//! over channels. Normalised before ReLU and added before it, as He et al. 2016 have it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_BANDS, MAX_CHANNELS, MAX_FRAMES, check_range};
use crate::model::layers::LayerShape;
use crate::model::layers::conv2d::{Conv2dShape, Extent};
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Shortcut, Stage, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual2dSpec {
    pub n_channels: usize,
    pub kernel_bands: usize,
    pub kernel_frames: usize,
    pub dilation_bands: usize,
    pub dilation_frames: usize,
}

impl Residual2dSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "n_channels", self.n_channels, MAX_CHANNELS)?;
        check_range(place, "kernel_bands", self.kernel_bands, MAX_BANDS)?;
        check_range(place, "kernel_frames", self.kernel_frames, MAX_FRAMES)?;
        check_range(place, "dilation_bands", self.dilation_bands, MAX_BANDS)?;
        check_range(place, "dilation_frames", self.dilation_frames, MAX_FRAMES)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let kernel = Extent::new(self.kernel_bands, self.kernel_frames);
        let dilation = Extent::new(self.dilation_bands, self.dilation_frames);
        let conv =
            |input| Conv2dShape::dense(input, self.n_channels, kernel).with_dilation(dilation);
        let first = conv(input);
        let second = conv(first.output());
        let link = |name, shape| Link {
            name,
            layer: Layer::Conv2d(shape),
        };
        let shortcut = if input == second.output() {
            Shortcut::Identity
        } else {
            let shape = Conv2dShape::dense(input, self.n_channels, Extent::new(1, 1));
            Shortcut::Layer(Layer::Conv2d(shape))
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

/// Bands before frames: `residual2d 19k3x3d1x1`.
impl fmt::Display for Residual2dSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n_channels,
            kernel_bands,
            kernel_frames,
            dilation_bands,
            dilation_frames,
        } = self;
        write!(
            f,
            "residual2d {n_channels}k{kernel_bands}x{kernel_frames}d{dilation_bands}x{dilation_frames}"
        )
    }
}
