//! Causal convolution over time, batch normalisation and perhaps ReLU, as one operation.
//!
//! Clips are taken a few at a time, so that what one pass writes the next finds in the cache. What is kept for the way
//! back is the input, which is there anyway, and the rows before the normalisation.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::norm::{Affine, Moments, Statistics};
use super::rows::{Frames, Rows, frames_tensor, numbers, plain_tensor};
use super::{Derivative, Input, depthwise, finish, multiply};
use crate::model::layers::conv_norm::ConvShape;

/// Floats of a few clips' frames: a part of the second-level cache.
const PART_VALUES: usize = 32_768;

/// The parameters of the operation besides its weights.
#[derive(Clone, Copy, Debug)]
pub struct ConvNormSpec {
    pub shape: ConvShape,
    pub epsilon: f64,
}

impl ConvNormSpec {
    fn affine(&self, gamma: Vec<f32>, beta: Vec<f32>) -> Affine {
        Affine {
            gamma,
            beta,
            epsilon: self.epsilon,
            relu: self.shape.relu,
        }
    }
}

/// With the statistics of this batch: the output `[batch, n_out, n_frames]` and those statistics. `None` where the
/// tensors are not on the CPU device.
///
/// # Shapes
///
/// - `frames`: `[batch, n_in, n_frames]`
/// - `weight`: `[n_out, n_in, kernel]`, depthwise `[n_channels, 1, kernel]`
/// - `gamma`, `beta`: `[n_out]`
pub fn train(
    spec: ConvNormSpec,
    frames: &Tensor<3>,
    weight: &Tensor<3>,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
) -> Option<(Tensor<3>, Statistics)> {
    let inputs = [
        Input::of(frames)?,
        Input::of(weight)?,
        Input::of(gamma)?,
        Input::of(beta)?,
    ];
    let conv = Conv::new(spec.shape, inputs[0].values(), inputs[1].values());
    let affine = spec.affine(numbers(inputs[2].values()), numbers(inputs[3].values()));
    let mut moments = Moments::new(spec.shape.n_out);
    let rows = conv.forward(|part| moments.add(part));
    let statistics = moments.statistics();
    let output = conv.output_tensor(statistics.apply(&rows, &affine));
    let kept = statistics.clone();
    let tensor = finish(inputs, output, || ConvNormDerivative {
        conv,
        rows,
        statistics: kept,
        affine,
    });
    Some((tensor, statistics))
}

/// With statistics from elsewhere, and without a derivative. `None` where the tensors are not on the CPU device or
/// are on the training device.
pub fn infer(
    spec: ConvNormSpec,
    frames: &Tensor<3>,
    weight: &Tensor<3>,
    affine: [&Tensor<1>; 2],
    running: [&Tensor<1>; 2],
) -> Option<Tensor<3>> {
    let plain = |input: Option<Input>| match input {
        Some(Input::Plain(tensor)) => Some(tensor),
        _ => None,
    };
    let (frames, weight) = (plain(Input::of(frames))?, plain(Input::of(weight))?);
    let vector = |tensor: &Tensor<1>| plain(Input::of(tensor)).map(|tensor| numbers(&tensor));
    let statistics = Statistics {
        mean: vector(running[0])?,
        variance: vector(running[1])?,
    };
    let affine = spec.affine(vector(affine[0])?, vector(affine[1])?);
    let conv = Conv::new(spec.shape, &frames, &weight);
    let output = statistics.apply(&conv.forward(|_| {}), &affine);
    Some(Tensor::from_primitive::<burn::backend::Flex>(
        conv.output_tensor(output),
    ))
}

/// A convolution of a batch.
#[derive(Clone, Debug)]
struct Conv {
    shape: ConvShape,
    frames: Frames,
    n_frames_out: usize,
    /// As the weight's tensor has it.
    weight: Vec<f32>,
}

impl Conv {
    fn new(shape: ConvShape, frames: &FlexTensor, weight: &FlexTensor) -> Self {
        let frames = Frames::of(frames);
        Self {
            shape,
            n_frames_out: frames.n_frames.div_ceil(shape.stride_frames),
            frames,
            weight: numbers(weight),
        }
    }

    fn output_tensor(&self, rows: Vec<f32>) -> FlexTensor {
        let (n_clips, n_out) = (self.frames.n_clips, self.shape.n_out);
        frames_tensor(rows, n_clips, self.n_frames_out, n_out)
    }

    /// Frames of a clip behind the silence in front of it.
    fn n_padded(&self) -> usize {
        self.shape.n_past() + self.frames.n_frames
    }

    /// Frames of the output's gradient behind its last one that a tap may reach: zeros.
    fn n_after(&self) -> usize {
        self.shape.n_past() / self.shape.stride_frames + 1
    }

    /// First clip and number of clips of each part of the batch.
    fn parts(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let n_clips = self.frames.n_clips;
        let widest = self.shape.n_in.max(self.shape.n_out);
        let n_values = (self.n_padded() + self.n_after()) * widest;
        let n_part = (PART_VALUES / n_values.max(1)).clamp(1, n_clips.max(1));
        (0..n_clips)
            .step_by(n_part)
            .map(move |first| (first, n_part.min(n_clips - first)))
    }

    /// The first frame that each output frame reads, in padded clips.
    fn input_rows(&self, n_clips: usize) -> Rows {
        let n_in = self.shape.n_in;
        Rows {
            n_clips,
            n_frames: self.n_frames_out,
            start: 0,
            clip_stride: self.n_padded() * n_in,
            frame_stride: self.shape.stride_frames * n_in,
        }
    }

    /// From the first frame that an output frame reads to the one at each tap.
    fn distances(&self) -> Vec<usize> {
        (0..self.shape.kernel_frames)
            .map(|tap| tap * self.shape.dilation_frames * self.shape.n_in)
            .collect()
    }

    /// Some clips with the silence in front of each; the input itself where there is none to add. `padded` is the
    /// room for it, zeros at first.
    fn pad<'a>(&'a self, (first, n): (usize, usize), padded: &'a mut Vec<f32>) -> &'a [f32] {
        let n_values = self.frames.n_frames * self.shape.n_in;
        let clips = &self.frames.values()[first * n_values..(first + n) * n_values];
        if self.shape.n_past() == 0 {
            return clips;
        }
        let (n_past, n_padded) = (
            self.shape.n_past() * self.shape.n_in,
            self.n_padded() * self.shape.n_in,
        );
        padded.resize(padded.len().max(n * n_padded), 0.0);
        let rooms = padded.chunks_exact_mut(n_padded.max(1));
        for (room, clip) in rooms.zip(clips.chunks_exact(n_values.max(1))) {
            room[n_past..].copy_from_slice(clip);
        }
        padded
    }

    /// `[batch, n_frames_out, n_out]`, and each part of it shown to `see` when it is ready.
    fn forward(&self, mut see: impl FnMut(&[f32])) -> Vec<f32> {
        let ConvShape {
            n_in,
            n_out,
            kernel_frames: n_taps,
            ..
        } = self.shape;
        let distances = self.distances();
        let n_values = self.n_frames_out * n_out;
        let mut rows = vec![0.0; self.frames.n_clips * n_values];
        let (weights, taps) = if self.shape.depthwise {
            (transposed(&self.weight, n_out, n_taps), None)
        } else {
            let taps = multiply::Taps::new([n_taps, n_in, n_out], |tap, i, o| {
                self.weight[(o * n_in + i) * n_taps + tap]
            });
            (Vec::new(), Some(taps))
        };
        let mut room = Vec::new();
        for (first, n) in self.parts() {
            let input = self.pad((first, n), &mut room);
            let output = &mut rows[first * n_values..(first + n) * n_values];
            let (from, to) = (self.input_rows(n), Rows::dense(n, self.n_frames_out, n_out));
            match &taps {
                Some(taps) => taps.multiply(input, &from, &distances, output, &to),
                None => depthwise::multiply(input, &from, &distances, &weights, n_out, output, &to),
            }
            see(output);
        }
        rows
    }

    /// What the way back to the frames needs of the weight, for the frames of each phase of the stride.
    fn back_taps(&self) -> Vec<BackTaps> {
        let ConvShape {
            n_in,
            n_out,
            kernel_frames: n_taps,
            stride_frames: stride,
            ..
        } = self.shape;
        let weight = &self.weight;
        let phase_taps = |phase: usize| {
            // A frame `u` reaches the output frame `(u + lag) / stride` where that is whole.
            let lag = |tap: usize| (n_taps - 1 - tap) * self.shape.dilation_frames + phase;
            let taps: Vec<usize> = (0..n_taps)
                .filter(|tap| lag(*tap).is_multiple_of(stride))
                .collect();
            let matrices = if self.shape.depthwise {
                let weights = taps.iter();
                let weights =
                    weights.flat_map(|tap| (0..n_out).map(move |c| weight[c * n_taps + tap]));
                Matrices::Depthwise(weights.collect())
            } else {
                let dims = [taps.len(), n_out, n_in];
                Matrices::Dense(multiply::Taps::new(dims, |tap, o, i| {
                    weight[(o * n_in + i) * n_taps + taps[tap]]
                }))
            };
            BackTaps {
                phase,
                distances: taps.iter().map(|tap| lag(*tap) / stride * n_out).collect(),
                matrices,
            }
        };
        (0..stride.min(self.frames.n_frames))
            .map(phase_taps)
            .collect()
    }

    /// The gradient of the frames of some clips, `output`, from that of the rows with `n_after` zeros behind each clip.
    fn frames_gradient(&self, taps: &[BackTaps], n: usize, gradient: &[f32], output: &mut [f32]) {
        let (n_in, n_out, stride) = (self.shape.n_in, self.shape.n_out, self.shape.stride_frames);
        for phase in taps {
            let n_frames = (self.frames.n_frames - phase.phase).div_ceil(stride);
            // Rows beyond the last output frame are among the zeros.
            let from = Rows {
                n_frames,
                ..self.gradient_rows(n)
            };
            let to = Rows {
                n_clips: n,
                n_frames,
                start: phase.phase * n_in,
                clip_stride: self.frames.n_frames * n_in,
                frame_stride: stride * n_in,
            };
            let distances = &phase.distances;
            match &phase.matrices {
                _ if distances.is_empty() => {}
                Matrices::Dense(taps) => taps.multiply(gradient, &from, distances, output, &to),
                Matrices::Depthwise(weights) => {
                    depthwise::multiply(gradient, &from, distances, weights, n_out, output, &to);
                }
            }
        }
    }

    fn gradient_rows(&self, n_clips: usize) -> Rows {
        Rows {
            clip_stride: (self.n_frames_out + self.n_after()) * self.shape.n_out,
            ..Rows::dense(n_clips, self.n_frames_out, self.shape.n_out)
        }
    }

    /// The sums of [`multiply::matrix_gradient`] or [`depthwise::weights_gradient`] as the weight's tensor.
    fn weight_tensor(&self, sums: &[f32]) -> FlexTensor {
        let (n_out, n_taps) = (self.shape.n_out, self.shape.kernel_frames);
        if self.shape.depthwise {
            return plain_tensor(transposed(sums, n_taps, n_out), [n_out, 1, n_taps]);
        }
        let n_in = self.shape.n_in;
        let mut values = vec![0.0; sums.len()];
        for (row, from) in sums.chunks_exact(n_out).enumerate() {
            let (tap, i) = (row / n_in, row % n_in);
            for (o, value) in from.iter().enumerate() {
                values[(o * n_in + i) * n_taps + tap] = *value;
            }
        }
        plain_tensor(values, [n_out, n_in, n_taps])
    }
}

/// The taps that reach the frames of one phase.
struct BackTaps {
    phase: usize,
    distances: Vec<usize>,
    matrices: Matrices,
}

enum Matrices {
    Dense(multiply::Taps),
    /// `[n_taps, n_channels]`
    Depthwise(Vec<f32>),
}

/// `[n_rows, n_columns]` to `[n_columns, n_rows]`.
fn transposed(values: &[f32], n_rows: usize, n_columns: usize) -> Vec<f32> {
    (0..n_columns)
        .flat_map(|column| (0..n_rows).map(move |row| values[row * n_columns + column]))
        .collect()
}

#[derive(Clone, Debug)]
struct ConvNormDerivative {
    conv: Conv,
    /// Before the normalisation: `[batch, n_frames_out, n_out]`.
    rows: Vec<f32>,
    statistics: Statistics,
    affine: Affine,
}

impl Derivative<4> for ConvNormDerivative {
    fn backward(self, gradient: FlexTensor, wants: [bool; 4]) -> [Option<FlexTensor>; 4] {
        let Self { conv, rows, .. } = &self;
        let ConvShape { n_in, n_out, .. } = conv.shape;
        let gradient = Frames::of(&gradient);
        let norm = self
            .statistics
            .backward(rows, &self.affine, gradient.values());
        let back_taps = if wants[0] {
            conv.back_taps()
        } else {
            Vec::new()
        };
        let distances = conv.distances();
        let n_values = conv.n_frames_out * n_out;
        let n_values_in = conv.frames.n_frames * n_in;
        let mut d_frames = vec![
            0.0;
            if wants[0] {
                conv.frames.values().len()
            } else {
                0
            }
        ];
        let mut d_weight = vec![0.0; self.conv.weight.len()];
        let (mut room, mut d_rows) = (Vec::new(), Vec::new());
        for (first, n) in conv.parts() {
            let to = conv.gradient_rows(n);
            // Zeros behind each clip stay zeros: no part writes there.
            d_rows.resize(d_rows.len().max(n * to.clip_stride), 0.0);
            let part = first * n_values..(first + n) * n_values;
            norm.rows(
                &rows[part.clone()],
                &gradient.values()[part],
                &mut d_rows,
                &to,
            );
            if wants[1] {
                let (input, from) = (conv.pad((first, n), &mut room), conv.input_rows(n));
                if conv.shape.depthwise {
                    let sums = &mut d_weight;
                    depthwise::weights_gradient(
                        input, &from, &distances, n_out, &d_rows, &to, sums,
                    );
                } else {
                    let dims = [n_in, n_out];
                    let sums = &mut d_weight;
                    multiply::matrix_gradient(input, &from, &distances, &d_rows, &to, dims, sums);
                }
            }
            if wants[0] {
                let output = &mut d_frames[first * n_values_in..(first + n) * n_values_in];
                conv.frames_gradient(&back_taps, n, &d_rows, output);
            }
        }
        let (n_clips, n_frames) = (conv.frames.n_clips, conv.frames.n_frames);
        [
            wants[0].then(|| frames_tensor(d_frames, n_clips, n_frames, n_in)),
            wants[1].then(|| conv.weight_tensor(&d_weight)),
            wants[2].then(|| plain_tensor(norm.gamma, [n_out])),
            wants[3].then(|| plain_tensor(norm.beta, [n_out])),
        ]
    }
}
