//! Many clips in one memory-mapped file: feature rows (f32) or audio (i16), stamped with what made them.
//!
//! A shard that was made by another front-end, cut short, or changed by a single bit does not open. Nothing is
//! decoded or copied on reading, and no number in the file is believed before it is checked against the file's size.
//!
//! Layout (little-endian): a header of 128 bytes, the payload (so that it starts on a 64-byte boundary), zeros up
//! to a multiple of 8, and an index of `n_items + 1` u64 row numbers: item `i` is rows `index[i]..index[i + 1]`.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `AURSHARD` |
//! | 8..12, 12..16, 16..20 | format version, payload kind (1 features, 2 samples), numbers in a row |
//! | 20..24 | bytes of the fingerprint |
//! | 24..32, 32..40 | items, rows |
//! | 40..44, 44..48 | CRC-32 of everything after the header, CRC-32 of the header (with this field zero) |
//! | 48..112, 112..128 | fingerprint (UTF-8, zero-filled), zeros |

use std::path::PathBuf;

mod read;
mod write;

pub use read::Shard;
pub use write::ShardWriter;

const MAGIC: [u8; 8] = *b"AURSHARD";
/// The format that is written; others are refused.
pub const FORMAT_VERSION: u32 = 1;
const HEADER_BYTES: usize = 128;
const MAX_FINGERPRINT_BYTES: usize = 64;

/// What the rows of a shard are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Rows of `n_mels` f32 numbers: one frame each.
    Features {
        /// Bands in a frame.
        n_mels: usize,
    },
    /// Rows of one i16 number: one sample each.
    Samples,
}

impl Payload {
    fn kind(self) -> u32 {
        match self {
            Payload::Features { .. } => 1,
            Payload::Samples => 2,
        }
    }

    fn width(self) -> usize {
        match self {
            Payload::Features { n_mels } => n_mels,
            Payload::Samples => 1,
        }
    }

    fn row_bytes(self) -> usize {
        match self {
            Payload::Features { n_mels } => n_mels * size_of::<f32>(),
            Payload::Samples => size_of::<i16>(),
        }
    }

    fn describe(self) -> String {
        match self {
            Payload::Features { n_mels } => format!("features of {n_mels} bands"),
            Payload::Samples => "samples".to_owned(),
        }
    }
}

/// What can be wrong with a shard.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// The file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another front-end, recipe or corpus made it: make it again.
    #[error("{}: found fingerprint {found}; expected {expected}", path.display())]
    Fingerprint {
        /// Which file.
        path: PathBuf,
        /// What the file is stamped with.
        found: String,
        /// What the caller needs.
        expected: String,
    },
    /// Features where samples should be, or the like.
    #[error("{}: found {found}; expected {expected}", path.display())]
    OtherPayload {
        /// Which file.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What the caller needs.
        expected: String,
    },
    /// Not a shard, or a damaged one: make it again.
    #[error("{}: found {found}; expected {expected}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
    /// The writer was handed something that does not fit.
    #[error("{}: handed {found}; expected {expected}", path.display())]
    Misfit {
        /// Which file.
        path: PathBuf,
        /// What it was handed.
        found: String,
        /// What fits.
        expected: String,
    },
}

#[cfg(test)]
mod tests;
