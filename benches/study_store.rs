//! What a shared study costs in PostgreSQL, beside the time that this machine takes to put a block on disk: a claim, a
//! sign of life and a completion; many workers at once; proposals after 100,000 trials; workers that sleep.
//!
//! It starts a server of its own, with all that keeps data safe switched on, and says so where none is installed.

#[path = "study_store/asked.rs"]
mod asked;
#[path = "../tests/it/fleet.rs"]
#[allow(dead_code, unused_imports)]
mod fleet;
#[path = "../tests/it/place.rs"]
#[allow(dead_code, unused_imports)]
mod place;
#[path = "../tests/it/postgres_server.rs"]
#[allow(dead_code, unused_imports)]
mod postgres_server;
#[path = "../tests/it/tones.rs"]
#[allow(dead_code, unused_imports)]
mod tones;

use std::io::Write;
use std::time::{Duration, Instant};

use auricle::model::{Cost, Genome, Ports};
use auricle::search::depot::Depot;
use auricle::search::hyper::HyperPoint;
use auricle::search::store::{
    Beat, Holder, NewTrial, PostgresStore, RetryPolicy, StudySettings, StudyStore, TrialEnd,
};
use auricle::search::{Artifacts, CurvePoint, Scores, StudySpec, Trial, TrialState};

use asked::Asked;
use place::{Place, Quiet};
use postgres_server::Server;

fn main() {
    let Some(server) = Server::start(&["fsync = on", "synchronous_commit = on"]) else {
        return;
    };
    println!("fsync of 8 kB          {:8.2} ms", fsync_ms(&server));
    one_worker(&server);
    many_workers(&server);
    scaling(&server);
    hundred_thousand(&server);
}

/// Median of writing 8 kB and waiting until they are on disk, where the database lies.
fn fsync_ms(server: &Server) -> f64 {
    let mut file = std::fs::File::create(server.folder().join("fsync")).unwrap();
    let mut times: Vec<f64> = (0..200)
        .map(|_| {
            let begun = Instant::now();
            file.write_all(&[7; 8192]).unwrap();
            file.sync_all().unwrap();
            1e3 * begun.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn genome(n: u64) -> Genome {
    serde_json::from_value(serde_json::json!({
        "stem": {"n_channels": 1 + n % 4096, "kernel_frames": 1 + n / 4096, "stride_frames": 2},
        "blocks": [{"kind": "conv1d", "n_channels": 8, "kernel_frames": 3, "stride_frames": 2}],
        "head": {"kind": "mean", "window_frames": 98},
    }))
    .unwrap()
}

fn new_trial(number: u64) -> NewTrial {
    let genome = genome(number);
    let ports = Ports {
        n_mels: 40,
        n_classes: 12,
        frames_per_1000_s: 100_000,
    };
    NewTrial {
        number,
        key: genome.hash_hex(),
        parent: None,
        cost: Cost::of(&genome, &ports),
        genome,
        hyper: HyperPoint::default(),
        donors: vec![],
        teachers: vec![],
        batch_size: 64,
        learned: vec![],
    }
}

fn end(trial: &Trial) -> TrialEnd {
    let curve: Vec<CurvePoint> = (1..=8)
        .map(|epoch| CurvePoint {
            epoch,
            train_loss: 1.0 / epoch as f64,
            validation_loss: 1.0 / (1 + trial.number) as f64,
            validation_accuracy: 0.5,
        })
        .collect();
    TrialEnd {
        number: trial.number,
        attempt: trial.attempt,
        state: TrialState::Complete {
            scores: Scores {
                validation_loss: 1.0 / (1 + trial.number) as f64,
                validation_accuracy: 0.5,
            },
        },
        curve,
        seconds: 1.0,
        n_inherited: 0,
        batch_size: 64,
        artifacts: Artifacts {
            weights: Some("ab".repeat(32)),
            checkpoint: None,
        },
    }
}

fn holder(name: &str) -> Holder {
    Holder {
        worker: name.into(),
        lease: Some(Duration::from_secs(60)),
    }
}

fn queue(server: &Server, name: &str, n_trials: u64) -> PostgresStore {
    let settings = StudySettings {
        budget: None,
        retry: RetryPolicy::shared(),
        artifacts: None,
    };
    PostgresStore::create(&server.url(), name, "bench", "", &settings).unwrap();
    let store = PostgresStore::open(&server.url(), Some(name)).unwrap();
    let queued = |number| {
        let new = new_trial(number);
        let memory = auricle::search::store::MemoryStore::default();
        (new.key.clone(), memory.begin(&new, None).unwrap())
    };
    let trials: Vec<(String, Trial)> = (0..n_trials).map(queued).collect();
    store.import(&trials).unwrap();
    store
}

/// Claims, gives a sign of life and completes until nothing is queued; how many trials.
fn cycle(store: &PostgresStore, name: &str) -> u64 {
    let me = holder(name);
    let mut n = 0;
    while let Some(trial) = store.claim(&me, &[]).unwrap() {
        store
            .heartbeat(&Beat {
                number: trial.number,
                attempt: trial.attempt,
                lease: me.lease,
                progress: None,
            })
            .unwrap();
        store.finish(&end(&trial)).unwrap();
        n += 1;
    }
    n
}

fn one_worker(server: &Server) {
    let store = queue(server, "one", 500);
    let begun = Instant::now();
    let n = cycle(&store, "w");
    let ms = 1e3 * begun.elapsed().as_secs_f64() / n as f64;
    println!("1 worker               {ms:8.2} ms for a claim, a sign of life and a completion");
}

/// Seconds in which so many workers, each with connections of its own, empty the queue, and how many trials each had.
fn empty(server: &Server, name: &str, n_workers: usize) -> (f64, u64) {
    let stores: Vec<PostgresStore> = (0..n_workers)
        .map(|_| PostgresStore::open(&server.url(), Some(name)).unwrap())
        .collect();
    let begun = Instant::now();
    let n: u64 = std::thread::scope(|scope| {
        let workers: Vec<_> = stores
            .iter()
            .enumerate()
            .map(|(n, store)| scope.spawn(move || cycle(store, &format!("w{n}"))))
            .collect();
        workers.into_iter().map(|it| it.join().unwrap()).sum()
    });
    (begun.elapsed().as_secs_f64(), n)
}

fn many_workers(server: &Server) {
    let n_trials = 4000;
    let store = queue(server, "many", n_trials);
    let (seconds, n) = empty(server, "many", 8);
    assert_eq!(n, n_trials, "a trial was claimed twice or never");
    assert!(store.trials().unwrap().iter().all(|it| it.attempt == 1));
    let rate = n as f64 / seconds;
    println!("8 workers              {rate:8.0} such cycles a second, none claimed twice");
}

/// Workers that search and sleep in place of training, each with a store, a controller and connections of its own.
fn scaling(server: &Server) {
    let (n_each, trial_s) = (8, 1.0);
    for n_workers in [1, 2, 4, 8, 16, 64] {
        let name = format!("scaling {n_workers}");
        let n_trials = n_each * n_workers as u64;
        queue(server, &name, 0);
        let place = Place::new(1);
        let run = place.run();
        let folder = tempfile::tempdir().unwrap();
        let depot = Depot::open(&folder.path().display().to_string()).unwrap();
        let mut spec = fleet::own_spec(&place, n_trials, 2);
        spec.repeats = true;
        let stores: Vec<PostgresStore> = (0..n_workers)
            .map(|_| PostgresStore::open(&server.url(), Some(&name)).unwrap())
            .collect();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for (n, store) in stores.iter().enumerate() {
                let (run, spec, depot) = (&run, &spec, &depot);
                scope.spawn(move || {
                    let (me, quiet) = (holder(&format!("w{n}")), Quiet::never());
                    let epoch_ms = (500.0 * trial_s) as u64;
                    fleet::sleep_through(run, spec, store, depot, &me, epoch_ms, &quiet).unwrap();
                });
            }
        });
        let seconds = begun.elapsed().as_secs_f64();
        let trials = stores[0].trials().unwrap();
        let once = |it: &Trial| it.attempt == 1 && it.scores().is_some();
        assert!(trials.len() as u64 == n_trials && trials.iter().all(once));
        let ideal = n_each as f64 * trial_s;
        println!(
            "{n_workers:>2} searching workers   {:8.1} % of the time in trials of {trial_s} s, {:.1} trials a second",
            100.0 * ideal / seconds,
            n_trials as f64 / seconds
        );
    }
}

/// From now on [`peak_mb`] is about what comes.
fn forget_peak() {
    // Linux: resets VmHWM to what is held now.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Most memory that this process had, in MB.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kb = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kb.map_or(f64::NAN, |kb| kb / 1e3)
}

fn hundred_thousand(server: &Server) {
    let n_trials = 100_000;
    let name = "large";
    queue(server, name, 0);
    let store = PostgresStore::open(&server.url(), Some(name)).unwrap();
    for from in (0..n_trials).step_by(10_000) {
        let complete = |number| {
            let new = new_trial(number);
            let memory = auricle::search::store::MemoryStore::default();
            let trial = memory.begin(&new, Some(&holder("w"))).unwrap();
            memory.finish(&end(&trial)).unwrap();
            (new.key, memory.trial(number).unwrap())
        };
        let trials: Vec<(String, Trial)> = (from..from + 10_000).map(complete).collect();
        store.import(&trials).unwrap();
    }
    let show = |when: &str| {
        let begun = Instant::now();
        let shown = std::process::Command::new(env!("CARGO_BIN_EXE_auricle"))
            .args(["study", "show", "--study"])
            .arg(format!("{}#{name}", server.url()))
            .output()
            .unwrap();
        let ms = 1e3 * begun.elapsed().as_secs_f64();
        let text = String::from_utf8_lossy(&shown.stdout);
        assert!(text.contains("100000 complete"), "{text}");
        println!("100,000 trials         {ms:8.0} ms for `auricle study show` {when}");
    };
    show("just after they came");
    let mut client = postgres::Client::connect(&server.url(), postgres::NoTls).unwrap();
    client
        .batch_execute("VACUUM ANALYZE auricle_trial")
        .unwrap();
    show("once the server has tidied up");
    // A worker that proposes, trains for no time and completes.
    let place = Place::new(1);
    let run = place.run();
    let depot = tempfile::tempdir().unwrap();
    let depot = Depot::open(&depot.path().display().to_string()).unwrap();
    forget_peak();
    let before_mb = peak_mb();
    let work = |spec: &StudySpec, asked: &Asked| {
        let begun = Instant::now();
        let quiet = Quiet::never();
        fleet::sleep_through(&run, spec, asked, &depot, &holder("w"), 0, &quiet).unwrap();
        begun.elapsed().as_secs_f64()
    };
    // What its controller costs with so much to learn from is told by the bench `search_overhead`.
    let mut spec = fleet::own_spec(&place, n_trials, 1);
    spec.repeats = true;
    let start_s = work(&spec, &Asked::new(&store));
    spec.budget.n_trials = Some(n_trials + 200);
    let asked = Asked::new(&store);
    let more_s = work(&spec, &asked);
    let (median, most) = asked.median_and_most_ms();
    let each = 1e3 * (more_s - start_s) / 200.0;
    println!("                       {start_s:8.2} s until a worker has read them");
    println!("                       {median:8.2} ms for a proposal, {most:.1} ms at most");
    println!("                       {each:8.2} ms for one with a training of no time");
    println!(
        "                       {:8.0} MB at most in that worker ({before_mb:.0} MB before)",
        peak_mb()
    );
}
