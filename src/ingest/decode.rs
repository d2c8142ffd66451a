//! Files decoded in parallel, and handed on in the order of their list.
//!
//! Knows nothing of what becomes of a sound.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use auricle_datasets::background::NoiseRegion;
use auricle_datasets::{SILENCE, Utterance};
use auricle_features::LogMel;

use super::cut::{Demand, Piece, cut};
use super::in_order::{Bounds, in_order};
use super::receipt::{Content, FileDigest, digest_of};
use super::reject::Fault;
use super::{IngestError, Watch};

/// Files that are decoded or wait for their turn, for each worker.
const FILES_UNDER_WAY: usize = 8;

/// Bytes of these files: compressed, some quarter of an hour of speech.
const BYTES_UNDER_WAY: u64 = 8 << 20;

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
    /// Hands on every stretch in order, and every file to `content`; with `plan` also the frames.
    pub fn for_each<S: Stretch>(
        &self,
        stretches: impl Iterator<Item = Result<S, IngestError>> + Send,
        task: Task,
        plan: Option<&LogMel>,
        content: &mut Content,
        mut take: impl FnMut(S, Result<Sound, Fault>) -> Result<(), IngestError>,
    ) -> Result<(), IngestError> {
        let groups = Groups {
            source: self.source,
            rest: stretches.peekable(),
            last: PathBuf::new(),
        };
        let bounds = Bounds {
            n_items: FILES_UNDER_WAY * self.workers.current_num_threads(),
            weight: BYTES_UNDER_WAY,
        };
        let n_done = AtomicUsize::new(0);
        let read = |group: Result<Group<S>, IngestError>| {
            let group = group?;
            if self.watch.stopped() {
                return Err(IngestError::Stopped);
            }
            let path = self.source.join(group.of_file[0].path());
            let digest = group.is_first.then(|| digest_of(&path));
            let outcomes = self.decode(&path, &group.of_file, plan);
            let n_more = group.of_file.len();
            let n_done = n_done.fetch_add(n_more, Ordering::Relaxed) + n_more;
            self.watch.progress(n_done, task.n_total, task.what);
            Ok((group, Read { digest, outcomes }))
        };
        in_order(self.workers, groups, bounds, read, |read| {
            let (group, Read { digest, outcomes }) = read?;
            if let Some(digest) = digest {
                content.take(group.of_file[0].path(), digest);
            }
            (group.of_file.into_iter().zip(outcomes))
                .try_for_each(|(stretch, outcome)| take(stretch, outcome))
        })?;
        if self.watch.stopped() {
            return Err(IngestError::Stopped);
        }
        Ok(())
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

/// A list cut into groups, each with the size of its file.
struct Groups<'a, S, I: Iterator<Item = Result<S, IngestError>>> {
    source: &'a Path,
    rest: std::iter::Peekable<I>,
    /// The file of the last group.
    last: PathBuf,
}

impl<S: Stretch, I: Iterator<Item = Result<S, IngestError>>> Iterator for Groups<'_, S, I> {
    type Item = (Result<Group<S>, IngestError>, u64);

    fn next(&mut self) -> Option<Self::Item> {
        let first = match self.rest.next()? {
            Ok(first) => first,
            Err(error) => return Some((Err(error), 0)),
        };
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
        let n_bytes =
            fs::metadata(self.source.join(&self.last)).map_or(0, |metadata| metadata.len());
        Some((Ok(Group { of_file, is_first }), n_bytes))
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

    fn groups<I: Iterator<Item = Result<NoiseRegion, IngestError>>>(
        list: I,
    ) -> Groups<'static, NoiseRegion, I> {
        Groups {
            source: Path::new("nowhere"),
            rest: list.peekable(),
            last: PathBuf::new(),
        }
    }

    #[test]
    fn a_list_is_cut_into_groups_of_one_file_and_a_long_file_begins_once() {
        let long = (0..2 * MAX_PIECES + 7).map(|at| piece("long.wav", at));
        let short = (0..3).map(|at| piece(&format!("short{at}.wav"), 0));
        let shape = |group: Group<NoiseRegion>| (group.of_file.len(), group.is_first);
        let groups: Vec<(usize, bool)> = groups(long.chain(short))
            .map(|(group, _)| shape(group.unwrap()))
            .collect();
        let of_long = [(MAX_PIECES, true), (MAX_PIECES, false), (7, false)];
        assert_eq!(groups, [of_long, [(1, true); 3]].concat());
    }

    #[test]
    fn a_list_that_cannot_be_read_further_gives_what_it_had_and_its_error() {
        let list = [piece("a.wav", 0), Err(IngestError::Stopped)];
        let groups: Vec<_> = groups(list.into_iter()).collect();
        assert!(matches!(
            groups[..],
            [(Ok(_), _), (Err(IngestError::Stopped), _)]
        ));
    }
}
