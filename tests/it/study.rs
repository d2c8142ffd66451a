//! What a search promises whoever runs one: pauses and promotions lose nothing, stops lose nothing, failures are
//! told apart and end nothing.

use std::path::Path;
use std::sync::Mutex;

use auricle::model::{Block, Genome, Network};
use auricle::run::Run;
use auricle::search::distil::{DistilLoss, DistilSpec};
use auricle::search::fidelity::FidelitySpec;
use auricle::search::full::{Guidance, Job, JobEnd, train_in_full};
use auricle::search::hyper::{HyperPoint, HyperValue};
use auricle::search::sharing::SharingSpec;
use auricle::search::store::{MemoryStore, StudyStore};
use auricle::search::study::Ending;
use auricle::search::trainer::{self, TrainError, Training};
use auricle::search::worker::{Workshop, trial_name};
use auricle::search::{FailureKind, NetworkTrainer, StudySpec, Trainer, Trial, TrialState, search};

use crate::place::{Place, Quiet};

fn study(
    run: &Run,
    place: &Place,
    spec: &StudySpec,
    folder: &Path,
    trainer: &dyn Trainer,
    watch: &Quiet,
    store: &dyn StudyStore,
) -> Ending {
    let workshop = Workshop {
        seed: place.recipe.seed,
        trainer,
        ..workshop(run, place, folder, watch)
    };
    search(spec, &place.recipe.space, &workshop, store, 1).unwrap()
}

fn workshop<'a>(
    run: &'a Run,
    place: &'a Place,
    folder: &'a Path,
    watch: &'a Quiet,
) -> Workshop<'a> {
    Workshop {
        corpus: &run.corpus,
        device: &place.device,
        seed: 3,
        folder,
        depot: None,
        trainer: &NetworkTrainer,
        teachers: &[],
        watch,
    }
}

fn job(name: &str, genome: &Genome) -> Job {
    Job {
        name: name.into(),
        genome: genome.clone(),
        hyper: HyperPoint::default(),
        replica: 0,
        first: None,
    }
}

fn genomes() -> Vec<Genome> {
    let genome = |n_channels: usize, kernel: usize| -> Genome {
        serde_json::from_value(serde_json::json!({
            "stem": {"n_channels": 8, "kernel_frames": 3, "stride_frames": 2},
            "blocks": [{"kind": "conv1d", "n_channels": n_channels, "kernel_frames": kernel, "stride_frames": 2}],
            "head": {"kind": "mean", "window_frames": 98},
        }))
        .unwrap()
    };
    vec![
        genome(8, 3),
        genome(8, 5),
        genome(12, 3),
        genome(12, 5),
        genome(6, 3),
        genome(10, 3),
    ]
}

fn timeless(store: &dyn StudyStore) -> Vec<Trial> {
    let trials = store.trials().unwrap().into_iter();
    let forget = |trial: Trial| Trial {
        seconds: 0.0,
        attempt: 1,
        ..trial
    };
    trials.map(forget).collect()
}

#[test]
fn a_promoted_trial_goes_on_as_if_it_had_never_paused() {
    let place = Place::new(6);
    let run = place.run();
    let mut spec = place.spec();
    spec.train.n_epochs = 4;
    spec.suggestions = genomes();
    spec.sharing = SharingSpec::None;
    let full = MemoryStore::default();
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let watch = Quiet::never();
    study(
        &run,
        &place,
        &spec,
        one.path(),
        &NetworkTrainer,
        &watch,
        &full,
    );
    spec.fidelity = FidelitySpec::Asha {
        min_epochs: 1,
        reduction_factor: 2,
        n_brackets: None,
    };
    let halved = MemoryStore::default();
    study(
        &run,
        &place,
        &spec,
        two.path(),
        &NetworkTrainer,
        &watch,
        &halved,
    );
    let (full, halved) = (full.trials().unwrap(), halved.trials().unwrap());
    let mut n_complete = 0;
    for (whole, part) in full.iter().zip(&halved) {
        assert_eq!(whole.curve.len(), 4);
        assert_eq!(
            part.curve,
            whole.curve[..part.curve.len()],
            "trial {}",
            part.number
        );
        match part.state {
            TrialState::Complete { scores } => {
                n_complete += 1;
                assert_eq!(Some(&scores), whole.scores());
                let weights = |folder: &Path| {
                    let name = format!("{}.safetensors", trial_name(part.number));
                    std::fs::read(folder.join(name)).unwrap()
                };
                assert_eq!(weights(one.path()), weights(two.path()));
            }
            TrialState::Paused { .. } => assert!([1, 2].contains(&part.curve.len())),
            _ => panic!("{:?}", part.state),
        }
    }
    assert!(
        (1..6).contains(&n_complete),
        "{n_complete} of 6 trained to the end"
    );
}

#[test]
fn a_search_stopped_in_mid_training_ends_as_one_that_was_not() {
    let place = Place::new(4);
    let run = place.run();
    let mut spec = place.spec();
    spec.train.n_epochs = 3;
    spec.train.dropout = 0.1;
    for fidelity in [
        FidelitySpec::Full,
        FidelitySpec::Asha {
            min_epochs: 1,
            reduction_factor: 2,
            n_brackets: None,
        },
    ] {
        spec.fidelity = fidelity;
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (whole, broken) = (MemoryStore::default(), MemoryStore::default());
        let never = Quiet::never();
        study(
            &run,
            &place,
            &spec,
            one.path(),
            &NetworkTrainer,
            &never,
            &whole,
        );
        let mut n_stops = 0;
        loop {
            let watch = Quiet::stopping_after(2);
            match study(
                &run,
                &place,
                &spec,
                two.path(),
                &NetworkTrainer,
                &watch,
                &broken,
            ) {
                Ending::Stopped => n_stops += 1,
                _ => break,
            }
        }
        assert!(n_stops >= 2, "{fidelity:?}");
        assert_eq!(timeless(&broken), timeless(&whole), "{fidelity:?}");
    }
}

/// Fails as its genome's first block says, and remembers what it was told.
#[derive(Default)]
struct Scripted {
    told: Mutex<Vec<(usize, f64, f32)>>,
}

impl Trainer for Scripted {
    fn train(
        &self,
        training: &Training,
        watch: &dyn auricle::search::Watch,
    ) -> Result<trainer::Ending, TrainError> {
        let spec = training.spec;
        self.told
            .lock()
            .unwrap()
            .push((spec.batch_size, spec.learning_rate, spec.dropout));
        let Block::Conv1d(conv) = training.genome.blocks[0] else {
            panic!("the script knows conv1d");
        };
        match conv.n_channels {
            6 => panic!("this block gives up"),
            10 => Err(TrainError::NonFinite { epoch: 1 }),
            12 if spec.batch_size > 4 => panic!("Out of memory: asked for 7 GB"),
            8 if conv.kernel_frames == 5 => panic!("CUDA_ERROR_OUT_OF_MEMORY"),
            _ => trainer::train(training, watch),
        }
    }
}

#[test]
fn failures_are_told_apart_and_the_study_goes_on() {
    let place = Place::new(7);
    let run = place.run();
    let mut spec = place.spec();
    let mut beyond = genomes()[0].clone();
    beyond.blocks = vec![genomes()[0].blocks[0]; 60];
    spec.suggestions = [vec![beyond], genomes()].concat();
    let folder = tempfile::tempdir().unwrap();
    let store = MemoryStore::default();
    let scripted = Scripted::default();
    let ending = study(
        &run,
        &place,
        &spec,
        folder.path(),
        &scripted,
        &Quiet::never(),
        &store,
    );
    assert_eq!(ending, Ending::BudgetSpent);
    let trials = store.trials().unwrap();
    let kinds: Vec<Option<FailureKind>> = trials
        .iter()
        .map(|trial| trial.failure().map(|failure| failure.kind))
        .collect();
    assert_eq!(
        kinds,
        [
            Some(FailureKind::OverBudget),
            None,
            Some(FailureKind::OutOfMemory),
            None,
            None,
            Some(FailureKind::Panicked),
            Some(FailureKind::NonFinite),
        ]
    );
    // What fits in a smaller batch is trained in it, and the trial says so.
    assert_eq!(trials[1].batch_size, 16);
    assert_eq!((trials[3].batch_size, trials[4].batch_size), (4, 4));
    let panicked = trials[5].failure().unwrap();
    assert_eq!(panicked.reason, "this block gives up");
    assert!(panicked.trace.as_ref().unwrap().contains("study.rs:"));
}

#[test]
fn settings_are_searched_and_each_training_is_told_its_own() {
    let place = Place::new(5);
    let run = place.run();
    let mut spec = place.spec();
    spec.hyper = Some(
        serde_json::from_value(serde_json::json!({
            "oracle": {"kind": "random"},
            "space": {"learning_rate": {"log": [0.001, 0.1]}, "dropout": {"linear": [0.0, 0.3]}},
            "suggestions": [{"learning_rate": 0.02}],
        }))
        .unwrap(),
    );
    spec.train.n_epochs = 1;
    spec.suggestions = vec![genomes()[0].clone(); 5];
    let folder = tempfile::tempdir().unwrap();
    let store = MemoryStore::default();
    let scripted = Scripted::default();
    study(
        &run,
        &place,
        &spec,
        folder.path(),
        &scripted,
        &Quiet::never(),
        &store,
    );
    let trials = store.trials().unwrap();
    let told = scripted.told.into_inner().unwrap();
    assert_eq!(
        trials[0].hyper.values["learning_rate"],
        HyperValue::Float(0.02)
    );
    for (trial, (_, rate, dropout)) in trials.iter().zip(&told) {
        assert_eq!(
            trial.hyper.values["learning_rate"],
            HyperValue::Float(*rate)
        );
        let HyperValue::Float(drawn) = trial.hyper.values["dropout"] else {
            panic!("a float");
        };
        assert_eq!(drawn as f32, *dropout);
    }
    let mut rates: Vec<u64> = told.iter().map(|(_, rate, _)| rate.to_bits()).collect();
    rates.sort_unstable();
    rates.dedup();
    assert_eq!(rates.len(), 5);
}

#[test]
fn a_disk_quota_takes_the_weights_of_the_worst_and_leaves_the_best() {
    let place = Place::new(10);
    let run = place.run();
    let mut spec = place.spec();
    spec.disk_quota_mb = Some(0.02);
    let folder = tempfile::tempdir().unwrap();
    let store = MemoryStore::default();
    study(
        &run,
        &place,
        &spec,
        folder.path(),
        &NetworkTrainer,
        &Quiet::never(),
        &store,
    );
    let mut trials = store.trials().unwrap();
    trials.sort_by(|a, b| {
        let loss = |trial: &Trial| trial.scores().unwrap().validation_loss;
        loss(a).total_cmp(&loss(b))
    });
    let has_weights = |trial: &Trial| {
        let name = format!("{}.safetensors", trial_name(trial.number));
        folder.path().join(name).exists()
    };
    assert!(trials[..3].iter().all(has_weights));
    assert!(!has_weights(&trials[9]));
    let n_bytes: u64 = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    let of_best: u64 = trials[..3]
        .iter()
        .map(|trial| {
            let name = format!("{}.safetensors", trial_name(trial.number));
            folder.path().join(name).metadata().unwrap().len()
        })
        .sum();
    assert!(n_bytes <= 20_000.max(of_best), "{n_bytes} bytes");
}

#[test]
fn a_student_learns_from_its_teacher_alone_and_a_residual_member_completes_its_base() {
    let place = Place::new(1);
    let run = place.run();
    let folder = tempfile::tempdir().unwrap();
    let watch = Quiet::never();
    let workshop = workshop(&run, &place, folder.path(), &watch);
    let mut spec = place.recipe.ensemble.train.clone();
    spec.n_epochs = 24;
    let train = |name: &str, genome: &Genome, guidance: Guidance| match train_in_full(
        &[job(name, genome)],
        &spec,
        guidance,
        &workshop,
        1,
    )
    .unwrap()
    .remove(0)
    {
        JobEnd::Trained(member) => *member,
        end => panic!("{end:?}"),
    };
    let [small, large] = [0, 3].map(|at| genomes()[at].clone());
    let teacher = train("teacher", &large, Guidance::default());
    let network =
        Network::load(&large, &run.corpus.ports(), &teacher.weights, &place.device).unwrap();
    let networks = [network];
    for loss in [DistilLoss::CrossEntropy, DistilLoss::MseLogits] {
        let distil = DistilSpec {
            loss,
            temperature: 2.0,
            label_weight: 0.0,
            teacher_weight: [1.0, 1.0],
            ramp_share: 0.0,
        };
        let guidance = Guidance {
            teacher: Some((&distil, &networks)),
            base: &[],
        };
        let student = train(&format!("student-{loss:?}"), &small, guidance);
        // Chance is a quarter; the labels were not looked at.
        assert!(
            student.scores.validation_accuracy >= 0.7,
            "{loss:?} {:?}",
            student.scores
        );
    }
    let guidance = Guidance {
        teacher: None,
        base: &networks,
    };
    let together = train("residual", &small, guidance).scores.validation_loss;
    assert!(
        together < teacher.scores.validation_loss,
        "{together} {:?}",
        teacher.scores
    );
}

#[test]
fn a_stopped_training_is_gone_on_from_by_its_own_genome_and_by_no_other_of_its_name() {
    let place = Place::new(1);
    let run = place.run();
    let mut spec = place.recipe.ensemble.train.clone();
    spec.n_epochs = 4;
    let train = |folder: &Path, genome: &Genome, watch: &Quiet| {
        let workshop = workshop(&run, &place, folder, watch);
        let jobs = [job("member-1", genome)];
        let mut ends = train_in_full(&jobs, &spec, Guidance::default(), &workshop, 1).unwrap();
        ends.remove(0)
    };
    let whole = |folder: &Path, genome: &Genome| match train(folder, genome, &Quiet::never()) {
        JobEnd::Trained(member) => (member.curve, member.weights.to_bytes()),
        end => panic!("{end:?}"),
    };
    let own = genomes()[0].clone();
    // The first has the same tensors, so that the other's weights would fit.
    let mut strided = own.clone();
    if let Block::Conv1d(spec) = &mut strided.blocks[0] {
        spec.stride_frames = 1;
    }
    assert_ne!(strided, own);
    for genome in [&own, &strided, &genomes()[2]] {
        let (apart, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let stopped = train(shared.path(), &own, &Quiet::stopping_after(2));
        assert!(matches!(stopped, JobEnd::Stopped), "{stopped:?}");
        assert!(shared.path().join("member-1.checkpoint").exists());
        let expected = whole(apart.path(), genome);
        assert_eq!(whole(shared.path(), genome), expected, "{genome:?}");
    }
}
