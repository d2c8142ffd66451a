//! How a bundle whose classes are languages answers while it listens. Parameters only: `stream::languages` does it.

use serde::{Deserialize, Serialize};

use super::is_reserved;

/// Most points of the curve of temperatures.
const MAX_TEMPERATURES: usize = 64;
/// Lowest and highest temperature.
pub const TEMPERATURES: (f32, f32) = (0.1, 10.0);

/// From the networks' answers to a posterior over languages, and from that to one language or none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageSpec {
    /// The most probable language is named from this probability on, above 0 and up to 1; below, it is undecided.
    pub floor: f32,
    /// By how much has been heard, from little to much; none leaves the answers as they are. See
    /// [`LanguageSpec::temperature_at`].
    pub temperatures: Vec<Temperature>,
}

/// What the logarithms of probabilities are divided by (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Temperature {
    /// Milliseconds heard.
    pub heard_ms: u32,
    pub temperature: f32,
}

#[derive(Debug, thiserror::Error, PartialEq)]
pub enum LanguageSpecError {
    #[error("the floor is {found}, expected a number above 0 and up to 1")]
    Floor { found: f32 },
    #[error("found {found} temperatures, expected at most {MAX_TEMPERATURES}")]
    TooMany { found: usize },
    #[error(
        "the temperature after {heard_ms} ms is {found}, expected {} to {}",
        TEMPERATURES.0,
        TEMPERATURES.1
    )]
    Temperature { heard_ms: u32, found: f32 },
    #[error("found {found} ms heard, expected more than the {before} ms before")]
    Order { found: u32, before: u32 },
    #[error("found the label {found}, expected languages only")]
    NotALanguage { found: String },
}

impl LanguageSpec {
    /// Checks the values, and that every label may be a language.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn validate(&self, labels: &[String]) -> Result<(), LanguageSpecError> {
        // NaN is above nothing.
        if !(self.floor > 0.0 && self.floor <= 1.0) {
            return Err(LanguageSpecError::Floor { found: self.floor });
        }
        if self.temperatures.len() > MAX_TEMPERATURES {
            return Err(LanguageSpecError::TooMany {
                found: self.temperatures.len(),
            });
        }
        let (low, high) = TEMPERATURES;
        let mut before = 0;
        for point in &self.temperatures {
            if !(low..=high).contains(&point.temperature) {
                return Err(LanguageSpecError::Temperature {
                    heard_ms: point.heard_ms,
                    found: point.temperature,
                });
            }
            if point.heard_ms <= before {
                return Err(LanguageSpecError::Order {
                    found: point.heard_ms,
                    before,
                });
            }
            before = point.heard_ms;
        }
        match labels.iter().find(|label| is_reserved(label)) {
            Some(found) => Err(LanguageSpecError::NotALanguage {
                found: found.clone(),
            }),
            None => Ok(()),
        }
    }

    /// The temperature after so many seconds: on the line between its neighbours over the logarithm of time, and beyond the
    /// first and last as there.
    pub fn temperature_at(&self, heard_s: f64) -> f64 {
        let seconds = |point: &Temperature| f64::from(point.heard_ms) / 1000.0;
        let after = self
            .temperatures
            .iter()
            .position(|point| seconds(point) >= heard_s);
        let (before, after) = match (after, self.temperatures.last()) {
            (_, None) => return 1.0,
            (None, Some(last)) => return f64::from(last.temperature),
            (Some(0), _) => return f64::from(self.temperatures[0].temperature),
            (Some(at), _) => (&self.temperatures[at - 1], &self.temperatures[at]),
        };
        let share = (heard_s / seconds(before)).ln() / (seconds(after) / seconds(before)).ln();
        let (from, to) = (f64::from(before.temperature), f64::from(after.temperature));
        from + share * (to - from)
    }

    /// Brings an answer after so many seconds to calibrated probabilities, `[n_classes]` in place: each to the power of
    /// `1 / temperature`, then all to the sum of 1.
    pub fn calibrate(&self, heard_s: f64, probabilities: &mut [f32]) {
        let temperature = self.temperature_at(heard_s);
        if temperature == 1.0 {
            return;
        }
        let top = probabilities.iter().copied().fold(0.0_f32, f32::max);
        let power = |p: f32| (f64::from(p) / f64::from(top)).powf(1.0 / temperature);
        let sum: f64 = probabilities.iter().map(|&p| power(p)).sum();
        for p in probabilities {
            *p = (power(*p) / sum) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(points: &[(u32, f32)]) -> LanguageSpec {
        let point = |&(heard_ms, temperature): &(u32, f32)| Temperature {
            heard_ms,
            temperature,
        };
        LanguageSpec {
            floor: 0.5,
            temperatures: points.iter().map(point).collect(),
        }
    }

    #[test]
    fn temperatures_lie_on_lines_over_the_logarithm_of_time_and_go_on_flat() {
        let spec = spec(&[(1000, 3.0), (4000, 1.0)]);
        for (heard_s, expected) in [
            (0.0, 3.0),
            (0.5, 3.0),
            (1.0, 3.0),
            (2.0, 2.0),
            (4.0, 1.0),
            (90.0, 1.0),
        ] {
            let found = spec.temperature_at(heard_s);
            assert!((found - expected).abs() < 1e-12, "{heard_s} s: {found}");
        }
        assert_eq!(self::spec(&[]).temperature_at(3.0), 1.0);
    }

    #[test]
    fn calibrated_probabilities_are_those_of_the_divided_logits() {
        let logits = [1.5_f64, -0.3, 0.2, -6.0];
        let softmax = |t: f64| {
            let powers = logits.map(|logit| (logit / t).exp());
            powers.map(|power| (power / powers.iter().sum::<f64>()) as f32)
        };
        for temperature in [0.5, 1.0, 2.5] {
            let mut found = softmax(1.0);
            spec(&[(1000, temperature)]).calibrate(7.0, &mut found);
            let expected = softmax(f64::from(temperature));
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
        }
        let mut certain = [1.0, 0.0];
        spec(&[(1000, 4.0)]).calibrate(1.0, &mut certain);
        assert_eq!(certain, [1.0, 0.0]);
    }

    #[test]
    fn wrong_values_are_refused_with_found_and_expected() {
        let labels = vec!["en".to_owned(), "de".to_owned()];
        let refused = |spec: LanguageSpec| spec.validate(&labels).unwrap_err().to_string();
        spec(&[(1000, 1.0), (2000, 0.9)]).validate(&labels).unwrap();
        let mut nan = spec(&[]);
        nan.floor = f32::NAN;
        assert_eq!(
            refused(nan),
            "the floor is NaN, expected a number above 0 and up to 1"
        );
        assert_eq!(
            refused(spec(&[(1000, 0.0)])),
            "the temperature after 1000 ms is 0, expected 0.1 to 10"
        );
        assert_eq!(
            refused(spec(&[(1000, 1.0), (1000, 1.0)])),
            "found 1000 ms heard, expected more than the 1000 ms before"
        );
        let error = spec(&[]).validate(&["en".into(), "_unknown_".into()]);
        assert!(error.unwrap_err().to_string().contains("_unknown_"));
    }
}
