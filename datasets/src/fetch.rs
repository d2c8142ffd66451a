//! From a card to a folder: download, check, unpack. The one place that touches the network, and only when asked to by
//! name: nothing that ingests, trains or judges comes here.
//!
//! What the network or an archive says is believed only as far as it was checked: lengths, ranges, sums, names and
//! sizes. What is left in the folder besides the corpus:
//!
//! | file | what |
//! |---|---|
//! | `<archive>.part`, `<archive>.part.json` | a download that was stopped; the next one goes on from there |
//! | `<archive>` | only where archives are kept; one that was put there by hand is used like a downloaded one |
//! | `.<archive>.json` | written last: that it was unpacked, and what its bytes added up to |

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::card::{ArchiveSpec, CardSpec, Checksum};
use crate::partial::write_bytes;

mod download;
mod error;
mod merge;
mod rules;
mod sums;
mod unpack;

pub use error::FetchError;
pub use rules::{Rules, size};

/// Whoever waits: shown how far it is, and able to stop it.
pub trait Watch {
    /// `done` of `total` bytes are through the step that `what` names.
    fn progress(&self, done: u64, total: Option<u64>, what: &str);
    /// Something a person should know while it goes on: a mirror that failed, a sum that nobody published.
    fn note(&self, text: &str);
    /// Asked often; once `true`, the work ends and can be gone on with later.
    fn stopped(&self) -> bool;
}

/// What of a card is wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Parts by name; none named means all that are not optional.
    pub parts: Vec<String>,
    /// Languages, for cards that have them.
    pub languages: Vec<String>,
}

/// One archive that is now unpacked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetched {
    /// The archive.
    pub file: String,
    /// Where its content is, relative to the corpus folder.
    pub into: PathBuf,
    /// Bytes of the archive.
    pub n_bytes: u64,
    /// SHA-256 of the archive, as found.
    pub sha256: String,
    /// Whether the card knew a checksum, and this was it.
    pub is_verified: bool,
    /// Files unpacked.
    pub n_files: u64,
    /// Bytes of them.
    pub unpacked_bytes: u64,
    /// An earlier run had done it all.
    #[serde(skip)]
    pub already_done: bool,
}

/// The archives that a selection of a card means, each language filled in.
///
/// # Errors
///
/// A part or language the card does not have, none where one is needed, a card whose archives no program can fetch.
pub fn select(card: &CardSpec, selection: &Selection) -> Result<Vec<ArchiveSpec>, FetchError> {
    if let Some(how) = &card.by_hand {
        return Err(FetchError::ByHand {
            card: card.name.clone(),
            how: how.clone(),
        });
    }
    let unknown = |what: &'static str, found: &str, known: Vec<&str>| FetchError::NoSuch {
        card: card.name.clone(),
        what,
        found: found.to_owned(),
        known: known.join(", "),
    };
    let parts = card.parts();
    if let Some(part) = selection
        .parts
        .iter()
        .find(|part| !parts.contains(&part.as_str()))
    {
        return Err(unknown("part", part, parts));
    }
    let languages: Vec<&str> = card.languages.iter().map(String::as_str).collect();
    if let Some(other) = selection
        .languages
        .iter()
        .find(|language| !languages.contains(&language.as_str()))
    {
        return Err(unknown("language", other, languages));
    }
    let mut archives = Vec::new();
    for archive in &card.archives {
        let is_wanted = match selection.parts.as_slice() {
            [] => !archive.optional,
            parts => parts.contains(&archive.part),
        };
        if !is_wanted {
            continue;
        }
        if archive.is_per_language() {
            if selection.languages.is_empty() {
                return Err(FetchError::WhichLanguage {
                    card: card.name.clone(),
                    known: languages.join(" "),
                });
            }
            let filled = selection
                .languages
                .iter()
                .map(|language| archive.of_language(language));
            archives.extend(filled);
        } else {
            archives.push(archive.clone());
        }
    }
    Ok(archives)
}

/// Downloads and unpacks what was selected into the folder `to`. What an earlier run finished is not done again; what it
/// left half-done is gone on with.
///
/// # Errors
///
/// Too little space, before anything is fetched; an archive that no mirror gives as it should be; one that would write
/// outside its folder, or more than it may; [`FetchError::Stopped`].
pub fn get(
    card: &CardSpec,
    selection: &Selection,
    to: &Path,
    keep_archives: bool,
    rules: &Rules,
    watch: &dyn Watch,
) -> Result<Vec<Fetched>, FetchError> {
    let archives = select(card, selection)?;
    fs::create_dir_all(to).map_err(FetchError::io(to))?;
    let done: Vec<Option<Fetched>> = archives
        .iter()
        .map(|archive| receipt(to, archive))
        .collect();
    let missing = archives
        .iter()
        .zip(&done)
        .filter(|(_, done)| done.is_none());
    check_space(to, missing.map(|(archive, _)| archive), rules)?;
    let mut fetched = Vec::with_capacity(archives.len());
    for (archive, done) in archives.iter().zip(done) {
        fetched.push(match done {
            Some(done) => done,
            None => one(archive, to, keep_archives, rules, watch)?,
        });
    }
    Ok(fetched)
}

fn one(
    archive: &ArchiveSpec,
    to: &Path,
    keep_archives: bool,
    rules: &Rules,
    watch: &dyn Watch,
) -> Result<Fetched, FetchError> {
    let file = to.join(&archive.file);
    let was_here = file.is_file();
    let sums = if was_here {
        sums::check(&file, archive, watch)?
    } else {
        download::download(archive, &file, rules, watch)?
    };
    if archive.checksum == Checksum::Unknown {
        watch.note(&format!(
            "{}: no checksum is on record; found {} bytes, sha256 {}",
            archive.file, sums.n_bytes, sums.sha256
        ));
    }
    let staging = to.join(format!(".{}.unpacking", archive.file));
    remove_folder(&staging)?;
    let unpacked = unpack::unpack(&file, archive, &staging, rules, watch);
    let unpacked = match unpacked {
        Ok(unpacked) => unpacked,
        Err(error) => {
            remove_folder(&staging)?;
            if matches!(error, FetchError::Damaged { .. }) && archive.checksum == Checksum::Unknown
            {
                if was_here {
                    watch.note(&format!(
                        "{}: it was there before; remove it to have it fetched",
                        file.display()
                    ));
                } else {
                    // Cut short on the way, most likely: the next run has to fetch it again.
                    let _ = fs::remove_file(&file);
                }
            }
            return Err(error);
        }
    };
    let into = to.join(&archive.into);
    if !has_receipt(to)
        && let Err(error) = merge::check(&staging, &into)
    {
        remove_folder(&staging)?;
        return Err(error);
    }
    merge::merge(&staging, &into)?;
    remove_folder(&staging)?;
    let fetched = Fetched {
        file: archive.file.clone(),
        into: archive.into.clone(),
        n_bytes: sums.n_bytes,
        sha256: sums.sha256,
        is_verified: archive.checksum != Checksum::Unknown,
        n_files: unpacked.n_files,
        unpacked_bytes: unpacked.n_bytes,
        already_done: false,
    };
    let path = receipt_path(to, archive);
    let text = serde_json::to_vec_pretty(&fetched).expect("a receipt is plain data");
    write_bytes(&path, &text).map_err(FetchError::io(&path))?;
    if !keep_archives {
        fs::remove_file(&file).map_err(FetchError::io(&file))?;
    }
    Ok(fetched)
}

fn receipt_path(to: &Path, archive: &ArchiveSpec) -> PathBuf {
    to.join(format!(".{}.json", archive.file))
}

/// Whether an archive was unpacked into this folder before: then what is in it came from there.
fn has_receipt(to: &Path) -> bool {
    let entries = fs::read_dir(to).into_iter().flatten().flatten();
    let mut texts = entries
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with('.') && name.ends_with(".json")
        })
        .filter_map(|entry| fs::read(entry.path()).ok());
    texts.any(|text| serde_json::from_slice::<Fetched>(&text).is_ok())
}

/// What an earlier run left behind when it was done, as long as the card has not changed its mind about the sum.
fn receipt(to: &Path, archive: &ArchiveSpec) -> Option<Fetched> {
    let text = fs::read(receipt_path(to, archive)).ok()?;
    let mut fetched: Fetched = serde_json::from_slice(&text).ok()?;
    let is_same = match &archive.checksum {
        Checksum::Sha256 { hex } => *hex == fetched.sha256,
        Checksum::Md5 { .. } => fetched.is_verified,
        Checksum::Unknown => true,
    };
    fetched.already_done = true;
    (is_same && fetched.into == archive.into).then_some(fetched)
}

/// Refuses before anything is fetched what there is no room for: what is still to come of each archive, and what it
/// unpacks to (twice its size, where nobody knows). Archives of unknown size are checked when they tell it.
fn check_space<'a>(
    to: &Path,
    archives: impl Iterator<Item = &'a ArchiveSpec>,
    rules: &Rules,
) -> Result<(), FetchError> {
    let mut needed = 0;
    for archive in archives {
        let whole = archive.n_bytes.unwrap_or(0);
        let here = [
            to.join(&archive.file),
            download::part_of(&to.join(&archive.file)),
        ]
        .iter()
        .find_map(|file| fs::metadata(file).ok())
        .map_or(0, |metadata| metadata.len());
        needed += whole.saturating_sub(here) + archive.unpacked_bytes.unwrap_or(2 * whole);
    }
    rules.check_space(to, needed)
}

fn remove_folder(folder: &Path) -> Result<(), FetchError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FetchError::io(folder)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
