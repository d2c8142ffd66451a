//! Detection over all classes at once, as language recognition is judged: pooled error rate and average cost.

use super::detection::ClassDetection;
use super::{Measured, Scores};

/// How likely the class that is asked for is the true one, in the average cost.
const P_TARGET: f64 = 0.5;

/// All pairs of an example and a class together, by the class's probability.
pub fn pooled_detection(scores: &Scores) -> ClassDetection {
    let (mut targets, mut non_targets) = (Vec::new(), Vec::new());
    for example in 0..scores.n_examples() {
        for (class, &probability) in scores.row(example).iter().enumerate() {
            if scores.truth[example] == class {
                targets.push(probability);
            } else {
                non_targets.push(probability);
            }
        }
    }
    ClassDetection::of("all classes", &targets, &non_targets)
}

/// The average cost of the NIST language recognition evaluations (2009 plan, section 3.1):
/// `1/N sum_t [ P miss(t) + sum_{n != t} (1 - P)/(N - 1) false_accept(t, n) ]`, `P = 1/2`, over the N classes that have examples.
///
/// A class is accepted where its probability is above what chance gives it, `1/n_classes`: the decision of Bayes for `P = 1/2`
/// on the likelihood ratio against the other classes, all as likely.
pub fn average_cost(scores: &Scores) -> Measured {
    let Some(steps) = Steps::of(scores) else {
        return Measured::missing(TOO_FEW);
    };
    let threshold = 1.0 / scores.n_classes() as f32;
    let below = steps.steps.iter().take_while(|step| step.0 < threshold);
    Measured::from(steps.accepting_all + below.map(|step| step.1).sum::<f64>())
}

/// The lowest average cost that one threshold for all classes could have had on these examples: what calibration would gain.
pub fn minimum_average_cost(scores: &Scores) -> Measured {
    let Some(steps) = Steps::of(scores) else {
        return Measured::missing(TOO_FEW);
    };
    let (mut cost, mut lowest) = (steps.accepting_all, steps.accepting_all);
    for (at, &(probability, change)) in steps.steps.iter().enumerate() {
        cost += change;
        let is_last_of_equals = steps
            .steps
            .get(at + 1)
            .is_none_or(|next| next.0 > probability);
        if is_last_of_equals {
            lowest = lowest.min(cost);
        }
    }
    Measured::from(lowest)
}

const TOO_FEW: &str = "examples of fewer than two classes";

/// The average cost as a staircase over the threshold.
struct Steps {
    /// Where every class is accepted always.
    accepting_all: f64,
    /// Each probability, ascending, and how the cost changes when it is no longer accepted.
    steps: Vec<(f32, f64)>,
}

impl Steps {
    fn of(scores: &Scores) -> Option<Self> {
        let mut n_of = vec![0_usize; scores.n_classes()];
        scores.truth.iter().for_each(|&class| n_of[class] += 1);
        let heard: Vec<usize> = (0..n_of.len()).filter(|&class| n_of[class] > 0).collect();
        let n = heard.len() as f64;
        if heard.len() < 2 {
            return None;
        }
        let mut steps = Vec::with_capacity(scores.n_examples() * heard.len());
        for (example, &truth) in scores.truth.iter().enumerate() {
            for &class in &heard {
                let share = 1.0 / (n * n_of[truth] as f64);
                let change = if class == truth {
                    P_TARGET * share
                } else {
                    -(1.0 - P_TARGET) / (n - 1.0) * share
                };
                steps.push((scores.row(example)[class], change));
            }
        }
        steps.sort_by(|a, b| a.0.total_cmp(&b.0));
        Some(Self {
            accepting_all: 1.0 - P_TARGET,
            steps,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(rows: &[(usize, [f32; 3])]) -> Scores {
        Scores::new(
            ["de", "en", "fr"].map(String::from).to_vec(),
            rows.iter().map(|row| row.0).collect(),
            rows.iter().flat_map(|row| row.1).collect(),
            (0..rows.len()).map(|i| i.to_string()).collect(),
        )
        .unwrap()
    }

    #[track_caller]
    fn check(found: Measured, expected: f64) {
        let found = found.number().expect("measured");
        assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
    }

    #[test]
    fn the_average_cost_is_that_of_a_table_worked_by_hand() {
        // Accepted above 1/3, by example: de | de, en | en, fr | en.
        let scores = scores(&[
            (0, [0.8, 0.1, 0.1]),
            (0, [0.5, 0.4, 0.1]),
            (1, [0.1, 0.5, 0.4]),
            (2, [0.2, 0.7, 0.1]),
        ]);
        // Misses: de 0/2, en 0/1, fr 1/1. False accepts: en by de 1/2, en by fr 1/1, fr by en 1/1, else none.
        // 1/3 [ (0.5 * 0 + 0) + (0.5 * 0 + 0.25 * 0.5 + 0.25 * 1) + (0.5 * 1 + 0.25 * 1) ] = 1.125 / 3.
        check(average_cost(&scores), 1.125 / 3.0);
        // At a threshold of 0.45: fr missed; en accepted for fr. 1/3 [ 0 + 0.25 + 0.5 ] is the lowest.
        check(minimum_average_cost(&scores), 0.75 / 3.0);
    }

    #[test]
    fn perfect_answers_cost_nothing_and_answers_that_say_nothing_cost_half() {
        let sure = scores(&[
            (0, [1.0, 0.0, 0.0]),
            (1, [0.0, 1.0, 0.0]),
            (2, [0.0, 0.0, 1.0]),
        ]);
        check(average_cost(&sure), 0.0);
        check(minimum_average_cost(&sure), 0.0);
        check(pooled_detection(&sure).equal_error_rate(), 0.0);
        let third = 1.0 / 3.0;
        let blank = scores(&[(0, [third; 3]), (1, [third; 3]), (2, [third; 3])]);
        check(average_cost(&blank), 0.5);
        check(minimum_average_cost(&blank), 0.5);
        check(pooled_detection(&blank).equal_error_rate(), 0.5);
    }

    #[test]
    fn one_class_alone_has_no_cost_and_says_so() {
        let alone = scores(&[(0, [0.8, 0.1, 0.1]), (0, [0.5, 0.4, 0.1])]);
        assert!(average_cost(&alone).reason().is_some());
        assert!(minimum_average_cost(&alone).reason().is_some());
    }
}
