//! A search, as a recipe writes it.

use serde::{Deserialize, Serialize};

use super::StudyError;
use crate::model::Genome;
use crate::search::controllers::ControllerSpec;
use crate::search::distil::{Teacher, TeachingSpec};
use crate::search::fidelity::{FidelitySpec, parameter_scaled_steps};
use crate::search::hyper::{HyperPoint, HyperSpec};
use crate::search::sharing::{MatchBy, SharingSpec};
use crate::search::space::SpaceSpec;
use crate::search::train_spec::TrainSpec;

/// A search, as a recipe writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudySpec {
    pub controller: ControllerSpec,
    pub budget: Budget,
    /// How each trial is trained, to its end.
    pub train: TrainSpec,
    /// Training settings that are searched beside the architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hyper: Option<HyperSpec>,
    /// How long each trial trains.
    #[serde(default = "full")]
    pub fidelity: FidelitySpec,
    /// Where first weights come from.
    #[serde(default = "snapshot")]
    pub sharing: SharingSpec,
    /// Who teaches the trials besides the labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teaching: Option<TeachingSpec>,
    /// Genomes tried first, whether or not the space has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suggestions: Vec<Genome>,
    /// Shallow networks train for fewer epochs, as in Model Search.
    #[serde(default)]
    pub parameter_scaled: bool,
    /// The same genome may be tried again, from other seeds and with other settings.
    #[serde(default)]
    pub repeats: bool,
    /// Most megabytes that the weights of trials may take; those of the worst go first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_quota_mb: Option<f64>,
}

fn full() -> FidelitySpec {
    FidelitySpec::Full
}

fn snapshot() -> SharingSpec {
    SharingSpec::Snapshot {
        by: MatchBy::NameAndShape,
        partial_width: false,
    }
}

/// When a search ends: at whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Trials begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_trials: Option<u64>,
    /// Wall-clock minutes after which no trial is begun, earlier sittings included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
    /// Most minutes that one trial may train before it fails as over budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial_minutes: Option<f64>,
}

impl Budget {
    pub fn validate(&self) -> Result<(), StudyError> {
        if self.n_trials.is_none() && self.minutes.is_none() {
            return Err(StudyError::NoBudget);
        }
        for (field, minutes) in [
            ("budget.minutes", self.minutes),
            ("budget.trial_minutes", self.trial_minutes),
        ] {
            if let Some(found) = minutes
                && !(found > 0.0 && found <= 1e7)
            {
                return Err(StudyError::Setting {
                    field,
                    found: found.to_string(),
                    expected: "more than 0",
                });
            }
        }
        Ok(())
    }
}

impl StudySpec {
    /// Checks everything that can be checked without data.
    pub fn validate(&self, space: &SpaceSpec) -> Result<(), StudyError> {
        space.validate()?;
        self.controller.validate()?;
        self.budget.validate()?;
        self.train.validate()?;
        self.sharing.validate()?;
        self.fidelity.validate(self.train.n_epochs)?;
        if let Some(hyper) = &self.hyper {
            hyper.validate()?;
            self.train.check_space(&hyper.space)?;
        }
        for (index, genome) in self.suggestions.iter().enumerate() {
            let sound = genome.validate();
            sound.map_err(|source| StudyError::Suggestion { index, source })?;
        }
        if let Some(teaching) = &self.teaching {
            teaching.distil.check().map_err(StudyError::Teaching)?;
            if matches!(teaching.teacher, Teacher::BestTrials { n_trials: 0, .. }) {
                let reason = "teacher.n_trials: found 0, expected at least 1";
                return Err(StudyError::Teaching(reason.into()));
            }
        }
        if let Some(found) = self.disk_quota_mb
            && !(found > 0.0 && found.is_finite())
        {
            return Err(StudyError::Setting {
                field: "disk_quota_mb",
                found: found.to_string(),
                expected: "more than 0",
            });
        }
        Ok(())
    }

    /// How that genome is trained with those settings.
    pub fn train_for(
        &self,
        genome: &Genome,
        hyper: &HyperPoint,
        max_depth: usize,
    ) -> Result<TrainSpec, StudyError> {
        let mut train = self.train.with(hyper)?;
        if self.parameter_scaled {
            let depth = genome.blocks.len();
            train.n_epochs = parameter_scaled_steps(train.n_epochs, depth, max_depth).max(1);
        }
        Ok(train)
    }
}
