//! ESC-50 (Piczak 2015): `meta/esc50.csv` and `audio/`. The label is the category, the source the recording it was cut
//! from; takes of one recording share a fold, as its author arranged.

use std::path::{Path, PathBuf};

use super::{Rows, row_fault};
use crate::corpus::CorpusError;
use crate::manifest::ManifestRow;
use crate::name::Name;
use crate::split::Split;
use crate::table::Table;

pub(in crate::corpus) fn rows(
    root: &Path,
    validation_fold: u8,
    test_fold: u8,
) -> Result<Vec<ManifestRow>, CorpusError> {
    let list = root.join("meta/esc50.csv");
    let table = Table::read(&list)?;
    let (file, fold) = (table.required("filename")?, table.required("fold")?);
    let (category, source) = (table.required("category")?, table.column(&["src_file"]));
    let mut rows = Rows::new();
    for row in table.rows() {
        let row = row?;
        let said = row.get(Some(fold)).unwrap_or_default();
        let (Some(name), Some(label), Ok(fold @ 1..=5)) = (
            row.get(Some(file)),
            row.get(Some(category)),
            said.parse::<u8>(),
        ) else {
            let found = format!("fold `{said}`, or an empty filename or category");
            let expected = "a clip, its category and a fold of 1 to 5";
            return Err(row_fault(&list, row.line, found, expected));
        };
        let split = match fold {
            fold if fold == test_fold => Split::Test,
            fold if fold == validation_fold => Split::Validation,
            _ => Split::Train,
        };
        let row = ManifestRow {
            split: Some(split),
            source: row.get(source).map(Name::from),
            line: row.line,
            ..ManifestRow::of(PathBuf::from("audio").join(name), label)
        };
        rows.push(&list, row)?;
    }
    rows.finish(root, "a row for each clip in meta/esc50.csv")
}
