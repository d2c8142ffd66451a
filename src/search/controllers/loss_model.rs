//! What losses to expect at points not tried yet: a Gaussian process over a window of the trials. For controllers;
//! it proposes nothing.
//!
//! Losses enter by rank, as normal scores, so neither their scale nor a few enormous ones matter; failed trials
//! count as the worst. The window holds the best and the latest trials, so the cost of a proposal is bounded
//! however many trials there were. Length and noise of the kernel are those of the greatest likelihood on a grid.

use std::collections::HashSet;

use super::gaussian_process::{GaussianProcess, Settings, expected_improvement};
use super::normal_scores::normal_scores;
use super::{Incumbent, Observation};
use crate::search::domain::{Align, Domain, Encoder, POSITION_WEIGHT, Point};

/// Lengths tried, in positions that differ.
const LENGTHS: [f64; 5] = [1.0, 2.0, 4.0, 8.0, 16.0];
/// Noises tried, as multiples of the variance of the function.
const NOISES: [f64; 5] = [0.01, 0.03, 0.1, 0.3, 1.0];
/// Trials from which on settings are chosen by likelihood.
const MIN_TO_SELECT: usize = 8;
/// Most trials that settings are chosen by.
const MAX_TO_SELECT: usize = 96;

/// Of what the process does not explain of a tried point's loss, the share that is taken for the point's own and
/// not for noise. Networks are trained once, so the data cannot tell the two apart.
const OWN_SHARE: f64 = 0.25;

/// A trial in the window.
#[derive(Clone, Debug)]
pub struct Row {
    pub number: u64,
    pub point: Point,
    /// `None` where it failed.
    pub loss: Option<f64>,
    codes: Vec<u16>,
}

/// The window and the process over it.
pub struct LossModel {
    encoder: Encoder,
    window: usize,
    /// In the order they were told.
    rows: Vec<Row>,
    n_told: usize,
    n_complete: usize,
    next_selection: usize,
    settings: Settings,
    process: GaussianProcess,
    /// Posterior means at the rows; empty while the process has not learned all of them.
    means: Vec<f64>,
    /// What the rows' losses are taken for: the means and a share of what they do not explain.
    beliefs: Vec<f64>,
}

impl LossModel {
    /// Keeps `window` trials or up to a quarter more.
    pub fn new(domain: &Domain, window: usize) -> Self {
        let encoder = Encoder::new(domain, Align::Head);
        let settings = Settings {
            length: in_units(4.0),
            noise: 0.1,
        };
        Self {
            process: GaussianProcess::new(settings, encoder.max_distance()),
            encoder,
            window,
            rows: Vec::new(),
            n_told: 0,
            n_complete: 0,
            next_selection: MIN_TO_SELECT,
            settings,
            means: Vec::new(),
            beliefs: Vec::new(),
        }
    }

    /// Trials told that did not fail.
    pub fn n_complete(&self) -> usize {
        self.n_complete
    }

    pub fn tell(&mut self, observation: &Observation) {
        let mut codes = Vec::with_capacity(self.encoder.n_codes());
        self.encoder.push_codes(&observation.point, &mut codes);
        self.rows.push(Row {
            number: observation.number,
            point: observation.point.clone(),
            loss: observation.loss(),
            codes,
        });
        self.n_told += 1;
        self.n_complete += usize::from(observation.loss().is_some());
        self.means.clear();
        let is_full = self.rows.len() > self.window + self.window / 4;
        if is_full {
            self.close_window();
        }
        if is_full || self.n_told == self.next_selection {
            self.next_selection = self.n_told + (self.n_told / 4).max(4);
            self.select();
        }
    }

    /// Learns what was told since; the other questions need it before them.
    pub fn learn(&mut self) {
        if !self.means.is_empty() || self.rows.is_empty() {
            return;
        }
        for at in self.process.n_rows()..self.rows.len() {
            self.process.push(distances(&self.encoder, &self.rows, at));
        }
        let scores = scores(&self.rows);
        self.process.fit(&scores);
        self.means = self.process.fitted(&scores);
        let pairs = self.means.iter().zip(scores);
        let belief = |(mean, score): (&f64, f64)| mean + OWN_SHARE * (score - mean);
        self.beliefs = pairs.map(belief).collect();
    }

    /// Trials of the window that did not fail, least expected loss first.
    pub fn ranking(&self) -> Vec<&Row> {
        let pairs = self.rows.iter().zip(&self.beliefs);
        let mut ranked: Vec<(&Row, f64)> = pairs
            .filter(|(row, _)| row.loss.is_some())
            .map(|(row, belief)| (row, *belief))
            .collect();
        ranked.sort_by(|(a, belief_a), (b, belief_b)| {
            belief_a.total_cmp(belief_b).then(a.number.cmp(&b.number))
        });
        ranked.into_iter().map(|(row, _)| row).collect()
    }

    /// The trial with the least expected loss.
    pub fn incumbent(&mut self) -> Option<Incumbent> {
        self.learn();
        let best = *self.ranking().first()?;
        Some(Incumbent {
            number: best.number,
            point: best.point.clone(),
        })
    }

    /// Points of the window.
    pub fn known(&self) -> HashSet<&Point> {
        self.rows.iter().map(|row| &row.point).collect()
    }

    /// Numbers of the points, best expected improvement over the least expected loss of the window first. Only for
    /// the `n_weighed` points of the least expected losses it is worked out; the others follow by expected loss.
    pub fn order(&self, points: &[&Point], n_weighed: usize) -> Vec<usize> {
        let n_rows = self.rows.len();
        let mut correlations = Vec::with_capacity(points.len() * n_rows);
        let mut codes = Vec::new();
        let means: Vec<f64> = points
            .iter()
            .map(|point| {
                codes.clear();
                self.encoder.push_codes(point, &mut codes);
                let rows = self.rows.iter();
                let distances = rows.map(|row| self.encoder.distance(&row.codes, &codes));
                let start = correlations.len();
                self.process.correlate(distances, &mut correlations);
                self.process.expect(&correlations[start..])
            })
            .collect();
        let mut order: Vec<usize> = (0..points.len()).collect();
        order.sort_by(|a, b| means[*a].total_cmp(&means[*b]));
        let least = self.least_mean();
        let weighed = &mut order[..n_weighed.min(points.len())];
        let mut improvements = vec![0.0; points.len()];
        let deviations = self.process.deviations(&correlations, weighed);
        for (at, deviation) in weighed.iter().zip(deviations) {
            improvements[*at] = expected_improvement(least, means[*at], deviation);
        }
        weighed.sort_by(|a, b| improvements[*b].total_cmp(&improvements[*a]));
        order
    }

    /// The least expected loss of a trial that did not fail.
    fn least_mean(&self) -> f64 {
        let pairs = self.rows.iter().zip(&self.means);
        let complete = pairs.filter(|(row, _)| row.loss.is_some());
        let means = complete.map(|(_, mean)| *mean);
        means.min_by(f64::total_cmp).unwrap_or(0.0)
    }

    /// Leaves the best half and the latest half.
    fn close_window(&mut self) {
        let half = self.window / 2;
        let latest = self.rows.split_off(self.rows.len() - half);
        let mut by_loss: Vec<usize> = (0..self.rows.len()).collect();
        let loss = |at: &usize| self.rows[*at].loss.unwrap_or(f64::INFINITY);
        by_loss.sort_by(|a, b| loss(a).total_cmp(&loss(b))); // stable: ties to the earlier
        by_loss.truncate(self.window - half);
        by_loss.sort_unstable();
        let mut kept: Vec<Row> = by_loss
            .into_iter()
            .map(|at| self.rows[at].clone())
            .collect();
        kept.extend(latest);
        self.rows = kept;
        self.restart();
    }

    fn restart(&mut self) {
        self.process = GaussianProcess::new(self.settings, self.encoder.max_distance());
        self.means.clear();
    }

    /// Takes the settings of the greatest likelihood.
    fn select(&mut self) {
        // Every row, or as many of the latest: their order is the order told, whoever asked in between.
        let rows = &self.rows[self.rows.len().saturating_sub(MAX_TO_SELECT)..];
        let targets = scores(rows);
        let distances: Vec<Vec<u32>> = (0..rows.len())
            .map(|at| distances(&self.encoder, rows, at).collect())
            .collect();
        let likelihood = |settings: &Settings| {
            let mut process = GaussianProcess::new(*settings, self.encoder.max_distance());
            for row in &distances {
                process.push(row.iter().copied());
            }
            process.fit(&targets);
            process.log_likelihood()
        };
        let grid = LENGTHS.iter().flat_map(|length| {
            NOISES.map(|noise| Settings {
                length: in_units(*length),
                noise,
            })
        });
        let scored = grid.map(|settings| (likelihood(&settings), settings));
        let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b));
        let (_, settings) = best.expect("a grid holds settings");
        if settings != self.settings {
            self.settings = settings;
            self.restart();
        }
    }
}

fn in_units(n_positions: f64) -> f64 {
    n_positions * f64::from(POSITION_WEIGHT)
}

/// Distances of a row from each before it.
fn distances<'a>(encoder: &'a Encoder, rows: &'a [Row], at: usize) -> impl Iterator<Item = u32> {
    let before = rows[..at].iter();
    before.map(move |row| encoder.distance(&row.codes, &rows[at].codes))
}

fn scores(rows: &[Row]) -> Vec<f64> {
    normal_scores(&rows.iter().map(|row| row.loss).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::search::domain::tests::cells;

    /// Told `n_trials` losses: the number of parts that are not 0, with noise.
    fn told(n_trials: u64, noise: f64) -> LossModel {
        let mut model = LossModel::new(&cells(), 64);
        let rng = &mut ChaCha8Rng::seed_from_u64(n_trials);
        for number in 0..n_trials {
            let point = cells().draw(rng);
            let n_wrong = point.parts.iter().filter(|part| **part != 0).count();
            model.tell(&Observation {
                number,
                point,
                parent: None,
                outcome: Some(n_wrong as f64 + noise * rng.random_range(-1.0..1.0)),
                costs: vec![],
            });
        }
        model.learn();
        model
    }

    #[test]
    fn points_are_ordered_by_the_losses_to_expect_of_them() {
        for noise in [0.0, 1.0] {
            let model = told(80, noise);
            // From six parts other than 0 down to none.
            let points: Vec<Point> = [3_906, 781, 156, 31, 6, 1, 0]
                .map(|index| cells().nth(index).unwrap())
                .to_vec();
            let order = model.order(&points.iter().collect::<Vec<_>>(), 0);
            assert_eq!(order, [6, 5, 4, 3, 2, 1, 0]);
        }
    }

    #[test]
    fn however_many_trials_are_told_the_window_stays_and_keeps_the_best() {
        for n_trials in [10, 81, 500] {
            let model = told(n_trials, 0.0);
            assert!(model.rows.len() <= 64 + 16);
            let best = model.ranking()[0].loss.unwrap();
            let least = model.rows.iter().filter_map(|row| row.loss);
            assert_eq!(best, least.fold(f64::INFINITY, f64::min));
        }
    }

    #[test]
    fn improvement_is_expected_of_unknown_points_before_known_ones_as_good() {
        let model = told(80, 0.2);
        let best = &model.ranking()[0].point;
        let neighbours = (0..cells().n_neighbours(best)).filter_map(|i| cells().neighbour(best, i));
        let as_good = neighbours.map(|(point, _)| point).find(|point| {
            let n_wrong = |point: &Point| point.parts.iter().filter(|part| **part != 0).count();
            n_wrong(point) <= n_wrong(best) && !model.known().contains(point)
        });
        let as_good = as_good.unwrap();
        assert_eq!(model.order(&[best, &as_good], 2), [1, 0]);
    }
}
