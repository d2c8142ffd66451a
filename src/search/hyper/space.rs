//! What a search of hyper-parameters may choose from, and one choice.
//!
//! Names and values only: it does not know what a learning rate does, nor which point is good.

use std::collections::BTreeMap;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::HyperError;

/// Largest magnitude of an integer bound: beyond it not every integer is a 64-bit float.
const MAX_INTEGER: i64 = 1 << 53;

/// Name to range, as a recipe writes it:
///
/// ```toml
/// learning_rate = { log = [1e-4, 1e-1] }
/// dropout = { linear = [0.0, 0.5] }
/// batch_size = { log-integer = [16, 128] }
/// optimiser = { choice = ["adam-w", "sgd"] }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HyperSpace {
    pub ranges: BTreeMap<String, HyperRange>,
}

/// The values of one hyper-parameter, both ends included. Equal ends fix it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HyperRange {
    /// Floats, even in the logarithm.
    Log([f64; 2]),
    /// Floats, even.
    Linear([f64; 2]),
    /// Integers, even.
    Integer([i64; 2]),
    /// Integers from 1 up, even in the logarithm.
    LogInteger([i64; 2]),
    /// A list without order.
    Choice(Vec<HyperValue>),
}

/// One value. Text forms tell the kinds apart: `1` is an integer, `1.0` a float.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HyperValue {
    Flag(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

/// One choice of every hyper-parameter, or, as a suggestion, of some.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HyperPoint {
    pub values: BTreeMap<String, HyperValue>,
}

/// A numeric range laid out on a line where an even draw is a draw of the range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    pub low: f64,
    pub high: f64,
    is_log: bool,
    /// Half the distance between neighbouring values, before the logarithm: 0 for floats.
    half_step: f64,
    /// The ends of the range itself.
    ends: [f64; 2],
}

impl HyperSpace {
    /// Checks every range.
    pub fn validate(&self) -> Result<(), HyperError> {
        for (name, range) in &self.ranges {
            range.validate(name)?;
        }
        Ok(())
    }

    /// Every value drawn evenly from its range, in the order of the names.
    pub fn draw(&self, rng: &mut impl Rng) -> HyperPoint {
        let draw = |(name, range): (&String, &HyperRange)| (name.clone(), range.draw(rng));
        HyperPoint {
            values: self.ranges.iter().map(draw).collect(),
        }
    }

    /// Checks that the point names only what the space has, each within its range. It need not name all.
    pub fn admits_part(&self, point: &HyperPoint) -> Result<(), HyperError> {
        for (name, value) in &point.values {
            let range = self.ranges.get(name).ok_or_else(|| HyperError::NoSuch {
                name: name.clone(),
                expected: self.ranges.keys().cloned().collect::<Vec<_>>().join(", "),
            })?;
            if !range.contains(value) {
                return Err(HyperError::Outside {
                    name: name.clone(),
                    found: value.to_string(),
                    expected: range.to_string(),
                });
            }
        }
        Ok(())
    }

    /// Checks that the point names exactly what the space has, each within its range.
    pub fn admits(&self, point: &HyperPoint) -> Result<(), HyperError> {
        self.admits_part(point)?;
        match self
            .ranges
            .keys()
            .find(|name| !point.values.contains_key(*name))
        {
            Some(name) => Err(HyperError::Missing { name: name.clone() }),
            None => Ok(()),
        }
    }
}

impl HyperRange {
    fn validate(&self, name: &str) -> Result<(), HyperError> {
        let fault = |expected| {
            Err(HyperError::Range {
                name: name.into(),
                found: self.to_string(),
                expected,
            })
        };
        match self {
            Self::Log([low, high]) if !(*low > 0.0 && low <= high && high.is_finite()) => {
                fault("0 < low <= high, both finite")
            }
            Self::Linear([low, high])
                if !(low.is_finite() && low <= high && (high - low).is_finite()) =>
            {
                fault("low <= high, both finite")
            }
            Self::Integer([low, high]) if low > high || !are_exact(*low, *high) => {
                fault("low <= high, both within 2^53 of zero")
            }
            Self::LogInteger([low, high]) if *low < 1 || low > high || !are_exact(*low, *high) => {
                fault("1 <= low <= high <= 2^53")
            }
            Self::Choice(values) => {
                let is_repeated = |i: usize| values[..i].contains(&values[i]);
                let is_absurd =
                    |value: &HyperValue| matches!(value, HyperValue::Float(x) if !x.is_finite());
                if values.is_empty() || (0..values.len()).any(is_repeated) {
                    fault("at least one value and none twice")
                } else if values.iter().any(is_absurd) {
                    fault("finite values")
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }

    /// Whether a value is of the range's kind and within it.
    pub fn contains(&self, value: &HyperValue) -> bool {
        match (self, value) {
            (Self::Log(ends) | Self::Linear(ends), HyperValue::Float(x)) => {
                (ends[0]..=ends[1]).contains(x)
            }
            (Self::Integer(ends) | Self::LogInteger(ends), HyperValue::Integer(n)) => {
                (ends[0]..=ends[1]).contains(n)
            }
            (Self::Choice(values), value) => values.contains(value),
            _ => false,
        }
    }

    /// The values at its ends; of a choice all.
    pub fn ends(&self) -> Vec<HyperValue> {
        match self {
            Self::Log(ends) | Self::Linear(ends) => ends.map(HyperValue::Float).to_vec(),
            Self::Integer(ends) | Self::LogInteger(ends) => ends.map(HyperValue::Integer).to_vec(),
            Self::Choice(values) => values.clone(),
        }
    }

    /// A value drawn evenly.
    pub fn draw(&self, rng: &mut impl Rng) -> HyperValue {
        match self {
            Self::Choice(values) => values[rng.random_range(0..values.len())].clone(),
            _ => {
                let axis = self.axis().expect("only a choice has no axis");
                let share: f64 = rng.random();
                self.value_at(axis.low + share * (axis.high - axis.low))
            }
        }
    }

    /// The line of a numeric range; `None` for a choice.
    pub(super) fn axis(&self) -> Option<Axis> {
        let (low, high, is_log, half_step) = match self {
            Self::Log([low, high]) => (*low, *high, true, 0.0),
            Self::Linear([low, high]) => (*low, *high, false, 0.0),
            Self::Integer([low, high]) => (*low as f64, *high as f64, false, 0.5),
            Self::LogInteger([low, high]) => (*low as f64, *high as f64, true, 0.5),
            Self::Choice(_) => return None,
        };
        let place = |x: f64| if is_log { x.ln() } else { x };
        Some(Axis {
            low: place(low - half_step),
            high: place(high + half_step),
            is_log,
            half_step,
            ends: [low, high],
        })
    }

    /// Where a value lies on the axis; for a choice its place in the list. `None` where it is not of the range.
    pub(super) fn place_of(&self, value: &HyperValue) -> Option<f64> {
        if !self.contains(value) {
            return None;
        }
        if let Self::Choice(values) = self {
            return values
                .iter()
                .position(|other| other == value)
                .map(|i| i as f64);
        }
        let x = match value {
            HyperValue::Integer(n) => *n as f64,
            HyperValue::Float(x) => *x,
            HyperValue::Flag(_) | HyperValue::Text(_) => return None,
        };
        Some(if self.axis()?.is_log { x.ln() } else { x })
    }

    /// The value at a place on the axis, integers rounded, ends kept; for a choice the value at that place of
    /// the list.
    pub(super) fn value_at(&self, place: f64) -> HyperValue {
        if let Self::Choice(values) = self {
            return values[(place as usize).min(values.len() - 1)].clone();
        }
        let axis = self.axis().expect("only a choice has no axis");
        let x = if axis.is_log { place.exp() } else { place };
        let [low, high] = axis.ends;
        if axis.half_step > 0.0 {
            HyperValue::Integer(x.round().clamp(low, high) as i64)
        } else {
            HyperValue::Float(x.clamp(low, high))
        }
    }
}

impl Axis {
    /// The stretch of the axis whose values round to the same integer as this place's; `None` for floats.
    pub(super) fn cell(&self, place: f64) -> Option<(f64, f64)> {
        if self.half_step == 0.0 {
            return None;
        }
        let x = if self.is_log { place.exp() } else { place };
        let n = x.round().clamp(self.ends[0], self.ends[1]);
        let on_axis = |x: f64| if self.is_log { x.ln() } else { x };
        Some((on_axis(n - self.half_step), on_axis(n + self.half_step)))
    }
}

fn are_exact(low: i64, high: i64) -> bool {
    low.unsigned_abs() <= MAX_INTEGER as u64 && high.unsigned_abs() <= MAX_INTEGER as u64
}

impl HyperPoint {
    /// The canonical text: equal points have equal texts and different ones different texts.
    pub fn canonical(&self) -> String {
        serde_json::to_string(self).expect("a point is plain data")
    }

    /// The float of that name; an integer counts as one.
    pub fn float(&self, name: &str) -> Result<f64, HyperError> {
        match self.value(name)? {
            HyperValue::Float(x) => Ok(*x),
            HyperValue::Integer(n) => Ok(*n as f64),
            other => Err(wrong_kind(name, other, "a number")),
        }
    }

    /// The integer of that name.
    pub fn integer(&self, name: &str) -> Result<i64, HyperError> {
        match self.value(name)? {
            HyperValue::Integer(n) => Ok(*n),
            other => Err(wrong_kind(name, other, "an integer")),
        }
    }

    /// The text of that name.
    pub fn text(&self, name: &str) -> Result<&str, HyperError> {
        match self.value(name)? {
            HyperValue::Text(text) => Ok(text),
            other => Err(wrong_kind(name, other, "a text")),
        }
    }

    /// The flag of that name.
    pub fn flag(&self, name: &str) -> Result<bool, HyperError> {
        match self.value(name)? {
            HyperValue::Flag(flag) => Ok(*flag),
            other => Err(wrong_kind(name, other, "true or false")),
        }
    }

    fn value(&self, name: &str) -> Result<&HyperValue, HyperError> {
        self.values
            .get(name)
            .ok_or_else(|| HyperError::Missing { name: name.into() })
    }
}

fn wrong_kind(name: &str, found: &HyperValue, expected: &str) -> HyperError {
    HyperError::Outside {
        name: name.into(),
        found: found.to_string(),
        expected: expected.into(),
    }
}

impl std::fmt::Display for HyperValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Integer(n) => write!(f, "{n}"),
            Self::Float(x) => write!(f, "{x:?}"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

impl std::fmt::Display for HyperRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Log([low, high]) => write!(f, "log {low:?} to {high:?}"),
            Self::Linear([low, high]) => write!(f, "linear {low:?} to {high:?}"),
            Self::Integer([low, high]) => write!(f, "integer {low} to {high}"),
            Self::LogInteger([low, high]) => write!(f, "log-integer {low} to {high}"),
            Self::Choice(values) => {
                let texts: Vec<String> = values.iter().map(HyperValue::to_string).collect();
                write!(f, "choice of {}", texts.join(", "))
            }
        }
    }
}
