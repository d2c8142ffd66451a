//! What a reader of the page and of the data sees.
//!
//! With `AURICLE_REPORT_DIR` set to a folder, the pages made here are left there to be looked at.

use super::sample::{Shape, USUAL, report};
use super::*;

/// The page of a report, and its promises that hold for every one.
#[track_caller]
fn page(name: &str, report: &Report) -> String {
    let html = to_html(report);
    if let Ok(folder) = std::env::var("AURICLE_REPORT_DIR") {
        write_html(report, &Path::new(&folder).join(format!("{name}.html")))
            .expect("a folder to write to");
    }
    for word in [
        "NaN", "Infinity", "<script", "http://", "https://", "src=", "href=", "@import", "url(",
    ] {
        assert!(!html.contains(word), "{name} has {word}");
    }
    assert_balanced(&html);
    html
}

/// Every element that is opened is closed, in order.
#[track_caller]
fn assert_balanced(html: &str) {
    const ALONE: [&str; 4] = ["!DOCTYPE", "meta", "br", "line"];
    let body = match (html.find("<style>"), html.find("</style>")) {
        (Some(start), Some(end)) => {
            format!("{}{}", &html[..start], &html[end + "</style>".len()..])
        }
        _ => panic!("the page has no style"),
    };
    let mut open: Vec<String> = Vec::new();
    for tag in body.split('<').skip(1) {
        let tag = tag.split('>').next().expect("split gives at least one");
        let name = |tag: &str| {
            tag.split([' ', '\n', '/'])
                .next()
                .unwrap_or_default()
                .to_string()
        };
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed), "closed out of order");
        } else if !tag.ends_with('/') && !ALONE.contains(&name(tag).as_str()) {
            open.push(name(tag));
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

fn n_of(html: &str, what: &str) -> usize {
    html.matches(what).count()
}

#[test]
fn the_page_of_a_usual_run_shows_every_picture_and_headline() {
    let report = report(&USUAL);
    let html = page("usual", &report);
    assert_eq!(
        n_of(&html, "<svg "),
        7,
        "history, front, two curves, accuracies, two confusions"
    );
    let single = report
        .single
        .value()
        .expect("the sample has one")
        .test
        .value()
        .expect("judged");
    assert!(html.contains(&crate::evaluate::format::percent_or_dash(&single.accuracy)));
    for name in [
        "TC-ResNet8",
        "DS-CNN S",
        "TC-ResNet14",
        "ensemble of 3",
        "118,412",
        "3f9a1c0d77e2b864",
        "_silence_",
    ] {
        assert!(html.contains(name), "{name}");
    }
    assert!(html.contains("All 60 trials in the order of the search"));
    assert!(html.contains("failed: loss is not finite at step 311"));
}

#[test]
fn one_trial_is_enough_for_a_page() {
    let report = report(&Shape {
        n_trials: 1,
        fails_every: 0,
        n_baselines: 0,
        ..USUAL
    });
    let html = page("one-trial", &report);
    assert!(html.contains("No hand-designed network was trained beside them."));
    assert!(html.contains("Validation accuracy of 1 trial; the best is"));
}

#[test]
fn two_hundred_trials_and_thirty_five_classes_fit_on_a_page() {
    let html = page(
        "large",
        &report(&Shape {
            n_trials: 200,
            n_classes: 35,
            fails_every: 7,
            n_baselines: 6,
        }),
    );
    assert!(html.len() < 1_500_000, "{} bytes", html.len());
    assert!(html.contains("keyword-34"));
}

#[test]
fn two_classes_make_a_page() {
    page(
        "two-classes",
        &report(&Shape {
            n_trials: 8,
            n_classes: 2,
            fails_every: 4,
            n_baselines: 1,
        }),
    );
}

#[test]
fn where_every_trial_failed_the_page_says_why() {
    let mut report = report(&Shape {
        n_trials: 5,
        fails_every: 1,
        n_baselines: 0,
        ..USUAL
    });
    report.single = Measured::missing("all 5 trials failed");
    report.ensemble = Measured::missing("there is no single network to start from");
    report.ensemble_gain = Measured::missing("there is no ensemble");
    let html = page("all-failed", &report);
    assert!(html.contains("all 5 trials failed"));
    assert!(html.contains("No trial has a validation accuracy."));
    assert!(html.contains("Nothing was judged on the test split."));
    assert!(!html.contains("Judged on the test split, once."));
    report.trials.clear();
    assert!(page("no-trials", &report).contains("No trial was started."));
}

#[test]
fn a_name_from_outside_cannot_become_markup() {
    let mut report = report(&Shape {
        n_trials: 12,
        n_classes: 4,
        fails_every: 3,
        n_baselines: 1,
    });
    let evil = "<img src=x onerror=\"alert(1)\">&amp;'";
    let mut text = serde_json::to_string(&report).expect("plain data");
    let in_json = serde_json::to_string(evil).expect("a string");
    for name in [
        "_silence_",
        "yes",
        "commands-12",
        "chosen",
        "dropped from the beam",
        "single",
        "train",
        "empty file",
        "cpu (2 threads)",
        "2 cores",
    ] {
        text = text.replace(&format!("\"{name}\""), &in_json);
    }
    // A field of the report has one of those names; put it back.
    text = text.replace(&format!("{in_json}:"), "\"single\":");
    report = serde_json::from_str(&text).expect("the same report with other texts");
    report.title = evil.into();
    report.trials[0].genome = evil.into();
    report.trials[2].status = TrialStatus::Failed {
        reason: evil.into(),
    };
    report.protocol.push(evil.into());
    let html = to_html(&report);
    assert!(!html.contains("<img"), "an image got in");
    assert!(html.contains("&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&amp;amp;&#39;"));
    assert_balanced(&html);
}

#[test]
fn the_data_holds_no_null_for_a_number_and_reads_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("report.json");
    let mut report = report(&USUAL);
    report.trials[1].validation_loss = Measured::Value(f64::NAN);
    write_json(&report, &path).expect("written");
    let text = std::fs::read_to_string(&path).expect("there");
    let nulls: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("null"))
        .map(str::trim)
        .collect();
    let allowed = |line: &&str| line.starts_with("\"parent\"") || line.starts_with("\"trial\"");
    assert!(nulls.iter().all(allowed), "{nulls:?}");
    let back = read_json(&path).expect("written by us");
    assert_eq!(
        back.trials[1].validation_loss,
        Measured::missing("not a finite number: NaN")
    );
    assert_eq!(back.trials.len(), report.trials.len());
    assert_eq!(
        to_html(&back),
        to_html(&report),
        "the same page comes from the data"
    );
}

#[test]
fn a_file_is_replaced_whole_and_a_failure_names_it_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("report.html");
    std::fs::write(&path, "old").expect("written");
    let report = report(&Shape {
        n_trials: 2,
        n_classes: 2,
        fails_every: 0,
        n_baselines: 0,
    });
    write_html(&report, &path).expect("written");
    assert_eq!(
        std::fs::read_to_string(&path).expect("there"),
        to_html(&report)
    );
    let blocked = folder.path().join("blocked.html");
    std::fs::create_dir(&blocked).expect("made");
    std::fs::write(blocked.join("inside"), "x").expect("written");
    let error = write_html(&report, &blocked)
        .expect_err("a folder stands there")
        .to_string();
    assert!(
        error.contains("blocked.html: cannot write the report"),
        "{error}"
    );
    let error =
        write_json(&report, &folder.path().join("absent/report.json")).expect_err("no such folder");
    assert!(
        error
            .to_string()
            .contains("report.json: cannot write the report")
    );
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .expect("there")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["blocked.html", "report.html"]);
}

#[test]
fn another_file_is_not_a_report() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("other.json");
    std::fs::write(&path, "{\"title\": 3}").expect("written");
    assert!(
        read_json(&path)
            .expect_err("refused")
            .to_string()
            .contains("other.json: not a report of this version")
    );
}

#[test]
fn the_summary_in_text_says_the_same() {
    let mut report = report(&USUAL);
    let text = crate::evaluate::text::summary(&report);
    assert!(
        text.contains("commands-12: 10,200 train, 600 validation, 2,400 test; 4 set aside"),
        "{text}"
    );
    assert!(text.contains("60 trials, 6 failed; best on validation: trial "));
    for system in report.systems() {
        let accuracy = &system.test.value().expect("judged").accuracy;
        assert!(
            text.contains(&crate::evaluate::format::percent_or_dash(accuracy)),
            "{text}"
        );
    }
    report.ensemble = Measured::missing("only one member");
    assert!(crate::evaluate::text::summary(&report).contains("ensemble: none, only one member"));
}
