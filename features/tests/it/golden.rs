//! The same numbers as librosa and kaldi-native-fbank. `golden/README.md` says how theirs were made.

use std::fs;
use std::path::PathBuf;

use auricle_features::{FrontendSpec, LogMel, LogMelStream};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    spec: FrontendSpec,
}

fn golden(name: &str) -> PathBuf {
    std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"))
        .join("golden")
        .join(name)
}

fn signal() -> Vec<f32> {
    let bytes = fs::read(golden("signal.i16")).unwrap();
    let (pairs, _) = bytes.as_chunks::<2>();
    let samples = pairs
        .iter()
        .map(|&pair| f32::from(i16::from_le_bytes(pair)) / 32_768.0);
    samples.collect()
}

fn values(name: &str) -> Vec<f32> {
    let bytes = fs::read(golden(&format!("{name}.f32"))).unwrap();
    let (fours, _) = bytes.as_chunks::<4>();
    fours.iter().map(|&four| f32::from_le_bytes(four)).collect()
}

fn cases() -> Vec<Case> {
    serde_json::from_str(&fs::read_to_string(golden("cases.json")).unwrap()).unwrap()
}

#[test]
fn librosa_and_kaldi_agree_within_a_thousandth() {
    let samples = signal();
    for Case { name, spec } in cases() {
        let expected = values(&name);
        let frames = LogMel::new(&spec).unwrap().clip(&samples);
        assert_eq!(frames.values.len(), expected.len(), "{name}");
        let errors = frames
            .values
            .iter()
            .zip(&expected)
            .map(|(a, b)| (a - b).abs());
        let largest = errors.fold(0.0, f32::max);
        println!("{name}: {largest:.1e}");
        assert!(largest <= 1e-3, "{name}: off by {largest}");
    }
}

#[test]
fn a_stream_gives_the_golden_values_too() {
    let samples = signal();
    for Case { name, spec } in cases() {
        let mut stream = LogMelStream::new(LogMel::new(&spec).unwrap());
        let mut expected = values(&name).into_iter();
        for chunk in samples.chunks(777) {
            stream.push_with(chunk, |frame| {
                for value in frame {
                    let expected = expected.next().expect("as many values as were streamed");
                    assert!((value - expected).abs() <= 1e-3, "{name}");
                }
            });
        }
        assert_eq!(expected.next(), None, "{name}");
    }
}

#[test]
fn the_presets_are_the_front_ends_that_were_compared() {
    let named = |name: &str| {
        cases()
            .into_iter()
            .find(|case| case.name == name)
            .unwrap()
            .spec
    };
    assert_eq!(named("speech_16k"), FrontendSpec::speech_16k());
    assert_eq!(named("speech_16k_64"), FrontendSpec::speech_16k_64());
}
