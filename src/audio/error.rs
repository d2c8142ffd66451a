//! Why a sound could not be had, sorted by what the caller can do about it.

use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// The file or pipe could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },

    /// There is no file of that name, and U+FFFD in it tells that it is not the file's own.
    #[error("{}: found a name that is not UTF-8, expected one that a list can hold: rename the file", path.display())]
    NameNotUtf8 { path: PathBuf },

    /// There is nothing in it: no bytes, or a header without samples.
    #[error("{}: found {found}, expected audio samples", path.display())]
    Empty { path: PathBuf, found: &'static str },

    /// The content is no audio that anybody would know.
    #[error("{}: found {found}, expected WAV, FLAC, MP3, Ogg Vorbis, M4A/AAC, AIFF, AU or CAF", path.display())]
    NotAudio { path: PathBuf, found: String },

    /// Sound audio, but of a kind that is not decoded here: convert it first.
    #[error("{}: found {found}, which is not decoded here; convert it, for instance to WAV or FLAC", path.display())]
    Unsupported { path: PathBuf, found: String },

    /// The file ends before its content does: fetch it again.
    #[error("{}: the file is cut short: found {found_s:.3} s, expected {}", path.display(), promise(*.header_s))]
    Truncated {
        path: PathBuf,
        found_s: f64,
        header_s: Option<f64>,
    },

    /// The header says what cannot be.
    #[error("{}: the header's {what} is {found}, expected {expected}", path.display())]
    LyingHeader {
        path: PathBuf,
        what: &'static str,
        found: String,
        expected: String,
    },

    /// Part of the content cannot be decoded.
    #[error("{}: damaged at {at_s:.3} s: {reason}", path.display())]
    Damaged {
        path: PathBuf,
        at_s: f64,
        reason: String,
    },

    /// A sample is NaN, infinite or absurdly large.
    #[error("{}: the sample at {at_s:.3} s is {found}, expected a finite number within ±{}", path.display(), super::MAX_MAGNITUDE)]
    NonFinite {
        path: PathBuf,
        at_s: f64,
        found: f32,
    },

    /// Longer than a clip that is held in memory may be: read it as a stream.
    #[error("{}: longer than {max_s} s, the most that is held in memory as one clip", path.display())]
    TooLong { path: PathBuf, max_s: f64 },

    /// The caller asked for a rate beyond the room's.
    #[error(
        "sample rate of {found_hz} Hz, expected {} to {} Hz",
        super::SAMPLE_RATES_HZ.start(),
        super::SAMPLE_RATES_HZ.end()
    )]
    Rate { found_hz: u32 },

    /// The caller asked for a number of channels beyond the room's.
    #[error("{found} channels, expected {} to {}", super::CHANNEL_COUNTS.start(), super::CHANNEL_COUNTS.end())]
    Channels { found: usize },

    /// No such microphone.
    #[error("no microphone {asked:?}; {}", listing(available))]
    NoDevice {
        asked: String,
        available: Vec<String>,
    },

    /// A microphone that is there does not do what is needed.
    #[error("microphone {device:?}: {reason}")]
    Device { device: String, reason: String },
}

impl AudioError {
    /// A header that could not be read: cut off where the file ends too soon.
    pub(super) fn reading_header(path: &Path, source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::UnexpectedEof => AudioError::Truncated {
                path: path.to_owned(),
                found_s: 0.0,
                header_s: None,
            },
            _ => AudioError::Io {
                path: path.to_owned(),
                source,
            },
        }
    }

    /// One word for the kind of trouble, fit for counting.
    pub fn kind(&self) -> &'static str {
        match self {
            AudioError::Io { .. } => "io",
            AudioError::NameNotUtf8 { .. } => "name-not-utf8",
            AudioError::Empty { .. } => "empty",
            AudioError::NotAudio { .. } => "not-audio",
            AudioError::Unsupported { .. } => "unsupported",
            AudioError::Truncated { .. } => "truncated",
            AudioError::LyingHeader { .. } => "lying-header",
            AudioError::Damaged { .. } => "damaged",
            AudioError::NonFinite { .. } => "non-finite",
            AudioError::TooLong { .. } => "too-long",
            AudioError::Rate { .. } => "rate",
            AudioError::Channels { .. } => "channels",
            AudioError::NoDevice { .. } => "no-device",
            AudioError::Device { .. } => "device",
        }
    }
}

fn promise(header_s: Option<f64>) -> String {
    match header_s {
        Some(seconds) => format!("the {seconds:.3} s that the header promises"),
        None => "the rest of it".to_owned(),
    }
}

fn listing(available: &[String]) -> String {
    if available.is_empty() {
        return "there is none on this machine".to_owned();
    }
    let rows: Vec<String> = available
        .iter()
        .enumerate()
        .map(|(index, name)| format!("{index}: {name}"))
        .collect();
    format!("there are {}", rows.join(", "))
}
