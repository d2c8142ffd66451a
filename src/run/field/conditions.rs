//! The same recordings in silence and in noise: what a detector is worth where people live.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use auricle_datasets::augment::{NoiseBank, rms};
use auricle_datasets::corpus::audio_files;
use auricle_datasets::seeded::purpose_rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::material::Times;
use super::trace::{Hearing, Trace, hear_file, sweep};
use super::{FieldError, Material, Take};
use crate::audio::decode;
use crate::bundle::{Bundle, keywords};
use crate::evaluate::Measured;
use crate::evaluate::detection::{
    MatchSpec, OperatingPoint, RecordingJudgement, Target, match_events, mean_miss_rate_within,
    miss_rate_within,
};
use crate::ingest::{Watch, out_of_range};
use crate::stream::Session;

/// Rates of false accepts at which miss rates are told, per hour.
const RATES_PER_HOUR: [f64; 4] = [0.1, 0.2, 0.5, 1.0];
/// How far the area under the DET goes, in false accepts per hour.
pub const AREA_TO_PER_HOUR: f64 = 2.0;
/// Sound behind a recording of a keyword, for what is decided late.
const TAIL_S: f64 = 1.0;
/// Noise is drawn anew after so much of a long recording.
const NOISE_PIECE_S: f64 = 10.0;

/// Which noise, and how loud against the speech.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseSpec {
    /// A folder for each kind of noise; audio right in it is one more kind.
    pub folder: PathBuf,
    /// Speech above noise, each a condition.
    pub snr_db: Vec<f32>,
    pub seed: u64,
}

/// What is heard besides the recordings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// `None`: all kinds together.
    pub noise: Option<String>,
    /// `None`: nothing is mixed in.
    pub snr_db: Option<f32>,
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.noise, self.snr_db) {
            (_, None) => write!(f, "as recorded"),
            (None, Some(snr_db)) => write!(f, "all noise, {snr_db} dB"),
            (Some(noise), Some(snr_db)) => write!(f, "{noise}, {snr_db} dB"),
        }
    }
}

/// What the detector did in one condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionJudgement {
    pub condition: Condition,
    /// By the thresholds of the bundle.
    pub judged: RecordingJudgement,
    /// False accepts per hour, and the fewest misses of any common threshold that keeps to them; only where the
    /// recordings without keywords were heard too.
    pub miss_rate_at: Vec<(f64, Measured)>,
    /// The mean of the fewest misses over 0 to [`AREA_TO_PER_HOUR`] false accepts per hour: the area under the DET as
    /// microWakeWord takes it. Only where `miss_rate_at` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_miss_rate: Option<Measured>,
}

/// A detector's trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldReport {
    pub conditions: Vec<ConditionJudgement>,
    /// Of the recordings as they are.
    pub sweep: Vec<OperatingPoint>,
    /// Files that could not be heard, and why.
    pub not_heard: Vec<(PathBuf, String)>,
}

/// Tries the bundle's detector on the material as it is, and with each noise at each level.
///
/// The rows of a single kind of noise are about keywords only; the row of all kinds at a level also hears the
/// recordings without keywords, in noise drawn from all kinds, as loud as it is behind the average keyword.
///
/// # Errors
///
/// Where nothing could be heard, and [`FieldError::Stopped`].
pub fn judge_stream(
    bundle: &Bundle,
    material: &Material,
    noise: Option<&NoiseSpec>,
    spec: &MatchSpec,
    watch: &dyn Watch,
) -> Result<FieldReport, FieldError> {
    Session::new(bundle)?;
    let mut not_heard = Vec::new();
    let clips = decode_all(bundle, &material.positives, &mut not_heard, watch)?;
    let quiet = Conditioned::quiet();
    let mut traces = hear_clips(bundle, &clips, &quiet, watch, "as recorded")?;
    let negatives = hear_negatives(bundle, &material.negatives, &quiet, watch, "no keyword")?;
    traces.extend(heard_of(negatives, &material.negatives, &mut not_heard));
    let points = sweep(&traces, &bundle.detector, &bundle.labels, spec)?;
    let mut conditions = vec![ConditionJudgement {
        condition: Condition {
            noise: None,
            snr_db: None,
        },
        judged: as_heard(bundle, &traces, spec)?,
        miss_rate_at: misses_at(&points),
        mean_miss_rate: Some(mean_miss_rate_within(&points, AREA_TO_PER_HOUR)),
    }];
    drop(traces);
    let Some(noise) = noise else {
        return Ok(FieldReport {
            conditions,
            sweep: points,
            not_heard,
        });
    };

    let (kinds, all) = banks(noise, bundle.frontend.sample_rate_hz)?;
    let levels: Vec<f64> = clips.iter().map(|(_, samples)| rms(samples)).collect();
    let speech_rms = levels.iter().sum::<f64>() / levels.len().max(1) as f64;
    for &snr_db in &noise.snr_db {
        let with = |bank| Conditioned {
            noise: Some(bank),
            snr_db,
            seed: noise.seed,
            speech_rms,
        };
        let mut of_level = Vec::new();
        for (kind, bank) in &kinds {
            let name = format!("{kind}, {snr_db} dB");
            let traces = hear_clips(bundle, &clips, &with(bank), watch, &name)?;
            conditions.push(ConditionJudgement {
                condition: Condition {
                    noise: Some(kind.clone()),
                    snr_db: Some(snr_db),
                },
                judged: as_heard(bundle, &traces, spec)?,
                miss_rate_at: Vec::new(),
                mean_miss_rate: None,
            });
            of_level.extend(traces);
        }
        let name = format!("no keyword, {snr_db} dB");
        let negatives = hear_negatives(bundle, &material.negatives, &with(&all), watch, &name)?;
        of_level.extend(negatives.into_iter().flatten());
        let points = sweep(&of_level, &bundle.detector, &bundle.labels, spec)?;
        conditions.push(ConditionJudgement {
            condition: Condition {
                noise: None,
                snr_db: Some(snr_db),
            },
            judged: as_heard(bundle, &of_level, spec)?,
            miss_rate_at: misses_at(&points),
            mean_miss_rate: Some(mean_miss_rate_within(&points, AREA_TO_PER_HOUR)),
        });
    }
    Ok(FieldReport {
        conditions,
        sweep: points,
        not_heard,
    })
}

fn as_heard(
    bundle: &Bundle,
    traces: &[Trace],
    spec: &MatchSpec,
) -> Result<RecordingJudgement, FieldError> {
    let recordings: Vec<_> = traces.iter().map(|trace| trace.as_heard(spec)).collect();
    Ok(match_events(&recordings, spec)?.with_each(keywords(&bundle.labels)))
}

fn misses_at(points: &[OperatingPoint]) -> Vec<(f64, Measured)> {
    let at = |rate: f64| match miss_rate_within(points, rate) {
        Measured::Value(point) => (rate, point.judged.total.miss_rate),
        Measured::Missing(reason) => (rate, Measured::Missing(reason)),
    };
    RATES_PER_HOUR.into_iter().map(at).collect()
}

/// What is mixed in.
pub(super) struct Conditioned<'a> {
    pub noise: Option<&'a NoiseBank>,
    pub snr_db: f32,
    pub seed: u64,
    /// Of the average keyword's recording.
    pub speech_rms: f64,
}

impl Conditioned<'_> {
    /// Nothing.
    pub fn quiet() -> Self {
        Conditioned {
            noise: None,
            snr_db: 0.0,
            seed: 0,
            speech_rms: 0.0,
        }
    }

    /// Adds noise so much below a level; nothing where either is silent.
    fn mix(&self, samples: &mut [f32], level: f64, purpose: &str) {
        let Some(bank) = self.noise else { return };
        let noise = bank.crop(samples.len(), &mut purpose_rng(self.seed, purpose));
        let factor = level / rms(&noise) * 10f64.powf(-f64::from(self.snr_db) / 20.0);
        if !factor.is_finite() {
            return;
        }
        for (sample, noise) in samples.iter_mut().zip(&noise) {
            *sample += factor as f32 * noise;
        }
    }
}

type Clip<'a> = (&'a Take, Vec<f32>);

/// All recordings of keywords in memory; those that cannot be read are noted.
pub(super) fn decode_all<'a>(
    bundle: &Bundle,
    takes: &'a [Take],
    not_heard: &mut Vec<(PathBuf, String)>,
    watch: &dyn Watch,
) -> Result<Vec<Clip<'a>>, FieldError> {
    let n_done = AtomicUsize::new(0);
    let decoded: Vec<Option<Result<Vec<f32>, String>>> = takes
        .par_iter()
        .map(|take| {
            if watch.stopped() {
                return None;
            }
            let clip = decode(&take.path, bundle.frontend.sample_rate_hz);
            let done = n_done.fetch_add(1, Ordering::Relaxed) + 1;
            watch.progress(done, takes.len(), "decode");
            let samples = clip.map(|clip| clip.samples);
            Some(samples.map_err(|error| error.to_string()))
        })
        .collect();
    let mut clips = Vec::new();
    for (take, decoded) in takes.iter().zip(decoded) {
        let decoded = decoded.ok_or(FieldError::Stopped)?;
        match decoded.and_then(|samples| in_range(bundle, take, samples)) {
            Ok(samples) => clips.push((take, samples)),
            Err(reason) => not_heard.push((take.path.clone(), reason)),
        }
    }
    Ok(clips)
}

/// A recording whose list places a keyword where it has none cannot be judged: nobody knows where the keyword is.
fn in_range(bundle: &Bundle, take: &Take, samples: Vec<f32>) -> Result<Vec<f32>, String> {
    let rate_hz = bundle.frontend.sample_rate_hz;
    let fault = take
        .keywords
        .iter()
        .find_map(|&(_, (start_s, end_s))| out_of_range(start_s, end_s, samples.len(), rate_hz));
    match fault {
        Some(what) => Err(format!("{}: {what}", take.path.display())),
        None => Ok(samples),
    }
}

/// Each recording with sound before and behind it: the warm-up and a clip, and a second.
pub(super) fn hear_clips(
    bundle: &Bundle,
    clips: &[Clip],
    with: &Conditioned,
    watch: &dyn Watch,
    what: &str,
) -> Result<Vec<Trace>, FieldError> {
    let rate_hz = f64::from(bundle.frontend.sample_rate_hz);
    let lead_s = f64::from(bundle.detector.warmup_ms + bundle.clip_ms) / 1000.0;
    let n_done = AtomicUsize::new(0);
    let traces: Vec<Option<Trace>> = clips
        .par_iter()
        .map_init(
            || Session::new(bundle).expect("the caller's bundle was checked"),
            |session, (take, clip)| {
                if watch.stopped() {
                    return None;
                }
                let n_lead = (lead_s * rate_hz) as usize;
                let mut samples = vec![0.0; n_lead];
                samples.extend_from_slice(clip);
                samples.resize(samples.len() + (TAIL_S * rate_hz) as usize, 0.0);
                with.mix(&mut samples, rms(clip), &take.path.display().to_string());
                let mut hearing = Hearing::start(bundle, session);
                hearing.push(&samples);
                let (lead_s, clip_s) = (n_lead as f64 / rate_hz, clip.len() as f64 / rate_hz);
                let trace = hearing.finish(targets(take, clip_s), lead_s, clip_s);
                let done = n_done.fetch_add(1, Ordering::Relaxed) + 1;
                watch.progress(done, clips.len(), what);
                Some(trace)
            },
        )
        .collect();
    let traces: Option<Vec<Trace>> = traces.into_iter().collect();
    traces.ok_or(FieldError::Stopped)
}

fn targets(take: &Take, clip_s: f64) -> Vec<Target> {
    let target = |(keyword, (start_s, end_s)): &(String, Times)| Target {
        keyword: keyword.clone(),
        start_s: start_s.unwrap_or(0.0),
        end_s: end_s.map_or(clip_s, |end_s| end_s.min(clip_s)),
    };
    take.keywords.iter().map(target).collect()
}

/// Each long recording by itself, read piece by piece.
pub(super) fn hear_negatives(
    bundle: &Bundle,
    files: &[PathBuf],
    with: &Conditioned,
    watch: &dyn Watch,
    what: &str,
) -> Result<Vec<Result<Trace, String>>, FieldError> {
    let n_piece = (NOISE_PIECE_S * f64::from(bundle.frontend.sample_rate_hz)) as u64;
    let n_done = AtomicUsize::new(0);
    let heard: Vec<Option<Result<Trace, String>>> = files
        .par_iter()
        .map_init(
            || Session::new(bundle).expect("the caller's bundle was checked"),
            |session, path| {
                if watch.stopped() {
                    return None;
                }
                let mut n_heard = 0;
                let name = path.display().to_string();
                let trace = hear_file(bundle, session, path, |samples| {
                    let piece = format!("{name} {} {}", n_heard / n_piece, n_heard % n_piece);
                    with.mix(samples, with.speech_rms, &piece);
                    n_heard += samples.len() as u64;
                });
                let done = n_done.fetch_add(1, Ordering::Relaxed) + 1;
                watch.progress(done, files.len(), what);
                Some(trace.map_err(|error| error.to_string()))
            },
        )
        .collect();
    let heard: Option<Vec<_>> = heard.into_iter().collect();
    heard.ok_or(FieldError::Stopped)
}

/// What was heard, the rest noted.
pub(super) fn heard_of(
    heard: Vec<Result<Trace, String>>,
    files: &[PathBuf],
    not_heard: &mut Vec<(PathBuf, String)>,
) -> Vec<Trace> {
    let mut traces = Vec::new();
    for (path, trace) in files.iter().zip(heard) {
        match trace {
            Ok(trace) => traces.push(trace),
            Err(reason) => not_heard.push((path.clone(), reason)),
        }
    }
    traces
}

/// A bank for each kind of noise, and one of all.
fn banks(
    spec: &NoiseSpec,
    sample_rate_hz: u32,
) -> Result<(BTreeMap<String, NoiseBank>, NoiseBank), FieldError> {
    let mut kinds: BTreeMap<String, NoiseBank> = BTreeMap::new();
    let mut all = NoiseBank::new(sample_rate_hz);
    for file in audio_files(&spec.folder)? {
        let inner = file.parent().and_then(|folder| folder.iter().next());
        let kind = inner.map_or("noise".into(), |name| name.to_string_lossy().into_owned());
        let samples = noise_samples(&spec.folder.join(&file), sample_rate_hz)?;
        let bank = kinds
            .entry(kind)
            .or_insert_with(|| NoiseBank::new(sample_rate_hz));
        bank.push(samples.clone());
        all.push(samples);
    }
    kinds.retain(|_, bank| !bank.is_empty());
    if all.is_empty() {
        return Err(FieldError::Material {
            path: spec.folder.clone(),
            reason: "found no noise, expected audio files".into(),
        });
    }
    Ok((kinds, all))
}

fn noise_samples(path: &Path, sample_rate_hz: u32) -> Result<Vec<i16>, FieldError> {
    let clip = decode(path, sample_rate_hz)?;
    let coarse = |sample: &f32| (sample * 32_767.0).round().clamp(-32_768.0, 32_767.0) as i16;
    Ok(clip.samples.iter().map(coarse).collect())
}
