//! Words that sound nearly like a keyword and are not it: what a detector must learn to leave alone.
//!
//! How near is counted in sounds, not letters: espeak-ng says how each word is spoken. Candidates are everyday words, the
//! beginnings and ends of the keyword itself, and spellings with one sound changed, which nobody says but a
//! synthesiser.

use std::collections::{BTreeMap, BTreeSet};

use super::{Espeak, SynthError};

/// Everyday English words, one a line.
const EVERYDAY: &str = include_str!("everyday.txt");

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

/// The words to say beside the keywords so that these are told from their neighbours: for each keyword the `n_each` nearest
/// that sound different, everyday words before made-up ones of the same distance.
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
    let mut sounds = Sounds {
        espeak,
        voice,
        known: BTreeMap::new(),
    };
    let keyword_sounds = keywords
        .iter()
        .map(|keyword| sounds.of(keyword))
        .collect::<Result<Vec<_>, _>>()?;
    let mut taken: BTreeSet<String> = keywords.iter().cloned().collect();
    let mut chosen = Vec::new();
    for (keyword, of_keyword) in keywords.iter().zip(&keyword_sounds) {
        let made_up = changed_spellings(keyword);
        let candidates = said
            .iter()
            .map(|word| (word, false))
            .chain(made_up.iter().map(|word| (word, true)));
        let mut ranked = Vec::new();
        for (word, is_made_up) in candidates {
            if taken.contains(word) {
                continue;
            }
            let of_word = sounds.of(word)?;
            // What sounds like any keyword would be a wrong label.
            if of_word.is_empty() || keyword_sounds.contains(&of_word) {
                continue;
            }
            let longest = of_keyword.len().max(of_word.len()).max(1);
            let distance = edit_distance(of_keyword, &of_word) as f64 / longest as f64;
            ranked.push((distance, is_made_up, word.clone(), of_word));
        }
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, &a.2).cmp(&(b.1, &b.2))));
        let mut spoken = BTreeSet::new();
        for (distance, _, word, of_word) in ranked {
            if spoken.len() == n_each {
                break;
            }
            // Two spellings of one sound teach nothing twice.
            if spoken.insert(of_word) && taken.insert(word.clone()) {
                chosen.push(NearMiss {
                    word,
                    keyword: keyword.clone(),
                    distance,
                });
            }
        }
    }
    Ok(chosen)
}

/// How words are spoken, asked once each.
struct Sounds<'a> {
    espeak: &'a Espeak,
    voice: &'a str,
    known: BTreeMap<String, Vec<String>>,
}

impl Sounds<'_> {
    fn of(&mut self, word: &str) -> Result<Vec<String>, SynthError> {
        if let Some(sounds) = self.known.get(word) {
            return Ok(sounds.clone());
        }
        let sounds = self.espeak.sounds(word, self.voice)?;
        self.known.insert(word.to_owned(), sounds.clone());
        Ok(sounds)
    }
}

/// The sounds of a line of espeak-ng's phonetic letters, such as `dʒ_ˈɑːɹ_v_ɪ_s`, without stress.
pub(super) fn sounds_of(line: &str) -> Vec<String> {
    let parts = line.split(|c: char| c == '_' || c.is_whitespace());
    parts
        .map(|sound| sound.replace(['ˈ', 'ˌ', '\u{200d}'], ""))
        .filter(|sound| !sound.is_empty())
        .collect()
}

/// Beginnings and ends of a word, and the word with one letter changed, doubled in place of another or left out.
fn changed_spellings(keyword: &str) -> BTreeSet<String> {
    const VOWELS: [char; 5] = ['a', 'e', 'i', 'o', 'u'];
    const CONSONANTS: [char; 12] = ['b', 'd', 'f', 'g', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't'];
    let letters: Vec<char> = keyword.chars().collect();
    let mut changed = BTreeSet::new();
    let mut put = |letters: Vec<char>| {
        let word: String = letters.into_iter().collect();
        let word = word.trim_matches('_').to_owned();
        let n_letters = word.chars().filter(|c| c.is_alphabetic()).count();
        if n_letters >= MIN_LETTERS && word.starts_with(char::is_alphanumeric) {
            changed.insert(word);
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
            put(word);
        }
        let mut word = letters.clone();
        word.remove(at);
        put(word);
        put(letters[..at].to_vec());
        put(letters[at..].to_vec());
    }
    changed.remove(keyword);
    changed
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
        let changed = changed_spellings("alexa");
        for word in ["elexa", "alexo", "alera", "alex", "exa", "aleka", "lexa"] {
            assert!(changed.contains(word), "{word}");
        }
        assert!(!changed.contains("alexa") && !changed.contains("al"));
        assert!(
            changed_spellings("hey_you")
                .iter()
                .all(|word| { !word.starts_with('_') && !word.ends_with('_') })
        );
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
