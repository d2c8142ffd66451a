//! Readers of corpora in the folders and lists that their authors published, one file a corpus.
//!
//! A reader says what the corpus says: it draws nothing, balances nothing and opens no audio. A published list that
//! names one file twice in the same words is read once; in different words it is an error.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use hashbrown::HashTable;

use super::CorpusError;
use super::files::class_folders;
use crate::manifest::{ManifestError, ManifestRow};
use crate::name::Names;
use crate::split::Split;

pub(super) mod common_language;
pub(super) mod common_voice;
pub(super) mod esc50;
pub(super) mod fleurs;
pub(super) mod librispeech;
pub(super) mod mswc;
pub(super) mod musan;
pub(super) mod responses;
pub(super) mod voxlingua107;

/// The published lists of the three sides, by the names nearly all corpora give them.
const SIDES: [(&str, Split); 3] = [
    ("train", Split::Train),
    ("dev", Split::Validation),
    ("test", Split::Test),
];

/// Rows on their way out of a reader.
struct Rows {
    rows: Vec<ManifestRow>,
    /// Places in `rows`, found by their paths: a map would hold every path twice.
    places: HashTable<usize>,
    hasher: RandomState,
    names: Names,
}

impl Rows {
    fn new() -> Self {
        Self {
            rows: Vec::new(),
            places: HashTable::new(),
            hasher: RandomState::new(),
            names: Names::default(),
        }
    }

    /// Adds a row of this list, unless the same one is there.
    fn push(&mut self, list: &Path, mut row: ManifestRow) -> Result<(), CorpusError> {
        let hash = |row: &ManifestRow| self.hasher.hash_one(&row.path);
        let is_same = |&at: &usize| self.rows[at].path == row.path;
        if let Some(&at) = self.places.find(hash(&row), is_same) {
            let first = &self.rows[at];
            if (&first.label, first.split, &first.speaker) == (&row.label, row.split, &row.speaker)
            {
                return Ok(());
            }
            let found = format!(
                "{} again, as `{}` in {} and now `{}` in {}",
                row.path.display(),
                first.label,
                first.split.map_or("no split", Split::name),
                row.label,
                row.split.map_or("no split", Split::name),
            );
            let expected = "each clip on one side under one label";
            return Err(row_fault(list, row.line, found, expected));
        }
        row.share(&mut self.names);
        let (at, rows) = (self.rows.len(), &self.rows);
        self.places
            .insert_unique(hash(&row), at, |&at| hash(&rows[at]));
        self.rows.push(row);
        Ok(())
    }

    fn finish(self, root: &Path, expected: &'static str) -> Result<Vec<ManifestRow>, CorpusError> {
        if self.rows.is_empty() {
            return Err(CorpusError::Empty {
                path: root.to_path_buf(),
                found: "no clip".into(),
                expected,
            });
        }
        Ok(self.rows)
    }
}

/// The root itself if it is one part of the corpus (`""`), or else those of its folders that are.
fn parts(
    root: &Path,
    expected: &'static str,
    is_part: impl Fn(&Path) -> bool,
) -> Result<Vec<String>, CorpusError> {
    if is_part(root) {
        return Ok(vec![String::new()]);
    }
    let mut parts = class_folders(root)?;
    parts.retain(|part| is_part(&root.join(part)));
    if parts.is_empty() {
        return Err(CorpusError::Empty {
            path: root.to_path_buf(),
            found: "none of its folders so laid out".into(),
            expected,
        });
    }
    Ok(parts)
}

/// The name of a part: its folder's, also where it is the root itself.
fn part_name(root: &Path, part: &str) -> String {
    if !part.is_empty() {
        return part.to_owned();
    }
    let root = std::path::absolute(root).unwrap_or_else(|_| root.to_path_buf());
    root.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// An error about a row of a published list.
fn row_fault(list: &Path, line: u64, found: String, expected: &str) -> CorpusError {
    ManifestError::row(list, line, found, expected).into()
}

#[cfg(test)]
mod tests;
