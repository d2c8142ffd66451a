//! The numbers of this room against scikit-learn, scipy, statsmodels and numpy.
//!
//! `oracle/oracle.json` was made by `python3 oracle/make.py > oracle/oracle.json` and holds their versions.

use serde::Deserialize;

use super::calibration::{N_BINS, ReliabilityBin};
use super::*;

#[derive(Deserialize)]
pub(crate) struct Oracle {
    scores: Scores,
    accuracy: f64,
    balanced_accuracy: f64,
    macro_f1: f64,
    cross_entropy: f64,
    brier: f64,
    expected_calibration_error: f64,
    precision: Vec<f64>,
    recall: Vec<f64>,
    f1: Vec<f64>,
    support: Vec<u64>,
    confusion: Vec<Vec<u64>>,
    equal_error_rate: Vec<f64>,
    roc_of_first: Vec<[f64; 3]>,
    wilson: Vec<(u64, u64, f64, f64)>,
    poisson: Vec<(u64, f64, f64)>,
    student_t: Vec<(usize, f64, f64)>,
    pub bootstrap_by_speaker: Vec<f64>,
}

pub(crate) fn oracle() -> Oracle {
    serde_json::from_str(include_str!("oracle/oracle.json")).expect("made by oracle/make.py")
}

#[track_caller]
fn check_close(what: &str, found: &Measured, expected: f64, tolerance: f64) {
    let found = found
        .number()
        .unwrap_or_else(|| panic!("{what} is missing: {found:?}"));
    assert!(
        (found - expected).abs() <= tolerance,
        "{what} is {found}, the oracle says {expected}"
    );
}

#[test]
fn the_interval_over_seeds_agrees_with_scipy() {
    let values: Vec<f64> = [0.97, 0.96, 0.985, 0.9]
        .into_iter()
        .cycle()
        .take(31)
        .collect();
    for (n, low, high) in oracle().student_t {
        let found = intervals::student_t(&values[..n]);
        let Measured::Value(found) = found else {
            panic!("{n} values: {found:?}")
        };
        assert!((found.low - low).abs() < 1e-6, "{n}: {found:?}, {low}");
        assert!((found.high - high).abs() < 1e-6, "{n}: {found:?}, {high}");
    }
    assert!(intervals::student_t(&values[..1]).reason().is_some());
}

#[test]
fn a_judgement_agrees_with_scikit_learn() {
    let oracle = oracle();
    let judged = Judgement::of(&oracle.scores).expect("valid");
    check_close("accuracy", &judged.accuracy, oracle.accuracy, 1e-12);
    check_close(
        "balanced accuracy",
        &judged.balanced_accuracy,
        oracle.balanced_accuracy,
        1e-12,
    );
    check_close("macro f1", &judged.macro_f1, oracle.macro_f1, 1e-12);
    check_close(
        "cross entropy",
        &judged.cross_entropy,
        oracle.cross_entropy,
        1e-6,
    );
    check_close("brier", &judged.brier, oracle.brier, 1e-12);
    check_close(
        "ece",
        &judged.expected_calibration_error,
        oracle.expected_calibration_error,
        1e-12,
    );
    assert_eq!(judged.confusion.counts, oracle.confusion);
    for (class, result) in judged.per_class.iter().enumerate() {
        assert_eq!(result.support, oracle.support[class]);
        check_close(
            "precision",
            &result.precision,
            oracle.precision[class],
            1e-12,
        );
        check_close("recall", &result.recall, oracle.recall[class], 1e-12);
        check_close("f1", &result.f1, oracle.f1[class], 1e-12);
        check_close(
            "equal error rate",
            &result.equal_error_rate,
            oracle.equal_error_rate[class],
            1e-9,
        );
    }
}

#[test]
fn a_sweep_of_thresholds_agrees_with_scikit_learn() {
    let oracle = oracle();
    let found = &detection::one_versus_rest(&oracle.scores)[0].points;
    assert_eq!(found.len(), oracle.roc_of_first.len());
    for (point, [threshold, false_accept_rate, miss_rate]) in found.iter().zip(oracle.roc_of_first)
    {
        assert!((point.threshold - threshold).abs() < 1e-7);
        assert!((point.false_accept_rate - false_accept_rate).abs() < 1e-12);
        assert!((point.miss_rate - miss_rate).abs() < 1e-12);
    }
}

#[test]
fn intervals_agree_with_statsmodels_and_scipy() {
    let oracle = oracle();
    for (k, n, low, high) in oracle.wilson {
        let found = *intervals::wilson(k, n).value().expect("measured");
        assert!(
            (found.low - low).abs() < 1e-12 && (found.high - high).abs() < 1e-12,
            "{k} of {n}: {found:?}"
        );
    }
    for (k, low, high) in oracle.poisson {
        let found = intervals::poisson(k);
        let tolerance = 1e-9 * (1.0 + high);
        assert!(
            (found.low - low).abs() < tolerance && (found.high - high).abs() < tolerance,
            "{k}: {found:?}"
        );
    }
}

#[test]
fn the_order_of_examples_changes_nothing() {
    let Oracle { scores, .. } = oracle();
    let speakers: Vec<String> = (0..scores.n_examples())
        .map(|example| format!("speaker-{}", example / 7))
        .collect();
    let bootstrap = Bootstrap {
        n_resamples: 300,
        seed: 5,
    };
    let first = Judgement::of_speakers(&scores, &speakers, bootstrap).expect("valid");
    // 61 has no divisor in common with 160, so this visits each example once.
    let order: Vec<usize> = (0..scores.n_examples())
        .map(|place| place * 61 % scores.n_examples())
        .collect();
    let moved = Scores {
        labels: scores.labels.clone(),
        truth: order.iter().map(|&example| scores.truth[example]).collect(),
        probabilities: order
            .iter()
            .flat_map(|&example| scores.row(example).to_vec())
            .collect(),
        ids: order
            .iter()
            .map(|&example| scores.ids[example].clone())
            .collect(),
    };
    let moved_speakers: Vec<&String> = order.iter().map(|&example| &speakers[example]).collect();
    let second = Judgement::of_speakers(&moved, &moved_speakers, bootstrap).expect("valid");
    assert_eq!(first.confusion, second.confusion);
    assert_eq!(first.per_class, second.per_class);
    assert_eq!(
        first.accuracy_interval_by_speaker,
        second.accuracy_interval_by_speaker
    );
    for (a, b) in [
        (first.cross_entropy, second.cross_entropy),
        (first.brier, second.brier),
        (
            first.expected_calibration_error,
            second.expected_calibration_error,
        ),
    ] {
        check_close(
            "a sum in another order",
            &a,
            b.number().expect("measured"),
            1e-12,
        );
    }
}

#[test]
fn counts_add_up() {
    let Oracle { scores, .. } = oracle();
    let judged = Judgement::of(&scores).expect("valid");
    for (row, class) in judged.confusion.counts.iter().zip(&judged.per_class) {
        assert_eq!(row.iter().sum::<u64>(), class.support);
    }
    assert_eq!(
        judged
            .per_class
            .iter()
            .map(|class| class.n_predicted)
            .sum::<u64>(),
        judged.n_examples
    );
    assert_eq!(
        judged
            .per_class
            .iter()
            .map(|class| class.n_correct)
            .sum::<u64>(),
        judged.n_correct
    );
    assert_eq!(
        judged
            .reliability
            .iter()
            .map(|bin| bin.n_examples)
            .sum::<u64>(),
        judged.n_examples
    );
    assert_eq!(judged.reliability.len(), N_BINS);
    let inside = |bin: &ReliabilityBin| {
        bin.confidence
            .number()
            .is_none_or(|c| bin.low <= c && c <= bin.high)
    };
    assert!(judged.reliability.iter().all(inside));
    let interval = judged.accuracy_interval.value().expect("measured");
    assert!(interval.contains(judged.accuracy.number().expect("measured")));
}

#[test]
fn renaming_and_reordering_classes_moves_the_results_with_them() {
    let Oracle { scores, .. } = oracle();
    let n_classes = scores.n_classes();
    let reversed = Scores {
        labels: scores.labels.iter().rev().cloned().collect(),
        truth: scores
            .truth
            .iter()
            .map(|class| n_classes - 1 - class)
            .collect(),
        probabilities: (0..scores.n_examples())
            .flat_map(|i| scores.row(i).iter().rev().copied().collect::<Vec<_>>())
            .collect(),
        ids: scores.ids.clone(),
    };
    // Ties go to the first class, so only examples without ties keep their prediction for certain.
    let tied = |row: &[f32]| {
        row.iter()
            .filter(|&&p| p == row.iter().copied().fold(0.0, f32::max))
            .count()
            > 1
    };
    assert!(
        (0..scores.n_examples()).all(|example| !tied(scores.row(example))),
        "the oracle has no ties"
    );
    let (first, second) = (
        Judgement::of(&scores).expect("valid"),
        Judgement::of(&reversed).expect("valid"),
    );
    assert_eq!(
        first.per_class,
        second.per_class.into_iter().rev().collect::<Vec<_>>()
    );
    assert_eq!(first.accuracy, second.accuracy);
}

#[test]
fn a_judgement_survives_json() {
    let Oracle { scores, .. } = oracle();
    let judged = Judgement::of(&scores).expect("valid");
    let text = serde_json::to_string(&judged).expect("plain data");
    assert!(!text.contains("null"));
    let back: Judgement = serde_json::from_str(&text).expect("written by us");
    assert_eq!(
        (&back.confusion, back.n_correct),
        (&judged.confusion, judged.n_correct)
    );
    assert_eq!(
        back.accuracy_interval_by_speaker,
        judged.accuracy_interval_by_speaker
    );
    check_close(
        "brier",
        &back.brier,
        judged.brier.number().expect("measured"),
        1e-15,
    );
}

#[derive(Deserialize)]
struct Languages {
    pooled_equal_error_rate: f64,
    pooled_det_area: f64,
    det_area: Vec<f64>,
    average_cost: f64,
    minimum_average_cost: f64,
    mcnemar: Vec<(u64, u64, f64)>,
}

/// `oracle/languages.json` was made by `python3 oracle/languages.py < oracle/oracle.json > oracle/languages.json`.
#[test]
fn average_cost_pooled_error_rate_and_mcnemar_agree_with_numpy_scikit_learn_and_statsmodels() {
    let expected: Languages =
        serde_json::from_str(include_str!("oracle/languages.json")).expect("made by languages.py");
    let judged = Judgement::of(&oracle().scores).expect("valid");
    check_close(
        "pooled equal error rate",
        &judged.pooled_equal_error_rate,
        expected.pooled_equal_error_rate,
        1e-9,
    );
    check_close(
        "pooled area",
        &judged.pooled_det_area,
        expected.pooled_det_area,
        1e-12,
    );
    assert_eq!(judged.per_class.len(), expected.det_area.len());
    for (class, area) in judged.per_class.iter().zip(&expected.det_area) {
        check_close(&class.label, &class.det_area, *area, 1e-12);
    }
    check_close(
        "average cost",
        &judged.average_cost,
        expected.average_cost,
        1e-9,
    );
    check_close(
        "minimum average cost",
        &judged.minimum_average_cost,
        expected.minimum_average_cost,
        1e-9,
    );
    for (only_first, only_second, p) in expected.mcnemar {
        let what = format!("McNemar of {only_first} and {only_second}");
        check_close(&what, &paired::mcnemar(only_first, only_second), p, 1e-9);
    }
}
