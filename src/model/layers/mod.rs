//! The layers that block kinds are made of. Each file holds one layer whole: its shape and what it
//! costs, its first weights, its trainable form on Burn, and its stepping form.
//!
//! Every layer that streams is causal: an output frame reads its own input frame and earlier ones, zeros
//! before the first. The few that read a whole clip say so ([`LayerShape::streams`]) and have no stepping form.
//! Trainable forms take `[batch, n_channels, n_frames]`; stepping forms take one frame
//! `[n_channels]` at a time and answer whether this frame completed an output (a stride of two
//! answers every other time, first on the very first frame).

pub mod activation;
pub mod attention;
pub(crate) mod batch_norm;
pub mod bidirectional;
pub mod broadcast;
pub mod cell;
pub mod conv2d;
pub mod conv_norm;
pub mod gru;
pub mod identity;
pub mod layer_norm;
pub mod linear;
pub mod pool;
pub mod recurrent;
pub mod res2;
pub mod squeeze_excite;

use super::port::Port;

/// What a layer is, before it has weights.
pub trait LayerShape {
    /// Trained values.
    fn n_params(&self) -> u64;

    /// Multiply-accumulates for one output frame, streaming, a normalisation folded.
    fn macs_per_step(&self) -> u64;

    /// Floats that the stepping form remembers.
    fn n_state_values(&self) -> u64 {
        0
    }

    /// Input frames before its own that an output reads; `None` where it remembers without end.
    fn past_frames(&self) -> Option<usize> {
        Some(0)
    }

    /// Input frames per output frame.
    fn stride_frames(&self) -> usize {
        1
    }

    /// Whether the layer has a stepping form: false where an output reads frames after its own.
    fn streams(&self) -> bool {
        true
    }

    /// What leaves the layer.
    fn output(&self) -> Port;
}

/// The stepping form of a layer.
pub trait Step {
    /// Takes one frame; true when `output` holds a new one.
    fn step(&mut self, frame: &[f32], output: &mut [f32]) -> bool;

    /// Back to silence.
    fn reset(&mut self) {}

    /// Floats remembered between frames.
    fn n_state_values(&self) -> usize {
        0
    }
}

/// The trainable form of a layer.
#[cfg(feature = "search")]
pub trait Trainable {
    /// Copies the weights out under `prefix`.
    fn store(&self, prefix: &str, weights: &mut super::weights::Weights);

    /// Input frames per output frame.
    fn stride_frames(&self) -> usize {
        1
    }

    /// # Shapes
    ///
    /// - `frames`: `[batch, n_in, n_frames]`; what lies behind a clip's length is padding, and no output at a true
    ///   frame depends on it
    /// - output: `[batch, n_out, ceil(n_frames / stride)]`
    fn forward(
        &self,
        frames: burn::tensor::Tensor<3>,
        lengths: Option<&super::lengths::Lengths>,
    ) -> burn::tensor::Tensor<3>;
}

/// The last frames that a layer has to remember. Never allocates after it is made.
#[derive(Clone, Debug)]
pub struct History {
    values: Vec<f32>,
    n_channels: usize,
    n_frames: usize,
    oldest: usize,
}

impl History {
    /// Room for `n_frames` frames of `n_channels`, all zero.
    pub fn new(n_frames: usize, n_channels: usize) -> Self {
        Self {
            values: vec![0.0; n_frames * n_channels],
            n_channels,
            n_frames,
            oldest: 0,
        }
    }

    /// Forgets the oldest frame and remembers this one.
    pub fn push(&mut self, frame: &[f32]) {
        let from = self.oldest * self.n_channels;
        self.values[from..from + self.n_channels].copy_from_slice(frame);
        self.oldest = (self.oldest + 1) % self.n_frames;
    }

    /// One remembered frame, 0 the oldest.
    pub fn frame(&self, index: usize) -> &[f32] {
        let slot = (self.oldest + index) % self.n_frames;
        &self.values[slot * self.n_channels..(slot + 1) * self.n_channels]
    }

    /// Back to silence.
    pub fn clear(&mut self) {
        self.values.fill(0.0);
        self.oldest = 0;
    }

    /// Floats of state.
    pub fn n_values(&self) -> usize {
        self.values.len()
    }
}

/// Adds `scale * row` to `sum`, value by value.
pub(crate) fn add_scaled(sum: &mut [f32], scale: f32, row: &[f32]) {
    for (total, value) in sum.iter_mut().zip(row) {
        *total += scale * value;
    }
}

/// Negative values become zero.
pub(crate) fn relu(values: &mut [f32]) {
    for value in values {
        *value = value.max(0.0);
    }
}

/// `1 / (1 + exp(-x))`
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// The matrix that takes frames to means over the last `n_window` of them, fewer at the start, at every
/// `stride_frames`-th frame: a product with it is the same for every clip and every channel.
///
/// # Shapes
///
/// - output: `[n_frames, ceil(n_frames / stride_frames)]`
#[cfg(feature = "search")]
pub(crate) fn window_shares(
    n_frames: usize,
    n_window: usize,
    stride_frames: usize,
    device: &burn::tensor::Device,
) -> burn::tensor::Tensor<2> {
    let n_out = n_frames.div_ceil(stride_frames);
    let mut shares = vec![0.0_f32; n_frames * n_out];
    for out in 0..n_out {
        let last = out * stride_frames;
        let first = (last + 1).saturating_sub(n_window);
        for frame in first..=last {
            shares[frame * n_out + out] = 1.0 / (last + 1 - first) as f32;
        }
    }
    let data = burn::tensor::TensorData::new(shares, [n_frames, n_out]);
    burn::tensor::Tensor::from_data(data, device)
}

#[cfg(feature = "search")]
pub(crate) mod tensors {
    //! Numbers to Burn's parameters and back.
    use burn::module::{Param, ParamId, RunningState};
    use burn::tensor::{Device, Tensor, TensorData};

    use crate::model::weights::{NamedTensor, Weights, WeightsError};

    /// The named tensor as a plain tensor on the device.
    pub fn load<const D: usize>(
        weights: &Weights,
        name: &str,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Tensor<D>, WeightsError> {
        let values = weights.get(name, &shape)?.to_vec();
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }

    /// The named tensor as a trainable parameter.
    pub fn load_param<const D: usize>(
        weights: &Weights,
        name: &str,
        shape: [usize; D],
        device: &Device,
    ) -> Result<Param<Tensor<D>>, WeightsError> {
        let mut param = Param::from_tensor(load(weights, name, shape, device)?);
        // Named by its name, so that an optimiser's record fits the same network in another process.
        param.id = ParamId::from(id_of(name));
        Ok(param)
    }

    /// FNV-1a over the name.
    fn id_of(name: &str) -> u64 {
        name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// The named tensor as a running statistic.
    pub fn load_running(
        weights: &Weights,
        name: &str,
        n_channels: usize,
        device: &Device,
    ) -> Result<RunningState<Tensor<1>>, WeightsError> {
        Ok(RunningState::new(load(
            weights,
            name,
            [n_channels],
            device,
        )?))
    }

    /// Copies a tensor's numbers out under that name.
    pub fn store<const D: usize>(weights: &mut Weights, name: String, tensor: Tensor<D>) {
        let shape = tensor.dims().to_vec();
        let values = tensor
            .into_data()
            .convert::<f32>()
            .try_to_vec::<f32>()
            .expect("converted to f32 in the line above");
        weights.tensors.insert(name, NamedTensor { shape, values });
    }
}

#[cfg(feature = "search")]
pub(crate) mod first_weights {
    //! Weights before training, from a seeded generator: the same on every device.
    use rand::{Rng, RngExt};

    use crate::model::weights::{NamedTensor, Weights};

    /// Uniform in +-sqrt(3 * gain / fan_in): He et al. 2015 with `gain` 2 for ReLU, 1 for linear.
    pub fn uniform(
        weights: &mut Weights,
        name: String,
        shape: &[usize],
        fan_in: usize,
        gain: f32,
        rng: &mut impl Rng,
    ) {
        let bound = (3.0 * gain / fan_in as f32).sqrt();
        let n: usize = shape.iter().product();
        let values = (0..n).map(|_| rng.random_range(-bound..bound)).collect();
        let shape = shape.to_vec();
        weights.tensors.insert(name, NamedTensor { shape, values });
    }

    /// A vector of one value.
    pub fn constant(weights: &mut Weights, name: String, n: usize, value: f32) {
        let tensor = NamedTensor {
            shape: vec![n],
            values: vec![value; n],
        };
        weights.tensors.insert(name, tensor);
    }
}
