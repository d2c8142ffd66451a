//! The side of each clip, by the rule of the recipe.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::CorpusError;
use crate::manifest::{ManifestError, ManifestRow, known_speaker};
use crate::name::{Name, Names};
use crate::split::{
    NamedBy, Split, SplitSpec, hash_percent, prefix_split, speaker_split, speech_commands_split,
};
use crate::table::{Table, read_text};
use crate::utterance::slashed;

/// A side for each clip, in the same order. A list may also tell a clip's speaker, and that it is synthetic.
pub(super) fn splits(
    root: &Path,
    clips: &mut [ManifestRow],
    spec: &SplitSpec,
) -> Result<Vec<Split>, CorpusError> {
    match spec {
        SplitSpec::Hash {
            validation_percent,
            test_percent,
        } => Ok(clips
            .iter()
            .map(|clip| {
                speech_commands_split(&slashed(&clip.path), *validation_percent, *test_percent)
            })
            .collect()),
        SplitSpec::Speaker {
            validation_percent,
            test_percent,
        } => clips
            .iter()
            .map(|clip| {
                let speaker = speaker_of(clip)?;
                Ok(speaker_split(speaker, *validation_percent, *test_percent))
            })
            .collect(),
        SplitSpec::Given => clips.iter().map(given).collect(),
        SplitSpec::GivenTrainDivided {
            validation_percent_of_train,
        } => clips
            .iter()
            .map(|clip| match given(clip)? {
                Split::Train if hash_percent(speaker_of(clip)?) < *validation_percent_of_train => {
                    Ok(Split::Validation)
                }
                split => Ok(split),
            })
            .collect(),
        SplitSpec::Named {
            by,
            validation,
            test,
        } => from_names(root, clips, by, validation, test),
        SplitSpec::List {
            path,
            train,
            validation,
            test,
            validation_percent_of_train,
        } => {
            let names = [
                (Split::Train, Some(train)),
                (Split::Validation, validation.as_ref()),
                (Split::Test, test.as_ref()),
            ];
            let rows = read_list(&root.join(path), &names)?;
            from_list(&root.join(path), clips, &rows, *validation_percent_of_train)
        }
        SplitSpec::Prefix { validation, test } => from_prefixes(root, clips, validation, test),
        SplitSpec::FileLists { validation, test } => from_file_lists(root, clips, validation, test),
    }
}

fn speaker_of(clip: &ManifestRow) -> Result<&str, CorpusError> {
    clip.speaker
        .as_deref()
        .ok_or_else(|| CorpusError::Unplaced {
            path: clip.path.clone(),
            found: "speaker",
        })
}

fn given(clip: &ManifestRow) -> Result<Split, CorpusError> {
    clip.split.ok_or_else(|| CorpusError::Unplaced {
        path: clip.path.clone(),
        found: "split",
    })
}

/// Whole speakers or sources on each side, by name.
fn from_names(
    root: &Path,
    clips: &[ManifestRow],
    by: &NamedBy,
    validation: &[String],
    test: &[String],
) -> Result<Vec<Split>, CorpusError> {
    let mut names = HashSet::new();
    let mut splits = Vec::with_capacity(clips.len());
    for clip in clips {
        let (name, what) = match by {
            NamedBy::Speaker => (clip.speaker.clone(), "speaker"),
            NamedBy::Source => (clip.source.clone(), "source"),
        };
        let name: Name = name.ok_or_else(|| CorpusError::Unplaced {
            path: clip.path.clone(),
            found: what,
        })?;
        let is_in = |names: &[String]| names.iter().any(|other| *other == name);
        splits.push(if is_in(test) {
            Split::Test
        } else if is_in(validation) {
            Split::Validation
        } else {
            Split::Train
        });
        names.insert(name);
    }
    let mut absent = validation.iter().chain(test);
    match absent.find(|name| !names.contains(name.as_str())) {
        None => Ok(splits),
        Some(absent) => {
            let mut known: Vec<&str> = names.iter().map(Name::as_str).collect();
            known.sort_unstable();
            Err(CorpusError::Empty {
                path: root.to_path_buf(),
                found: format!("no clip of `{absent}` among {}", known.join(" ")),
                expected: "clips of everyone that the split names",
            })
        }
    }
}

/// A row of the list; `split` is `None` where the recipe has no use for that side.
struct ListRow {
    speaker: Option<Name>,
    split: Split,
    synthetic: bool,
}

fn read_list(
    path: &Path,
    names: &[(Split, Option<&String>)],
) -> Result<HashMap<String, ListRow>, CorpusError> {
    let table = Table::read(path)?;
    let (file, side) = (table.required("path")?, table.required("split")?);
    let (speaker, synthetic) = (table.column(&["speaker"]), table.column(&["synthetic"]));
    let (mut rows, mut names_met) = (HashMap::new(), Names::default());
    for row in table.rows() {
        let row = row?;
        let fault = |found: String, expected: &str| {
            CorpusError::from(ManifestError::row(path, row.line, found, expected))
        };
        let name = row.get(Some(side)).unwrap_or_default();
        let split = names
            .iter()
            .find(|(_, known)| known.is_some_and(|known| known == name));
        let Some(&(split, _)) = split else {
            let known: Vec<&str> = names
                .iter()
                .filter_map(|(_, known)| known.map(String::as_str))
                .collect();
            return Err(fault(format!("split `{name}`"), &known.join(" or ")));
        };
        let Some(clip) = row.get(Some(file)) else {
            return Err(fault("an empty path".into(), "an audio file"));
        };
        let mut speaker = known_speaker(row.get(speaker)).map(Name::from);
        names_met.share(&mut speaker);
        let listed = ListRow {
            speaker,
            split,
            synthetic: matches!(row.get(synthetic), Some("true" | "1")),
        };
        let clip = slashed(Path::new(clip));
        if rows
            .insert(clip.trim_start_matches("./").to_owned(), listed)
            .is_some()
        {
            return Err(fault(format!("{clip} again"), "each clip once"));
        }
    }
    Ok(rows)
}

fn from_list(
    list: &Path,
    clips: &mut [ManifestRow],
    rows: &HashMap<String, ListRow>,
    validation_percent_of_train: Option<f64>,
) -> Result<Vec<Split>, CorpusError> {
    let mut splits = Vec::with_capacity(clips.len());
    let mut strangers: Vec<&PathBuf> = Vec::new();
    for clip in clips.iter_mut() {
        let Some(row) = rows.get(&*slashed(&clip.path)) else {
            strangers.push(&clip.path);
            continue;
        };
        if row.speaker.is_some() {
            clip.speaker.clone_from(&row.speaker);
        }
        clip.synthetic |= row.synthetic;
        splits.push(match (row.split, validation_percent_of_train) {
            (Split::Train, Some(percent)) if hash_percent(speaker_of(clip)?) < percent => {
                Split::Validation
            }
            (split, _) => split,
        });
    }
    match strangers.iter().min() {
        None => Ok(splits),
        Some(&first) => Err(CorpusError::NotListed {
            list: list.to_path_buf(),
            path: first.clone(),
            n_files: strangers.len(),
        }),
    }
}

/// A beginning that no clip has is a slip of the pen, and is said.
fn from_prefixes(
    root: &Path,
    clips: &[ManifestRow],
    validation: &[String],
    test: &[String],
) -> Result<Vec<Split>, CorpusError> {
    let names = clips.iter().map(|clip| clip.path.file_name());
    let names: Vec<String> = names
        .map(|name| name.unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    let is_idle = |prefix: &&String| !names.iter().any(|name| name.starts_with(prefix.as_str()));
    if let Some(prefix) = validation.iter().chain(test).find(is_idle) {
        return Err(CorpusError::Empty {
            path: root.to_path_buf(),
            found: format!("no clip of the task whose name begins with `{prefix}`"),
            expected: "one for each beginning that the split names",
        });
    }
    let split = |name: &String| prefix_split(name, validation, test);
    Ok(names.iter().map(split).collect())
}

/// Lists of one path a line. Extensions are passed over, since a corpus may have been encoded anew.
fn from_file_lists(
    root: &Path,
    clips: &[ManifestRow],
    validation: &Path,
    test: &Path,
) -> Result<Vec<Split>, CorpusError> {
    let key = |path: &Path| slashed(&path.with_extension("")).into_owned();
    let read = |list: &Path| -> Result<HashSet<String>, CorpusError> {
        let text = read_text(&root.join(list))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        Ok(lines
            .map(|line| key(Path::new(line.trim_start_matches("./"))))
            .collect())
    };
    let (in_validation, in_test) = (read(validation)?, read(test)?);
    if let Some(both) = in_validation.intersection(&in_test).min() {
        return Err(CorpusError::Empty {
            path: root.join(test),
            found: format!("{both}, which {} names too", validation.display()),
            expected: "each clip in one of the two lists",
        });
    }
    for (list, names) in [(validation, &in_validation), (test, &in_test)] {
        if !clips.iter().any(|clip| names.contains(&key(&clip.path))) {
            return Err(CorpusError::Empty {
                path: root.join(list),
                found: format!("{} paths, none of them a clip of the task", names.len()),
                expected: "paths from the corpus root, one a line",
            });
        }
    }
    Ok(clips
        .iter()
        .map(|clip| match key(&clip.path) {
            name if in_test.contains(&name) => Split::Test,
            name if in_validation.contains(&name) => Split::Validation,
            _ => Split::Train,
        })
        .collect())
}
