//! What a proposal costs, beside trials that take seconds: one `ask` and one `tell`, for every controller after
//! 1,000 and after 100,000 trials, over a space of speech networks whose limits are checked.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use auricle::model::Ports;
use auricle::search::controllers::{Controller, ControllerSpec, Observation};
use auricle::search::domain::Point;
use auricle::search::space::{Space, SpaceSpec};
use divan::Bencher;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn main() {
    divan::main();
}

const PORTS: Ports = Ports {
    n_mels: 40,
    n_classes: 12,
    frames_per_1000_s: 100_000,
};

fn space() -> Space {
    let spec: SpaceSpec = serde_json::from_value(serde_json::json!({
        "depth": [2, 7],
        "stem": {"n_channels": [16, 32], "kernel_frames": [3, 5], "stride_frames": [1, 2]},
        "blocks": [
            {"kind": "conv1d", "n_channels": [32, 48, 64], "kernel_frames": [3, 5, 9], "stride_frames": [1, 2]},
            {"kind": "residual", "n_channels": [32, 48, 64], "kernel_frames": [3, 5, 9], "stride_frames": [1, 2]},
            {"kind": "separable-conv1d", "n_channels": [48, 64, 96], "kernel_frames": [5, 9], "stride_frames": [1, 2]},
            {"kind": "svdf", "n_units": [64, 128], "memory_frames": [4, 8]},
            {"kind": "gru", "n_units": [48, 64, 96]},
        ],
        "heads": [{"kind": "mean", "window_frames": [98]}, {"kind": "statistics", "window_frames": [98]}],
        "cells": {"blocks_per_cell": 8, "reduction": [
            {"kind": "conv1d", "n_channels": [64], "kernel_frames": [3], "stride_frames": [2]},
        ]},
        "limits": {"n_params": [0, 200_000], "macs_per_second": [0, 9_000_000]},
    }))
    .expect("a bench's space");
    spec.compile().expect("a sound space")
}

/// A search in the middle: the controller has been told that many trials.
struct Search {
    space: Space,
    controller: RefCell<Box<dyn Controller>>,
    tried: RefCell<HashSet<Point>>,
    number: Cell<u64>,
    rng: RefCell<ChaCha8Rng>,
}

impl Search {
    fn after(kind: &str, n_trials: u64) -> Self {
        let space = space();
        let presets = ControllerSpec::presets(space.domain());
        let spec = presets.iter().find(|spec| spec.kind() == kind);
        let controller = spec
            .expect("a kind")
            .build(space.domain())
            .expect("sound settings");
        let search = Self {
            space,
            controller: RefCell::new(controller),
            tried: RefCell::default(),
            number: Cell::new(0),
            rng: RefCell::new(ChaCha8Rng::seed_from_u64(1)),
        };
        for _ in 0..n_trials {
            let point = search.space.domain().draw(&mut *search.rng.borrow_mut());
            search.tell(point, None);
        }
        search
    }

    /// The loss falls with size and has noise.
    fn tell(&self, point: Point, parent: Option<u64>) {
        let noise: f64 = self.rng.borrow_mut().random_range(0.0..0.3);
        let sum: u32 = point.parts.iter().map(|option| option % 17).sum();
        self.controller.borrow_mut().tell(&Observation {
            number: self.number.replace(self.number.get() + 1),
            point: point.clone(),
            parent,
            outcome: Some(1.0 / f64::from(1 + sum) + noise),
            costs: vec![f64::from(sum)],
        });
        self.tried.borrow_mut().insert(point);
    }

    fn trial(&self) {
        let tried = self.tried.borrow();
        let admit = |point: &Point| {
            !tried.contains(point) && self.space.admits(&self.space.genome(point), &PORTS)
        };
        let proposal = self
            .controller
            .borrow_mut()
            .ask(&admit, &mut self.rng.borrow_mut())
            .expect("a large space");
        drop(tried);
        self.tell(proposal.point, proposal.parent);
    }
}

#[divan::bench(
    args = ["surrogate", "random", "coordinate-descent", "constrained-descent", "identity", "linear-model",
        "harmonica", "evolution", "local-search", "pareto"],
    consts = [1_000, 100_000],
    sample_count = 200,
    sample_size = 1
)]
fn trial_after<const N_TRIALS: u64>(bencher: Bencher, kind: &str) {
    let search = Search::after(kind, N_TRIALS);
    search.trial(); // what was told at once is learned at once, here
    bencher.bench_local(|| search.trial());
}
