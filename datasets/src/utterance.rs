//! One row of a corpus: a clip, or a part of a file, with what is known of it. Holds no audio.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::name::{Name, Names};
use crate::split::Split;

/// A row of `manifest.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Utterance {
    /// The audio file, relative to the corpus root (or absolute).
    pub path: PathBuf,
    /// The class: a keyword, `_unknown_` or `_silence_`.
    pub label: Name,
    /// Who speaks; `None` where the source does not say.
    pub speaker: Option<Name>,
    /// Which side of the experiment the clip is on.
    pub split: Split,
    /// Where the clip starts in its file, in seconds; `None` is the start of the file.
    pub start_s: Option<f64>,
    /// Where the clip ends in its file, in seconds; `None` is the end of the file.
    pub end_s: Option<f64>,
    /// Made by a program, not recorded from a person.
    pub synthetic: bool,
    /// Samples after decoding, at the recipe's rate; 0 before.
    pub n_samples: usize,
}

impl Utterance {
    /// Makes it small: what it names is shared with the rows before.
    pub(crate) fn share(&mut self, names: &mut Names) {
        names.share([&mut self.label]);
        names.share(&mut self.speaker);
    }

    /// The order of every list of rows: by path (as text with `/`), then by start, and where these are the same by all else
    /// that a list may say of a clip.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let start = |row: &Self| row.start_s.unwrap_or(0.0);
        slashed(&self.path)
            .cmp(&slashed(&other.path))
            .then(start(self).total_cmp(&start(other)))
            .then_with(|| self.label.cmp(&other.label))
            .then_with(|| {
                self.end_s
                    .partial_cmp(&other.end_s)
                    .unwrap_or(Ordering::Equal)
            })
            .then_with(|| self.speaker.cmp(&other.speaker))
            .then_with(|| self.split.cmp(&other.split))
    }
}

/// A relative path as text, with `/` on every system.
pub fn slashed(path: &Path) -> Cow<'_, str> {
    let text = path.to_string_lossy();
    if std::path::MAIN_SEPARATOR == '/' {
        text
    } else {
        Cow::Owned(text.replace(std::path::MAIN_SEPARATOR, "/"))
    }
}
