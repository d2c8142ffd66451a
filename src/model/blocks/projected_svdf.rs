//! `projected-svdf`: an `svdf` layer and a matrix that narrows its units to `n_channels`, nothing behind it (the layer
//! of Alvarez & Park 2019 and of Rybakov et al. 2020, "Streaming keyword spotting on mobile devices"): much memory for
//! few weights.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::svdf::SvdfSpec;
use crate::model::genome::{GenomeError, MAX_CHANNELS, check_range};
use crate::model::layers::linear::LinearShape;
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectedSvdfSpec {
    pub n_units: usize,
    pub memory_frames: usize,
    pub n_channels: usize,
}

impl ProjectedSvdfSpec {
    fn svdf(&self) -> SvdfSpec {
        SvdfSpec {
            n_units: self.n_units,
            memory_frames: self.memory_frames,
        }
    }

    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        self.svdf().validate(place)?;
        check_range(place, "n_channels", self.n_channels, MAX_CHANNELS)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let mut wiring = self.svdf().wiring(input);
        let projection = LinearShape {
            n_in: self.n_units,
            n_out: self.n_channels,
            bias: true,
        };
        wiring.stages[0].chain.push(Link {
            name: "projection",
            layer: Layer::Linear(projection),
        });
        wiring
    }
}

impl fmt::Display for ProjectedSvdfSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_channels = self.n_channels;
        write!(f, "{}p{n_channels}", self.svdf())
    }
}
