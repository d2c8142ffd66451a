//! The words of a language beside the keywords: which sound nearly like one, and which may be read aloud.
//!
//! How near is counted in sounds, not letters: espeak-ng says how each word is spoken. Words that differ by a sound of many
//! (`computers`) are left out altogether: how a synthesiser tells them from the keyword, people do not, and a network
//! that learns the one takes the other for no keyword.

use std::collections::{BTreeMap, BTreeSet};

use super::{Espeak, SynthError};
use crate::seeded::rank;

/// Everyday English words, one a line.
const EVERYDAY: &str = include_str!("everyday.txt");

/// What is nearer sounds the same to many ears; what is farther is no near miss.
const NEAREST: f64 = 0.25;
const FARTHEST: f64 = 0.5;

/// A word and how far it is from the keyword that it is nearest to.
#[derive(Clone, Debug, PartialEq)]
pub struct NearMiss {
    /// How it is written, `_` for a space.
    pub word: String,
    /// The keyword that it is near.
    pub keyword: String,
    /// Sounds to put in, leave out or replace, as a share of the longer of the two: 0 sounds the same.
    pub distance: f64,
}

/// What is said beside the keywords.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OtherWords {
    /// For each keyword those that it must be told from, the nearest first.
    pub near: Vec<NearMiss>,
    /// All that sound like no keyword, near misses among them, in alphabetical order.
    pub vocabulary: Vec<String>,
}

/// Everyday English words and `more`, such as a list of words of another language, as far as they sound like no keyword;
/// for each keyword up to `n_near` that share half of its sounds or more.
///
/// `voice` is the espeak-ng voice that sounds are taken from. English words are left out of another language that brings
/// words of its own.
///
/// # Errors
///
/// espeak-ng cannot be run, or does not have the voice.
pub fn other_words(
    keywords: &[String],
    n_near: usize,
    voice: &str,
    more: &[String],
    espeak: &Espeak,
) -> Result<OtherWords, SynthError> {
    let is_english = voice.starts_with("en") || more.is_empty();
    let everyday = is_english.then(|| EVERYDAY.lines().map(str::to_owned));
    let words: BTreeSet<String> = everyday
        .into_iter()
        .flatten()
        .chain(more.iter().cloned())
        .collect();
    let words: Vec<String> = words
        .into_iter()
        .filter(|word| !keywords.contains(word))
        .collect();
    let of_keywords = espeak.sounds(keywords, voice)?;
    let of_words = espeak.sounds(&words, voice)?;
    // The keyword that each is nearest to.
    let nearest = |sounds: &Vec<String>| {
        let distances = of_keywords.iter().map(|keyword| distance(keyword, sounds));
        distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1))
    };
    let mut other = OtherWords::default();
    let mut near: BTreeMap<usize, Vec<(f64, String)>> = BTreeMap::new();
    // Two spellings of one sound teach nothing twice.
    let mut heard = BTreeSet::new();
    for (word, sounds) in words.into_iter().zip(&of_words) {
        let Some((keyword, distance)) = nearest(sounds) else {
            continue;
        };
        if sounds.is_empty() || distance < NEAREST {
            continue;
        }
        if distance <= FARTHEST && heard.insert(sounds) {
            near.entry(keyword)
                .or_default()
                .push((distance, word.clone()));
        }
        other.vocabulary.push(word);
    }
    for (keyword, mut words) in near {
        // Of equals in an order that does not begin every list with `a`.
        words.sort_by(|a, b| {
            a.0.total_cmp(&b.0)
                .then_with(|| rank(0, &a.1).cmp(&rank(0, &b.1)))
        });
        words.truncate(n_near);
        other
            .near
            .extend(words.into_iter().map(|(distance, word)| NearMiss {
                word,
                keyword: keywords[keyword].clone(),
                distance,
            }));
    }
    Ok(other)
}

/// The share of sounds that differ.
fn distance(a: &[String], b: &[String]) -> f64 {
    edit_distance(a, b) as f64 / a.len().max(b.len()).max(1) as f64
}

/// The sounds of a line of espeak-ng's phonetic letters, such as `dʒ_ˈɑːɹ_v_ɪ_s`, without stress.
pub(super) fn sounds_of(line: &str) -> Vec<String> {
    let parts = line.split(|c: char| c == '_' || c.is_whitespace());
    parts
        .map(|sound| sound.replace(['ˈ', 'ˌ', '\u{200d}'], ""))
        .filter(|sound| !sound.is_empty())
        .collect()
}

/// The fewest sounds to put in, leave out or replace (Levenshtein 1966).
fn edit_distance(a: &[String], b: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(word: &str) -> Vec<String> {
        word.chars().map(String::from).collect()
    }

    #[test]
    fn distances_are_those_of_the_textbooks() {
        for (a, b, expected) in [
            ("kitten", "sitting", 3),
            ("saturday", "sunday", 3),
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(edit_distance(&letters(a), &letters(b)), expected);
            assert_eq!(edit_distance(&letters(b), &letters(a)), expected);
        }
    }

    #[test]
    fn sounds_are_read_without_stress() {
        assert_eq!(sounds_of("dʒ_ˈɑːɹ_v_ɪ_s\n"), ["dʒ", "ɑːɹ", "v", "ɪ", "s"]);
        assert_eq!(sounds_of(" h_ˈeɪ dʒ_ˌɑː"), ["h", "eɪ", "dʒ", "ɑː"]);
        assert!(sounds_of("\n").is_empty());
    }

    #[test]
    fn everyday_words_are_words_and_stand_there_once() {
        let words: Vec<&str> = EVERYDAY.lines().collect();
        assert!(words.len() >= 300);
        let distinct: BTreeSet<&str> = words.iter().copied().collect();
        assert_eq!(distinct.len(), words.len());
        assert!(
            words
                .iter()
                .all(|w| w.bytes().all(|b| b.is_ascii_lowercase()))
        );
    }

    #[test]
    fn what_is_near_sounds_different_and_what_is_too_near_is_never_said() {
        let Ok(espeak) = Espeak::find() else {
            println!("espeak-ng is not installed: nothing is tested");
            return;
        };
        let keywords = ["right", "computer"].map(String::from);
        let more = ["writer", "computers", "commuter", "rite"].map(String::from);
        let others = other_words(&keywords, 6, "en-us", &more, &espeak).unwrap();
        let near = &others.near;
        let words: Vec<&str> = near.iter().map(|n| n.word.as_str()).collect();
        let distances: Vec<f64> = near.iter().map(|n| n.distance).collect();
        assert!(distances.len() == 6 && distances.is_sorted(), "{near:?}");
        assert!(distances.iter().all(|d| (0.25..=0.5).contains(d)));
        // Nothing among them is half of the longer word and not nearly all of it.
        assert!(near.iter().all(|n| n.keyword == "right"), "{near:?}");
        assert!(
            words.contains(&"light") || words.contains(&"night"),
            "{words:?}"
        );
        let said = |word: &str| others.vocabulary.iter().any(|w| w == word);
        // `write` and `rite` are the keyword itself to the ear, and `computers` nearly.
        for word in ["right", "write", "rite", "computer", "computers"] {
            assert!(!said(word) && !words.contains(&word), "{word}");
        }
        assert!(said("light") && said("garden") && others.vocabulary.len() > 700);
        assert_eq!(
            others,
            other_words(&keywords, 6, "en-us", &more, &espeak).unwrap()
        );
        // Another language with words of its own is not read in English.
        let german = other_words(
            &["licht".into()],
            6,
            "de",
            &["nicht".into(), "haus".into()],
            &espeak,
        );
        assert_eq!(german.unwrap().vocabulary, ["haus", "nicht"]);
    }
}
