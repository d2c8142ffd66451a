//! How many times faster than real time one core is. `cargo bench -p auricle-features --bench frontend`
//!
//! The throughput column counts samples of audio: divided by the sample rate it is x real time, which the
//! last lines print. The machine's fastest of many short runs counts, so that its neighbours do not.

use std::time::Instant;

use auricle_features::{
    FrontendSpec, LogMel, LogMelStream, MelScale, PcenSpec, RunningNormSpec, Spectrum, Window,
};
use divan::{Bencher, counter::ItemsCount};

/// Audio in one run.
const CLIP_S: usize = 2;
const NAMES: [&str; 5] = [
    "speech_16k",
    "speech_16k_64",
    "kaldi",
    "running_norm",
    "pcen",
];

fn spec(name: &str) -> FrontendSpec {
    let base = FrontendSpec::speech_16k();
    match name {
        "speech_16k_64" => FrontendSpec::speech_16k_64(),
        "kaldi" => FrontendSpec {
            window: Window::Povey,
            mel_scale: MelScale::Kaldi,
            pre_emphasis: Some(0.97),
            remove_dc: true,
            ..base
        },
        "running_norm" => FrontendSpec {
            running_norm: Some(RunningNormSpec {
                time_constant_s: 1.0,
                variance: true,
            }),
            ..base
        },
        "pcen" => FrontendSpec {
            spectrum: Spectrum::Magnitude,
            pcen: Some(PcenSpec::librosa()),
            ..base
        },
        _ => base,
    }
}

fn noise(n_samples: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut sample = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as f32 / 32_768.0 - 1.0
    };
    (0..n_samples).map(|_| sample()).collect()
}

#[divan::bench(args = NAMES)]
fn clip(bencher: Bencher, name: &str) {
    let log_mel = LogMel::new(&spec(name)).expect("the front-ends above can be");
    let samples = noise(CLIP_S * 16_000);
    bencher
        .counter(ItemsCount::new(samples.len()))
        .bench(|| log_mel.clip(&samples));
}

/// Chunks of 10 ms.
#[divan::bench(args = NAMES)]
fn stream(bencher: Bencher, name: &str) {
    let mut stream = stream_of(name);
    let samples = noise(CLIP_S * 16_000);
    bencher
        .counter(ItemsCount::new(samples.len()))
        .bench_local(|| push_all(&mut stream, &samples));
}

fn stream_of(name: &str) -> LogMelStream {
    LogMelStream::new(LogMel::new(&spec(name)).expect("the front-ends above can be"))
}

fn push_all(stream: &mut LogMelStream, samples: &[f32]) -> f32 {
    let mut sum = 0.0;
    for chunk in samples.chunks(160) {
        stream.push_with(chunk, |frame| sum += frame[0]);
    }
    sum
}

fn main() {
    divan::main();
    let samples = noise(CLIP_S * 16_000);
    println!("\nx real time on one core, streamed in chunks of 10 ms");
    for name in NAMES {
        let mut stream = stream_of(name);
        let runs = (0..500).map(|_| {
            let start = Instant::now();
            divan::black_box(push_all(&mut stream, &samples));
            start.elapsed().as_secs_f64()
        });
        let fastest = runs.fold(f64::INFINITY, f64::min);
        println!("{name:15} {:8.0}", CLIP_S as f64 / fastest);
    }
}
