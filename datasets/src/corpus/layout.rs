//! How the files of a corpus lie, and the rows that follow from it: path, word, speaker, side and source as the corpus
//! gives them. It does not know the task: which words are classes, or who is on which side where the corpus is silent.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{audio_files, class_folders};
use super::{CorpusError, SpeakerPattern, published};
use crate::manifest::{ManifestRow, check_each_once, read_rows};
use crate::name::{Name, Names};
use crate::split::Split;

/// How the files of a corpus are found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Layout {
    /// Every folder under the root is a word and holds its clips, as in Speech Commands.
    FolderPerClass,
    /// The same, with a published test set in a folder of its own: it takes the place of the test side, and what the
    /// split rule puts there of the main folder is left out. The official test archives of Speech Commands.
    FolderPerClassWithTestSet {
        /// The folder with the test set, a folder a word, relative to the corpus root (`..` is allowed).
        test_set: PathBuf,
    },
    /// A CSV, TSV or JSONL file with `path` and `label`, perhaps `speaker`, `split`, `source`, `start`, `end`.
    Manifest {
        /// The file, relative to the corpus root; so are the audio paths in it.
        path: PathBuf,
    },
    /// All clips in one folder, the word a field of the file name: `7_jackson_32.wav` of the Free Spoken Digit Dataset.
    WordInName {
        /// The folder, relative to the corpus root.
        folder: PathBuf,
        /// The text between fields.
        separator: String,
        /// Which field is the word, from 0.
        index: usize,
    },
    /// Common Voice: `<locale>/{train,dev,test}.tsv` and `<locale>/clips/`. The label is the locale.
    CommonVoice,
    /// Multilingual Spoken Words: `<locale>/<locale>_splits.csv` and `<locale>/clips/<word>/`. The label is the word.
    Mswc {
        /// Whether only clips whose sentence was confirmed by listeners (`VALID`) are taken.
        valid_only: bool,
    },
    /// FLEURS: `<language>/{train,dev,test}.tsv` and `<language>/audio/{train,dev,test}/`. The label is the language.
    Fleurs,
    /// VoxLingua107: `train/<language>/` and `dev/<language>/`. The development side is the test, as its authors use it.
    #[serde(rename = "voxlingua107")]
    VoxLingua107,
    /// CommonLanguage: `<Language>/{train,dev,test}.csv` and `<Language>/{train,dev,test}/<client>/`.
    CommonLanguage,
    /// LibriSpeech: `{train,dev,test}-*/<speaker>/<chapter>/`. Nothing but the fact of speech is a label.
    #[serde(rename = "librispeech")]
    LibriSpeech {
        /// What every clip is called, such as `_unknown_` for speech without keywords.
        label: String,
    },
    /// ESC-50: `meta/esc50.csv` and `audio/`. The corpus comes in five folds; the rest of them are for training.
    Esc50 {
        /// The fold for validation, 1 to 5.
        validation_fold: u8,
        /// The fold for test, 1 to 5.
        test_fold: u8,
    },
    /// MUSAN: `{music,noise,speech}/<collection>/`. The label is the first folder.
    Musan,
    /// Any folder of room impulse responses, such as RIRS_NOISES; noise recordings among them are passed over.
    /// The label is the first folder below the root.
    ImpulseResponses,
}

impl Layout {
    /// Every clip the corpus lists, as the corpus says it, in no particular order. Opens lists, never audio.
    ///
    /// # Errors
    ///
    /// A folder or list that is not there or not as published; a clip listed twice with different labels or sides.
    pub fn rows(
        &self,
        root: &Path,
        speaker: &SpeakerPattern,
    ) -> Result<Vec<ManifestRow>, CorpusError> {
        match self {
            Layout::FolderPerClass => folders(root, Path::new(""), speaker, None),
            Layout::FolderPerClassWithTestSet { test_set } => {
                let mut rows = folders(root, Path::new(""), speaker, None)?;
                rows.extend(folders(root, test_set, speaker, Some(Split::Test))?);
                Ok(rows)
            }
            Layout::Manifest { path } => listed(root, path, speaker),
            Layout::WordInName {
                folder,
                separator,
                index,
            } => named(root, folder, (separator, *index), speaker),
            Layout::CommonVoice => published::common_voice::rows(root),
            Layout::Mswc { valid_only } => published::mswc::rows(root, *valid_only),
            Layout::Fleurs => published::fleurs::rows(root),
            Layout::VoxLingua107 => published::voxlingua107::rows(root),
            Layout::CommonLanguage => published::common_language::rows(root),
            Layout::LibriSpeech { label } => published::librispeech::rows(root, label),
            Layout::Esc50 {
                validation_fold,
                test_fold,
            } => published::esc50::rows(root, *validation_fold, *test_fold),
            Layout::Musan => published::musan::rows(root),
            Layout::ImpulseResponses => published::responses::rows(root),
        }
    }

    /// Whether the corpus itself says on which side every clip is.
    pub fn gives_splits(&self) -> bool {
        matches!(
            self,
            Layout::Manifest { .. }
                | Layout::CommonVoice
                | Layout::Mswc { .. }
                | Layout::Fleurs
                | Layout::VoxLingua107
                | Layout::CommonLanguage
                | Layout::LibriSpeech { .. }
                | Layout::Esc50 { .. }
        )
    }

    /// Says what is wrong with the layout, if anything.
    pub(crate) fn fault(&self) -> Option<(&'static str, String, &'static str)> {
        match self {
            Layout::WordInName { separator, .. } if separator.is_empty() => Some((
                "layout.separator",
                "nothing".into(),
                "the text between the fields of a name",
            )),
            Layout::Esc50 {
                validation_fold: v,
                test_fold: t,
            } if !(1..=5).contains(v) || !(1..=5).contains(t) || v == t => Some((
                "layout",
                format!("fold {v} for validation and {t} for test"),
                "two different folds of 1 to 5",
            )),
            _ => None,
        }
    }
}

/// The clips of a folder per class.
fn folders(
    root: &Path,
    inside: &Path,
    speaker: &SpeakerPattern,
    split: Option<Split>,
) -> Result<Vec<ManifestRow>, CorpusError> {
    let (mut rows, mut names) = (Vec::new(), Names::default());
    for word in class_folders(&root.join(inside))? {
        for path in audio_files(&root.join(inside).join(&word))? {
            let path = inside.join(&word).join(path);
            let mut row = ManifestRow {
                speaker: speaker.speaker_of(&path).map(Name::from),
                split,
                ..ManifestRow::of(path, word.as_str())
            };
            row.share(&mut names);
            rows.push(row);
        }
    }
    if rows.is_empty() {
        return Err(CorpusError::Empty {
            path: root.join(inside),
            found: "no audio file in a folder of its own".into(),
            expected: "a folder for each word, with its clips inside",
        });
    }
    Ok(rows)
}

/// The clips of one folder, each with its word in its name.
fn named(
    root: &Path,
    folder: &Path,
    (separator, index): (&str, usize),
    speaker: &SpeakerPattern,
) -> Result<Vec<ManifestRow>, CorpusError> {
    let (mut rows, mut names) = (Vec::new(), Names::default());
    for path in audio_files(&root.join(folder))? {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let word = stem.and_then(|stem| stem.split(separator).nth(index));
        let Some(word) = word.filter(|word| !word.is_empty()) else {
            return Err(CorpusError::Empty {
                path: root.join(folder).join(&path),
                found: format!("no field {index} between `{separator}` in its name"),
                expected: "the word in the name of every clip",
            });
        };
        let word = Name::from(word);
        let path = folder.join(path);
        let mut row = ManifestRow {
            speaker: speaker.speaker_of(&path).map(Name::from),
            ..ManifestRow::of(path, word)
        };
        row.share(&mut names);
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(CorpusError::Empty {
            path: root.join(folder),
            found: "no audio file".into(),
            expected: "clips that carry their word in their name",
        });
    }
    Ok(rows)
}

/// The clips of a manifest.
fn listed(
    root: &Path,
    manifest: &Path,
    speaker: &SpeakerPattern,
) -> Result<Vec<ManifestRow>, CorpusError> {
    let path = root.join(manifest);
    let mut rows = read_rows(&path)?;
    if rows.is_empty() {
        return Err(CorpusError::Empty {
            path,
            found: "no row".into(),
            expected: "a row for each clip",
        });
    }
    check_each_once(&path, &rows)?;
    let mut names = Names::default();
    for row in rows.iter_mut().filter(|row| row.speaker.is_none()) {
        row.speaker = speaker.speaker_of(&row.path).map(Name::from);
        row.share(&mut names);
    }
    Ok(rows)
}
