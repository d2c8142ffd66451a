//! A clip -> a WAV file of 16 bits, mono.

use std::path::Path;

use super::{AudioError, Clip};

/// Writes 16-bit PCM; what lies beyond full scale is clipped.
///
/// # Errors
///
/// [`AudioError::Io`] when the file cannot be written, [`AudioError::NonFinite`] at the first NaN or infinite sample.
pub fn write_wav(path: &Path, clip: &Clip) -> Result<(), AudioError> {
    if let Some(at) = clip.samples.iter().position(|sample| !sample.is_finite()) {
        let at_s = at as f64 / f64::from(clip.sample_rate_hz.max(1));
        return Err(AudioError::NonFinite {
            path: path.to_owned(),
            at_s,
            found: clip.samples[at],
        });
    }
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: clip.sample_rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let write = || -> Result<(), hound::Error> {
        let mut writer = hound::WavWriter::create(path, spec)?;
        for &sample in &clip.samples {
            writer.write_sample((sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16)?;
        }
        writer.finalize()
    };
    write().map_err(|error| {
        let source = match error {
            hound::Error::IoError(source) => source,
            other => std::io::Error::other(other),
        };
        AudioError::Io {
            path: path.to_owned(),
            source,
        }
    })
}
