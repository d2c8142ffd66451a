//! What a study remembers, behind one trait: in memory, or in an SQLite file in the run's folder.
//!
//! Every write names the attempt that it belongs to; a write of an attempt that has been taken over
//! is refused. Resuming is reading: there is no other state.

mod memory;
mod sqlite;

pub use memory::MemoryStore;
pub use sqlite::SqliteStore;

use std::path::PathBuf;

use super::hyper::HyperPoint;
use super::trial::{CurvePoint, Trial, TrialState};
use crate::model::{Cost, Genome};

/// Trials of one study. Safe to share between threads.
pub trait StudyStore: Send + Sync {
    /// All trials by number.
    fn trials(&self) -> Result<Vec<Trial>, StoreError>;

    /// Writes a new trial down as running, attempt 1.
    ///
    /// # Errors
    ///
    /// [`StoreError::Taken`] where the number or the key is there already.
    fn begin(&self, new: &NewTrial) -> Result<Trial, StoreError>;

    /// Takes over a running trial whose worker is gone: its attempt counts up, so that a late write of
    /// the old one is refused.
    fn take_over(&self, number: u64) -> Result<Trial, StoreError>;

    /// Sets a paused trial running again, its attempt counted up.
    fn resume(&self, number: u64) -> Result<Trial, StoreError>;

    /// Ends or pauses a running trial.
    ///
    /// # Errors
    ///
    /// [`StoreError::Fenced`] where the trial is not running at that attempt.
    fn finish(&self, end: &TrialEnd) -> Result<(), StoreError>;
}

/// A trial before it runs.
#[derive(Clone, Debug)]
pub struct NewTrial {
    pub number: u64,
    /// What must not be tried twice: the genome's hash, or whatever tells repeats apart where they are wanted.
    pub key: String,
    pub parent: Option<u64>,
    pub genome: Genome,
    pub hyper: HyperPoint,
    pub cost: Cost,
    pub donors: Vec<u64>,
    pub teachers: Vec<u64>,
    pub batch_size: usize,
}

/// How a trial ended.
#[derive(Clone, Debug)]
pub struct TrialEnd {
    pub number: u64,
    pub attempt: u32,
    pub state: TrialState,
    pub curve: Vec<CurvePoint>,
    pub seconds: f64,
    pub n_inherited: u64,
    pub batch_size: usize,
}

/// Why a store refused.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("trial {number} or what it tries ({key}) is in the study already")]
    Taken { number: u64, key: String },
    #[error("trial {number} is not running at attempt {attempt}: a late write is refused")]
    Fenced { number: u64, attempt: u32 },
    #[error("{}: {source}", path.display())]
    Sqlite {
        path: PathBuf,
        source: rusqlite::Error,
    },
    #[error("{}: {what} is damaged: {reason}", path.display())]
    Damaged {
        path: PathBuf,
        what: String,
        reason: String,
    },
    #[error("{}: found a study of schema {found}, this version reads {expected}", path.display())]
    Schema {
        path: PathBuf,
        found: u32,
        expected: u32,
    },
    #[error("{}: found the study of run {found}, expected that of {expected}", path.display())]
    OtherStudy {
        path: PathBuf,
        found: String,
        expected: String,
    },
}

#[cfg(test)]
mod contract {
    //! One suite for every store.

    use std::collections::BTreeMap;

    use super::*;
    use crate::model::blocks::conv1d::Conv1dSpec;
    use crate::model::{Head, Ports};
    use crate::search::hyper::HyperValue;
    use crate::search::trial::{Failure, FailureKind, Scores};

    fn new_trial(number: u64, n_channels: usize) -> NewTrial {
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
        }
    }

    fn end(number: u64, attempt: u32) -> TrialEnd {
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
        }
    }

    fn what_is_written_is_read_back_exactly(store: &dyn StudyStore) {
        let begun = store.begin(&new_trial(0, 8)).unwrap();
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
        store.begin(&new_trial(1, 9)).unwrap();
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
        };
        assert_eq!(trials[0], expected);
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
        store.begin(&new_trial(0, 8)).unwrap();
        assert!(matches!(
            store.begin(&new_trial(0, 9)),
            Err(StoreError::Taken { .. })
        ));
        assert!(matches!(
            store.begin(&new_trial(1, 8)),
            Err(StoreError::Taken { .. })
        ));
        assert_eq!(store.trials().unwrap().len(), 1);
    }

    fn a_late_write_of_a_dead_attempt_is_refused(store: &dyn StudyStore) {
        store.begin(&new_trial(0, 8)).unwrap();
        assert_eq!(store.take_over(0).unwrap().attempt, 2);
        assert!(matches!(
            store.finish(&end(0, 1)),
            Err(StoreError::Fenced { attempt: 1, .. })
        ));
        store.finish(&end(0, 2)).unwrap();
        assert!(matches!(
            store.finish(&end(0, 2)),
            Err(StoreError::Fenced { .. })
        ));
        assert!(matches!(store.take_over(0), Err(StoreError::Fenced { .. })));
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
        store.begin(&new_trial(0, 8)).unwrap();
        assert!(matches!(store.resume(0), Err(StoreError::Fenced { .. })));
        store.finish(&paused).unwrap();
        let again = store.resume(0).unwrap();
        assert_eq!((again.attempt, &again.state), (2, &TrialState::Running));
        assert_eq!((again.curve.len(), again.seconds), (1, 1.25));
        assert!(matches!(
            store.finish(&end(0, 1)),
            Err(StoreError::Fenced { .. })
        ));
        store.finish(&end(0, 2)).unwrap();
        assert!(matches!(store.resume(0), Err(StoreError::Fenced { .. })));
    }

    fn begun_once_among_many_threads(store: &dyn StudyStore) {
        let n_taken = std::thread::scope(|scope| {
            let begin = |thread: usize| store.begin(&new_trial(0, 8 + thread)).is_ok();
            let threads: Vec<_> = (0..8)
                .map(|thread| scope.spawn(move || begin(thread)))
                .collect();
            let taken = threads.into_iter().map(|thread| thread.join().unwrap());
            taken.filter(|&taken| taken).count()
        });
        assert_eq!((n_taken, store.trials().unwrap().len()), (1, 1));
    }

    fn all(make: impl Fn() -> Box<dyn StudyStore>) {
        what_is_written_is_read_back_exactly(&*make());
        a_number_and_a_genome_are_given_once(&*make());
        a_late_write_of_a_dead_attempt_is_refused(&*make());
        begun_once_among_many_threads(&*make());
        a_paused_trial_runs_again_at_a_new_attempt(&*make());
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
            store.begin(&new_trial(0, 8)).unwrap();
            store.finish(&end(0, 1)).unwrap();
            store.begin(&new_trial(1, 9)).unwrap();
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
}
