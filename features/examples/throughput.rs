//! Seconds that the front-end takes for `n` seconds of noise on one thread, for the scripts in
//! `benches/peers`: `throughput SECONDS REPEATS [PRESET|SPEC.json]` prints `name seconds` of the fastest
//! repeat. Only the computation is timed; the samples lie in memory before.

use std::time::Instant;

use auricle_features::{FrontendSpec, LogMel, LogMelStream};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default| {
        arguments
            .get(index)
            .map_or(Ok(default), |text| text.parse())
    };
    let (n_seconds, n_repeats) = (number(0, 60_usize)?, number(1, 5_usize)?);
    let spec = match arguments.get(2).map(String::as_str) {
        None => FrontendSpec::speech_16k(),
        Some(text) => match FrontendSpec::preset(text) {
            Some(spec) => spec,
            None => serde_json::from_str(&std::fs::read_to_string(text)?)?,
        },
    };
    let n_samples = n_seconds * spec.sample_rate_hz as usize;
    let mut state = 1_u32;
    let samples: Vec<f32> = (0..n_samples).map(|_| noise(&mut state)).collect();
    let log_mel = LogMel::new(&spec)?;

    let clip = fastest(n_repeats, || log_mel.clip(&samples).values.iter().sum());
    println!("clip {clip:.6}");
    let mut stream = LogMelStream::new(log_mel);
    let hop = spec.hop_samples;
    let streamed = fastest(n_repeats, || {
        let mut sum = 0.0;
        stream.reset();
        for chunk in samples.chunks(hop) {
            stream.push_with(chunk, |frame| sum += frame[0]);
        }
        sum
    });
    println!("stream {streamed:.6}");
    Ok(())
}

fn noise(state: &mut u32) -> f32 {
    *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    (*state >> 16) as f32 / 32_768.0 - 1.0
}

fn fastest(n_repeats: usize, mut work: impl FnMut() -> f32) -> f64 {
    let times = (0..n_repeats.max(1)).map(|_| {
        let start = Instant::now();
        std::hint::black_box(work());
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}
