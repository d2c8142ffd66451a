//! The learning rate over a training: a straight warm-up, then one of three ways on.

use serde::{Deserialize, Serialize};

/// What follows the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// Half a cosine to zero (Loshchilov & Hutter 2017).
    #[default]
    Cosine,
    Constant,
    /// Times `rate` at each of `n_decays` evenly spaced steps, as Model Search has it.
    Exponential {
        rate: f64,
        n_decays: usize,
    },
}

impl Schedule {
    /// Whether this is what a spec means that does not say.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        if let Self::Exponential { rate, n_decays } = *self
            && !((0.0..=1.0).contains(&rate) && (1..=1_000).contains(&n_decays))
        {
            return Err(format!(
                "schedule: found rate {rate} and {n_decays} decays, expected 0 to 1 and 1 to 1,000"
            ));
        }
        Ok(())
    }

    /// The rate of one step. `step` counts from 0 to `n_steps - 1`; the first `warmup_share` of them climb.
    pub fn rate_at(&self, peak: f64, warmup_share: f64, step: usize, n_steps: usize) -> f64 {
        let n_warmup = (warmup_share * n_steps as f64).round();
        let at = step as f64;
        if at < n_warmup {
            return peak * (at + 1.0) / n_warmup;
        }
        let n_rest = (n_steps as f64 - n_warmup).max(1.0);
        let phase = ((at - n_warmup) / n_rest).min(1.0);
        match *self {
            Self::Cosine => 0.5 * peak * (1.0 + (std::f64::consts::PI * phase).cos()),
            Self::Constant => peak,
            Self::Exponential { rate, n_decays } => {
                let n_past = (phase * (n_decays as f64 + 1.0))
                    .floor()
                    .min(n_decays as f64);
                peak * rate.powf(n_past)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_climbs_to_the_peak_and_falls_towards_zero_without_a_jump() {
        let rates: Vec<f64> = (0..100)
            .map(|step| Schedule::Cosine.rate_at(0.01, 0.1, step, 100))
            .collect();
        assert!((rates[0] - 0.001).abs() < 1e-12 && (rates[9] - 0.01).abs() < 1e-12);
        assert!(rates[10..].is_sorted_by(|a, b| a >= b));
        assert!((rates[55] - 0.005).abs() < 1e-12 && rates[99] < 1e-5 && rates[99] > 0.0);
        assert!(
            rates
                .windows(2)
                .all(|pair| (pair[0] - pair[1]).abs() <= 0.001 + 1e-12)
        );
    }

    #[test]
    fn stairs_fall_by_their_rate_as_often_as_asked() {
        let stairs = Schedule::Exponential {
            rate: 0.5,
            n_decays: 3,
        };
        let rates: Vec<f64> = (0..100)
            .map(|step| stairs.rate_at(0.8, 0.0, step, 100))
            .collect();
        assert_eq!(
            [rates[0], rates[26], rates[51], rates[99]],
            [0.8, 0.4, 0.2, 0.1]
        );
        let n_falls = rates.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(n_falls, 3);
    }

    #[test]
    fn it_stays_finite_for_a_single_step_and_without_warm_up() {
        assert_eq!(Schedule::Cosine.rate_at(0.1, 0.0, 0, 1), 0.1);
        assert_eq!(Schedule::Cosine.rate_at(0.1, 1.0, 0, 1), 0.1);
    }
}
