//! What a person is told of a corpus that was made with known faults.

use std::collections::BTreeMap;

use super::*;
use crate::name::Name;
use crate::split::Split;

/// A clip of a tone of this level, at 16 kHz unless said otherwise; equal seeds give equal samples.
fn clip(path: &str, speaker: Option<&str>, split: Option<Split>, seed: u32) -> Inspected {
    Inspected {
        row: ManifestRow {
            speaker: speaker.map(Name::from),
            split,
            ..ManifestRow::of(path.into(), path.split('/').next().unwrap())
        },
        heard: Ok(heard(&tone(seed, 0.3), 16_000)),
    }
}

fn tone(seed: u32, peak: f32) -> Vec<f32> {
    let step = 0.05 + 0.001 * seed as f32;
    (0..16_000)
        .map(|i| peak * (step * i as f32).sin())
        .collect()
}

fn heard(samples: &[f32], rate_hz: u32) -> Heard {
    let mut listener = Listener::new();
    samples.chunks(777).for_each(|chunk| listener.push(chunk));
    listener.finish(rate_hz, 1).unwrap()
}

fn kinds(clips: &[Inspected]) -> BTreeMap<Kind, usize> {
    findings(clips, None)
        .iter()
        .map(|finding| (finding.kind, finding.n))
        .collect()
}

fn all(clips: &[Inspected]) -> String {
    let lines: Vec<String> = findings(clips, None)
        .iter()
        .map(ToString::to_string)
        .collect();
    lines.join("\n")
}

const TRAIN: Option<Split> = Some(Split::Train);
const DEV: Option<Split> = Some(Split::Validation);
const TEST: Option<Split> = Some(Split::Test);

/// Nothing is wrong with these: three voices, each on its side.
fn sound() -> Vec<Inspected> {
    vec![
        clip("go/ann_0.wav", Some("ann"), TRAIN, 1),
        clip("up/ann_0.wav", Some("ann"), TRAIN, 2),
        clip("go/bob_0.wav", Some("bob"), DEV, 3),
        clip("up/eve_0.wav", Some("eve"), TEST, 4),
    ]
}

#[test]
fn a_sound_corpus_has_no_finding() {
    let clips = sound();
    assert_eq!(findings(&clips, Some(16_000)), []);
    assert!(Inspection::of(&clips, Some(16_000), Vec::new()).is_sound());
}

#[test]
fn the_same_audio_is_found_under_other_names_and_said_worst_where_it_crosses_sides() {
    let mut clips = sound();
    clips.push(clip("go/zed_0.wav", Some("zed"), TEST, 1)); // go/ann_0.wav, of the training side
    clips.push(clip("no/ann_1.wav", Some("ann"), TRAIN, 2)); // up/ann_0.wav under another label
    clips.push(clip("go/bob_1.wav", Some("bob"), DEV, 3)); // go/bob_0.wav twice
    assert_eq!(
        kinds(&clips),
        BTreeMap::from([
            (Kind::DuplicateAcrossSplits, 1),
            (Kind::DuplicateAcrossLabels, 1),
            (Kind::DuplicateWithinSplit, 1),
        ])
    );
    let said = all(&clips);
    assert!(
        said.starts_with("error: recordings in more than one split: 1"),
        "{said}"
    );
    assert!(
        said.contains("go/ann_0.wav (go, train) = go/zed_0.wav (go, test)"),
        "{said}"
    );
    assert!(!Inspection::of(&clips, None, Vec::new()).is_sound());
}

#[test]
fn speakers_and_stretches_on_two_sides_are_errors() {
    let mut clips = sound();
    clips.push(clip("no/eve_0.wav", Some("eve"), TRAIN, 5));
    let said = all(&clips);
    assert!(
        said.contains("eve: 1 in train (no/eve_0.wav), 1 in test (up/eve_0.wav)"),
        "{said}"
    );
    let mut clips = sound();
    for (split, start_s, end_s, seed) in [(TRAIN, 0.0, 2.0, 6), (TEST, 1.5, 3.0, 7)] {
        let mut crop = clip("noise/hum.wav", None, split, seed);
        (crop.row.start_s, crop.row.end_s) = (Some(start_s), Some(end_s));
        clips.push(crop);
    }
    let said = all(&clips);
    assert!(
        said.contains("noise/hum.wav: in train and in test"),
        "{said}"
    );
    assert!(
        said.contains("note: 2 of 6 clips tell no speaker"),
        "{said}"
    );
}

#[test]
fn clipping_silence_faintness_and_rates_are_heard() {
    let mut clips = sound();
    let louder = |seed, gain: f32| {
        let samples = tone(seed, 1.0)
            .into_iter()
            .map(|s| (gain * s).clamp(-1.0, 1.0));
        heard(&samples.collect::<Vec<f32>>(), 16_000)
    };
    clips[0].heard = Ok(louder(1, 3.0));
    clips[1].heard = Ok(heard(&[0.25; 16_000], 16_000));
    clips[2].heard = Ok(heard(&tone(3, 0.0005), 16_000));
    clips[3].heard = Ok(heard(&tone(4, 0.3), 8_000));
    assert_eq!(
        kinds(&clips),
        BTreeMap::from([
            (Kind::Clipped, 1),
            (Kind::Silent, 1),
            (Kind::Faint, 1),
            (Kind::WrongRate, 1),
        ])
    );
    let said = all(&clips);
    for words in [
        "go/ann_0.wav: ",
        "up/ann_0.wav",
        "go/bob_0.wav: -69 dB",
        "up/eve_0.wav: 8000 Hz",
    ] {
        assert!(said.contains(words), "`{words}` is not in: {said}");
    }
    // Loud is not clipped.
    clips[0].heard = Ok(louder(1, 0.99));
    assert!(
        !kinds(&clips).contains_key(&Kind::Clipped),
        "{}",
        all(&clips)
    );
    clips[0].heard = Err("go/ann_0.wav: found no sound".into());
    assert!(
        all(&clips).starts_with("error: clips that cannot be read"),
        "{}",
        all(&clips)
    );
    clips[0].heard = Ok(heard(&tone(1, 0.3)[..800], 16_000));
    assert_eq!(kinds(&clips)[&Kind::TooShort], 1);
}

#[test]
fn a_text_names_a_few_examples_and_json_all_of_them() {
    let mut clips = sound();
    for at in 0..7 {
        let mut quiet = clip(&format!("go/cy_{at}.wav"), Some("cy"), TRAIN, 5);
        quiet.heard = Ok(heard(&[0.0; 16_000], 16_000));
        clips.push(quiet);
    }
    let text = all(&clips);
    assert!(text.contains("go/cy_4.wav\n    and 2 more"), "{text}");
    assert!(!text.contains("go/cy_5.wav"), "{text}");
    let inspection = Inspection::of(&clips, None, Vec::new());
    let json = serde_json::to_value(&inspection).unwrap();
    let examples = json["findings"][0]["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 7);
    assert_eq!(examples[6], "go/cy_6.wav");
}

#[test]
fn a_silence_class_may_be_silent_and_two_silences_are_no_duplicate() {
    let mut clips = sound();
    for split in [TRAIN, TEST] {
        let mut silence = clip("_silence_/0.wav", None, split, 0);
        silence.row.path = format!("_silence_/{split:?}.wav").into();
        silence.heard = Ok(heard(&[0.0; 16_000], 16_000));
        clips.push(silence);
    }
    assert_eq!(findings(&clips, None), []);
}

#[test]
fn sides_that_are_missing_are_noted() {
    let mut clips = sound();
    clips.iter_mut().for_each(|clip| clip.row.split = None);
    assert_eq!(kinds(&clips), BTreeMap::from([(Kind::WithoutSplit, 4)]));
    clips
        .iter_mut()
        .take(3)
        .for_each(|clip| clip.row.split = TRAIN);
    let kinds = kinds(&clips);
    assert_eq!(
        (kinds[&Kind::WithoutSplit], kinds[&Kind::EmptySplit]),
        (1, 1)
    );
}

#[test]
fn how_samples_are_cut_makes_no_difference_and_one_bit_or_the_rate_does() {
    let samples = tone(9, 0.5);
    let mut at_once = Listener::new();
    at_once.push(&samples);
    let whole = at_once.finish(16_000, 1).unwrap();
    assert_eq!(whole, heard(&samples, 16_000));
    // A sine of half of full scale: 20 log10(0.5) - 10 log10(2) dB.
    assert!(
        (whole.level_dbfs + 9.03).abs() < 0.01,
        "{}",
        whole.level_dbfs
    );
    assert!((whole.duration_s - 1.0).abs() < 1e-12);
    let mut other = samples.clone();
    other[15_000] += 1.0 / 32_768.0;
    assert_ne!(heard(&other, 16_000).content, whole.content);
    assert_ne!(heard(&samples, 8_000).content, whole.content);
    assert!(Listener::new().finish(16_000, 1).is_none());
}

#[test]
fn slips_of_the_pen_are_told_from_words_that_are_alike() {
    let counts: BTreeMap<String, usize> = [
        ("right", 400),
        ("rigth", 3),
        ("left", 400),
        ("Left", 400),
        ("go", 500),
        ("no", 3),
        ("three", 300),
        ("tree", 280),
        ("back ward", 20),
        ("backward", 20),
        ("five", 400),
        ("fife", 2),
        ("seven", 400),
        ("sevn", 1),
        ("_unknown_", 40),
    ]
    .map(|(label, n)| (label.to_owned(), n))
    .into();
    let found: Vec<String> = near_labels(&counts)
        .into_iter()
        .map(|near| format!("{} -> {}", near.rare, near.common))
        .collect();
    assert_eq!(
        found,
        ["Left -> left", "back ward -> backward", "rigth -> right"]
    );
}

#[test]
fn the_cards_counts_are_held_against_what_is_there() {
    let card = crate::card::card("free-spoken-digit").unwrap();
    let clips = sound();
    let checks = check_counts(clips.iter().map(|clip| &clip.row), card.task(None).unwrap());
    let said: Vec<(&str, usize, usize)> = checks
        .iter()
        .map(|check| (check.what.as_str(), check.expected, check.found))
        .collect();
    assert_eq!(
        said,
        [("clips", 3000, 4), ("labels", 10, 2), ("speakers", 6, 3)]
    );
    assert!(!Inspection::of(&clips, None, checks).is_sound());
}

#[test]
fn statistics_add_up_in_text_json_and_picture() {
    let mut clips = sound();
    clips[0].row.label = "a<b & \"c\"".into();
    clips
        .iter_mut()
        .for_each(|clip| clip.row.source = Some("studio".into()));
    clips[3].heard = Err("gone".into());
    let stats = stats(&clips);
    assert_eq!(
        (stats.n_clips, stats.n_unreadable, stats.n_speakers),
        (4, 1, 3)
    );
    assert_eq!(stats.splits["train"].n_clips, 2);
    assert_eq!(stats.splits["test"].duration_s, 0.0);
    assert_eq!(stats.labels.iter().map(LabelStats::n).sum::<usize>(), 4);
    assert_eq!(stats.durations_s.counts.iter().sum::<usize>(), 3);
    assert_eq!(
        stats.durations_s.counts[4], 3,
        "one second is in the bin from one second on"
    );
    assert_eq!(stats.labels[1].main_source, Some(("studio".into(), 1.0)));
    let text = stats.to_string();
    for words in [
        "4 clips, 3.0 s",
        "1 unreadable",
        "validation",
        "3 at 16000 Hz",
        "studio 100 %",
    ] {
        assert!(text.contains(words), "`{words}` is not in: {text}");
    }
    let json = serde_json::to_value(&stats).unwrap();
    assert_eq!(json["splits"]["train"]["n_speakers"], 1);
    let svg = svg(&stats, "a & b");
    assert!(
        svg.contains("a &amp; b") && svg.contains("a&lt;b &amp; &quot;c&quot;"),
        "{svg}"
    );
    assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
    assert!(!svg.contains("<script") && !svg.contains("href"));
}

#[test]
fn a_hundred_labels_share_the_room_of_sixty_bars() {
    let clips: Vec<Inspected> = (0..100)
        .map(|at| clip(&format!("word{at}/a.wav"), Some("ann"), TRAIN, at))
        .collect();
    let svg = svg(&stats(&clips), "many");
    assert!(svg.contains("41 other labels"), "{svg}");
}
