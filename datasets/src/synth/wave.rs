//! The WAV files of a synthetic corpus: 16-bit, mono, 22,050 Hz. Reads and writes no other, but for what another program says.

use std::f64::consts::TAU;
use std::io::{Cursor, Write};
use std::ops::Range;
use std::path::Path;

use rand::{Rng, RngExt};

use super::{SAMPLE_RATE_HZ, SynthError};
use crate::partial::{Durability, write_whole};

const SPEC: hound::WavSpec = hound::WavSpec {
    channels: 1,
    sample_rate: SAMPLE_RATE_HZ,
    bits_per_sample: 16,
    sample_format: hound::SampleFormat::Int,
};

/// Samples in so many milliseconds.
pub(super) fn samples_in(ms: u32) -> usize {
    (u64::from(ms) * u64::from(SAMPLE_RATE_HZ) / 1000) as usize
}

/// Writes samples, whole or not at all; what is beyond -1..1 is clipped.
pub(super) fn write_wav(path: &Path, samples: &[f32]) -> Result<(), SynthError> {
    let broken = |error: hound::Error| SynthError::Io {
        path: path.to_path_buf(),
        source: std::io::Error::other(error),
    };
    let mut bytes = Cursor::new(Vec::with_capacity(44 + samples.len() * 2));
    let mut writer = hound::WavWriter::new(&mut bytes, SPEC).map_err(broken)?;
    for &sample in samples {
        writer
            .write_sample((sample.clamp(-1.0, 1.0) * 32_767.0).round() as i16)
            .map_err(broken)?;
    }
    writer.finalize().map_err(broken)?;
    write_whole(path, Durability::Quick, |out| {
        out.write_all(bytes.get_ref())
    })
    .map_err(|source| SynthError::Io {
        path: path.to_path_buf(),
        source,
    })
}

/// Reads samples, -1..1.
pub(super) fn read_wav(path: &Path) -> Result<Vec<f32>, SynthError> {
    let strange = |found: String| SynthError::Corpus {
        path: path.to_path_buf(),
        found,
        expected: "a WAV of the synthetic corpus (16-bit, mono, 22,050 Hz)".into(),
    };
    let mut reader = hound::WavReader::open(path).map_err(|error| strange(error.to_string()))?;
    if reader.spec() != SPEC {
        return Err(strange(format!("{:?}", reader.spec())));
    }
    let samples = reader
        .samples::<i16>()
        .map(|sample| sample.map(|x| f32::from(x) / 32_768.0));
    samples
        .collect::<Result<_, _>>()
        .map_err(|error| strange(error.to_string()))
}

/// Whether a whole file of ours lies there: its header fits its size.
pub(super) fn is_complete(path: &Path) -> bool {
    let Ok(n_bytes) = std::fs::metadata(path).map(|metadata| metadata.len()) else {
        return false;
    };
    hound::WavReader::open(path)
        .is_ok_and(|r| r.spec() == SPEC && r.len() > 0 && 44 + 2 * u64::from(r.len()) == n_bytes)
}

/// Adds white noise of a Gaussian kind (a sum of uniforms) at a level in dB below full scale.
pub(super) fn add_hiss(samples: &mut [f32], dbfs: f32, rng: &mut impl Rng) {
    let rms = 10f32.powf(dbfs / 20.0);
    // The sum of three numbers of -1..1 has a variance of 1.
    samples
        .iter_mut()
        .for_each(|x| *x += rms * (0..3).map(|_| rng.random_range(-1.0f32..1.0)).sum::<f32>());
}

/// Fades both ends in and out over a few milliseconds, so that a cut makes no click.
pub(super) fn fade_ends(samples: &mut [f32], ms: u32) {
    let n = samples_in(ms).min(samples.len() / 2);
    let last = samples.len().saturating_sub(1);
    for i in 0..n {
        let gain = (0.5 - 0.5 * (TAU / 2.0 * (i as f64 + 0.5) / n as f64).cos()) as f32;
        samples[i] *= gain;
        samples[last - i] *= gain;
    }
}

/// Where the word is: from the first to the last 10 ms that is within 35 dB of the loudest, and clearly above the hiss
/// that lies under it (its level in dB below full scale; `None` for none). `None` in silence.
pub(super) fn word_range(samples: &[f32], hiss_dbfs: Option<f32>) -> Option<Range<usize>> {
    // Over 10 ms, hiss stays within 2 dB of its level; what is 5 dB above it is something else.
    const ABOVE_HISS_DB: f32 = 5.0;
    let hop = samples_in(10);
    let power = |part: &[f32]| part.iter().map(|x| x * x).sum::<f32>() / part.len() as f32;
    let powers: Vec<f32> = samples.chunks(hop).map(power).collect();
    let loudest = powers.iter().copied().fold(0.0, f32::max);
    let hiss = hiss_dbfs.map_or(0.0, |dbfs| 10f32.powf((dbfs + ABOVE_HISS_DB) / 10.0));
    let heard = |&power: &f32| power > hiss.max(loudest * 10f32.powf(-3.5));
    let first = powers.iter().position(heard)?;
    let last = powers.iter().rposition(heard)?;
    Some(first * hop..((last + 1) * hop).min(samples.len()))
}

/// The samples of a WAV of 16 bits and one channel that came through a pipe, so that the sizes in its header are not those of what follows.
pub(super) fn samples_of(wav: &[u8], rate_hz: u32) -> Result<Vec<i16>, &'static str> {
    let (riff, mut rest) = wav.split_at_checked(12).ok_or("no output")?;
    if &riff[..4] != b"RIFF" || &riff[8..] != b"WAVE" {
        return Err("output that is no WAV");
    }
    let mut is_ours = false;
    while let Some((header, body)) = rest.split_at_checked(8) {
        let n_bytes = u32::from_le_bytes(header[4..].try_into().expect("four bytes")) as usize;
        match &header[..4] {
            b"fmt " => {
                let format = body.get(..16).ok_or("a header that is cut off")?;
                let rate = u32::from_le_bytes(format[4..8].try_into().expect("four bytes"));
                is_ours =
                    format[..4] == [1, 0, 1, 0] && rate == rate_hz && format[14..16] == [16, 0];
            }
            b"data" if is_ours => {
                let (pairs, _) = body.as_chunks::<2>();
                return Ok(pairs.iter().map(|&pair| i16::from_le_bytes(pair)).collect());
            }
            b"data" => return Err("another sample format"),
            _ => {}
        }
        rest = body.get(n_bytes..).unwrap_or_default();
    }
    Err("a WAV without samples")
}
