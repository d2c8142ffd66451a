//! One suite for every store: what holds in memory holds in SQLite and in PostgreSQL.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

mod workers;

use super::*;
use crate::model::blocks::conv1d::Conv1dSpec;
use crate::model::{Head, Ports};
use crate::search::hyper::HyperValue;
use crate::search::study::Budget;
use crate::search::trial::Scores;

pub(in crate::search) fn new_trial(number: u64, n_channels: usize) -> NewTrial {
    let genome = Genome {
        stem: Some(Conv1dSpec {
            n_channels,
            kernel_frames: 3,
            stride_frames: 1,
        }),
        blocks: vec![],
        head: Head::Mean { window_frames: 98 },
    };
    let ports = Ports {
        n_mels: 40,
        n_classes: 12,
        frames_per_1000_s: 100_000,
    };
    NewTrial {
        number,
        key: genome.hash_hex(),
        parent: number.checked_sub(1),
        hyper: HyperPoint {
            values: BTreeMap::from([("dropout".to_owned(), HyperValue::Float(0.1 + 0.2))]),
        },
        cost: Cost::of(&genome, &ports),
        genome,
        donors: (0..number).collect(),
        teachers: (0..number).collect(),
        batch_size: 64,
        learned: (0..number)
            .map(|number| Learned {
                number,
                loss: (number % 2 == 0).then_some(0.1 + 0.2),
            })
            .collect(),
    }
}

pub(super) fn end(number: u64, attempt: u32) -> TrialEnd {
    let point = CurvePoint {
        epoch: 1,
        train_loss: 1.0 / 3.0,
        validation_loss: 0.1 + 0.2,
        validation_accuracy: 2.0 / 3.0,
    };
    TrialEnd {
        number,
        attempt,
        state: TrialState::Complete {
            scores: Scores {
                validation_loss: point.validation_loss,
                validation_accuracy: point.validation_accuracy,
            },
        },
        curve: vec![point],
        seconds: 1.25,
        n_inherited: 7,
        batch_size: 32,
        artifacts: Artifacts {
            weights: Some("a1".repeat(32)),
            checkpoint: None,
        },
    }
}

/// The one process of a study that nobody else works on.
fn alone() -> Holder {
    Holder {
        worker: "alone".into(),
        lease: None,
    }
}

/// A worker whose leases run out at once, or never within a test.
fn worker(name: &str, is_silent: bool) -> Holder {
    Holder {
        worker: name.into(),
        lease: Some(Duration::from_secs(if is_silent { 0 } else { 3600 })),
    }
}

fn begin(store: &dyn StudyStore, number: u64) -> Trial {
    let new = new_trial(number, 8 + number as usize);
    store.begin(&new, Some(&alone())).unwrap()
}

fn retry(kind: FailureKind, n: u32) -> StudyEdit {
    StudyEdit {
        status: None,
        settings: Some(StudySettings {
            retry: RetryPolicy {
                n_retries: BTreeMap::from([(kind, n)]),
            },
            ..StudySettings::alone()
        }),
    }
}

fn what_is_written_is_read_back_exactly(store: &dyn StudyStore) {
    let begun = store.begin(&new_trial(0, 8), Some(&alone())).unwrap();
    assert_eq!((begun.attempt, &begun.state), (1, &TrialState::Running));
    store.finish(&end(0, 1)).unwrap();
    let failed = TrialEnd {
        state: TrialState::Failed {
            failure: Failure {
                kind: FailureKind::NonFinite,
                reason: "the loss is not finite in epoch 3".into(),
                trace: Some("somewhere.rs:7".into()),
            },
        },
        ..end(1, 1)
    };
    store.begin(&new_trial(1, 9), Some(&alone())).unwrap();
    store.finish(&failed).unwrap();
    let trials = store.trials().unwrap();
    assert_eq!(
        trials.iter().map(|trial| trial.number).collect::<Vec<_>>(),
        [0, 1]
    );
    let expected = Trial {
        number: 0,
        parent: None,
        genome: new_trial(0, 8).genome,
        hyper: new_trial(0, 8).hyper,
        cost: new_trial(0, 8).cost,
        donors: vec![],
        teachers: vec![],
        attempt: 1,
        state: end(0, 1).state,
        curve: end(0, 1).curve,
        seconds: 1.25,
        n_inherited: 7,
        batch_size: 32,
        learned: vec![],
        earlier: vec![],
        artifacts: end(0, 1).artifacts,
    };
    assert_eq!(trials[0], expected);
    assert_eq!(store.trial(0).unwrap(), expected);
    assert_eq!(trials[1].learned, new_trial(1, 9).learned);
    assert!(matches!(
        store.trial(7),
        Err(StoreError::NoTrial { number: 7, .. })
    ));
    assert_eq!(
        (&trials[1].donors, &trials[1].teachers),
        (&vec![0], &vec![0])
    );
    assert_eq!(
        (trials[1].parent, &trials[1].state),
        (Some(0), &failed.state)
    );
}

fn a_number_and_a_genome_are_given_once(store: &dyn StudyStore) {
    store.begin(&new_trial(0, 8), Some(&alone())).unwrap();
    assert!(matches!(
        store.begin(&new_trial(0, 9), Some(&alone())),
        Err(StoreError::Taken { .. })
    ));
    assert!(matches!(
        store.begin(&new_trial(1, 8), Some(&alone())),
        Err(StoreError::Taken { .. })
    ));
    assert_eq!(store.trials().unwrap().len(), 1);
}

fn a_late_write_of_a_dead_attempt_is_refused(store: &dyn StudyStore) {
    store.begin(&new_trial(0, 8), Some(&alone())).unwrap();
    assert_eq!(store.take_over(0, &alone()).unwrap().attempt, 2);
    assert!(matches!(
        store.finish(&end(0, 1)),
        Err(StoreError::Fenced { attempt: 1, .. })
    ));
    store.finish(&end(0, 2)).unwrap();
    assert!(matches!(
        store.finish(&end(0, 2)),
        Err(StoreError::Fenced { .. })
    ));
    assert!(matches!(
        store.take_over(0, &alone()),
        Err(StoreError::Fenced { .. })
    ));
    assert!(matches!(
        store.finish(&end(5, 1)),
        Err(StoreError::Fenced { .. })
    ));
    assert_eq!(store.trials().unwrap()[0].attempt, 2);
}

fn a_paused_trial_runs_again_at_a_new_attempt(store: &dyn StudyStore) {
    let scores = Scores {
        validation_loss: 0.5,
        validation_accuracy: 0.8,
    };
    let paused = TrialEnd {
        state: TrialState::Paused { scores },
        ..end(0, 1)
    };
    store.begin(&new_trial(0, 8), Some(&alone())).unwrap();
    assert!(matches!(
        store.resume(0, &alone()),
        Err(StoreError::Fenced { .. })
    ));
    store.finish(&paused).unwrap();
    let again = store.resume(0, &alone()).unwrap();
    assert_eq!((again.attempt, &again.state), (2, &TrialState::Running));
    assert_eq!((again.curve.len(), again.seconds), (1, 1.25));
    assert!(matches!(
        store.finish(&end(0, 1)),
        Err(StoreError::Fenced { .. })
    ));
    store.finish(&end(0, 2)).unwrap();
    assert!(matches!(
        store.resume(0, &alone()),
        Err(StoreError::Fenced { .. })
    ));
}

fn begun_once_among_many_threads(store: &dyn StudyStore) {
    let n_taken = std::thread::scope(|scope| {
        let begin = |thread: usize| {
            store
                .begin(&new_trial(0, 8 + thread), Some(&alone()))
                .is_ok()
        };
        let threads: Vec<_> = (0..8)
            .map(|thread| scope.spawn(move || begin(thread)))
            .collect();
        let taken = threads.into_iter().map(|thread| thread.join().unwrap());
        taken.filter(|&taken| taken).count()
    });
    assert_eq!((n_taken, store.trials().unwrap().len()), (1, 1));
}

fn a_hand_stops_and_queues_trials_whoever_has_them(store: &dyn StudyStore) {
    begin(store, 0);
    let stopped = store.force(0, Force::Stop).unwrap();
    assert_eq!((&stopped.state, stopped.attempt), (&TrialState::Stopped, 2));
    assert!(matches!(
        store.finish(&end(0, 1)),
        Err(StoreError::Fenced { .. })
    ));
    assert!(matches!(
        store.force(0, Force::Stop),
        Err(StoreError::State { .. })
    ));
    let queued = store.force(0, Force::Queue).unwrap();
    assert_eq!((&queued.state, queued.attempt), (&TrialState::Queued, 3));
    let next = store.claim(&worker("w", false), &[]).unwrap().unwrap();
    assert_eq!(next.attempt, 4);
    store.finish(&end(0, 4)).unwrap();
    let error = store.force(0, Force::Queue).unwrap_err();
    assert!(error.to_string().contains("is complete"), "{error}");
    assert!(matches!(
        store.force(9, Force::Stop),
        Err(StoreError::NoTrial { number: 9, .. })
    ));
}

fn status_and_settings_are_changed_while_it_runs(store: &dyn StudyStore) {
    assert_eq!(store.study().unwrap().status, Status::Running);
    let settings = StudySettings {
        budget: Some(Budget {
            n_trials: Some(7),
            minutes: Some(0.5),
            trial_minutes: None,
        }),
        retry: RetryPolicy::shared(),
        artifacts: Some("s3://bucket/folder".into()),
    };
    let edit = StudyEdit {
        status: None,
        settings: Some(settings.clone()),
    };
    store.edit(&edit).unwrap();
    for status in [Status::Paused, Status::Stopped, Status::Running] {
        let edit = StudyEdit {
            status: Some(status),
            settings: None,
        };
        store.edit(&edit).unwrap();
        let study = store.study().unwrap();
        assert_eq!((study.status, &study.settings), (status, &settings));
    }
    assert_eq!(store.study().unwrap().seconds, 0.0);
    begin(store, 0);
    assert!(store.study().unwrap().seconds >= 0.0);
}

fn what_changed_since_a_mark_is_told_and_nothing_is_left_out(store: &dyn StudyStore) {
    let numbers = |changes: &Changes| -> Vec<u64> {
        changes.trials.iter().map(|trial| trial.number).collect()
    };
    let none = store.changed(0).unwrap();
    assert!(none.trials.is_empty());
    (0..3).for_each(|number| {
        begin(store, number);
    });
    let begun = store.changed(none.mark).unwrap();
    assert_eq!(numbers(&begun), [0, 1, 2]);
    store.finish(&end(1, 1)).unwrap();
    let ended = store.changed(begun.mark).unwrap();
    let end_of = |changes: &Changes| {
        let one = changes.trials.iter().find(|trial| trial.number == 1);
        one.map(|trial| trial.state.name())
    };
    assert_eq!(end_of(&ended), Some("complete"));
    assert_eq!(store.changed(0).unwrap().trials, store.trials().unwrap());
    // Whatever many threads write while one follows, it ends up with all of it.
    let mut known: BTreeMap<u64, Trial> = BTreeMap::new();
    let mut mark = 0;
    let mut follow = |mark: &mut u64| {
        let changes = store.changed(*mark).unwrap();
        *mark = changes.mark;
        known.extend(changes.trials.into_iter().map(|it| (it.number, it)));
        known.len()
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..10 {
                    let number = 3 + thread * 10 + round;
                    begin(store, number);
                    store.finish(&end(number, 1)).unwrap();
                }
            });
        }
        while follow(&mut mark) < 43 {}
    });
    follow(&mut mark);
    let known: Vec<Trial> = known.into_values().collect();
    assert_eq!(known, store.trials().unwrap());
}

fn the_best_come_first_and_the_summary_counts_all(store: &dyn StudyStore) {
    let losses = [0.5, 0.25, 0.5, 0.75];
    for (number, loss) in losses.into_iter().enumerate() {
        let number = number as u64;
        begin(store, number);
        let scores = Scores {
            validation_loss: loss,
            validation_accuracy: 0.5,
        };
        let state = match number {
            3 => TrialState::Paused { scores },
            _ => TrialState::Complete { scores },
        };
        store
            .finish(&TrialEnd {
                state,
                ..end(number, 1)
            })
            .unwrap();
    }
    begin(store, 4);
    let numbers: Vec<u64> = store.best(9).unwrap().iter().map(|it| it.number).collect();
    assert_eq!(numbers, [1, 0, 2, 3]);
    store.resume(3, &alone()).unwrap();
    let numbers: Vec<u64> = store.best(9).unwrap().iter().map(|it| it.number).collect();
    assert_eq!(numbers, [1, 0, 2]);
    let summary = store.summary().unwrap();
    assert_eq!(summary.n_trials(), 5);
    assert_eq!(
        (
            summary.n_by_state["complete"],
            summary.n_by_state["running"]
        ),
        (3, 2)
    );
    assert_eq!(summary.seconds, 4.0 * 1.25);
    assert_eq!(summary.best.unwrap().number, 1);
}

pub(super) fn all(make: impl Fn() -> Box<dyn StudyStore>) {
    what_is_written_is_read_back_exactly(&*make());
    a_number_and_a_genome_are_given_once(&*make());
    a_late_write_of_a_dead_attempt_is_refused(&*make());
    begun_once_among_many_threads(&*make());
    a_paused_trial_runs_again_at_a_new_attempt(&*make());
    workers::a_queued_trial_is_claimed_once_lowest_first(&*make());
    workers::what_a_worker_forgot_is_its_own_again(&*make());
    workers::a_lost_trial_is_taken_by_another_until_the_policy_has_enough(&*make());
    workers::a_sign_of_life_keeps_a_trial_and_says_how_far_it_is(&*make());
    workers::a_trial_handed_back_goes_on_elsewhere_where_it_was(&*make());
    a_hand_stops_and_queues_trials_whoever_has_them(&*make());
    status_and_settings_are_changed_while_it_runs(&*make());
    what_changed_since_a_mark_is_told_and_nothing_is_left_out(&*make());
    the_best_come_first_and_the_summary_counts_all(&*make());
    workers::many_claim_at_once_and_no_trial_is_had_twice(&*make());
    workers::proposals_are_made_one_at_a_time(&*make());
}

#[test]
fn the_memory_store_keeps_the_contract() {
    all(|| Box::new(MemoryStore::default()));
}

#[test]
fn the_sqlite_store_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let n = std::cell::Cell::new(0);
    all(|| {
        n.set(n.get() + 1);
        let path = folder.path().join(format!("{}.sqlite", n.get()));
        Box::new(SqliteStore::open(&path, "f00d").unwrap())
    });
}

#[test]
fn an_sqlite_study_is_there_again_when_opened_again_and_only_for_its_own_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.sqlite");
    {
        let store = SqliteStore::open(&path, "f00d").unwrap();
        store.begin(&new_trial(0, 8), Some(&alone())).unwrap();
        store.finish(&end(0, 1)).unwrap();
        store.begin(&new_trial(1, 9), Some(&alone())).unwrap();
    }
    let trials = SqliteStore::open(&path, "f00d").unwrap().trials().unwrap();
    assert_eq!(trials.len(), 2);
    assert_eq!(trials[1].state, TrialState::Running);
    let error = SqliteStore::open(&path, "beef").err().unwrap().to_string();
    assert!(
        error.ends_with("found the study of run f00d, expected that of beef"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_no_study_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.sqlite");
    std::fs::write(&path, "not a database, but long enough to look at").unwrap();
    let error = SqliteStore::open(&path, "f00d").err().unwrap().to_string();
    assert!(error.contains("study.sqlite"), "{error}");
}
