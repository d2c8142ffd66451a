//! How much a bundle may ask for. Checked before anything is made on a manifest's word.

use std::collections::BTreeMap;

use super::error::BundleError;
use crate::model::{Genome, Ports, Weights, WeightsError};

/// Most bytes that all members together remember between frames.
pub const MAX_STATE_BYTES: u64 = 64 << 20;
/// Most feature frames from one answer to the next.
pub const MAX_JUMP_FRAMES: u64 = 4096;

const MAX_TITLE_BYTES: u64 = 1 << 10;
const MAX_PROVENANCE_ENTRIES: u64 = 256;
const MAX_PROVENANCE_BYTES: u64 = 1 << 16;

/// Checks a count or a size.
pub fn within(what: &'static str, found: u64, low: u64, high: u64) -> Result<(), BundleError> {
    if (low..=high).contains(&found) {
        return Ok(());
    }
    Err(BundleError::OutOfRange {
        what,
        found,
        low,
        high,
    })
}

pub fn check_texts(title: &str, provenance: &BTreeMap<String, String>) -> Result<(), BundleError> {
    within("bytes of title", title.len() as u64, 0, MAX_TITLE_BYTES)?;
    let n_entries = provenance.len() as u64;
    within(
        "entries of provenance",
        n_entries,
        0,
        MAX_PROVENANCE_ENTRIES,
    )?;
    for (key, value) in provenance {
        let n_bytes = (key.len() + value.len()) as u64;
        within(
            "bytes in one entry of provenance",
            n_bytes,
            0,
            MAX_PROVENANCE_BYTES,
        )?;
    }
    Ok(())
}

/// Bytes of state that the genome's stepping form will ask for, if they and its stride are within bounds.
///
/// A few weights can span a long past (a dilation), so the weights in the file do not bound the state.
pub fn check_genome(index: usize, genome: &Genome, ports: &Ports) -> Result<u64, BundleError> {
    let bounded = |what, found: u64, high: u64| {
        if found <= high {
            return Ok(());
        }
        Err(BundleError::TooLarge {
            index,
            what,
            found,
            high,
        })
    };
    let wirings = genome.wirings(ports.n_mels);
    let (mut jump_frames, mut n_values) = (1u64, 0u64);
    for (_, wiring) in &wirings {
        let stride_frames = wiring.stride_frames() as u64;
        jump_frames = jump_frames.saturating_mul(stride_frames);
        bounded("a stride in frames of", jump_frames, MAX_JUMP_FRAMES)?;
        n_values = n_values.saturating_add(wiring.n_state_values());
    }
    let n_features = genome.features_port(ports.n_mels).n_values();
    let head = &genome.head;
    n_values += head.n_state_values(n_features, jump_frames as usize);
    let n_bytes = n_values.saturating_mul(4);
    bounded("bytes of state of", n_bytes, MAX_STATE_BYTES)?;
    Ok(n_bytes)
}

/// Checks every number, also those that the genome does not ask for.
pub fn check_finite(index: usize, weights: &Weights) -> Result<(), BundleError> {
    for (name, tensor) in &weights.tensors {
        if tensor.values.iter().any(|value| !value.is_finite()) {
            let source = WeightsError::NotFinite { name: name.clone() };
            return Err(BundleError::Weights { index, source });
        }
    }
    Ok(())
}
