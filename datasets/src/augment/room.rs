//! Rooms: impulse responses, recorded or simulated by the image method, and clips heard through them.
//!
//! It decodes no file: recorded responses come in as samples at the rate of the clips.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use realfft::RealFftPlanner;
use serde::{Deserialize, Serialize};

use super::channel::{Biquad, Pass};
use super::level::rms;
use super::{AugmentError, draw};
use crate::corpus::{CorpusError, audio_files};
use crate::seeded::clip_rng;
use crate::utterance::slashed;

/// Of sound in air of 20 degrees, in metres a second.
const SPEED_OF_SOUND: f64 = 343.0;

/// Samples on either side of an echo that its place between two samples is spread over.
const SPREAD: usize = 16;

/// The nearest that a mouth or a microphone comes to a wall, in metres.
const WALL_M: f64 = 0.3;

/// Softer than that below the loudest sample, the end of a recorded response is cut off.
const TAIL_DB: f32 = 60.0;

/// Which rooms there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomsSpec {
    /// Folders of recorded impulse responses, relative to the corpus root (`..` is allowed).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<PathBuf>,
    /// Rooms to compute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<SimulatedRooms>,
}

/// Shoebox rooms, drawn evenly from ranges of lowest and highest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedRooms {
    /// How many.
    pub n_rooms: usize,
    /// Length and width of a room, in metres; its height is drawn from 2.4 to 3.5 m.
    pub size_m: [f32; 2],
    /// Time in which sound decays by 60 dB, in milliseconds.
    pub rt60_ms: [f32; 2],
    /// From mouth to microphone, in metres; less where the room is too small.
    pub distance_m: [f32; 2],
}

impl RoomsSpec {
    /// Checks that there is a room at all, and ranges.
    pub fn validate(&self) -> Result<(), AugmentError> {
        let fault = |field, found: String, expected| {
            Err(AugmentError {
                field,
                found,
                expected,
            })
        };
        let Some(rooms) = &self.simulated else {
            if self.folders.is_empty() {
                return fault("rooms", "none".into(), "`folders`, `simulated` or both");
            }
            return Ok(());
        };
        let within =
            |[low, high]: [f32; 2], min: f32, max: f32| min <= low && low <= high && high <= max;
        if !(1..=10_000).contains(&rooms.n_rooms) {
            return fault(
                "rooms.simulated.n_rooms",
                rooms.n_rooms.to_string(),
                "1 to 10,000",
            );
        }
        if !within(rooms.size_m, 1.5, 30.0) {
            let found = format!("{:?}", rooms.size_m);
            return fault("rooms.simulated.size_m", found, "a range within 1.5..30 m");
        }
        if !within(rooms.rt60_ms, 50.0, 1_000.0) {
            let found = format!("{:?}", rooms.rt60_ms);
            return fault(
                "rooms.simulated.rt60_ms",
                found,
                "a range within 50..1,000 ms",
            );
        }
        if !within(rooms.distance_m, 0.1, 20.0) {
            let found = format!("{:?}", rooms.distance_m);
            return fault(
                "rooms.simulated.distance_m",
                found,
                "a range within 0.1..20 m",
            );
        }
        Ok(())
    }
}

/// The recorded impulse responses that a spec names, relative to the corpus root and sorted.
///
/// # Errors
///
/// A folder that cannot be read, or that holds no audio file.
pub fn room_files(root: &Path, spec: &RoomsSpec) -> Result<Vec<PathBuf>, CorpusError> {
    let mut files = Vec::new();
    for folder in &spec.folders {
        let inside = audio_files(&root.join(folder))?;
        if inside.is_empty() {
            return Err(CorpusError::Empty {
                path: root.join(folder),
                found: "no audio file".into(),
                expected: "impulse responses",
            });
        }
        files.extend(inside.into_iter().map(|path| folder.join(path)));
    }
    files.sort_by(|a, b| slashed(a).cmp(&slashed(b)));
    files.dedup();
    Ok(files)
}

/// One shoebox room with a mouth and a microphone in it. Lengths in metres from one corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Room {
    /// Length, width, height.
    pub size_m: [f64; 3],
    /// Where the mouth is.
    pub source_m: [f64; 3],
    /// Where the microphone is.
    pub microphone_m: [f64; 3],
    /// Share of sound pressure that every wall gives back, 0 to 1.
    pub reflection: f64,
}

impl Room {
    /// The reflection that gives this decay time, by Eyring (1930):
    /// `RT60 = 24 ln(10) V / (-c S ln(reflection^2))`.
    pub fn reflection_for(size_m: [f64; 3], rt60_s: f64) -> f64 {
        let [x, y, z] = size_m;
        let (volume, surface) = (x * y * z, 2.0 * (x * y + y * z + z * x));
        (-12.0 * 10f64.ln() * volume / (SPEED_OF_SOUND * surface * rt60_s)).exp()
    }

    /// The impulse response over `n_samples`: `reflection^n / (4 pi d)` at `d / c` for each image of the mouth that is `d`
    /// away and seen through `n` walls (Allen & Berkley 1979, equation 10), each between samples by a windowed sinc
    /// (Peterson 1986). What lies below a hundredth of the rate is taken out, since images of one sign add up there.
    pub fn response(&self, sample_rate_hz: u32, n_samples: usize) -> Vec<f32> {
        let rate = f64::from(sample_rate_hz);
        let farthest_m = n_samples as f64 / rate * SPEED_OF_SOUND;
        let mut sum = vec![0.0_f64; n_samples + SPREAD];
        let spread = Spread::new();
        let images: [Vec<Image>; 3] = std::array::from_fn(|axis| self.images(axis, farthest_m));
        for x in &images[0] {
            for y in &images[1] {
                let plane = x.square_m + y.square_m;
                if plane > farthest_m * farthest_m {
                    continue;
                }
                for z in &images[2] {
                    let distance_m = (plane + z.square_m).sqrt();
                    if distance_m >= farthest_m {
                        continue;
                    }
                    let n_walls = x.n_walls + y.n_walls + z.n_walls;
                    let distance_m = distance_m.max(0.01);
                    let loudness =
                        self.reflection.powi(n_walls) / (4.0 * std::f64::consts::PI * distance_m);
                    spread.add(&mut sum, distance_m / SPEED_OF_SOUND * rate, loudness);
                }
            }
        }
        sum.truncate(n_samples);
        let mut response: Vec<f32> = sum.into_iter().map(|x| x as f32).collect();
        Biquad::butterworth(Pass::High, 2, 0.01 * rate, rate)
            .iter_mut()
            .for_each(|section| section.apply(&mut response));
        response
    }

    /// The images along one axis: how far from the microphone, squared, and through how many walls.
    fn images(&self, axis: usize, farthest_m: f64) -> Vec<Image> {
        let (size, source, microphone) = (
            self.size_m[axis],
            self.source_m[axis],
            self.microphone_m[axis],
        );
        let n = (farthest_m / (2.0 * size)).ceil() as i32 + 1;
        let image = |(room, mirrored): (i32, i32)| {
            let place = f64::from(1 - 2 * mirrored) * source + f64::from(2 * room) * size;
            Image {
                square_m: (place - microphone).powi(2),
                n_walls: (room - mirrored).abs() + room.abs(),
            }
        };
        let both = (-n..=n).flat_map(|room| [(room, 0), (room, 1)]);
        both.map(image).collect()
    }

    fn drawn(spec: &SimulatedRooms, rng: &mut ChaCha8Rng) -> (Self, f64) {
        let mut metres = |range| f64::from(draw(range, rng));
        let size_m = [metres(spec.size_m), metres(spec.size_m), metres([2.4, 3.5])];
        let rt60_s = f64::from(draw(spec.rt60_ms, rng)) / 1000.0;
        let inside = |rng: &mut ChaCha8Rng, axis: usize| {
            rng.random_range(WALL_M..=(size_m[axis] - WALL_M).max(WALL_M + 1e-3))
        };
        let microphone_m: [f64; 3] = std::array::from_fn(|axis| inside(rng, axis));
        let distance_m = f64::from(draw(spec.distance_m, rng));
        // A direction at random; a place beyond a wall is brought back to it.
        let direction: [f64; 3] = loop {
            let direction: [f64; 3] = std::array::from_fn(|_| rng.random_range(-1.0..=1.0));
            let length = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
            if (0.1..=1.0).contains(&length) {
                break direction.map(|x| x / length);
            }
        };
        let source_m = std::array::from_fn(|axis| {
            let place = microphone_m[axis] + distance_m * direction[axis];
            place.clamp(WALL_M, size_m[axis] - WALL_M)
        });
        let room = Self {
            size_m,
            source_m,
            microphone_m,
            reflection: Self::reflection_for(size_m, rt60_s),
        };
        (room, rt60_s)
    }
}

struct Image {
    square_m: f64,
    n_walls: i32,
}

/// A band-limited click at any place: a sinc within a raised cosine of [`SPREAD`] samples either way.
struct Spread {
    /// Cosine and sine of the raised cosine's angle at each whole sample.
    angles: [(f64, f64); 2 * SPREAD + 1],
}

impl Spread {
    fn new() -> Self {
        let angle = |i: usize| {
            let angle = std::f64::consts::PI * (i as f64 - SPREAD as f64) / (SPREAD + 1) as f64;
            (angle.cos(), angle.sin())
        };
        Self {
            angles: std::array::from_fn(angle),
        }
    }

    fn add(&self, sum: &mut [f64], place: f64, loudness: f64) {
        let nearest = place.round();
        let share = place - nearest; // -0.5..0.5
        let first = nearest as i64 - SPREAD as i64;
        let (sine, turn) = (
            (std::f64::consts::PI * share).sin(),
            std::f64::consts::PI * share / (SPREAD + 1) as f64,
        );
        let (turn_cos, turn_sin) = (turn.cos(), turn.sin());
        for (i, (cos, sin)) in self.angles.iter().enumerate() {
            let at = first + i as i64;
            let Some(x) = usize::try_from(at).ok().and_then(|at| sum.get_mut(at)) else {
                continue;
            };
            let offset = i as f64 - SPREAD as f64 - share;
            let sinc = if offset.abs() < 1e-9 {
                1.0
            } else {
                // sin(pi (k - share)) for whole k is -(-1)^k sin(pi share).
                let sign = if (i + SPREAD).is_multiple_of(2) {
                    -1.0
                } else {
                    1.0
                };
                sign * sine / (std::f64::consts::PI * offset)
            };
            let window = 0.5 + 0.5 * (cos * turn_cos + sin * turn_sin);
            *x += loudness * sinc * window;
        }
    }
}

/// Impulse responses in memory, at one rate.
pub struct RoomBank {
    sample_rate_hz: u32,
    responses: Vec<Vec<f32>>,
    planner: Mutex<RealFftPlanner<f32>>,
}

impl fmt::Debug for RoomBank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "RoomBank of {} rooms at {} Hz",
            self.responses.len(),
            self.sample_rate_hz
        )
    }
}

impl RoomBank {
    /// A bank without rooms, for clips of the given rate.
    pub fn new(sample_rate_hz: u32) -> Self {
        Self {
            sample_rate_hz,
            responses: Vec::new(),
            planner: Mutex::new(RealFftPlanner::new()),
        }
    }

    /// Adds rooms of the image method: the same for the same spec, rate and seed.
    pub fn simulate(&mut self, spec: &SimulatedRooms, seed: u64) {
        for room in 0..spec.n_rooms as u64 {
            let (room, rt60_s) = Room::drawn(spec, &mut clip_rng(seed, u64::MAX, room));
            let n_samples = (rt60_s * f64::from(self.sample_rate_hz)).ceil() as usize;
            self.push(room.response(self.sample_rate_hz, n_samples));
        }
    }

    /// Adds an impulse response; a silent one, or one that is not finite, is passed over. What lies before its loudest
    /// sample by more than 5 ms (the way of the sound) and its end below -60 dB are cut off.
    pub fn push(&mut self, response: Vec<f32>) {
        let peak = response.iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
        if !(peak > 0.0 && response.iter().all(|x| x.is_finite())) {
            return;
        }
        let loudest = response
            .iter()
            .position(|x| x.abs() == peak)
            .expect("the peak is one of them");
        let floor = peak * 10f32.powf(-TAIL_DB / 20.0);
        let end = response
            .iter()
            .rposition(|x| x.abs() >= floor)
            .expect("the peak is above")
            + 1;
        let start = loudest.saturating_sub(self.sample_rate_hz as usize / 200);
        self.responses.push(response[start..end].to_vec());
    }

    /// Whether there is no room.
    pub fn is_empty(&self) -> bool {
        self.responses.is_empty()
    }

    /// Rooms in it.
    pub fn len(&self) -> usize {
        self.responses.len()
    }

    /// The responses as they are kept.
    pub fn responses(&self) -> &[Vec<f32>] {
        &self.responses
    }

    /// A clip as it is heard in one of the rooms, drawn evenly: see [`RoomBank::hear`].
    pub fn hear_in_any(&self, clip: &mut [f32], rng: &mut impl Rng) {
        if !self.is_empty() {
            let room = rng.random_range(0..self.len());
            self.hear(clip, room);
        }
    }

    /// A clip as it is heard in a room: convolved with its response, the loudest sound of which comes when the clip's own
    /// would, as loud as before over the whole clip. What rings on behind its end is lost.
    ///
    /// # Panics
    ///
    /// When there is no such room.
    pub fn hear(&self, clip: &mut [f32], room: usize) {
        let response = &self.responses[room];
        let before = rms(clip);
        if !(before > 0.0 && before.is_finite()) {
            return;
        }
        let peak = response.iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
        let delay = response.iter().position(|x| x.abs() == peak).unwrap_or(0);
        let heard = self.convolve(clip, response);
        clip.copy_from_slice(&heard[delay..delay + clip.len()]);
        let after = rms(clip);
        if after > 0.0 {
            let gain = (before / after) as f32;
            clip.iter_mut().for_each(|x| *x *= gain);
        }
    }

    /// `[clip.len() + response.len() - 1]`, by one transform over both.
    fn convolve(&self, clip: &[f32], response: &[f32]) -> Vec<f32> {
        let n = clip.len() + response.len() - 1;
        let n_fft = n.next_power_of_two().max(2);
        let (forward, inverse) = {
            let mut planner = self.planner.lock().expect("nobody panics with the lock");
            (
                planner.plan_fft_forward(n_fft),
                planner.plan_fft_inverse(n_fft),
            )
        };
        let transform = |samples: &[f32]| {
            let mut input = forward.make_input_vec();
            input[..samples.len()].copy_from_slice(samples);
            let mut output = forward.make_output_vec();
            forward
                .process(&mut input, &mut output)
                .expect("buffers were made by this plan");
            output
        };
        let mut product = transform(clip);
        for (x, y) in product.iter_mut().zip(transform(response)) {
            *x *= y;
        }
        // Both ends of a real transform are real; rounding may say otherwise.
        let last = product.len() - 1;
        product[0].im = 0.0;
        product[last].im = 0.0;
        let mut output = inverse.make_output_vec();
        inverse
            .process(&mut product, &mut output)
            .expect("buffers were made by this plan");
        output.truncate(n);
        output.iter_mut().for_each(|x| *x /= n_fft as f32);
        output
    }
}

#[cfg(test)]
mod tests;
