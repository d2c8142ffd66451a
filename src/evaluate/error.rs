//! What this room refuses, said with what was found and what was expected.

use std::path::PathBuf;

/// Everything that can go wrong between scores and a written report.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error("there are no examples to judge")]
    NoExamples,
    #[error("there are no classes: expected at least one label")]
    NoClasses,
    #[error("label {label:?} occurs twice: expected distinct labels")]
    RepeatedLabel { label: String },
    #[error("found {found} {what}, expected {expected}")]
    Size {
        what: &'static str,
        found: usize,
        expected: usize,
    },
    #[error("example {example} ({id:?}) has class {found}, expected one below {n_classes}")]
    ClassOutOfRange {
        example: usize,
        id: String,
        found: usize,
        n_classes: usize,
    },
    #[error(
        "example {example} ({id:?}) has probability {found} for {label:?}, expected a number from 0 to 1"
    )]
    NotAProbability {
        example: usize,
        id: String,
        label: String,
        found: f32,
    },
    #[error(
        "example {example} ({id:?}) has probabilities that sum to {found}, expected 1 within {tolerance}"
    )]
    SumNotOne {
        example: usize,
        id: String,
        found: f64,
        tolerance: f64,
    },
    #[error("example {example} ({id:?}) has logit {found} for {label:?}, expected a finite number")]
    NotALogit {
        example: usize,
        id: String,
        label: String,
        found: f32,
    },
    #[error("{what} is {found}, expected {expected}")]
    OutOfRange {
        what: String,
        found: f64,
        expected: &'static str,
    },
    #[error(
        "target {target} ({keyword:?}) runs from {start_s} s to {end_s} s, expected 0 <= start <= end <= {audio_s} s"
    )]
    BadTarget {
        target: usize,
        keyword: String,
        start_s: f64,
        end_s: f64,
        audio_s: f64,
    },
    #[error(
        "event {event} ({keyword:?}) at {at_s} s with score {score}, expected a time within the recording and a finite score"
    )]
    BadEvent {
        event: usize,
        keyword: String,
        at_s: f64,
        score: f32,
    },
    #[error(
        "example {example} of the second system is {found}, expected {expected} as in the first"
    )]
    OtherExample {
        example: usize,
        found: String,
        expected: String,
    },
    #[error("{}: cannot write the report: {source}", path.display())]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: cannot read the report: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: not a report of this version: {source}", path.display())]
    Parse {
        path: PathBuf,
        source: serde_json::Error,
    },
}
