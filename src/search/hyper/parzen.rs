//! One-dimensional Parzen estimators: a density made of kernels, one around each observed value and
//! one, the prior, over the whole range.
//!
//! Bandwidths and weights are those of Optuna's `TPESampler` with its defaults: each kernel as wide as the
//! farther of its two neighbours is away, never narrower than the range by `min(100, n + 1)` and never wider
//! than the range, cut off at its ends. An estimator knows no losses.

use rand::{Rng, RngExt};

use super::space::Axis;

/// Observations that keep full weight: older ones fade (Optuna's `default_weights`).
const N_RECENT: usize = 25;
/// Least probability of anything, so that a logarithm stays finite.
const FLOOR: f64 = 1e-300;

/// A mixture of normal kernels cut off at the ends of an axis.
#[derive(Clone, Debug)]
pub struct NumericParzen {
    axis: Axis,
    kernels: Vec<Kernel>,
}

#[derive(Clone, Copy, Debug)]
struct Kernel {
    share: f64,
    mean: f64,
    deviation: f64,
    /// Probability of the uncut kernel within the axis.
    inside: f64,
}

/// A mixture of categorical kernels.
#[derive(Clone, Debug)]
pub struct ChoiceParzen {
    probabilities: Vec<f64>,
}

/// Weights of observations, oldest first, that sum to one with the prior's last.
fn shares(n_observed: usize) -> Vec<f64> {
    let n_fading = n_observed.saturating_sub(N_RECENT);
    let fading = (0..n_fading).map(|i| {
        let first = 1.0 / n_observed as f64;
        match n_fading {
            1 => first,
            n => first + (1.0 - first) * i as f64 / (n - 1) as f64,
        }
    });
    // The observations that keep full weight, and the prior.
    let full = std::iter::repeat_n(1.0, n_observed - n_fading + 1);
    let weights: Vec<f64> = fading.chain(full).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

impl NumericParzen {
    /// `places`: observed places on the axis, oldest first.
    pub fn new(axis: Axis, places: &[f64]) -> Self {
        let width = axis.high - axis.low;
        let prior = axis.low + 0.5 * width;
        let shares = shares(places.len());
        let mut means: Vec<(f64, usize)> = places
            .iter()
            .copied()
            .chain([prior])
            .enumerate()
            .map(|(i, place)| (place, i))
            .collect();
        means.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let n = means.len();
        let narrowest = width / (1 + n).min(100) as f64;
        let at = |i: usize| means[i].0;
        let kernels = (0..n).map(|i| {
            let (mean, index) = means[i];
            // The ends of the axis are neighbours only while there is but one kernel.
            let left = match i {
                0 if n == 1 => Some(mean - axis.low),
                0 => None,
                _ => Some(mean - at(i - 1)),
            };
            let right = match i + 1 {
                next if next == n && n == 1 => Some(axis.high - mean),
                next if next == n => None,
                next => Some(at(next) - mean),
            };
            let farther = left.unwrap_or(0.0).max(right.unwrap_or(0.0));
            let deviation = if index == places.len() {
                width
            } else {
                farther.clamp(narrowest, width)
            };
            let deviation = deviation.max(f64::MIN_POSITIVE);
            Kernel {
                share: shares[index],
                mean,
                deviation,
                inside: between(
                    (axis.low - mean) / deviation,
                    (axis.high - mean) / deviation,
                )
                .max(FLOOR),
            }
        });
        Self {
            axis,
            kernels: kernels.collect(),
        }
    }

    /// A place drawn from the density.
    pub fn draw(&self, rng: &mut impl Rng) -> f64 {
        let mut left: f64 = rng.random();
        let kernel = self.kernels.iter().find(|kernel| {
            left -= kernel.share;
            left < 0.0
        });
        let kernel = kernel.unwrap_or(&self.kernels[self.kernels.len() - 1]);
        // A mean lies within the axis and no deviation is wider, so at least a third of the draws do too.
        for _ in 0..100 {
            let place = kernel.mean + kernel.deviation * normal(rng);
            if (self.axis.low..=self.axis.high).contains(&place) {
                return place;
            }
        }
        kernel.mean
    }

    /// The logarithm of the density at a place; for integers of the probability of its value.
    pub fn log_density(&self, place: f64) -> f64 {
        let cell = self.axis.cell(place);
        let density = self.kernels.iter().map(|kernel| {
            let standard = |place: f64| (place - kernel.mean) / kernel.deviation;
            let within = match cell {
                Some((low, high)) => between(standard(low), standard(high)),
                None => {
                    let z = standard(place);
                    (-0.5 * z * z).exp() / (kernel.deviation * (2.0 * std::f64::consts::PI).sqrt())
                }
            };
            kernel.share * within / kernel.inside
        });
        density.sum::<f64>().max(FLOOR).ln()
    }
}

impl ChoiceParzen {
    /// `choices`: observed places in the list of `n_choices`, oldest first. Each kernel is its choice's
    /// indicator plus the prior's even share, both weighed as Optuna does.
    pub fn new(n_choices: usize, choices: &[usize]) -> Self {
        let shares = shares(choices.len());
        let n_kernels = choices.len() + 1;
        let even = 1.0 / n_kernels as f64;
        let total = 1.0 + even * n_choices as f64;
        let mut probabilities = vec![0.0; n_choices];
        for (share, choice) in shares.iter().zip(choices) {
            for (i, probability) in probabilities.iter_mut().enumerate() {
                let own = if i == *choice { 1.0 } else { 0.0 };
                *probability += share * (own + even) / total;
            }
        }
        for probability in &mut probabilities {
            *probability += shares[choices.len()] / n_choices as f64;
        }
        Self { probabilities }
    }

    /// A place in the list, drawn by its probability.
    pub fn draw(&self, rng: &mut impl Rng) -> usize {
        let mut left: f64 = rng.random();
        let drawn = self.probabilities.iter().position(|probability| {
            left -= probability;
            left < 0.0
        });
        drawn.unwrap_or(self.probabilities.len() - 1)
    }

    /// The logarithm of a choice's probability.
    pub fn log_probability(&self, choice: usize) -> f64 {
        self.probabilities[choice].max(FLOOR).ln()
    }
}

/// Probability of a standard normal between two bounds, exact in both tails.
fn between(low: f64, high: f64) -> f64 {
    let above = |z: f64| 0.5 * libm::erfc(z * std::f64::consts::FRAC_1_SQRT_2);
    if low > 0.0 {
        above(low) - above(high)
    } else {
        above(-high) - above(-low)
    }
}

/// A standard normal number (Box & Muller 1958).
fn normal(rng: &mut impl Rng) -> f64 {
    let radius: f64 = 1.0 - rng.random::<f64>(); // in (0, 1]
    let turn: f64 = rng.random();
    (-2.0 * radius.ln()).sqrt() * (2.0 * std::f64::consts::PI * turn).cos()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::super::HyperRange;
    use super::*;

    fn line() -> Axis {
        HyperRange::Linear([-1.0, 3.0]).axis().unwrap()
    }

    #[test]
    fn a_density_integrates_to_one_over_its_axis() {
        for places in [
            &[][..],
            &[0.0],
            &[-1.0, 3.0],
            &[0.5, 0.5, 0.5, 0.5001],
            &[2.9; 40],
        ] {
            let parzen = NumericParzen::new(line(), places);
            let n = 40_000;
            let step = 4.0 / f64::from(n);
            let total: f64 = (0..n)
                .map(|i| parzen.log_density(-1.0 + (f64::from(i) + 0.5) * step).exp() * step)
                .sum();
            assert!((total - 1.0).abs() < 1e-6, "{places:?}: {total}");
        }
    }

    #[test]
    fn the_probabilities_of_integers_sum_to_one() {
        for range in [
            HyperRange::Integer([-3, 9]),
            HyperRange::LogInteger([1, 64]),
        ] {
            let axis = range.axis().unwrap();
            let place = |n: i64| {
                range
                    .place_of(&super::super::HyperValue::Integer(n))
                    .unwrap()
            };
            let parzen = NumericParzen::new(axis, &[place(2), place(5), place(5)]);
            let all = (-3..=64).filter(|n| range.contains(&super::super::HyperValue::Integer(*n)));
            let total: f64 = all.map(|n| parzen.log_density(place(n)).exp()).sum();
            assert!((total - 1.0).abs() < 1e-9, "{range}: {total}");
        }
    }

    #[test]
    fn draws_stay_on_the_axis_and_follow_the_density() {
        let parzen = NumericParzen::new(line(), &[-1.0, -0.9, 2.0]);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let n_draws = 20_000;
        let mut below_zero = 0;
        for _ in 0..n_draws {
            let place = parzen.draw(&mut rng);
            assert!((-1.0..=3.0).contains(&place));
            below_zero += i32::from(place < 0.0);
        }
        let step = 1e-3;
        let expected: f64 = (0..1000)
            .map(|i| parzen.log_density(-1.0 + (f64::from(i) + 0.5) * step).exp() * step)
            .sum();
        let found = f64::from(below_zero) / f64::from(n_draws);
        assert!(
            (found - expected).abs() < 0.015,
            "{found} against {expected}"
        );
    }

    #[test]
    fn kernels_are_as_wide_as_their_farther_neighbour_is_away() {
        // By hand for means 0, 1 (the prior, middle of -1..3), 2.5: neighbours 1 and 1.5 away. The
        // narrowest allowed is 4 / min(100, 4) = 1, the prior is as wide as the axis.
        let parzen = NumericParzen::new(line(), &[0.0, 2.5]);
        let deviations: Vec<f64> = parzen
            .kernels
            .iter()
            .map(|kernel| kernel.deviation)
            .collect();
        assert_eq!(deviations, [1.0, 4.0, 1.5]);
    }

    #[test]
    fn old_observations_fade_and_the_last_twenty_five_do_not() {
        let weights = shares(30);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let relative: Vec<f64> = weights.iter().map(|weight| weight / weights[30]).collect();
        // 1/30 to 1 in five steps, then ones.
        for (found, expected) in
            relative
                .iter()
                .zip([1.0 / 30.0, 0.275, 0.51666666666, 0.75833333333, 1.0, 1.0])
        {
            assert!(
                (found - expected).abs() < 1e-9,
                "{found} against {expected}"
            );
        }
        assert!(
            relative[4..]
                .iter()
                .all(|weight| (weight - 1.0).abs() < 1e-12)
        );
    }

    #[test]
    fn a_choice_seen_often_is_likelier_and_none_is_impossible() {
        // By hand for choices 2, 2 of 3: three kernels of share 1/3; even = 1/3, total = 2. Choice 2 has
        // 2/3 * (4/3)/2 + 1/9 = 5/9, the others 2/3 * (1/3)/2 + 1/9 = 2/9 each.
        let parzen = ChoiceParzen::new(3, &[2, 2]);
        for (found, expected) in parzen
            .probabilities
            .iter()
            .zip([2.0 / 9.0, 2.0 / 9.0, 5.0 / 9.0])
        {
            assert!((found - expected).abs() < 1e-12);
        }
    }
}
