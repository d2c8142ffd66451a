//! CommonLanguage (Sinisetty et al. 2021): a folder a language, with `train.csv`, `dev.csv`, `test.csv` (tabs, UTF-16)
//! and the clips in `<side>/<client>/`.

use std::path::{Path, PathBuf};

use super::{Rows, SIDES, part_name, parts, row_fault};
use crate::corpus::CorpusError;
use crate::manifest::{ManifestRow, known_speaker};
use crate::name::Name;
use crate::table::Table;

const EXPECTED: &str = "a folder a language with train.csv, dev.csv and test.csv";

pub(in crate::corpus) fn rows(root: &Path) -> Result<Vec<ManifestRow>, CorpusError> {
    // The archive holds everything in one more folder.
    let inside = if root.join("common_voice_kpd").is_dir() {
        "common_voice_kpd"
    } else {
        ""
    };
    let base = root.join(inside);
    let mut rows = Rows::new();
    let is_language = |folder: &Path| {
        SIDES
            .iter()
            .any(|(side, _)| folder.join(side).with_extension("csv").is_file())
    };
    for part in parts(&base, EXPECTED, is_language)? {
        let language = part_name(&base, &part);
        for (side, split) in SIDES {
            let list = base.join(&part).join(side).with_extension("csv");
            if !list.is_file() {
                continue;
            }
            let table = Table::read(&list)?;
            let (client, file) = (table.required("client_id")?, table.required("path")?);
            for row in table.rows() {
                let row = row?;
                let (Some(client), Some(name)) = (row.get(Some(client)), row.get(Some(file)))
                else {
                    let found = "an empty client or path".to_owned();
                    return Err(row_fault(&list, row.line, found, "a clip and its speaker"));
                };
                let clip = PathBuf::from(inside)
                    .join(&part)
                    .join(side)
                    .join(client)
                    .join(name);
                rows.push(
                    &list,
                    ManifestRow {
                        speaker: known_speaker(Some(client)).map(Name::from),
                        split: Some(split),
                        line: row.line,
                        ..ManifestRow::of(clip, language.as_str())
                    },
                )?;
            }
        }
    }
    rows.finish(root, EXPECTED)
}
