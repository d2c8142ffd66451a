//! What the scheduler promises whatever the curves are, and small searches worked by hand.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

fn asha(min_epochs: usize, reduction_factor: usize, n_brackets: usize) -> FidelitySpec {
    FidelitySpec::Asha {
        min_epochs,
        reduction_factor,
        n_brackets: Some(n_brackets),
    }
}

/// A made-up curve: falls towards its own floor, with noise.
fn curve(number: u64, n_epochs: usize) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(number);
    let (floor, rate): (f64, f64) = (rng.random(), 0.05 + rng.random::<f64>());
    let losses = (1..=n_epochs)
        .map(|epoch| floor + 2.0 * (-rate * epoch as f64).exp() + 0.05 * rng.random::<f64>());
    losses.collect()
}

/// One worker trains `n_trials` trials and then what can be promoted. Returns the stored form of all trials,
/// and every decision in order.
fn search(
    scheduler: &mut Scheduler,
    trials: &mut Vec<TrialCurve>,
    n_trials: u64,
    n_epochs: usize,
    mut n_decisions: usize,
) -> Vec<String> {
    let mut decisions = Vec::new();
    while n_decisions > 0 {
        n_decisions -= 1;
        let next = scheduler.next();
        decisions.push(format!("{next:?}"));
        let (number, until) = match next {
            Next::Promote {
                number,
                until_epoch,
            } => {
                assert_eq!(scheduler.promote(number), Some(until_epoch));
                (number, until_epoch)
            }
            Next::New if trials.len() as u64 == n_trials => break,
            Next::New => {
                let number = trials.len() as u64;
                trials.push(TrialCurve {
                    number,
                    losses: vec![],
                    state: CurveState::Running,
                });
                (number, scheduler.begin(number))
            }
        };
        let trial = &mut trials[number as usize];
        trial.state = CurveState::Running;
        let all = curve(number, n_epochs);
        loop {
            let epoch = trial.losses.len();
            trial.losses.push(all[epoch]);
            let verdict = scheduler.observe(number, all[epoch]);
            decisions.push(format!("{number}: {verdict:?}"));
            trial.state = match verdict {
                Verdict::GoOn => continue,
                Verdict::Pause => CurveState::Paused,
                Verdict::Stop | Verdict::Finished => CurveState::Ended,
            };
            assert!(verdict != Verdict::Pause || trial.losses.len() == until);
            break;
        }
    }
    decisions
}

#[test]
fn a_search_resumed_after_any_decision_goes_on_as_if_it_had_not_stopped() {
    let median = FidelitySpec::MedianStopping {
        grace_epochs: 3,
        min_trials: 4,
    };
    for spec in [FidelitySpec::Full, asha(1, 3, 1), asha(2, 2, 3), median] {
        let n_epochs = 20;
        let mut whole = spec.scheduler(n_epochs).unwrap();
        let expected = search(&mut whole, &mut vec![], 30, n_epochs, usize::MAX);
        for n_before in [1, 5, 17, 33, 44] {
            let mut trials = vec![];
            let mut scheduler = spec.scheduler(n_epochs).unwrap();
            let mut found = search(&mut scheduler, &mut trials, 30, n_epochs, n_before);
            let mut scheduler = Scheduler::replay(&spec, n_epochs, trials.clone()).unwrap();
            found.extend(search(
                &mut scheduler,
                &mut trials,
                30,
                n_epochs,
                usize::MAX,
            ));
            found.dedup(); // the last "nothing left" may be said twice
            let mut expected = expected.clone();
            expected.dedup();
            assert_eq!(found, expected, "{spec:?} stopped after {n_before}");
            assert_eq!(scheduler.incumbent(), whole.incumbent());
            assert_eq!(scheduler.n_epochs_spent(), whole.n_epochs_spent());
        }
    }
}

#[test]
fn halving_promotes_the_best_of_three_and_waits_for_nobody() {
    // By hand: rungs 1, 2 of a training of 2 epochs, factor 3. After two trials nobody is promoted, after the
    // third the best of them is; after the sixth the best but one.
    let mut scheduler = asha(1, 3, 1).scheduler(2).unwrap();
    let losses = [0.5, 0.3, 0.9, 0.4, 0.8, 0.7];
    for (number, loss) in (0..3).zip(losses) {
        assert_eq!(scheduler.next(), Next::New);
        assert_eq!(scheduler.begin(number), 1);
        assert_eq!(scheduler.observe(number, loss), Verdict::Pause);
    }
    assert_eq!(
        scheduler.next(),
        Next::Promote {
            number: 1,
            until_epoch: 2
        }
    );
    assert_eq!(scheduler.promote(1), Some(2));
    assert_eq!(scheduler.promote(1), None, "it runs already");
    for (number, loss) in (3..6).zip(&losses[3..]) {
        assert_eq!(
            scheduler.next(),
            Next::New,
            "one of three was promoted and runs"
        );
        scheduler.begin(number);
        scheduler.observe(number, *loss);
    }
    assert_eq!(
        scheduler.next(),
        Next::Promote {
            number: 3,
            until_epoch: 2
        }
    );
    assert_eq!(scheduler.observe(1, 0.35), Verdict::Finished);
    assert_eq!(
        scheduler.incumbent(),
        Some((1, 0.3)),
        "a training keeps its best epoch"
    );
}

#[test]
fn no_trial_is_promoted_before_a_better_one_of_its_rung_and_never_too_many_are() {
    let (n_epochs, n_trials) = (27, 90);
    let mut scheduler = asha(1, 3, 1).scheduler(n_epochs).unwrap();
    let mut trials = vec![];
    search(&mut scheduler, &mut trials, n_trials, n_epochs, usize::MAX);
    for rung in [1, 3, 9] {
        let best = |trial: &TrialCurve| {
            trial.losses[..rung]
                .iter()
                .copied()
                .fold(f64::INFINITY, f64::min)
        };
        let came = trials.iter().filter(|trial| trial.losses.len() >= rung);
        let (gone, left): (Vec<_>, Vec<_>) = came.partition(|trial| trial.losses.len() > rung);
        // Those who stayed are outside the best third: enough of the promoted are better than each.
        let n_best = (gone.len() + left.len()) / 3;
        for trial in left {
            let n_better = gone
                .iter()
                .filter(|other| best(other) < best(trial))
                .count();
            assert!(
                n_better >= n_best,
                "rung {rung}: trial {} was passed over",
                trial.number
            );
        }
    }
}

#[test]
fn failed_and_diverged_trials_are_never_promoted() {
    let mut scheduler = asha(1, 2, 1).scheduler(8).unwrap();
    for number in 0..6 {
        scheduler.begin(number);
        match number {
            0 => scheduler.fail(number),
            1..4 => assert_eq!(scheduler.observe(number, f64::NAN), Verdict::Pause),
            _ => assert_eq!(
                scheduler.observe(number, 1.0 + number as f64),
                Verdict::Pause
            ),
        }
    }
    assert_eq!(
        scheduler.next(),
        Next::Promote {
            number: 4,
            until_epoch: 2
        }
    );
    scheduler.promote(4);
    scheduler.fail(4);
    assert_eq!(
        scheduler.next(),
        Next::Promote {
            number: 5,
            until_epoch: 2
        },
        "the second of five that came"
    );
    scheduler.promote(5);
    assert_eq!(
        scheduler.next(),
        Next::New,
        "who diverged stays, however much room there is"
    );
}

#[test]
fn a_trial_whose_worker_died_runs_again_as_if_the_lost_epochs_had_never_been() {
    let losses = |number: u64| curve(number, 9);
    let run = |scheduler: &mut Scheduler, number: u64, from: usize, to: usize| {
        for loss in &losses(number)[from..to] {
            scheduler.observe(number, *loss);
        }
    };
    // Each time the first lost epoch, and whether the trial was at a rung when it died.
    for (n_kept, n_lost) in [(0, 1), (1, 1), (1, 2), (3, 2)] {
        let mut plain = asha(1, 3, 1).scheduler(9).unwrap();
        for number in 0..9 {
            run(&mut plain, number, 0, 1);
        }
        let Next::Promote { number, .. } = plain.next() else {
            panic!("three of nine may go on");
        };
        if n_kept >= 1 {
            plain.promote(number);
        }
        if n_kept == 3 {
            run(&mut plain, number, 1, 3);
            plain.promote(number);
        }
        if n_kept == 0 {
            plain = asha(1, 3, 1).scheduler(9).unwrap();
            plain.begin(number);
        }
        let mut died = plain.clone();
        run(&mut died, number, n_kept, n_kept + n_lost);
        assert_eq!(died.rewind(number, n_kept), plain.until_epoch(number));
        for scheduler in [&mut plain, &mut died] {
            run(scheduler, number, n_kept, n_kept + n_lost);
        }
        assert_eq!(died.next(), plain.next());
        assert_eq!(died.incumbent(), plain.incumbent());
        assert_eq!(died.n_epochs_spent(), plain.n_epochs_spent());
        assert_eq!(format!("{died:?}"), format!("{plain:?}"));
    }
    assert_eq!(asha(1, 3, 1).scheduler(9).unwrap().rewind(5, 0), None);
}

#[test]
fn a_trial_that_does_not_run_is_told_to_stop_and_not_listened_to() {
    let mut scheduler = asha(1, 2, 1).scheduler(4).unwrap();
    assert_eq!(scheduler.observe(0, 0.5), Verdict::Pause);
    assert_eq!(scheduler.observe(0, 0.1), Verdict::Stop);
    assert_eq!(
        (scheduler.incumbent(), scheduler.n_epochs_spent()),
        (Some((0, 0.5)), 1)
    );
}

#[test]
fn paused_trials_that_cannot_win_any_more_are_told_apart() {
    let mut scheduler = asha(1, 3, 1).scheduler(9).unwrap();
    for number in 0..6 {
        scheduler.begin(number);
        scheduler.observe(number, number as f64);
    }
    // Six came, the best two go on. The third goes on if three more come, the sixth if twelve do.
    let may = |number, n_more| scheduler.may_be_promoted(number, n_more);
    assert!(may(0, 0) && may(1, 0) && !may(2, 0) && !may(2, 2) && may(2, 3));
    assert!(!may(5, 11) && may(5, 12) && may(5, u64::MAX));
    assert!(!may(77, 5), "an unknown trial");
}

#[test]
fn a_trial_is_stopped_when_its_best_is_above_the_median_of_running_means() {
    // By hand: three ended trials with means 2, 3, 4 after two epochs; their median is 3.
    let mut scheduler = FidelitySpec::MedianStopping {
        grace_epochs: 2,
        min_trials: 3,
    }
    .scheduler(3)
    .unwrap();
    for (number, losses) in [[2.5, 1.5, 1.0], [4.0, 2.0, 1.0], [5.0, 3.0, 1.0]]
        .iter()
        .enumerate()
    {
        for loss in losses {
            assert_ne!(
                scheduler.observe(number as u64, *loss),
                Verdict::Stop,
                "too few to compare with"
            );
        }
    }
    assert_eq!(scheduler.observe(3, 9.0), Verdict::GoOn, "within its grace");
    assert_eq!(scheduler.observe(3, 3.01), Verdict::Stop);
    assert_eq!(scheduler.observe(4, 2.99), Verdict::GoOn);
    assert_eq!(
        scheduler.observe(4, 9.0),
        Verdict::GoOn,
        "its best counts, not its last"
    );
}

#[test]
fn settings_that_make_no_sense_are_refused_with_what_was_found() {
    assert_eq!(
        asha(51, 3, 1).validate(50).unwrap_err().to_string(),
        "fidelity.min_epochs: found 51, expected 1 to 50"
    );
    assert!(asha(1, 1, 1).validate(50).is_err());
    assert!(asha(1, 3, 6).validate(50).is_err() && asha(1, 3, 5).validate(50).is_ok());
    assert!(
        FidelitySpec::MedianStopping {
            grace_epochs: 1,
            min_trials: 0
        }
        .validate(9)
        .is_err()
    );
    let text = r#"{"kind":"asha","min_epochs":1,"reduction_factor":3}"#;
    let spec: FidelitySpec = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&spec).unwrap(), text);
    assert!(
        serde_json::from_str::<FidelitySpec>(r#"{"kind":"asha","min_epochs":1,"factor":3}"#)
            .is_err()
    );
}
