//! Gaussian process regression over counted distances (Rasmussen & Williams 2006, algorithm 2.1): kernel
//! exp(-distance / length), a constant mean, observation noise, the scale of it all from the data.
//!
//! Only arithmetic: it knows neither points nor losses. One row more costs O(n^2).

use pulp::Arch;

/// Points whose deviations are worked out side by side.
const N_SIDE: usize = 16;

/// What is not taken from the data in closed form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Distance over which correlation falls to 1/e.
    pub length: f64,
    /// Variance of the noise, as a multiple of the variance of the function.
    pub noise: f64,
}

/// Rows taken in one by one, and what follows from their targets.
#[derive(Clone, Debug)]
pub struct GaussianProcess {
    noise: f64,
    /// Correlation by distance.
    correlation: Vec<f64>,
    /// Rows of the lower Cholesky factor of the correlations with noise, one after another.
    factor: Vec<f64>,
    n: usize,
    mean: f64,
    variance: f64,
    /// Inverse of the correlations times the targets less their mean.
    dual: Vec<f64>,
    log_likelihood: f64,
}

impl GaussianProcess {
    /// Distances are whole numbers up to `max_distance`.
    pub fn new(settings: Settings, max_distance: u32) -> Self {
        let by_distance = |distance: u32| (-f64::from(distance) / settings.length).exp();
        Self {
            noise: settings.noise,
            correlation: (0..=max_distance).map(by_distance).collect(),
            factor: Vec::new(),
            n: 0,
            mean: 0.0,
            variance: 1.0,
            dual: Vec::new(),
            log_likelihood: f64::NEG_INFINITY,
        }
    }

    pub fn n_rows(&self) -> usize {
        self.n
    }

    /// Takes one row more in: its distances from each row before.
    pub fn push(&mut self, distances: impl Iterator<Item = u32>) {
        let start = self.factor.len();
        self.factor
            .extend(distances.map(|d| self.correlation[d as usize]));
        debug_assert_eq!(
            self.factor.len() - start,
            self.n,
            "a distance from every row"
        );
        let (rows, row) = self.factor.split_at_mut(start);
        solve_lower(rows, row);
        let diagonal = 1.0 + self.noise - dot(row, row);
        // Distances of this kind give a positive definite kernel; what is below the noise is rounding.
        self.factor.push(diagonal.max(1e-9).sqrt());
        self.n += 1;
    }

    /// Learns the targets, one for each row.
    pub fn fit(&mut self, targets: &[f64]) {
        let n = targets.len() as f64;
        let solve = |values: Vec<f64>| {
            let mut values = values;
            solve_lower(&self.factor, &mut values);
            values
        };
        let whitened_ones = solve(vec![1.0; targets.len()]);
        let mut whitened = solve(targets.to_vec());
        self.mean = dot(&whitened_ones, &whitened) / dot(&whitened_ones, &whitened_ones);
        for (value, one) in whitened.iter_mut().zip(&whitened_ones) {
            *value -= self.mean * one;
        }
        self.variance = (dot(&whitened, &whitened) / n).max(1e-12);
        let diagonal = (0..self.n).map(|i| self.factor[i * (i + 1) / 2 + i].ln());
        self.log_likelihood = -0.5 * n * self.variance.ln() - diagonal.sum::<f64>();
        solve_upper(&self.factor, &mut whitened);
        self.dual = whitened;
    }

    /// Expected values of the function at the rows themselves, from the targets that were learned.
    pub fn fitted(&self, targets: &[f64]) -> Vec<f64> {
        let pairs = targets.iter().zip(&self.dual);
        pairs
            .map(|(target, dual)| target - self.noise * dual)
            .collect()
    }

    /// Of the targets, up to a constant, at the best scale and mean.
    pub fn log_likelihood(&self) -> f64 {
        self.log_likelihood
    }

    /// Appends the correlations of a new point with the rows, from its distances.
    pub fn correlate(&self, distances: impl Iterator<Item = u32>, correlations: &mut Vec<f64>) {
        correlations.extend(distances.map(|d| self.correlation[d as usize]));
    }

    /// Expected value of the function at a point of those correlations.
    pub fn expect(&self, correlations: &[f64]) -> f64 {
        self.mean + dot(correlations, &self.dual)
    }

    /// Standard deviations of the function at some points, noise left out; `correlations` holds those of all points,
    /// `[n_points, n_rows]`.
    pub fn deviations(&self, correlations: &[f64], points: &[usize]) -> Vec<f64> {
        let mut explained = vec![0.0; points.len()];
        let mut solved = vec![[0.0; N_SIDE]; self.n];
        for (points, explained) in points.chunks(N_SIDE).zip(explained.chunks_mut(N_SIDE)) {
            for (side, point) in points.iter().enumerate() {
                let correlations = &correlations[point * self.n..(point + 1) * self.n];
                for (solved, correlation) in solved.iter_mut().zip(correlations) {
                    solved[side] = *correlation;
                }
            }
            Arch::new().dispatch(
                #[inline(always)]
                || solve_lower_side_by_side(&self.factor, &mut solved),
            );
            for (side, explained) in explained.iter_mut().enumerate() {
                *explained = solved.iter().map(|solved| solved[side].powi(2)).sum();
            }
        }
        let deviation = |explained: f64| (self.variance * (1.0 - explained).max(1e-12)).sqrt();
        explained.into_iter().map(deviation).collect()
    }
}

/// Solves `factor x = values` in place for a packed lower triangle.
fn solve_lower(factor: &[f64], values: &mut [f64]) {
    let mut start = 0;
    for i in 0..values.len() {
        let (solved, rest) = values.split_at_mut(i);
        let row = &factor[start..start + i];
        rest[0] = (rest[0] - dot(row, solved)) / factor[start + i];
        start += i + 1;
    }
}

/// [`solve_lower`] for many right-hand sides. Sums run in the order of the rows, whatever the width of the instructions.
#[inline(always)]
fn solve_lower_side_by_side(factor: &[f64], values: &mut [[f64; N_SIDE]]) {
    let mut start = 0;
    for i in 0..values.len() {
        let (solved, rest) = values.split_at_mut(i);
        let mut value = rest[0];
        for (weight, solved) in factor[start..start + i].iter().zip(solved) {
            for (value, solved) in value.iter_mut().zip(solved) {
                *value -= weight * *solved;
            }
        }
        let inverse = 1.0 / factor[start + i];
        rest[0] = value.map(|value| value * inverse);
        start += i + 1;
    }
}

/// Solves `factor' x = values` in place for a packed lower triangle.
fn solve_upper(factor: &[f64], values: &mut [f64]) {
    for i in (0..values.len()).rev() {
        let start = i * (i + 1) / 2;
        let (before, rest) = values.split_at_mut(i);
        rest[0] /= factor[start + i];
        for (value, weight) in before.iter_mut().zip(&factor[start..start + i]) {
            *value -= weight * rest[0];
        }
    }
}

/// Inner product, in eight sums that a processor can keep side by side.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len());
    let ((a, rest_a), (b, rest_b)) = (a[..n].as_chunks::<8>(), b[..n].as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for i in 0..8 {
            sums[i] += a[i] * b[i];
        }
    }
    let rest: f64 = rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

/// The chance that a standard normal value is below `z` (Abramowitz & Stegun 7.1.26, within 1e-7).
pub fn normal_cdf(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let series = [
        0.254_829_592,
        -0.284_496_736,
        1.421_413_741,
        -1.453_152_027,
        1.061_405_429,
    ];
    let polynomial = series.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    let upper = 0.5 * polynomial * (-x * x).exp();
    if z < 0.0 { upper } else { 1.0 - upper }
}

/// The standard normal density.
pub fn normal_density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// Expected improvement below `best` of a normal value (Jones et al. 1998).
pub fn expected_improvement(best: f64, mean: f64, deviation: f64) -> f64 {
    let z = (best - mean) / deviation;
    deviation * (z * normal_cdf(z) + normal_density(z))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows at whole places of a line; the distance is how far they are apart.
    fn line(places: &[u32], targets: &[f64], settings: Settings) -> GaussianProcess {
        let mut process = GaussianProcess::new(settings, 100);
        for (i, place) in places.iter().enumerate() {
            process.push(places[..i].iter().map(|other| other.abs_diff(*place)));
        }
        process.fit(targets);
        process
    }

    fn at(process: &GaussianProcess, places: &[u32], place: u32) -> (f64, f64) {
        let mut correlations = Vec::new();
        let distances = places.iter().map(|other| other.abs_diff(place));
        process.correlate(distances, &mut correlations);
        let mean = process.expect(&correlations);
        (mean, process.deviations(&correlations, &[0])[0])
    }

    #[test]
    fn two_rows_give_the_posterior_worked_out_by_hand() {
        // Correlation of the rows r = exp(-1), noise 1/2; targets 1 and -1 have mean 0.
        // K^-1 y = (1, -1) / (1.5 - r); at the first row: mean (1 - r) / (1.5 - r).
        let settings = Settings {
            length: 2.0,
            noise: 0.5,
        };
        let places = [0, 2];
        let process = line(&places, &[1.0, -1.0], settings);
        let r = (-1.0f64).exp();
        let (mean, deviation) = at(&process, &places, 0);
        assert!((process.fitted(&[1.0, -1.0])[0] - mean).abs() < 1e-12);
        assert!((mean - (1.0 - r) / (1.5 - r)).abs() < 1e-12);
        // Scale y'K^-1 y / 2; of it 1 - k'K^-1 k is left, k = (1, r).
        let scale = 1.0 / (1.5 - r);
        let explained = (1.5 - 2.0 * r * r + 1.5 * r * r) / (2.25 - r * r);
        assert!((deviation.powi(2) - scale * (1.0 - explained)).abs() < 1e-12);
    }

    #[test]
    fn without_noise_it_goes_through_its_data_and_is_sure_there_only() {
        let settings = Settings {
            length: 5.0,
            noise: 1e-9,
        };
        let places: Vec<u32> = (0..13).map(|i| 7 * i).collect();
        let targets: Vec<f64> = places.iter().map(|p| (f64::from(*p) / 9.0).sin()).collect();
        let process = line(&places, &targets, settings);
        for (place, target) in places.iter().zip(&targets) {
            let (mean, deviation) = at(&process, &places, *place);
            assert!((mean - target).abs() < 1e-6 && deviation < 1e-3);
            assert!(at(&process, &places, place + 3).1 > 0.3);
        }
    }

    #[test]
    fn many_points_have_the_deviations_that_each_has_alone() {
        let settings = Settings {
            length: 5.0,
            noise: 0.1,
        };
        let places: Vec<u32> = (0..21).map(|i| i * i % 83).collect();
        let targets: Vec<f64> = places.iter().map(|p| f64::from(*p)).collect();
        let process = line(&places, &targets, settings);
        let mut correlations = Vec::new();
        for point in 0..50u32 {
            let distances = places.iter().map(|place| place.abs_diff(2 * point));
            process.correlate(distances, &mut correlations);
        }
        let points: Vec<usize> = (0..50).rev().collect();
        let together = process.deviations(&correlations, &points);
        for (point, deviation) in points.into_iter().zip(together) {
            assert_eq!(at(&process, &places, 2 * point as u32).1, deviation);
        }
    }

    #[test]
    fn the_likelihood_prefers_the_noise_that_is_there() {
        let likelihood = |noise, amplitude: f64| {
            let places: Vec<u32> = (0..60).collect();
            let rough = |p: &u32| amplitude * if p.is_multiple_of(2) { 1.0 } else { -1.0 };
            let targets: Vec<f64> = places
                .iter()
                .map(|p| f64::from(*p) / 30.0 + rough(p))
                .collect();
            let settings = Settings {
                length: 20.0,
                noise,
            };
            line(&places, &targets, settings).log_likelihood()
        };
        assert!(likelihood(1.0, 0.5) > likelihood(0.01, 0.5));
        assert!(likelihood(1.0, 0.0) < likelihood(0.01, 0.0));
    }

    #[test]
    fn the_normal_distribution_has_its_tabled_values() {
        for (z, p) in [
            (0.0, 0.5),
            (1.0, 0.841_344_7),
            (-1.96, 0.024_997_9),
            (3.0, 0.998_650_1),
        ] {
            assert!((normal_cdf(z) - p).abs() < 2e-7, "{z}");
        }
        // At a mean that equals the best it is the density's peak times the deviation.
        let improvement = expected_improvement(1.0, 1.0, 2.0);
        assert!((improvement - 2.0 * 0.398_942_3).abs() < 1e-6);
    }

    #[test]
    fn inner_products_of_any_length_are_those_of_the_definition() {
        for n in 0..40 {
            let a: Vec<f64> = (0..n).map(|i| f64::from(i) - 3.0).collect();
            let b: Vec<f64> = (0..n).map(|i| f64::from(i * i % 7)).collect();
            let plain: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            assert!((dot(&a, &b) - plain).abs() < 1e-9);
        }
    }
}
