//! One run, from a recipe and a corpus to a report and a bundle: the room that introduces the others to
//! one another, in the order of the way of a sound.
//!
//! A run lives in a folder named by its fingerprint. Every step keeps what it made and finds it again,
//! so the same command goes on where it was killed; a run that has its report is done and says so. It
//! prints nothing, parses nothing and chooses no device.

mod describe;
mod judge;
mod pack;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use sha2::{Digest, Sha256};

use crate::bundle::BundleError;
use crate::evaluate::{EvaluateError, Report, report};
use crate::ingest::{self, IngestError, IngestSummary};
use crate::model::stream_net::NetworkError;
use crate::recipe::Recipe;
use crate::search::corpus::{CorpusError, CorpusParts};
use crate::search::ensemble::{Job, JobEnd, Member, train_in_full};
use crate::search::store::{SqliteStore, StoreError, StudyStore};
use crate::search::study::{Ending, StudyError, finalists};
use crate::search::worker::{ArtefactError, Workshop, write_whole};
use crate::search::{Corpus, Trial, search};

pub use judge::judge_bundle;

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
    #[error("no trial of the search is complete: nothing to train in full")]
    NoTrial,
    #[error("no finalist could be trained: {reasons}")]
    NoFinalist { reasons: String },
    #[error("the test split is empty: nothing to judge by")]
    NoTest,
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
}

/// A finished run.
pub struct Finished {
    pub report: Report,
    pub folder: PathBuf,
    /// An earlier run of the same fingerprint had done it all.
    pub already_done: bool,
}

/// The folder of an ingestion: shared by all runs over the same corpus in the same way.
pub fn ingest_folder(runs: &Path, source: &Path, recipe: &Recipe) -> PathBuf {
    let source = source.canonicalize().unwrap_or_else(|_| source.into());
    let spec = serde_json::to_string(&(recipe.corpus(), recipe.frontend())).expect("plain data");
    let digest = Sha256::digest(format!("{}|{spec}", source.display()));
    let name: String = digest[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
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
        let fingerprint = recipe.fingerprint(&prepared.fingerprint, plan.device_kind);
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
            frontend,
            labels,
            clip_ms: recipe.data.clip_ms,
        })?;
        Ok(Self {
            plan,
            corpus,
            ingested,
            fingerprint,
            folder,
            store,
        })
    }

    fn workshop<'b>(&'b self, folder: &'b Path, watch: &'b dyn Watch) -> Workshop<'b> {
        Workshop {
            corpus: &self.corpus,
            device: self.plan.device,
            seed: self.plan.recipe.seed,
            folder,
            watch,
        }
    }

    /// Searches until the budget is spent; all trials, by number.
    pub fn search(&self, watch: &dyn Watch) -> Result<Vec<Trial>, RunError> {
        watch.step("search");
        let folder = self.folder.join("trials");
        let ending = search(
            &self.plan.recipe.search,
            &self.plan.recipe.space,
            &self.workshop(&folder, watch),
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
        watch.step("train the members of the ensemble");
        let members = self.train_members(&full, watch)?;
        watch.step("judge on the test split");
        let report = self.report(&trials, &full, &members)?;
        pack::pack(self, &members, &report)?;
        report::write_html(&report, &self.folder.join("report.html"))?;
        // Written last: a run with this file is done.
        report::write_json(&report, &report_path)?;
        Ok(Finished {
            report,
            folder: self.folder.clone(),
            already_done: false,
        })
    }

    fn train_finalists(&self, trials: &[Trial], watch: &dyn Watch) -> Result<Full, RunError> {
        let recipe = self.plan.recipe;
        let spec = &recipe.ensemble;
        let finalists = finalists(trials, spec.n_finalists);
        if finalists.is_empty() {
            return Err(RunError::NoTrial);
        }
        let finalist_jobs = finalists.iter().map(|trial| Job {
            name: format!("finalist-{:05}", trial.number),
            genome: trial.genome.clone(),
            replica: 0,
        });
        let baseline_jobs = recipe.baselines.iter().map(|baseline| Job {
            name: format!("baseline-{}", baseline.name),
            genome: baseline.genome.clone(),
            replica: 0,
        });
        let jobs: Vec<Job> = finalist_jobs.chain(baseline_jobs).collect();
        let folder = self.folder.join("full");
        let workshop = self.workshop(&folder, watch);
        let mut ends = train_in_full(&jobs, &spec.train, &workshop, self.plan.n_workers)?;
        let baselines = trained(ends.split_off(finalists.len()))?;
        let of_finalists = trained(ends)?;
        let best = of_finalists.members.into_iter().min_by(|a, b| {
            a.scores
                .validation_loss
                .total_cmp(&b.scores.validation_loss)
        });
        let Some(chosen) = best else {
            return Err(RunError::NoFinalist {
                reasons: of_finalists.failures.join("; "),
            });
        };
        let trial = finalists
            .iter()
            .find(|trial| trial.genome == chosen.genome)
            .map(|trial| trial.number);
        Ok(Full {
            chosen,
            trial,
            finalists: finalists.iter().map(|trial| trial.number).collect(),
            baselines: baselines.members,
            failures: baselines.failures,
        })
    }

    /// The chosen one and its other trainings.
    fn train_members(&self, full: &Full, watch: &dyn Watch) -> Result<Vec<Member>, RunError> {
        let spec = &self.plan.recipe.ensemble;
        let jobs: Vec<Job> = (1..spec.n_members as u64)
            .map(|replica| Job {
                name: format!("member-{replica}"),
                genome: full.chosen.genome.clone(),
                replica,
            })
            .collect();
        let folder = self.folder.join("full");
        let workshop = self.workshop(&folder, watch);
        let ends = train_in_full(&jobs, &spec.train, &workshop, self.plan.n_workers)?;
        let mut members = vec![full.chosen.clone()];
        members.extend(trained(ends)?.members);
        Ok(members)
    }
}

/// What the full trainings gave.
struct Full {
    /// The best finalist by validation loss: the single model, and the ensemble's first member.
    chosen: Member,
    trial: Option<u64>,
    finalists: Vec<u64>,
    baselines: Vec<Member>,
    /// Baselines that could not be trained, and why.
    failures: Vec<String>,
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
