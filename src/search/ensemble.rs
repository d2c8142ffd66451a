//! Model Search's ensemble (Mazzawi et al. 2019, algorithm 3): the best architecture trained p times
//! from different seeds, answers averaged. And the full trainings that lead there.
//!
//! A search scores genomes after short trainings on inherited weights, so first the best few (see
//! [`finalists`](super::study::finalists)) are each
//! trained in full from fresh weights and the best of these by validation loss is chosen. Everything
//! is chosen on the validation split.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use super::trainer::TrainSpec;
use super::trial::{CurvePoint, Scores};
use super::worker::{ArtefactError, Done, Workshop, write_whole};
use crate::model::{Cost, Genome, Weights};

/// What follows a search, as a recipe writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnsembleSpec {
    /// Best genomes of the search that are trained in full.
    pub n_finalists: usize,
    /// Times that the chosen one is trained: members of the ensemble.
    pub n_members: usize,
    /// The full training.
    pub train: TrainSpec,
}

/// A genome to train in full.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Names its files; unique within the run.
    pub name: String,
    pub genome: Genome,
    /// Which of several trainings of the genome.
    pub replica: u64,
}

/// A genome trained in full from fresh weights.
#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    pub genome: Genome,
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
    Failed { name: String, reason: String },
    Stopped,
}

/// Trains every job from fresh weights, as many at a time as there are workers. A job whose result is
/// kept already is not done again. Results come in the order of the jobs.
pub fn train_in_full(
    jobs: &[Job],
    spec: &TrainSpec,
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
            let end = train_or_fetch(job, spec, workshop);
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
    workshop: &Workshop,
) -> Result<JobEnd, ArtefactError> {
    let record_path = workshop.folder.join(format!("{}.json", job.name));
    let ports = workshop.corpus.ports();
    let member = |record: Record, weights: Weights| {
        Box::new(Member {
            name: job.name.clone(),
            cost: Cost::of(&record.genome, &ports),
            genome: record.genome,
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
    let first = job
        .genome
        .init_weights(&ports, workshop.corpus.input_norm(), seed);
    Ok(
        match workshop.train(&job.name, &job.genome, &first, spec, seed) {
            Done::Stopped => JobEnd::Stopped,
            Done::Failed { reason, .. } => JobEnd::Failed {
                name: job.name.clone(),
                reason,
            },
            Done::Trained { outcome, seconds } => {
                let record = Record {
                    genome: job.genome.clone(),
                    seed,
                    scores: outcome.scores,
                    curve: outcome.curve,
                    seconds,
                };
                workshop.keep(&job.name, &outcome.weights)?;
                let text = serde_json::to_vec_pretty(&record).expect("a record is plain data");
                write_whole(&record_path, &text)?;
                JobEnd::Trained(member(record, outcome.weights))
            }
        },
    )
}

/// Mean of the members' probabilities, weighted. Each is `[n, n_classes]`; weights need not sum to one.
///
/// # Panics
///
/// If there is no member, or their lengths differ.
pub fn mean_probabilities(members: &[(Vec<f32>, f64)]) -> Vec<f32> {
    let total: f64 = members.iter().map(|(_, weight)| weight).sum();
    let n = members[0].0.len();
    assert!(members.iter().all(|(values, _)| values.len() == n));
    (0..n)
        .map(|i| {
            let sum: f64 = members
                .iter()
                .map(|(values, weight)| f64::from(values[i]) * weight)
                .sum();
            (sum / total) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weighted_mean_of_distributions_is_one() {
        let members = [
            (vec![0.5, 0.5, 0.0, 1.0], 1.0),
            (vec![0.9, 0.1, 0.4, 0.6], 3.0),
        ];
        let mean = mean_probabilities(&members);
        for (found, expected) in mean.iter().zip([0.8, 0.2, 0.3, 0.7]) {
            assert!((found - expected).abs() < 1e-6);
        }
    }
}
