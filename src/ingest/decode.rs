//! Files decoded in parallel, a window of them at a time, and handed on in the order of their list.
//!
//! Knows nothing of what becomes of a sound.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use auricle_datasets::background::NoiseRegion;
use auricle_datasets::{SILENCE, Utterance};
use auricle_features::LogMel;
use rayon::prelude::*;

use super::cut::{Demand, Piece, cut};
use super::receipt::{Content, FileDigest, digest_of};
use super::reject::Fault;
use super::{IngestError, Watch};

/// Files that are worked on at a time, for each worker.
const WINDOW_FILES: usize = 16;

/// Bytes of files that are worked on at a time, unless one file alone is larger: compressed, some quarter of an hour of speech.
const WINDOW_BYTES: u64 = 8 << 20;

/// Pieces that are cut from one file in one reading of it.
const MAX_PIECES: usize = 256;

/// A clip that is any good.
pub(super) struct Sound {
    pub samples: Vec<i16>,
    /// `[n_frames, n_mels]`, or nothing for noise.
    pub frames: Vec<f32>,
}

/// What is wanted of one file.
pub(super) trait Stretch: Send + Sync {
    fn path(&self) -> &Path;
    fn piece(&self) -> Piece;
}

impl Stretch for Utterance {
    fn path(&self) -> &Path {
        &self.path
    }

    fn piece(&self) -> Piece {
        Piece {
            start_s: self.start_s,
            end_s: self.end_s,
            must_sound: self.label != SILENCE,
        }
    }
}

impl Stretch for NoiseRegion {
    fn path(&self) -> &Path {
        &self.path
    }

    fn piece(&self) -> Piece {
        Piece {
            start_s: Some(self.start_s),
            end_s: Some(self.end_s),
            must_sound: true,
        }
    }
}

/// The threads of an ingestion, one at least.
pub(super) fn workers(n_workers: usize) -> Result<rayon::ThreadPool, IngestError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(n_workers.max(1))
        .build()
        .map_err(|error| IngestError::Workers {
            n_workers,
            reason: error.to_string(),
        })
}

/// Stretches that lie one after the other in the same file.
struct Group<S> {
    of_file: Vec<S>,
    /// None of the file was in a group before.
    is_first: bool,
}

/// What came of one group.
struct Read {
    /// Where the group is the first one of its file.
    digest: Option<FileDigest>,
    outcomes: Vec<Result<Sound, Fault>>,
}

/// How many of what are decoded, for whoever waits.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub n_total: usize,
    pub what: &'a str,
}

/// What all decoding of one ingestion shares.
pub(super) struct Decoder<'a> {
    pub source: &'a Path,
    pub sample_rate_hz: u32,
    pub workers: &'a rayon::ThreadPool,
    pub watch: &'a dyn Watch,
}

impl Decoder<'_> {
    /// Hands on every stretch in order, and every file to `content`; with `plan` also the frames. The window that is decoded
    /// and the one that is taken are all that there is in memory.
    pub fn for_each<S: Stretch>(
        &self,
        stretches: impl Iterator<Item = Result<S, IngestError>> + Send,
        task: Task,
        plan: Option<&LogMel>,
        content: &mut Content,
        mut take: impl FnMut(S, Result<Sound, Fault>) -> Result<(), IngestError>,
    ) -> Result<(), IngestError> {
        // No window waits between the two.
        let (sender, windows) = sync_channel(0);
        thread::scope(|scope| -> Result<(), IngestError> {
            scope.spawn(|| {
                let sender = sender;
                let n_done = AtomicUsize::new(0);
                let done = |n_more| {
                    let n_done = n_done.fetch_add(n_more, Ordering::Relaxed) + n_more;
                    self.watch.progress(n_done, task.n_total, task.what);
                };
                let windows = Windows {
                    source: self.source,
                    max_files: WINDOW_FILES * self.workers.current_num_threads(),
                    rest: stretches.peekable(),
                    last: PathBuf::new(),
                };
                for window in windows {
                    let read = window.and_then(|window| self.read(window, plan, done));
                    // Nobody listens where a window could not be taken.
                    if sender.send(read).is_err() {
                        return;
                    }
                }
            });
            for window in windows {
                for (group, Read { digest, outcomes }) in window? {
                    if let Some(digest) = digest {
                        content.take(group.of_file[0].path(), digest);
                    }
                    for (stretch, outcome) in group.of_file.into_iter().zip(outcomes) {
                        take(stretch, outcome)?;
                    }
                }
            }
            Ok(())
        })?;
        if self.watch.stopped() {
            return Err(IngestError::Stopped);
        }
        Ok(())
    }

    /// Decodes groups of stretches, all of them at once.
    fn read<S: Stretch>(
        &self,
        window: Vec<Group<S>>,
        plan: Option<&LogMel>,
        done: impl Fn(usize) + Sync,
    ) -> Result<Vec<(Group<S>, Read)>, IngestError> {
        let read = |group: Group<S>| {
            if self.watch.stopped() {
                return Err(IngestError::Stopped);
            }
            let path = self.source.join(group.of_file[0].path());
            let digest = group.is_first.then(|| digest_of(&path));
            let outcomes = self.decode(&path, &group.of_file, plan);
            done(group.of_file.len());
            Ok((group, Read { digest, outcomes }))
        };
        self.workers
            .install(|| window.into_par_iter().map(read).collect())
    }

    fn decode<S: Stretch>(
        &self,
        path: &Path,
        of_file: &[S],
        plan: Option<&LogMel>,
    ) -> Vec<Result<Sound, Fault>> {
        let pieces: Vec<Piece> = of_file.iter().map(Stretch::piece).collect();
        let demand = Demand {
            sample_rate_hz: self.sample_rate_hz,
            min_samples: plan.map_or(1, |plan| plan.spec().window_samples),
        };
        let sound = |samples: Vec<i16>| {
            let frames = plan.map(|plan| {
                let waveform: Vec<f32> = samples
                    .iter()
                    .map(|&sample| f32::from(sample) / 32_768.0)
                    .collect();
                plan.clip(&waveform).values
            });
            Sound {
                samples,
                frames: frames.unwrap_or_default(),
            }
        };
        cut(path, &pieces, demand)
            .into_iter()
            .map(|cut| cut.map(sound))
            .collect()
    }
}

/// A list cut into windows.
struct Windows<'a, S, I: Iterator<Item = Result<S, IngestError>>> {
    source: &'a Path,
    max_files: usize,
    rest: std::iter::Peekable<I>,
    /// The file of the last group.
    last: PathBuf,
}

impl<S: Stretch, I: Iterator<Item = Result<S, IngestError>>> Iterator for Windows<'_, S, I> {
    type Item = Result<Vec<Group<S>>, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut window, mut n_bytes) = (Vec::new(), 0);
        while let Some(next) = self.rest.peek() {
            if let Ok(next) = next {
                let metadata = fs::metadata(self.source.join(next.path()));
                n_bytes += metadata.map_or(0, |metadata| metadata.len());
            }
            if window.len() == self.max_files || (n_bytes > WINDOW_BYTES && !window.is_empty()) {
                break;
            }
            match self.rest.next()? {
                Ok(first) => window.push(self.group(first)),
                Err(error) => return Some(Err(error)),
            }
        }
        (!window.is_empty()).then_some(Ok(window))
    }
}

impl<S: Stretch, I: Iterator<Item = Result<S, IngestError>>> Windows<'_, S, I> {
    /// The neighbours of `first` that are cut from the same file.
    fn group(&mut self, first: S) -> Group<S> {
        let is_first = self.last != first.path();
        if is_first {
            self.last = first.path().to_owned();
        }
        let mut of_file = vec![first];
        while of_file.len() < MAX_PIECES
            && let Some(Ok(next)) =
                (self.rest).next_if(|next| next.as_ref().is_ok_and(|next| next.path() == self.last))
        {
            of_file.push(next);
        }
        Group { of_file, is_first }
    }
}

#[cfg(test)]
mod tests {
    use auricle_datasets::Split;

    use super::*;

    fn piece(path: &str, at: usize) -> Result<NoiseRegion, IngestError> {
        Ok(NoiseRegion {
            path: path.into(),
            split: Split::Train,
            start_s: at as f64,
            end_s: at as f64 + 1.0,
        })
    }

    #[test]
    fn a_list_is_cut_into_windows_of_files_and_a_long_file_begins_once() {
        let long = (0..2 * MAX_PIECES + 7).map(|at| piece("long.wav", at));
        let short = (0..3).map(|at| piece(&format!("short{at}.wav"), 0));
        let windows = Windows {
            source: Path::new("nowhere"),
            max_files: 2,
            rest: long.chain(short).peekable(),
            last: PathBuf::new(),
        };
        let shape = |group: &Group<NoiseRegion>| (group.of_file.len(), group.is_first);
        let windows: Vec<Vec<(usize, bool)>> = windows
            .map(|window| window.unwrap().iter().map(shape).collect())
            .collect();
        assert_eq!(
            windows,
            [
                vec![(MAX_PIECES, true), (MAX_PIECES, false)],
                vec![(7, false), (1, true)],
                vec![(1, true), (1, true)],
            ]
        );
    }

    #[test]
    fn a_list_that_cannot_be_read_further_ends_with_its_error() {
        let rest = [piece("a.wav", 0), Err(IngestError::Stopped)];
        let mut windows = Windows {
            source: Path::new("nowhere"),
            max_files: 8,
            rest: rest.into_iter().peekable(),
            last: PathBuf::new(),
        };
        assert!(matches!(windows.next(), Some(Err(IngestError::Stopped))));
    }
}
