//! Which files of a folder are audio, by name alone.

use std::fs;
use std::path::{Path, PathBuf};

use super::{BACKGROUND_NOISE, CorpusError};

/// Extensions of sound. A file is not opened to find out: text named `.wav` is for ingestion to reject.
const AUDIO_EXTENSIONS: [&str; 22] = [
    "aac", "adts", "aif", "aifc", "aiff", "au", "caf", "flac", "m4a", "mka", "mp1", "mp2", "mp3",
    "mp4", "oga", "ogg", "opus", "snd", "w64", "wav", "wave", "webm",
];

/// Folders inside folders are followed this far, so that a link to a parent folder comes to an end.
const DEEPEST: usize = 8;

fn is_audio(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| {
            AUDIO_EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())
        })
}

/// The names of the folders under the root that are words: not hidden ones, not the noise folder. Sorted.
pub(super) fn class_folders(root: &Path) -> Result<Vec<String>, CorpusError> {
    let mut words = Vec::new();
    for (path, is_folder) in entries(root)? {
        let name = path.file_name().unwrap_or_default();
        if is_folder && name != BACKGROUND_NOISE {
            words.push(
                name.to_str()
                    .ok_or(CorpusError::NameNotUtf8 { path: path.clone() })?
                    .to_owned(),
            );
        }
    }
    words.sort();
    Ok(words)
}

/// The audio files of every class folder under the root, relative to it and sorted, each with its folder's name.
pub fn labelled_files(root: &Path) -> Result<Vec<(PathBuf, String)>, CorpusError> {
    let mut found = Vec::new();
    for word in class_folders(root)? {
        let files = audio_files(&root.join(&word))?;
        found.extend(
            files
                .into_iter()
                .map(|file| (Path::new(&word).join(file), word.clone())),
        );
    }
    Ok(found)
}

/// The audio files in a folder and the folders inside it, relative to it and sorted. Of a name that is not UTF-8 the path has
/// U+FFFD for what cannot be read: lists cannot hold it, no such file is found, and this file alone is lost.
pub fn audio_files(folder: &Path) -> Result<Vec<PathBuf>, CorpusError> {
    fn walk(
        folder: &Path,
        inside: &Path,
        depth: usize,
        files: &mut Vec<PathBuf>,
    ) -> Result<(), CorpusError> {
        for (path, is_folder) in entries(folder)? {
            let name = path.file_name().expect("an entry of a folder has a name");
            let inside = inside.join(&*name.to_string_lossy());
            if is_folder {
                if depth < DEEPEST {
                    walk(&path, &inside, depth + 1, files)?;
                }
            } else if is_audio(&path) {
                files.push(inside);
            }
        }
        Ok(())
    }
    let mut files = Vec::new();
    walk(folder, Path::new(""), 0, &mut files)?;
    files.sort();
    Ok(files)
}

/// What is in a folder and not hidden, and whether it is a folder. Links count as what they lead to.
fn entries(folder: &Path) -> Result<Vec<(PathBuf, bool)>, CorpusError> {
    let fault = |path: &Path| {
        let path = path.to_path_buf();
        move |source| CorpusError::Io { path, source }
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault(folder))? {
        let entry = entry.map_err(fault(folder))?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let mut kind = entry.file_type().map_err(fault(&path))?;
        if kind.is_symlink() {
            // A link that leads nowhere is reported as the file it should have been.
            match fs::metadata(&path) {
                Ok(metadata) => kind = metadata.file_type(),
                Err(_) => {
                    found.push((path, false));
                    continue;
                }
            }
        }
        if kind.is_dir() || kind.is_file() {
            found.push((path, kind.is_dir()));
        }
    }
    Ok(found)
}
