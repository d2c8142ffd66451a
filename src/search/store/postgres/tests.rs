//! Against a real server.

use std::cell::Cell;
use std::time::Duration;

use super::*;
use crate::search::store::contract;

#[path = "../../../../tests/it/postgres_server.rs"]
#[allow(dead_code, reason = "shared with the integration tests")]
mod postgres_server;

use postgres_server::Server;

fn create(url: &str, name: &str) -> PostgresStore {
    PostgresStore::create(url, name, "f00d", "{}", &StudySettings::alone()).unwrap();
    PostgresStore::open(url, Some(name)).unwrap()
}

#[test]
fn the_postgres_store_keeps_the_contract() {
    let Some(server) = Server::shared() else {
        return;
    };
    let n = Cell::new(0);
    contract::all(|| {
        n.set(n.get() + 1);
        Box::new(create(&server.url(), &format!("contract {}", n.get())))
    });
}

#[test]
fn a_database_holds_many_studies_each_by_its_name() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let url = server.url();
    let error = PostgresStore::open(&url, None).err().unwrap();
    assert!(matches!(error, StoreError::NoStudy { .. }), "{error}");
    create(&url, "one");
    assert_eq!(PostgresStore::open(&url, None).unwrap().name, "one");
    create(&url, "it's two; DROP TABLE auricle_trial");
    assert_eq!(
        PostgresStore::names(&url).unwrap(),
        ["one", "it's two; DROP TABLE auricle_trial"]
    );
    assert!(PostgresStore::open(&url, None).is_err());
    let again = PostgresStore::create(&url, "one", "f00d", "{}", &StudySettings::alone());
    assert!(matches!(again, Err(StoreError::StudyExists { .. })));
    PostgresStore::delete(&url, "it's two; DROP TABLE auricle_trial").unwrap();
    assert_eq!(PostgresStore::names(&url).unwrap(), ["one"]);
}

#[test]
fn tables_of_the_first_schema_open_and_those_of_a_later_one_are_refused() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let url = server.url();
    let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    client
        .batch_execute(include_str!("../fixtures/postgres-1.sql"))
        .unwrap();
    let store = PostgresStore::open(&url, Some("words")).unwrap();
    let names: Vec<&str> = store
        .trials()
        .unwrap()
        .iter()
        .map(|trial| trial.state.name())
        .collect();
    assert_eq!(names, ["complete", "queued"]);
    client
        .batch_execute("UPDATE auricle_schema SET version = 99")
        .unwrap();
    let error = PostgresStore::open(&url, None).err().unwrap();
    assert!(
        matches!(error, StoreError::Schema { found: 99, .. }),
        "{error}"
    );
}

#[test]
fn one_trial_of_a_new_study_is_found_by_its_key_whatever_the_server_knows_of_older_ones() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    create(&server.url(), "old");
    create(&server.url(), "new");
    let mut client = postgres::Client::connect(&server.url(), postgres::NoTls).unwrap();
    let fill = |client: &mut postgres::Client, study: i64| {
        let insert = "INSERT INTO auricle_trial (study, number, key, genome, hyper, cost, donors, teachers, attempt,
               state, curve, seconds, n_inherited, batch_size, learned, earlier, artifacts, status, changed)
             SELECT $1::bigint, n, n::text, repeat('g', 400), '', '', '', '', 0, '', '', 0, 0, 0, '', '', '', 'queued', 1
             FROM generate_series(0, 4999) AS n";
        client.execute(insert, &[&study]).unwrap();
    };
    fill(&mut client, 1);
    client.batch_execute("ANALYZE auricle_trial").unwrap();
    fill(&mut client, 2);
    for asked in [
        "SELECT * FROM auricle_trial WHERE study = 2 AND number = 7",
        "UPDATE auricle_trial SET attempt = 1 WHERE study = 2 AND number = (
           SELECT number FROM auricle_trial WHERE study = 2 AND status = 'queued' ORDER BY number LIMIT 1
           FOR UPDATE SKIP LOCKED)",
    ] {
        let plan = client.query(&format!("EXPLAIN {asked}"), &[]).unwrap();
        let plan: Vec<String> = plan.iter().map(|line| line.get(0)).collect();
        let plan = plan.join("\n");
        assert!(plan.contains("using auricle_trial_pkey"), "{plan}");
    }
}

#[test]
fn a_server_that_comes_back_is_found_again_and_gives_everybody_time_to_report() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let store = create(&server.url(), "one");
    let silent = |worker: &str, lease_s: f64| Holder {
        worker: worker.into(),
        lease: Some(Duration::from_secs_f64(lease_s)),
    };
    let new = contract::new_trial(0, 8);
    store.begin(&new, Some(&silent("w0", 30.0))).unwrap();
    server.down();
    assert!(store.study().unwrap_err().is_passing());
    assert!(store.trials().unwrap_err().is_passing());
    server.up();
    store.study().unwrap();
    let mut client = postgres::Client::connect(&server.url(), postgres::NoTls).unwrap();
    // The lease ran out while nobody could renew it.
    let long_ago = "UPDATE auricle_trial SET beat = beat - interval '1 hour'";
    client.execute(long_ago, &[]).unwrap();
    let another = PostgresStore::open(&server.url(), None).unwrap();
    assert_eq!(another.claim(&silent("w1", 30.0), &[]).unwrap(), None);
    let end = contract::end(0, 1);
    store.finish(&end).unwrap();
    assert_eq!(store.trial(0).unwrap().state, end.state);
}

#[test]
fn two_that_ask_at_once_for_the_same_number_are_told_apart() {
    let Some(server) = Server::shared() else {
        return;
    };
    let url = server.url();
    create(&url, "asked at once");
    let n_taken: usize = std::thread::scope(|scope| {
        let begin = |thread: usize| {
            // A connection each: as from two machines.
            let store = PostgresStore::open(&url, Some("asked at once")).unwrap();
            let me = Holder {
                worker: format!("w{thread}"),
                lease: None,
            };
            usize::from(
                store
                    .begin(&contract::new_trial(0, 8 + thread), Some(&me))
                    .is_ok(),
            )
        };
        let threads: Vec<_> = (0..4)
            .map(|thread| scope.spawn(move || begin(thread)))
            .collect();
        threads.into_iter().map(|it| it.join().unwrap()).sum()
    });
    assert_eq!(n_taken, 1);
}
