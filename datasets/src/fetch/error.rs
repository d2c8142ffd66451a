//! Why a corpus could not be fetched.

use std::io;
use std::path::{Path, PathBuf};

use super::rules::size;

/// Why a corpus could not be fetched, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The card has no such part or language.
    #[error("{card}: found no {what} `{found}`; {}", of_those(known, what))]
    NoSuch {
        /// The card.
        card: String,
        /// `part` or `language`.
        what: &'static str,
        /// What was asked for.
        found: String,
        /// Those there are.
        known: String,
    },
    /// The corpus comes language by language and none was named.
    #[error("{card}: found no language; expected one or more of {known}")]
    WhichLanguage {
        /// The card.
        card: String,
        /// Those there are.
        known: String,
    },
    /// A person has to fetch it.
    #[error("{card} cannot be fetched by a program. {how}")]
    ByHand {
        /// The card.
        card: String,
        /// What to do.
        how: String,
    },
    /// Not enough room on the disk.
    #[error("{}: found {} free, expected {} at least", path.display(), size(*free_bytes), size(*needed_bytes))]
    Space {
        /// Where.
        path: PathBuf,
        /// What is free.
        free_bytes: u64,
        /// What is needed.
        needed_bytes: u64,
    },
    /// No mirror gave the archive as it should be.
    #[error("{file}: no mirror gave it whole and right:\n  {}", faults.join("\n  "))]
    NoMirror {
        /// The archive.
        file: String,
        /// What was wrong with each, in order.
        faults: Vec<String>,
    },
    /// An archive that was found in the folder is not the one the card means.
    #[error("{}: found {found}, expected {expected}; remove it to have it fetched", path.display())]
    NotTheArchive {
        /// The archive.
        path: PathBuf,
        /// Its size or sum.
        found: String,
        /// What would have been right.
        expected: String,
    },
    /// An entry of an archive that would land elsewhere, or is no plain file.
    #[error("{}: found the entry {entry:?}, {what}; expected plain files and folders inside the archive's own; nothing was kept of it", path.display())]
    Unsafe {
        /// The archive.
        path: PathBuf,
        /// The name, as it stands there.
        entry: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An archive that unpacks to more than it may.
    #[error("{}: found more than {limit} in it, the most for this archive; nothing was kept of it", path.display())]
    TooLarge {
        /// The archive.
        path: PathBuf,
        /// How much was allowed.
        limit: String,
    },
    /// An archive that cannot be read to its end.
    #[error("{}: {message}; expected a whole archive", path.display())]
    Damaged {
        /// The archive.
        path: PathBuf,
        /// What the reader said.
        message: String,
    },
    /// A file of somebody's that an archive would replace.
    #[error("{}: found a file that is not the archive's; expected a folder of its own for the corpus, or the same file", path.display())]
    InTheWay {
        /// The file.
        path: PathBuf,
    },
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// [`super::Watch::stopped`] said so.
    #[error("stopped before it was done; the same command goes on where it was")]
    Stopped,
}

fn of_those(known: &str, what: &str) -> String {
    if known.is_empty() {
        format!("expected none, since the corpus is not divided by {what}")
    } else {
        format!("expected one of {known}")
    }
}

impl FetchError {
    /// Says which file an error of the system was about.
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> FetchError {
        let path = path.to_path_buf();
        move |source| FetchError::Io { path, source }
    }
}
