//! FLEURS (Conneau et al. 2022): a folder a language, with `train.tsv`, `dev.tsv`, `test.tsv` and `audio/<side>/`.
//!
//! The lists have no header. The corpus names no speakers; the source of a clip is the number of its sentence, which
//! is the same in all languages.

use std::path::{Path, PathBuf};

use super::{Rows, SIDES, part_name, parts, row_fault};
use crate::corpus::CorpusError;
use crate::manifest::ManifestRow;
use crate::name::Name;
use crate::table::Table;

const EXPECTED: &str = "train.tsv, dev.tsv, test.tsv and audio/, or a folder a language with them";

/// The columns of a list, as published.
const COLUMNS: [&str; 7] = [
    "id",
    "file_name",
    "raw_transcription",
    "transcription",
    "characters",
    "num_samples",
    "gender",
];

pub(in crate::corpus) fn rows(root: &Path) -> Result<Vec<ManifestRow>, CorpusError> {
    let mut rows = Rows::new();
    let is_language = |folder: &Path| {
        folder.join("audio").is_dir()
            && SIDES
                .iter()
                .any(|(side, _)| folder.join(side).with_extension("tsv").is_file())
    };
    for part in parts(root, EXPECTED, is_language)? {
        let language = part_name(root, &part);
        for (side, split) in SIDES {
            let list = root.join(&part).join(side).with_extension("tsv");
            if !list.is_file() {
                continue;
            }
            let table = Table::read_without_header(&list, &COLUMNS)?;
            let (sentence, file) = (table.required("id")?, table.required("file_name")?);
            for row in table.rows() {
                let row = row?;
                let Some(name) = row.get(Some(file)) else {
                    let found = "no second field".to_owned();
                    return Err(row_fault(&list, row.line, found, "the name of a clip"));
                };
                let clip = PathBuf::from(&part).join("audio").join(side).join(name);
                rows.push(
                    &list,
                    ManifestRow {
                        split: Some(split),
                        source: row.get(Some(sentence)).map(Name::from),
                        line: row.line,
                        ..ManifestRow::of(clip, language.as_str())
                    },
                )?;
            }
        }
    }
    rows.finish(root, EXPECTED)
}
