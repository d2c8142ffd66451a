//! A study in one SQLite file: a finished trial is on disk before anything else happens, so that a
//! process killed at any instruction loses at most the trials it was running.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};

use super::{NewTrial, StoreError, StudyStore, Trial, TrialEnd, TrialState};

/// Version of the schema, kept in SQLite's `user_version`.
const SCHEMA: u32 = 2;

/// Trials in a file.
pub struct SqliteStore {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl SqliteStore {
    /// Opens the study, or begins it where there is no file.
    ///
    /// # Errors
    ///
    /// A file that is no study, one of a later schema, or the study of another run.
    pub fn open(path: &Path, fingerprint: &str) -> Result<Self, StoreError> {
        let fault = |source| StoreError::Sqlite {
            path: path.into(),
            source,
        };
        let connection = Connection::open(path).map_err(fault)?;
        connection
            .busy_timeout(std::time::Duration::from_secs(30))
            .map_err(fault)?;
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
            .map_err(fault)?;
        let found: u32 = connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(fault)?;
        match found {
            SCHEMA => {}
            0 => connection
                .execute_batch(&format!(
                    "BEGIN IMMEDIATE;
                     CREATE TABLE study (fingerprint TEXT NOT NULL);
                     CREATE TABLE trial (
                       number INTEGER PRIMARY KEY,
                       parent INTEGER,
                       genome TEXT NOT NULL,
                       key TEXT NOT NULL UNIQUE,
                       hyper TEXT NOT NULL,
                       cost TEXT NOT NULL,
                       donors TEXT NOT NULL,
                       teachers TEXT NOT NULL,
                       attempt INTEGER NOT NULL,
                       running INTEGER NOT NULL,
                       state TEXT NOT NULL,
                       curve TEXT NOT NULL,
                       seconds REAL NOT NULL,
                       n_inherited INTEGER NOT NULL,
                       batch_size INTEGER NOT NULL
                     );
                     PRAGMA user_version = {SCHEMA};
                     COMMIT;"
                ))
                .map_err(fault)?,
            found => {
                return Err(StoreError::Schema {
                    path: path.into(),
                    found,
                    expected: SCHEMA,
                });
            }
        }
        let owner: Option<String> = connection
            .query_row("SELECT fingerprint FROM study", [], |row| row.get(0))
            .optional()
            .map_err(fault)?;
        match owner {
            None => {
                let insert = "INSERT INTO study (fingerprint) VALUES (?1)";
                connection.execute(insert, [fingerprint]).map_err(fault)?;
            }
            Some(found) if found != fingerprint => {
                return Err(StoreError::OtherStudy {
                    path: path.into(),
                    found,
                    expected: fingerprint.into(),
                });
            }
            Some(_) => {}
        }
        Ok(Self {
            path: path.into(),
            connection: Mutex::new(connection),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // Every change is one statement, so a panic elsewhere leaves the file whole.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self, source: rusqlite::Error) -> StoreError {
        StoreError::Sqlite {
            path: self.path.clone(),
            source,
        }
    }

    fn text<T: serde::Serialize>(value: &T) -> String {
        serde_json::to_string(value).expect("rows are plain data")
    }

    fn trial(&self, number: u64) -> Result<Trial, StoreError> {
        let rows = self.rows("WHERE number = ?1", [number as i64])?;
        rows.into_iter().next().ok_or_else(|| StoreError::Damaged {
            path: self.path.clone(),
            what: format!("trial {number}"),
            reason: "the row is gone".into(),
        })
    }

    fn rows(&self, filter: &str, params: impl rusqlite::Params) -> Result<Vec<Trial>, StoreError> {
        let connection = self.lock();
        let query = format!(
            "SELECT number, parent, genome, cost, attempt, state, curve, seconds, n_inherited, hyper, donors,
                    batch_size, teachers
             FROM trial {filter} ORDER BY number"
        );
        let mut statement = connection.prepare(&query).map_err(|e| self.fault(e))?;
        let raw = statement
            .query_map(params, RawTrial::read)
            .map_err(|e| self.fault(e))?;
        raw.map(|row| row.map_err(|e| self.fault(e))?.parse(&self.path))
            .collect()
    }
}

/// A row as it lies in the file.
struct RawTrial {
    number: i64,
    parent: Option<i64>,
    genome: String,
    cost: String,
    attempt: u32,
    state: String,
    curve: String,
    seconds: f64,
    n_inherited: i64,
    hyper: String,
    donors: String,
    batch_size: i64,
    teachers: String,
}

impl RawTrial {
    fn read(row: &Row) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get(0)?,
            parent: row.get(1)?,
            genome: row.get(2)?,
            cost: row.get(3)?,
            attempt: row.get(4)?,
            state: row.get(5)?,
            curve: row.get(6)?,
            seconds: row.get(7)?,
            n_inherited: row.get(8)?,
            hyper: row.get(9)?,
            donors: row.get(10)?,
            batch_size: row.get(11)?,
            teachers: row.get(12)?,
        })
    }

    fn parse(self, path: &Path) -> Result<Trial, StoreError> {
        fn part<T: for<'a> serde::Deserialize<'a>>(
            path: &Path,
            number: i64,
            field: &str,
            text: &str,
        ) -> Result<T, StoreError> {
            serde_json::from_str(text).map_err(|error| StoreError::Damaged {
                path: path.into(),
                what: format!("{field} of trial {number}"),
                reason: error.to_string(),
            })
        }
        Ok(Trial {
            number: self.number as u64,
            parent: self.parent.map(|parent| parent as u64),
            genome: part(path, self.number, "genome", &self.genome)?,
            cost: part(path, self.number, "cost", &self.cost)?,
            attempt: self.attempt,
            state: part(path, self.number, "state", &self.state)?,
            curve: part(path, self.number, "curve", &self.curve)?,
            seconds: self.seconds,
            n_inherited: self.n_inherited as u64,
            hyper: part(path, self.number, "hyper", &self.hyper)?,
            donors: part(path, self.number, "donors", &self.donors)?,
            batch_size: self.batch_size as usize,
            teachers: part(path, self.number, "teachers", &self.teachers)?,
        })
    }
}

impl StudyStore for SqliteStore {
    fn trials(&self) -> Result<Vec<Trial>, StoreError> {
        self.rows("", [])
    }

    fn begin(&self, new: &NewTrial) -> Result<Trial, StoreError> {
        let trial = new.running();
        let inserted = self.lock().execute(
            "INSERT INTO trial (number, parent, genome, key, cost, attempt, running, state, curve, seconds,
                                n_inherited, hyper, donors, batch_size, teachers)
             VALUES (?1, ?2, ?3, ?4, ?5, 1, 1, ?6, '[]', 0, 0, ?7, ?8, ?9, ?10)",
            params![
                trial.number as i64,
                trial.parent.map(|parent| parent as i64),
                trial.genome.canonical(),
                new.key,
                Self::text(&trial.cost),
                Self::text(&TrialState::Running),
                Self::text(&trial.hyper),
                Self::text(&trial.donors),
                trial.batch_size as i64,
                Self::text(&trial.teachers),
            ],
        );
        match inserted {
            Ok(_) => Ok(trial),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Err(StoreError::Taken {
                    number: trial.number,
                    key: new.key.clone(),
                })
            }
            Err(error) => Err(self.fault(error)),
        }
    }

    fn take_over(&self, number: u64) -> Result<Trial, StoreError> {
        let update = "UPDATE trial SET attempt = attempt + 1 WHERE number = ?1 AND running = 1";
        let changed = self.lock().execute(update, [number as i64]);
        match changed.map_err(|e| self.fault(e))? {
            0 => Err(StoreError::Fenced { number, attempt: 0 }),
            _ => self.trial(number),
        }
    }

    fn resume(&self, number: u64) -> Result<Trial, StoreError> {
        let changed = self.lock().execute(
            "UPDATE trial SET attempt = attempt + 1, running = 1, state = ?2
             WHERE number = ?1 AND running = 0 AND json_extract(state, '$.state') = 'paused'",
            params![number as i64, Self::text(&TrialState::Running)],
        );
        match changed.map_err(|e| self.fault(e))? {
            0 => Err(StoreError::Fenced { number, attempt: 0 }),
            _ => self.trial(number),
        }
    }

    fn finish(&self, end: &TrialEnd) -> Result<(), StoreError> {
        let changed = self.lock().execute(
            "UPDATE trial SET running = 0, state = ?3, curve = ?4, seconds = ?5, n_inherited = ?6,
                              batch_size = ?7
             WHERE number = ?1 AND attempt = ?2 AND running = 1",
            params![
                end.number as i64,
                end.attempt,
                Self::text(&end.state),
                Self::text(&end.curve),
                end.seconds,
                end.n_inherited as i64,
                end.batch_size as i64,
            ],
        );
        match changed.map_err(|e| self.fault(e))? {
            0 => Err(StoreError::Fenced {
                number: end.number,
                attempt: end.attempt,
            }),
            _ => Ok(()),
        }
    }
}
