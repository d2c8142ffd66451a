//! `lstm`: one long short-term memory (Hochreiter & Schmidhuber 1997) with forget gates (Gers et al. 2000).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_CHANNELS, check_range};
use crate::model::layers::cell::Cell;
use crate::model::layers::recurrent::RecurrentShape;
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LstmSpec {
    pub n_units: usize,
}

impl LstmSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "n_units", self.n_units, MAX_CHANNELS)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let shape = RecurrentShape {
            cell: Cell::Lstm,
            n_in: input.n_values(),
            n_units: self.n_units,
            n_projected: None,
        };
        Wiring::chain([Link {
            name: "lstm",
            layer: Layer::Recurrent(shape),
        }])
    }
}

impl fmt::Display for LstmSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { n_units } = self;
        write!(f, "lstm {n_units}")
    }
}
