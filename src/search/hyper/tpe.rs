//! Tree-structured Parzen estimator (Bergstra et al. 2011), each hyper-parameter by itself, with the
//! settings of Optuna's `TPESampler` as [`TpeSpec::standard`].
//!
//! The best few trials make a density `l`, the others a density `g`; of some candidates drawn from `l` the
//! one with the largest `l / g` is proposed, which is the one of largest expected improvement. Failed trials
//! are among the others, and so are running ones (a "constant liar"), so that workers spread out.
//!
//! What differs from Optuna on purpose: `g` is made of the last [`MAX_OTHERS`] others, so that a suggestion
//! costs the same after a hundred thousand trials; a failed trial is learned from.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::parzen::{ChoiceParzen, NumericParzen};
use super::{
    HyperError, HyperObservation, HyperOracle, HyperOutcome, HyperPoint, HyperRange, HyperSpace,
    HyperValue,
};

/// Most trials that count as good.
pub const MAX_GOOD: usize = 25;
/// Most trials that the density of the others is made of: the latest.
pub const MAX_OTHERS: usize = 128;

/// The algorithm's settings, as a recipe writes them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TpeSpec {
    /// Ended trials before anything is learned: points are drawn at random until then.
    pub n_startup_trials: usize,
    /// Candidates drawn for each hyper-parameter.
    pub n_ei_candidates: usize,
    /// Share of trials that count as good, rounded up, at most [`MAX_GOOD`].
    pub gamma: f64,
}

impl TpeSpec {
    /// Optuna's defaults.
    pub fn standard() -> Self {
        Self {
            n_startup_trials: 10,
            n_ei_candidates: 24,
            gamma: 0.1,
        }
    }

    /// Checks ranges.
    pub fn validate(&self) -> Result<(), HyperError> {
        let fault = |field, found: String, expected| {
            Err(HyperError::Setting {
                field,
                found,
                expected,
            })
        };
        if self.n_ei_candidates == 0 {
            return fault("n_ei_candidates", "0".into(), "at least 1");
        }
        if !(self.gamma > 0.0 && self.gamma <= 1.0) {
            return fault("gamma", format!("{:?}", self.gamma), "above 0, at most 1");
        }
        Ok(())
    }
}

/// The state: trials, the ended ones also in order of loss.
pub struct Tpe {
    space: HyperSpace,
    spec: TpeSpec,
    trials: BTreeMap<u64, Told>,
    /// Ended trials: loss (infinite where it failed) and number, best first.
    ranked: Vec<(f64, u64)>,
}

struct Told {
    /// Where the point's values lie on the axes of the space, in order of name; `None` where the point had
    /// no value of the range (a trial of another space).
    places: Vec<Option<f64>>,
    has_ended: bool,
}

impl Tpe {
    pub fn new(space: HyperSpace, spec: TpeSpec) -> Self {
        Self {
            space,
            spec,
            trials: BTreeMap::new(),
            ranked: Vec::new(),
        }
    }

    /// Numbers of the good trials and of the others that count, each in order of number.
    fn divide(&self) -> (Vec<u64>, Vec<u64>) {
        let n_finite = self.ranked.partition_point(|(loss, _)| loss.is_finite());
        let n_good = (self.spec.gamma * self.ranked.len() as f64).ceil() as usize;
        let n_good = n_good.min(MAX_GOOD).min(n_finite);
        let mut good: Vec<u64> = self.ranked[..n_good]
            .iter()
            .map(|(_, number)| *number)
            .collect();
        good.sort_unstable();
        let others = self.trials.keys().rev().copied();
        let mut others: Vec<u64> = others
            .filter(|number| good.binary_search(number).is_err())
            .take(MAX_OTHERS)
            .collect();
        others.reverse();
        (good, others)
    }

    fn places(&self, numbers: &[u64], index: usize) -> Vec<f64> {
        numbers
            .iter()
            .filter_map(|number| self.trials[number].places[index])
            .collect()
    }

    fn propose(
        &self,
        index: usize,
        range: &HyperRange,
        good: &[u64],
        others: &[u64],
        rng: &mut ChaCha8Rng,
    ) -> HyperValue {
        let (good, others) = (self.places(good, index), self.places(others, index));
        let mut best: Option<(f64, f64)> = None;
        let mut consider = |place: f64, score: f64| {
            if best.is_none_or(|(before, _)| score > before) {
                best = Some((score, place));
            }
        };
        match range {
            HyperRange::Choice(values) => {
                let indices = |places: &[f64]| {
                    places
                        .iter()
                        .map(|place| *place as usize)
                        .collect::<Vec<_>>()
                };
                let l = ChoiceParzen::new(values.len(), &indices(&good));
                let g = ChoiceParzen::new(values.len(), &indices(&others));
                for _ in 0..self.spec.n_ei_candidates {
                    let choice = l.draw(rng);
                    consider(
                        choice as f64,
                        l.log_probability(choice) - g.log_probability(choice),
                    );
                }
            }
            _ => {
                let axis = range.axis().expect("only a choice has no axis");
                if axis.low == axis.high {
                    return range.value_at(axis.low);
                }
                let l = NumericParzen::new(axis, &good);
                let g = NumericParzen::new(axis, &others);
                for _ in 0..self.spec.n_ei_candidates {
                    let place = l.draw(rng);
                    consider(place, l.log_density(place) - g.log_density(place));
                }
            }
        }
        let (_, place) =
            best.expect("at least one candidate is drawn, and its densities are finite");
        range.value_at(place)
    }
}

impl HyperOracle for Tpe {
    fn ask(&mut self, rng: &mut ChaCha8Rng) -> HyperPoint {
        let (good, others) = self.divide();
        if self.ranked.len() < self.spec.n_startup_trials || good.is_empty() {
            return self.space.draw(rng);
        }
        let ranges = self.space.ranges.iter().enumerate();
        let values = ranges.map(|(index, (name, range))| {
            (
                name.clone(),
                self.propose(index, range, &good, &others, rng),
            )
        });
        HyperPoint {
            values: values.collect(),
        }
    }

    /// The first end told of a trial counts.
    fn tell(&mut self, observation: &HyperObservation) {
        let number = observation.number;
        let ended = match observation.outcome {
            HyperOutcome::Running => None,
            HyperOutcome::Loss(loss) if loss.is_finite() => Some(loss),
            HyperOutcome::Loss(_) | HyperOutcome::Failed => Some(f64::INFINITY),
        };
        let place = |(name, range): (&String, &HyperRange)| {
            observation
                .point
                .values
                .get(name)
                .and_then(|value| range.place_of(value))
        };
        let places = self.space.ranges.iter().map(place).collect();
        let told = self.trials.entry(number).or_insert(Told {
            places,
            has_ended: false,
        });
        if let Some(loss) = ended
            && !std::mem::replace(&mut told.has_ended, true)
        {
            let at = self
                .ranked
                .partition_point(|before| *before < (loss, number));
            self.ranked.insert(at, (loss, number));
        }
    }
}
