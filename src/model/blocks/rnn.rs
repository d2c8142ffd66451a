//! `rnn`: one simple recurrent layer (Elman 1990), its answer through tanh or ReLU.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_CHANNELS, check_range};
use crate::model::layers::cell::Cell;
use crate::model::layers::recurrent::RecurrentShape;
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RnnSpec {
    pub n_units: usize,
    pub activation: RnnActivation,
}

/// What the sum of a simple recurrent layer goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RnnActivation {
    Tanh,
    Relu,
}

impl RnnSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "n_units", self.n_units, MAX_CHANNELS)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let shape = RecurrentShape {
            cell: match self.activation {
                RnnActivation::Tanh => Cell::Tanh,
                RnnActivation::Relu => Cell::Relu,
            },
            n_in: input.n_values(),
            n_units: self.n_units,
            n_projected: None,
        };
        Wiring::chain([Link {
            name: "rnn",
            layer: Layer::Recurrent(shape),
        }])
    }
}

impl fmt::Display for RnnSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_units = self.n_units;
        match self.activation {
            RnnActivation::Tanh => write!(f, "rnn {n_units}"),
            RnnActivation::Relu => write!(f, "rnn {n_units} relu"),
        }
    }
}
