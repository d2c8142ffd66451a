//! MUSAN (Snyder et al. 2015): `{music,noise,speech}/<collection>/`. The label is the kind of sound, the source the
//! collection; the corpus has no sides of its own.

use std::path::{Path, PathBuf};

use super::Rows;
use crate::corpus::CorpusError;
use crate::corpus::files::audio_files;
use crate::manifest::ManifestRow;
use crate::name::Name;

pub(in crate::corpus) fn rows(root: &Path) -> Result<Vec<ManifestRow>, CorpusError> {
    // The archive holds everything in one more folder.
    let inside = if root.join("musan").is_dir() {
        PathBuf::from("musan")
    } else {
        PathBuf::new()
    };
    let mut rows = Rows::new();
    for kind in ["music", "noise", "speech"] {
        let folder = root.join(&inside).join(kind);
        if !folder.is_dir() {
            continue;
        }
        for file in audio_files(&folder)? {
            let collection = file.parent().and_then(|folder| folder.iter().next());
            let row = ManifestRow {
                source: collection.map(|name| Name::from(&*name.to_string_lossy())),
                ..ManifestRow::of(inside.join(kind).join(&file), kind)
            };
            rows.push(root, row)?;
        }
    }
    rows.finish(root, "folders music, noise or speech with recordings")
}
