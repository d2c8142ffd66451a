//! One run as plain data, and the two files it becomes.
//!
//! A [`Report`] holds everything the page shows and nothing that must be looked up: `report.json` is it, `report.html` is one
//! file without scripts or requests. It knows no genome, no network and no clock; who fills it in passes texts and numbers.

use std::collections::BTreeMap;
use std::path::Path;

use auricle_datasets::partial::write_bytes;
use serde::{Deserialize, Serialize};

use super::{EvaluateError, Interval, Judgement, Measured};

mod axis;
mod confusion_map;
mod curves;
mod det;
mod html;
mod judged;
mod pictures;
mod sound;
mod svg;
mod tables;

pub use det::det_svg;
pub(crate) use judged::plain_table;
pub use judged::{JudgedPage, judged_page};
pub use sound::{Media, SoundSection, heat, player, shares, silence, sound_page, waveform};

/// A finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    pub title: String,
    /// Of what can change the results of the run.
    pub fingerprint: String,
    /// When the report was made, as the caller writes dates.
    pub created: String,
    pub device: String,
    pub seed: u64,
    pub corpus: CorpusSummary,
    /// Which split was used for what, a sentence or paragraph each.
    pub protocol: Vec<String>,
    /// In the order in which they were started.
    pub trials: Vec<TrialSummary>,
    /// The best network by itself.
    pub single: Measured<System>,
    /// Several networks averaged.
    pub ensemble: Measured<System>,
    /// How much the ensemble's test accuracy is above the single's: bootstrap over speakers, 95 %.
    pub ensemble_gain: Measured<Interval>,
    /// Hand-designed networks trained by the same trainer.
    pub baselines: Vec<System>,
    pub budget: Budget,
    /// Program version, processor, number of cores, whatever helps to repeat the run.
    pub environment: BTreeMap<String, String>,
}

/// What was learnt from and judged on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusSummary {
    pub name: String,
    pub splits: Vec<SplitSummary>,
    /// Files set aside, by reason.
    pub rejects: Vec<RejectSummary>,
}

/// One split of the corpus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitSummary {
    pub name: String,
    pub n_utterances: u64,
    pub n_speakers: Measured<u64>,
    pub per_class: Vec<ClassCount>,
}

/// Utterances of one class in one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassCount {
    pub label: String,
    pub n_utterances: u64,
}

/// Files set aside for one reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RejectSummary {
    pub reason: String,
    pub n_files: u64,
}

/// One network that the search tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialSummary {
    pub number: u64,
    /// The network in one line.
    pub genome: String,
    pub n_params: u64,
    /// Multiply-accumulates per second of audio.
    pub macs_per_second: u64,
    pub validation_accuracy: Measured,
    pub validation_loss: Measured,
    /// Time it took.
    pub seconds: Measured,
    pub status: TrialStatus,
    /// The trial whose genome was changed into this one's.
    pub parent: Option<u64>,
    /// What became of it: kept in the beam, dropped, chosen.
    pub fate: String,
    pub curve: Vec<EpochPoint>,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TrialStatus {
    /// Trained to the end of its schedule, or until it no longer improved.
    Completed,
    /// Ended early by a budget or a rule, with a score.
    Stopped { reason: String },
    /// Ended without a score.
    Failed { reason: String },
}

/// One epoch of a learning curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochPoint {
    pub epoch: u64,
    pub train_loss: Measured,
    pub validation_loss: Measured,
    pub validation_accuracy: Measured,
}

/// A network or an average of networks that was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    pub name: String,
    /// The network in one line; for an ensemble, a sentence.
    pub genome: String,
    /// The trial it came from.
    pub trial: Option<u64>,
    pub cost: CostSummary,
    /// The networks averaged; empty for one network alone.
    pub members: Vec<MemberSummary>,
    pub validation: Measured<Judgement>,
    pub test: Measured<Judgement>,
}

impl super::measured::Quantity for System {}

/// What a system costs to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostSummary {
    pub n_params: u64,
    /// Multiply-accumulates per second of audio.
    pub macs_per_second: u64,
    /// Audio that one output depends on.
    pub receptive_field_ms: Measured,
    /// From a sound to the first output that it can change.
    pub latency_ms: Measured,
    /// What a stream keeps between two frames.
    pub state_bytes: u64,
}

/// One network of an ensemble.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberSummary {
    pub name: String,
    pub genome: String,
    pub seed: u64,
    pub weight: f64,
    pub n_params: u64,
    pub validation_accuracy: Measured,
}

/// What the run was allowed and what it took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// As sentences: "45 min of wall clock", "150,000 parameters".
    pub limits: Vec<String>,
    pub spent: Vec<Spent>,
}

/// Time one part of the run took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    pub what: String,
    pub seconds: Measured,
}

impl Report {
    /// The chosen systems in the order of the report: single, ensemble, baselines.
    pub fn systems(&self) -> impl Iterator<Item = &System> {
        self.single
            .value()
            .into_iter()
            .chain(self.ensemble.value())
            .chain(&self.baselines)
    }

    /// Trials with a validation accuracy, best first; of equals the smaller, then the earlier.
    pub fn best_trials(&self) -> Vec<&TrialSummary> {
        let mut trials: Vec<(&TrialSummary, f64)> = self
            .trials
            .iter()
            .filter_map(|trial| Some((trial, trial.validation_accuracy.number()?)))
            .collect();
        trials.sort_by(|(a, x), (b, y)| {
            y.total_cmp(x)
                .then(a.n_params.cmp(&b.n_params))
                .then(a.number.cmp(&b.number))
        });
        trials.into_iter().map(|(trial, _)| trial).collect()
    }
}

impl TrialStatus {
    /// The state in one word.
    pub fn word(&self) -> &'static str {
        match self {
            TrialStatus::Completed => "completed",
            TrialStatus::Stopped { .. } => "stopped",
            TrialStatus::Failed { .. } => "failed",
        }
    }

    /// Why it ended before its time, if it did.
    pub fn reason(&self) -> Option<&str> {
        match self {
            TrialStatus::Completed => None,
            TrialStatus::Stopped { reason } | TrialStatus::Failed { reason } => Some(reason),
        }
    }
}

/// The report as one HTML page that needs nothing else.
pub fn to_html(report: &Report) -> String {
    html::page(report)
}

/// Writes the page, atomically: a reader sees the old file or the whole new one.
pub fn write_html(report: &Report, path: &Path) -> Result<(), EvaluateError> {
    write_atomically(path, to_html(report).as_bytes())
}

/// Writes the data, atomically.
pub fn write_json(report: &Report, path: &Path) -> Result<(), EvaluateError> {
    let mut text = serde_json::to_vec_pretty(report).map_err(|error| EvaluateError::Write {
        path: path.into(),
        source: error.into(),
    })?;
    text.push(b'\n');
    write_atomically(path, &text)
}

/// Reads what [`write_json`] wrote.
pub fn read_json(path: &Path) -> Result<Report, EvaluateError> {
    let text = std::fs::read(path).map_err(|source| EvaluateError::Read {
        path: path.into(),
        source,
    })?;
    serde_json::from_slice(&text).map_err(|source| EvaluateError::Parse {
        path: path.into(),
        source,
    })
}

fn write_atomically(path: &Path, content: &[u8]) -> Result<(), EvaluateError> {
    write_bytes(path, content).map_err(|source| EvaluateError::Write {
        path: path.into(),
        source,
    })
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
