//! An archive, unpacked into a new folder of its own, in bounded space.
//!
//! No entry is believed: a name that leads out of the folder, a link, a device, too many entries or too many bytes end
//! the work with an error and keep nothing. What programs of one maker add for themselves (`__MACOSX`, `._*`,
//! `.DS_Store`) is passed over. Names are taken as they are, permissions and times are not.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::rules::size;
use super::{FetchError, Rules, Watch};
use crate::card::{ArchiveFormat, ArchiveSpec};

/// Folders inside folders, at the most.
const MAX_DEPTH: usize = 24;

/// Bytes of one part of a name, at the most: what file systems take.
const MAX_NAME_BYTES: usize = 255;

/// Bytes between two looks at the free space.
const SPACE_EVERY_BYTES: u64 = 64 << 20;

/// What came out.
pub(super) struct Unpacked {
    pub n_files: u64,
    pub n_bytes: u64,
}

/// Unpacks `file` into `folder`, which is made here.
pub(super) fn unpack(
    file: &Path,
    archive: &ArchiveSpec,
    folder: &Path,
    rules: &Rules,
    watch: &dyn Watch,
) -> Result<Unpacked, FetchError> {
    let opened = File::open(file).map_err(FetchError::io(file))?;
    let archive_bytes = opened.metadata().map_err(FetchError::io(file))?.len();
    let by_ratio = archive_bytes
        .saturating_mul(rules.max_ratio)
        .max(rules.small_bytes);
    fs::create_dir_all(folder).map_err(FetchError::io(folder))?;
    let mut out = Out {
        file,
        folder,
        rules,
        watch,
        what: format!("unpacking {}", archive.file),
        archive_bytes,
        max_bytes: archive.unpacked_bytes.unwrap_or(by_ratio),
        n_entries: 0,
        n_files: 0,
        n_bytes: 0,
        next_space_check: 0,
    };
    match archive.format {
        ArchiveFormat::TarGz => tar_gz(opened, &mut out)?,
        ArchiveFormat::Zip => zip(opened, &mut out)?,
    }
    if out.n_files == 0 {
        return Err(out.damaged("found no file in it"));
    }
    Ok(Unpacked {
        n_files: out.n_files,
        n_bytes: out.n_bytes,
    })
}

/// Where entries go, and how much has gone there.
struct Out<'a> {
    file: &'a Path,
    folder: &'a Path,
    rules: &'a Rules,
    watch: &'a dyn Watch,
    what: String,
    archive_bytes: u64,
    max_bytes: u64,
    n_entries: u64,
    n_files: u64,
    n_bytes: u64,
    next_space_check: u64,
}

impl Out<'_> {
    fn damaged(&self, message: impl ToString) -> FetchError {
        FetchError::Damaged {
            path: self.file.to_path_buf(),
            message: message.to_string(),
        }
    }

    fn unsafe_entry(&self, entry: &[u8], what: &'static str) -> FetchError {
        FetchError::Unsafe {
            path: self.file.to_path_buf(),
            entry: String::from_utf8_lossy(entry).into_owned(),
            what,
        }
    }

    /// Called before each entry.
    fn count_entry(&mut self) -> Result<(), FetchError> {
        if self.watch.stopped() {
            return Err(FetchError::Stopped);
        }
        self.n_entries += 1;
        if self.n_entries > self.rules.max_entries {
            return Err(FetchError::TooLarge {
                path: self.file.to_path_buf(),
                limit: format!("{} entries", self.rules.max_entries),
            });
        }
        Ok(())
    }

    /// The path of an entry inside the folder; `None` for the folder itself and for what is passed over.
    fn place(&self, name: &[u8]) -> Result<Option<PathBuf>, FetchError> {
        let Ok(text) = std::str::from_utf8(name) else {
            return Err(self.unsafe_entry(name, "whose name is not UTF-8"));
        };
        if text.contains(['\\', ':', '\0']) || text.chars().any(char::is_control) {
            return Err(self.unsafe_entry(name, "whose name no file system should have to take"));
        }
        let mut place = PathBuf::new();
        for part in Path::new(text).components() {
            match part {
                Component::Normal(part) if part.len() > MAX_NAME_BYTES => {
                    return Err(self.unsafe_entry(name, "whose name is too long"));
                }
                Component::Normal(part) => place.push(part),
                Component::CurDir => {}
                Component::ParentDir => {
                    return Err(self.unsafe_entry(name, "which leads out of its folder"));
                }
                Component::RootDir | Component::Prefix(_) => {
                    return Err(self.unsafe_entry(name, "whose name is absolute"));
                }
            }
        }
        if place.components().count() > MAX_DEPTH {
            return Err(self.unsafe_entry(name, "which lies too deep"));
        }
        let is_for_finder = place.iter().any(|part| {
            part == "__MACOSX" || part == ".DS_Store" || part.as_encoded_bytes().starts_with(b"._")
        });
        Ok((!is_for_finder && place.iter().next().is_some()).then(|| self.folder.join(place)))
    }

    fn make_folder(&self, place: &Path) -> Result<(), FetchError> {
        fs::create_dir_all(place).map_err(FetchError::io(place))
    }

    /// Writes one file, as long as it fits; `declared` bytes are what its header promised.
    fn write(
        &mut self,
        place: &Path,
        declared: u64,
        content: &mut dyn Read,
    ) -> Result<(), FetchError> {
        if let Some(parent) = place.parent() {
            self.make_folder(parent)?;
        }
        let created = File::create(place).map_err(FetchError::io(place))?;
        let mut written = BufWriter::with_capacity(1 << 16, created);
        let (mut buffer, mut n_here) = (vec![0; 1 << 16], 0);
        loop {
            if self.n_bytes >= self.next_space_check {
                self.rules.check_space(self.folder, 0)?;
                self.next_space_check = self.n_bytes + SPACE_EVERY_BYTES;
            }
            let n_read = content
                .read(&mut buffer)
                .map_err(|error| self.damaged(error))?;
            if n_read == 0 {
                break;
            }
            n_here += n_read as u64;
            self.n_bytes += n_read as u64;
            if self.n_bytes > self.max_bytes {
                return Err(FetchError::TooLarge {
                    path: self.file.to_path_buf(),
                    limit: size(self.max_bytes),
                });
            }
            written
                .write_all(&buffer[..n_read])
                .map_err(FetchError::io(place))?;
        }
        written.flush().map_err(FetchError::io(place))?;
        if n_here != declared {
            let name = place.strip_prefix(self.folder).unwrap_or(place).display();
            return Err(self.damaged(format!(
                "found {n_here} bytes of {name}, whose header says {declared}"
            )));
        }
        self.n_files += 1;
        Ok(())
    }
}

/// Counts what a decoder takes in, and refuses to give out more than may be in the archive: a header can be a bomb too.
struct Bounded<R> {
    inner: R,
    n_left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_read = self.inner.read(buffer)?;
        self.n_left = self
            .n_left
            .checked_sub(n_read as u64)
            .ok_or_else(|| io::Error::other("it grows beyond what its files may hold"))?;
        Ok(n_read)
    }
}

fn tar_gz(file: File, out: &mut Out) -> Result<(), FetchError> {
    let taken = std::cell::Cell::new(0);
    let counted = Counted {
        inner: file,
        taken: &taken,
    };
    // Headers, padding and the end of a tar, on top of the files.
    let n_left = out
        .max_bytes
        .saturating_add(out.max_bytes / 2)
        .saturating_add(64 << 20);
    let mut tar = tar::Archive::new(Bounded {
        inner: MultiGzDecoder::new(counted),
        n_left,
    });
    for entry in tar.entries().map_err(|error| out.damaged(error))? {
        let mut entry = entry.map_err(|error| out.damaged(error))?;
        out.count_entry()?;
        out.watch
            .progress(taken.get(), Some(out.archive_bytes), &out.what);
        let name = entry.path_bytes().into_owned();
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            continue;
        }
        let place = out.place(&name)?;
        match (place, kind) {
            (place, kind) if kind.is_dir() => {
                place.map_or(Ok(()), |place| out.make_folder(&place))?;
            }
            (Some(place), kind) if kind.is_file() || kind.is_contiguous() => {
                let declared = entry.size();
                out.write(&place, declared, &mut entry)?;
            }
            (None, kind) if kind.is_file() => {}
            (_, kind) if kind.is_symlink() || kind.is_hard_link() => {
                return Err(out.unsafe_entry(&name, "a link"));
            }
            _ => return Err(out.unsafe_entry(&name, "which is neither file nor folder")),
        }
    }
    // To the end of the compressed stream, where its own sum is checked.
    let mut rest = tar.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(|error| out.damaged(error))?;
    Ok(())
}

struct Counted<'a, R> {
    inner: R,
    taken: &'a std::cell::Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_read = self.inner.read(buffer)?;
        self.taken.set(self.taken.get() + n_read as u64);
        Ok(n_read)
    }
}

fn zip(file: File, out: &mut Out) -> Result<(), FetchError> {
    let mut zip = zip::ZipArchive::new(BufReader::with_capacity(1 << 16, file))
        .map_err(|error| out.damaged(error))?;
    let (archive_bytes, mut taken) = (out.archive_bytes, 0);
    for at in 0..zip.len() {
        out.count_entry()?;
        out.watch.progress(taken, Some(archive_bytes), &out.what);
        let mut entry = zip.by_index(at).map_err(|error| out.damaged(error))?;
        taken += entry.compressed_size();
        let name = entry.name_raw().to_vec();
        if entry.is_symlink() {
            return Err(out.unsafe_entry(&name, "a link"));
        }
        if entry.encrypted() {
            return Err(out.unsafe_entry(&name, "which is encrypted"));
        }
        let Some(place) = out.place(&name)? else {
            continue;
        };
        if entry.is_dir() {
            out.make_folder(&place)?;
        } else {
            let declared = entry.size();
            out.write(&place, declared, &mut entry)?;
        }
    }
    Ok(())
}
