//! The readable part of a bundle, as JSON.
//!
//! Parsing only: what the values may be is checked by [`super::Bundle::validate`].

use std::collections::BTreeMap;

use auricle_features::FrontendSpec;
use serde::{Deserialize, Serialize};

use super::{DetectorSpec, LanguageSpec, Storage};
use crate::model::{Combination, Genome, Ports};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub title: String,
    pub frontend: FrontendSpec,
    pub labels: Vec<String>,
    pub clip_ms: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_clips_ms: Option<u32>,
    /// Follow from front-end and labels; there for readers, and held against them.
    pub ports: Ports,
    pub detector: DetectorSpec,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub languages: Option<LanguageSpec>,
    pub members: Vec<MemberEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixture: Option<Combination>,
    /// Since format version 2; before, floats.
    #[serde(
        default = "Storage::before_version_2",
        skip_serializing_if = "Storage::is_f32"
    )]
    pub storage: Storage,
    pub provenance: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberEntry {
    pub genome: Genome,
    pub weight: f32,
    /// Where its safetensors blob begins, counted from the first byte after the manifest.
    pub start_byte: u64,
    pub n_bytes: u64,
    /// For readers of the file. Counted afresh from the genome by whoever needs it here.
    pub cost: serde_json::Value,
}
