//! Words that sound nearly like a keyword and are not it: what a detector must learn to leave alone.
//!
//! How near is counted in sounds, not letters: espeak-ng says how each word is spoken. Candidates are everyday words, the
//! beginnings and ends of the keyword itself, and spellings with one sound changed, which nobody says but a
//! synthesiser.

use std::collections::{BTreeMap, BTreeSet};

use super::{Espeak, SynthError};
use crate::seeded::rank;

/// Everyday English words, one a line.
const EVERYDAY: &str = include_str!("everyday.txt");

/// The farthest that a near miss may be.
const FARTHEST: f64 = 0.5;

/// The fewest letters of a fragment or a changed spelling.
const MIN_LETTERS: usize = 3;

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

/// The words to say beside the keywords so that these are told from their neighbours: for each keyword up to `n_each` that
/// sound different and share half of its sounds or more, in turn the nearest everyday word, beginning or end, and changed
/// spelling.
///
/// `voice` is the espeak-ng voice that sounds are taken from; `more` are further candidates, such as a list of words of
/// another language.
///
/// # Errors
///
/// espeak-ng cannot be run, or does not have the voice.
pub fn near_misses(
    keywords: &[String],
    n_each: usize,
    voice: &str,
    more: &[String],
    espeak: &Espeak,
) -> Result<Vec<NearMiss>, SynthError> {
    let everyday = voice.starts_with("en").then(|| EVERYDAY.lines());
    let everyday = everyday.into_iter().flatten().map(str::to_owned);
    let said: BTreeSet<String> = everyday.chain(more.iter().cloned()).collect();
    let made_up: Vec<MadeUp> = keywords.iter().map(|k| made_up(k)).collect();
    let asked = keywords.iter().chain(&said).chain(
        made_up
            .iter()
            .flat_map(|words| words.cut.iter().chain(&words.changed)),
    );
    let asked: Vec<String> = asked
        .cloned()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let answers = espeak.sounds(&asked, voice)?;
    let sounds: BTreeMap<&String, Vec<String>> = asked.iter().zip(answers).collect();
    let keyword_sounds: Vec<&Vec<String>> = keywords.iter().map(|k| &sounds[k]).collect();
    let mut taken: BTreeSet<String> = keywords.iter().cloned().collect();
    let mut chosen = Vec::new();
    for ((keyword, made_up), of_keyword) in keywords.iter().zip(&made_up).zip(&keyword_sounds) {
        let kinds = [
            said.iter().collect::<Vec<_>>(),
            made_up.cut.iter().collect(),
            made_up.changed.iter().collect(),
        ];
        let ranked = kinds.map(|words| {
            let mut ranked: Vec<(f64, &String, &Vec<String>)> = words
                .into_iter()
                .map(|word| (word, &sounds[word]))
                // What sounds like any keyword would be a wrong label.
                .filter(|(_, of_word)| !of_word.is_empty() && !keyword_sounds.contains(of_word))
                .map(|(word, of_word)| {
                    let longest = of_keyword.len().max(of_word.len()).max(1);
                    let distance = edit_distance(of_keyword, of_word) as f64 / longest as f64;
                    (distance, word, of_word)
                })
                .filter(|(distance, ..)| *distance <= FARTHEST)
                .collect();
            // Of equals in an order that does not begin every list with `a`.
            ranked.sort_by(|a, b| {
                a.0.total_cmp(&b.0)
                    .then_with(|| rank(0, a.1).cmp(&rank(0, b.1)))
            });
            ranked.into_iter()
        });
        // Some of each kind, in turn.
        let (mut ranked, mut spoken, mut of_this) = (ranked, BTreeSet::new(), Vec::new());
        let mut n_empty = 0;
        for kind in (0..ranked.len()).cycle() {
            if of_this.len() == n_each || n_empty == ranked.len() {
                break;
            }
            // Two spellings of one sound teach nothing twice.
            let next = ranked[kind]
                .find(|(_, word, of_word)| !taken.contains(*word) && !spoken.contains(*of_word));
            let Some((distance, word, of_word)) = next else {
                n_empty += 1;
                continue;
            };
            n_empty = 0;
            spoken.insert(of_word);
            taken.insert(word.clone());
            of_this.push(NearMiss {
                word: word.clone(),
                keyword: keyword.clone(),
                distance,
            });
        }
        of_this.sort_by(|a, b| a.distance.total_cmp(&b.distance));
        chosen.extend(of_this);
    }
    Ok(chosen)
}

/// The sounds of a line of espeak-ng's phonetic letters, such as `dʒ_ˈɑːɹ_v_ɪ_s`, without stress.
pub(super) fn sounds_of(line: &str) -> Vec<String> {
    let parts = line.split(|c: char| c == '_' || c.is_whitespace());
    parts
        .map(|sound| sound.replace(['ˈ', 'ˌ', '\u{200d}'], ""))
        .filter(|sound| !sound.is_empty())
        .collect()
}

/// Spellings that nobody would look up.
struct MadeUp {
    /// Beginnings and ends of the word.
    cut: BTreeSet<String>,
    /// The word with one letter changed or left out.
    changed: BTreeSet<String>,
}

fn made_up(keyword: &str) -> MadeUp {
    const VOWELS: [char; 5] = ['a', 'e', 'i', 'o', 'u'];
    const CONSONANTS: [char; 12] = ['b', 'd', 'f', 'g', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't'];
    let letters: Vec<char> = keyword.chars().collect();
    let (mut cut, mut changed) = (BTreeSet::new(), BTreeSet::new());
    let put = |words: &mut BTreeSet<String>, letters: Vec<char>| {
        let word: String = letters.into_iter().collect();
        let word = word.trim_matches('_').to_owned();
        let n_letters = word.chars().filter(|c| c.is_alphabetic()).count();
        if n_letters >= MIN_LETTERS && word.starts_with(char::is_alphanumeric) {
            words.insert(word);
        }
    };
    for at in 0..letters.len() {
        let lower = letters[at].to_ascii_lowercase();
        let others: &[char] = match lower {
            '_' => &[],
            vowel if VOWELS.contains(&vowel) => &VOWELS,
            _ => &CONSONANTS,
        };
        for &other in others.iter().filter(|&&other| other != lower) {
            let mut word = letters.clone();
            word[at] = other;
            put(&mut changed, word);
        }
        let mut word = letters.clone();
        word.remove(at);
        put(&mut changed, word);
        put(&mut cut, letters[..at].to_vec());
        put(&mut cut, letters[at..].to_vec());
    }
    cut.remove(keyword);
    changed.remove(keyword);
    changed.retain(|word| !cut.contains(word));
    MadeUp { cut, changed }
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
    fn spellings_are_changed_in_one_place_or_cut() {
        let MadeUp { cut, changed } = made_up("alexa");
        for word in ["elexa", "alexo", "alera", "aleka", "aexa"] {
            assert!(changed.contains(word), "{word}");
        }
        assert_eq!(
            cut.iter().collect::<Vec<_>>(),
            ["ale", "alex", "exa", "lexa"]
        );
        assert!(!changed.contains("alexa") && !changed.contains("lexa"));
        let MadeUp { cut, changed } = made_up("hey_you");
        assert!(cut.contains("hey") && cut.contains("you"));
        let whole = |word: &String| !word.starts_with('_') && !word.ends_with('_');
        assert!(cut.iter().chain(&changed).all(whole));
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
    fn what_is_near_sounds_different_and_nearly_the_same() {
        let Ok(espeak) = Espeak::find() else {
            println!("espeak-ng is not installed: nothing is tested");
            return;
        };
        let keywords = ["right", "computer"].map(String::from);
        let near = near_misses(&keywords, 6, "en-us", &["writer".into()], &espeak).unwrap();
        for keyword in &keywords {
            let of_keyword: Vec<&NearMiss> =
                near.iter().filter(|n| n.keyword == *keyword).collect();
            assert_eq!(of_keyword.len(), 6, "{near:?}");
            assert!(
                of_keyword
                    .iter()
                    .all(|n| n.distance > 0.0 && n.distance <= 0.5)
            );
            assert!(
                of_keyword
                    .windows(2)
                    .all(|pair| pair[0].distance <= pair[1].distance)
            );
        }
        // "write" and "rite" are the keyword itself to the ear.
        let words: Vec<&str> = near.iter().map(|n| n.word.as_str()).collect();
        assert!(!words.contains(&"write") && !words.contains(&"rite"));
        assert!(
            words.contains(&"light") || words.contains(&"night"),
            "{words:?}"
        );
        assert_eq!(
            near,
            near_misses(&keywords, 6, "en-us", &["writer".into()], &espeak).unwrap()
        );
    }
}
