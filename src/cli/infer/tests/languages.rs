//! What a user of a bundle of languages sees.

use super::*;
use crate::bundle::LanguageSpec;

/// Its bundle's four classes become languages.
fn languages_desk(floor: f32) -> Desk {
    let mut desk = Desk::new();
    desk.bundle.labels = ["en", "de", "fr", "es"].map(String::from).to_vec();
    desk.bundle.languages = Some(LanguageSpec {
        floor,
        temperatures: vec![],
    });
    desk.bundle.whole_clips_ms = Some(10_000);
    desk.bundle
        .save(&desk.folder.path().join("b.auricle"))
        .unwrap();
    desk
}

#[test]
fn languages_are_told_after_seconds_and_at_the_end() {
    let desk = languages_desk(0.01);
    let outcome = desk.run(&["sound.wav"], &[]);
    outcome.result.unwrap();
    let lines: Vec<serde_json::Value> = outcome
        .lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told = |occasion: &str| -> Vec<f64> {
        let of = lines.iter().filter(|line| line["occasion"] == occasion);
        of.map(|line| line["heard_s"].as_f64().unwrap()).collect()
    };
    assert_eq!(told("heard"), [1.0, 2.0, 3.0]);
    assert_eq!(told("end"), [3.0]);
    let last = lines.last().unwrap();
    let expected = classify_clip(&desk.bundle, &desk.samples).unwrap();
    for (label, expected) in desk.bundle.labels.iter().zip(expected) {
        let found = last["posterior"][label].as_f64().unwrap();
        assert!((found - f64::from(expected)).abs() < 1e-5, "{last}");
    }
    assert!(last["language"].is_string());
}

#[test]
fn languages_can_be_ruled_out_and_left_undecided() {
    let desk = languages_desk(0.01);
    let outcome = desk.run(&["--languages", "de,es", "sound.wav"], &[]);
    outcome.result.unwrap();
    for line in &outcome.lines {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["posterior"]["en"], 0.0, "{line}");
        assert!(
            line["language"] == "de" || line["language"] == "es",
            "{line}"
        );
    }
    let outcome = desk.run(&["sound.wav", "--threshold", "1", "--pretty"], &[]);
    outcome.result.unwrap();
    assert!(!outcome.lines.is_empty());
    for line in &outcome.lines {
        assert!(line.contains("  undecided  ("), "{line}");
    }
}

#[test]
fn what_is_said_of_keywords_to_a_bundle_of_languages_is_wrong_usage_and_the_other_way_round() {
    let desk = languages_desk(0.5);
    for (args, expected) in [
        (
            &["sound.wav", "--trace"][..],
            "--trace is for keywords, found a bundle of languages",
        ),
        (
            &["sound.wav", "--languages", "tlh"],
            "--languages: found the language \"tlh\", expected some of en, de, fr, es",
        ),
    ] {
        let outcome = desk.run(args, &[]);
        assert_eq!(exit_status(&outcome.result), 2);
        assert_eq!(outcome.result.unwrap_err().to_string(), expected);
    }
    let outcome = Desk::new().run(&["sound.wav", "--languages", "en"], &[]);
    assert_eq!(exit_status(&outcome.result), 2);
}
