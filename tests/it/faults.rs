//! What a shared study promises whatever happens to its workers and its database: every result is there once, no
//! trial is left running, and the numbers that are complete are those of a study to which nothing happened.

use std::time::{Duration, Instant};

use auricle::search::store::{Holder, MemoryStore, StudyStore};
use auricle::search::{Trial, TrialState};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::fleet::{Fleet, Worker, WrongClock, own_spec, sleep_through};
use crate::place::{Place, Quiet};
use crate::postgres_server::Server;

/// Long enough for the slowest machine; what takes longer hangs.
const MOST: Duration = Duration::from_secs(150);

/// Counts every completion that the database ever saw, apart from what the store says of itself.
const WITNESS: &str = "
    CREATE TABLE witness (study BIGINT, number BIGINT, attempt BIGINT);
    CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO witness VALUES (NEW.study, NEW.number, NEW.attempt);
      RETURN NEW;
    END $$;
    CREATE TRIGGER completed AFTER UPDATE ON auricle_trial FOR EACH ROW
      WHEN (NEW.status = 'complete') EXECUTE FUNCTION see();";

fn witness(server: &Server) -> postgres::Client {
    let mut client = postgres::Client::connect(&server.url(), postgres::NoTls).unwrap();
    client.batch_execute(WITNESS).unwrap();
    client
}

/// A server with one study of sleeping trials, watched by a witness.
fn fleet(
    n_trials: u64,
    n_epochs: usize,
    epoch_ms: u64,
) -> Option<(Server, Fleet, postgres::Client)> {
    let server = Server::start(&[])?;
    let fleet = Fleet::new(&server.url(), "study", n_trials, n_epochs, epoch_ms);
    fleet.set_budget(n_trials);
    let witness = witness(&server);
    Some((server, fleet, witness))
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < MOST, "{what}: not within {MOST:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn n_complete(store: &dyn StudyStore) -> u64 {
    let summary = store.summary().unwrap();
    summary.n_by_state.get("complete").copied().unwrap_or(0)
}

/// What must hold after every fault.
#[track_caller]
fn check_whole(fleet: &Fleet, server: &Server, n_trials: u64) -> Vec<Trial> {
    let trials = fleet.store().trials().unwrap();
    let complete: Vec<u64> = trials
        .iter()
        .filter(|trial| matches!(trial.state, TrialState::Complete { .. }))
        .map(|trial| trial.number)
        .collect();
    assert_eq!(complete, (0..n_trials).collect::<Vec<_>>());
    assert_eq!(trials.len() as u64, n_trials);
    let mut client = postgres::Client::connect(&server.url(), postgres::NoTls).unwrap();
    let query = "SELECT number, count(*) FROM witness GROUP BY number ORDER BY number";
    let seen: Vec<(i64, i64)> = client
        .query(query, &[])
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    let once: Vec<(i64, i64)> = (0..n_trials as i64).map(|number| (number, 1)).collect();
    assert_eq!(seen, once, "completions that the database saw");
    let depot = fleet.depot();
    for trial in &trials {
        let epochs: Vec<usize> = trial.curve.iter().map(|point| point.epoch).collect();
        assert_eq!(epochs, (1..=fleet.n_epochs).collect::<Vec<_>>());
        let weights = trial.artifacts.weights.as_ref().unwrap();
        assert!(
            depot.get(weights).unwrap().is_some(),
            "trial {}",
            trial.number
        );
    }
    trials
}

#[test]
fn workers_killed_at_any_instant_lose_no_trial_and_complete_none_twice() {
    let n_trials = 200;
    let Some((server, mut fleet, _witness)) = fleet(n_trials, 3, 10) else {
        return;
    };
    fleet.lease_ms = 700;
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut n_started = 0;
    let mut start = || {
        n_started += 1;
        fleet.worker(&format!("w{n_started}"))
    };
    let mut workers: Vec<Worker> = (0..4).map(|_| start()).collect();
    let store = fleet.store();
    let mut n_kills = 0;
    let begun = Instant::now();
    while n_complete(&*store) < n_trials {
        assert!(
            begun.elapsed() < MOST,
            "{} of {n_trials}",
            n_complete(&*store)
        );
        std::thread::sleep(Duration::from_millis(rng.random_range(50..500)));
        let unlucky = rng.random_range(0..workers.len());
        workers.swap_remove(unlucky).kill();
        n_kills += 1;
        workers.push(start());
    }
    for worker in workers {
        worker.join();
    }
    assert!(n_kills >= 5, "{n_kills} kills show nothing");
    let trials = check_whole(&fleet, &server, n_trials);
    let n_lost: usize = trials.iter().map(|trial| trial.earlier.len()).sum();
    eprintln!("{n_kills} workers killed, {n_lost} trials lost and run again");
    assert!(n_lost > 0, "no kill hit a trial");
}

#[test]
fn a_database_that_goes_away_for_longer_than_a_lease_costs_no_trial() {
    let n_trials = 24;
    let Some((server, fleet, _witness)) = fleet(n_trials, 4, 50) else {
        return;
    };
    let workers = [fleet.worker("w0"), fleet.worker("w1")];
    let store = fleet.store();
    wait_until("a trial is complete", || n_complete(&*store) >= 2);
    server.down();
    std::thread::sleep(Duration::from_millis(2 * fleet.lease_ms));
    server.up();
    workers.into_iter().for_each(Worker::join);
    for trial in check_whole(&fleet, &server, n_trials) {
        assert!(trial.earlier.is_empty(), "trial {} was lost", trial.number);
    }
}

#[test]
fn a_worker_frozen_past_its_lease_finds_its_trial_with_another_and_goes_on() {
    let n_trials = 4;
    let Some((server, mut fleet, _witness)) = fleet(n_trials, 10, 100) else {
        return;
    };
    fleet.lease_ms = 600;
    let store = fleet.store();
    let frozen = fleet.worker("frozen");
    wait_until("it trains", || {
        let trial = store.trial(0);
        trial.is_ok_and(|trial| !trial.curve.is_empty())
    });
    frozen.signal("STOP");
    let other = fleet.worker("other");
    wait_until("its trial is taken over", || {
        store.trial(0).unwrap().attempt == 2
    });
    frozen.signal("CONT");
    frozen.join();
    other.join();
    let trials = check_whole(&fleet, &server, n_trials);
    assert_eq!((trials[0].attempt, trials[0].earlier.len()), (2, 1));
    assert!(trials[0].earlier[0].reason.contains("frozen"));
}

#[test]
fn what_a_killed_worker_had_is_with_another_within_its_lease_and_a_second() {
    let Some((server, mut fleet, _witness)) = fleet(1, 2000, 200) else {
        return;
    };
    fleet.lease_ms = 1000;
    let store = fleet.store();
    let holder = || Some(store.leases().unwrap().first()?.worker.clone());
    let mut seconds: Vec<f64> = Vec::new();
    let mut workers = vec![fleet.worker("w0")];
    for n_kills in 0..5 {
        wait_until("it trains", || {
            holder().is_some() && store.trial(0).is_ok_and(|it| !it.curve.is_empty())
        });
        // A next one that has nothing to do but to look again.
        workers.push(fleet.worker(&format!("w{}", n_kills + 1)));
        wait_until("the next one looks", || workers[1].has_begun());
        std::thread::sleep(Duration::from_millis(500));
        // On a machine so busy that a lease ran out it has the trial already.
        let (attempt, holder) = (store.trial(0).unwrap().attempt, holder());
        let at = workers
            .iter()
            .position(|worker| Some(&worker.name) == holder.as_ref());
        let killed = Instant::now();
        workers.remove(at.expect("one of the two")).kill();
        while store.trial(0).unwrap().attempt == attempt {
            assert!(killed.elapsed() < MOST);
            std::thread::sleep(Duration::from_millis(5));
        }
        seconds.push(killed.elapsed().as_secs_f64());
    }
    workers.remove(0).kill();
    drop(server);
    eprintln!("leases of 1 s, trials taken over after {seconds:.2?} s");
    seconds.sort_by(f64::total_cmp);
    // A busy machine may delay one of them.
    assert!(seconds[2] <= 2.0 && seconds[4] <= 6.0, "{seconds:?}");
}

#[test]
fn workers_whose_clocks_are_wrong_by_an_hour_take_nothing_from_others_and_all_that_a_dead_one_left()
{
    let n_trials = 60;
    let Some((server, mut fleet, _witness)) = fleet(n_trials, 10, 30) else {
        return;
    };
    let clocks = (WrongClock::new(3600), WrongClock::new(-3600));
    let (Some(fast), Some(slow)) = clocks else {
        eprintln!("skipped: no C compiler that makes a wrong clock");
        return;
    };
    fleet.lease_ms = 700;
    let store = fleet.store();
    let doomed = fleet.worker("doomed");
    let right = fleet.worker("right");
    let wrong = [
        fleet.worker_in("fast", Some(&fast)),
        fleet.worker_in("slow", Some(&slow)),
    ];
    let has_trial = |worker: &str| {
        let leases = store.leases().unwrap();
        leases.iter().any(|lease| lease.worker == worker)
    };
    for name in ["doomed", "right", "fast", "slow"] {
        wait_until(name, || has_trial(name));
    }
    // Whoever the store hears of was heard just now, by the store's clock and no other.
    for lease in store.leases().unwrap() {
        let since = lease.seconds_since_beat;
        assert!((0.0..60.0).contains(&since), "{}: {since} s", lease.worker);
    }
    wait_until("the doomed one is stopped within a trial", || {
        doomed.signal("STOP");
        std::thread::sleep(Duration::from_millis(50)); // what it had asked of the database is done
        let is_within = has_trial("doomed");
        if !is_within {
            doomed.signal("CONT");
        }
        is_within
    });
    doomed.kill();
    right.signal("TERM");
    right.join();
    // What is left is for the two that are wrong: the dead one's trial too.
    wrong.into_iter().for_each(Worker::join);
    let trials = check_whole(&fleet, &server, n_trials);
    let lost: Vec<&str> = trials
        .iter()
        .flat_map(|trial| &trial.earlier)
        .map(|failure| &*failure.reason)
        .collect();
    assert!(
        lost.iter().all(|reason| reason.contains("doomed")),
        "{lost:?}"
    );
    assert_eq!(lost.len(), 1, "{lost:?}");
}

#[test]
fn a_worker_told_to_end_hands_its_trial_back_and_another_goes_on_from_its_last_epoch() {
    let n_trials = 1;
    let Some((server, mut fleet, _witness)) = fleet(n_trials, 60, 60) else {
        return;
    };
    // A third of it passes between two signs of life, which bring the curve along.
    fleet.lease_ms = 3_000;
    let store = fleet.store();
    let first = fleet.worker("first");
    wait_until("some epochs are over", || {
        let trial = store.trial(0);
        trial.is_ok_and(|trial| trial.curve.len() >= 3)
    });
    first.signal("TERM");
    first.join();
    let handed_back = store.trial(0).unwrap();
    assert_eq!(handed_back.state, TrialState::Queued);
    assert!(handed_back.curve.len() >= 3 && handed_back.artifacts.checkpoint.is_some());
    fleet.worker("second").join();
    let trials = check_whole(&fleet, &server, n_trials);
    assert_eq!((trials[0].attempt, trials[0].earlier.len()), (2, 0));
    // Every epoch was trained once: the first ones by the first worker.
    let n_first = handed_back.curve.len();
    assert_eq!(trials[0].curve[..n_first], handed_back.curve);
    assert_ne!(
        trials[0].curve[n_first].train_loss,
        trials[0].curve[0].train_loss
    );
}

#[test]
fn a_killed_worker_costs_no_more_than_what_it_trained_since_its_last_checkpoint() {
    let Some((server, mut fleet, _witness)) = fleet(1, 40, 50) else {
        return;
    };
    fleet.lease_ms = 500;
    let store = fleet.store();
    let first = fleet.worker("first");
    wait_until("a checkpoint is kept", || {
        let trial = store.trial(0);
        trial.is_ok_and(|trial| trial.artifacts.checkpoint.is_some())
    });
    first.kill();
    fleet.worker("second").join();
    let trial = &check_whole(&fleet, &server, 1)[0];
    assert_eq!((trial.attempt, trial.earlier.len()), (2, 1));
    let by_first = trial
        .curve
        .iter()
        .take_while(|point| point.train_loss == trial.curve[0].train_loss)
        .count();
    assert!((1..40).contains(&by_first), "{by_first} epochs were kept");
}

#[test]
fn a_study_stopped_and_resumed_by_hand_ends_as_if_nobody_had_touched_it() {
    use auricle::search::store::{Force, Status, StudyEdit};
    let n_trials = 12;
    let Some((server, fleet, _witness)) = fleet(n_trials, 4, 40) else {
        return;
    };
    let store = fleet.store();
    let set = |status| {
        let edit = StudyEdit {
            status: Some(status),
            settings: None,
        };
        store.edit(&edit).unwrap();
    };
    let workers = [fleet.worker("w0"), fleet.worker("w1")];
    wait_until("a trial is complete", || n_complete(&*store) >= 1);
    set(Status::Stopped);
    workers.into_iter().for_each(Worker::join);
    let left = store.summary().unwrap();
    assert_eq!(left.n_by_state.get("running"), None);
    set(Status::Running);
    let worker = fleet.worker("w2");
    wait_until("a trial runs", || !store.leases().unwrap().is_empty());
    let number = store.leases().unwrap()[0].number;
    // It may end by itself in between.
    if store.force(number, Force::Stop).is_ok() {
        worker.join();
        assert_eq!(store.trial(number).unwrap().state, TrialState::Stopped);
        store.force(number, Force::Queue).unwrap();
        fleet.worker("w3").join();
    } else {
        worker.join();
    }
    check_whole(&fleet, &server, n_trials);
}

/// A disk of its own in that folder, as long as this lives.
struct SmallDisk<'a>(&'a std::path::Path);

impl<'a> SmallDisk<'a> {
    /// `None` where this user may mount nothing.
    fn mount(folder: &'a std::path::Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let size = format!("size={size}");
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(folder)
            .stderr(std::process::Stdio::null())
            .status();
        mount.is_ok_and(|it| it.success()).then_some(Self(folder))
    }

    fn grow(&self, size: &str) {
        let size = format!("remount,size={size}");
        let mount = std::process::Command::new("mount")
            .args(["-o", &size])
            .arg(self.0)
            .status();
        assert!(mount.unwrap().success());
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_worker_whose_disk_is_full_hands_its_trial_back_and_says_so() {
    let n_trials = 12;
    let Some((server, fleet, _witness)) = fleet(n_trials, 2, 5) else {
        return;
    };
    let artifacts = fleet.folder.path().join("artifacts");
    let Some(disk) = SmallDisk::mount(&artifacts, "16k") else {
        eprintln!("skipped: this user may not mount a small disk");
        return;
    };
    let said = fleet.worker("full").fails();
    assert!(said.contains("No space left"), "{said}");
    let left = fleet.store().summary().unwrap();
    assert_eq!(left.n_by_state["queued"], 1);
    assert_eq!(left.n_by_state.get("running"), None);
    disk.grow("16m");
    fleet.worker("roomy").join();
    check_whole(&fleet, &server, n_trials);
}

/// What a proposal is, whoever made it and when.
fn proposals(trials: &[Trial]) -> Vec<(u64, String, Option<u64>, Vec<u64>)> {
    let proposal = |trial: &Trial| {
        (
            trial.number,
            trial.genome.canonical(),
            trial.parent,
            trial.donors.clone(),
        )
    };
    trials.iter().map(proposal).collect()
}

#[test]
fn the_next_proposal_is_the_same_whoever_asks() {
    let place = Place::new(9);
    let run = place.run();
    let folder = tempfile::tempdir().unwrap();
    let depot = auricle::search::depot::Depot::open(&folder.path().display().to_string()).unwrap();
    let mut spec = own_spec(&place, 9, 2);
    spec.controller = place.spec().controller;
    let work = |store: &MemoryStore, name: &str, n_trials: u64| {
        let mut spec = spec.clone();
        spec.budget.n_trials = Some(n_trials);
        let holder = Holder {
            worker: name.into(),
            lease: Some(Duration::from_secs(60)),
        };
        sleep_through(&run, &spec, store, &depot, &holder, 0, &Quiet::never()).unwrap();
    };
    // One that knows its trials since they began, and one that reads them between every two.
    let (whole, broken) = (MemoryStore::default(), MemoryStore::default());
    work(&whole, "whole", 9);
    for n_trials in 1..=9 {
        work(&broken, &format!("w{n_trials}"), n_trials);
    }
    let (whole, broken) = (whole.trials().unwrap(), broken.trials().unwrap());
    assert_eq!(proposals(&whole), proposals(&broken));
    assert!(whole.iter().any(|trial| trial.parent.is_some()));
}

#[test]
fn workers_that_ask_at_once_get_numbers_of_their_own_without_a_gap() {
    let n_trials = 60;
    let Some((server, fleet, _witness)) = fleet(n_trials, 1, 0) else {
        return;
    };
    let workers: Vec<Worker> = (0..4).map(|n| fleet.worker(&format!("w{n}"))).collect();
    workers.into_iter().for_each(Worker::join);
    let trials = check_whole(&fleet, &server, n_trials);
    let mut genomes: Vec<String> = trials.iter().map(|it| it.genome.hash_hex()).collect();
    genomes.sort();
    genomes.dedup();
    assert_eq!(genomes.len() as u64, n_trials, "a genome was tried twice");
    // Each trial was told to a controller once, before a trial that came after it.
    let mut told: Vec<u64> = Vec::new();
    for trial in &trials {
        for learned in &trial.learned {
            assert!(learned.number < trial.number && !told.contains(&learned.number));
            assert!(learned.loss.is_some());
            told.push(learned.number);
        }
    }
}
