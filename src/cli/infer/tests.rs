//! What a user sees: lines, messages and exit status for arguments and input.

use std::path::Path;
use std::{fs, io};

use clap::Parser;

use super::*;
use crate::audio::{Clip, write_wav};
use crate::bundle::examples::{bundle, recurrent, residual};
use crate::stream::{Detection, Session, classify_clip};

mod languages;
mod output;

/// A folder with a bundle that fires now and then, and `sound.wav` in which it does.
struct Desk {
    folder: tempfile::TempDir,
    bundle: Bundle,
    /// Of `sound.wav`, as its 16 bits hold them.
    samples: Vec<f32>,
}

struct Outcome {
    lines: Vec<String>,
    out: String,
    err: String,
    result: anyhow::Result<()>,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut bundle = bundle(&[residual(), recurrent()], 3);
        bundle.detector.threshold = 0.3;
        bundle.save(&folder.path().join("b.auricle")).unwrap();
        let samples = sound(48_000);
        let desk = Self {
            folder,
            bundle,
            samples,
        };
        desk.write("sound.wav", &desk.samples);
        desk
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, samples: &[f32]) {
        let clip = Clip {
            samples: samples.to_vec(),
            sample_rate_hz: 16_000,
        };
        write_wav(Path::new(&self.path(name)), &clip).unwrap();
    }

    /// Runs `kws-infer b.auricle ARGS`; words that name a file of the folder stand for it.
    fn run(&self, args: &[&str], input: &[u8]) -> Outcome {
        let mut words = vec!["kws-infer".to_owned(), self.path("b.auricle")];
        let is_file = |word: &str| word.contains('.') && word.parse::<f64>().is_err();
        words.extend(args.iter().map(|word| {
            if is_file(word) {
                self.path(word)
            } else {
                (*word).to_owned()
            }
        }));
        run(&words, input)
    }
}

fn run(words: &[String], mut input: &[u8]) -> Outcome {
    let args = KwsInfer::try_parse_from(words).unwrap().args;
    let (mut out, mut err) = (vec![], vec![]);
    let result = infer(&args, &mut input, &mut out, &mut err);
    let out = String::from_utf8(out).unwrap();
    Outcome {
        lines: out.lines().map(String::from).collect(),
        out,
        err: String::from_utf8(err).unwrap(),
        result,
    }
}

/// A sweep that swells and fades, in steps of 16 bits.
fn sound(n_samples: usize) -> Vec<f32> {
    let mut phase = 0.0f64;
    (0..n_samples)
        .map(|i| {
            let t = i as f64 / 16_000.0;
            phase += (300.0 + 250.0 * (t * 3.1).sin()) / 16_000.0;
            let loud = (0.5 + 0.5 * (t * 5.0).sin()).powi(3);
            let value = 0.4 * loud * (phase * std::f64::consts::TAU).sin();
            ((value * 32_768.0).round() / 32_768.0) as f32
        })
        .collect()
}

fn s16le(samples: &[f32]) -> Vec<u8> {
    samples
        .iter()
        .flat_map(|sample| ((sample * 32_768.0) as i16).to_le_bytes())
        .collect()
}

fn expected_lines(desk: &Desk, file: &str, samples: &[f32]) -> Vec<String> {
    let mut session = Session::new(&desk.bundle).unwrap();
    let mut detections = vec![];
    session.push(samples, |detection| detections.push(detection));
    session.finish(|detection| detections.push(detection));
    let line = |d: &Detection| {
        let (time_s, decided_s) = (
            d.at_sample as f64 / 16_000.0,
            d.decided_at_sample as f64 / 16_000.0,
        );
        format!(
            r#"{{"file":{file:?},"keyword":{:?},"time_s":{time_s},"score":{},"decided_s":{decided_s},"start_s":{},"end_s":{},"latency_s":{}}}"#,
            d.keyword,
            d.score,
            d.start_sample as f64 / 16_000.0,
            d.end_sample as f64 / 16_000.0,
            d.latency_samples() as f64 / 16_000.0
        )
    };
    detections.iter().map(line).collect()
}

#[test]
fn a_file_gives_one_json_line_for_each_detection() {
    let desk = Desk::new();
    let outcome = desk.run(&["sound.wav"], b"");
    let expected = expected_lines(&desk, &desk.path("sound.wav"), &desk.samples);
    assert!(!expected.is_empty());
    assert_eq!(outcome.lines, expected);
    assert_eq!(
        (outcome.err.as_str(), exit_status(&outcome.result)),
        ("", 0)
    );
}

#[test]
fn raw_samples_on_standard_input_give_the_lines_of_the_file() {
    let desk = Desk::new();
    let expected = expected_lines(&desk, "-", &desk.samples);
    let outcome = desk.run(&["-"], &s16le(&desk.samples));
    assert_eq!(outcome.lines, expected);
    let floats: Vec<u8> = desk
        .samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    assert_eq!(
        desk.run(&["-", "--format", "f32le", "--rate", "16000"], &floats)
            .lines,
        expected
    );
    let stereo: Vec<f32> = desk
        .samples
        .iter()
        .flat_map(|sample| [*sample, *sample])
        .collect();
    assert_eq!(
        desk.run(&["-", "--channels", "2"], &s16le(&stereo))
            .lines
            .len(),
        expected.len()
    );
}

#[test]
fn files_are_heard_one_by_one_each_from_its_own_start() {
    let desk = Desk::new();
    desk.write("short.wav", &desk.samples[..3_000]);
    let outcome = desk.run(&["short.wav", "sound.wav", "sound.wav"], b"");
    let mut expected = expected_lines(&desk, &desk.path("short.wav"), &desk.samples[..3_000]);
    for _ in 0..2 {
        expected.extend(expected_lines(
            &desk,
            &desk.path("sound.wav"),
            &desk.samples,
        ));
    }
    assert_eq!(outcome.lines, expected);
}

#[test]
fn a_bad_file_is_named_the_others_are_heard_and_the_status_is_1() {
    let desk = Desk::new();
    fs::write(desk.path("text.wav"), "not a sound at all").unwrap();
    let outcome = desk.run(&["text.wav", "missing.wav", "sound.wav"], b"");
    assert_eq!(
        outcome.lines,
        expected_lines(&desk, &desk.path("sound.wav"), &desk.samples)
    );
    let messages: Vec<&str> = outcome.err.lines().collect();
    assert_eq!(messages.len(), 2, "{}", outcome.err);
    assert!(
        messages[0].starts_with(&format!("error: {}: found text", desk.path("text.wav"))),
        "{}",
        messages[0]
    );
    assert!(
        messages[1].starts_with(&format!("error: {}: ", desk.path("missing.wav"))),
        "{}",
        messages[1]
    );
    assert_eq!(exit_status(&outcome.result), 1);
    assert_eq!(
        outcome.result.unwrap_err().to_string(),
        "2 of 3 inputs failed"
    );
}

#[test]
fn a_file_that_was_cut_is_heard_as_far_as_it_goes_and_reported() {
    let desk = Desk::new();
    let bytes = fs::read(desk.path("sound.wav")).unwrap();
    fs::write(desk.path("cut.wav"), &bytes[..44 + 2 * 40_000]).unwrap();
    let outcome = desk.run(&["cut.wav"], b"");
    assert_eq!(
        outcome.lines,
        expected_lines(&desk, &desk.path("cut.wav"), &desk.samples[..40_000])
    );
    assert!(outcome.err.contains("cut short"), "{}", outcome.err);
    assert_eq!(exit_status(&outcome.result), 1);
}

#[test]
fn pretty_lines_are_for_people() {
    let desk = Desk::new();
    let outcome = desk.run(&["sound.wav", "--pretty"], b"");
    assert_eq!(
        outcome.lines.len(),
        expected_lines(&desk, "", &desk.samples).len()
    );
    let words: Vec<&str> = outcome.lines[0].split("  ").collect();
    assert_eq!(words.len(), 4, "{}", outcome.lines[0]);
    assert!(words[1].starts_with("0:0"), "{}", outcome.lines[0]);
    assert!(!outcome.out.contains('{'));
}

#[test]
fn a_threshold_stands_in_place_of_all_those_of_the_bundle() {
    let mut desk = Desk::new();
    desk.bundle.detector.thresholds.insert("yes".into(), 0.01);
    desk.bundle
        .save(Path::new(&desk.path("b.auricle")))
        .unwrap();
    assert!(!desk.run(&["sound.wav"], b"").lines.is_empty());
    assert_eq!(desk.run(&["sound.wav", "--threshold", "1"], b"").out, "");
    desk.bundle.detector.thresholds.clear();
    desk.bundle.detector.refractory_ms = 40;
    desk.bundle.detector.smoothing_ms = 0;
    assert_eq!(
        desk.run(
            &[
                "sound.wav",
                "--threshold",
                "0.3",
                "--refractory-ms",
                "40",
                "--smoothing-ms",
                "0"
            ],
            b""
        )
        .lines,
        expected_lines(&desk, &desk.path("sound.wav"), &desk.samples)
    );
}

#[test]
fn a_trace_shows_every_answer() {
    let desk = Desk::new();
    let outcome = desk.run(&["sound.wav", "--trace"], b"");
    let is_detection = |line: &&String| line.contains("\"keyword\"");
    let (detections, answers): (Vec<&String>, Vec<&String>) =
        outcome.lines.iter().partition(is_detection);
    assert_eq!(
        detections.len(),
        expected_lines(&desk, "", &desk.samples).len()
    );
    let mut session = Session::new(&desk.bundle).unwrap();
    let mut raw = vec![];
    session.push_traced(&desk.samples, |_| {}, |answer| raw.push(answer.raw[1]));
    session.finish_traced(|_| {}, |answer| raw.push(answer.raw[1]));
    assert_eq!(answers.len(), raw.len());
    for (line, raw) in answers.iter().zip(raw) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let found: f32 = line["raw"]["no"].to_string().parse().unwrap();
        assert_eq!(found, raw);
        assert!(line["smoothed"]["_silence_"].is_number());
    }
}

#[test]
fn classify_tells_what_each_clip_is_a_long_one_by_its_middle() {
    let desk = Desk::new();
    for n in [1_000, 15_999, 16_000, 16_001, 48_000] {
        desk.write("clip.wav", &desk.samples[..n]);
        let probabilities = classify_clip(&desk.bundle, &desk.samples[..n]).unwrap();
        let top = (0..4)
            .max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]))
            .unwrap();
        let labels = &desk.bundle.labels;
        let pairs: Vec<String> = labels
            .iter()
            .zip(&probabilities)
            .map(|(l, p)| format!("{l:?}:{p}"))
            .collect();
        let answer = format!(
            r#""label":{:?},"score":{},"probabilities":{{{}}}}}"#,
            labels[top],
            probabilities[top],
            pairs.join(",")
        );
        let file = format!(r#"{{"file":{:?},{answer}"#, desk.path("clip.wav"));
        assert_eq!(
            desk.run(&["--classify", "clip.wav"], b"").lines,
            [file],
            "{n} samples"
        );
        let stdin = format!(r#"{{"file":"-",{answer}"#);
        assert_eq!(
            desk.run(&["--classify", "-"], &s16le(&desk.samples[..n]))
                .lines,
            [stdin],
            "{n} samples"
        );
    }
    let nothing = desk.run(&["--classify", "-"], b"");
    assert_eq!(
        (nothing.out.as_str(), exit_status(&nothing.result)),
        ("", 1)
    );
    assert_eq!(
        nothing.err,
        "error: -: found no samples, expected a clip to classify\n"
    );
}

#[track_caller]
fn check_usage(args: &[&str], message: &str) {
    let desk = Desk::new();
    let outcome = desk.run(args, b"");
    assert_eq!(exit_status(&outcome.result), 2);
    assert_eq!(outcome.result.unwrap_err().to_string(), message);
    assert_eq!(outcome.out, "");
}

#[test]
fn wrong_usage_is_told_with_what_was_expected() {
    check_usage(
        &["sound.wav", "--threshold", "1.5"],
        "the threshold of all keywords is 1.5, expected a number above 0 and up to 1",
    );
    check_usage(
        &["sound.wav", "--smoothing-ms", "99999"],
        "smoothing_ms is 99999, expected 0 to 10000",
    );
    check_usage(
        &["sound.wav", "--rate", "8000"],
        "--rate describes standard input, expected `-` among the files",
    );
    check_usage(
        &["-", "-"],
        "found `-` 2 times, expected standard input once",
    );
}

#[test]
fn arguments_that_do_not_go_together_are_refused() {
    for words in [
        &["kws-infer"][..],
        &["kws-infer", "b.auricle"],
        &["kws-infer", "b.auricle", "a.wav", "--mic"],
        &["kws-infer", "b.auricle", "a.wav", "--device", "usb"],
        &["kws-infer", "b.auricle", "--mic", "--classify"],
        &["kws-infer", "b.auricle", "-", "--format", "s12le"],
    ] {
        let error = KwsInfer::try_parse_from(words).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{words:?}");
    }
    assert!(KwsInfer::try_parse_from(["kws-infer", "--list-devices"]).is_ok());
}

#[test]
fn a_bundle_that_does_not_open_is_named() {
    let desk = Desk::new();
    let words = [
        "kws-infer".to_owned(),
        desk.path("sound.wav"),
        desk.path("sound.wav"),
    ];
    let outcome = run(&words, b"");
    assert_eq!(exit_status(&outcome.result), 1);
    let message = message(&outcome.result.unwrap_err());
    assert!(
        message.starts_with(&format!(
            "{}: not a bundle: found \"RIFF",
            desk.path("sound.wav")
        )),
        "{message}"
    );
}

#[test]
fn the_voice_gate_of_the_command_line_stands_before_the_bundles() {
    let mut desk = Desk::new();
    let open = desk.run(&["sound.wav"], &[]).lines;
    assert!(!open.is_empty());
    assert!(
        desk.run(&["sound.wav", "--voice-gate", "1"], &[])
            .lines
            .is_empty()
    );
    desk.bundle.detector.voice_threshold = Some(1.0);
    desk.bundle
        .save(&desk.folder.path().join("b.auricle"))
        .unwrap();
    assert!(desk.run(&["sound.wav"], &[]).lines.is_empty());
    assert_eq!(
        desk.run(&["sound.wav", "--voice-gate", "0"], &[]).lines,
        open
    );
    let outcome = desk.run(&["sound.wav", "--voice-gate", "2"], &[]);
    assert_eq!(exit_status(&outcome.result), 2);
}
