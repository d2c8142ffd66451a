//! The tables of a study in an SQLite file, and the steps that bring older files up to them.

use rusqlite::Connection;

/// Version of the schema, kept in SQLite's `user_version`.
pub(super) const SCHEMA: u32 = 4;

/// `STEPS[n]` brings a file of schema n to schema n + 1; schema 0 is an empty file.
const STEPS: [&str; SCHEMA as usize] = [
    "CREATE TABLE study (fingerprint TEXT NOT NULL);
     CREATE TABLE trial (
       number INTEGER PRIMARY KEY,
       parent INTEGER,
       genome TEXT NOT NULL,
       genome_hash TEXT NOT NULL UNIQUE,
       cost TEXT NOT NULL,
       attempt INTEGER NOT NULL,
       running INTEGER NOT NULL,
       state TEXT NOT NULL,
       curve TEXT NOT NULL,
       seconds REAL NOT NULL,
       n_inherited INTEGER NOT NULL
     );",
    // A failure had a reason and no kind. A batch as large as can be is cut down to the recipe's when such a trial goes on.
    "ALTER TABLE trial RENAME COLUMN genome_hash TO key;
     ALTER TABLE trial ADD COLUMN hyper TEXT NOT NULL DEFAULT '{}';
     ALTER TABLE trial ADD COLUMN donors TEXT NOT NULL DEFAULT '[]';
     ALTER TABLE trial ADD COLUMN teachers TEXT NOT NULL DEFAULT '[]';
     ALTER TABLE trial ADD COLUMN batch_size INTEGER NOT NULL DEFAULT 4294967295;
     UPDATE trial SET state = json_object('state', 'failed', 'failure', json_object(
              'kind', iif(json_extract(state, '$.reason') LIKE '%not finite%', 'non-finite', 'panicked'),
              'reason', json_extract(state, '$.reason')))
       WHERE json_extract(state, '$.state') = 'failed';",
    "ALTER TABLE study ADD COLUMN name TEXT NOT NULL DEFAULT '';
     ALTER TABLE study ADD COLUMN recipe TEXT NOT NULL DEFAULT '';
     ALTER TABLE study ADD COLUMN status TEXT NOT NULL DEFAULT 'running';
     ALTER TABLE study ADD COLUMN settings TEXT NOT NULL DEFAULT '{\"retry\":{}}';
     ALTER TABLE study ADD COLUMN started_s REAL;
     ALTER TABLE trial ADD COLUMN status TEXT NOT NULL DEFAULT '';
     ALTER TABLE trial ADD COLUMN failure TEXT;
     ALTER TABLE trial ADD COLUMN loss REAL;
     ALTER TABLE trial ADD COLUMN learned TEXT NOT NULL DEFAULT '[]';
     ALTER TABLE trial ADD COLUMN earlier TEXT NOT NULL DEFAULT '[]';
     ALTER TABLE trial ADD COLUMN artifacts TEXT NOT NULL DEFAULT '{}';
     ALTER TABLE trial ADD COLUMN worker TEXT NOT NULL DEFAULT '';
     ALTER TABLE trial ADD COLUMN beat_s REAL NOT NULL DEFAULT 0;
     ALTER TABLE trial ADD COLUMN lease_s REAL;
     ALTER TABLE trial ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
     UPDATE trial SET status = json_extract(state, '$.state'), failure = json_extract(state, '$.failure.kind'),
                      loss = json_extract(state, '$.scores.validation_loss');
     ALTER TABLE trial DROP COLUMN running;
     CREATE INDEX trial_open ON trial (status, number) WHERE status IN ('queued', 'running');
     CREATE INDEX trial_revision ON trial (revision);
     CREATE INDEX trial_loss ON trial (loss, number) WHERE loss IS NOT NULL;",
    // Counted without reading the rows.
    "CREATE INDEX trial_counts ON trial (status, failure, seconds);",
];

/// Brings the file up to [`SCHEMA`], each step wholly or not at all; the version that was found where it is a later
/// one.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<Result<(), u32>> {
    let version = |connection: &Connection| {
        connection.query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0))
    };
    while version(connection)? != SCHEMA {
        let step =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        // Asked again under the lock: another process may have done it.
        let found = version(&step)?;
        if found > SCHEMA {
            return Ok(Err(found));
        }
        if let Some(sql) = STEPS.get(found as usize) {
            step.execute_batch(sql)?;
            step.pragma_update(None, "user_version", found + 1)?;
        }
        step.commit()?;
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::TrialState;
    use crate::search::store::{SqliteStore, StoreError, StudyStore};

    /// As the versions before wrote them: a complete trial, a failed one and one whose worker died.
    const OLDER: [&str; 3] = [
        include_str!("../fixtures/schema-1.sql"),
        include_str!("../fixtures/schema-2.sql"),
        include_str!("../fixtures/schema-3.sql"),
    ];

    #[test]
    fn a_file_of_every_older_schema_opens_and_its_trials_are_all_there() {
        for (index, dump) in OLDER.iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("study.sqlite");
            Connection::open(&path)
                .unwrap()
                .execute_batch(dump)
                .unwrap();
            for _ in 0..2 {
                let store = SqliteStore::open(&path, "00c0ffee00c0ffee").unwrap();
                let trials = store.trials().unwrap();
                let names: Vec<&str> = trials.iter().map(|it| it.state.name()).collect();
                assert_eq!(
                    names,
                    ["complete", "failed", "running"],
                    "schema {}",
                    index + 1
                );
                assert_eq!(trials[0].curve.len(), 2);
                assert_eq!(store.best(3).unwrap(), trials[..1]);
                assert_eq!(store.summary().unwrap().n_by_failure["non-finite"], 1);
            }
            let store = SqliteStore::open(&path, "00c0ffee00c0ffee").unwrap();
            let holder = crate::search::store::Holder {
                worker: "next".into(),
                lease: None,
            };
            let taken = store.take_over(2, &holder).unwrap();
            assert_eq!((taken.attempt, taken.state), (2, TrialState::Running));
        }
    }

    #[test]
    fn a_file_of_a_later_schema_is_refused_by_name_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.sqlite");
        let later = Connection::open(&path).unwrap();
        later
            .pragma_update(None, "user_version", SCHEMA + 1)
            .unwrap();
        let error = SqliteStore::open(&path, "00c0ffee00c0ffee").err().unwrap();
        assert!(
            matches!(error, StoreError::Schema { found, expected: SCHEMA, .. } if found == SCHEMA + 1),
            "{error}"
        );
    }
}
