//! One vector of channels: read and written whole, or in part at the end of a row.

use pulp::Simd;

/// The first values of a row; zeros where the row is shorter than a vector.
#[inline(always)]
pub fn load<S: Simd>(simd: S, row: &[f32]) -> S::f32s {
    match S::as_simd_f32s(row).0 {
        [vector, ..] => *vector,
        [] => simd.partial_load_f32s(row),
    }
}

/// Writes as many values as the row has, at most a vector.
#[inline(always)]
pub fn store<S: Simd>(simd: S, row: &mut [f32], values: S::f32s) {
    match S::as_mut_simd_f32s(row).0 {
        [vector, ..] => *vector = values,
        [] => simd.partial_store_f32s(row, values),
    }
}

/// The first channel and the number of channels of each vector of a row.
#[inline(always)]
pub fn vectors<S: Simd>(n_channels: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n_channels)
        .step_by(S::F32_LANES)
        .map(move |first| (first, S::F32_LANES.min(n_channels - first)))
}

/// [`load`] of `width` values from `at` on; `FULL` says that they are a whole vector.
#[inline(always)]
pub fn load_at<S: Simd, const FULL: bool>(
    simd: S,
    values: &[f32],
    at: usize,
    width: usize,
) -> S::f32s {
    if FULL {
        S::as_simd_f32s(&values[at..at + S::F32_LANES]).0[0]
    } else {
        simd.partial_load_f32s(&values[at..at + width])
    }
}
