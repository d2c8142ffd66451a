//! What one frame costs the stepping network, per kind of network, on one core.
//!
//! `cargo bench --bench stream_step`; a frame comes every 10 ms, so 10 us a frame is a real-time factor of 0.001.

use auricle::model::{Genome, InputNorm, Ports, StreamNet};
use divan::{Bencher, black_box};

const PORTS: Ports = Ports {
    n_mels: 40,
    n_classes: 12,
    frames_per_1000_s: 100_000,
};

fn main() {
    divan::main();
}

fn network(blocks: &str) -> StreamNet {
    let text = format!(
        r#"{{"stem": {{"n_channels": 32, "kernel_frames": 3, "stride_frames": 2}}, "blocks": [{blocks}],
             "head": {{"kind": "mean", "window_frames": 98}}}}"#
    );
    let genome: Genome = serde_json::from_str(&text).expect("a bench's genome");
    let norm = InputNorm {
        mean: vec![-6.0; PORTS.n_mels],
        inv_deviation: vec![0.3; PORTS.n_mels],
    };
    let weights = genome.init_weights(&PORTS, &norm, 1);
    StreamNet::new(&genome, &PORTS, &weights).expect("a bench's network")
}

#[divan::bench(args = [
    r#"{"kind": "residual", "n_channels": 48, "kernel_frames": 9, "stride_frames": 2}, {"kind": "residual", "n_channels": 64, "kernel_frames": 9, "stride_frames": 2}"#,
    r#"{"kind": "separable-conv1d", "n_channels": 128, "kernel_frames": 9, "stride_frames": 2}, {"kind": "separable-conv1d", "n_channels": 128, "kernel_frames": 9, "stride_frames": 1}"#,
    r#"{"kind": "svdf", "n_units": 128, "memory_frames": 8}, {"kind": "svdf", "n_units": 128, "memory_frames": 8}"#,
    r#"{"kind": "gru", "n_units": 96}"#,
])]
fn four_frames(bencher: Bencher, blocks: &str) {
    let mut network = network(blocks);
    let frame = vec![-5.0_f32; PORTS.n_mels];
    bencher.bench_local(|| {
        for _ in 0..4 {
            black_box(network.step(black_box(&frame)));
        }
    });
}
