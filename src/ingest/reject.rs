//! A clip that is set aside, and why.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::audio::AudioError;

/// Why a clip is of no use, sorted by what its owner can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The file cannot be read.
    Unreadable,
    /// No bytes or no samples.
    Empty,
    /// Some other kind of file.
    NotAudio,
    /// A codec that is not decoded.
    Unsupported,
    /// The file ends too early.
    Truncated,
    /// The header says what cannot be.
    LyingHeader,
    /// Part of it cannot be decoded.
    Damaged,
    /// NaN or infinite samples.
    NonFinite,
    /// All samples are equal: exact silence, or a stuck converter.
    Silent,
    /// Shorter than one window of the front-end.
    TooShort,
    /// Longer than a clip may be.
    TooLong,
    /// The manifest's start and end are not within the file.
    OutOfRange,
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Reason::Unreadable => "unreadable",
            Reason::Empty => "empty",
            Reason::NotAudio => "not-audio",
            Reason::Unsupported => "unsupported",
            Reason::Truncated => "truncated",
            Reason::LyingHeader => "lying-header",
            Reason::Damaged => "damaged",
            Reason::NonFinite => "non-finite",
            Reason::Silent => "silent",
            Reason::TooShort => "too-short",
            Reason::TooLong => "too-long",
            Reason::OutOfRange => "out-of-range",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<&AudioError> for Reason {
    fn from(error: &AudioError) -> Self {
        match error {
            AudioError::Empty { .. } => Reason::Empty,
            AudioError::NotAudio { .. } => Reason::NotAudio,
            AudioError::Unsupported { .. } => Reason::Unsupported,
            AudioError::Truncated { .. } => Reason::Truncated,
            AudioError::LyingHeader { .. } => Reason::LyingHeader,
            AudioError::Damaged { .. } => Reason::Damaged,
            AudioError::NonFinite { .. } => Reason::NonFinite,
            AudioError::TooLong { .. } => Reason::TooLong,
            AudioError::Io { .. }
            | AudioError::NameNotUtf8 { .. }
            | AudioError::Rate { .. }
            | AudioError::Channels { .. }
            | AudioError::NoDevice { .. }
            | AudioError::Device { .. } => Reason::Unreadable,
        }
    }
}

/// A row of `rejects.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reject {
    /// As in the manifest: relative to the corpus.
    pub path: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_s: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_s: Option<f64>,
    pub reason: Reason,
    /// With the file, what was found and what was expected.
    pub message: String,
}

impl Reject {
    /// A whole file, or the stretch of it between two times.
    pub(super) fn of(path: &Path, start_s: Option<f64>, end_s: Option<f64>, fault: Fault) -> Self {
        Self {
            path: path.to_owned(),
            start_s,
            end_s,
            reason: fault.reason,
            message: fault.message,
        }
    }
}

/// What is wrong with one piece, before it is known whose it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub reason: Reason,
    pub message: String,
}

impl From<&AudioError> for Fault {
    fn from(error: &AudioError) -> Self {
        Fault {
            reason: Reason::from(error),
            message: error.to_string(),
        }
    }
}
