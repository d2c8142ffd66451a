use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::draw::{Away, View, draw};
use super::reader::{Intent, Measure, Picture, Reader};
use super::{News, Screen, keep_reading};
use crate::model::{Cost, Genome, Ports};
use crate::search::hyper::HyperPoint;
use crate::search::store::{
    Beat, HandBack, Holder, NewTrial, Progress, RetryPolicy, StoreError, StudyAddress,
    StudySettings, StudyStore, TrialEnd,
};
use crate::search::{Artifacts, Budget, CurvePoint, Failure, FailureKind, Scores, TrialState};

/// A study in a file, and one that reads it.
struct Desk {
    _folder: tempfile::TempDir,
    store: Box<dyn StudyStore>,
    reader: Reader,
}

fn holder(name: &str) -> Holder {
    Holder {
        worker: name.into(),
        lease: Some(Duration::from_secs(60)),
    }
}

fn curve(losses: &[f64]) -> Vec<CurvePoint> {
    let points = losses.iter().enumerate();
    points
        .map(|(index, loss)| CurvePoint {
            epoch: index + 1,
            train_loss: *loss,
            validation_loss: *loss,
            validation_accuracy: 1.0 - loss / 10.0,
        })
        .collect()
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.sqlite").display().to_string();
        let address = StudyAddress::parse(&path).unwrap();
        let settings = StudySettings {
            budget: Some(Budget {
                n_trials: Some(40),
                minutes: Some(90.0),
                trial_minutes: None,
            }),
            retry: RetryPolicy::shared(),
            artifacts: None,
        };
        address
            .create("words", "c0ffee", "kept elsewhere", &settings)
            .unwrap();
        let intent = Intent {
            budget: settings.budget.unwrap(),
            n_epochs: 12,
            n_workers_alone: None,
        };
        Self {
            store: address.open().unwrap(),
            reader: Reader::new(address.open().unwrap(), Some(intent)),
            _folder: folder,
        }
    }

    /// Begins a trial whose network has so many channels.
    fn begin(&self, number: u64, n_channels: u64, worker: Option<&str>) {
        let genome: Genome = serde_json::from_value(serde_json::json!({
            "stem": {"n_channels": n_channels, "kernel_frames": 3, "stride_frames": 2},
            "blocks": [],
            "head": {"kind": "mean", "window_frames": 98},
        }))
        .unwrap();
        let ports = Ports {
            n_mels: 40,
            n_classes: 12,
            frames_per_1000_s: 100_000,
        };
        let new = NewTrial {
            number,
            key: format!("{}-{number}", genome.hash_hex()),
            parent: None,
            cost: Cost::of(&genome, &ports),
            genome,
            hyper: HyperPoint::default(),
            donors: vec![],
            teachers: vec![],
            batch_size: 64,
            learned: vec![],
        };
        let holder = worker.map(holder);
        self.store.begin(&new, holder.as_ref()).unwrap();
    }

    fn end(&self, number: u64, state: TrialState, losses: &[f64]) {
        self.store
            .finish(&TrialEnd {
                number,
                attempt: self.store.trial(number).unwrap().attempt,
                state,
                curve: curve(losses),
                seconds: 30.0,
                n_inherited: 0,
                batch_size: 64,
                artifacts: Artifacts::default(),
            })
            .unwrap();
    }

    fn complete(&self, number: u64, loss: f64) {
        let scores = Scores {
            validation_loss: loss,
            validation_accuracy: 1.0 - loss / 10.0,
        };
        self.end(number, TrialState::Complete { scores }, &[2.0, loss]);
    }

    fn fail(&self, number: u64, kind: FailureKind, reason: &str) {
        let failure = failure(kind, reason);
        self.end(number, TrialState::Failed { failure }, &[]);
    }

    /// Some of everything: losses that fall, failures, two that run, one that waits.
    fn filled() -> Self {
        let desk = Self::new();
        let sizes_and_losses = [
            (16, 1.5),
            (8, 1.8),
            (64, 0.9),
            (32, 1.7),
            (128, 0.625),
            (16, 2.5),
        ];
        for (number, (n_channels, loss)) in (0..).zip(sizes_and_losses) {
            desk.begin(number, n_channels, Some("w0"));
            desk.complete(number, loss);
        }
        desk.begin(6, 24, Some("w0"));
        desk.fail(
            6,
            FailureKind::NonFinite,
            "the loss is not finite in epoch 2",
        );
        desk.begin(7, 25, Some("w1"));
        desk.store
            .hand_back(&HandBack {
                number: 7,
                attempt: 1,
                progress: Progress {
                    curve: vec![],
                    artifacts: Artifacts::default(),
                },
                seconds: 1.0,
                failure: Some(failure(
                    FailureKind::OutOfMemory,
                    "no memory for a batch of 64",
                )),
            })
            .unwrap();
        desk.store.claim(&holder("w1"), &[]).unwrap();
        desk.beat(7, 2, &[3.0, 2.0, 1.0]);
        desk.begin(8, 26, Some("w2"));
        desk.begin(9, 27, None);
        desk
    }

    fn beat(&self, number: u64, attempt: u32, losses: &[f64]) {
        self.store
            .heartbeat(&Beat {
                number,
                attempt,
                lease: Some(Duration::from_secs(60)),
                progress: Some(Progress {
                    curve: curve(losses),
                    artifacts: Artifacts::default(),
                }),
            })
            .unwrap();
    }

    fn look(&mut self) -> Picture {
        self.reader.look().unwrap()
    }
}

fn failure(kind: FailureKind, reason: &str) -> Failure {
    Failure {
        kind,
        reason: reason.into(),
        trace: None,
    }
}

/// What stands on a terminal of that size, a line each, ends trimmed.
fn drawn(view: &View, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view)).unwrap();
    let buffer = terminal.backend().buffer();
    let rows = buffer.content().chunks(width.into());
    let rows = rows.map(|row| {
        let row: String = row.iter().map(|cell| cell.symbol()).collect();
        row.trim_end().to_owned()
    });
    rows.collect::<Vec<_>>().join("\n")
}

fn view(picture: &Picture) -> View<'_> {
    View {
        address: "runs/words/study.sqlite",
        picture: Some(picture),
        away: None,
        measure: Measure::Loss,
    }
}

#[track_caller]
fn check_shows(text: &str, all: &[&str]) {
    for part in all {
        assert!(text.contains(part), "found no `{part}` in\n{text}");
    }
}

#[test]
fn a_wide_terminal_shows_the_best_the_front_what_runs_who_lives_what_failed_and_what_is_left() {
    let picture = Desk::filled().look();
    let text = drawn(&view(&picture), 150, 45);
    check_shows(
        &text,
        &[
            "words running",
            "6 complete, 1 failed, 1 queued, 2 running",
            "trial 4: 93.75 %, loss 0.6250",
            "30 of 40 trials left",
            "1 h 30 min",
            // Four that nothing beats in both, of six.
            "\u{25c6} front 4, \u{b7} 2",
            "best loss so far",
            "running: 2",
            "3/12",
            "attempt 2, w1",
            "\u{2588}\u{2585}\u{2581}", // its curve
            "workers with trials: 2",
            "s left",
            "non-finite",
            "the loss is not finite in epoch 2",
            "out-of-memory",
            "no memory for a batch of 64",
            "q leaves",
        ],
    );
    // The line of the worker w2 says when it was heard.
    let line = text
        .lines()
        .find(|line| line.contains(" w2 ") && line.contains(" ago"));
    assert!(line.is_some(), "{text}");
}

#[test]
fn an_ordinary_terminal_of_80_by_24_shows_the_same_in_fewer_lines() {
    let picture = Desk::filled().look();
    let text = drawn(&view(&picture), 80, 24);
    check_shows(
        &text,
        &[
            "trial 4: 93.75 %",
            "30 of 40 trials left",
            "front 4",
            "running: 2",
            "3/12",
            "workers with trials: 2",
            " s ago",
            "failures: 2",
            "the loss is not finite in epoch 2",
            "q leaves",
        ],
    );
}

#[test]
fn a_terminal_of_any_size_shows_what_there_is_room_for() {
    let (empty, filled) = (Desk::new().look(), Desk::filled().look());
    let widths = (1..60).chain([80, 110, 250]);
    for width in widths {
        for height in (1..30).chain([45, 100]) {
            for picture in [&empty, &filled] {
                let text = drawn(&view(picture), width, height);
                // Whatever else there is room for.
                assert!(width < 8 || text.contains("q leaves"), "{text}");
            }
        }
    }
    let text = drawn(&view(&filled), 30, 5);
    check_shows(&text, &["words running", "trial 4: 93.75 %", "q leaves"]);
    let text = drawn(&view(&empty), 80, 24);
    check_shows(&text, &["no trial has a result yet", "no worker has"]);
}

#[test]
fn the_picture_changes_when_a_trial_ends() {
    let mut desk = Desk::filled();
    let before = drawn(&view(&desk.look()), 120, 40);
    desk.complete(7, 0.25);
    let after = desk.look();
    let text = drawn(&view(&after), 120, 40);
    check_shows(
        &before,
        &["trial 4: 93.75 %", "running: 2", "attempt 2, w1"],
    );
    check_shows(
        &text,
        &["trial 7: 97.50 %, loss 0.2500", "running: 1", "7 complete"],
    );
    assert!(!text.contains("attempt 2, w1"), "{text}");
    // One that begins is seen as well, and epochs as they are told.
    desk.begin(10, 30, Some("w3"));
    desk.beat(10, 1, &[2.0, 1.75]);
    check_shows(
        &drawn(&view(&desk.look()), 120, 40),
        &["running: 2", "2/12", "1.7500"],
    );
}

#[test]
fn the_other_measure_is_drawn_in_place_of_the_first() {
    let picture = Desk::filled().look();
    let view = View {
        measure: Measure::Accuracy,
        ..view(&picture)
    };
    let text = drawn(&view, 150, 45);
    check_shows(&text, &["best accuracy so far", "accuracy, parameters"]);
}

#[test]
fn a_store_that_is_away_is_said_over_what_was_last_seen() {
    let picture = Desk::filled().look();
    let away = Some(Away {
        seconds: 75.0,
        reason: "connection refused",
        retry_seconds: 3.2,
    });
    for seen in [None, Some(&picture)] {
        let view = View {
            picture: seen,
            away,
            ..view(&picture)
        };
        let text = drawn(&view, 100, 30);
        check_shows(
            &text,
            &["no answer for 1 min 15 s: asking again in 4 s; q leaves. connection refused"],
        );
    }
    check_shows(
        &drawn(
            &View {
                away,
                ..view(&picture)
            },
            100,
            30,
        ),
        &["trial 4: 93.75 %"],
    );
    check_shows(
        &drawn(
            &View {
                away,
                ..view(&picture)
            },
            30,
            1,
        ),
        &["no answer for 1 min 15 s"],
    );
}

#[test]
fn a_store_that_is_away_is_asked_less_and_less_often_and_again_as_before_when_it_is_back() {
    let picture = Desk::new().look();
    let away = || {
        Err(StoreError::Unavailable {
            place: "db".into(),
            reason: "gone".into(),
        })
    };
    let gone = StoreError::NoFile { path: "db".into() };
    let answers = [away(), away(), away(), Ok(picture), away(), Err(gone)];
    let mut answers = answers.into_iter();
    let (news, heard) = channel();
    let every = Duration::from_millis(1);
    keep_reading(|| answers.next().unwrap(), every, &news);
    let waits: Vec<Option<u128>> = heard
        .try_iter()
        .map(|news| match news {
            News::Away { wait, .. } => Some(wait.as_millis()),
            News::Picture(_) | News::Broken(_) => None,
        })
        .collect();
    assert_eq!(waits, [Some(1), Some(2), Some(4), None, Some(1), None]);
}

/// Says to a child of this test program that it is to panic on its screen.
const CHILD: &str = "AURICLE_TEST_SCREEN";

/// Not a test, where another one does not ask for it.
#[test]
fn a_screen_that_panics() {
    if std::env::var_os(CHILD).is_some() {
        let _screen = Screen::open().unwrap();
        panic!("nobody expected this");
    }
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_is_told() {
    let exe = std::env::current_exe().unwrap();
    let name = "cli::commands::study::watch::tests::a_screen_that_panics";
    let line = format!("{} --exact {name} --nocapture; stty -a", exe.display());
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        eprintln!("skipped: there is no `script` that lends a terminal");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let entered = text.find("\x1b[?1049h").expect(&text);
    let left = text.find("\x1b[?1049l").expect(&text);
    let told = text.find("nobody expected this").expect(&text);
    assert!(entered < left && left < told, "{text}");
    assert_eq!(text.matches("\x1b[?1049l").count(), 1, "{text}");
    assert!(
        text.contains(" icanon") && text.contains(" echo "),
        "{text}"
    );
}
