//! What workers that come and go hold each other to.

use super::*;

pub(super) fn a_queued_trial_is_claimed_once_lowest_first(store: &dyn StudyStore) {
    for number in 0..4 {
        let queued = store.begin(&new_trial(number, 8 + number as usize), None);
        assert_eq!(queued.unwrap().state, TrialState::Queued);
    }
    let claim = |name: &str| store.claim(&worker(name, false), &[]).unwrap();
    assert!(matches!(
        store.finish(&end(0, 0)),
        Err(StoreError::Fenced { .. })
    ));
    for number in 0..4 {
        let trial = claim(&format!("w{number}")).unwrap();
        assert_eq!((trial.number, trial.attempt), (number, 1));
        assert_eq!(trial.state, TrialState::Running);
        assert_eq!(store.trial(number).unwrap(), trial);
    }
    assert_eq!(claim("w5"), None);
    let leases = store.leases().unwrap();
    assert_eq!(
        leases.iter().map(|it| &*it.worker).collect::<Vec<_>>(),
        ["w0", "w1", "w2", "w3"]
    );
    assert!(leases.iter().all(|lease| lease.seconds_left > Some(3000.0)));
    store.finish(&end(2, 1)).unwrap();
    assert_eq!(store.leases().unwrap().len(), 3);
}

pub(super) fn what_a_worker_forgot_is_its_own_again(store: &dyn StudyStore) {
    let me = worker("me", false);
    store.begin(&new_trial(0, 8), Some(&me)).unwrap();
    store.begin(&new_trial(1, 9), Some(&me)).unwrap();
    assert_eq!(store.claim(&worker("other", false), &[]).unwrap(), None);
    assert_eq!(store.claim(&me, &[0, 1]).unwrap(), None);
    let again = store.claim(&me, &[1]).unwrap().unwrap();
    assert_eq!((again.number, again.attempt), (0, 2));
    assert_eq!(again.earlier, vec![]);
}

pub(super) fn a_lost_trial_is_taken_by_another_until_the_policy_has_enough(store: &dyn StudyStore) {
    store.edit(&retry(FailureKind::Lost, 2)).unwrap();
    store
        .begin(&new_trial(0, 8), Some(&worker("w0", true)))
        .unwrap();
    for attempt in 2..=3 {
        let name = format!("w{}", attempt - 1);
        let trial = store.claim(&worker(&name, true), &[]).unwrap().unwrap();
        assert_eq!((trial.number, trial.attempt), (0, attempt));
        let silent = &trial.earlier.last().unwrap().reason;
        assert!(silent.contains(&format!("w{}", attempt - 2)), "{silent}");
        assert!(matches!(
            store.finish(&end(0, attempt - 1)),
            Err(StoreError::Fenced { .. })
        ));
    }
    assert_eq!(store.claim(&worker("w3", true), &[]).unwrap(), None);
    let lost = store.trial(0).unwrap();
    assert_eq!(lost.failure().unwrap().kind, FailureKind::Lost);
    assert_eq!(lost.earlier.len(), 2);
    assert!(matches!(
        store.finish(&end(0, 3)),
        Err(StoreError::Fenced { .. })
    ));
    assert_eq!(store.summary().unwrap().n_by_failure["lost"], 1);
}

pub(super) fn a_sign_of_life_keeps_a_trial_and_says_how_far_it_is(store: &dyn StudyStore) {
    store.edit(&retry(FailureKind::Lost, 2)).unwrap();
    store
        .begin(&new_trial(0, 8), Some(&worker("w0", true)))
        .unwrap();
    let beat = |attempt, progress| {
        store.heartbeat(&Beat {
            number: 0,
            attempt,
            lease: worker("w0", false).lease,
            progress,
        })
    };
    // The lease ran out, but nobody has come.
    beat(1, None).unwrap();
    assert_eq!(store.claim(&worker("w1", false), &[]).unwrap(), None);
    let progress = Progress {
        curve: end(0, 1).curve,
        artifacts: Artifacts {
            weights: None,
            checkpoint: Some("c4".repeat(32)),
        },
    };
    beat(1, Some(progress.clone())).unwrap();
    let trial = store.trial(0).unwrap();
    assert_eq!(
        (&trial.curve, &trial.artifacts),
        (&progress.curve, &progress.artifacts)
    );
    assert_eq!(trial.state, TrialState::Running);
    assert!(matches!(beat(2, None), Err(StoreError::Fenced { .. })));
    assert!(matches!(
        beat(0, Some(progress)),
        Err(StoreError::Fenced { .. })
    ));
    store.finish(&end(0, 1)).unwrap();
    assert!(matches!(beat(1, None), Err(StoreError::Fenced { .. })));
}

pub(super) fn a_trial_handed_back_goes_on_elsewhere_where_it_was(store: &dyn StudyStore) {
    store
        .begin(&new_trial(0, 8), Some(&worker("w0", false)))
        .unwrap();
    let failure = |reason: &str| Failure {
        kind: FailureKind::OutOfMemory,
        reason: reason.into(),
        trace: None,
    };
    let back = |attempt, failure| HandBack {
        number: 0,
        attempt,
        progress: Progress {
            curve: end(0, 1).curve,
            artifacts: Artifacts {
                weights: None,
                checkpoint: Some("c4".repeat(32)),
            },
        },
        seconds: 2.5,
        failure,
    };
    store.hand_back(&back(1, None)).unwrap();
    assert!(matches!(
        store.hand_back(&back(1, None)),
        Err(StoreError::Fenced { .. })
    ));
    let next = store.claim(&worker("w1", false), &[]).unwrap().unwrap();
    assert_eq!((next.attempt, next.seconds, next.curve.len()), (2, 2.5, 1));
    assert_eq!(next.artifacts, back(1, None).progress.artifacts);
    for (attempt, reason) in [(2, "it said \"no\""), (3, "again")] {
        store
            .hand_back(&back(attempt, Some(failure(reason))))
            .unwrap();
        store.claim(&worker("w1", false), &[]).unwrap().unwrap();
    }
    assert_eq!(
        store.trial(0).unwrap().earlier,
        [failure("it said \"no\""), failure("again")]
    );
}

pub(super) fn many_claim_at_once_and_no_trial_is_had_twice(store: &dyn StudyStore) {
    for number in 0..40 {
        store
            .begin(&new_trial(number, 8 + number as usize), None)
            .unwrap();
    }
    let mut claimed: Vec<u64> = std::thread::scope(|scope| {
        let claim_all = |name: String| {
            let mut mine = Vec::new();
            while let Some(trial) = store.claim(&worker(&name, false), &mine).unwrap() {
                mine.push(trial.number);
            }
            mine
        };
        let threads: Vec<_> = (0..8)
            .map(|thread| scope.spawn(move || claim_all(format!("w{thread}"))))
            .collect();
        let mine = threads.into_iter().map(|thread| thread.join().unwrap());
        mine.flatten().collect()
    });
    claimed.sort_unstable();
    assert_eq!(claimed, (0..40).collect::<Vec<_>>());
}

pub(super) fn proposals_are_made_one_at_a_time(store: &dyn StudyStore) {
    let n_inside = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let _held = store.suggesting().unwrap();
                    assert_eq!(n_inside.fetch_add(1, Ordering::SeqCst), 0);
                    std::thread::yield_now();
                    n_inside.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
}
