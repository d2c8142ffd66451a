//! Clips a second in training, per kind of network: forward, backward and AdamW on the CPU device, one thread,
//! batches of 64 clips of `[40, 98]`.

use auricle::model::{Genome, InputNorm, Network, Ports};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use divan::Bencher;
use divan::counter::ItemsCount;

const N_BATCH: usize = 64;
const PORTS: Ports = Ports {
    n_mels: 40,
    n_classes: 12,
    frames_per_1000_s: 100_000,
};

fn main() {
    divan::main();
}

#[divan::bench(sample_count = 10, args = [
    r#"{"kind": "residual", "n_channels": 24, "kernel_frames": 9, "stride_frames": 2}, {"kind": "residual", "n_channels": 32, "kernel_frames": 9, "stride_frames": 2}, {"kind": "residual", "n_channels": 48, "kernel_frames": 9, "stride_frames": 2}"#,
    r#"{"kind": "separable-conv1d", "n_channels": 128, "kernel_frames": 9, "stride_frames": 2}, {"kind": "separable-conv1d", "n_channels": 128, "kernel_frames": 9, "stride_frames": 1}"#,
    r#"{"kind": "svdf", "n_units": 128, "memory_frames": 8}"#,
    r#"{"kind": "gru", "n_units": 64}"#,
])]
fn clips(bencher: Bencher, blocks: &str) {
    let device = Device::flex().autodiff();
    let text = format!(
        r#"{{"stem": {{"n_channels": 16, "kernel_frames": 3, "stride_frames": 1}}, "blocks": [{blocks}],
             "head": {{"kind": "mean", "window_frames": 98}}}}"#
    );
    let genome: Genome = serde_json::from_str(&text).expect("a bench's genome");
    let norm = InputNorm {
        mean: vec![0.0; PORTS.n_mels],
        inv_deviation: vec![1.0; PORTS.n_mels],
    };
    let weights = genome.init_weights(&PORTS, &norm, 1);
    let mut network =
        Some(Network::load(&genome, &PORTS, &weights, &device).expect("a bench's network"));
    let mut optimizer = AdamWConfig::new().init();
    let n_values = N_BATCH * PORTS.n_mels * 98;
    let values: Vec<f32> = (0..n_values)
        .map(|i| ((i * 7919) % 997) as f32 / 500.0 - 1.0)
        .collect();
    bencher.counter(ItemsCount::new(N_BATCH)).bench_local(|| {
        let data = TensorData::new(values.clone(), [N_BATCH, PORTS.n_mels, 98]);
        let model = network.take().expect("put back below");
        let loss = model
            .forward(Tensor::<3>::from_data(data, &device))
            .square()
            .mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        network = Some(optimizer.step(1e-3, model, gradients));
    });
}
