//! A table in a text file: a header line, then rows, separated by tabs or commas, whichever the header has.
//!
//! Knows columns and line numbers; does not know what a column means.

use std::path::{Path, PathBuf};

use crate::manifest::ManifestError;

/// The text of a table, and its columns. Rows are parsed as they are asked for: a list of a million files is never there twice.
pub(crate) struct Table {
    pub(crate) path: PathBuf,
    columns: Vec<String>,
    text: String,
    has_header: bool,
    delimiter: u8,
}

pub(crate) struct Row {
    /// Counted from 1, as editors do.
    pub(crate) line: u64,
    fields: csv::StringRecord,
}

impl Row {
    /// The field, without surrounding space; `None` where there is no such column or it is empty.
    pub(crate) fn get(&self, column: Option<usize>) -> Option<&str> {
        self.fields
            .get(column?)
            .map(str::trim)
            .filter(|field| !field.is_empty())
    }
}

impl Table {
    pub(crate) fn read(path: &Path) -> Result<Self, ManifestError> {
        Self::parse(path, None)
    }

    /// Reads a table without a header line, whose columns are known to be these.
    pub(crate) fn read_without_header(
        path: &Path,
        columns: &[&str],
    ) -> Result<Self, ManifestError> {
        Self::parse(path, Some(columns))
    }

    fn parse(path: &Path, columns: Option<&[&str]>) -> Result<Self, ManifestError> {
        let text = read_text(path)?;
        let header = text.lines().next().unwrap_or_default();
        let delimiter = if header.contains('\t') { b'\t' } else { b',' };
        let mut table = Self {
            path: path.to_path_buf(),
            columns: Vec::new(),
            text,
            has_header: columns.is_none(),
            delimiter,
        };
        table.columns = match columns {
            Some(columns) => columns.iter().map(|&name| name.to_owned()).collect(),
            None => table
                .reader()
                .headers()
                .map_err(|error| fault(path, error))?
                .iter()
                .map(|name| name.trim().to_ascii_lowercase())
                .collect(),
        };
        Ok(table)
    }

    fn reader(&self) -> csv::Reader<&[u8]> {
        csv::ReaderBuilder::new()
            .delimiter(self.delimiter)
            .has_headers(self.has_header)
            .quoting(self.delimiter == b',') // a quote in a tab-separated file is a letter
            .from_reader(self.text.as_bytes())
    }

    /// The rows, top to bottom.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Result<Row, ManifestError>> {
        self.reader().into_records().map(|record| {
            let fields = record.map_err(|error| fault(&self.path, error))?;
            Ok(Row {
                line: fields.position().map_or(0, csv::Position::line),
                fields,
            })
        })
    }

    /// The columns' names, for who looked for another.
    pub(crate) fn names(&self) -> String {
        self.columns.join(", ")
    }

    /// Where the first of these columns is that the table has.
    pub(crate) fn column(&self, names: &[&str]) -> Option<usize> {
        names
            .iter()
            .find_map(|name| self.columns.iter().position(|column| column == name))
    }

    /// Like [`Table::column`], for a column that must be there.
    pub(crate) fn required(&self, name: &'static str) -> Result<usize, ManifestError> {
        self.column(&[name]).ok_or_else(|| ManifestError::Columns {
            path: self.path.clone(),
            found: self.columns.join(", "),
            expected: name,
        })
    }
}

fn fault(path: &Path, error: csv::Error) -> ManifestError {
    let line = error.position().map_or(0, csv::Position::line);
    let (found, expected) = match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => (
            format!("{len} fields"),
            format!("{expected_len} fields, as in the header"),
        ),
        _ => (error.to_string(), "a row of the table".to_owned()),
    };
    ManifestError::row(path, line, found, expected)
}

/// The text of a file, without a byte order mark. UTF-8, or UTF-16 where the mark says so.
pub(crate) fn read_text(path: &Path) -> Result<String, ManifestError> {
    let bytes = std::fs::read(path).map_err(|source| ManifestError::Io {
        path: path.to_path_buf(),
        source,
    })?;
    if let [0xff, 0xfe, rest @ ..] | [0xfe, 0xff, rest @ ..] = bytes.as_slice() {
        return utf16_text(path, rest, bytes[0] == 0xff);
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|&&b| b == b'\n')
            .count() as u64;
        ManifestError::row(path, line, "bytes that are not UTF-8", "UTF-8 text")
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

fn utf16_text(path: &Path, bytes: &[u8], is_little_endian: bool) -> Result<String, ManifestError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|&pair| {
        if is_little_endian {
            u16::from_le_bytes(pair)
        } else {
            u16::from_be_bytes(pair)
        }
    });
    let text: Result<String, _> = char::decode_utf16(units).collect();
    match text {
        Ok(text) if rest.is_empty() => Ok(text),
        _ => {
            let found = "bytes that are not UTF-16, though the file begins with its mark";
            Err(ManifestError::row(path, 0, found, "UTF-8 or UTF-16 text"))
        }
    }
}
