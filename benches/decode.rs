//! Decoding and resampling a minute of WAV to 16 kHz, in seconds of audio a second on one core.

use auricle::audio::{Clip, decode, write_wav};
use divan::Bencher;
use divan::counter::ItemsCount;

fn main() {
    divan::main();
}

#[divan::bench(args = [16_000, 44_100, 48_000])]
fn seconds_of_wav(bencher: Bencher, sample_rate_hz: u32) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("minute.wav");
    let samples = (0..60 * sample_rate_hz)
        .map(|i| ((i * 7919) % 997) as f32 / 2000.0)
        .collect();
    let clip = Clip {
        samples,
        sample_rate_hz,
    };
    write_wav(&path, &clip).expect("a temporary file");
    bencher
        .counter(ItemsCount::new(60_u32))
        .bench_local(|| decode(&path, 16_000).expect("a sound file"));
}
