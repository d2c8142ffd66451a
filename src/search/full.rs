//! Full trainings: finalists, replicas, baselines, students.
//!
//! A job whose result is kept is not done again, and one that was interrupted goes on from its last whole epoch.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::distil::DistilSpec;
use super::hyper::HyperPoint;
use super::train_spec::TrainSpec;
use super::trainer::{Guides, Start, Verdict};
use super::trial::{CurvePoint, Scores};
use super::worker::{self, ArtefactError, End, Workshop, remove, write_whole};
use crate::model::{Cost, Genome, Network, Weights};

/// A genome to train in full.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Names its files; unique within the run.
    pub name: String,
    pub genome: Genome,
    /// Settings of the training besides the spec's.
    pub hyper: HyperPoint,
    /// Which of several trainings of the genome.
    pub replica: u64,
    /// Weights of the genome to begin with; `None`: fresh ones.
    pub first: Option<Weights>,
}

/// Trained networks that guide every job of a call.
#[derive(Clone, Copy, Default)]
pub struct Guidance<'a> {
    pub teacher: Option<(&'a DistilSpec, &'a [Network])>,
    /// Whose logits are all added to those of what is trained.
    pub base: &'a [Network],
}

/// A genome trained in full.
#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    pub genome: Genome,
    /// What it was trained with besides the recipe's settings; it hears through the front-end named there.
    pub hyper: HyperPoint,
    pub cost: Cost,
    pub seed: u64,
    pub scores: Scores,
    pub curve: Vec<CurvePoint>,
    pub seconds: f64,
    pub weights: Weights,
}

/// What is kept beside the weights.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    genome: Genome,
    seed: u64,
    scores: Scores,
    curve: Vec<CurvePoint>,
    seconds: f64,
}

/// What came of a job.
#[derive(Debug)]
pub enum JobEnd {
    Trained(Box<Member>),
    Failed {
        name: String,
        reason: String,
    },
    /// What it had learned is kept.
    Stopped,
}

/// Trains every job, as many at a time as there are workers. A job whose result is kept already is not done
/// again. Results come in the order of the jobs.
pub fn train_in_full(
    jobs: &[Job],
    spec: &TrainSpec,
    guidance: Guidance,
    workshop: &Workshop,
    n_workers: usize,
) -> Result<Vec<JobEnd>, ArtefactError> {
    let next = Mutex::new(0_usize);
    let ends: Vec<Mutex<Option<Result<JobEnd, ArtefactError>>>> =
        jobs.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        loop {
            let index = {
                let mut next = next.lock().expect("no worker panics while it counts");
                *next += 1;
                *next - 1
            };
            let Some(job) = jobs.get(index) else { return };
            let end = train_or_fetch(job, spec, guidance, workshop);
            *ends[index].lock().expect("each job has one worker") = Some(end);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..n_workers.max(1) {
            scope.spawn(work);
        }
        work();
    });
    ends.into_iter()
        .map(|end| {
            let end = end.into_inner().expect("each job has one worker");
            end.expect("every job was taken")
        })
        .collect()
}

fn train_or_fetch(
    job: &Job,
    spec: &TrainSpec,
    guidance: Guidance,
    workshop: &Workshop,
) -> Result<JobEnd, ArtefactError> {
    let workshop = &Workshop {
        corpus: workshop.corpus.behind(&job.hyper),
        ..*workshop
    };
    let record_path = workshop.folder.join(format!("{}.json", job.name));
    let ports = workshop.corpus.ports();
    let member = |record: Record, weights: Weights| {
        Box::new(Member {
            name: job.name.clone(),
            cost: Cost::of(&record.genome, &ports),
            genome: record.genome,
            hyper: job.hyper.clone(),
            seed: record.seed,
            scores: record.scores,
            curve: record.curve,
            seconds: record.seconds,
            weights,
        })
    };
    // A record is written after its weights: where it can be read, and speaks of this genome, both are there.
    let kept = std::fs::read(&record_path).ok();
    let kept: Option<Record> = kept.and_then(|text| serde_json::from_slice(&text).ok());
    if let Some(record) = kept.filter(|record| record.genome == job.genome)
        && let Ok(weights) = workshop.fetch(&job.name)
    {
        return Ok(JobEnd::Trained(member(record, weights)));
    }
    let purpose = format!("full {} {}", job.genome.hash_hex(), job.replica);
    let seed = workshop.seed_for(&purpose);
    let fresh;
    let first = match &job.first {
        Some(first) => first,
        None => {
            let norm = workshop.corpus.input_norm();
            fresh = job.genome.init_weights(&ports, norm, seed);
            &fresh
        }
    };
    let failed = |reason: String| {
        Ok(JobEnd::Failed {
            name: job.name.clone(),
            reason,
        })
    };
    let spec = match spec.with(&job.hyper) {
        Ok(spec) => spec,
        Err(error) => return failed(error.to_string()),
    };
    // Of another genome where the search went on since and chose otherwise; it might even fit. It is written over.
    let checkpoint = workshop.fetch_checkpoint(&job.name)?;
    let checkpoint = checkpoint.filter(|checkpoint| checkpoint.progress.seed == seed);
    let start = match &checkpoint {
        Some(checkpoint) => Start::Resumed(checkpoint),
        None => Start::Fresh(first),
    };
    let done = workshop.train(&worker::Job {
        name: &job.name,
        genome: &job.genome,
        start,
        spec: &spec,
        guides: Guides {
            teacher: guidance.teacher,
            base: guidance.base,
        },
        seed,
        verdict: &|_| Verdict::GoOn,
        max_duration: None,
    });
    match done.end {
        End::Stopped(checkpoint) => {
            if let Some(checkpoint) = checkpoint {
                workshop.keep_checkpoint(&job.name, &checkpoint)?;
            }
            Ok(JobEnd::Stopped)
        }
        End::Paused(_) => unreachable!("no verdict of a full training pauses"),
        End::Failed(failure) => failed(failure.reason),
        End::Trained(outcome) | End::GivenUp(outcome) => {
            let record = Record {
                genome: job.genome.clone(),
                seed,
                scores: outcome.scores,
                curve: outcome.curve,
                seconds: done.seconds,
            };
            workshop.keep(&job.name, &outcome.weights)?;
            let text = serde_json::to_vec_pretty(&record).expect("a record is plain data");
            write_whole(&record_path, &text)?;
            remove(&workshop.checkpoint_path(&job.name))?;
            Ok(JobEnd::Trained(member(record, outcome.weights)))
        }
    }
}
