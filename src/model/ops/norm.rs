//! Batch normalisation over rows (Ioffe & Szegedy 2015), with the ReLU that often follows, forward and backward.
//!
//! The normalised values are not kept: the backward pass makes them again from the rows before normalisation.

// One index into several arrays of channels.
#![allow(clippy::needless_range_loop)]

use pulp::{Arch, Simd, WithSimd};

use super::lanes::{load, store, vectors};
use super::rows::Rows;

/// Rows summed in f32 before they are added to a sum in f64.
const BLOCK_ROWS: usize = 64;

/// What the backward pass needs of each channel.
#[derive(Clone, Debug)]
pub struct Statistics {
    pub mean: Vec<f32>,
    /// Biased: divided by the number of rows.
    pub variance: Vec<f32>,
}

/// A normalisation's parameters, and whether ReLU follows.
#[derive(Clone, Debug)]
pub struct Affine {
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
    /// Added to the variance before its root.
    pub epsilon: f64,
    pub relu: bool,
}

impl Affine {
    /// What passes ReLU is above this.
    pub(super) fn floor(&self) -> f32 {
        if self.relu { 0.0 } else { f32::NEG_INFINITY }
    }
}

/// Mean and spread of each channel over rows that come in parts (Chan, Golub & LeVeque 1979).
#[derive(Clone, Debug)]
pub struct Moments {
    n_rows: f64,
    mean: Vec<f64>,
    /// Sum of the squared distances from the mean.
    squares: Vec<f64>,
}

impl Moments {
    pub fn new(n_channels: usize) -> Self {
        Self {
            n_rows: 0.0,
            mean: vec![0.0; n_channels],
            squares: vec![0.0; n_channels],
        }
    }

    /// Takes more rows `[n_rows, n_channels]`.
    pub fn add(&mut self, rows: &[f32]) {
        Arch::new().dispatch(AddRows {
            moments: self,
            rows,
        });
    }

    /// Takes the mean and the sum of the squared distances from it of `n` more rows.
    pub(super) fn merge(&mut self, n: usize, block_mean: &[f32], block_squares: &[f32]) {
        let (n, before) = (n as f64, self.n_rows);
        self.n_rows += n;
        for c in 0..self.mean.len() {
            let distance = f64::from(block_mean[c]) - self.mean[c];
            self.mean[c] += distance * n / self.n_rows;
            self.squares[c] +=
                f64::from(block_squares[c]) + distance * distance * n * before / self.n_rows;
        }
    }

    pub fn statistics(&self) -> Statistics {
        let n_rows = self.n_rows.max(1.0);
        Statistics {
            mean: self.mean.iter().map(|mean| *mean as f32).collect(),
            variance: self
                .squares
                .iter()
                .map(|sum| (sum / n_rows) as f32)
                .collect(),
        }
    }
}

impl Statistics {
    fn inv_deviation(&self, epsilon: f64) -> Vec<f32> {
        self.variance
            .iter()
            .map(|variance| (1.0 / (f64::from(*variance) + epsilon).sqrt()) as f32)
            .collect()
    }

    /// `value * scale + shift` is the normalised value times gamma plus beta.
    pub(super) fn scale_and_shift(&self, affine: &Affine) -> (Vec<f32>, Vec<f32>) {
        let inv_deviation = self.inv_deviation(affine.epsilon);
        let scale: Vec<f32> = inv_deviation
            .iter()
            .zip(&affine.gamma)
            .map(|(inv_deviation, gamma)| inv_deviation * gamma)
            .collect();
        let shift = scale.iter().zip(&self.mean).zip(&affine.beta);
        let shift = shift.map(|((scale, mean), beta)| beta - mean * scale);
        let shift = shift.collect();
        (scale, shift)
    }

    /// Normalises rows `[n_rows, n_channels]`, then ReLU if asked for.
    pub fn apply(&self, rows: &[f32], affine: &Affine) -> Vec<f32> {
        let (scale, shift) = self.scale_and_shift(affine);
        let mut output = vec![0.0; rows.len()];
        Arch::new().dispatch(Apply {
            rows,
            scale: &scale,
            shift: &shift,
            floor: affine.floor(),
            output: &mut output,
        });
        output
    }

    /// The way back through the normalisation of `rows`, from the `gradient` of what came out; both are
    /// `[n_rows, n_channels]`.
    pub fn backward(&self, rows: &[f32], affine: &Affine, gradient: &[f32]) -> NormGradient {
        let n_channels = affine.gamma.len();
        let (scale, shift) = self.scale_and_shift(affine);
        let mut sums = [vec![0.0; n_channels], vec![0.0; n_channels]];
        Arch::new().dispatch(GradientSums {
            rows,
            gradient,
            scale: &scale,
            shift: &shift,
            centre: &self.mean,
            floor: affine.floor(),
            sums: &mut sums,
        });
        self.gradient(rows.len() / n_channels.max(1), affine, &sums)
    }

    /// The way back from what is summed over `n_rows` rows: the gradient where ReLU was open, and its product with
    /// the distance from the mean.
    pub(super) fn gradient(
        &self,
        n_rows: usize,
        affine: &Affine,
        sums: &[Vec<f64>; 2],
    ) -> NormGradient {
        let n_channels = affine.gamma.len();
        let n_rows = n_rows.max(1) as f32;
        let (scale, shift) = self.scale_and_shift(affine);
        let inv_deviation = self.inv_deviation(affine.epsilon);
        let beta: Vec<f32> = sums[0].iter().map(|sum| *sum as f32).collect();
        let gamma: Vec<f32> = sums[1]
            .iter()
            .zip(&inv_deviation)
            .map(|(sum, inv_deviation)| (sum * f64::from(*inv_deviation)) as f32)
            .collect();
        // scale * (g - mean(g) - normalised * mean(g * normalised)), as a line in the row's value.
        let slope: Vec<f32> = (0..n_channels)
            .map(|c| -scale[c] * gamma[c] / n_rows * inv_deviation[c])
            .collect();
        let offset = (0..n_channels)
            .map(|c| -scale[c] * beta[c] / n_rows - slope[c] * self.mean[c])
            .collect();
        NormGradient {
            gamma,
            beta,
            scale,
            shift,
            slope,
            offset,
            floor: affine.floor(),
        }
    }
}

/// The gradients of a normalisation's parameters, and what makes those of its rows.
pub struct NormGradient {
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
    pub(super) slope: Vec<f32>,
    pub(super) offset: Vec<f32>,
    pub(super) floor: f32,
}

impl NormGradient {
    /// The gradient of some of the rows before the normalisation, written to `to` in `output`.
    pub fn rows(&self, rows: &[f32], gradient: &[f32], output: &mut [f32], to: &Rows) {
        let to: Vec<usize> = to.offsets().collect();
        Arch::new().dispatch(GradientRows {
            rows,
            gradient,
            scale: &self.scale,
            shift: &self.shift,
            slope: &self.slope,
            offset: &self.offset,
            floor: self.floor,
            output,
            to: &to,
        });
    }
}

/// The sum of each channel over rows `[n_rows, n_channels]`.
pub fn sum_rows(rows: &[f32], n_channels: usize) -> Vec<f64> {
    let mut sums = vec![0.0; n_channels];
    Arch::new().dispatch(Sum {
        rows,
        sums: &mut sums,
    });
    sums
}

struct AddRows<'a> {
    moments: &'a mut Moments,
    rows: &'a [f32],
}

impl WithSimd for AddRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let n_channels = self.moments.mean.len();
        let (mut block_mean, mut block_squares) = (vec![0.0; n_channels], vec![0.0; n_channels]);
        for block in self.rows.chunks((BLOCK_ROWS * n_channels).max(1)) {
            let n = block.len() / n_channels;
            let share = simd.splat_f32s(1.0 / n as f32);
            for (first, width) in vectors::<S>(n_channels) {
                let mut sum = simd.splat_f32s(0.0);
                for row in block.chunks_exact(n_channels) {
                    sum = simd.add_f32s(sum, load(simd, &row[first..][..width]));
                }
                let centre = simd.mul_f32s(sum, share);
                let mut sum = simd.splat_f32s(0.0);
                for row in block.chunks_exact(n_channels) {
                    let value = simd.sub_f32s(load(simd, &row[first..][..width]), centre);
                    sum = simd.mul_add_e_f32s(value, value, sum);
                }
                store(simd, &mut block_mean[first..][..width], centre);
                store(simd, &mut block_squares[first..][..width], sum);
            }
            self.moments.merge(n, &block_mean, &block_squares);
        }
    }
}

/// Sums of values.
struct Sum<'a> {
    rows: &'a [f32],
    sums: &'a mut [f64],
}

impl WithSimd for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let n_channels = self.sums.len();
        let mut part = vec![0.0; n_channels];
        for block in self.rows.chunks((BLOCK_ROWS * n_channels).max(1)) {
            for (first, width) in vectors::<S>(n_channels) {
                let mut sum = simd.splat_f32s(0.0);
                for row in block.chunks_exact(n_channels) {
                    sum = simd.add_f32s(sum, load(simd, &row[first..][..width]));
                }
                store(simd, &mut part[first..][..width], sum);
            }
            add(self.sums, &part);
        }
    }
}

/// `value * scale + shift`, and not below the floor.
struct Apply<'a> {
    rows: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    floor: f32,
    output: &'a mut [f32],
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let n_channels = self.scale.len();
        let floor = simd.splat_f32s(self.floor);
        let block = (BLOCK_ROWS * n_channels).max(1);
        for (rows, output) in self.rows.chunks(block).zip(self.output.chunks_mut(block)) {
            for (first, width) in vectors::<S>(n_channels) {
                let scale = load(simd, &self.scale[first..][..width]);
                let shift = load(simd, &self.shift[first..][..width]);
                let rows = rows.chunks_exact(n_channels);
                for (row, to) in rows.zip(output.chunks_exact_mut(n_channels)) {
                    let value = load(simd, &row[first..][..width]);
                    let value = simd.mul_add_e_f32s(value, scale, shift);
                    // Not the maximum: a value that is not a number stays visible.
                    let below = simd.less_than_f32s(value, floor);
                    let value = simd.select_f32s(below, floor, value);
                    store(simd, &mut to[first..][..width], value);
                }
            }
        }
    }
}

/// Sums of the gradient where ReLU was open, and of its product with `value - centre`.
struct GradientSums<'a> {
    rows: &'a [f32],
    gradient: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    centre: &'a [f32],
    floor: f32,
    sums: &'a mut [Vec<f64>; 2],
}

impl WithSimd for GradientSums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let n_channels = self.scale.len();
        let (floor, zero) = (simd.splat_f32s(self.floor), simd.splat_f32s(0.0));
        let mut parts = [vec![0.0; n_channels], vec![0.0; n_channels]];
        let block = (BLOCK_ROWS * n_channels).max(1);
        for (rows, gradient) in self.rows.chunks(block).zip(self.gradient.chunks(block)) {
            for (first, width) in vectors::<S>(n_channels) {
                let scale = load(simd, &self.scale[first..][..width]);
                let shift = load(simd, &self.shift[first..][..width]);
                let centre = load(simd, &self.centre[first..][..width]);
                let (mut sum, mut product) = (zero, zero);
                let rows = rows.chunks_exact(n_channels);
                for (row, gradient) in rows.zip(gradient.chunks_exact(n_channels)) {
                    let value = load(simd, &row[first..][..width]);
                    let gradient = load(simd, &gradient[first..][..width]);
                    let open = simd.less_than_f32s(floor, simd.mul_add_e_f32s(value, scale, shift));
                    let gradient = simd.select_f32s(open, gradient, zero);
                    sum = simd.add_f32s(sum, gradient);
                    let centred = simd.sub_f32s(value, centre);
                    product = simd.mul_add_e_f32s(centred, gradient, product);
                }
                store(simd, &mut parts[0][first..][..width], sum);
                store(simd, &mut parts[1][first..][..width], product);
            }
            for (sums, part) in self.sums.iter_mut().zip(&parts) {
                add(sums, part);
            }
        }
    }
}

/// `scale * gradient + slope * value + offset`, the gradient zero where ReLU was closed.
struct GradientRows<'a> {
    rows: &'a [f32],
    gradient: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    slope: &'a [f32],
    offset: &'a [f32],
    floor: f32,
    output: &'a mut [f32],
    to: &'a [usize],
}

impl WithSimd for GradientRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let n_channels = self.scale.len();
        let (floor, zero) = (simd.splat_f32s(self.floor), simd.splat_f32s(0.0));
        let block = (BLOCK_ROWS * n_channels).max(1);
        let blocks = self.rows.chunks(block).zip(self.gradient.chunks(block));
        for ((rows, gradient), to) in blocks.zip(self.to.chunks(BLOCK_ROWS)) {
            for (first, width) in vectors::<S>(n_channels) {
                let scale = load(simd, &self.scale[first..][..width]);
                let shift = load(simd, &self.shift[first..][..width]);
                let slope = load(simd, &self.slope[first..][..width]);
                let offset = load(simd, &self.offset[first..][..width]);
                let rows = rows.chunks_exact(n_channels);
                let rows = rows.zip(gradient.chunks_exact(n_channels));
                for ((row, gradient), to) in rows.zip(to) {
                    let value = load(simd, &row[first..][..width]);
                    let gradient = load(simd, &gradient[first..][..width]);
                    let open = simd.less_than_f32s(floor, simd.mul_add_e_f32s(value, scale, shift));
                    let gradient = simd.select_f32s(open, gradient, zero);
                    let line = simd.mul_add_e_f32s(value, slope, offset);
                    let value = simd.mul_add_e_f32s(scale, gradient, line);
                    store(simd, &mut self.output[to + first..][..width], value);
                }
            }
        }
    }
}

fn add(sums: &mut [f64], part: &[f32]) {
    for (sum, part) in sums.iter_mut().zip(part) {
        *sum += f64::from(*part);
    }
}
