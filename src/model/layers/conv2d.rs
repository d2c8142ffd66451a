//! Convolution over bands and time with an optional normalisation: the layer of spectro-temporal blocks.
//!
//! Dense (`[n_out, n_in, kernel.bands, kernel.frames]`) or depthwise (`[n_channels, 1, ..]`), no bias. In time it
//! is causal. In bands the window of output band `o` is centred at band `o * stride.bands` with zeros beyond both
//! ends, so `ceil(n_bands / stride.bands)` bands leave, as PyTorch's padding of `(kernel - 1) / 2` has it for odd
//! kernels; or the kernel spans all bands and one leaves. The normalisation is one a channel (Ioffe & Szegedy
//! 2015) or one a channel and sub-band (Chang et al. 2021, "Subspectral normalization").

use super::{History, LayerShape, Step, batch_norm, relu};
use crate::model::port::Port;
use crate::model::weights::{Weights, WeightsError};

/// A size along both axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub bands: usize,
    pub frames: usize,
}

impl Extent {
    pub fn new(bands: usize, frames: usize) -> Self {
        Self { bands, frames }
    }
}

/// What follows the convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Nothing: another convolution reads the values as they are.
    None,
    PerChannel,
    /// Each channel apart in this many groups of neighbouring bands, or in the next fewer that divide the bands.
    PerSubband(usize),
}

/// The shape of one convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dShape {
    pub input: Port,
    pub n_out: usize,
    pub kernel: Extent,
    pub stride: Extent,
    pub dilation: Extent,
    /// One filter a channel (`input.n_channels == n_out`) instead of one a pair of channels.
    pub depthwise: bool,
    /// The kernel spans all bands and is not padded: one band leaves.
    pub spans_bands: bool,
    pub norm: Norm,
    /// ReLU at the end.
    pub relu: bool,
}

impl Conv2dShape {
    /// Dense, normalised by channel, without stride, dilation or ReLU.
    pub fn dense(input: Port, n_out: usize, kernel: Extent) -> Self {
        Self {
            input,
            n_out,
            kernel,
            stride: Extent::new(1, 1),
            dilation: Extent::new(1, 1),
            depthwise: false,
            spans_bands: false,
            norm: Norm::PerChannel,
            relu: false,
        }
    }

    /// One filter a channel.
    pub fn depthwise(input: Port, kernel: Extent) -> Self {
        Self {
            depthwise: true,
            ..Self::dense(input, input.n_channels, kernel)
        }
    }

    /// One filter a channel over all bands at once.
    pub fn across_bands(input: Port, kernel_frames: usize) -> Self {
        Self {
            spans_bands: true,
            ..Self::depthwise(input, Extent::new(input.n_bands, kernel_frames))
        }
    }

    pub fn with_stride(self, stride: Extent) -> Self {
        Self { stride, ..self }
    }

    pub fn with_dilation(self, dilation: Extent) -> Self {
        Self { dilation, ..self }
    }

    pub fn with_norm(self, norm: Norm) -> Self {
        Self { norm, ..self }
    }

    pub fn with_relu(self) -> Self {
        Self { relu: true, ..self }
    }

    /// Frames before the current one that are read.
    pub(crate) fn n_past(&self) -> usize {
        (self.kernel.frames - 1) * self.dilation.frames
    }

    fn n_in_per_filter(&self) -> usize {
        if self.depthwise {
            1
        } else {
            self.input.n_channels
        }
    }

    pub(crate) fn weight_shape(&self) -> [usize; 4] {
        let n_in = self.n_in_per_filter();
        [self.n_out, n_in, self.kernel.bands, self.kernel.frames]
    }

    fn n_weights(&self) -> usize {
        self.weight_shape().iter().product()
    }

    pub(crate) fn n_bands_out(&self) -> usize {
        if self.spans_bands {
            1
        } else {
            self.input.n_bands.div_ceil(self.stride.bands)
        }
    }

    /// Zero bands below the first and above the last.
    pub(crate) fn band_padding(&self) -> (usize, usize) {
        if self.spans_bands {
            return (0, 0);
        }
        let reach = (self.kernel.bands - 1) * self.dilation.bands;
        let below = reach / 2;
        let end = (self.n_bands_out() - 1) * self.stride.bands + reach + 1;
        (below, end.saturating_sub(self.input.n_bands + below))
    }

    /// Groups of bands that are normalised apart.
    fn n_subbands(&self) -> usize {
        let n_bands = self.n_bands_out();
        match self.norm {
            Norm::None => 0,
            Norm::PerChannel => 1,
            Norm::PerSubband(wanted) => (1..=wanted.min(n_bands))
                .rev()
                .find(|n| n_bands.is_multiple_of(*n))
                .unwrap_or(1),
        }
    }

    /// Values that the normalisation keeps apart: a channel's sub-bands stand together.
    pub(crate) fn n_norms(&self) -> usize {
        self.n_out * self.n_subbands()
    }
}

impl LayerShape for Conv2dShape {
    /// Weights, and gamma and beta.
    fn n_params(&self) -> u64 {
        (self.n_weights() + 2 * self.n_norms()) as u64
    }

    fn macs_per_step(&self) -> u64 {
        (self.n_weights() * self.n_bands_out()) as u64
    }

    fn n_state_values(&self) -> u64 {
        (self.n_past() as u64 + 1) * self.input.n_values() as u64
    }

    fn past_frames(&self) -> Option<usize> {
        Some(self.n_past())
    }

    fn stride_frames(&self) -> usize {
        self.stride.frames
    }

    fn output(&self) -> Port {
        Port {
            n_channels: self.n_out,
            n_bands: self.n_bands_out(),
        }
    }
}

/// The stepping form.
#[derive(Clone, Debug)]
pub struct Conv2dStep {
    shape: Conv2dShape,
    weight: Vec<f32>,
    /// Scale and offset of each output value: the normalisation.
    folded: Vec<(f32, f32)>,
    history: History,
    phase: usize,
}

impl Conv2dStep {
    /// Reads the weights under `prefix`.
    pub fn load(shape: Conv2dShape, prefix: &str, weights: &Weights) -> Result<Self, WeightsError> {
        let weight = weights.get(&format!("{prefix}.weight"), &shape.weight_shape())?;
        let n_values = shape.output().n_values();
        let folded = match shape.norm {
            Norm::None => vec![(1.0, 0.0); n_values],
            Norm::PerChannel | Norm::PerSubband(_) => {
                let name = format!("{prefix}.norm");
                let norms = batch_norm::folded(weights, &name, shape.n_norms())?;
                let n_bands_each = n_values / norms.len();
                (0..n_values).map(|i| norms[i / n_bands_each]).collect()
            }
        };
        Ok(Self {
            shape,
            weight: weight.to_vec(),
            folded,
            history: History::new(shape.n_past() + 1, shape.input.n_values()),
            phase: 0,
        })
    }
}

impl Step for Conv2dStep {
    fn step(&mut self, frame: &[f32], output: &mut [f32]) -> bool {
        self.history.push(frame);
        let emits = self.phase == 0;
        self.phase = (self.phase + 1) % self.shape.stride.frames;
        if !emits {
            return false;
        }
        let shape = &self.shape;
        let (n_in, n_bands) = (shape.n_in_per_filter(), shape.input.n_bands);
        let (kernel, below) = (shape.kernel, shape.band_padding().0);
        output.fill(0.0);
        for t in 0..kernel.frames {
            let past = self.history.frame(t * shape.dilation.frames);
            for (o, sums) in output.chunks_exact_mut(shape.n_bands_out()).enumerate() {
                for i in 0..n_in {
                    let channel = if shape.depthwise { o } else { i };
                    let bands = &past[channel * n_bands..(channel + 1) * n_bands];
                    for b in 0..kernel.bands {
                        let at = ((o * n_in + i) * kernel.bands + b) * kernel.frames + t;
                        let offset = b * shape.dilation.bands;
                        add_window(
                            sums,
                            self.weight[at],
                            bands,
                            offset,
                            below,
                            shape.stride.bands,
                        );
                    }
                }
            }
        }
        for (value, (scale, offset)) in output.iter_mut().zip(&self.folded) {
            *value = *value * scale + offset;
        }
        if shape.relu {
            relu(output);
        }
        true
    }

    fn reset(&mut self) {
        self.history.clear();
        self.phase = 0;
    }

    fn n_state_values(&self) -> usize {
        self.history.n_values()
    }
}

/// Adds `weight * bands[f * stride + offset - below]` to `sums[f]` where that band exists.
fn add_window(
    sums: &mut [f32],
    weight: f32,
    bands: &[f32],
    offset: usize,
    below: usize,
    stride: usize,
) {
    let first = below.saturating_sub(offset).div_ceil(stride);
    let from = first * stride + offset - below;
    if first >= sums.len() || from >= bands.len() {
        return;
    }
    let window = bands[from..].iter().step_by(stride);
    for (sum, value) in sums[first..].iter_mut().zip(window) {
        *sum += weight * value;
    }
}

#[cfg(feature = "search")]
pub use trainable::Conv2d;

#[cfg(feature = "search")]
mod trainable {
    use burn::module::{Module, Param};
    use burn::nn::BatchNorm;
    use burn::tensor::activation::relu;
    use burn::tensor::module::conv2d;
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Device, Tensor};
    use rand::Rng;

    use super::{Conv2dShape, Norm};
    use crate::model::layers::{LayerShape, Trainable, batch_norm, first_weights, tensors};
    use crate::model::lengths::Lengths;
    use crate::model::ops::planes::conv;
    use crate::model::weights::{Weights, WeightsError};

    /// The trainable form.
    #[derive(Module, Debug)]
    pub struct Conv2d {
        weight: Param<Tensor<4>>,
        norm: Option<BatchNorm>,
        #[module(skip)]
        shape: Conv2dShape,
    }

    impl Conv2dShape {
        /// Draws first weights under `prefix`.
        pub fn init(&self, prefix: &str, weights: &mut Weights, rng: &mut impl Rng) {
            let shape = self.weight_shape();
            let fan_in = shape[1..].iter().product();
            let gain = if self.norm == Norm::None { 1.0 } else { 2.0 };
            let name = format!("{prefix}.weight");
            first_weights::uniform(weights, name, &shape, fan_in, gain, rng);
            if self.norm != Norm::None {
                batch_norm::init(weights, &format!("{prefix}.norm"), self.n_norms());
            }
        }
    }

    impl Conv2d {
        pub fn load(
            shape: Conv2dShape,
            prefix: &str,
            weights: &Weights,
            device: &Device,
        ) -> Result<Self, WeightsError> {
            let (name, dims) = (format!("{prefix}.weight"), shape.weight_shape());
            let norm = format!("{prefix}.norm");
            Ok(Self {
                weight: tensors::load_param(weights, &name, dims, device)?,
                norm: (shape.norm != Norm::None)
                    .then(|| batch_norm::load(weights, &norm, shape.n_norms(), device))
                    .transpose()?,
                shape,
            })
        }

        /// As tensor operations: what [`Trainable::forward`] is on every device but the CPU's.
        pub(crate) fn forward_composed(&self, frames: Tensor<3>) -> Tensor<3> {
            let shape = self.shape;
            let [n_batch, _, n_frames] = frames.dims();
            let (input, (below, above)) = (shape.input, shape.band_padding());
            let mut x = frames.reshape([n_batch, input.n_channels, input.n_bands, n_frames]);
            // Zeros before the first frame and none after the last: a frame never sees its future.
            let past = shape.n_past();
            if (past, below, above) != (0, 0, 0) {
                x = x.pad((past, 0, below, above), 0.0);
            }
            let stride = [shape.stride.bands, shape.stride.frames];
            let dilation = [shape.dilation.bands, shape.dilation.frames];
            let groups = if shape.depthwise { shape.n_out } else { 1 };
            let options = ConvOptions::new(stride, [0, 0], dilation, groups);
            let mut x = conv2d(x, self.weight.val(), None, options);
            let [_, n_out, n_bands, n_frames] = x.dims();
            if let Some(norm) = &self.norm {
                let n = shape.n_subbands();
                x = norm.forward(x.reshape([n_batch, n_out * n, n_bands / n, n_frames]));
            }
            let x = x.reshape([n_batch, n_out * n_bands, n_frames]);
            if shape.relu { relu(x) } else { x }
        }

        /// As one operation; `None` where that is not to be had.
        fn fused(&self, frames: &Tensor<3>) -> Option<Tensor<3>> {
            let weight = self.weight.val();
            let Some(norm) = &self.norm else {
                return conv::plain(self.shape, frames, &weight);
            };
            let running = batch_norm::mode(norm, &frames.device())?;
            let learns = running.is_none();
            let affine = [&norm.gamma.val(), &norm.beta.val()];
            let (output, statistics) =
                conv::normed(self.shape, norm.epsilon, frames, &weight, affine, running)?;
            if learns {
                batch_norm::remember(norm, statistics);
            }
            Some(output)
        }
    }

    impl Trainable for Conv2d {
        fn store(&self, prefix: &str, weights: &mut Weights) {
            tensors::store(weights, format!("{prefix}.weight"), self.weight.val());
            if let Some(norm) = &self.norm {
                batch_norm::store(norm, &format!("{prefix}.norm"), weights);
            }
        }

        fn stride_frames(&self) -> usize {
            self.shape.stride_frames()
        }

        fn forward(&self, frames: Tensor<3>, _lengths: Option<&Lengths>) -> Tensor<3> {
            match self.fused(&frames) {
                Some(output) => output,
                None => self.forward_composed(frames),
            }
        }
    }
}
