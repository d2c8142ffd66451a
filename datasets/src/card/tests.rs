//! The cards that come along are sound, and a card that is not says where.

use super::*;

fn text(name: &str) -> String {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo");
    std::fs::read_to_string(Path::new(&folder).join(format!("cards/{name}.toml"))).unwrap()
}

#[test]
fn every_card_is_sound_carries_its_own_name_and_is_in_the_catalogue() {
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo");
    let mut files: Vec<String> = std::fs::read_dir(Path::new(&folder).join("cards"))
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    files.sort();
    for file in &files {
        let parsed = CardSpec::parse(file, &text(file)).unwrap();
        assert_eq!(&parsed.name, file);
    }
    let mut known: Vec<String> = cards().iter().map(|card| card.name.clone()).collect();
    known.sort();
    assert_eq!(known, files);
}

#[test]
fn a_card_written_out_and_read_again_is_the_same() {
    for card in cards() {
        let text = toml::to_string(card).unwrap();
        assert_eq!(&CardSpec::parse(&card.name, &text).unwrap(), card);
    }
}

#[test]
fn the_sums_of_the_speech_commands_are_those_of_tensorflow_datasets() {
    // tensorflow_datasets/url_checksums/speech_commands.txt
    let archive = &card("speech-commands-v2").unwrap().archives[0];
    assert_eq!(archive.n_bytes, Some(2_428_923_189));
    let sum = "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58";
    assert_eq!(archive.checksum, Checksum::Sha256 { hex: sum.into() });
}

#[track_caller]
fn check_fault(from: &str, to: &str, words: &[&str]) {
    let text = text("speech-commands-v1");
    assert!(text.contains(from), "`{from}` is not in the card");
    let error = CardSpec::parse("a.toml", &text.replacen(from, to, 1))
        .unwrap_err()
        .to_string();
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}

#[test]
fn what_is_wrong_with_a_card_is_named_with_what_would_be_right() {
    check_fault(
        "name = \"speech-commands-v1\"",
        "name = \"Speech Commands\"",
        &["name", "lower-case"],
    );
    check_fault(
        "licence = \"CC-BY-4.0\"",
        "licence = \" \"",
        &["licence", "nothing"],
    );
    check_fault("licence = ", "license = ", &["a.toml", "license"]);
    check_fault("7439354", "743935", &["checksum", "64 lower-case digits"]);
    check_fault("7439354", "743935G", &["checksum", "64 lower-case digits"]);
    check_fault("into = \"speech", "into = \"../speech", &["into", "inside"]);
    check_fault("into = \"speech", "into = \"/speech", &["into", "inside"]);
    check_fault(
        "file = \"speech",
        "file = \"../speech",
        &["file", "without folders"],
    );
    check_fault("\"https://storage", "\"file://storage", &["urls", "http"]);
    check_fault(
        "urls = [\"https://",
        "urls = [\"http://",
        &["without a checksum", "https"],
    );
    check_fault("root = \"speech", "root = \"../speech", &["root", "inside"]);
    check_fault(
        "name = \"v1-12-hash\"",
        "name = \"v1-12\"",
        &["tasks.name", "v1-12"],
    );
    check_fault(
        "unknown_percent = 10.0",
        "unknown_percent = -1.0",
        &["v1-12", "unknown_percent"],
    );
    check_fault(
        "source = \"the lists",
        "source = \"\" #",
        &["22246", "who says so"],
    );
    check_fault("file = \"speech", "file = \"{language}", &["languages"]);
}

#[test]
fn an_unknown_card_or_task_is_told_which_there_are() {
    let error = card("speech-comands").unwrap_err().to_string();
    assert!(
        error.contains("speech-comands") && error.contains("speech-commands-v2"),
        "{error}"
    );
    let error = card("musan")
        .unwrap()
        .task(Some("x"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("`x`") && error.contains("kinds"), "{error}");
    assert_eq!(
        card("speech-commands-v2").unwrap().task(None).unwrap().name,
        "v2-12"
    );
}
