//! Which genomes a search may propose: for every field of every kind a list of values, how blocks repeat in cells,
//! and bounds on the cost of the whole.
//!
//! [`SpaceSpec`] is what a recipe writes; [`Space`] is what it means: a [`Domain`](super::domain::Domain) of points
//! and the genome of each. Neither knows which genomes are good, and no kind of block is named here.

mod cells;
mod compiled;
mod limits;
mod part_table;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use cells::CellsSpec;
pub use compiled::Space;
pub use limits::Limits;

use super::domain::DomainError;

/// The search space, as a recipe writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpaceSpec {
    /// Fewest and most blocks between stem and head; reductions of cells are not counted, and where a cell is
    /// repeated these are the blocks of the one cell.
    pub depth: [usize; 2],
    /// Left out where genomes have no stem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stem: Option<Choices>,
    /// One table a kind: `kind`, and for each of its fields a list of values.
    pub blocks: Vec<KindChoices>,
    pub heads: Vec<KindChoices>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells: Option<CellsSpec>,
    /// Whether networks that read whole clips, and so cannot listen or be packed, may be proposed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole_clips: bool,
    pub limits: Limits,
}

/// Field name to its values.
pub type Choices = Map<String, Value>;

/// The values of one kind of block or head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KindChoices {
    pub kind: String,
    #[serde(flatten)]
    pub fields: Choices,
}

/// A space that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum SpaceError {
    #[error("space.{place}.{field}: found {found}, expected a list of at least one value")]
    NotAList {
        place: String,
        field: String,
        found: String,
    },
    #[error("space.{place}.{field}: found {found} twice, expected every value once")]
    Twice {
        place: String,
        field: String,
        found: String,
    },
    #[error("space.{place}: {reason}")]
    NoSuch { place: String, reason: String },
    #[error("space.depth: found {low} to {high}, expected the fewest blocks and then the most")]
    Depth { low: usize, high: usize },
    #[error("space.{place}: found none, expected at least one kind")]
    Empty { place: &'static str },
    #[error("space.cells.{field}: found {found}, expected {expected}")]
    Cells {
        field: &'static str,
        found: String,
        expected: String,
    },
    #[error("space.limits.{field}: found {low} to {high}, expected the least and then the most")]
    Limits {
        field: &'static str,
        low: u64,
        high: u64,
    },
    #[error("space: {0}")]
    Domain(#[from] DomainError),
}

impl SpaceSpec {
    /// Checks every value of every field by building what it describes.
    pub fn validate(&self) -> Result<(), SpaceError> {
        self.compile().map(|_| ())
    }

    /// The domain and the genomes of its points.
    pub fn compile(&self) -> Result<Space, SpaceError> {
        let [low, high] = self.depth;
        if low > high || high > crate::model::genome::MAX_BLOCKS {
            return Err(SpaceError::Depth { low, high });
        }
        if self.blocks.is_empty() && high > 0 {
            return Err(SpaceError::Empty { place: "blocks" });
        }
        if self.heads.is_empty() {
            return Err(SpaceError::Empty { place: "heads" });
        }
        if let Some(cells) = &self.cells {
            cells.validate(self.depth)?;
        }
        self.limits.validate()?;
        Space::new(self)
    }
}

#[cfg(test)]
pub(crate) mod examples {
    use super::SpaceSpec;

    /// Small networks of every kind.
    pub(crate) fn small() -> SpaceSpec {
        serde_json::from_value(serde_json::json!({
            "depth": [1, 4],
            "stem": {"n_channels": [8, 12], "kernel_frames": [3], "stride_frames": [1, 2]},
            "blocks": [
                {"kind": "conv1d", "n_channels": [8, 16], "kernel_frames": [3, 5], "stride_frames": [1, 2]},
                {"kind": "dilated-conv1d", "n_channels": [8, 16], "kernel_frames": [3], "dilation_frames": [2, 4]},
                {"kind": "separable-conv1d", "n_channels": [8, 16], "kernel_frames": [5, 9], "stride_frames": [1, 2]},
                {"kind": "residual", "n_channels": [8, 16], "kernel_frames": [3, 9], "stride_frames": [1, 2]},
                {"kind": "svdf", "n_units": [16, 32], "memory_frames": [4, 8]},
                {"kind": "gru", "n_units": [8, 16]},
                {"kind": "projection", "n_channels": [8, 16]},
            ],
            "heads": [{"kind": "mean", "window_frames": [60]}, {"kind": "statistics", "window_frames": [60, 98]}],
            "limits": {"n_params": [0, 6000]},
        }))
        .expect("an example space")
    }
}

#[cfg(test)]
mod tests;
