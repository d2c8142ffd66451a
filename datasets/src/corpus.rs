//! From a folder of audio files, or a manifest, to a labelled and split list of clips.
//!
//! [`scan`] reads names and lists only: it opens no audio file, so it cannot say how long a clip is or whether it is
//! any good. What it returns is sorted and the same on every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::background::BackgroundSpec;
use crate::labels::{LabelSpec, cap_unknown};
use crate::manifest::{ManifestError, ManifestRow};
use crate::name::Name;
use crate::split::{Split, SplitSpec};
use crate::utterance::Utterance;

mod assign;
mod files;
mod guess;
mod layout;
mod published;

pub use files::audio_files;
pub use files::labelled_files;
pub use guess::rows_of;
pub use layout::Layout;

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
    pub fn speaker_of<'a>(&self, path: &'a Path) -> Option<&'a str> {
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
    /// A class folder whose name no label can be.
    #[error("{}: found a name that is not UTF-8; expected one that a manifest can hold", path.display())]
    NameNotUtf8 {
        /// The folder.
        path: PathBuf,
    },
    /// Too little noise to make what was asked for.
    #[error(
        "found no noise recording of {clip_ms} ms for the {split} split; expected some, since the recipe asks for crops of noise as `{class}`"
    )]
    NoNoise {
        /// Which side has none.
        split: Split,
        /// How long a crop has to be.
        clip_ms: u32,
        /// What they are to be called.
        class: Name,
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
        let faults = [
            self.layout.fault(),
            self.labels.fault(),
            self.splits.fault(),
        ];
        if let Some(found) = faults.into_iter().flatten().next() {
            return fault(found);
        }
        if self.splits.needs_given() && !self.layout.gives_splits() {
            return fault((
                "splits",
                "given, in a layout that tells no sides".into(),
                "a manifest or a corpus that gives splits",
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

/// Lists the clips of a corpus that the task has a use for: labelled, split and sorted by path; nothing is decoded.
///
/// Where some clips were recorded and others are synthetic, the synthetic ones of the test split are left out.
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
    let mut found = spec.layout.rows(root, &spec.speaker)?;
    let words: BTreeSet<Name> = found.iter().map(|clip| clip.label.clone()).collect();
    if let Some(absent) = spec
        .labels
        .keywords
        .iter()
        .find(|keyword| !words.contains(keyword.as_str()))
    {
        return Err(CorpusError::KeywordAbsent {
            keyword: absent.clone(),
            root: root.to_path_buf(),
            found: if words.is_empty() {
                "no words".into()
            } else {
                words.iter().map(Name::as_str).collect::<Vec<_>>().join(" ")
            },
        });
    }
    let classes: BTreeMap<&Name, Name> = words
        .iter()
        .filter_map(|word| Some((word, spec.labels.class_of(word)?.into())))
        .collect();
    found.retain(|clip| classes.contains_key(&clip.label));

    let splits = if matches!(spec.layout, Layout::FolderPerClassWithTestSet { .. }) {
        with_test_set(root, &mut found, &spec.splits)?
    } else {
        assign::splits(root, &mut found, &spec.splits)?
    };
    let mut utterances: Vec<Utterance> = found
        .into_iter()
        .zip(splits)
        .map(|(clip, split)| Utterance {
            path: clip.path,
            label: classes[&clip.label].clone(),
            speaker: clip.speaker,
            split,
            start_s: clip.start_s,
            end_s: clip.end_s,
            synthetic: clip.synthetic,
            n_samples: 0,
        })
        .collect();
    let is_mixed = utterances.iter().any(|row| !row.synthetic);
    if is_mixed {
        // What a program said beside what people said: to learn from, never to be judged by.
        utterances.retain(|row| !(row.synthetic && row.split == Split::Test));
    }
    if let Some(percent) = spec.labels.unknown_percent {
        cap_unknown(&mut utterances, percent, spec.seed);
    }
    // It took the place of the longer rows of the list: what they had more is given back.
    utterances.shrink_to_fit();
    // In place: a stable sort would hold half of the list once more.
    utterances.sort_unstable_by(Utterance::order);
    Ok(utterances)
}

/// A side for each clip where a published test set is the test side. The main folder's own test clips are dropped: those
/// in the set would be there twice, and the others were left out of it on purpose.
fn with_test_set(
    root: &Path,
    clips: &mut Vec<ManifestRow>,
    spec: &SplitSpec,
) -> Result<Vec<Split>, CorpusError> {
    let test_set: Vec<ManifestRow> = clips.extract_if(.., |clip| clip.split.is_some()).collect();
    let mut sides = assign::splits(root, clips, spec)?;
    let mut at = 0..;
    clips.retain(|_| at.next().is_some_and(|at| sides[at] != Split::Test));
    sides.retain(|&side| side != Split::Test);
    sides.extend(test_set.iter().map(|_| Split::Test));
    clips.extend(test_set);
    Ok(sides)
}

#[cfg(test)]
mod protocol_tests;
#[cfg(test)]
mod tests;
