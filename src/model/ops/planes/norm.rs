//! Batch normalisation over planes, with the ReLU that often follows, forward and backward: what
//! [`crate::model::ops::norm`] does to rows of channels.
//!
//! Values come in runs, one a clip and normalised group: a channel's plane or, where sub-bands are normalised apart
//! (Chang et al. 2021, "Subspectral normalization"), some of its bands.

// One index into several arrays of groups.
#![allow(clippy::needless_range_loop)]

use pulp::{Arch, Simd, WithSimd};

use super::grid::Grid;
use crate::model::ops::lanes::{load, store};
use crate::model::ops::norm::{Affine, Moments, NormGradient, Statistics};

/// Values of a run that are summed in f32 before they are added to a sum in f64.
const BLOCK_VALUES: usize = 4096;
/// Sums that are made side by side, so that none waits for the one before.
const N_SUMS: usize = 4;

/// Takes more clips `[n_clips, n_groups, n_each]`.
pub fn add_moments(moments: &mut Moments, values: &[f32], n_groups: usize, n_each: usize) {
    let (mut mean, mut squares) = (vec![0.0; n_groups], vec![0.0; n_groups]);
    for clip in values.chunks_exact(n_groups * n_each) {
        for first in (0..n_each).step_by(BLOCK_VALUES) {
            let n = BLOCK_VALUES.min(n_each - first);
            for group in 0..n_groups {
                let run = &clip[group * n_each + first..][..n];
                (mean[group], squares[group]) = Arch::new().dispatch(RunMoments(run));
            }
            moments.merge(n, &mean, &squares);
        }
    }
}

/// Normalises clips `[n_clips, n_groups, n_each]`, then ReLU if asked for.
pub fn apply(statistics: &Statistics, values: &[f32], n_each: usize, affine: &Affine) -> Vec<f32> {
    let (scale, shift) = statistics.scale_and_shift(affine);
    let mut output = Vec::with_capacity(values.len());
    Arch::new().dispatch(Apply {
        values,
        n_each,
        scale: &scale,
        shift: &shift,
        floor: affine.floor(),
        output: &mut output,
    });
    output
}

/// The way back through the normalisation of `values`, from the `gradient` of what came out; both are
/// `[n_clips, n_groups, n_each]`.
pub fn backward(
    statistics: &Statistics,
    values: &[f32],
    n_each: usize,
    affine: &Affine,
    gradient: &[f32],
) -> NormGradient {
    let n_groups = affine.gamma.len();
    let (scale, shift) = statistics.scale_and_shift(affine);
    let mut sums = [vec![0.0; n_groups], vec![0.0; n_groups]];
    let runs = values
        .chunks_exact(n_each)
        .zip(gradient.chunks_exact(n_each));
    for (i, (values, gradient)) in runs.enumerate() {
        let group = i % n_groups;
        let (sum, product) = Arch::new().dispatch(GradientSums {
            values,
            gradient,
            scale: scale[group],
            shift: shift[group],
            centre: statistics.mean[group],
            floor: affine.floor(),
        });
        sums[0][group] += sum;
        sums[1][group] += product;
    }
    statistics.gradient(values.len() / n_groups, affine, &sums)
}

/// The gradient of some clips before the normalisation, written to the places of `grid`'s room of the gradient.
pub fn gradient_places(
    norm: &NormGradient,
    grid: &Grid,
    values: &[f32],
    gradient: &[f32],
    room: &mut [f32],
) {
    let n_groups = norm.gamma.len();
    let n_subbands = n_groups / grid.shape.n_out;
    let n_each = grid.n_plane_out() / n_subbands;
    let (n_run, n_step) = if grid.is_dense() {
        (n_each, n_each)
    } else {
        (grid.n_frames_out, grid.n_columns())
    };
    Arch::new().dispatch(GradientPlaces {
        norm,
        n_subbands,
        n_each,
        n_run,
        n_step,
        lead: grid.lead(),
        n_room: grid.n_gradient_room(),
        values,
        gradient,
        room,
    });
}

/// Mean of a run and the sum of the squared distances from it.
struct RunMoments<'a>(&'a [f32]);

impl WithSimd for RunMoments<'_> {
    type Output = (f32, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f32, f32) {
        let zero = simd.splat_f32s(0.0);
        let n_block = N_SUMS * S::F32_LANES;
        let blocks = self.0.chunks_exact(n_block);
        let rest = blocks.remainder();
        let mut sums = [zero; N_SUMS];
        for block in blocks.clone() {
            let (vectors, _) = S::as_simd_f32s(block);
            for k in 0..N_SUMS {
                sums[k] = simd.add_f32s(sums[k], vectors[k]);
            }
        }
        let mut sum = simd.reduce_sum_f32s(total(simd, sums));
        sum += rest.iter().sum::<f32>();
        let mean = sum / self.0.len() as f32;
        let centre = simd.splat_f32s(mean);
        let mut sums = [zero; N_SUMS];
        for block in blocks {
            let (vectors, _) = S::as_simd_f32s(block);
            for k in 0..N_SUMS {
                let distance = simd.sub_f32s(vectors[k], centre);
                sums[k] = simd.mul_add_e_f32s(distance, distance, sums[k]);
            }
        }
        let squares = simd.reduce_sum_f32s(total(simd, sums));
        let rest = rest.iter().map(|value| (value - mean) * (value - mean));
        (mean, squares + rest.sum::<f32>())
    }
}

#[inline(always)]
fn total<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; N_SUMS]) -> S::f32s {
    simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d))
}

/// `value * scale + shift`, and not below the floor.
struct Apply<'a> {
    values: &'a [f32],
    n_each: usize,
    scale: &'a [f32],
    shift: &'a [f32],
    floor: f32,
    output: &'a mut Vec<f32>,
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (n_each, n_groups) = (self.n_each, self.scale.len());
        let floor = simd.splat_f32s(self.floor);
        // What is made here fits the first-level cache; the output's memory is written once.
        let mut room = vec![0.0; BLOCK_VALUES.min(n_each)];
        for (i, run) in self.values.chunks_exact(n_each).enumerate() {
            let scale = simd.splat_f32s(self.scale[i % n_groups]);
            let shift = simd.splat_f32s(self.shift[i % n_groups]);
            for block in run.chunks(room.len()) {
                let room = &mut room[..block.len()];
                let parts = block.chunks(S::F32_LANES);
                for (part, to) in parts.zip(room.chunks_mut(S::F32_LANES)) {
                    let value = simd.mul_add_e_f32s(load(simd, part), scale, shift);
                    // Not the maximum: a value that is not a number stays visible.
                    let below = simd.less_than_f32s(value, floor);
                    store(simd, to, simd.select_f32s(below, floor, value));
                }
                self.output.extend_from_slice(room);
            }
        }
    }
}

/// Sums over a run of the gradient where ReLU was open, and of its product with `value - centre`.
struct GradientSums<'a> {
    values: &'a [f32],
    gradient: &'a [f32],
    scale: f32,
    shift: f32,
    centre: f32,
    floor: f32,
}

impl WithSimd for GradientSums<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> (f64, f64) {
        let zero = simd.splat_f32s(0.0);
        let n_block = N_SUMS * S::F32_LANES;
        let mut totals = (0.0, 0.0);
        let pairs = self.values.chunks(BLOCK_VALUES);
        for (values, gradient) in pairs.zip(self.gradient.chunks(BLOCK_VALUES)) {
            let (mut sums, mut products) = ([zero; N_SUMS], [zero; N_SUMS]);
            let n_whole = values.len() / n_block * n_block;
            let (values, values_left) = values.split_at(n_whole);
            let (gradient, gradient_left) = gradient.split_at(n_whole);
            let blocks = values.chunks_exact(n_block);
            for (values, gradient) in blocks.zip(gradient.chunks_exact(n_block)) {
                let (values, _) = S::as_simd_f32s(values);
                let (gradient, _) = S::as_simd_f32s(gradient);
                for k in 0..N_SUMS {
                    let found = self.terms(simd, values[k], gradient[k]);
                    sums[k] = simd.add_f32s(sums[k], found.0);
                    products[k] = simd.add_f32s(products[k], found.1);
                }
            }
            let parts = values_left.chunks(S::F32_LANES);
            for (value, gradient) in parts.zip(gradient_left.chunks(S::F32_LANES)) {
                let found = self.terms(simd, load(simd, value), load(simd, gradient));
                sums[0] = simd.add_f32s(sums[0], found.0);
                products[0] = simd.add_f32s(products[0], found.1);
            }
            totals.0 += f64::from(simd.reduce_sum_f32s(total(simd, sums)));
            totals.1 += f64::from(simd.reduce_sum_f32s(total(simd, products)));
        }
        totals
    }
}

impl GradientSums<'_> {
    /// What a vector adds to the two sums.
    #[inline(always)]
    fn terms<S: Simd>(&self, simd: S, value: S::f32s, gradient: S::f32s) -> (S::f32s, S::f32s) {
        let (scale, shift) = (simd.splat_f32s(self.scale), simd.splat_f32s(self.shift));
        let normed = simd.mul_add_e_f32s(value, scale, shift);
        let open = simd.less_than_f32s(simd.splat_f32s(self.floor), normed);
        let gradient = simd.select_f32s(open, gradient, simd.splat_f32s(0.0));
        let centred = simd.sub_f32s(value, simd.splat_f32s(self.centre));
        (gradient, simd.mul_f32s(centred, gradient))
    }
}

/// `scale * gradient + slope * value + offset`, the gradient zero where ReLU was closed.
struct GradientPlaces<'a> {
    norm: &'a NormGradient,
    n_subbands: usize,
    n_each: usize,
    /// Values that stand side by side in the room, and the way from their first to that of the next ones.
    n_run: usize,
    n_step: usize,
    lead: usize,
    n_room: usize,
    values: &'a [f32],
    gradient: &'a [f32],
    room: &'a mut [f32],
}

impl WithSimd for GradientPlaces<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let norm = self.norm;
        let (n_groups, n_runs) = (norm.gamma.len(), self.n_each / self.n_run);
        let (floor, zero) = (simd.splat_f32s(norm.floor), simd.splat_f32s(0.0));
        let groups = self.values.chunks_exact(self.n_each);
        let groups = groups.zip(self.gradient.chunks_exact(self.n_each));
        for (i, (values, gradient)) in groups.enumerate() {
            let group = i % n_groups;
            let scale = simd.splat_f32s(norm.scale[group]);
            let shift = simd.splat_f32s(norm.shift[group]);
            let slope = simd.splat_f32s(norm.slope[group]);
            let offset = simd.splat_f32s(norm.offset[group]);
            let (channel, subband) = (i / self.n_subbands, i % self.n_subbands);
            let first = channel * self.n_room + self.lead + subband * n_runs * self.n_step;
            let runs = values.chunks_exact(self.n_run);
            let runs = runs.zip(gradient.chunks_exact(self.n_run));
            for (run, (values, gradient)) in runs.enumerate() {
                let output = &mut self.room[first + run * self.n_step..][..self.n_run];
                let parts = values.chunks(S::F32_LANES);
                let parts = parts.zip(gradient.chunks(S::F32_LANES));
                for ((value, gradient), to) in parts.zip(output.chunks_mut(S::F32_LANES)) {
                    let (value, gradient) = (load(simd, value), load(simd, gradient));
                    let open = simd.less_than_f32s(floor, simd.mul_add_e_f32s(value, scale, shift));
                    let gradient = simd.select_f32s(open, gradient, zero);
                    let line = simd.mul_add_e_f32s(value, slope, offset);
                    store(simd, to, simd.mul_add_e_f32s(scale, gradient, line));
                }
            }
        }
    }
}
