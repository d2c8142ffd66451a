//! Bounds on what a genome may cost, tested before anything is trained.

use serde::{Deserialize, Serialize};

use super::SpaceError;
use crate::model::Cost;

/// Bounds, ends included; what is left out is unbounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_params: Option<[u64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macs_per_second: Option<[u64; 2]>,
    /// A network that remembers without end lies within no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receptive_field_frames: Option<[u64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_frames: Option<[u64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_bytes: Option<[u64; 2]>,
}

impl Limits {
    /// Nothing is bounded.
    pub fn none() -> Self {
        Self {
            n_params: None,
            macs_per_second: None,
            receptive_field_frames: None,
            latency_frames: None,
            state_bytes: None,
        }
    }

    /// Checks that no bound is the wrong way round.
    pub fn validate(&self) -> Result<(), SpaceError> {
        for (field, range) in [
            ("n_params", self.n_params),
            ("macs_per_second", self.macs_per_second),
            ("receptive_field_frames", self.receptive_field_frames),
            ("latency_frames", self.latency_frames),
            ("state_bytes", self.state_bytes),
        ] {
            if let Some([low, high]) = range
                && low > high
            {
                return Err(SpaceError::Limits { field, low, high });
            }
        }
        Ok(())
    }

    /// Whether a cost lies within.
    pub fn admit(&self, cost: &Cost) -> bool {
        let within = |range: Option<[u64; 2]>, found: Option<u64>| {
            range.is_none_or(|[low, high]| found.is_some_and(|found| (low..=high).contains(&found)))
        };
        let receptive_field_frames = cost.receptive_field_frames.map(|frames| frames as u64);
        within(self.n_params, Some(cost.n_params))
            && within(self.macs_per_second, Some(cost.macs_per_second))
            && within(self.receptive_field_frames, receptive_field_frames)
            && within(self.latency_frames, Some(cost.latency_frames as u64))
            && within(self.state_bytes, Some(cost.state_bytes))
    }
}
