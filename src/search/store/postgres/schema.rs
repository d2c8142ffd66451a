//! The tables of studies in a PostgreSQL database, the steps that bring older ones up to them, and what is done to
//! whole studies.

use super::connection::Database;
use super::{StoreError, StudySettings};
use crate::search::store::row::text;

/// Version of the schema, kept in the table `auricle_schema`.
pub(super) const SCHEMA: i32 = 2;

/// `STEPS[n]` brings a database of schema n to schema n + 1; schema 0 has no tables of ours.
const STEPS: [&str; SCHEMA as usize] = [
    "
    CREATE TABLE auricle_study (
      id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      name TEXT NOT NULL UNIQUE,
      fingerprint TEXT NOT NULL,
      recipe TEXT NOT NULL,
      status TEXT NOT NULL DEFAULT 'running',
      settings TEXT NOT NULL,
      created TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
      started TIMESTAMPTZ
    );
    CREATE TABLE auricle_trial (
      study BIGINT NOT NULL REFERENCES auricle_study ON DELETE CASCADE,
      number BIGINT NOT NULL,
      key TEXT NOT NULL,
      parent BIGINT,
      genome TEXT NOT NULL,
      hyper TEXT NOT NULL,
      cost TEXT NOT NULL,
      donors TEXT NOT NULL,
      teachers TEXT NOT NULL,
      attempt BIGINT NOT NULL,
      state TEXT NOT NULL,
      curve TEXT NOT NULL,
      seconds DOUBLE PRECISION NOT NULL,
      n_inherited BIGINT NOT NULL,
      batch_size BIGINT NOT NULL,
      learned TEXT NOT NULL,
      earlier TEXT NOT NULL,
      artifacts TEXT NOT NULL,
      status TEXT NOT NULL,
      failure TEXT,
      loss DOUBLE PRECISION,
      worker TEXT NOT NULL DEFAULT '',
      beat TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
      lease_s DOUBLE PRECISION,
      changed BIGINT NOT NULL,
      PRIMARY KEY (study, number),
      UNIQUE (study, key)
    ) WITH (fillfactor = 70);
    CREATE INDEX auricle_trial_open ON auricle_trial (study, status, number) WHERE status IN ('queued', 'running');
    CREATE INDEX auricle_trial_changed ON auricle_trial (study, changed);
    CREATE INDEX auricle_trial_loss ON auricle_trial (study, loss, number) WHERE loss IS NOT NULL;
",
    // No index of all rows but the primary key begins with the study: of a study that the server has no statistics of
    // yet, it took another for as good as the key, and read all of the study to find one trial. And trials are counted
    // without reading their rows, as far as nothing was written to them lately.
    "ALTER TABLE auricle_trial DROP CONSTRAINT auricle_trial_study_key_key;
     CREATE UNIQUE INDEX auricle_trial_key ON auricle_trial (key, study);
     DROP INDEX auricle_trial_changed;
     CREATE INDEX auricle_trial_changed ON auricle_trial (changed, study);
     CREATE INDEX auricle_trial_counts ON auricle_trial (status, study, failure) INCLUDE (seconds);",
];

/// Whoever brings the tables up to date holds this lock of the database.
const MIGRATION_LOCK: i64 = 0x6175_7269_636c_6501;

impl Database {
    /// Brings the tables up to [`SCHEMA`], each step wholly or not at all.
    pub fn migrate(&self) -> Result<(), StoreError> {
        let found = self.with(|connection| {
            let mut step = connection.client.transaction()?;
            step.execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK])?;
            step.batch_execute(
                "SET LOCAL client_min_messages = warning;
                 CREATE TABLE IF NOT EXISTS auricle_schema (version INTEGER NOT NULL);",
            )?;
            let version = step.query_opt("SELECT version FROM auricle_schema", &[])?;
            let mut version: i32 = version.map_or(0, |row| row.get(0));
            if version == 0 {
                step.execute("INSERT INTO auricle_schema VALUES (0)", &[])?;
            }
            while let Some(sql) = STEPS.get(version as usize) {
                step.batch_execute(sql)?;
                version += 1;
                step.execute("UPDATE auricle_schema SET version = $1", &[&version])?;
            }
            step.commit()?;
            Ok(version)
        })?;
        match found {
            SCHEMA => Ok(()),
            found => Err(StoreError::Schema {
                path: self.place.clone().into(),
                found: found as u32,
                expected: SCHEMA as u32,
            }),
        }
    }

    /// Names of all studies.
    pub fn names(&self) -> Result<Vec<String>, StoreError> {
        let rows = self.with(|it| it.query("SELECT name FROM auricle_study ORDER BY id", &[]))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    pub fn create(
        &self,
        name: &str,
        fingerprint: &str,
        recipe: &str,
        settings: &StudySettings,
    ) -> Result<(), StoreError> {
        let insert = "INSERT INTO auricle_study (name, fingerprint, recipe, settings) VALUES ($1, $2, $3, $4)
             ON CONFLICT (name) DO NOTHING";
        let settings = text(settings);
        let n = self.with(|it| it.execute(insert, &[&name, &fingerprint, &recipe, &settings]))?;
        match n {
            0 => Err(StoreError::StudyExists {
                place: self.place.clone(),
                name: name.into(),
            }),
            _ => Ok(()),
        }
    }

    /// The study of that name; the only one where none is named.
    pub fn find(&self, name: Option<&str>) -> Result<(i64, String), StoreError> {
        let query = "SELECT id, name FROM auricle_study WHERE $1::text IS NULL OR name = $1 ORDER BY id LIMIT 2";
        let rows = self.with(|it| it.query(query, &[&name]))?;
        match &rows[..] {
            [only] => Ok((only.get(0), only.get(1))),
            _ => Err(StoreError::NoStudy {
                place: self.place.clone(),
                name: name.unwrap_or_default().into(),
                names: self.names()?.join(", "),
            }),
        }
    }

    /// Removes a study with its trials.
    pub fn delete(&self, name: &str) -> Result<(), StoreError> {
        let (id, _) = self.find(Some(name))?;
        self.with(|it| it.execute("DELETE FROM auricle_study WHERE id = $1", &[&id]))?;
        Ok(())
    }
}
