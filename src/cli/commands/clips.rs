//! Labelled clips that a command judges a bundle by: a folder for each label, or a list.

use std::path::{Path, PathBuf};

use anyhow::bail;
use auricle_datasets::manifest::{self, ManifestRow};
use auricle_datasets::{Name, SpeakerPattern, Split, Utterance};

use crate::bundle::{Bundle, is_reserved};

/// Where labelled clips are.
pub(super) struct Clips<'a> {
    /// A folder for each label, or the folder that the paths of the list start from.
    pub data: &'a Path,
    pub list: Option<&'a Path>,
    /// Only rows of the list with this as their split.
    pub split: Option<&'a str>,
}

/// A clip, and the line of the list that it stands on.
pub(super) struct Listed {
    pub clip: Utterance,
    pub line: Option<u64>,
}

impl Clips<'_> {
    /// The clips of the bundle's labels, at least one, and how many others there were.
    pub fn find(&self, bundle: &Bundle) -> anyhow::Result<(Vec<Listed>, usize)> {
        let (found, n_other) = match self.list() {
            Some(list) => self.listed(bundle, &list)?,
            None => self.foldered(bundle)?,
        };
        if found.is_empty() {
            bail!(
                "{}: found no clip of any of the bundle's labels ({}), expected a folder for each label or --list",
                self.data.display(),
                bundle.labels.join(", ")
            );
        }
        Ok((found, n_other))
    }

    /// Where the list lies: as said, or in the folder of the data.
    pub fn list(&self) -> Option<PathBuf> {
        let list = self.list?;
        let beside = self.data.join(list);
        Some(if list.exists() || !beside.exists() {
            list.to_path_buf()
        } else {
            beside
        })
    }

    fn foldered(&self, bundle: &Bundle) -> anyhow::Result<(Vec<Listed>, usize)> {
        let clips = auricle_datasets::corpus::labelled_files(self.data)?;
        let clips = clips.into_iter().map(|(path, label)| (path, label, None));
        keep(bundle, clips)
    }

    fn listed(&self, bundle: &Bundle, list: &Path) -> anyhow::Result<(Vec<Listed>, usize)> {
        let split: Option<Split> = self.split.map(str::parse).transpose()?;
        let rows = manifest::read_rows(list)?;
        let n_rows = rows.len();
        let rows: Vec<ManifestRow> = rows
            .into_iter()
            .filter(|row| split.is_none() || row.split == split)
            .collect();
        if n_rows == 0 {
            bail!(
                "{}: found no row, expected one for each clip",
                list.display()
            );
        }
        if rows.is_empty() {
            bail!(
                "{}: found {n_rows} rows, none with `{}` as split",
                list.display(),
                self.split.unwrap_or_default()
            );
        }
        // Judged twice, a clip would count twice.
        manifest::check_each_once(list, &rows)?;
        let clips = rows
            .into_iter()
            .map(|row| (row.path.clone(), row.label.to_string(), Some(row)));
        keep(bundle, clips)
    }
}

/// The clips of the bundle's labels, and how many others there were. A label that is one of the bundle's but for its case or
/// spaces is a slip, which would be judged as something else.
fn keep(
    bundle: &Bundle,
    clips: impl Iterator<Item = (PathBuf, String, Option<ManifestRow>)>,
) -> anyhow::Result<(Vec<Listed>, usize)> {
    let speakers = SpeakerPattern::nohash();
    let has_unknown = bundle
        .labels
        .iter()
        .any(|label| label == crate::bundle::UNKNOWN_LABEL);
    let (mut utterances, mut n_other) = (Vec::new(), 0);
    for (path, label, row) in clips {
        if let Some(meant) = bundle.meant_by(&label) {
            bail!(
                "{}: found the label `{label}`, expected `{meant}`, as the bundle has it",
                path.display()
            );
        }
        let label = if bundle.labels.contains(&label) {
            label
        } else if has_unknown && !is_reserved(&label) && !label.starts_with('_') {
            crate::bundle::UNKNOWN_LABEL.to_owned()
        } else {
            n_other += 1;
            continue;
        };
        let speaker = row.as_ref().and_then(|row| row.speaker.clone());
        let line = row.as_ref().map(|row| row.line);
        let clip = Utterance {
            speaker: speaker.or_else(|| speakers.speaker_of(&path).map(Name::from)),
            label: label.into(),
            split: Split::Test,
            start_s: row.as_ref().and_then(|row| row.start_s),
            end_s: row.as_ref().and_then(|row| row.end_s),
            synthetic: false,
            n_samples: 0,
            path,
        };
        utterances.push(Listed { clip, line });
    }
    Ok((utterances, n_other))
}
