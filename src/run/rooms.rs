//! The rooms that training clips are heard in: recorded ones decoded, the others simulated.

use std::path::Path;

use auricle_datasets::augment::{RoomBank, room_files};
use sha2::{Digest, Sha256};

use super::RunError;
use crate::audio::decode;
use crate::recipe::Recipe;

/// All rooms of a recipe, and a name of what the recorded ones sound like; empty where there are none.
///
/// # Errors
///
/// A folder or a file that cannot be read.
pub fn rooms(
    recipe: &Recipe,
    source: &Path,
    sample_rate_hz: u32,
) -> Result<(RoomBank, String), RunError> {
    let mut bank = RoomBank::new(sample_rate_hz);
    let Some(spec) = &recipe.data.rooms else {
        return Ok((bank, String::new()));
    };
    let mut digest = Sha256::new();
    for path in room_files(source, spec).map_err(RunError::Rooms)? {
        let clip = decode(&source.join(path), sample_rate_hz).map_err(RunError::Room)?;
        for sample in &clip.samples {
            digest.update(sample.to_le_bytes());
        }
        bank.push(clip.samples);
    }
    let name = if bank.is_empty() {
        String::new()
    } else {
        hex::encode(&digest.finalize()[..6])
    };
    if let Some(simulated) = &spec.simulated {
        bank.simulate(simulated, recipe.seed);
    }
    Ok((bank, name))
}
