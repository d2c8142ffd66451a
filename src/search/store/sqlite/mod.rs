//! A study in one SQLite file: a finished trial is on disk before anything else happens, so that a process killed at
//! any instruction loses at most the trials it was running. Several processes of one machine may share it.

mod schema;
mod table;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, params};

use schema::{SCHEMA, migrate};

use super::row::text;
use super::{
    Beat, Changes, Force, HandBack, Holder, Lease, NewTrial, Status, StoreError, Study, StudyEdit,
    StudyStore, Suggesting, Summary, Trial, TrialEnd, TrialState,
};

/// Seconds since 1970 by this machine's clock, which all who share a file share.
const NOW: &str = "((julianday('now') - 2440587.5) * 86400.0)";

/// Trials in a file.
pub struct SqliteStore {
    path: PathBuf,
    connection: Mutex<Connection>,
}

/// The file beside the study's that is locked while somebody proposes.
struct Proposing(#[allow(dead_code, reason = "locked until it is closed")] File);

impl Suggesting for Proposing {}

impl SqliteStore {
    /// Opens the study, or begins it where there is no file.
    ///
    /// # Errors
    ///
    /// A file that is no study, one of a later schema, or the study of another run.
    pub fn open(path: &Path, fingerprint: &str) -> Result<Self, StoreError> {
        let store = Self::connect(path)?;
        let owner = store.fingerprint()?;
        match owner {
            None => {
                let insert = "INSERT INTO study (fingerprint, name) VALUES (?1, ?1)";
                let connection = store.lock();
                let inserted = connection.execute(insert, [fingerprint]);
                inserted.map_err(|e| store.fault(e))?;
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
        Ok(store)
    }

    /// Opens whatever study the file holds.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoFile`], or a file without a study.
    pub fn open_any(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::NoFile { path: path.into() });
        }
        let store = Self::connect(path)?;
        match store.fingerprint()? {
            Some(_) => Ok(store),
            None => Err(StoreError::Damaged {
                path: path.into(),
                what: "the study".into(),
                reason: "it was never begun".into(),
            }),
        }
    }

    fn connect(path: &Path) -> Result<Self, StoreError> {
        let fault = |source| StoreError::Sqlite {
            path: path.into(),
            source,
        };
        let mut connection = Connection::open(path).map_err(fault)?;
        connection
            .busy_timeout(std::time::Duration::from_secs(30))
            .map_err(fault)?;
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
            .map_err(fault)?;
        if let Err(found) = migrate(&mut connection).map_err(fault)? {
            return Err(StoreError::Schema {
                path: path.into(),
                found,
                expected: SCHEMA,
            });
        }
        Ok(Self {
            path: path.into(),
            connection: Mutex::new(connection),
        })
    }

    fn fingerprint(&self) -> Result<Option<String>, StoreError> {
        let connection = self.lock();
        connection
            .query_row("SELECT fingerprint FROM study", [], |row| row.get(0))
            .optional()
            .map_err(|e| self.fault(e))
    }

    /// Puts the recipe beside the study, for workers that have nothing but the file.
    pub fn set_recipe(&self, name: &str, recipe: &str) -> Result<(), StoreError> {
        let update = "UPDATE study SET recipe = ?1, name = ?2";
        let changed = self.lock().execute(update, [recipe, name]);
        changed.map_err(|e| self.fault(e)).map(|_| ())
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // Every change is one transaction, so a panic elsewhere leaves the file whole.
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
}

impl StudyStore for SqliteStore {
    fn study(&self) -> Result<Study, StoreError> {
        let connection = self.lock();
        let query = format!(
            "SELECT name, fingerprint, recipe, status, settings, coalesce({NOW} - started_s, 0) FROM study"
        );
        type Raw = (String, String, String, String, String, f64);
        let read = |row: &rusqlite::Row| -> rusqlite::Result<Raw> {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
            ))
        };
        let raw = connection.query_row(&query, [], read);
        let (name, fingerprint, recipe, status, settings, seconds) =
            raw.map_err(|e| self.fault(e))?;
        let damaged = |what: &str, reason: String| StoreError::Damaged {
            path: self.path.clone(),
            what: format!("the study's {what}"),
            reason,
        };
        Ok(Study {
            name,
            fingerprint,
            recipe,
            status: Status::of_name(&status).ok_or_else(|| damaged("status", status.clone()))?,
            settings: serde_json::from_str(&settings)
                .map_err(|error| damaged("settings", error.to_string()))?,
            seconds,
        })
    }

    fn edit(&self, edit: &StudyEdit) -> Result<(), StoreError> {
        let update =
            "UPDATE study SET status = coalesce(?1, status), settings = coalesce(?2, settings)";
        let status = edit.status.map(Status::name);
        let settings = edit.settings.as_ref().map(text);
        let changed = self.lock().execute(update, params![status, settings]);
        changed.map_err(|e| self.fault(e)).map(|_| ())
    }

    fn changed(&self, since: u64) -> Result<Changes, StoreError> {
        let connection = self.lock();
        let filter = "WHERE revision > ?1 ORDER BY number";
        let read = connection
            .unchecked_transaction()
            .map_err(|e| self.fault(e))?;
        let trials = self.rows(&read, filter, [since as i64])?;
        let mark = "SELECT coalesce(max(revision), 0) FROM trial";
        let mark: i64 = read
            .query_row(mark, [], |row| row.get(0))
            .map_err(|e| self.fault(e))?;
        Ok(Changes {
            trials,
            mark: mark as u64,
        })
    }

    fn trial(&self, number: u64) -> Result<Trial, StoreError> {
        let found = self.first(&self.lock(), "number = ?1", [number as i64])?;
        found.ok_or_else(|| StoreError::NoTrial {
            place: self.path.display().to_string(),
            number,
        })
    }

    fn summary(&self) -> Result<Summary, StoreError> {
        let mut summary = Summary::default();
        {
            let connection = self.lock();
            let query = "SELECT status, failure, count(*), sum(seconds) FROM trial GROUP BY status, failure";
            let mut statement = connection.prepare(query).map_err(|e| self.fault(e))?;
            let read =
                |row: &rusqlite::Row| -> rusqlite::Result<(String, Option<String>, i64, f64)> {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                };
            let groups = statement.query_map([], read).map_err(|e| self.fault(e))?;
            for group in groups {
                let (state, failure, n, seconds) = group.map_err(|e| self.fault(e))?;
                summary.add(state, failure, n as u64, seconds);
            }
        }
        summary.best = self.best(1)?.into_iter().next();
        Ok(summary)
    }

    fn best(&self, n: usize) -> Result<Vec<Trial>, StoreError> {
        let filter = "WHERE loss IS NOT NULL ORDER BY loss, number LIMIT ?1";
        self.rows(&self.lock(), filter, [n as i64])
    }

    fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        let connection = self.lock();
        let query = format!(
            "SELECT number, worker, {NOW} - beat_s, beat_s + lease_s - {NOW} FROM trial
             WHERE status = 'running' ORDER BY number"
        );
        let mut statement = connection.prepare(&query).map_err(|e| self.fault(e))?;
        let read = |row: &rusqlite::Row| {
            Ok(Lease {
                number: row.get::<_, i64>(0)? as u64,
                worker: row.get(1)?,
                seconds_since_beat: row.get(2)?,
                seconds_left: row.get(3)?,
            })
        };
        let leases = statement.query_map([], read).map_err(|e| self.fault(e))?;
        leases
            .collect::<rusqlite::Result<_>>()
            .map_err(|e| self.fault(e))
    }

    fn suggesting(&self) -> Result<Box<dyn Suggesting + '_>, StoreError> {
        let mut name = self.path.clone().into_os_string();
        name.push("-proposing");
        let path = PathBuf::from(name);
        let locked = File::create(&path).and_then(|file| file.lock().map(|()| file));
        match locked {
            Ok(file) => Ok(Box::new(Proposing(file))),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    fn begin(&self, new: &NewTrial, holder: Option<&Holder>) -> Result<Trial, StoreError> {
        let trial = new.row(holder.is_some());
        self.change(|change| {
            self.start(change)?;
            self.insert(change, &new.key, &trial)?;
            holder.map_or(Ok(()), |holder| self.hold(change, trial.number, holder))
        })?;
        Ok(trial)
    }

    fn import(&self, trials: &[(String, Trial)]) -> Result<(), StoreError> {
        self.change(|change| {
            let mut each = trials.iter();
            each.try_for_each(|(key, trial)| self.insert(change, key, &trial.imported()))
        })
    }

    fn claim(&self, holder: &Holder, busy: &[u64]) -> Result<Option<Trial>, StoreError> {
        let lost = format!("status = 'running' AND worker <> ?1 AND beat_s + lease_s <= {NOW}");
        // Most often there is nothing, and then nothing is written.
        let own = "status = 'running' AND worker = ?1 AND lease_s IS NOT NULL";
        let any = format!("status = 'queued' OR ({lost}) OR ({own})");
        let any = self.rows(
            &self.lock(),
            &format!("WHERE {any} ORDER BY number LIMIT ?2"),
            params![holder.worker, busy.len() as i64 + 1],
        )?;
        let is_free =
            |trial: &Trial| trial.state == TrialState::Queued || !busy.contains(&trial.number);
        if !any.iter().any(is_free) {
            return Ok(None);
        }
        let policy = self.study()?.settings.retry;
        self.change(|change| {
            self.start(change)?;
            let own = format!("WHERE {own} ORDER BY number");
            let own = self.rows(change, &own, [&holder.worker])?;
            if let Some(forgotten) = own.into_iter().find(|it| !busy.contains(&it.number)) {
                return self.run(change, forgotten, holder).map(Some);
            }
            while let Some(mut trial) = self.first(change, &lost, [&holder.worker])? {
                let worker = "SELECT worker FROM trial WHERE number = ?1";
                let worker: String = change
                    .query_row(worker, [trial.number as i64], |row| row.get(0))
                    .map_err(|e| self.fault(e))?;
                let goes_on = trial.set_lost(&worker, &policy);
                self.write(change, &trial)?;
                if goes_on {
                    self.hold(change, trial.number, holder)?;
                    return Ok(Some(trial));
                }
            }
            match self.first(change, "status = 'queued'", [])? {
                Some(trial) => self.run(change, trial, holder).map(Some),
                None => Ok(None),
            }
        })
    }

    fn take_over(&self, number: u64, holder: &Holder) -> Result<Trial, StoreError> {
        let left = "number = ?1 AND status = 'running' AND lease_s IS NULL";
        self.change(|change| {
            let trial = self.first(change, left, [number as i64])?;
            let trial = trial.ok_or(StoreError::Fenced { number, attempt: 0 })?;
            self.run(change, trial, holder)
        })
    }

    fn resume(&self, number: u64, holder: &Holder) -> Result<Trial, StoreError> {
        let paused = "number = ?1 AND status = 'paused'";
        self.change(|change| {
            let trial = self.first(change, paused, [number as i64])?;
            let trial = trial.ok_or(StoreError::Fenced { number, attempt: 0 })?;
            self.run(change, trial, holder)
        })
    }

    fn heartbeat(&self, beat: &Beat) -> Result<(), StoreError> {
        self.change(|change| {
            let mut trial = self.running_at(change, beat.number, beat.attempt)?;
            if let Some(progress) = &beat.progress {
                trial.set_progress(progress);
                self.write(change, &trial)?;
            }
            let update = format!("UPDATE trial SET lease_s = ?2, beat_s = {NOW} WHERE number = ?1");
            let lease_s = beat.lease.map(|lease| lease.as_secs_f64());
            let renewed = change.execute(&update, params![beat.number as i64, lease_s]);
            renewed.map_err(|e| self.fault(e)).map(|_| ())
        })
    }

    fn hand_back(&self, back: &HandBack) -> Result<(), StoreError> {
        self.change(|change| {
            let mut trial = self.running_at(change, back.number, back.attempt)?;
            trial.set_back(back);
            self.write(change, &trial)
        })
    }

    fn finish(&self, end: &TrialEnd) -> Result<(), StoreError> {
        self.change(|change| {
            let mut trial = self.running_at(change, end.number, end.attempt)?;
            trial.set_end(end);
            self.write(change, &trial)
        })
    }

    fn force(&self, number: u64, to: Force) -> Result<Trial, StoreError> {
        self.change(|change| {
            let trial = self.first(change, "number = ?1", [number as i64])?;
            let mut trial = trial.ok_or_else(|| StoreError::NoTrial {
                place: self.path.display().to_string(),
                number,
            })?;
            trial.set_forced(to)?;
            self.write(change, &trial)?;
            Ok(trial)
        })
    }
}
