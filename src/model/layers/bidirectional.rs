//! Two recurrent layers over the same clip, one from its first frame and one from its last (Schuster & Paliwal
//! 1997): each frame's answers are both layers' answers at that very frame.
//!
//! The second one starts at a clip's own last frame, not at the padding's, and its answers are turned round
//! again. It reads the future, so it has no stepping form.

use super::LayerShape;
use super::recurrent::RecurrentShape;
use crate::model::port::Port;

/// Two layers of one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BidirectionalShape {
    /// Each of the two.
    pub direction: RecurrentShape,
}

impl LayerShape for BidirectionalShape {
    fn n_params(&self) -> u64 {
        2 * self.direction.n_params()
    }

    fn macs_per_step(&self) -> u64 {
        2 * self.direction.macs_per_step()
    }

    fn past_frames(&self) -> Option<usize> {
        None
    }

    fn streams(&self) -> bool {
        false
    }

    fn output(&self) -> Port {
        Port::flat(2 * self.direction.n_out())
    }
}

#[cfg(feature = "search")]
pub use trainable::Bidirectional;

#[cfg(feature = "search")]
mod trainable {
    use burn::module::Module;
    use burn::tensor::{Device, Int, Tensor, TensorData};
    use rand::Rng;

    use super::BidirectionalShape;
    use crate::model::layers::Trainable;
    use crate::model::layers::recurrent::Recurrent;
    use crate::model::lengths::Lengths;
    use crate::model::weights::{Weights, WeightsError};

    /// The trainable form.
    #[derive(Module, Debug)]
    pub struct Bidirectional {
        forward: Recurrent,
        backward: Recurrent,
    }

    impl BidirectionalShape {
        /// Draws first weights under `prefix`.
        pub fn init(&self, prefix: &str, weights: &mut Weights, rng: &mut impl Rng) {
            for name in ["forward", "backward"] {
                self.direction
                    .init(&format!("{prefix}.{name}"), weights, rng);
            }
        }
    }

    impl Bidirectional {
        pub fn load(
            shape: BidirectionalShape,
            prefix: &str,
            weights: &Weights,
            device: &Device,
        ) -> Result<Self, WeightsError> {
            let load = |name: &str| {
                Recurrent::load(
                    shape.direction,
                    &format!("{prefix}.{name}"),
                    weights,
                    device,
                )
            };
            Ok(Self {
                forward: load("forward")?,
                backward: load("backward")?,
            })
        }
    }

    impl Trainable for Bidirectional {
        fn store(&self, prefix: &str, weights: &mut Weights) {
            self.forward.store(&format!("{prefix}.forward"), weights);
            self.backward.store(&format!("{prefix}.backward"), weights);
        }

        fn forward(&self, frames: Tensor<3>, lengths: Option<&Lengths>) -> Tensor<3> {
            let time_first = frames.permute([2, 0, 1]);
            let turned = turned_round(time_first.clone(), lengths);
            let backward = self.backward.forward_time_first(turned);
            let forward = self.forward.forward_time_first(time_first);
            let both = Tensor::cat(vec![forward, turned_round(backward, lengths)], 2);
            both.permute([1, 2, 0])
        }
    }

    /// Each clip from its own last frame to its first; padding stays where it is.
    ///
    /// # Shapes
    ///
    /// - `frames` and output: `[n_frames, batch, n_values]`
    fn turned_round(frames: Tensor<3>, lengths: Option<&Lengths>) -> Tensor<3> {
        let [n_frames, n_batch, n_values] = frames.dims();
        let lengths = lengths.map(Lengths::frames).unwrap_or_default();
        if lengths.iter().all(|&length| length >= n_frames) {
            return frames.flip([0]);
        }
        let sources = (0..n_frames).flat_map(|at| {
            let of_clip = move |(clip, &length): (usize, &usize)| {
                let end = length.min(n_frames);
                let source = if at < end { end - 1 - at } else { at };
                (source * n_batch + clip) as i32
            };
            lengths.iter().enumerate().map(of_clip)
        });
        let sources = TensorData::new(sources.collect(), [n_frames * n_batch]);
        let sources = Tensor::<1, Int>::from_data(sources, &frames.device());
        let rows = frames.reshape([n_frames * n_batch, n_values]);
        rows.select(0, sources)
            .reshape([n_frames, n_batch, n_values])
    }
}
