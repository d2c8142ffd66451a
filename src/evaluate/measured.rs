//! A number, or the reason why there is none.
//!
//! In JSON a measured number is the number itself; a missing one is `{"missing": "reason"}`. A value that is not finite is
//! written as missing, so no report ever holds a NaN or a bare `null`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a [`Measured`] may hold: something that can say whether it is fit to be written.
pub trait Quantity {
    /// Why this value is not fit to be written, if it is not.
    fn problem(&self) -> Option<String> {
        None
    }
}

impl Quantity for f64 {
    fn problem(&self) -> Option<String> {
        (!self.is_finite()).then(|| format!("not a finite number: {self}"))
    }
}

impl Quantity for u64 {}

/// A quantity, or the reason why it could not be measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Measured<T = f64> {
    /// It was measured.
    Value(T),
    /// It was not, and this is why.
    Missing(String),
}

/// Why an older report lacks a number.
pub(super) const NOT_THEN_MEASURED: &str = "the program that wrote the report did not measure it";

/// What such a report has in its place.
pub(super) fn not_measured() -> Measured {
    Measured::missing(NOT_THEN_MEASURED)
}

impl<T> Measured<T> {
    /// A quantity that could not be measured.
    pub fn missing(reason: impl Into<String>) -> Self {
        Measured::Missing(reason.into())
    }

    /// The value, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Measured::Value(value) => Some(value),
            Measured::Missing(_) => None,
        }
    }

    /// The reason, if there is no value.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Measured::Value(_) => None,
            Measured::Missing(reason) => Some(reason),
        }
    }
}

impl Measured<f64> {
    /// The number, if there is a finite one.
    pub fn number(&self) -> Option<f64> {
        self.value().copied().filter(|value| value.is_finite())
    }

    /// `numerator / denominator`, or missing with `reason` when the denominator is zero.
    pub fn ratio(numerator: u64, denominator: u64, reason: &str) -> Self {
        if denominator == 0 {
            Measured::missing(reason)
        } else {
            Measured::Value(numerator as f64 / denominator as f64)
        }
    }
}

impl From<f64> for Measured<f64> {
    /// A finite number is a value; anything else is missing and says so.
    fn from(value: f64) -> Self {
        match value.problem() {
            None => Measured::Value(value),
            Some(problem) => Measured::Missing(problem),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    missing: String,
}

impl<T: Quantity + Serialize> Serialize for Measured<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Measured::Missing(reason) => Reason {
                missing: reason.clone(),
            }
            .serialize(serializer),
            Measured::Value(value) => match value.problem() {
                Some(missing) => Reason { missing }.serialize(serializer),
                None => value.serialize(serializer),
            },
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Measured<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<T> {
            Missing(Reason),
            Value(T),
        }
        Ok(match Either::<T>::deserialize(deserializer)? {
            Either::Missing(reason) => Measured::Missing(reason.missing),
            Either::Value(value) => Measured::Value(value),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(measured: &Measured) -> String {
        serde_json::to_string(measured).expect("plain data")
    }

    #[test]
    fn a_number_is_written_as_itself_and_a_missing_one_with_its_reason() {
        assert_eq!(json(&Measured::Value(0.25)), "0.25");
        assert_eq!(
            json(&Measured::missing("no examples")),
            r#"{"missing":"no examples"}"#
        );
    }

    #[test]
    fn what_is_not_finite_is_never_written_as_a_number() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(
                json(&Measured::Value(value)).starts_with(r#"{"missing":"not a finite number"#)
            );
            assert_eq!(Measured::Value(value).number(), None);
            assert!(Measured::from(value).reason().is_some());
        }
    }

    #[test]
    fn both_kinds_are_read_back() {
        for measured in [
            Measured::Value(0.1),
            Measured::Value(3.0),
            Measured::missing("why"),
        ] {
            let back: Measured = serde_json::from_str(&json(&measured)).expect("written by us");
            assert_eq!(back, measured);
        }
        assert!(serde_json::from_str::<Measured>("null").is_err());
    }
}
