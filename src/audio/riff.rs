//! What a WAV header promises, held against the file it stands in.
//!
//! Reads only the headers of chunks, never their content, and allocates nothing for a size that it read.
//! Decoding is not done here.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::{AudioError, CHANNEL_COUNTS, SAMPLE_RATES_HZ};

/// Writers to a pipe cannot know the length. They write the largest number, or (sox) one a little below 2 GiB,
/// in both sizes.
const STREAMED_BYTES: u64 = 0x7fff_0000;

/// More chunks than any writer makes before its data.
const MAX_CHUNKS: usize = 1_000;

/// How the samples lie in the file.
struct Layout {
    frame_bytes: u64,
    byte_rate: f64,
}

/// Checks the header. `Ok(Some(fault))`: the samples can be heard, but not all is as promised.
///
/// # Errors
///
/// Nothing can be heard: [`AudioError::Empty`], [`AudioError::Truncated`], [`AudioError::LyingHeader`],
/// [`AudioError::Unsupported`], [`AudioError::Io`].
pub(super) fn inspect(
    file: &mut File,
    path: &Path,
    n_file_bytes: u64,
) -> Result<Option<AudioError>, AudioError> {
    let io = |source: io::Error| AudioError::reading_header(path, source);
    let lie = |what, found: String, expected: String| AudioError::LyingHeader {
        path: path.to_owned(),
        what,
        found,
        expected,
    };

    let mut riff = [0; 12];
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    file.read_exact(&mut riff).map_err(io)?;
    let riff_bytes = u64::from(u32::from_le_bytes([riff[4], riff[5], riff[6], riff[7]]));
    let riff_end = if riff_bytes >= STREAMED_BYTES {
        u64::MAX
    } else {
        8 + riff_bytes
    };

    let mut layout = None;
    let mut at = 12;
    for _ in 0..MAX_CHUNKS {
        let (tag, n_bytes) = chunk_header(file, at).map_err(io)?;
        let body = at + 8;
        match &tag {
            b"fmt " => layout = Some(read_layout(file, path, n_bytes, io, lie)?),
            b"data" => {
                let Some(layout) = layout else {
                    return Err(lie(
                        "order",
                        "data first".to_owned(),
                        "a fmt chunk before it".to_owned(),
                    ));
                };
                return judge(
                    file,
                    path,
                    &layout,
                    Span {
                        body,
                        n_bytes,
                        riff_end,
                        n_file_bytes,
                    },
                );
            }
            _ => {}
        }
        // Chunks are padded to even lengths.
        at = body + n_bytes + (n_bytes & 1);
        if at > n_file_bytes {
            return Err(AudioError::Truncated {
                path: path.to_owned(),
                found_s: 0.0,
                header_s: None,
            });
        }
    }
    Err(lie(
        "number of chunks",
        format!("more than {MAX_CHUNKS}"),
        "a data chunk among the first".to_owned(),
    ))
}

fn chunk_header(file: &mut File, at: u64) -> io::Result<([u8; 4], u64)> {
    file.seek(SeekFrom::Start(at))?;
    let mut head = [0; 8];
    file.read_exact(&mut head)?;
    let [t0, t1, t2, t3, s0, s1, s2, s3] = head;
    Ok((
        [t0, t1, t2, t3],
        u64::from(u32::from_le_bytes([s0, s1, s2, s3])),
    ))
}

fn read_layout(
    file: &mut File,
    path: &Path,
    n_bytes: u64,
    io: impl Fn(io::Error) -> AudioError,
    lie: impl Fn(&'static str, String, String) -> AudioError,
) -> Result<Layout, AudioError> {
    if n_bytes < 16 {
        return Err(lie(
            "fmt size",
            n_bytes.to_string(),
            "16 bytes or more".to_owned(),
        ));
    }
    let mut fmt = [0; 16];
    file.read_exact(&mut fmt).map_err(&io)?;
    let half = |at: usize| u16::from_le_bytes([fmt[at], fmt[at + 1]]);
    let word = |at: usize| u32::from_le_bytes([fmt[at], fmt[at + 1], fmt[at + 2], fmt[at + 3]]);
    let (codec, n_channels, sample_rate_hz) = (half(0), half(2), word(4));
    let (block_bytes, n_bits) = (half(12), half(14));

    if !CHANNEL_COUNTS.contains(&usize::from(n_channels)) {
        let expected = format!("{} to {}", CHANNEL_COUNTS.start(), CHANNEL_COUNTS.end());
        return Err(lie("channel count", n_channels.to_string(), expected));
    }
    if !SAMPLE_RATES_HZ.contains(&sample_rate_hz) {
        let expected = format!(
            "{} to {} Hz",
            SAMPLE_RATES_HZ.start(),
            SAMPLE_RATES_HZ.end()
        );
        return Err(lie("sample rate", format!("{sample_rate_hz} Hz"), expected));
    }
    let (frame_bytes, byte_rate) = match codec {
        // PCM, IEEE float, A-law, mu-law, extensible: one frame is one sample of each channel.
        0x0001 | 0x0003 | 0x0006 | 0x0007 | 0xfffe => {
            let frame_bytes = u64::from(n_channels) * u64::from(n_bits.div_ceil(8));
            (frame_bytes, frame_bytes as f64 * f64::from(sample_rate_hz))
        }
        // Microsoft and IMA ADPCM: blocks, and behind the common fields the frames in one. (The header's own byte rate
        // is often that of something else.)
        0x0002 | 0x0011 => {
            let mut extension = [0; 4];
            file.read_exact(&mut extension).map_err(&io)?;
            let block_frames = u16::from_le_bytes([extension[2], extension[3]]).max(1);
            let byte_rate =
                f64::from(block_bytes) * f64::from(sample_rate_hz) / f64::from(block_frames);
            (u64::from(block_bytes), byte_rate)
        }
        other => {
            let found = format!("WAV with codec {other:#06x}");
            return Err(AudioError::Unsupported {
                path: path.to_owned(),
                found,
            });
        }
    };
    if frame_bytes == 0 || byte_rate < 1.0 {
        return Err(lie(
            "frame size",
            "0 bytes".to_owned(),
            "at least one byte".to_owned(),
        ));
    }
    Ok(Layout {
        frame_bytes,
        byte_rate,
    })
}

/// Where the data lies, and where the file and its outer chunk end.
struct Span {
    body: u64,
    n_bytes: u64,
    riff_end: u64,
    n_file_bytes: u64,
}

fn judge(
    file: &mut File,
    path: &Path,
    layout: &Layout,
    span: Span,
) -> Result<Option<AudioError>, AudioError> {
    let Span {
        body,
        n_bytes,
        riff_end,
        n_file_bytes,
    } = span;
    let path = path.to_owned();
    let seconds = |n_bytes: u64| n_bytes as f64 / layout.byte_rate;
    let n_present = n_file_bytes.saturating_sub(body);
    if n_present < layout.frame_bytes {
        return Err(AudioError::Empty {
            path,
            found: "a header without samples",
        });
    }
    if riff_end == u64::MAX && n_bytes >= STREAMED_BYTES {
        return Ok(None);
    }
    let data_end = body + n_bytes;
    if data_end > riff_end && n_bytes > n_present {
        // The outer chunk knows better: this is no file that was cut.
        return Err(AudioError::LyingHeader {
            path,
            what: "data size",
            found: format!("{n_bytes} bytes ({:.3} s)", seconds(n_bytes)),
            expected: format!(
                "at most the {n_present} bytes ({:.3} s) that follow",
                seconds(n_present)
            ),
        });
    }
    if data_end > n_file_bytes {
        let n_missing_frames = (data_end - n_file_bytes) / layout.frame_bytes;
        // A last frame that lost a byte is no loss.
        return Ok((n_missing_frames > 0).then(|| AudioError::Truncated {
            path,
            found_s: seconds(n_present),
            header_s: Some(seconds(n_bytes)),
        }));
    }

    let after = data_end + (n_bytes & 1);
    let n_after = n_file_bytes.saturating_sub(after);
    // Fewer than 20 ms cannot matter; a chunk or a tag may well stand there.
    if seconds(n_after) < 0.02 || is_furniture(file, after, n_after) {
        return Ok(None);
    }
    let fault = AudioError::LyingHeader {
        path: path.clone(),
        what: "data size",
        found: format!("{n_bytes} bytes ({:.3} s)", seconds(n_bytes)),
        expected: format!(
            "{} bytes ({:.3} s): more samples follow",
            n_bytes + n_after,
            seconds(n_bytes + n_after)
        ),
    };
    if n_bytes < layout.frame_bytes {
        Err(fault)
    } else {
        Ok(Some(fault))
    }
}

/// Whether what stands behind the data is a chunk, a tag or padding rather than more samples.
fn is_furniture(file: &mut File, at: u64, n_bytes: u64) -> bool {
    let Ok((tag, n_chunk_bytes)) = chunk_header(file, at) else {
        return true;
    };
    let is_chunk =
        tag.iter().all(|byte| (0x20..0x7f).contains(byte)) && n_chunk_bytes <= n_bytes - 8;
    let is_tag = tag.starts_with(b"TAG") || tag.starts_with(b"ID3") || &tag == b"APET";
    is_chunk || is_tag || (tag == [0; 4] && n_chunk_bytes == 0)
}
