//! One ingestion at a time in a folder, whatever processes there are.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use super::{IngestError, Watch};

/// Held while a folder is filled; the system gives it back when a process ends, however it does.
pub(super) struct Lock {
    _folder: Option<File>,
}

impl Lock {
    /// Waits until nobody else fills the folder, which must be there.
    ///
    /// # Errors
    ///
    /// [`IngestError::Stopped`].
    pub fn take(into: &Path, watch: &dyn Watch) -> Result<Self, IngestError> {
        // Nothing is left in the folder. Windows opens no folders: there nobody waits.
        let Ok(folder) = File::open(into) else {
            return Ok(Self { _folder: None });
        };
        loop {
            match folder.try_lock() {
                Ok(()) => {
                    return Ok(Self {
                        _folder: Some(folder),
                    });
                }
                // Nor do some network file systems know locks.
                Err(TryLockError::Error(_)) => return Ok(Self { _folder: None }),
                Err(TryLockError::WouldBlock) if watch.stopped() => {
                    return Err(IngestError::Stopped);
                }
                Err(TryLockError::WouldBlock) => {
                    watch.progress(0, 1, "waiting for another process that ingests here");
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
        }
    }
}
