//! A table in a text file: a header line, then rows, separated by tabs or commas, whichever the header has.
//!
//! Knows columns and line numbers; does not know what a column means.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use crate::manifest::ManifestError;

/// A text that is read from its beginning to its end.
type Text = Box<dyn BufRead>;

/// A table and its columns. Rows are read as they are asked for: a list of a million files is never there as text.
pub(crate) struct Table {
    path: PathBuf,
    columns: Vec<String>,
    reader: csv::Reader<Text>,
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
        let mut text = open_text(path)?;
        let mut header = Vec::new();
        text.read_until(b'\n', &mut header)
            .map_err(|source| ManifestError::io(path, source))?;
        let delimiter = if header.contains(&b'\t') { b'\t' } else { b',' };
        let whole: Text = Box::new(Cursor::new(header).chain(text));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(columns.is_none())
            .quoting(delimiter == b',') // a quote in a tab-separated file is a letter
            .from_reader(whole);
        let columns: Vec<String> = match columns {
            Some(columns) => columns.iter().map(|&name| name.to_owned()).collect(),
            None => reader
                .headers()
                .map_err(|error| fault(path, error))?
                .iter()
                .map(|name| name.trim().to_ascii_lowercase())
                .collect(),
        };
        let again = |at: usize| columns[..at].contains(&columns[at]);
        if let Some(at) = (0..columns.len()).find(|&at| !columns[at].is_empty() && again(at)) {
            let found = format!("the column `{}` twice", columns[at]);
            return Err(ManifestError::row(path, 1, found, "each column once"));
        }
        Ok(Self {
            path: path.to_path_buf(),
            columns,
            reader,
        })
    }

    /// The rows, top to bottom.
    pub(crate) fn rows(self) -> impl Iterator<Item = Result<Row, ManifestError>> {
        let path = self.path;
        self.reader.into_records().map(move |record| {
            let fields = record.map_err(|error| fault(&path, error))?;
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
            found: match self.columns.as_slice() {
                [] => "none".into(),
                columns => columns.join(", "),
            },
            expected: name,
        })
    }
}

fn fault(path: &Path, error: csv::Error) -> ManifestError {
    let line = error.position().map_or(0, csv::Position::line);
    let said = error.to_string();
    let (found, expected) = match error.into_kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => (
            format!("{len} fields"),
            format!("{expected_len} fields, as in the header"),
        ),
        csv::ErrorKind::Utf8 { .. } => return ManifestError::not_utf8(path, line),
        csv::ErrorKind::Io(source) => return ManifestError::io(path, source),
        _ => (said, "a row of the table".to_owned()),
    };
    ManifestError::row(path, line, found, expected)
}

/// Opens a text, behind its byte order mark. UTF-8, which whoever reads it checks, or UTF-16 where the mark says so.
pub(crate) fn open_text(path: &Path) -> Result<Text, ManifestError> {
    let io_fault = |source| ManifestError::io(path, source);
    let mut file = File::open(path).map_err(io_fault)?;
    let mut start = Vec::new();
    Read::by_ref(&mut file)
        .take(3)
        .read_to_end(&mut start)
        .map_err(io_fault)?;
    match start.as_slice() {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            let is_little_endian = start[0] == 0xff;
            let mut bytes = start.split_off(2);
            file.read_to_end(&mut bytes).map_err(io_fault)?;
            let text = utf16_text(path, &bytes, is_little_endian)?;
            return Ok(Box::new(Cursor::new(text)));
        }
        [0xef, 0xbb, 0xbf] => start.clear(),
        _ => {}
    }
    let rest = BufReader::with_capacity(1 << 16, file);
    Ok(Box::new(Cursor::new(start).chain(rest)))
}

/// The whole text of a file, as [`open_text`] opens it.
pub(crate) fn read_text(path: &Path) -> Result<String, ManifestError> {
    let mut bytes = Vec::new();
    open_text(path)?
        .read_to_end(&mut bytes)
        .map_err(|source| ManifestError::io(path, source))?;
    String::from_utf8(bytes).map_err(|error| {
        let is_before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let n_lines = is_before.iter().filter(|&&byte| byte == b'\n').count();
        ManifestError::not_utf8(path, 1 + n_lines as u64)
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
