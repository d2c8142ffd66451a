//! Blocks over bands and time, bottlenecks, pooling and the attentive head against PyTorch: `spectral_golden.json`
//! is what `spectral_golden.py` beside it printed, and says with which version.

use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::head::HeadNet;
use super::wiring::WiringNet;
use super::{Block, Head, Port, Weights};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    made_with: String,
    n_frames: usize,
    blocks: Vec<BlockCase>,
    head: HeadCase,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BlockCase {
    block: Block,
    n_channels: usize,
    n_bands: usize,
    values: Vec<f32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadCase {
    head: Head,
    n_features: usize,
    values: Vec<f32>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("spectral_golden.json")).unwrap()
}

/// The rule by which both sides fill a tensor of that name.
fn pattern(name: &str, n: usize) -> Vec<f32> {
    let seed: usize = name.bytes().map(usize::from).sum();
    let is_scale = name.ends_with("gamma") || name.ends_with("running_var");
    let middle = if is_scale { 1.0 } else { 0.0 };
    let value = |i: usize| ((i * 37 + seed * 11 + 5) % 97) as f64 / 97.0 - 0.5 + middle;
    (0..n).map(|i| value(i) as f32).collect()
}

fn fill(weights: &mut Weights) {
    for (name, tensor) in &mut weights.tensors {
        tensor.values = pattern(name, tensor.values.len());
    }
}

fn frames(n_values: usize, n_frames: usize) -> Tensor<3> {
    let values = pattern("frames", n_values * n_frames);
    let data = TensorData::new(values, [1, n_values, n_frames]);
    Tensor::from_data(data, &Device::flex())
}

fn check(found: TensorData, expected: &[f32], what: &str) {
    let found: Vec<f32> = found.iter::<f32>().collect();
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let tolerance = 2e-5 * (1.0 + expected.abs());
        let difference = (found - expected).abs();
        assert!(
            difference <= tolerance,
            "{what} at {i}: {found}, expected {expected}"
        );
    }
}

#[test]
fn blocks_give_what_pytorch_gives() {
    let golden = golden();
    for case in &golden.blocks {
        let port = Port {
            n_channels: case.n_channels,
            n_bands: case.n_bands,
        };
        let wiring = case.block.wiring(port);
        let mut weights = Weights::default();
        wiring.init("block", &mut weights, &mut ChaCha8Rng::seed_from_u64(0));
        fill(&mut weights);
        let net = WiringNet::load(&wiring, "block", &weights, &Device::flex()).unwrap();
        let output = net.forward(frames(port.n_values(), golden.n_frames), None);
        let what = format!("{} against {}", case.block, golden.made_with);
        check(output.into_data(), &case.values, &what);
    }
}

#[test]
fn the_attentive_head_gives_what_pytorch_gives() {
    let golden = golden();
    let HeadCase {
        head,
        n_features,
        values,
    } = &golden.head;
    let mut weights = Weights::default();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    head.init(*n_features, values.len(), &mut weights, &mut rng);
    fill(&mut weights);
    let device = Device::flex();
    let net = HeadNet::load(head, *n_features, values.len(), 1, &weights, &device).unwrap();
    let logits = net.forward(frames(*n_features, golden.n_frames), None);
    check(logits.into_data(), values, &head.to_string());
}
