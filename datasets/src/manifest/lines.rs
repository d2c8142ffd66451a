//! JSON lines, one after the other: a list of a million files is never there as text.

use std::io::BufRead;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::ManifestError;

/// The objects of a list with the lines they stand on, from 1. Empty lines are passed over; `path` is for the errors.
pub(super) fn json_lines<T: DeserializeOwned>(
    path: &Path,
    mut text: impl BufRead,
    expected: &str,
) -> impl Iterator<Item = Result<(u64, T), ManifestError>> {
    let (mut line, mut bytes) = (0, Vec::new());
    std::iter::from_fn(move || {
        loop {
            bytes.clear();
            match text.read_until(b'\n', &mut bytes) {
                Ok(0) => return None,
                Ok(_) => line += 1,
                Err(source) => return Some(Err(ManifestError::io(path, source))),
            }
            if !bytes.trim_ascii().is_empty() {
                return Some(parsed(path, line, &bytes, expected));
            }
        }
    })
}

fn parsed<T: DeserializeOwned>(
    path: &Path,
    line: u64,
    bytes: &[u8],
    expected: &str,
) -> Result<(u64, T), ManifestError> {
    let text = str::from_utf8(bytes).map_err(|_| ManifestError::not_utf8(path, line))?;
    let row = serde_json::from_str(text).map_err(|error| {
        // serde counts lines within the one line it sees, which would only mislead.
        let said = error.to_string();
        let said = said.split(" at line ").next().unwrap_or_default();
        let found = format!("{said} (column {})", error.column());
        ManifestError::row(path, line, found, expected)
    })?;
    Ok((line, row))
}
