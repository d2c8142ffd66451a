//! `pool`: the mean or maximum over neighbouring bands and the last frames, one output every `stride_frames`:
//! fewer frames (and bands) for no weights.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_BANDS, MAX_FRAMES, check_range};
use crate::model::layers::pool::{PoolShape, Reduction};
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolSpec {
    pub reduction: Reduction,
    pub window_frames: usize,
    pub stride_frames: usize,
    /// Bands that become one; 1 leaves them.
    pub window_bands: usize,
}

impl PoolSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "window_frames", self.window_frames, MAX_FRAMES)?;
        check_range(place, "stride_frames", self.stride_frames, MAX_FRAMES)?;
        check_range(place, "window_bands", self.window_bands, MAX_BANDS)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let shape = PoolShape {
            input,
            reduction: self.reduction,
            window_frames: self.window_frames,
            stride_frames: self.stride_frames,
            window_bands: self.window_bands,
        };
        Wiring::chain([Link {
            name: "pool",
            layer: Layer::Pool(shape),
        }])
    }
}

/// Bands before frames: `pool mean 3x4s4`.
impl fmt::Display for PoolSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            reduction,
            window_frames,
            stride_frames,
            window_bands,
        } = self;
        write!(
            f,
            "pool {reduction} {window_bands}x{window_frames}s{stride_frames}"
        )
    }
}
