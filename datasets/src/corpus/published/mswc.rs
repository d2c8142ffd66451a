//! Multilingual Spoken Words (Mazumder et al. 2021): a folder a locale, with `<locale>_splits.csv` and `clips/<word>/`.
//!
//! The label is the word as it is written in the list; words of several locales stand side by side. Where the joint
//! list is absent, `<locale>_{train,dev,test}.csv` are read. An archive unpacked in a folder of its own may have brought
//! that folder along: `<locale>/<locale>/` is looked into as well.

use std::path::{Path, PathBuf};

use super::{Rows, SIDES, part_name, parts, row_fault};
use crate::corpus::CorpusError;
use crate::manifest::{ManifestRow, known_speaker};
use crate::name::Name;
use crate::split::Split;
use crate::table::Table;

const EXPECTED: &str = "<locale>_splits.csv and clips/, or a folder a locale with them";

pub(in crate::corpus) fn rows(
    root: &Path,
    valid_only: bool,
) -> Result<Vec<ManifestRow>, CorpusError> {
    let mut rows = Rows::new();
    let is_locale = |folder: &Path| !lists(folder, &part_name(folder, "")).is_empty();
    for part in parts(root, EXPECTED, is_locale)? {
        let locale = part_name(root, &part);
        let part = Path::new(&part);
        let clips = [part.join("clips"), part.join(&locale).join("clips")];
        let is_there = |folder: &&PathBuf| root.join(folder).is_dir();
        let clips = clips.iter().find(is_there).unwrap_or(&clips[0]);
        for (list, side) in lists(&root.join(part), &locale) {
            read(&list, side, clips, valid_only, &mut rows)?;
        }
    }
    rows.finish(root, EXPECTED)
}

/// The lists of a locale: the joint one, which names the sides itself, or else one a side.
fn lists(folder: &Path, locale: &str) -> Vec<(PathBuf, Option<Split>)> {
    for folder in [folder.to_path_buf(), folder.join(locale)] {
        let list = |name: &str| folder.join(format!("{locale}_{name}.csv"));
        if list("splits").is_file() {
            return vec![(list("splits"), None)];
        }
        let sides = SIDES.iter().map(|(side, split)| (list(side), Some(*split)));
        let found: Vec<_> = sides.filter(|(list, _)| list.is_file()).collect();
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

fn read(
    list: &Path,
    side: Option<Split>,
    clips: &Path,
    valid_only: bool,
    rows: &mut Rows,
) -> Result<(), CorpusError> {
    let table = Table::read(list)?;
    let (link, word) = (table.required("link")?, table.required("word")?);
    let set = match side {
        Some(_) => None,
        None => Some(table.required("set")?),
    };
    let (valid, speaker) = (table.column(&["valid"]), table.column(&["speaker"]));
    for row in table.rows() {
        let row = row?;
        let is_valid = row
            .get(valid)
            .is_none_or(|said| said.eq_ignore_ascii_case("true") || said == "1");
        if valid_only && !is_valid {
            continue;
        }
        let (Some(clip), Some(word)) = (row.get(Some(link)), row.get(Some(word))) else {
            let found = "an empty LINK or WORD".to_owned();
            return Err(row_fault(list, row.line, found, "a clip and its word"));
        };
        let split = match side {
            Some(split) => split,
            None => {
                let said = row.get(set).unwrap_or_default();
                said.parse().map_err(|_| {
                    let found = format!("SET `{said}`");
                    row_fault(list, row.line, found, "TRAIN, DEV or TEST")
                })?
            }
        };
        let speaker = row.get(speaker).filter(|&name| name != "NA");
        rows.push(
            list,
            ManifestRow {
                speaker: known_speaker(speaker).map(Name::from),
                split: Some(split),
                line: row.line,
                ..ManifestRow::of(clips.join(clip), word)
            },
        )?;
    }
    Ok(())
}
