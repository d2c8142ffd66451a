//! Clips a second in training, per kind of network: forward, backward and AdamW on the CPU device, one thread,
//! batches of 64 clips of `[40, 98]`.
//!
//! `cargo bench --bench train_step` shows a table. With `--measure KIND SECONDS` after `--`, one line of JSON says the
//! clips per second of CPU time and the losses of the first steps, and with a file name after that the first weights
//! are left there; `benches/pytorch/compare.py` holds that line against the same training in PyTorch.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use auricle::model::ops::adamw::AdamWSpec;
use auricle::model::ops::memory::keep_freed_memory;
use auricle::model::{Genome, InputNorm, Network, Ports, Weights};
use auricle::search::trainer::cross_entropy;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use divan::Bencher;
use divan::counter::ItemsCount;

const N_BATCH: usize = 64;
const N_FRAMES: usize = 98;
const PORTS: Ports = Ports {
    n_mels: 40,
    n_classes: 12,
    frames_per_1000_s: 100_000,
};
/// Steps whose losses are shown.
const N_LOSSES: usize = 10;
/// The networks of both sides of the comparison.
const NETWORKS: &str = include_str!("pytorch/networks.json");

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().position(|word| word == "--measure") {
        Some(at) => println!("{}", measure(&words[at + 1..])),
        None => divan::main(),
    }
}

#[divan::bench(sample_count = 10, args = networks().into_keys())]
fn clips(bencher: Bencher, kind: &str) {
    let mut training = Training::new(&networks()[kind]);
    bencher
        .counter(ItemsCount::new(N_BATCH))
        .bench_local(|| training.step());
}

fn networks() -> BTreeMap<String, Genome> {
    serde_json::from_str(NETWORKS).expect("the networks of the benches")
}

/// A training in the middle of its way.
struct Training {
    first_weights: Weights,
    network: Option<Network>,
    optimizer: ModuleOptimizer,
    frames: Vec<f32>,
    targets: Vec<f32>,
    device: Device,
}

impl Training {
    fn new(genome: &Genome) -> Self {
        keep_freed_memory();
        let device = Device::flex().autodiff();
        let norm = InputNorm {
            mean: vec![0.0; PORTS.n_mels],
            inv_deviation: vec![1.0; PORTS.n_mels],
        };
        let first_weights = genome.init_weights(&PORTS, &norm, 1);
        let network =
            Network::load(genome, &PORTS, &first_weights, &device).expect("a bench's network");
        // The same numbers are made in `compare.py`.
        let frames = (0..N_BATCH * PORTS.n_mels * N_FRAMES)
            .map(|i| ((i * 7919) % 997) as f32 / 500.0 - 1.0)
            .collect();
        let mut targets = vec![0.1 / PORTS.n_classes as f32; N_BATCH * PORTS.n_classes];
        for (row, target) in targets.chunks_exact_mut(PORTS.n_classes).enumerate() {
            target[row * 7 % PORTS.n_classes] += 0.9;
        }
        Self {
            first_weights,
            network: Some(network),
            optimizer: AdamWSpec {
                beta_1: 0.9,
                beta_2: 0.999,
                // Large beside gradients that are all rounding, of which AdamW would make steps of full length.
                epsilon: 1e-4,
                weight_decay: 1e-2,
            }
            .init(),
            frames,
            targets,
            device,
        }
    }

    /// Forward, backward, update.
    fn step(&mut self) -> Tensor<1> {
        let network = self.network.take().expect("put back below");
        let tensor = |values: &[f32], shape: [usize; 3]| {
            Tensor::<3>::from_data(TensorData::new(values.to_vec(), shape), &self.device)
        };
        let frames = tensor(&self.frames, [N_BATCH, PORTS.n_mels, N_FRAMES]);
        let targets = tensor(&self.targets, [1, N_BATCH, PORTS.n_classes]).squeeze_dim::<2>(0);
        let loss = cross_entropy(network.forward(frames), targets);
        let value = loss.clone().detach().inner();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        self.network = Some(self.optimizer.step(1e-3, network, gradients));
        value
    }
}

/// One line of JSON; `words` are the kind of network, seconds to measure for and perhaps a file for the first weights.
fn measure(words: &[String]) -> String {
    let networks = networks();
    let usage = "expected: --measure KIND SECONDS [WEIGHTS-FILE]";
    let genome = &networks[words.first().expect(usage)];
    let seconds: f64 = words
        .get(1)
        .and_then(|word| word.parse().ok())
        .expect(usage);
    let mut training = Training::new(genome);
    if let Some(path) = words.get(2) {
        std::fs::write(Path::new(path), training.first_weights.to_bytes()).expect("a new file");
    }
    // They also warm the caches up.
    let losses: Vec<f32> = (0..N_LOSSES)
        .map(|_| training.step().into_scalar::<f32>())
        .collect();
    let clock = Instant::now();
    let start = cpu_seconds().unwrap_or(0.0);
    let mut n_steps = 0;
    while clock.elapsed().as_secs_f64() < seconds {
        training.step();
        n_steps += 1;
    }
    let wall = clock.elapsed().as_secs_f64();
    let spent = cpu_seconds().map_or(wall, |end| end - start);
    serde_json::json!({
        "network": words[0],
        "clips_per_s": (n_steps * N_BATCH) as f64 / spent,
        "n_steps": n_steps,
        "losses": losses,
    })
    .to_string()
}

/// What the scheduler gave to this thread so far. `None` where the system does not say.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanoseconds * 1e-9)
}
