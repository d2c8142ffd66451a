//! Folders of room impulse responses, such as RIRS_NOISES (Ko et al. 2017): the label is the first folder, the source
//! the folder a response lies in, which is its room where rooms have folders.
//!
//! RIRS_NOISES holds noise as well, in `pointsource_noises` and in files named so: they are no responses.

use std::path::Path;

use super::Rows;
use crate::corpus::CorpusError;
use crate::corpus::files::audio_files;
use crate::manifest::ManifestRow;
use crate::name::Name;
use crate::utterance::slashed;

pub(in crate::corpus) fn rows(root: &Path) -> Result<Vec<ManifestRow>, CorpusError> {
    let mut rows = Rows::new();
    for file in audio_files(root)? {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let is_noise = name.to_ascii_lowercase().contains("noise")
            || file.iter().any(|folder| folder == "pointsource_noises");
        if is_noise {
            continue;
        }
        let folders: Vec<String> = file
            .parent()
            .into_iter()
            .flat_map(Path::iter)
            .map(|folder| folder.to_string_lossy().into_owned())
            .filter(|folder| folder != "RIRS_NOISES")
            .collect();
        let label = folders.first().cloned().unwrap_or_else(|| "rir".to_owned());
        let room = file.parent().map(slashed).filter(|room| !room.is_empty());
        let source = room.map(|room| Name::from(&*room));
        rows.push(
            root,
            ManifestRow {
                source,
                ..ManifestRow::of(file, label)
            },
        )?;
    }
    rows.finish(root, "recordings of room impulse responses")
}
