//! What a genome costs, counted without building it: parameters, multiply-accumulates per second of
//! audio, receptive field, latency, streaming state. Tests hold each figure equal to the built network's.

use serde::{Deserialize, Serialize};

use super::genome::{Genome, Ports};
use super::layers::LayerShape;

/// The cost of one network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Trained values: weights, biases, gamma and beta; not running statistics.
    pub n_params: u64,
    /// Multiply-accumulates of the network per second of audio, streaming, normalisation folded.
    pub macs_per_second: u64,
    /// Feature frames that one answer can depend on; `None` where a recurrent block remembers without end.
    pub receptive_field_frames: Option<usize>,
    /// Most feature frames between a frame and the next answer that includes it.
    pub latency_frames: usize,
    /// Bytes that the stepping form remembers between frames.
    pub state_bytes: u64,
}

impl Cost {
    /// Counts a genome between these ports.
    pub fn of(genome: &Genome, ports: &Ports) -> Self {
        let mut tally = Tally::new(ports);
        let wirings = genome.wirings(ports.n_mels);
        for (_, wiring) in &wirings {
            wiring.account(&mut tally);
        }
        let n_features = genome.features_port(ports.n_mels).n_values();
        genome.head.account(n_features, ports.n_classes, &mut tally);
        Self {
            n_params: tally.n_params,
            macs_per_second: tally.macs_per_second.round() as u64,
            receptive_field_frames: tally.bounded.then_some(tally.reach_frames + 1),
            latency_frames: tally.jump_frames - 1,
            state_bytes: 4 * tally.n_state_values,
        }
    }
}

/// Adds up layers on the way from features to logits.
#[derive(Clone, Debug)]
pub struct Tally {
    frames_per_second: f64,
    n_params: u64,
    macs_per_second: f64,
    n_state_values: u64,
    /// Feature frames from one output of the last layer to the next.
    jump_frames: usize,
    /// Feature frames before its own that an output reads.
    reach_frames: usize,
    bounded: bool,
}

impl Tally {
    fn new(ports: &Ports) -> Self {
        Self {
            frames_per_second: ports.frames_per_1000_s as f64 / 1000.0,
            n_params: 0,
            macs_per_second: 0.0,
            n_state_values: 0,
            jump_frames: 1,
            reach_frames: 0,
            bounded: true,
        }
    }

    fn per_second(&self, macs_per_step: u64) -> f64 {
        macs_per_step as f64 * self.frames_per_second / self.jump_frames as f64
    }

    /// A layer on the main path.
    pub fn layer(&mut self, shape: &dyn LayerShape) {
        match shape.past_frames() {
            Some(past_frames) => self.reach_frames += past_frames * self.jump_frames,
            None => self.bounded = false,
        }
        self.jump_frames *= shape.stride_frames();
        self.side_layer(shape);
    }

    /// A layer beside the main path, whose outputs come at the main path's present rate.
    pub fn side_layer(&mut self, shape: &dyn LayerShape) {
        self.n_params += shape.n_params();
        self.n_state_values += shape.n_state_values();
        self.macs_per_second += self.per_second(shape.macs_per_step());
    }

    /// A window of the last `n_steps` frames of `n_channels`.
    pub fn window(&mut self, n_steps: usize, n_channels: usize) {
        self.n_state_values += (n_steps * n_channels) as u64;
        self.reach_frames += (n_steps - 1) * self.jump_frames;
    }

    /// Steps of the present rate that a window of feature frames holds, at least one.
    pub fn steps_in(&self, window_frames: usize) -> usize {
        window_frames.div_ceil(self.jump_frames).max(1)
    }
}
