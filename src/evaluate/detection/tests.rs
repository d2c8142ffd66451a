//! Detections against keywords: every rule of the matcher by a case of its own.

use super::*;

fn targets(rows: &[(&str, f64, f64)]) -> Vec<Target> {
    rows.iter()
        .map(|&(keyword, start_s, end_s)| Target {
            keyword: keyword.into(),
            start_s,
            end_s,
        })
        .collect()
}

fn events(rows: &[(&str, f64)]) -> Vec<Event> {
    rows.iter()
        .map(|&(keyword, at_s)| Event {
            keyword: keyword.into(),
            at_s,
            score: 0.9,
        })
        .collect()
}

/// Counts of an hour of audio: (hits, repeats, confusions, false accepts).
#[track_caller]
fn check(
    at: &[(&str, f64, f64)],
    said: &[(&str, f64)],
    expected: (u64, u64, u64, u64),
) -> EventJudgement {
    let judged = match_events(
        &targets(at),
        &events(said),
        3600.0,
        &MatchSpec::half_second(),
    )
    .expect("valid");
    let EventJudgement {
        n_hits,
        n_repeats,
        n_confusions,
        n_false_accepts,
        ..
    } = judged.total;
    assert_eq!((n_hits, n_repeats, n_confusions, n_false_accepts), expected);
    judged.total
}

#[test]
fn a_window_runs_from_the_start_to_the_end_and_the_tolerance() {
    let yes = [("yes", 10.0, 10.5)];
    check(&yes, &[("yes", 10.0)], (1, 0, 0, 0));
    check(&yes, &[("yes", 11.0)], (1, 0, 0, 0));
    check(&yes, &[("yes", 9.99)], (0, 0, 0, 1));
    check(&yes, &[("yes", 11.01)], (0, 0, 0, 1));
}

#[test]
fn a_second_event_in_a_window_is_neither_hit_nor_false_accept() {
    check(
        &[("yes", 10.0, 10.5)],
        &[("yes", 10.4), ("yes", 10.8)],
        (1, 1, 0, 0),
    );
}

#[test]
fn false_accepts_within_the_refractory_time_count_once() {
    check(
        &[],
        &[("yes", 1.0), ("yes", 2.0), ("yes", 2.9)],
        (0, 0, 0, 1),
    );
    check(&[], &[("yes", 1.0), ("yes", 3.0)], (0, 0, 0, 2));
    check(&[], &[("yes", 1.0), ("no", 1.5)], (0, 0, 0, 2));
    check(
        &[("yes", 10.0, 10.5)],
        &[("yes", 10.6), ("yes", 11.5)],
        (1, 0, 0, 0),
    );
}

#[test]
fn a_false_accept_just_before_a_keyword_does_not_hide_the_hit() {
    check(
        &[("yes", 10.0, 10.5)],
        &[("yes", 9.5), ("yes", 10.4)],
        (1, 0, 0, 1),
    );
}

#[test]
fn the_wrong_keyword_is_a_miss_and_a_confusion() {
    let total = check(&[("yes", 10.0, 10.5)], &[("no", 10.4)], (0, 0, 1, 0));
    assert_eq!(total.miss_rate, Measured::Value(1.0));
}

#[test]
fn overlapping_windows_of_one_keyword_are_each_hit_once() {
    // The first event could serve either target, the second only the later one.
    check(
        &[("yes", 10.0, 12.0), ("yes", 10.0, 10.5)],
        &[("yes", 10.9), ("yes", 12.2)],
        (2, 0, 0, 0),
    );
}

#[test]
fn false_accepts_are_per_hour_outside_the_windows() {
    let at = [
        ("yes", 0.0, 899.5),
        ("no", 100.0, 899.5),
        ("yes", 1000.0, 1899.5),
    ];
    let total = check(&at, &[("yes", 2000.0), ("yes", 3000.0)], (0, 0, 0, 2));
    assert_eq!(total.exposure_h, 0.5);
    assert_eq!(total.false_accepts_per_hour, Measured::Value(4.0));
    // python3 -c "from scipy.stats import chi2; print(chi2.ppf(.025, 4) / 2 / .5, chi2.ppf(.975, 6) / 2 / .5)"
    let interval = total
        .false_accepts_per_hour_interval
        .value()
        .copied()
        .expect("measured");
    assert!((interval.low - 0.484_418_557_087_929_9).abs() < 1e-9);
    assert!((interval.high - 14.449_375_335_447_92).abs() < 1e-9);
}

#[test]
fn audio_under_several_windows_is_left_out_once() {
    let nested = [
        ("yes", 0.0, 999.5),
        ("no", 100.0, 199.5),
        ("go", 500.0, 1799.5),
    ];
    assert_eq!(check(&nested, &[], (0, 0, 0, 0)).exposure_h, 0.5);
    let inside = [
        ("yes", 0.0, 1799.5),
        ("no", 100.0, 199.5),
        ("go", 500.0, 599.5),
    ];
    assert_eq!(check(&inside, &[], (0, 0, 0, 0)).exposure_h, 0.5);
}

#[test]
fn silence_of_a_detector_has_an_upper_bound_of_almost_four_over_the_hours() {
    let total = check(&[], &[], (0, 0, 0, 0));
    let interval = total
        .false_accepts_per_hour_interval
        .value()
        .copied()
        .expect("measured");
    assert!(interval.low == 0.0 && (interval.high - 3.688_879_454).abs() < 1e-8); // -ln 0.025
    assert_eq!(total.miss_rate.reason(), Some("no keyword was to be heard"));
    assert_eq!(total.median_latency_s.reason(), Some("no keyword was hit"));
}

#[test]
fn latency_counts_from_the_end_of_the_keyword() {
    let at = [
        ("yes", 10.0, 10.5),
        ("yes", 20.0, 20.5),
        ("yes", 30.0, 30.5),
    ];
    let total = check(
        &at,
        &[("yes", 10.25), ("yes", 20.75), ("yes", 31.0)],
        (3, 0, 0, 0),
    );
    assert_eq!(total.median_latency_s, Measured::Value(0.25));
}

#[test]
fn the_order_of_events_and_targets_does_not_matter_and_counts_add_up() {
    let mut at = targets(&[
        ("yes", 10.0, 10.5),
        ("no", 11.0, 11.5),
        ("yes", 12.0, 12.4),
        ("stop", 20.0, 20.7),
    ]);
    let mut said = events(&[
        ("yes", 10.3),
        ("yes", 11.2),
        ("no", 11.3),
        ("yes", 12.5),
        ("no", 20.3),
        ("no", 25.0),
    ]);
    let spec = MatchSpec::half_second();
    let first = match_events(&at, &said, 60.0, &spec).expect("valid");
    for _ in 0..6 {
        at.rotate_left(1);
        said.rotate_left(1);
        assert_eq!(match_events(&at, &said, 60.0, &spec).expect("valid"), first);
    }
    assert_eq!(
        first.per_keyword.iter().map(|k| k.n_hits).sum::<u64>(),
        first.total.n_hits
    );
    assert_eq!(
        first.per_keyword.iter().map(|k| k.n_targets).sum::<u64>(),
        4
    );
}

#[test]
fn a_sweep_trades_misses_for_false_accepts() {
    let at = targets(&[("yes", 10.0, 10.5), ("yes", 20.0, 20.5)]);
    let said: Vec<Event> = [(10.3, 0.9), (20.3, 0.5), (30.0, 0.7), (40.0, 0.3)]
        .map(|(at_s, score)| Event {
            keyword: "yes".into(),
            at_s,
            score,
        })
        .to_vec();
    let points = sweep(&at, &said, 3602.0, &MatchSpec::half_second()).expect("valid");
    let counts: Vec<(u64, u64)> = points
        .iter()
        .map(|p| (p.total.n_hits, p.total.n_false_accepts))
        .collect();
    assert_eq!(counts, [(1, 0), (1, 1), (2, 1), (2, 2)]);
    let best = |rate| {
        miss_rate_within(&points, rate)
            .value()
            .map(|point| (point.threshold, point.total.n_hits))
    };
    assert_eq!(best(0.0), Some((f64::from(0.9_f32), 1)));
    assert_eq!(best(1.0), Some((0.5, 2)));
    assert!(miss_rate_within(&points, -1.0).reason().is_some());
}

#[test]
fn times_that_cannot_be_are_refused() {
    let spec = MatchSpec::half_second();
    for (start_s, end_s) in [(2.0, 1.0), (-1.0, 1.0), (0.0, 61.0), (f64::NAN, 1.0)] {
        let at = targets(&[("yes", start_s, end_s)]);
        assert!(matches!(
            match_events(&at, &[], 60.0, &spec),
            Err(EvaluateError::BadTarget { .. })
        ));
    }
    assert!(matches!(
        match_events(&[], &events(&[("yes", 61.0)]), 60.0, &spec),
        Err(EvaluateError::BadEvent { event: 0, .. })
    ));
    assert!(match_events(&[], &[], f64::NAN, &spec).is_err());
    let spec = MatchSpec {
        refractory_s: -1.0,
        ..spec
    };
    assert!(
        match_events(&[], &[], 60.0, &spec)
            .expect_err("refused")
            .to_string()
            .contains("refractory_s is -1")
    );
}

#[test]
fn a_perfect_separation_has_no_equal_errors_and_a_reversed_one_only_errors() {
    let good = ClassDetection::of("a", &[0.9, 0.8], &[0.1, 0.2]);
    assert_eq!(good.equal_error_rate(), Measured::Value(0.0));
    assert_eq!(good.miss_rate_at(0.0), Measured::Value(0.0));
    let bad = ClassDetection::of("a", &[0.1, 0.2], &[0.9, 0.8]);
    assert_eq!(bad.equal_error_rate(), Measured::Value(1.0));
    assert_eq!(bad.miss_rate_at(0.4), Measured::Value(1.0));
    let blind = ClassDetection::of("a", &[0.5, 0.5], &[0.5]);
    assert_eq!(blind.equal_error_rate(), Measured::Value(0.5));
    assert!(
        ClassDetection::of("a", &[], &[0.5])
            .equal_error_rate()
            .reason()
            .is_some()
    );
    assert!(
        ClassDetection::of("a", &[0.5], &[])
            .miss_rate_at(0.1)
            .reason()
            .is_some()
    );
    assert!(good.miss_rate_at(f64::NAN).reason().is_some());
}
