//! How a network is trained, as a recipe writes it.

use std::collections::BTreeMap;

use auricle_datasets::augment::{AugmentError, AugmentSpec};
use auricle_datasets::sampler::SamplerSpec;
use auricle_features::FrontendSpec;
use serde::{Deserialize, Serialize};

use super::hyper::{HyperPoint, HyperRange, HyperSpace, HyperValue};
use super::mixup::MixupSpec;
use super::optimizer::OptimizerKind;
use super::schedule::Schedule;

/// How a network is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSpec {
    pub n_epochs: usize,
    pub batch_size: usize,
    /// Peak of the schedule.
    pub learning_rate: f64,
    /// Share of all steps that climb to the peak.
    pub warmup_share: f64,
    #[serde(default, skip_serializing_if = "Schedule::is_default")]
    pub schedule: Schedule,
    #[serde(default, skip_serializing_if = "OptimizerKind::is_default")]
    pub optimizer: OptimizerKind,
    /// Decoupled for AdamW (Loshchilov & Hutter 2019), added to the gradient for the others.
    pub weight_decay: f32,
    /// Added to every gradient: this times the weight.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub l2: f32,
    /// Most that the norm of all gradients together may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_gradient_norm: Option<f32>,
    /// Share of channels silenced behind every block.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropout: f32,
    /// Probability that is spread evenly over all classes (Szegedy et al. 2016).
    pub label_smoothing: f32,
    /// Epochs without a better validation loss after which the training ends; `None` never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience_epochs: Option<usize>,
    pub sampler: SamplerSpec,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixup: Option<MixupSpec>,
    pub augment: AugmentSpec,
    /// Scales every range of `augment`: 0 none, 1 as written.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub augment_strength: f32,
}

fn is_zero(value: &f32) -> bool {
    *value == 0.0
}

fn is_one(value: &f32) -> bool {
    *value == 1.0
}

fn one() -> f32 {
    1.0
}

/// A setting that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum TrainSpecError {
    #[error("train.{field}: found {found}, expected {expected}")]
    OutOfRange {
        field: &'static str,
        found: String,
        expected: &'static str,
    },
    #[error("train.{0}")]
    Other(String),
    #[error("hyper.space.{name}: not a setting that can be searched; expected {FRONTEND} or one of {}", SEARCHABLE.join(", "))]
    NotSearchable { name: String },
    #[error(
        "hyper.space.{FRONTEND}: found {found}, expected a choice of `speech_16k` and `speech_16k_64`"
    )]
    Frontend { found: String },
    #[error("train.augment.{0}")]
    Augment(#[from] AugmentError),
}

impl TrainSpec {
    /// Checks ranges.
    pub fn validate(&self) -> Result<(), TrainSpecError> {
        let range = |field, found: f64, low: f64, high: f64, expected| {
            if (low..=high).contains(&found) {
                return Ok(());
            }
            Err(TrainSpecError::OutOfRange {
                field,
                found: found.to_string(),
                expected,
            })
        };
        range("n_epochs", self.n_epochs as f64, 1.0, 1e5, "1 to 100,000")?;
        range(
            "batch_size",
            self.batch_size as f64,
            2.0,
            65_536.0,
            "2 to 65,536",
        )?;
        range(
            "learning_rate",
            self.learning_rate,
            1e-7,
            10.0,
            "1e-7 to 10",
        )?;
        range("warmup_share", self.warmup_share, 0.0, 1.0, "0 to 1")?;
        range(
            "weight_decay",
            self.weight_decay.into(),
            0.0,
            10.0,
            "0 to 10",
        )?;
        range(
            "label_smoothing",
            self.label_smoothing.into(),
            0.0,
            0.9,
            "0 to 0.9",
        )?;
        range("l2", self.l2.into(), 0.0, 1.0, "0 to 1")?;
        range("dropout", self.dropout.into(), 0.0, 0.9, "0 to 0.9")?;
        let strength = self.augment_strength.into();
        range("augment_strength", strength, 0.0, 4.0, "0 to 4")?;
        if let Some(norm) = self.max_gradient_norm {
            range("max_gradient_norm", norm.into(), 1e-6, 1e6, "1e-6 to 1e6")?;
        }
        self.schedule.check().map_err(TrainSpecError::Other)?;
        if let Some(mixup) = &self.mixup {
            mixup.check().map_err(TrainSpecError::Other)?;
        }
        if let Some(patience) = self.patience_epochs {
            range("patience_epochs", patience as f64, 1.0, 1e5, "1 to 100,000")?;
        }
        Ok(self.augment.validate()?)
    }
}

/// The setting that names a front-end: not a field of a training, but what its clips are heard through.
pub const FRONTEND: &str = "frontend";

/// The preset that the point names.
pub fn frontend_of(point: &HyperPoint) -> Option<&str> {
    point.text(FRONTEND).ok()
}

/// The presets that a search may choose from, by name.
///
/// # Errors
///
/// Where the range is no list of names, or a name is no preset's.
pub fn frontends(space: &HyperSpace) -> Result<BTreeMap<String, FrontendSpec>, TrainSpecError> {
    let Some(range) = space.ranges.get(FRONTEND) else {
        return Ok(BTreeMap::new());
    };
    let HyperRange::Choice(names) = range else {
        return Err(TrainSpecError::Frontend {
            found: range.to_string(),
        });
    };
    let preset = |name: &HyperValue| match name {
        HyperValue::Text(name) => FrontendSpec::preset(name).map(|spec| (name.clone(), spec)),
        _ => None,
    };
    let found = names.iter().map(|name| {
        preset(name).ok_or_else(|| TrainSpecError::Frontend {
            found: name.to_string(),
        })
    });
    found.collect()
}

/// Fields of a training that a search may set.
const SEARCHABLE: [&str; 10] = [
    "augment_strength",
    "batch_size",
    "dropout",
    "l2",
    "label_smoothing",
    "learning_rate",
    "max_gradient_norm",
    "optimizer",
    "warmup_share",
    "weight_decay",
];

impl TrainSpec {
    /// The same with the fields of that point set.
    pub fn with(&self, point: &HyperPoint) -> Result<Self, TrainSpecError> {
        if point.values.is_empty() {
            return Ok(self.clone());
        }
        let mut fields = serde_json::to_value(self).expect("a spec is plain data");
        for (name, value) in &point.values {
            if name == FRONTEND {
                continue;
            }
            if !SEARCHABLE.contains(&name.as_str()) {
                return Err(TrainSpecError::NotSearchable { name: name.clone() });
            }
            fields[name] = serde_json::to_value(value).expect("a value is plain data");
        }
        let spec: Self = serde_json::from_value(fields).map_err(|error| {
            TrainSpecError::Other(format!("with {}: {error}", point.canonical()))
        })?;
        spec.validate()?;
        Ok(spec)
    }

    /// Checks that each end of each range makes a training that can be.
    pub fn check_space(&self, space: &HyperSpace) -> Result<(), TrainSpecError> {
        frontends(space)?;
        for (name, range) in &space.ranges {
            for value in range.ends() {
                let values = [(name.clone(), value)].into();
                self.with(&HyperPoint { values })?;
            }
        }
        Ok(())
    }
}
