//! Which part of an M4A's decoded frames is the sound: its edit list (ISO/IEC 14496-12, 8.6.6).
//!
//! AAC puts 1,024 or more frames of start-up before the sound and fills its last packet; the edit list says how much.
//! Reads box headers and a few fixed fields only. Whatever is unusual gives no edit, never an error: the demuxer judges.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// More boxes than any audio file holds outside its tables.
const MAX_BOXES: usize = 10_000;

/// The part of a track that is meant to be heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Edit {
    pub skip_s: f64,
    pub keep_s: f64,
}

#[derive(Default)]
struct Movie {
    units_per_s: Option<u32>,
    tracks: Vec<AudioTrack>,
    n_boxes: usize,
}

#[derive(Default)]
struct AudioTrack {
    units_per_s: Option<u32>,
    is_sound: bool,
    /// Duration in the movie's units, start in the track's.
    edits: Vec<(u64, i64)>,
}

/// The edit of a file with exactly one sound track and exactly one edit that is not empty.
pub(super) fn edit(file: &mut File, n_file_bytes: u64) -> Option<Edit> {
    let mut movie = Movie::default();
    walk(file, 0, n_file_bytes, &mut movie).ok()?;
    file.seek(SeekFrom::Start(0)).ok()?;
    let mut sounds = movie.tracks.iter().filter(|track| track.is_sound);
    let (Some(track), None) = (sounds.next(), sounds.next()) else {
        return None;
    };
    let mut heard = track.edits.iter().filter(|(_, start)| *start >= 0);
    let (Some(&(duration, start)), None) = (heard.next(), heard.next()) else {
        return None;
    };
    let movie_units_per_s = f64::from(movie.units_per_s.filter(|&units| units > 0)?);
    let track_units_per_s = f64::from(track.units_per_s.filter(|&units| units > 0)?);
    // A duration of 0 means "to the end" (fragmented files).
    let keep_s = if duration == 0 {
        f64::INFINITY
    } else {
        duration as f64 / movie_units_per_s
    };
    Some(Edit {
        skip_s: start as f64 / track_units_per_s,
        keep_s,
    })
}

fn walk(file: &mut File, from: u64, to: u64, movie: &mut Movie) -> io::Result<()> {
    let mut at = from;
    while at + 8 <= to {
        movie.n_boxes += 1;
        if movie.n_boxes > MAX_BOXES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        file.seek(SeekFrom::Start(at))?;
        let head: [u8; 8] = take(file)?;
        let (size, kind) = (
            u32::from_be_bytes([head[0], head[1], head[2], head[3]]),
            &head[4..8],
        );
        let (head_bytes, n_bytes) = match size {
            0 => (8, to - at),
            1 => (16, u64::from_be_bytes(take(file)?)),
            _ => (8, u64::from(size)),
        };
        if n_bytes < head_bytes || n_bytes > to - at {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (body, end) = (at + head_bytes, at + n_bytes);
        match kind {
            b"trak" => {
                movie.tracks.push(AudioTrack::default());
                walk(file, body, end, movie)?;
            }
            b"moov" | b"edts" | b"mdia" => walk(file, body, end, movie)?,
            b"mvhd" => movie.units_per_s = Some(units_per_s(file)?),
            b"mdhd" => {
                let units = units_per_s(file)?;
                track(movie)?.units_per_s = Some(units);
            }
            b"hdlr" => {
                let handler: [u8; 12] = take(file)?;
                if let Some(track) = movie.tracks.last_mut() {
                    track.is_sound |= handler[8..12] == *b"soun";
                }
            }
            b"elst" => {
                let edits = edits(file)?;
                track(movie)?.edits = edits;
            }
            _ => {}
        }
        at = end;
    }
    Ok(())
}

fn track(movie: &mut Movie) -> io::Result<&mut AudioTrack> {
    movie
        .tracks
        .last_mut()
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The time scale in a movie or media header: behind two times of 4 bytes, or 8 in version 1.
fn units_per_s(file: &mut File) -> io::Result<u32> {
    let [version, ..] = take::<4>(file)?;
    if version == 1 {
        take::<16>(file)?;
    } else {
        take::<8>(file)?;
    }
    Ok(u32::from_be_bytes(take(file)?))
}

fn edits(file: &mut File) -> io::Result<Vec<(u64, i64)>> {
    let [version, ..] = take::<4>(file)?;
    let n_edits = u32::from_be_bytes(take(file)?);
    // Nobody cuts a word out of more pieces; beyond that the list is not used.
    if n_edits > 16 {
        return Ok(Vec::new());
    }
    let mut edits = Vec::new();
    for _ in 0..n_edits {
        edits.push(if version == 1 {
            (
                u64::from_be_bytes(take(file)?),
                i64::from_be_bytes(take(file)?),
            )
        } else {
            (
                u64::from(u32::from_be_bytes(take(file)?)),
                i64::from(i32::from_be_bytes(take(file)?)),
            )
        });
        take::<4>(file)?; // speed
    }
    Ok(edits)
}

fn take<const N: usize>(file: &mut File) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}
