//! Lists of clips in text files: what users bring (CSV, TSV or JSONL) and what ingestion leaves (`manifest.jsonl`).
//!
//! An error names the file, the line, what was found and what was expected. Nothing here checks that audio exists.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::name::{Name, Names};
use crate::split::Split;
use crate::table::{Table, open_text};
use crate::utterance::{Utterance, slashed};

mod lines;
mod utterances;

use lines::json_lines;
pub use utterances::{ManifestWriter, Spool, read_jsonl, utterances};

/// What can be wrong with a list of clips.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The header lacks a column.
    #[error("{}: found columns {found}; expected a column `{expected}`", path.display())]
    Columns {
        /// Which file.
        path: PathBuf,
        /// The columns that are there.
        found: String,
        /// The one that is missing.
        expected: &'static str,
    },
    /// A row that cannot be understood.
    #[error("{}:{line}: found {found}; expected {expected}", path.display())]
    Row {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What stood there.
        found: String,
        /// What would have been right.
        expected: String,
    },
}

impl ManifestError {
    pub(crate) fn row(
        path: &Path,
        line: u64,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self::Row {
            path: path.to_path_buf(),
            line,
            found: found.into(),
            expected: expected.into(),
        }
    }

    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn not_utf8(path: &Path, line: u64) -> Self {
        Self::row(path, line, "bytes that are not UTF-8", "UTF-8 text")
    }
}

/// A row of a manifest that a user brings.
#[derive(Clone, Debug, PartialEq)]
pub struct ManifestRow {
    /// The audio file, relative to the corpus root (or absolute).
    pub path: PathBuf,
    /// What is said in it.
    pub label: Name,
    /// Who says it; `None` also where the manifest says `unknown` or `-`.
    pub speaker: Option<Name>,
    /// Its side, where the manifest gives one.
    pub split: Option<Split>,
    /// Which project, recording or session it came from, where that is known: clips of one source share a microphone,
    /// a room or a text.
    pub source: Option<Name>,
    /// Start in the file, in seconds.
    pub start_s: Option<f64>,
    /// End in the file, in seconds.
    pub end_s: Option<f64>,
    /// Made by a program.
    pub synthetic: bool,
    /// The line it stands on, from 1.
    pub line: u64,
}

impl ManifestRow {
    /// A whole file of which nothing else is known.
    pub(crate) fn of(path: PathBuf, label: impl Into<Name>) -> Self {
        Self {
            path,
            label: label.into(),
            speaker: None,
            split: None,
            source: None,
            start_s: None,
            end_s: None,
            synthetic: false,
            line: 0,
        }
    }

    /// Makes it small: what it names is shared with the rows before, and its path takes no more than it is long.
    pub(crate) fn share(&mut self, names: &mut Names) {
        names.share([&mut self.label]);
        names.share(&mut self.speaker);
        names.share(&mut self.source);
        self.path.shrink_to_fit();
    }
}

impl From<Utterance> for ManifestRow {
    fn from(row: Utterance) -> Self {
        Self {
            speaker: row.speaker,
            split: Some(row.split),
            start_s: row.start_s,
            end_s: row.end_s,
            synthetic: row.synthetic,
            ..Self::of(row.path, row.label)
        }
    }
}

/// A speaker's name, or `None` for the ways in which a list says that nobody knows.
pub(crate) fn known_speaker(name: Option<&str>) -> Option<&str> {
    let name = name?.trim();
    let unknown = name.is_empty() || name == "-" || name.eq_ignore_ascii_case("unknown");
    (!unknown).then_some(name)
}

/// Reads a manifest by its extension: `.csv` and `.tsv` are tables, everything else is JSON lines.
pub fn read_rows(path: &Path) -> Result<Vec<ManifestRow>, ManifestError> {
    let extension = path
        .extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("csv" | "tsv" | "txt") => read_csv(path),
        _ => read_jsonl_rows(path),
    }
}

/// That no clip is listed twice: no stretch of a file, whatever is said of it.
///
/// # Errors
///
/// [`ManifestError::Row`] of the first row that names one again.
pub fn check_each_once(path: &Path, rows: &[ManifestRow]) -> Result<(), ManifestError> {
    match listed_twice(rows) {
        Some((first, again)) => {
            let found = format!("{} again, as on line {}", again.path.display(), first.line);
            Err(ManifestError::row(
                path,
                again.line,
                found,
                "each clip once",
            ))
        }
        None => Ok(()),
    }
}

/// The earliest row that names a stretch that another has named before, behind the row that did.
fn listed_twice(rows: &[ManifestRow]) -> Option<(&ManifestRow, &ManifestRow)> {
    let stretch = |row: &ManifestRow| {
        let start_s = row.start_s.unwrap_or(0.0).to_bits();
        (start_s, row.end_s.map(f64::to_bits))
    };
    // Places in the list, sorted: a list of names would be as large again as the rows.
    let mut by_clip: Vec<&ManifestRow> = rows.iter().collect();
    by_clip.sort_unstable_by(|a, b| {
        (slashed(&a.path).cmp(&slashed(&b.path)))
            .then_with(|| stretch(a).cmp(&stretch(b)))
            .then(a.line.cmp(&b.line))
    });
    by_clip
        .chunk_by(|a, b| stretch(a) == stretch(b) && slashed(&a.path) == slashed(&b.path))
        .filter_map(|same| Some((same[0], *same.get(1)?)))
        .min_by_key(|(_, again)| again.line)
}

/// Reads a table with the column `path`, and where it has them `label` (else the name of the path's folder), `speaker`, `split`, `source`, `start`,
/// `end` (seconds; `start_s` and `end_s` are understood too) and `synthetic`. Tabs or commas, whichever the header has.
pub fn read_csv(path: &Path) -> Result<Vec<ManifestRow>, ManifestError> {
    let table = Table::read(path)?;
    let (file, label) = (table.required("path")?, table.column(&["label"]));
    let (speaker, split) = (table.column(&["speaker"]), table.column(&["split"]));
    let (start, end) = (
        table.column(&["start", "start_s"]),
        table.column(&["end", "end_s"]),
    );
    let (synthetic, source) = (table.column(&["synthetic"]), table.column(&["source"]));
    let (mut rows, mut names) = (Vec::new(), Names::default());
    for row in table.rows() {
        let row = row?;
        let fault =
            |found: String, expected: &str| ManifestError::row(path, row.line, found, expected);
        let seconds = |column, name: &str| match row.get(column) {
            None => Ok(None),
            Some(text) => text
                .parse::<f64>()
                .map(Some)
                .map_err(|_| fault(format!("{name} `{text}`"), "a number of seconds")),
        };
        let file = PathBuf::from(
            row.get(Some(file))
                .ok_or_else(|| fault("an empty path".into(), "an audio file"))?,
        );
        let label = match label {
            Some(label) => row.get(Some(label)).map(Name::from),
            None => folder_name(&file).map(Name::from),
        };
        let mut parsed = ManifestRow {
            label: label
                .ok_or_else(|| fault("no label".into(), "a label, or a folder named so"))?,
            path: file,
            speaker: known_speaker(row.get(speaker)).map(Name::from),
            split: parse_split(row.get(split))
                .map_err(|(found, expected)| fault(found, &expected))?,
            source: row.get(source).map(Name::from),
            start_s: seconds(start, "start")?,
            end_s: seconds(end, "end")?,
            synthetic: match row.get(synthetic) {
                None | Some("false" | "0") => false,
                Some("true" | "1") => true,
                Some(other) => return Err(fault(format!("synthetic `{other}`"), "true or false")),
            },
            line: row.line,
        };
        parsed.share(&mut names);
        rows.push(checked(path, parsed)?);
    }
    Ok(rows)
}

fn folder_name(file: &Path) -> Option<String> {
    let folder = file.parent()?.file_name()?;
    Some(folder.to_string_lossy().into_owned())
}

/// Reads JSON lines with the keys of [`read_csv`]; other keys are passed over. `audio_filepath` stands for `path`.
pub fn read_jsonl_rows(path: &Path) -> Result<Vec<ManifestRow>, ManifestError> {
    #[derive(Deserialize)]
    struct Line {
        #[serde(alias = "audio_filepath")]
        path: PathBuf,
        label: String,
        speaker: Option<String>,
        split: Option<String>,
        source: Option<String>,
        #[serde(alias = "start_s")]
        start: Option<f64>,
        #[serde(alias = "end_s")]
        end: Option<f64>,
        #[serde(default)]
        synthetic: bool,
    }
    let expected = "an object with `path`, `label` and perhaps `speaker`, `split`, `start`, `end`";
    let (mut rows, mut names) = (Vec::new(), Names::default());
    for read in json_lines::<Line>(path, open_text(path)?, expected) {
        let (line, row) = read?;
        let split = row.split.as_deref().map(str::trim);
        let split = parse_split(split.filter(|split| !split.is_empty()))
            .map_err(|(found, expected)| ManifestError::row(path, line, found, expected))?;
        let mut row = ManifestRow {
            path: row.path,
            label: row.label.trim().into(),
            speaker: known_speaker(row.speaker.as_deref()).map(Name::from),
            split,
            source: row.source.map(Name::from),
            start_s: row.start,
            end_s: row.end,
            synthetic: row.synthetic,
            line,
        };
        row.share(&mut names);
        rows.push(checked(path, row)?);
    }
    Ok(rows)
}

fn parse_split(text: Option<&str>) -> Result<Option<Split>, (String, String)> {
    text.map(str::parse::<Split>).transpose().map_err(|error| {
        (
            format!("split `{}`", error.found),
            "train, validation or test".to_owned(),
        )
    })
}

fn checked(path: &Path, row: ManifestRow) -> Result<ManifestRow, ManifestError> {
    let fault =
        |found: String, expected: &str| Err(ManifestError::row(path, row.line, found, expected));
    if row.path.as_os_str().is_empty() {
        return fault("an empty path".into(), "an audio file");
    }
    if row.label.is_empty() {
        return fault("an empty label".into(), "a label");
    }
    let start = row.start_s.unwrap_or(0.0);
    if !(start.is_finite() && start >= 0.0) {
        return fault(format!("start {start}"), "a time of at least 0 seconds");
    }
    if let Some(end) = row.end_s
        && !(end.is_finite() && end > start)
    {
        return fault(
            format!("end {end}"),
            &format!("a time after the start, {start} s"),
        );
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[track_caller]
    fn check_fault(name: &str, text: &str, line: u64, words: &[&str]) {
        let (_folder, path) = written(name, text);
        let error = read_rows(&path).unwrap_err().to_string();
        let place = if line == 0 {
            name.to_owned()
        } else {
            format!("{name}:{line}")
        };
        for word in words.iter().copied().chain([place.as_str(), "expected"]) {
            assert!(error.contains(word), "`{word}` is not in: {error}");
        }
    }

    #[test]
    fn the_same_rows_come_from_commas_tabs_and_json() {
        let csv = "path,label,speaker,split,start,end\na/1.wav,\"go\",ann,dev,0.5,1.5\nb.wav,stop,unknown,,,\n";
        let tsv = csv.replace(',', "\t").replace('"', "");
        let json = "{\"path\":\"a/1.wav\",\"label\":\"go\",\"speaker\":\"ann\",\"split\":\"dev\",\"start\":0.5,\"end\":1.5}\n\
                    {\"label\":\"stop\",\"path\":\"b.wav\",\"speaker\":null,\"text\":\"whatever\"}\n";
        let read = |name: &str, text: &str| {
            let (_folder, path) = written(name, text);
            let mut rows = read_rows(&path).unwrap();
            rows.iter_mut().for_each(|row| row.line = 0);
            rows
        };
        let rows = read("m.csv", csv);
        assert_eq!(rows.len(), 2);
        assert_eq!(
            (rows[0].speaker.as_deref(), rows[0].split),
            (Some("ann"), Some(Split::Validation))
        );
        assert_eq!((rows[0].start_s, rows[0].end_s), (Some(0.5), Some(1.5)));
        assert_eq!(
            (rows[1].speaker.as_deref(), rows[1].split, rows[1].end_s),
            (None, None, None)
        );
        assert_eq!(read("m.tsv", &tsv), rows);
        assert_eq!(
            read("m.csv", &format!("\u{feff}{csv}").replace('\n', "\r\n")),
            rows
        );
        assert_eq!(read("m.jsonl", json), rows);
    }

    #[test]
    fn a_wrong_row_is_named_with_its_line_and_what_was_expected() {
        check_fault(
            "m.csv",
            "path,label,split\na.wav,go,train\nb.wav,go,tset\n",
            3,
            &["tset", "validation"],
        );
        check_fault(
            "m.csv",
            "path,label,start\na.wav,go,soon\n",
            2,
            &["soon", "seconds"],
        );
        check_fault(
            "m.csv",
            "path,label,start,end\na.wav,go,2,1\n",
            2,
            &["end 1", "after the start"],
        );
        check_fault(
            "m.csv",
            "path,label\na.wav,go\nb.wav\n",
            3,
            &["1 fields", "2 fields"],
        );
        check_fault("m.csv", "path,label\n,go\n", 2, &["empty path"]);
        check_fault(
            "m.csv",
            "file,label\na.wav,go\n",
            0,
            &["file, label", "`path`"],
        );
        check_fault(
            "m.jsonl",
            "{\"path\":\"a\",\"label\":\"go\"}\n\n{\"path\":\"b\"}\n",
            3,
            &["missing field `label`"],
        );
        check_fault("m.jsonl", "not json\n", 1, &["`path`"]);
        check_fault(
            "m.jsonl",
            "{\"path\":\"a\",\"label\":\"go\",\"start\":-1}\n",
            1,
            &["start -1"],
        );
        check_fault(
            "absent/m.csv".rsplit('/').next().unwrap(),
            "path,label\na,b,c\n",
            2,
            &["3 fields"],
        );
    }

    #[test]
    fn text_that_is_not_text_is_an_error_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.csv");
        std::fs::write(&path, b"path,label\na.wav,caf\xe9\n").unwrap();
        let error = read_rows(&path).unwrap_err().to_string();
        assert!(
            error.contains("m.csv:2") && error.contains("UTF-8"),
            "{error}"
        );
        let error = read_rows(&folder.path().join("gone.csv"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("gone.csv"), "{error}");
    }
}
