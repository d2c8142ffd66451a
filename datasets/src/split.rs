//! Train, validation or test: the three sides, and the rules that put a clip on one of them.
//!
//! A rule looks at a name only. It never opens audio and never balances anything: the same name always falls on the
//! same side, whatever else is in the corpus.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

/// One side of an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What the weights are fitted to.
    #[serde(alias = "training")]
    Train,
    /// What architectures and stopping are chosen by.
    #[serde(alias = "dev", alias = "valid", alias = "val")]
    Validation,
    /// What is looked at once, at the end.
    #[serde(alias = "testing")]
    Test,
}

impl Split {
    /// All three, in order.
    pub const ALL: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

    /// `train`, `validation` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that names no split.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "split `{found}` is none of train (training), validation (dev, valid, val), test (testing)"
)]
pub struct UnknownSplit {
    /// What stood there.
    pub found: String,
}

impl FromStr for Split {
    type Err = UnknownSplit;

    fn from_str(text: &str) -> Result<Self, UnknownSplit> {
        match text.trim().to_ascii_lowercase().as_str() {
            "train" | "training" => Ok(Split::Train),
            "validation" | "valid" | "val" | "dev" => Ok(Split::Validation),
            "test" | "testing" => Ok(Split::Test),
            _ => Err(UnknownSplit {
                found: text.to_owned(),
            }),
        }
    }
}

/// How a corpus is divided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SplitSpec {
    /// The rule of Speech Commands, by the hash of the file name up to `_nohash_`: see [`speech_commands_split`].
    Hash {
        /// Percent of names that go to validation (the corpus itself: 10).
        validation_percent: f64,
        /// Percent of names that go to test (the corpus itself: 10).
        test_percent: f64,
    },
    /// A table with the columns `path` and `split` (and, where it has them, `speaker` and `synthetic`), tabs or commas.
    List {
        /// The table, relative to the corpus root.
        path: PathBuf,
        /// What the table calls the training side.
        train: String,
        /// What it calls the validation side, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        validation: Option<String>,
        /// What it calls the test side, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        test: Option<String>,
        /// Percent of the training speakers, by the hash of their name, that become the validation side.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        validation_percent_of_train: Option<f64>,
    },
    /// Two files with one path a line (`validation_list.txt` and `testing_list.txt`); what neither names is for training.
    FileLists {
        /// The validation paths, relative to the corpus root.
        validation: PathBuf,
        /// The test paths, relative to the corpus root.
        test: PathBuf,
    },
    /// The manifest's own column, or the corpus's own sides.
    Given,
    /// By how a file's name begins, folders left out: whole sources of a collection, or speakers of one. The longest
    /// beginning counts; what begins with none of them is for training.
    Prefix {
        /// Beginnings of names that are for validation.
        validation: Vec<String>,
        /// Beginnings of names that are for test.
        test: Vec<String>,
    },
    /// The same as `Given`, with a share of the training side for validation, where the corpus has none of its own.
    GivenTrainDivided {
        /// Percent of the training speakers, by the hash of their name, that become the validation side.
        validation_percent_of_train: f64,
    },
    /// Whole speakers or sources, by name; everybody else is for training. For corpora of a few voices or studios, where
    /// a hash leaves a side empty.
    Named {
        /// Whose names these are.
        by: NamedBy,
        /// Who is on the validation side.
        validation: Vec<String>,
        /// Who is on the test side.
        test: Vec<String>,
    },
    /// By the hash of the speaker's name, the same rule as `Hash`.
    Speaker {
        /// Percent of speakers that go to validation.
        validation_percent: f64,
        /// Percent of speakers that go to test.
        test_percent: f64,
    },
}

/// What a split by name goes by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum NamedBy {
    /// The speaker.
    Speaker,
    /// The source, as a manifest or corpus gives it.
    Source,
}

impl SplitSpec {
    /// Whether only rows that come with a side can be placed.
    pub(crate) fn needs_given(&self) -> bool {
        matches!(self, SplitSpec::Given | SplitSpec::GivenTrainDivided { .. })
    }

    /// Says what is wrong with the percents, if anything.
    pub(crate) fn fault(&self) -> Option<(&'static str, String, &'static str)> {
        let share = |percent: f64| (0.0..100.0).contains(&percent);
        match *self {
            SplitSpec::Hash {
                validation_percent: v,
                test_percent: t,
            }
            | SplitSpec::Speaker {
                validation_percent: v,
                test_percent: t,
            } => (!(share(v) && share(t) && v + t < 100.0)).then(|| {
                (
                    "splits",
                    format!("{v} % validation and {t} % test"),
                    "shares of at least 0 % that leave some for training",
                )
            }),
            SplitSpec::List {
                ref validation,
                validation_percent_of_train: Some(v),
                ..
            } => {
                if !(share(v) && v > 0.0) {
                    Some((
                        "splits.validation_percent_of_train",
                        format!("{v}"),
                        "a share between 0 and 100",
                    ))
                } else if validation.is_some() {
                    Some((
                        "splits.validation_percent_of_train",
                        format!("{v} beside a validation side in the list"),
                        "one of the two",
                    ))
                } else {
                    None
                }
            }
            SplitSpec::Prefix {
                ref validation,
                ref test,
            } => {
                let is_odd = |name: &&String| {
                    let n_times = |list: &[String]| list.iter().filter(|n| n == name).count();
                    name.is_empty() || n_times(validation) + n_times(test) > 1
                };
                validation.iter().chain(test).find(is_odd).map(|name| {
                    (
                        "splits",
                        format!("`{name}` among the beginnings of names"),
                        "beginnings of file names, each in one place",
                    )
                })
            }
            SplitSpec::GivenTrainDivided {
                validation_percent_of_train: v,
            } => (!(share(v) && v > 0.0)).then(|| {
                (
                    "splits.validation_percent_of_train",
                    format!("{v}"),
                    "a share between 0 and 100",
                )
            }),
            SplitSpec::Named {
                ref validation,
                ref test,
                ..
            } => {
                if let Some(both) = validation.iter().find(|name| test.contains(name)) {
                    Some((
                        "splits",
                        format!("`{both}` for validation and for test"),
                        "each name on one side",
                    ))
                } else {
                    None
                }
            }
            _ => None,
        }
    }
}

/// Where a name falls on a scale of 0 to 100.
///
/// The last 27 bits of the SHA-1 of the name, as a percentage of 2^27 - 1: the rule of Speech Commands
/// (Warden 2018, `input_data.py` of TensorFlow's speech example).
pub fn hash_percent(name: &str) -> f64 {
    const LARGEST: u32 = (1 << 27) - 1;
    let digest = Sha1::digest(name.as_bytes());
    let low = u32::from_be_bytes(
        digest[16..20]
            .try_into()
            .expect("a SHA-1 digest has 20 bytes"),
    ) & LARGEST;
    f64::from(low) * (100.0 / f64::from(LARGEST))
}

fn split_of_name(name: &str, validation_percent: f64, test_percent: f64) -> Split {
    let percent = hash_percent(name);
    if percent < validation_percent {
        Split::Validation
    } else if percent < validation_percent + test_percent {
        Split::Test
    } else {
        Split::Train
    }
}

/// The split of a Speech Commands file, by the published rule: folders are ignored, so are `_nohash_` and what follows,
/// so all takes of a speaker fall on one side. A name without `_nohash_` is hashed whole, extension included.
pub fn speech_commands_split(file_name: &str, validation_percent: f64, test_percent: f64) -> Split {
    let base = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    let name = base.find("_nohash_").map_or(base, |at| &base[..at]);
    split_of_name(name, validation_percent, test_percent)
}

/// The split of a file by how its name begins (folders are ignored): the longest beginning counts, none is for training.
pub fn prefix_split(file_name: &str, validation: &[String], test: &[String]) -> Split {
    let base = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    let longest = |names: &[String]| {
        let fitting = names.iter().filter(|name| base.starts_with(name.as_str()));
        fitting.map(String::len).max()
    };
    match (longest(validation), longest(test)) {
        (None, None) => Split::Train,
        (validation, test) if test > validation => Split::Test,
        _ => Split::Validation,
    }
}

/// The split of a speaker, by the same hash.
pub fn speaker_split(speaker: &str, validation_percent: f64, test_percent: f64) -> Split {
    split_of_name(speaker, validation_percent, test_percent)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::testing::shared;

    /// The lists are those published with TC-ResNet for the 12-label task of Speech Commands v0.01.
    #[track_caller]
    fn check_published_list(name: &str, split: Split, n_at_least: usize) {
        let Some(folder) = shared("reference/sc_v1_12_lists") else {
            return;
        };
        let file = std::fs::File::open(folder.join(name)).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(file)
            .read_to_string(&mut text)
            .unwrap();
        // Silence rows carry the name of a clip that was replaced, unknown rows that of a real one.
        let rows: Vec<&str> = text
            .lines()
            .filter(|row| !row.starts_with("_silence_"))
            .collect();
        assert!(rows.len() >= n_at_least, "{} rows", rows.len());
        for row in rows {
            assert_eq!(speech_commands_split(row, 10.0, 10.0), split, "{row}");
        }
    }

    #[test]
    fn every_name_of_the_published_training_list_is_for_training() {
        check_published_list("train.txt.gz", Split::Train, 20_000);
    }

    #[test]
    fn every_name_of_the_published_validation_list_is_for_validation() {
        check_published_list("valid.txt.gz", Split::Validation, 2_800);
    }

    #[test]
    fn every_name_of_the_published_test_list_is_for_test() {
        check_published_list("test.txt.gz", Split::Test, 2_800);
    }

    #[test]
    fn takes_words_folders_and_formats_of_a_speaker_do_not_move_the_split() {
        for speaker in ["00b01445", "d0faf7e4", "471a0925", "x", ""] {
            let split = speech_commands_split(&format!("{speaker}_nohash_0.wav"), 10.0, 10.0);
            for other in [
                "go/{}_nohash_3.wav",
                "a/b/{}_nohash_11.ogg",
                "c:\\corpus\\up\\{}_nohash_0.flac",
            ] {
                assert_eq!(
                    speech_commands_split(&other.replace("{}", speaker), 10.0, 10.0),
                    split
                );
            }
            assert_eq!(speaker_split(speaker, 10.0, 10.0), split);
        }
    }

    #[test]
    fn about_the_asked_share_goes_to_each_side_and_more_percent_never_takes_a_name_away() {
        let names: Vec<String> = (0..20_000).map(|i| format!("speaker{i}")).collect();
        let share = |split, v, t| {
            names
                .iter()
                .filter(|n| speaker_split(n, v, t) == split)
                .count() as f64
                / 200.0
        };
        assert!((share(Split::Validation, 10.0, 20.0) - 10.0).abs() < 1.0);
        assert!((share(Split::Test, 10.0, 20.0) - 20.0).abs() < 1.0);
        for name in &names {
            if speaker_split(name, 5.0, 0.0) == Split::Validation {
                assert_eq!(speaker_split(name, 15.0, 0.0), Split::Validation);
            }
        }
    }

    #[test]
    fn the_names_people_give_to_splits_are_understood() {
        for (text, split) in [
            ("train", Split::Train),
            ("Training", Split::Train),
            ("dev", Split::Validation),
            (" valid ", Split::Validation),
            ("val", Split::Validation),
            ("testing", Split::Test),
        ] {
            assert_eq!(text.parse::<Split>(), Ok(split));
        }
        let error = "tset".parse::<Split>().unwrap_err().to_string();
        assert!(
            error.contains("tset") && error.contains("train") && error.contains("dev"),
            "{error}"
        );
        assert_eq!(
            serde_json::to_string(&Split::Validation).unwrap(),
            "\"validation\""
        );
        assert_eq!(
            serde_json::from_str::<Split>("\"dev\"").unwrap(),
            Split::Validation
        );
    }

    #[test]
    fn the_longest_beginning_of_a_name_decides_and_the_rest_is_for_training() {
        let owned =
            |names: &[&str]| -> Vec<String> { names.iter().map(|&n| n.to_owned()).collect() };
        let (validation, test) = (
            owned(&["ktuberling", "gcompris__eva"]),
            owned(&["tuxpaint", "gcompris"]),
        );
        let split = |name: &str| prefix_split(name, &validation, &test);
        assert_eq!(split("fr/tuxpaint__tux-fr__a.ogg"), Split::Test);
        assert_eq!(split("es/gcompris__eva-romero__a.ogg"), Split::Validation);
        assert_eq!(split("es/gcompris__ana__a.ogg"), Split::Test);
        assert_eq!(split("ktuberling/librispeech__1__a.ogg"), Split::Train);
        let spec = |validation: &[&str], test: &[&str]| SplitSpec::Prefix {
            validation: owned(validation),
            test: owned(test),
        };
        assert!(spec(&["a"], &["b"]).fault().is_none());
        assert!(spec(&["a"], &["a"]).fault().is_some());
        assert!(spec(&[""], &["a"]).fault().is_some());
    }
}
