//! Averages of donors, held against Model Search's own numbers.

use super::super::*;
use super::{BASE, drawn, genome, ports};

/// Tensors of one name each, and what the average of them is.
fn average(values: &[(u64, f64, &[usize], f32)], spec: &SharingSpec) -> Vec<f32> {
    let genome = genome(BASE);
    let weights = |shape: &[usize], value| {
        let values = vec![value; shape.iter().product()];
        let tensor = NamedTensor {
            shape: shape.to_vec(),
            values,
        };
        Weights {
            tensors: [("var".to_owned(), tensor)].into(),
        }
    };
    let all: Vec<Weights> = values
        .iter()
        .map(|(_, _, shape, value)| weights(shape, *value))
        .collect();
    let donors: Vec<Donor> = values
        .iter()
        .zip(&all)
        .map(|((number, loss, ..), weights)| Donor {
            number: *number,
            genome: &genome,
            weights,
            loss: *loss,
        })
        .collect();
    let mut child = weights(values[0].2, 0.0);
    first_weights(&mut child, &genome, &ports(), &donors, spec);
    child.tensors.remove("var").unwrap().values
}

pub(super) fn uniform(discount: f64) -> SharingSpec {
    let by = MatchBy::NameAndShape;
    SharingSpec::UniformAverage {
        n_trials: 9,
        discount,
        by,
        partial_width: false,
    }
}

fn weighted(temperature_nats: f64) -> SharingSpec {
    let by = MatchBy::NameAndShape;
    SharingSpec::LossWeightedAverage {
        n_trials: 9,
        temperature_nats,
        by,
        partial_width: false,
    }
}

#[test]
fn averages_are_model_searchs_with_its_two_missing_divisions_mended() {
    let check = |found: Vec<f32>, expected: f64| {
        assert!(
            found
                .iter()
                .all(|x| (f64::from(*x) - expected).abs() < 1e-5),
            "{found:?} {expected}"
        );
    };
    // model_search/meta/transfer_learning_test.py: all_match, mismatched_shape, rank_gt_zero.
    check(
        average(
            &[(0, 0.0, &[], 1.0), (1, 0.0, &[], 2.0), (2, 0.0, &[], 3.0)],
            &uniform(1.0),
        ),
        2.0,
    );
    check(
        average(
            &[(0, 0.0, &[], 1.0), (1, 0.0, &[], 2.0), (2, 0.0, &[1], 3.0)],
            &uniform(1.0),
        ),
        1.5,
    );
    check(
        average(
            &[(0, 0.0, &[2, 2], 1.0), (1, 0.0, &[2, 2], 2.0)],
            &uniform(1.0),
        ),
        1.5,
    );
    // discount_factor 0.9: upstream has (0.81 * 1 + 0.9 * 2) / 2 = 1.305, which shrinks every weight. Divided
    // by 0.81 + 0.9 it is an average again.
    check(
        average(
            &[(0, 0.0, &[2, 2], 1.0), (1, 0.0, &[2, 2], 2.0)],
            &uniform(0.9),
        ),
        1.305 * 2.0 / 1.71,
    );
    // Losses 0.1 and 2: upstream has 0.565054, half of the average, since it divides by 2 once more.
    check(
        average(
            &[(0, 0.1, &[2, 2], 1.0), (1, 2.0, &[2, 2], 2.0)],
            &weighted(1.0),
        ),
        2.0 * 0.565054,
    );
    check(average(&[(0, 0.1, &[], 1.0)], &weighted(1.0)), 1.0);
    // Far losses vanish without taking the near ones along, and a loss that is none does not count.
    check(
        average(
            &[
                (0, 1e6, &[], 1.0),
                (1, 2e6, &[], 5.0),
                (2, f64::NAN, &[], 9.0),
            ],
            &weighted(1.0),
        ),
        1.0,
    );
}

#[test]
fn averages_of_several_donors_are_taken_layer_by_layer_over_those_that_share_it() {
    let child = genome("stem c=6 k=3 s=1 | conv1d c=6 k=3 s=1, gru u=4 | mean w=20");
    let near = child.clone();
    let far = genome("stem c=6 k=3 s=1 | gru u=4 | mean w=20");
    let (a, b) = (drawn(&near, 1), drawn(&far, 3));
    let donors = [
        Donor {
            number: 4,
            genome: &near,
            weights: &a,
            loss: 0.2,
        },
        Donor {
            number: 9,
            genome: &far,
            weights: &b,
            loss: 0.2,
        },
    ];
    let by = MatchBy::CommonPrefix;
    let spec = SharingSpec::UniformAverage {
        n_trials: 2,
        discount: 1.0,
        by,
        partial_width: false,
    };
    let mut weights = drawn(&child, 2);
    let inherited = first_weights(&mut weights, &child, &ports(), &donors, &spec);
    assert_eq!(inherited.from, [4, 9]);
    assert_eq!(inherited.n_values, weights.n_trainable());
    let value = |weights: &Weights, name: &str| weights.tensors[name].values[2];
    let stem = "stem.conv.weight";
    assert!((value(&weights, stem) - 0.5 * (value(&a, stem) + value(&b, stem))).abs() < 1e-6);
    assert_eq!(
        weights.tensors["blocks.0.conv.weight"],
        a.tensors["blocks.0.conv.weight"]
    );
}
