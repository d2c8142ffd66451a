//! Every way to make an ensemble, through a whole run.

use auricle::bundle::Bundle;
use auricle::evaluate::report::System;
use auricle::run::{Asked, judge_bundle};
use auricle::search::combine::{CombineSpec, EnsembleBudget};
use auricle::search::ensemble::{Method, Rounds, StudentSpec};
use auricle_datasets::Split;

use crate::place::{Place, Quiet};

fn method(text: &str) -> Method {
    serde_json::from_str(text).unwrap()
}

fn test_accuracy(system: &System) -> f64 {
    system.test.value().unwrap().accuracy.number().unwrap()
}

/// Runs it all; the report's ensemble, and what its bundle says of the same clips when it listens.
fn run(place: &Place) -> (auricle::evaluate::Report, Option<f64>) {
    let run = place.run();
    let finished = run.finish(&Quiet::never()).unwrap();
    let bundle = Bundle::load(&finished.folder.join("ensemble.auricle")).unwrap();
    let utterances: Vec<_> = run
        .corpus
        .utterances()
        .iter()
        .filter(|utterance| utterance.split == Split::Test)
        .cloned()
        .collect();
    let (judged, unjudged) = judge_bundle(
        &bundle,
        place.source(),
        &utterances,
        Asked::default(),
        1,
        &Quiet::never(),
    )
    .unwrap();
    assert!(unjudged.is_empty());
    (finished.report, judged.judgement.accuracy.number())
}

#[test]
fn every_method_makes_an_ensemble_whose_bundle_says_what_was_judged() {
    let learned: CombineSpec = serde_json::from_str(
        r#"{"kind": "learned", "mixture": "vector", "normalised": false, "bias": true, "lambda": 0.001, "beta": 0.0,
            "complexity": "params", "max_iterations": 200}"#,
    )
    .unwrap();
    let rounds = Rounds {
        grow: true,
        solo: false,
        all: true,
    };
    for (method, combine) in [
        (Method::Replicas, CombineSpec::MeanLogits),
        (Method::Replicas, learned),
        (
            method(r#"{"kind": "non-adaptive", "width": 2, "n_considered": 3}"#),
            CombineSpec::MeanProbabilities,
        ),
        (
            method(r#"{"kind": "intermixed", "every": 2, "width": 2, "n_considered": 4}"#),
            CombineSpec::MeanProbabilities,
        ),
        (Method::Adaptive { rounds }, CombineSpec::MeanProbabilities),
        (Method::Residual, CombineSpec::MeanProbabilities),
        (
            method(r#"{"kind": "greedy", "n_rounds": 8, "n_initial": 2}"#),
            CombineSpec::MeanProbabilities,
        ),
    ] {
        let mut place = Place::new(4);
        place.recipe.ensemble.method = method;
        place.recipe.ensemble.combine = combine;
        place.recipe.ensemble.n_finalists = 2;
        place.recipe.ensemble.n_members = 3;
        place.recipe.ensemble.train.n_epochs = 4;
        place.recipe.baselines.clear();
        let (report, of_bundle) = run(&place);
        let judged = match report.ensemble.value() {
            Some(ensemble) => test_accuracy(ensemble),
            // A growing ensemble may find that nothing helps; then its one member is packed.
            None => {
                assert!(
                    matches!(
                        method,
                        Method::Adaptive { .. } | Method::Residual | Method::Greedy { .. }
                    ),
                    "{method:?}"
                );
                test_accuracy(report.single.value().unwrap())
            }
        };
        assert_eq!(of_bundle, Some(judged), "{method:?}");
    }
}

#[test]
fn an_ensemble_keeps_to_its_budget_and_teaches_a_student_of_the_size_of_one() {
    let mut place = Place::new(3);
    place.recipe.ensemble.n_members = 5;
    place.recipe.ensemble.train.n_epochs = 4;
    place.recipe.baselines.clear();
    place.recipe.ensemble.student = Some(
        serde_json::from_str::<StudentSpec>(
            r#"{"distil": {"loss": "cross-entropy", "temperature": 2.0, "label_weight": 0.5, "teacher_weight": [0.5, 0.5]}}"#,
        )
        .unwrap(),
    );
    let one = {
        let (report, _) = run(&place);
        report.single.value().unwrap().cost.n_params
    };
    let mut bounded = Place::new(3);
    bounded.recipe = place.recipe.clone();
    bounded.recipe.ensemble.budget = EnsembleBudget {
        max_params: Some(2 * one + one / 2),
        ..EnsembleBudget::none()
    };
    let (report, _) = run(&bounded);
    let ensemble = report.ensemble.value().unwrap();
    assert_eq!(ensemble.cost.n_params, 2 * one);
    let student = report.baselines.last().unwrap();
    assert_eq!(
        (student.name.as_str(), student.cost.n_params),
        ("student of the ensemble", one)
    );
}
