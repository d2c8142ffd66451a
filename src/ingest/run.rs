//! The whole ingestion: list, audit, decode, judge, write.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use auricle_datasets::background::{NoiseRegion, noise_files};
use auricle_datasets::shard::{Payload, ShardWriter};
use auricle_datasets::{AuditSummary, CorpusSpec, SILENCE, Utterance, audit, manifest, scan};
use auricle_features::{FrontendSpec, LogMel};
use rayon::prelude::*;

use super::cut::{Demand, Piece, cut};
use super::noise::{Noise, divide_noise};
use super::receipt::{
    Content, FEATURES, FileDigest, MANIFEST, NOISE, REJECTS, Receipt, SAMPLES, digest_of,
    remove_leftovers, state_of, write_whole,
};
use super::reject::{Fault, Reason, Reject};
use super::{IngestError, Watch};
use crate::audio::{AudioError, SAMPLE_RATES_HZ};

/// Files that are worked on at a time, for each worker.
const WINDOW_FILES: usize = 16;

/// Bytes of files that are worked on at a time, unless one file alone is larger: compressed, some quarter of an hour of speech.
const WINDOW_BYTES: u64 = 8 << 20;

/// Pieces that are cut from one file in one reading of it.
const MAX_PIECES: usize = 256;

/// Bad clips that are named when there are too many.
const N_NAMED: usize = 5;

/// What came of an ingestion.
#[derive(Clone, Debug, PartialEq)]
pub struct IngestSummary {
    /// Names all that went in: corpus, labels, splits, front-end, the bytes of the files. Not where they lie.
    pub fingerprint: String,
    /// An earlier run had done it all; nothing was touched.
    pub already_done: bool,
    pub n_utterances: usize,
    /// Seconds of audio in them.
    pub audio_s: f64,
    /// Seconds of noise that training may mix in.
    pub noise_s: f64,
    /// Clips and noise files that were set aside, see `rejects.jsonl`.
    pub n_rejected: usize,
    pub rejects_by_reason: BTreeMap<Reason, usize>,
    /// Of the clips that are left.
    pub audit: AuditSummary,
}

/// Fills the folder `into` from the corpus at `source`, on `n_workers` threads. The outcome does not depend on their number.
///
/// A run that finds its own work finished does nothing and says so. One that is stopped or fails leaves nothing that a later
/// run, or [`super::open`], would trust.
///
/// # Errors
///
/// A corpus, split or front-end that is wrong; a speaker in two splits (before anything is decoded); more bad files than
/// `spec.max_reject_share`; a folder that cannot be written; [`IngestError::Stopped`].
pub fn ingest(
    source: &Path,
    into: &Path,
    spec: &CorpusSpec,
    frontend: &FrontendSpec,
    n_workers: usize,
    watch: &dyn Watch,
) -> Result<IngestSummary, IngestError> {
    frontend.validate()?;
    if !SAMPLE_RATES_HZ.contains(&frontend.sample_rate_hz) {
        return Err(IngestError::Rate(AudioError::Rate {
            found_hz: frontend.sample_rate_hz,
        }));
    }
    let utterances = scan(source, spec)?;
    audit(&utterances)?;
    let noise_paths = noise_files(source, &spec.background)?;

    let state = state_of(source, spec, frontend, &utterances, &noise_paths);
    if let Some(receipt) = Receipt::read(into).filter(|receipt| receipt.state == state) {
        let utterances = manifest::read_jsonl(&into.join(MANIFEST))?;
        return summary(&utterances, receipt, true);
    }
    fs::create_dir_all(into).map_err(|source| IngestError::Io {
        path: into.to_owned(),
        source,
    })?;
    Receipt::remove(into)?;
    remove_leftovers(into);

    let n_workers = n_workers.max(1);
    let workers = rayon::ThreadPoolBuilder::new()
        .num_threads(n_workers)
        .build()
        .map_err(|error| IngestError::Workers {
            n_workers,
            reason: error.to_string(),
        })?;
    let noise = workers.install(|| {
        divide_noise(
            source,
            &noise_paths,
            &utterances,
            spec,
            frontend.sample_rate_hz,
            watch,
        )
    })?;
    let run = Run {
        source,
        into,
        spec,
        frontend,
        workers: &workers,
        watch,
    };
    let (kept, receipt) = run.write(state, utterances, noise)?;
    summary(&kept, receipt, false)
}

fn summary(
    utterances: &[Utterance],
    receipt: Receipt,
    already_done: bool,
) -> Result<IngestSummary, IngestError> {
    Ok(IngestSummary {
        fingerprint: receipt.fingerprint,
        already_done,
        n_utterances: utterances.len(),
        audio_s: receipt.audio_s,
        noise_s: receipt.noise_s,
        n_rejected: receipt.n_rejected,
        rejects_by_reason: receipt.rejects_by_reason,
        audit: audit(utterances)?,
    })
}

/// What all steps of one ingestion share.
struct Run<'a> {
    source: &'a Path,
    into: &'a Path,
    spec: &'a CorpusSpec,
    frontend: &'a FrontendSpec,
    workers: &'a rayon::ThreadPool,
    watch: &'a dyn Watch,
}

/// A clip that is any good.
struct Sound {
    samples: Vec<i16>,
    /// `[n_frames, n_mels]`, or nothing for noise.
    frames: Vec<f32>,
}

/// What is wanted of one file.
trait Stretch: Sync {
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

/// What came of one group of stretches.
struct Read {
    /// Where the group is the first one of its file.
    digest: Option<FileDigest>,
    outcomes: Vec<Result<Sound, Fault>>,
}

impl Run<'_> {
    fn write(
        &self,
        state: String,
        utterances: Vec<Utterance>,
        noise: Noise,
    ) -> Result<(Vec<Utterance>, Receipt), IngestError> {
        let stamp = self.frontend.fingerprint();
        let plan = LogMel::new(self.frontend)?;
        let Noise {
            silence,
            training,
            mut rejects,
        } = noise;
        let mut rows = utterances;
        rows.extend(silence);
        // A stable sort: clips keep the order that `scan` gave them.
        let start_s = |row: &Utterance| row.start_s.unwrap_or(0.0);
        rows.sort_by(|a, b| {
            a.path
                .as_os_str()
                .cmp(b.path.as_os_str())
                .then(start_s(a).total_cmp(&start_s(b)))
        });
        audit(&rows)?;

        let n_mels = self.frontend.n_mels;
        let mut features = ShardWriter::create(
            &self.into.join(FEATURES),
            Payload::Features { n_mels },
            &stamp,
        )?;
        let mut samples = ShardWriter::create(&self.into.join(SAMPLES), Payload::Samples, &stamp)?;
        let n_noise_rejects = rejects.len();
        let n_total = rows.len() + n_noise_rejects;
        let mut n_samples = vec![0; rows.len()];
        let mut content = Content::new(self.spec, self.frontend, &rows);
        let take = |at: usize, outcome: Result<Sound, Fault>| {
            match outcome {
                Ok(sound) => {
                    n_samples[at] = sound.samples.len();
                    features.push_features(&sound.frames)?;
                    samples.push_samples(&sound.samples)?;
                }
                Err(fault) => {
                    let row = &rows[at];
                    rejects.push(Reject::of(&row.path, row.start_s, row.end_s, fault));
                    self.check_share(&rejects, at + 1 + n_noise_rejects, n_total)?;
                }
            }
            Ok(())
        };
        self.for_each(&rows, Some(&plan), &mut content, "clips decoded", take)?;
        let mut kept = rows;
        for (row, &n_samples) in kept.iter_mut().zip(&n_samples) {
            row.n_samples = n_samples;
        }
        kept.retain(|row| row.n_samples > 0);
        if kept.is_empty() {
            self.write_rejects(&rejects)?;
            return Err(IngestError::NothingLeft {
                n_rejected: rejects.len(),
                rejects: self.into.join(REJECTS),
                first: first_messages(&rejects),
            });
        }

        let n_noise_samples = self.write_noise(&training, &mut content, &stamp)?;
        features.finish()?;
        samples.finish()?;
        manifest::write_jsonl(&self.into.join(MANIFEST), &kept)?;
        self.write_rejects(&rejects)?;

        let seconds = |n_samples: usize| n_samples as f64 / f64::from(self.frontend.sample_rate_hz);
        let mut rejects_by_reason = BTreeMap::new();
        for reject in &rejects {
            *rejects_by_reason.entry(reject.reason).or_default() += 1;
        }
        let receipt = Receipt {
            version: 0,
            state,
            fingerprint: content.fingerprint(),
            frontend: stamp,
            audio_s: seconds(kept.iter().map(|row| row.n_samples).sum()),
            noise_s: seconds(n_noise_samples),
            n_rejected: rejects.len(),
            rejects_by_reason,
            files: BTreeMap::new(),
        };
        receipt.clone().write(self.into)?;
        Ok((kept, receipt))
    }

    /// Stores what training may hear of the noise. Returns the samples stored.
    fn write_noise(
        &self,
        training: &[NoiseRegion],
        content: &mut Content,
        stamp: &str,
    ) -> Result<usize, IngestError> {
        let mut shard = ShardWriter::create(&self.into.join(NOISE), Payload::Samples, stamp)?;
        let mut n_samples = 0;
        let take = |_, outcome: Result<Sound, Fault>| {
            // The file itself was measured and is sound; a silent stretch of it is no loss.
            if let Ok(sound) = outcome {
                n_samples += sound.samples.len();
                shard.push_samples(&sound.samples)?;
            }
            Ok(())
        };
        self.for_each(training, None, content, "noise stored", take)?;
        shard.finish()?;
        Ok(n_samples)
    }

    /// Hands on every stretch in order, and every file to `content`. Files are decoded in parallel, a window of them at a time,
    /// while those of the window before are taken.
    fn for_each<S: Stretch>(
        &self,
        stretches: &[S],
        plan: Option<&LogMel>,
        content: &mut Content,
        what: &str,
        mut take: impl FnMut(usize, Result<Sound, Fault>) -> Result<(), IngestError>,
    ) -> Result<(), IngestError> {
        // No window waits between the one that is decoded and the one that is taken.
        let (sender, windows) = sync_channel(0);
        thread::scope(|scope| -> Result<(), IngestError> {
            scope.spawn(|| {
                let sender = sender;
                let n_done = AtomicUsize::new(0);
                let done = |n_more| {
                    let n_done = n_done.fetch_add(n_more, Ordering::Relaxed) + n_more;
                    self.watch.progress(n_done, stretches.len(), what);
                };
                let mut end = 0;
                while end < stretches.len() {
                    let window = self.window(stretches, end);
                    end = window.last().expect("a window has a group").end;
                    let read = self.read(&window, stretches, plan, done);
                    // Nobody listens where a window could not be taken.
                    if sender.send((window, read)).is_err() {
                        return;
                    }
                }
            });
            for (window, read) in windows {
                for (group, Read { digest, outcomes }) in window.into_iter().zip(read?) {
                    if let Some(digest) = digest {
                        content.take(stretches[group.start].path(), digest);
                    }
                    for (at, outcome) in group.zip(outcomes) {
                        take(at, outcome)?;
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

    /// The next groups of stretches: neighbours that are cut from the same file.
    fn window<S: Stretch>(&self, stretches: &[S], from: usize) -> Vec<Range<usize>> {
        let (mut window, mut n_bytes, mut at) = (Vec::new(), 0, from);
        while at < stretches.len()
            && window.len() < WINDOW_FILES * self.workers.current_num_threads()
        {
            let path = stretches[at].path();
            n_bytes += fs::metadata(self.source.join(path)).map_or(0, |metadata| metadata.len());
            if n_bytes > WINDOW_BYTES && !window.is_empty() {
                break;
            }
            let of_file = stretches[at..].iter().take(MAX_PIECES);
            let n_pieces = of_file.take_while(|next| next.path() == path).count();
            window.push(at..at + n_pieces);
            at += n_pieces;
        }
        window
    }

    /// Decodes groups of stretches, all of them at once.
    fn read<S: Stretch>(
        &self,
        window: &[Range<usize>],
        stretches: &[S],
        plan: Option<&LogMel>,
        done: impl Fn(usize) + Sync,
    ) -> Result<Vec<Read>, IngestError> {
        let read = |group: &Range<usize>| {
            if self.watch.stopped() {
                return Err(IngestError::Stopped);
            }
            let path = stretches[group.start].path();
            let before = group.start.checked_sub(1).map(|at| stretches[at].path());
            let digest = (before != Some(path)).then(|| digest_of(&self.source.join(path)));
            let outcomes = self.decode(&stretches[group.clone()], plan);
            done(group.len());
            Ok(Read { digest, outcomes })
        };
        self.workers
            .install(|| window.par_iter().map(read).collect())
    }

    fn decode<S: Stretch>(&self, group: &[S], plan: Option<&LogMel>) -> Vec<Result<Sound, Fault>> {
        let pieces: Vec<Piece> = group.iter().map(Stretch::piece).collect();
        let demand = Demand {
            sample_rate_hz: self.frontend.sample_rate_hz,
            min_samples: if plan.is_some() {
                self.frontend.window_samples
            } else {
                1
            },
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
        cut(&self.source.join(group[0].path()), &pieces, demand)
            .into_iter()
            .map(|cut| cut.map(sound))
            .collect()
    }

    /// Ends the run as soon as its share of bad clips is certain to be too large.
    fn check_share(
        &self,
        rejects: &[Reject],
        n_seen: usize,
        n_total: usize,
    ) -> Result<(), IngestError> {
        if rejects.len() as f64 <= self.spec.max_reject_share * n_total as f64 {
            return Ok(());
        }
        self.write_rejects(rejects)?;
        Err(IngestError::TooManyRejects {
            n_rejected: rejects.len(),
            n_seen,
            n_total,
            max_share: self.spec.max_reject_share,
            rejects: self.into.join(REJECTS),
            first: first_messages(rejects),
        })
    }

    fn write_rejects(&self, rejects: &[Reject]) -> Result<(), IngestError> {
        let mut text = String::new();
        for reject in rejects {
            text.push_str(&serde_json::to_string(reject).expect("a reject is plain data"));
            text.push('\n');
        }
        write_whole(&self.into.join(REJECTS), text.as_bytes())
    }
}

fn first_messages(rejects: &[Reject]) -> Vec<String> {
    rejects
        .iter()
        .take(N_NAMED)
        .map(|reject| format!("[{}] {}", reject.reason, reject.message))
        .collect()
}
