//! From frames to one answer: pooling over a bounded window of the past, then one matrix.
//!
//! The window is bounded so that a stream forgets: at every step the answer speaks of the last
//! `window_frames` feature frames, fewer at the start.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::cost::Tally;
use super::genome::{GenomeError, MAX_FRAMES, check_range};
use super::layers::linear::{LinearShape, LinearStep};
use super::layers::{History, add_scaled};
use super::weights::{Weights, WeightsError};

/// Added to a variance before its root.
const VARIANCE_FLOOR: f32 = 1e-5;

/// How frames become one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Head {
    /// The mean of each channel.
    Mean { window_frames: usize },
    /// The mean and the standard deviation of each channel (Snyder et al. 2018).
    Statistics { window_frames: usize },
}

impl Head {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "window_frames", self.window_frames(), MAX_FRAMES)
    }

    /// Feature frames that one answer pools.
    pub fn window_frames(&self) -> usize {
        match self {
            Self::Mean { window_frames } | Self::Statistics { window_frames } => *window_frames,
        }
    }

    fn has_deviation(&self) -> bool {
        matches!(self, Self::Statistics { .. })
    }

    fn classifier(&self, n_channels: usize, n_classes: usize) -> LinearShape {
        LinearShape {
            n_in: n_channels * if self.has_deviation() { 2 } else { 1 },
            n_out: n_classes,
            bias: true,
        }
    }

    pub(crate) fn account(&self, n_channels: usize, n_classes: usize, tally: &mut Tally) {
        tally.window(tally.steps_in(self.window_frames()), n_channels);
        tally.linear(&self.classifier(n_channels, n_classes));
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean { window_frames } => write!(f, "mean {window_frames}"),
            Self::Statistics { window_frames } => write!(f, "statistics {window_frames}"),
        }
    }
}

/// The stepping form.
#[derive(Clone, Debug)]
pub struct HeadStep {
    has_deviation: bool,
    window: History,
    n_window: usize,
    n_seen: usize,
    pooled: Vec<f32>,
    classifier: LinearStep,
}

impl HeadStep {
    /// `jump_frames`: feature frames from one step to the next.
    pub fn load(
        head: &Head,
        n_channels: usize,
        n_classes: usize,
        jump_frames: usize,
        weights: &Weights,
    ) -> Result<Self, WeightsError> {
        let n_window = head.window_frames().div_ceil(jump_frames).max(1);
        let shape = head.classifier(n_channels, n_classes);
        Ok(Self {
            has_deviation: head.has_deviation(),
            window: History::new(n_window, n_channels),
            n_window,
            n_seen: 0,
            pooled: vec![0.0; shape.n_in],
            classifier: LinearStep::load(shape, "head.classifier", weights)?,
        })
    }

    /// Takes one frame `[n_channels]`, leaves `[n_classes]` logits in `output`.
    pub fn step(&mut self, frame: &[f32], output: &mut [f32]) {
        self.window.push(frame);
        self.n_seen = (self.n_seen + 1).min(self.n_window);
        let share = 1.0 / self.n_seen as f32;
        let seen = self.n_window - self.n_seen..self.n_window;
        let (mean, deviation) = self.pooled.split_at_mut(frame.len());
        mean.fill(0.0);
        for i in seen.clone() {
            add_scaled(mean, share, self.window.frame(i));
        }
        if self.has_deviation {
            deviation.fill(VARIANCE_FLOOR);
            for i in seen {
                let past = self.window.frame(i).iter().zip(&*mean);
                for (sum, (value, mean)) in deviation.iter_mut().zip(past) {
                    *sum += share * (value - mean) * (value - mean);
                }
            }
            for value in deviation {
                *value = value.sqrt();
            }
        }
        self.classifier.step(&self.pooled, output);
    }

    /// Back to silence.
    pub fn reset(&mut self) {
        self.window.clear();
        self.n_seen = 0;
    }

    pub fn n_state_values(&self) -> usize {
        self.window.n_values()
    }
}

#[cfg(feature = "search")]
pub use trainable::HeadNet;

#[cfg(feature = "search")]
mod trainable {
    use burn::module::Module;
    use burn::tensor::{Device, Tensor};
    use rand::Rng;

    use super::{Head, VARIANCE_FLOOR};
    use crate::model::layers::linear::Linear;
    use crate::model::weights::{Weights, WeightsError};

    /// The trainable form.
    #[derive(Module, Debug)]
    pub struct HeadNet {
        classifier: Linear,
        n_window: usize,
        has_deviation: bool,
    }

    impl Head {
        /// Draws first weights.
        pub fn init(
            &self,
            n_channels: usize,
            n_classes: usize,
            weights: &mut Weights,
            rng: &mut impl Rng,
        ) {
            self.classifier(n_channels, n_classes)
                .init("head.classifier", weights, rng);
        }
    }

    impl HeadNet {
        pub fn load(
            head: &Head,
            n_channels: usize,
            n_classes: usize,
            jump_frames: usize,
            weights: &Weights,
            device: &Device,
        ) -> Result<Self, WeightsError> {
            let shape = head.classifier(n_channels, n_classes);
            Ok(Self {
                classifier: Linear::load(shape, "head.classifier", weights, device)?,
                n_window: head.window_frames().div_ceil(jump_frames).max(1),
                has_deviation: head.has_deviation(),
            })
        }

        pub fn store(&self, weights: &mut Weights) {
            self.classifier.store("head.classifier", weights);
        }

        /// The answer at the last frame.
        ///
        /// # Shapes
        ///
        /// - `frames`: `[batch, n_channels, n_frames]`
        /// - output: `[batch, n_classes]`
        pub fn forward(&self, frames: Tensor<3>) -> Tensor<2> {
            let n_frames = frames.dims()[2];
            let n_pooled = n_frames.min(self.n_window);
            let frames = frames.narrow(2, n_frames - n_pooled, n_pooled);
            let mean = frames.clone().mean_dim(2); // [batch, n_channels, 1]
            let pooled = if self.has_deviation {
                let variance = (frames - mean.clone()).square().mean_dim(2);
                Tensor::cat(vec![mean, (variance + VARIANCE_FLOOR).sqrt()], 1)
            } else {
                mean
            };
            self.classifier.forward(pooled.squeeze_dim(2))
        }
    }
}
