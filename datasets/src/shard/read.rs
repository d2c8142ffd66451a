//! Reading a shard in place.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use super::{FORMAT_VERSION, HEADER_BYTES, MAGIC, MAX_FINGERPRINT_BYTES, Payload, ShardError};

/// An open shard. Everything in it was checked when it was opened; cloning it is cheap behind an `Arc`.
///
/// The file must not be changed while it is open. Shards are replaced by renaming, which leaves an open one as it was.
pub struct Shard {
    map: Mmap,
    payload: Payload,
    n_items: usize,
    n_rows: usize,
}

impl Shard {
    /// Opens a shard and checks all of it, once: header, sizes, index and checksum.
    ///
    /// # Errors
    ///
    /// [`ShardError::Fingerprint`] when something else made it, [`ShardError::Damaged`] when it is not what was written.
    pub fn open(path: &Path, fingerprint: &str) -> Result<Self, ShardError> {
        let io = |source| ShardError::Io {
            path: path.to_path_buf(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        if !file.metadata().map_err(io)?.is_file() {
            return Err(damaged(path, "a folder or device", "a file"));
        }
        let map = map(&file).map_err(io)?;
        let header = Header::read(path, &map)?;
        if header.fingerprint != fingerprint {
            return Err(ShardError::Fingerprint {
                path: path.to_path_buf(),
                found: header.fingerprint.to_owned(),
                expected: fingerprint.to_owned(),
            });
        }
        let (payload, n_items, n_rows, checksum) = (
            header.payload,
            header.n_items,
            header.n_rows,
            header.body_checksum,
        );
        if crc32fast::hash(&map[HEADER_BYTES..]) != checksum {
            return Err(damaged(
                path,
                "a checksum that does not match",
                "the bytes that were written",
            ));
        }
        let shard = Self {
            map,
            payload,
            n_items,
            n_rows,
        };
        let index = shard.index();
        let ordered = index[0] == 0 && index.windows(2).all(|pair| pair[0] <= pair[1]);
        if !ordered || index[n_items] != n_rows as u64 {
            return Err(damaged(
                path,
                "an index out of order",
                "items one after another",
            ));
        }
        Ok(shard)
    }

    /// Opens a shard of features and checks the number of bands.
    pub fn open_features(
        path: &Path,
        fingerprint: &str,
        n_mels: usize,
    ) -> Result<Self, ShardError> {
        Self::open(path, fingerprint)?.expecting(path, Payload::Features { n_mels })
    }

    /// Opens a shard of samples.
    pub fn open_samples(path: &Path, fingerprint: &str) -> Result<Self, ShardError> {
        Self::open(path, fingerprint)?.expecting(path, Payload::Samples)
    }

    fn expecting(self, path: &Path, expected: Payload) -> Result<Self, ShardError> {
        if self.payload == expected {
            return Ok(self);
        }
        Err(ShardError::OtherPayload {
            path: path.to_path_buf(),
            found: self.payload.describe(),
            expected: expected.describe(),
        })
    }

    /// What its rows are.
    pub fn payload(&self) -> Payload {
        self.payload
    }

    /// Items in it.
    pub fn len(&self) -> usize {
        self.n_items
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.n_items == 0
    }

    /// Rows of an item: its frames, or its samples.
    ///
    /// # Panics
    ///
    /// When there is no such item.
    pub fn n_rows(&self, item: usize) -> usize {
        let (start, end) = self.rows(item);
        end - start
    }

    /// The features of an item, frame-major `[n_frames, n_mels]`, and `n_frames`.
    ///
    /// # Panics
    ///
    /// When there is no such item, or the shard holds samples.
    pub fn features(&self, item: usize) -> (&[f32], usize) {
        let Payload::Features { n_mels } = self.payload else {
            panic!("features asked of a shard of samples")
        };
        let (start, end) = self.rows(item);
        let values: &[f32] = bytemuck::cast_slice(self.payload_bytes());
        (&values[start * n_mels..end * n_mels], end - start)
    }

    /// The samples of an item.
    ///
    /// # Panics
    ///
    /// When there is no such item, or the shard holds features.
    pub fn samples(&self, item: usize) -> &[i16] {
        assert!(
            self.payload == Payload::Samples,
            "samples asked of a shard of features"
        );
        let (start, end) = self.rows(item);
        let values: &[i16] = bytemuck::cast_slice(self.payload_bytes());
        &values[start..end]
    }

    fn rows(&self, item: usize) -> (usize, usize) {
        assert!(
            item < self.n_items,
            "item {item} of a shard of {}",
            self.n_items
        );
        let index = self.index();
        (index[item] as usize, index[item + 1] as usize)
    }

    fn payload_bytes(&self) -> &[u8] {
        &self.map[HEADER_BYTES..HEADER_BYTES + self.n_rows * self.payload.row_bytes()]
    }

    fn index(&self) -> &[u64] {
        let start = HEADER_BYTES + (self.n_rows * self.payload.row_bytes()).next_multiple_of(8);
        // Aligned: a map starts on a page, and both header and payload end on a multiple of 8.
        bytemuck::cast_slice(&self.map[start..])
    }
}

#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is read-only, and shards are never written in place: a writer makes a new file and renames it.
    unsafe { Mmap::map(file) }
}

struct Header<'a> {
    payload: Payload,
    n_items: usize,
    n_rows: usize,
    body_checksum: u32,
    fingerprint: &'a str,
}

impl<'a> Header<'a> {
    /// Believes nothing: every size is checked against the length of the file.
    fn read(path: &Path, bytes: &'a [u8]) -> Result<Self, ShardError> {
        let Some((header, body)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(damaged(
                path,
                &format!("{} bytes", bytes.len()),
                "a header of 128 bytes",
            ));
        };
        if header[..8] != MAGIC {
            return Err(damaged(path, "another kind of file", "a shard"));
        }
        let number =
            |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
        let count =
            |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes"));
        if number(8) != FORMAT_VERSION {
            return Err(damaged(
                path,
                &format!("format version {}", number(8)),
                &format!("version {FORMAT_VERSION}"),
            ));
        }
        let mut unsigned = *header;
        unsigned[44..48].fill(0);
        if crc32fast::hash(&unsigned) != number(44) {
            return Err(damaged(
                path,
                "a header that does not match its checksum",
                "the header that was written",
            ));
        }
        let payload = match (number(12), number(16) as usize) {
            (1, n_mels @ 1..=65_536) => Payload::Features { n_mels },
            (2, 1) => Payload::Samples,
            (kind, width) => {
                return Err(damaged(
                    path,
                    &format!("payload kind {kind} of width {width}"),
                    "features or samples",
                ));
            }
        };
        // Counts beyond what the file could hold end here, before anything is computed from them.
        let (n_items, n_rows) = (count(24), count(32));
        let expected = n_rows
            .checked_mul(payload.row_bytes() as u64)
            .and_then(|payload_bytes| payload_bytes.checked_next_multiple_of(8))
            .and_then(|bytes| bytes.checked_add(n_items.checked_add(1)?.checked_mul(8)?));
        if expected != Some(body.len() as u64) {
            let expected = expected.map_or("an impossible number".to_owned(), |n| n.to_string());
            return Err(damaged(
                path,
                &format!("{} bytes after the header", body.len()),
                &format!("{expected} bytes"),
            ));
        }
        let fingerprint = header[48..48 + MAX_FINGERPRINT_BYTES]
            .get(..number(20) as usize)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .ok_or_else(|| {
                damaged(
                    path,
                    "a fingerprint that is not text",
                    "at most 64 bytes of text",
                )
            })?;
        Ok(Self {
            payload,
            n_items: n_items as usize,
            n_rows: n_rows as usize,
            body_checksum: number(40),
            fingerprint,
        })
    }
}

fn damaged(path: &Path, found: &str, expected: &str) -> ShardError {
    ShardError::Damaged {
        path: path.to_path_buf(),
        found: found.to_owned(),
        expected: expected.to_owned(),
    }
}
