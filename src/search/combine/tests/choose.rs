//! Which trials are taken: greedy selection and AdaNet's candidates, under budgets.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::super::*;
use super::{learned, member, noisy, numbers};

fn greedy() -> GreedySpec {
    GreedySpec {
        n_rounds: 20,
        n_initial: 5,
        bags: None,
        budget: EnsembleBudget::none(),
    }
}

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(4)
}

#[test]
fn greedy_selection_is_at_least_as_good_as_the_best_trial_and_as_the_best_few() {
    for seed in 0..10 {
        let predictions = noisy(12, 40, 3, seed);
        let selected = select(&predictions, &greedy(), &mut rng()).unwrap();
        let loss = |numbers: &[u64]| {
            loss_of(&Combination::MeanProbabilities, &predictions, numbers).unwrap()
        };
        let mut ranked = numbers(12);
        ranked.sort_by(|a, b| loss(&[*a]).total_cmp(&loss(&[*b])));
        for k in 1..=5 {
            assert!(selected.loss <= loss(&ranked[..k]) + 1e-6, "{k}");
        }
        // What it says of itself is what its combination does.
        let found = loss_of(&selected.combination(), &predictions, &selected.numbers()).unwrap();
        assert!((found - selected.loss).abs() < 1e-6);
        selected
            .combination()
            .validate(selected.members.len(), 3)
            .unwrap();
    }
}

#[test]
fn greedy_selection_finds_two_that_help_one_another_and_counts_the_better_twice() {
    // Three clips of two classes. Trial 7 knows the first two, trial 8 the third; trial 9 knows little of all.
    let odds = |p: f32| vec![(p / (1.0 - p)).ln(), 0.0];
    let rows = |ps: [f32; 3]| ps.iter().flat_map(|p| odds(*p)).collect::<Vec<f32>>();
    let members = vec![
        member(7, rows([0.9, 0.9, 0.3])),
        member(8, rows([0.3, 0.3, 0.9])),
        member(9, rows([0.51, 0.51, 0.51])),
    ];
    let predictions = Predictions::new(2, vec![0; 3], members).unwrap();
    let spec = GreedySpec {
        n_rounds: 3,
        n_initial: 1,
        ..greedy()
    };
    let selected = select(&predictions, &spec, &mut rng()).unwrap();
    // By hand: 7 and 8 give (.6, .6, .6), loss .5108; 7 twice and 8 once (.7, .7, .5), loss .4689.
    assert_eq!(selected.members, [(7, 2), (8, 1)]);
    assert!((selected.loss - 0.468_83).abs() < 1e-4, "{}", selected.loss);
}

#[test]
fn budgets_hold_for_the_ensemble_as_a_whole_bagged_or_not() {
    let predictions = noisy(15, 40, 3, 21);
    let bags = BagSpec {
        n_bags: 8,
        share: 0.5,
    };
    for bags in [None, Some(bags)] {
        for budget in [
            EnsembleBudget {
                max_members: Some(2),
                ..EnsembleBudget::none()
            },
            EnsembleBudget {
                max_params: Some(5_000),
                ..EnsembleBudget::none()
            },
            EnsembleBudget {
                max_macs_per_second: Some(400),
                ..EnsembleBudget::none()
            },
        ] {
            let spec = GreedySpec {
                bags,
                budget,
                ..greedy()
            };
            let selected = select(&predictions, &spec, &mut rng()).unwrap();
            let members = predictions.of(&selected.numbers()).unwrap();
            assert!(budget.admits(members.into_iter()) && !selected.members.is_empty());
            assert_eq!(
                selected,
                select(&predictions, &spec, &mut rng()).unwrap(),
                "a seed selects again"
            );
        }
    }
    let budget = EnsembleBudget {
        max_params: Some(10),
        ..EnsembleBudget::none()
    };
    let error = select(&predictions, &GreedySpec { budget, ..greedy() }, &mut rng()).unwrap_err();
    assert_eq!(error, CombineError::NothingFits { n_candidates: 15 });
}

#[test]
fn bags_of_the_whole_library_select_as_one_selection_does() {
    let predictions = noisy(10, 40, 3, 30);
    let bags = Some(BagSpec {
        n_bags: 3,
        share: 1.0,
    });
    let bagged = select(&predictions, &GreedySpec { bags, ..greedy() }, &mut rng()).unwrap();
    let plain = select(&predictions, &greedy(), &mut rng()).unwrap();
    let tripled: Vec<(u64, usize)> = plain
        .members
        .iter()
        .map(|(number, n)| (*number, 3 * n))
        .collect();
    assert_eq!(bagged.members, tripled);
    assert!((bagged.loss - plain.loss).abs() < 1e-12);
}

#[test]
fn candidates_are_adanets() {
    use CandidateStrategy::{All, Grow, Solo};
    assert_eq!(
        candidates(&[Grow], &[1, 2], &[7, 8]),
        [vec![1, 2, 7], vec![1, 2, 8]]
    );
    assert_eq!(candidates(&[Solo], &[1, 2], &[7, 8]), [vec![7], vec![8]]);
    assert_eq!(candidates(&[All], &[1, 2], &[7, 8]), [vec![1, 2, 7, 8]]);
    assert_eq!(
        candidates(&[Grow, Solo, All], &[], &[7]),
        [vec![7]],
        "none twice"
    );
    assert!(
        candidates(&[Grow, Solo, All], &[1], &[1]).is_empty(),
        "nothing new"
    );
}

#[test]
fn the_best_candidate_has_the_lowest_objective_within_the_budget_and_may_be_no_change() {
    let predictions = noisy(6, 60, 3, 12);
    let strategies = [
        CandidateStrategy::Grow,
        CandidateStrategy::Solo,
        CandidateStrategy::All,
    ];
    let spec = CombineSpec::Learned(LearnedSpec {
        lambda: 0.01,
        ..learned(MixtureKind::Scalar)
    });
    let choose = |previous: &[u64], new: &[u64], budget, must_grow| {
        best_candidate(
            &predictions,
            previous,
            new,
            &strategies,
            &spec,
            &budget,
            must_grow,
        )
        .unwrap()
    };
    let free = choose(&[0], &[1, 2, 3], EnsembleBudget::none(), false).unwrap();
    for members in candidates(&strategies, &[0], &[1, 2, 3])
        .iter()
        .chain([&vec![0]])
    {
        let other = combine(&predictions, members, &spec).unwrap();
        assert!(free.fitted.objective <= other.objective, "{members:?}");
    }
    let narrow = EnsembleBudget {
        max_members: Some(1),
        ..EnsembleBudget::none()
    };
    assert_eq!(
        choose(&[0], &[1, 2, 3], narrow, false)
            .unwrap()
            .members
            .len(),
        1
    );
    assert_eq!(
        choose(&[0], &[], EnsembleBudget::none(), false)
            .unwrap()
            .members,
        [0]
    );
    assert_eq!(choose(&[0], &[], EnsembleBudget::none(), true), None);
}

#[test]
fn of_two_candidates_as_good_as_one_another_the_smaller_is_taken() {
    let one = noisy(1, 30, 3, 2);
    let logits = one.members()[0].logits.clone();
    let members = vec![member(0, logits.clone()), member(1, logits)];
    let predictions = Predictions::new(3, one.labels().to_vec(), members).unwrap();
    let strategies = [CandidateStrategy::All, CandidateStrategy::Solo];
    let (spec, budget) = (CombineSpec::MeanProbabilities, EnsembleBudget::none());
    let choice = best_candidate(&predictions, &[0], &[1], &strategies, &spec, &budget, true);
    assert_eq!(choice.unwrap().unwrap().members, [1]);
}
