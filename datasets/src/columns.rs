//! Columns of a list of files that this crate has no use for: a noise, a level, a source, by which a report tells clips apart.

use std::collections::BTreeMap;
use std::path::Path;

use crate::manifest::ManifestError;
use crate::table::{Table, read_text};

/// The values of a column by the line that they stand on (see [`crate::manifest::ManifestRow`]); a line without one is left out.
/// Tables and JSON lines are read as manifests are.
///
/// # Errors
///
/// A file that cannot be read, or that has no such column.
pub fn read_column(path: &Path, name: &str) -> Result<BTreeMap<u64, String>, ManifestError> {
    let absent = |found: String| ManifestError::row(path, 1, found, format!("a column `{name}`"));
    if path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("jsonl"))
    {
        let mut values = BTreeMap::new();
        for (line, text) in (1..).zip(read_text(path)?.lines()) {
            let row: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
            match &row[name] {
                serde_json::Value::Null => {}
                serde_json::Value::String(value) => {
                    values.insert(line, value.clone());
                }
                other => {
                    values.insert(line, other.to_string());
                }
            }
        }
        return if values.is_empty() {
            Err(absent("lines without it".into()))
        } else {
            Ok(values)
        };
    }
    let table = Table::read(path)?;
    let lower = name.to_ascii_lowercase();
    let Some(column) = table.column(&[&lower]) else {
        return Err(absent(format!("columns {}", table.names())));
    };
    let mut values = BTreeMap::new();
    for row in table.rows() {
        let row = row?;
        if let Some(value) = row.get(Some(column)) {
            values.insert(row.line, value.to_owned());
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_read_by_line_from_tables_and_json() {
        let folder = tempfile::tempdir().unwrap();
        let written = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let tsv = written("a.tsv", "path\tSource\nx.wav\tmic\ny.wav\t\nz.wav\tphone\n");
        let found = read_column(&tsv, "source").unwrap();
        assert_eq!(
            found,
            BTreeMap::from([(2, "mic".into()), (4, "phone".into())])
        );
        let json = written("a.jsonl", "{\"path\":\"x\",\"snr\":5}\n{\"path\":\"y\"}\n");
        assert_eq!(
            read_column(&json, "snr").unwrap(),
            BTreeMap::from([(1, "5".into())])
        );
        for path in [&tsv, &json] {
            let error = read_column(path, "level").unwrap_err().to_string();
            assert!(error.contains("level"), "{error}");
        }
    }
}
