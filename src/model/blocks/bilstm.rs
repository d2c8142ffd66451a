//! `bilstm`: two long short-term memories of `n_units`, one from a clip's first frame and one from its last
//! (Graves & Schmidhuber 2005), side by side: `2 * n_units` channels. Reads whole clips; does not stream.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_CHANNELS, check_range};
use crate::model::layers::bidirectional::BidirectionalShape;
use crate::model::layers::cell::Cell;
use crate::model::layers::recurrent::RecurrentShape;
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BilstmSpec {
    pub n_units: usize,
}

impl BilstmSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "n_units", self.n_units, MAX_CHANNELS / 2)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let direction = RecurrentShape {
            cell: Cell::Lstm,
            n_in: input.n_values(),
            n_units: self.n_units,
            n_projected: None,
        };
        Wiring::chain([Link {
            name: "lstm",
            layer: Layer::Bidirectional(BidirectionalShape { direction }),
        }])
    }
}

impl fmt::Display for BilstmSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { n_units } = self;
        write!(f, "bilstm {n_units}")
    }
}
