//! Rows of frames times small matrices: what convolutions, linear and recurrent layers spend their time on.
//!
//! A convolution is a sum over its taps of one row-times-matrix product each, and a tap is only a distance in memory. So
//! nothing is copied into a wide matrix first, whatever the stride and the dilation. Sums are made in registers, a tile
//! of rows by a panel of columns at a time, by the widest instructions that the machine has when it runs; their order
//! depends on nothing but the shapes.

// Loops of a fixed length over registers: written with indices, they unroll.
#![allow(clippy::needless_range_loop, clippy::manual_memcpy)]

use pulp::{Arch, Simd, WithSimd};

use super::rows::Rows;

/// Columns of a panel. The last panel of a matrix may be half as wide.
const WIDE: usize = 16;
const NARROW: usize = 8;
/// Rows that stay in the first-level cache while the gradient of a matrix is summed over them.
const BLOCK_ROWS: usize = 96;

/// Matrices `[n_taps, n_in, n_out]`, column panels one after the other, padded with zeros.
#[derive(Clone, Debug)]
pub struct Taps {
    n_taps: usize,
    n_in: usize,
    n_out: usize,
    panels: Vec<f32>,
    bias: Vec<f32>,
}

/// First columns and widths of the panels of `n_out` columns.
fn panels(n_out: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n_out.div_ceil(WIDE)).map(move |panel| {
        let first = panel * WIDE;
        let width = if n_out - first <= NARROW {
            NARROW
        } else {
            WIDE
        };
        (first, width)
    })
}

impl Taps {
    /// `value(tap, i, o)` from row element `i` to column `o`.
    pub fn new(
        [n_taps, n_in, n_out]: [usize; 3],
        value: impl Fn(usize, usize, usize) -> f32,
    ) -> Self {
        let width = panels(n_out).map(|(_, width)| width).sum::<usize>();
        let mut packed = Vec::with_capacity(n_taps * n_in * width);
        for (first, width) in panels(n_out) {
            for tap in 0..n_taps {
                for i in 0..n_in {
                    let columns = first..first + width;
                    packed.extend(columns.map(|o| if o < n_out { value(tap, i, o) } else { 0.0 }));
                }
            }
        }
        Self {
            n_taps,
            n_in,
            n_out,
            panels: packed,
            bias: vec![0.0; width],
        }
    }

    /// One matrix `[n_in, n_out]`, row-major.
    pub fn matrix(values: &[f32], n_in: usize, n_out: usize) -> Self {
        Self::new([1, n_in, n_out], |_, i, o| values[i * n_out + o])
    }

    /// The transpose `[n_out, n_in]` of a matrix `[n_in, n_out]`, row-major.
    pub fn transposed(values: &[f32], n_in: usize, n_out: usize) -> Self {
        Self::new([1, n_out, n_in], |_, o, i| values[i * n_out + o])
    }

    /// The same matrices, and `bias` added to every row of the product.
    pub fn with_bias(mut self, bias: &[f32]) -> Self {
        self.bias[..self.n_out].copy_from_slice(bias);
        self
    }

    /// `output[row] = bias + sum over taps of input[row + distances[tap]] * matrix[tap]`
    ///
    /// `from` and `to` have as many rows; distances are in floats.
    ///
    /// # Panics
    ///
    /// Where a row lies outside its array: shapes are checked before.
    pub fn multiply(
        &self,
        input: &[f32],
        from: &Rows,
        distances: &[usize],
        output: &mut [f32],
        to: &Rows,
    ) {
        assert_eq!(distances.len(), self.n_taps, "a distance a tap");
        let from: Vec<usize> = from.offsets().collect();
        let to: Vec<usize> = to.offsets().collect();
        assert_eq!(from.len(), to.len(), "as many rows in as out");
        if from.is_empty() {
            return;
        }
        let mut packed = &self.panels[..];
        let mut bias = &self.bias[..];
        for (first, width) in panels(self.n_out) {
            let (panel, rest) = packed.split_at(self.n_taps * self.n_in * width);
            let (start, other) = bias.split_at(width);
            (packed, bias) = (rest, other);
            let work = Product {
                input,
                from: &from,
                distances,
                n_in: self.n_in,
                panel,
                start,
                output,
                to: &to,
                first,
                n_columns: width.min(self.n_out - first),
            };
            if width == WIDE {
                Arch::new().dispatch(Wide(work));
            } else {
                narrow_arch(Narrow(work));
            }
        }
    }
}

/// Runs with vectors of at most [`NARROW`] floats.
fn narrow_arch<Op: WithSimd>(work: Op) -> Op::Output {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return Simd::vectorize(simd, work);
    }
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return Simd::vectorize(pulp::Scalar::new(), work);
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    Arch::new().dispatch(work)
}

/// One panel of a product.
struct Product<'a> {
    input: &'a [f32],
    from: &'a [usize],
    distances: &'a [usize],
    n_in: usize,
    panel: &'a [f32],
    start: &'a [f32],
    output: &'a mut [f32],
    to: &'a [usize],
    first: usize,
    n_columns: usize,
}

struct Wide<T>(T);
struct Narrow<T>(T);

impl WithSimd for Wide<Product<'_>> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.0.run::<S, 1, 8>(simd),
            8 => self.0.run::<S, 2, 6>(simd),
            4 => self.0.run::<S, 4, 4>(simd),
            _ => self.0.run::<S, 16, 1>(simd),
        }
    }
}

impl WithSimd for Narrow<Product<'_>> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            8 => self.0.run::<S, 1, 8>(simd),
            4 => self.0.run::<S, 2, 6>(simd),
            _ => self.0.run::<S, 8, 1>(simd),
        }
    }
}

impl Product<'_> {
    /// Tiles of `R` rows by `V` vectors.
    #[inline(always)]
    fn run<S: Simd, const V: usize, const R: usize>(self, simd: S) {
        let width = V * S::F32_LANES;
        let n_in = self.n_in;
        let (start, _) = S::as_simd_f32s(self.start);
        let mut first_sums = [simd.splat_f32s(0.0); V];
        first_sums.copy_from_slice(&start[..V]);
        let last = self.from.len() - 1;
        for tile in (0..self.from.len()).step_by(R) {
            // The rows after the last one are the last one again, and are not written.
            let mut bases = [0; R];
            for (r, base) in bases.iter_mut().enumerate() {
                *base = self.from[(tile + r).min(last)];
            }
            let mut sums = [first_sums; R];
            for (tap, matrix) in self.panel.chunks_exact((n_in * width).max(1)).enumerate() {
                let mut rows: [&[f32]; R] = [&[]; R];
                for (row, base) in rows.iter_mut().zip(&bases) {
                    *row = &self.input[base + self.distances[tap]..][..n_in];
                }
                let (vectors, _) = S::as_simd_f32s(matrix);
                for (i, columns) in vectors.chunks_exact(V).enumerate().take(n_in) {
                    for r in 0..R {
                        let value = simd.splat_f32s(rows[r][i]);
                        for v in 0..V {
                            sums[r][v] = simd.mul_add_e_f32s(value, columns[v], sums[r][v]);
                        }
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                let Some(to) = self.to.get(tile + r) else {
                    break;
                };
                let row = &mut self.output[to + self.first..][..self.n_columns];
                store::<S, V>(simd, row, sums);
            }
        }
    }
}

/// Writes the first `row.len()` of the sums.
#[inline(always)]
fn store<S: Simd, const V: usize>(simd: S, row: &mut [f32], sums: &[S::f32s; V]) {
    if row.len() == V * S::F32_LANES {
        let (to, _) = S::as_mut_simd_f32s(row);
        for v in 0..V {
            to[v] = sums[v];
        }
    } else {
        for (v, part) in row.chunks_mut(S::F32_LANES).enumerate() {
            simd.partial_store_f32s(part, sums[v]);
        }
    }
}

/// Adds the gradient of matrices `[n_taps, n_in, n_out]`, row-major, to `sums`:
/// `sums[tap][i][o] += sum over rows of input[row + distances[tap]][i] * gradient[row][o]`
///
/// # Panics
///
/// Where a row lies outside its array: shapes are checked before.
pub fn matrix_gradient(
    input: &[f32],
    from: &Rows,
    distances: &[usize],
    gradient: &[f32],
    gradient_rows: &Rows,
    [n_in, n_out]: [usize; 2],
    sums: &mut [f32],
) {
    let from: Vec<usize> = from.offsets().collect();
    let gradient_rows: Vec<usize> = gradient_rows.offsets().collect();
    assert_eq!(from.len(), gradient_rows.len(), "as many rows in as out");
    assert_eq!(sums.len(), distances.len() * n_in * n_out, "a matrix a tap");
    for start in (0..from.len()).step_by(BLOCK_ROWS) {
        let block = start..(start + BLOCK_ROWS).min(from.len());
        for (first, width) in panels(n_out) {
            let work = Gradient {
                input,
                from: &from[block.clone()],
                distances,
                n_in,
                gradient,
                gradient_rows: &gradient_rows[block.clone()],
                n_out,
                first,
                n_columns: width.min(n_out - first),
                sums: &mut *sums,
            };
            if width == WIDE {
                Arch::new().dispatch(Wide(work));
            } else {
                narrow_arch(Narrow(work));
            }
        }
    }
}

/// One panel of a matrix's gradient over one block of rows.
struct Gradient<'a> {
    input: &'a [f32],
    from: &'a [usize],
    distances: &'a [usize],
    n_in: usize,
    gradient: &'a [f32],
    gradient_rows: &'a [usize],
    n_out: usize,
    first: usize,
    n_columns: usize,
    sums: &'a mut [f32],
}

impl WithSimd for Wide<Gradient<'_>> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.0.run::<S, 1, 8>(simd),
            8 => self.0.run::<S, 2, 4>(simd),
            4 => self.0.run::<S, 4, 4>(simd),
            _ => self.0.run::<S, 16, 1>(simd),
        }
    }
}

impl WithSimd for Narrow<Gradient<'_>> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            8 => self.0.run::<S, 1, 8>(simd),
            4 => self.0.run::<S, 2, 4>(simd),
            _ => self.0.run::<S, 8, 1>(simd),
        }
    }
}

impl Gradient<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize, const R: usize>(mut self, simd: S) {
        for tap in 0..self.distances.len() {
            let mut i = 0;
            while i + R <= self.n_in {
                self.tile::<S, V, R>(simd, tap, i);
                i += R;
            }
            while i < self.n_in {
                self.tile::<S, V, 1>(simd, tap, i);
                i += 1;
            }
        }
    }

    /// `R` rows of the matrix by `V` vectors, over all rows of the block.
    #[inline(always)]
    fn tile<S: Simd, const V: usize, const R: usize>(&mut self, simd: S, tap: usize, i: usize) {
        let n_columns = self.n_columns;
        let at = |r: usize| (tap * self.n_in + i + r) * self.n_out + self.first;
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        for (r, sums) in sums.iter_mut().enumerate() {
            load::<S, V>(simd, &self.sums[at(r)..][..n_columns], sums);
        }
        let distance = self.distances[tap] + i;
        let mut columns = [simd.splat_f32s(0.0); V];
        for (from, to) in self.from.iter().zip(self.gradient_rows) {
            let row = &self.input[from + distance..][..R];
            load::<S, V>(
                simd,
                &self.gradient[to + self.first..][..n_columns],
                &mut columns,
            );
            for r in 0..R {
                let value = simd.splat_f32s(row[r]);
                for v in 0..V {
                    sums[r][v] = simd.mul_add_e_f32s(value, columns[v], sums[r][v]);
                }
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            let at = (tap * self.n_in + i + r) * self.n_out + self.first;
            store::<S, V>(simd, &mut self.sums[at..][..n_columns], sums);
        }
    }
}

/// Reads a row of at most `V` vectors; what is beyond it is zero.
#[inline(always)]
fn load<S: Simd, const V: usize>(simd: S, row: &[f32], values: &mut [S::f32s; V]) {
    if row.len() == V * S::F32_LANES {
        let (from, _) = S::as_simd_f32s(row);
        for v in 0..V {
            values[v] = from[v];
        }
    } else {
        for (v, part) in row.chunks(S::F32_LANES).enumerate() {
            values[v] = simd.partial_load_f32s(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn noise(n: usize, seed: u64) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    /// Rows with gaps, two taps, against sums in f64.
    #[track_caller]
    fn check(n_in: usize, n_out: usize, n_frames: usize) {
        let from = Rows {
            n_clips: 3,
            n_frames,
            start: 2,
            clip_stride: (2 * n_frames + 3) * n_in,
            frame_stride: 2 * n_in,
        };
        let to = Rows::dense(3, n_frames, n_out);
        let distances = [0, 3 * n_in];
        let input = noise(3 * from.clip_stride + 2 + 2 * n_in, 1);
        let matrix = noise(2 * n_in * n_out, 2);
        let bias = noise(n_out, 3);
        let taps = Taps::new([2, n_in, n_out], |tap, i, o| {
            matrix[(tap * n_in + i) * n_out + o]
        })
        .with_bias(&bias);
        let mut output = vec![f32::NAN; to.n_rows() * n_out];
        taps.multiply(&input, &from, &distances, &mut output, &to);
        let gradient = noise(to.n_rows() * n_out, 4);
        let mut found = vec![0.0; 2 * n_in * n_out];
        matrix_gradient(
            &input,
            &from,
            &distances,
            &gradient,
            &to,
            [n_in, n_out],
            &mut found,
        );
        let mut expected = vec![0.0_f64; found.len()];
        for (row, (from, to)) in from.offsets().zip(to.offsets()).enumerate() {
            for o in 0..n_out {
                let mut sum = f64::from(bias[o]);
                for (tap, distance) in distances.iter().enumerate() {
                    for i in 0..n_in {
                        let at = (tap * n_in + i) * n_out + o;
                        let value = f64::from(input[from + distance + i]);
                        sum += value * f64::from(matrix[at]);
                        expected[at] += value * f64::from(gradient[to + o]);
                    }
                }
                let difference = (f64::from(output[to + o]) - sum).abs();
                assert!(difference < 1e-5, "row {row}, column {o}: {difference}");
            }
        }
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-4);
        }
    }

    #[test]
    fn products_and_gradients_are_the_sums_that_define_them() {
        for n_in in [1, 3, 8, 17] {
            for n_out in [1, 5, 8, 12, 16, 24, 33] {
                check(n_in, n_out, 7);
            }
        }
        check(4, 16, 1);
        check(9, 20, 150);
    }
}
