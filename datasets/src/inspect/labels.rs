//! Labels that are most likely one label written in two ways.

use std::collections::BTreeMap;

use serde::Serialize;

/// Words shorter than this differ in one letter and still are two words: go and no, two and too.
const SHORTEST_WORD: usize = 5;

/// One label in this many clips of the other is a slip, not a word of its own.
const RARE: usize = 20;

/// Two labels that look like one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NearLabels {
    /// The one with fewer clips.
    pub rare: String,
    /// Its clips.
    pub n_rare: usize,
    /// The one with more.
    pub common: String,
    /// Its clips.
    pub n_common: usize,
}

/// Pairs of labels that differ in case, spaces or punctuation only, or, where one is rare beside the other and both are
/// long enough, in one letter (one more, one less, another, or two exchanged).
pub fn near_labels(counts: &BTreeMap<String, usize>) -> Vec<NearLabels> {
    let letters = |label: &str| -> String {
        let letters = label.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    let labels: Vec<(&String, usize, String)> = counts
        .iter()
        .map(|(label, &n)| (label, n, letters(label)))
        .collect();
    let mut found = Vec::new();
    for (at, first) in labels.iter().enumerate() {
        for second in &labels[at + 1..] {
            let (rare, common) = if first.1 <= second.1 {
                (first, second)
            } else {
                (second, first)
            };
            let is_long = rare.2.chars().count().min(common.2.chars().count()) >= SHORTEST_WORD;
            let is_rare = rare.1.saturating_mul(RARE) <= common.1;
            let is_same = rare.2 == common.2 && !rare.2.is_empty();
            if is_same || is_long && is_rare && strsim::osa_distance(&rare.2, &common.2) == 1 {
                found.push(NearLabels {
                    rare: rare.0.clone(),
                    n_rare: rare.1,
                    common: common.0.clone(),
                    n_common: common.1,
                });
            }
        }
    }
    found
}
