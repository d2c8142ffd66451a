//! A detector tried in the field: the whole way from files to thresholds, with networks of random weights that fire now
//! and then. What is to be found is what the same session says of the same samples.

use std::fs;
use std::path::Path;

use super::*;
use crate::audio::{Clip, write_wav};
use crate::bundle::Bundle;
use crate::bundle::examples::{bundle, residual};
use crate::evaluate::detection::MatchSpec;
use crate::stream::Session;

struct Quiet;

impl crate::ingest::Watch for Quiet {
    fn progress(&self, _: usize, _: usize, _: &str) {}

    fn stopped(&self) -> bool {
        false
    }
}

/// Tones that come and go, in steps of 16 bits.
fn sound(n_samples: usize, seed: f64) -> Vec<f32> {
    let mut phase = 0.0f64;
    (0..n_samples)
        .map(|i| {
            let t = i as f64 / 16_000.0;
            phase += (300.0 + 250.0 * (t * 3.1 + seed).sin() + 90.0 * (t * 7.7).sin()) / 16_000.0;
            let loud = (0.5 + 0.5 * (t * 5.0 + seed).sin()).powi(3);
            let value = 0.4 * loud * (phase * std::f64::consts::TAU).sin();
            ((value * 32_768.0).round() / 32_768.0) as f32
        })
        .collect()
}

fn write(path: &Path, samples: Vec<f32>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let clip = Clip {
        samples,
        sample_rate_hz: 16_000,
    };
    write_wav(path, &clip).unwrap();
}

/// A folder with words, recordings without, and noise.
fn field() -> (tempfile::TempDir, Bundle) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: String| folder.path().join(name);
    for i in 0..6 {
        write(
            &at(format!("words/yes/{i}.wav")),
            sound(20_000, f64::from(i)),
        );
        write(
            &at(format!("words/no/{i}.wav")),
            sound(18_000, 9.0 + f64::from(i)),
        );
        write(&at(format!("words/other/{i}.wav")), sound(18_000, 0.3));
    }
    for i in 0..3 {
        write(
            &at(format!("rest/deep/{i}.wav")),
            sound(400_000, 0.5 + f64::from(i)),
        );
        let hiss = |n: usize| ((n * 7_919) % 2_003) as f32 / 10_000.0 - 0.1;
        write(
            &at(format!("noise/kind{}/{i}.wav", i % 2)),
            (0..30_000).map(hiss).collect(),
        );
    }
    let mut bundle = bundle(&[residual()], 3);
    bundle.detector.threshold = 0.3;
    bundle.detector.smoothing_ms = 100;
    (folder, bundle)
}

fn material(folder: &Path, bundle: &Bundle) -> Material {
    Material::find(bundle, &folder.join("words"), None, &folder.join("rest")).unwrap()
}

#[test]
fn material_is_the_keywords_folders_and_all_audio_without() {
    let (folder, bundle) = field();
    let found = material(folder.path(), &bundle);
    assert_eq!((found.n_targets(), found.negatives.len()), (12, 3));
    assert_eq!(found.n_other, 6);
    let missing = folder.path().join("noise");
    let error = Material::find(&bundle, &missing, None, &missing).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("no recording of a keyword") && error.contains("yes, no"),
        "{error}"
    );
}

#[test]
fn a_list_gives_keywords_their_times_and_several_in_one_recording() {
    let (folder, bundle) = field();
    let list = folder.path().join("list.csv");
    let rows = "path,label,start,end\ndeep/0.wav,yes,1.0,1.5\ndeep/0.wav,no,3.0,3.25\ndeep/1.wav,maybe,1,2\n";
    fs::write(&list, rows).unwrap();
    let rest = folder.path().join("rest");
    let found = Material::find(&bundle, &rest, Some(&list), &rest).unwrap();
    let expected = Take {
        path: rest.join("deep/0.wav"),
        keywords: vec![
            ("yes".into(), (Some(1.0), Some(1.5))),
            ("no".into(), (Some(3.0), Some(3.25))),
        ],
    };
    assert_eq!((found.positives, found.n_other), (vec![expected], 1));
    // To the end where no end is said, from the beginning where no start is.
    fs::write(
        &list,
        "path,label,start,end\ndeep/0.wav,yes,24.5,\ndeep/0.wav,no,,0.5\n",
    )
    .unwrap();
    let found = Material::find(&bundle, &rest, Some(&list), &rest).unwrap();
    let times: Vec<_> = found.positives[0]
        .keywords
        .iter()
        .map(|(_, times)| *times)
        .collect();
    assert_eq!(times, [(Some(24.5), None), (None, Some(0.5))]);
    let spec = MatchSpec::half_second();
    let report = judge_stream(&bundle, &found, None, &spec, &Quiet).unwrap();
    assert!(report.not_heard.is_empty());
    assert_eq!(report.conditions[0].judged.total.n_targets, 2);
}

#[test]
fn a_recording_whose_list_goes_beyond_its_end_is_named_and_the_rest_is_judged() {
    let (folder, bundle) = field();
    let list = folder.path().join("list.csv");
    let rows =
        "path,label,start,end\ndeep/0.wav,yes,1.0,1.5\ndeep/1.wav,no,2,3\ndeep/1.wav,no,200,201\n";
    fs::write(&list, rows).unwrap();
    let rest = folder.path().join("rest");
    let material = Material::find(&bundle, &rest, Some(&list), &rest).unwrap();
    let spec = MatchSpec::half_second();
    let report = judge_stream(&bundle, &material, None, &spec, &Quiet).unwrap();
    assert_eq!(report.conditions[0].judged.total.n_targets, 1);
    let [(file, reason)] = &report.not_heard[..] else {
        panic!("{:?}", report.not_heard);
    };
    assert!(file.ends_with("deep/1.wav"));
    assert!(
        reason.ends_with("found an end at 201 s, expected it within 25.000 s"),
        "{reason}"
    );
}

#[test]
fn a_trace_heard_by_the_bundles_own_detector_says_what_the_session_said() {
    let (folder, bundle) = field();
    let mut session = Session::new(&bundle).unwrap();
    let spec = MatchSpec::half_second();
    let mut n_events = 0;
    for i in 0..3 {
        let path = folder.path().join(format!("rest/deep/{i}.wav"));
        let trace = trace::hear_file(&bundle, &mut session, &path, |_| {}).unwrap();
        let heard = trace.as_heard(&spec);
        n_events += heard.events.len();
        let mut again = trace.heard_by(&bundle.detector, &bundle.labels, &spec);
        for (event, session) in again.events.iter_mut().zip(&heard.events) {
            event.latency_s = session.latency_s;
        }
        assert_eq!(again, heard);
        assert_eq!(heard.audio_s, 25.0);
    }
    assert!(n_events > 2, "the test's sound says little");
}

#[test]
fn the_grid_of_thresholds_falls_and_is_dense_near_one() {
    let grid = threshold_grid();
    assert!(grid.windows(2).all(|pair| pair[0] > pair[1]));
    assert!(grid[0] > 0.9998 && grid[0] <= 1.0 && *grid.last().unwrap() < 0.021);
    assert!(grid.iter().filter(|&&threshold| threshold > 0.99).count() > 20);
}

#[test]
fn tuned_thresholds_keep_to_the_false_accepts_and_miss_no_more_than_stricter_ones() {
    let (folder, bundle) = field();
    let material = material(folder.path(), &bundle);
    let spec = MatchSpec::half_second();
    let mut misses = Vec::new();
    for per_day in [0.0, 3_000.0, 10_000.0, 1e6] {
        let tuned = tune(
            &bundle,
            &material,
            per_day,
            Choice::FewestMisses,
            &spec,
            &Quiet,
        )
        .unwrap();
        tuned.detector.validate(&bundle.labels).unwrap();
        for keyword in &tuned.after.per_keyword {
            let name = keyword.keyword.as_ref().unwrap();
            if !tuned.beyond.contains(name) {
                let rate = keyword.n_false_accepts as f64 / keyword.exposure_h * 24.0;
                // A threshold of another keyword moves an event now and then: one more is let pass.
                let one = 24.0 / keyword.exposure_h;
                assert!(
                    rate <= per_day / 2.0 + one,
                    "{name}: {rate} a day, {per_day} asked for"
                );
            }
        }
        assert_eq!(tuned.after.total.n_targets, 12);
        // The ends of words are not known here.
        assert!(tuned.after.total.median_latency_s.reason().is_some());
        misses.push(tuned.after.total.n_targets - tuned.after.total.n_hits);
    }
    assert!(misses[3] < misses[0], "{misses:?}");
}

#[test]
fn a_keyword_without_recordings_keeps_its_threshold() {
    let (folder, bundle) = field();
    let mut material = material(folder.path(), &bundle);
    material
        .positives
        .retain(|take| take.keywords[0].0 == "yes");
    let spec = MatchSpec::half_second();
    let tuned = tune(&bundle, &material, 1e6, Choice::FewestMisses, &spec, &Quiet).unwrap();
    assert_eq!(tuned.untouched, ["no"]);
    assert_eq!(tuned.detector.threshold_of("no"), bundle.detector.threshold);
}

#[test]
fn recordings_of_keywords_are_judged_and_choose_nothing_where_false_accepts_alone_do() {
    let (folder, bundle) = field();
    let spec = MatchSpec::half_second();
    let choice = Choice::MostSensitive;
    let sensitive =
        |material: &Material| tune(&bundle, material, 1_000.0, choice, &spec, &Quiet).unwrap();
    let alone = Material::without_keywords(&folder.path().join("rest")).unwrap();
    assert_eq!((alone.n_targets(), alone.negatives.len()), (0, 3));
    let tuned = sensitive(&alone);
    assert_eq!(tuned.detector.thresholds.len(), 2);
    for judged in [&tuned.before, &tuned.after] {
        assert_eq!(judged.per_keyword.len(), 2);
    }
    let beside = sensitive(&material(folder.path(), &bundle));
    assert_eq!(beside.detector, tuned.detector);
    assert_eq!(beside.after.total.n_targets, 12);
}

#[test]
fn false_clips_are_the_sounds_that_fired_and_the_strongest_where_there_are_many() {
    let (folder, bundle) = field();
    let material = material(folder.path(), &bundle);
    let out = folder.path().join("false");
    let all = save_false_clips(&bundle, &material.negatives, &out, 1000, &Quiet).unwrap();
    assert!(all.len() > 3);
    for clip in &all {
        let samples = crate::audio::decode(&out.join(&clip.clip), 16_000)
            .unwrap()
            .samples;
        let whole = crate::audio::decode(&clip.source, 16_000).unwrap().samples;
        let from = (clip.start_s * 16_000.0).round() as usize;
        let source = &whole[from..from + samples.len()];
        let is_near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-3;
        assert!(
            !samples.is_empty() && samples.iter().zip(source).all(is_near),
            "{clip:?}"
        );
    }
    let few = save_false_clips(&bundle, &material.negatives, &out, 2, &Quiet).unwrap();
    assert_eq!(few.len(), 2);
    let least = few.iter().map(|clip| clip.score).fold(1.0, f32::min);
    let n_stronger = all.iter().filter(|clip| clip.score > least).count();
    assert!(n_stronger <= 1);
}

#[test]
fn every_noise_and_level_is_a_condition_and_the_same_again() {
    let (folder, bundle) = field();
    let material = material(folder.path(), &bundle);
    let noise = NoiseSpec {
        folder: folder.path().join("noise"),
        snr_db: vec![20.0, -5.0],
        seed: 1,
    };
    let spec = MatchSpec::half_second();
    let judge = || judge_stream(&bundle, &material, Some(&noise), &spec, &Quiet).unwrap();
    let report = judge();
    let names: Vec<String> = report
        .conditions
        .iter()
        .map(|c| c.condition.to_string())
        .collect();
    let expected = [
        "as recorded",
        "kind0, 20 dB",
        "kind1, 20 dB",
        "all noise, 20 dB",
        "kind0, -5 dB",
        "kind1, -5 dB",
        "all noise, -5 dB",
    ];
    assert_eq!(names, expected);
    assert_eq!(report, judge());
    for condition in &report.conditions {
        let n_expected = if condition.condition.to_string().starts_with("all") {
            24
        } else {
            12
        };
        assert_eq!(condition.judged.total.n_targets, n_expected);
    }
    // As recorded is what sessions say of the files, each with silence before and behind it.
    let mut session = Session::new(&bundle).unwrap();
    let mut n_events = 0;
    for path in &material.negatives {
        let trace = trace::hear_file(&bundle, &mut session, path, |_| {}).unwrap();
        n_events += trace.as_heard(&spec).events.len();
    }
    let total = &report.conditions[0].judged.total;
    assert!(n_events > 0 && total.n_false_accepts as usize <= n_events + 24);
    // Silence that was put around the words is no audio to be false in.
    assert!((total.exposure_h * 3600.0 - 75.0).abs() < 1e-6, "{total:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_the_rest_is_judged() {
    let (folder, bundle) = field();
    fs::write(folder.path().join("words/yes/broken.wav"), "no sound").unwrap();
    fs::write(folder.path().join("rest/broken.wav"), "no sound").unwrap();
    let material = material(folder.path(), &bundle);
    let spec = MatchSpec::half_second();
    let report = judge_stream(&bundle, &material, None, &spec, &Quiet).unwrap();
    assert_eq!(report.not_heard.len(), 2);
    assert_eq!(report.conditions[0].judged.total.n_targets, 12);
}

#[test]
fn thresholds_are_not_set_by_sound_that_nobody_could_hear() {
    let (folder, bundle) = field();
    let nothing = folder.path().join("nothing");
    fs::create_dir(&nothing).unwrap();
    fs::write(nothing.join("broken.wav"), "no sound").unwrap();
    let unheard = Material::without_keywords(&nothing).unwrap();
    let with_words = Material {
        negatives: unheard.negatives.clone(),
        ..material(folder.path(), &bundle)
    };
    let spec = MatchSpec::half_second();
    for (material, choice) in [
        (&unheard, Choice::MostSensitive),
        (&with_words, Choice::FewestMisses),
    ] {
        let error = tune(&bundle, material, 12.0, choice, &spec, &Quiet).unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("in 1 files") && said.contains("broken.wav"),
            "{said}"
        );
    }
}

#[test]
fn a_folder_that_is_a_keyword_but_for_its_case_is_an_error_with_the_name_that_was_meant() {
    let (folder, bundle) = field();
    fs::rename(
        folder.path().join("words/yes"),
        folder.path().join("words/ Yes"),
    )
    .unwrap();
    let (words, rest) = (folder.path().join("words"), folder.path().join("rest"));
    let error = Material::find(&bundle, &words, None, &rest).err().unwrap();
    let said = error.to_string();
    assert!(said.contains("` Yes`") && said.contains("`yes`"), "{said}");
}
