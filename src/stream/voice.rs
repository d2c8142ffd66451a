//! Whether anybody spoke lately: the scores of a voice activity detector, by the crate `earshot`.
//!
//! Knows neither networks nor keywords. It hears the same samples as they do, at 16 kHz, in frames of 16 ms of its own;
//! [`Voice::level`] answers for a place in the stream, so that it does not matter how far samples were pushed beyond it.

/// Samples of one frame of the crate.
const FRAME_SAMPLES: usize = 256;
/// Scores are averaged over so many frames: single ones leap.
const AVERAGED_FRAMES: usize = 4;
/// Frames that may have been pushed beyond the place that is asked for.
const AHEAD_FRAMES: usize = 4;
/// So many samples at most may be pushed beyond it.
pub const AHEAD_SAMPLES: usize = (AHEAD_FRAMES - 1) * FRAME_SAMPLES;

/// Scores of the newest frames of one stream. Allocates nothing after it is made.
pub struct Voice {
    detector: Box<earshot::Detector>,
    /// What does not fill a frame yet.
    frame: [f32; FRAME_SAMPLES],
    n_in_frame: usize,
    /// A ring.
    scores: Vec<f32>,
    n_frames: u64,
    window_frames: u64,
}

impl Voice {
    /// `window_samples`: how far back a voice counts.
    pub fn new(window_samples: u64) -> Self {
        let window_frames = window_samples.div_ceil(FRAME_SAMPLES as u64).max(1);
        let n_kept = window_frames as usize + AVERAGED_FRAMES + AHEAD_FRAMES;
        Self {
            detector: Box::default(),
            frame: [0.0; FRAME_SAMPLES],
            n_in_frame: 0,
            scores: vec![0.0; n_kept],
            n_frames: 0,
            window_frames,
        }
    }

    /// Takes samples at [`VOICE_RATE_HZ`](crate::bundle::VOICE_RATE_HZ), full scale -1 to 1; what is beyond is heard as full scale.
    pub fn push(&mut self, samples: &[f32]) {
        let mut rest = samples;
        while !rest.is_empty() {
            let n = (FRAME_SAMPLES - self.n_in_frame).min(rest.len());
            let (taken, later) = rest.split_at(n);
            let free = &mut self.frame[self.n_in_frame..self.n_in_frame + n];
            for (to, sample) in free.iter_mut().zip(taken) {
                *to = sample.clamp(-1.0, 1.0);
            }
            self.n_in_frame += n;
            rest = later;
            if self.n_in_frame == FRAME_SAMPLES {
                let slot = (self.n_frames % self.scores.len() as u64) as usize;
                self.scores[slot] = self.detector.predict_f32(&self.frame);
                self.n_frames += 1;
                self.n_in_frame = 0;
            }
        }
    }

    /// How sure it is, 0 to 1, that somebody spoke within the window before `at_sample`: the highest mean of a few
    /// frames' scores. At most [`AHEAD_SAMPLES`] may have been pushed beyond that place.
    pub fn level(&self, at_sample: u64) -> f32 {
        let end = (at_sample / FRAME_SAMPLES as u64).min(self.n_frames);
        let start = end.saturating_sub(self.window_frames);
        let n_kept = self.scores.len() as u64;
        let mut level = 0.0_f32;
        for newest in start..end {
            let oldest = (newest + 1).saturating_sub(AVERAGED_FRAMES as u64);
            let sum: f32 = (oldest..=newest)
                .map(|frame| self.scores[(frame % n_kept) as usize])
                .sum();
            level = level.max(sum / AVERAGED_FRAMES as f32);
        }
        level
    }

    /// Back to before the first sample.
    pub fn reset(&mut self) {
        self.detector.reset();
        self.n_in_frame = 0;
        self.n_frames = 0;
    }
}

/// What sounds like vowels and what does not, by formula.
#[cfg(test)]
pub(super) mod examples {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use crate::bundle::VOICE_RATE_HZ;

    /// Six vowels in 1.3 s: pulses of a voice that rises and falls, through three formants.
    pub fn speech() -> Vec<f32> {
        const FORMANTS_HZ: [[f32; 3]; 4] = [
            [730.0, 1090.0, 2440.0],
            [270.0, 2290.0, 3010.0],
            [530.0, 1840.0, 2480.0],
            [300.0, 870.0, 2240.0],
        ];
        let rate = VOICE_RATE_HZ as f32;
        let mut speech = Vec::new();
        for vowel in 0..6 {
            let mut phase = 0.0_f32;
            let mut sound: Vec<f32> = (0..2_400)
                .map(|i| {
                    let pitch = 120.0 * (1.0 + 0.1 * (18.8 * i as f32 / rate).sin());
                    phase += pitch / rate;
                    let is_pulse = phase >= 1.0;
                    phase = phase.fract();
                    f32::from(is_pulse)
                })
                .collect();
            for (formant, width) in FORMANTS_HZ[vowel % 4].iter().zip([80.0, 100.0, 150.0]) {
                resonate(&mut sound, *formant, width);
            }
            let top = sound.iter().fold(0.0_f32, |top, x| top.max(x.abs()));
            let n = sound.len();
            for (i, sample) in sound.iter_mut().enumerate() {
                *sample *= 0.3 / top * (i.min(n - i) as f32 / 800.0).min(1.0);
            }
            speech.extend(sound);
            speech.resize(speech.len() + 1_000, 0.0);
        }
        speech
    }

    fn resonate(sound: &mut [f32], frequency_hz: f32, width_hz: f32) {
        let rate = VOICE_RATE_HZ as f32;
        let radius = (-std::f32::consts::PI * width_hz / rate).exp();
        let a1 = 2.0 * radius * (std::f32::consts::TAU * frequency_hz / rate).cos();
        let a2 = -radius * radius;
        let (mut last, mut before) = (0.0, 0.0);
        for sample in sound {
            let now = (1.0 - a1 - a2) * *sample + a1 * last + a2 * before;
            (before, last) = (last, now);
            *sample = now;
        }
    }

    /// Loud hiss.
    pub fn noise(n_samples: usize, seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..n_samples)
            .map(|_| rng.random_range(-0.3..0.3))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::examples::{noise, speech};
    use super::*;

    /// The level at every 10 ms, asked as soon as it is known, samples pushed in chunks of `n`.
    fn levels(voice: &mut Voice, samples: &[f32], n: usize) -> Vec<f32> {
        let (mut levels, mut n_pushed) = (vec![], 0);
        for chunk in samples.chunks(n) {
            voice.push(chunk);
            n_pushed += chunk.len();
            while (levels.len() + 1) * 160 <= n_pushed {
                levels.push(voice.level(levels.len() as u64 * 160 + 160));
            }
        }
        levels
    }

    #[test]
    fn vowels_are_a_voice_hiss_and_silence_are_none() {
        let top = |samples: &[f32]| {
            levels(&mut Voice::new(16_000), samples, 160)
                .into_iter()
                .fold(0.0, f32::max)
        };
        assert!(top(&speech()) > 0.85, "{}", top(&speech()));
        assert!(top(&noise(48_000, 1)) < 0.8, "{}", top(&noise(48_000, 1)));
        assert!(top(&[0.0; 48_000]) < 0.5);
    }

    #[test]
    fn a_voice_is_forgotten_when_its_window_is_over() {
        let mut samples = speech();
        let n_speech = samples.len();
        samples.resize(n_speech + 48_000, 0.0);
        let levels = levels(&mut Voice::new(16_000), &samples, 160);
        assert!(levels[n_speech / 160 - 1] > 0.8);
        assert!(*levels.last().unwrap() < 0.5, "{:?}", levels.last());
    }

    #[test]
    fn neither_chunks_nor_a_stream_before_change_anything() {
        let samples: Vec<f32> = [noise(5_000, 2), speech(), noise(5_000, 3)].concat();
        let mut voice = Voice::new(8_000);
        let expected = levels(&mut voice, &samples, 160);
        for n in [1, 7, 255, 256, 257, AHEAD_SAMPLES] {
            voice.reset();
            assert_eq!(levels(&mut voice, &samples, n), expected, "chunks of {n}");
        }
    }

    #[test]
    fn more_than_full_scale_is_full_scale() {
        let (mut loud, mut clipped) = (Voice::new(4_000), Voice::new(4_000));
        let samples: Vec<f32> = speech().iter().map(|x| x * 20.0).collect();
        loud.push(&samples);
        let samples: Vec<f32> = samples.iter().map(|x| x.clamp(-1.0, 1.0)).collect();
        clipped.push(&samples);
        let end = samples.len() as u64;
        assert_eq!(loud.level(end), clipped.level(end));
        assert!(loud.level(end) > 0.0);
    }
}
