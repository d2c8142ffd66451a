//! Is the split honest? Counts what there is, and refuses a corpus in which the test has been seen in training.
//!
//! It looks at rows, not at audio: two recordings of one voice under two names are beyond it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::manifest::known_speaker;
use crate::split::Split;
use crate::utterance::Utterance;

/// How many clips and voices there are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditSummary {
    /// Clips of each label in each split.
    pub n_clips: BTreeMap<Split, BTreeMap<String, usize>>,
    /// Speakers with a name in each split.
    pub n_speakers: BTreeMap<Split, usize>,
    /// Clips whose speaker nobody knows; no promise can be made for them.
    pub n_without_speaker: usize,
    /// Clips made by a program.
    pub n_synthetic: usize,
}

impl AuditSummary {
    /// Clips in a split.
    pub fn n_in(&self, split: Split) -> usize {
        self.n_clips
            .get(&split)
            .map_or(0, |labels| labels.values().sum())
    }
}

/// Counts clips as they come, each once; memory grows with labels and speakers, not with clips.
#[derive(Default)]
pub struct Tally {
    n_clips: BTreeMap<Split, BTreeMap<String, usize>>,
    speakers: BTreeMap<Split, BTreeSet<String>>,
    n_without_speaker: usize,
    n_synthetic: usize,
}

impl Tally {
    /// Counts one clip more.
    pub fn count(&mut self, row: &Utterance) {
        let labels = self.n_clips.entry(row.split).or_default();
        match labels.get_mut(&*row.label) {
            Some(n_clips) => *n_clips += 1,
            None => _ = labels.insert(row.label.to_string(), 1),
        }
        self.n_synthetic += usize::from(row.synthetic);
        let Some(speaker) = known_speaker(row.speaker.as_deref()) else {
            self.n_without_speaker += 1;
            return;
        };
        let speakers = self.speakers.entry(row.split).or_default();
        if !speakers.contains(speaker) {
            speakers.insert(speaker.to_owned());
        }
    }

    /// What was counted.
    pub fn summary(self) -> AuditSummary {
        let n_speakers = |split| self.speakers.get(&split).map_or(0, BTreeSet::len);
        AuditSummary {
            n_speakers: Split::ALL.map(|split| (split, n_speakers(split))).into(),
            n_clips: self.n_clips,
            n_without_speaker: self.n_without_speaker,
            n_synthetic: self.n_synthetic,
        }
    }
}

/// A speaker with clips on more than one side.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossingSpeaker {
    /// Who.
    pub speaker: String,
    /// How many clips on each side, and one of them.
    pub clips: BTreeMap<Split, (usize, PathBuf)>,
}

impl fmt::Display for CrossingSpeaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.speaker)?;
        for (at, (split, (n, path))) in self.clips.iter().enumerate() {
            write!(
                f,
                "{} {n} in {split} ({}",
                if at == 0 { ":" } else { "," },
                path.display()
            )?;
            f.write_str(if *n > 1 { ", ...)" } else { ")" })?;
        }
        Ok(())
    }
}

/// Why a split is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AuditError {
    /// Somebody is heard in training and judged by later.
    #[error("found {n_speakers} speaker{} in more than one split; expected each in one. {}", plural(*n_speakers), list(examples))]
    SpeakerCrossesSplits {
        /// How many speakers do.
        n_speakers: usize,
        /// The first few of them.
        examples: Vec<CrossingSpeaker>,
    },
    /// The same stretch of a file is on two sides.
    #[error("{}: found the same audio in {first} and in {second}; expected each part of a file in one split", path.display())]
    SharedAudio {
        /// The file.
        path: PathBuf,
        /// One side.
        first: Split,
        /// The other.
        second: Split,
    },
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

fn list(examples: &[CrossingSpeaker]) -> String {
    examples
        .iter()
        .map(|e| e.to_string())
        .collect::<Vec<_>>()
        .join("; ")
}

/// Counts the clips, and refuses a speaker or a stretch of audio that is in more than one split.
///
/// Clips without a speaker (none given, `unknown` or `-`) are counted, not taken for one person.
pub fn audit(utterances: &[Utterance]) -> Result<AuditSummary, AuditError> {
    const N_EXAMPLES: usize = 5;
    let rows = utterances
        .iter()
        .map(|row| (row.speaker.as_deref(), row.split, row.path.as_path()));
    let mut crossing = crossing_speakers(rows);
    if !crossing.is_empty() {
        let n_speakers = crossing.len();
        crossing.truncate(N_EXAMPLES);
        return Err(AuditError::SpeakerCrossesSplits {
            n_speakers,
            examples: crossing,
        });
    }
    let shared = shared_stretch(utterances.iter(), |row| {
        (&row.path, (row.start_s, row.end_s), row.split)
    });
    if let Some((path, first, second)) = shared {
        return Err(AuditError::SharedAudio {
            path: path.to_path_buf(),
            first,
            second,
        });
    }
    let mut tally = Tally::default();
    utterances.iter().for_each(|row| tally.count(row));
    Ok(tally.summary())
}

/// Everybody who is heard on more than one side.
pub(crate) fn crossing_speakers<'a>(
    rows: impl Iterator<Item = (Option<&'a str>, Split, &'a Path)>,
) -> Vec<CrossingSpeaker> {
    let mut speakers: BTreeMap<&str, BTreeMap<Split, (usize, &Path)>> = BTreeMap::new();
    for (speaker, split, path) in rows {
        if let Some(speaker) = known_speaker(speaker) {
            let sides = speakers.entry(speaker).or_default();
            sides.entry(split).or_insert((0, path)).0 += 1;
        }
    }
    speakers
        .into_iter()
        .filter(|(_, sides)| sides.len() > 1)
        .map(|(speaker, sides)| CrossingSpeaker {
            speaker: speaker.to_owned(),
            clips: sides
                .into_iter()
                .map(|(split, (n, path))| (split, (n, path.to_path_buf())))
                .collect(),
        })
        .collect()
}

/// The first file of which two sides share a moment, and the sides. Of a row `stretch` tells the file, from when to when in
/// seconds, and the side.
pub(crate) fn shared_stretch<'a, R: Copy>(
    rows: impl Iterator<Item = R>,
    stretch: impl Fn(R) -> (&'a Path, (Option<f64>, Option<f64>), Split),
) -> Option<(&'a Path, Split, Split)> {
    let path = |row: &R| stretch(*row).0;
    // Nothing but references: most files have one row, and a corpus may have a million.
    let mut rows: Vec<R> = rows.collect();
    rows.sort_unstable_by(|a, b| path(a).cmp(path(b)));
    rows.chunk_by(|a, b| path(a) == path(b))
        .find_map(|of_file| {
            let parts = of_file.iter().map(|&row| {
                let (_, (start_s, end_s), split) = stretch(row);
                (
                    start_s.unwrap_or(0.0),
                    end_s.unwrap_or(f64::INFINITY),
                    split,
                )
            });
            let (first, second) = overlap_between_splits(&mut parts.collect::<Vec<_>>())?;
            Some((path(&of_file[0]), first, second))
        })
}

/// Two splits that share a moment of the file: a sweep over the starts that remembers how far each split reaches.
fn overlap_between_splits(stretches: &mut [(f64, f64, Split)]) -> Option<(Split, Split)> {
    if stretches.iter().map(|s| s.2).collect::<BTreeSet<_>>().len() < 2 {
        return None;
    }
    stretches.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut reach: BTreeMap<Split, f64> = BTreeMap::new();
    for &(start, end, split) in stretches.iter() {
        // Times are written with rounded digits: a microsecond is no overlap.
        if let Some((&other, _)) = reach
            .iter()
            .find(|&(&other, &until)| other != split && until > start + 1e-6)
        {
            return Some((other, split));
        }
        let until = reach.entry(split).or_insert(end);
        *until = until.max(end);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    fn clip(path: &str, speaker: Option<&str>, split: Split) -> Utterance {
        Utterance {
            path: path.into(),
            label: path.split('/').next().unwrap().into(),
            speaker: speaker.map(Name::from),
            split,
            start_s: None,
            end_s: None,
            synthetic: false,
            n_samples: 0,
        }
    }

    fn crop(path: &str, start_s: f64, end_s: f64, split: Split) -> Utterance {
        Utterance {
            start_s: Some(start_s),
            end_s: Some(end_s),
            ..clip(path, None, split)
        }
    }

    #[test]
    fn a_speaker_on_two_sides_is_named_with_files_and_splits() {
        let rows = [
            clip("go/ann_1.wav", Some("ann"), Split::Train),
            clip("go/ann_2.wav", Some("ann"), Split::Train),
            clip("up/ann_1.wav", Some("ann"), Split::Test),
            clip("up/bob_1.wav", Some("bob"), Split::Test),
        ];
        let error = audit(&rows).unwrap_err().to_string();
        for word in [
            "ann",
            "2 in train",
            "go/ann_1.wav",
            "1 in test",
            "up/ann_1.wav",
            "1 speaker ",
        ] {
            assert!(error.contains(word), "`{word}` is not in: {error}");
        }
        assert!(!error.contains("bob"), "{error}");
    }

    #[test]
    fn nobody_in_particular_is_not_one_person() {
        let rows = [
            clip("go/1.wav", None, Split::Train),
            clip("go/2.wav", None, Split::Test),
            clip("go/3.wav", Some("unknown"), Split::Train),
            clip("go/4.wav", Some("Unknown"), Split::Test),
            clip("go/5.wav", Some("-"), Split::Validation),
            clip("up/6.wav", Some("ann"), Split::Test),
        ];
        let summary = audit(&rows).unwrap();
        assert_eq!(summary.n_without_speaker, 5);
        assert_eq!(
            summary.n_speakers,
            BTreeMap::from([(Split::Train, 0), (Split::Validation, 0), (Split::Test, 1)])
        );
        assert_eq!(summary.n_in(Split::Test), 3);
        assert_eq!(summary.n_clips[&Split::Test]["up"], 1);
    }

    #[test]
    fn a_file_may_be_shared_between_splits_but_not_a_moment_of_it() {
        let apart = [
            crop("n.wav", 0.0, 1.0, Split::Train),
            crop("n.wav", 1.0, 2.0, Split::Test),
        ];
        assert!(audit(&apart).is_ok());
        let within_one = [
            crop("n.wav", 0.0, 1.0, Split::Train),
            crop("n.wav", 0.5, 1.5, Split::Train),
        ];
        assert!(audit(&within_one).is_ok());
        let long_before = [
            crop("n.wav", 0.0, 10.0, Split::Train),
            crop("n.wav", 1.0, 2.0, Split::Train),
            crop("n.wav", 9.0, 11.0, Split::Test),
        ];
        assert!(matches!(
            audit(&long_before),
            Err(AuditError::SharedAudio { .. })
        ));
        let whole_twice = [
            clip("go/1.wav", None, Split::Train),
            clip("go/1.wav", None, Split::Validation),
        ];
        let error = audit(&whole_twice).unwrap_err().to_string();
        assert!(
            error.contains("go/1.wav") && error.contains("train") && error.contains("validation"),
            "{error}"
        );
    }
}
