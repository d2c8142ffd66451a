//! Trials whose worker fell silent, and those that their worker forgot.

use super::rows::read;
use super::{Holder, Params, PostgresStore, StoreError, StudyStore, Trial};
use crate::search::store::row::{COLUMNS, Row};

/// Trials of a study ($1) that a worker ($2), busy with some ($3), may take over: its own that it forgot, and those
/// whose lease ran out. Whoever could not reach the database for some seconds ($4: since then) gives the others as
/// long to come back as a lease lasts; a server that has just started gives that to all.
const LOST: &str =
    "study = $1 AND status = 'running' AND NOT (worker = $2 AND number = ANY($3)) AND (
       worker = $2 AND lease_s IS NOT NULL
       OR beat + make_interval(secs => lease_s) <= clock_timestamp() AND lease_s < $4
          AND pg_postmaster_start_time() + make_interval(secs => lease_s) <= clock_timestamp())";

impl PostgresStore {
    /// A trial that this holder forgot, or one whose lease ran out.
    pub(super) fn claim_lost(
        &self,
        holder: &Holder,
        busy: &[u64],
    ) -> Result<Option<Trial>, StoreError> {
        let busy: Vec<i64> = busy.iter().map(|number| *number as i64).collect();
        let since_s = self
            .database
            .since_broken()
            .map_or(f64::INFINITY, |since| since.as_secs_f64());
        let asked: Params = &[&self.study, &holder.worker, &busy, &since_s];
        // Most often there is nothing, and then one question is enough.
        let exists = format!("SELECT EXISTS (SELECT FROM auricle_trial WHERE {LOST})");
        let found = self.database.with(|it| it.query(&exists, asked))?;
        if !found.first().is_some_and(|row| row.get(0)) {
            return Ok(None);
        }
        let policy = self.study()?.settings.retry;
        let query = format!(
            "SELECT {COLUMNS}, worker, worker = $2 FROM auricle_trial WHERE {LOST}
             ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED"
        );
        loop {
            let outcome = self.database.with(|connection| {
                let mut change = connection.client.transaction()?;
                let found = change.query_opt(&query, asked)?;
                let Some(found) = found else { return Ok(None) };
                let trial = read(&found, 0).parse(self.place());
                let mut trial = match trial {
                    Ok(trial) => trial,
                    Err(error) => return Ok(Some(Err(error))),
                };
                let (worker, is_ours): (String, bool) = (found.get(16), found.get(17));
                let goes_on = if is_ours {
                    trial.set_running();
                    true
                } else {
                    trial.set_lost(&worker, &policy)
                };
                let row = Row::of(&trial);
                let update = "UPDATE auricle_trial SET attempt = $3, state = $4, status = $5, failure = $6, earlier = $7,
                       worker = $8, beat = clock_timestamp(), lease_s = $9,
                       changed = pg_current_xact_id()::text::bigint
                     WHERE study = $1 AND number = $2";
                change.execute(
                    update,
                    &[
                        &self.study,
                        &row.number,
                        &row.attempt,
                        &row.state,
                        &trial.state.name(),
                        &trial.failure().map(|failure| failure.kind.name()),
                        &row.earlier,
                        &holder.worker,
                        &holder.lease.map(|lease| lease.as_secs_f64()),
                    ],
                )?;
                change.commit()?;
                Ok(Some(Ok((trial, goes_on))))
            })?;
            match outcome.transpose()? {
                Some((trial, true)) => return Ok(Some(trial)),
                Some((_, false)) => {}
                None => return Ok(None),
            }
        }
    }
}
