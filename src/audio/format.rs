//! What a file is, by its first bytes. The name of a file is never looked at.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// The containers that are read here, or known and refused by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Wav,
    Aiff,
    Au,
    Flac,
    Ogg,
    Mp4,
    Matroska,
    Caf,
    /// MPEG audio layers 1 to 3. `counted`: its first frame carries a count of frames (Xing, Info or VBRI).
    Mpeg {
        counted: bool,
    },
    /// AAC frames without a container.
    Adts,
    /// Known by its marker, not read here.
    Known(&'static str),
    /// Nothing that is known; a word on what it looks like.
    Other(String),
}

/// Bytes that are looked at. Enough for the first frame of MPEG audio.
const HEAD_BYTES: u64 = 4_096;

/// Judges the file by its content and leaves its position at the start.
pub(super) fn sniff(file: &mut File) -> io::Result<Format> {
    let mut head = read_at(file, 0)?;
    let tag_bytes = id3_bytes(&head);
    let format = if tag_bytes > 0 {
        head = read_at(file, tag_bytes)?;
        match of_head(&head) {
            // Taggers pad: what follows the tag may start a little later. The demuxer will look for it.
            Format::Other(_) if !head.is_empty() => Format::Mpeg {
                counted: is_counted(&head),
            },
            Format::Other(_) => Format::Known("an ID3 tag with nothing after it"),
            format => format,
        }
    } else {
        of_head(&head)
    };
    file.seek(SeekFrom::Start(0))?;
    Ok(format)
}

fn read_at(file: &mut File, at: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    let mut head = Vec::new();
    file.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(head)
}

/// The length of an ID3v2 tag at the start, 0 if there is none.
fn id3_bytes(head: &[u8]) -> u64 {
    match head {
        [b'I', b'D', b'3', _, _, flags, size @ ..] if size.len() >= 4 => {
            let body = size[..4]
                .iter()
                .fold(0, |sum, &byte| (sum << 7) | u64::from(byte & 0x7f));
            10 + body + if flags & 0x10 != 0 { 10 } else { 0 }
        }
        _ => 0,
    }
}

fn of_head(head: &[u8]) -> Format {
    let at = |from: usize, marker: &[u8]| head.get(from..from + marker.len()) == Some(marker);
    if at(0, b"RIFF") {
        return match head.get(8..12) {
            Some(b"WAVE") | None => Format::Wav,
            Some(form) => Format::Other(format!(
                "RIFF of the form {:?}",
                String::from_utf8_lossy(form)
            )),
        };
    }
    if at(0, b"FORM") && (at(8, b"AIFF") || at(8, b"AIFC")) {
        return Format::Aiff;
    }
    if at(4, b"ftyp") {
        return Format::Mp4;
    }
    if is_adts(head) {
        return Format::Adts;
    }
    if is_mpeg(head) {
        return Format::Mpeg {
            counted: is_counted(head),
        };
    }
    let markers: [(&[u8], Format); 14] = [
        (b".snd", Format::Au),
        (b"fLaC", Format::Flac),
        (b"OggS", Format::Ogg),
        (b"\x1a\x45\xdf\xa3", Format::Matroska),
        (b"caff", Format::Caf),
        (b"RF64", Format::Known("WAV of more than 4 GiB (RF64)")),
        (b"BW64", Format::Known("WAV of more than 4 GiB (BW64)")),
        (b"RIFX", Format::Known("big-endian WAV (RIFX)")),
        (b"wvpk", Format::Known("WavPack")),
        (b"MAC ", Format::Known("Monkey's Audio")),
        (b"MThd", Format::Known("MIDI, which holds notes, not sound")),
        (b"#!AMR", Format::Known("AMR")),
        (b"\x30\x26\xb2\x75", Format::Known("Windows Media (ASF)")),
        (b"NIST_1A", Format::Known("NIST SPHERE")),
    ];
    for (marker, format) in markers {
        if at(0, marker) {
            return format;
        }
    }
    Format::Other(looks_like(head))
}

/// A frame header of MPEG audio: 11 bits of sync and no reserved value (ISO/IEC 11172-3, 2.4.1.3).
fn is_mpeg(head: &[u8]) -> bool {
    let &[0xff, second, third, _, ..] = head else {
        return false;
    };
    let (version, layer) = (second >> 3 & 3, second >> 1 & 3);
    let (bitrate, rate) = (third >> 4, third >> 2 & 3);
    second >= 0xe0 && version != 1 && layer != 0 && bitrate != 15 && rate != 3
}

/// A frame header of ADTS: 12 bits of sync, layer 0, a known sampling index (ISO/IEC 13818-7, 6.2).
fn is_adts(head: &[u8]) -> bool {
    matches!(head, &[0xff, second, third, _, ..] if second & 0xf6 == 0xf0 && (third >> 2 & 0xf) < 13)
}

/// Whether the first MPEG frame says how many frames follow.
fn is_counted(head: &[u8]) -> bool {
    // The mark stands behind the side information of the first frame, or 36 bytes in (VBRI).
    let first_frame = &head[..head.len().min(256)];
    first_frame
        .windows(4)
        .any(|word| matches!(word, b"Xing" | b"Info" | b"VBRI"))
}

fn looks_like(head: &[u8]) -> String {
    // Text may be cut in the middle of a character.
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).expect("valid up to here")
        }
        Err(_) => "",
    };
    if !text.is_empty() && !text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        let start: String = text.chars().take(24).collect();
        return format!("text ({start:?}...)");
    }
    let bytes: Vec<String> = head
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("bytes of no known format ({})", bytes.join(" "))
}
