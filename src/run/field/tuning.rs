//! Thresholds from one's own recordings: as few misses as so many false accepts a day allow.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::conditions::{Conditioned, decode_all, hear_clips, hear_negatives, heard_of};
use super::trace::{judge, sweep};
use super::{FieldError, Material};
use crate::bundle::{Bundle, DetectorSpec, is_reserved};
use crate::evaluate::detection::{EventJudgement, MatchSpec, OperatingPoint, RecordingJudgement};
use crate::ingest::Watch;
use crate::stream::Session;

/// What tuning found.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// The bundle's, with the thresholds found.
    pub detector: DetectorSpec,
    pub before: RecordingJudgement,
    pub after: RecordingJudgement,
    /// The same threshold for all keywords, from high to low.
    pub sweep: Vec<OperatingPoint>,
    /// Keywords that no threshold holds within their share of false accepts; theirs is the highest there is.
    pub beyond: Vec<String>,
    /// Keywords without a recording: their thresholds are as they were.
    pub untouched: Vec<String>,
    pub not_heard: Vec<(PathBuf, String)>,
}

/// Finds a threshold for each keyword that was recorded.
///
/// Every keyword gets an equal share of `false_accepts_per_day`. Of the thresholds that stay within it, as do all above
/// them, the one with the fewest misses is taken; of equals the highest, which leaves the most room towards sounds that
/// were not in the recordings. Other parameters of the detector stay as they are.
///
/// # Errors
///
/// Where nothing could be heard, and [`FieldError::Stopped`].
pub fn tune(
    bundle: &Bundle,
    material: &Material,
    false_accepts_per_day: f64,
    spec: &MatchSpec,
    watch: &dyn Watch,
) -> Result<Tuned, FieldError> {
    Session::new(bundle)?;
    let mut not_heard = Vec::new();
    let quiet = Conditioned::quiet();
    let clips = decode_all(bundle, &material.positives, &mut not_heard, watch)?;
    let mut traces = hear_clips(bundle, &clips, &quiet, watch, "keywords")?;
    let negatives = hear_negatives(bundle, &material.negatives, &quiet, watch, "no keyword")?;
    traces.extend(heard_of(negatives, &material.negatives, &mut not_heard));
    let labels = &bundle.labels;
    let points = sweep(&traces, &bundle.detector, labels, spec)?;

    let keywords: Vec<&String> = labels.iter().filter(|label| !is_reserved(label)).collect();
    let share_per_hour = false_accepts_per_day / 24.0 / keywords.len().max(1) as f64;
    let mut detector = bundle.detector.clone();
    // What all keywords had is written down for each, so that only the recorded ones change.
    let mut thresholds = BTreeMap::new();
    let (mut beyond, mut untouched) = (Vec::new(), Vec::new());
    for keyword in keywords {
        let was_recorded = points.iter().any(|point| {
            let of_keyword = judged_of(&point.judged, keyword);
            of_keyword.is_some_and(|judged| judged.n_targets > 0)
        });
        let threshold = if was_recorded {
            choose(&points, keyword, share_per_hour).unwrap_or_else(|| {
                beyond.push(keyword.clone());
                points.first().map_or(1.0, |point| point.threshold as f32)
            })
        } else {
            untouched.push(keyword.clone());
            detector.threshold_of(keyword)
        };
        thresholds.insert(keyword.clone(), threshold);
    }
    detector.thresholds = thresholds;
    Ok(Tuned {
        before: judge(&traces, &bundle.detector, labels, spec)?,
        after: judge(&traces, &detector, labels, spec)?,
        detector,
        sweep: points,
        beyond,
        untouched,
        not_heard,
    })
}

fn judged_of<'a>(judged: &'a RecordingJudgement, keyword: &str) -> Option<&'a EventJudgement> {
    let mut keywords = judged.per_keyword.iter();
    keywords.find(|judged| judged.keyword.as_deref() == Some(keyword))
}

/// The threshold of one keyword; `None` where not even the highest keeps within the rate.
fn choose(points: &[OperatingPoint], keyword: &str, per_hour: f64) -> Option<f32> {
    let mut best: Option<(u64, f64)> = None;
    for point in points {
        // A keyword that was not heard at all at this threshold is not in the list of those that were said or heard.
        let (n_hits, n_false, exposure_h) = judged_of(&point.judged, keyword)
            .map_or((0, 0, point.judged.total.exposure_h), |judged| {
                (judged.n_hits, judged.n_false_accepts, judged.exposure_h)
            });
        if n_false as f64 > per_hour * exposure_h {
            break;
        }
        if best.is_none_or(|(most, _)| n_hits > most) {
            best = Some((n_hits, point.threshold));
        }
    }
    best.map(|(_, threshold)| threshold as f32)
}
