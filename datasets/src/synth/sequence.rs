//! A recording in which one voice says several words, with the true times: what a streaming detector is shown.
//!
//! It is put together from the clips of a speaker of the test split, who was never heard in training.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::wave::{add_hiss, fade_ends, read_wav, samples_in, word_range, write_wav};
use super::{READING, SAMPLE_RATE_HZ, SynthError};
use crate::manifest::ManifestError;
use crate::partial::{Durability, write_whole};
use crate::seeded::purpose_rng;
use crate::split::Split;
use crate::table::Table;

/// What is said, and how far apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SequenceSpec {
    /// The words to draw from; none listed means every word of the corpus, readings aside.
    pub words: Vec<String>,
    /// How many are said. No word follows itself where there are two or more, and each is said once before any again.
    pub n_words: usize,
    /// The shortest and longest pause between words, in milliseconds; also before the first and after the last.
    pub gap_ms: [u32; 2],
    /// The level of the hiss behind it all, in dB below full scale.
    pub hiss_dbfs: f32,
    /// Draws the speaker, the words and the pauses.
    pub seed: u64,
}

/// A word and its true time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpokenWord {
    /// What is said.
    pub word: String,
    /// When it starts, in seconds.
    pub start_s: f64,
    /// When it ends, in seconds.
    pub end_s: f64,
}

/// What was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// Who speaks.
    pub speaker: String,
    /// The words in order.
    pub words: Vec<SpokenWord>,
    /// How long it is, in seconds.
    pub duration_s: f64,
}

/// Writes a sequence out of a synthetic corpus: `wav`, and `labels` as a CSV with word, start_s, end_s.
///
/// # Errors
///
/// The corpus has no such words by a test speaker, or a file cannot be read or written.
pub fn write_sequence(
    corpus: &Path,
    spec: &SequenceSpec,
    wav: &Path,
    labels: &Path,
) -> Result<Sequence, SynthError> {
    if spec.gap_ms[0] > spec.gap_ms[1] || spec.gap_ms[1] > 60_000 {
        let (field, found) = ("gap_ms", format!("{:?}", spec.gap_ms));
        return Err(SynthError::Spec {
            field,
            found,
            expected: "shortest and longest pause, up to 60,000 ms",
        });
    }
    if !(1..=10_000).contains(&spec.n_words) {
        let (field, found) = ("n_words", spec.n_words.to_string());
        return Err(SynthError::Spec {
            field,
            found,
            expected: "1 to 10,000 words",
        });
    }
    let mut rng = purpose_rng(spec.seed, "sequence");
    let clips = test_clips(corpus, &spec.words)?;
    let (speaker, by_word) = clips
        .iter()
        .nth(rng.random_range(0..clips.len()))
        .expect("a corpus without is refused");
    let names: Vec<&String> = by_word.keys().collect();

    let mut samples: Vec<f32> = Vec::new();
    let mut words = Vec::with_capacity(spec.n_words);
    let mut deck: Vec<&String> = Vec::new();
    let mut before: Option<&String> = None;
    for _ in 0..spec.n_words {
        if deck.is_empty() {
            deck.clone_from(&names);
            deck.shuffle(&mut rng);
            if deck.len() > 1 && deck.last().copied() == before {
                deck.swap(0, names.len() - 1);
            }
        }
        let word = deck.pop().expect("there is a word in the corpus");
        before = Some(word);
        let takes = &by_word[word];
        let take = &takes[rng.random_range(0..takes.len())];
        let path = corpus.join(&take.path);
        let clip = read_wav(&path)?;
        let range = word_range(&clip, take.hiss_dbfs).ok_or_else(|| SynthError::Corpus {
            path,
            found: "no word that stands out".into(),
            expected: "a spoken word".into(),
        })?;
        pause(&mut samples, spec, &mut rng);
        let start_s = samples.len() as f64 / f64::from(SAMPLE_RATE_HZ);
        let mut spoken = clip[range].to_vec();
        fade_ends(&mut spoken, 3);
        samples.extend(spoken);
        let end_s = samples.len() as f64 / f64::from(SAMPLE_RATE_HZ);
        words.push(SpokenWord {
            word: word.clone(),
            start_s,
            end_s,
        });
    }
    pause(&mut samples, spec, &mut rng);
    add_hiss(&mut samples, spec.hiss_dbfs, &mut rng);
    write_wav(wav, &samples)?;
    write_whole(labels, Durability::Quick, |out| {
        writeln!(out, "word,start_s,end_s")?;
        words
            .iter()
            .try_for_each(|w| writeln!(out, "{},{:.3},{:.3}", w.word, w.start_s, w.end_s))
    })
    .map_err(|source| SynthError::Io {
        path: labels.to_path_buf(),
        source,
    })?;
    let duration_s = samples.len() as f64 / f64::from(SAMPLE_RATE_HZ);
    Ok(Sequence {
        speaker: speaker.clone(),
        words,
        duration_s,
    })
}

fn pause(samples: &mut Vec<f32>, spec: &SequenceSpec, rng: &mut impl rand::Rng) {
    let n_samples = samples_in(rng.random_range(spec.gap_ms[0]..=spec.gap_ms[1]));
    samples.resize(samples.len() + n_samples, 0.0);
}

/// A clip of the corpus, and the hiss that was put under it.
struct Take {
    path: PathBuf,
    hiss_dbfs: Option<f32>,
}

/// Clips of each test speaker by word.
type ClipsBySpeaker = BTreeMap<String, BTreeMap<String, Vec<Take>>>;

/// The test speakers who say every one of the words, or any of theirs where none is listed.
fn test_clips(corpus: &Path, words: &[String]) -> Result<ClipsBySpeaker, SynthError> {
    let list = corpus.join("splits.tsv");
    let table = Table::read(&list).map_err(|error| list_fault(&list, error))?;
    let required = |name| {
        table
            .required(name)
            .map_err(|error| list_fault(&list, error))
    };
    let (file, speaker, split) = (required("path")?, required("speaker")?, required("split")?);
    let hiss = table.column(&["hiss_dbfs"]);
    let mut clips = ClipsBySpeaker::new();
    for row in table.rows() {
        let row = row.map_err(|error| list_fault(&list, error))?;
        let (Some(file), Some(speaker)) = (row.get(Some(file)), row.get(Some(speaker))) else {
            continue;
        };
        let word = file.split('/').next().unwrap_or_default();
        if row.get(Some(split)) == Some(Split::Test.name())
            && (words.iter().any(|w| w == word) || words.is_empty() && word != READING)
        {
            let hiss_dbfs = row.get(hiss).and_then(|level| level.parse().ok());
            let by_word = clips.entry(speaker.to_owned()).or_default();
            let takes = by_word.entry(word.to_owned()).or_default();
            takes.push(Take {
                path: PathBuf::from(file),
                hiss_dbfs,
            });
        }
    }
    clips.retain(|_, by_word| words.iter().all(|word| by_word.contains_key(word)));
    if clips.is_empty() {
        return Err(SynthError::Corpus {
            path: list,
            found: "no test speaker who says them all".into(),
            expected: format!(
                "clips of {}",
                if words.is_empty() {
                    "any word".into()
                } else {
                    words.join(" ")
                }
            ),
        });
    }
    Ok(clips)
}

fn list_fault(path: &Path, error: ManifestError) -> SynthError {
    match error {
        ManifestError::Io { path, source } => SynthError::Io { path, source },
        ManifestError::Columns {
            path,
            found,
            expected,
        } => SynthError::Corpus {
            path,
            found: format!("columns {found}"),
            expected: format!("a column `{expected}`"),
        },
        ManifestError::Row {
            line,
            found,
            expected,
            ..
        } => SynthError::Corpus {
            path: path.to_path_buf(),
            found: format!("{found} on line {line}"),
            expected,
        },
    }
}
