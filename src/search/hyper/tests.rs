//! What a search of hyper-parameters promises, on functions whose minima are known.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;

fn space(toml_like: serde_json::Value) -> HyperSpace {
    serde_json::from_value(toml_like).unwrap()
}

fn plane() -> HyperSpace {
    space(serde_json::json!({"x": {"linear": [-5.0, 10.0]}, "y": {"linear": [0.0, 15.0]}}))
}

/// Branin's function; three minima of 0.397887 (Dixon & Szegö 1978).
fn branin(point: &HyperPoint) -> f64 {
    use std::f64::consts::PI;
    let (x, y) = (point.float("x").unwrap(), point.float("y").unwrap());
    let valley = y - 5.1 / (4.0 * PI * PI) * x * x + 5.0 / PI * x - 6.0;
    valley * valley + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * x.cos() + 10.0
}

/// What a training looks like from here: a rate with a best decade, an optimiser that shifts it, a width
/// with diminishing returns, a flag, and divergence beyond a rate.
fn training_like(point: &HyperPoint) -> Option<f64> {
    let rate = point.float("rate").unwrap().log10();
    let best_rate = match point.text("optimiser").unwrap() {
        "sgd" => -1.0,
        "adam" => -2.5,
        _ => -3.0,
    };
    let penalty = match point.text("optimiser").unwrap() {
        "sgd" => 0.1,
        "adam" => 0.0,
        _ => 0.3,
    };
    if rate > best_rate + 1.0 {
        return None;
    }
    let width = point.integer("width").unwrap() as f64;
    let flag = if point.flag("augment").unwrap() {
        0.0
    } else {
        0.1
    };
    Some(0.2 * (rate - best_rate).powi(2) + penalty + 4.0 / width + flag)
}

fn training_space() -> HyperSpace {
    space(serde_json::json!({
        "rate": {"log": [1e-5, 1.0]},
        "optimiser": {"choice": ["sgd", "adam", "adagrad", "rmsprop"]},
        "width": {"log-integer": [8, 256]},
        "augment": {"choice": [false, true]},
    }))
}

/// The best loss after each of `n` trials.
fn run(
    oracle: HyperOracleSpec,
    space: &HyperSpace,
    n: u64,
    seed: u64,
    loss: impl Fn(&HyperPoint) -> Option<f64>,
) -> Vec<f64> {
    let mut oracle = oracle.build(space);
    let mut best = f64::INFINITY;
    (0..n)
        .map(|number| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed * 1_000_003 + number);
            let point = oracle.ask(&mut rng);
            space.admits(&point).unwrap();
            let outcome = match loss(&point) {
                Some(loss) => HyperOutcome::Loss(loss),
                None => HyperOutcome::Failed,
            };
            if let HyperOutcome::Loss(loss) = outcome {
                best = best.min(loss);
            }
            oracle.tell(&HyperObservation {
                number,
                point,
                outcome,
            });
            best
        })
        .collect()
}

/// Mean and standard error of random's best minus the estimator's, and the two means, over paired seeds.
fn compare(
    space: &HyperSpace,
    loss: impl Fn(&HyperPoint) -> Option<f64> + Copy,
) -> (f64, f64, f64, f64) {
    let n_seeds = 50;
    let tpe = HyperOracleSpec::Tpe(TpeSpec::standard());
    let last = |oracle, seed| *run(oracle, space, 60, seed, loss).last().unwrap();
    let pairs: Vec<(f64, f64)> = (0..n_seeds)
        .map(|seed| (last(HyperOracleSpec::Random, seed), last(tpe, seed)))
        .collect();
    let n = n_seeds as f64;
    let mean = |values: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(values).sum::<f64>() / n;
    let gain = mean(&|(random, tpe)| random - tpe);
    let variance = mean(&|(random, tpe)| (random - tpe - gain).powi(2));
    (
        gain,
        (variance / (n - 1.0)).sqrt(),
        mean(&|pair| pair.0),
        mean(&|pair| pair.1),
    )
}

#[test]
fn tpe_beats_random_on_branin_at_sixty_evaluations() {
    let (gain, error, random, tpe) = compare(&plane(), |point| Some(branin(point)));
    println!(
        "branin, optimum 0.398: random {random:.4}, tpe {tpe:.4}, gain {gain:.4} +- {error:.4}"
    );
    assert!(gain > 3.0 * error, "gain {gain}, standard error {error}");
}

#[test]
fn tpe_beats_random_on_mixed_values_some_of_which_fail() {
    let (gain, error, random, tpe) = compare(&training_space(), training_like);
    println!(
        "mixed, optimum 0.016: random {random:.4}, tpe {tpe:.4}, gain {gain:.4} +- {error:.4}"
    );
    assert!(gain > 3.0 * error, "gain {gain}, standard error {error}");
}

#[test]
fn the_same_observations_lead_to_the_same_point_in_whatever_order_they_were_told() {
    let space = training_space();
    let observations: Vec<HyperObservation> = (0..40)
        .map(|number| {
            let point = space.draw(&mut ChaCha8Rng::seed_from_u64(number));
            let outcome = match training_like(&point) {
                _ if number % 9 == 8 => HyperOutcome::Running,
                Some(loss) => HyperOutcome::Loss(loss),
                None => HyperOutcome::Failed,
            };
            HyperObservation {
                number,
                point,
                outcome,
            }
        })
        .collect();
    let ask = |observations: &mut dyn Iterator<Item = &HyperObservation>| {
        let mut oracle = HyperOracleSpec::Tpe(TpeSpec::standard()).build(&space);
        observations.for_each(|observation| oracle.tell(observation));
        oracle.ask(&mut ChaCha8Rng::seed_from_u64(7)).canonical()
    };
    let forward = ask(&mut observations.iter());
    assert_eq!(forward, ask(&mut observations.iter().rev()));
    // A trial that was running first and ended later is one trial.
    let ended = |o: &HyperObservation| HyperObservation {
        outcome: HyperOutcome::Loss(0.5),
        ..o.clone()
    };
    let later: Vec<HyperObservation> = observations
        .iter()
        .filter(|o| o.outcome == HyperOutcome::Running)
        .map(ended)
        .collect();
    let mut at_once = observations.clone();
    for observation in &later {
        at_once[observation.number as usize] = observation.clone();
    }
    let twice = observations.iter().chain(&later).chain(&later);
    assert_eq!(ask(&mut at_once.iter()), ask(&mut { twice }));
}

#[test]
fn workers_that_ask_before_anybody_is_told_are_sent_to_different_places() {
    let space = space(serde_json::json!({"x": {"linear": [0.0, 1.0]}}));
    let spread = |is_told_of_running: bool| {
        let mut oracle = HyperOracleSpec::Tpe(TpeSpec::standard()).build(&space);
        for number in 0..30 {
            let point = space.draw(&mut ChaCha8Rng::seed_from_u64(number));
            let outcome = HyperOutcome::Loss((point.float("x").unwrap() - 0.3).abs());
            oracle.tell(&HyperObservation {
                number,
                point,
                outcome,
            });
        }
        let asked: Vec<f64> = (30..50)
            .map(|number| {
                let point = oracle.ask(&mut ChaCha8Rng::seed_from_u64(number));
                let x = point.float("x").unwrap();
                if is_told_of_running {
                    let outcome = HyperOutcome::Running;
                    oracle.tell(&HyperObservation {
                        number,
                        point,
                        outcome,
                    });
                }
                x
            })
            .collect();
        let mean = asked.iter().sum::<f64>() / 20.0;
        asked.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20.0
    };
    assert!(
        spread(true) > 1.5 * spread(false),
        "{} {}",
        spread(true),
        spread(false)
    );
}

#[test]
fn nothing_but_failures_is_searched_at_random_and_one_success_is_enough_to_learn() {
    let space = plane();
    let mut oracle = HyperOracleSpec::Tpe(TpeSpec::standard()).build(&space);
    for number in 0..30 {
        let point = space.draw(&mut ChaCha8Rng::seed_from_u64(number));
        let outcome = if number % 2 == 0 {
            HyperOutcome::Failed
        } else {
            HyperOutcome::Loss(f64::NAN)
        };
        oracle.tell(&HyperObservation {
            number,
            point,
            outcome,
        });
        let mut rng = ChaCha8Rng::seed_from_u64(100 + number);
        assert_eq!(oracle.ask(&mut rng.clone()), space.draw(&mut rng));
    }
    let point = space.draw(&mut ChaCha8Rng::seed_from_u64(31));
    oracle.tell(&HyperObservation {
        number: 31,
        point,
        outcome: HyperOutcome::Loss(1.0),
    });
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    assert_ne!(oracle.ask(&mut rng.clone()), space.draw(&mut rng));
}

#[test]
fn suggestions_come_first_and_what_they_leave_out_is_filled_in() {
    let spec: HyperSpec = serde_json::from_value(serde_json::json!({
        "oracle": {"kind": "tpe", "n_startup_trials": 10, "n_ei_candidates": 24, "gamma": 0.1},
        "space": {"rate": {"log": [1e-5, 1.0]}, "width": {"integer": [1, 9]}},
        "suggestions": [{"rate": 0.01}, {"rate": 0.1, "width": 9}],
    }))
    .unwrap();
    let mut search = spec.build().unwrap();
    let mut ask = |number| search.ask(number, &mut ChaCha8Rng::seed_from_u64(number));
    assert_eq!(ask(0).float("rate").unwrap(), 0.01);
    assert!((1..=9).contains(&ask(0).integer("width").unwrap()));
    assert_eq!(
        (
            ask(1).float("rate").unwrap(),
            ask(1).integer("width").unwrap()
        ),
        (0.1, 9)
    );
    assert_ne!(ask(2).float("rate").unwrap(), 0.01);
    spec.space.admits(&ask(2)).unwrap();
}

#[test]
fn ranges_points_and_settings_that_make_no_sense_are_refused_with_their_names() {
    for range in [
        serde_json::json!({"log": [0.0, 1.0]}),
        serde_json::json!({"log": [1.0, 0.5]}),
        serde_json::json!({"linear": [2.0, 1.0]}),
        serde_json::json!({"integer": [3, 2]}),
        serde_json::json!({"log-integer": [0, 2]}),
        serde_json::json!({"choice": []}),
        serde_json::json!({"choice": ["a", "a"]}),
    ] {
        let error = space(serde_json::json!({"momentum": range}))
            .validate()
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("hyper.space.momentum: found "),
            "{error}"
        );
    }
    assert!(serde_json::from_str::<HyperSpace>(r#"{"a": {"loog": [1.0, 2.0]}}"#).is_err());
    let point: HyperPoint = serde_json::from_str(r#"{"x": 11.0}"#).unwrap();
    assert_eq!(
        plane().admits_part(&point).unwrap_err().to_string(),
        "hyper-parameter x: found 11.0, expected linear -5.0 to 10.0"
    );
    let point: HyperPoint = serde_json::from_str(r#"{"x": 1.0}"#).unwrap();
    assert_eq!(
        plane().admits(&point).unwrap_err().to_string(),
        "hyper-parameter y is missing"
    );
    let absurd = TpeSpec {
        gamma: 0.0,
        ..TpeSpec::standard()
    };
    assert!(HyperOracleSpec::Tpe(absurd).validate().is_err());
}

#[test]
fn a_recipe_writes_ranges_as_short_tables_and_values_keep_their_kinds() {
    let written: HyperSpace = toml::from_str(
        "rate = { log = [1e-4, 1] }\ndropout = { linear = [0, 0.5] }\nbatch = { log-integer = [16, 128] }\n\
         optimiser = { choice = [\"adam-w\", \"sgd\"] }\nlayers = { choice = [1, 2.5, true] }",
    )
    .unwrap();
    written.validate().unwrap();
    let point = written.draw(&mut ChaCha8Rng::seed_from_u64(3));
    let text = point.canonical();
    let again: HyperPoint = serde_json::from_str(&text).unwrap();
    assert_eq!((again.canonical(), &again), (text, &point));
    written.admits(&again).unwrap();
    assert!(point.integer("batch").is_ok() && point.integer("rate").is_err());
}

#[test]
fn draws_reach_both_ends_of_an_integer_range_and_stay_within_every_range() {
    let space =
        space(serde_json::json!({"n": {"log-integer": [1, 4]}, "fixed": {"log": [0.1, 0.1]}}));
    let mut counts = [0; 5];
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for _ in 0..4000 {
        let point = space.draw(&mut rng);
        space.admits(&point).unwrap();
        counts[point.integer("n").unwrap() as usize] += 1;
    }
    // Shares by hand: ln(1.5 / 0.5) = 1.0986 of ln(4.5 / 0.5) = 2.1972 for 1, ln(4.5 / 3.5) = 0.2513 for 4.
    assert!(
        (f64::from(counts[1]) / 4000.0 - 0.5).abs() < 0.03,
        "{counts:?}"
    );
    assert!(
        (f64::from(counts[4]) / 4000.0 - 0.1144).abs() < 0.03,
        "{counts:?}"
    );
}
