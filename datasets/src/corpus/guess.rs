//! The rows of a folder or list of which nobody has said more than where it is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::files::labelled_files;
use super::{CorpusError, Layout, SpeakerPattern, assign};
use crate::manifest::{ManifestRow, read_rows};
use crate::name::Name;
use crate::split::SplitSpec;

/// Lists that are taken for the corpus's own where they lie in its folder, the first that is there.
const LISTS: [&str; 5] = [
    "manifest.jsonl",
    "manifest.tsv",
    "manifest.csv",
    "splits.tsv",
    "splits.csv",
];

/// The corpus root and its rows.
///
/// `place` is a list (paths in it start from its folder) or a folder. Of a folder, `list` is read if one is named; or
/// else a list of its own (`manifest.*`, `splits.*`); or else every folder in it is a label, divided by
/// `validation_list.txt` and `testing_list.txt` where they are. Clips that a list of its own leaves out are on no side.
/// `speaker` and `source` read names for what no list says.
///
/// # Errors
///
/// A folder or list that cannot be read or holds no clip.
pub fn rows_of(
    place: &Path,
    list: Option<&Path>,
    speaker: &SpeakerPattern,
    source: &SpeakerPattern,
) -> Result<(PathBuf, Vec<ManifestRow>), CorpusError> {
    let (root, mut rows) = if let Some(list) = list {
        (place.to_path_buf(), read_rows(list)?)
    } else if place.is_file() {
        let root = place.parent().unwrap_or(Path::new("")).to_path_buf();
        (root, read_rows(place)?)
    } else {
        (place.to_path_buf(), folder_rows(place)?)
    };
    if rows.is_empty() {
        return Err(CorpusError::Empty {
            path: list.unwrap_or(place).to_path_buf(),
            found: "no row".into(),
            expected: "a row for each clip",
        });
    }
    for row in &mut rows {
        if row.speaker.is_none() {
            row.speaker = speaker.speaker_of(&row.path).map(Name::from);
        }
        if row.source.is_none() {
            row.source = source.speaker_of(&row.path).map(Name::from);
        }
    }
    Ok((root, rows))
}

fn folder_rows(root: &Path) -> Result<Vec<ManifestRow>, CorpusError> {
    let own = LISTS
        .iter()
        .map(|list| root.join(list))
        .find(|list| list.is_file());
    if let Some(own) = own {
        let mut rows = read_rows(&own)?;
        let listed: BTreeSet<PathBuf> = rows.iter().map(|row| row.path.clone()).collect();
        let unlisted = labelled_files(root)?
            .into_iter()
            .filter(|(path, _)| !listed.contains(path));
        rows.extend(unlisted.map(|(path, label)| ManifestRow::of(path, label)));
        return Ok(rows);
    }
    let mut rows = Layout::FolderPerClass.rows(root, &SpeakerPattern::Unnamed)?;
    let (validation, test) = ("validation_list.txt", "testing_list.txt");
    if root.join(validation).is_file() && root.join(test).is_file() {
        let lists = SplitSpec::FileLists {
            validation: validation.into(),
            test: test.into(),
        };
        let splits = assign::splits(root, &mut rows, &lists)?;
        rows.iter_mut()
            .zip(splits)
            .for_each(|(row, split)| row.split = Some(split));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Split;

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn said(root: &Path) -> Vec<(String, Option<Name>, Option<Split>)> {
        let none = SpeakerPattern::Unnamed;
        let (_, rows) = rows_of(root, None, &SpeakerPattern::nohash(), &none).unwrap();
        let mut said: Vec<_> = rows
            .into_iter()
            .map(|row| (row.path.display().to_string(), row.speaker, row.split))
            .collect();
        said.sort();
        said
    }

    #[test]
    fn a_folder_is_read_by_its_own_lists_where_it_has_any() {
        let folder = tempfile::tempdir().unwrap();
        let (ann, bob): (Option<Name>, Option<Name>) = (Some("ann".into()), Some("bob".into()));
        write(folder.path(), "go/ann_nohash_0.wav", "");
        write(folder.path(), "up/bob_nohash_0.wav", "");
        let (first, second) = (
            "go/ann_nohash_0.wav".to_owned(),
            "up/bob_nohash_0.wav".to_owned(),
        );
        assert_eq!(
            said(folder.path()),
            [
                (first.clone(), ann.clone(), None),
                (second.clone(), bob.clone(), None)
            ]
        );
        write(
            folder.path(),
            "validation_list.txt",
            "go/ann_nohash_0.wav\n",
        );
        write(folder.path(), "testing_list.txt", "up/bob_nohash_0.wav\n");
        assert_eq!(
            said(folder.path()),
            [
                (first.clone(), ann.clone(), Some(Split::Validation)),
                (second.clone(), bob.clone(), Some(Split::Test))
            ]
        );
        write(
            folder.path(),
            "splits.tsv",
            "path\tspeaker\tsplit\ngo/ann_nohash_0.wav\tcarl\tdev\n",
        );
        assert_eq!(
            said(folder.path()),
            [
                (first, Some("carl".into()), Some(Split::Validation)),
                (second, bob, None)
            ]
        );
    }

    #[test]
    fn names_tell_speaker_and_source_where_no_list_does() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "de/studio__ann__hallo.ogg", "");
        let field = |index| SpeakerPattern::Field {
            separator: "__".into(),
            index,
        };
        let (_, rows) = rows_of(folder.path(), None, &field(1), &field(0)).unwrap();
        assert_eq!(rows[0].speaker.as_deref(), Some("ann"));
        assert_eq!(rows[0].source.as_deref(), Some("studio"));
        assert_eq!(rows[0].label, "de");
    }
}
