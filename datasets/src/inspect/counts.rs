//! Whether a corpus is complete: what its card says there should be, beside what there is.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::card::{CountSpec, Counted, TaskSpec};
use crate::manifest::ManifestRow;

/// One count of the card.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CountCheck {
    /// What is counted, such as `clips of _silence_ in test`.
    pub what: String,
    /// What there should be.
    pub expected: usize,
    /// What there is.
    pub found: usize,
    /// Who says what there should be.
    pub source: String,
}

impl CountCheck {
    /// Whether it is as it should be.
    pub fn is_right(&self) -> bool {
        self.expected == self.found
    }
}

/// Counts the rows in every way that the task's card does.
pub fn check_counts<'a>(
    rows: impl Iterator<Item = &'a ManifestRow> + Clone,
    task: &TaskSpec,
) -> Vec<CountCheck> {
    let check = |count: &CountSpec| {
        let of_count = rows.clone().filter(|row| {
            count.split.is_none_or(|split| row.split == Some(split))
                && count.label.as_ref().is_none_or(|label| row.label == *label)
        });
        let found = match count.of {
            Counted::Clips => of_count.count(),
            Counted::Labels => of_count
                .map(|row| &row.label)
                .collect::<BTreeSet<_>>()
                .len(),
            Counted::Speakers => of_count
                .filter_map(|row| row.speaker.as_ref())
                .collect::<BTreeSet<_>>()
                .len(),
        };
        let mut what = count.of.name().to_owned();
        if let Some(label) = &count.label {
            what.push_str(&format!(" of {label}"));
        }
        if let Some(split) = count.split {
            what.push_str(&format!(" in {split}"));
        }
        CountCheck {
            what,
            expected: count.n,
            found,
            source: count.source.clone(),
        }
    };
    task.counts.iter().map(check).collect()
}
