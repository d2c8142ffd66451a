//! `svdf`: each unit is one filter over channels and one over the last `memory_frames` frames (a layer
//! of rank one: Nakkiran et al. 2015; Alvarez & Park 2019), normalised, ReLU.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_CHANNELS, MAX_FRAMES, check_range};
use crate::model::layers::conv_norm::ConvShape;
use crate::model::layers::linear::LinearShape;
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SvdfSpec {
    pub n_units: usize,
    pub memory_frames: usize,
}

impl SvdfSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "n_units", self.n_units, MAX_CHANNELS)?;
        check_range(place, "memory_frames", self.memory_frames, MAX_FRAMES)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let n_in = input.n_values();
        let feature = LinearShape {
            n_in,
            n_out: self.n_units,
            bias: false,
        };
        let time = ConvShape::depthwise(self.n_units, self.memory_frames);
        Wiring::chain([
            Link {
                name: "feature",
                layer: Layer::Linear(feature),
            },
            Link {
                name: "time",
                layer: Layer::Conv(time.with_relu()),
            },
        ])
    }
}

impl fmt::Display for SvdfSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n_units,
            memory_frames,
        } = self;
        write!(f, "svdf {n_units}-{memory_frames}")
    }
}
