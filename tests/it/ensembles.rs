//! Every way to make an ensemble, through a whole run.

use std::collections::BTreeSet;

use auricle::bundle::Bundle;
use auricle::evaluate::report::System;
use auricle::model::Cost;
use auricle::run::{Asked, judge_bundle};
use auricle::search::Trial;
use auricle::search::combine::{CombineSpec, EnsembleBudget};
use auricle::search::ensemble::{Method, Rounds, StudentSpec, WarmStart};
use auricle_datasets::Split;
use auricle_features::FrontendSpec;
use serde_json::json;

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

#[test]
fn full_trainings_go_on_from_what_the_trial_learned_where_the_recipe_says_so() {
    // So small a step that a training ends where it began.
    let losses = |warm_start: WarmStart| {
        let mut place = Place::new(4);
        place.recipe.ensemble.warm_start = warm_start;
        place.recipe.ensemble.n_members = 2;
        place.recipe.ensemble.train.n_epochs = 1;
        place.recipe.ensemble.train.learning_rate = 1e-7;
        place.recipe.baselines.clear();
        let run = place.run();
        let finished = run.finish(&Quiet::never()).unwrap();
        let best_trial = run
            .search(&Quiet::never())
            .unwrap()
            .iter()
            .filter_map(|trial| trial.scores())
            .map(|scores| scores.validation_loss)
            .fold(f64::INFINITY, f64::min);
        let of = |start: &str| {
            let files = std::fs::read_dir(finished.folder.join("full")).unwrap();
            let records = files.map(|file| file.unwrap().path()).filter(|path| {
                let name = path.file_name().unwrap().to_string_lossy();
                name.starts_with(start) && name.ends_with(".json")
            });
            let losses = records.map(|path| {
                let record = std::fs::read_to_string(path).unwrap();
                let record: serde_json::Value = serde_json::from_str(&record).unwrap();
                record["scores"]["validation_loss"].as_f64().unwrap()
            });
            losses.fold(f64::INFINITY, f64::min)
        };
        (best_trial, of("finalist-"), of("member-"))
    };
    let (trial, finalist, member) = losses(WarmStart::Members);
    assert!((finalist - trial).abs() < 0.1, "{finalist} after {trial}");
    assert!((member - trial).abs() < 0.1, "{member} after {trial}");
    let (trial, finalist, member) = losses(WarmStart::Finalists);
    assert!((finalist - trial).abs() < 0.1, "{finalist} after {trial}");
    assert!(member > trial + 0.3, "{member}, fresh, beside {trial}");
    let (trial, finalist, _) = losses(WarmStart::None);
    assert!(finalist > trial + 0.3, "{finalist}, fresh, beside {trial}");
}

#[test]
fn front_ends_are_searched_and_what_is_packed_hears_through_the_one_that_was_chosen() {
    let mut place = Place::new(6);
    place.recipe.ensemble.method =
        method(r#"{"kind": "non-adaptive", "width": 2, "n_considered": 6}"#);
    place.recipe.ensemble.n_members = 3;
    place.recipe.ensemble.train.n_epochs = 4;
    place.recipe.baselines.clear();
    let preset = |name: &str| FrontendSpec::preset(name).unwrap();
    let (mut packed, mut n_heirs, mut n_ensembles) = (BTreeSet::new(), 0, 0);
    // A search that may choose among both, and two that are told which to hear through.
    let told = ["speech_16k", "speech_16k_64"].map(|name| vec![json!({ "frontend": name }); 6]);
    for (seed, suggestions) in (1..).zip([vec![], told[0].clone(), told[1].clone()]) {
        place.recipe.seed = seed;
        let hyper = json!({
            "oracle": {"kind": "random"},
            "space": {"frontend": {"choice": ["speech_16k", "speech_16k_64"]}},
            "suggestions": suggestions,
        });
        place.recipe.search.hyper = Some(serde_json::from_value(hyper).unwrap());
        let run_of = place.run();
        let trials = run_of.search(&Quiet::never()).unwrap();
        let named = |trial: &Trial| trial.hyper.text("frontend").unwrap().to_owned();
        for trial in &trials {
            let mut ports = run_of.corpus.ports();
            ports.n_mels = preset(&named(trial)).n_mels;
            assert_eq!(trial.cost, Cost::of(&trial.genome, &ports));
            // Nothing is inherited from what heard otherwise.
            for donor in &trial.donors {
                assert_eq!(named(trial), named(&trials[*donor as usize]));
                n_heirs += 1;
            }
        }
        let (report, of_bundle) = run(&place);
        if let Some(ensemble) = report.ensemble.value() {
            assert_eq!(of_bundle, Some(test_accuracy(ensemble)));
            n_ensembles += 1;
        }
        let folder = place.run().folder;
        let bundle = Bundle::load(&folder.join("single.auricle")).unwrap();
        let chosen = report.single.value().unwrap();
        let trial = trials
            .iter()
            .find(|trial| trial.genome == bundle.members[0].genome);
        assert_eq!(bundle.frontend, preset(&named(trial.unwrap())));
        assert_eq!(chosen.cost.n_params, trial.unwrap().cost.n_params);
        packed.insert(bundle.frontend.n_mels);
    }
    assert!(n_heirs > 0 && n_ensembles > 0);
    assert_eq!(packed, [40, 64].into());
}
