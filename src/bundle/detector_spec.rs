//! What it takes for answers to become a detection. Parameters only: `stream::detector` does it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{is_reserved, keywords};

/// Longest moving average over answers.
const MAX_SMOOTHING_MS: u32 = 10_000;
const MAX_CONSECUTIVE: u32 = 1000;
const MAX_WAIT_MS: u32 = 600_000;

/// The one sample rate at which voices are told from other sounds.
pub const VOICE_RATE_HZ: u32 = 16_000;

/// From answers to detections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectorSpec {
    /// Smoothed probability from which a keyword counts as heard, above 0 and up to 1.
    pub threshold: f32,
    /// The same for single keywords, instead of [`DetectorSpec::threshold`].
    #[serde(default)]
    pub thresholds: BTreeMap<String, f32>,
    /// Probabilities are averaged over the answers of this time; 0 leaves them as they are.
    pub smoothing_ms: u32,
    /// Answers in a row that must reach the threshold.
    pub min_consecutive: u32,
    /// After a detection nothing is counted for this time, whichever keyword it is.
    pub refractory_ms: u32,
    /// Nothing is counted before this much has been heard: a network trained on whole clips has
    /// not seen how a clip looks when most of it is still missing.
    pub warmup_ms: u32,
    /// Keywords are reported only where somebody is heard to speak with at least this score, above 0 and up to 1; `None`
    /// reports them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice_threshold: Option<f32>,
}

#[derive(Debug, thiserror::Error, PartialEq)]
pub enum DetectorSpecError {
    #[error("{field} is {found}, expected {low} to {high}")]
    OutOfRange {
        field: &'static str,
        found: u32,
        low: u32,
        high: u32,
    },
    #[error("the threshold of {of} is {found}, expected a number above 0 and up to 1")]
    Threshold { of: String, found: f32 },
    #[error("a threshold is given for {found:?}, expected one of the keywords: {expected}")]
    NotAKeyword { found: String, expected: String },
}

impl DetectorSpec {
    /// Keywords of about a word, heard by networks trained on clips of `clip_ms` (Speech Commands: 1000).
    pub fn keywords(clip_ms: u32) -> Self {
        Self {
            threshold: 0.6,
            thresholds: BTreeMap::new(),
            smoothing_ms: 200,
            min_consecutive: 2,
            refractory_ms: 750,
            warmup_ms: clip_ms,
            voice_threshold: None,
        }
    }

    /// The threshold of one keyword.
    pub fn threshold_of(&self, keyword: &str) -> f32 {
        *self.thresholds.get(keyword).unwrap_or(&self.threshold)
    }

    /// Checks the values, and the names of single thresholds against the labels.
    pub fn validate(&self, labels: &[String]) -> Result<(), DetectorSpecError> {
        let default = ("all keywords".to_owned(), self.threshold);
        let single = self.thresholds.iter();
        let single = single.map(|(keyword, value)| (format!("{keyword:?}"), *value));
        let voice = self
            .voice_threshold
            .map(|value| ("a voice".to_owned(), value));
        for (of, found) in std::iter::once(default).chain(single).chain(voice) {
            // NaN is above nothing.
            if !(found > 0.0 && found <= 1.0) {
                return Err(DetectorSpecError::Threshold { of, found });
            }
        }
        let is_keyword = |name: &String| labels.contains(name) && !is_reserved(name);
        if let Some(found) = self.thresholds.keys().find(|name| !is_keyword(name)) {
            return Err(DetectorSpecError::NotAKeyword {
                found: found.clone(),
                expected: keywords(labels).cloned().collect::<Vec<_>>().join(", "),
            });
        }
        for (field, found, low, high) in [
            ("smoothing_ms", self.smoothing_ms, 0, MAX_SMOOTHING_MS),
            ("min_consecutive", self.min_consecutive, 1, MAX_CONSECUTIVE),
            ("refractory_ms", self.refractory_ms, 0, MAX_WAIT_MS),
            ("warmup_ms", self.warmup_ms, 0, MAX_WAIT_MS),
        ] {
            if !(low..=high).contains(&found) {
                return Err(DetectorSpecError::OutOfRange {
                    field,
                    found,
                    low,
                    high,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<String> {
        ["yes", "no", "_unknown_", "_silence_"]
            .map(String::from)
            .to_vec()
    }

    #[test]
    fn a_single_threshold_stands_before_the_common_one() {
        let mut spec = DetectorSpec::keywords(1000);
        spec.thresholds.insert("no".into(), 0.9);
        spec.validate(&labels()).unwrap();
        assert_eq!(spec.threshold_of("yes"), spec.threshold);
        assert_eq!(spec.threshold_of("no"), 0.9);
    }

    #[track_caller]
    fn check_refused(change: impl Fn(&mut DetectorSpec), expected: &str) {
        let mut spec = DetectorSpec::keywords(1000);
        change(&mut spec);
        assert_eq!(spec.validate(&labels()).unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_wrong_value_is_refused_with_found_and_expected() {
        check_refused(
            |spec| spec.threshold = f32::NAN,
            "the threshold of all keywords is NaN, expected a number above 0 and up to 1",
        );
        check_refused(
            |spec| spec.voice_threshold = Some(0.0),
            "the threshold of a voice is 0, expected a number above 0 and up to 1",
        );
        check_refused(
            |spec| spec.min_consecutive = 0,
            "min_consecutive is 0, expected 1 to 1000",
        );
        for name in ["maybe", "_silence_"] {
            check_refused(
                |spec| {
                    spec.thresholds.insert(name.into(), 0.5);
                },
                &format!(
                    "a threshold is given for {name:?}, expected one of the keywords: yes, no"
                ),
            );
        }
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        let text = r#"{"threshold":0.5,"smoothing_ms":0,"min_consecutive":1,"refractory_ms":0,"warm_up_ms":0}"#;
        let error = serde_json::from_str::<DetectorSpec>(text).unwrap_err();
        assert!(error.to_string().contains("warm_up_ms"), "{error}");
    }
}
