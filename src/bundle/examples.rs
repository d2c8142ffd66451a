//! Bundles for tests: any genome, weights from a seed.

use std::collections::BTreeMap;

use auricle_features::FrontendSpec;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Bundle, DetectorSpec, Member, Storage};
use crate::model::stream_net::NetworkError;
use crate::model::{Genome, NamedTensor, Ports, StreamNet, Weights, WeightsError};

/// Weights that fit a genome, by asking it for what is missing: every kind of block, known or to come.
pub(crate) fn weights(genome: &Genome, ports: &Ports, seed: u64) -> Weights {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut weights = Weights::default();
    loop {
        match StreamNet::new(genome, ports, &weights) {
            Ok(_) => return weights,
            Err(NetworkError::Weights(WeightsError::Missing { name })) => {
                let tensor = NamedTensor {
                    shape: vec![],
                    values: vec![0.0],
                };
                weights.tensors.insert(name, tensor);
            }
            Err(NetworkError::Weights(WeightsError::WrongShape { name, expected, .. })) => {
                let n: usize = expected.iter().product();
                let values = (0..n)
                    .map(|_| random_value(&name, n, &expected, &mut rng))
                    .collect();
                let tensor = NamedTensor {
                    shape: expected,
                    values,
                };
                weights.tensors.insert(name, tensor);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Of a size that keeps signals alive and answers undecided.
pub(crate) fn random_value(name: &str, n: usize, shape: &[usize], rng: &mut ChaCha8Rng) -> f32 {
    if name == "input.mean" {
        return rng.random_range(-9.0..-5.0);
    }
    if name == "input.inv_deviation" || name.ends_with("var") || name.ends_with("gamma") {
        return rng.random_range(0.3..1.5);
    }
    let fan_in = if name.starts_with("head") {
        shape[0]
    } else {
        n / shape[0]
    };
    let bound = 2.5 / (fan_in as f32).sqrt();
    rng.random_range(-bound..bound)
}

pub(crate) fn genome(json: &str) -> Genome {
    serde_json::from_str(json).expect("an example genome")
}

/// A strided residual network, 98 frames of memory.
pub(crate) fn residual() -> Genome {
    genome(
        r#"{"stem":{"n_channels":8,"kernel_frames":3,"stride_frames":2},
            "blocks":[{"kind":"residual","n_channels":10,"kernel_frames":5,"stride_frames":2}],
            "head":{"kind":"mean","window_frames":98}}"#,
    )
}

/// A recurrent network whose answers come every third frame.
pub(crate) fn recurrent() -> Genome {
    genome(
        r#"{"stem":{"n_channels":6,"kernel_frames":4,"stride_frames":3},
            "blocks":[{"kind":"gru","n_units":7},{"kind":"svdf","n_units":8,"memory_frames":5}],
            "head":{"kind":"statistics","window_frames":40}}"#,
    )
}

/// Four labels, one second, members of the given genomes with weights 1, 2, 3, ...
pub(crate) fn bundle(genomes: &[Genome], seed: u64) -> Bundle {
    let mut bundle = Bundle {
        title: "Two words, random weights".into(),
        frontend: FrontendSpec::speech_16k(),
        labels: ["yes", "no", "_unknown_", "_silence_"]
            .map(String::from)
            .to_vec(),
        members: vec![],
        mixture: None,
        detector: DetectorSpec {
            threshold: 0.4,
            thresholds: BTreeMap::new(),
            smoothing_ms: 200,
            min_consecutive: 2,
            refractory_ms: 300,
            warmup_ms: 500,
            voice_threshold: None,
        },
        languages: None,
        clip_ms: 1000,
        whole_clips_ms: None,
        storage: Storage::F32,
        provenance: BTreeMap::from([("made by".into(), "a test".into())]),
    };
    let ports = bundle.ports();
    for (i, genome) in genomes.iter().enumerate() {
        bundle.members.push(Member {
            genome: genome.clone(),
            weights: weights(genome, &ports, seed + i as u64),
            weight: (i + 1) as f32,
        });
    }
    bundle
}
