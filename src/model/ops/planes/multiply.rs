//! Planes times small matrices: dense convolutions over bands and time.
//!
//! A term of the sum is one input channel at one tap: a distance in memory and one number for each output channel. Sums
//! are made in registers, a tile of output channels by a few vectors of positions at a time.

// Loops of a fixed length over registers: written with indices, they unroll.
#![allow(clippy::needless_range_loop)]

use pulp::{Arch, Simd, WithSimd};

use crate::model::ops::lanes::{load_at, store};

/// Vectors of positions in a tile of a product.
const TILE_VECTORS: usize = 3;
/// Terms in a tile of the gradient of the filters.
const TILE_TERMS: usize = 4;

/// Sums that fit in the registers, at [`TILE_VECTORS`] or [`TILE_TERMS`] a channel.
#[derive(Clone, Copy, Debug)]
struct TileHeights {
    product: usize,
    gradient: usize,
}

struct AskHeights;

impl WithSimd for AskHeights {
    type Output = TileHeights;

    fn with_simd<S: Simd>(self, _simd: S) -> TileHeights {
        if S::F32_LANES == 16 {
            TileHeights {
                product: 8,
                gradient: 6,
            }
        } else {
            TileHeights {
                product: 4,
                gradient: 3,
            }
        }
    }
}

/// First of each tile and how many are in it, as even as they get, none above `most`.
fn tiles(n: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let n_tiles = n.div_ceil(most).max(1);
    let (each, n_larger) = (n / n_tiles, n % n_tiles);
    (0..n_tiles).map(move |tile| {
        let first = tile * each + tile.min(n_larger);
        (first, each + usize::from(tile < n_larger))
    })
}

/// A matrix `[n_out, n_terms]`, tiles of outputs one after the other.
#[derive(Clone, Debug)]
pub struct Filters {
    n_terms: usize,
    tiles: Vec<(usize, usize)>,
    packed: Vec<f32>,
}

impl Filters {
    /// `value(o, term)` from a term to output channel `o`.
    pub fn new(n_out: usize, n_terms: usize, value: impl Fn(usize, usize) -> f32) -> Self {
        let most = Arch::new().dispatch(AskHeights).product;
        let tiles: Vec<(usize, usize)> = tiles(n_out, most).collect();
        let mut packed = Vec::with_capacity(n_out * n_terms);
        for (first, n) in &tiles {
            for term in 0..n_terms {
                packed.extend((*first..first + n).map(|o| value(o, term)));
            }
        }
        Self {
            n_terms,
            tiles,
            packed,
        }
    }

    /// `output[o * stride + q] = sum over terms of value(o, term) * input[offsets[term] + q]`, `q` below `n`
    ///
    /// # Panics
    ///
    /// Where a place lies outside its array: shapes are checked before.
    pub fn multiply(
        &self,
        input: &[f32],
        offsets: &[usize],
        n: usize,
        output: &mut [f32],
        stride: usize,
    ) {
        assert_eq!(offsets.len(), self.n_terms, "an offset a term");
        Arch::new().dispatch(Product {
            filters: self,
            input,
            offsets,
            n,
            output,
            stride,
        });
    }
}

struct Product<'a> {
    filters: &'a Filters,
    input: &'a [f32],
    offsets: &'a [usize],
    n: usize,
    output: &'a mut [f32],
    stride: usize,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (n, lanes) = (self.n, S::F32_LANES);
        if n < lanes {
            return self.columns::<S, 1, false>(simd, 0, n);
        }
        let mut at = 0;
        while at + TILE_VECTORS * lanes <= n {
            self.columns::<S, TILE_VECTORS, true>(simd, at, lanes);
            at += TILE_VECTORS * lanes;
        }
        while at < n {
            // The last one is made again in part, so that it is whole.
            at = at.min(n - lanes);
            self.columns::<S, 1, true>(simd, at, lanes);
            at += lanes;
        }
    }
}

impl Product<'_> {
    /// All outputs at `V` vectors of positions.
    #[inline(always)]
    fn columns<S: Simd, const V: usize, const FULL: bool>(
        &mut self,
        simd: S,
        at: usize,
        width: usize,
    ) {
        let filters = self.filters;
        let mut packed = &filters.packed[..];
        for (first, n) in &filters.tiles {
            let (weights, rest) = packed.split_at(n * filters.n_terms);
            packed = rest;
            let place = [*first, at, width];
            match n {
                1 => self.tile::<S, 1, V, FULL>(simd, weights, place),
                2 => self.tile::<S, 2, V, FULL>(simd, weights, place),
                3 => self.tile::<S, 3, V, FULL>(simd, weights, place),
                4 => self.tile::<S, 4, V, FULL>(simd, weights, place),
                5 => self.tile::<S, 5, V, FULL>(simd, weights, place),
                6 => self.tile::<S, 6, V, FULL>(simd, weights, place),
                7 => self.tile::<S, 7, V, FULL>(simd, weights, place),
                _ => self.tile::<S, 8, V, FULL>(simd, weights, place),
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const R: usize, const V: usize, const FULL: bool>(
        &mut self,
        simd: S,
        weights: &[f32],
        [first, at, width]: [usize; 3],
    ) {
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        for (offset, weights) in self.offsets.iter().zip(weights.chunks_exact(R)) {
            let mut values = [simd.splat_f32s(0.0); V];
            let input = &self.input[offset + at..][..(V - 1) * S::F32_LANES + width];
            for v in 0..V {
                values[v] = load_at::<S, FULL>(simd, input, v * S::F32_LANES, width);
            }
            for r in 0..R {
                let weight = simd.splat_f32s(weights[r]);
                for v in 0..V {
                    sums[r][v] = simd.mul_add_e_f32s(weight, values[v], sums[r][v]);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            let to = (first + r) * self.stride + at;
            for (v, sum) in sums.iter().enumerate() {
                store(
                    simd,
                    &mut self.output[to + v * S::F32_LANES..][..width],
                    *sum,
                );
            }
        }
    }
}

/// Values of some clips and where their channels or terms are.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    pub values: &'a [f32],
    pub clip_stride: usize,
    pub offsets: &'a [usize],
}

/// Adds the gradient of a matrix `[n_out, n_terms]` to `sums`:
/// `sums[o][term] += sum over clips and q below n of gradient[clip, o, q] * input[clip, term, q]`
///
/// # Panics
///
/// Where a place lies outside its array: shapes are checked before.
pub fn filters_gradient(
    input: Places<'_>,
    gradient: Places<'_>,
    n_clips: usize,
    n: usize,
    sums: &mut [f32],
) {
    let n_terms = input.offsets.len();
    assert_eq!(
        sums.len(),
        gradient.offsets.len() * n_terms,
        "a sum an output and term"
    );
    Arch::new().dispatch(Gradient {
        input,
        gradient,
        n_clips,
        n,
        sums,
    });
}

struct Gradient<'a> {
    input: Places<'a>,
    gradient: Places<'a>,
    n_clips: usize,
    n: usize,
    sums: &'a mut [f32],
}

impl WithSimd for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let most = AskHeights.with_simd(simd).gradient;
        for (first, n) in tiles(self.gradient.offsets.len(), most) {
            match n {
                1 => self.rows::<S, 1>(simd, first),
                2 => self.rows::<S, 2>(simd, first),
                3 => self.rows::<S, 3>(simd, first),
                4 => self.rows::<S, 4>(simd, first),
                5 => self.rows::<S, 5>(simd, first),
                6 => self.rows::<S, 6>(simd, first),
                _ => {}
            }
        }
    }
}

impl Gradient<'_> {
    /// All terms of `R` outputs.
    #[inline(always)]
    fn rows<S: Simd, const R: usize>(&mut self, simd: S, first: usize) {
        for (term, n) in tiles(self.input.offsets.len(), TILE_TERMS) {
            match n {
                1 => self.tile::<S, R, 1>(simd, first, term),
                2 => self.tile::<S, R, 2>(simd, first, term),
                3 => self.tile::<S, R, 3>(simd, first, term),
                4 => self.tile::<S, R, 4>(simd, first, term),
                _ => {}
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const R: usize, const C: usize>(
        &mut self,
        simd: S,
        first: usize,
        term: usize,
    ) {
        let (n, lanes) = (self.n, S::F32_LANES);
        let mut sums = [[simd.splat_f32s(0.0); C]; R];
        for clip in 0..self.n_clips {
            let (input, gradient) = (self.input, self.gradient);
            let mut columns: [&[f32]; C] = [&[]; C];
            for c in 0..C {
                let at = clip * input.clip_stride + input.offsets[term + c];
                columns[c] = &input.values[at..at + n];
            }
            let mut rows: [&[f32]; R] = [&[]; R];
            for r in 0..R {
                let at = clip * gradient.clip_stride + gradient.offsets[first + r];
                rows[r] = &gradient.values[at..at + n];
            }
            let mut at = 0;
            while at + lanes <= n {
                multiply_add::<S, R, C, true>(simd, rows, columns, [at, lanes], &mut sums);
                at += lanes;
            }
            if at < n {
                multiply_add::<S, R, C, false>(simd, rows, columns, [at, n - at], &mut sums);
            }
        }
        let n_terms = self.input.offsets.len();
        for r in 0..R {
            for c in 0..C {
                self.sums[(first + r) * n_terms + term + c] += simd.reduce_sum_f32s(sums[r][c]);
            }
        }
    }
}

/// One vector of positions.
#[inline(always)]
fn multiply_add<S: Simd, const R: usize, const C: usize, const FULL: bool>(
    simd: S,
    rows: [&[f32]; R],
    columns: [&[f32]; C],
    [at, width]: [usize; 2],
    sums: &mut [[S::f32s; C]; R],
) {
    let mut values = [simd.splat_f32s(0.0); C];
    for c in 0..C {
        values[c] = load_at::<S, FULL>(simd, columns[c], at, width);
    }
    for r in 0..R {
        let gradient = load_at::<S, FULL>(simd, rows[r], at, width);
        for c in 0..C {
            sums[r][c] = simd.mul_add_e_f32s(gradient, values[c], sums[r][c]);
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
        for n_out in [1, 3, 8, 9, 20] {
            for n_terms in [1, 4, 7] {
                for n in [1, 5, 16, 17, 61, 200] {
                    let n_clips = 2;
                    let offsets: Vec<usize> = (0..n_terms).map(|term| 3 * term + 1).collect();
                    let places: Vec<usize> = (0..n_out).map(|o| o * (n + 2)).collect();
                    let n_clip = n + 3 * n_terms + 1;
                    let input = waves(n_clips * n_clip, 0.37);
                    let weights = waves(n_out * n_terms, 0.11);
                    let gradient = waves(n_clips * n_out * (n + 2), 0.23);
                    let filters =
                        Filters::new(n_out, n_terms, |o, term| weights[o * n_terms + term]);
                    let mut output = vec![f32::NAN; n_out * (n + 2)];
                    filters.multiply(&input, &offsets, n, &mut output, n + 2);
                    let mut found = vec![0.0; weights.len()];
                    let from = Places {
                        values: &input,
                        clip_stride: n_clip,
                        offsets: &offsets,
                    };
                    let to = Places {
                        values: &gradient,
                        clip_stride: n_out * (n + 2),
                        offsets: &places,
                    };
                    filters_gradient(from, to, n_clips, n, &mut found);
                    for o in 0..n_out {
                        for q in 0..n {
                            let terms = offsets.iter().enumerate().map(|(term, offset)| {
                                f64::from(weights[o * n_terms + term])
                                    * f64::from(input[offset + q])
                            });
                            let sum: f64 = terms.sum();
                            assert!((f64::from(output[o * (n + 2) + q]) - sum).abs() < 1e-5);
                        }
                        for (term, offset) in offsets.iter().enumerate() {
                            let pairs = (0..n_clips).flat_map(|clip| {
                                (0..n).map(move |q| (clip * n_clip + q, clip * n_out * (n + 2) + q))
                            });
                            let products = pairs.map(|(i, g)| {
                                f64::from(input[i + offset]) * f64::from(gradient[g + o * (n + 2)])
                            });
                            let sum: f64 = products.sum();
                            let found = f64::from(found[o * n_terms + term]);
                            assert!((found - sum).abs() < 1e-4 * sum.abs().max(1.0));
                        }
                    }
                }
            }
        }
    }
}
