//! What a user hears of a file, and is told of a bad one.

use std::fs;
use std::path::{Path, PathBuf};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

mod fuzz;
mod made;

const RATE_HZ: u32 = 16_000;

/// The folder of real recordings, or `None` with a word on why the test does nothing.
fn shared_data() -> Option<PathBuf> {
    let shared = std::env::var_os("AURICLE_SHARED").map_or_else(
        || {
            std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"))
                .join("../shared")
        },
        PathBuf::from,
    );
    let data = shared.join("data");
    if data.join("formats/expected.tsv").is_file() {
        return Some(data);
    }
    eprintln!(
        "skipped: no recordings at {} (set AURICLE_SHARED)",
        data.display()
    );
    None
}

fn rms(samples: &[f32]) -> f64 {
    (samples
        .iter()
        .map(|&s| f64::from(s) * f64::from(s))
        .sum::<f64>()
        / samples.len().max(1) as f64)
        .sqrt()
}

/// What `decode` makes of a file, and how many seconds can be heard of it nonetheless.
#[derive(Debug)]
enum Outcome {
    /// Decodes to this many seconds.
    Whole(f64),
    /// Refused for this reason; but this many seconds can be heard.
    Part(&'static str, f64),
    /// Refused for this reason, nothing can be heard.
    Refused(&'static str),
}

use Outcome::{Part, Refused, Whole};

/// The word "computer" of 17,271 samples: what every file in `good` was made from.
const WORD_S: f64 = 17_271.0 / 16_000.0;

/// Seconds from `expected.tsv`; for the MP3s the true length, as their encoder delay is taken out.
const GOOD: [(&str, Outcome); 30] = [
    ("computer_11025_pcm16.wav", Whole(WORD_S)),
    ("computer_16k.aiff", Whole(WORD_S)),
    ("computer_16k.au", Whole(WORD_S)),
    ("computer_16k.flac", Whole(WORD_S)),
    ("computer_16k.m4a", Whole(WORD_S)),
    ("computer_16k.mp3", Whole(WORD_S)),
    ("computer_16k.ogg", Whole(WORD_S)),
    ("computer_16k.webm", Refused("unsupported")),
    // Its last block is filled up, and its header counts the filling.
    ("computer_16k_adpcm.wav", Whole(18_369.0 / 16_000.0)),
    ("computer_16k_extensible.wav", Whole(WORD_S)),
    ("computer_16k_float32.wav", Whole(WORD_S)),
    ("computer_16k_float64.wav", Whole(WORD_S)),
    ("computer_16k_list_chunk.wav", Whole(WORD_S)),
    ("computer_16k_pcm16.wav", Whole(WORD_S)),
    ("computer_16k_pcm24.wav", Whole(WORD_S)),
    ("computer_16k_pcm32.wav", Whole(WORD_S)),
    ("computer_16k_stereo_antiphase.wav", Whole(WORD_S)),
    ("computer_16k_stereo_right_only.wav", Whole(WORD_S)),
    ("computer_16k_u8.wav", Whole(WORD_S)),
    ("computer_16k_wrong_ext.mp3", Whole(WORD_S)),
    ("computer_22050_pcm16.wav", Whole(WORD_S)),
    ("computer_44100_pcm16.wav", Whole(WORD_S)),
    ("computer_44k1_stereo.wav", Whole(WORD_S)),
    ("computer_44k1_vbr.mp3", Whole(WORD_S)),
    ("computer_48000_pcm16.wav", Whole(WORD_S)),
    ("computer_48k.opus", Refused("unsupported")),
    ("computer_48k_24bit.flac", Whole(WORD_S)),
    ("computer_8000_pcm16.wav", Whole(WORD_S)),
    ("computer_8k_alaw.wav", Whole(WORD_S)),
    ("computer_8k_mulaw.wav", Whole(WORD_S)),
];

const BAD: [(&str, Outcome); 21] = [
    ("channels_65535.wav", Refused("lying-header")),
    ("channels_zero.wav", Refused("lying-header")),
    ("clipped.wav", Whole(WORD_S)),
    ("clipped_silence_dc.wav", Whole(1.0)),
    // One packet of 4,096 samples is lost.
    ("corrupt.flac", Part("damaged", WORD_S - 4_096.0 / 16_000.0)),
    // A writer to a pipe could not know the length: nothing is wrong with it.
    ("header_ffffffff.wav", Whole(WORD_S)),
    ("header_lies_long.wav", Refused("lying-header")),
    ("header_lies_short.wav", Part("lying-header", 0.1)),
    ("header_only.wav", Refused("empty")),
    ("inf_float.wav", Refused("non-finite")),
    ("nan_float.wav", Refused("non-finite")),
    ("random.wav", Refused("not-audio")),
    ("rate_zero.wav", Refused("lying-header")),
    // Silence and ten samples are sound audio; whether they are of use is for the caller to say.
    ("silence.wav", Whole(1.0)),
    ("ten_samples.wav", Whole(10.0 / 16_000.0)),
    ("text.wav", Refused("not-audio")),
    ("truncated.mp3", Part("truncated", 0.471)),
    // All its sound is in the page that was cut.
    ("truncated.ogg", Refused("truncated")),
    ("truncated_data.wav", Part("truncated", 0.539)),
    ("truncated_header.wav", Refused("truncated")),
    ("zero_bytes.wav", Refused("empty")),
];

/// libFLAC loses its way in these streams, but every frame's checksum and the MD5 over all samples are right: nothing is lost.
const BROKEN: [(&str, Outcome); 3] = [
    ("alexa_126.flac", Whole(1.94)),
    ("alexa_127.flac", Whole(2.14)),
    ("alexa_32.flac", Whole(1.66)),
];

#[track_caller]
fn check(path: &Path, outcome: &Outcome) {
    let strict = decode(path, RATE_HZ);
    let lenient = decode_what_is_there(path, RATE_HZ);
    let close = |found: f64, want: f64| (found - want).abs() < 0.002;
    let fits = match (outcome, &strict, &lenient) {
        (Whole(seconds), Ok(clip), Ok((same, None))) => {
            close(clip.seconds(), *seconds) && clip == same
        }
        (Part(kind, seconds), Err(error), Ok((clip, Some(fault)))) => {
            error.kind() == *kind && fault.kind() == *kind && close(clip.seconds(), *seconds)
        }
        (Refused(kind), Err(error), Err(same)) => error.kind() == *kind && same.kind() == *kind,
        _ => false,
    };
    let strict = strict.map(|clip| clip.seconds());
    assert!(
        fits,
        "{}: expected {outcome:?}, found {strict:?}",
        path.display()
    );
    if let Err(error) = strict {
        assert!(
            error.to_string().contains(&*path.to_string_lossy()),
            "the message names the file: {error}"
        );
    }
}

#[track_caller]
fn check_folder(folder: &Path, table: &[(&str, Outcome)]) {
    let mut found: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    let listed: Vec<&str> = table.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        found,
        listed,
        "the table names every file of {}",
        folder.display()
    );
    for (name, outcome) in table {
        check(&folder.join(name), outcome);
    }
}

#[test]
fn every_good_file_decodes_to_the_same_word_or_is_refused_by_its_codec() {
    let Some(data) = shared_data() else { return };
    check_folder(&data.join("formats/good"), &GOOD);
}

#[test]
fn every_bad_file_has_its_own_reason() {
    let Some(data) = shared_data() else { return };
    check_folder(&data.join("formats/bad"), &BAD);
    check_folder(&data.join("wake/broken"), &BROKEN);
}

#[test]
fn every_format_holds_the_same_sound_at_the_same_place() {
    let Some(data) = shared_data() else { return };
    let good = data.join("formats/good");
    let reference = decode(&good.join("computer_16k_pcm16.wav"), RATE_HZ)
        .unwrap()
        .samples;
    for (name, outcome) in &GOOD {
        let Whole(_) = outcome else { continue };
        let samples = decode(&good.join(name), RATE_HZ).unwrap().samples;
        // Correlation at lag 0: a shift of a single sample would cost more than the codecs do.
        let dot: f64 = reference
            .iter()
            .zip(&samples)
            .map(|(&a, &b)| f64::from(a) * f64::from(b))
            .sum();
        let likeness = dot
            / (rms(&reference) * rms(&samples[..reference.len().min(samples.len())]))
            / reference.len() as f64;
        let lossless = !["8", "mp3", "m4a", "ogg", "adpcm", "law", "11025"]
            .iter()
            .any(|part| name.contains(part));
        let bar = if lossless { 0.9999 } else { 0.97 };
        assert!(likeness > bar, "{name}: {likeness}");
    }
}

#[test]
fn the_reader_gives_what_decode_gives_in_small_chunks() {
    let Some(data) = shared_data() else { return };
    for name in [
        "computer_44k1_stereo.wav",
        "computer_16k.ogg",
        "computer_44k1_vbr.mp3",
        "computer_48k_24bit.flac",
    ] {
        let path = data.join("formats/good").join(name);
        let mut reader = AudioReader::open(&path, RATE_HZ).unwrap();
        let (mut all, mut chunk) = (Vec::new(), Vec::new());
        loop {
            let more = reader.read(&mut chunk).unwrap();
            assert!(
                chunk.len() <= 8_192,
                "{name}: a chunk of {} samples",
                chunk.len()
            );
            all.append(&mut chunk);
            if !more {
                break;
            }
        }
        assert_eq!(all, decode(&path, RATE_HZ).unwrap().samples, "{name}");
    }
}

/// A decoder is kept from one Vorbis file to the next; other tables, other rates and damaged files lie between.
#[test]
fn a_vorbis_file_sounds_the_same_whatever_was_decoded_before_it() {
    let Some(data) = shared_data() else { return };
    let some = |folder: &str, n: usize| {
        let files = fs::read_dir(data.join(folder)).unwrap();
        let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.truncate(n);
        files
    };
    let mut files = [
        some("kws_en/up", 6),
        some("noise/rain", 3),
        some("wake/alexa", 3),
    ]
    .concat();
    files.extend(some("formats/bad", 40));
    let heard = |path: &Path| decode_what_is_there(path, RATE_HZ).map(|(clip, _)| clip.samples);
    let alone: Vec<_> = files
        .iter()
        .map(|path| std::thread::scope(|scope| scope.spawn(|| heard(path).ok()).join().unwrap()))
        .collect();
    assert!(alone.iter().filter(|samples| samples.is_some()).count() > 12);
    // Forwards, backwards, and each twice in a row, on one thread.
    let n = files.len();
    let order = (0..n).chain((0..n).rev()).chain((0..2 * n).map(|i| i / 2));
    for i in order {
        assert_eq!(heard(&files[i]).ok(), alone[i], "{}", files[i].display());
    }
}
