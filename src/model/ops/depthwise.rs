//! Rows of frames times one number a channel and tap: depthwise convolutions and the time filter of SVDF.
//!
//! The same taps and rows as in [`super::multiply`], a vector of channels at a time.

// Loops of a fixed length over registers: written with indices, they unroll.
#![allow(clippy::needless_range_loop)]

use pulp::{Arch, Simd, WithSimd};

use super::lanes::{load, load_at, store, vectors};
use super::rows::Rows;

/// `output[row][c] = sum over taps of input[row + distances[tap]][c] * weights[tap][c]`
///
/// `weights` is `[n_taps, n_channels]`; without taps the rows are zero.
///
/// # Panics
///
/// Where a row lies outside its array: shapes are checked before.
pub fn multiply(
    input: &[f32],
    from: &Rows,
    distances: &[usize],
    weights: &[f32],
    n_channels: usize,
    output: &mut [f32],
    to: &Rows,
) {
    let from: Vec<usize> = from.offsets().collect();
    let to: Vec<usize> = to.offsets().collect();
    assert_eq!(from.len(), to.len(), "as many rows in as out");
    if from.is_empty() {
        return;
    }
    Arch::new().dispatch(Product {
        input,
        from: &from,
        distances,
        weights,
        n_channels,
        output,
        to: &to,
    });
}

struct Product<'a> {
    input: &'a [f32],
    from: &'a [usize],
    distances: &'a [usize],
    weights: &'a [f32],
    n_channels: usize,
    output: &'a mut [f32],
    to: &'a [usize],
}

/// Rows whose sums are in registers at a time.
const TILE_ROWS: usize = 6;
/// Taps whose sums are in registers at a time.
const TILE_TAPS: usize = 5;

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let last = self.from.len() - 1;
        for tile in (0..self.from.len()).step_by(TILE_ROWS) {
            let mut bases = [0; TILE_ROWS];
            for (r, base) in bases.iter_mut().enumerate() {
                *base = self.from[(tile + r).min(last)];
            }
            for (first, width) in vectors::<S>(self.n_channels) {
                if width == S::F32_LANES {
                    self.tile::<S, true>(simd, tile, &bases, first, width);
                } else {
                    self.tile::<S, false>(simd, tile, &bases, first, width);
                }
            }
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn tile<S: Simd, const FULL: bool>(
        &mut self,
        simd: S,
        tile: usize,
        bases: &[usize; TILE_ROWS],
        first: usize,
        width: usize,
    ) {
        let mut sums = [simd.splat_f32s(0.0); TILE_ROWS];
        for (tap, distance) in self.distances.iter().enumerate() {
            let at = tap * self.n_channels + first;
            let weights = load_at::<S, FULL>(simd, self.weights, at, width);
            for r in 0..TILE_ROWS {
                let at = bases[r] + distance + first;
                let row = load_at::<S, FULL>(simd, self.input, at, width);
                sums[r] = simd.mul_add_e_f32s(row, weights, sums[r]);
            }
        }
        for (sum, to) in sums.iter().zip(&self.to[tile..]) {
            store(simd, &mut self.output[to + first..][..width], *sum);
        }
    }
}

/// Adds the gradient of the weights `[n_taps, n_channels]` to `sums`:
/// `sums[tap][c] += sum over rows of input[row + distances[tap]][c] * gradient[row][c]`
///
/// # Panics
///
/// Where a row lies outside its array: shapes are checked before.
pub fn weights_gradient(
    input: &[f32],
    from: &Rows,
    distances: &[usize],
    n_channels: usize,
    gradient: &[f32],
    gradient_rows: &Rows,
    sums: &mut [f32],
) {
    let from: Vec<usize> = from.offsets().collect();
    let gradient_rows: Vec<usize> = gradient_rows.offsets().collect();
    assert_eq!(from.len(), gradient_rows.len(), "as many rows in as out");
    assert_eq!(sums.len(), distances.len() * n_channels, "a weight a tap");
    Arch::new().dispatch(Gradient {
        input,
        from: &from,
        distances,
        n_channels,
        gradient,
        gradient_rows: &gradient_rows,
        sums,
    });
}

struct Gradient<'a> {
    input: &'a [f32],
    from: &'a [usize],
    distances: &'a [usize],
    n_channels: usize,
    gradient: &'a [f32],
    gradient_rows: &'a [usize],
    sums: &'a mut [f32],
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for (first, width) in vectors::<S>(self.n_channels) {
            if width == S::F32_LANES {
                self.column::<S, true>(simd, first, width);
            } else {
                self.column::<S, false>(simd, first, width);
            }
        }
    }
}

impl Gradient<'_> {
    /// All taps of one vector of channels.
    #[inline(always)]
    fn column<S: Simd, const FULL: bool>(&mut self, simd: S, first: usize, width: usize) {
        let mut tap = 0;
        while tap + TILE_TAPS <= self.distances.len() {
            self.tile::<S, FULL, TILE_TAPS>(simd, [first, width], tap);
            tap += TILE_TAPS;
        }
        match self.distances.len() - tap {
            4 => self.tile::<S, FULL, 4>(simd, [first, width], tap),
            3 => self.tile::<S, FULL, 3>(simd, [first, width], tap),
            2 => self.tile::<S, FULL, 2>(simd, [first, width], tap),
            1 => self.tile::<S, FULL, 1>(simd, [first, width], tap),
            _ => {}
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const FULL: bool, const T: usize>(
        &mut self,
        simd: S,
        [first, width]: [usize; 2],
        tap: usize,
    ) {
        let mut sums = [simd.splat_f32s(0.0); T];
        let mut distances = [0; T];
        for (distance, from) in distances.iter_mut().zip(&self.distances[tap..]) {
            *distance = from + first;
        }
        for (from, to) in self.from.iter().zip(self.gradient_rows) {
            let gradient = load_at::<S, FULL>(simd, self.gradient, to + first, width);
            for t in 0..T {
                let row = load_at::<S, FULL>(simd, self.input, from + distances[t], width);
                sums[t] = simd.mul_add_e_f32s(row, gradient, sums[t]);
            }
        }
        for (t, sum) in sums.iter().enumerate() {
            let at = (tap + t) * self.n_channels + first;
            let total = &mut self.sums[at..at + width];
            store(simd, total, simd.add_f32s(load(simd, total), *sum));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waves(n: usize, step: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * step).sin()).collect()
    }

    #[test]
    fn products_and_gradients_are_the_sums_that_define_them() {
        for n_channels in [1, 7, 8, 16, 21] {
            for n_taps in [1, 4, 9] {
                let n_frames = 13;
                let from = Rows {
                    n_clips: 2,
                    n_frames,
                    start: 0,
                    clip_stride: (n_frames + n_taps) * n_channels,
                    frame_stride: n_channels,
                };
                let to = Rows::dense(2, n_frames, n_channels);
                let distances: Vec<usize> = (0..n_taps).map(|tap| tap * n_channels).collect();
                let input = waves(2 * from.clip_stride, 0.37);
                let weights = waves(n_taps * n_channels, 0.11);
                let gradient = waves(to.n_rows() * n_channels, 0.23);
                let mut output = vec![f32::NAN; gradient.len()];
                multiply(
                    &input,
                    &from,
                    &distances,
                    &weights,
                    n_channels,
                    &mut output,
                    &to,
                );
                let mut found = vec![0.0; weights.len()];
                let sums = &mut found;
                weights_gradient(&input, &from, &distances, n_channels, &gradient, &to, sums);
                let mut expected = vec![0.0_f64; found.len()];
                for (from, to) in from.offsets().zip(to.offsets()) {
                    for c in 0..n_channels {
                        let mut sum = 0.0;
                        for (tap, distance) in distances.iter().enumerate() {
                            let value = f64::from(input[from + distance + c]);
                            sum += value * f64::from(weights[tap * n_channels + c]);
                            expected[tap * n_channels + c] += value * f64::from(gradient[to + c]);
                        }
                        assert!((f64::from(output[to + c]) - sum).abs() < 1e-5);
                    }
                }
                for (found, expected) in found.iter().zip(expected) {
                    assert!((f64::from(*found) - expected).abs() < 1e-5);
                }
            }
        }
    }
}
