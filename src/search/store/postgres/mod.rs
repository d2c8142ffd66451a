//! Studies in a PostgreSQL database (14 or later) that any number of workers on any machines share.
//!
//! Claims skip what others hold (`FOR UPDATE SKIP LOCKED`); leases run on the server's clock; proposals are made one
//! at a time under an advisory lock of the server. Workers ask again and again instead of waiting for notifications:
//! what is polled is true after any fault. Every value is bound, none is pasted into a statement.

mod connection;
mod lost;
mod rows;
mod schema;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use postgres::fallible_iterator::FallibleIterator;

use super::row::{COLUMNS, text};
use super::{
    Beat, Changes, Force, HandBack, Holder, Lease, NewTrial, Status, StoreError, Study,
    StudyAddress, StudyEdit, StudySettings, StudyStore, Suggesting, Summary, Trial, TrialEnd,
    TrialState,
};
use connection::{Connection, Database, Params};
use rows::{Inserted, insert, read, unless_taken};

/// Between two looks for trials that were lost, where there is something else to claim.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// A proposer that says nothing for so long loses its lock: it may be frozen.
const PROPOSAL_TIMEOUT_S: u32 = 15;

/// One study of a database.
pub struct PostgresStore {
    database: Database,
    study: i64,
    name: String,
    looked: Mutex<Option<Instant>>,
}

struct Proposing<'a> {
    database: &'a Database,
    connection: Option<Connection>,
    key: i64,
}

impl Suggesting for Proposing<'_> {}

impl Drop for Proposing<'_> {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        let unlock = format!(
            "SELECT pg_advisory_unlock({}); SET idle_session_timeout = 0",
            self.key
        );
        // A connection that broke has lost its lock with it.
        if connection.client.batch_execute(&unlock).is_ok() {
            self.database.put_back(connection);
        }
    }
}

impl PostgresStore {
    /// Opens a study, the only one of the database where none is named.
    ///
    /// # Errors
    ///
    /// A database that cannot be reached, one of a later schema, or no such study.
    pub fn open(url: &str, name: Option<&str>) -> Result<Self, StoreError> {
        let database = Database::new(url)?;
        database.migrate()?;
        let (study, name) = database.find(name)?;
        Ok(Self {
            database,
            study,
            name,
            looked: Mutex::new(None),
        })
    }

    /// Begins a study.
    ///
    /// # Errors
    ///
    /// [`StoreError::StudyExists`] where one of that name is there.
    pub fn create(
        url: &str,
        name: &str,
        fingerprint: &str,
        recipe: &str,
        settings: &StudySettings,
    ) -> Result<(), StoreError> {
        let database = Database::new(url)?;
        database.migrate()?;
        database.create(name, fingerprint, recipe, settings)
    }

    /// Names of all studies of a database.
    pub fn names(url: &str) -> Result<Vec<String>, StoreError> {
        let database = Database::new(url)?;
        database.migrate()?;
        database.names()
    }

    /// Removes a study with its trials.
    pub fn delete(url: &str, name: &str) -> Result<(), StoreError> {
        let database = Database::new(url)?;
        database.migrate()?;
        database.delete(name)
    }

    fn place(&self) -> &Path {
        Path::new(&self.database.place)
    }

    fn rows(&self, filter: &str, params: Params) -> Result<Vec<Trial>, StoreError> {
        let query = format!("SELECT {COLUMNS} FROM auricle_trial {filter}");
        let rows = self.database.with(|it| it.query(&query, params))?;
        rows.iter()
            .map(|row| read(row, 0).parse(self.place()))
            .collect()
    }

    /// One statement that changes at most one trial and returns it.
    fn change(&self, update: &str, params: Params) -> Result<Option<Trial>, StoreError> {
        let update = format!("{update} RETURNING {COLUMNS}");
        let rows = self.database.with(|it| it.query(&update, params))?;
        let first = rows.first();
        first
            .map(|row| read(row, 0).parse(self.place()))
            .transpose()
    }

    /// One statement that changes the trial at that attempt, or none.
    fn fenced(
        &self,
        number: u64,
        attempt: u32,
        update: &str,
        params: Params,
    ) -> Result<(), StoreError> {
        match self.database.with(|it| it.execute(update, params))? {
            0 => Err(StoreError::Fenced { number, attempt }),
            _ => Ok(()),
        }
    }

    fn note_start(&self) -> Result<(), StoreError> {
        let update = "UPDATE auricle_study SET started = clock_timestamp() WHERE id = $1 AND started IS NULL";
        self.database
            .with(|it| it.execute(update, &[&self.study]))
            .map(|_| ())
    }
}

impl StudyStore for PostgresStore {
    fn study(&self) -> Result<Study, StoreError> {
        let query = "SELECT fingerprint, recipe, status, settings,
               coalesce(extract(epoch FROM clock_timestamp() - started), 0)::double precision
             FROM auricle_study WHERE id = $1";
        let rows = self.database.with(|it| it.query(query, &[&self.study]))?;
        let row = rows.first().ok_or_else(|| StoreError::NoStudy {
            place: self.database.place.clone(),
            name: self.name.clone(),
            names: "it was deleted".into(),
        })?;
        let damaged = |what: &str, reason: String| StoreError::Damaged {
            path: self.place().into(),
            what: format!("the study's {what}"),
            reason,
        };
        let (status, settings): (String, String) = (row.get(2), row.get(3));
        Ok(Study {
            name: self.name.clone(),
            fingerprint: row.get(0),
            recipe: row.get(1),
            status: Status::of_name(&status).ok_or_else(|| damaged("status", status.clone()))?,
            settings: serde_json::from_str(&settings)
                .map_err(|error| damaged("settings", error.to_string()))?,
            seconds: row.get(4),
        })
    }

    fn edit(&self, edit: &StudyEdit) -> Result<(), StoreError> {
        let update = "UPDATE auricle_study SET status = coalesce($2, status), settings = coalesce($3, settings)
             WHERE id = $1";
        let status = edit.status.map(Status::name);
        let settings = edit.settings.as_ref().map(text);
        self.database
            .with(|it| it.execute(update, &[&self.study, &status, &settings]))
            .map(|_| ())
    }

    fn changed(&self, since: u64) -> Result<Changes, StoreError> {
        // The mark is the oldest transaction that may still write something not seen here: what it writes, and
        // whatever was written since, comes with the next call.
        let query = format!(
            "SELECT mark, {COLUMNS} FROM (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS mark) AS seen
             LEFT JOIN auricle_trial ON study = $1 AND changed >= $2 ORDER BY number"
        );
        let mut trials = Vec::new();
        let mut mark: i64 = 0;
        let mut damage = None;
        self.database.with(|connection| {
            let statement = connection.statement(&query)?;
            let since = since as i64;
            let params: Params = &[&self.study, &since];
            let mut rows = connection
                .client
                .query_raw(&statement, params.iter().copied())?;
            while let Some(row) = rows.next()? {
                mark = row.get(0);
                if row.get::<_, Option<i64>>(1).is_none() {
                    continue;
                }
                match read(&row, 1).parse(self.place()) {
                    Ok(trial) => trials.push(trial),
                    Err(error) => damage = Some(error),
                }
            }
            Ok(())
        })?;
        match damage {
            Some(error) => Err(error),
            None => Ok(Changes {
                trials,
                mark: mark as u64,
            }),
        }
    }

    fn trial(&self, number: u64) -> Result<Trial, StoreError> {
        let rows = self.rows(
            "WHERE study = $1 AND number = $2",
            &[&self.study, &(number as i64)],
        )?;
        rows.into_iter().next().ok_or_else(|| StoreError::NoTrial {
            place: self.database.place.clone(),
            number,
        })
    }

    fn summary(&self) -> Result<Summary, StoreError> {
        let query = "SELECT status, failure, count(*), sum(seconds) FROM auricle_trial
             WHERE study = $1 AND status = ANY($2) GROUP BY status, failure";
        let names = TrialState::NAMES.as_slice();
        let rows = self
            .database
            .with(|it| it.query(query, &[&self.study, &names]))?;
        let mut summary = Summary::default();
        for row in rows {
            summary.add(
                row.get(0),
                row.get(1),
                row.get::<_, i64>(2) as u64,
                row.get(3),
            );
        }
        summary.best = self.best(1)?.into_iter().next();
        Ok(summary)
    }

    fn best(&self, n: usize) -> Result<Vec<Trial>, StoreError> {
        let filter = "WHERE study = $1 AND loss IS NOT NULL ORDER BY loss, number LIMIT $2";
        self.rows(filter, &[&self.study, &(n as i64)])
    }

    fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        let query =
            "SELECT number, worker, extract(epoch FROM clock_timestamp() - beat)::double precision,
               lease_s - extract(epoch FROM clock_timestamp() - beat)::double precision
             FROM auricle_trial WHERE study = $1 AND status = 'running' ORDER BY number";
        let rows = self.database.with(|it| it.query(query, &[&self.study]))?;
        let lease = |row: &postgres::Row| Lease {
            number: row.get::<_, i64>(0) as u64,
            worker: row.get(1),
            seconds_since_beat: row.get(2),
            seconds_left: row.get(3),
        };
        Ok(rows.iter().map(lease).collect())
    }

    fn suggesting(&self) -> Result<Box<dyn Suggesting + '_>, StoreError> {
        let key = 0x6175_7269_0000_0000_i64 | (self.study & 0xffff_ffff);
        let mut connection = self.database.take()?;
        let lock = format!(
            "SET idle_session_timeout = '{PROPOSAL_TIMEOUT_S}s'; SELECT pg_advisory_lock({key})"
        );
        if let Err(error) = connection.client.batch_execute(&lock) {
            self.database.note_broken();
            return Err(self.database.fault(&error));
        }
        Ok(Box::new(Proposing {
            database: &self.database,
            connection: Some(connection),
            key,
        }))
    }

    fn begin(&self, new: &NewTrial, holder: Option<&Holder>) -> Result<Trial, StoreError> {
        let trial = new.row(holder.is_some());
        let (insert, row) = (insert(), Inserted::of(self.study, &new.key, &trial, holder));
        let inserted = self
            .database
            .with(|it| unless_taken(it.execute(&insert, &row.params())))?;
        if !inserted {
            return Err(StoreError::Taken {
                number: new.number,
                key: new.key.clone(),
            });
        }
        if new.number == 0 {
            self.note_start()?;
        }
        Ok(trial)
    }

    fn import(&self, trials: &[(String, Trial)]) -> Result<(), StoreError> {
        let insert = insert();
        let taken = self.database.with(|connection| {
            let statement = connection.statement(&insert)?;
            let mut change = connection.client.transaction()?;
            for (key, trial) in trials {
                let row = Inserted::of(self.study, key, &trial.imported(), None);
                if !unless_taken(change.execute(&statement, &row.params()))? {
                    return Ok(Some((key.clone(), trial.number)));
                }
            }
            change.commit()?;
            Ok(None)
        })?;
        match taken {
            Some((key, number)) => Err(StoreError::Taken { number, key }),
            None => Ok(()),
        }
    }

    fn claim(&self, holder: &Holder, busy: &[u64]) -> Result<Option<Trial>, StoreError> {
        let is_time_to_look = {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            let is_time = looked.is_none_or(|at| at.elapsed() >= LOOK_INTERVAL);
            if is_time {
                *looked = Some(Instant::now());
            }
            is_time
        };
        if is_time_to_look && let Some(trial) = self.claim_lost(holder, busy)? {
            return Ok(Some(trial));
        }
        let update = "UPDATE auricle_trial SET attempt = attempt + 1, state = $4, status = 'running', worker = $2,
               beat = clock_timestamp(), lease_s = $3, changed = pg_current_xact_id()::text::bigint
             WHERE study = $1 AND number = (
               SELECT number FROM auricle_trial WHERE study = $1 AND status = 'queued' ORDER BY number LIMIT 1
               FOR UPDATE SKIP LOCKED)";
        let lease_s = holder.lease.map(|lease| lease.as_secs_f64());
        let state = text(&TrialState::Running);
        let queued = self.change(update, &[&self.study, &holder.worker, &lease_s, &state])?;
        match queued {
            Some(trial) => Ok(Some(trial)),
            None if is_time_to_look => Ok(None),
            None => self.claim_lost(holder, busy),
        }
    }

    fn take_over(&self, number: u64, holder: &Holder) -> Result<Trial, StoreError> {
        let update = "UPDATE auricle_trial SET attempt = attempt + 1, worker = $3, beat = clock_timestamp(), lease_s = $4,
               changed = pg_current_xact_id()::text::bigint
             WHERE study = $1 AND number = $2 AND status = 'running' AND lease_s IS NULL";
        let lease_s = holder.lease.map(|lease| lease.as_secs_f64());
        let params: Params = &[&self.study, &(number as i64), &holder.worker, &lease_s];
        self.change(update, params)?
            .ok_or(StoreError::Fenced { number, attempt: 0 })
    }

    fn resume(&self, number: u64, holder: &Holder) -> Result<Trial, StoreError> {
        let update = "UPDATE auricle_trial SET attempt = attempt + 1, state = $5, status = 'running', loss = NULL,
               worker = $3, beat = clock_timestamp(), lease_s = $4, changed = pg_current_xact_id()::text::bigint
             WHERE study = $1 AND number = $2 AND status = 'paused'";
        let lease_s = holder.lease.map(|lease| lease.as_secs_f64());
        let state = text(&TrialState::Running);
        let params: Params = &[
            &self.study,
            &(number as i64),
            &holder.worker,
            &lease_s,
            &state,
        ];
        self.change(update, params)?
            .ok_or(StoreError::Fenced { number, attempt: 0 })
    }

    fn heartbeat(&self, beat: &Beat) -> Result<(), StoreError> {
        let (number, attempt) = (beat.number as i64, i64::from(beat.attempt));
        let lease_s = beat.lease.map(|lease| lease.as_secs_f64());
        let Some(progress) = &beat.progress else {
            // Not waited for until it is on disk: a server that crashes gives every lease its whole time anew.
            let update = "UPDATE auricle_trial SET beat = clock_timestamp(), lease_s = $4
                 FROM (SELECT set_config('synchronous_commit', 'off', true)) AS unhurried
                 WHERE study = $1 AND number = $2 AND attempt = $3 AND status = 'running'";
            let params: Params = &[&self.study, &number, &attempt, &lease_s];
            return self.fenced(beat.number, beat.attempt, update, params);
        };
        let update = "UPDATE auricle_trial SET beat = clock_timestamp(), lease_s = $4, curve = $5, artifacts = $6,
               changed = pg_current_xact_id()::text::bigint
             WHERE study = $1 AND number = $2 AND attempt = $3 AND status = 'running'";
        let (curve, artifacts) = (text(&progress.curve), text(&progress.artifacts));
        let params: Params = &[&self.study, &number, &attempt, &lease_s, &curve, &artifacts];
        self.fenced(beat.number, beat.attempt, update, params)
    }

    fn hand_back(&self, back: &HandBack) -> Result<(), StoreError> {
        let update = "UPDATE auricle_trial SET state = $4, status = 'queued', curve = $5, artifacts = $6, seconds = $7,
               earlier = CASE WHEN $8::text IS NULL THEN earlier WHEN earlier = '[]' THEN '[' || $8 || ']'
                              ELSE left(earlier, -1) || ',' || $8 || ']' END,
               changed = pg_current_xact_id()::text::bigint
             WHERE study = $1 AND number = $2 AND attempt = $3 AND status = 'running'";
        let params: Params = &[
            &self.study,
            &(back.number as i64),
            &i64::from(back.attempt),
            &text(&TrialState::Queued),
            &text(&back.progress.curve),
            &text(&back.progress.artifacts),
            &back.seconds,
            &back.failure.as_ref().map(text),
        ];
        self.fenced(back.number, back.attempt, update, params)
    }

    fn finish(&self, end: &TrialEnd) -> Result<(), StoreError> {
        let update = "UPDATE auricle_trial SET state = $4, status = $5, failure = $6, loss = $7, curve = $8, seconds = $9,
               n_inherited = $10, batch_size = $11, artifacts = $12, changed = pg_current_xact_id()::text::bigint
             WHERE study = $1 AND number = $2 AND attempt = $3 AND status = 'running'";
        let (failure, loss) = end.state.columns();
        let params: Params = &[
            &self.study,
            &(end.number as i64),
            &i64::from(end.attempt),
            &text(&end.state),
            &end.state.name(),
            &failure,
            &loss,
            &text(&end.curve),
            &end.seconds,
            &(end.n_inherited as i64),
            &(end.batch_size as i64),
            &text(&end.artifacts),
        ];
        self.fenced(end.number, end.attempt, update, params)
    }

    fn force(&self, number: u64, to: Force) -> Result<Trial, StoreError> {
        // Compared and set: what changed in between is looked at again.
        loop {
            let before = self.trial(number)?;
            let mut trial = before.clone();
            trial.set_forced(to)?;
            let update = "UPDATE auricle_trial SET attempt = $3, state = $4, status = $5, failure = NULL, loss = NULL,
                   earlier = $6, changed = pg_current_xact_id()::text::bigint
                 WHERE study = $1 AND number = $2 AND attempt = $7 AND status = $8";
            let params: Params = &[
                &self.study,
                &(number as i64),
                &i64::from(trial.attempt),
                &text(&trial.state),
                &trial.state.name(),
                &text(&trial.earlier),
                &i64::from(before.attempt),
                &before.state.name(),
            ];
            if let Some(trial) = self.change(update, params)? {
                return Ok(trial);
            }
        }
    }
}
