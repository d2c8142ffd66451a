//! What the program says: help with examples, and errors that name the file, what was found and what
//! was expected.

use std::fs;
use std::process::Command;

use crate::pipeline::auricle;
use crate::tones;

#[test]
fn the_help_of_every_command_shows_an_example() {
    for command in [
        "demo", "run", "ingest", "search", "evaluate", "compare", "explain", "tune", "export",
        "describe", "infer", "serve",
    ] {
        let (status, text) = auricle(&[command.as_ref(), "--help".as_ref()]);
        assert!(status && text.contains("Example"), "{command}: {text}");
    }
}

#[track_caller]
fn check_error(args: &[&str], words: &[&str]) {
    let args: Vec<&std::ffi::OsStr> = args.iter().map(AsRef::as_ref).collect();
    let (status, text) = auricle(&args);
    assert!(!status, "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[test]
fn errors_name_the_file_what_was_found_and_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    check_error(
        &["run", &path("none.toml"), "--data", &path("")],
        &["none.toml", "No such file"],
    );
    let recipe = tones::recipe(folder.path(), 2);
    let text = fs::read_to_string(&recipe).unwrap();
    let wrong = path("wrong.toml");
    fs::write(&wrong, text.replace("n_epochs = 2", "n_epochs = 0")).unwrap();
    check_error(
        &["run", &wrong, "--data", &path("")],
        &["wrong.toml", "n_epochs", "found 0", "expected 1 to"],
    );
    fs::write(&wrong, text.replace("title", "titel")).unwrap();
    check_error(
        &["run", &wrong, "--data", &path("")],
        &["wrong.toml", "titel"],
    );
    fs::write(
        &wrong,
        text.replace(
            "\"conv1d\", n_channels = [8, 12]",
            "\"conv1d\", n_channels = [0]",
        ),
    )
    .unwrap();
    check_error(
        &["run", &wrong, "--data", &path("")],
        &[
            "wrong.toml",
            "conv1d",
            "n_channels is 0",
            "expected 1 to 4096",
        ],
    );
    let recipe = recipe.display().to_string();
    check_error(
        &[
            "run",
            &recipe,
            "--data",
            &path("nowhere"),
            "--device",
            "cpu",
            "--runs",
            &path("runs"),
        ],
        &["nowhere"],
    );
    check_error(
        &["run", &recipe, "--data", ".", "--device", "gpu"],
        &["gpu", "expected auto, cpu"],
    );
    let synth = [
        "dataset",
        "synth",
        "--words",
        "lumo",
        "--into",
        &path("lumo"),
    ];
    check_error(
        &[&synth[..], &["--piper-voices", "voices"]].concat(),
        &["--piper-voices voices", "expected --engine piper"],
    );
    fs::write(path("text.auricle"), "this is no bundle").unwrap();
    check_error(
        &["describe", &path("text.auricle")],
        &["text.auricle", "expected"],
    );
    check_error(
        &["export", &path(""), "--to", &path("x.auricle")],
        &["expected the folder of a finished run"],
    );
}

#[test]
fn bad_files_are_set_aside_and_too_many_of_them_end_the_run_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = folder.path().join("corpus");
    tones::corpus(&corpus, &tones::words(4), 16);
    let bad = corpus.join("word1/s00_nohash_0.wav");
    fs::write(&bad, "text that is named as sound").unwrap();
    let recipe = tones::recipe(folder.path(), 1);
    let runs = folder.path().join("runs");
    let ingest = || {
        auricle(&[
            "ingest".as_ref(),
            recipe.as_ref(),
            "--data".as_ref(),
            corpus.as_ref(),
            "--runs".as_ref(),
            runs.as_ref(),
        ])
    };
    let (status, text) = ingest();
    assert!(
        status && text.contains("127 clips") && text.contains("1 files set aside"),
        "{text}"
    );
    let (status, text) = ingest();
    assert!(status && text.contains("nothing was done again"), "{text}");
    for speaker in 1..9 {
        fs::write(
            corpus.join(format!("word1/s{speaker:02}_nohash_0.wav")),
            "text",
        )
        .unwrap();
    }
    let (status, text) = ingest();
    assert!(!status, "{text}");
    for word in [
        "clips are bad",
        "expected at most 5 %",
        "s01_nohash_0.wav",
        "rejects.jsonl",
    ] {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

#[test]
fn devices_are_listed_and_the_cpu_is_always_there() {
    let (status, text) = auricle(&["devices".as_ref()]);
    assert!(
        status && text.contains("cpu") && text.contains("Microphones"),
        "{text}"
    );
}

#[test]
fn kws_infer_says_what_it_was_not_given() {
    let output = Command::new(env!("CARGO_BIN_EXE_kws-infer"))
        .arg("none.auricle")
        .arg("x.wav")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && text.contains("none.auricle"),
        "{text}"
    );
}
