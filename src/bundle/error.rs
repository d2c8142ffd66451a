//! Why a bundle could not be read, written or run.

use std::path::PathBuf;

use auricle_features::SpecError;

use super::detector_spec::DetectorSpecError;
use super::languages::LanguageSpecError;
use crate::model::CombinationError;
use crate::model::WeightsError;
use crate::model::stream_net::NetworkError;

#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    /// What is wrong with that file.
    #[error("{}: {fault}", path.display())]
    InFile {
        path: PathBuf,
        fault: Box<BundleError>,
    },
    /// It is some other file.
    #[error(
        "not a bundle: found {found}, expected a file that begins with {:?}",
        super::container::MAGIC_TEXT
    )]
    NotABundle { found: String },
    /// Made by a later auricle.
    #[error(
        "found bundle format version {found}, expected 1 to {expected}: it needs a newer auricle"
    )]
    Version { found: u32, expected: u32 },
    /// It was cut, or something hangs on its end.
    #[error("found {found} bytes of {what}, expected {expected}")]
    Size {
        what: &'static str,
        found: u64,
        expected: u64,
    },
    /// A byte has changed since it was written.
    #[error("damaged: found checksum {found}, expected {expected}")]
    Checksum { found: String, expected: String },
    #[error("the manifest is not what it should be: {0}")]
    Manifest(String),
    #[error("found {found} {what}, expected {low} to {high}")]
    OutOfRange {
        what: &'static str,
        found: u64,
        low: u64,
        high: u64,
    },
    #[error(
        "found label {found:?}, expected 1 to {} bytes of text without outer spaces or control characters",
        super::MAX_LABEL_BYTES
    )]
    Label { found: String },
    #[error("label {label:?} is there twice")]
    LabelTwice { label: String },
    #[error("a clip of {clip_samples} samples is shorter than one window of {window_samples}")]
    ClipBelowWindow {
        clip_samples: usize,
        window_samples: usize,
    },
    #[error("the front-end: {0}")]
    Frontend(#[from] SpecError),
    #[error("the detector: {0}")]
    Detector(#[from] DetectorSpecError),
    #[error(
        "found a voice threshold at {found_hz} Hz, expected a front-end at {} Hz with it",
        super::VOICE_RATE_HZ
    )]
    VoiceRate { found_hz: u32 },
    #[error("the languages: {0}")]
    Languages(#[from] LanguageSpecError),
    #[error("the manifest's ports are {found}, its front-end and labels make {expected}")]
    Ports { found: String, expected: String },
    #[error(transparent)]
    Mixture(#[from] CombinationError),
    #[error("member {index} has the weight {found}, expected a number above 0 and up to 1000000")]
    MemberWeight { index: usize, found: f32 },
    #[error(
        "member {index}: found bytes {found_start} to {found_end}, expected them to begin at {expected_start} and to end by {expected_end}"
    )]
    Range {
        index: usize,
        found_start: u64,
        found_end: u128,
        expected_start: u64,
        expected_end: u64,
    },
    #[error("member {index}: {source}")]
    Network { index: usize, source: NetworkError },
    #[error("member {index}: {source}")]
    Weights { index: usize, source: WeightsError },
    #[error(
        "member {index}: tensor {name} holds integers in the shape {shape:?}, expected a matrix or filters"
    )]
    NoChannels {
        index: usize,
        name: String,
        shape: Vec<usize>,
    },
    #[error("found {what} in format version {version}, expected version {expected}")]
    TooNew {
        what: &'static str,
        version: u32,
        expected: u32,
    },
    #[error("member {index}: found {what} {found}, expected at most {high}")]
    TooLarge {
        index: usize,
        what: &'static str,
        found: u64,
        high: u64,
    },
}
