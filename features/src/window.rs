//! Window shapes, computed in `f64` and rounded once.

use std::f64::consts::TAU;

use crate::spec::Window;

/// The `n_samples` weights of a window, at least two.
pub(crate) fn weights(shape: Window, n_samples: usize) -> Vec<f32> {
    let cosine = |i: usize, period: usize| (TAU * i as f64 / period as f64).cos();
    let hann = |i: usize, period: usize| 0.5 - 0.5 * cosine(i, period);
    let last = n_samples - 1;
    let weight = |i: usize| match shape {
        Window::HannPeriodic => hann(i, n_samples),
        Window::HannSymmetric => hann(i, last),
        Window::Hamming => 0.54 - 0.46 * cosine(i, last),
        // The last cosine may come out a hair above one, and a negative number has no such power.
        Window::Povey => hann(i, last).max(0.0).powf(0.85),
    };
    (0..n_samples).map(|i| weight(i) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symmetric_windows_read_the_same_backwards() {
        for shape in [Window::HannSymmetric, Window::Hamming, Window::Povey] {
            let forwards = weights(shape, 401);
            for (a, b) in forwards.iter().zip(forwards.iter().rev()) {
                assert!((a - b).abs() < 1e-6, "{shape:?}: {a} against {b}");
            }
            assert_eq!(forwards[200], 1.0, "{shape:?}");
        }
    }

    #[test]
    fn shifted_periodic_windows_add_up_to_one() {
        let window = weights(Window::HannPeriodic, 400);
        for i in 0..200 {
            assert!((window[i] + window[i + 200] - 1.0).abs() < 1e-6);
        }
    }
}
