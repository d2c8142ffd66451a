//! What is done to a training clip so that the network does not learn the recording: shift, level, room, noise, line,
//! speed on samples; masks and shifts on features.
//!
//! Pure functions on slices. All chance comes from the generator that is passed in, so a clip of an epoch can be made
//! again (see [`crate::seeded::clip_rng`]). Nothing here is for validation or test clips, and nothing but a
//! codec clips peaks: samples may leave -1..1, which the front-end does not mind.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

mod channel;
mod level;
mod mask;
mod noise;
mod room;
mod shift;
mod speed;

pub use channel::{ChannelKind, ChannelMix};
pub use level::{apply_gain_db, mix_at_snr_db, rms};
pub use mask::{SpecAugment, mask_frames};
pub use noise::NoiseBank;
pub use room::{Room, RoomBank, RoomsSpec, SimulatedRooms, room_files};
pub use shift::{shift_frames, shift_samples};
pub use speed::change_speed;

/// What is done to each training clip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentSpec {
    /// The clip is moved by up to this much either way, in milliseconds; what is uncovered is zero. 0 is off.
    pub time_shift_ms: f32,
    /// The lowest and highest gain, in dB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gain_db: Option<[f32; 2]>,
    /// Rooms that clips are heard in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomMix>,
    /// Background noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<NoiseMix>,
    /// Lines and codecs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelMix>,
    /// The slowest and fastest speed, as factors within 0.85..1.15; pitch follows speed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<[f32; 2]>,
    /// Masks over features.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_augment: Option<SpecAugment>,
    /// The features are moved by up to this many frames either way. 0 is off; meant for features that are kept
    /// in a shard, where `time_shift_ms` comes too late.
    #[serde(default)]
    pub max_frame_shift: usize,
}

/// How clips are heard in rooms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomMix {
    /// The share of clips that are.
    pub probability: f32,
}

/// How background noise is added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseMix {
    /// The share of clips that get noise.
    pub probability: f32,
    /// The lowest and highest signal-to-noise ratio, in dB.
    pub snr_db: [f32; 2],
}

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{field}: found {found}; expected {expected}")]
pub struct AugmentError {
    /// Which.
    pub field: &'static str,
    /// Its value.
    pub found: String,
    /// What would have been right.
    pub expected: &'static str,
}

impl AugmentSpec {
    /// Every range times `strength`: 0 leaves every clip as it is, 1 is as written. Probabilities stay within 1,
    /// speeds within what is allowed.
    pub fn scaled(&self, strength: f32) -> Self {
        let count = |n: usize| (n as f32 * strength).round() as usize;
        let share = |probability: f32| (probability * strength).clamp(0.0, 1.0);
        Self {
            time_shift_ms: self.time_shift_ms * strength,
            gain_db: self.gain_db.map(|range| range.map(|db| db * strength)),
            room: self.room.as_ref().map(|room| RoomMix {
                probability: share(room.probability),
            }),
            noise: self.noise.as_ref().map(|noise| NoiseMix {
                probability: share(noise.probability),
                ..noise.clone()
            }),
            channel: self.channel.as_ref().map(|channel| ChannelMix {
                probability: share(channel.probability),
                ..channel.clone()
            }),
            speed: self.speed.map(|range| {
                range.map(|factor| (1.0 + (factor - 1.0) * strength).clamp(0.85, 1.15))
            }),
            spec_augment: self.spec_augment.as_ref().map(|masks| SpecAugment {
                max_time_frames: count(masks.max_time_frames),
                max_bands: count(masks.max_bands),
                ..masks.clone()
            }),
            max_frame_shift: count(self.max_frame_shift),
        }
    }

    /// Leaves every clip as it is.
    pub fn none() -> Self {
        Self {
            time_shift_ms: 0.0,
            gain_db: None,
            room: None,
            noise: None,
            channel: None,
            speed: None,
            spec_augment: None,
            max_frame_shift: 0,
        }
    }

    /// What the field does with one-second commands: shifts of 100 ms, noise in 80 % of clips at 5 to 30 dB,
    /// two time masks of up to 20 frames and two frequency masks of up to 5 bands.
    pub fn commands() -> Self {
        Self {
            time_shift_ms: 100.0,
            gain_db: Some([-6.0, 6.0]),
            room: None,
            noise: Some(NoiseMix {
                probability: 0.8,
                snr_db: [5.0, 30.0],
            }),
            channel: None,
            speed: None,
            spec_augment: Some(SpecAugment {
                n_time_masks: 2,
                max_time_frames: 20,
                n_frequency_masks: 2,
                max_bands: 5,
            }),
            max_frame_shift: 0,
        }
    }

    /// Checks ranges and signs.
    pub fn validate(&self) -> Result<(), AugmentError> {
        let ordered =
            |[low, high]: [f32; 2], min: f32, max: f32| min <= low && low <= high && high <= max;
        let fault = |field, found: String, expected| {
            Err(AugmentError {
                field,
                found,
                expected,
            })
        };
        if !(0.0..=60_000.0).contains(&self.time_shift_ms) {
            return fault(
                "time_shift_ms",
                self.time_shift_ms.to_string(),
                "0 to 60,000 ms",
            );
        }
        if let Some(range) = self.gain_db.filter(|&range| !ordered(range, -60.0, 60.0)) {
            return fault(
                "gain_db",
                format!("{range:?}"),
                "lowest and highest gain within -60..60 dB",
            );
        }
        if let Some(range) = self.speed.filter(|&range| !ordered(range, 0.85, 1.15)) {
            return fault(
                "speed",
                format!("{range:?}"),
                "slowest and fastest factor within 0.85..1.15",
            );
        }
        if let Some(room) = &self.room
            && !(0.0..=1.0).contains(&room.probability)
        {
            return fault(
                "room.probability",
                room.probability.to_string(),
                "a share between 0 and 1",
            );
        }
        if let Some(channel) = &self.channel {
            channel.validate()?;
        }
        if let Some(noise) = &self.noise {
            if !(0.0..=1.0).contains(&noise.probability) {
                return fault(
                    "noise.probability",
                    noise.probability.to_string(),
                    "a share between 0 and 1",
                );
            }
            if !ordered(noise.snr_db, -60.0, 120.0) {
                return fault(
                    "noise.snr_db",
                    format!("{:?}", noise.snr_db),
                    "lowest and highest within -60..120 dB",
                );
            }
        }
        Ok(())
    }
}

/// Makes a training clip out of a recorded one: speed, shift, gain, room, then noise at an exact ratio to what then
/// sounds, then a line or codec that both go through.
///
/// `out` is overwritten and has the length of `clip`. The rate of `clip` must be that of `noise` and `rooms`; with an
/// empty bank no noise is added and no room heard. A clip of silence gets no noise, for want of a ratio.
pub fn augment_samples(
    clip: &[f32],
    noise: &NoiseBank,
    rooms: &RoomBank,
    spec: &AugmentSpec,
    rng: &mut impl Rng,
    out: &mut Vec<f32>,
) {
    out.clear();
    match spec.speed {
        Some(range) => change_speed(clip, draw(range, rng), out),
        None => out.extend_from_slice(clip),
    }
    if spec.time_shift_ms > 0.0 {
        let largest = (spec.time_shift_ms / 1000.0 * noise.sample_rate_hz() as f32).round() as i64;
        shift_samples(out, rng.random_range(-largest..=largest));
    }
    if let Some(range) = spec.gain_db {
        apply_gain_db(out, draw(range, rng));
    }
    if let Some(room) = &spec.room
        && !rooms.is_empty()
        && rng.random::<f32>() < room.probability
    {
        rooms.hear_in_any(out, rng);
    }
    if let Some(mix) = &spec.noise
        && !noise.is_empty()
        && rng.random::<f32>() < mix.probability
    {
        let snr_db = draw(mix.snr_db, rng);
        let crop = noise.crop(out.len(), rng);
        mix_at_snr_db(out, &crop, snr_db);
    }
    if let Some(channel) = &spec.channel
        && rng.random::<f32>() < channel.probability
    {
        channel.apply(out, noise.sample_rate_hz(), rng);
    }
}

/// Shifts and masks features in place, frame-major `[n_frames, n_mels]`. What is uncovered or masked becomes `fill`,
/// one value a band: its mean over the corpus, or 0 for normalised features.
///
/// # Panics
///
/// When `fill` is empty or `frames` is not a whole number of frames of its length.
pub fn augment_frames(frames: &mut [f32], fill: &[f32], spec: &AugmentSpec, rng: &mut impl Rng) {
    if spec.max_frame_shift > 0 {
        let largest = spec.max_frame_shift as i64;
        shift_frames(frames, fill, rng.random_range(-largest..=largest));
    }
    if let Some(masks) = &spec.spec_augment {
        mask_frames(frames, fill, masks, rng);
    }
}

/// A number of the range, ends included.
fn draw([low, high]: [f32; 2], rng: &mut impl Rng) -> f32 {
    if low < high {
        rng.random_range(low..=high)
    } else {
        low
    }
}

#[cfg(test)]
mod tests;
