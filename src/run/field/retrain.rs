//! The sounds that a detector took for a keyword, cut out and kept: the best examples to train against.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::FieldError;
use crate::audio::{AudioReader, Clip, write_wav};
use crate::bundle::Bundle;
use crate::ingest::Watch;
use crate::stream::{Detection, Session};

/// Sound kept before the word and behind the decision.
const MARGIN_S: f64 = 0.5;

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FalseClip {
    /// The clip, within the folder.
    pub clip: PathBuf,
    pub keyword: String,
    pub score: f32,
    /// The recording it was cut from, and where.
    pub source: PathBuf,
    pub start_s: f64,
    pub end_s: f64,
}

/// Hears the recordings again with a bundle's own detector and writes what it reports, a WAV each in a folder of its keyword,
/// with `clips.json` that names them all; the highest scores where there are more than `n_most`.
///
/// # Errors
///
/// A folder or file that cannot be written, a recording that cannot be read, and [`FieldError::Stopped`].
pub fn save_false_clips(
    bundle: &Bundle,
    files: &[PathBuf],
    folder: &Path,
    n_most: usize,
    watch: &dyn Watch,
) -> Result<Vec<FalseClip>, FieldError> {
    let mut session = Session::new(bundle)?;
    let mut found: Vec<(usize, Detection)> = Vec::new();
    for (index, path) in files.iter().enumerate() {
        if watch.stopped() {
            return Err(FieldError::Stopped);
        }
        let detections = hear(bundle, &mut session, path)?;
        found.extend(detections.into_iter().map(|detection| (index, detection)));
        watch.progress(index + 1, files.len(), "find false accepts");
    }
    found.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
    found.truncate(n_most);
    let mut saved = Vec::new();
    for (index, path) in files.iter().enumerate() {
        if watch.stopped() {
            return Err(FieldError::Stopped);
        }
        let mut of_file: Vec<&Detection> = found
            .iter()
            .filter(|(file, _)| *file == index)
            .map(|(_, detection)| detection)
            .collect();
        of_file.sort_by_key(|detection| detection.start_sample);
        saved.extend(cut(bundle, path, &of_file, folder)?);
    }
    let io = |source| FieldError::Io {
        path: folder.to_owned(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(io)?;
    let list = serde_json::to_vec_pretty(&saved).expect("plain data");
    auricle_datasets::partial::write_bytes(&folder.join("clips.json"), &list).map_err(io)?;
    Ok(saved)
}

fn hear(bundle: &Bundle, session: &mut Session, path: &Path) -> Result<Vec<Detection>, FieldError> {
    let mut reader = AudioReader::open(path, bundle.frontend.sample_rate_hz)?;
    session.reset();
    let (mut samples, mut heard) = (Vec::new(), Vec::new());
    loop {
        samples.clear();
        let more = reader.read(&mut samples)?;
        session.push(&samples, |detection| heard.push(detection));
        if !more {
            break;
        }
    }
    session.finish(|detection| heard.push(detection));
    Ok(heard)
}

/// Cuts stretches out of one recording, in the order of their starts, in memory of the stretches that are open.
fn cut(
    bundle: &Bundle,
    path: &Path,
    detections: &[&Detection],
    folder: &Path,
) -> Result<Vec<FalseClip>, FieldError> {
    if detections.is_empty() {
        return Ok(Vec::new());
    }
    let sample_rate_hz = bundle.frontend.sample_rate_hz;
    let margin = (MARGIN_S * f64::from(sample_rate_hz)) as u64;
    let stretch = |detection: &Detection| {
        let from = detection.start_sample.saturating_sub(margin);
        (from, detection.decided_at_sample + margin)
    };
    let mut clips: Vec<Vec<f32>> = vec![Vec::new(); detections.len()];
    let mut reader = AudioReader::open(path, sample_rate_hz)?;
    let (mut samples, mut n_before) = (Vec::new(), 0_u64);
    loop {
        samples.clear();
        let more = reader.read(&mut samples)?;
        for (detection, clip) in detections.iter().zip(&mut clips) {
            let (from, to) = stretch(detection);
            let within = |at: u64| at.saturating_sub(n_before).min(samples.len() as u64) as usize;
            clip.extend_from_slice(&samples[within(from)..within(to)]);
        }
        n_before += samples.len() as u64;
        if !more {
            break;
        }
    }
    let stem = path
        .file_stem()
        .map_or("sound".into(), |stem| stem.to_string_lossy());
    let mut saved = Vec::new();
    for (detection, samples) in detections.iter().zip(clips) {
        let (from, _) = stretch(detection);
        let seconds = |sample: u64| sample as f64 / f64::from(sample_rate_hz);
        let word = folder_name(&detection.keyword);
        let keyword_folder = folder.join(&word);
        std::fs::create_dir_all(&keyword_folder).map_err(|source| FieldError::Io {
            path: keyword_folder.clone(),
            source,
        })?;
        let name = format!("{stem}_{:09.2}s_{:.2}.wav", seconds(from), detection.score);
        let end_s = seconds(from + samples.len() as u64);
        let clip = Clip {
            samples,
            sample_rate_hz,
        };
        write_wav(&keyword_folder.join(&name), &clip)?;
        saved.push(FalseClip {
            clip: Path::new(&word).join(name),
            keyword: detection.keyword.clone(),
            score: detection.score,
            source: path.to_owned(),
            start_s: seconds(from),
            end_s,
        });
    }
    Ok(saved)
}

/// A keyword as the name of a folder: it came from a bundle and may be any text.
fn folder_name(keyword: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '\'');
    let plain = |c: char| if is_plain(c) { c } else { '_' };
    keyword.chars().map(plain).collect()
}
