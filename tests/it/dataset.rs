//! `auricle dataset` from outside: what is known of corpora, and what is wrong with one.

use std::f32::consts::TAU;
use std::fs;
use std::path::Path;

use auricle::audio::{Clip, write_wav};

use crate::pipeline::auricle;

fn said(args: &[&str]) -> (bool, String) {
    let args: Vec<&std::ffi::OsStr> = args.iter().map(AsRef::as_ref).collect();
    auricle(&args)
}

/// Two words of three speakers, each on one side.
fn corpus(root: &Path) {
    for (at, (word, speaker)) in [("go", "ann"), ("up", "ann"), ("go", "bob"), ("up", "eve")]
        .iter()
        .enumerate()
    {
        let samples = (0..16_000)
            .map(|i| 0.3 * (TAU * (200.0 + 50.0 * at as f32) * i as f32 / 16_000.0).sin())
            .collect();
        let path = root.join(word).join(format!("{speaker}_nohash_0.wav"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_wav(
            &path,
            &Clip {
                samples,
                sample_rate_hz: 16_000,
            },
        )
        .unwrap();
    }
    fs::write(root.join("validation_list.txt"), "go/bob_nohash_0.wav\n").unwrap();
    fs::write(root.join("testing_list.txt"), "up/eve_nohash_0.wav\n").unwrap();
}

#[test]
fn every_card_is_listed_with_its_licence_and_one_says_all_of_itself() {
    let (status, text) = said(&["dataset", "list"]);
    assert!(
        status && text.contains("speech-commands-v2") && text.contains("CC-BY-4.0"),
        "{text}"
    );
    let (status, text) = said(&["dataset", "list", "speech-commands-v1"]);
    for words in [
        "22246 clips in train",
        "sha256 known",
        "arXiv:1804.03209",
        "test-set",
    ] {
        assert!(
            status && text.contains(words),
            "`{words}` is not in: {text}"
        );
    }
    let (status, text) = said(&["dataset", "list", "speech"]);
    assert!(!status && text.contains("speech-commands-v2"), "{text}");
}

#[test]
fn a_check_ends_well_on_a_sound_corpus_and_badly_on_one_that_would_deceive() {
    let folder = tempfile::tempdir().unwrap();
    corpus(folder.path());
    let place = folder.path().display().to_string();
    let (status, text) = said(&["dataset", "check", &place]);
    assert!(status && text.contains("nothing is wrong"), "{text}");
    fs::copy(
        folder.path().join("go/ann_nohash_0.wav"),
        folder.path().join("up/eve_nohash_0.wav"),
    )
    .unwrap();
    let (status, text) = said(&["dataset", "check", &place]);
    assert!(!status, "{text}");
    for words in [
        "in more than one split",
        "go/ann_nohash_0.wav",
        "up/eve_nohash_0.wav",
        "1 kinds of error",
    ] {
        assert!(text.contains(words), "`{words}` is not in: {text}");
    }
    let (status, text) = said(&["dataset", "check", &place, "--card", "free-spoken-digit"]);
    assert!(!status && text.contains("recordings"), "{text}");
}

#[test]
fn statistics_come_as_text_json_and_picture() {
    let folder = tempfile::tempdir().unwrap();
    corpus(folder.path());
    let place = folder.path().display().to_string();
    let (status, text) = said(&["dataset", "stats", &place]);
    assert!(
        status && text.contains("4 clips, 4.0 s, 2 labels, 3 speakers"),
        "{text}"
    );
    let (_, json) = said(&["dataset", "stats", &place, "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["splits"]["test"]["n_clips"], 1);
    let (_, svg) = said(&["dataset", "stats", &place, "--format", "svg"]);
    assert!(
        svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"),
        "{svg}"
    );
}

#[test]
fn a_page_plays_and_draws_clips_of_each_label() {
    let folder = tempfile::tempdir().unwrap();
    corpus(folder.path());
    fs::write(folder.path().join("up/bad_nohash_0.wav"), "no sound").unwrap();
    let place = folder.path().display().to_string();
    let page = folder.path().join("listen.html").display().to_string();
    let say = |more: &[&str]| {
        let args = ["dataset", "listen-html", &place, "--out", &page];
        let (status, text) = said(&[&args[..], more].concat());
        (status, text, fs::read_to_string(&page).unwrap_or_default())
    };
    let (status, text, html) = say(&[]);
    assert!(status && text.contains("5 clips of 2 labels"), "{text}");
    assert!(text.contains("1 of them cannot be heard"), "{text}");
    // 32,044 bytes of WAV each, and no file that the page would ask for.
    assert_eq!(html.matches("src=\"data:audio/wav;base64,UklGR").count(), 4);
    assert!(html.len() > 4 * 42_000, "{}", html.len());
    for words in [
        "<h2>go</h2>",
        "2 clips, 2 speakers",
        "speaker ann",
        "waveform",
    ] {
        assert!(html.contains(words), "`{words}` is not in the page");
    }
    let (status, _, html) = say(&["--link", "--label", "go"]);
    assert!(status && html.contains("src=\"go/ann_nohash_0.wav\""));
    assert!(!html.contains("data:audio") && !html.contains("<h2>up</h2>"));
    let (status, text, _) = say(&["--label", "stop"]);
    assert!(
        !status && text.contains("`stop`") && text.contains("go, up"),
        "{text}"
    );
}

#[test]
fn a_card_of_ones_own_is_read_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    corpus(folder.path());
    let place = folder.path().display().to_string();
    let mine = folder.path().join("mine.toml");
    let card = fs::read_to_string("datasets/cards/free-spoken-digit.toml").unwrap();
    let card = card.replace("\"Free Spoken Digit Dataset\"", "\"Mine\"");
    fs::write(&mine, &card).unwrap();
    let name = mine.display().to_string();
    let (status, text) = said(&["dataset", "list", &name]);
    assert!(status && text.starts_with("Mine: "), "{text}");
    let (status, text) = said(&["dataset", "check", &place, "--card", &name]);
    assert!(!status && text.contains("recordings"), "{text}");
    fs::write(&mine, card.replace("licence", "license")).unwrap();
    let (status, text) = said(&["dataset", "list", &name]);
    assert!(
        !status && text.contains("mine.toml") && text.contains("license"),
        "{text}"
    );
    let (status, text) = said(&["dataset", "list", "absent.toml"]);
    assert!(
        !status && text.contains("absent.toml: No such file"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_fetched_is_said_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("corpus").display().to_string();
    let (status, text) = said(&["dataset", "get", "common-voice", "--to", &to]);
    assert!(
        !status && text.contains("cannot be fetched by a program"),
        "{text}"
    );
    let (status, text) = said(&["dataset", "get", "fleurs", "--to", &to]);
    assert!(!status && text.contains("de_de"), "{text}");
    let get = ["dataset", "get", "speech-commands-v2", "--to", &to];
    let (status, text) = said(&[&get[..], &["--language", "et"]].concat());
    assert!(
        !status && text.contains("expected none, since the corpus is not divided by language"),
        "{text}"
    );
    assert!(!folder.path().join("corpus").exists());
}
