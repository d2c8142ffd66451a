//! Mixup (Zhang et al. 2018): a training clip and another of its batch, mixed, with a label that is mixed alike.
//!
//! Features are mixed, not samples: half of one log-mel value and half of another.

use auricle_datasets::batch::Batch;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// How clips are mixed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixupSpec {
    /// Share of batches that are mixed.
    pub probability: f32,
    /// A clip's share in its mixture is drawn from Beta(alpha, alpha): near 0 most are almost unmixed, at 1 all shares
    /// are as likely. 0 to 1, and not 0.
    pub alpha: f32,
}

/// With whom each clip of a batch was mixed, and its own share.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixed {
    pub partners: Vec<usize>,
    /// 0 to 1.
    pub shares: Vec<f32>,
}

impl MixupSpec {
    /// Says what is wrong, if anything.
    pub fn check(&self) -> Result<(), String> {
        let Self { probability, alpha } = *self;
        if !(0.0..=1.0).contains(&probability) {
            return Err(format!(
                "mixup.probability: found {probability}, expected 0 to 1"
            ));
        }
        if !(1e-3..=1.0).contains(&alpha) {
            return Err(format!("mixup.alpha: found {alpha}, expected 0.001 to 1"));
        }
        Ok(())
    }

    /// Mixes the clips of a batch in place; `None` where this batch is left as it is. A mixture is as long as the longer of
    /// the two; behind the end of the shorter lies the padding that the batch was given.
    pub fn mix(&self, batch: &mut Batch, rng: &mut impl Rng) -> Option<Mixed> {
        if rng.random::<f32>() >= self.probability {
            return None;
        }
        let mut partners: Vec<usize> = (0..batch.len()).collect();
        partners.shuffle(rng);
        let shares: Vec<f32> = partners
            .iter()
            .map(|_| beta(f64::from(self.alpha), rng) as f32)
            .collect();
        let n_values = batch.n_mels * batch.n_frames;
        let before = batch.frames.clone();
        for (clip, (&partner, &share)) in partners.iter().zip(&shares).enumerate() {
            let own = &mut batch.frames[clip * n_values..(clip + 1) * n_values];
            let other = &before[partner * n_values..(partner + 1) * n_values];
            for (x, y) in own.iter_mut().zip(other) {
                *x = share * *x + (1.0 - share) * y;
            }
        }
        let lengths = batch.lengths.clone();
        for (length, &partner) in batch.lengths.iter_mut().zip(&partners) {
            *length = (*length).max(lengths[partner]);
        }
        Some(Mixed { partners, shares })
    }
}

impl Mixed {
    /// Mixes targets `[batch, n_classes]` as the clips were.
    pub fn mix_targets(&self, targets: &mut [f32], n_classes: usize) {
        let before = targets.to_vec();
        let rows = targets.chunks_exact_mut(n_classes);
        for (row, (&partner, &share)) in rows.zip(self.partners.iter().zip(&self.shares)) {
            let other = &before[partner * n_classes..(partner + 1) * n_classes];
            for (x, y) in row.iter_mut().zip(other) {
                *x = share * *x + (1.0 - share) * y;
            }
        }
    }
}

/// A number drawn from Beta(alpha, alpha), alpha at most 1 (Joehnk 1964), in logarithms since the powers underflow.
fn beta(alpha: f64, rng: &mut impl Rng) -> f64 {
    loop {
        let mut power = || (1.0 - rng.random::<f64>()).ln() / alpha; // of a number above 0
        let (x, y) = (power(), power());
        let largest = x.max(y);
        let log_sum = largest + ((x - largest).exp() + (y - largest).exp()).ln();
        if log_sum <= 0.0 {
            return (x - log_sum).exp();
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn batch() -> Batch {
        let mut batch = Batch::with_capacity(3, 2, 4);
        for (class, n_frames) in [(0, 4), (1, 2), (2, 3)] {
            let frames: Vec<f32> = (0..2 * n_frames).map(|i| (10 * class + i) as f32).collect();
            batch.push_from_start(&frames, class, &[-1.0, -1.0]);
        }
        batch
    }

    #[test]
    fn a_mixture_and_its_label_have_the_same_shares_of_the_same_two() {
        let before = batch();
        let spec = MixupSpec {
            probability: 1.0,
            alpha: 0.4,
        };
        for seed in 0..50 {
            let mut mixed = batch();
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let how = spec.mix(&mut mixed, &mut rng).expect("always");
            let mut targets = vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
            how.mix_targets(&mut targets, 3);
            for clip in 0..3 {
                let (partner, share) = (how.partners[clip], how.shares[clip]);
                assert!((0.0..=1.0).contains(&share));
                let row = |batch: &Batch, clip: usize| batch.frames[clip * 8..][..8].to_vec();
                let expected: Vec<f32> = row(&before, clip)
                    .iter()
                    .zip(row(&before, partner))
                    .map(|(x, y)| share * x + (1.0 - share) * y)
                    .collect();
                assert_eq!(row(&mixed, clip), expected);
                let longest = before.lengths[clip].max(before.lengths[partner]);
                assert_eq!(mixed.lengths[clip], longest);
                let of_label: f32 = targets[clip * 3..][..3].iter().sum();
                assert!((of_label - 1.0).abs() < 1e-6);
                let own = targets[clip * 3 + clip];
                let expected = if partner == clip { 1.0 } else { share };
                assert!((own - expected).abs() < 1e-6);
            }
            let mut again = batch();
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            assert_eq!(spec.mix(&mut again, &mut rng), Some(how));
        }
    }

    #[test]
    fn batches_are_mixed_as_often_as_asked_and_shares_are_of_a_beta_distribution() {
        let spec = MixupSpec {
            probability: 0.3,
            alpha: 0.3,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let n_mixed = (0..2_000)
            .filter(|_| spec.mix(&mut batch(), &mut rng).is_some())
            .count();
        assert!((520..680).contains(&n_mixed), "{n_mixed}");
        for alpha in [0.01, 0.3, 1.0] {
            let shares: Vec<f64> = (0..20_000).map(|_| beta(alpha, &mut rng)).collect();
            let n = shares.len() as f64;
            let mean = shares.iter().sum::<f64>() / n;
            let variance = shares.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            // Of Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)).
            let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!((mean - 0.5).abs() < 0.02, "{alpha}: mean {mean}");
            assert!((variance - expected).abs() < 0.01, "{alpha}: {variance}");
        }
    }

    #[test]
    fn settings_that_make_no_mixture_are_refused() {
        let check = |probability, alpha| MixupSpec { probability, alpha }.check();
        assert!(check(0.5, 0.2).is_ok());
        assert!(check(1.5, 0.2).is_err());
        assert!(check(0.5, 0.0).is_err());
        assert!(check(0.5, f32::NAN).is_err());
    }
}
