//! A recording brought to the length of a training clip: the one rule for training, evaluation and
//! whole-clip inference.

/// Exactly `n_samples`: a shorter recording lies in the middle of zeros, of a longer one the middle is
/// kept. Where the difference is odd, the extra sample is at the end.
pub fn fit_clip(samples: &[f32], n_samples: usize) -> Vec<f32> {
    if samples.len() >= n_samples {
        let from = (samples.len() - n_samples) / 2;
        return samples[from..from + n_samples].to_vec();
    }
    let before = (n_samples - samples.len()) / 2;
    let mut fitted = vec![0.0; n_samples];
    fitted[before..before + samples.len()].copy_from_slice(samples);
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_stays_in_the_middle() {
        assert_eq!(fit_clip(&[1.0, 2.0], 5), [0.0, 1.0, 2.0, 0.0, 0.0]);
        assert_eq!(fit_clip(&[1.0, 2.0, 3.0, 4.0], 3), [1.0, 2.0, 3.0]);
        assert_eq!(fit_clip(&[1.0, 2.0], 2), [1.0, 2.0]);
        assert_eq!(fit_clip(&[], 2), [0.0, 0.0]);
    }
}
