//! `auricle study` and `auricle worker`, as a user walks them.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::tones;
use crate::walk::{Walk, states};

#[test]
fn a_study_in_a_file_is_created_worked_on_steered_moved_and_deleted() {
    let walk = Walk::new(3, None);
    walk.create();
    let text = Walk::text(walk.command(&["study", "show"]), true);
    assert!(
        text.contains("status    running") && text.contains("trials    0"),
        "{text}"
    );
    // A genome of one's own comes first.
    let genome = walk.folder.path().join("genome.json");
    let own = r#"{"stem": {"n_channels": 8, "kernel_frames": 3, "stride_frames": 2}, "blocks": [],
                  "head": {"kind": "mean", "window_frames": 98}}"#;
    fs::write(&genome, own).unwrap();
    walk.json(&["suggest", "genome.json"]);
    let text = walk.work();
    assert!(
        text.contains("the budget is spent: 3 of 3 trials"),
        "{text}"
    );
    let trials = walk.json(&["trials"]);
    assert_eq!(states(&trials), ["complete"; 3]);
    assert_eq!(trials[0]["genome"]["blocks"], serde_json::json!([]));
    // More of it, while a worker could run.
    walk.json(&["set-budget", "--trials", "5"]);
    assert!(walk.work().contains("5 of 5 trials"));
    let show = &walk.json(&["show"])[0];
    assert_eq!(show["n_by_state"]["complete"], 5);
    assert_eq!(show["settings"]["budget"]["n_trials"], 5);
    assert_eq!(show["best"], walk.json(&["best", "-n", "1"])[0]);
    let all = walk.json(&["trials"]);
    let losses = all
        .iter()
        .map(|it| it["state"]["scores"]["validation_loss"].as_f64());
    let least = losses.map(Option::unwrap).fold(f64::INFINITY, f64::min);
    assert_eq!(show["best"]["state"]["scores"]["validation_loss"], least);
    // A pause begins nothing, a stop sends workers away.
    walk.json(&["set-budget", "--trials", "6"]);
    walk.json(&["stop"]);
    assert!(walk.work().contains("stopped"));
    assert_eq!(walk.json(&["trials"]).len(), 5);
    walk.json(&["resume"]);
    let error = Walk::text(walk.command(&["study", "kill", "0"]), false);
    assert!(
        error.contains("trial 0 is complete, expected queued"),
        "{error}"
    );
    // The study moves with all it has.
    let export = Walk::text(walk.command(&["study", "export"]), true);
    assert_eq!(export.lines().count(), 1 + 5);
    fs::write(walk.folder.path().join("export.jsonl"), &export).unwrap();
    let there = Walk {
        address: walk
            .folder
            .path()
            .join("there.sqlite")
            .display()
            .to_string(),
        folder: tempfile::tempdir().unwrap(),
        corpus: walk.corpus.clone(),
        recipe: walk.recipe.clone(),
        artifacts: walk.artifacts.clone(),
        variables: Vec::new(),
    };
    let from = walk
        .folder
        .path()
        .join("export.jsonl")
        .display()
        .to_string();
    there.json(&["import", &from]);
    assert_eq!(there.json(&["trials"]), walk.json(&["trials"]));
    assert!(there.work().contains("6 of 6 trials"));
    // Artifacts that a trial names stay, others go.
    let artifacts = walk.folder.path().join("shared/artifacts");
    let count = || fs::read_dir(&artifacts).unwrap().count();
    fs::write(artifacts.join("ab".repeat(32)), "nobody's").unwrap();
    let n_before = count();
    let found = &walk.json(&["gc", "--dry-run", "--older-than", "0"])[0];
    // The trial of the other place is nobody's here either.
    assert_eq!((&found["n_removed"], count()), (&Value::from(2), n_before));
    walk.json(&["gc", "--older-than", "0"]);
    assert_eq!(count(), n_before - 2);
    let error = Walk::text(walk.command(&["study", "delete"]), false);
    assert!(error.contains("--yes"), "{error}");
    walk.json(&["delete", "--yes"]);
    let error = Walk::text(walk.command(&["study", "show"]), false);
    assert!(error.contains("study.sqlite"), "{error}");
}

#[test]
fn a_study_that_is_not_there_is_named_with_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let command = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_auricle"));
        command.args(args).current_dir(folder.path());
        command
    };
    for (place, named) in [("nowhere", "nowhere: "), ("empty", "empty/study.sqlite: ")] {
        for words in [
            &["study", "show"][..],
            &["study", "list"],
            &["study", "trials"],
            &["worker", "--data", "corpus"],
        ] {
            let text = Walk::text(command(&[words, &["--study", place]].concat()), false);
            let expected = format!("{named}found nothing there, expected the folder of a run");
            assert!(text.contains(&expected), "{text}");
        }
        assert!(!folder.path().join("empty/study.sqlite").exists());
    }
    let recipe = tones::recipe(folder.path(), 1).display().to_string();
    let replay = ["search", &recipe, "--data", "corpus", "--replay", "empty"];
    let text = Walk::text(command(&replay), false);
    assert!(
        text.contains("empty/study.sqlite: found nothing there"),
        "{text}"
    );
}

#[test]
fn a_worker_with_its_own_copy_of_the_data_joins_and_one_with_other_data_is_refused() {
    let walk = Walk::new(2, None);
    let folder = walk.folder.path();
    for noise in ["noise", "copied-noise"] {
        tones::write(
            &folder.join(noise).join("fan.wav"),
            tones::hiss(16_000 * 20, 1),
        );
    }
    let recipe = walk.recipe.display().to_string();
    let create = [
        "study",
        "create",
        &recipe,
        "--artifacts",
        &walk.artifacts,
        "--noise",
        "noise",
    ];
    Walk::text(walk.over(&create), true);
    let copy = folder.join("copy");
    tones::corpus(&copy, &tones::words(4), 16);
    let mut command = walk.command(&[
        "worker",
        "--workers",
        "1",
        "--device",
        "cpu",
        "--runs",
        "elsewhere",
    ]);
    command
        .arg("--data")
        .arg(&copy)
        .args(["--noise", "copied-noise"]);
    let text = Walk::text(command, true);
    assert!(text.contains("2 of 2 trials"), "{text}");
    tones::corpus(&walk.corpus, &tones::words(4), 20);
    let error = Walk::text(walk.over(&["worker"]), false);
    assert!(
        error.contains("recipe, data or kind of device are not the same"),
        "{error}"
    );
}

#[test]
fn secrets_are_not_shown() {
    let walk = Walk::new(1, None);
    let secret = "postgres://me:geheim@127.0.0.1:1/db#words";
    let error = Walk::text(walk.command(&["study", "show", "--study", secret]), false);
    assert!(
        error.contains("PGPASSWORD") && !error.contains("geheim"),
        "{error}"
    );
    let mut command = walk.command(&["study", "show"]);
    command.env("AURICLE_STUDY", secret);
    let error = Walk::text(command, false);
    assert!(
        error.contains("cannot be reached") && !error.contains("geheim"),
        "{error}"
    );
}

#[cfg(feature = "postgres")]
#[test]
fn workers_on_postgresql_search_and_a_run_goes_on_from_what_they_found() {
    let Some(server) = crate::postgres_server::Server::start(&[]) else {
        return;
    };
    let walk = Walk::new(6, Some(format!("{}#tones", server.url())));
    walk.create();
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let mut command = walk.over(&["worker", "--workers", "1", "--lease", "30"]);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().unwrap()
        })
        .collect();
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    let trials = walk.json(&["trials"]);
    assert_eq!(states(&trials), ["complete"; 6]);
    let recipe = walk.recipe.display().to_string();
    let text = Walk::text(walk.over(&["run", &recipe, "--study", &walk.address]), true);
    assert!(
        text.contains("report.html") && text.contains("ensemble.auricle"),
        "{text}"
    );
    assert_eq!(
        walk.json(&["trials"]),
        trials,
        "the run trained no trial again"
    );
    let names: Vec<Value> = walk.json(&["list"]);
    assert_eq!(names, [serde_json::json!({"name": "tones"})]);
}

#[cfg(feature = "postgres")]
#[test]
fn tls_is_spoken_on_request_and_a_certificate_of_nobody_known_is_refused() {
    let Some(server) = crate::postgres_server::Server::with_tls() else {
        return;
    };
    let list = |url: &str, root: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_auricle"));
        command.args(["study", "list", "--study", url]);
        if let Some(root) = root {
            command.env("PGSSLROOTCERT", server.folder().join(root));
        }
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let url = format!("{}?sslmode=require", server.url());
    let (is_well, text) = list(&url, Some("ca.pem"));
    assert!(is_well, "{text}");
    let (is_well, text) = list(&url, None);
    assert!(!is_well && text.contains("certificate"), "{text}");
    let (is_well, text) = list(&url, Some("none.pem"));
    assert!(!is_well && text.contains("none.pem"), "{text}");
    let plain = crate::postgres_server::Server::shared().unwrap();
    let url = format!("{}?sslmode=require", plain.url());
    let (is_well, text) = list(&url, Some("ca.pem"));
    assert!(!is_well && text.contains("TLS"), "{text}");
}
