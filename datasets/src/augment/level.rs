//! Loudness: gain, and noise at an exact ratio.

/// The root of the mean square, over all of the samples; 0 for none. Summed in f64, eight sums side by side.
pub fn rms(samples: &[f32]) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let mut sums = [0.0_f64; 8];
    let eights = samples.chunks_exact(8);
    for (sum, &x) in sums.iter_mut().zip(eights.remainder()) {
        *sum += f64::from(x) * f64::from(x);
    }
    for eight in eights {
        for (sum, &x) in sums.iter_mut().zip(eight) {
            *sum += f64::from(x) * f64::from(x);
        }
    }
    let energy: f64 = sums.iter().sum();
    (energy / samples.len() as f64).sqrt()
}

/// Makes a clip louder (positive) or softer (negative).
pub fn apply_gain_db(samples: &mut [f32], gain_db: f32) {
    let gain = 10f32.powf(gain_db / 20.0);
    samples.iter_mut().for_each(|x| *x *= gain);
}

/// Adds noise to speech, scaled so that the RMS of the speech over the whole clip is `snr_db` above that of the noise.
///
/// Noise shorter than the speech is repeated, longer noise is cut. Returns the factor that the noise was scaled by, or
/// `None`, with the speech unchanged, where one of the two is silent and there is no ratio.
pub fn mix_at_snr_db(speech: &mut [f32], noise: &[f32], snr_db: f32) -> Option<f32> {
    let heard: Vec<f32> = noise.iter().copied().cycle().take(speech.len()).collect();
    let (speech_rms, noise_rms) = (rms(speech), rms(&heard));
    let factor = speech_rms / noise_rms * 10f64.powf(-f64::from(snr_db) / 20.0);
    // Beyond this the noise is so soft that only its rounding would be heard.
    const SOFTEST_RMS: f64 = 1e-7;
    if !(speech_rms > SOFTEST_RMS && noise_rms > SOFTEST_RMS && factor.is_finite()) {
        return None;
    }
    let factor = factor as f32;
    speech
        .iter_mut()
        .zip(&heard)
        .for_each(|(x, n)| *x += factor * n);
    Some(factor)
}
