//! What a combination promises, held against finite differences, and closed forms.

mod choose;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::fit::{Problem, project_to_simplex};
use super::objective::Objective;
use super::*;

fn member(number: u64, logits: Vec<f32>) -> MemberLogits {
    MemberLogits {
        number,
        depth: 1 + number as usize % 4,
        n_params: 1000 * (1 + number % 5),
        macs_per_second: 100 * (1 + number % 3),
        logits,
    }
}

/// Members that know something, each with noise of its own and a scale of its own.
fn noisy(n_members: usize, n: usize, n_classes: usize, seed: u64) -> Predictions {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let labels: Vec<usize> = (0..n).map(|_| rng.random_range(0..n_classes)).collect();
    let members = (0..n_members).map(|m| {
        let (skill, scale) = (
            0.5 + rng.random::<f32>() * 2.0,
            0.5 + 2.0 * rng.random::<f32>(),
        );
        let mut logits = Vec::new();
        for label in &labels {
            for class in 0..n_classes {
                let knows = if class == *label { skill } else { 0.0 };
                let noise: f32 = (0..4).map(|_| rng.random::<f32>() - 0.5).sum();
                logits.push(scale * (knows + 2.0 * noise));
            }
        }
        member(m as u64, logits)
    });
    let members = members.collect();
    Predictions::new(n_classes, labels, members).unwrap()
}

fn numbers(n: usize) -> Vec<u64> {
    (0..n as u64).collect()
}

fn learned(mixture: MixtureKind) -> LearnedSpec {
    LearnedSpec {
        mixture,
        normalised: false,
        bias: false,
        lambda: 0.0,
        beta: 0.0,
        complexity: Complexity::Depth,
        max_iterations: 2000,
    }
}

const KINDS: [MixtureKind; 3] = [
    MixtureKind::Scalar,
    MixtureKind::Vector,
    MixtureKind::Matrix,
];

#[test]
fn the_gradient_is_that_of_finite_differences() {
    let predictions = noisy(3, 20, 4, 1);
    let members = predictions.of(&numbers(3)).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for kind in KINDS {
        for has_bias in [false, true] {
            let objective = Objective::new(kind, has_bias, &members, 4, predictions.labels());
            let at: Vec<f64> = objective
                .uniform_mean()
                .iter()
                .map(|x| x + rng.random::<f64>() - 0.5)
                .collect();
            let mut gradient = vec![0.0; at.len()];
            let loss = objective.loss_and_gradient(&at, &mut gradient);
            assert!((loss - objective.loss(&at)).abs() < 1e-12);
            for i in 0..at.len() {
                let moved = |by: f64| {
                    let mut moved = at.clone();
                    moved[i] += by;
                    objective.loss(&moved)
                };
                let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!(
                    (slope - gradient[i]).abs() < 1e-8,
                    "{kind:?} {i}: {slope} {}",
                    gradient[i]
                );
            }
        }
    }
}

#[test]
fn a_learned_mixture_is_never_worse_on_its_clips_than_the_mean_of_logits() {
    for seed in 0..8 {
        let predictions = noisy(4, 60, 3, seed);
        let all = numbers(4);
        let mean = combine(&predictions, &all, &CombineSpec::MeanLogits).unwrap();
        let mut simplex = learned(MixtureKind::Scalar);
        simplex.normalised = true;
        for spec in KINDS.map(learned).into_iter().chain([simplex]) {
            let fitted = combine(&predictions, &all, &CombineSpec::Learned(spec)).unwrap();
            assert!(
                fitted.loss <= mean.loss + 1e-6,
                "{spec:?}: {} {}",
                fitted.loss,
                mean.loss
            );
            fitted.combination.validate(4, 3).unwrap();
            // What the running program computes in 32 bits is what was fitted in 64.
            let run = loss_of(&fitted.combination, &predictions, &all).unwrap();
            assert!(
                (run - fitted.loss).abs() < 1e-5 * (1.0 + run),
                "{run} {}",
                fitted.loss
            );
        }
    }
}

#[test]
fn with_a_price_the_objective_is_never_above_that_of_the_mean() {
    let predictions = noisy(4, 60, 3, 3);
    let members = predictions.of(&numbers(4)).unwrap();
    for kind in KINDS {
        let spec = LearnedSpec {
            lambda: 0.02,
            beta: 0.01,
            bias: true,
            ..learned(kind)
        };
        let fitted = fit(&predictions, &members, &spec).unwrap();
        let objective = Objective::new(kind, true, &members, 3, predictions.labels());
        let mean = objective.uniform_mean();
        let price: f64 = spec
            .prices(&members)
            .iter()
            .zip(mean.chunks(objective.n_per_member()))
            .map(|(price, weights)| price * weights.iter().map(|w| w.abs()).sum::<f64>())
            .sum();
        assert!(fitted.objective < objective.loss(&mean) + price);
        assert!(fitted.objective > fitted.loss, "the price is paid");
    }
}

#[test]
fn the_fit_is_optimal_no_small_change_makes_it_better() {
    let predictions = noisy(3, 80, 3, 5);
    let members = predictions.of(&numbers(3)).unwrap();
    for kind in KINDS {
        for (lambda, is_normalised) in [(0.0, false), (0.02, false), (0.02, true)] {
            if is_normalised && kind != MixtureKind::Scalar {
                continue;
            }
            let spec = LearnedSpec {
                lambda,
                ..learned(kind)
            };
            let smooth = Objective::new(kind, false, &members, 3, predictions.labels());
            let n = smooth.n_per_member();
            let prices: Vec<f64> = spec
                .prices(&members)
                .iter()
                .flat_map(|p| vec![*p; n])
                .collect();
            let problem = Problem {
                smooth,
                prices,
                is_normalised,
            };
            let (at, objective, n_iterations) = problem.minimise(20_000);
            assert!(n_iterations < 20_000, "{kind:?} did not settle");
            let mut rng = ChaCha8Rng::seed_from_u64(6);
            for _ in 0..200 {
                let mut near: Vec<f64> = at
                    .iter()
                    .map(|x| x + 0.01 * (rng.random::<f64>() - 0.5))
                    .collect();
                if is_normalised {
                    project_to_simplex(&mut near);
                }
                let price: f64 = near
                    .iter()
                    .zip(&problem.prices)
                    .map(|(x, p)| p * x.abs())
                    .sum();
                let found = problem.smooth.loss(&near) + price;
                assert!(
                    found >= objective - 1e-8,
                    "{kind:?} {lambda}: {found} {objective}"
                );
            }
        }
    }
}

#[test]
fn one_member_of_two_classes_gets_the_weight_of_the_closed_form() {
    // A logit of 1 against 0, right on 3 clips of 4: sigmoid(w) = 3/4, so w = ln 3. With a price of 0.05 the
    // slope sigmoid(w) - 3/4 + 0.05 vanishes at sigmoid(w) = 0.7, w = ln(7/3). A price of 1 leaves nothing.
    let logits = [1.0, 0.0].repeat(4);
    let predictions = Predictions::new(2, vec![0, 0, 1, 0], vec![member(0, logits)]).unwrap();
    let members = predictions.of(&[0]).unwrap();
    for (beta, expected) in [(0.0, 3_f32.ln()), (0.05, (7.0_f32 / 3.0).ln()), (1.0, 0.0)] {
        let spec = LearnedSpec {
            beta,
            ..learned(MixtureKind::Scalar)
        };
        let fitted = fit(&predictions, &members, &spec).unwrap();
        let Combination::WeightedLogits {
            mixture: Mixture::Scalar(weights),
            ..
        } = &fitted.combination
        else {
            panic!("a scalar mixture was asked for");
        };
        assert!(
            (weights[0] - expected).abs() < 1e-4,
            "{} {expected}",
            weights[0]
        );
        let price = beta * f64::from(weights[0]);
        assert!((fitted.objective - fitted.loss - price).abs() < 1e-6);
    }
}

#[test]
fn a_dear_member_of_the_same_answers_is_left_out_exactly() {
    let one = noisy(1, 50, 3, 9);
    let logits = one.members()[0].logits.clone();
    let cheap = MemberLogits {
        depth: 1,
        ..member(0, logits.clone())
    };
    let dear = MemberLogits {
        depth: 16,
        ..member(1, logits)
    };
    let predictions = Predictions::new(3, one.labels().to_vec(), vec![cheap, dear]).unwrap();
    for normalised in [false, true] {
        let spec = LearnedSpec {
            lambda: 0.01,
            normalised,
            ..learned(MixtureKind::Scalar)
        };
        let fitted = fit(&predictions, &predictions.of(&[0, 1]).unwrap(), &spec).unwrap();
        let Combination::WeightedLogits {
            mixture: Mixture::Scalar(weights),
            ..
        } = fitted.combination
        else {
            panic!("a scalar mixture was asked for");
        };
        assert!(weights[0] > 0.0 && weights[1] == 0.0, "{weights:?}");
        assert!(!normalised || (weights[0] - 1.0).abs() < 1e-6);
    }
}

#[test]
fn a_point_on_the_simplex_stays_and_others_come_to_the_nearest() {
    // By hand: (1, 0.5) lies 0.25 beyond on each axis; (2, -1) is nearest to the corner.
    for (from, to) in [
        ([0.3, 0.7], [0.3, 0.7]),
        ([1.0, 0.5], [0.75, 0.25]),
        ([2.0, -1.0], [1.0, 0.0]),
    ] {
        let mut values = from;
        project_to_simplex(&mut values);
        assert!(
            values.iter().zip(to).all(|(a, b)| (a - b).abs() < 1e-12),
            "{values:?}"
        );
    }
}

#[test]
fn every_rule_gives_probabilities_and_of_one_member_its_softmax() {
    let logits = [0.3_f32, -1.0, 2.0, 400.0, -500.0, 0.0];
    let identity = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    let halves = |values: &[f32]| {
        values
            .repeat(2)
            .iter()
            .map(|value| 0.5 * value)
            .collect::<Vec<f32>>()
    };
    let weighted = |mixture| Combination::WeightedLogits {
        mixture,
        bias: vec![],
    };
    let mut mean = [0.0; 3];
    Combination::MeanLogits.apply(&logits, &mut mean);
    for combination in [
        Combination::MeanProbabilities,
        Combination::MeanLogits,
        Combination::WeightedProbabilities {
            weights: vec![1.0, 3.0],
        },
        weighted(Mixture::Scalar(vec![0.5, 0.5])),
        weighted(Mixture::Vector(halves(&[1.0; 3]))),
        weighted(Mixture::Matrix(halves(&identity))),
    ] {
        combination.validate(2, 3).unwrap();
        let mut found = [0.0; 3];
        combination.apply(&logits, &mut found);
        assert!(
            (found.iter().sum::<f32>() - 1.0).abs() < 1e-6,
            "{combination:?} {found:?}"
        );
        if matches!(combination, Combination::WeightedLogits { .. }) {
            assert_eq!(found, mean, "halves of both are their mean");
        }
        let text = serde_json::to_string(&combination).unwrap();
        assert_eq!(
            serde_json::from_str::<Combination>(&text).unwrap(),
            combination
        );
    }
    // By hand: the softmax of (ln 1, ln 3) is (1/4, 3/4), that of (0, 0) even; weights 1 and 3.
    let mut found = [0.0; 2];
    let two = [0.0, 3_f32.ln(), 0.0, 0.0];
    Combination::MeanProbabilities.apply(&two, &mut found);
    assert!((found[0] - 0.375).abs() < 1e-6);
    Combination::WeightedProbabilities {
        weights: vec![1.0, 3.0],
    }
    .apply(&two, &mut found);
    assert!((found[0] - 0.4375).abs() < 1e-6);
    // A matrix that swaps the classes, and a bias.
    let swap = Mixture::Matrix(vec![0.0, 1.0, 1.0, 0.0]);
    let swap = Combination::WeightedLogits {
        mixture: swap,
        bias: vec![0.0, 2_f32.ln()],
    };
    swap.apply(&two[..2], &mut found); // exp: (3, 1) and the bias doubles the second
    assert!((found[0] - 0.6).abs() < 1e-6, "{found:?}");
}

#[test]
fn a_damaged_combination_is_refused() {
    let weighted = |mixture, bias| Combination::WeightedLogits { mixture, bias };
    for (combination, reason) in [
        (
            Combination::WeightedProbabilities { weights: vec![1.0] },
            "combination.weights: found 1 values, expected 2",
        ),
        (
            Combination::WeightedProbabilities {
                weights: vec![1.0, -1.0],
            },
            "combination.weights: found -1",
        ),
        (
            Combination::WeightedProbabilities {
                weights: vec![0.0, 0.0],
            },
            "combination.weights: found 0",
        ),
        (
            weighted(Mixture::Scalar(vec![1.0; 3]), vec![]),
            "combination.mixture: found 3 values, expected 2",
        ),
        (
            weighted(Mixture::Vector(vec![1.0; 3]), vec![]),
            "combination.mixture: found 3 values, expected 6",
        ),
        (
            weighted(Mixture::Matrix(vec![1.0; 6]), vec![]),
            "combination.mixture: found 6 values, expected 18",
        ),
        (
            weighted(Mixture::Scalar(vec![f32::NAN, 1.0]), vec![]),
            "combination.mixture: found NaN",
        ),
        (
            weighted(Mixture::Scalar(vec![1.0; 2]), vec![0.0; 2]),
            "combination.bias: found 2 values, expected 3",
        ),
    ] {
        let error = combination.validate(2, 3).unwrap_err().to_string();
        assert!(error.starts_with(reason), "{error}");
    }
    assert!(Combination::MeanLogits.validate(0, 3).is_err());
    assert!(Combination::MeanLogits.validate(usize::MAX, 2).is_err());
}

#[test]
fn losses_stay_finite_for_any_finite_logits() {
    let far = [3.0e38, -3.0e38, 0.0];
    assert_eq!(log_probability(&far, 0), 0.0);
    assert!(cross_entropy(&far, 3, &[1]).is_finite());
    assert!(negative_log_likelihood(&[1.0, 0.0, 0.0], 3, &[1]).is_finite());
    // By hand: four equal classes, ln 4.
    assert!((cross_entropy(&[7.0; 8], 4, &[0, 3]) - 4_f64.ln()).abs() < 1e-12);
    assert_eq!(
        log_sum_exp([f64::NEG_INFINITY; 2].into_iter()),
        f64::NEG_INFINITY
    );
}

#[test]
fn answers_that_do_not_fit_together_are_refused() {
    let new = |labels: Vec<usize>, members| Predictions::new(2, labels, members).unwrap_err();
    assert_eq!(new(vec![], vec![]), CombineError::NoClips);
    assert_eq!(
        new(vec![2], vec![]),
        CombineError::Label {
            found: 2,
            n_classes: 2
        }
    );
    let logits = |values: &[f32]| vec![member(3, values.to_vec())];
    let wrong = CombineError::Logits {
        number: 3,
        found: 3,
        expected: 2,
    };
    assert_eq!(new(vec![0], logits(&[0.0; 3])), wrong);
    assert_eq!(
        new(vec![0], logits(&[0.0, f32::NAN])),
        CombineError::NotFinite { number: 3 }
    );
    let twice = [logits(&[0.0; 2]), logits(&[0.0; 2])].concat();
    assert_eq!(new(vec![0], twice), CombineError::Twice { number: 3 });
    let predictions = noisy(2, 5, 2, 0);
    assert_eq!(
        combine(&predictions, &[5], &CombineSpec::MeanLogits).unwrap_err(),
        CombineError::NoSuch { number: 5 }
    );
    assert_eq!(
        combine(&predictions, &[], &CombineSpec::MeanLogits).unwrap_err(),
        CombineError::NoMembers
    );
    let vector = LearnedSpec {
        normalised: true,
        ..learned(MixtureKind::Vector)
    };
    assert!(CombineSpec::Learned(vector).validate().is_err());
}
