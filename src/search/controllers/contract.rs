//! What every controller promises, tried on all of them.

use std::collections::HashSet;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::search::domain::tests::chains;
use crate::search::domain::{Alphabet, CellShape, Domain};

/// Chains with cells, so that every controller can be built.
fn celled() -> Domain {
    let cell = CellShape {
        n_parts: 2,
        repeated: false,
    };
    chains().with_cells(cell).unwrap()
}

/// 54 points of one depth.
fn small() -> Domain {
    let slots = vec![Alphabet::plain(2).unwrap()];
    let cell = CellShape {
        n_parts: 3,
        repeated: true,
    };
    let domain = Domain::new(slots, vec![Alphabet::plain(3).unwrap()], [3, 3]).unwrap();
    domain.with_cells(cell).unwrap()
}

fn rng(number: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(number)
}

/// Deterministic, rough, least where options are small.
fn loss(point: &Point) -> f64 {
    let options = point.slots.iter().chain(&point.parts);
    let sum: u32 = options.map(|option| option * option % 7).sum();
    f64::from(sum) - point.parts.len() as f64
}

fn observation(number: u64, proposal: &Proposal, outcome: Option<f64>) -> Observation {
    Observation {
        number,
        point: proposal.point.clone(),
        parent: proposal.parent,
        outcome,
        costs: vec![proposal.point.parts.len() as f64],
    }
}

/// A search of that many trials by one worker: what was proposed, as observed.
fn search(
    controller: &mut dyn Controller,
    n_trials: u64,
    outcome: impl Fn(u64, &Point) -> Option<f64>,
) -> Vec<Observation> {
    let mut tried = HashSet::new();
    let mut observations = Vec::new();
    for number in 0..n_trials {
        let admit = |point: &Point| !tried.contains(point);
        let Some(proposal) = controller.ask(&admit, &mut rng(number)) else {
            break;
        };
        assert!(tried.insert(proposal.point.clone()));
        let outcome = outcome(number, &proposal.point);
        let observation = observation(number, &proposal, outcome);
        controller.tell(&observation);
        observations.push(observation);
    }
    observations
}

fn for_each(domain: &Domain, check: impl Fn(&str, &ControllerSpec)) {
    let presets = ControllerSpec::presets(domain);
    let kinds: HashSet<&str> = presets.iter().map(ControllerSpec::kind).collect();
    assert_eq!(kinds.len(), 10);
    for spec in presets {
        spec.validate().unwrap();
        check(spec.kind(), &spec);
    }
}

#[test]
fn only_points_of_the_domain_that_are_admitted_are_proposed_and_parents_are_finished_trials() {
    let domain = celled();
    for_each(&domain, |kind, spec| {
        let mut controller = spec.build(&domain).unwrap();
        let admit = |point: &Point| point.slots[0] != 1 && !point.parts[0].is_multiple_of(3);
        for number in 0..150 {
            let proposal = controller.ask(&admit, &mut rng(number)).unwrap();
            assert!(domain.contains(&proposal.point), "{kind}");
            assert!(admit(&proposal.point), "{kind}");
            assert!(
                proposal.parent.is_none_or(|parent| parent < number),
                "{kind}"
            );
            let outcome = (number % 5 > 0).then(|| loss(&proposal.point));
            controller.tell(&observation(number, &proposal, outcome));
        }
    });
}

#[test]
fn going_on_after_a_stop_proposes_what_going_on_without_it_does() {
    let domain = celled();
    for_each(&domain, |kind, spec| {
        let mut controller = spec.build(&domain).unwrap();
        // Longer than any window, so that the replay meets every rebuilding of a model.
        let told = search(&mut *controller, 330, |number, point| {
            (number % 7 != 3).then(|| loss(point))
        });
        let mut replayed = spec.build(&domain).unwrap();
        for observation in &told {
            replayed.tell(observation);
        }
        let admit = |point: &Point| !told.iter().any(|told| told.point == *point);
        for number in 0..5 {
            let next = controller.ask(&admit, &mut rng(1_000 + number));
            assert_eq!(
                next,
                replayed.ask(&admit, &mut rng(1_000 + number)),
                "{kind}"
            );
        }
        assert_eq!(controller.incumbent(), replayed.incumbent(), "{kind}");
    });
}

#[test]
fn asking_often_before_anything_is_told_gives_new_points_each_time() {
    let domain = celled();
    for_each(&domain, |kind, spec| {
        let mut controller = spec.build(&domain).unwrap();
        let mut told = search(&mut *controller, 40, |_, point| Some(loss(point)));
        let mut tried: HashSet<Point> = told.iter().map(|t| t.point.clone()).collect();
        let mut waiting = Vec::new();
        for number in 40..56 {
            let admit = |point: &Point| !tried.contains(point);
            let proposal = controller.ask(&admit, &mut rng(number)).unwrap();
            assert!(tried.insert(proposal.point.clone()), "{kind}");
            waiting.push(observation(number, &proposal, Some(loss(&proposal.point))));
        }
        // They come back in another order.
        for observation in waiting.into_iter().rev() {
            controller.tell(&observation);
            told.push(observation);
        }
        let admit = |point: &Point| !tried.contains(point);
        assert!(controller.ask(&admit, &mut rng(99)).is_some(), "{kind}");
    });
}

#[test]
fn a_small_space_is_tried_to_its_last_point_and_then_counts_as_exhausted() {
    let domain = small();
    for_each(&domain, |kind, spec| {
        let mut controller = spec.build(&domain).unwrap();
        let told = search(&mut *controller, 100, |_, point| Some(loss(point)));
        assert_eq!(told.len(), 54, "{kind}");
    });
}

#[test]
fn a_search_of_failures_alone_goes_on() {
    let domain = celled();
    for_each(&domain, |kind, spec| {
        let mut controller = spec.build(&domain).unwrap();
        let told = search(&mut *controller, 60, |number, _| {
            [None, Some(f64::NAN), Some(f64::INFINITY)][number as usize % 3]
        });
        assert_eq!(told.len(), 60, "{kind}");
        assert_eq!(controller.incumbent(), None, "{kind}");
    });
}

#[test]
fn huge_losses_and_equal_losses_leave_a_controller_able_to_go_on() {
    let domain = celled();
    for_each(&domain, |kind, spec| {
        let mut controller = spec.build(&domain).unwrap();
        let told = search(&mut *controller, 80, |number, _| {
            Some(if number % 2 == 0 { 1e300 } else { 0.0 })
        });
        assert_eq!(told.len(), 80, "{kind}"); // of the 88 chains of one part that there are
    });
}

#[test]
fn thousands_of_options_a_part_are_searched_like_few() {
    let part = Alphabet::new(vec![vec![20, 20, 20], vec![9, 9], vec![30]]).unwrap();
    let slots = vec![Alphabet::new(vec![vec![8, 8]]).unwrap()];
    let domain = Domain::new(slots, vec![part], [1, 12]).unwrap();
    let cell = CellShape {
        n_parts: 3,
        repeated: false,
    };
    let domain = domain.with_cells(cell).unwrap();
    for_each(&domain, |kind, spec| {
        let mut controller = spec.build(&domain).unwrap();
        let told = search(&mut *controller, 60, |_, point| Some(loss(point)));
        assert_eq!(told.len(), 60, "{kind}");
    });
}

#[test]
fn a_spec_reads_back_from_its_text_and_unknown_settings_are_refused() {
    for_each(&celled(), |kind, spec| {
        let text = serde_json::to_string(spec).unwrap();
        assert!(text.contains(&format!("\"kind\":\"{kind}\"")));
        assert_eq!(
            &serde_json::from_str::<ControllerSpec>(&text).unwrap(),
            spec
        );
        let unknown = text.replacen('{', "{\"surplus\":1,", 1);
        // A kind without settings has no table to look into.
        if *spec != ControllerSpec::Random {
            assert!(
                serde_json::from_str::<ControllerSpec>(&unknown).is_err(),
                "{kind}"
            );
        }
    });
}

#[test]
fn settings_without_sense_are_refused_by_name() {
    let check = |text: &str, expected: &str| {
        let spec: ControllerSpec = serde_json::from_str(text).unwrap();
        let error = spec.build(&chains()).err().unwrap().to_string();
        assert_eq!(error, expected);
    };
    check(
        r#"{"kind":"local-search","n_initial":0}"#,
        "controller.n_initial: found 0, expected 1 to 100000",
    );
    check(
        r#"{"kind":"identity","depth":9,"n_initial":5,"n_pool":10,"window":64}"#,
        "controller.depth: found 9, expected 1 to 4, as the space has",
    );
    check(
        r#"{"kind":"constrained-descent","beam_size":1,"grow_probability":1.0,"trials_per_depth":5}"#,
        "controller.kind: found constrained-descent, expected a space with cells, or another controller",
    );
    check(
        r#"{"kind":"evolution","population_size":9,"tournament_size":2,"crossover_probability":1.5}"#,
        "controller.crossover_probability: found 1.5, expected 0 to 1",
    );
    check(
        r#"{"kind":"coordinate-descent","beam_size":1,"grow_probability":1.0,"vary_probability":0.5,"trials_per_depth":[5,5]}"#,
        "controller.trials_per_depth: found At([5, 5]), expected at least 1, or a rising list",
    );
}
