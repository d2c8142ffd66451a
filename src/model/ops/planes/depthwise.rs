//! Planes times one number a channel and tap: depthwise convolutions over bands and time.

// Loops of a fixed length over registers: written with indices, they unroll.
#![allow(clippy::needless_range_loop)]

use pulp::{Arch, Simd, WithSimd};

use crate::model::ops::lanes::{load_at, store};

/// Vectors of positions whose sums are in registers at a time.
const TILE_VECTORS: usize = 4;
/// Taps whose sums are in registers at a time.
const TILE_TAPS: usize = 5;

/// `output[c * output_stride + q] = sum over taps of weights[c][tap] * input[c * input_stride + distances[tap] + q]`
///
/// For `q` below `n`; `weights` is `[n_channels, n_taps]`.
///
/// # Panics
///
/// Where a place lies outside its array: shapes are checked before.
pub fn multiply(
    (input, input_stride): (&[f32], usize),
    distances: &[usize],
    weights: &[f32],
    n: usize,
    (output, output_stride): (&mut [f32], usize),
) {
    Arch::new().dispatch(Product {
        input,
        input_stride,
        distances,
        weights,
        n,
        output,
        output_stride,
    });
}

struct Product<'a> {
    input: &'a [f32],
    input_stride: usize,
    distances: &'a [usize],
    weights: &'a [f32],
    n: usize,
    output: &'a mut [f32],
    output_stride: usize,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (n, lanes) = (self.n, S::F32_LANES);
        let channels = self.weights.chunks_exact(self.distances.len()).enumerate();
        for (channel, weights) in channels {
            let input = &self.input[channel * self.input_stride..];
            let output = &mut self.output[channel * self.output_stride..][..n];
            let taps = (self.distances, weights);
            if n < lanes {
                tile::<S, 1, false>(simd, input, taps, output, 0);
                continue;
            }
            let mut at = 0;
            while at + TILE_VECTORS * lanes <= n {
                tile::<S, TILE_VECTORS, true>(simd, input, taps, output, at);
                at += TILE_VECTORS * lanes;
            }
            while at < n {
                // The last one is made again in part, so that it is whole.
                at = at.min(n - lanes);
                tile::<S, 1, true>(simd, input, taps, output, at);
                at += lanes;
            }
        }
    }
}

#[inline(always)]
fn tile<S: Simd, const V: usize, const FULL: bool>(
    simd: S,
    input: &[f32],
    (distances, weights): (&[usize], &[f32]),
    output: &mut [f32],
    at: usize,
) {
    let width = if FULL { S::F32_LANES } else { output.len() };
    let mut sums = [simd.splat_f32s(0.0); V];
    for (distance, weight) in distances.iter().zip(weights) {
        let weight = simd.splat_f32s(*weight);
        let input = &input[distance + at..][..(V - 1) * S::F32_LANES + width];
        for v in 0..V {
            let value = load_at::<S, FULL>(simd, input, v * S::F32_LANES, width);
            sums[v] = simd.mul_add_e_f32s(value, weight, sums[v]);
        }
    }
    for (v, sum) in sums.iter().enumerate() {
        store(simd, &mut output[at + v * S::F32_LANES..][..width], *sum);
    }
}

/// Adds the gradient of the weights `[n_channels, n_taps]` to `sums`:
/// `sums[c][tap] += sum over clips and q below n of gradient[clip, c, q] * input[clip, c, distances[tap] + q]`
///
/// Strides are those of a channel; a clip's channels follow those of the clip before.
///
/// # Panics
///
/// Where a place lies outside its array: shapes are checked before.
pub fn weights_gradient(
    (input, input_stride): (&[f32], usize),
    distances: &[usize],
    (gradient, gradient_stride): (&[f32], usize),
    n_clips: usize,
    n: usize,
    sums: &mut [f32],
) {
    Arch::new().dispatch(Gradient {
        input,
        input_stride,
        distances,
        gradient,
        gradient_stride,
        n_clips,
        n,
        sums,
    });
}

struct Gradient<'a> {
    input: &'a [f32],
    input_stride: usize,
    distances: &'a [usize],
    gradient: &'a [f32],
    gradient_stride: usize,
    n_clips: usize,
    n: usize,
    sums: &'a mut [f32],
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let n_taps = self.distances.len();
        for channel in 0..self.sums.len() / n_taps {
            let mut tap = 0;
            while tap + TILE_TAPS <= n_taps {
                self.tile::<S, TILE_TAPS>(simd, channel, tap);
                tap += TILE_TAPS;
            }
            match n_taps - tap {
                4 => self.tile::<S, 4>(simd, channel, tap),
                3 => self.tile::<S, 3>(simd, channel, tap),
                2 => self.tile::<S, 2>(simd, channel, tap),
                1 => self.tile::<S, 1>(simd, channel, tap),
                _ => {}
            }
        }
    }
}

impl Gradient<'_> {
    #[inline(always)]
    fn tile<S: Simd, const T: usize>(&mut self, simd: S, channel: usize, tap: usize) {
        let (n, lanes) = (self.n, S::F32_LANES);
        let n_taps = self.distances.len();
        let n_channels = self.sums.len() / n_taps;
        let mut sums = [simd.splat_f32s(0.0); T];
        for clip in 0..self.n_clips {
            let channel = clip * n_channels + channel;
            let gradient = &self.gradient[channel * self.gradient_stride..][..n];
            let mut inputs: [&[f32]; T] = [&[]; T];
            for t in 0..T {
                let at = channel * self.input_stride + self.distances[tap + t];
                inputs[t] = &self.input[at..at + n];
            }
            let mut at = 0;
            while at + lanes <= n {
                multiply_add::<S, T, true>(simd, gradient, inputs, [at, lanes], &mut sums);
                at += lanes;
            }
            if at < n {
                multiply_add::<S, T, false>(simd, gradient, inputs, [at, n - at], &mut sums);
            }
        }
        for t in 0..T {
            self.sums[channel * n_taps + tap + t] += simd.reduce_sum_f32s(sums[t]);
        }
    }
}

/// One vector of positions.
#[inline(always)]
fn multiply_add<S: Simd, const T: usize, const FULL: bool>(
    simd: S,
    gradient: &[f32],
    inputs: [&[f32]; T],
    [at, width]: [usize; 2],
    sums: &mut [S::f32s; T],
) {
    let gradient = load_at::<S, FULL>(simd, gradient, at, width);
    for t in 0..T {
        let value = load_at::<S, FULL>(simd, inputs[t], at, width);
        sums[t] = simd.mul_add_e_f32s(value, gradient, sums[t]);
    }
}
