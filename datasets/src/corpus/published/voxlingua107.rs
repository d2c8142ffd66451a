//! VoxLingua107 (Valk and Alumäe 2021): `train/<language>/` and `dev/<language>/`, or the languages alone.
//!
//! A name is `<video>__U__S<n>---<start>-<end>.wav`. Nobody knows the speakers; the video stands for them, so that a
//! division by speaker never cuts a video in two. `iw` and `jw`, withdrawn codes, are read as `he` and `jv`.

use std::path::{Path, PathBuf};

use super::Rows;
use crate::corpus::CorpusError;
use crate::corpus::files::{audio_files, class_folders};
use crate::manifest::ManifestRow;
use crate::name::Name;
use crate::split::Split;

const EXPECTED: &str = "train/<language>/ and dev/<language>/ with clips";

pub(in crate::corpus) fn rows(root: &Path) -> Result<Vec<ManifestRow>, CorpusError> {
    let mut rows = Rows::new();
    let sides: Vec<(PathBuf, Split)> = [("train", Split::Train), ("dev", Split::Test)]
        .into_iter()
        .map(|(side, split)| (PathBuf::from(side), split))
        .filter(|(side, _)| root.join(side).is_dir())
        .collect();
    let sides = if sides.is_empty() {
        vec![(PathBuf::new(), Split::Train)]
    } else {
        sides
    };
    for (mut side, split) in sides {
        // The archive of the development side may bring its own folder along.
        if let Some(name) = side.file_name().map(ToOwned::to_owned)
            && class_folders(&root.join(&side))? == [name.to_string_lossy()]
        {
            side.push(name);
        }
        for folder in class_folders(&root.join(&side))? {
            let language = match folder.as_str() {
                "iw" => "he",
                "jw" => "jv",
                other => other,
            };
            for file in audio_files(&root.join(&side).join(&folder))? {
                let path = side.join(&folder).join(file);
                let video = path
                    .file_stem()
                    .and_then(|stem| stem.to_str())
                    .and_then(|stem| stem.split_once("__U__"))
                    .map(|(video, _)| Name::from(video));
                rows.push(
                    root,
                    ManifestRow {
                        speaker: video.clone(),
                        source: video,
                        split: Some(split),
                        ..ManifestRow::of(path, language)
                    },
                )?;
            }
        }
    }
    rows.finish(root, EXPECTED)
}
