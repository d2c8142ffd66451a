//! A clip -> a WAV file of 16 bits, mono.

use std::fs::File;
use std::io::{BufWriter, Cursor, Seek, Write};
use std::path::Path;

use super::{AudioError, Clip};

/// Writes 16-bit PCM; what lies beyond full scale is clipped.
///
/// # Errors
///
/// [`AudioError::Io`] when the file cannot be written, [`AudioError::NonFinite`] at the first NaN or infinite sample.
pub fn write_wav(path: &Path, clip: &Clip) -> Result<(), AudioError> {
    check_finite(path, clip)?;
    let create = || Ok(BufWriter::new(File::create(path)?));
    create()
        .and_then(|file| write(file, clip))
        .map_err(|error| io_error(path, error))
}

/// The bytes of such a file; `path` names the clip in errors.
///
/// # Errors
///
/// [`AudioError::NonFinite`] at the first NaN or infinite sample.
pub fn wav_bytes(path: &Path, clip: &Clip) -> Result<Vec<u8>, AudioError> {
    check_finite(path, clip)?;
    let mut file = Cursor::new(Vec::new());
    write(&mut file, clip).map_err(|error| io_error(path, error))?;
    Ok(file.into_inner())
}

fn check_finite(path: &Path, clip: &Clip) -> Result<(), AudioError> {
    let Some(at) = clip.samples.iter().position(|sample| !sample.is_finite()) else {
        return Ok(());
    };
    Err(AudioError::NonFinite {
        path: path.to_owned(),
        at_s: at as f64 / f64::from(clip.sample_rate_hz.max(1)),
        found: clip.samples[at],
    })
}

fn write(file: impl Write + Seek, clip: &Clip) -> Result<(), hound::Error> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: clip.sample_rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::new(file, spec)?;
    for &sample in &clip.samples {
        writer.write_sample((sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16)?;
    }
    writer.finalize()
}

fn io_error(path: &Path, error: hound::Error) -> AudioError {
    let source = match error {
        hound::Error::IoError(source) => source,
        other => std::io::Error::other(other),
    };
    AudioError::Io {
        path: path.to_owned(),
        source,
    }
}
