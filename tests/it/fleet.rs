//! Workers as processes of their own: this test program again, with a trainer that sleeps in place of one that learns.
//! So hundreds of trials take seconds, and a worker can be killed, frozen and thawed as on a real machine.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use auricle::run::{Plan, Run};
use auricle::search::checkpoint::{Checkpoint, Progress};
use auricle::search::depot::Depot;
use auricle::search::store::{
    Holder, PostgresStore, RetryPolicy, StudyAddress, StudyEdit, StudySettings, StudyStore,
};
use auricle::search::study::Ending;
use auricle::search::trainer::{self, Start, TrainError, Training, Verdict};
use auricle::search::worker::Workshop;
use auricle::search::{
    Budget, ControllerSpec, CurvePoint, FailureKind, Outcome, Scores, StudySpec, Trainer, Watch,
    work,
};

use crate::place::{Place, Quiet};

/// What a child process is told.
const CHILD: &str = "AURICLE_TEST_WORKER";

/// How a study's workers are started.
pub struct Fleet {
    pub place: Place,
    pub folder: tempfile::TempDir,
    pub url: String,
    pub n_epochs: usize,
    pub epoch_ms: u64,
    pub lease_ms: u64,
}

/// A search that draws, for so many trials of so many epochs.
pub fn own_spec(place: &Place, n_trials: u64, n_epochs: usize) -> StudySpec {
    let mut spec = place.spec();
    spec.controller = ControllerSpec::Random;
    spec.budget = Budget {
        n_trials: Some(n_trials),
        minutes: None,
        trial_minutes: None,
    };
    spec.train.n_epochs = n_epochs;
    spec
}

impl Fleet {
    /// A new study in that database and a place for its artifacts.
    pub fn new(url: &str, name: &str, n_trials: u64, n_epochs: usize, epoch_ms: u64) -> Self {
        let place = Place::new(n_trials);
        place.run(); // ingested once, found again by every worker
        let folder = tempfile::tempdir().unwrap();
        let settings = StudySettings {
            budget: None,
            retry: RetryPolicy {
                n_retries: [(FailureKind::Lost, 50)].into(),
            },
            artifacts: Some(folder.path().join("artifacts").display().to_string()),
        };
        PostgresStore::create(url, name, "test", "", &settings).unwrap();
        Self {
            place,
            folder,
            url: format!("{url}#{name}"),
            n_epochs,
            epoch_ms,
            lease_ms: 1000,
        }
    }

    pub fn store(&self) -> Box<dyn StudyStore> {
        let address = StudyAddress::parse(&self.url).unwrap();
        address.open().unwrap()
    }

    pub fn depot(&self) -> Depot {
        Depot::open(&self.folder.path().join("artifacts").display().to_string()).unwrap()
    }

    pub fn set_budget(&self, n_trials: u64) {
        let store = self.store();
        let mut settings = store.study().unwrap().settings;
        settings.budget = Some(Budget {
            n_trials: Some(n_trials),
            minutes: None,
            trial_minutes: None,
        });
        store
            .edit(&StudyEdit {
                status: None,
                settings: Some(settings),
            })
            .unwrap();
    }

    /// Starts a worker process.
    pub fn worker(&self, name: &str) -> Worker {
        self.worker_in(name, None)
    }

    /// Starts a worker process, in a world whose clock is wrong where one is given.
    pub fn worker_in(&self, name: &str, clock: Option<&WrongClock>) -> Worker {
        let begun = self.folder.path().join(format!("{name}.begun"));
        let told = serde_json::json!({
            "url": self.url,
            "name": name,
            "source": self.place.source(),
            "runs": self.place.runs(),
            "recipe": serde_json::to_string(&self.place.recipe).unwrap(),
            "n_epochs": self.n_epochs,
            "epoch_ms": self.epoch_ms,
            "lease_ms": self.lease_ms,
            "begun": begun,
            "now_s": now_s() + clock.map_or(0, |clock| clock.skew_s),
        });
        let mut command = Command::new(std::env::current_exe().unwrap());
        if let Some(clock) = clock {
            command.env("LD_PRELOAD", clock.library());
            command.env("AURICLE_TEST_SKEW_S", clock.skew_s.to_string());
        }
        let child = command
            .args([
                "fleet::a_worker_process",
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(CHILD, told.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Worker {
            name: name.into(),
            begun,
            child,
        }
    }
}

pub struct Worker {
    pub name: String,
    /// A file that is there once it asks the study for work.
    begun: PathBuf,
    child: Child,
}

/// A wall clock that is wrong for whoever is started with it.
pub struct WrongClock {
    folder: tempfile::TempDir,
    pub skew_s: i64,
}

impl WrongClock {
    /// `None` where there is no C compiler to make one, or no loader that puts it in place of the right one.
    pub fn new(skew_s: i64) -> Option<Self> {
        let clock = Self {
            folder: tempfile::tempdir().unwrap(),
            skew_s,
        };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/wrong_clock.c");
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(clock.library())
            .arg(source)
            .status();
        let is_made = cfg!(target_os = "linux") && made.is_ok_and(|made| made.success());
        is_made.then_some(clock)
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("wrong_clock.so")
    }
}

/// Seconds since 1970 by this process's clock.
fn now_s() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_secs() as i64
}

impl Worker {
    /// Its program has come up, and it asks the study for work.
    pub fn has_begun(&self) -> bool {
        self.begun.exists()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(status.unwrap().success(), "kill -{name} {pid}");
    }

    /// Waits for its end, which must be a good one.
    pub fn join(self) {
        let output = self.child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
    }

    /// Waits for its end, which must be a bad one; what it said.
    pub fn fails(self) -> String {
        let output = self.child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{text}");
        text
    }

    pub fn kill(mut self) {
        let _ = self.child.kill(); // SIGKILL
        let _ = self.child.wait();
    }
}

/// Learns nothing, in so many milliseconds an epoch. Each epoch says which process trained it: its training loss is
/// that process's number.
pub struct Sleeper {
    pub epoch_ms: u64,
}

impl Trainer for Sleeper {
    fn train(&self, training: &Training, watch: &dyn Watch) -> Result<trainer::Ending, TrainError> {
        let (mut curve, weights) = match training.start {
            Start::Fresh(weights) => (Vec::new(), weights.clone()),
            Start::Resumed(checkpoint) => {
                (checkpoint.progress.curve.clone(), checkpoint.last.clone())
            }
        };
        let hash = u64::from_str_radix(&training.genome.hash_hex(), 16).unwrap();
        let last = 0.25 + (hash % 1000) as f64 / 1000.0;
        let checkpoint = |curve: &[CurvePoint]| {
            let point: &CurvePoint = curve.last()?;
            Some(Box::new(Checkpoint {
                progress: Progress {
                    seed: 0,
                    curve: curve.to_vec(),
                    n_steps: curve.len(),
                    best_epoch: curve.len() - 1,
                    best_scores: Scores {
                        validation_loss: point.validation_loss,
                        validation_accuracy: point.validation_accuracy,
                    },
                },
                last: weights.clone(),
                best: weights.clone(),
                optimizer: vec![],
            }))
        };
        while curve.len() < training.spec.n_epochs {
            for _ in 0..self.epoch_ms.div_ceil(5) {
                if watch.stopped() {
                    return Ok(trainer::Ending::Stopped(checkpoint(&curve)));
                }
                std::thread::sleep(Duration::from_millis(self.epoch_ms.min(5)));
            }
            let epoch = curve.len() + 1;
            curve.push(CurvePoint {
                epoch,
                train_loss: f64::from(std::process::id()),
                validation_loss: last + 1.0 / epoch as f64,
                validation_accuracy: 0.5,
            });
            watch.epoch(training.name, &curve[epoch - 1], training.spec.n_epochs);
            let kept = checkpoint(&curve).expect("an epoch is over");
            match (training.verdict)(&curve) {
                _ if epoch >= training.spec.n_epochs => {}
                Verdict::GoOn => watch.checkpoint(training.name, &kept),
                Verdict::Pause => return Ok(trainer::Ending::Paused(kept)),
                Verdict::GiveUp => break,
            }
        }
        let point = *curve.last().expect("at least one epoch");
        Ok(trainer::Ending::Done(Outcome {
            weights,
            scores: Scores {
                validation_loss: point.validation_loss,
                validation_accuracy: point.validation_accuracy,
            },
            n_steps: curve.len(),
            curve,
        }))
    }
}

/// Stops when this process is asked to.
struct UntilTerminated;

static IS_TERMINATED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

impl Watch for UntilTerminated {
    fn epoch(&self, _: &str, _: &CurvePoint, _: usize) {}
    fn trial(&self, _: &auricle::search::Trial) {}
    fn stopped(&self) -> bool {
        IS_TERMINATED.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// Not a test but a worker, where another test says so.
#[test]
fn a_worker_process() {
    let Ok(told) = std::env::var(CHILD) else {
        return;
    };
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let text = |key: &str| told[key].as_str().unwrap().to_owned();
    let number = |key: &str| told[key].as_u64().unwrap();
    let seconds_off = now_s() - told["now_s"].as_i64().unwrap();
    assert!(
        seconds_off.abs() < 600,
        "the clock is {seconds_off} s from what it was to be"
    );
    let terminated = || IS_TERMINATED.store(true, std::sync::atomic::Ordering::Relaxed);
    ctrlc::set_handler(terminated).unwrap();
    let recipe: auricle::recipe::Recipe = serde_json::from_str(&text("recipe")).unwrap();
    let device = burn::tensor::Device::flex();
    let (source, runs) = (PathBuf::from(text("source")), PathBuf::from(text("runs")));
    let plan = Plan {
        recipe: &recipe,
        source: &source,
        runs: &runs,
        device: &device,
        device_kind: "cpu",
        device_name: "test",
        n_workers: 1,
        today: "2026-01-01",
    };
    let run = Run::open(plan, &Quiet::never()).unwrap();
    let store = StudyAddress::parse(&text("url")).unwrap().open().unwrap();
    let artifacts = store.study().unwrap().settings.artifacts.unwrap();
    let depot = Depot::open(&artifacts).unwrap();
    let mut spec = recipe.search.clone();
    spec.controller = ControllerSpec::Random;
    spec.train.n_epochs = number("n_epochs") as usize;
    std::fs::write(text("begun"), []).unwrap();
    let ending = sleep_through(
        &run,
        &spec,
        &*store,
        &depot,
        &Holder {
            worker: text("name"),
            lease: Some(Duration::from_millis(number("lease_ms"))),
        },
        number("epoch_ms"),
        &UntilTerminated,
    );
    ending.unwrap();
}

/// Works on a study with the trainer that sleeps.
pub fn sleep_through(
    run: &Run,
    spec: &StudySpec,
    store: &dyn StudyStore,
    depot: &Depot,
    holder: &Holder,
    epoch_ms: u64,
    watch: &dyn Watch,
) -> Result<Ending, auricle::search::StudyError> {
    let workshop = Workshop {
        corpus: &run.corpus,
        device: run.plan.device,
        seed: run.plan.recipe.seed,
        folder: Path::new("nothing is written here"),
        depot: Some(depot),
        trainer: &Sleeper { epoch_ms },
        teachers: &[],
        watch,
    };
    work(spec, &run.plan.recipe.space, &workshop, store, 1, holder)
}
