//! Multi-head attention of each frame over frames around it (Vaswani et al. 2017), with a learned bias for each
//! distance and head (Shaw et al. 2018, in the additive form of Raffel et al. 2020) in place of absolute
//! positions: what a frame says depends on what lies around it and not on when the stream began.
//!
//! ```text
//! q, k, v = x Wqkv + b        s[i, j] = q[i] . k[j] / sqrt(n_channels / n_heads) + bias[j - i]
//! y[i] = (sum over j of softmax(s[i])[j] * v[j]) Wout + b
//! ```
//!
//! A [`Context::Left`] of bounded length streams with a cache of keys and values. A [`Context::Full`] reads the
//! clip's true frames, whole, and has no stepping form.

use super::linear::{LinearShape, LinearStep};
use super::{History, LayerShape, Step, add_scaled};
use crate::model::port::Port;
use crate::model::weights::{Weights, WeightsError};

/// What a frame attends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Itself and `past_frames` frames before it; fewer at the start.
    Left { past_frames: usize },
    /// Every frame of the clip; a frame further than `max_distance_frames` away has the bias of that distance.
    Full { max_distance_frames: usize },
}

/// The shape of one attention layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// A multiple of `n_heads`.
    pub n_channels: usize,
    pub n_heads: usize,
    pub context: Context,
}

impl Context {
    /// Biases of one head, from the most distant past to the present or the most distant future.
    fn n_biases(self) -> usize {
        match self {
            Self::Left { past_frames } => past_frames + 1,
            Self::Full {
                max_distance_frames,
            } => 2 * max_distance_frames + 1,
        }
    }

    /// Which bias frame `at` has for frame `of`, where it may see it.
    #[cfg(feature = "search")]
    fn bias_index(self, at: usize, of: usize) -> Option<usize> {
        match self {
            Self::Left { past_frames } => {
                let distance = at.checked_sub(of)?;
                past_frames.checked_sub(distance)
            }
            Self::Full {
                max_distance_frames: most,
            } => Some((of + most).saturating_sub(at).min(2 * most)),
        }
    }
}

impl AttentionShape {
    pub(crate) fn qkv(&self) -> LinearShape {
        LinearShape {
            n_in: self.n_channels,
            n_out: 3 * self.n_channels,
            bias: true,
        }
    }

    pub(crate) fn mix(&self) -> LinearShape {
        LinearShape {
            n_out: self.n_channels,
            ..self.qkv()
        }
    }

    fn n_per_head(&self) -> usize {
        self.n_channels / self.n_heads
    }

    pub(crate) fn bias_shape(&self) -> [usize; 2] {
        [self.n_heads, self.context.n_biases()]
    }

    pub(crate) fn score_scale(&self) -> f32 {
        1.0 / (self.n_per_head() as f32).sqrt()
    }
}

impl LayerShape for AttentionShape {
    fn n_params(&self) -> u64 {
        let n_biases = self.bias_shape().iter().product::<usize>();
        self.qkv().n_params() + self.mix().n_params() + n_biases as u64
    }

    /// With a full context as if each frame saw `max_distance_frames` on both sides: a layer does not know how long
    /// a clip is.
    fn macs_per_step(&self) -> u64 {
        let scores_and_sums = 2 * self.context.n_biases() * self.n_channels;
        self.qkv().macs_per_step() + self.mix().macs_per_step() + scores_and_sums as u64
    }

    fn n_state_values(&self) -> u64 {
        match self.context {
            Context::Left { past_frames } => 2 * (past_frames as u64 + 1) * self.n_channels as u64,
            Context::Full { .. } => 0,
        }
    }

    fn past_frames(&self) -> Option<usize> {
        match self.context {
            Context::Left { past_frames } => Some(past_frames),
            Context::Full { .. } => None,
        }
    }

    fn streams(&self) -> bool {
        matches!(self.context, Context::Left { .. })
    }

    fn output(&self) -> Port {
        Port::flat(self.n_channels)
    }
}

/// The stepping form: keys and values of the frames in sight.
#[derive(Clone, Debug)]
pub struct AttentionStep {
    shape: AttentionShape,
    qkv: LinearStep,
    mix: LinearStep,
    /// `[n_heads, n_window]`, the oldest first.
    relative_bias: Vec<f32>,
    keys: History,
    values: History,
    n_window: usize,
    n_seen: usize,
    projected: Vec<f32>,
    shares: Vec<f32>,
    mixed: Vec<f32>,
}

impl AttentionStep {
    pub fn load(
        shape: AttentionShape,
        prefix: &str,
        weights: &Weights,
    ) -> Result<Self, WeightsError> {
        let Context::Left { past_frames } = shape.context else {
            return Err(WeightsError::CannotStream {
                name: prefix.into(),
            });
        };
        let (n, n_window) = (shape.n_channels, past_frames + 1);
        let relative_bias = weights.get(&format!("{prefix}.relative_bias"), &shape.bias_shape())?;
        Ok(Self {
            shape,
            qkv: LinearStep::load(shape.qkv(), &format!("{prefix}.qkv"), weights)?,
            mix: LinearStep::load(shape.mix(), &format!("{prefix}.mix"), weights)?,
            relative_bias: relative_bias.to_vec(),
            keys: History::new(n_window, n),
            values: History::new(n_window, n),
            n_window,
            n_seen: 0,
            projected: vec![0.0; 3 * n],
            shares: vec![0.0; n_window],
            mixed: vec![0.0; n],
        })
    }

    /// Leaves in `mixed` what one head gathers from the frames in sight.
    fn gather(&mut self, head: usize) {
        let n = self.shape.n_per_head();
        let of_head = head * n..(head + 1) * n;
        let first = self.n_window - self.n_seen;
        let query = &self.projected[of_head.clone()];
        let bias = &self.relative_bias[head * self.n_window..][..self.n_window];
        let scale = self.shape.score_scale();
        let mut most = f32::NEG_INFINITY;
        let scores = self.shares[first..].iter_mut().zip(&bias[first..]);
        for (i, (score, bias)) in (first..).zip(scores) {
            let key = &self.keys.frame(i)[of_head.clone()];
            let product: f32 = query.iter().zip(key).map(|(q, k)| q * k).sum();
            *score = product * scale + bias;
            most = most.max(*score);
        }
        let mut total = 0.0;
        for share in &mut self.shares[first..] {
            *share = (*share - most).exp();
            total += *share;
        }
        let mixed = &mut self.mixed[of_head.clone()];
        mixed.fill(0.0);
        for i in first..self.n_window {
            let value = &self.values.frame(i)[of_head.clone()];
            add_scaled(mixed, self.shares[i] / total, value);
        }
    }
}

impl Step for AttentionStep {
    fn step(&mut self, frame: &[f32], output: &mut [f32]) -> bool {
        let n = self.shape.n_channels;
        self.qkv.step(frame, &mut self.projected);
        self.keys.push(&self.projected[n..2 * n]);
        self.values.push(&self.projected[2 * n..]);
        self.n_seen = (self.n_seen + 1).min(self.n_window);
        for head in 0..self.shape.n_heads {
            self.gather(head);
        }
        self.mix.step(&self.mixed, output)
    }

    fn reset(&mut self) {
        self.keys.clear();
        self.values.clear();
        self.n_seen = 0;
    }

    fn n_state_values(&self) -> usize {
        self.keys.n_values() + self.values.n_values()
    }
}

#[cfg(feature = "search")]
pub use trainable::Attention;

#[cfg(feature = "search")]
mod trainable {
    use burn::module::{Module, Param};
    use burn::tensor::activation::softmax;
    use burn::tensor::{Device, Int, Tensor, TensorData};
    use rand::Rng;

    use super::{AttentionShape, Context};
    use crate::model::layers::linear::Linear;
    use crate::model::layers::{Trainable, tensors};
    use crate::model::lengths::Lengths;
    use crate::model::weights::{NamedTensor, Weights, WeightsError};

    /// Added to a score that must not count: its share is zero, exactly.
    const OUT_OF_SIGHT: f32 = -1e9;
    /// Shorter blocks are more overhead than saving.
    const LEAST_BLOCK_FRAMES: usize = 8;

    /// The trainable form.
    #[derive(Module, Debug)]
    pub struct Attention {
        qkv: Linear,
        mix: Linear,
        relative_bias: Param<Tensor<2>>,
        #[module(skip)]
        shape: AttentionShape,
    }

    impl AttentionShape {
        /// Draws first weights under `prefix`; every distance counts the same at first.
        pub fn init(&self, prefix: &str, weights: &mut Weights, rng: &mut impl Rng) {
            self.qkv().init(&format!("{prefix}.qkv"), weights, rng);
            self.mix().init(&format!("{prefix}.mix"), weights, rng);
            let shape = self.bias_shape().to_vec();
            let values = vec![0.0; shape.iter().product()];
            let bias = NamedTensor { shape, values };
            let name = format!("{prefix}.relative_bias");
            weights.tensors.insert(name, bias);
        }
    }

    impl Attention {
        pub fn load(
            shape: AttentionShape,
            prefix: &str,
            weights: &Weights,
            device: &Device,
        ) -> Result<Self, WeightsError> {
            let name = |part: &str| format!("{prefix}.{part}");
            let bias = name("relative_bias");
            Ok(Self {
                qkv: Linear::load(shape.qkv(), &name("qkv"), weights, device)?,
                mix: Linear::load(shape.mix(), &name("mix"), weights, device)?,
                relative_bias: tensors::load_param(weights, &bias, shape.bias_shape(), device)?,
                shape,
            })
        }

        /// Frames that attend together: the whole clip, or where the context is far shorter a stretch of about
        /// its length, so that a long clip costs no square of its own length.
        fn block_frames(&self, n_frames: usize) -> usize {
            match self.shape.context {
                Context::Left { past_frames } => {
                    let block = past_frames.max(LEAST_BLOCK_FRAMES);
                    if n_frames < 4 * block {
                        n_frames
                    } else {
                        block
                    }
                }
                Context::Full { .. } => n_frames,
            }
        }

        /// What is added to every score of a block: the distance's bias where a frame may look. The first frame
        /// that asks is frame `first_at` of those that are asked.
        ///
        /// # Shapes
        ///
        /// - output: `[1, n_heads, 1, n_at, n_of]`
        fn biases(&self, first_at: usize, n_at: usize, n_of: usize, device: &Device) -> Tensor<5> {
            let n_pairs = n_at * n_of;
            let pairs = (0..n_pairs).map(|pair| (first_at + pair / n_of, pair % n_of));
            let indices: Vec<Option<usize>> = pairs
                .map(|(at, of)| self.shape.context.bias_index(at, of))
                .collect();
            let chosen = indices.iter().map(|index| index.unwrap_or(0) as i32);
            let chosen = TensorData::new(chosen.collect(), [n_pairs]);
            let chosen = Tensor::<1, Int>::from_data(chosen, device);
            let shape = [1, self.shape.n_heads, 1, n_at, n_of];
            let biases = self.relative_bias.val().select(1, chosen).reshape(shape);
            let Context::Left { .. } = self.shape.context else {
                return biases;
            };
            let sight = |index: &Option<usize>| index.map_or(OUT_OF_SIGHT, |_| 0.0);
            let sight = indices.iter().map(sight).collect();
            let sight = TensorData::new(sight, [1, 1, 1, n_at, n_of]);
            biases + Tensor::from_data(sight, device)
        }

        /// What is added to every score of a full context so that padding does not count.
        ///
        /// # Shapes
        ///
        /// - output: `[batch, 1, 1, 1, n_frames (of)]`
        fn padding(&self, n_frames: usize, lengths: &Lengths, device: &Device) -> Tensor<5> {
            let real = lengths.mask(n_frames, device).unsqueeze_dims::<5>(&[1, 2]);
            (real - 1.0) * -OUT_OF_SIGHT
        }
    }

    /// Each block behind the one before it, zeros before the first.
    ///
    /// # Shapes
    ///
    /// - `blocks`: `[batch, n_heads, n_blocks, n_per_head, n_block]`
    /// - output: `[batch, n_heads, n_blocks, n_per_head, 2 * n_block]`
    fn with_previous(blocks: Tensor<5>) -> Tensor<5> {
        let n_blocks = blocks.dims()[2];
        let silence = blocks.clone().narrow(2, 0, 1).zeros_like();
        let previous = Tensor::cat(vec![silence, blocks.clone().narrow(2, 0, n_blocks - 1)], 2);
        Tensor::cat(vec![previous, blocks], 4)
    }

    /// What is added to every score so that the silence before the first block does not count.
    ///
    /// # Shapes
    ///
    /// - output: `[1, 1, n_blocks, 1, 2 * n_block]`
    fn silence(n_blocks: usize, n_block: usize, device: &Device) -> Tensor<5> {
        let mut values = vec![0.0; n_blocks * 2 * n_block];
        values[..n_block].fill(OUT_OF_SIGHT);
        let values = TensorData::new(values, [1, 1, n_blocks, 1, 2 * n_block]);
        Tensor::from_data(values, device)
    }

    impl Trainable for Attention {
        fn store(&self, prefix: &str, weights: &mut Weights) {
            self.qkv.store(&format!("{prefix}.qkv"), weights);
            self.mix.store(&format!("{prefix}.mix"), weights);
            let name = format!("{prefix}.relative_bias");
            tensors::store(weights, name, self.relative_bias.val());
        }

        fn forward(&self, frames: Tensor<3>, lengths: Option<&Lengths>) -> Tensor<3> {
            let [n_batch, n_channels, n_frames] = frames.dims();
            let (n_heads, n_per_head) = (self.shape.n_heads, self.shape.n_per_head());
            let device = frames.device();
            let n_block = self.block_frames(n_frames);
            let n_blocks = n_frames.div_ceil(n_block);
            let n_behind = n_blocks * n_block - n_frames;
            let projected = self.qkv.forward(frames, lengths);
            let projected = match n_behind {
                0 => projected,
                _ => projected.pad((0, n_behind, 0, 0), 0.0),
            };
            let part = |from: usize| {
                let part = projected.clone().narrow(1, from * n_channels, n_channels);
                let shape = [n_batch, n_heads, n_per_head, n_blocks, n_block];
                part.reshape(shape).permute([0, 1, 3, 2, 4]) // [batch, n_heads, n_blocks, n_per_head, n_block]
            };
            let [queries, mut keys, mut values] = [part(0), part(1), part(2)];
            let added = if n_blocks == 1 {
                self.biases(0, n_frames, n_frames, &device)
            } else {
                keys = with_previous(keys);
                values = with_previous(values);
                let silence = silence(n_blocks, n_block, &device);
                self.biases(n_block, n_block, 2 * n_block, &device) + silence
            };
            let queries = queries.swap_dims(3, 4) * self.shape.score_scale();
            let mut scores = queries.matmul(keys) + added; // [batch, n_heads, n_blocks, n_at, n_of]
            if let (Context::Full { .. }, Some(lengths)) = (self.shape.context, lengths) {
                scores = scores + self.padding(n_frames, lengths, &device);
            }
            let shares = softmax(scores, 4);
            let mixed = values.matmul(shares.swap_dims(3, 4)); // [batch, n_heads, n_blocks, n_per_head, n_block]
            let mixed = mixed.permute([0, 1, 3, 2, 4]);
            let mixed = mixed.reshape([n_batch, n_channels, n_blocks * n_block]);
            let mixed = match n_behind {
                0 => mixed,
                _ => mixed.narrow(2, 0, n_frames),
            };
            self.mix.forward(mixed, lengths)
        }
    }
}
