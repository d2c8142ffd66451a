//! Trials as rows of the table, written and read.

use postgres::error::SqlState;
use postgres::types::ToSql;

use super::Holder;
use crate::search::Trial;
use crate::search::store::row::{COLUMNS, Row};

pub(super) fn insert() -> String {
    format!(
        "INSERT INTO auricle_trial (study, {COLUMNS}, key, status, failure, loss, worker, lease_s, changed)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                 $23, pg_current_xact_id()::text::bigint)"
    )
}

/// `false` where the number or the key is there already.
pub(super) fn unless_taken(result: Result<u64, postgres::Error>) -> Result<bool, postgres::Error> {
    match result {
        Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(false),
        result => result.map(|_| true),
    }
}

/// What [`insert`] binds.
pub(super) struct Inserted<'a> {
    study: i64,
    row: Row,
    key: &'a str,
    status: &'static str,
    failure: Option<&'static str>,
    loss: Option<f64>,
    worker: &'a str,
    lease_s: Option<f64>,
}

impl<'a> Inserted<'a> {
    pub fn of(study: i64, key: &'a str, trial: &Trial, holder: Option<&'a Holder>) -> Self {
        let (failure, loss) = trial.state.columns();
        Self {
            study,
            row: Row::of(trial),
            key,
            status: trial.state.name(),
            failure,
            loss,
            worker: holder.map(|it| it.worker.as_str()).unwrap_or_default(),
            lease_s: holder.and_then(|it| it.lease).map(|it| it.as_secs_f64()),
        }
    }

    pub fn params(&self) -> [&(dyn ToSql + Sync); 23] {
        let row = &self.row;
        [
            &self.study,
            &row.number,
            &row.parent,
            &row.genome,
            &row.hyper,
            &row.cost,
            &row.donors,
            &row.teachers,
            &row.attempt,
            &row.state,
            &row.curve,
            &row.seconds,
            &row.n_inherited,
            &row.batch_size,
            &row.learned,
            &row.earlier,
            &row.artifacts,
            &self.key,
            &self.status,
            &self.failure,
            &self.loss,
            &self.worker,
            &self.lease_s,
        ]
    }
}

/// The columns of [`COLUMNS`], from that one on.
pub(super) fn read(row: &postgres::Row, from: usize) -> Row {
    Row {
        number: row.get(from),
        parent: row.get(from + 1),
        genome: row.get(from + 2),
        hyper: row.get(from + 3),
        cost: row.get(from + 4),
        donors: row.get(from + 5),
        teachers: row.get(from + 6),
        attempt: row.get(from + 7),
        state: row.get(from + 8),
        curve: row.get(from + 9),
        seconds: row.get(from + 10),
        n_inherited: row.get(from + 11),
        batch_size: row.get(from + 12),
        learned: row.get(from + 13),
        earlier: row.get(from + 14),
        artifacts: row.get(from + 15),
    }
}
