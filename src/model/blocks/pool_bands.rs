//! `pool-bands`: the mean or maximum over all bands of each channel: what follows sees channels alone.
//!
//! Without it a block over time takes every band of every channel as a channel of its own.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::GenomeError;
use crate::model::layers::pool::{PoolShape, Reduction};
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolBandsSpec {
    pub reduction: Reduction,
}

impl PoolBandsSpec {
    /// Either reduction serves.
    pub(crate) fn validate(&self, _place: &str) -> Result<(), GenomeError> {
        Ok(())
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let shape = PoolShape {
            input,
            reduction: self.reduction,
            window_frames: 1,
            stride_frames: 1,
            window_bands: input.n_bands,
        };
        Wiring::chain([Link {
            name: "pool",
            layer: Layer::Pool(shape),
        }])
    }
}

impl fmt::Display for PoolBandsSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reduction } = self;
        write!(f, "pool-bands {reduction}")
    }
}
