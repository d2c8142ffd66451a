//! One sample rate -> another, a chunk at a time, in step with the input.
//!
//! Invariants: the way a stream is cut into chunks does not change a bit of the output; the output is as long as the input
//! in seconds, to half a sample; a sound keeps its place in time (the filter's delay is taken out).

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

use super::{AudioError, SAMPLE_RATES_HZ};

/// Samples of a filter block on the side of the lower rate, at least. 32 ms at 16 kHz: the passband then reaches
/// 7.6 kHz of 8 kHz, and a live stream waits no longer than 50 ms.
const BLOCK_SAMPLES: usize = 512;

/// A synchronous resampler (FFT overlap-add with a squared Blackman-Harris windowed sinc, by rubato).
///
/// What folds back is more than 60 dB down, a tone in the passband keeps its level to 0.1 dB (tests below).
/// Equal rates pass through untouched.
pub struct Resampler {
    from_hz: u32,
    to_hz: u32,
    plan: Option<Plan>,
    n_in: u64,
    n_out: u64,
}

struct Plan {
    fft: Fft<f32>,
    /// Input that waits for a full block.
    block_in: Vec<f32>,
    block_in_samples: usize,
    block_out: Vec<f32>,
    /// Output samples of the filter's delay that are still to be thrown away.
    n_to_skip: usize,
}

impl Resampler {
    /// # Errors
    ///
    /// [`AudioError::Rate`] when a rate is beyond [`SAMPLE_RATES_HZ`].
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, AudioError> {
        for found_hz in [from_hz, to_hz] {
            if !SAMPLE_RATES_HZ.contains(&found_hz) {
                return Err(AudioError::Rate { found_hz });
            }
        }
        let plan = (from_hz != to_hz).then(|| Plan::new(from_hz, to_hz));
        Ok(Resampler {
            from_hz,
            to_hz,
            plan,
            n_in: 0,
            n_out: 0,
        })
    }

    /// Takes samples at the first rate, appends what is ready at the second.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.n_in += samples.len() as u64;
        let Some(plan) = &mut self.plan else {
            self.n_out += samples.len() as u64;
            out.extend_from_slice(samples);
            return;
        };
        let mut rest = samples;
        while !rest.is_empty() {
            let n_taken = (plan.block_in_samples - plan.block_in.len()).min(rest.len());
            plan.block_in.extend_from_slice(&rest[..n_taken]);
            rest = &rest[n_taken..];
            if plan.block_in.len() == plan.block_in_samples {
                self.n_out += plan.run(u64::MAX, out);
            }
        }
    }

    /// Appends the tail: all that was pushed then comes to `round(n_in * to_hz / from_hz)` samples. Ready for a new stream.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        if let Some(plan) = &mut self.plan {
            let n_total = expected_samples(self.n_in, self.from_hz, self.to_hz);
            while self.n_out < n_total {
                plan.block_in.resize(plan.block_in_samples, 0.0);
                self.n_out += plan.run(n_total - self.n_out, out);
            }
            plan.reset();
        }
        self.n_in = 0;
        self.n_out = 0;
    }
}

/// Samples at `to_hz` of a clip of `n_samples` at `from_hz`, rounded to the nearest.
fn expected_samples(n_samples: u64, from_hz: u32, to_hz: u32) -> u64 {
    let (from, to) = (u128::from(from_hz), u128::from(to_hz));
    ((u128::from(n_samples) * to + from / 2) / from) as u64
}

impl Plan {
    fn new(from_hz: u32, to_hz: u32) -> Self {
        let (from, to) = (from_hz as usize, to_hz as usize);
        let common = gcd(from, to);
        let (unit_in, unit_out) = (from / common, to / common);
        // An even number of units makes both blocks even, so that the delay of half a block is whole.
        let n_units = BLOCK_SAMPLES
            .div_ceil(unit_in.min(unit_out))
            .next_multiple_of(2);
        let fft = Fft::new_custom(
            from,
            to,
            n_units * unit_in,
            1,
            1,
            WindowFunction::BlackmanHarris2,
            FixedSync::Both,
        )
        .expect("both rates are above zero and the block is not empty");
        Plan {
            block_in_samples: fft.input_frames_next(),
            block_in: Vec::with_capacity(fft.input_frames_next()),
            block_out: vec![0.0; fft.output_frames_next()],
            n_to_skip: fft.output_delay(),
            fft,
        }
    }

    /// Filters the full input block and appends at most `n_wanted` samples. Returns how many.
    fn run(&mut self, n_wanted: u64, out: &mut Vec<f32>) -> u64 {
        let n_out = self.block_out.len();
        let input = InterleavedSlice::new(&self.block_in, 1, self.block_in_samples)
            .expect("the input block is full");
        let mut output = InterleavedSlice::new_mut(&mut self.block_out, 1, n_out)
            .expect("the output block is whole");
        self.fft
            .process_into_buffer(&input, &mut output, None)
            .expect("blocks have the sizes of this plan");
        self.block_in.clear();

        let n_skipped = self.n_to_skip.min(n_out);
        self.n_to_skip -= n_skipped;
        let ready = &self.block_out[n_skipped..];
        let n_given = ready
            .len()
            .min(usize::try_from(n_wanted).unwrap_or(usize::MAX));
        out.extend_from_slice(&ready[..n_given]);
        n_given as u64
    }

    fn reset(&mut self) {
        self.fft.reset();
        self.block_in.clear();
        self.n_to_skip = self.fft.output_delay();
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::f64::consts::TAU;

    const PAIRS_HZ: [(u32, u32); 9] = [
        (8_000, 16_000),
        (11_025, 16_000),
        (22_050, 16_000),
        (44_100, 16_000),
        (48_000, 16_000),
        (96_000, 16_000),
        (16_000, 8_000),
        (16_000, 44_100),
        (44_101, 16_000),
    ];

    fn tone(hz: f64, rate_hz: u32, n: usize) -> Vec<f32> {
        (0..n)
            .map(|i| (0.5 * (TAU * hz * i as f64 / f64::from(rate_hz)).sin()) as f32)
            .collect()
    }

    fn resample(from_hz: u32, to_hz: u32, samples: &[f32]) -> Vec<f32> {
        let mut resampler = Resampler::new(from_hz, to_hz).unwrap();
        let mut out = Vec::new();
        resampler.push(samples, &mut out);
        resampler.finish(&mut out);
        out
    }

    /// The level in dB of the part that is left after the first and last tenth.
    fn level_db(samples: &[f32]) -> f64 {
        let middle = &samples[samples.len() / 10..samples.len() * 9 / 10];
        let power = middle
            .iter()
            .map(|&s| f64::from(s) * f64::from(s))
            .sum::<f64>()
            / middle.len() as f64;
        10.0 * power.log10()
    }

    #[test]
    fn the_way_of_cutting_does_not_change_a_bit() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let noise: Vec<f32> = (0..20_000).map(|_| rng.random_range(-1.0..1.0)).collect();
        for (from_hz, to_hz) in PAIRS_HZ {
            let whole = resample(from_hz, to_hz, &noise);
            let mut resampler = Resampler::new(from_hz, to_hz).unwrap();
            // The second turn shows that a finished resampler starts afresh.
            for _ in 0..2 {
                let mut out = Vec::new();
                let mut rest = noise.as_slice();
                while !rest.is_empty() {
                    let (chunk, later) = rest.split_at(rng.random_range(1..=3_000.min(rest.len())));
                    resampler.push(chunk, &mut out);
                    rest = later;
                }
                resampler.finish(&mut out);
                assert_eq!(out, whole, "{from_hz} to {to_hz} Hz");
            }
        }
    }

    #[test]
    fn the_length_in_seconds_is_kept_to_half_a_sample() {
        for (from_hz, to_hz) in PAIRS_HZ {
            for n in [0, 1, 2, 159, 160, 1_000, 17_263] {
                let found = resample(from_hz, to_hz, &vec![0.1; n]).len() as f64;
                let want = n as f64 * f64::from(to_hz) / f64::from(from_hz);
                assert!(
                    (found - want).abs() <= 0.5,
                    "{n} samples, {from_hz} to {to_hz} Hz: {found}, not {want}"
                );
            }
        }
    }

    #[test]
    fn a_tone_keeps_its_frequency_its_level_and_its_place() {
        for (from_hz, to_hz) in PAIRS_HZ {
            let out = resample(from_hz, to_hz, &tone(1_000.0, from_hz, from_hz as usize));
            let want = tone(1_000.0, to_hz, out.len());
            assert!(
                (level_db(&out) - level_db(&want)).abs() < 0.1,
                "{from_hz} to {to_hz} Hz"
            );
            // Sample by sample: any shift in time or frequency would show.
            let residual: Vec<f32> = out.iter().zip(&want).map(|(a, b)| a - b).collect();
            assert!(
                level_db(&residual) < -70.0,
                "{from_hz} to {to_hz} Hz: {} dB",
                level_db(&residual)
            );
        }
    }

    #[test]
    fn the_passband_reaches_the_top_of_the_front_end() {
        for from_hz in [44_100, 48_000, 96_000] {
            let out = resample(from_hz, 16_000, &tone(7_500.0, from_hz, from_hz as usize));
            let lost_db = level_db(&tone(7_500.0, 16_000, 16_000)) - level_db(&out);
            assert!(
                lost_db.abs() < 0.5,
                "{from_hz} Hz loses {lost_db} dB at 7.5 kHz"
            );
        }
    }

    #[test]
    fn what_would_fold_back_is_rejected() {
        for from_hz in [22_050, 44_100, 48_000, 96_000] {
            for hz in [8_300.0, 9_000.0, 10_500.0] {
                let out = resample(from_hz, 16_000, &tone(hz, from_hz, from_hz as usize));
                let left_db = level_db(&out) - level_db(&tone(hz, from_hz, from_hz as usize));
                assert!(left_db < -60.0, "{hz} Hz from {from_hz} Hz: {left_db} dB");
            }
        }
    }

    #[test]
    fn rates_out_of_measure_are_refused() {
        for (from_hz, to_hz) in [(0, 16_000), (16_000, 0), (u32::MAX, 16_000), (1, 16_000)] {
            assert!(matches!(
                Resampler::new(from_hz, to_hz),
                Err(AudioError::Rate { .. })
            ));
        }
    }
}
