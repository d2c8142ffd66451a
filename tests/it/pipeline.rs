//! The whole way of a sound, as a user walks it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use auricle::evaluate::{Report, report};
use auricle::search::store::{SqliteStore, StudyStore};
use auricle::search::{Trial, TrialState};

use crate::tones;

/// Runs the program; whether it ended well, and all it said.
pub fn auricle(args: &[&OsStr]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_auricle"))
        .args(args)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

struct Place {
    _folder: tempfile::TempDir,
    corpus: PathBuf,
    recipe: PathBuf,
    runs: PathBuf,
}

fn place(n_trials: u64) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let corpus = folder.path().join("corpus");
    tones::corpus(&corpus, &tones::words(4), 16);
    Place {
        recipe: tones::recipe(folder.path(), n_trials),
        runs: folder.path().join("runs"),
        corpus,
        _folder: folder,
    }
}

fn command<'a>(name: &'a str, place: &'a Place, runs: &'a Path) -> Vec<&'a OsStr> {
    vec![
        name.as_ref(),
        place.recipe.as_ref(),
        "--data".as_ref(),
        place.corpus.as_ref(),
        "--runs".as_ref(),
        runs.as_ref(),
        "--device".as_ref(),
        "cpu".as_ref(),
        "--workers".as_ref(),
        "1".as_ref(),
    ]
}

/// The one run's folder.
pub fn run_folder(runs: &Path) -> PathBuf {
    let mut folders: Vec<PathBuf> = fs::read_dir(runs)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("study.sqlite").exists())
        .collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    folders.remove(0)
}

fn trials(runs: &Path) -> Vec<Trial> {
    let folder = run_folder(runs);
    let fingerprint = folder.file_name().unwrap().to_string_lossy().into_owned();
    let store = SqliteStore::open(&folder.join("study.sqlite"), &fingerprint).unwrap();
    store.trials().unwrap()
}

/// What must repeat: everything but the seconds.
fn timeless(trials: Vec<Trial>) -> Vec<Trial> {
    let forget = |trial: Trial| Trial {
        seconds: 0.0,
        attempt: 1,
        ..trial
    };
    trials.into_iter().map(forget).collect()
}

#[test]
fn a_run_learns_judges_packs_and_a_second_one_says_that_all_is_done() {
    let place = place(4);
    let (status, text) = auricle(&command("run", &place, &place.runs));
    assert!(status, "{text}");
    let folder = run_folder(&place.runs);
    let judged: Report = report::read_json(&folder.join("report.json")).unwrap();
    let test = |system: &auricle::evaluate::report::System| {
        system.test.value().unwrap().accuracy.number().unwrap()
    };
    let single = judged.single.value().unwrap();
    // Tones are easy, chance is a quarter.
    assert!(test(single) >= 0.75, "{}", test(single));
    assert_eq!(single.test.value().unwrap().n_examples, 4 * 4 * 2);
    assert_eq!(judged.trials.len(), 4);
    assert_eq!(judged.baselines.len(), 1);
    assert_eq!(judged.ensemble.value().unwrap().members.len(), 2);
    assert!(fs::metadata(folder.join("report.html")).unwrap().len() > 10_000);
    let before: BTreeMap<PathBuf, std::time::SystemTime> = stamps(&folder);
    let (status, text) = auricle(&command("run", &place, &place.runs));
    assert!(
        status && text.contains("all of it was done already"),
        "{text}"
    );
    for name in [
        "report.json",
        "study.sqlite",
        "single.auricle",
        "ensemble.auricle",
    ] {
        assert_eq!(
            stamps(&folder)[&folder.join(name)],
            before[&folder.join(name)],
            "{name}"
        );
    }

    // The packed bundles, judged on the same clips by the stepping network, say the same.
    let of_baseline = &judged.baselines[0];
    assert!(text.contains("baseline-plain.auricle"), "{text}");
    for (name, system) in [
        ("single.auricle", single),
        ("baseline-plain.auricle", of_baseline),
    ] {
        let (status, text) = auricle(&[
            "evaluate".as_ref(),
            folder.join(name).as_ref(),
            "--data".as_ref(),
            place.corpus.as_ref(),
            "--list".as_ref(),
            "splits.tsv".as_ref(),
            "--split".as_ref(),
            "test".as_ref(),
            "--format".as_ref(),
            "json".as_ref(),
        ]);
        assert!(status, "{text}");
        let packed: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::to_value(system.test.value().unwrap()).unwrap();
        assert_eq!(packed["judgement"]["confusion"], expected["confusion"]);
        let difference = packed["judgement"]["cross_entropy"].as_f64().unwrap()
            - expected["cross_entropy"].as_f64().unwrap();
        assert!(difference.abs() < 1e-3, "{name}: {difference}");
    }

    // And it hears a tone in a longer recording, at its time.
    let mut samples = tones::hiss(16_000, 1);
    samples.extend(tones::clip(2, 3, 5));
    samples.extend(tones::hiss(16_000, 2));
    let wav = folder.join("long.wav");
    tones::write(&wav, samples);
    let heard = Command::new(env!("CARGO_BIN_EXE_kws-infer"))
        .args([folder.join("ensemble.auricle").as_os_str(), wav.as_os_str()])
        .output()
        .unwrap();
    let lines = String::from_utf8(heard.stdout).unwrap();
    let is_word = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["keyword"] == "word2" && (line["time_s"].as_f64().unwrap() - 1.5).abs() < 0.75
    };
    assert!(lines.lines().any(is_word), "{lines}");
}

fn stamps(folder: &Path) -> BTreeMap<PathBuf, std::time::SystemTime> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    entries
        .map(|entry| (entry.path(), entry.metadata().unwrap().modified().unwrap()))
        .collect()
}

#[test]
fn the_same_recipe_and_seed_give_the_same_trials_and_scores_twice() {
    let place = place(4);
    let other = place.runs.with_file_name("other");
    for runs in [&place.runs, &other] {
        let (status, text) = auricle(&command("search", &place, runs));
        assert!(status, "{text}");
    }
    assert_eq!(
        run_folder(&place.runs).file_name(),
        run_folder(&other).file_name()
    );
    let first = timeless(trials(&place.runs));
    assert_eq!(first.len(), 4);
    assert_eq!(first, timeless(trials(&other)));
}

#[test]
fn a_search_that_was_killed_goes_on_and_runs_no_finished_trial_again() {
    let place = place(6);
    let mut child = Command::new(env!("CARGO_BIN_EXE_auricle"))
        .args(command("search", &place, &place.runs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Until at least two trials are complete; a kill in mid-trial, as far as chance goes.
    let complete = |trials: &[Trial]| {
        let is_complete = |trial: &&Trial| matches!(trial.state, TrialState::Complete { .. });
        trials.iter().filter(is_complete).count()
    };
    let mut finished_before = Vec::new();
    while child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
        let is_there = place.runs.exists()
            && fs::read_dir(&place.runs)
                .unwrap()
                .flatten()
                .any(|entry| entry.path().join("study.sqlite").exists());
        if is_there {
            let Ok(folder) = std::panic::catch_unwind(|| run_folder(&place.runs)) else {
                continue;
            };
            let fingerprint = folder.file_name().unwrap().to_string_lossy().into_owned();
            let Ok(store) = SqliteStore::open(&folder.join("study.sqlite"), &fingerprint) else {
                continue;
            };
            let Ok(now) = store.trials() else { continue };
            if complete(&now) >= 2 {
                child.kill().unwrap(); // SIGKILL
                child.wait().unwrap();
                finished_before = trials(&place.runs);
                break;
            }
        }
    }
    assert!(
        complete(&finished_before) >= 2,
        "killed too late to show anything"
    );
    let (status, text) = auricle(&command("search", &place, &place.runs));
    assert!(status, "{text}");
    let after = trials(&place.runs);
    assert_eq!(after.len(), 6);
    assert_eq!(complete(&after), 6);
    for (before, after) in finished_before.iter().zip(&after) {
        if matches!(before.state, TrialState::Complete { .. }) {
            assert_eq!(before, after, "a finished trial was touched");
        } else {
            assert_eq!(after.attempt, 2);
        }
    }
    // Resumed equals never stopped.
    let other = place.runs.with_file_name("other");
    let (status, text) = auricle(&command("search", &place, &other));
    assert!(status, "{text}");
    assert_eq!(timeless(after), timeless(trials(&other)));
}
