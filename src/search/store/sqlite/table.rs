//! The table of trials, read and written: steps of which the store's operations are made.

use rusqlite::{Connection, ErrorCode, Params, Transaction, TransactionBehavior, params};

use super::{Holder, NOW, SqliteStore, StoreError, Trial};
use crate::search::store::row::{COLUMNS, Row};

impl SqliteStore {
    /// Reads and writes as one: nobody else writes in between.
    pub(super) fn change<T>(
        &self,
        write: impl FnOnce(&Transaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.lock();
        let fault = |e| self.fault(e);
        let change = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fault)?;
        let value = write(&change)?;
        change.commit().map_err(fault)?;
        Ok(value)
    }

    pub(super) fn rows(
        &self,
        connection: &Connection,
        filter: &str,
        params: impl Params,
    ) -> Result<Vec<Trial>, StoreError> {
        let query = format!("SELECT {COLUMNS} FROM trial {filter}");
        let mut statement = connection
            .prepare_cached(&query)
            .map_err(|e| self.fault(e))?;
        let rows = statement
            .query_map(params, read)
            .map_err(|e| self.fault(e))?;
        rows.map(|row| row.map_err(|e| self.fault(e))?.parse(&self.path))
            .collect()
    }

    pub(super) fn running_at(
        &self,
        connection: &Connection,
        number: u64,
        attempt: u32,
    ) -> Result<Trial, StoreError> {
        let filter = "WHERE number = ?1 AND attempt = ?2 AND status = 'running'";
        let rows = self.rows(connection, filter, params![number as i64, attempt])?;
        rows.into_iter()
            .next()
            .ok_or(StoreError::Fenced { number, attempt })
    }

    pub(super) fn insert(
        &self,
        connection: &Connection,
        key: &str,
        trial: &Trial,
    ) -> Result<(), StoreError> {
        let row = Row::of(trial);
        let (failure, loss) = trial.state.columns();
        let insert = format!(
            "INSERT INTO trial ({COLUMNS}, key, status, failure, loss, revision)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
                     (SELECT coalesce(max(revision), 0) + 1 FROM trial))"
        );
        let inserted = connection.prepare_cached(&insert).and_then(|mut insert| {
            insert.execute(params![
                row.number,
                row.parent,
                row.genome,
                row.hyper,
                row.cost,
                row.donors,
                row.teachers,
                row.attempt,
                row.state,
                row.curve,
                row.seconds,
                row.n_inherited,
                row.batch_size,
                row.learned,
                row.earlier,
                row.artifacts,
                key,
                trial.state.name(),
                failure,
                loss,
            ])
        });
        match inserted {
            Ok(_) => Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Err(StoreError::Taken {
                    number: trial.number,
                    key: key.into(),
                })
            }
            Err(error) => Err(self.fault(error)),
        }
    }

    /// Writes all of a trial that can change.
    pub(super) fn write(&self, connection: &Connection, trial: &Trial) -> Result<(), StoreError> {
        let row = Row::of(trial);
        let (failure, loss) = trial.state.columns();
        let update = "UPDATE trial SET attempt = ?2, state = ?3, curve = ?4, seconds = ?5, n_inherited = ?6,
                   batch_size = ?7, earlier = ?8, artifacts = ?9, status = ?10, failure = ?11, loss = ?12,
                   revision = (SELECT max(revision) + 1 FROM trial)
             WHERE number = ?1";
        let written = connection.prepare_cached(update).and_then(|mut update| {
            update.execute(params![
                row.number,
                row.attempt,
                row.state,
                row.curve,
                row.seconds,
                row.n_inherited,
                row.batch_size,
                row.earlier,
                row.artifacts,
                trial.state.name(),
                failure,
                loss,
            ])
        });
        written.map_err(|e| self.fault(e)).map(|_| ())
    }

    pub(super) fn hold(
        &self,
        connection: &Connection,
        number: u64,
        holder: &Holder,
    ) -> Result<(), StoreError> {
        let update =
            format!("UPDATE trial SET worker = ?2, lease_s = ?3, beat_s = {NOW} WHERE number = ?1");
        let lease_s = holder.lease.map(|lease| lease.as_secs_f64());
        let held = connection.execute(&update, params![number as i64, holder.worker, lease_s]);
        held.map_err(|e| self.fault(e)).map(|_| ())
    }

    /// A running trial of that holder from now on.
    pub(super) fn run(
        &self,
        connection: &Connection,
        mut trial: Trial,
        holder: &Holder,
    ) -> Result<Trial, StoreError> {
        trial.set_running();
        self.write(connection, &trial)?;
        self.hold(connection, trial.number, holder)?;
        Ok(trial)
    }

    pub(super) fn start(&self, connection: &Connection) -> Result<(), StoreError> {
        let update = format!("UPDATE study SET started_s = {NOW} WHERE started_s IS NULL");
        let started = connection.execute(&update, []);
        started.map_err(|e| self.fault(e)).map(|_| ())
    }

    /// The lowest trial for which the condition holds.
    pub(super) fn first(
        &self,
        connection: &Connection,
        condition: &str,
        params: impl Params,
    ) -> Result<Option<Trial>, StoreError> {
        let filter = format!("WHERE {condition} ORDER BY number LIMIT 1");
        let rows = self.rows(connection, &filter, params)?;
        Ok(rows.into_iter().next())
    }
}

fn read(row: &rusqlite::Row) -> rusqlite::Result<Row> {
    Ok(Row {
        number: row.get(0)?,
        parent: row.get(1)?,
        genome: row.get(2)?,
        hyper: row.get(3)?,
        cost: row.get(4)?,
        donors: row.get(5)?,
        teachers: row.get(6)?,
        attempt: row.get(7)?,
        state: row.get(8)?,
        curve: row.get(9)?,
        seconds: row.get(10)?,
        n_inherited: row.get(11)?,
        batch_size: row.get(12)?,
        learned: row.get(13)?,
        earlier: row.get(14)?,
        artifacts: row.get(15)?,
    })
}
