//! Search by a linear model (Model Search): ridge regression of the loss on one-hot features, then the best option
//! of every position by its weights. A suggestion that was tried already has one part replaced.
//!
//! The positions of shorter chains stand at the head or the base, as the settings say and as documented. Fields of
//! a part have weights of their own, so spaces with thousands of options need no more trials for it.

use std::collections::VecDeque;

use rand::{RngExt, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::{Controller, DepthSchedule, MAX_MOVES, Observation, Proposal};
use crate::search::domain::{Align, Domain, Encoder, How, Point};

/// Latest trials that the model is fitted to.
const WINDOW: usize = 500;
/// Steps of the conjugate gradients.
const MAX_STEPS: usize = 100;
/// Most trials from one fit to the next.
const MAX_BETWEEN_FITS: usize = 50;
/// Replacements that fail before one part more is replaced at a time.
const TRIES_PER_REPLACEMENT: usize = 40;

/// The state: a window of trials and the weights fitted to it.
pub struct LinearModel {
    domain: Domain,
    encoder: Encoder,
    align: Align,
    n_initial: usize,
    ridge_penalty: f64,
    remove_outliers: bool,
    grow_probability: f64,
    trials_per_depth: DepthSchedule,
    /// Active features and loss.
    window: VecDeque<(Vec<u32>, f64)>,
    n_complete: usize,
    next_fit: usize,
    weights: Vec<f64>,
}

/// What [`LinearModel`] is set by.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearModelSettings {
    pub n_initial: usize,
    pub ridge_penalty: f64,
    pub align: Align,
    pub remove_outliers: bool,
    pub grow_probability: f64,
    pub trials_per_depth: DepthSchedule,
}

impl LinearModel {
    pub fn new(domain: Domain, settings: LinearModelSettings) -> Self {
        let encoder = Encoder::new(&domain, settings.align);
        Self {
            weights: vec![0.0; encoder.n_features()],
            encoder,
            align: settings.align,
            n_initial: settings.n_initial,
            ridge_penalty: settings.ridge_penalty,
            remove_outliers: settings.remove_outliers,
            grow_probability: settings.grow_probability,
            trials_per_depth: settings.trials_per_depth,
            window: VecDeque::new(),
            n_complete: 0,
            next_fit: settings.n_initial,
            domain,
        }
    }

    fn allowed_depth(&self) -> usize {
        self.trials_per_depth
            .allowed_depth(self.n_complete, self.domain.depth())
    }

    fn fit(&mut self) {
        let losses: Vec<f64> = self.window.iter().map(|(_, loss)| *loss).collect();
        let bound = if self.remove_outliers && losses.len() >= 10 {
            outlier_bound(&losses)
        } else {
            f64::INFINITY
        };
        let kept: Vec<(&[u32], f64)> = self
            .window
            .iter()
            .filter(|(_, loss)| *loss < bound)
            .map(|(active, loss)| (active.as_slice(), *loss))
            .collect();
        if !kept.is_empty() {
            ridge(&kept, self.ridge_penalty, &mut self.weights);
        }
    }

    /// The point of the least weight among depths that are allowed; equal options are drawn from.
    fn suggestion(&self, rng: &mut ChaCha8Rng) -> Point {
        let n_slots = self.domain.n_slots();
        let best: Vec<(u32, f64)> = (0..self.encoder.n_dims())
            .map(|at| self.best_option(at, rng))
            .collect();
        let slots = best[..n_slots].iter().map(|(option, _)| *option).collect();
        let [low, high] = self.domain.depth();
        let stands = |depth: usize| match self.align {
            Align::Head => 0..depth,
            Align::Base => high - depth..high,
        };
        let weight = |depth: usize| -> f64 {
            let filled = stands(depth);
            let at = |at: usize| {
                if filled.contains(&at) {
                    best[n_slots + at].1
                } else {
                    self.weight(n_slots + at, None)
                }
            };
            (0..high).map(at).sum()
        };
        let depths = low..=self.allowed_depth();
        let depth = depths
            .min_by(|a, b| weight(*a).total_cmp(&weight(*b)))
            .expect("the least depth is allowed");
        let parts = best[n_slots..][stands(depth)].iter();
        Point {
            slots,
            parts: parts.map(|(option, _)| *option).collect(),
        }
    }

    fn weight(&self, at: usize, option: Option<u32>) -> f64 {
        let features = self.encoder.features_of(at, option);
        features.iter().map(|f| self.weights[*f as usize]).sum()
    }

    /// The option of the least weight in a dimension: of each kind, every field at its best.
    fn best_option(&self, at: usize, rng: &mut ChaCha8Rng) -> (u32, f64) {
        let n_slots = self.domain.n_slots();
        let alphabet = if at < n_slots {
            self.domain.slot(at)
        } else {
            self.domain.part(at - n_slots)
        };
        let kinds: Vec<(u32, f64)> = (0..alphabet.n_kinds())
            .map(|kind| {
                let mut digits = vec![0; alphabet.radices(kind).len()];
                let first = self
                    .encoder
                    .features_of(at, Some(alphabet.option(kind, &digits)));
                for (field, radix) in alphabet.radices(kind).iter().enumerate() {
                    let weight = |digit: &u32| self.weights[(first[field + 1] + digit) as usize];
                    digits[field] = least((0..*radix).map(|digit| (digit, weight(&digit))), rng).0;
                }
                let option = alphabet.option(kind, &digits);
                (option, self.weight(at, Some(option)))
            })
            .collect();
        least(kinds.into_iter(), rng)
    }
}

/// The entry of the least weight, one drawn where several have it.
fn least(entries: impl Iterator<Item = (u32, f64)>, rng: &mut ChaCha8Rng) -> (u32, f64) {
    let mut least: Vec<(u32, f64)> = Vec::new();
    for entry in entries {
        match least.first().map(|first| entry.1.total_cmp(&first.1)) {
            Some(std::cmp::Ordering::Greater) => continue,
            Some(std::cmp::Ordering::Equal) => {}
            None | Some(std::cmp::Ordering::Less) => least.clear(),
        }
        least.push(entry);
    }
    *least.choose(rng).expect("a dimension has an option")
}

/// Losses from here on are outliers: the 90th percentile (of the sample, the higher one) or ten times the median,
/// whichever is less.
fn outlier_bound(losses: &[f64]) -> f64 {
    let mut sorted = losses.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len() - 1;
    let percentile = sorted[(0.9 * last as f64).ceil() as usize];
    let median = 0.5 * (sorted[last / 2] + sorted[last.div_ceil(2)]);
    percentile.min(10.0 * median)
}

/// Weights of least squared error with an intercept and a penalty on their squares, by conjugate gradients from
/// the weights as they are.
fn ridge(rows: &[(&[u32], f64)], penalty: f64, weights: &mut [f64]) {
    let mean = rows.iter().map(|(_, loss)| loss).sum::<f64>() / rows.len() as f64;
    let n = weights.len();
    // Sums over rows of the products with centred features: an intercept that is not penalised.
    let mut frequency = vec![0.0; n];
    for (active, _) in rows {
        for feature in *active {
            frequency[*feature as usize] += 1.0 / rows.len() as f64;
        }
    }
    let apply = |vector: &[f64]| {
        let offset: f64 = frequency.iter().zip(vector).map(|(f, v)| f * v).sum();
        let mut product: Vec<f64> = vector.iter().map(|value| penalty * value).collect();
        let mut total = 0.0;
        for (active, _) in rows {
            let sum: f64 = active.iter().map(|f| vector[*f as usize]).sum();
            let sum = sum - offset;
            total += sum;
            for feature in *active {
                product[*feature as usize] += sum;
            }
        }
        for (value, f) in product.iter_mut().zip(&frequency) {
            *value -= total * f;
        }
        product
    };
    let mut residual: Vec<f64> = apply(weights).iter().map(|value| -value).collect();
    for (active, loss) in rows {
        for feature in *active {
            residual[*feature as usize] += loss - mean;
        }
    }
    let mut direction = residual.clone();
    let square = |vector: &[f64]| vector.iter().map(|value| value * value).sum::<f64>();
    let mut error = square(&residual);
    let enough = 1e-18 * error.max(1e-300);
    for _ in 0..MAX_STEPS {
        if error <= enough {
            break;
        }
        let product = apply(&direction);
        let curvature: f64 = product.iter().zip(&direction).map(|(p, d)| p * d).sum();
        let step = error / curvature;
        for i in 0..n {
            weights[i] += step * direction[i];
            residual[i] -= step * product[i];
        }
        let next = square(&residual);
        for (d, r) in direction.iter_mut().zip(&residual) {
            *d = r + next / error * *d;
        }
        error = next;
    }
}

impl Controller for LinearModel {
    fn ask(&mut self, admit: &dyn Fn(&Point) -> bool, rng: &mut ChaCha8Rng) -> Option<Proposal> {
        let proposal = |point, how| {
            Some(Proposal {
                point,
                parent: None,
                how,
            })
        };
        if self.n_complete >= self.n_initial {
            let suggestion = self.suggestion(rng);
            let may_grow = suggestion.parts.len() < self.allowed_depth();
            if may_grow
                && rng.random_bool(self.grow_probability)
                && let Some(grown) = self.domain.grow(&suggestion, rng)
                && admit(&grown)
            {
                return proposal(grown, How::Grow);
            }
            if admit(&suggestion) {
                return proposal(suggestion, How::Model);
            }
            for attempt in 0..MAX_MOVES {
                let n_replaced = 1 + attempt / TRIES_PER_REPLACEMENT;
                let mut point = suggestion.clone();
                for _ in 0..n_replaced {
                    point = self.domain.replace(&point, rng).unwrap_or(point);
                }
                if admit(&point) {
                    return proposal(point, How::Replace);
                }
            }
        }
        proposal(self.domain.find(admit, rng)?, How::Draw)
    }

    fn tell(&mut self, observation: &Observation) {
        let Some(loss) = observation.loss() else {
            return;
        };
        if self.window.len() == WINDOW {
            self.window.pop_front();
        }
        let active = self.encoder.active(&observation.point);
        self.window.push_back((active, loss));
        self.n_complete += 1;
        if self.n_complete >= self.next_fit {
            self.fit();
            self.next_fit = self.n_complete + (self.n_complete / 20).clamp(1, MAX_BETWEEN_FITS);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::search::domain::tests::chains;

    #[test]
    fn ridge_weights_are_those_of_the_normal_equations() {
        // Two features that exclude one another, losses 1, 1 and 3: centred features are (1/3, -1/3) twice and
        // (-2/3, 2/3), so by symmetry w = (-a, a) and 2 a (2/3) + p a = 4/3.
        let rows: [(&[u32], f64); 3] = [(&[0], 1.0), (&[0], 1.0), (&[1], 3.0)];
        for penalty in [0.001, 0.5] {
            let mut weights = vec![0.0; 2];
            ridge(&rows, penalty, &mut weights);
            let a = (4.0 / 3.0) / (4.0 / 3.0 + penalty);
            assert!((weights[0] + a).abs() < 1e-9 && (weights[1] - a).abs() < 1e-9);
        }
    }

    #[test]
    fn outliers_are_what_upstream_takes_for_them() {
        let losses: Vec<f64> = (1..=11).map(f64::from).collect();
        // Of 11 values the 90th percentile is the tenth; ten times the median is 60.
        assert_eq!(outlier_bound(&losses), 10.0);
        assert_eq!(outlier_bound(&[1.0, 1.0, 1.0, 50.0, 60.0]), 10.0);
    }

    #[test]
    fn the_suggestion_is_the_point_whose_options_have_the_least_weights() {
        for align in [Align::Head, Align::Base] {
            let mut controller = LinearModel::new(
                chains(),
                LinearModelSettings {
                    n_initial: 10,
                    ridge_penalty: 0.001,
                    align,
                    remove_outliers: false,
                    grow_probability: 0.0,
                    trials_per_depth: DepthSchedule::Every(1),
                },
            );
            // A loss that is additive over slots, kinds and fields, least at slots (2, 1) and three parts of
            // option 9.
            let goal = [2, 1, 9, 9, 9];
            let encoder = Encoder::new(&chains(), align);
            let wanted = encoder.active(&Point {
                slots: goal[..2].to_vec(),
                parts: goal[2..].to_vec(),
            });
            let rng = &mut ChaCha8Rng::seed_from_u64(1);
            for number in 0..400 {
                let point = chains().draw(rng);
                let active = encoder.active(&point);
                let n_wrong = active.iter().filter(|f| !wanted.contains(f)).count();
                controller.tell(&Observation {
                    number,
                    point,
                    parent: None,
                    outcome: Some(n_wrong as f64),
                    costs: vec![],
                });
            }
            let Proposal { point, how, .. } = controller.ask(&|_| true, rng).unwrap();
            assert_eq!((point.slots.as_slice(), how), (&goal[..2], How::Model));
            assert_eq!(point.parts, &goal[2..]);
        }
    }
}
