//! Damage to the bytes of a file, for the tests that open files of strangers: what can be done to bytes, and a
//! configuration that draws it from a fixed seed. Which damage is likely is each test's own.

use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed};

/// `AURICLE_FUZZ_SEED` takes another seed, and `AURICLE_SLOW` many more cases.
pub(crate) fn config(n_cases: u32, n_slow_cases: u32, base: Config) -> Config {
    let seed = std::env::var("AURICLE_FUZZ_SEED").ok();
    let is_slow = std::env::var_os("AURICLE_SLOW").is_some();
    Config {
        cases: if is_slow { n_slow_cases } else { n_cases },
        rng_seed: RngSeed::Fixed(seed.and_then(|seed| seed.parse().ok()).unwrap_or(5)),
        ..base
    }
}

/// One thing done to bytes.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Byte(Index, u8),
    Bit(Index, u8),
    /// The lowest bytes of an integer over what was there.
    Integer {
        at: Index,
        value: u64,
        /// 1 to 8.
        n_bytes: usize,
        is_big_endian: bool,
    },
    Cut(Index),
    Remove(Index, usize),
    Repeat(Index, usize),
}

impl Change {
    /// Does it to a place within the first `reach` bytes.
    pub(crate) fn apply(&self, bytes: &mut Vec<u8>, reach: usize) {
        let reach = reach.min(bytes.len());
        if reach == 0 {
            return;
        }
        match self {
            Self::Byte(at, byte) => bytes[at.index(reach)] = *byte,
            Self::Bit(at, bit) => bytes[at.index(reach)] ^= 1 << bit,
            Self::Integer {
                at,
                value,
                n_bytes,
                is_big_endian,
            } => {
                let at = at.index(reach);
                let n = (*n_bytes).min(bytes.len() - at);
                let eight = if *is_big_endian {
                    (value << (8 * (8 - n))).to_be_bytes()
                } else {
                    value.to_le_bytes()
                };
                bytes[at..at + n].copy_from_slice(&eight[..n]);
            }
            Self::Cut(at) => bytes.truncate(at.index(reach)),
            Self::Remove(at, n) => {
                let at = at.index(reach);
                let end = (at + n).min(bytes.len());
                bytes.drain(at..end);
            }
            Self::Repeat(at, n) => {
                let at = at.index(reach);
                let end = (at + n).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
}
