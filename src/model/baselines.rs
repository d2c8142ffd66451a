//! The networks of `recipes/baselines` against the sizes that their papers and codes give.

use std::fs;
use std::path::PathBuf;

use super::{Cost, Genome, InputNorm, Ports, StreamNet};

fn folder() -> PathBuf {
    std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"))
        .join("recipes/baselines")
}

fn baseline(name: &str) -> Genome {
    let path = folder().join(name).with_extension("json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn ports(n_mels: usize, n_classes: usize) -> Ports {
    Ports {
        n_mels,
        n_classes,
        frames_per_1000_s: 100_000,
    }
}

fn n_params(name: &str, n_mels: usize, n_classes: usize) -> u64 {
    Cost::of(&baseline(name), &ports(n_mels, n_classes)).n_params
}

/// `bcresnet.py` of the authors counts 9,232 and 27,284 with 12 labels, 10.0 k and 28.8 k with 35.
#[test]
fn bc_resnets_are_of_the_published_size() {
    assert_eq!(n_params("bc-resnet-1", 40, 12), 9_232);
    assert_eq!(n_params("bc-resnet-2", 40, 12), 27_284);
    assert_eq!(n_params("bc-resnet-1", 40, 35), 9_232 + 23 * 33);
}

/// MLPerf Tiny's Keras model counts 24,908, among them nine normalisations' running statistics (2 * 64 each) and
/// a bias (64) before each, which a normalisation makes useless.
#[test]
fn ds_cnn_is_of_the_published_size_without_statistics_and_idle_biases() {
    assert_eq!(n_params("ds-cnn-s", 40, 12), 24_908 - 9 * 2 * 64 - 9 * 64);
}

/// The paper's 19.9 k are 19,905 by its code: seven convolutions without bias, normalised without gamma and beta.
#[test]
fn res8_narrow_is_of_the_published_size_and_gammas_and_betas() {
    assert_eq!(n_params("res8-narrow", 40, 12), 19_905 + 7 * 2 * 19);
}

/// The paper says 66 k. By its code: 65,168 trained values (no bias at the end), and 656 running statistics.
#[test]
fn tc_resnet8_is_of_the_published_size_and_a_bias() {
    let trained = n_params("tc-resnet8", 40, 12);
    assert_eq!(trained, 65_168 + 12);
    assert_eq!((trained + 656).div_ceil(1000), 66);
}

/// The paper says 77 k and 93 k for the 30 words of the first Speech Commands and 64 bands.
#[test]
fn matchboxnets_are_of_the_published_size() {
    assert_eq!(n_params("matchboxnet-3x1x64", 64, 30), 77_214);
    assert_eq!(n_params("matchboxnet-3x2x64", 64, 30), 92_766);
}

#[test]
fn every_baseline_is_sound_and_streams() {
    let mut n_found = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        n_found += 1;
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (genome, ports) = (baseline(&name), ports(40, 12));
        genome.validate().unwrap();
        let norm = InputNorm {
            mean: vec![0.0; ports.n_mels],
            inv_deviation: vec![1.0; ports.n_mels],
        };
        let weights = genome.init_weights(&ports, &norm, 1);
        let cost = Cost::of(&genome, &ports);
        assert_eq!(cost.n_params, weights.n_trainable(), "{name}");
        let mut stream = StreamNet::new(&genome, &ports, &weights).unwrap();
        assert_eq!(cost.state_bytes, stream.state_bytes(), "{name}");
        let logits = stream.step(&vec![1.0; ports.n_mels]).unwrap();
        assert!(logits.iter().all(|value| value.is_finite()), "{name}");
    }
    assert_eq!(n_found, 7);
}
