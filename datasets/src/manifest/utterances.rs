//! What ingestion leaves: `manifest.jsonl`, written and read a row at a time, and rows that wait on the disk until then.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use super::ManifestError;
use super::lines::json_lines;
use crate::name::Names;
use crate::partial::{Durability, PartialFile};
use crate::utterance::Utterance;

/// Writes a `manifest.jsonl` row by row. Until [`ManifestWriter::finish`] there is no file under its name; dropped before, it
/// leaves nothing.
pub struct ManifestWriter {
    path: PathBuf,
    file: PartialFile,
    n_rows: usize,
}

impl ManifestWriter {
    /// Starts a manifest.
    ///
    /// # Errors
    ///
    /// What the system says of the folder.
    pub fn create(path: &Path) -> Result<Self, ManifestError> {
        let file = PartialFile::create(path).map_err(|source| ManifestError::io(path, source))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            n_rows: 0,
        })
    }

    /// Appends a row.
    ///
    /// # Errors
    ///
    /// What the system says of the space.
    pub fn push(&mut self, row: &Utterance) -> Result<(), ManifestError> {
        let out = self.file.writer();
        serde_json::to_writer(&mut *out, row)
            .map_err(io::Error::from)
            .and_then(|()| out.write_all(b"\n"))
            .map_err(|source| ManifestError::io(&self.path, source))?;
        self.n_rows += 1;
        Ok(())
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Whether there is no row yet.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// Gives the manifest its name.
    ///
    /// # Errors
    ///
    /// What the system says of the space or the name.
    pub fn finish(self) -> Result<(), ManifestError> {
        let path = self.path;
        self.file
            .finish(Durability::Synced)
            .map_err(|source| ManifestError::io(&path, source))
    }
}

/// Rows that wait on the disk, in the order in which they came: memory does not grow with them. Dropped, they are gone.
pub struct Spool(ManifestWriter);

impl Spool {
    /// Lays rows down beside the file `beside`.
    ///
    /// # Errors
    ///
    /// What the system says of the folder or the space.
    pub fn of(beside: &Path, rows: &[Utterance]) -> Result<Self, ManifestError> {
        let mut file = ManifestWriter::create(beside)?;
        rows.iter().try_for_each(|row| file.push(row))?;
        Ok(Self(file))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All rows from the first one on.
    ///
    /// # Errors
    ///
    /// What the system says of the file.
    pub fn rows(
        &mut self,
    ) -> Result<impl Iterator<Item = Result<Utterance, ManifestError>>, ManifestError> {
        let ManifestWriter { path, file, .. } = &mut self.0;
        let file = (file.rewound()).map_err(|source| ManifestError::io(path, source))?;
        Ok(rows_in(path, BufReader::new(file)))
    }
}

/// The rows of a `manifest.jsonl`, as they are read.
///
/// # Errors
///
/// A file that cannot be read; of a row, that it is none.
pub fn utterances(
    path: &Path,
) -> Result<impl Iterator<Item = Result<Utterance, ManifestError>>, ManifestError> {
    let file = File::open(path).map_err(|source| ManifestError::io(path, source))?;
    Ok(rows_in(path, BufReader::new(file)))
}

/// All rows of a `manifest.jsonl`.
///
/// # Errors
///
/// As of [`utterances`].
pub fn read_jsonl(path: &Path) -> Result<Vec<Utterance>, ManifestError> {
    utterances(path)?.collect()
}

fn rows_in(
    path: &Path,
    text: impl BufRead,
) -> impl Iterator<Item = Result<Utterance, ManifestError>> {
    let mut names = Names::default();
    json_lines(path, text, "an utterance as ingestion writes it").map(move |read| {
        let (_, mut row): (u64, Utterance) = read?;
        row.share(&mut names);
        Ok(row)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::Split;

    #[test]
    fn what_is_written_is_read_back_and_no_utterance_field_is_guessed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.jsonl");
        let rows = vec![
            Utterance {
                path: "go/ann \"x\"_nohash_0.wav".into(),
                label: "go".into(),
                speaker: Some("ann".into()),
                split: Split::Test,
                start_s: Some(0.1),
                end_s: None,
                synthetic: true,
                n_samples: 16_000,
            },
            Utterance {
                path: "наш/файл.ogg".into(),
                label: "_unknown_".into(),
                speaker: None,
                split: Split::Train,
                start_s: None,
                end_s: Some(1.0 / 3.0),
                synthetic: false,
                n_samples: 0,
            },
        ];
        let mut written = ManifestWriter::create(&path).unwrap();
        rows.iter().for_each(|row| written.push(row).unwrap());
        assert!(
            !path.exists(),
            "a manifest that is not finished has no name"
        );
        written.finish().unwrap();
        assert_eq!(read_jsonl(&path).unwrap(), rows);
        std::fs::write(&path, "{\"path\":\"a\",\"label\":\"go\"}\n").unwrap();
        assert!(
            read_jsonl(&path)
                .unwrap_err()
                .to_string()
                .contains("manifest.jsonl:1")
        );
    }

    #[test]
    fn rows_that_wait_on_the_disk_come_back_as_often_as_they_are_asked_for_and_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let row = |at: usize| Utterance {
            path: format!("go/{at}.wav").into(),
            label: "go".into(),
            speaker: at
                .is_multiple_of(2)
                .then(|| format!("speaker {}", at % 7).into()),
            split: Split::Train,
            start_s: Some(at as f64 / 3.0),
            end_s: None,
            synthetic: false,
            n_samples: 0,
        };
        let rows: Vec<Utterance> = (0..5_000).map(row).collect();
        let mut spool = Spool::of(&folder.path().join("manifest.jsonl"), &rows).unwrap();
        assert_eq!(spool.len(), rows.len());
        let first: Vec<Utterance> = spool.rows().unwrap().take(10).map(Result::unwrap).collect();
        assert_eq!(first, rows[..10]);
        let all: Vec<Utterance> = spool.rows().unwrap().map(Result::unwrap).collect();
        assert_eq!(all, rows);
        drop(spool);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
