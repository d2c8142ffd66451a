//! From a folder of audio files, or a manifest, to a labelled and split list of clips.
//!
//! [`scan`] reads names and lists only: it opens no audio file, so it cannot say how long a clip is or whether it is
//! any good. What it returns is sorted and the same on every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::background::BackgroundSpec;
use crate::labels::{LabelSpec, cap_unknown};
use crate::manifest::{ManifestError, read_rows};
use crate::split::{Split, SplitSpec};
use crate::utterance::{Utterance, slashed};

mod assign;
mod files;

pub(crate) use files::audio_files;
pub use files::labelled_files;

/// The folder in which Speech Commands keeps its noise; never a class.
pub const BACKGROUND_NOISE: &str = "_background_noise_";

/// What a recipe says of its corpus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusSpec {
    /// How the files are found.
    pub layout: Layout,
    /// How a file name tells its speaker. Speakers that a manifest or a list names come before it.
    pub speaker: SpeakerPattern,
    /// Which words are classes.
    pub labels: LabelSpec,
    /// How the corpus is divided.
    pub splits: SplitSpec,
    /// Where noise lies and how it is divided.
    pub background: BackgroundSpec,
    /// How long a clip is that the model sees, in milliseconds; also the length of a `_silence_` crop.
    pub clip_ms: u32,
    /// The share of files that may turn out bad before ingestion stops, 0 to 1.
    pub max_reject_share: f64,
    /// Draws the unknown and silence clips and divides the noise.
    pub seed: u64,
}

/// How the files of a corpus are found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Layout {
    /// Every folder under the root is a word and holds its clips, as in Speech Commands.
    FolderPerClass,
    /// A CSV, TSV or JSONL file with `path` and `label`, perhaps `speaker`, `split`, `start`, `end`.
    Manifest {
        /// The file, relative to the corpus root; so are the audio paths in it.
        path: PathBuf,
    },
}

/// Where in a file name its speaker is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SpeakerPattern {
    /// Before the first `separator`, such as `_nohash_` or `_`. A name without it tells no speaker.
    Before {
        /// The text after the speaker.
        separator: String,
    },
    /// The field number `index` (from 0) of the name without extension, cut at every `separator`.
    Field {
        /// The text between fields.
        separator: String,
        /// Which field.
        index: usize,
    },
    /// The names tell nothing.
    Unnamed,
}

impl SpeakerPattern {
    /// The convention of Speech Commands: `<speaker>_nohash_<take>`.
    pub fn nohash() -> Self {
        SpeakerPattern::Before {
            separator: "_nohash_".to_owned(),
        }
    }

    /// The speaker of a file, by its name alone.
    pub fn speaker_of(&self, path: &Path) -> Option<String> {
        let stem = path.file_stem()?.to_str()?;
        let name = match self {
            SpeakerPattern::Before { separator } => stem.split_once(separator.as_str())?.0,
            SpeakerPattern::Field { separator, index } => {
                stem.split(separator.as_str()).nth(*index)?
            }
            SpeakerPattern::Unnamed => return None,
        };
        crate::manifest::known_speaker(Some(name))
    }
}

/// Why a corpus cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// A setting that makes no sense.
    #[error("{field}: found {found}; expected {expected}")]
    Spec {
        /// Which setting.
        field: &'static str,
        /// Its value.
        found: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// A folder or file could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A manifest or list is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// There is nothing to learn from.
    #[error("{}: found {found}; expected {expected}", path.display())]
    Empty {
        /// The folder or file.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What should be.
        expected: &'static str,
    },
    /// A keyword of the recipe that nobody says.
    #[error("keyword `{keyword}` has no clip in {}; found {found}", root.display())]
    KeywordAbsent {
        /// Which.
        keyword: String,
        /// The corpus.
        root: PathBuf,
        /// The words that are there.
        found: String,
    },
    /// A file that the list of splits does not know.
    #[error("{}: found no row for {} ({n_files} such files); expected every clip of the task in the list", list.display(), path.display())]
    NotListed {
        /// The list.
        list: PathBuf,
        /// The first such file.
        path: PathBuf,
        /// How many there are.
        n_files: usize,
    },
    /// A clip that a split by speaker, or by the manifest, cannot place.
    #[error("{}: found no {found}; expected one, since the corpus is split by it", path.display())]
    Unplaced {
        /// The clip.
        path: PathBuf,
        /// What it lacks.
        found: &'static str,
    },
    /// A file name that cannot be written into a manifest.
    #[error("{}: found a name that is not UTF-8; expected one that a manifest can hold", path.display())]
    NameNotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// Too little noise to make what was asked for.
    #[error(
        "found no noise recording of {clip_ms} ms for the {split} split; expected some, since the task has a `_silence_` class"
    )]
    NoNoise {
        /// Which side has none.
        split: Split,
        /// How long a crop has to be.
        clip_ms: u32,
    },
}

impl CorpusSpec {
    /// Checks the settings against one another.
    pub fn validate(&self) -> Result<(), CorpusError> {
        let fault = |(field, found, expected)| {
            Err(CorpusError::Spec {
                field,
                found,
                expected,
            })
        };
        if let Some(found) = self.labels.fault().or_else(|| self.splits.fault()) {
            return fault(found);
        }
        if self.splits == SplitSpec::Given && self.layout == Layout::FolderPerClass {
            return fault((
                "splits",
                "given, with a folder per class".into(),
                "a manifest, which can give splits",
            ));
        }
        if !(0.0..=1.0).contains(&self.max_reject_share) {
            return fault((
                "max_reject_share",
                format!("{}", self.max_reject_share),
                "a share between 0 and 1",
            ));
        }
        if !(10..=600_000).contains(&self.clip_ms) {
            return fault((
                "clip_ms",
                format!("{}", self.clip_ms),
                "10 ms to 10 minutes",
            ));
        }
        match &self.speaker {
            SpeakerPattern::Before { separator } | SpeakerPattern::Field { separator, .. }
                if separator.is_empty() =>
            {
                fault((
                    "speaker.separator",
                    "nothing".into(),
                    "the text that ends the speaker's name",
                ))
            }
            _ => Ok(()),
        }
    }
}

/// A clip before it has a class and a side.
struct Found {
    path: PathBuf,
    word: String,
    speaker: Option<String>,
    split: Option<Split>,
    start_s: Option<f64>,
    end_s: Option<f64>,
    synthetic: bool,
}

/// Lists the clips of a corpus that the task has a use for: labelled, split and sorted by path; nothing is decoded.
///
/// Crops of noise for the class `_silence_` are not among them, since nobody knows yet how long the noise files are:
/// [`crate::background::silence_rows`] adds them once they are decoded.
///
/// # Errors
///
/// A spec that makes no sense, a folder or list that cannot be read, a keyword without a clip, a clip that the split
/// cannot place. The error names the file.
pub fn scan(root: &Path, spec: &CorpusSpec) -> Result<Vec<Utterance>, CorpusError> {
    spec.validate()?;
    let mut found = match &spec.layout {
        Layout::FolderPerClass => folders(root, &spec.speaker)?,
        Layout::Manifest { path } => listed(root, path, &spec.speaker)?,
    };
    let words: BTreeSet<String> = found.iter().map(|clip| clip.word.clone()).collect();
    if let Some(absent) = spec
        .labels
        .keywords
        .iter()
        .find(|keyword| !words.contains(*keyword))
    {
        return Err(CorpusError::KeywordAbsent {
            keyword: absent.clone(),
            root: root.to_path_buf(),
            found: if words.is_empty() {
                "no words".into()
            } else {
                words.into_iter().collect::<Vec<_>>().join(" ")
            },
        });
    }
    let classes: BTreeMap<&String, String> = words
        .iter()
        .filter_map(|word| Some((word, spec.labels.class_of(word)?)))
        .collect();
    found.retain(|clip| classes.contains_key(&clip.word));

    let splits = assign::splits(root, &mut found, &spec.splits)?;
    let mut utterances: Vec<Utterance> = found
        .into_iter()
        .zip(splits)
        .map(|(clip, split)| Utterance {
            path: clip.path,
            label: classes[&clip.word].clone(),
            speaker: clip.speaker,
            split,
            start_s: clip.start_s,
            end_s: clip.end_s,
            synthetic: clip.synthetic,
            n_samples: 0,
        })
        .collect();
    if let Some(percent) = spec.labels.unknown_percent {
        cap_unknown(&mut utterances, percent, spec.seed);
    }
    utterances.sort_by(Utterance::order);
    Ok(utterances)
}

/// The clips of a folder per class.
fn folders(root: &Path, speaker: &SpeakerPattern) -> Result<Vec<Found>, CorpusError> {
    let mut found = Vec::new();
    for word in files::class_folders(root)? {
        for path in audio_files(&root.join(&word))? {
            let path = PathBuf::from(&word).join(path);
            let speaker = speaker.speaker_of(&path);
            found.push(Found {
                path,
                word: word.clone(),
                speaker,
                split: None,
                start_s: None,
                end_s: None,
                synthetic: false,
            });
        }
    }
    if found.is_empty() {
        return Err(CorpusError::Empty {
            path: root.to_path_buf(),
            found: "no audio file in a folder of its own".into(),
            expected: "a folder for each word, with its clips inside",
        });
    }
    Ok(found)
}

/// The clips of a manifest.
fn listed(
    root: &Path,
    manifest: &Path,
    speaker: &SpeakerPattern,
) -> Result<Vec<Found>, CorpusError> {
    let path = root.join(manifest);
    let rows = read_rows(&path)?;
    if rows.is_empty() {
        return Err(CorpusError::Empty {
            path,
            found: "no row".into(),
            expected: "a row for each clip",
        });
    }
    let mut first_lines = BTreeMap::new();
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let place = (
            slashed(&row.path),
            row.start_s.unwrap_or(0.0).to_bits(),
            row.end_s.map(f64::to_bits),
        );
        if let Some(first) = first_lines.insert(place, row.line) {
            return Err(CorpusError::Manifest(ManifestError::Row {
                path,
                line: row.line,
                found: format!("{} again, as on line {first}", row.path.display()),
                expected: "each clip once".into(),
            }));
        }
        found.push(Found {
            speaker: row.speaker.or_else(|| speaker.speaker_of(&row.path)),
            path: row.path,
            word: row.label,
            split: row.split,
            start_s: row.start_s,
            end_s: row.end_s,
            synthetic: row.synthetic,
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
