//! `auricle tune` and `auricle evaluate --stream` as a user runs them.

use std::fs;
use std::path::{Path, PathBuf};

use auricle::bundle::Bundle;

use crate::listener::listener;
use crate::pipeline::auricle;
use crate::tones;

/// Hummed words of speakers that were not trained on, hiss and hums that are no words, and a buzz.
fn recordings(folder: &Path) {
    for word in 0..3 {
        for (i, speaker) in [3, 7, 11, 15].into_iter().enumerate() {
            let path = folder.join(format!("words/word{word}/{i}.wav"));
            tones::write(&path, tones::clip(word, speaker, 50));
        }
    }
    let mut rest = tones::hiss(320_000, 5);
    for i in 0..8 {
        let other = tones::clip(5 + i, i, 3);
        rest.splice(i * 32_000..i * 32_000 + other.len(), other);
    }
    tones::write(&folder.join("rest/evening.wav"), rest);
    let buzz = |i: i32| if (i / 40) % 2 == 0 { 0.2 } else { -0.2 };
    tones::write(
        &folder.join("noise/buzz/0.wav"),
        (0..32_000).map(buzz).collect(),
    );
}

fn run(command: &str, bundle: &Path, folder: &Path, rest: &[&str]) -> String {
    let (positive, negative) = (folder.join("words"), folder.join("rest"));
    let mut args = vec![command.as_ref(), bundle.as_os_str(), "--positive".as_ref()];
    args.extend([
        positive.as_os_str(),
        "--negative".as_ref(),
        negative.as_os_str(),
    ]);
    args.extend(rest.iter().map(|word| std::ffi::OsStr::new(*word)));
    let (status, text) = auricle(&args);
    assert!(status, "{text}");
    text
}

#[test]
fn tuning_writes_thresholds_a_picture_and_the_sounds_to_train_against() {
    let listener = listener();
    let folder = tempfile::tempdir().unwrap();
    recordings(folder.path());
    let path = |name: &str| folder.path().join(name);
    let original = fs::read(&listener.bundle).unwrap();
    let out = path("tuned.auricle");
    let out_text = out.display().to_string();
    let rest = ["--target-fa-per-day", "100", "--out", &out_text];
    let text = run("tune", &listener.bundle, folder.path(), &rest);
    for words in [
        "before",
        "after",
        "thresholds",
        "word0",
        "word3: no recording",
        "95 %",
    ] {
        assert!(text.contains(words), "{words} is not in: {text}");
    }
    assert_eq!(
        fs::read(&listener.bundle).unwrap(),
        original,
        "the bundle is as it was"
    );
    let (old, tuned) = (
        Bundle::load(&listener.bundle).unwrap(),
        Bundle::load(&out).unwrap(),
    );
    assert_eq!(tuned.detector.thresholds.len(), 4);
    assert_eq!(
        tuned.detector.threshold_of("word3"),
        old.detector.threshold_of("word3")
    );
    assert!(tuned.provenance["tuned"].contains("100 false accepts a day"));
    assert_eq!((old.members, old.frontend), (tuned.members, tuned.frontend));
    assert!(
        fs::read_to_string(path("tuned.det.svg"))
            .unwrap()
            .starts_with("<svg xmlns")
    );
    let clips = fs::read_to_string(path("tuned.false/clips.json")).unwrap();
    let clips: Vec<serde_json::Value> = serde_json::from_str(&clips).unwrap();
    for clip in &clips {
        assert!(
            path("tuned.false")
                .join(clip["clip"].as_str().unwrap())
                .exists()
        );
    }

    // In place, and as JSON.
    let copy = path("mine.auricle");
    fs::copy(&listener.bundle, &copy).unwrap();
    let rest = [
        "--target-fa-per-day",
        "100",
        "--format",
        "json",
        "--max-clips",
        "1",
    ];
    let text = run("tune", &copy, folder.path(), &rest);
    let answer: serde_json::Value =
        serde_json::from_str(text.split("\n\n").next().unwrap()).unwrap();
    assert_eq!(answer["after"]["total"]["n_targets"], 12);
    assert_eq!(Bundle::load(&copy).unwrap().detector, tuned.detector);
    let leftovers: Vec<PathBuf> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("partial"))
        .collect();
    assert_eq!(leftovers, Vec::<PathBuf>::new());
}

#[test]
fn sound_without_keywords_is_enough_to_tune_by() {
    let listener = listener();
    let folder = tempfile::tempdir().unwrap();
    recordings(folder.path());
    let (copy, rest) = (
        folder.path().join("mine.auricle"),
        folder.path().join("rest"),
    );
    fs::copy(&listener.bundle, &copy).unwrap();
    let tune = |more: &[&std::ffi::OsStr]| {
        let negative = ["--negative".as_ref(), rest.as_os_str()];
        let target = ["--target-fa-per-day".as_ref(), "1000".as_ref()];
        auricle(
            &[
                &["tune".as_ref(), copy.as_os_str()],
                &negative[..],
                &target,
                more,
            ]
            .concat(),
        )
    };
    let list = folder.path().join("list.csv");
    let (status, text) = tune(&["--list".as_ref(), list.as_os_str()]);
    assert!(
        !status && text.contains("list.csv: expected --positive"),
        "{text}"
    );
    let (status, text) = tune(&[]);
    assert!(status && !text.contains("no recording"), "{text}");
    let tuned = Bundle::load(&copy).unwrap();
    assert_eq!(tuned.detector.thresholds.len(), 4, "{text}");
    assert!(tuned.provenance["tuned"].contains("h without keywords alone"));
    assert!(
        !folder.path().join("mine.det.svg").exists(),
        "nothing is missed"
    );
}

#[test]
fn a_stream_is_judged_for_each_keyword_noise_and_level() {
    let listener = listener();
    let folder = tempfile::tempdir().unwrap();
    recordings(folder.path());
    let noise = folder.path().join("noise").display().to_string();
    let rest = ["--stream", "--noise", &noise, "--snr", "10,-10"];
    let text = run("evaluate", &listener.bundle, folder.path(), &rest);
    for words in [
        "as recorded",
        "buzz, 10 dB",
        "all noise, -10 dB",
        "word2",
        "hit: reported",
        "false/h",
    ] {
        assert!(text.contains(words), "{words} is not in: {text}");
    }
    let text = run(
        "evaluate",
        &listener.bundle,
        folder.path(),
        &["--stream", "--format", "json"],
    );
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    let conditions = answer["report"]["conditions"].as_array().unwrap();
    assert_eq!(conditions.len(), 1);
    let total = &conditions[0]["judged"]["total"];
    assert_eq!(total["n_targets"], 12);
    // Clean words of the kind it was trained on: most are heard.
    assert!(total["n_hits"].as_u64().unwrap() >= 9, "{total}");
}

#[test]
fn what_is_missing_is_named() {
    let listener = listener();
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    fs::create_dir_all(&empty).unwrap();
    let bundle = listener.bundle.as_os_str();
    let check = |args: &[&std::ffi::OsStr], words: &str| {
        let (status, text) = auricle(args);
        assert!(!status && text.contains(words), "{text}");
    };
    let empty = empty.as_os_str();
    check(
        &[
            "tune".as_ref(),
            bundle,
            "--positive".as_ref(),
            empty,
            "--negative".as_ref(),
            empty,
            "--target-fa-per-day".as_ref(),
            "1".as_ref(),
        ],
        "word0, word1, word2, word3",
    );
    check(
        &[
            "tune".as_ref(),
            bundle,
            "--target-fa-per-day".as_ref(),
            "1".as_ref(),
        ],
        "--negative",
    );
    check(&["evaluate".as_ref(), bundle], "--data");
    let data = ["evaluate".as_ref(), bundle, "--data".as_ref(), empty];
    let unheeded = ["--tolerance-s".as_ref(), "2".as_ref()];
    check(&[&data[..], &unheeded].concat(), "are for --stream");
    let no_time = ["--seconds".as_ref(), "1,0".as_ref()];
    check(
        &[&data[..], &no_time].concat(),
        "--seconds is 0, expected more than 0",
    );
    let twice = folder.path().join("twice.csv");
    fs::write(
        &twice,
        "path,label\na.wav,word0\nb.wav,word1\na.wav,word0\n",
    )
    .unwrap();
    let twice = ["--list".as_ref(), twice.as_os_str()];
    check(
        &[&data[..], &twice].concat(),
        "twice.csv:4: found a.wav again, as on line 2; expected each clip once",
    );
    let no_noise = ["evaluate".as_ref(), bundle, "--stream".as_ref()];
    let levels = ["--snr".as_ref(), "10".as_ref()];
    check(&[&no_noise[..], &levels].concat(), "--noise");
    let list = folder.path().join("list.csv");
    fs::write(&list, "path,label\na.wav,word0\nb.wav,Word 1\n").unwrap();
    fs::write(folder.path().join("empty/talk.wav"), "sound").unwrap();
    let list = ["--list".as_ref(), list.as_os_str()];
    let tune = ["tune".as_ref(), bundle, "--positive".as_ref(), empty];
    let rest = ["--negative", "--target-fa-per-day", "1"].map(AsRef::as_ref);
    check(
        &[&tune[..], &list, &[rest[0], empty], &rest[1..]].concat(),
        "b.wav: found `Word 1`, expected `word1`, as the bundle has it",
    );
    check(
        &["evaluate".as_ref(), bundle, "--stream".as_ref()],
        "--positive",
    );
}
