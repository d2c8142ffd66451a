//! The whole ingestion: list, audit, decode, judge, write.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use auricle_datasets::audit::Tally;
use auricle_datasets::background::{NoiseRegion, noise_files};
use auricle_datasets::manifest::{ManifestWriter, Spool, utterances};
use auricle_datasets::shard::{Payload, ShardWriter};
use auricle_datasets::{AuditSummary, CorpusSpec, Split, Utterance, audit, scan};
use auricle_features::{FrontendSpec, LogMel};

use super::decode::{Decoder, Sound, Task, workers};
use super::lock::Lock;
use super::noise::divide_noise;
use super::receipt::{
    Content, FEATURES, MANIFEST, NOISE, REJECTS, Receipt, SAMPLES, remove_leftovers, state_of,
    write_whole,
};
use super::reject::{Fault, Reason, Reject};
use super::{IngestError, Watch};
use crate::audio::{AudioError, SAMPLE_RATES_HZ};

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
    let workers = workers(n_workers)?;
    let run = Run {
        into,
        spec,
        frontend,
        decoder: Decoder {
            source,
            sample_rate_hz: frontend.sample_rate_hz,
            workers: &workers,
            watch,
        },
    };
    let listing = run.list()?;
    give_back_freed_memory();
    match listing {
        Listing::Done(receipt) => {
            let mut tally = Tally::default();
            for row in utterances(&into.join(MANIFEST))? {
                tally.count(&row?);
            }
            Ok(summary(receipt, tally, true))
        }
        Listing::Todo(listed) => run.write(listed),
    }
}

fn summary(receipt: Receipt, tally: Tally, already_done: bool) -> IngestSummary {
    let audit = tally.summary();
    IngestSummary {
        fingerprint: receipt.fingerprint,
        already_done,
        n_utterances: Split::ALL.iter().map(|&split| audit.n_in(split)).sum(),
        audio_s: receipt.audio_s,
        noise_s: receipt.noise_s,
        n_rejected: receipt.n_rejected,
        rejects_by_reason: receipt.rejects_by_reason,
        audit,
    }
}

/// The list is gone, but the C library keeps its memory for the thread that made it, while other threads decode.
fn give_back_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` gives back whole pages of what is free, and touches nothing that is not.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// What all steps of one ingestion share.
struct Run<'a> {
    into: &'a Path,
    spec: &'a CorpusSpec,
    frontend: &'a FrontendSpec,
    decoder: Decoder<'a>,
}

/// What there is to do.
enum Listing {
    /// Nothing: an earlier run has.
    Done(Receipt),
    Todo(Listed),
}

/// What is to be decoded.
struct Listed {
    state: String,
    rows: Spool,
    content: Content,
    /// What training may hear of the noise, cut to pieces.
    noise: Vec<NoiseRegion>,
    /// Noise that cannot be heard.
    rejects: Vec<Reject>,
    lock: Lock,
}

impl Run<'_> {
    /// Lists what there is, refuses what is not honest, and lays the rows down on the disk in their order.
    fn list(&self) -> Result<Listing, IngestError> {
        let Decoder { source, watch, .. } = self.decoder;
        let mut rows = scan(source, self.spec)?;
        audit(&rows)?;
        let noise_paths = noise_files(source, &self.spec.background)?;

        let state = state_of(source, self.spec, self.frontend, &rows, &noise_paths);
        let done = || Receipt::read(self.into).filter(|receipt| receipt.state == state);
        if let Some(receipt) = done() {
            return Ok(Listing::Done(receipt));
        }
        fs::create_dir_all(self.into).map_err(|source| IngestError::Io {
            path: self.into.to_owned(),
            source,
        })?;
        let lock = Lock::take(self.into, watch)?;
        // Another process may have done it meanwhile.
        if let Some(receipt) = done() {
            return Ok(Listing::Done(receipt));
        }
        Receipt::remove(self.into)?;
        remove_leftovers(self.into);

        let rate_hz = self.frontend.sample_rate_hz;
        let noise = self
            .decoder
            .workers
            .install(|| divide_noise(source, &noise_paths, &rows, self.spec, rate_hz, watch))?;
        rows.extend(noise.silence);
        // A stable sort: clips keep the order that `scan` gave them.
        let start_s = |row: &Utterance| row.start_s.unwrap_or(0.0);
        rows.sort_by(|a, b| {
            a.path
                .as_os_str()
                .cmp(b.path.as_os_str())
                .then(start_s(a).total_cmp(&start_s(b)))
        });
        audit(&rows)?;
        Ok(Listing::Todo(Listed {
            state,
            rows: Spool::of(&self.into.join(MANIFEST), &rows)?,
            content: Content::new(self.spec, self.frontend, &rows),
            noise: noise.training,
            rejects: noise.rejects,
            lock,
        }))
    }

    fn write(&self, listed: Listed) -> Result<IngestSummary, IngestError> {
        let Listed {
            state,
            mut rows,
            mut content,
            noise,
            mut rejects,
            lock: _lock,
        } = listed;
        let stamp = self.frontend.fingerprint();
        let plan = LogMel::new(self.frontend)?;
        let n_mels = self.frontend.n_mels;
        let mut features = ShardWriter::create(
            &self.into.join(FEATURES),
            Payload::Features { n_mels },
            &stamp,
        )?;
        let mut samples = ShardWriter::create(&self.into.join(SAMPLES), Payload::Samples, &stamp)?;
        let mut manifest = ManifestWriter::create(&self.into.join(MANIFEST))?;
        let mut tally = Tally::default();

        let task = Task {
            n_total: rows.len(),
            what: "clips decoded",
        };
        let n_total = task.n_total + rejects.len();
        let (mut n_seen, mut n_samples) = (rejects.len(), 0);
        let take = |mut row: Utterance, outcome: Result<Sound, Fault>| {
            n_seen += 1;
            match outcome {
                Ok(sound) => {
                    row.n_samples = sound.samples.len();
                    n_samples += row.n_samples;
                    features.push_features(&sound.frames)?;
                    samples.push_samples(&sound.samples)?;
                    manifest.push(&row)?;
                    tally.count(&row);
                }
                Err(fault) => {
                    rejects.push(Reject::of(&row.path, row.start_s, row.end_s, fault));
                    self.check_share(&rejects, n_seen, n_total)?;
                }
            }
            Ok(())
        };
        let listed = rows.rows()?.map(|row| Ok(row?));
        self.decoder
            .for_each(listed, task, Some(&plan), &mut content, take)?;
        if samples.is_empty() {
            self.write_rejects(&rejects)?;
            return Err(IngestError::NothingLeft {
                n_rejected: rejects.len(),
                rejects: self.into.join(REJECTS),
                first: first_messages(&rejects),
            });
        }

        let n_noise_samples = self.write_noise(noise, &mut content, &stamp)?;
        features.finish()?;
        samples.finish()?;
        manifest.finish()?;
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
            audio_s: seconds(n_samples),
            noise_s: seconds(n_noise_samples),
            n_rejected: rejects.len(),
            rejects_by_reason,
            files: BTreeMap::new(),
        };
        receipt.clone().write(self.into)?;
        Ok(summary(receipt, tally, false))
    }

    /// Stores what training may hear of the noise. Returns the samples stored.
    fn write_noise(
        &self,
        noise: Vec<NoiseRegion>,
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
        let task = Task {
            n_total: noise.len(),
            what: "noise stored",
        };
        self.decoder
            .for_each(noise.into_iter().map(Ok), task, None, content, take)?;
        shard.finish()?;
        Ok(n_samples)
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
