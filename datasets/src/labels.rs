//! What the classes of a task are: keywords, `_unknown_` and `_silence_`, and in which order.
//!
//! Knows words and counts; does not know where a clip is stored.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::seeded::rank;
use crate::split::Split;
use crate::utterance::{Utterance, slashed};

/// The class of clips in which nobody speaks.
pub const SILENCE: &str = "_silence_";
/// The class of words that are no keyword.
pub const UNKNOWN: &str = "_unknown_";

/// Which words are classes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelSpec {
    /// The keywords, in the order of the model's outputs; none listed means every word there is, in alphabetical order.
    pub keywords: Vec<String>,
    /// Whether the other words become the class `_unknown_`. Without it they are left out.
    pub unknown: bool,
    /// How many `_unknown_` clips to keep in each split, as a percentage of its keyword clips (the convention of
    /// Speech Commands: 10). `None` keeps all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_percent: Option<f64>,
    /// Whether silence and noise are a class of their own, `_silence_`.
    pub silence: bool,
    /// How many crops of background noise to make in each split, as a percentage of its keyword clips (the convention:
    /// 10). They are `_silence_`, or where that is no class `_unknown_`: one more thing that is no keyword.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence_percent: Option<f64>,
}

impl LabelSpec {
    /// Says what is wrong with the labels, if anything.
    pub(crate) fn fault(&self) -> Option<(&'static str, String, &'static str)> {
        let mut seen = BTreeSet::new();
        for keyword in &self.keywords {
            if keyword.is_empty() || keyword == SILENCE || keyword == UNKNOWN {
                return Some((
                    "labels.keywords",
                    format!("`{keyword}`"),
                    "a word; `unknown` and `silence` are switches",
                ));
            }
            if !seen.insert(keyword) {
                return Some((
                    "labels.keywords",
                    format!("`{keyword}` twice"),
                    "each keyword once",
                ));
            }
        }
        if self.unknown && self.keywords.is_empty() {
            return Some((
                "labels.unknown",
                "true without keywords".into(),
                "keywords, so that some words are left over",
            ));
        }
        let percent = |p: f64| p.is_finite() && p > 0.0 && p <= 1000.0;
        if let Some(p) = self.unknown_percent
            && !(self.unknown && percent(p))
        {
            return Some((
                "labels.unknown_percent",
                format!("{p}"),
                "a share above 0 %, beside `unknown = true`",
            ));
        }
        match (self.silence, self.silence_percent) {
            (true, None) => Some((
                "labels.silence_percent",
                "nothing".into(),
                "a share beside `silence = true`, such as 10",
            )),
            (silence, Some(p)) if percent(p) && (silence || self.unknown) => None,
            (false, None) => None,
            (_, Some(p)) => Some((
                "labels.silence_percent",
                format!("{p}"),
                "a share above 0 %, beside `silence = true` or `unknown = true`",
            )),
        }
    }

    /// The class of crops of background noise, and how many of them there are, as a percentage of the keyword clips;
    /// `None` where the task has none.
    pub fn noise(&self) -> Option<(&'static str, f64)> {
        let class = if self.silence { SILENCE } else { UNKNOWN };
        self.silence_percent.map(|percent| (class, percent))
    }

    /// The class of a word, or `None` when the task has no use for it.
    pub fn class_of(&self, word: &str) -> Option<String> {
        let is_keyword = self.keywords.iter().any(|keyword| keyword == word);
        match word {
            SILENCE => self.silence.then(|| SILENCE.to_owned()),
            UNKNOWN => self.unknown.then(|| UNKNOWN.to_owned()),
            _ if is_keyword || self.keywords.is_empty() => Some(word.to_owned()),
            _ => self.unknown.then(|| UNKNOWN.to_owned()),
        }
    }

    /// The classes in the order of the model's outputs: `_silence_`, `_unknown_`, then the keywords as listed
    /// (where none is listed, the words of `utterances` in alphabetical order).
    pub fn class_names(&self, utterances: &[Utterance]) -> Vec<String> {
        let mut names = Vec::new();
        if self.silence {
            names.push(SILENCE.to_owned());
        }
        if self.unknown {
            names.push(UNKNOWN.to_owned());
        }
        if self.keywords.is_empty() {
            let words: BTreeSet<&str> = utterances.iter().map(|row| row.label.as_str()).collect();
            names.extend(
                words
                    .into_iter()
                    .filter(|&w| w != SILENCE && w != UNKNOWN)
                    .map(str::to_owned),
            );
        } else {
            names.extend(self.keywords.iter().cloned());
        }
        names
    }
}

/// Clips in each split that are of a keyword.
pub(crate) fn n_keyword_clips(utterances: &[Utterance]) -> BTreeMap<Split, usize> {
    let mut counts = BTreeMap::new();
    for row in utterances
        .iter()
        .filter(|row| row.label != SILENCE && row.label != UNKNOWN)
    {
        *counts.entry(row.split).or_default() += 1;
    }
    counts
}

/// A percentage of a count, rounded up, as Speech Commands does.
pub(crate) fn share_of(n: usize, percent: f64) -> usize {
    (n as f64 * percent / 100.0).ceil() as usize
}

/// Keeps `percent` of the number of keyword clips as `_unknown_` in each split, drawn by the seed.
///
/// Which clips are kept depends on their names and the seed, not on the order or on what else is there.
pub(crate) fn cap_unknown(utterances: &mut Vec<Utterance>, percent: f64, seed: u64) {
    let n_keywords = n_keyword_clips(utterances);
    let mut ranked: BTreeMap<Split, Vec<(u64, String, u64)>> = BTreeMap::new();
    let name = |row: &Utterance| {
        (
            slashed(&row.path).into_owned(),
            row.start_s.unwrap_or(0.0).to_bits(),
        )
    };
    for row in utterances.iter().filter(|row| row.label == UNKNOWN) {
        let (path, start) = name(row);
        ranked.entry(row.split).or_default().push((
            rank(seed, &format!("unknown {path} {start}")),
            path,
            start,
        ));
    }
    let mut kept = BTreeSet::new();
    for (split, mut clips) in ranked {
        clips.sort();
        clips.truncate(share_of(
            n_keywords.get(&split).copied().unwrap_or(0),
            percent,
        ));
        kept.extend(clips.into_iter().map(|(_, path, start)| (path, start)));
    }
    utterances.retain(|row| row.label != UNKNOWN || kept.contains(&name(row)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(keywords: &[&str], unknown: bool, silence: bool) -> LabelSpec {
        LabelSpec {
            keywords: keywords.iter().map(|&k| k.to_owned()).collect(),
            unknown,
            unknown_percent: None,
            silence,
            silence_percent: silence.then_some(10.0),
        }
    }

    fn clip(label: &str, split: Split, n: usize) -> Utterance {
        Utterance {
            path: format!("{label}/{split}_{n}.wav").into(),
            label: label.into(),
            speaker: None,
            split,
            start_s: None,
            end_s: None,
            synthetic: false,
            n_samples: 0,
        }
    }

    #[test]
    fn silence_and_unknown_come_first_and_keywords_keep_the_order_of_the_recipe() {
        assert_eq!(
            spec(&["yes", "no", "up"], true, true).class_names(&[]),
            ["_silence_", "_unknown_", "yes", "no", "up"]
        );
        assert_eq!(
            spec(&["yes", "no"], false, false).class_names(&[]),
            ["yes", "no"]
        );
        let found = [
            clip("zero", Split::Train, 0),
            clip("bed", Split::Test, 0),
            clip(SILENCE, Split::Train, 0),
        ];
        assert_eq!(
            spec(&[], false, true).class_names(&found),
            ["_silence_", "bed", "zero"]
        );
    }

    #[test]
    fn a_word_that_is_no_keyword_is_unknown_only_when_asked() {
        assert_eq!(
            spec(&["yes"], true, false).class_of("no").as_deref(),
            Some(UNKNOWN)
        );
        assert_eq!(spec(&["yes"], false, false).class_of("no"), None);
        assert_eq!(
            spec(&[], false, false).class_of("no").as_deref(),
            Some("no")
        );
        assert_eq!(spec(&["yes"], true, false).class_of(SILENCE), None);
        assert_eq!(
            spec(&["yes"], true, true).class_of(SILENCE).as_deref(),
            Some(SILENCE)
        );
    }

    #[test]
    fn unknown_is_capped_in_each_split_by_the_seed_and_not_by_the_order() {
        let mut rows = Vec::new();
        for split in Split::ALL {
            let n = if split == Split::Train { 205 } else { 40 };
            rows.extend((0..n).map(|i| clip("yes", split, i)));
            rows.extend((0..100).map(|i| clip(UNKNOWN, split, i)));
        }
        let names = |rows: &[Utterance], split| -> BTreeSet<_> {
            rows.iter()
                .filter(|r| r.label == UNKNOWN && r.split == split)
                .map(|r| r.path.clone())
                .collect()
        };
        let mut capped = rows.clone();
        cap_unknown(&mut capped, 10.0, 7);
        assert_eq!(names(&capped, Split::Train).len(), 21); // ceil(20.5)
        assert_eq!(names(&capped, Split::Test).len(), 4);
        let mut reversed: Vec<_> = rows.iter().rev().cloned().collect();
        cap_unknown(&mut reversed, 10.0, 7);
        let mut other_seed = rows.clone();
        cap_unknown(&mut other_seed, 10.0, 8);
        for split in Split::ALL {
            assert_eq!(names(&capped, split), names(&reversed, split));
            assert_ne!(names(&capped, split), names(&other_seed, split));
        }
        assert_eq!(capped.iter().filter(|r| r.label == "yes").count(), 285);
    }

    #[test]
    fn a_task_that_makes_no_sense_is_refused() {
        assert!(spec(&["yes", "no"], true, true).fault().is_none());
        assert!(spec(&["yes", "yes"], true, true).fault().is_some());
        assert!(spec(&[], true, false).fault().is_some());
        assert!(spec(&[UNKNOWN], true, false).fault().is_some());
        assert!(
            LabelSpec {
                silence_percent: None,
                ..spec(&["yes"], false, true)
            }
            .fault()
            .is_some()
        );
        let noise = |unknown| LabelSpec {
            silence_percent: Some(10.0),
            ..spec(&["yes"], unknown, false)
        };
        assert!(noise(false).fault().is_some(), "noise of no class");
        assert!(noise(true).fault().is_none());
        assert_eq!(noise(true).noise(), Some((UNKNOWN, 10.0)));
        assert!(
            LabelSpec {
                unknown_percent: Some(-1.0),
                ..spec(&["yes"], true, false)
            }
            .fault()
            .is_some()
        );
        assert!(
            LabelSpec {
                unknown_percent: Some(10.0),
                ..spec(&["yes"], false, false)
            }
            .fault()
            .is_some()
        );
    }
}
