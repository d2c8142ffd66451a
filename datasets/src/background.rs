//! Noise recordings: which there are, which part of them each split may hear, and the crops that are `_silence_`.
//!
//! Rule: what is heard in validation or test is never mixed into training clips. Lengths are brought by whoever
//! decodes; nothing here opens a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::corpus::{BACKGROUND_NOISE, CorpusError, CorpusSpec, audio_files};
use crate::labels::{SILENCE, n_keyword_clips, share_of};
use crate::name::Name;
use crate::seeded::{purpose_rng, rank};
use crate::split::Split;
use crate::utterance::{Utterance, slashed};

/// Folders below a noise folder that hold no noise: impulse responses are rooms, not sounds.
const NOT_NOISE: [&str; 3] = ["rir", "rirs", "impulse_responses"];

/// The share of the noise that validation hears, and the share that test hears.
const HELD_OUT_SHARE: f64 = 0.15;

/// Where noise lies and how it is divided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackgroundSpec {
    /// Folders of noise, relative to the corpus root (`..` is allowed); none listed means `_background_noise_`
    /// where there is one.
    pub folders: Vec<PathBuf>,
    /// How the noise is divided over the splits.
    pub divide: NoiseDivision,
}

/// How noise is divided over the splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseDivision {
    /// A recording is heard in one split only; takes of one recording stay together. For many short files.
    File,
    /// The first 70 % of each recording are for training, the next 15 % for validation, the last for test.
    /// For a few long files, of kinds that every split should hear.
    Position,
}

/// A noise recording and its length, once decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseFile {
    /// The file, relative to the corpus root.
    pub path: PathBuf,
    /// How long it is, in seconds.
    pub duration_s: f64,
}

/// The part of a noise recording that one split may hear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseRegion {
    /// The file, relative to the corpus root.
    pub path: PathBuf,
    /// Who may hear it. `Train` regions are the ones to mix into training clips.
    pub split: Split,
    /// Where it starts, in seconds.
    pub start_s: f64,
    /// Where it ends, in seconds.
    pub end_s: f64,
}

/// The noise files of a corpus, relative to its root and sorted; none where there is no noise folder and none is named.
pub fn noise_files(root: &Path, spec: &BackgroundSpec) -> Result<Vec<PathBuf>, CorpusError> {
    let folders = match spec.folders.as_slice() {
        [] if root.join(BACKGROUND_NOISE).is_dir() => &[PathBuf::from(BACKGROUND_NOISE)],
        folders => folders,
    };
    let mut files = Vec::new();
    for folder in folders {
        let inside = audio_files(&root.join(folder))?;
        if inside.is_empty() {
            return Err(CorpusError::Empty {
                path: root.join(folder),
                found: "no audio file".into(),
                expected: "noise recordings",
            });
        }
        let is_noise = |path: &PathBuf| {
            let mut folders = path.parent().into_iter().flat_map(Path::components);
            !folders.any(|c| {
                NOT_NOISE
                    .iter()
                    .any(|name| c.as_os_str().eq_ignore_ascii_case(name))
            })
        };
        files.extend(
            inside
                .into_iter()
                .filter(is_noise)
                .map(|path| folder.join(path)),
        );
    }
    files.sort_by(|a, b| slashed(a).cmp(&slashed(b)));
    files.dedup();
    Ok(files)
}

/// Divides noise recordings over the splits, so that no moment of noise is in two of them.
///
/// With [`NoiseDivision::File`] and three recordings or more, each split has at least one. With
/// [`NoiseDivision::Position`], a recording too short to give every split `clip_ms` is for training only.
pub fn divide(files: &[NoiseFile], spec: &CorpusSpec) -> Vec<NoiseRegion> {
    let mut regions = match spec.background.divide {
        NoiseDivision::File => by_file(files, spec.seed),
        NoiseDivision::Position => files
            .iter()
            .flat_map(|file| by_position(file, spec.clip_ms))
            .collect(),
    };
    regions.retain(|region| region.end_s > region.start_s);
    regions.sort_by(|a, b| {
        slashed(&a.path)
            .cmp(&slashed(&b.path))
            .then(a.start_s.total_cmp(&b.start_s))
    });
    regions
}

fn by_file(files: &[NoiseFile], seed: u64) -> Vec<NoiseRegion> {
    let mut groups: BTreeMap<String, Vec<&NoiseFile>> = BTreeMap::new();
    for file in files {
        groups
            .entry(recording_of(&file.path))
            .or_default()
            .push(file);
    }
    let mut names: Vec<&String> = groups.keys().collect();
    names.sort_by_key(|name| (rank(seed, &format!("noise {name}")), name.as_str()));
    let n_held_out = match names.len() {
        0..3 => 0,
        n => ((n as f64 * HELD_OUT_SHARE).round() as usize).max(1),
    };
    let split_at = |at: usize| match at {
        at if at < n_held_out => Split::Validation,
        at if at < 2 * n_held_out => Split::Test,
        _ => Split::Train,
    };
    let sides = names
        .iter()
        .enumerate()
        .map(|(at, &name)| (split_at(at), &groups[name]));
    sides
        .flat_map(|(split, files)| {
            files.iter().map(move |file| NoiseRegion {
                path: file.path.clone(),
                split,
                start_s: 0.0,
                end_s: file.duration_s,
            })
        })
        .collect()
}

/// What takes of one recording have in common. ESC-10 and ESC-50 name files `<fold>-<recording>-<take>`.
fn recording_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let parts: Vec<&str> = stem.split('-').collect();
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match parts[..] {
        [fold, recording, take, ..] if number(fold) && number(recording) && take.len() <= 2 => {
            recording.to_owned()
        }
        _ => slashed(path).into_owned(),
    }
}

fn by_position(file: &NoiseFile, clip_ms: u32) -> Vec<NoiseRegion> {
    let held_out_s = file.duration_s * HELD_OUT_SHARE;
    let region = |split, start_s, end_s| NoiseRegion {
        path: file.path.clone(),
        split,
        start_s,
        end_s,
    };
    if held_out_s < f64::from(clip_ms) / 1000.0 {
        return vec![region(Split::Train, 0.0, file.duration_s)];
    }
    let (first, second) = (
        file.duration_s - 2.0 * held_out_s,
        file.duration_s - held_out_s,
    );
    vec![
        region(Split::Train, 0.0, first),
        region(Split::Validation, first, second),
        region(Split::Test, second, file.duration_s),
    ]
}

/// Crops of noise that become the class `_silence_`, or `_unknown_` where noise is none: in each split, `silence_percent`
/// of its keyword clips, each `clip_ms` long, drawn by the seed from that split's regions in turn. Silence that the corpus
/// brings along, as published test sets do, counts first. None where the task asks for none.
///
/// Crops of one split may overlap where noise is short; crops of two splits never do.
pub fn silence_rows(
    utterances: &[Utterance],
    regions: &[NoiseRegion],
    spec: &CorpusSpec,
) -> Result<Vec<Utterance>, CorpusError> {
    let Some((class, percent)) = spec.labels.noise() else {
        return Ok(Vec::new());
    };
    let class = Name::from(class);
    let clip_s = f64::from(spec.clip_ms) / 1000.0;
    let mut rows = Vec::new();
    for (split, n_keywords) in n_keyword_clips(utterances) {
        let is_there = |row: &&Utterance| row.split == split && row.label == SILENCE;
        let n_there = utterances.iter().filter(is_there).count();
        let n_wanted = share_of(n_keywords, percent).saturating_sub(n_there);
        if n_wanted == 0 {
            continue;
        }
        let mut rng = purpose_rng(spec.seed, &format!("silence {split}"));
        let mut heard: Vec<&NoiseRegion> = regions
            .iter()
            .filter(|r| r.split == split && r.end_s - r.start_s >= clip_s)
            .collect();
        if heard.is_empty() {
            return Err(CorpusError::NoNoise {
                split,
                clip_ms: spec.clip_ms,
                class,
            });
        }
        heard.shuffle(&mut rng);
        for region in heard.iter().cycle().take(n_wanted) {
            // Whole milliseconds inside the region, so that times survive being written down.
            let first_ms = (region.start_s * 1000.0).ceil() as u64;
            let last_ms = (((region.end_s - clip_s) * 1000.0).floor() as u64).max(first_ms);
            let start_ms = rng.random_range(first_ms..=last_ms);
            rows.push(Utterance {
                path: region.path.clone(),
                label: class.clone(),
                speaker: None,
                split,
                start_s: Some(start_ms as f64 / 1000.0),
                end_s: Some((start_ms + u64::from(spec.clip_ms)) as f64 / 1000.0),
                synthetic: false,
                n_samples: 0,
            });
        }
    }
    rows.sort_by(Utterance::order);
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::audit::audit;
    use crate::corpus::{Layout, SpeakerPattern};
    use crate::labels::LabelSpec;
    use crate::split::SplitSpec;

    fn spec(divide: NoiseDivision) -> CorpusSpec {
        CorpusSpec {
            layout: Layout::FolderPerClass,
            speaker: SpeakerPattern::nohash(),
            labels: LabelSpec {
                keywords: vec!["go".into()],
                unknown: false,
                unknown_percent: None,
                silence: true,
                silence_percent: Some(10.0),
            },
            splits: SplitSpec::Hash {
                validation_percent: 10.0,
                test_percent: 10.0,
            },
            background: BackgroundSpec {
                folders: vec![],
                divide,
            },
            clip_ms: 1000,
            max_reject_share: 0.05,
            seed: 7,
        }
    }

    fn keyword_clips(n: usize) -> Vec<Utterance> {
        let row = |split: Split, i| Utterance {
            path: format!("go/{split}{i}_nohash_0.wav").into(),
            label: "go".into(),
            speaker: Some(format!("{split}{i}").into()),
            split,
            start_s: None,
            end_s: None,
            synthetic: false,
            n_samples: 0,
        };
        Split::ALL
            .into_iter()
            .flat_map(|split| (0..n).map(move |i| row(split, i)))
            .collect()
    }

    fn noise(n_files: usize, duration_s: f64) -> Vec<NoiseFile> {
        (0..n_files)
            .map(|i| NoiseFile {
                path: format!("n/{i}.wav").into(),
                duration_s,
            })
            .collect()
    }

    #[track_caller]
    fn check_silence(files: &[NoiseFile], divide_by: NoiseDivision) {
        let spec = spec(divide_by);
        let mut rows = keyword_clips(205);
        let regions = divide(files, &spec);
        let silence = silence_rows(&rows, &regions, &spec).unwrap();
        assert_eq!(silence, silence_rows(&rows, &regions, &spec).unwrap());
        for split in Split::ALL {
            assert_eq!(silence.iter().filter(|row| row.split == split).count(), 21); // ceil(20.5)
        }
        for row in &silence {
            let (start, end) = (row.start_s.unwrap(), row.end_s.unwrap());
            assert!((end - start - 1.0).abs() < 1e-9);
            let region = regions
                .iter()
                .find(|r| r.path == row.path && r.split == row.split)
                .unwrap();
            assert!(
                region.start_s <= start && end <= region.end_s + 1e-9,
                "{row:?} is not inside {region:?}"
            );
        }
        rows.extend(silence);
        audit(&rows).unwrap(); // refuses a crop that two splits share
    }

    #[test]
    fn silence_is_a_tenth_of_the_keywords_and_no_crop_is_shared_between_splits() {
        check_silence(&noise(6, 60.0), NoiseDivision::Position);
        check_silence(&noise(6, 60.0), NoiseDivision::File);
        check_silence(&noise(3, 1.0), NoiseDivision::File);
        check_silence(&noise(1, 7.003), NoiseDivision::Position);
    }

    #[test]
    fn noise_that_is_no_class_of_its_own_is_unknown() {
        let mut spec = spec(NoiseDivision::Position);
        (spec.labels.unknown, spec.labels.silence) = (true, false);
        let regions = divide(&noise(6, 60.0), &spec);
        let rows = silence_rows(&keyword_clips(50), &regions, &spec).unwrap();
        assert_eq!(rows.len(), 3 * 5);
        assert!(rows.iter().all(|row| row.label == "_unknown_"));
        spec.labels.silence_percent = None;
        assert_eq!(
            silence_rows(&keyword_clips(50), &regions, &spec).unwrap(),
            []
        );
    }

    #[test]
    fn training_never_mixes_in_what_validation_or_test_hear() {
        for divide_by in [NoiseDivision::File, NoiseDivision::Position] {
            let regions = divide(&noise(10, 30.0), &spec(divide_by));
            let total: f64 = regions.iter().map(|r| r.end_s - r.start_s).sum();
            assert!(
                (total - 300.0).abs() < 1e-6,
                "all noise is used once: {total} s"
            );
            let train: f64 = regions
                .iter()
                .filter(|r| r.split == Split::Train)
                .map(|r| r.end_s - r.start_s)
                .sum();
            assert!((train / total - 0.7).abs() < 0.11, "{train}");
            if divide_by == NoiseDivision::File {
                let paths: BTreeSet<_> = regions.iter().map(|r| &r.path).collect();
                assert_eq!(paths.len(), regions.len());
            }
        }
    }

    #[test]
    fn takes_of_one_recording_stay_together() {
        let names = (0..40)
            .flat_map(|id| ["A", "B"].map(|take| format!("rain/1-{}-{take}.ogg", 17000 + id)));
        let files: Vec<_> = names
            .map(|name| NoiseFile {
                path: name.into(),
                duration_s: 5.0,
            })
            .collect();
        let regions = divide(&files, &spec(NoiseDivision::File));
        for pair in regions.chunks(2) {
            assert_eq!(pair[0].split, pair[1].split, "{pair:?}");
        }
        assert!(regions.iter().any(|r| r.split == Split::Test));
    }

    #[test]
    fn too_little_noise_is_an_error_that_says_for_whom() {
        let spec = spec(NoiseDivision::File);
        let regions = divide(&noise(2, 60.0), &spec);
        let error = silence_rows(&keyword_clips(50), &regions, &spec)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("validation") && error.contains("1000 ms"),
            "{error}"
        );
    }

    #[test]
    fn noise_is_found_in_folders_of_folders_and_rooms_are_not_noise() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("corpus");
        for file in [
            "noise/rain/1.ogg",
            "noise/rir/hall.flac",
            "noise/hum.wav",
            "noise/LICENCE.txt",
            "corpus/go/a.wav",
        ] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let named = BackgroundSpec {
            folders: vec!["../noise".into()],
            divide: NoiseDivision::File,
        };
        let expected: Vec<PathBuf> = vec!["../noise/hum.wav".into(), "../noise/rain/1.ogg".into()];
        assert_eq!(noise_files(&root, &named).unwrap(), expected);
        let unnamed = BackgroundSpec {
            folders: vec![],
            divide: NoiseDivision::File,
        };
        assert!(noise_files(&root, &unnamed).unwrap().is_empty());
        std::fs::create_dir(root.join(BACKGROUND_NOISE)).unwrap();
        std::fs::write(root.join(BACKGROUND_NOISE).join("tap.wav"), "").unwrap();
        assert_eq!(
            noise_files(&root, &unnamed).unwrap(),
            [PathBuf::from("_background_noise_/tap.wav")]
        );
        let absent = BackgroundSpec {
            folders: vec!["nowhere".into()],
            divide: NoiseDivision::File,
        };
        assert!(
            noise_files(&root, &absent)
                .unwrap_err()
                .to_string()
                .contains("nowhere")
        );
    }
}
