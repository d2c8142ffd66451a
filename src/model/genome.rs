//! The description of one network: a stem, a chain of blocks, a head. Plain data with one text form.
//!
//! A genome says nothing of features or classes: the same genome serves any number of bands and
//! labels, which are its [`Ports`].

use std::fmt;

use serde::{Deserialize, Serialize};

use super::blocks::{Block, conv1d::Conv1dSpec};
use super::head::Head;
use super::port::Port;
use super::wiring::Wiring;

/// Most values a genome may ask of one layer, so that a damaged file cannot ask for the moon.
pub const MAX_CHANNELS: usize = 4096;
/// Largest kernel, stride, dilation or window in bands, and most sub-bands.
pub const MAX_BANDS: usize = 512;
/// Longest kernel, memory or window in frames.
pub const MAX_FRAMES: usize = 4096;
/// Most blocks between stem and head.
pub const MAX_BLOCKS: usize = 64;

/// One network, from features to logits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genome {
    /// First convolution over the features: bands become channels. Without one the first block sees one
    /// channel of `n_mels` bands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stem: Option<Conv1dSpec>,
    /// What follows, in order.
    pub blocks: Vec<Block>,
    /// How frames become one answer.
    pub head: Head,
}

/// What a genome is plugged between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ports {
    pub n_mels: usize,
    pub n_classes: usize,
    /// Feature frames per 1000 seconds (100,000 at a hop of 10 ms): an integer, so that ports are exact.
    pub frames_per_1000_s: u64,
}

/// Why a genome cannot be built.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GenomeError {
    #[error("{place}: {field} is {found}, expected {low} to {high}")]
    OutOfRange {
        place: String,
        field: &'static str,
        found: usize,
        low: usize,
        high: usize,
    },
    #[error(
        "{place}: {field} is {found}, expected a multiple of {divisor_field}, which is {divisor}"
    )]
    NotAMultiple {
        place: String,
        field: &'static str,
        found: usize,
        divisor_field: &'static str,
        divisor: usize,
    },
    #[error("found neither a stem nor a block, expected at least one")]
    Empty,
    #[error("a genome of {found} blocks is longer than {MAX_BLOCKS}")]
    TooDeep { found: usize },
}

/// Checks one field of a block.
pub(crate) fn check_range(
    place: &str,
    field: &'static str,
    found: usize,
    high: usize,
) -> Result<(), GenomeError> {
    if (1..=high).contains(&found) {
        return Ok(());
    }
    Err(GenomeError::OutOfRange {
        place: place.into(),
        field,
        found,
        low: 1,
        high,
    })
}

/// Checks that one field of a block is a multiple of another, which is at least one.
pub(crate) fn check_multiple(
    place: &str,
    (field, found): (&'static str, usize),
    (divisor_field, divisor): (&'static str, usize),
) -> Result<(), GenomeError> {
    if found.is_multiple_of(divisor) {
        return Ok(());
    }
    Err(GenomeError::NotAMultiple {
        place: place.into(),
        field,
        found,
        divisor_field,
        divisor,
    })
}

impl Genome {
    /// Checks every field against its bounds.
    pub fn validate(&self) -> Result<(), GenomeError> {
        if self.blocks.len() > MAX_BLOCKS {
            return Err(GenomeError::TooDeep {
                found: self.blocks.len(),
            });
        }
        match &self.stem {
            Some(stem) => stem.validate("stem")?,
            None if self.blocks.is_empty() => return Err(GenomeError::Empty),
            None => {}
        }
        for (i, block) in self.blocks.iter().enumerate() {
            block.validate(&format!("block {i} ({})", block.kind()))?;
        }
        self.head.validate("head")
    }

    /// The canonical text: equal genomes have equal texts and different ones different texts.
    pub fn canonical(&self) -> String {
        serde_json::to_string(self).expect("a genome is plain data")
    }

    /// 16 hex digits of the SHA-256 of the canonical text.
    pub fn hash_hex(&self) -> String {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(self.canonical().as_bytes());
        hex::encode(&digest[..8])
    }

    /// Whether the network can listen: false where a block reads frames after its own. Such a genome is
    /// trained and judged on whole clips, and [`StreamNet`](super::StreamNet) refuses it.
    pub fn streams(&self) -> bool {
        // Whether a layer streams does not depend on how many bands reach it.
        let wirings = self.wirings(1);
        wirings.iter().all(|(_, wiring)| wiring.streams())
    }

    /// What reaches the head at each frame.
    pub fn features_port(&self, n_mels: usize) -> Port {
        let wirings = self.wirings(n_mels);
        wirings
            .last()
            .map_or(Port::bands(n_mels), |(_, wiring)| wiring.output())
    }

    /// The wiring of stem and blocks between features of `n_mels` bands and the head, each with the
    /// prefix of its weights' names.
    pub fn wirings(&self, n_mels: usize) -> Vec<(String, Wiring)> {
        let mut wirings = Vec::with_capacity(self.blocks.len() + 1);
        let mut port = Port::bands(n_mels);
        if let Some(stem) = &self.stem {
            let wiring = stem.wiring(port);
            port = wiring.output();
            wirings.push(("stem".to_owned(), wiring));
        }
        for (i, block) in self.blocks.iter().enumerate() {
            let wiring = block.wiring(port);
            port = wiring.output();
            wirings.push((format!("blocks.{i}"), wiring));
        }
        wirings
    }
}

/// The short form for tables and pictures: `conv 32k3s2 > residual 48k9s2 > mean 98`.
impl fmt::Display for Genome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(stem) = &self.stem {
            write!(f, "{stem} > ")?;
        }
        for block in &self.blocks {
            write!(f, "{block} > ")?;
        }
        write!(f, "{}", self.head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::blocks::examples::blocks;

    #[test]
    fn the_canonical_text_reads_back_as_the_same_genome() {
        for block in blocks() {
            let genome = Genome {
                stem: Some(Conv1dSpec {
                    n_channels: 8,
                    kernel_frames: 3,
                    stride_frames: 2,
                }),
                blocks: vec![block],
                head: Head::Mean { window_frames: 98 },
            };
            let text = genome.canonical();
            assert_eq!(serde_json::from_str::<Genome>(&text).unwrap(), genome);
        }
    }

    #[test]
    fn a_zero_or_absurd_field_is_refused_with_its_place() {
        let mut genome = Genome {
            stem: Some(Conv1dSpec {
                n_channels: 8,
                kernel_frames: 3,
                stride_frames: 1,
            }),
            blocks: vec![],
            head: Head::Mean { window_frames: 98 },
        };
        genome.validate().unwrap();
        genome.stem.as_mut().unwrap().n_channels = 1_000_000;
        assert_eq!(
            genome.validate().unwrap_err().to_string(),
            "stem: n_channels is 1000000, expected 1 to 4096"
        );
    }

    #[test]
    fn heads_that_do_not_divide_the_channels_are_refused_with_both_numbers() {
        let block = r#"{"kind":"transformer","n_channels":10,"n_heads":4,"left_context_frames":3,"n_hidden":8}"#;
        let block: Block = serde_json::from_str(block).unwrap();
        assert_eq!(
            block.validate("block 0").unwrap_err().to_string(),
            "block 0: n_channels is 10, expected a multiple of n_heads, which is 4"
        );
    }
}
