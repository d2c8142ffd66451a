//! `projected-lstm`: a long short-term memory whose answer is narrowed to `n_channels` before it leaves and
//! before it comes back (LSTMP, Sak et al. 2014, without peepholes): much memory for few weights.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_CHANNELS, check_range};
use crate::model::layers::cell::Cell;
use crate::model::layers::recurrent::RecurrentShape;
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectedLstmSpec {
    pub n_units: usize,
    pub n_channels: usize,
}

impl ProjectedLstmSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "n_units", self.n_units, MAX_CHANNELS)?;
        check_range(place, "n_channels", self.n_channels, MAX_CHANNELS)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let shape = RecurrentShape {
            cell: Cell::Lstm,
            n_in: input.n_values(),
            n_units: self.n_units,
            n_projected: Some(self.n_channels),
        };
        Wiring::chain([Link {
            name: "lstm",
            layer: Layer::Recurrent(shape),
        }])
    }
}

impl fmt::Display for ProjectedLstmSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n_units,
            n_channels,
        } = self;
        write!(f, "lstm {n_units}p{n_channels}")
    }
}
