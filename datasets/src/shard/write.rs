//! Writing a shard: item after item to a temporary file, the header last, then the final name.

use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use super::{FORMAT_VERSION, HEADER_BYTES, MAGIC, MAX_FINGERPRINT_BYTES, Payload, ShardError};
use crate::partial::{Durability, PartialFile};

/// Appends items to a shard. Memory does not grow: the index waits on the disk too.
///
/// Until [`ShardWriter::finish`] there is no file under the final name; dropped before, it leaves nothing.
pub struct ShardWriter {
    path: PathBuf,
    file: PartialFile,
    payload: Payload,
    fingerprint: String,
    /// Row number at which each item starts, and the end; in a file that never gets a name.
    index: PartialFile,
    n_items: usize,
    n_rows: u64,
    checksum: crc32fast::Hasher,
}

impl ShardWriter {
    /// Starts a shard that will be stamped with `fingerprint` (at most 64 bytes).
    pub fn create(path: &Path, payload: Payload, fingerprint: &str) -> Result<Self, ShardError> {
        let misfit = |found: String, expected: &str| {
            Err(ShardError::Misfit {
                path: path.to_path_buf(),
                found,
                expected: expected.to_owned(),
            })
        };
        if fingerprint.len() > MAX_FINGERPRINT_BYTES || fingerprint.contains('\0') {
            return misfit(
                format!("a fingerprint of {} bytes", fingerprint.len()),
                "at most 64 bytes of text",
            );
        }
        if !(1..=1 << 16).contains(&payload.width()) {
            return misfit(payload.describe(), "1 to 65,536 bands");
        }
        let io = |source| ShardError::Io {
            path: path.to_path_buf(),
            source,
        };
        let mut file = PartialFile::create(path).map_err(io)?;
        file.writer().write_all(&[0; HEADER_BYTES]).map_err(io)?;
        let mut index = PartialFile::create(path).map_err(io)?;
        index.writer().write_all(&0u64.to_le_bytes()).map_err(io)?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            payload,
            fingerprint: fingerprint.to_owned(),
            index,
            n_items: 0,
            n_rows: 0,
            checksum: crc32fast::Hasher::new(),
        })
    }

    /// Appends a clip's features, frame-major `[n_frames, n_mels]`; no frames is allowed. Returns the item's number.
    pub fn push_features(&mut self, values: &[f32]) -> Result<usize, ShardError> {
        match self.payload {
            Payload::Features { n_mels } if values.len().is_multiple_of(n_mels) => {
                self.push(bytemuck::cast_slice(values), values.len() / n_mels)
            }
            _ => Err(self.misfit(format!("{} feature values", values.len()))),
        }
    }

    /// Appends a clip's samples. Returns the item's number.
    pub fn push_samples(&mut self, samples: &[i16]) -> Result<usize, ShardError> {
        match self.payload {
            Payload::Samples => self.push(bytemuck::cast_slice(samples), samples.len()),
            Payload::Features { .. } => Err(self.misfit(format!("{} samples", samples.len()))),
        }
    }

    /// Items so far.
    pub fn len(&self) -> usize {
        self.n_items
    }

    /// Whether there is no item yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes index and header, syncs and renames. Returns the number of items.
    pub fn finish(mut self) -> Result<usize, ShardError> {
        let (path, n_items) = (self.path.clone(), self.len());
        let io = |source| ShardError::Io { path, source };
        self.write_index_and_header()
            .and_then(|()| self.file.finish(Durability::Synced))
            .map_err(io)?;
        Ok(n_items)
    }

    fn misfit(&self, found: String) -> ShardError {
        ShardError::Misfit {
            path: self.path.clone(),
            found,
            expected: self.payload.describe(),
        }
    }

    fn push(&mut self, bytes: &[u8], n_rows: usize) -> Result<usize, ShardError> {
        // The format is little-endian and read in place, so it is written on such machines only.
        const { assert!(cfg!(target_endian = "little"), "shards are little-endian") };
        let end = self.n_rows + n_rows as u64;
        self.append(bytes)
            .and_then(|()| self.index.writer().write_all(&end.to_le_bytes()))
            .map_err(|source| ShardError::Io {
                path: self.path.clone(),
                source,
            })?;
        self.n_rows = end;
        self.n_items += 1;
        Ok(self.n_items - 1)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.checksum.update(bytes);
        self.file.writer().write_all(bytes)
    }

    fn append_index(&mut self) -> io::Result<()> {
        let mut index = self.index.rewound()?.try_clone()?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match index.read(&mut buffer)? {
                0 => return Ok(()),
                n => self.append(&buffer[..n])?,
            }
        }
    }

    fn write_index_and_header(&mut self) -> io::Result<()> {
        let payload_bytes = self.n_rows as usize * self.payload.row_bytes();
        self.append(&[0; 8][..payload_bytes.next_multiple_of(8) - payload_bytes])?;
        self.append_index()?;

        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&self.payload.kind().to_le_bytes());
        header[16..20].copy_from_slice(&(self.payload.width() as u32).to_le_bytes());
        header[20..24].copy_from_slice(&(self.fingerprint.len() as u32).to_le_bytes());
        header[24..32].copy_from_slice(&(self.n_items as u64).to_le_bytes());
        header[32..40].copy_from_slice(&self.n_rows.to_le_bytes());
        header[40..44].copy_from_slice(&self.checksum.clone().finalize().to_le_bytes());
        header[48..48 + self.fingerprint.len()].copy_from_slice(self.fingerprint.as_bytes());
        let header_checksum = crc32fast::hash(&header);
        header[44..48].copy_from_slice(&header_checksum.to_le_bytes());
        self.file.writer().seek(io::SeekFrom::Start(0))?;
        self.file.writer().write_all(&header)?;
        self.file.writer().flush()
    }
}
