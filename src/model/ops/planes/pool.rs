//! The mean over neighbouring bands and the last frames, of those that exist, as one operation.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use pulp::{Arch, Simd, WithSimd};

use super::{Planes, planes_tensor};
use crate::model::layers::LayerShape;
use crate::model::layers::pool::PoolShape;
use crate::model::ops::{Derivative, Input, finish};

/// `None` where the tensor is not on the CPU device or the batch is empty.
///
/// # Shapes
///
/// - `frames`: `[batch, n_values, n_frames]`
/// - output: `[batch, n_values_out, ceil(n_frames / stride)]`
pub fn mean(shape: PoolShape, frames: &Tensor<3>) -> Option<Tensor<3>> {
    if frames.dims().contains(&0) {
        return None;
    }
    let input = Input::of(frames)?;
    let planes = Planes::of(input.values());
    let mean = Mean::new(shape, planes.n_clips(), planes.n_frames());
    let output = planes_tensor(
        mean.forward(planes.values()),
        mean.n_clips,
        mean.n_frames_out,
    );
    Some(finish([input], output, || mean))
}

/// The pool of a batch.
#[derive(Clone, Debug)]
pub struct Mean {
    n_clips: usize,
    n_channels: usize,
    n_bands: usize,
    window_bands: usize,
    n_frames: usize,
    n_frames_out: usize,
    window_frames: usize,
    stride_frames: usize,
}

impl Mean {
    /// The batch is not empty.
    pub fn new(shape: PoolShape, n_clips: usize, n_frames: usize) -> Self {
        Self {
            n_clips,
            n_channels: shape.input.n_channels,
            n_bands: shape.input.n_bands,
            window_bands: shape.window_bands.min(shape.input.n_bands),
            n_frames,
            n_frames_out: n_frames.div_ceil(shape.stride_frames()),
            window_frames: shape.window_frames,
            stride_frames: shape.stride_frames,
        }
    }

    /// `[batch, n_values_out, n_frames_out]` from `[batch, n_values, n_frames]`.
    pub fn forward(&self, frames: &[f32]) -> Vec<f32> {
        let n_bands_out = self.n_bands.div_ceil(self.window_bands);
        let n_planes = self.n_clips * self.n_channels;
        let mut output = vec![0.0; n_planes * n_bands_out * self.n_frames_out];
        Arch::new().dispatch(Forward {
            mean: self,
            frames,
            output: &mut output,
        });
        output
    }

    /// The gradient of the frames from that of the output.
    pub fn backward(&self, gradient: &[f32]) -> Vec<f32> {
        let n_planes = self.n_clips * self.n_channels;
        let mut output = Vec::with_capacity(n_planes * self.n_bands * self.n_frames);
        Arch::new().dispatch(Backward {
            mean: self,
            gradient,
            output: &mut output,
        });
        output
    }

    /// Whether every frame stays by itself.
    fn keeps_frames(&self) -> bool {
        (self.window_frames, self.stride_frames) == (1, 1)
    }

    /// First and last frame of each window.
    fn windows(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (n_window, n_step) = (self.window_frames, self.stride_frames);
        (0..self.n_frames_out).map(move |out| {
            let last = out * n_step;
            ((last + 1).saturating_sub(n_window), last)
        })
    }
}

impl Derivative<1> for Mean {
    fn backward(self, gradient: FlexTensor, wants: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let gradient = Planes::of(&gradient);
        let values = || Mean::backward(&self, gradient.values());
        [wants[0].then(|| planes_tensor(values(), self.n_clips, self.n_frames))]
    }
}

struct Forward<'a> {
    mean: &'a Mean,
    frames: &'a [f32],
    output: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let mean = self.mean;
        let n = mean.n_frames;
        let mut sums = vec![0.0_f32; n];
        let mut outputs = self.output.chunks_exact_mut(mean.n_frames_out);
        for plane in self.frames.chunks_exact(mean.n_bands * n) {
            for group in plane.chunks(mean.window_bands * n) {
                let (first, others) = group.split_at(n);
                sums.copy_from_slice(first);
                for band in others.chunks_exact(n) {
                    add(&mut sums, band);
                }
                let share = n as f32 / group.len() as f32;
                let output = outputs.next().expect("a row of output a group of bands");
                if mean.keeps_frames() {
                    for (to, sum) in output.iter_mut().zip(&sums) {
                        *to = sum * share;
                    }
                    continue;
                }
                for (to, (first, last)) in output.iter_mut().zip(mean.windows()) {
                    let window = &sums[first..=last];
                    *to = window.iter().sum::<f32>() * (share / window.len() as f32);
                }
            }
        }
    }
}

struct Backward<'a> {
    mean: &'a Mean,
    gradient: &'a [f32],
    output: &'a mut Vec<f32>,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let mean = self.mean;
        let n = mean.n_frames;
        let mut sums = vec![0.0_f32; n];
        let mut gradients = self.gradient.chunks_exact(mean.n_frames_out);
        for _plane in 0..mean.n_clips * mean.n_channels {
            for first in (0..mean.n_bands).step_by(mean.window_bands) {
                let n_bands = mean.window_bands.min(mean.n_bands - first);
                let share = 1.0 / n_bands as f32;
                let gradient = gradients.next().expect("a row of output a group of bands");
                if mean.keeps_frames() {
                    for (sum, value) in sums.iter_mut().zip(gradient) {
                        *sum = value * share;
                    }
                } else {
                    sums.fill(0.0);
                    for (value, (first, last)) in gradient.iter().zip(mean.windows()) {
                        let window = &mut sums[first..=last];
                        let value = value * (share / window.len() as f32);
                        window.iter_mut().for_each(|sum| *sum += value);
                    }
                }
                for _band in 0..n_bands {
                    self.output.extend_from_slice(&sums);
                }
            }
        }
    }
}

#[inline(always)]
fn add(sums: &mut [f32], values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}
