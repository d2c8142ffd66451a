//! One run, from a recipe and a corpus to a report and a bundle: the room that introduces the others to
//! one another, in the order of the way of a sound.
//!
//! A run lives in a folder named by its fingerprint. Every step keeps what it made and finds it again,
//! so the same command goes on where it was killed; a run that has its report is done and says so. It
//! prints nothing, parses nothing and chooses no device.

mod calibrate;
mod clip;
mod describe;
mod distil;
pub mod field;
mod judge;
mod pack;
mod rooms;
mod shared;
mod team;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use sha2::{Digest, Sha256};

use crate::bundle::BundleError;
use crate::evaluate::{EvaluateError, Report, report};
use crate::ingest::{self, IngestError, IngestSummary};
use crate::model::stream_net::NetworkError;
use crate::model::{Network, Weights};
use crate::recipe::Recipe;
use crate::search::combine::CombineError;
use crate::search::corpus::{CorpusError, CorpusParts};
use crate::search::ensemble::WarmStart;
use crate::search::full::{Guidance, Job, JobEnd, Member, train_in_full};
use crate::search::hyper::HyperPoint;
use crate::search::store::{SqliteStore, StoreError, StudyStore};
use crate::search::study::{Ending, StudyError, finalists};
use crate::search::train_spec::frontend_of;
use crate::search::trial::Artifacts;
use crate::search::worker::{ArtefactError, Workshop, write_whole};
use crate::search::{Corpus, NetworkTrainer, Trial, search};

pub use distil::Distilled;
pub use judge::{Asked, Column, Judged, Unjudged, judge_bundle};
pub use rooms::rooms;
pub use shared::Shared;

/// Shown what happens in every step.
pub trait Watch: ingest::Watch + crate::search::Watch {
    /// A step begins.
    fn step(&self, what: &str);
}

/// What a run is given.
pub struct Plan<'a> {
    pub recipe: &'a Recipe,
    /// The corpus.
    pub source: &'a Path,
    /// Holds all runs and what they share.
    pub runs: &'a Path,
    /// Without autodiff.
    pub device: &'a Device,
    /// `cpu`, `wgpu` or `cuda`: part of the fingerprint.
    pub device_kind: &'a str,
    /// How the device is called in the report.
    pub device_name: &'a str,
    pub n_workers: usize,
    /// Today's date, as the report shows it.
    pub today: &'a str,
}

/// Why a run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Ingest(#[from] IngestError),
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    #[error("rooms: {0}")]
    Rooms(auricle_datasets::CorpusError),
    #[error("rooms: {0}")]
    Room(crate::audio::AudioError),
    #[error(transparent)]
    Study(#[from] StudyError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Artefact(#[from] ArtefactError),
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Combine(#[from] CombineError),
    #[error("the teacher has other {what} than the recipe: found {found}, expected {expected}")]
    OtherTeacher {
        what: &'static str,
        found: String,
        expected: String,
    },
    #[error("no ensemble: {reason}")]
    NoEnsemble { reason: String },
    #[error("the student could not be trained: {reason}")]
    NoStudent { reason: String },
    #[error("no trial of the search is complete: nothing to train in full")]
    NoTrial,
    #[error("no finalist could be trained: {reasons}")]
    NoFinalist { reasons: String },
    #[error("not one of {n_clips} clips could be judged. The first: {first}")]
    NothingJudged { n_clips: usize, first: String },
    #[error("the test split is empty: nothing to judge by")]
    NoTest,
    #[error(
        "study {study}: it does not say where artifacts lie, expected a folder or bucket that all workers reach"
    )]
    NoDepot { study: String },
    #[error(
        "study {study}: found one of run {found}, expected {expected}: recipe, data or kind of device are not the same"
    )]
    OtherStudy {
        study: String,
        found: String,
        expected: String,
    },
    #[error("found a run that works alone, expected one that shares its study")]
    NotShared,
    #[error("stopped; the same command goes on from here")]
    Stopped,
}

/// A run whose corpus is ingested and whose folder is there.
pub struct Run<'a> {
    pub plan: Plan<'a>,
    pub corpus: Corpus,
    pub ingested: IngestSummary,
    pub fingerprint: String,
    pub folder: PathBuf,
    store: SqliteStore,
    shared: Option<Shared>,
}

/// A finished run.
pub struct Finished {
    pub report: Report,
    pub folder: PathBuf,
    /// An earlier run of the same fingerprint had done it all.
    pub already_done: bool,
}

/// The trials of the run in that folder, by number.
///
/// # Errors
///
/// Where the folder holds no study.
pub fn trials_of(folder: &Path) -> Result<Vec<Trial>, StoreError> {
    SqliteStore::open_any(&folder.join("study.sqlite"))?.trials()
}

/// 12 hex digits of the SHA-256 of plain data's text.
fn short_hash(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).expect("plain data");
    let digest = Sha256::digest(text);
    hex::encode(&digest[..6])
}

/// The folder of an ingestion: shared by all runs over the same corpus in the same way.
pub fn ingest_folder(runs: &Path, source: &Path, recipe: &Recipe) -> PathBuf {
    let source = source.canonicalize().unwrap_or_else(|_| source.into());
    let name = short_hash(&(source, recipe.corpus(), recipe.frontend()));
    runs.join("ingested").join(name)
}

/// The labels of the task, in the order of the networks' outputs.
fn labels(recipe: &Recipe, prepared: &ingest::Prepared) -> Vec<String> {
    recipe.data.labels.class_names(&prepared.utterances)
}

impl<'a> Run<'a> {
    /// Ingests the corpus where that is not done, and opens the run's folder.
    pub fn open(plan: Plan<'a>, watch: &dyn Watch) -> Result<Self, RunError> {
        let Plan { recipe, source, .. } = plan;
        let frontend = recipe.frontend().expect("a checked recipe has a front-end");
        let into = ingest_folder(plan.runs, source, recipe);
        watch.step("ingest");
        let ingested = ingest::ingest(
            source,
            &into,
            &recipe.corpus(),
            &frontend,
            plan.n_workers,
            watch,
        )?;
        let prepared = ingest::open(&into, &frontend)?;
        let (rooms, rooms_name) = rooms(recipe, source, frontend.sample_rate_hz)?;
        let data = format!("{}{rooms_name}", prepared.fingerprint);
        let fingerprint = recipe.fingerprint(&data, plan.device_kind);
        let folder = plan.runs.join(&fingerprint);
        let text = serde_json::to_vec_pretty(recipe).expect("a recipe is plain data");
        write_whole(&folder.join("recipe.json"), &text)?;
        let store = SqliteStore::open(&folder.join("study.sqlite"), &fingerprint)?;
        let labels = labels(recipe, &prepared);
        let corpus = Corpus::new(CorpusParts {
            utterances: prepared.utterances,
            features: prepared.features,
            samples: prepared.samples,
            noise: prepared.noise,
            rooms,
            frontend,
            other_frontends: recipe.other_frontends(),
            labels,
            clip_ms: recipe.data.clip_ms,
            lengths: recipe.data.lengths,
        })?;
        Ok(Self {
            plan,
            corpus,
            ingested,
            fingerprint,
            folder,
            store,
            shared: None,
        })
    }

    fn workshop<'b>(&'b self, folder: &'b Path, watch: &'b dyn Watch) -> Workshop<'b> {
        self.taught(folder, &[], watch)
    }

    fn taught<'b>(
        &'b self,
        folder: &'b Path,
        teachers: &'b [Network],
        watch: &'b dyn Watch,
    ) -> Workshop<'b> {
        Workshop {
            corpus: &self.corpus,
            device: self.plan.device,
            seed: self.plan.recipe.seed,
            folder,
            depot: None,
            trainer: &NetworkTrainer,
            teachers,
            watch,
        }
    }

    /// Searches until the budget is spent; all trials, by number.
    pub fn search(&self, watch: &dyn Watch) -> Result<Vec<Trial>, RunError> {
        watch.step("search");
        if let Some(shared) = &self.shared {
            let (ending, trials) = self.work(shared, watch)?;
            if ending == Ending::Stopped {
                return Err(RunError::Stopped);
            }
            self.bring(shared, &trials, watch)?;
            return Ok(trials);
        }
        let folder = self.folder.join("trials");
        let teachers = self.packed_teachers()?;
        let ending = search(
            &self.plan.recipe.search,
            &self.plan.recipe.space,
            &self.taught(&folder, &teachers, watch),
            &self.store,
            self.plan.n_workers,
        )?;
        match ending {
            Ending::Stopped => Err(RunError::Stopped),
            Ending::BudgetSpent | Ending::Exhausted => Ok(self.store.trials()?),
        }
    }

    /// Everything: search, full trainings, one judgement on the test split, bundles, report.
    pub fn finish(&self, watch: &dyn Watch) -> Result<Finished, RunError> {
        let report_path = self.folder.join("report.json");
        if report_path.exists() {
            return Ok(Finished {
                report: report::read_json(&report_path)?,
                folder: self.folder.clone(),
                already_done: true,
            });
        }
        if self.corpus.items(auricle_datasets::Split::Test).is_empty() {
            return Err(RunError::NoTest);
        }
        let trials = self.search(watch)?;
        watch.step("train the finalists and the baselines in full");
        let full = self.train_finalists(&trials, watch)?;
        watch.step("make the ensemble");
        let team = self.assemble(&trials, &full, watch)?;
        let student = self.teach(&full, &team, watch)?;
        watch.step("judge on the test split");
        let report = self.report(&trials, &full, &team, student.as_ref())?;
        pack::pack(self, &full, &team, student.as_ref(), &report)?;
        report::write_html(&report, &self.folder.join("report.html"))?;
        // Written last: a run with this file is done.
        report::write_json(&report, &report_path)?;
        Ok(Finished {
            report,
            folder: self.folder.clone(),
            already_done: false,
        })
    }

    /// What a trial learned, where it is still kept.
    fn trial_weights(&self, number: u64, watch: &dyn Watch) -> Result<Option<Weights>, RunError> {
        let folder = self.folder.join("trials");
        let workshop = self.workshop(&folder, watch);
        Ok(workshop.weights_of(number, &Artifacts::default())?)
    }

    fn train_finalists(&self, trials: &[Trial], watch: &dyn Watch) -> Result<Full, RunError> {
        let recipe = self.plan.recipe;
        let spec = &recipe.ensemble;
        let finalists = finalists(trials, spec.n_finalists);
        if finalists.is_empty() {
            return Err(RunError::NoTrial);
        }
        let mut jobs = Vec::with_capacity(finalists.len() + recipe.baselines.len());
        for trial in &finalists {
            jobs.push(Job {
                name: format!("finalist-{:05}", trial.number),
                genome: trial.genome.clone(),
                hyper: trial.hyper.clone(),
                replica: 0,
                first: match spec.warm_start {
                    WarmStart::None => None,
                    WarmStart::Finalists | WarmStart::Members => {
                        self.trial_weights(trial.number, watch)?
                    }
                },
            });
        }
        let baseline_jobs = recipe.baselines.iter().map(|baseline| Job {
            name: baseline.file_stem(),
            genome: baseline.genome.clone(),
            hyper: HyperPoint::default(),
            replica: 0,
            first: None,
        });
        jobs.extend(baseline_jobs);
        let folder = self.folder.join("full");
        let workshop = self.workshop(&folder, watch);
        let mut ends = train_in_full(
            &jobs,
            &spec.train,
            Guidance::default(),
            &workshop,
            self.plan.n_workers,
        )?;
        let baselines = trained(ends.split_off(finalists.len()))?;
        let of_finalists = trained(ends)?;
        let best = of_finalists.members.iter().cloned().min_by(|a, b| {
            a.scores
                .validation_loss
                .total_cmp(&b.scores.validation_loss)
        });
        let Some(chosen) = best else {
            return Err(RunError::NoFinalist {
                reasons: of_finalists.failures.join("; "),
            });
        };
        let of_chosen = finalists
            .iter()
            .find(|trial| trial.genome == chosen.genome && trial.hyper == chosen.hyper);
        Ok(Full {
            trial: of_chosen.map(|trial| trial.number),
            hyper: of_chosen
                .map(|trial| trial.hyper.clone())
                .unwrap_or_default(),
            chosen,
            trained: of_finalists.members,
            finalists: finalists.into_iter().cloned().collect(),
            baselines: baselines.members,
            failures: [of_finalists.failures, baselines.failures].concat(),
        })
    }
}

/// What the full trainings gave.
struct Full {
    /// The best finalist by validation loss: the single model.
    chosen: Member,
    /// All finalists that could be trained.
    trained: Vec<Member>,
    trial: Option<u64>,
    /// The settings that it was trained with besides the recipe's.
    hyper: HyperPoint,
    finalists: Vec<Trial>,
    baselines: Vec<Member>,
    /// Finalists and baselines that could not be trained, and why.
    failures: Vec<String>,
}

impl Full {
    /// Whether a network trained with those settings hears what the chosen one hears: an ensemble shares its features.
    fn hears_as(&self, hyper: &HyperPoint) -> bool {
        frontend_of(hyper) == frontend_of(&self.hyper)
    }
}

struct Trained {
    members: Vec<Member>,
    failures: Vec<String>,
}

fn trained(ends: Vec<JobEnd>) -> Result<Trained, RunError> {
    let (mut members, mut failures) = (Vec::new(), Vec::new());
    for end in ends {
        match end {
            JobEnd::Trained(member) => members.push(*member),
            JobEnd::Failed { name, reason } => failures.push(format!("{name}: {reason}")),
            JobEnd::Stopped => return Err(RunError::Stopped),
        }
    }
    Ok(Trained { members, failures })
}
