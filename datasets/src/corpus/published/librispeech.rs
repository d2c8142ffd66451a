//! LibriSpeech (Panayotov et al. 2015): `<subset>/<speaker>/<chapter>/<speaker>-<chapter>-<n>.flac`.
//!
//! The side follows from the subset's name (`train-clean-100`, `dev-other`, ...), the source is the chapter. Read speech
//! without labels of ours: every clip gets the one that is asked for.

use std::path::{Path, PathBuf};

use super::{Rows, SIDES};
use crate::corpus::CorpusError;
use crate::corpus::files::{audio_files, class_folders};
use crate::manifest::ManifestRow;

const EXPECTED: &str = "folders train-*, dev-* or test-* with <speaker>/<chapter>/ inside";

pub(in crate::corpus) fn rows(root: &Path, label: &str) -> Result<Vec<ManifestRow>, CorpusError> {
    // The archives hold everything in one more folder.
    let inside = if root.join("LibriSpeech").is_dir() {
        PathBuf::from("LibriSpeech")
    } else {
        PathBuf::new()
    };
    let mut rows = Rows::new();
    for subset in class_folders(&root.join(&inside))? {
        let split = SIDES
            .iter()
            .find(|(side, _)| subset.split('-').next() == Some(side))
            .map(|&(_, split)| split);
        let Some(split) = split else { continue };
        for file in audio_files(&root.join(&inside).join(&subset))? {
            let folders: Vec<String> = file
                .parent()
                .into_iter()
                .flat_map(Path::components)
                .map(|part| part.as_os_str().to_string_lossy().into_owned())
                .collect();
            let [speaker, chapter] = folders.as_slice() else {
                return Err(CorpusError::Empty {
                    path: root.join(&inside).join(&subset).join(&file),
                    found: format!("a clip {} folders deep", folders.len()),
                    expected: EXPECTED,
                });
            };
            let row = ManifestRow {
                speaker: Some(speaker.as_str().into()),
                source: Some(format!("{speaker}-{chapter}").into()),
                split: Some(split),
                ..ManifestRow::of(inside.join(&subset).join(&file), label)
            };
            rows.push(root, row)?;
        }
    }
    rows.finish(root, EXPECTED)
}
