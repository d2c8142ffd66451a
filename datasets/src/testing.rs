//! Where tests find real speech, if it is there.

use std::path::PathBuf;

/// A path inside the folder of shared development data, or `None` with a printed reason.
///
/// The folder is `$AURICLE_SHARED`, or `shared` beside the repository.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("AURICLE_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| {
            std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"))
                .join("../../shared")
        });
    let full = folder.join(path);
    if full.exists() {
        Some(full)
    } else {
        eprintln!(
            "skipped: {} is not there (AURICLE_SHARED names the folder of development data)",
            full.display()
        );
        None
    }
}
