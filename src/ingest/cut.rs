//! One audio file -> the pieces of it that the manifest asks for.
//!
//! The file is read once, as a stream, however many pieces are cut from it; only the pieces are held. Their content is judged
//! here: exact silence, too short, too long, beyond the end.

use std::path::Path;

use super::reject::{Fault, Reason};
use crate::audio::{AudioError, AudioReader};

/// The longest clip, in seconds. Longer recordings are cut by `start` and `end` in the manifest.
pub(super) const MAX_CLIP_S: f64 = 300.0;

/// How far an end may lie beyond the end of the file: lists are written in rounded numbers.
const END_SLACK_S: f64 = 0.05;

/// A stretch of a file; `None` is its start or end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub start_s: Option<f64>,
    pub end_s: Option<f64>,
    /// Whether exact silence is a fault.
    pub must_sound: bool,
}

/// What a piece must be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    pub sample_rate_hz: u32,
    pub min_samples: usize,
}

/// The 16-bit samples of each piece, or what is wrong with it. One answer a piece, in their order.
pub(super) fn cut(path: &Path, pieces: &[Piece], demand: Demand) -> Vec<Result<Vec<i16>, Fault>> {
    let mut cuts: Vec<Cut> = pieces
        .iter()
        .map(|piece| Cut::new(piece, demand.sample_rate_hz))
        .collect();
    match collect(path, &mut cuts, demand.sample_rate_hz) {
        Ok(n_samples) => cuts
            .into_iter()
            .map(|cut| cut.judge(path, n_samples, demand))
            .collect(),
        Err(error) => pieces.iter().map(|_| Err(Fault::from(&error))).collect(),
    }
}

/// The length of a sound file in seconds.
pub(super) fn measure(path: &Path, sample_rate_hz: u32) -> Result<f64, Fault> {
    let n_samples = collect(path, &mut [], sample_rate_hz).map_err(|error| Fault::from(&error))?;
    Ok(n_samples as f64 / f64::from(sample_rate_hz))
}

/// The samples between which a stretch lies; `usize::MAX` is the end of the file. A time that makes no sense gives bounds that
/// make none: see [`out_of_range`].
pub(crate) fn bounds(
    start_s: Option<f64>,
    end_s: Option<f64>,
    sample_rate_hz: u32,
) -> (usize, usize) {
    // Casts from float saturate; NaN becomes 0.
    let at = |seconds: f64| (seconds * f64::from(sample_rate_hz)).round() as usize;
    (at(start_s.unwrap_or(0.0)), end_s.map_or(usize::MAX, at))
}

/// What is wrong with the times of a stretch in a file of `n_in_file` samples, if anything is.
pub(crate) fn out_of_range(
    start_s: Option<f64>,
    end_s: Option<f64>,
    n_in_file: usize,
    sample_rate_hz: u32,
) -> Option<String> {
    let rate = f64::from(sample_rate_hz);
    let file_s = n_in_file as f64 / rate;
    let mut times = start_s.into_iter().chain(end_s);
    if let Some(seconds) = times.find(|seconds| seconds.is_nan() || *seconds < 0.0) {
        return Some(format!("found a time of {seconds} s, expected 0 or more"));
    }
    if let Some(end_s) = end_s.filter(|&end_s| end_s > file_s + END_SLACK_S) {
        return Some(format!(
            "found an end at {end_s} s, expected it within {file_s:.3} s"
        ));
    }
    let (start, end) = bounds(start_s, end_s, sample_rate_hz);
    (start >= end.min(n_in_file.max(1))).then(|| {
        let (start_s, end_s) = (start as f64 / rate, end.min(n_in_file) as f64 / rate);
        format!(
            "found a piece from {start_s:.3} s to {end_s:.3} s, expected its end after its start"
        )
    })
}

/// What is wrong with a clip of `n_samples`, if it is too short to be heard.
pub(crate) fn too_short(n_samples: usize, demand: Demand) -> Option<String> {
    let Demand {
        sample_rate_hz,
        min_samples,
    } = demand;
    (n_samples < min_samples).then(|| {
        format!(
            "found {n_samples} samples at {sample_rate_hz} Hz, expected one window of {min_samples} at least"
        )
    })
}

/// Reads the file into the cuts, as far as the last of them reaches. Returns the samples read.
fn collect(path: &Path, cuts: &mut [Cut], sample_rate_hz: u32) -> Result<usize, AudioError> {
    let n_wanted = if cuts.is_empty() {
        usize::MAX
    } else {
        cuts.iter().map(|cut| cut.end).max().unwrap_or(0)
    };
    let mut reader = AudioReader::open(path, sample_rate_hz)?;
    let (mut chunk, mut n_read) = (Vec::new(), 0);
    loop {
        chunk.clear();
        let more = reader.read(&mut chunk)?;
        cuts.iter_mut().for_each(|cut| cut.take(n_read, &chunk));
        n_read += chunk.len();
        if n_read >= n_wanted {
            return Ok(n_read);
        }
        if !more {
            break;
        }
    }
    match reader.into_fault() {
        Some(fault) => Err(fault),
        None => Ok(n_read),
    }
}

/// A piece while its file is read.
struct Cut {
    piece: Piece,
    start: usize,
    /// `usize::MAX` is the end of the file.
    end: usize,
    n_most: usize,
    samples: Vec<i16>,
    is_too_long: bool,
}

impl Cut {
    fn new(piece: &Piece, sample_rate_hz: u32) -> Self {
        let (start, end) = bounds(piece.start_s, piece.end_s, sample_rate_hz);
        Cut {
            piece: *piece,
            start,
            end,
            n_most: (MAX_CLIP_S * f64::from(sample_rate_hz)) as usize,
            samples: Vec::new(),
            is_too_long: false,
        }
    }

    fn take(&mut self, chunk_start: usize, chunk: &[f32]) {
        let from = self.start.max(chunk_start).min(chunk_start + chunk.len()) - chunk_start;
        let to = self.end.max(chunk_start).min(chunk_start + chunk.len()) - chunk_start;
        if from >= to || self.is_too_long {
            return;
        }
        self.samples
            .extend(chunk[from..to].iter().map(|&sample| quantise(sample)));
        if self.samples.len() > self.n_most {
            self.is_too_long = true;
            self.samples = Vec::new();
        }
    }

    fn judge(self, path: &Path, n_in_file: usize, demand: Demand) -> Result<Vec<i16>, Fault> {
        let fault = |reason, what: String| {
            Err(Fault {
                reason,
                message: format!("{}: {what}", path.display()),
            })
        };
        let Piece { start_s, end_s, .. } = self.piece;
        if let Some(what) = out_of_range(start_s, end_s, n_in_file, demand.sample_rate_hz) {
            return fault(Reason::OutOfRange, what);
        }
        if self.is_too_long {
            let what = format!(
                "longer than {MAX_CLIP_S} s, the most for one clip; give start and end in a manifest"
            );
            return fault(Reason::TooLong, what);
        }
        if let Some(what) = too_short(self.samples.len(), demand) {
            return fault(Reason::TooShort, what);
        }
        let first = self.samples.first().copied().unwrap_or(0);
        if self.piece.must_sound && self.samples.iter().all(|&sample| sample == first) {
            let level = f32::from(first) / 32_768.0;
            return fault(
                Reason::Silent,
                format!("every sample is {level}, expected sound"),
            );
        }
        Ok(self.samples)
    }
}

fn quantise(sample: f32) -> i16 {
    (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16
}
