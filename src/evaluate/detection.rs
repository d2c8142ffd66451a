//! Misses against false accepts: over the scores of clips, and over detections in a long recording.
//!
//! Two views that are never mixed. *Clips*: each class against the rest, by its probability ([`one_versus_rest`]). *Events*:
//! what a detector said and when, against where the keywords are ([`match_events`]), with false accepts per hour and their
//! exact Poisson interval. Smoothing and thresholds inside the detector are its own and were fixed before the test; whoever
//! sweeps a threshold runs the detector again for each and brings the [`OperatingPoint`]s.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{EvaluateError, Interval, Measured, intervals};

mod classes;
pub mod text;

pub use classes::{ClassDetection, DetPoint, one_versus_rest};

/// Where a keyword is in a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub keyword: String,
    pub start_s: f64,
    pub end_s: f64,
}

/// What a detector said, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    pub keyword: String,
    /// When it was decided.
    pub at_s: f64,
    pub score: f32,
    /// From the end of the word to the decision, where the detector itself found that end; counted from the target's end
    /// otherwise.
    pub latency_s: Option<f64>,
}

/// One recording: where its keywords are, and what the detector said of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    pub targets: Vec<Target>,
    pub events: Vec<Event>,
    pub audio_s: f64,
}

/// When an event belongs to a target and when two events are one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchSpec {
    /// A target's window is `[start, end + tolerance]`.
    pub tolerance_s: f64,
    /// A false accept sooner than this after the last counted event of its keyword is not counted again.
    pub refractory_s: f64,
}

impl Default for MatchSpec {
    /// What commands judge by: one second after the keyword's end, two seconds between false accepts.
    fn default() -> Self {
        MatchSpec {
            tolerance_s: 1.0,
            refractory_s: 2.0,
        }
    }
}

impl MatchSpec {
    /// Half a second after the keyword's end, two seconds between false accepts.
    pub fn half_second() -> Self {
        MatchSpec {
            tolerance_s: 0.5,
            refractory_s: 2.0,
        }
    }

    /// Checks that both times are finite and not negative.
    pub fn validate(&self) -> Result<(), EvaluateError> {
        for (what, found) in [
            ("tolerance_s", self.tolerance_s),
            ("refractory_s", self.refractory_s),
        ] {
            if !(found.is_finite() && found >= 0.0) {
                return Err(EvaluateError::OutOfRange {
                    what: what.into(),
                    found,
                    expected: "a time of at least 0 s",
                });
            }
        }
        Ok(())
    }
}

/// What became of one keyword's targets and events, or of all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventJudgement {
    /// The keyword, or `None` for all together.
    pub keyword: Option<String>,
    pub n_targets: u64,
    pub n_hits: u64,
    /// Further events of the same keyword in a window already hit: neither hits nor false accepts.
    pub n_repeats: u64,
    /// Events in a window of other keywords only: wrong, but not in the audio that false accepts per hour are about.
    pub n_confusions: u64,
    /// Events outside every window, those within the refractory time counted once.
    pub n_false_accepts: u64,
    /// Hours outside every window.
    pub exposure_h: f64,
    pub miss_rate: Measured,
    /// Wilson, 95 %.
    pub miss_rate_interval: Measured<Interval>,
    pub false_accepts_per_hour: Measured,
    /// Exact Poisson, 95 %.
    pub false_accepts_per_hour_interval: Measured<Interval>,
    /// Median time from a keyword's end to its event, negative when it is detected before its end.
    pub median_latency_s: Measured,
    /// The time that 95 of 100 hits stay within.
    pub latency_s_p95: Measured,
}

/// All keywords together, then each by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingJudgement {
    pub total: EventJudgement,
    /// In the order of their names.
    pub per_keyword: Vec<EventJudgement>,
    /// Mean of the keywords' miss rates, of those that were to be heard.
    pub macro_miss_rate: Measured,
}

impl RecordingJudgement {
    /// With a row for each of these keywords, also where one was neither to be heard nor heard.
    pub fn with_each<'a>(mut self, keywords: impl Iterator<Item = &'a String>) -> Self {
        let exposure_h = self.total.exposure_h;
        for keyword in keywords {
            let place = (self.per_keyword)
                .binary_search_by(|judged| judged.keyword.as_deref().cmp(&Some(keyword)));
            if let Err(place) = place {
                let silent = Tally::default().judge(Some(keyword), exposure_h);
                self.per_keyword.insert(place, silent);
            }
        }
        self
    }
}

/// What one threshold does, the same for all keywords.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatingPoint {
    pub threshold: f64,
    pub judged: RecordingJudgement,
}

/// Matches detections with keywords, in each recording by itself, and counts them together.
///
/// Events are taken in time. An event in a window of its own keyword hits the not yet hit target that ends first, or repeats.
/// Any other is a confusion in a window of another keyword and a false accept outside all windows; false accepts within
/// the refractory time of the last counted event of their keyword are not counted again. A hit is never swallowed by a
/// false accept before it, so both are counted.
///
/// # Errors
///
/// A target or an event that lies outside its recording.
pub fn match_events(
    recordings: &[Recording],
    spec: &MatchSpec,
) -> Result<RecordingJudgement, EvaluateError> {
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut exposure_s = 0.0;
    for recording in recordings {
        validate(recording, spec)?;
        let Recording {
            targets, audio_s, ..
        } = recording;
        exposure_s += (audio_s - covered_s(targets, *audio_s, spec)).max(0.0);
        let mut events: Vec<&Event> = recording.events.iter().collect();
        events.sort_by(|a, b| {
            let by_time = a.at_s.total_cmp(&b.at_s);
            by_time.then_with(|| a.keyword.cmp(&b.keyword))
        });
        let of_targets = targets.iter().map(|target| target.keyword.as_str());
        let of_events = events.iter().map(|event| event.keyword.as_str());
        let keywords: BTreeSet<&str> = of_targets.chain(of_events).collect();
        for keyword in keywords {
            let found = tally(keyword, targets, &events, spec);
            tallies.entry(keyword).or_default().add(&found);
        }
    }
    let exposure_h = exposure_s / 3600.0;
    let mut all = Tally::default();
    for tally in tallies.values() {
        all.add(tally);
    }
    let per_keyword: Vec<EventJudgement> = tallies
        .into_iter()
        .map(|(keyword, tally)| tally.judge(Some(keyword), exposure_h))
        .collect();
    let miss_rates: Vec<f64> = per_keyword
        .iter()
        .filter_map(|keyword| keyword.miss_rate.number())
        .collect();
    Ok(RecordingJudgement {
        total: all.judge(None, exposure_h),
        macro_miss_rate: match miss_rates.len() {
            0 => Measured::missing("no keyword was to be heard"),
            n => Measured::from(miss_rates.iter().sum::<f64>() / n as f64),
        },
        per_keyword,
    })
}

/// The lowest miss rate of a sweep whose false accepts per hour stay within a limit, with its threshold.
pub fn miss_rate_within(
    points: &[OperatingPoint],
    false_accepts_per_hour: f64,
) -> Measured<OperatingPoint> {
    let within = |point: &&OperatingPoint| {
        let total = &point.judged.total;
        let rate = total.false_accepts_per_hour.number();
        rate.is_some_and(|rate| rate <= false_accepts_per_hour)
            && total.miss_rate.number().is_some()
    };
    let miss = |point: &OperatingPoint| point.judged.total.miss_rate.number().unwrap_or(1.0);
    // Of equals the first, which has the highest threshold.
    match points
        .iter()
        .filter(within)
        .min_by(|a, b| miss(a).total_cmp(&miss(b)))
    {
        Some(point) => Measured::Value(point.clone()),
        None => Measured::missing(format!(
            "no threshold keeps within {false_accepts_per_hour} false accepts per hour"
        )),
    }
}

/// The mean of the lowest miss rate over false accepts per hour from 0 to `false_accepts_per_hour`: the area under the
/// sweep's staircase as a share of the whole. Where no threshold keeps to a rate everything counts as missed.
pub fn mean_miss_rate_within(points: &[OperatingPoint], false_accepts_per_hour: f64) -> Measured {
    let rates = |point: &OperatingPoint| {
        let total = &point.judged.total;
        Some((
            total.false_accepts_per_hour.number()?,
            total.miss_rate.number()?,
        ))
    };
    let mut steps: Vec<(f64, f64)> = points.iter().filter_map(rates).collect();
    if steps.is_empty() {
        return Measured::missing("no threshold has both misses and false accepts");
    }
    steps.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut area, mut at, mut lowest) = (0.0, 0.0, 1.0_f64);
    for (rate, miss) in steps {
        let rate = rate.min(false_accepts_per_hour);
        area += (rate - at) * lowest;
        at = rate;
        if rate < false_accepts_per_hour {
            lowest = lowest.min(miss);
        }
    }
    area += (false_accepts_per_hour - at) * lowest;
    Measured::from(area / false_accepts_per_hour)
}

impl super::measured::Quantity for OperatingPoint {}

fn validate(recording: &Recording, spec: &MatchSpec) -> Result<(), EvaluateError> {
    let Recording {
        targets,
        events,
        audio_s,
    } = recording;
    let audio_s = *audio_s;
    spec.validate()?;
    if !(audio_s.is_finite() && audio_s >= 0.0) {
        let what = "length of the recording in seconds".into();
        return Err(EvaluateError::OutOfRange {
            what,
            found: audio_s,
            expected: "a time of at least 0 s",
        });
    }
    for (
        target,
        Target {
            keyword,
            start_s,
            end_s,
        },
    ) in targets.iter().enumerate()
    {
        // Not a number is in no range.
        if !(0.0 <= *start_s && start_s <= end_s && *end_s <= audio_s) {
            let (keyword, start_s, end_s) = (keyword.clone(), *start_s, *end_s);
            return Err(EvaluateError::BadTarget {
                target,
                keyword,
                start_s,
                end_s,
                audio_s,
            });
        }
    }
    for (
        event,
        Event {
            keyword,
            at_s,
            score,
            ..
        },
    ) in events.iter().enumerate()
    {
        // A detector that flushes at the end of a recording may speak a little after it.
        if !(0.0 <= *at_s && *at_s <= audio_s + spec.tolerance_s && score.is_finite()) {
            return Err(EvaluateError::BadEvent {
                event,
                keyword: keyword.clone(),
                at_s: *at_s,
                score: *score,
            });
        }
    }
    Ok(())
}

/// Seconds inside the union of all windows.
fn covered_s(targets: &[Target], audio_s: f64, spec: &MatchSpec) -> f64 {
    let mut windows: Vec<(f64, f64)> = targets
        .iter()
        .map(|target| {
            (
                target.start_s,
                (target.end_s + spec.tolerance_s).min(audio_s),
            )
        })
        .collect();
    windows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut covered, mut reached) = (0.0, 0.0_f64);
    for (start, end) in windows {
        covered += (end - start.max(reached)).max(0.0);
        reached = reached.max(end);
    }
    covered
}

#[derive(Default)]
struct Tally {
    n_targets: u64,
    n_repeats: u64,
    n_confusions: u64,
    n_false_accepts: u64,
    latencies_s: Vec<f64>,
}

fn tally(keyword: &str, targets: &[Target], events: &[&Event], spec: &MatchSpec) -> Tally {
    let holds = |target: &Target, at_s: f64| {
        target.start_s <= at_s && at_s <= target.end_s + spec.tolerance_s
    };
    let mut own: Vec<(&Target, bool)> = targets
        .iter()
        .filter(|target| target.keyword == keyword)
        .map(|target| (target, false))
        .collect();
    own.sort_by(|a, b| a.0.end_s.total_cmp(&b.0.end_s));
    let mut tally = Tally {
        n_targets: own.len() as u64,
        ..Tally::default()
    };
    let mut last_counted_s: Option<f64> = None;
    for event in events.iter().filter(|event| event.keyword == keyword) {
        let at_s = event.at_s;
        if let Some((target, hit)) = own
            .iter_mut()
            .find(|(target, hit)| !hit && holds(target, at_s))
        {
            *hit = true;
            let latency_s = event.latency_s.unwrap_or(at_s - target.end_s);
            tally.latencies_s.push(latency_s);
            last_counted_s = Some(at_s);
        } else if own.iter().any(|(target, _)| holds(target, at_s)) {
            tally.n_repeats += 1;
        } else if last_counted_s.is_some_and(|last| at_s - last < spec.refractory_s) {
            // The same event, still sounding.
        } else if targets.iter().any(|target| holds(target, at_s)) {
            tally.n_confusions += 1;
            last_counted_s = Some(at_s);
        } else {
            tally.n_false_accepts += 1;
            last_counted_s = Some(at_s);
        }
    }
    tally
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        self.n_targets += other.n_targets;
        self.n_repeats += other.n_repeats;
        self.n_confusions += other.n_confusions;
        self.n_false_accepts += other.n_false_accepts;
        self.latencies_s.extend(&other.latencies_s);
    }

    /// Of latencies in order.
    fn latency_s(&self, share: f64) -> Measured {
        match self.latencies_s.is_empty() {
            true => Measured::missing("no keyword was hit"),
            false => Measured::from(intervals::quantile(&self.latencies_s, share)),
        }
    }

    fn judge(mut self, keyword: Option<&str>, exposure_h: f64) -> EventJudgement {
        self.latencies_s.sort_by(f64::total_cmp);
        let n_hits = self.latencies_s.len() as u64;
        let n_missed = self.n_targets - n_hits;
        let no_target = "no keyword was to be heard";
        EventJudgement {
            keyword: keyword.map(str::to_string),
            n_targets: self.n_targets,
            n_hits,
            n_repeats: self.n_repeats,
            n_confusions: self.n_confusions,
            n_false_accepts: self.n_false_accepts,
            exposure_h,
            miss_rate: Measured::ratio(n_missed, self.n_targets, no_target),
            miss_rate_interval: match self.n_targets {
                0 => Measured::missing(no_target),
                n => intervals::wilson(n_missed, n),
            },
            false_accepts_per_hour: match exposure_h > 0.0 {
                true => Measured::from(self.n_false_accepts as f64 / exposure_h),
                false => Measured::missing("no audio outside the keywords"),
            },
            false_accepts_per_hour_interval: match exposure_h > 0.0 {
                true => intervals::poisson_rate(self.n_false_accepts, exposure_h),
                false => Measured::missing("no audio outside the keywords"),
            },
            median_latency_s: self.latency_s(0.5),
            latency_s_p95: self.latency_s(0.95),
        }
    }
}

#[cfg(test)]
mod tests;
