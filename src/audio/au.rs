//! The Sun/NeXT `.au` container: 24 bytes of header, then plain samples, big-endian.
//!
//! Cuts the samples into packets for the PCM decoder; knows nothing of what they mean.
//! Source: the header as Sun's `audio_filehdr.h` describes it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known as codec;
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use super::{AudioError, CHANNEL_COUNTS, SAMPLE_RATES_HZ};

/// Frames in a packet.
const PACKET_FRAMES: usize = 1_024;

/// A size of this value says that the writer did not know.
const UNKNOWN_BYTES: u32 = u32::MAX;

pub(super) struct AuReader {
    file: File,
    pub codec_params: AudioCodecParameters,
    /// What the header promises, if it says.
    pub n_frames: Option<u64>,
    frame_bytes: usize,
    n_bytes_left: u64,
    n_frames_read: u64,
}

impl AuReader {
    pub fn open(mut file: File, path: &Path) -> Result<Self, AudioError> {
        let io = |source: io::Error| AudioError::reading_header(path, source);
        let lie = |what, found: u32, expected: String| AudioError::LyingHeader {
            path: path.to_owned(),
            what,
            found: found.to_string(),
            expected,
        };
        let mut head = [0; 24];
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        file.read_exact(&mut head).map_err(io)?;
        let word =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (offset, n_bytes, encoding, sample_rate_hz, n_channels) =
            (word(4), word(8), word(12), word(16), word(20));

        let (codec, sample_bytes) = match encoding {
            1 => (codec::CODEC_ID_PCM_MULAW, 1),
            2 => (codec::CODEC_ID_PCM_S8, 1),
            3 => (codec::CODEC_ID_PCM_S16BE, 2),
            4 => (codec::CODEC_ID_PCM_S24BE, 3),
            5 => (codec::CODEC_ID_PCM_S32BE, 4),
            6 => (codec::CODEC_ID_PCM_F32BE, 4),
            7 => (codec::CODEC_ID_PCM_F64BE, 8),
            27 => (codec::CODEC_ID_PCM_ALAW, 1),
            other => {
                let found = format!("AU with encoding {other}");
                return Err(AudioError::Unsupported {
                    path: path.to_owned(),
                    found,
                });
            }
        };
        if !CHANNEL_COUNTS.contains(&(n_channels as usize)) {
            let expected = format!("{} to {}", CHANNEL_COUNTS.start(), CHANNEL_COUNTS.end());
            return Err(lie("channel count", n_channels, expected));
        }
        if !SAMPLE_RATES_HZ.contains(&sample_rate_hz) {
            let expected = format!(
                "{} to {} Hz",
                SAMPLE_RATES_HZ.start(),
                SAMPLE_RATES_HZ.end()
            );
            return Err(lie("sample rate", sample_rate_hz, expected));
        }
        if offset < 24 {
            return Err(lie("data offset", offset, "24 or more".to_owned()));
        }
        file.seek(SeekFrom::Start(u64::from(offset))).map_err(io)?;

        let frame_bytes = sample_bytes * n_channels as usize;
        let known = (n_bytes != UNKNOWN_BYTES).then_some(u64::from(n_bytes));
        let mut codec_params = AudioCodecParameters::new();
        codec_params
            .for_codec(codec)
            .with_sample_rate(sample_rate_hz)
            .with_channels(Channels::Discrete(n_channels as u16))
            .with_max_frames_per_packet(PACKET_FRAMES as u64);
        Ok(AuReader {
            file,
            codec_params,
            n_frames: known.map(|n_bytes| n_bytes / frame_bytes as u64),
            frame_bytes,
            n_bytes_left: known.unwrap_or(u64::MAX),
            n_frames_read: 0,
        })
    }

    pub fn next_packet(&mut self) -> io::Result<Option<Packet>> {
        let n_wanted = ((PACKET_FRAMES * self.frame_bytes) as u64).min(self.n_bytes_left);
        let mut data = Vec::with_capacity(PACKET_FRAMES * self.frame_bytes);
        self.file.by_ref().take(n_wanted).read_to_end(&mut data)?;
        self.n_bytes_left -= data.len() as u64;
        let n_frames = data.len() / self.frame_bytes;
        if n_frames == 0 {
            return Ok(None);
        }
        data.truncate(n_frames * self.frame_bytes);
        let start = Timestamp::new(self.n_frames_read as i64);
        self.n_frames_read += n_frames as u64;
        Ok(Some(Packet::new(
            0,
            start,
            Duration::new(n_frames as u64),
            data,
        )))
    }
}
