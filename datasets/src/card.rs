//! What is publicly known of a corpus: where it comes from and under which licence, which archives it is, what its
//! labels and sides are by published rule, and how many clips there should be.
//!
//! A card is data (`cards/*.toml`) and is checked as a whole. It promises nothing it does not know: a checksum that is
//! not on public record says so, and so does a count without a source.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::corpus::CorpusSpec;
use crate::split::Split;

mod catalogue;

pub use catalogue::{card, cards};

/// One corpus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardSpec {
    /// What it is called on the command line: lower case, digits and hyphens.
    pub name: String,
    /// What its authors call it.
    pub title: String,
    /// What is in it, in a sentence.
    pub about: String,
    /// Where its authors describe it.
    pub homepage: String,
    /// Under which terms it is given: an SPDX expression where there is one.
    pub licence: String,
    /// Whom to cite.
    pub citation: String,
    /// The rate of its files in Hz, where they all have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_rate_hz: Option<u32>,
    /// Languages that can be fetched one by one; each stands for `{language}` in the archives. Empty where the corpus is
    /// not divided so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
    /// What a person has to do, where no archive can be fetched by a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<String>,
    /// What to be aware of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What to fetch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub archives: Vec<ArchiveSpec>,
    /// What the corpus is used for; the first is meant where none is named.
    pub tasks: Vec<TaskSpec>,
}

/// One file to fetch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveSpec {
    /// The part of the corpus it holds, as the command line calls it.
    pub part: String,
    /// Whether it is fetched only where its part is asked for by name.
    #[serde(default)]
    pub optional: bool,
    /// What the file is called.
    pub file: String,
    /// Where it lies, the first choice first.
    pub urls: Vec<String>,
    /// How many bytes it has, where that is on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_bytes: Option<u64>,
    /// What its bytes must add up to.
    pub checksum: Checksum,
    /// How it is packed.
    pub format: ArchiveFormat,
    /// The folder its content goes to, relative to the corpus folder; `""` is that folder.
    pub into: PathBuf,
    /// How many bytes it unpacks to, at the most, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpacked_bytes: Option<u64>,
}

/// How the bytes of an archive are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Checksum {
    /// SHA-256, in hexadecimal.
    Sha256 {
        /// 64 digits.
        hex: String,
    },
    /// MD5, in hexadecimal: what older corpora publish. It tells damage, not malice.
    Md5 {
        /// 32 digits.
        hex: String,
    },
    /// Nobody has published one, or it changes: whoever fetches is told the one found.
    Unknown,
}

/// How an archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArchiveFormat {
    /// A tar, compressed by gzip.
    TarGz,
    /// A zip.
    Zip,
}

/// One use of a corpus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSpec {
    /// What it is called on the command line.
    pub name: String,
    /// The protocol, in a sentence.
    pub about: String,
    /// The folder that paths start from, relative to the folder the archives were unpacked in.
    pub root: PathBuf,
    /// Labels, sides and noise, as a recipe has them.
    pub corpus: CorpusSpec,
    /// What there should be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<CountSpec>,
}

/// How many clips, speakers or labels a complete corpus has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountSpec {
    /// Of which side; of all where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// Of which label; of all where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What is counted.
    pub of: Counted,
    /// How many.
    pub n: usize,
    /// Who says so.
    pub source: String,
}

/// What a count is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// Rows.
    Clips,
    /// Different names of speakers.
    Speakers,
    /// Different labels.
    Labels,
}

impl Counted {
    /// `clips`, `speakers` or `labels`.
    pub fn name(self) -> &'static str {
        match self {
            Counted::Clips => "clips",
            Counted::Speakers => "speakers",
            Counted::Labels => "labels",
        }
    }
}

/// What is wrong with a card, or with a question to it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CardError {
    /// No card is called so.
    #[error(
        "found no card `{found}`; expected one of {known}, or the file of another, named `.toml`"
    )]
    NoCard {
        /// What was asked for.
        found: String,
        /// Those there are.
        known: String,
    },
    /// No task of the card is called so.
    #[error("{card}: found no task `{found}`; expected one of {known}")]
    NoTask {
        /// The card.
        card: String,
        /// What was asked for.
        found: String,
        /// Those there are.
        known: String,
    },
    /// A field that makes no sense.
    #[error("card {card}: {field}: found {found}; expected {expected}")]
    Field {
        /// The card.
        card: String,
        /// Which field.
        field: String,
        /// Its value.
        found: String,
        /// What would have been right.
        expected: String,
    },
    /// Not a card at all.
    #[error("{file}: {message}")]
    Parse {
        /// Which file.
        file: String,
        /// What the parser said.
        message: String,
    },
}

impl CardSpec {
    /// Reads a card and checks it.
    ///
    /// # Errors
    ///
    /// [`CardError::Parse`] with the line, or [`CardError::Field`].
    pub fn parse(file: &str, text: &str) -> Result<Self, CardError> {
        let card: CardSpec = toml::from_str(text).map_err(|error| CardError::Parse {
            file: file.to_owned(),
            message: error.to_string(),
        })?;
        card.validate()?;
        Ok(card)
    }

    /// The task of that name, or the first.
    pub fn task(&self, name: Option<&str>) -> Result<&TaskSpec, CardError> {
        let Some(name) = name else {
            return Ok(self.tasks.first().expect("a checked card has a task"));
        };
        let found = self.tasks.iter().find(|task| task.name == name);
        found.ok_or_else(|| CardError::NoTask {
            card: self.name.clone(),
            found: name.to_owned(),
            known: names(self.tasks.iter().map(|task| &task.name)),
        })
    }

    /// The parts that can be fetched, in order and each once.
    pub fn parts(&self) -> Vec<&str> {
        let mut seen = BTreeSet::new();
        let parts = self.archives.iter().map(|archive| archive.part.as_str());
        parts.filter(|part| seen.insert(*part)).collect()
    }

    /// Checks the fields against one another.
    pub fn validate(&self) -> Result<(), CardError> {
        let fault = |field: &str, found: String, expected: &str| {
            Err(CardError::Field {
                card: self.name.clone(),
                field: field.to_owned(),
                found,
                expected: expected.to_owned(),
            })
        };
        let is_name = |name: &str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
        };
        if !is_name(&self.name) {
            let found = format!("`{}`", self.name);
            return fault("name", found, "lower-case letters, digits and hyphens");
        }
        for (field, text) in [
            ("title", &self.title),
            ("about", &self.about),
            ("licence", &self.licence),
            ("citation", &self.citation),
        ] {
            if text.trim().is_empty() {
                return fault(field, "nothing".into(), "a text");
            }
        }
        if !self.homepage.starts_with("https://") && !self.homepage.starts_with("http://") {
            return fault("homepage", format!("`{}`", self.homepage), "an address");
        }
        if self.archives.is_empty() == self.by_hand.is_none() {
            return fault(
                "archives",
                format!("{} beside by_hand", self.archives.len()),
                "archives to fetch, or else what to do by hand",
            );
        }
        let mut files = BTreeSet::new();
        for archive in &self.archives {
            if let Some((field, found, expected)) = archive.fault(!self.languages.is_empty()) {
                return fault(
                    &format!("archives.{}.{field}", archive.file),
                    found,
                    expected,
                );
            }
            if !files.insert(&archive.file) {
                return fault("archives.file", archive.file.clone(), "each file once");
            }
        }
        if self.tasks.is_empty() {
            return fault("tasks", "none".into(), "a task at least");
        }
        let mut tasks = BTreeSet::new();
        for task in &self.tasks {
            if !is_name(&task.name) || !tasks.insert(&task.name) {
                let found = format!("`{}`", task.name);
                return fault("tasks.name", found, "a name of its own, in lower case");
            }
            if !stays_inside(&task.root) {
                let found = task.root.display().to_string();
                return fault("tasks.root", found, "a folder inside the corpus folder");
            }
            if let Err(error) = task.corpus.validate() {
                let field = format!("tasks.{}.corpus", task.name);
                return fault(&field, error.to_string(), "a sound corpus");
            }
            let sourceless = task
                .counts
                .iter()
                .find(|count| count.source.trim().is_empty());
            if let Some(count) = sourceless {
                let found = format!("{} {} without a source", count.n, count.of.name());
                return fault("tasks.counts", found, "who says so");
            }
        }
        Ok(())
    }
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// Whether a relative path cannot leave the folder it is joined to.
fn stays_inside(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// What stands in an archive's file, addresses and folder for the language.
pub const LANGUAGE: &str = "{language}";

impl ArchiveSpec {
    fn fault(&self, has_languages: bool) -> Option<(&'static str, String, &'static str)> {
        let is_plain = |name: &str| {
            !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':'])
        };
        if !is_plain(&self.file) {
            return Some((
                "file",
                format!("`{}`", self.file),
                "a file name without folders",
            ));
        }
        if self.part.is_empty() {
            return Some(("part", "nothing".into(), "a name"));
        }
        let is_address = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        match self.urls.iter().find(|url| !is_address(url)) {
            _ if self.urls.is_empty() => {
                return Some(("urls", "none".into(), "an address at least"));
            }
            Some(url) => return Some(("urls", format!("`{url}`"), "http or https")),
            None => {}
        }
        // Without a checksum only the connection vouches for the bytes.
        let is_plain_http = |url: &&String| url.starts_with("http://");
        if self.checksum == Checksum::Unknown
            && let Some(url) = self.urls.iter().find(is_plain_http)
        {
            return Some(("urls", format!("`{url}` without a checksum"), "https"));
        }
        let (digits, n_digits) = match &self.checksum {
            Checksum::Sha256 { hex } => (hex.as_str(), 64),
            Checksum::Md5 { hex } => (hex.as_str(), 32),
            Checksum::Unknown => ("", 0),
        };
        let is_hex = digits
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if digits.len() != n_digits || !is_hex {
            return Some((
                "checksum",
                format!("`{digits}`"),
                "64 lower-case digits for SHA-256, 32 for MD5",
            ));
        }
        if !stays_inside(&self.into) {
            let found = self.into.display().to_string();
            return Some(("into", found, "a folder inside the corpus folder"));
        }
        let names_language =
            self.file.contains(LANGUAGE) || self.urls.iter().any(|url| url.contains(LANGUAGE));
        if names_language && !has_languages {
            return Some(("file", self.file.clone(), "`languages` beside {language}"));
        }
        None
    }

    /// Whether there is one such archive for each language.
    pub fn is_per_language(&self) -> bool {
        self.file.contains(LANGUAGE)
    }

    /// The archive of one language.
    pub fn of_language(&self, language: &str) -> Self {
        let fill = |text: &str| text.replace(LANGUAGE, language);
        Self {
            file: fill(&self.file),
            urls: self.urls.iter().map(|url| fill(url)).collect(),
            into: PathBuf::from(fill(&self.into.to_string_lossy())),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests;
