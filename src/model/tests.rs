//! What the two forms of a network owe each other, for every block kind.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::blocks::conv1d::Conv1dSpec;
use super::blocks::examples::blocks;
use super::{Block, Cost, Genome, Head, InputNorm, Network, Ports, StreamNet, Weights};

const PORTS: Ports = Ports {
    n_mels: 10,
    n_classes: 5,
    frames_per_1000_s: 100_000,
};

fn genome(blocks: Vec<Block>, stem_stride: usize, head: Head) -> Genome {
    Genome {
        stem: Conv1dSpec {
            n_channels: 6,
            kernel_frames: 3,
            stride_frames: stem_stride,
        },
        blocks,
        head,
    }
}

/// One genome a kind, two that mix all kinds, and both heads with windows shorter than the clip.
fn genomes() -> Vec<Genome> {
    let mean = Head::Mean { window_frames: 20 };
    let statistics = Head::Statistics { window_frames: 33 };
    let mut all: Vec<Genome> = blocks()
        .into_iter()
        .map(|block| genome(vec![block], 1, mean))
        .collect();
    all.push(genome(blocks(), 1, statistics));
    all.push(genome(blocks().into_iter().rev().collect(), 2, mean));
    all
}

fn norm() -> InputNorm {
    InputNorm {
        mean: (0..PORTS.n_mels)
            .map(|band| band as f32 * 0.3 - 1.0)
            .collect(),
        inv_deviation: (0..PORTS.n_mels)
            .map(|band| 0.3 + band as f32 * 0.05)
            .collect(),
    }
}

/// First weights, with statistics and offsets moved away from zero and one so that they count.
fn weights(genome: &Genome, seed: u64) -> Weights {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 77);
    let mut weights = genome.init_weights(&PORTS, &norm(), seed);
    for (name, tensor) in &mut weights.tensors {
        if name.contains("norm.") || name.contains("b_") || name.ends_with("bias") {
            let low = if name.ends_with("var") || name.ends_with("gamma") {
                0.6
            } else {
                -0.4
            };
            for value in &mut tensor.values {
                *value = low + rng.random_range(0.0..0.8);
            }
        }
    }
    weights
}

fn features(n_frames: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n_frames * PORTS.n_mels)
        .map(|_| rng.random_range(-4.0..2.0))
        .collect()
}

/// Whole-clip logits of the first `n_frames` frames (frame-major).
fn clip_logits(network: &Network, frames: &[f32]) -> Vec<f32> {
    let n_frames = frames.len() / PORTS.n_mels;
    let data = TensorData::new(frames.to_vec(), [1, n_frames, PORTS.n_mels]);
    let input = Tensor::<3>::from_data(data, &Device::flex()).swap_dims(1, 2);
    network
        .forward(input)
        .into_data()
        .try_to_vec::<f32>()
        .unwrap()
}

#[test]
fn at_every_frame_the_stream_says_what_the_clip_so_far_says() {
    for genome in genomes() {
        let weights = weights(&genome, 5);
        let network = Network::load(&genome, &PORTS, &weights, &Device::flex()).unwrap();
        let mut stream = StreamNet::new(&genome, &PORTS, &weights).unwrap();
        let frames = features(61, 9);
        for (i, frame) in frames.chunks(PORTS.n_mels).enumerate() {
            let emits = i % stream.jump_frames() == 0;
            let said = stream.step(frame).map(<[f32]>::to_vec);
            assert_eq!(said.is_some(), emits, "{genome} at frame {i}");
            if let Some(said) = said {
                let expected = clip_logits(&network, &frames[..(i + 1) * PORTS.n_mels]);
                for (said, expected) in said.iter().zip(&expected) {
                    let difference = (said - expected).abs();
                    assert!(
                        difference <= 1e-5,
                        "{genome} at frame {i}: {said} {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_reset_stream_says_the_same_again() {
    for genome in genomes() {
        let weights = weights(&genome, 6);
        let mut stream = StreamNet::new(&genome, &PORTS, &weights).unwrap();
        let frames = features(40, 3);
        let mut run = || -> Vec<Option<Vec<f32>>> {
            stream.reset();
            let frames = frames.chunks(PORTS.n_mels);
            frames
                .map(|frame| stream.step(frame).map(<[f32]>::to_vec))
                .collect()
        };
        assert_eq!(run(), run(), "{genome}");
    }
}

#[test]
fn costs_counted_in_advance_equal_the_built_networks() {
    for genome in genomes() {
        let cost = Cost::of(&genome, &PORTS);
        let weights = weights(&genome, 1);
        assert_eq!(cost.n_params, weights.n_trainable(), "{genome}");
        let stream = StreamNet::new(&genome, &PORTS, &weights).unwrap();
        assert_eq!(cost.state_bytes, stream.state_bytes(), "{genome}");
        assert_eq!(cost.latency_frames + 1, stream.jump_frames(), "{genome}");
    }
}

#[test]
fn what_lies_before_the_receptive_field_changes_nothing_and_its_first_frame_does() {
    for genome in genomes() {
        let cost = Cost::of(&genome, &PORTS);
        let Some(field) = cost.receptive_field_frames else {
            continue;
        };
        let weights = weights(&genome, 2);
        let n_frames =
            field + 40 + (cost.latency_frames + 1 - (field + 40) % (cost.latency_frames + 1)) + 1;
        let last_answer = |changed: Option<usize>| {
            let mut frames = features(n_frames, 8);
            if let Some(changed) = changed {
                for value in &mut frames[changed * PORTS.n_mels..(changed + 1) * PORTS.n_mels] {
                    *value += 30.0;
                }
            }
            let mut stream = StreamNet::new(&genome, &PORTS, &weights).unwrap();
            let mut last = (0, Vec::new());
            for (i, frame) in frames.chunks(PORTS.n_mels).enumerate() {
                if let Some(logits) = stream.step(frame) {
                    last = (i, logits.to_vec());
                }
            }
            last
        };
        let (at, before) = last_answer(None);
        assert_eq!(
            last_answer(Some(at - field)).1,
            before,
            "{genome}: {field} frames"
        );
        assert_ne!(
            last_answer(Some(at + 1 - field)).1,
            before,
            "{genome}: {field} frames"
        );
    }
}

#[test]
fn weights_survive_a_way_through_the_trainable_network() {
    for genome in genomes() {
        let weights = weights(&genome, 3);
        let network = Network::load(&genome, &PORTS, &weights, &Device::flex()).unwrap();
        assert_eq!(network.store(&genome, &PORTS), weights, "{genome}");
    }
}

#[test]
fn every_trainable_weight_gets_a_gradient() {
    use burn::optim::GradientsParams;
    let device = Device::flex().autodiff();
    for genome in genomes() {
        let weights = weights(&genome, 4);
        let network = Network::load(&genome, &PORTS, &weights, &device).unwrap();
        let data = TensorData::new(features(3 * 24, 4), [3, PORTS.n_mels, 24]);
        let logits = network.forward(Tensor::from_data(data, &device));
        let gradients = GradientsParams::from_grads(logits.square().mean().backward(), &network);
        let n_buffers = weights
            .tensors
            .keys()
            .filter(|name| super::weights::is_buffer(name))
            .count();
        assert_eq!(
            gradients.len(),
            weights.tensors.len() - n_buffers,
            "{genome}"
        );
    }
}
