//! From the folder where an archive was unpacked to its place among what is there: by renaming, so that no file is ever
//! seen half-written.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

use super::FetchError;

/// Moves all that is in `from` into `into`; a file of the same name is replaced, folders are joined.
///
/// # Errors
///
/// What the system says; a link where a folder should go, since it could lead anywhere.
pub(super) fn merge(from: &Path, into: &Path) -> Result<(), FetchError> {
    fs::create_dir_all(into).map_err(FetchError::io(into))?;
    for entry in fs::read_dir(from).map_err(FetchError::io(from))? {
        let entry = entry.map_err(FetchError::io(from))?;
        let (source, place) = (entry.path(), into.join(entry.file_name()));
        let there = fs::symlink_metadata(&place).map(|metadata| metadata.file_type());
        let is_folder = entry.file_type().map_err(FetchError::io(&source))?.is_dir();
        match there {
            Ok(there) if there.is_symlink() || is_folder != there.is_dir() => {
                let found = if there.is_symlink() {
                    "a link in the way of a file or folder of the archive"
                } else {
                    "a file in the way of a folder of the archive, or a folder in that of a file"
                };
                return Err(FetchError::io(&place)(std::io::Error::other(found)));
            }
            Ok(_) if is_folder => merge(&source, &place)?,
            _ => fs::rename(&source, &place).map_err(FetchError::io(&place))?,
        }
    }
    Ok(())
}

/// That no file in `into` would be replaced by another one of `from`.
///
/// # Errors
///
/// [`FetchError::InTheWay`] with the first that would.
pub(super) fn check(from: &Path, into: &Path) -> Result<(), FetchError> {
    for entry in fs::read_dir(from).map_err(FetchError::io(from))? {
        let entry = entry.map_err(FetchError::io(from))?;
        let (source, place) = (entry.path(), into.join(entry.file_name()));
        if source.is_dir() {
            check(&source, &place)?;
        } else if place.is_file() && !is_same(&source, &place)? {
            return Err(FetchError::InTheWay { path: place });
        }
    }
    Ok(())
}

fn is_same(one: &Path, other: &Path) -> Result<bool, FetchError> {
    let open = |path: &Path| -> Result<(u64, _), FetchError> {
        let file = File::open(path).map_err(FetchError::io(path))?;
        let n_bytes = file.metadata().map_err(FetchError::io(path))?.len();
        Ok((n_bytes, BufReader::new(file).bytes()))
    };
    let ((n_one, one), (n_other, other)) = (open(one)?, open(other)?);
    Ok(n_one == n_other && one.zip(other).all(|(a, b)| a.ok() == b.ok()))
}
