//! One TOML file to the typed specs of the other rooms, checked together, and the fingerprint that a
//! run is named by. It runs nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use auricle_datasets::augment::RoomsSpec;
use auricle_datasets::background::BackgroundSpec;
use auricle_datasets::synth::SynthSpec;
use auricle_datasets::{CorpusSpec, LabelSpec, Layout, SpeakerPattern, SplitSpec};
use auricle_features::FrontendSpec;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::bundle::{DetectorSpec, LanguageSpec};
use crate::model::Genome;
use crate::search::corpus::ClipLengths;
use crate::search::ensemble::EnsembleSpec;
use crate::search::train_spec::frontends;
use crate::search::{SpaceSpec, StudySpec};

/// Everything about one run but the data itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    pub title: String,
    /// Draws everything that is random in the run.
    pub seed: u64,
    /// Trainings at a time on the CPU; a GPU has one.
    pub n_workers: usize,
    pub data: DataSpec,
    pub frontend: Frontend,
    pub space: SpaceSpec,
    pub search: StudySpec,
    pub ensemble: EnsembleSpec,
    /// Hand-designed genomes, trained as the finalists are, for comparison.
    #[serde(default)]
    pub baselines: Vec<Baseline>,
    pub detector: DetectorSpec,
    /// Where the classes are languages: how a bundle tells which one is spoken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub languages: Option<LanguageTask>,
}

/// What of [`LanguageSpec`](crate::bundle::LanguageSpec) is chosen; the rest is fitted on the validation split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageTask {
    /// The most probable language is named from this probability on; below, it is undecided.
    pub floor: f32,
}

/// Where the corpus comes from and what is made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSpec {
    pub layout: Layout,
    pub speaker: SpeakerPattern,
    pub labels: LabelSpec,
    pub splits: SplitSpec,
    pub background: BackgroundSpec,
    pub clip_ms: u32,
    /// What is done with recordings of other lengths.
    #[serde(default, skip_serializing_if = "ClipLengths::is_fixed")]
    pub lengths: ClipLengths,
    /// Where in a file name its source is (a corpus that others were collected into); the report tells sources apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SpeakerPattern>,
    /// Rooms that training clips may be heard in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rooms: Option<RoomsSpec>,
    pub max_reject_share: f64,
    /// A corpus to speak with espeak-ng where the user brings none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synth: Option<SynthSpec>,
}

/// A preset by name, or every parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Frontend {
    Preset(String),
    Spec(Box<FrontendSpec>),
}

/// A hand-designed genome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Letters, digits and dashes: it names files.
    pub name: String,
    /// Where the design comes from and what was changed.
    pub source: String,
    pub genome: Genome,
}

impl Baseline {
    /// What the name of its files begins with.
    const PREFIX: &str = "baseline-";

    /// What its files in a run's folder are called, without their extensions.
    pub fn file_stem(&self) -> String {
        format!("{}{}", Self::PREFIX, self.name)
    }

    /// The baseline that files of this name are of.
    pub fn of_file_stem(stem: &str) -> &str {
        stem.strip_prefix(Self::PREFIX).unwrap_or(stem)
    }
}

/// Why a recipe cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {source}", path.display())]
    Toml {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error("{}: {reason}", path.display())]
    Unsound { path: PathBuf, reason: String },
}

impl Recipe {
    /// Reads and checks a recipe.
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let text = std::fs::read_to_string(path).map_err(|source| RecipeError::Io {
            path: path.into(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// The same from text; `path` names it in errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self, RecipeError> {
        let recipe: Self = toml::from_str(text).map_err(|source| RecipeError::Toml {
            path: path.into(),
            source: Box::new(source),
        })?;
        recipe.check().map_err(|reason| RecipeError::Unsound {
            path: path.into(),
            reason,
        })?;
        Ok(recipe)
    }

    /// The same from the JSON that a study keeps.
    pub fn parse_json(text: &str, path: &Path) -> Result<Self, RecipeError> {
        let unsound = |reason: String| RecipeError::Unsound {
            path: path.into(),
            reason,
        };
        let recipe: Self = serde_json::from_str(text).map_err(|e| unsound(e.to_string()))?;
        recipe.check().map_err(unsound)?;
        Ok(recipe)
    }

    fn check(&self) -> Result<(), String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        self.corpus().validate().map_err(|e| text(&e))?;
        if let Some(synth) = &self.data.synth {
            synth.validate().map_err(|e| text(&e))?;
        }
        if let Some(task) = &self.languages {
            let labels = &self.data.labels;
            if labels.unknown || labels.silence {
                return Err(
                    "languages: found `unknown` or `silence` among the labels, expected languages only"
                        .into(),
                );
            }
            let spec = LanguageSpec {
                floor: task.floor,
                temperatures: Vec::new(),
            };
            spec.validate(&[])
                .map_err(|error| format!("languages: {error}"))?;
        }
        self.data.lengths.check(self.data.clip_ms)?;
        if let Some(rooms) = &self.data.rooms {
            rooms.validate().map_err(|e| format!("data.{e}"))?;
        }
        for (place, train) in [
            ("search.train", &self.search.train),
            ("ensemble.train", &self.ensemble.train),
        ] {
            if train.augment.room.is_some() && self.data.rooms.is_none() {
                return Err(format!(
                    "{place}.augment.room: found no `rooms` in [data], expected some to be heard in"
                ));
            }
        }
        let frontend = self.frontend().ok_or_else(|| {
            format!(
                "frontend: found {:?}, expected `speech_16k`, `speech_16k_64` or a table of all parameters",
                self.frontend
            )
        })?;
        frontend.validate().map_err(|e| text(&e))?;
        self.search.validate(&self.space).map_err(|e| text(&e))?;
        for (name, other) in self.other_frontends() {
            let found = other.sample_rate_hz;
            if found != frontend.sample_rate_hz {
                return Err(format!(
                    "search.hyper.space.frontend: found {name} of {found} Hz, expected {} Hz as the recipe's own",
                    frontend.sample_rate_hz
                ));
            }
        }
        self.ensemble
            .check()
            .map_err(|reason| format!("ensemble.{reason}"))?;
        let found = self.n_workers;
        if !(1..=64).contains(&found) {
            return Err(format!("n_workers: found {found}, expected 1 to 64"));
        }
        let mut names = std::collections::BTreeSet::new();
        for Baseline { name, genome, .. } in &self.baselines {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
            if name.is_empty() || !name.chars().all(is_plain) || !names.insert(name) {
                return Err(format!(
                    "baselines: found the name `{name}`, expected letters, digits and dashes, each name once"
                ));
            }
            genome
                .validate()
                .map_err(|error| format!("baseline {name}: {error}"))?;
        }
        Ok(())
    }

    /// The front-end that is meant; `None` for a preset that there is not.
    pub fn frontend(&self) -> Option<FrontendSpec> {
        match &self.frontend {
            Frontend::Preset(name) => FrontendSpec::preset(name),
            Frontend::Spec(spec) => Some((**spec).clone()),
        }
    }

    /// The front-ends that the search may choose, by name; empty where it may not.
    pub fn other_frontends(&self) -> BTreeMap<String, FrontendSpec> {
        let hyper = self.search.hyper.as_ref();
        let presets = hyper.map(|hyper| frontends(&hyper.space));
        presets.and_then(Result::ok).unwrap_or_default()
    }

    /// What ingestion is told.
    pub fn corpus(&self) -> CorpusSpec {
        let data = &self.data;
        CorpusSpec {
            layout: data.layout.clone(),
            speaker: data.speaker.clone(),
            labels: data.labels.clone(),
            splits: data.splits.clone(),
            background: data.background.clone(),
            clip_ms: data.clip_ms,
            max_reject_share: data.max_reject_share,
            seed: self.seed,
        }
    }

    /// 16 hex digits of what can change a run's results: the recipe but for its title, its number of workers and the folders
    /// of noise (the data's fingerprint knows what is in them), the data by its fingerprint, the kind of device.
    pub fn fingerprint(&self, data_fingerprint: &str, device_kind: &str) -> String {
        let mut named = Self {
            title: String::new(),
            n_workers: 1,
            ..self.clone()
        };
        named.data.background.folders.clear();
        let text = serde_json::to_string(&named).expect("a recipe is plain data");
        let digest = Sha256::digest(format!("run 1|{device_kind}|{data_fingerprint}|{text}"));
        hex::encode(&digest[..8])
    }
}
