//! Common Voice (Ardila et al. 2020): a folder a locale, with `train.tsv`, `dev.tsv`, `test.tsv` and `clips/`.
//!
//! The speaker is `client_id`. Only the three lists count: `validated.tsv` and `other.tsv` hold clips on no side.

use std::path::{Path, PathBuf};

use super::{Rows, SIDES, part_name, parts, row_fault};
use crate::corpus::CorpusError;
use crate::manifest::{ManifestRow, known_speaker};
use crate::name::Name;
use crate::table::Table;

const EXPECTED: &str = "train.tsv, dev.tsv, test.tsv and clips/, or a folder a locale with them";

pub(in crate::corpus) fn rows(root: &Path) -> Result<Vec<ManifestRow>, CorpusError> {
    let mut rows = Rows::new();
    let is_locale = |folder: &Path| {
        SIDES
            .iter()
            .any(|(side, _)| folder.join(side).with_extension("tsv").is_file())
    };
    for part in parts(root, EXPECTED, is_locale)? {
        let folder_label = part_name(root, &part);
        for (side, split) in SIDES {
            let list = root.join(&part).join(side).with_extension("tsv");
            if !list.is_file() {
                continue;
            }
            let table = Table::read(&list)?;
            let (file, client) = (table.required("path")?, table.required("client_id")?);
            let locale = table.column(&["locale"]);
            for row in table.rows() {
                let row = row?;
                let Some(clip) = row.get(Some(file)) else {
                    return Err(row_fault(&list, row.line, "an empty path".into(), "a clip"));
                };
                let label = row.get(locale).unwrap_or(&folder_label).to_owned();
                // Early releases list names without their extension.
                let clip = match Path::new(clip).extension() {
                    Some(_) => clip.to_owned(),
                    None => format!("{clip}.mp3"),
                };
                rows.push(
                    &list,
                    ManifestRow {
                        speaker: known_speaker(row.get(Some(client))).map(Name::from),
                        split: Some(split),
                        line: row.line,
                        ..ManifestRow::of(PathBuf::from(&part).join("clips").join(clip), label)
                    },
                )?;
            }
        }
    }
    rows.finish(root, EXPECTED)
}
