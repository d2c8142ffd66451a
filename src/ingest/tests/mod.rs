//! What a recipe's owner sees of an ingestion, on small corpora that the tests make and on the real one where it is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use auricle_datasets::background::{BackgroundSpec, NoiseDivision};
use auricle_datasets::{CorpusSpec, LabelSpec, Layout, SILENCE, SpeakerPattern, Split, SplitSpec};
use auricle_features::{FrontendSpec, LogMel};
use tempfile::TempDir;

use super::*;

mod bad_files;
mod hear;
mod together;
use crate::audio::{Clip, decode, write_wav};

const RATE_HZ: u32 = 16_000;

/// Counts what it is shown, and stops the run after so many looks.
struct Counting {
    n_looks: AtomicUsize,
    stop_after: usize,
    last: Mutex<BTreeMap<String, (usize, usize)>>,
}

impl Counting {
    fn new(stop_after: usize) -> Self {
        Counting {
            n_looks: AtomicUsize::new(0),
            stop_after,
            last: Mutex::new(BTreeMap::new()),
        }
    }

    fn patient() -> Self {
        Counting::new(usize::MAX)
    }
}

impl Watch for Counting {
    fn progress(&self, done: usize, total: usize, what: &str) {
        let mut last = self.last.lock().unwrap();
        let entry = last.entry(what.to_owned()).or_insert((0, total));
        *entry = (entry.0.max(done), total);
    }

    fn stopped(&self) -> bool {
        self.n_looks.fetch_add(1, Ordering::Relaxed) >= self.stop_after
    }
}

fn spec() -> CorpusSpec {
    CorpusSpec {
        layout: Layout::FolderPerClass,
        speaker: SpeakerPattern::nohash(),
        labels: LabelSpec {
            keywords: Vec::new(),
            unknown: false,
            unknown_percent: None,
            silence: false,
            silence_percent: None,
        },
        splits: SplitSpec::Speaker {
            validation_percent: 20.0,
            test_percent: 20.0,
        },
        background: BackgroundSpec {
            folders: Vec::new(),
            divide: NoiseDivision::Position,
        },
        clip_ms: 1_000,
        max_reject_share: 0.05,
        seed: 1,
    }
}

fn sound(n_samples: usize, pitch: f32) -> Vec<f32> {
    (0..n_samples)
        .map(|i| 0.4 * (i as f32 * pitch).sin())
        .collect()
}

fn write(path: &Path, samples: Vec<f32>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_wav(
        path,
        &Clip {
            samples,
            sample_rate_hz: RATE_HZ,
        },
    )
    .unwrap();
}

/// Two words, each by ten speakers, of different lengths.
fn corpus() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (word, pitch) in [("go", 0.1), ("stop", 0.2)] {
        for speaker in 0..10 {
            let path = folder
                .path()
                .join(format!("source/{word}/{speaker:08x}_nohash_0.wav"));
            write(
                &path,
                sound(6_000 + 700 * speaker, pitch + 0.01 * speaker as f32),
            );
        }
    }
    folder
}

fn run(
    folder: &TempDir,
    spec: &CorpusSpec,
    n_workers: usize,
) -> Result<IngestSummary, IngestError> {
    let (source, into) = (folder.path().join("source"), folder.path().join("into"));
    ingest(
        &source,
        &into,
        spec,
        &FrontendSpec::speech_16k(),
        n_workers,
        &Counting::patient(),
    )
}

fn prepared(folder: &TempDir) -> Prepared {
    open(&folder.path().join("into"), &FrontendSpec::speech_16k()).unwrap()
}

fn rejects(folder: &TempDir) -> Vec<Reject> {
    let text = fs::read_to_string(folder.path().join("into/rejects.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else {
        return BTreeMap::new();
    };
    entries
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

fn shared_data() -> Option<PathBuf> {
    let shared = std::env::var_os("AURICLE_SHARED").map_or_else(
        || {
            std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"))
                .join("../shared")
        },
        PathBuf::from,
    );
    let data = shared.join("data");
    if data.join("kws_en/splits.tsv").is_file() {
        return Some(data);
    }
    eprintln!(
        "skipped: no recordings at {} (set AURICLE_SHARED)",
        data.display()
    );
    None
}

#[test]
fn every_clip_is_in_the_manifest_and_in_both_shards_as_it_sounds() {
    let folder = corpus();
    let summary = run(&folder, &spec(), 2).unwrap();
    assert_eq!(
        (
            summary.n_utterances,
            summary.n_rejected,
            summary.already_done
        ),
        (20, 0, false)
    );
    let prepared = prepared(&folder);
    let plan = LogMel::new(&FrontendSpec::speech_16k()).unwrap();
    for (at, row) in prepared.utterances.iter().enumerate() {
        let samples = decode(&folder.path().join("source").join(&row.path), RATE_HZ)
            .unwrap()
            .samples;
        assert_eq!(row.n_samples, samples.len());
        let stored: Vec<f32> = prepared
            .samples
            .samples(at)
            .iter()
            .map(|&s| f32::from(s) / 32_768.0)
            .collect();
        assert_eq!(stored, samples, "16-bit files are stored to the bit");
        let frames = plan.clip(&samples);
        assert_eq!(
            prepared.features.features(at),
            (frames.values.as_slice(), frames.n_frames())
        );
        assert_eq!(row.label, row.path.parent().unwrap().to_str().unwrap());
    }
    let seconds: usize = prepared.utterances.iter().map(|row| row.n_samples).sum();
    assert!((summary.audio_s - seconds as f64 / 16_000.0).abs() < 1e-9);
    assert!(prepared.noise.is_empty());
}

#[test]
fn a_second_run_does_nothing_and_says_so() {
    let folder = corpus();
    let first = run(&folder, &spec(), 2).unwrap();
    let left = files(&folder.path().join("into"));
    let second = run(&folder, &spec(), 2).unwrap();
    assert!(second.already_done);
    assert_eq!(
        IngestSummary {
            already_done: false,
            ..second
        },
        first
    );
    assert_eq!(files(&folder.path().join("into")), left);
}

#[test]
fn a_corpus_has_one_fingerprint_wherever_it_lies_and_another_when_a_byte_changes() {
    let places = [corpus(), corpus()];
    let prints = || {
        places.each_ref().map(|place| {
            // Noise from a folder of its own, under another name in each place.
            let noise = place.path().join("noise");
            for (name, pitch) in [("fan.wav", 0.003), ("street.wav", 0.005)] {
                if !noise.join(name).exists() {
                    write(&noise.join(name), sound(16_000 * 20, pitch));
                }
            }
            let mut spec = spec();
            spec.labels.silence = true;
            spec.labels.silence_percent = Some(10.0);
            spec.background.folders = vec![noise];
            run(place, &spec, 2).unwrap().fingerprint
        })
    };
    let [here, there] = prints();
    assert_eq!(here, there);
    write(
        &places[1].path().join("source/go/00000003_nohash_0.wav"),
        sound(8_100, 0.131),
    );
    let [here_again, other_word] = prints();
    assert_eq!(here_again, here);
    assert_ne!(other_word, here);
    write(
        &places[0].path().join("noise/fan.wav"),
        sound(16_000 * 20, 0.0031),
    );
    let [other_noise, _] = prints();
    assert_ne!(other_noise, here);
}

#[test]
fn whatever_changes_the_outcome_makes_it_run_again() {
    let folder = corpus();
    let first = run(&folder, &spec(), 2).unwrap();
    // Another setting.
    let other = run(&folder, &CorpusSpec { seed: 2, ..spec() }, 2).unwrap();
    assert!(!other.already_done && other.fingerprint != first.fingerprint);
    // Another file.
    write(
        &folder.path().join("source/go/000000ff_nohash_0.wav"),
        sound(9_000, 0.3),
    );
    assert_eq!(
        run(&folder, &CorpusSpec { seed: 2, ..spec() }, 2)
            .unwrap()
            .n_utterances,
        21
    );
    // The same file with another content.
    write(
        &folder.path().join("source/go/000000ff_nohash_0.wav"),
        sound(9_100, 0.3),
    );
    assert!(
        !run(&folder, &CorpusSpec { seed: 2, ..spec() }, 2)
            .unwrap()
            .already_done
    );
    // A shard that somebody removed.
    fs::remove_file(folder.path().join("into/features.shard")).unwrap();
    assert!(
        !run(&folder, &CorpusSpec { seed: 2, ..spec() }, 2)
            .unwrap()
            .already_done
    );
    // Another front-end is refused by name, not mixed.
    let error = open(&folder.path().join("into"), &FrontendSpec::speech_16k_64())
        .err()
        .unwrap();
    assert!(matches!(error, IngestError::NotIngested { .. }), "{error}");
}

#[test]
fn the_number_of_workers_does_not_change_a_byte() {
    let folder = corpus();
    run(&folder, &spec(), 1).unwrap();
    let one = files(&folder.path().join("into"));
    fs::remove_dir_all(folder.path().join("into")).unwrap();
    run(&folder, &spec(), 4).unwrap();
    assert_eq!(files(&folder.path().join("into")), one);
}

#[test]
fn a_run_stopped_anywhere_leaves_nothing_that_is_trusted_and_can_be_done_again() {
    let folder = corpus();
    let (source, into) = (folder.path().join("source"), folder.path().join("into"));
    let frontend = FrontendSpec::speech_16k();
    for stop_after in [0, 1, 7, 19, 20, 21] {
        let watch = Counting::new(stop_after);
        let stopped = ingest(&source, &into, &spec(), &frontend, 2, &watch);
        assert!(
            matches!(stopped, Err(IngestError::Stopped)),
            "after {stop_after} looks: {stopped:?}"
        );
        assert!(open(&into, &frontend).is_err());
        assert!(files(&into).keys().all(|name| !name.ends_with(".partial")));
    }
    // Over a finished one as well: what is half replaced is not trusted.
    run(&folder, &spec(), 2).unwrap();
    let other = CorpusSpec { seed: 2, ..spec() };
    assert!(ingest(&source, &into, &other, &frontend, 2, &Counting::new(3)).is_err());
    assert!(open(&into, &frontend).is_err());
    // What a killed run has left behind goes away.
    fs::write(into.join("samples.shard.123-4.partial"), b"half").unwrap();
    assert!(!run(&folder, &spec(), 2).unwrap().already_done);
    assert_eq!(files(&into).len(), 6);
}

#[test]
fn a_speaker_in_two_splits_is_refused_before_anything_is_decoded() {
    let folder = corpus();
    let mut table = "path\tspeaker\tsplit\n".to_owned();
    for word in ["go", "stop"] {
        for speaker in 0..10 {
            let split = if speaker == 3 && word == "stop" {
                "dev"
            } else {
                "train"
            };
            table += &format!("{word}/{speaker:08x}_nohash_0.wav\t{speaker:08x}\t{split}\n");
        }
    }
    fs::write(folder.path().join("source/splits.tsv"), table).unwrap();
    let splits = SplitSpec::List {
        path: "splits.tsv".into(),
        train: "train".to_owned(),
        validation: Some("dev".to_owned()),
        test: None,
        validation_percent_of_train: None,
    };
    let error = run(&folder, &CorpusSpec { splits, ..spec() }, 2).unwrap_err();
    assert!(
        matches!(error, IngestError::Audit(_)) && error.to_string().contains("00000003"),
        "{error}"
    );
    assert!(!folder.path().join("into").exists());
}

#[test]
fn pieces_of_a_long_file_are_cut_where_the_manifest_says() {
    let folder = tempfile::tempdir().unwrap();
    let whole = sound(10 * 16_000, 0.05);
    write(&folder.path().join("source/long.wav"), whole.clone());
    let rows = [
        (0.0, 1.0),
        (0.5, 2.25),
        (9.0, 10.04),
        (9.5, 10.5),
        (11.0, 12.0),
        (4.0, 4.02),
    ];
    let mut text = "path,label,speaker,split,start,end\n".to_owned();
    for (start, end) in rows {
        text += &format!("long.wav,talk,anna,train,{start},{end}\n");
    }
    fs::write(folder.path().join("source/rows.csv"), text).unwrap();
    let spec = CorpusSpec {
        layout: Layout::Manifest {
            path: "rows.csv".into(),
        },
        splits: SplitSpec::Given,
        max_reject_share: 1.0,
        ..spec()
    };
    let outcome = run(&folder, &spec, 2);
    let Ok(summary) = outcome else {
        panic!("{}", outcome.unwrap_err())
    };
    let prepared = prepared(&folder);
    let kept: Vec<(f64, f64)> = prepared
        .utterances
        .iter()
        .map(|row| (row.start_s.unwrap(), row.end_s.unwrap()))
        .collect();
    assert_eq!(kept, [(0.0, 1.0), (0.5, 2.25), (9.0, 10.04)]);
    for (at, (start_s, end_s)) in kept.iter().enumerate() {
        let (from, to) = (
            (start_s * 16_000.0) as usize,
            ((end_s * 16_000.0) as usize).min(whole.len()),
        );
        let want: Vec<i16> = whole[from..to]
            .iter()
            .map(|s| (s * 32_768.0).round() as i16)
            .collect();
        assert_eq!(prepared.samples.samples(at), want);
    }
    assert_eq!(summary.rejects_by_reason.get(&Reason::TooShort), Some(&1));
    assert_eq!(summary.n_utterances + summary.n_rejected, rows.len());
}

#[test]
fn noise_becomes_silence_clips_and_noise_for_training_only() {
    let folder = corpus();
    let noise: Vec<f32> = sound(100 * 16_000, 0.7);
    write(
        &folder.path().join("source/_background_noise_/hum.wav"),
        noise.clone(),
    );
    fs::write(folder.path().join("source/_background_noise_/bad.wav"), b"").unwrap();
    let mut spec = CorpusSpec {
        max_reject_share: 0.2,
        ..spec()
    };
    spec.labels.keywords = vec!["go".to_owned(), "stop".to_owned()];
    (spec.labels.silence, spec.labels.silence_percent) = (true, Some(50.0));
    let summary = run(&folder, &spec, 2).unwrap();
    assert_eq!(
        (summary.n_rejected, rejects(&folder)[0].reason),
        (1, Reason::Empty)
    );

    let prepared = prepared(&folder);
    let silence: Vec<_> = prepared
        .utterances
        .iter()
        .enumerate()
        .filter(|(_, row)| row.label == SILENCE)
        .collect();
    let splits: BTreeSet<Split> = silence.iter().map(|(_, row)| row.split).collect();
    assert!(!silence.is_empty() && !splits.is_empty());
    let quantised: Vec<i16> = noise
        .iter()
        .map(|s| (s * 32_768.0).round() as i16)
        .collect();
    for (at, row) in silence {
        assert_eq!(row.n_samples, 16_000);
        let from = (row.start_s.unwrap() * 16_000.0).round() as usize;
        assert_eq!(
            prepared.samples.samples(at),
            &quantised[from..from + 16_000]
        );
    }
    // The first 70 % of the recording, in pieces.
    let stored: Vec<i16> = (0..prepared.noise.len())
        .flat_map(|at| prepared.noise.samples(at).to_vec())
        .collect();
    assert_eq!(prepared.noise.len(), 3);
    assert_eq!(stored, &quantised[..70 * 16_000]);
    assert!((summary.noise_s - 70.0).abs() < 1e-9);
}

#[test]
fn whoever_watches_sees_it_through() {
    let folder = corpus();
    let watch = Counting::patient();
    let (source, into) = (folder.path().join("source"), folder.path().join("into"));
    ingest(
        &source,
        &into,
        &spec(),
        &FrontendSpec::speech_16k(),
        2,
        &watch,
    )
    .unwrap();
    assert_eq!(watch.last.lock().unwrap()["clips decoded"], (20, 20));
}
