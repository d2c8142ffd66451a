//! What the two forms of a network owe each other, for every block kind.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::blocks::conv1d::Conv1dSpec;
use super::blocks::examples::blocks;
use super::head::examples::heads;
use super::stream_net::NetworkError;
use super::wiring::{WiringNet, WiringStep};
use super::{Block, Cost, Genome, Head, InputNorm, Lengths, Network, Ports, StreamNet};
use super::{Port, Weights, WeightsError};

const PORTS: Ports = Ports {
    n_mels: 10,
    n_classes: 5,
    frames_per_1000_s: 100_000,
};

fn genome(blocks: Vec<Block>, stem_stride: usize, head: Head) -> Genome {
    Genome {
        stem: Some(Conv1dSpec {
            n_channels: 6,
            kernel_frames: 3,
            stride_frames: stem_stride,
        }),
        blocks,
        head,
    }
}

/// One genome a kind behind a stem and one on the features themselves, mixtures of several kinds, those that stream
/// apart from all, and every head with windows shorter than the clip.
fn genomes() -> Vec<Genome> {
    genomes_mixed_of(&blocks())
}

/// The same with mixtures of those blocks only.
fn genomes_mixed_of(blocks_to_mix: &[Block]) -> Vec<Genome> {
    let mean = Head::Mean { window_frames: 20 };
    let statistics = Head::Statistics { window_frames: 33 };
    let mut all: Vec<Genome> = Vec::new();
    for block in blocks() {
        all.push(genome(vec![block], 1, mean));
        all.push(without_stem(vec![block], mean));
    }
    let streams = |block: &Block| genome(vec![*block], 1, mean).streams();
    let streaming: Vec<Block> = blocks_to_mix.iter().copied().filter(streams).collect();
    for mixed in [blocks_to_mix.to_vec(), streaming] {
        for some in mixed.chunks(6) {
            all.push(genome(some.to_vec(), 1, statistics));
        }
        let backwards: Vec<Block> = mixed.into_iter().rev().collect();
        for some in backwards.chunks(7) {
            all.push(genome(some.to_vec(), 2, mean));
            all.push(without_stem(some.to_vec(), statistics));
        }
    }
    for head in heads() {
        all.push(genome(vec![], 1, head));
        all.push(genome(blocks_to_mix[1..4].to_vec(), 1, head));
    }
    all
}

fn without_stem(blocks: Vec<Block>, head: Head) -> Genome {
    Genome {
        stem: None,
        ..genome(blocks, 1, head)
    }
}

/// Those of [`genomes`] that have a stepping form.
fn streaming_genomes() -> impl Iterator<Item = Genome> {
    genomes().into_iter().filter(Genome::streams)
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
    for genome in streaming_genomes() {
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
fn a_block_alone_steps_to_what_it_says_of_the_whole_clip_at_every_frame() {
    for block in blocks() {
        let wiring = block.wiring(Port::bands(PORTS.n_mels));
        if !wiring.streams() {
            continue;
        }
        let alone = Genome {
            stem: None,
            ..genome(vec![block], 1, Head::Mean { window_frames: 1 })
        };
        let weights = weights(&alone, 5);
        let net = WiringNet::load(&wiring, "blocks.0", &weights, &Device::flex()).unwrap();
        let mut stream = WiringStep::load(&wiring, "blocks.0", &weights).unwrap();
        let frames = features(61, 9);
        let clip = TensorData::new(frames.clone(), [1, 61, PORTS.n_mels]);
        let clip = Tensor::<3>::from_data(clip, &Device::flex()).swap_dims(1, 2);
        let whole = net.forward(clip, None).swap_dims(1, 2).into_data();
        let whole: Vec<f32> = whole.iter().collect();
        let mut whole = whole.chunks(wiring.output().n_values());
        for (i, frame) in frames.chunks(PORTS.n_mels).enumerate() {
            let Some(said) = stream.step(frame) else {
                continue;
            };
            let expected = whole.next().expect("as many answers as the clip's");
            for (said, expected) in said.iter().zip(expected) {
                let difference = (said - expected).abs();
                assert!(
                    difference <= 1e-5 * expected.abs().max(1.0),
                    "{block} at frame {i}: {said} {expected}"
                );
            }
        }
        assert_eq!(whole.count(), 0, "{block}: as many answers as the stream's");
    }
}

#[test]
fn kinds_that_read_their_future_are_known_and_refuse_to_listen() {
    let mut found = Vec::new();
    for genome in genomes().into_iter().filter(|genome| !genome.streams()) {
        let error = StreamNet::new(&genome, &PORTS, &weights(&genome, 5)).unwrap_err();
        let refused = matches!(
            error,
            NetworkError::Weights(WeightsError::CannotStream { .. })
        );
        assert!(refused, "{genome}: {error}");
        if let [block] = genome.blocks[..] {
            found.push(block.kind());
        }
    }
    found.dedup(); // each with and without a stem
    assert_eq!(found, ["bilstm", "full-transformer"]);
}

#[test]
fn padding_behind_a_clip_changes_no_answer() {
    for genome in genomes() {
        let weights = weights(&genome, 7);
        let network = Network::load(&genome, &PORTS, &weights, &Device::flex()).unwrap();
        let (n_long, n_short) = (47, 29);
        let (long, mut short) = (features(n_long, 2), features(n_short, 3));
        let expected = [clip_logits(&network, &long), clip_logits(&network, &short)].concat();
        short.resize(long.len(), 1e3);
        let data = TensorData::new([long, short].concat(), [2, n_long, PORTS.n_mels]);
        let input = Tensor::<3>::from_data(data, &Device::flex()).swap_dims(1, 2);
        let lengths = Lengths::new(vec![n_long, n_short]);
        let found = network.forward_padded(input, Some(&lengths)).into_data();
        for (found, expected) in found.iter::<f32>().zip(expected) {
            assert!(
                (found - expected).abs() <= 1e-5,
                "{genome}: {found} {expected}"
            );
        }
    }
}

#[test]
fn a_reset_stream_says_the_same_again() {
    for genome in streaming_genomes() {
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
        if !genome.streams() {
            continue;
        }
        let stream = StreamNet::new(&genome, &PORTS, &weights).unwrap();
        assert_eq!(cost.state_bytes, stream.state_bytes(), "{genome}");
        assert_eq!(cost.latency_frames + 1, stream.jump_frames(), "{genome}");
        let wirings = genome.wirings(PORTS.n_mels);
        let blocks = wirings.iter().map(|(_, wiring)| wiring.n_state_values());
        let n_features = genome.features_port(PORTS.n_mels).n_values();
        let head = genome.head.n_state_values(n_features, stream.jump_frames());
        let n_state_values = blocks.sum::<u64>() + head;
        assert_eq!(cost.state_bytes, 4 * n_state_values, "{genome}");
    }
}

#[test]
fn what_lies_before_the_receptive_field_changes_nothing_and_its_first_frame_does() {
    // Alone, and behind one another, where the way of a first frame is not too thin for 32 bits, as it is behind several of
    // those whose last group hears through all others.
    let is_thin = |block: &Block| matches!(block, Block::SeRes2(_) | Block::ProjectedSvdf(_));
    let wide: Vec<Block> = blocks().into_iter().filter(|it| !is_thin(it)).collect();
    let genomes = genomes_mixed_of(&wide).into_iter();
    for genome in genomes.filter(Genome::streams) {
        let cost = Cost::of(&genome, &PORTS);
        let Some(field) = cost.receptive_field_frames else {
            continue;
        };
        let n_frames =
            field + 40 + (cost.latency_frames + 1 - (field + 40) % (cost.latency_frames + 1)) + 1;
        // Whether the last answer moves when one frame does, counted back from that answer.
        let moves = |seed: u64, n_back: usize| {
            let weights = weights(&genome, seed);
            let last_answer = |by: f32| {
                let mut stream = StreamNet::new(&genome, &PORTS, &weights).unwrap();
                let at = n_frames - 1 - (n_frames - 1) % stream.jump_frames();
                let mut frames = features(at + 1, 8);
                let changed = at - n_back;
                for value in &mut frames[changed * PORTS.n_mels..(changed + 1) * PORTS.n_mels] {
                    *value += by;
                }
                let frames = frames.chunks(PORTS.n_mels);
                let answers = frames.filter_map(|frame| stream.step(frame).map(<[f32]>::to_vec));
                answers.last()
            };
            let before = last_answer(0.0);
            // One change may die in a ReLU on the one way that leads from the first frame to the answer.
            let mut changes = [30.0, -30.0, 5.0, -5.0].into_iter();
            changes.any(|by| last_answer(by) != before)
        };
        assert!(!moves(2, field), "{genome}: {field} frames");
        // Or under one draw of weights, behind several of them.
        assert!(
            (2..10).any(|seed| moves(seed, field - 1)),
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
