//! Reports for tests: as a run would fill them in, of any size, from a seed.

use std::collections::BTreeMap;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::evaluate::{Bootstrap, Scores};

const COMMANDS: [&str; 12] = [
    "_silence_",
    "_unknown_",
    "yes",
    "no",
    "up",
    "down",
    "left",
    "right",
    "on",
    "off",
    "stop",
    "go",
];

/// What a sample report is to be like.
pub(crate) struct Shape {
    pub n_trials: u64,
    pub n_classes: usize,
    /// Every how many trials one fails; 0 for never.
    pub fails_every: u64,
    pub n_baselines: usize,
}

/// 60 trials, 12 commands, some failures, three baselines.
pub(crate) const USUAL: Shape = Shape {
    n_trials: 60,
    n_classes: 12,
    fails_every: 9,
    n_baselines: 3,
};

pub(crate) fn report(shape: &Shape) -> Report {
    let mut rng = ChaCha8Rng::seed_from_u64(20_240);
    let labels: Vec<String> = (0..shape.n_classes)
        .map(|class| {
            COMMANDS
                .get(class)
                .map_or_else(|| format!("keyword-{class}"), |label| label.to_string())
        })
        .collect();
    let trials: Vec<TrialSummary> = (1..=shape.n_trials)
        .map(|number| trial(number, shape, &mut rng))
        .collect();
    let mut system = |name: &str, n_params: u64, accuracy: f64, n_members: usize| System {
        name: name.into(),
        genome: genome(n_params, &mut rng),
        trial: (n_members == 0).then_some(shape.n_trials / 2 + 1),
        cost: CostSummary {
            n_params,
            macs_per_second: n_params * 51,
            receptive_field_ms: Measured::Value(985.0),
            latency_ms: Measured::Value(25.0),
            state_bytes: 4 * 11_264,
        },
        members: (0..n_members)
            .map(|member| member_of(member, n_members, n_params, accuracy, &mut rng))
            .collect(),
        validation: Measured::Value(judgement(&labels, 600, accuracy + 0.004, &mut rng)),
        test: Measured::Value(judgement(&labels, 2400, accuracy, &mut rng)),
    };
    let single = system("single", 118_412, 0.967, 0);
    let ensemble = system("ensemble of 3", 355_236, 0.975, 3);
    let known = [
        ("TC-ResNet8", 66_192, 0.955),
        ("DS-CNN S", 24_908, 0.941),
        ("TC-ResNet14", 137_280, 0.959),
    ];
    let baselines = known
        .iter()
        .cycle()
        .take(shape.n_baselines)
        .map(|&(name, n, accuracy)| system(name, n, accuracy, 0))
        .collect();
    let split = |name: &str, share: u64| SplitSummary {
        name: name.into(),
        n_utterances: share * shape.n_classes as u64,
        n_speakers: if share > 100 {
            Measured::Value(share * 2)
        } else {
            Measured::missing("a class has no speakers")
        },
        per_class: labels
            .iter()
            .map(|label| ClassCount {
                label: label.clone(),
                n_utterances: share,
            })
            .collect(),
    };
    Report {
        title: "Twelve commands, real speech".into(),
        fingerprint: "3f9a1c0d77e2b864".into(),
        created: "2026-11-24 10:40 UTC".into(),
        device: "cpu (2 threads)".into(),
        seed: 7,
        corpus: CorpusSummary {
            name: "commands-12".into(),
            splits: vec![split("train", 850), split("validation", 50), split("test", 200)],
            rejects: vec![
                RejectSummary { reason: "empty file".into(), n_files: 3 },
                RejectSummary { reason: "text named .wav".into(), n_files: 1 },
            ],
        },
        protocol: vec![
            "Train: the weights. Validation: early stopping, the choice among trials and of the ensemble's members.".into(),
            "Test: judged once, after everything had been chosen. No speaker is in two splits.".into(),
        ],
        trials,
        single: Measured::Value(single),
        ensemble: Measured::Value(ensemble),
        ensemble_gain: Measured::Value(Interval { low: 0.0021, high: 0.0138 }),
        baselines,
        budget: Budget {
            limits: vec!["45 min of wall clock for the search".into(), "at most 150,000 parameters".into()],
            spent: vec![
                Spent { what: "search".into(), seconds: Measured::Value(1893.0) },
                Spent { what: "ensemble".into(), seconds: Measured::Value(421.5) },
                Spent { what: "baselines".into(), seconds: Measured::missing("resumed, the clock was lost") },
            ],
        },
        environment: BTreeMap::from([
            ("auricle".into(), "0.1.0".into()),
            ("operating system".into(), "linux x86_64".into()),
            ("processor".into(), "2 cores".into()),
        ]),
    }
}

fn genome(n_params: u64, rng: &mut impl Rng) -> String {
    let kinds = ["ds-conv", "residual", "dilated", "svdf", "gru"];
    let blocks: Vec<String> = (0..rng.random_range(3..8))
        .map(|_| {
            format!(
                "{}({}, k{})",
                kinds[rng.random_range(0..kinds.len())],
                rng.random_range(2..12) * 8,
                rng.random_range(1..6) * 2 + 1
            )
        })
        .collect();
    format!(
        "stem conv(40->{}, k3) | {} | head mean(98)",
        n_params % 7 * 8 + 16,
        blocks.join(" | ")
    )
}

fn member_of(
    member: usize,
    n_members: usize,
    n_params: u64,
    accuracy: f64,
    rng: &mut impl Rng,
) -> MemberSummary {
    MemberSummary {
        name: format!("member {}", member + 1),
        genome: genome(n_params, rng),
        seed: 7 + member as u64,
        weight: 1.0 / n_members as f64,
        n_params: n_params / n_members as u64,
        validation_accuracy: Measured::Value(accuracy - 0.006 + rng.random_range(0.0..0.004)),
    }
}

fn trial(number: u64, shape: &Shape, rng: &mut impl Rng) -> TrialSummary {
    let progress = 1.0 - (-(number as f64) / (0.3 * shape.n_trials as f64 + 3.0)).exp();
    let n_params = (9_000.0 * (1.0 + rng.random_range(0.0..15.0) * progress.sqrt())) as u64;
    let reached = 0.90 + 0.066 * progress - rng.random_range(0.0_f64..1.0).powi(3) * 0.09;
    let accuracy = if number % 23 == 4 { 0.31 } else { reached };
    let fails = shape.fails_every > 0 && number.is_multiple_of(shape.fails_every);
    let status = match number {
        _ if fails => TrialStatus::Failed {
            reason: "loss is not finite at step 311 (learning rate 0.02)".into(),
        },
        n if n % 11 == 5 => TrialStatus::Stopped {
            reason: "validation loss worse than the median of others at epoch 9".into(),
        },
        _ => TrialStatus::Completed,
    };
    let n_epochs = if fails { 4 } else { 30 };
    let curve = (1..=n_epochs).map(|epoch| {
        let done = 1.0 - (-(epoch as f64) / 5.0).exp();
        let noise = rng.random_range(-0.006..0.006) * (1.2 - done);
        EpochPoint {
            epoch,
            train_loss: Measured::from(2.5 - 2.1 * done + noise * 4.0),
            validation_loss: Measured::from(if fails && epoch == 4 {
                f64::NAN
            } else {
                2.5 - 2.3 * done + 2.0 * (0.97 - accuracy) + noise * 6.0
            }),
            validation_accuracy: Measured::from(0.1 + (accuracy - 0.1) * done + noise),
        }
    });
    let curve = curve.collect();
    let missing = "the trial failed";
    TrialSummary {
        number,
        genome: genome(n_params, rng),
        n_params,
        macs_per_second: n_params * 47,
        validation_accuracy: if fails {
            Measured::missing(missing)
        } else {
            Measured::Value(accuracy)
        },
        validation_loss: if fails {
            Measured::missing(missing)
        } else {
            Measured::Value(0.12 + 2.0 * (0.97 - accuracy))
        },
        seconds: Measured::Value(20.0 + rng.random_range(0.0..70.0)),
        status,
        parent: (number > 3).then(|| rng.random_range(1..number)),
        fate: if number == shape.n_trials / 2 + 1 {
            "chosen"
        } else {
            "dropped from the beam"
        }
        .into(),
        curve,
    }
}

fn judgement(labels: &[String], n_examples: usize, accuracy: f64, rng: &mut impl Rng) -> Judgement {
    let n_classes = labels.len();
    let truth: Vec<usize> = (0..n_examples).map(|example| example % n_classes).collect();
    let mut probabilities = vec![0.0_f32; n_examples * n_classes];
    for (example, &class) in truth.iter().enumerate() {
        let wrong = (class
            + 1
            + (rng.random_range(0.0_f64..1.0).powi(2) * (n_classes - 1) as f64) as usize)
            % n_classes;
        let right = rng.random_range(0.0..1.0) < accuracy;
        let (first, second) = if right {
            (class, wrong)
        } else {
            (wrong, class)
        };
        let top = if right {
            rng.random_range(0.7_f32..0.995)
        } else {
            rng.random_range(0.5_f32..0.8)
        };
        let row = &mut probabilities[example * n_classes..(example + 1) * n_classes];
        row[first] = top;
        row[second] += 1.0 - top;
    }
    let ids = (0..n_examples)
        .map(|example| format!("clip-{example:05}.wav"))
        .collect();
    let speakers: Vec<String> = (0..n_examples)
        .map(|example| format!("speaker-{}", example / 9))
        .collect();
    let scores = Scores::new(labels.to_vec(), truth, probabilities, ids).expect("made to be valid");
    Judgement::of_speakers(
        &scores,
        &speakers,
        Bootstrap {
            n_resamples: 200,
            seed: 1,
        },
    )
    .expect("made to be valid")
}
