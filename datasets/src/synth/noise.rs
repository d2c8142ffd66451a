//! Noises for `_background_noise_`: five kinds, each made from a seed. They are no rooms and no streets.

use std::f64::consts::TAU;

use rand::{Rng, RngExt};

use super::SAMPLE_RATE_HZ;

/// The level of every noise, as RMS.
const RMS: f32 = 0.05;

/// The same energy at every frequency.
pub(super) fn white(n_samples: usize, rng: &mut impl Rng) -> Vec<f32> {
    levelled(
        (0..n_samples)
            .map(|_| rng.random_range(-1.0..1.0))
            .collect(),
    )
}

/// The same energy in every octave: white noise added up over rows that change half as often each (Voss).
pub(super) fn pink(n_samples: usize, rng: &mut impl Rng) -> Vec<f32> {
    const N_ROWS: usize = 12;
    let mut rows = [0.0f32; N_ROWS];
    rows.iter_mut()
        .for_each(|row| *row = rng.random_range(-1.0..1.0));
    let samples = (1..=n_samples).map(|i| {
        let row = (i.trailing_zeros() as usize).min(N_ROWS - 1);
        rows[row] = rng.random_range(-1.0..1.0);
        rows.iter().sum::<f32>() + rng.random_range(-1.0f32..1.0)
    });
    levelled(samples.collect())
}

/// Falling by 6 dB an octave: a leaky sum of white noise.
pub(super) fn brown(n_samples: usize, rng: &mut impl Rng) -> Vec<f32> {
    let mut level = 0.0f32;
    let samples = (0..n_samples).map(|_| {
        level = 0.998 * level + rng.random_range(-1.0f32..1.0);
        level
    });
    levelled(samples.collect())
}

/// Mains hum with its harmonics, a slow waver, and a little hiss.
pub(super) fn hum(n_samples: usize, rng: &mut impl Rng) -> Vec<f32> {
    let mains_hz = if rng.random_bool(0.5) { 50.0 } else { 60.0 };
    let harmonics: Vec<(f64, f64, f64)> = (1..=12)
        .map(|n| {
            (
                mains_hz * f64::from(n),
                rng.random_range(0.2..1.0) / f64::from(n),
                rng.random_range(0.0..TAU),
            )
        })
        .collect();
    let waver_hz = rng.random_range(0.1..0.4);
    let samples = (0..n_samples).map(|i| {
        let t = i as f64 / f64::from(SAMPLE_RATE_HZ);
        let tone: f64 = harmonics
            .iter()
            .map(|&(hz, level, phase)| level * (TAU * hz * t + phase).sin())
            .sum();
        (tone * (1.0 + 0.3 * (TAU * waver_hz * t).sin())) as f32 + rng.random_range(-0.1..0.1)
    });
    levelled(samples.collect())
}

/// Several people at once: each speaks clip after clip, drawn from `clips`, and nobody waits for the others.
pub(super) fn babble(n_samples: usize, clips: &[Vec<f32>], rng: &mut impl Rng) -> Vec<f32> {
    const N_PEOPLE: usize = 6;
    let mut mixed = vec![0.0; n_samples];
    if clips.iter().all(Vec::is_empty) {
        return mixed;
    }
    for _ in 0..N_PEOPLE {
        let mut at = 0;
        while at < n_samples {
            let clip = &clips[rng.random_range(0..clips.len())];
            mixed[at..].iter_mut().zip(clip).for_each(|(x, s)| *x += s);
            at += clip.len() + rng.random_range(1..=SAMPLE_RATE_HZ as usize / 5);
        }
    }
    levelled(mixed)
}

fn levelled(mut samples: Vec<f32>) -> Vec<f32> {
    let rms = crate::augment::rms(&samples) as f32;
    if rms > 0.0 {
        samples.iter_mut().for_each(|x| *x *= RMS / rms);
    }
    samples
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Energy around a frequency: a bank of single-bin Fourier sums, averaged over windows.
    fn level_db(samples: &[f32], hz: f64) -> f64 {
        let windows = samples.chunks_exact(4096);
        let n = windows.len() as f64;
        let energy: f64 = windows
            .map(|window| {
                let (mut re, mut im) = (0.0, 0.0);
                for (i, &x) in window.iter().enumerate() {
                    let phase = TAU * hz * i as f64 / f64::from(SAMPLE_RATE_HZ);
                    re += f64::from(x) * phase.cos();
                    im += f64::from(x) * phase.sin();
                }
                re * re + im * im
            })
            .sum();
        10.0 * (energy / n).log10()
    }

    #[track_caller]
    fn check_fall(noise: &[f32], db_per_octave: f64, within: f64) {
        // Three octaves, from 400 to 3,200 Hz.
        let level = |hz: f64| {
            [0.93, 0.97, 1.0, 1.03, 1.07]
                .iter()
                .map(|f| level_db(noise, hz * f))
                .sum::<f64>()
                / 5.0
        };
        let fall = (level(400.0) - level(3200.0)) / 3.0;
        assert!(
            (fall - db_per_octave).abs() < within,
            "falls by {fall} dB an octave"
        );
        assert!((crate::augment::rms(noise) - 0.05).abs() < 1e-4);
    }

    #[test]
    fn the_colours_fall_as_they_should() {
        let rng = || ChaCha8Rng::seed_from_u64(5);
        check_fall(&white(400_000, &mut rng()), 0.0, 0.6);
        check_fall(&pink(400_000, &mut rng()), 3.0, 0.8);
        check_fall(&brown(400_000, &mut rng()), 6.0, 0.8);
        assert_eq!(hum(1_000, &mut rng()), hum(1_000, &mut rng()));
        assert!(babble(100, &[], &mut rng()).iter().all(|&x| x == 0.0));
    }
}
