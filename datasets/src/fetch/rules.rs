//! How patient a download is, and how much of the disk it leaves alone.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::FetchError;

/// Patience and bounds.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Tries of one mirror in a row that bring nothing new before the next mirror is asked.
    pub n_fruitless: usize,
    /// How often all mirrors are gone through.
    pub n_rounds: usize,
    /// Waiting before a second try; it doubles with each, up to a minute.
    pub pause: Duration,
    /// How long a connection may take to come about, and how long an answer.
    pub answer_timeout: Duration,
    /// How long nothing may come through an open connection.
    pub silence_timeout: Duration,
    /// Free bytes that are never used up.
    pub reserve_bytes: u64,
    /// An archive of unknown content may unpack to this many times its size (or to `small_bytes`, if that is more).
    pub max_ratio: u64,
    /// What any archive may unpack to.
    pub small_bytes: u64,
    /// Entries an archive may have.
    pub max_entries: u64,
    /// Asks the system how many bytes are free at a path.
    pub free_bytes: fn(&Path) -> io::Result<u64>,
}

impl Rules {
    /// For archives of gigabytes over lines that break.
    pub fn patient() -> Self {
        Self {
            n_fruitless: 4,
            n_rounds: 2,
            pause: Duration::from_secs(2),
            answer_timeout: Duration::from_secs(60),
            silence_timeout: Duration::from_secs(60),
            reserve_bytes: 256 << 20,
            max_ratio: 20,
            small_bytes: 256 << 20,
            max_entries: 30_000_000,
            free_bytes: |path| fs4::available_space(path),
        }
    }

    /// Refuses to go on where these bytes and the reserve do not fit. Where the system cannot say, it goes on.
    pub(super) fn check_space(&self, path: &Path, n_bytes: u64) -> Result<(), FetchError> {
        let needed_bytes = n_bytes.saturating_add(self.reserve_bytes);
        match (self.free_bytes)(path) {
            Ok(free_bytes) if free_bytes < needed_bytes => Err(FetchError::Space {
                path: path.to_path_buf(),
                free_bytes,
                needed_bytes,
            }),
            _ => Ok(()),
        }
    }
}

/// `1.4 GB`: bytes as disks and networks count them.
pub fn size(n_bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = n_bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{n_bytes} B")
    } else {
        format!("{value:.1} {}", units[unit])
    }
}
