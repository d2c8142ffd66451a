//! `collapse-bands`: one filter a channel over all bands and some frames, then a matrix over channels, normalised,
//! ReLU: one band is left (the end of BC-ResNet before its pooling, Kim et al. 2021, made causal).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_CHANNELS, MAX_FRAMES, check_range};
use crate::model::layers::LayerShape;
use crate::model::layers::conv2d::{Conv2dShape, Extent, Norm};
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollapseBandsSpec {
    pub n_channels: usize,
    pub kernel_frames: usize,
}

impl CollapseBandsSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "n_channels", self.n_channels, MAX_CHANNELS)?;
        check_range(place, "kernel_frames", self.kernel_frames, MAX_FRAMES)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let depthwise = Conv2dShape::across_bands(input, self.kernel_frames).with_norm(Norm::None);
        let one = Extent::new(1, 1);
        let pointwise = Conv2dShape::dense(depthwise.output(), self.n_channels, one).with_relu();
        let link = |name, shape| Link {
            name,
            layer: Layer::Conv2d(shape),
        };
        Wiring::chain([link("depthwise", depthwise), link("pointwise", pointwise)])
    }
}

impl fmt::Display for CollapseBandsSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n_channels,
            kernel_frames,
        } = self;
        write!(f, "collapse {n_channels}k{kernel_frames}")
    }
}
