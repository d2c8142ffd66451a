//! What the bytes of an archive add up to, and whether that is what the card says.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use md5::Md5;
use sha2::{Digest, Sha256};

use super::{FetchError, Watch};
use crate::card::{ArchiveSpec, Checksum};

/// Length and sum of a file.
pub(super) struct Sums {
    pub n_bytes: u64,
    pub sha256: String,
    md5: Option<String>,
}

impl Sums {
    /// Reads the whole file. MD5 is worked out only where the card has one.
    pub(super) fn of(
        file: &Path,
        archive: &ArchiveSpec,
        watch: &dyn Watch,
    ) -> Result<Self, FetchError> {
        let mut reader = File::open(file).map_err(FetchError::io(file))?;
        let total = reader.metadata().map_err(FetchError::io(file))?.len();
        let what = format!("checking {}", archive.file);
        let mut sha256 = Sha256::new();
        let mut md5 = matches!(archive.checksum, Checksum::Md5 { .. }).then(Md5::new);
        let (mut buffer, mut n_bytes) = (vec![0; 1 << 18], 0);
        loop {
            if watch.stopped() {
                return Err(FetchError::Stopped);
            }
            let n_read = reader.read(&mut buffer).map_err(FetchError::io(file))?;
            if n_read == 0 {
                break;
            }
            sha256.update(&buffer[..n_read]);
            if let Some(md5) = &mut md5 {
                md5.update(&buffer[..n_read]);
            }
            n_bytes += n_read as u64;
            watch.progress(n_bytes, Some(total), &what);
        }
        Ok(Self {
            n_bytes,
            sha256: hex::encode(sha256.finalize()),
            md5: md5.map(|md5| hex::encode(md5.finalize())),
        })
    }

    /// What is wrong with it: what was found and what was expected.
    pub(super) fn fault(&self, archive: &ArchiveSpec) -> Option<(String, String)> {
        if let Some(expected) = archive.n_bytes.filter(|&n_bytes| n_bytes != self.n_bytes) {
            return Some((
                format!("{} bytes", self.n_bytes),
                format!("{expected} bytes"),
            ));
        }
        let (kind, found, expected) = match &archive.checksum {
            Checksum::Sha256 { hex } => ("sha256", Some(&self.sha256), hex),
            Checksum::Md5 { hex } => ("md5", self.md5.as_ref(), hex),
            Checksum::Unknown => return None,
        };
        let found = found.map_or("", String::as_str);
        (found != expected).then(|| (format!("{kind} {found}"), format!("{kind} {expected}")))
    }
}

/// The sums of a file that is there already.
///
/// # Errors
///
/// [`FetchError::NotTheArchive`] where they are not the card's.
pub(super) fn check(
    file: &Path,
    archive: &ArchiveSpec,
    watch: &dyn Watch,
) -> Result<Sums, FetchError> {
    let sums = Sums::of(file, archive, watch)?;
    match sums.fault(archive) {
        None => Ok(sums),
        Some((found, expected)) => Err(FetchError::NotTheArchive {
            path: file.to_path_buf(),
            found,
            expected,
        }),
    }
}
