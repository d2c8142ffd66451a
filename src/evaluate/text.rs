//! A report and a judgement as plain text, and their tables as CSV.
//!
//! What `auricle evaluate` prints is made here; printing it is not this room's business. Text that comes from outside is
//! shown without control characters, so a label cannot repaint a terminal. CSV follows RFC 4180.

use std::fmt::Write;

use super::format::{
    bytes, duration, fixed_or_dash, percent_or_dash, percent_range, short, thousands,
};
use super::report::{Report, System, TrialStatus};
use super::{EvaluateError, Interval, Judgement, Measured, Scores};

mod parts;

use parts::breakdown_table;
pub use parts::paired;

/// Confused pairs that are named.
const N_PAIRS: usize = 5;

/// A judgement in a few lines and a table of classes.
pub fn judgement(judged: &Judgement) -> String {
    let mut text = String::new();
    let wrong = judged.n_examples.saturating_sub(judged.n_correct);
    put(
        &mut text,
        format_args!(
            "accuracy            {}  (95 %: {}; {} of {} wrong)\n",
            percent_or_dash(&judged.accuracy),
            percent_range(&judged.accuracy_interval),
            thousands(wrong),
            thousands(judged.n_examples)
        ),
    );
    match &judged.accuracy_interval_by_speaker {
        interval @ Measured::Value(_) => put(
            &mut text,
            format_args!("  by speaker        95 %: {}\n", percent_range(interval)),
        ),
        Measured::Missing(why) => put(
            &mut text,
            format_args!("  by speaker        not measured: {}\n", plain(why)),
        ),
    }
    put(
        &mut text,
        format_args!(
            "balanced accuracy   {}  (95 %, by speaker: {})\n",
            or_why(&judged.balanced_accuracy, percent_or_dash),
            percent_range(&judged.balanced_accuracy_interval_by_speaker)
        ),
    );
    put(
        &mut text,
        format_args!(
            "macro F1            {}\n",
            or_why(&judged.macro_f1, percent_or_dash)
        ),
    );
    put(
        &mut text,
        format_args!(
            "cross entropy       {}\n",
            or_why(&judged.cross_entropy, |v| fixed_or_dash(v, 4))
        ),
    );
    put(
        &mut text,
        format_args!(
            "Brier score         {}\n",
            or_why(&judged.brier, |v| fixed_or_dash(v, 4))
        ),
    );
    put(
        &mut text,
        format_args!(
            "calibration error   {}\n",
            or_why(&judged.expected_calibration_error, |v| fixed_or_dash(v, 4))
        ),
    );
    put(
        &mut text,
        format_args!(
            "equal error rate    {}  (all classes pooled; area under DET {})\n",
            or_why(&judged.pooled_equal_error_rate, percent_or_dash),
            or_why(&judged.pooled_det_area, |v| fixed_or_dash(v, 4))
        ),
    );
    put(
        &mut text,
        format_args!(
            "average cost        {}  (lowest with one threshold: {})\n\n",
            or_why(&judged.average_cost, |v| fixed_or_dash(v, 4)),
            or_why(&judged.minimum_average_cost, |v| fixed_or_dash(v, 4))
        ),
    );
    let heads = [
        "class",
        "examples",
        "recall",
        "95 %",
        "precision",
        "F1",
        "EER",
    ]
    .map(str::to_string);
    let rows = judged.per_class.iter().map(|class| {
        [
            plain(&class.label),
            thousands(class.support),
            percent_or_dash(&class.recall),
            percent_range(&class.recall_interval),
            percent_or_dash(&class.precision),
            percent_or_dash(&class.f1),
            percent_or_dash(&class.equal_error_rate),
        ]
    });
    text.push_str(&table(heads, rows.collect()));
    let pairs = judged.confusion.most_confused();
    if !pairs.is_empty() {
        text.push_str("\nmost often confused (true -> predicted)\n");
    }
    let label = |class: usize| plain(&judged.confusion.labels[class]);
    for (row, column, count) in pairs.into_iter().take(N_PAIRS) {
        put(
            &mut text,
            format_args!("  {} -> {}  {count}\n", label(row), label(column)),
        );
    }
    for breakdown in &judged.breakdowns {
        text.push('\n');
        text.push_str(&breakdown_table(breakdown));
    }
    text
}

/// A report in about a screen.
pub fn summary(report: &Report) -> String {
    let mut text = format!("{}\n", plain(&report.title));
    put(
        &mut text,
        format_args!(
            "run {}, made {}, device {}, seed {}\n",
            plain(&report.fingerprint),
            plain(&report.created),
            plain(&report.device),
            report.seed
        ),
    );
    let splits: Vec<String> = report
        .corpus
        .splits
        .iter()
        .map(|split| format!("{} {}", thousands(split.n_utterances), plain(&split.name)))
        .collect();
    let n_rejects: u64 = report
        .corpus
        .rejects
        .iter()
        .map(|reject| reject.n_files)
        .sum();
    put(
        &mut text,
        format_args!(
            "corpus {}: {}; {n_rejects} set aside\n",
            plain(&report.corpus.name),
            splits.join(", ")
        ),
    );
    let n_failed = report
        .trials
        .iter()
        .filter(|trial| matches!(trial.status, TrialStatus::Failed { .. }))
        .count();
    put(
        &mut text,
        format_args!("{} trials, {n_failed} failed", report.trials.len()),
    );
    if let Some(best) = report.best_trials().first() {
        put(
            &mut text,
            format_args!(
                "; best on validation: trial {} with {}",
                best.number,
                percent_or_dash(&best.validation_accuracy)
            ),
        );
    }
    text.push('\n');
    for spent in &report.budget.spent {
        put(
            &mut text,
            format_args!(
                "  {}: {}\n",
                plain(&spent.what),
                spent
                    .seconds
                    .number()
                    .map_or("not measured".into(), duration)
            ),
        );
    }
    text.push('\n');
    let heads = [
        "system",
        "params",
        "MACs/s",
        "state",
        "validation",
        "test",
        "95 % (Wilson)",
        "95 % (speaker)",
    ]
    .map(str::to_string);
    text.push_str(&table(heads, report.systems().map(system_row).collect()));
    for (name, system) in [("single", &report.single), ("ensemble", &report.ensemble)] {
        if let Some(why) = system.reason() {
            put(&mut text, format_args!("{name}: none, {}\n", plain(why)));
        }
    }
    for system in report.systems() {
        if let Some(why) = system.test.reason() {
            put(
                &mut text,
                format_args!(
                    "{}: not judged on test, {}\n",
                    plain(&system.name),
                    plain(why)
                ),
            );
        }
    }
    match &report.ensemble_gain {
        Measured::Value(gain) => put(
            &mut text,
            format_args!(
                "ensemble against single: {:+.2} to {:+.2} points (95 %, by speaker)\n",
                gain.low * 100.0,
                gain.high * 100.0
            ),
        ),
        Measured::Missing(why) => put(
            &mut text,
            format_args!("ensemble against single: not measured, {}\n", plain(why)),
        ),
    }
    text
}

fn system_row(system: &System) -> [String; 8] {
    let accuracy = |judged: &Measured<Judgement>| {
        judged.value().map_or_else(
            || super::format::DASH.to_string(),
            |judged| percent_or_dash(&judged.accuracy),
        )
    };
    let range = |of: fn(&Judgement) -> &Measured<super::Interval>| {
        system.test.value().map_or_else(
            || super::format::DASH.to_string(),
            |judged| percent_range(of(judged)),
        )
    };
    [
        plain(&system.name),
        thousands(system.cost.n_params),
        short(system.cost.macs_per_second as f64),
        bytes(system.cost.state_bytes),
        accuracy(&system.validation),
        accuracy(&system.test),
        range(|judged| &judged.accuracy_interval),
        range(|judged| &judged.accuracy_interval_by_speaker),
    ]
}

/// One line for each example: id, truth, prediction, right, probability of the prediction and of the truth, then all classes.
pub fn predictions_csv(scores: &Scores) -> Result<String, EvaluateError> {
    scores.validate()?;
    let mut csv = String::from("id,truth,predicted,right,p_predicted,p_truth");
    for label in &scores.labels {
        put(&mut csv, format_args!(",{}", field(&format!("p:{label}"))));
    }
    csv.push_str("\r\n");
    for example in 0..scores.n_examples() {
        let (truth, predicted, row) = (
            scores.truth[example],
            scores.prediction(example),
            scores.row(example),
        );
        put(
            &mut csv,
            format_args!(
                "{},{},{},{},{:.6},{:.6}",
                field(&scores.ids[example]),
                field(&scores.labels[truth]),
                field(&scores.labels[predicted]),
                truth == predicted,
                row[predicted],
                row[truth]
            ),
        );
        for probability in row {
            put(&mut csv, format_args!(",{probability:.6}"));
        }
        csv.push_str("\r\n");
    }
    Ok(csv)
}

/// One line for each class; a field is empty where there is no number.
pub fn classes_csv(judged: &Judgement) -> String {
    let mut csv = String::from(
        "class,examples,predicted,right,recall,recall_low,recall_high,precision,f1,equal_error_rate,det_area\r\n",
    );
    for class in &judged.per_class {
        put(
            &mut csv,
            format_args!(
                "{},{},{},{},{},{},{},{},{},{}\r\n",
                field(&class.label),
                class.support,
                class.n_predicted,
                class.n_correct,
                number_field(&class.recall),
                interval_fields(&class.recall_interval),
                number_field(&class.precision),
                number_field(&class.f1),
                number_field(&class.equal_error_rate),
                number_field(&class.det_area)
            ),
        );
    }
    csv
}

/// A field of CSV: quoted where it has to be.
pub(super) fn field(text: &str) -> String {
    if text.contains(['"', ',', '\r', '\n']) || text.starts_with(' ') || text.ends_with(' ') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_string()
    }
}

/// A number as a field of CSV, empty where there is none.
pub(super) fn number_field(value: &Measured) -> String {
    let number = value.number();
    number.map_or_else(String::new, |value| format!("{value:.6}"))
}

/// The ends of an interval as two fields of CSV, empty where there is none.
pub(super) fn interval_fields(interval: &Measured<Interval>) -> String {
    match interval.value() {
        Some(interval) => format!("{:.6},{:.6}", interval.low, interval.high),
        None => ",".into(),
    }
}

/// Text without what could move a cursor or turn the reading direction.
pub(super) fn plain(text: &str) -> String {
    let unsafe_character =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .map(|c| if unsafe_character(c) { '\u{fffd}' } else { c })
        .collect()
}

fn or_why(value: &Measured, show: impl Fn(&Measured) -> String) -> String {
    match value.reason() {
        Some(why) => format!("not measured: {}", plain(why)),
        None => show(value),
    }
}

/// Columns under their heads; the first from the left, the others from the right.
pub(super) fn table<const N: usize>(heads: [String; N], rows: Vec<[String; N]>) -> String {
    let all: Vec<&[String; N]> = std::iter::once(&heads).chain(&rows).collect();
    let width = |column: usize| {
        all.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in all {
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            match column {
                0 => put(&mut text, format_args!("{cell:<width$}")),
                _ => put(&mut text, format_args!("  {cell:>width$}")),
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores() -> Scores {
        let labels = ["yes, please", "no", "\u{1b}[31mred"]
            .map(str::to_string)
            .to_vec();
        let probabilities = vec![0.75, 0.125, 0.125, 0.5, 0.25, 0.25, 0.0, 1.0, 0.0];
        let ids = ["a \"b\".wav", "c.wav", "d,e.wav"]
            .map(str::to_string)
            .to_vec();
        Scores::new(labels, vec![0, 1, 1], probabilities, ids).expect("valid")
    }

    #[test]
    fn predictions_are_a_table_that_any_reader_of_csv_takes() {
        // python3 -c "import csv, sys; print(list(csv.reader(sys.stdin)))" splits these lines into nine fields each.
        let expected = [
            "id,truth,predicted,right,p_predicted,p_truth,\"p:yes, please\",p:no,p:\u{1b}[31mred",
            "\"a \"\"b\"\".wav\",\"yes, please\",\"yes, please\",true,0.750000,0.750000,0.750000,0.125000,0.125000",
            "c.wav,no,\"yes, please\",false,0.500000,0.250000,0.500000,0.250000,0.250000",
            "\"d,e.wav\",no,no,true,1.000000,1.000000,0.000000,1.000000,0.000000",
            "",
        ];
        assert_eq!(
            predictions_csv(&scores())
                .expect("valid")
                .split("\r\n")
                .collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn classes_without_examples_have_empty_fields_and_never_a_nan() {
        let csv = classes_csv(&Judgement::of(&scores()).expect("valid"));
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(
            lines[2],
            "no,2,1,1,0.500000,0.094531,0.905469,1.000000,0.666667,0.000000,0.000000"
        );
        assert_eq!(lines[3], "\u{1b}[31mred,0,0,0,,,,,,,");
        assert!(!csv.contains("NaN"));
    }

    #[test]
    fn a_label_cannot_repaint_the_terminal() {
        let text = judgement(&Judgement::of(&scores()).expect("valid"));
        assert!(
            !text.contains('\u{1b}') && text.contains("\u{fffd}[31mred"),
            "{text}"
        );
    }

    #[test]
    fn a_judgement_reads_as_a_table() {
        let text = judgement(&Judgement::of(&scores()).expect("valid"));
        assert!(
            text.starts_with("accuracy            66.67 %  (95 %: 20.8 – 93.9 %; 1 of 3 wrong)\n"),
            "{text}"
        );
        assert!(text.contains("by speaker        not measured: the speakers are not known\n"));
        assert!(
            text.contains(
                "no                  2   50.00 %    9.5 – 90.5 %   100.00 %  66.67 %  0.00 %\n"
            ),
            "{text}"
        );
        assert!(text.ends_with("  no -> yes, please  1\n"));
        assert!(!text.contains("NaN"));
    }
}
