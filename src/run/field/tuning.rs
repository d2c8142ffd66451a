//! Thresholds from one's own recordings: as few misses as so many false accepts a day allow.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::conditions::{Conditioned, decode_all, hear_clips, hear_negatives, heard_of};
use super::trace::{judge, probability, sweep};
use super::{FieldError, Material};
use crate::bundle::{Bundle, DetectorSpec, keywords};
use crate::evaluate::detection::{EventJudgement, MatchSpec, OperatingPoint, RecordingJudgement};
use crate::ingest::Watch;
use crate::stream::Session;

/// What tuning found.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// By what the thresholds were chosen.
    pub choice: Choice,
    /// The bundle's, with the thresholds found.
    pub detector: DetectorSpec,
    pub before: RecordingJudgement,
    pub after: RecordingJudgement,
    /// The same threshold for all keywords, from high to low.
    pub sweep: Vec<OperatingPoint>,
    /// Keywords that no threshold holds within their share of false accepts; theirs is the highest there is.
    pub beyond: Vec<String>,
    /// Keywords of which nothing could be learnt: their thresholds are as they were.
    pub untouched: Vec<String>,
    pub not_heard: Vec<(PathBuf, String)>,
}

/// False accepts from which rates are reckoned that are too low to be counted.
const N_PEAKS: u64 = 10;

/// Fewer of them, at the lowest threshold that is tried, say nothing.
const MIN_PEAKS: u64 = 3;

/// By what a threshold is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Of the thresholds that stay within the false accepts, as do all above them, the one with the fewest misses; of equals the
    /// highest, which leaves the most room towards sounds that were not in the recordings. A keyword that was not recorded keeps
    /// its own.
    FewestMisses,
    /// The lowest from which no more false accepts are to be expected: what was recorded of the keywords, if anything, is too
    /// little to choose by. Where fewer than ten are allowed in all that was heard, their rate is reckoned from the ten highest
    /// scores (peaks over a threshold), since few hours hold none at many thresholds. A keyword that hardly anything was taken for
    /// keeps its own.
    MostSensitive,
}

/// Finds a threshold for each keyword.
///
/// Every keyword gets an equal share of `false_accepts_per_day`. Other parameters of the detector stay as they are.
///
/// # Errors
///
/// Where nothing could be heard, and [`FieldError::Stopped`].
pub fn tune(
    bundle: &Bundle,
    material: &Material,
    false_accepts_per_day: f64,
    choice: Choice,
    spec: &MatchSpec,
    watch: &dyn Watch,
) -> Result<Tuned, FieldError> {
    Session::new(bundle)?;
    let mut not_heard = Vec::new();
    let quiet = Conditioned::quiet();
    let clips = decode_all(bundle, &material.positives, &mut not_heard, watch)?;
    let mut traces = hear_clips(bundle, &clips, &quiet, watch, "keywords")?;
    let negatives = hear_negatives(bundle, &material.negatives, &quiet, watch, "no keyword")?;
    let negatives = heard_of(negatives, &material.negatives, &mut not_heard);
    if negatives.is_empty() {
        // What was never heard without a keyword would seem to bear the lowest thresholds.
        return Err(FieldError::Silent {
            n_files: material.negatives.len(),
            reason: not_heard.pop().unwrap_or_default().1,
        });
    }
    traces.extend(negatives);
    let labels = &bundle.labels;
    let points = sweep(&traces, &bundle.detector, labels, spec)?;

    let keywords: Vec<&String> = keywords(labels).collect();
    let share_per_hour = false_accepts_per_day / 24.0 / keywords.len().max(1) as f64;
    let mut detector = bundle.detector.clone();
    // What all keywords had is written down for each, so that only the recorded ones change.
    let mut thresholds = BTreeMap::new();
    let (mut beyond, mut untouched) = (Vec::new(), Vec::new());
    for keyword in keywords {
        let found = match choice {
            Choice::FewestMisses => fewest_misses(&points, keyword, share_per_hour),
            Choice::MostSensitive => most_sensitive(&points, keyword, share_per_hour),
        };
        let threshold = match found {
            Found::Threshold(threshold) => threshold,
            Found::Nothing => {
                untouched.push(keyword.clone());
                detector.threshold_of(keyword)
            }
            Found::Beyond => {
                beyond.push(keyword.clone());
                points.first().map_or(1.0, |point| point.threshold as f32)
            }
        };
        thresholds.insert(keyword.clone(), threshold);
    }
    detector.thresholds = thresholds;
    Ok(Tuned {
        choice,
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

/// What there is for one keyword.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    Threshold(f32),
    /// There is nothing to choose by.
    Nothing,
    /// Not even the highest threshold keeps within the rate.
    Beyond,
}

/// Hits and false accepts of a keyword, and the hours. One that was neither said nor heard at this threshold is not in the list.
fn heard(point: &OperatingPoint, keyword: &str) -> (u64, u64, f64) {
    let hours = point.judged.total.exposure_h;
    judged_of(&point.judged, keyword).map_or((0, 0, hours), |judged| {
        (judged.n_hits, judged.n_false_accepts, judged.exposure_h)
    })
}

fn fewest_misses(points: &[OperatingPoint], keyword: &str, per_hour: f64) -> Found {
    let is_recorded = points.iter().any(|point| {
        let of_keyword = judged_of(&point.judged, keyword);
        of_keyword.is_some_and(|judged| judged.n_targets > 0)
    });
    if !is_recorded {
        return Found::Nothing;
    }
    let mut best: Option<(u64, f64)> = None;
    for point in points {
        let (n_hits, n_false, hours) = heard(point, keyword);
        if n_false as f64 > per_hour * hours {
            break;
        }
        if best.is_none_or(|(most, _)| n_hits > most) {
            best = Some((n_hits, point.threshold));
        }
    }
    best.map_or(Found::Beyond, |(_, threshold)| {
        Found::Threshold(threshold as f32)
    })
}

fn most_sensitive(points: &[OperatingPoint], keyword: &str, per_hour: f64) -> Found {
    let Some(last) = points.last() else {
        return Found::Nothing;
    };
    let (_, _, hours) = heard(last, keyword);
    // Every keyword has the same threshold in a sweep: at a low one, others take the moments in which this one would be heard, and fewer
    // of it are counted. A lower threshold of its own lets no fewer through.
    let mut n_most = 0;
    let count = |point: &OperatingPoint| {
        n_most = n_most.max(heard(point, keyword).1);
        (point.threshold, n_most)
    };
    let counts: Vec<(f64, u64)> = points.iter().map(count).collect();
    lowest(&counts, per_hour * hours)
}

/// The lowest threshold from which no more than `n_allowed` are expected. `counts`: threshold and false accepts at it, from high to
/// low, never fewer, one at least.
fn lowest(counts: &[(f64, u64)], n_allowed: f64) -> Found {
    let ((highest, _), (lowest, n_most)) = (counts[0], counts[counts.len() - 1]);
    if n_allowed >= N_PEAKS as f64 || n_allowed == 0.0 {
        let within = counts.iter().take_while(|&&(_, n)| n as f64 <= n_allowed);
        let last = within.last();
        return last.map_or(Found::Beyond, |&(threshold, _)| {
            Found::Threshold(threshold as f32)
        });
    }
    if n_most < MIN_PEAKS {
        return Found::Nothing;
    }
    // Ten at the highest threshold: none above it is tried, and nothing is left to reckon from.
    let threshold = expected_from(counts, n_allowed).max(lowest);
    if threshold <= highest && counts[0].1 < N_PEAKS {
        Found::Threshold(threshold as f32)
    } else {
        Found::Beyond
    }
}

/// The threshold from which so many false accepts are expected, fewer than were heard. `counts` as in [`lowest`].
///
/// Peaks over a threshold (Pickands 1975; Coles 2001, section 4.3, with shape 0): above the threshold `u` of the ten highest, scores thin
/// out exponentially in their log-odds. The mean excess over `u` is their scale, and the area under the counts above `u` their sum.
fn expected_from(counts: &[(f64, u64)], n_allowed: f64) -> f64 {
    let log_odds = |threshold: f64| (threshold / (1.0 - threshold)).ln();
    let enough = counts.iter().position(|&(_, n)| n >= N_PEAKS);
    let at = enough.unwrap_or(counts.len() - 1);
    let (u, n_peaks) = counts[at];
    let excess: f64 = counts[..=at]
        .windows(2)
        .map(|pair| pair[1].1 as f64 * (log_odds(pair[0].0) - log_odds(pair[1].0)))
        .sum();
    let scale = excess / n_peaks as f64;
    probability(log_odds(u) + scale * (n_peaks as f64 / n_allowed).ln())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::detection::{Event, Recording, match_events};
    use crate::run::field::threshold_grid;

    /// Counts of scores whose log-odds thin out exponentially from 0: `n` above it, of this scale.
    fn thinning(n: f64, scale: f64) -> Vec<(f64, u64)> {
        let log_odds = |threshold: f64| (threshold / (1.0 - threshold)).ln();
        let count = |threshold: f64| (n * (-log_odds(threshold) / scale).exp()).floor() as u64;
        let grid = threshold_grid().into_iter().map(f64::from);
        grid.map(|threshold| (threshold, count(threshold)))
            .collect()
    }

    #[test]
    fn a_rate_too_low_to_be_counted_is_reckoned_from_the_highest_scores() {
        for (n, scale, n_allowed) in [(100.0, 1.0, 0.5), (60.0, 0.6, 0.1), (400.0, 1.3, 2.0)] {
            let threshold = expected_from(&thinning(n, scale), n_allowed);
            let found = (threshold / (1.0 - threshold)).ln();
            let exact = scale * (n / n_allowed).ln();
            // Ten scores tell their scale to a third or so; steps of the grid and whole counts are in it too.
            assert!(
                (found - exact).abs() < 0.4 * scale * (10.0 / n_allowed).ln(),
                "{found}, {exact}"
            );
            let of_more = expected_from(&thinning(n, scale), 2.0 * n_allowed);
            assert!(of_more < threshold);
        }
    }

    #[test]
    fn the_lowest_threshold_is_counted_where_it_can_be_and_reckoned_where_not() {
        let counts = thinning(100.0, 1.0);
        let threshold = |n_allowed| match lowest(&counts, n_allowed) {
            Found::Threshold(threshold) => f64::from(threshold),
            other => panic!("{other:?}"),
        };
        let many = threshold(30.0);
        let at = counts
            .iter()
            .position(|&(t, ..)| (t - many).abs() < 1e-6)
            .unwrap();
        assert!(counts[at].1 <= 30 && counts[at + 1].1 > 30);
        let fewer = [9.0, 3.0, 1.0, 0.3, 0.1].map(threshold);
        assert!(many < fewer[0] && fewer.is_sorted(), "{fewer:?}");
        let last = counts.iter().find(|&&(_, n)| n > 0).unwrap().0;
        assert!(fewer[4] > last, "rarer than the rarest that was heard");
        // None at all is what was heard, not what is expected.
        let none = threshold(0.0);
        assert!(none > last && none < fewer[4]);
    }

    /// At each threshold so many false accepts of a word, three seconds apart in an hour.
    fn sweep_of(counts: &[(f64, usize)]) -> Vec<OperatingPoint> {
        let point = |&(threshold, n): &(f64, usize)| {
            let event = |at: usize| Event {
                keyword: "go".into(),
                at_s: 3.0 * at as f64,
                score: 0.99,
                latency_s: None,
            };
            let recording = Recording {
                targets: Vec::new(),
                events: (0..n).map(event).collect(),
                audio_s: 3600.0,
            };
            OperatingPoint {
                threshold,
                judged: match_events(&[recording], &MatchSpec::half_second()).unwrap(),
            }
        };
        counts.iter().map(point).collect()
    }

    #[test]
    fn a_keyword_that_others_leave_no_room_at_low_thresholds_is_no_rare_one() {
        let counts = [
            (0.9999, 0),
            (0.99, 1),
            (0.95, 16),
            (0.8, 79),
            (0.5, 165),
            (0.1, 20),
            (0.02, 1),
        ];
        let points = sweep_of(&counts);
        let found = |per_hour: f64| most_sensitive(&points, "go", per_hour);
        assert_eq!(found(100.0), Found::Threshold(0.8));
        // Below the crowd fewer are counted again, and none of these thresholds is one to take.
        assert_eq!(found(20.0), Found::Threshold(0.95));
        let Found::Threshold(threshold) = found(2.0) else {
            panic!("{:?}", found(2.0));
        };
        assert!(threshold > 0.99, "{threshold}");
        assert_eq!(most_sensitive(&points, "stop", 2.0), Found::Nothing);
    }

    #[test]
    fn a_keyword_that_is_hardly_or_always_heard_has_no_threshold_found() {
        let few: Vec<_> = thinning(100.0, 1.0)
            .iter()
            .map(|&(t, n)| (t, n.min(2)))
            .collect();
        assert_eq!(lowest(&few, 0.5), Found::Nothing);
        let always: Vec<_> = few.iter().map(|&(t, _)| (t, 40)).collect();
        for n_allowed in [0.0, 0.5, 39.0] {
            assert_eq!(lowest(&always, n_allowed), Found::Beyond, "{n_allowed}");
        }
    }
}
