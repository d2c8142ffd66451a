//! Which recordings hold which keywords, and which hold none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use auricle_datasets::corpus::{audio_files, labelled_files};
use auricle_datasets::manifest;

use super::FieldError;
use crate::bundle::{Bundle, keywords};

/// Start and end in seconds.
pub type Times = (Option<f64>, Option<f64>);

/// A recording with keywords in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Take {
    pub path: PathBuf,
    /// Keyword, and its start and end in seconds; without either, those of the recording, in which it is said once.
    pub keywords: Vec<(String, Times)>,
}

/// What a detector is tried on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Material {
    pub positives: Vec<Take>,
    /// No keyword is said in these.
    pub negatives: Vec<PathBuf>,
    /// Recordings, or rows of the list, of other words: they were left out.
    pub n_other: usize,
}

impl Material {
    /// Finds recordings. `positive`: a folder for each keyword; a folder without folders is all of the only keyword. With
    /// a `list` (CSV, TSV or JSONL with `path`, `label`, perhaps `start` and `end`) its rows of keywords count, and paths
    /// start from `positive`. `negative`: all audio in it.
    ///
    /// # Errors
    ///
    /// Where nothing is found, with what was looked for.
    pub fn find(
        bundle: &Bundle,
        positive: &Path,
        list: Option<&Path>,
        negative: &Path,
    ) -> Result<Self, FieldError> {
        let (positives, n_other) = match list {
            Some(list) => listed(bundle, positive, list)?,
            None => foldered(bundle, positive)?,
        };
        Ok(Self {
            positives,
            n_other,
            ..Self::without_keywords(negative)?
        })
    }

    /// All audio in a folder, in which no keyword is said.
    ///
    /// # Errors
    ///
    /// Where there is none.
    pub fn without_keywords(folder: &Path) -> Result<Self, FieldError> {
        let files = audio_files(folder)?;
        if files.is_empty() {
            return Err(nothing(folder, "no audio", "recordings without a keyword"));
        }
        Ok(Self {
            negatives: files.iter().map(|file| folder.join(file)).collect(),
            ..Self::default()
        })
    }

    /// Keywords that are to be heard somewhere.
    pub fn n_targets(&self) -> usize {
        self.positives.iter().map(|take| take.keywords.len()).sum()
    }
}

fn foldered(bundle: &Bundle, root: &Path) -> Result<(Vec<Take>, usize), FieldError> {
    let keywords: Vec<&String> = keywords(&bundle.labels).collect();
    let is_keyword = |word: &String| keywords.contains(&word);
    let files = labelled_files(root)?;
    for (file, word) in &files {
        known_as(bundle, word, &root.join(file))?;
    }
    let n_files = files.len();
    let mut takes: Vec<Take> = files
        .into_iter()
        .filter(|(_, word)| is_keyword(word))
        .map(|(file, word)| Take {
            path: root.join(file),
            keywords: vec![(word, (None, None))],
        })
        .collect();
    let mut n_other = n_files - takes.len();
    if let (true, [keyword]) = (takes.is_empty(), &keywords[..]) {
        takes = audio_files(root)?
            .into_iter()
            .map(|file| Take {
                path: root.join(file),
                keywords: vec![((*keyword).clone(), (None, None))],
            })
            .collect();
        n_other = 0;
    }
    if takes.is_empty() {
        let expected = format!("a folder for each keyword: {}", listing(&keywords));
        return Err(nothing(root, "no recording of a keyword", &expected));
    }
    Ok((takes, n_other))
}

fn listed(bundle: &Bundle, root: &Path, list: &Path) -> Result<(Vec<Take>, usize), FieldError> {
    let keywords: Vec<&String> = keywords(&bundle.labels).collect();
    let (mut takes, mut n_other) = (BTreeMap::<PathBuf, Take>::new(), 0);
    for row in manifest::read_rows(list)? {
        let path = root.join(&row.path);
        known_as(bundle, &row.label, &path)?;
        if !keywords.iter().any(|keyword| **keyword == row.label) {
            n_other += 1;
            continue;
        }
        let take = takes.entry(path.clone()).or_insert_with(|| Take {
            path,
            keywords: Vec::new(),
        });
        let times = (row.start_s, row.end_s);
        take.keywords.push((row.label.to_string(), times));
    }
    if takes.is_empty() {
        let expected = format!("rows with one of the labels {}", listing(&keywords));
        return Err(nothing(list, "no row of a keyword", &expected));
    }
    Ok((takes.into_values().collect(), n_other))
}

/// A word that is one of the bundle's but for its case or spaces is a slip: passed over, its recordings would be missed.
fn known_as(bundle: &Bundle, word: &str, path: &Path) -> Result<(), FieldError> {
    match bundle.meant_by(word) {
        Some(meant) => {
            let expected = format!("`{meant}`, as the bundle has it");
            Err(nothing(path, &format!("`{word}`"), &expected))
        }
        None => Ok(()),
    }
}

fn listing(keywords: &[&String]) -> String {
    let keywords: Vec<&str> = keywords.iter().map(|keyword| keyword.as_str()).collect();
    keywords.join(", ")
}

fn nothing(path: &Path, found: &str, expected: &str) -> FieldError {
    FieldError::Material {
        path: path.to_owned(),
        reason: format!("found {found}, expected {expected}"),
    }
}
