//! Who was taken for whom: class probabilities against true classes, counted.
//!
//! Refuses scores that are not probabilities; everything else in this room may then rely on them.

use serde::{Deserialize, Serialize};

use super::measured::not_measured;
use super::{EvaluateError, Interval, Measured, intervals};

/// How far a row of probabilities may sum from one: what `f32` softmax and averaging leave over many classes.
const SUM_TOLERANCE: f64 = 1e-3;

/// The smallest probability that enters a logarithm, so that one underflow does not make a cross entropy infinite.
const PROBABILITY_FLOOR: f64 = 1e-12;

/// Class probabilities of a set of examples with the truth about them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// Class names, `[n_classes]`, distinct.
    pub labels: Vec<String>,
    /// True class of each example, `[n_examples]`, below `n_classes`.
    pub truth: Vec<usize>,
    /// `[n_examples, n_classes]`, row-major; each row from 0 to 1 and summing to 1.
    pub probabilities: Vec<f32>,
    /// What each example is called, `[n_examples]`: a path, a key.
    pub ids: Vec<String>,
}

impl Scores {
    /// Scores that have been checked.
    pub fn new(
        labels: Vec<String>,
        truth: Vec<usize>,
        probabilities: Vec<f32>,
        ids: Vec<String>,
    ) -> Result<Self, EvaluateError> {
        let scores = Scores {
            labels,
            truth,
            probabilities,
            ids,
        };
        scores.validate()?;
        Ok(scores)
    }

    /// Scores from logits `[n_examples, n_classes]`, through a softmax in `f64`.
    pub fn from_logits(
        labels: Vec<String>,
        truth: Vec<usize>,
        logits: &[f32],
        ids: Vec<String>,
    ) -> Result<Self, EvaluateError> {
        if labels.is_empty() {
            return Err(EvaluateError::NoClasses);
        }
        let n_classes = labels.len();
        let mut probabilities = Vec::with_capacity(logits.len());
        for (example, row) in logits.chunks(n_classes).enumerate() {
            if let Some(class) = row.iter().position(|logit| !logit.is_finite()) {
                let (label, id) = (
                    labels[class].clone(),
                    ids.get(example).cloned().unwrap_or_default(),
                );
                return Err(EvaluateError::NotALogit {
                    example,
                    id,
                    label,
                    found: row[class],
                });
            }
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = row
                .iter()
                .map(|&logit| f64::from(logit - largest).exp())
                .sum();
            probabilities.extend(
                row.iter()
                    .map(|&logit| (f64::from(logit - largest).exp() / sum) as f32),
            );
        }
        Self::new(labels, truth, probabilities, ids)
    }

    /// Checks sizes, classes and probabilities against one another.
    pub fn validate(&self) -> Result<(), EvaluateError> {
        let (n_examples, n_classes) = (self.truth.len(), self.labels.len());
        if n_classes == 0 {
            return Err(EvaluateError::NoClasses);
        }
        if n_examples == 0 {
            return Err(EvaluateError::NoExamples);
        }
        let mut seen = std::collections::BTreeSet::new();
        if let Some(label) = self
            .labels
            .iter()
            .find(|label| !seen.insert(label.as_str()))
        {
            return Err(EvaluateError::RepeatedLabel {
                label: label.clone(),
            });
        }
        if self.ids.len() != n_examples {
            return Err(EvaluateError::Size {
                what: "ids",
                found: self.ids.len(),
                expected: n_examples,
            });
        }
        if self.probabilities.len() != n_examples * n_classes {
            let (found, expected) = (self.probabilities.len(), n_examples * n_classes);
            return Err(EvaluateError::Size {
                what: "probabilities",
                found,
                expected,
            });
        }
        for example in 0..n_examples {
            self.validate_example(example)?;
        }
        Ok(())
    }

    fn validate_example(&self, example: usize) -> Result<(), EvaluateError> {
        let (n_classes, id) = (self.labels.len(), || self.ids[example].clone());
        let found = self.truth[example];
        if found >= n_classes {
            return Err(EvaluateError::ClassOutOfRange {
                example,
                id: id(),
                found,
                n_classes,
            });
        }
        let row = self.row(example);
        if let Some(class) = row.iter().position(|p| !(0.0..=1.000_001).contains(p)) {
            let (label, found) = (self.labels[class].clone(), row[class]);
            return Err(EvaluateError::NotAProbability {
                example,
                id: id(),
                label,
                found,
            });
        }
        let sum: f64 = row.iter().map(|&p| f64::from(p)).sum();
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(EvaluateError::SumNotOne {
                example,
                id: id(),
                found: sum,
                tolerance: SUM_TOLERANCE,
            });
        }
        Ok(())
    }

    /// How many examples there are.
    pub fn n_examples(&self) -> usize {
        self.truth.len()
    }

    /// How many classes there are.
    pub fn n_classes(&self) -> usize {
        self.labels.len()
    }

    /// Probabilities of one example, `[n_classes]`.
    pub fn row(&self, example: usize) -> &[f32] {
        &self.probabilities[example * self.labels.len()..(example + 1) * self.labels.len()]
    }

    /// The most probable class of one example; the first of equals.
    pub fn prediction(&self, example: usize) -> usize {
        let row = self.row(example);
        (1..row.len()).fold(
            0,
            |best, class| if row[class] > row[best] { class } else { best },
        )
    }

    /// Whether the most probable class is the true one, example by example.
    pub fn correct(&self) -> Vec<bool> {
        (0..self.n_examples())
            .map(|example| self.prediction(example) == self.truth[example])
            .collect()
    }

    /// Mean of `-ln p(true class)`, in nats.
    pub fn cross_entropy(&self) -> f64 {
        let sum: f64 = (0..self.n_examples())
            .map(|example| {
                -f64::from(self.row(example)[self.truth[example]])
                    .clamp(PROBABILITY_FLOOR, 1.0)
                    .ln()
            })
            .sum();
        sum / self.n_examples() as f64
    }
}

/// Counts of (true class, predicted class).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confusion {
    /// Class names, `[n_classes]`.
    pub labels: Vec<String>,
    /// `counts[true][predicted]`, `[n_classes][n_classes]`.
    pub counts: Vec<Vec<u64>>,
}

/// How one class fared. What has an empty denominator is missing and says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassResult {
    pub label: String,
    /// Examples that are of this class.
    pub support: u64,
    /// Examples that were taken for this class.
    pub n_predicted: u64,
    /// Examples that are of this class and were taken for it.
    pub n_correct: u64,
    pub precision: Measured,
    pub recall: Measured,
    /// Wilson interval of the recall, 95 %.
    pub recall_interval: Measured<Interval>,
    pub f1: Measured,
    /// One-versus-rest equal error rate of this class's probability.
    pub equal_error_rate: Measured,
    /// Area under its misses against false accepts.
    #[serde(default = "not_measured")]
    pub det_area: Measured,
}

impl Confusion {
    /// Counts the predictions of checked scores.
    pub fn of(scores: &Scores) -> Self {
        let mut counts = vec![vec![0; scores.n_classes()]; scores.n_classes()];
        for example in 0..scores.n_examples() {
            counts[scores.truth[example]][scores.prediction(example)] += 1;
        }
        Confusion {
            labels: scores.labels.clone(),
            counts,
        }
    }

    /// Examples of a class.
    pub fn support(&self, class: usize) -> u64 {
        self.counts[class].iter().sum()
    }

    /// Examples taken for a class.
    pub fn n_predicted(&self, class: usize) -> u64 {
        self.counts.iter().map(|row| row[class]).sum()
    }

    /// All examples.
    pub fn n_examples(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// Examples on the diagonal.
    pub fn n_correct(&self) -> u64 {
        (0..self.counts.len())
            .map(|class| self.counts[class][class])
            .sum()
    }

    /// Share of examples on the diagonal (micro average).
    pub fn accuracy(&self) -> Measured {
        Measured::ratio(self.n_correct(), self.n_examples(), "no examples")
    }

    /// Share of a class's examples that were recognised.
    pub fn recall(&self, class: usize) -> Measured {
        Measured::ratio(
            self.counts[class][class],
            self.support(class),
            "no examples of this class",
        )
    }

    /// Share of what was taken for a class that is of it.
    pub fn precision(&self, class: usize) -> Measured {
        Measured::ratio(
            self.counts[class][class],
            self.n_predicted(class),
            "nothing was taken for this class",
        )
    }

    /// Harmonic mean of precision and recall: `2 tp / (2 tp + fp + fn)`.
    pub fn f1(&self, class: usize) -> Measured {
        let denominator = self.support(class) + self.n_predicted(class);
        Measured::ratio(
            2 * self.counts[class][class],
            denominator,
            "no examples of this class and none taken for it",
        )
    }

    /// Mean recall over the classes that have examples (macro average).
    pub fn balanced_accuracy(&self) -> Measured {
        self.mean_over_classes(|class| self.recall(class))
    }

    /// Mean F1 over the classes that occur in truth or prediction.
    pub fn macro_f1(&self) -> Measured {
        self.mean_over_classes(|class| self.f1(class))
    }

    /// Each class by itself; its equal error rate and its area under misses against false accepts, `[n_classes]`.
    pub fn per_class(&self, detection: Vec<(Measured, Measured)>) -> Vec<ClassResult> {
        (0..self.labels.len())
            .zip(detection)
            .map(|(class, (equal_error_rate, det_area))| ClassResult {
                label: self.labels[class].clone(),
                support: self.support(class),
                n_predicted: self.n_predicted(class),
                n_correct: self.counts[class][class],
                precision: self.precision(class),
                recall: self.recall(class),
                recall_interval: intervals::wilson(self.counts[class][class], self.support(class)),
                f1: self.f1(class),
                equal_error_rate,
                det_area,
            })
            .collect()
    }

    /// Pairs of classes that were confused, most often first: (true, predicted, count).
    pub fn most_confused(&self) -> Vec<(usize, usize, u64)> {
        let mut pairs: Vec<(usize, usize, u64)> = (0..self.counts.len())
            .flat_map(|row| (0..self.counts.len()).map(move |column| (row, column)))
            .filter(|(row, column)| row != column && self.counts[*row][*column] > 0)
            .map(|(row, column)| (row, column, self.counts[row][column]))
            .collect();
        pairs.sort_by_key(|&(row, column, count)| (std::cmp::Reverse(count), row, column));
        pairs
    }

    fn mean_over_classes(&self, of: impl Fn(usize) -> Measured) -> Measured {
        let values: Vec<f64> = (0..self.labels.len())
            .filter_map(|class| of(class).number())
            .collect();
        if values.is_empty() {
            return Measured::missing("no examples");
        }
        Measured::from(values.iter().sum::<f64>() / values.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    /// Worked by hand. Truth a a a b b c, predictions a a b b c c.
    fn by_hand() -> Scores {
        let one_hot =
            |class: usize| (0..3).map(move |other| if other == class { 0.8 } else { 0.1 });
        let probabilities = [0, 0, 1, 1, 2, 2].into_iter().flat_map(one_hot).collect();
        let ids = (0..6).map(|i| format!("clip-{i}")).collect();
        Scores::new(
            labels(&["a", "b", "c"]),
            vec![0, 0, 0, 1, 1, 2],
            probabilities,
            ids,
        )
        .expect("valid")
    }

    #[test]
    fn a_table_worked_by_hand_comes_out() {
        let confusion = Confusion::of(&by_hand());
        assert_eq!(
            confusion.counts,
            vec![vec![2, 1, 0], vec![0, 1, 1], vec![0, 0, 1]]
        );
        assert_eq!(confusion.accuracy(), Measured::Value(4.0 / 6.0));
        let balanced = (2.0 / 3.0 + 1.0 / 2.0 + 1.0) / 3.0;
        assert!(
            (confusion.balanced_accuracy().number().expect("measured") - balanced).abs() < 1e-15
        );
        assert_eq!(confusion.precision(0), Measured::Value(1.0));
        assert_eq!(confusion.precision(2), Measured::Value(0.5));
        assert_eq!(confusion.f1(1), Measured::Value(0.5));
        assert_eq!(confusion.most_confused(), vec![(0, 1, 1), (1, 2, 1)]);
        let entropy = -(4.0 * 0.8_f64.ln() + 2.0 * 0.1_f64.ln()) / 6.0;
        assert!((by_hand().cross_entropy() - entropy).abs() < 1e-7);
    }

    #[test]
    fn a_class_that_never_occurs_says_so_and_does_not_count() {
        let mut scores = by_hand();
        scores.truth = vec![0, 0, 1, 1, 1, 1];
        let confusion = Confusion::of(&scores);
        assert_eq!(
            confusion.recall(2).reason(),
            Some("no examples of this class")
        );
        assert_eq!(confusion.precision(2), Measured::Value(0.0));
        assert_eq!(
            confusion.balanced_accuracy(),
            Measured::Value((1.0 + 0.5) / 2.0)
        );
    }

    #[test]
    fn of_equal_probabilities_the_first_class_is_predicted() {
        let tied = vec![0.2, 0.4, 0.4, 0.5, 0.0, 0.5];
        let scores = Scores::new(
            labels(&["a", "b", "c"]),
            vec![2, 0],
            tied,
            labels(&["x", "y"]),
        );
        assert_eq!(
            [0, 1].map(|example| scores.as_ref().expect("valid").prediction(example)),
            [1, 0]
        );
    }

    #[test]
    fn one_underflow_does_not_make_the_cross_entropy_infinite() {
        let scores = Scores::new(labels(&["a", "b"]), vec![1], vec![1.0, 0.0], labels(&["x"]))
            .expect("valid");
        assert!(scores.cross_entropy().is_finite());
        assert!(scores.cross_entropy() > 25.0);
    }

    #[test]
    fn logits_become_the_probabilities_of_a_softmax() {
        let logits = [1.0, 2.0, 3.0, 500.0, -500.0, 0.0];
        let scores = Scores::from_logits(
            labels(&["a", "b", "c"]),
            vec![2, 0],
            &logits,
            labels(&["x", "y"]),
        );
        let scores = scores.expect("valid");
        // python3 -c "from scipy.special import softmax; print(softmax([1., 2., 3.]))"
        for (found, expected) in scores
            .row(0)
            .iter()
            .zip([0.09003057, 0.24472847, 0.66524096])
        {
            assert!((found - expected).abs() < 1e-7);
        }
        assert_eq!(scores.row(1), [1.0, 0.0, 0.0]);
    }

    #[track_caller]
    fn check_refused(change: impl Fn(&mut Scores), message: &str) {
        let mut scores = by_hand();
        change(&mut scores);
        let found = scores.validate().expect_err("must be refused").to_string();
        assert!(found.contains(message), "{found}");
    }

    #[test]
    fn what_is_not_a_set_of_scores_is_refused_with_its_place() {
        check_refused(
            |s| s.truth[3] = 3,
            r#"example 3 ("clip-3") has class 3, expected one below 3"#,
        );
        check_refused(
            |s| s.probabilities[4] = f32::NAN,
            r#"example 1 ("clip-1") has probability NaN for "b""#,
        );
        check_refused(
            |s| s.probabilities[4] = -0.1,
            "expected a number from 0 to 1",
        );
        check_refused(|s| s.probabilities[4] = 0.9, "sum to 1.79");
        check_refused(
            |s| s.probabilities.truncate(17),
            "found 17 probabilities, expected 18",
        );
        check_refused(|s| s.ids.truncate(5), "found 5 ids, expected 6");
        check_refused(|s| s.labels[1] = "a".into(), r#"label "a" occurs twice"#);
        check_refused(|s| s.labels.clear(), "no classes");
        check_refused(|s| s.truth.clear(), "no examples");
        let logits = Scores::from_logits(
            labels(&["a", "b"]),
            vec![0],
            &[0.0, f32::INFINITY],
            labels(&["x"]),
        );
        assert!(
            logits
                .expect_err("must be refused")
                .to_string()
                .contains("logit inf for \"b\"")
        );
    }
}
