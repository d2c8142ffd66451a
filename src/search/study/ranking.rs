//! Which trials are the best, and which are worth a full training.

use std::collections::HashMap;

use crate::search::trial::Trial;

/// Trials with scores, best validation loss first; ties to fewer parameters, then to the earlier.
pub fn ranking(trials: &[Trial]) -> Vec<&Trial> {
    let mut complete: Vec<(&Trial, f64)> = trials
        .iter()
        .filter_map(|trial| Some((trial, trial.scores()?.validation_loss)))
        .collect();
    complete.sort_by(|(a, loss_a), (b, loss_b)| {
        loss_a
            .total_cmp(loss_b)
            .then(a.cost.n_params.cmp(&b.cost.n_params))
            .then(a.number.cmp(&b.number))
    });
    complete.into_iter().map(|(trial, _)| trial).collect()
}

/// Which trials are worth a full training: the best of each line of descent first, then the second best of
/// each, and so on, by validation loss within a round.
///
/// A line is who began with whose weights (of several donors, the first): its trials have been trained for longer than
/// their own epochs, and between lines the losses of short trainings do not compare. Where nothing is
/// handed on every trial is a line of its own, whoever its parent was, and this is [`ranking`].
pub fn finalists(trials: &[Trial], n: usize) -> Vec<&Trial> {
    let donors: HashMap<u64, u64> = trials
        .iter()
        .filter_map(|trial| Some((trial.number, *trial.donors.first()?)))
        .collect();
    let root = |mut number: u64| {
        // A donor's number is always the smaller one, so this ends.
        while let Some(&donor) = donors.get(&number).filter(|&&donor| donor < number) {
            number = donor;
        }
        number
    };
    let mut n_of_line: HashMap<u64, usize> = HashMap::new();
    let mut rounds: Vec<(usize, &Trial)> = ranking(trials)
        .into_iter()
        .map(|trial| {
            let round = n_of_line.entry(root(trial.number)).or_default();
            *round += 1;
            (*round, trial)
        })
        .collect();
    rounds.sort_by_key(|(round, _)| *round); // stable: within a round the ranking stays
    rounds.into_iter().take(n).map(|(_, trial)| trial).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::blocks::conv1d::Conv1dSpec;
    use crate::model::{Cost, Genome, Head, Ports};
    use crate::search::hyper::HyperPoint;
    use crate::search::trial::{Artifacts, Failure, FailureKind, Scores, TrialState};

    fn trial(number: u64, parent: Option<u64>, loss: Option<f64>) -> Trial {
        let genome = Genome {
            stem: Some(Conv1dSpec {
                n_channels: 8 + number as usize,
                kernel_frames: 3,
                stride_frames: 1,
            }),
            blocks: vec![],
            head: Head::Mean { window_frames: 98 },
        };
        let ports = Ports {
            n_mels: 40,
            n_classes: 12,
            frames_per_1000_s: 100_000,
        };
        let state = match loss {
            Some(validation_loss) => TrialState::Complete {
                scores: Scores {
                    validation_loss,
                    validation_accuracy: 0.9,
                },
            },
            None => TrialState::Failed {
                failure: Failure {
                    kind: FailureKind::Panicked,
                    reason: "for the test".into(),
                    trace: None,
                },
            },
        };
        Trial {
            number,
            parent,
            hyper: HyperPoint::default(),
            cost: Cost::of(&genome, &ports),
            genome,
            donors: vec![],
            teachers: vec![],
            attempt: 1,
            state,
            curve: vec![],
            seconds: 1.0,
            n_inherited: 0,
            batch_size: 64,
            learned: vec![],
            earlier: vec![],
            artifacts: Artifacts::default(),
        }
    }

    fn numbers(trials: Vec<&Trial>) -> Vec<u64> {
        trials.into_iter().map(|trial| trial.number).collect()
    }

    #[test]
    fn a_ranking_is_by_loss_then_size_and_leaves_failures_out() {
        let trials = [
            trial(0, None, Some(0.5)),
            trial(1, None, None),
            trial(2, None, Some(0.3)),
            trial(3, None, Some(0.5)),
        ];
        assert_eq!(numbers(ranking(&trials)), [2, 0, 3]);
    }

    /// Two lines, of 0 and 4 and of 1, 2 and 3.
    fn two_lines() -> [Trial; 5] {
        [
            trial(0, None, Some(0.50)),
            trial(1, None, Some(0.45)),
            trial(2, Some(1), Some(0.30)),
            trial(3, Some(2), Some(0.20)),
            trial(4, Some(0), Some(0.40)),
        ]
    }

    #[test]
    fn every_line_of_descent_sends_its_best_before_any_sends_a_second() {
        let mut trials = two_lines();
        for trial in &mut trials {
            trial.donors = trial.parent.into_iter().collect();
        }
        assert_eq!(numbers(finalists(&trials, 2)), [3, 4]);
        assert_eq!(numbers(finalists(&trials, 9)), [3, 4, 2, 0, 1]);
    }

    #[test]
    fn where_no_weights_are_handed_on_the_best_go_first_whoever_their_parents_were() {
        let trials = two_lines();
        assert_eq!(numbers(finalists(&trials, 2)), [3, 2]);
        assert_eq!(numbers(finalists(&trials, 9)), numbers(ranking(&trials)));
    }
}
