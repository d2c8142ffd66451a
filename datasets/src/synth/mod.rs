//! A keyword corpus where there is none: words spoken by a program (espeak-ng, or piper where it is installed) in many voices,
//! laid out and split like a recorded one, and marked as synthetic.
//!
//! It promises what a recorded corpus would have to: speakers do not cross splits, and neither does the timbre they are
//! built on (the espeak-ng variant), so test voices are new ones. It does not promise that a model trained on it
//! understands people.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::corpus::CorpusError;

mod engine;
mod espeak;
mod flite;
mod generate;
mod near;
mod noise;
mod piper;
mod plan;
mod program;
mod recorded;
mod sequence;
mod wave;

pub use engine::{Engine, Installed, Timbres};
pub use espeak::Espeak;
pub use flite::{EspeakAndFlite, Flite};
pub use generate::{Generated, generate};
pub use near::{NearMiss, OtherWords, other_words};
pub use piper::Piper;
pub use plan::{Speaker, SynthUtterance, plan, speakers};
pub use recorded::{
    Joined, Recording, Recordings, join_recordings, recorded_words, recordings, remove_recordings,
};
pub use sequence::{Sequence, SequenceSpec, SpokenWord, write_sequence};

/// The rate of espeak-ng, and of everything that is written.
pub const SAMPLE_RATE_HZ: u32 = 22_050;

/// The folder of what speakers read: words of the vocabulary in a row, which are no keyword.
pub const READING: &str = "_reading_";

/// The fewest speakers of a corpus.
pub const MIN_SPEAKERS: usize = 30;

/// The fewest words that make a reading.
const MIN_VOCABULARY: usize = 16;

/// What is said, by how many, how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SynthSpec {
    /// The keywords. A word is a folder name; `_` in it is spoken as a space.
    pub words: Vec<String>,
    /// Words that are no keyword, for `_unknown_` and for the babble among the noises.
    pub unknown_words: Vec<String>,
    /// Distinct combinations of accent, timbre, pitch and rate; 70 % of them are for training, 15 % each for
    /// validation and test. Voices that speak for training only are three more for every ten.
    pub n_speakers: usize,
    /// How often each speaker says each keyword, each time a little differently.
    pub n_takes: usize,
    /// How often each speaker says each unknown word.
    pub n_unknown_takes: usize,
    /// How many clips of each speaker reading words of the vocabulary in a row, cut at any place: what speech is beside
    /// words said alone.
    #[serde(default)]
    pub n_readings: usize,
    /// The words that are read.
    #[serde(default)]
    pub vocabulary: Vec<String>,
    /// espeak-ng voices, such as `en-us` and `en-gb-scotland`; of piper's the languages, such as `en_US`.
    pub accents: Vec<String>,
    /// How long a clip is, with the word somewhere near its middle; longer words make longer clips.
    pub clip_ms: u32,
    /// How long each noise recording is, in seconds; 0 makes none.
    pub noise_s: u32,
    /// Draws everything.
    pub seed: u64,
}

impl SynthSpec {
    /// English words in seven accents that every espeak-ng since 1.50 has, in clips of a second.
    pub fn english(
        words: &[&str],
        unknown_words: &[&str],
        n_speakers: usize,
        n_takes: usize,
        seed: u64,
    ) -> Self {
        let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Self {
            words: owned(words),
            unknown_words: owned(unknown_words),
            n_speakers,
            n_takes,
            n_unknown_takes: 1,
            n_readings: 0,
            vocabulary: Vec::new(),
            accents: owned(&[
                "en-us",
                "en-gb",
                "en-gb-scotland",
                "en-gb-x-gbclan",
                "en-gb-x-rp",
                "en-gb-x-gbcwmd",
                "en-029",
            ]),
            clip_ms: 1000,
            noise_s: 60,
            seed,
        }
    }

    /// Checks the words and counts.
    pub fn validate(&self) -> Result<(), SynthError> {
        let fault = |field, found: String, expected| {
            Err(SynthError::Spec {
                field,
                found,
                expected,
            })
        };
        if self.words.is_empty() {
            return fault("words", "none".into(), "at least one keyword");
        }
        let mut seen = BTreeSet::new();
        for word in self.words.iter().chain(&self.unknown_words) {
            let letters = |c: char| c.is_alphanumeric() || c == '_' || c == '\'';
            if !word.starts_with(char::is_alphanumeric) || !word.chars().all(letters) {
                return fault(
                    "words",
                    format!("`{word}`"),
                    "letters and digits, `_` for a space",
                );
            }
            if !seen.insert(word) {
                return fault(
                    "words",
                    format!("`{word}` twice"),
                    "each word once, keyword or unknown",
                );
            }
        }
        if !(MIN_SPEAKERS..=2_000).contains(&self.n_speakers) {
            return fault(
                "n_speakers",
                self.n_speakers.to_string(),
                "30 to 2,000 speakers",
            );
        }
        if !(1..=50).contains(&self.n_takes) || self.n_unknown_takes > 50 {
            return fault(
                "n_takes",
                format!("{} and {}", self.n_takes, self.n_unknown_takes),
                "1 to 50 takes",
            );
        }
        if self.n_readings > 1_000 {
            return fault(
                "n_readings",
                self.n_readings.to_string(),
                "up to 1,000 clips of reading",
            );
        }
        let spoken = |word: &String| word.starts_with(char::is_alphanumeric);
        if self.n_readings > 0 && self.vocabulary.len() < MIN_VOCABULARY {
            return fault(
                "vocabulary",
                format!("{} words", self.vocabulary.len()),
                "16 words or more to read",
            );
        }
        if let Some(word) = self.vocabulary.iter().find(|word| !spoken(word)) {
            return fault("vocabulary", format!("`{word}`"), "words");
        }
        if self.accents.is_empty() {
            return fault("accents", "none".into(), "espeak-ng voices, such as en-us");
        }
        if !(500..=10_000).contains(&self.clip_ms) {
            return fault("clip_ms", self.clip_ms.to_string(), "500 to 10,000 ms");
        }
        if self.noise_s > 600 {
            return fault("noise_s", self.noise_s.to_string(), "0 to 600 s");
        }
        Ok(())
    }
}

/// Why a corpus could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// A setting that makes no sense.
    #[error("{field}: found {found}; expected {expected}")]
    Spec {
        /// Which.
        field: &'static str,
        /// Its value.
        found: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// espeak-ng is not there.
    #[error(
        "the program `{}` was not found; install espeak-ng (Debian, Ubuntu: apt-get install espeak-ng; \
         Fedora: dnf install espeak-ng; macOS: brew install espeak-ng; Windows: winget install eSpeak-NG.eSpeak-NG)",
        program.display()
    )]
    ProgramMissing {
        /// What was looked for.
        program: PathBuf,
    },
    /// piper is not there.
    #[error(
        "the program `{}` was not found; install piper (pip install piper-tts, or a build from \
         github.com/OHF-Voice/piper1-gpl), or leave --engine to espeak-ng",
        program.display()
    )]
    PiperMissing {
        /// What was looked for.
        program: PathBuf,
    },
    /// A folder holds no voice that can be used.
    #[error(
        "{}: found no voice of piper, expected `*.onnx` of 22,050 Hz (`medium` or `high`) with its `*.onnx.json` beside it; \
         python -m piper.download_voices en_US-libritts-high fetches one of many speakers",
        folder.display()
    )]
    NoPiperVoices {
        /// Where was looked.
        folder: PathBuf,
    },
    /// The program is there and did not do it.
    #[error("`{command}`: found {found}; expected {expected}")]
    Program {
        /// What was run.
        command: String,
        /// What came of it.
        found: String,
        /// What should have.
        expected: &'static str,
    },
    /// A folder of recordings could not be read.
    #[error(transparent)]
    Recordings(#[from] CorpusError),
    /// Too few recordings of a word.
    #[error(
        "{}: found {n_found} recordings of `{word}`; expected 3 or more, one each to learn from, to choose by and to judge by (or none)",
        folder.display()
    )]
    FewRecordings {
        /// Where they lie.
        folder: PathBuf,
        /// Of which word.
        word: String,
        /// How many there are.
        n_found: usize,
    },
    /// The program lacks voices that are asked for.
    #[error("{engine} {version} has no voice {missing}; it has {found}")]
    VoiceMissing {
        /// Which program.
        engine: &'static str,
        /// Which version of it.
        version: String,
        /// What it lacks.
        missing: String,
        /// What it has.
        found: String,
    },
    /// The folder holds a corpus made by another spec.
    #[error("{}: found a corpus of another spec or another program; expected the same, or an empty folder", path.display())]
    OtherCorpus {
        /// The description that lies there.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the corpus is not what was written.
    #[error("{}: found {found}; expected {expected}", path.display())]
    Corpus {
        /// Which file.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
    /// The caller asked to stop; what is finished stays, and the next run goes on from it.
    #[error("stopped after {n_done} of {n_total} files")]
    Stopped {
        /// Files that are there.
        n_done: usize,
        /// Files that will be there.
        n_total: usize,
    },
}

#[cfg(test)]
mod tests;
