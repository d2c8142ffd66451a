//! The same numbers for parts of the examples: by speaker, by source, by length, by whatever column a list has.
//!
//! It is told the group of each example and knows nothing of what makes a group.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::confusion::Confusion;
use super::{EvaluateError, Interval, Measured, Scores, intervals};

/// What a group is called whose examples say nothing of it.
const UNSAID: &str = "(not said)";

/// How the examples of each group fared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breakdown {
    /// What tells the groups apart: `source`, `speaker`, `seconds heard`.
    pub by: String,
    pub groups: Vec<Group>,
    /// Mean over the groups of their balanced accuracies, and the worst of them.
    pub mean_balanced_accuracy: Measured,
    pub worst_balanced_accuracy: Measured,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub name: String,
    pub n_examples: u64,
    pub n_correct: u64,
    /// Classes that occur in it.
    pub n_classes: u64,
    pub accuracy: Measured,
    /// Wilson interval, 95 %.
    pub accuracy_interval: Measured<Interval>,
    /// Mean recall over the classes that occur in it.
    pub balanced_accuracy: Measured,
}

impl Breakdown {
    /// Groups in the order of their names; `names` is `[n_examples]`.
    pub fn of(by: &str, scores: &Scores, names: &[Option<String>]) -> Result<Self, EvaluateError> {
        if names.len() != scores.n_examples() {
            return Err(EvaluateError::Size {
                what: "groups",
                found: names.len(),
                expected: scores.n_examples(),
            });
        }
        let mut members: BTreeMap<(bool, &str), Vec<usize>> = BTreeMap::new();
        for (example, name) in names.iter().enumerate() {
            let key = (name.is_none(), name.as_deref().unwrap_or(UNSAID));
            members.entry(key).or_default().push(example);
        }
        let groups = members
            .into_iter()
            .map(|((_, name), members)| Group::of(name, &scores.subset(&members)));
        Ok(Self::of_groups(by, groups.collect()))
    }

    /// Groups that were judged apart, in the order given.
    pub fn of_groups(by: &str, groups: Vec<Group>) -> Self {
        let balanced: Vec<f64> = groups
            .iter()
            .filter_map(|group| group.balanced_accuracy.number())
            .collect();
        let measured = |value: Option<f64>| match value {
            Some(value) => Measured::from(value),
            None => Measured::missing("no group was measured"),
        };
        let mean = balanced.iter().sum::<f64>() / balanced.len().max(1) as f64;
        Self {
            by: by.into(),
            groups,
            mean_balanced_accuracy: measured((!balanced.is_empty()).then_some(mean)),
            worst_balanced_accuracy: measured(balanced.into_iter().reduce(f64::min)),
        }
    }
}

impl Group {
    /// A group with those scores.
    pub fn of(name: &str, scores: &Scores) -> Self {
        let confusion = Confusion::of(scores);
        let (n_correct, n_examples) = (confusion.n_correct(), confusion.n_examples());
        let n_classes = (0..scores.n_classes()).filter(|&class| confusion.support(class) > 0);
        Self {
            name: name.into(),
            n_examples,
            n_correct,
            n_classes: n_classes.count() as u64,
            accuracy: confusion.accuracy(),
            accuracy_interval: intervals::wilson(n_correct, n_examples),
            balanced_accuracy: confusion.balanced_accuracy(),
        }
    }

    /// A group that could not be judged, and why.
    pub fn missing(name: &str, reason: &str) -> Self {
        Self {
            name: name.into(),
            n_examples: 0,
            n_correct: 0,
            n_classes: 0,
            accuracy: Measured::missing(reason),
            accuracy_interval: Measured::missing(reason),
            balanced_accuracy: Measured::missing(reason),
        }
    }
}

impl Scores {
    /// Some of the examples, in the order given.
    ///
    /// # Panics
    ///
    /// When one of them is not there.
    pub fn subset(&self, examples: &[usize]) -> Self {
        Self {
            labels: self.labels.clone(),
            truth: examples.iter().map(|&i| self.truth[i]).collect(),
            probabilities: examples
                .iter()
                .flat_map(|&i| self.row(i).to_vec())
                .collect(),
            ids: examples.iter().map(|&i| self.ids[i].clone()).collect(),
        }
    }
}

/// The group of a length in seconds: `0-1 s`, `1-2 s`, `2-3 s`, `3-5 s`, `5-10 s`, `10 s and more`.
pub fn length_group(seconds: f64) -> String {
    const EDGES_S: [u32; 6] = [0, 1, 2, 3, 5, 10];
    let longer = EDGES_S.windows(2).find(|edge| seconds < f64::from(edge[1]));
    match longer {
        // A space before one digit, so that names sort as lengths do.
        Some(edge) => format!("{:>2}-{} s", edge[0], edge[1]),
        None => "10 s and more".into(),
    }
}

/// The group of a loudness in dB below full scale: ten dB each, from `-60 dB and softer` to `above -10 dB`.
pub fn loudness_group(dbfs: f64) -> String {
    match (dbfs.max(-200.0) / 10.0).ceil() as i64 * 10 {
        ..=-60 => "-60 dB and softer".into(),
        high @ -59..=-10 => format!("{} to {high} dB", high - 10),
        _ => "above -10 dB".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six examples of two classes, by hand: right, right, wrong | right, wrong, wrong.
    fn scores() -> Scores {
        Scores::new(
            vec!["de".into(), "en".into()],
            vec![0, 0, 1, 0, 1, 0],
            vec![0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 0.6, 0.4, 0.9, 0.1, 0.2, 0.8],
            (0..6).map(|i| i.to_string()).collect(),
        )
        .unwrap()
    }

    #[test]
    fn each_group_has_the_numbers_of_its_own_examples() {
        let names = ["b", "b", "b", "a", "a", "a"].map(|name| Some(name.to_owned()));
        let found = Breakdown::of("source", &scores(), &names).unwrap();
        let rows: Vec<_> = found
            .groups
            .iter()
            .map(|g| (g.name.as_str(), g.n_correct, g.n_examples, g.n_classes))
            .collect();
        assert_eq!(rows, [("a", 1, 3, 2), ("b", 2, 3, 2)]);
        // b: both of de, none of en. a: one of two of de, none of en.
        assert_eq!(found.groups[1].balanced_accuracy, Measured::Value(0.5));
        assert_eq!(found.groups[0].balanced_accuracy, Measured::Value(0.25));
        assert_eq!(found.worst_balanced_accuracy, Measured::Value(0.25));
        assert_eq!(found.mean_balanced_accuracy, Measured::Value(0.375));
        let total: u64 = found.groups.iter().map(|g| g.n_correct).sum();
        assert_eq!(total, Confusion::of(&scores()).n_correct());
    }

    #[test]
    fn examples_that_say_nothing_are_a_group_of_their_own_at_the_end() {
        let names = [Some("z"), None, None, Some("z"), None, Some("z")];
        let names = names.map(|name| name.map(str::to_owned));
        let found = Breakdown::of("noise", &scores(), &names).unwrap();
        let rows: Vec<_> = found.groups.iter().map(|g| g.name.as_str()).collect();
        assert_eq!(rows, ["z", UNSAID]);
        assert!(Breakdown::of("noise", &scores(), &names[..3]).is_err());
    }

    #[test]
    fn loudness_falls_into_tens_of_decibels() {
        let names = [
            -90.0,
            -60.0,
            -59.9,
            -25.0,
            -20.0,
            -10.0,
            -3.0,
            f64::NEG_INFINITY,
        ];
        assert_eq!(
            names.map(loudness_group),
            [
                "-60 dB and softer",
                "-60 dB and softer",
                "-60 to -50 dB",
                "-30 to -20 dB",
                "-30 to -20 dB",
                "-20 to -10 dB",
                "above -10 dB",
                "-60 dB and softer",
            ]
        );
    }

    #[test]
    fn lengths_fall_between_the_edges_and_sort_as_they_should() {
        let names = [0.2, 1.0, 2.9, 3.0, 7.0, 10.0, 300.0].map(length_group);
        assert_eq!(
            names,
            [
                " 0-1 s",
                " 1-2 s",
                " 2-3 s",
                " 3-5 s",
                " 5-10 s",
                "10 s and more",
                "10 s and more"
            ]
        );
        assert!(names.is_sorted());
    }
}
