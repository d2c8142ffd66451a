//! Background noise: how long each recording is, and which stretches of it become `_silence_` clips or noise to mix in.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use auricle_datasets::background::{NoiseFile, NoiseRegion, divide, silence_rows};
use auricle_datasets::{CorpusSpec, Split, Utterance};
use rayon::prelude::*;

use super::cut::measure;
use super::reject::Reject;
use super::{IngestError, Watch};

/// Noise is stored in pieces of this length, in seconds.
const PIECE_S: f64 = 30.0;

/// What the noise recordings of a corpus give.
pub(super) struct Noise {
    /// Crops of the class `_silence_`.
    pub silence: Vec<Utterance>,
    /// What training may hear, cut to pieces.
    pub training: Vec<NoiseRegion>,
    pub rejects: Vec<Reject>,
}

/// Measures every recording and divides them by the rules of the corpus.
pub(super) fn divide_noise(
    source: &Path,
    files: &[PathBuf],
    utterances: &[Utterance],
    spec: &CorpusSpec,
    sample_rate_hz: u32,
    watch: &dyn Watch,
) -> Result<Noise, IngestError> {
    let n_done = AtomicUsize::new(0);
    let measured: Vec<_> = files
        .par_iter()
        .map(|path| {
            if watch.stopped() {
                return Err(IngestError::Stopped);
            }
            let measured = measure(&source.join(path), sample_rate_hz);
            watch.progress(
                n_done.fetch_add(1, Ordering::Relaxed) + 1,
                files.len(),
                "noise measured",
            );
            Ok((path, measured))
        })
        .collect::<Result<_, _>>()?;

    let (mut heard, mut rejects) = (Vec::new(), Vec::new());
    for (path, measured) in measured {
        match measured {
            Ok(duration_s) => heard.push(NoiseFile {
                path: path.clone(),
                duration_s,
            }),
            Err(fault) => rejects.push(Reject::of(path, None, None, fault)),
        }
    }
    let regions = divide(&heard, spec);
    let silence = silence_rows(utterances, &regions, spec)?;
    let training = regions
        .iter()
        .filter(|region| region.split == Split::Train)
        .flat_map(pieces)
        .collect();
    Ok(Noise {
        silence,
        training,
        rejects,
    })
}

fn pieces(region: &NoiseRegion) -> Vec<NoiseRegion> {
    let n_pieces = ((region.end_s - region.start_s) / PIECE_S).ceil().max(1.0) as usize;
    let bound = |at: usize| (region.start_s + at as f64 * PIECE_S).min(region.end_s);
    (0..n_pieces)
        .map(|at| NoiseRegion {
            start_s: bound(at),
            end_s: bound(at + 1),
            ..region.clone()
        })
        .collect()
}
