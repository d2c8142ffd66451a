//! The systems of several runs in one table.
//!
//! Reports in, rows out. Reports hold no answers, so runs are set side by side and not paired: two bundles are compared on the
//! same clips by [`super::Paired`].

use serde::Serialize;

use super::format::{DASH, fixed_or_dash, percent_or_dash, percent_range, short, thousands};
use super::report::{Report, SoundSection, System, plain_table, sound_page};
use super::text::{field, interval_fields, number_field, plain, table};
use super::{Interval, Judgement, Measured};

/// One system of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub run: String,
    pub title: String,
    pub corpus: String,
    pub seed: u64,
    pub system: String,
    pub n_params: u64,
    /// Multiply-accumulates per second of audio.
    pub macs_per_second: u64,
    pub validation_accuracy: Measured,
    pub n_test: u64,
    pub test_accuracy: Measured,
    pub test_interval: Measured<Interval>,
    pub test_interval_by_speaker: Measured<Interval>,
    pub balanced_accuracy: Measured,
    pub pooled_equal_error_rate: Measured,
    pub average_cost: Measured,
}

/// Every system of every run, in the order given; each run has a name.
pub fn rows(runs: &[(String, Report)]) -> Vec<Row> {
    let of_run = |(name, report): &(String, Report)| -> Vec<Row> {
        let row = |system: &System| row(name, report, system);
        report.systems().map(row).collect()
    };
    runs.iter().flat_map(of_run).collect()
}

fn row(name: &str, report: &Report, system: &System) -> Row {
    let test = system.test.value();
    let missing = || system.test.reason().unwrap_or("not judged").to_owned();
    let number = |of: fn(&Judgement) -> &Measured| match test {
        Some(judged) => of(judged).clone(),
        None => Measured::Missing(missing()),
    };
    let interval = |of: fn(&Judgement) -> &Measured<Interval>| match test {
        Some(judged) => of(judged).clone(),
        None => Measured::Missing(missing()),
    };
    Row {
        run: name.into(),
        title: report.title.clone(),
        corpus: report.corpus.name.clone(),
        seed: report.seed,
        system: system.name.clone(),
        n_params: system.cost.n_params,
        macs_per_second: system.cost.macs_per_second,
        validation_accuracy: match &system.validation {
            Measured::Value(judged) => judged.accuracy.clone(),
            Measured::Missing(why) => Measured::missing(why.clone()),
        },
        n_test: test.map_or(0, |judged| judged.n_examples),
        test_accuracy: number(|judged| &judged.accuracy),
        test_interval: interval(|judged| &judged.accuracy_interval),
        test_interval_by_speaker: interval(|judged| &judged.accuracy_interval_by_speaker),
        balanced_accuracy: number(|judged| &judged.balanced_accuracy),
        pooled_equal_error_rate: number(|judged| &judged.pooled_equal_error_rate),
        average_cost: number(|judged| &judged.average_cost),
    }
}

const HEADS: [&str; 11] = [
    "run",
    "system",
    "params",
    "MACs/s",
    "validation",
    "test",
    "95 % (Wilson)",
    "95 % (speaker)",
    "balanced",
    "EER",
    "Cavg",
];

fn cells(row: &Row) -> [String; 11] {
    [
        plain(&row.run),
        plain(&row.system),
        thousands(row.n_params),
        short(row.macs_per_second as f64),
        percent_or_dash(&row.validation_accuracy),
        percent_or_dash(&row.test_accuracy),
        percent_range(&row.test_interval),
        percent_range(&row.test_interval_by_speaker),
        percent_or_dash(&row.balanced_accuracy),
        percent_or_dash(&row.pooled_equal_error_rate),
        fixed_or_dash(&row.average_cost, 4),
    ]
}

/// What makes the rows of some runs no comparison, if anything does.
pub(super) fn warnings(runs: &[(String, Report)]) -> Vec<String> {
    let test = |report: &Report| {
        let mut splits = report.corpus.splits.iter();
        let test = splits.find(|split| split.name == "test");
        (report.corpus.name.clone(), test.cloned())
    };
    let mut warnings = Vec::new();
    if let Some((first, rest)) = runs.split_first() {
        for other in rest.iter().filter(|other| test(&other.1) != test(&first.1)) {
            warnings.push(format!(
                "{} was judged on another test split than {}: their accuracies are not of the same clips",
                plain(&other.0),
                plain(&first.0)
            ));
        }
    }
    warnings
}

/// The table, and what must be known to read it.
pub fn text(runs: &[(String, Report)]) -> String {
    let cells = rows(runs).iter().map(cells).collect();
    with_notes(table(HEADS.map(str::to_owned), cells), warnings(runs))
}

/// A table and, below it, the notes that belong to it.
pub(super) fn with_notes(mut text: String, notes: Vec<String>) -> String {
    for note in notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}

/// One line a system; a field is empty where there is no number.
pub fn csv(runs: &[(String, Report)]) -> String {
    let mut csv = String::from(
        "run,title,corpus,seed,system,params,macs_per_second,validation,n_test,test,test_low,test_high,speaker_low,speaker_high,balanced,pooled_eer,average_cost\r\n",
    );
    for row in rows(runs) {
        let fields = [
            field(&row.run),
            field(&row.title),
            field(&row.corpus),
            row.seed.to_string(),
            field(&row.system),
            row.n_params.to_string(),
            row.macs_per_second.to_string(),
            number_field(&row.validation_accuracy),
            row.n_test.to_string(),
            number_field(&row.test_accuracy),
            interval_fields(&row.test_interval),
            interval_fields(&row.test_interval_by_speaker),
            number_field(&row.balanced_accuracy),
            number_field(&row.pooled_equal_error_rate),
            number_field(&row.average_cost),
        ];
        csv.push_str(&fields.join(","));
        csv.push_str("\r\n");
    }
    csv
}

/// The table as one HTML file.
pub fn html(runs: &[(String, Report)]) -> String {
    let cells: Vec<Vec<String>> = rows(runs).iter().map(|row| cells(row).to_vec()).collect();
    page(
        "Runs side by side",
        plain_table(&HEADS, &cells),
        warnings(runs),
    )
}

/// A page of one table of systems and the notes that belong to it.
pub(super) fn page(title: &str, table: String, notes: Vec<String>) -> String {
    let notes: Vec<(String, String)> = notes
        .into_iter()
        .map(|note| ("note".to_owned(), note))
        .collect();
    let part = SoundSection {
        title: "Systems".into(),
        note: format!("{DASH}: not measured"),
        pictures: vec![table],
    };
    sound_page(title, &notes, &[part])
}

#[cfg(test)]
mod tests {
    use super::super::report::sample;
    use super::*;

    #[test]
    fn every_system_of_every_run_has_a_row_and_other_test_splits_are_said() {
        let report = sample::report(&sample::USUAL);
        let mut other = report.clone();
        other.corpus.name = "another corpus".into();
        let runs = vec![("a".to_owned(), report.clone()), ("b".to_owned(), other)];
        let n = report.systems().count();
        assert!(n > 0);
        assert_eq!(rows(&runs).len(), 2 * n);
        assert_eq!(csv(&runs).lines().count(), 1 + 2 * n);
        let text = text(&runs);
        assert!(text.contains("b was judged on another test split than a"));
        for system in report.systems() {
            assert!(text.contains(&system.name));
        }
        assert!(html(&runs).contains("another test split"));
        let same = vec![("a".to_owned(), report.clone()), ("b".to_owned(), report)];
        assert!(!super::text(&same).contains("note:"));
    }
}
