//! Headers of strangers: whatever was done to the beginning of a sound file, reading it ends with finite
//! samples or with words, holds little memory at a time, and makes no hours out of half a second.
//!
//! Damage is drawn from a fixed seed, so a run is the same everywhere; `AURICLE_FUZZ_SEED` takes another one
//! and `AURICLE_SLOW` many more. What once failed is kept in `proptest-regressions/` and tried first.

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::Config;

use super::*;
use crate::allocations::most_bytes;
use crate::damage::{self, Change};

/// Half of all damage goes here: headers are short.
const HEADER_BYTES: usize = 96;
/// What reading may hold at a time: decoders' tables, packets, and the resampler's filter, which from a rate that
/// shares no divisor with ours takes most: 130 MB from 767,999 Hz.
const MOST_BYTES: u64 = 192 << 20;
/// Longest sound that may come of a file of half a second: at the lowest rate that is taken, with FLAC's frames
/// of silence.
const MOST_S: f64 = 120.0;

fn config() -> Config {
    let base = Config {
        max_shrink_iters: 500,
        ..Config::default()
    };
    damage::config(250, 5_000, base)
}

fn change() -> impl Strategy<Value = Change> {
    let integer = prop_oneof![
        Just(0),
        Just(u32::MAX),
        Just(1 << 31),
        Just((1 << 31) - 1),
        any::<u32>(),
        0..70_000u32
    ];
    let n_bytes = prop_oneof![Just(2usize), Just(4)];
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        3 => (any::<Index>(), integer, n_bytes, any::<bool>())
            .prop_map(|(at, value, n_bytes, is_big_endian)| Change::Integer {
                at,
                value: value.into(),
                n_bytes,
                is_big_endian,
            }),
        1 => any::<Index>().prop_map(Change::Cut),
        1 => (any::<Index>(), 1..40usize).prop_map(|(at, n)| Change::Remove(at, n)),
        1 => (any::<Index>(), 1..40usize).prop_map(|(at, n)| Change::Repeat(at, n)),
    ]
}

/// Half a second of a tone in the formats that can be written by hand, and what recordings there are.
fn originals() -> &'static [(String, Vec<u8>)] {
    static ORIGINALS: std::sync::OnceLock<Vec<(String, Vec<u8>)>> = std::sync::OnceLock::new();
    ORIGINALS.get_or_init(|| {
        let (_folder, _, wav) = made::small_wav();
        let mut all = vec![
            ("wav".to_owned(), wav),
            ("au".to_owned(), made::small_au(16_000)),
            ("aiff".to_owned(), made::small_aiff()),
        ];
        let recordings = shared_data().map(|data| data.join("formats/good"));
        for (name, _) in recordings.iter().flat_map(|_| &GOOD) {
            let folder = recordings.as_ref().expect("there are some");
            all.push(((*name).to_owned(), fs::read(folder.join(name)).unwrap()));
        }
        all
    })
}

/// Reads all of it in small pieces, as a program does that listens.
fn hear(path: &Path) -> Result<f64, TestCaseError> {
    let mut n_samples = 0usize;
    let listen = || -> Result<bool, AudioError> {
        let mut reader = AudioReader::open(path, RATE_HZ)?;
        let mut samples = Vec::new();
        let mut all_finite = true;
        loop {
            let is_more = reader.read(&mut samples)?;
            all_finite &= samples.iter().all(|sample| sample.is_finite());
            n_samples += samples.len();
            samples.clear();
            if !is_more || n_samples as f64 > MOST_S * f64::from(RATE_HZ) {
                return Ok(all_finite);
            }
        }
    };
    let (heard, held) = most_bytes(listen);
    prop_assert!(held <= MOST_BYTES, "{held} bytes at a time");
    match heard {
        Ok(all_finite) => prop_assert!(all_finite, "a sample that is no number"),
        Err(error) => prop_assert!(!error.to_string().is_empty()),
    }
    Ok(n_samples as f64 / f64::from(RATE_HZ))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_header_that_lies_ends_in_samples_or_words(
        which in any::<Index>(),
        changes in prop::collection::vec(change(), 1..5),
        in_header in any::<bool>(),
    ) {
        let (name, original) = which.get(originals());
        let mut bytes = original.clone();
        let reach = if in_header { HEADER_BYTES } else { usize::MAX };
        for change in &changes {
            change.apply(&mut bytes, reach);
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mangled");
        fs::write(&path, &bytes).unwrap();
        let seconds = hear(&path)?;
        prop_assert!(seconds <= MOST_S, "{name}: {seconds} s and no end");
    }

    #[test]
    fn noise_behind_a_magic_number_ends_in_words(
        magic in prop::sample::select(MAGICS),
        noise in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("noise");
        fs::write(&path, [magic, &noise[..]].concat()).unwrap();
        prop_assert!(hear(&path)? <= MOST_S);
    }
}

const MAGICS: &[&[u8]] = &[
    b"",
    b"RIFF\x24\x10\0\0WAVEfmt ",
    b"RIFX\0\0\0\x24WAVEfmt ",
    b"RF64\xff\xff\xff\xffWAVEds64",
    b"FORM\0\0\x10\0AIFFCOMM",
    b"FORM\0\0\x10\0AIFCFVER",
    b".snd\0\0\0\x18",
    b"fLaC\0\0\0\x22",
    b"OggS\0\x02",
    b"ID3\x04\0\0\0\0\x02\0",
    b"\xff\xfb\x90\x64",
    b"\0\0\0\x20ftypM4A \0\0\0\0",
    b"caff\0\x01\0\0desc",
    b"\x1a\x45\xdf\xa3",
];

#[test]
fn what_was_not_changed_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in originals() {
        let path = folder.path().join("whole");
        fs::write(&path, bytes).unwrap();
        let seconds = hear(&path).unwrap();
        let is_refused = name.ends_with("opus") || name.ends_with("webm");
        let is_refused = is_refused && seconds == 0.0;
        assert!(
            is_refused || (0.4..1.3).contains(&seconds),
            "{name}: {seconds} s"
        );
    }
}
