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
            latency_s: None,
        })
        .collect()
}

fn judge(
    targets: &[Target],
    events: &[Event],
    audio_s: f64,
) -> Result<RecordingJudgement, EvaluateError> {
    let recording = Recording {
        targets: targets.to_vec(),
        events: events.to_vec(),
        audio_s,
    };
    match_events(&[recording], &MatchSpec::half_second())
}

/// Counts of an hour of audio: (hits, repeats, confusions, false accepts).
#[track_caller]
fn check(
    at: &[(&str, f64, f64)],
    said: &[(&str, f64)],
    expected: (u64, u64, u64, u64),
) -> EventJudgement {
    let judged = judge(&targets(at), &events(said), 3600.0).expect("valid");
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
    let first = judge(&at, &said, 60.0).expect("valid");
    for _ in 0..6 {
        at.rotate_left(1);
        said.rotate_left(1);
        assert_eq!(judge(&at, &said, 60.0).expect("valid"), first);
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
fn recordings_are_judged_each_by_itself_and_counted_together() {
    let recording = |said: &[(&str, f64)]| Recording {
        targets: targets(&[("yes", 10.0, 10.5)]),
        events: events(said),
        audio_s: 1801.0,
    };
    let spec = MatchSpec::half_second();
    // The second one's false accept comes right after the first one's in time, in another recording.
    let both = [
        recording(&[("yes", 10.4), ("yes", 50.0)]),
        recording(&[("yes", 50.5), ("no", 10.2)]),
    ];
    let judged = match_events(&both, &spec).expect("valid");
    let total = &judged.total;
    assert_eq!(
        (
            total.n_targets,
            total.n_hits,
            total.n_false_accepts,
            total.n_confusions
        ),
        (2, 1, 2, 1)
    );
    assert!((total.exposure_h - 1.0).abs() < 1e-12);
    assert_eq!(judged.macro_miss_rate, Measured::Value(0.5));
    let nothing = match_events(&[], &spec).expect("valid");
    assert!(nothing.total.false_accepts_per_hour.reason().is_some());
}

#[test]
fn a_keyword_that_is_neither_said_nor_heard_has_a_row_of_noughts_where_asked_for() {
    let said = events(&[("no", 10.4), ("yes", 50.0)]);
    let judged = judge(&targets(&[("yes", 10.0, 10.5)]), &said, 3600.0).expect("valid");
    let keywords = ["yes", "go", "zero", "no"].map(String::from);
    let each = judged.clone().with_each(keywords.iter());
    let names: Vec<_> = (each.per_keyword.iter())
        .map(|keyword| keyword.keyword.as_deref().unwrap())
        .collect();
    assert_eq!(names, ["go", "no", "yes", "zero"]);
    let silent = &each.per_keyword[3];
    assert_eq!((silent.n_targets, silent.n_false_accepts), (0, 0));
    assert_eq!(silent.exposure_h, judged.total.exposure_h);
    assert_eq!(silent.false_accepts_per_hour, Measured::Value(0.0));
    assert_eq!(
        (each.total, each.macro_miss_rate),
        (judged.total, judged.macro_miss_rate)
    );
}

#[test]
fn the_mean_over_keywords_weighs_a_rare_word_like_a_common_one() {
    let at = targets(&[
        ("yes", 10.0, 10.5),
        ("yes", 20.0, 20.5),
        ("yes", 30.0, 30.5),
        ("no", 40.0, 40.5),
    ]);
    let said = events(&[("yes", 10.4), ("yes", 20.4), ("yes", 30.4), ("go", 50.0)]);
    let judged = judge(&at, &said, 60.0).expect("valid");
    assert_eq!(judged.total.miss_rate, Measured::Value(0.25));
    assert_eq!(judged.macro_miss_rate, Measured::Value(0.5));
}

#[test]
fn a_latency_that_the_detector_knows_stands_before_the_targets_end() {
    let mut said = events(&[("yes", 12.0)]);
    said[0].latency_s = Some(0.3);
    let judged = judge(&targets(&[("yes", 10.0, 12.0)]), &said, 60.0).expect("valid");
    assert_eq!(judged.total.median_latency_s, Measured::Value(0.3));
    assert_eq!(judged.total.latency_s_p95, Measured::Value(0.3));
}

#[test]
fn the_best_point_within_a_rate_has_the_fewest_misses_and_then_the_highest_threshold() {
    let at = targets(&[("yes", 10.0, 10.5), ("yes", 20.0, 20.5)]);
    let point = |threshold: f64, said: &[(&str, f64)]| OperatingPoint {
        threshold,
        judged: judge(&at, &events(said), 3602.0).expect("valid"),
    };
    let points = [
        point(0.9, &[("yes", 10.3)]),
        point(0.8, &[("yes", 10.3)]),
        point(0.7, &[("yes", 10.3), ("yes", 30.0)]),
        point(0.5, &[("yes", 10.3), ("yes", 20.3), ("yes", 30.0)]),
        point(
            0.3,
            &[("yes", 10.3), ("yes", 20.3), ("yes", 30.0), ("yes", 40.0)],
        ),
    ];
    let best = |rate| {
        miss_rate_within(&points, rate)
            .value()
            .map(|point| (point.threshold, point.judged.total.n_hits))
    };
    assert_eq!(best(0.0), Some((0.9, 1)));
    assert_eq!(best(1.0), Some((0.5, 2)));
    assert!(miss_rate_within(&points, -1.0).reason().is_some());
    // One of two missed up to one false accept an hour, none from there on.
    assert_eq!(mean_miss_rate_within(&points, 0.5), Measured::Value(0.5));
    assert_eq!(mean_miss_rate_within(&points, 2.0), Measured::Value(0.25));
    // No threshold keeps below one.
    assert_eq!(
        mean_miss_rate_within(&points[2..], 2.0),
        Measured::Value(0.5)
    );
    assert!(mean_miss_rate_within(&[], 2.0).reason().is_some());
}

#[test]
fn the_area_under_misses_is_the_share_of_pairs_that_are_the_wrong_way_round() {
    let area = |targets: &[f32], others: &[f32]| ClassDetection::of("a", targets, others).area();
    assert_eq!(area(&[0.9, 0.8], &[0.1, 0.2]), Measured::Value(0.0));
    assert_eq!(area(&[0.1, 0.2], &[0.9, 0.8]), Measured::Value(1.0));
    // Of six pairs one is wrong and one is a tie: 1.5 of 6.
    let found = area(&[0.9, 0.5], &[0.7, 0.5, 0.1]);
    assert!((found.number().unwrap() - 0.25).abs() < 1e-12, "{found:?}");
    assert!(area(&[], &[0.5]).reason().is_some());
}

#[test]
fn times_that_cannot_be_are_refused() {
    for (start_s, end_s) in [(2.0, 1.0), (-1.0, 1.0), (0.0, 61.0), (f64::NAN, 1.0)] {
        let at = targets(&[("yes", start_s, end_s)]);
        assert!(matches!(
            judge(&at, &[], 60.0),
            Err(EvaluateError::BadTarget { .. })
        ));
    }
    assert!(matches!(
        judge(&[], &events(&[("yes", 61.0)]), 60.0),
        Err(EvaluateError::BadEvent { event: 0, .. })
    ));
    assert!(judge(&[], &[], f64::NAN).is_err());
    let spec = MatchSpec {
        refractory_s: -1.0,
        ..MatchSpec::half_second()
    };
    let empty = Recording {
        targets: vec![],
        events: vec![],
        audio_s: 60.0,
    };
    assert!(
        match_events(&[empty], &spec)
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
