//! What is wrong with a corpus, and what it is like: of every clip what was heard, of the whole what follows.
//!
//! Whoever decodes hands samples to a [`Listener`]; nothing here opens a file. [`findings`] names faults with examples
//! and says how bad they are; [`stats`] counts without judging.

use serde::Serialize;

use crate::manifest::ManifestRow;

mod counts;
mod findings;
mod labels;
mod listener;
mod picture;
mod stats;

pub use counts::{CountCheck, check_counts};
pub use findings::{Finding, Kind, Severity, findings};
pub use labels::{NearLabels, near_labels};
pub use listener::{Heard, Listener};
pub use picture::svg;
pub use stats::{CorpusStats, Histogram, LabelStats, SplitStats, length, stats};

/// A clip: what the corpus says of it, and what was heard.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// What the corpus says.
    pub row: ManifestRow,
    /// What was heard, or why nothing was.
    pub heard: Result<Heard, String>,
}

/// A check of a corpus, whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// Clips looked at.
    pub n_clips: usize,
    /// Seconds heard.
    pub duration_s: f64,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// What the card says there should be, beside what there is.
    pub counts: Vec<CountCheck>,
}

impl Inspection {
    /// Looks at all clips.
    ///
    /// `rate_hz` is the rate the corpus is published at; without it, the rate that most files have is taken for right.
    pub fn of(clips: &[Inspected], rate_hz: Option<u32>, counts: Vec<CountCheck>) -> Self {
        Self {
            n_clips: clips.len(),
            duration_s: stats::seconds(clips.iter()),
            findings: findings(clips, rate_hz),
            counts,
        }
    }

    /// Whether results from this corpus would be false: the same audio or voice on two sides, files that cannot be read,
    /// counts that are not those of the corpus.
    pub fn is_sound(&self) -> bool {
        let is_error = |finding: &Finding| finding.severity == Severity::Error;
        !self.findings.iter().any(is_error) && self.counts.iter().all(CountCheck::is_right)
    }
}

#[cfg(test)]
mod tests;
