//! A file that is whole or absent: written beside its place, then renamed into it.
//!
//! A process killed half-way leaves at most a `*.partial` file, never a half-written file under the final name.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Whether the bytes must be on the disk before the name is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Durability {
    /// Survives a power cut: synced before the rename.
    Synced,
    /// Survives a killed process; for the many files that can be made again and are checked when found.
    Quick,
}

/// A file being written. Dropped without [`PartialFile::finish`], it is removed.
pub(crate) struct PartialFile {
    path: PathBuf,
    temporary: PathBuf,
    file: Option<BufWriter<File>>,
}

impl PartialFile {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut name = OsString::from(path.file_name().ok_or(io::ErrorKind::InvalidFilename)?);
        name.push(format!(
            ".{}-{}.partial",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        let temporary = path.with_file_name(name);
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&temporary)?;
        Ok(Self {
            path: path.to_path_buf(),
            temporary,
            file: Some(BufWriter::with_capacity(1 << 16, file)),
        })
    }

    pub(crate) fn writer(&mut self) -> &mut BufWriter<File> {
        self.file
            .as_mut()
            .expect("the file is there until finish takes it")
    }

    /// The file from its start on, to be read back.
    pub(crate) fn rewound(&mut self) -> io::Result<&mut File> {
        // A seek writes out what is still in memory.
        self.writer().rewind()?;
        Ok(self.writer().get_mut())
    }

    pub(crate) fn finish(mut self, durability: Durability) -> io::Result<()> {
        let writer = self.file.take().expect("finish runs once");
        let finished = writer
            .into_inner()
            .map_err(|e| e.into_error())
            .and_then(|file| {
                if durability == Durability::Synced {
                    file.sync_all()?;
                }
                drop(file);
                fs::rename(&self.temporary, &self.path)
            });
        if finished.is_err() {
            let _ = fs::remove_file(&self.temporary);
        } else if durability == Durability::Synced {
            sync_folder(&self.path);
        }
        finished
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Makes the rename itself durable where the system lets a folder be synced.
fn sync_folder(path: &Path) {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// Writes a whole file or leaves what was there.
pub(crate) fn write_whole(
    path: &Path,
    durability: Durability,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut partial = PartialFile::create(path)?;
    fill(partial.writer())?;
    partial.writer().flush()?;
    partial.finish(durability)
}

/// Writes these bytes as a whole file, on the disk before the name is, or leaves what was there.
///
/// # Errors
///
/// What the system says of the folder, the space or the path.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_whole(path, Durability::Synced, |out| out.write_all(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.txt");
        fs::write(&path, "old").unwrap();
        let failed = write_whole(&path, Durability::Synced, |out| {
            out.write_all(b"half of the new")?;
            Err(io::Error::other("the disk went away"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        write_whole(&path, Durability::Quick, |out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
