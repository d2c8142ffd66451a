//! `gru`: one gated recurrent layer.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_CHANNELS, check_range};
use crate::model::layers::gru::GruShape;
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GruSpec {
    pub n_units: usize,
}

impl GruSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "n_units", self.n_units, MAX_CHANNELS)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let n_in = input.n_values();
        let shape = GruShape {
            n_in,
            n_units: self.n_units,
        };
        Wiring::chain([Link {
            name: "gru",
            layer: Layer::Gru(shape),
        }])
    }
}

impl fmt::Display for GruSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { n_units } = self;
        write!(f, "gru {n_units}")
    }
}
