//! Headerless PCM from a pipe -> mono `f32` at the rate that was asked for.
//!
//! Refuses to guess: rate, channels and width are told by the caller. Gives what has arrived as soon as it arrives.

use std::io::Read;
use std::path::PathBuf;

use super::{AudioError, CHANNEL_COUNTS, Mixdown, Resampler, is_number};

/// Bytes asked of the pipe at a time.
const READ_BYTES: usize = 1 << 14;

/// How one sample is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleFormat {
    U8,
    S16Le,
    S24Le,
    S32Le,
    F32Le,
}

impl SampleFormat {
    pub fn n_bytes(self) -> usize {
        match self {
            SampleFormat::U8 => 1,
            SampleFormat::S16Le => 2,
            SampleFormat::S24Le => 3,
            SampleFormat::S32Le | SampleFormat::F32Le => 4,
        }
    }

    fn sample(self, bytes: &[u8]) -> f32 {
        match self {
            SampleFormat::U8 => (f32::from(bytes[0]) - 128.0) / 128.0,
            SampleFormat::S16Le => f32::from(i16::from_le_bytes([bytes[0], bytes[1]])) / 32_768.0,
            // The three bytes are the upper ones of an i32.
            SampleFormat::S24Le => {
                i32::from_le_bytes([0, bytes[0], bytes[1], bytes[2]]) as f32 / 2_147_483_648.0
            }
            SampleFormat::S32Le => {
                i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as f32
                    / 2_147_483_648.0
            }
            SampleFormat::F32Le => f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
        }
    }
}

/// What the bytes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawFormat {
    pub sample_rate_hz: u32,
    /// Interleaved.
    pub n_channels: usize,
    pub sample_format: SampleFormat,
}

/// Raw PCM in pieces of any size -> mono at the rate that was asked for: for who has the bytes already.
pub struct RawIntake {
    format: RawFormat,
    mixdown: Mixdown,
    resampler: Resampler,
    /// Bytes of a frame that has not fully arrived.
    pending: Vec<u8>,
    interleaved: Vec<f32>,
    mono: Vec<f32>,
    n_frames: u64,
}

impl RawIntake {
    /// # Errors
    ///
    /// [`AudioError::Rate`] or [`AudioError::Channels`] when the format is out of measure.
    pub fn new(format: RawFormat, sample_rate_hz: u32) -> Result<Self, AudioError> {
        if !CHANNEL_COUNTS.contains(&format.n_channels) {
            return Err(AudioError::Channels {
                found: format.n_channels,
            });
        }
        Ok(RawIntake {
            format,
            mixdown: Mixdown::new(format.n_channels),
            resampler: Resampler::new(format.sample_rate_hz, sample_rate_hz)?,
            pending: Vec::new(),
            interleaved: Vec::new(),
            mono: Vec::new(),
            n_frames: 0,
        })
    }

    pub fn format(&self) -> RawFormat {
        self.format
    }

    /// Takes bytes and appends the samples that are ready, perhaps none yet.
    ///
    /// # Errors
    ///
    /// [`AudioError::NonFinite`] at the first sample that is no number; nothing of these bytes is heard then.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<f32>) -> Result<(), AudioError> {
        let sample_bytes = self.format.sample_format.n_bytes();
        let frame_bytes = sample_bytes * self.format.n_channels;
        let format = self.format.sample_format;
        let sample_of = |bytes: &[u8]| format.sample(bytes);
        self.interleaved.clear();
        if !self.pending.is_empty() {
            let n_missing = (frame_bytes - self.pending.len()).min(bytes.len());
            self.pending.extend_from_slice(&bytes[..n_missing]);
            bytes = &bytes[n_missing..];
            if self.pending.len() < frame_bytes {
                return Ok(());
            }
            let samples = self.pending.chunks_exact(sample_bytes).map(sample_of);
            self.interleaved.extend(samples);
            self.pending.clear();
        }
        let (whole, rest) = bytes.split_at(bytes.len() / frame_bytes * frame_bytes);
        let samples = whole.chunks_exact(sample_bytes).map(sample_of);
        self.interleaved.extend(samples);
        self.pending.extend_from_slice(rest);

        let is_broken = |&sample: &f32| !is_number(sample);
        if let Some(at) = self.interleaved.iter().position(is_broken) {
            return Err(AudioError::NonFinite {
                path: name(),
                at_s: self.at_s(at / self.format.n_channels),
                found: self.interleaved[at],
            });
        }
        self.n_frames += (self.interleaved.len() / self.format.n_channels) as u64;
        self.mono.clear();
        self.mixdown.push(&self.interleaved, &mut self.mono);
        self.resampler.push(&self.mono, out);
        Ok(())
    }

    /// The bytes have ended: appends what was held back. [`AudioError::Truncated`] when the last frame was incomplete.
    pub fn finish(&mut self, out: &mut Vec<f32>) -> Option<AudioError> {
        self.mono.clear();
        self.mixdown.finish(&mut self.mono);
        self.resampler.push(&self.mono, out);
        self.resampler.finish(out);
        (!self.pending.is_empty()).then(|| AudioError::Truncated {
            path: name(),
            found_s: self.at_s(0),
            header_s: None,
        })
    }

    fn at_s(&self, n_more_frames: usize) -> f64 {
        (self.n_frames + n_more_frames as u64) as f64 / f64::from(self.format.sample_rate_hz)
    }
}

/// Reads raw PCM from anything that can be read, with the same mix-down and resampling as a file.
pub struct RawReader<R: Read> {
    reader: R,
    intake: RawIntake,
    bytes: Vec<u8>,
    ended: bool,
    fault: Option<AudioError>,
}

impl<R: Read> RawReader<R> {
    /// # Errors
    ///
    /// As [`RawIntake::new`].
    pub fn new(reader: R, format: RawFormat, sample_rate_hz: u32) -> Result<Self, AudioError> {
        Ok(RawReader {
            reader,
            intake: RawIntake::new(format, sample_rate_hz)?,
            bytes: vec![0; READ_BYTES],
            ended: false,
            fault: None,
        })
    }

    /// Waits for bytes and appends the samples that are ready, perhaps none yet. `false`: the pipe has ended.
    ///
    /// # Errors
    ///
    /// [`AudioError::Io`]; [`AudioError::NonFinite`] at the first sample that is no number.
    pub fn read(&mut self, out: &mut Vec<f32>) -> Result<bool, AudioError> {
        if self.ended {
            return Ok(false);
        }
        let n_read = loop {
            match self.reader.read(&mut self.bytes) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => {
                    self.ended = true;
                    return Err(AudioError::Io {
                        path: name(),
                        source,
                    });
                }
                Ok(n_read) => break n_read,
            }
        };
        if n_read == 0 {
            self.ended = true;
            self.fault = self.intake.finish(out);
            return Ok(false);
        }
        let pushed = self.intake.push(&self.bytes[..n_read], out);
        self.ended = pushed.is_err();
        pushed.map(|()| true)
    }

    /// After the end: [`AudioError::Truncated`] when the last frame was incomplete.
    pub fn fault(&self) -> Option<&AudioError> {
        self.fault.as_ref()
    }
}

fn name() -> PathBuf {
    PathBuf::from("raw input")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe that gives a few bytes at a time.
    struct Dripping<'a>(&'a [u8], usize);

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let n = self.1.min(buffer.len()).min(self.0.len());
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn read_all(
        bytes: &[u8],
        n_bytes: usize,
        format: RawFormat,
        rate_hz: u32,
    ) -> (Vec<f32>, Option<String>) {
        let mut reader = RawReader::new(Dripping(bytes, n_bytes), format, rate_hz).unwrap();
        let mut out = Vec::new();
        while reader.read(&mut out).unwrap() {}
        (out, reader.fault().map(|fault| fault.kind().to_owned()))
    }

    fn mono(sample_format: SampleFormat) -> RawFormat {
        RawFormat {
            sample_rate_hz: 16_000,
            n_channels: 1,
            sample_format,
        }
    }

    #[test]
    fn every_width_gives_the_same_sound() {
        let wave: Vec<f64> = (0..500).map(|i| (f64::from(i) * 0.2).sin() * 0.7).collect();
        let bytes_of = |sample_format| -> Vec<u8> {
            wave.iter()
                .flat_map(|&s| match sample_format {
                    SampleFormat::U8 => vec![(s * 128.0 + 128.0).round() as u8],
                    SampleFormat::S16Le => ((s * 32_768.0) as i16).to_le_bytes().to_vec(),
                    SampleFormat::S24Le => ((s * 8_388_608.0) as i32).to_le_bytes()[..3].to_vec(),
                    SampleFormat::S32Le => ((s * 2_147_483_648.0) as i32).to_le_bytes().to_vec(),
                    SampleFormat::F32Le => (s as f32).to_le_bytes().to_vec(),
                })
                .collect()
        };
        for (sample_format, tolerance) in [
            (SampleFormat::U8, 1.0 / 128.0),
            (SampleFormat::S16Le, 1e-4),
            (SampleFormat::S24Le, 1e-6),
            (SampleFormat::S32Le, 1e-6),
            (SampleFormat::F32Le, 1e-7),
        ] {
            let (found, fault) = read_all(&bytes_of(sample_format), 5, mono(sample_format), 16_000);
            assert_eq!((found.len(), fault), (wave.len(), None));
            for (found, want) in found.iter().zip(&wave) {
                assert!(
                    (f64::from(*found) - want).abs() <= tolerance,
                    "{sample_format:?}: {found}, not {want}"
                );
            }
        }
    }

    #[test]
    fn the_way_bytes_arrive_does_not_change_the_sound() {
        let bytes: Vec<u8> = (0..24_000_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let format = RawFormat {
            sample_rate_hz: 44_100,
            n_channels: 2,
            sample_format: SampleFormat::S16Le,
        };
        let (whole, _) = read_all(&bytes, usize::MAX, format, 16_000);
        assert_eq!(
            whole.len(),
            (6_000.0_f64 * 16_000.0 / 44_100.0).round() as usize
        );
        for n_bytes in [1, 3, 1_000] {
            assert_eq!(read_all(&bytes, n_bytes, format, 16_000).0, whole);
        }
    }

    #[test]
    fn half_a_frame_at_the_end_is_said() {
        assert_eq!(
            read_all(&[0, 0, 1], 9, mono(SampleFormat::S16Le), 16_000)
                .1
                .as_deref(),
            Some("truncated")
        );
    }

    #[test]
    fn a_sample_that_is_no_number_is_refused() {
        let bytes: Vec<u8> = [0.0, f32::NAN]
            .iter()
            .flat_map(|s: &f32| s.to_le_bytes())
            .collect();
        let mut reader =
            RawReader::new(bytes.as_slice(), mono(SampleFormat::F32Le), 16_000).unwrap();
        assert!(matches!(
            reader.read(&mut Vec::new()),
            Err(AudioError::NonFinite { .. })
        ));
    }

    #[test]
    fn formats_out_of_measure_are_refused() {
        let format = |sample_rate_hz, n_channels| RawFormat {
            sample_rate_hz,
            n_channels,
            ..mono(SampleFormat::U8)
        };
        assert!(matches!(
            RawReader::new(&[][..], format(16_000, 0), 16_000),
            Err(AudioError::Channels { .. })
        ));
        assert!(matches!(
            RawReader::new(&[][..], format(0, 1), 16_000),
            Err(AudioError::Rate { .. })
        ));
    }
}
