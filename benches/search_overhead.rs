//! What a proposal costs, beside trials that take seconds: the default controller after 1,000 trials.

use auricle::search::{ControllerSpec, Observation, SpaceSpec};
use divan::Bencher;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn main() {
    divan::main();
}

fn space() -> SpaceSpec {
    serde_json::from_value(serde_json::json!({
        "depth": [1, 6],
        "stem": {"n_channels": [16, 32], "kernel_frames": [3, 5], "stride_frames": [1, 2]},
        "blocks": [
            {"kind": "conv1d", "n_channels": [32, 64], "kernel_frames": [3, 5], "stride_frames": [1, 2]},
            {"kind": "residual", "n_channels": [32, 64], "kernel_frames": [3, 9], "stride_frames": [1, 2]},
            {"kind": "svdf", "n_units": [64, 128], "memory_frames": [4, 8]},
        ],
        "heads": [{"kind": "mean", "window_frames": [98]}],
        "limits": {},
    }))
    .expect("a bench's space")
}

#[divan::bench(args = [1_000, 100_000])]
fn proposal_after_trials(bencher: Bencher, n_trials: u64) {
    let space = space();
    let spec = ControllerSpec::CoordinateDescent {
        beam_size: 5,
        grow_probability: 0.9,
        vary_probability: 0.5,
        trials_per_depth: 5,
    };
    let mut controller = spec.build(&space);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for number in 0..n_trials {
        controller.observe(&Observation {
            number,
            genome: space.draw_genome(3, &mut rng),
            loss: Some(1.0 / (1.0 + number as f64)),
        });
    }
    bencher.bench_local(|| controller.propose(&mut rng));
}
