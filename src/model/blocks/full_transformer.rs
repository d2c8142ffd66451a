//! `full-transformer`: the encoder layer of [`super::transformer`] with every frame attending to the whole clip.
//! Distances from `max_distance_frames` on share one bias. Reads whole clips; does not stream.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::transformer::{check_heads, encoder};
use crate::model::genome::{GenomeError, MAX_CHANNELS, MAX_FRAMES, check_range};
use crate::model::layers::attention::{AttentionShape, Context};
use crate::model::port::Port;
use crate::model::wiring::Wiring;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FullTransformerSpec {
    pub n_channels: usize,
    /// Divides `n_channels`.
    pub n_heads: usize,
    /// The furthest distance with a bias of its own. Costs are counted as if a frame saw so many on both sides.
    pub max_distance_frames: usize,
    /// Values between the two matrices.
    pub n_hidden: usize,
}

impl FullTransformerSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_heads(place, self.n_channels, self.n_heads)?;
        let distance = self.max_distance_frames;
        check_range(place, "max_distance_frames", distance, MAX_FRAMES)?;
        check_range(place, "n_hidden", self.n_hidden, MAX_CHANNELS)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let attention = AttentionShape {
            n_channels: self.n_channels,
            n_heads: self.n_heads,
            context: Context::Full {
                max_distance_frames: self.max_distance_frames,
            },
        };
        encoder(input, attention, self.n_hidden)
    }
}

impl fmt::Display for FullTransformerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n_channels,
            n_heads,
            max_distance_frames,
            n_hidden,
        } = self;
        write!(
            f,
            "full transformer {n_channels}h{n_heads}d{max_distance_frames}f{n_hidden}"
        )
    }
}
