//! Every clip of a corpus, heard once and let go: what an inspection needs to know of it.
//!
//! Nothing is written, resampled or judged here; what is heard is defined by `datasets::inspect`.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use auricle_datasets::background::noise_files;
use auricle_datasets::inspect::{Heard, Inspected, Listener};
use auricle_datasets::{CorpusSpec, ManifestRow, scan};
use rayon::prelude::*;

use super::cut::{bounds, out_of_range};
use super::decode::workers;
use super::noise::divide_noise;
use super::{IngestError, Watch};
use crate::audio::{AudioError, AudioReader};

/// The rate at which noise is measured and a file is first opened; any would do.
const SOME_RATE_HZ: u32 = 16_000;

/// The clips of a task, with its crops of silence: what ingestion would take, before anything is set aside.
///
/// # Errors
///
/// A corpus that is not as the spec says; too little noise; [`IngestError::Stopped`].
pub fn task_rows(
    source: &Path,
    spec: &CorpusSpec,
    n_workers: usize,
    watch: &dyn Watch,
) -> Result<Vec<ManifestRow>, IngestError> {
    let utterances = scan(source, spec)?;
    let mut rows: Vec<ManifestRow> = utterances.iter().cloned().map(Into::into).collect();
    if spec.labels.noise().is_some() {
        let noise = noise_files(source, &spec.background)?;
        let divided = workers(n_workers)?
            .install(|| divide_noise(source, &noise, &utterances, spec, SOME_RATE_HZ, watch))?;
        rows.extend(divided.silence.into_iter().map(Into::into));
    }
    Ok(rows)
}

/// Hears every clip, on `n_workers` threads. The order of the rows is kept. A file that cannot be decoded whole is no
/// error: it says so in its clip.
///
/// # Errors
///
/// [`IngestError::Stopped`]; no threads to work with.
pub fn hear(
    source: &Path,
    rows: Vec<ManifestRow>,
    n_workers: usize,
    watch: &dyn Watch,
) -> Result<Vec<Inspected>, IngestError> {
    let mut by_file: Vec<usize> = (0..rows.len()).collect();
    by_file.sort_by(|&a, &b| rows[a].path.cmp(&rows[b].path));
    let files: Vec<&[usize]> = by_file
        .chunk_by(|&a, &b| rows[a].path == rows[b].path)
        .collect();
    let n_done = AtomicUsize::new(0);
    let answers: Vec<Vec<Result<Heard, String>>> = workers(n_workers)?.install(|| {
        files
            .par_iter()
            .map(|file| {
                if watch.stopped() {
                    return Err(IngestError::Stopped);
                }
                let clips: Vec<&ManifestRow> = file.iter().map(|&at| &rows[at]).collect();
                let answers = of_file(&source.join(&clips[0].path), &clips);
                let n_done = n_done.fetch_add(clips.len(), Ordering::Relaxed) + clips.len();
                watch.progress(n_done, rows.len(), "clips heard");
                Ok(answers)
            })
            .collect::<Result<_, _>>()
    })?;
    let mut heard: Vec<Option<Result<Heard, String>>> = vec![None; rows.len()];
    for (file, answers) in files.iter().zip(answers) {
        for (&at, answer) in file.iter().zip(answers) {
            heard[at] = Some(answer);
        }
    }
    let clips = rows.into_iter().zip(heard).map(|(row, heard)| Inspected {
        row,
        heard: heard.expect("every row belongs to a file"),
    });
    Ok(clips.collect())
}

/// Reads a file once, at its own rate, for all the clips in it.
fn of_file(path: &Path, clips: &[&ManifestRow]) -> Vec<Result<Heard, String>> {
    let mut listeners: Vec<Listener> = clips.iter().map(|_| Listener::new()).collect();
    match stream(path, clips, &mut listeners) {
        Err(error) => clips.iter().map(|_| Err(error.to_string())).collect(),
        Ok(file) => listeners
            .into_iter()
            .zip(clips)
            .map(|(listener, clip)| {
                let said = |what: &str| format!("{}: {what}", path.display());
                let fault = out_of_range(clip.start_s, clip.end_s, file.n_samples, file.rate_hz);
                match fault {
                    Some(what) => Err(said(&what)),
                    None => (listener.finish(file.rate_hz, file.n_channels))
                        .ok_or_else(|| said("found no sample, expected some")),
                }
            })
            .collect(),
    }
}

/// A file that was read to its end.
struct WholeFile {
    rate_hz: u32,
    n_channels: usize,
    n_samples: usize,
}

fn stream(
    path: &Path,
    clips: &[&ManifestRow],
    listeners: &mut [Listener],
) -> Result<WholeFile, AudioError> {
    let mut reader = AudioReader::open(path, SOME_RATE_HZ)?;
    let (rate_hz, n_channels) = (reader.source_rate_hz(), reader.n_source_channels());
    if rate_hz != SOME_RATE_HZ {
        reader = AudioReader::open(path, rate_hz)?;
    }
    let bounds: Vec<(usize, usize)> = clips
        .iter()
        .map(|clip| bounds(clip.start_s, clip.end_s, rate_hz))
        .collect();
    let (mut chunk, mut n_read) = (Vec::new(), 0);
    loop {
        chunk.clear();
        let more = reader.read(&mut chunk)?;
        let chunk_end = n_read + chunk.len();
        for (listener, &(start, end)) in listeners.iter_mut().zip(&bounds) {
            let (from, to) = (start.clamp(n_read, chunk_end), end.clamp(n_read, chunk_end));
            if from < to {
                listener.push(&chunk[from - n_read..to - n_read]);
            }
        }
        n_read = chunk_end;
        if !more {
            break;
        }
    }
    match reader.into_fault() {
        Some(fault) => Err(fault),
        None => Ok(WholeFile {
            rate_hz,
            n_channels,
            n_samples: n_read,
        }),
    }
}
