//! The library of block kinds, one file a kind. A kind is its parameters, their bounds and its
//! [`Wiring`]; all else follows from that.
//!
//! Every kind here is causal and streams. Serialised names are those of [`Block::kind`].

pub mod conv1d;
pub mod dilated_conv1d;
pub mod gru;
pub mod projection;
pub mod residual;
pub mod separable_conv1d;
pub mod svdf;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::genome::GenomeError;
use super::wiring::Wiring;

/// One block, its variant owning its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
pub enum Block {
    #[serde(rename = "conv1d")]
    Conv1d(conv1d::Conv1dSpec),
    #[serde(rename = "dilated-conv1d")]
    DilatedConv1d(dilated_conv1d::DilatedConv1dSpec),
    #[serde(rename = "separable-conv1d")]
    SeparableConv1d(separable_conv1d::SeparableConv1dSpec),
    #[serde(rename = "residual")]
    Residual(residual::ResidualSpec),
    #[serde(rename = "svdf")]
    Svdf(svdf::SvdfSpec),
    #[serde(rename = "gru")]
    Gru(gru::GruSpec),
    #[serde(rename = "projection")]
    Projection(projection::ProjectionSpec),
}

/// The same expression for every kind.
macro_rules! each {
    ($block:expr, $spec:ident => $value:expr) => {
        match $block {
            Block::Conv1d($spec) => $value,
            Block::DilatedConv1d($spec) => $value,
            Block::SeparableConv1d($spec) => $value,
            Block::Residual($spec) => $value,
            Block::Svdf($spec) => $value,
            Block::Gru($spec) => $value,
            Block::Projection($spec) => $value,
        }
    };
}

impl Block {
    /// The names of all kinds, as recipes write them.
    pub const KINDS: [&'static str; 7] = [
        "conv1d",
        "dilated-conv1d",
        "separable-conv1d",
        "residual",
        "svdf",
        "gru",
        "projection",
    ];

    /// The kind's name, as recipes write it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Conv1d(_) => "conv1d",
            Self::DilatedConv1d(_) => "dilated-conv1d",
            Self::SeparableConv1d(_) => "separable-conv1d",
            Self::Residual(_) => "residual",
            Self::Svdf(_) => "svdf",
            Self::Gru(_) => "gru",
            Self::Projection(_) => "projection",
        }
    }

    /// Checks every field; `place` names the block in the error.
    pub fn validate(&self, place: &str) -> Result<(), GenomeError> {
        each!(self, spec => spec.validate(place))
    }

    /// The block's layers behind `n_in` channels.
    pub fn wiring(&self, n_in: usize) -> Wiring {
        each!(self, spec => spec.wiring(n_in))
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        each!(self, spec => write!(f, "{spec}"))
    }
}

#[cfg(test)]
pub(crate) mod examples {
    use super::*;

    /// Every kind at least once, with and without stride.
    pub(crate) fn blocks() -> Vec<Block> {
        let parse = |text| serde_json::from_str(text).expect("an example block");
        vec![
            parse(r#"{"kind":"conv1d","n_channels":6,"kernel_frames":3,"stride_frames":1}"#),
            parse(r#"{"kind":"conv1d","n_channels":5,"kernel_frames":5,"stride_frames":2}"#),
            parse(
                r#"{"kind":"dilated-conv1d","n_channels":6,"kernel_frames":3,"dilation_frames":4}"#,
            ),
            parse(
                r#"{"kind":"separable-conv1d","n_channels":7,"kernel_frames":9,"stride_frames":1}"#,
            ),
            parse(
                r#"{"kind":"separable-conv1d","n_channels":7,"kernel_frames":4,"stride_frames":3}"#,
            ),
            parse(r#"{"kind":"residual","n_channels":8,"kernel_frames":5,"stride_frames":1}"#),
            parse(r#"{"kind":"residual","n_channels":6,"kernel_frames":9,"stride_frames":2}"#),
            parse(r#"{"kind":"svdf","n_units":12,"memory_frames":8}"#),
            parse(r#"{"kind":"gru","n_units":9}"#),
            parse(r#"{"kind":"projection","n_channels":4}"#),
        ]
    }

    #[test]
    fn every_kind_has_an_example() {
        for kind in Block::KINDS {
            assert!(blocks().iter().any(|block| block.kind() == kind), "{kind}");
        }
    }
}
