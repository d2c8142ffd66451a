//! Causal convolution over bands and time, batch normalisation and perhaps ReLU, as one operation.
//!
//! Clips are taken a few at a time, so that what one pass writes the next finds in the cache. What is kept for the way
//! back is the input, which is there anyway, and the values before the normalisation.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::grid::Grid;
use super::multiply::{Filters, Places, filters_gradient};
use super::norm::{add_moments, apply, backward, gradient_places};
use super::{Planes, depthwise, planes_tensor};
use crate::model::layers::conv2d::{Conv2dShape, Norm};
use crate::model::ops::norm::{Affine, Moments, NormGradient, Statistics};
use crate::model::ops::rows::{numbers, plain_tensor};
use crate::model::ops::{Derivative, Input, finish};

/// A convolution alone: the output `[batch, n_values_out, n_frames_out]`. `None` where the tensors are not on the CPU
/// device, the batch is empty or the shape has a normalisation or ReLU.
///
/// # Shapes
///
/// - `frames`: `[batch, n_values, n_frames]`
/// - `weight`: `[n_out, n_in, kernel.bands, kernel.frames]`, depthwise `[n_channels, 1, ..]`
pub fn plain(shape: Conv2dShape, frames: &Tensor<3>, weight: &Tensor<4>) -> Option<Tensor<3>> {
    if shape.norm != Norm::None || shape.relu || frames.dims().contains(&0) {
        return None;
    }
    let inputs = [Input::of(frames)?, Input::of(weight)?];
    let conv = Conv::new(shape, &inputs[0], &inputs[1]);
    let output = conv.output_tensor(conv.forward(|_| {}));
    Some(finish(inputs, output, || conv))
}

/// A normalised convolution: the output, and the statistics that it was normalised with. Those of this batch, or
/// `running` ones from elsewhere, which have no derivative. `None` where the tensors are not on the CPU device, the
/// batch is empty, the shape has no normalisation, or a derivative is wanted that is not there.
///
/// # Shapes
///
/// As [`plain`]; `gamma`, `beta` and `running`: one a channel and sub-band.
pub fn normed(
    shape: Conv2dShape,
    epsilon: f64,
    frames: &Tensor<3>,
    weight: &Tensor<4>,
    affine: [&Tensor<1>; 2],
    running: Option<Statistics>,
) -> Option<(Tensor<3>, Statistics)> {
    if shape.norm == Norm::None || frames.dims().contains(&0) {
        return None;
    }
    let inputs = [
        Input::of(frames)?,
        Input::of(weight)?,
        Input::of(affine[0])?,
        Input::of(affine[1])?,
    ];
    if running.is_some() && matches!(inputs[0], Input::Tracked(_)) {
        return None;
    }
    let conv = Conv::new(shape, &inputs[0], &inputs[1]);
    let affine = Affine {
        gamma: numbers(inputs[2].values()),
        beta: numbers(inputs[3].values()),
        epsilon,
        relu: shape.relu,
    };
    let (output, normed) = NormedConv::forward(conv, affine, running);
    let output = normed.conv.output_tensor(output);
    let statistics = normed.statistics.clone();
    Some((finish(inputs, output, || normed), statistics))
}

/// A convolution of a batch.
#[derive(Clone, Debug)]
pub struct Conv {
    pub grid: Grid,
    frames: Planes,
    /// As the weight's tensor has it: `[n_out, n_in, n_taps]`.
    weight: Vec<f32>,
}

impl Conv {
    fn new(shape: Conv2dShape, frames: &Input, weight: &Input) -> Self {
        Self::of(shape, Planes::of(frames.values()), numbers(weight.values()))
    }

    /// The batch is not empty.
    pub fn of(shape: Conv2dShape, frames: Planes, weight: Vec<f32>) -> Self {
        Self {
            grid: Grid::new(shape, frames.n_clips(), frames.n_frames()),
            frames,
            weight,
        }
    }

    pub fn output_tensor(&self, values: Vec<f32>) -> FlexTensor {
        planes_tensor(values, self.grid.n_clips, self.grid.n_frames_out)
    }

    /// Values of a run that the normalisation takes together.
    fn n_each(&self, affine: &Affine) -> usize {
        self.grid.n_values_out() / affine.gamma.len()
    }

    /// Some clips as the taps read them; `room` is zeros at first.
    fn room<'a>(&'a self, (first, n): (usize, usize), room: &'a mut Vec<f32>) -> &'a [f32] {
        let n_values = self.grid.n_values_in();
        let clips = &self.frames.values()[first * n_values..(first + n) * n_values];
        if self.grid.needs_no_room() {
            return clips;
        }
        let n_room = n * self.n_clip_room();
        room.resize(room.len().max(n_room), 0.0);
        self.grid.fill(clips, &mut room[..n_room]);
        room
    }

    fn n_clip_room(&self) -> usize {
        self.grid.n_room() * self.grid.shape.input.n_channels
    }

    fn n_clip_gradient_room(&self) -> usize {
        self.grid.n_gradient_room() * self.grid.shape.n_out
    }

    /// Of each pair of input channel and tap, in the weight's order.
    fn term_offsets(&self, distances: &[usize]) -> Vec<usize> {
        let n_room = self.grid.n_room();
        (0..self.grid.shape.input.n_channels)
            .flat_map(|channel| distances.iter().map(move |tap| channel * n_room + tap))
            .collect()
    }

    /// `[batch, n_values_out, n_frames_out]`, and each part of it shown to `see` when it is ready.
    pub fn forward(&self, mut see: impl FnMut(&[f32])) -> Vec<f32> {
        let (grid, shape) = (&self.grid, self.grid.shape);
        let mut output = Vec::with_capacity(grid.n_clips * grid.n_values_out());
        let distances = grid.distances();
        let offsets = self.term_offsets(&distances);
        let n_terms = offsets.len();
        let filters = (!shape.depthwise).then(|| {
            Filters::new(shape.n_out, n_terms, |o, term| {
                self.weight[o * n_terms + term]
            })
        });
        let n_places = grid.n_places();
        let (mut room, mut places) = (Vec::new(), vec![0.0; shape.n_out * n_places]);
        for (first, n) in grid.parts() {
            let input = self.room((first, n), &mut room);
            let start = output.len();
            for input in input.chunks_exact(self.n_clip_room()).take(n) {
                match &filters {
                    Some(filters) => {
                        filters.multiply(input, &offsets, n_places, &mut places, n_places);
                    }
                    None => depthwise::multiply(
                        (input, grid.n_room()),
                        &distances,
                        &self.weight,
                        n_places,
                        (&mut places, n_places),
                    ),
                }
                grid.gather(&places, &mut output);
            }
            see(&output[start..]);
        }
        output
    }

    /// The gradients of the frames and of the weight, as far as they are wanted. `fill` writes the output's gradient
    /// of some clips to the places of the grid's room of the gradient.
    pub fn backward(
        &self,
        wants: [bool; 2],
        mut fill: impl FnMut((usize, usize), &mut [f32]),
    ) -> [Option<Vec<f32>>; 2] {
        let n_values = self.grid.n_clips * self.grid.n_values_in();
        let mut d_frames = wants[0].then(|| Vec::with_capacity(n_values));
        let mut d_weight = wants[1].then(|| vec![0.0; self.weight.len()]);
        let back = self.back_filters();
        let distances = self.grid.distances();
        let (mut room, mut back_room, mut d_room) = (Vec::new(), Vec::new(), Vec::new());
        for (first, n) in self.grid.parts() {
            // What is between the places stays zero: no part writes there.
            d_room.resize(d_room.len().max(n * self.n_clip_gradient_room()), 0.0);
            fill((first, n), &mut d_room);
            if let Some(d_weight) = &mut d_weight {
                let input = self.room((first, n), &mut room);
                self.add_weight_gradient(input, &distances, &d_room, n, d_weight);
            }
            if let Some(d_frames) = &mut d_frames {
                self.add_frames_gradient(&back, &d_room, n, &mut back_room, d_frames);
            }
        }
        [d_frames, d_weight]
    }

    fn add_weight_gradient(
        &self,
        input: &[f32],
        distances: &[usize],
        d_room: &[f32],
        n_clips: usize,
        d_weight: &mut [f32],
    ) {
        let grid = &self.grid;
        let (n, n_gradient_room) = (grid.n_places(), grid.n_gradient_room());
        if grid.shape.depthwise {
            let gradient = (&d_room[grid.lead()..], n_gradient_room);
            let input = (input, grid.n_room());
            return depthwise::weights_gradient(input, distances, gradient, n_clips, n, d_weight);
        }
        let channels = 0..grid.shape.n_out;
        let places: Vec<usize> = channels
            .map(|o| o * n_gradient_room + grid.lead())
            .collect();
        let input = Places {
            values: input,
            clip_stride: self.n_clip_room(),
            offsets: &self.term_offsets(distances),
        };
        let gradient = Places {
            values: d_room,
            clip_stride: self.n_clip_gradient_room(),
            offsets: &places,
        };
        filters_gradient(input, gradient, n_clips, n, d_weight);
    }

    /// What the way back to the frames needs of the weight.
    fn back_filters(&self) -> Vec<BackFilters> {
        let shape = self.grid.shape;
        let n_taps = shape.kernel.bands * shape.kernel.frames;
        let n_terms = self.weight.len() / shape.n_out;
        let phases = self.grid.back_phases().into_iter();
        let phases = phases.map(|phase| {
            let taps = &phase.taps;
            let (matrix, offsets) = if shape.depthwise {
                let channels = 0..shape.n_out;
                let weights = channels.flat_map(|c| taps.iter().map(move |tap| c * n_taps + tap));
                let weights = weights.map(|at| self.weight[at]).collect();
                (Matrix::Depthwise(weights), phase.distances.clone())
            } else {
                let n = taps.len();
                let value = |i: usize, term: usize| {
                    let (o, tap) = (term / n, taps[term % n]);
                    self.weight[o * n_terms + i * n_taps + tap]
                };
                let n_room = self.grid.n_gradient_room();
                let channels = 0..shape.n_out;
                let offsets =
                    channels.flat_map(|o| phase.distances.iter().map(move |tap| o * n_room + tap));
                let filters = Filters::new(shape.input.n_channels, shape.n_out * n, value);
                (Matrix::Dense(filters), offsets.collect())
            };
            BackFilters {
                start: phase.places.start,
                n: phase.places.len(),
                offsets,
                matrix,
            }
        });
        phases.collect()
    }

    /// Appends the gradient of the frames of some clips. `room` is zeros at first.
    fn add_frames_gradient(
        &self,
        back: &[BackFilters],
        d_room: &[f32],
        n_clips: usize,
        room: &mut Vec<f32>,
        output: &mut Vec<f32>,
    ) {
        let grid = &self.grid;
        room.resize(self.n_clip_room(), 0.0);
        let clips = d_room.chunks_exact(self.n_clip_gradient_room());
        for gradient in clips.take(n_clips) {
            for phase in back {
                let to = &mut room[phase.start..];
                match &phase.matrix {
                    Matrix::Dense(filters) => {
                        filters.multiply(gradient, &phase.offsets, phase.n, to, grid.n_room());
                    }
                    Matrix::Depthwise(weights) => depthwise::multiply(
                        (gradient, grid.n_gradient_room()),
                        &phase.offsets,
                        weights,
                        phase.n,
                        (to, grid.n_room()),
                    ),
                }
            }
            grid.take(room, output);
        }
    }

    /// Copies the output's gradient of some clips to the places of its room.
    fn fill_gradient(&self, gradient: &[f32], (first, n): (usize, usize), room: &mut [f32]) {
        let grid = &self.grid;
        let n_values = grid.n_values_out();
        let part = &gradient[first * n_values..(first + n) * n_values];
        let channels = part.chunks_exact(grid.n_plane_out());
        for (channel, room) in channels.zip(room.chunks_exact_mut(grid.n_gradient_room())) {
            let rows = room[grid.lead()..].chunks_mut(grid.n_columns());
            for (row, to) in channel.chunks_exact(grid.n_frames_out).zip(rows) {
                to[..row.len()].copy_from_slice(row);
            }
        }
    }

    /// [`Self::backward`] of the convolution alone.
    pub fn backward_plain(&self, wants: [bool; 2], gradient: &[f32]) -> [Option<Vec<f32>>; 2] {
        self.backward(wants, |part, room| self.fill_gradient(gradient, part, room))
    }

    pub fn frames_tensor(&self, values: Vec<f32>) -> FlexTensor {
        planes_tensor(values, self.grid.n_clips, self.grid.n_frames)
    }

    pub fn weight_tensor(&self, values: Vec<f32>) -> FlexTensor {
        plain_tensor(values, self.grid.shape.weight_shape())
    }
}

/// The taps that reach the frames of one phase.
struct BackFilters {
    start: usize,
    n: usize,
    offsets: Vec<usize>,
    matrix: Matrix,
}

enum Matrix {
    Dense(Filters),
    /// `[n_channels, n_taps]`
    Depthwise(Vec<f32>),
}

impl Derivative<2> for Conv {
    fn backward(self, gradient: FlexTensor, wants: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let gradient = Planes::of(&gradient);
        let [frames, weight] = self.backward_plain(wants, gradient.values());
        [
            frames.map(|values| self.frames_tensor(values)),
            weight.map(|values| self.weight_tensor(values)),
        ]
    }
}

/// A convolution and its normalisation of a batch, as they went.
#[derive(Clone, Debug)]
pub struct NormedConv {
    pub conv: Conv,
    /// Before the normalisation.
    values: Vec<f32>,
    pub statistics: Statistics,
    affine: Affine,
}

impl NormedConv {
    /// The output, normalised with the statistics of this batch or `running` ones, and what the way back needs.
    pub fn forward(conv: Conv, affine: Affine, running: Option<Statistics>) -> (Vec<f32>, Self) {
        let (n_groups, n_each) = (affine.gamma.len(), conv.n_each(&affine));
        let (values, statistics) = match running {
            Some(statistics) => (conv.forward(|_| {}), statistics),
            None => {
                let mut moments = Moments::new(n_groups);
                let values = conv.forward(|part| add_moments(&mut moments, part, n_groups, n_each));
                (values, moments.statistics())
            }
        };
        let output = apply(&statistics, &values, n_each, &affine);
        let normed = Self {
            conv,
            values,
            statistics,
            affine,
        };
        (output, normed)
    }

    /// The gradients of the frames and of the weight, as far as they are wanted, and those of the normalisation.
    pub fn backward(
        &self,
        wants: [bool; 2],
        gradient: &[f32],
    ) -> ([Option<Vec<f32>>; 2], NormGradient) {
        let (conv, values) = (&self.conv, &self.values);
        let n_each = conv.n_each(&self.affine);
        let norm = backward(&self.statistics, values, n_each, &self.affine, gradient);
        let n_values = conv.grid.n_values_out();
        let found = conv.backward(wants, |(first, n), room| {
            let part = first * n_values..(first + n) * n_values;
            gradient_places(
                &norm,
                &conv.grid,
                &values[part.clone()],
                &gradient[part],
                room,
            );
        });
        (found, norm)
    }
}

impl Derivative<4> for NormedConv {
    fn backward(self, gradient: FlexTensor, wants: [bool; 4]) -> [Option<FlexTensor>; 4] {
        let gradient = Planes::of(&gradient);
        let ([frames, weight], norm) =
            NormedConv::backward(&self, [wants[0], wants[1]], gradient.values());
        let n_groups = norm.gamma.len();
        [
            frames.map(|values| self.conv.frames_tensor(values)),
            weight.map(|values| self.conv.weight_tensor(values)),
            wants[2].then(|| plain_tensor(norm.gamma, [n_groups])),
            wants[3].then(|| plain_tensor(norm.beta, [n_groups])),
        ]
    }
}
