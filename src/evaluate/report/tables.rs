//! The tables of the page: systems, classes, trials. Rows of a report in, markup out.

use std::fmt::Write;

use super::svg::escape;
use super::{CorpusSummary, SplitSummary, System, TrialStatus, TrialSummary};
use crate::evaluate::format::{
    DASH, duration_or_dash, fixed_or_dash, percent, percent_or_dash, percent_range, short,
    thousands,
};
use crate::evaluate::{Breakdown, Judgement, Measured};

/// Confused pairs that are named.
const N_PAIRS: usize = 8;

pub(super) fn system_row(html: &mut String, system: &System, class: &str) {
    let validation = system
        .validation
        .value()
        .map_or(DASH.to_string(), |judged| percent_or_dash(&judged.accuracy));
    let what = if system.members.is_empty() {
        String::new()
    } else {
        format!("<small>{} networks</small>", system.members.len())
    };
    put(
        html,
        format_args!(
            "<tr{class}><td class=\"name\" title=\"{}\">{}{what}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{validation}</td>",
            escape(&system.genome),
            escape(&system.name),
            thousands(system.cost.n_params),
            short(system.cost.macs_per_second as f64)
        ),
    );
    match &system.test {
        Measured::Missing(why) => put(
            html,
            format_args!(
                "<td colspan=\"7\" class=\"why\">{}</td></tr>\n",
                escape(why)
            ),
        ),
        Measured::Value(judged) => put(
            html,
            format_args!(
                "<td class=\"n\"><b>{}</b></td><td class=\"n\">{}</td><td class=\"n\"{}>{}</td><td class=\"n\">{} of {}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
                percent_or_dash(&judged.accuracy),
                percent_range(&judged.accuracy_interval),
                judged
                    .accuracy_interval_by_speaker
                    .reason()
                    .map_or(String::new(), |why| format!(" title=\"{}\"", escape(why))),
                percent_range(&judged.accuracy_interval_by_speaker),
                thousands(judged.n_examples - judged.n_correct.min(judged.n_examples)),
                thousands(judged.n_examples),
                percent_or_dash(&judged.balanced_accuracy),
                fixed_or_dash(&judged.cross_entropy, 4),
                fixed_or_dash(&judged.expected_calibration_error, 4),
            ),
        ),
    }
}

pub(super) fn most_confused(judgement: &Judgement) -> String {
    let pairs = judgement.confusion.most_confused();
    if pairs.is_empty() {
        return "<p class=\"note\">Nothing was confused.</p>\n".into();
    }
    let labels = &judgement.confusion.labels;
    let named: Vec<String> = pairs
        .iter()
        .take(N_PAIRS)
        .map(|&(row, column, count)| {
            format!(
                "{} → {} ({count})",
                escape(&labels[row]),
                escape(&labels[column])
            )
        })
        .collect();
    format!(
        "<p class=\"note\">Most often confused (true → predicted): {}.</p>\n",
        named.join(", ")
    )
}

pub(super) fn class_table(judgement: &Judgement) -> String {
    let mut html = String::from(
        "<div class=\"wide\"><table>\n<tr><th>class</th><th class=\"n\">examples</th><th class=\"n\">recall</th><th class=\"n\">95 % interval</th>\
         <th class=\"n\">precision</th><th class=\"n\">F1</th><th class=\"n\">equal error<br>rate</th></tr>\n",
    );
    for class in &judgement.per_class {
        put(&mut html, format_args!(
            "<tr><td class=\"name\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
            escape(&class.label),
            thousands(class.support),
            measured_percent(&class.recall),
            class.recall.number().map_or(String::new(), |recall| format!(
                "<span class=\"track\"><span class=\"bar\" style=\"width:{:.0}px\"></span></span>", recall * 72.0
            )),
            percent_range(&class.recall_interval),
            measured_percent(&class.precision),
            measured_percent(&class.f1),
            measured_percent(&class.equal_error_rate),
        ));
    }
    html.push_str("</table></div>\n");
    html
}

pub(super) fn breakdown_table(breakdown: &Breakdown) -> String {
    let mut html = format!(
        "<div class=\"wide\"><table>\n<tr><th>{}</th><th class=\"n\">examples</th><th class=\"n\">accuracy</th><th class=\"n\">95 % interval</th>\
         <th class=\"n\">balanced<br>accuracy</th><th class=\"n\">of classes</th></tr>\n",
        escape(&breakdown.by)
    );
    for group in &breakdown.groups {
        put(
            &mut html,
            format_args!(
                "<tr><td class=\"name\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
                escape(&group.name),
                thousands(group.n_examples),
                measured_percent(&group.accuracy),
                percent_range(&group.accuracy_interval),
                measured_percent(&group.balanced_accuracy),
                group.n_classes,
            ),
        );
    }
    put(
        &mut html,
        format_args!(
            "</table></div>\n<p class=\"note\">Balanced accuracy: mean over the rows {}, worst {}.</p>\n",
            percent_or_dash(&breakdown.mean_balanced_accuracy),
            percent_or_dash(&breakdown.worst_balanced_accuracy)
        ),
    );
    html
}

pub(super) fn trial_table<'a>(
    trials: impl Iterator<Item = &'a TrialSummary>,
    chosen: Option<u64>,
) -> String {
    let mut html = String::from(
        "<div class=\"wide\"><table>\n<tr><th class=\"n\">trial</th><th class=\"n\">parent</th><th class=\"n\">validation<br>accuracy</th><th class=\"n\">validation<br>loss</th>\
         <th class=\"n\">parameters</th><th class=\"n\">MACs/s</th><th class=\"n\">time</th><th>what became of it</th><th>network</th></tr>\n",
    );
    for trial in trials {
        let class = if chosen == Some(trial.number) {
            " class=\"chosen\""
        } else {
            ""
        };
        let fate = match &trial.status {
            TrialStatus::Completed => escape(&trial.fate),
            TrialStatus::Stopped { reason } => format!(
                "{}<small>stopped: {}</small>",
                escape(&trial.fate),
                escape(reason)
            ),
            TrialStatus::Failed { reason } => format!(
                "<span class=\"bad\">failed: {}</span><small>{}</small>",
                escape(reason),
                escape(&trial.fate)
            ),
        };
        put(
            &mut html,
            format_args!(
                "<tr{class}><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"fate\">{fate}</td><td class=\"genome\"><code>{}</code></td></tr>\n",
                trial.number,
                trial
                    .parent
                    .map_or(DASH.to_string(), |parent| parent.to_string()),
                measured_percent(&trial.validation_accuracy),
                fixed_or_dash(&trial.validation_loss, 4),
                thousands(trial.n_params),
                short(trial.macs_per_second as f64),
                duration_or_dash(&trial.seconds),
                escape(&trial.genome)
            ),
        );
    }
    html.push_str("</table></div>\n");
    html
}

pub(super) fn split_table(corpus: &CorpusSummary) -> String {
    let mut labels: Vec<&str> = Vec::new();
    for label in corpus
        .splits
        .iter()
        .flat_map(|split| &split.per_class)
        .map(|class| class.label.as_str())
    {
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    let cells = |of: &dyn Fn(&SplitSummary) -> String| -> String {
        corpus
            .splits
            .iter()
            .map(|split| format!("<td class=\"n\">{}</td>", of(split)))
            .collect()
    };
    let heads: String = corpus
        .splits
        .iter()
        .map(|split| format!("<th class=\"n\">{}</th>", escape(&split.name)))
        .collect();
    let mut body = format!("<div class=\"wide\"><table>\n<tr><th>utterances</th>{heads}</tr>\n");
    put(
        &mut body,
        format_args!(
            "<tr><td class=\"name\">all</td>{}</tr>\n",
            cells(&|split| thousands(split.n_utterances))
        ),
    );
    put(
        &mut body,
        format_args!(
            "<tr><td class=\"name\">speakers</td>{}</tr>\n",
            cells(&|split| match &split.n_speakers {
                Measured::Value(n) => thousands(*n),
                Measured::Missing(why) => format!(
                    "<span class=\"why\" title=\"{}\">{DASH}</span>",
                    escape(why)
                ),
            })
        ),
    );
    for label in labels {
        let count = |split: &SplitSummary| {
            let n: u64 = split
                .per_class
                .iter()
                .filter(|class| class.label == label)
                .map(|class| class.n_utterances)
                .sum();
            thousands(n)
        };
        put(
            &mut body,
            format_args!("<tr><td>{}</td>{}</tr>\n", escape(label), cells(&count)),
        );
    }
    body.push_str("</table></div>\n");
    body
}

pub(super) fn measured(value: &Measured, show: impl Fn(f64) -> String) -> String {
    match value.number() {
        Some(number) => escape(&show(number)),
        None => format!(
            "<span class=\"why\" title=\"{}\">{DASH}</span>",
            escape(value.reason().unwrap_or("not a finite number"))
        ),
    }
}

pub(super) fn measured_percent(share: &Measured) -> String {
    measured(share, |value| percent(value, 2))
}

pub(super) fn milliseconds(value: &Measured) -> String {
    measured(value, |ms| {
        if ms < 10_000.0 {
            format!("{ms:.0} ms")
        } else {
            format!("{:.1} s", ms / 1000.0)
        }
    })
}

pub(super) fn put(html: &mut String, arguments: std::fmt::Arguments<'_>) {
    html.write_fmt(arguments)
        .expect("writing to a string does not fail");
}
