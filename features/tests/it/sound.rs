//! Samples to test with, and front-ends that use every part.

use auricle_features::{
    FrontendSpec, MelNorm, MelScale, PcenSpec, RunningNormSpec, Spectrum, Window,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A rising tone in noise.
pub fn chirp(n_samples: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let sample = |i: usize| {
        let t = i as f32 / 16_000.0;
        0.3 * (700.0 * t + 2_000.0 * t * t).sin() + 0.05 * rng.random_range(-1.0..1.0)
    };
    (0..n_samples).map(sample).collect()
}

pub fn kaldi() -> FrontendSpec {
    FrontendSpec {
        window: Window::Povey,
        mel_scale: MelScale::Kaldi,
        pre_emphasis: Some(0.97),
        remove_dc: true,
        log_floor: f32::EPSILON,
        ..FrontendSpec::speech_16k()
    }
}

/// Between them every part of the front-end that has a state or a choice.
pub fn specs() -> Vec<FrontendSpec> {
    let running = |variance| {
        Some(RunningNormSpec {
            time_constant_s: 0.5,
            variance,
        })
    };
    let pcen = FrontendSpec {
        spectrum: Spectrum::Magnitude,
        mel_scale: MelScale::Slaney,
        mel_norm: MelNorm::Slaney,
        pcen: Some(PcenSpec::librosa()),
        ..FrontendSpec::speech_16k()
    };
    vec![
        FrontendSpec::speech_16k(),
        FrontendSpec::speech_16k_64(),
        kaldi(),
        FrontendSpec {
            running_norm: running(false),
            ..FrontendSpec::speech_16k()
        },
        FrontendSpec {
            running_norm: running(true),
            ..kaldi()
        },
        pcen.clone(),
        FrontendSpec {
            running_norm: running(true),
            ..pcen
        },
        // Odd numbers everywhere, and windows that only touch.
        FrontendSpec {
            window_samples: 251,
            hop_samples: 251,
            fft_samples: 375,
            n_mels: 17,
            window: Window::Hamming,
            ..FrontendSpec::speech_16k()
        },
    ]
}
