//! Whatever way a sound is cut into chunks, its features are the same bits.

use auricle_features::{FrontendSpec, LogMel, LogMelStream};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::sound::{chirp, specs};

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[track_caller]
fn check_cut(spec: &FrontendSpec, samples: &[f32], mut next_chunk: impl FnMut() -> usize) {
    let log_mel = LogMel::new(spec).unwrap();
    let clip = log_mel.clip(samples);
    assert_eq!(clip.n_frames(), spec.n_frames(samples.len()));
    let mut stream = LogMelStream::new(log_mel);
    let (mut streamed, mut rest) = (Vec::new(), samples);
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at(next_chunk().min(rest.len()));
        streamed.extend(stream.push(chunk).values);
        rest = later;
    }
    assert_eq!(bits(&streamed), bits(&clip.values), "{spec:?}");
}

#[track_caller]
fn check_chunks_of(n_samples: usize) {
    for spec in specs() {
        check_cut(&spec, &chirp(8_000), || n_samples);
    }
}

#[test]
fn stream_equals_clip_one_sample_at_a_time() {
    check_chunks_of(1);
}

#[test]
fn stream_equals_clip_at_hop_and_off_hop() {
    for n_samples in [160, 159, 161, 333, 400, 512] {
        check_chunks_of(n_samples);
    }
}

#[test]
fn stream_equals_clip_in_one_piece_and_longer() {
    check_chunks_of(7_999);
    check_chunks_of(100_000);
}

#[test]
fn stream_equals_clip_in_chunks_of_any_size_and_in_empty_ones() {
    for seed in 0..20 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let samples = chirp(rng.random_range(0..12_000));
        for spec in specs() {
            let longest = [3, 200, 3_000][seed as usize % 3];
            check_cut(&spec, &samples, || rng.random_range(0..=longest));
        }
    }
}

#[test]
fn a_stream_that_was_reset_begins_anew() {
    for spec in specs() {
        let log_mel = LogMel::new(&spec).unwrap();
        let mut stream = LogMelStream::new(log_mel.clone());
        stream.push(&chirp(5_123));
        stream.reset();
        let samples = chirp(4_000);
        assert_eq!(
            bits(&stream.push(&samples).values),
            bits(&log_mel.clip(&samples).values)
        );
    }
}

#[test]
fn the_past_does_not_move_when_the_future_does() {
    for spec in specs() {
        let log_mel = LogMel::new(&spec).unwrap();
        let samples = chirp(8_000);
        let mut other = samples.clone();
        other[5_000..].fill(0.9);
        let (a, b) = (log_mel.clip(&samples), log_mel.clip(&other));
        let n_same = spec.n_frames(5_000);
        assert_eq!(
            bits(&a.values[..n_same * spec.n_mels]),
            bits(&b.values[..n_same * spec.n_mels])
        );
        assert_ne!(a.frame(n_same), b.frame(n_same));
    }
}

#[test]
fn samples_that_are_no_numbers_spoil_no_later_frame() {
    for spec in specs() {
        let mut samples = chirp(40_000);
        samples[1_000] = f32::NAN;
        samples[1_500] = f32::INFINITY;
        samples[2_000] = f32::MAX;
        let values = LogMel::new(&spec).unwrap().clip(&samples).values;
        assert!(values.iter().all(|value| value.is_finite()), "{spec:?}");
        let clean = LogMel::new(&spec).unwrap().clip(&chirp(40_000)).values;
        let (last, expected) = (values.last().unwrap(), clean.last().unwrap());
        // Two seconds, four time constants, later the running state has nearly forgotten.
        assert!(
            (last - expected).abs() < 0.2,
            "{last} against {expected}: {spec:?}"
        );
    }
}

#[test]
fn silence_and_nothing_are_frames_at_the_floor_and_no_frames() {
    let spec = FrontendSpec::speech_16k();
    let log_mel = LogMel::new(&spec).unwrap();
    let silence = log_mel.clip(&[0.0; 1_600]);
    assert!(
        silence
            .values
            .iter()
            .all(|&value| value == spec.log_floor.ln())
    );
    assert_eq!(log_mel.clip(&[]).n_frames(), 0);
    assert_eq!(log_mel.clip(&[0.5; 399]).n_frames(), 0);
}
