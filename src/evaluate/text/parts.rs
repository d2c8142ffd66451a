//! Parts of the examples, and two systems on the same examples, as plain text.

use super::{or_why, plain, put, table};
use crate::evaluate::format::{fixed_or_dash, percent_or_dash, percent_range, thousands};
use crate::evaluate::{Breakdown, Measured, Paired};

/// A table of groups, and the mean and the worst of them.
pub(super) fn breakdown_table(breakdown: &Breakdown) -> String {
    let heads = [
        breakdown.by.as_str(),
        "examples",
        "accuracy",
        "95 %",
        "balanced",
        "of classes",
    ];
    let rows = breakdown.groups.iter().map(|group| {
        [
            plain(&group.name),
            thousands(group.n_examples),
            or_why(&group.accuracy, percent_or_dash),
            percent_range(&group.accuracy_interval),
            percent_or_dash(&group.balanced_accuracy),
            group.n_classes.to_string(),
        ]
    });
    let mut text = table(heads.map(plain), rows.collect());
    put(
        &mut text,
        format_args!(
            "balanced accuracy, mean over the rows {}, worst {}\n",
            percent_or_dash(&breakdown.mean_balanced_accuracy),
            percent_or_dash(&breakdown.worst_balanced_accuracy)
        ),
    );
    text
}

/// Two systems on the same examples, in a few lines.
pub fn paired(paired: &Paired, first: &str, second: &str) -> String {
    let mut text = String::new();
    let gain = paired.gain.number().unwrap_or(0.0) * 100.0;
    put(
        &mut text,
        format_args!(
            "{} against {} on the same {} clips: {gain:+.2} points\n",
            plain(second),
            plain(first),
            thousands(paired.n_examples)
        ),
    );
    match &paired.gain_interval_by_speaker {
        Measured::Value(gain) => put(
            &mut text,
            format_args!(
                "  95 %, by speaker  {:+.2} to {:+.2} points\n",
                gain.low * 100.0,
                gain.high * 100.0
            ),
        ),
        Measured::Missing(why) => put(
            &mut text,
            format_args!("  by speaker        not measured: {}\n", plain(why)),
        ),
    }
    put(
        &mut text,
        format_args!(
            "  both right {}, only the first {}, only the second {}, both wrong {}\n",
            thousands(paired.n_both_right),
            thousands(paired.n_only_first_right),
            thousands(paired.n_only_second_right),
            thousands(paired.n_both_wrong)
        ),
    );
    put(
        &mut text,
        format_args!(
            "  McNemar's p       {}  (exact, two-sided)\n",
            or_why(&paired.mcnemar_p, |p| fixed_or_dash(p, 4))
        ),
    );
    text
}
