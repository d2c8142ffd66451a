//! Runs of one recipe that differ in their seed: each system's mean, and how far another seed may be from it.
//!
//! The intervals are of the seeds alone: all runs are judged on the same clips, so they say nothing of other clips or people;
//! for these read each run's own intervals.

use serde::Serialize;

use super::format::{DASH, percent_or_dash, percent_range, short, thousands};
use super::intervals::student_t;
use super::report::{Report, plain_table};
use super::side_by_side::{self, Row, page, with_notes};
use super::text::{field, interval_fields, number_field, plain, table};
use super::{Interval, Measured};

/// What the systems are compared by, on the test split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// The share of all clips.
    Accuracy,
    /// The mean of the classes' shares: a class of many clips counts no more than one of few.
    BalancedAccuracy,
}

impl Score {
    fn of(self, row: &Row) -> Measured {
        match self {
            Score::Accuracy => row.test_accuracy.clone(),
            Score::BalancedAccuracy => row.balanced_accuracy.clone(),
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Score::Accuracy => "test, mean",
            Score::BalancedAccuracy => "test, balanced, mean",
        }
    }
}

/// One system over the runs that have it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OverSeeds {
    pub system: String,
    /// Least and most.
    pub n_params: [u64; 2],
    /// Multiply-accumulates per second of audio, least and most.
    pub macs_per_second: [u64; 2],
    /// By seed.
    pub seeds: Vec<SeedScore>,
    /// The mean of the seeds' scores.
    pub test: Measured,
    /// 95 % of the mean, by Student's t.
    pub test_interval: Measured<Interval>,
    /// The mean of this one's score less the first system's, over the runs that have both. Shares, not percent.
    pub ahead_of_first: Measured,
    /// 95 % of it, by Student's t.
    pub ahead_interval: Measured<Interval>,
}

/// What one run has of a system.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeedScore {
    pub run: String,
    pub seed: u64,
    pub test: Measured,
}

impl OverSeeds {
    fn of(system: &str, rows: &[&Row], score: Score) -> Self {
        let range = |of: fn(&Row) -> u64| {
            let values = rows.iter().map(|row| of(row));
            [
                values.clone().min().unwrap_or_default(),
                values.max().unwrap_or_default(),
            ]
        };
        let mut seeds: Vec<SeedScore> = rows
            .iter()
            .map(|row| SeedScore {
                run: row.run.clone(),
                seed: row.seed,
                test: score.of(row),
            })
            .collect();
        seeds.sort_by_key(|score| score.seed);
        let scores: Vec<f64> = seeds.iter().filter_map(SeedScore::number).collect();
        let within = |interval: Interval| Interval {
            low: interval.low.max(0.0),
            high: interval.high.min(1.0),
        };
        OverSeeds {
            system: system.into(),
            n_params: range(|row| row.n_params),
            macs_per_second: range(|row| row.macs_per_second),
            test: mean(&scores, "no run judged it on a test split"),
            test_interval: match student_t(&scores) {
                Measured::Value(interval) => Measured::Value(within(interval)),
                missing => missing,
            },
            seeds,
            ahead_of_first: Measured::missing("it is the first"),
            ahead_interval: Measured::missing("it is the first"),
        }
    }

    /// Its score less another's, in each of the runs that have both.
    fn ahead_of(&self, other: &OverSeeds) -> Vec<f64> {
        let pairs = self.seeds.iter().filter_map(|score| {
            let same = other.seeds.iter().find(|other| other.run == score.run)?;
            Some(score.number()? - same.number()?)
        });
        pairs.collect()
    }

    fn cells(&self) -> [String; 7] {
        let each = self.seeds.iter().map(|score| {
            let percent = score.number().map(|share| format!("{:.2}", share * 100.0));
            let percent = percent.unwrap_or_else(|| DASH.into());
            format!("{}: {percent}", score.seed)
        });
        let range = |[low, high]: [u64; 2], said: fn(u64) -> String| match low == high {
            true => said(low),
            false => format!("{} – {}", said(low), said(high)),
        };
        [
            plain(&self.system),
            range(self.n_params, thousands),
            range(self.macs_per_second, |macs| short(macs as f64)),
            percent_or_dash(&self.test),
            percent_range(&self.test_interval),
            match (self.ahead_of_first.number(), self.ahead_interval.value()) {
                (Some(mean), Some(Interval { low, high })) => {
                    let [mean, low, high] = [mean, *low, *high].map(|share| share * 100.0);
                    format!("{mean:+.2} ({low:+.2} – {high:+.2})")
                }
                (Some(mean), None) => format!("{:+.2}", mean * 100.0),
                (None, _) => DASH.into(),
            },
            each.collect::<Vec<_>>().join(", "),
        ]
    }
}

fn mean(values: &[f64], none: &str) -> Measured {
    match values.len() {
        0 => Measured::missing(none),
        n => Measured::from(values.iter().sum::<f64>() / n as f64),
    }
}

impl SeedScore {
    fn number(&self) -> Option<f64> {
        self.test.number()
    }
}

/// A row for each system, in the order in which the runs name them.
pub fn rows(runs: &[(String, Report)], score: Score) -> Vec<OverSeeds> {
    let all = side_by_side::rows(runs);
    let mut names: Vec<&str> = Vec::new();
    for row in &all {
        if !names.contains(&row.system.as_str()) {
            names.push(&row.system);
        }
    }
    let mut rows: Vec<OverSeeds> = names
        .iter()
        .map(|name| {
            let of_system: Vec<&Row> = all.iter().filter(|row| row.system == *name).collect();
            OverSeeds::of(name, &of_system, score)
        })
        .collect();
    if let Some((first, rest)) = rows.split_first_mut() {
        for row in rest {
            let ahead = row.ahead_of(first);
            row.ahead_of_first = mean(&ahead, "no run has both");
            row.ahead_interval = student_t(&ahead);
        }
    }
    rows
}

fn heads(score: Score) -> [&'static str; 7] {
    [
        "system",
        "params",
        "MACs/s",
        score.heading(),
        "95 % (seeds)",
        "points ahead of the first (95 %)",
        "by seed",
    ]
}

/// What makes these no runs of one recipe over seeds, if anything does.
fn warnings(runs: &[(String, Report)]) -> Vec<String> {
    let mut warnings = side_by_side::warnings(runs);
    for (at, (name, report)) in runs.iter().enumerate() {
        let (name, before) = (plain(name), &runs[..at]);
        if let Some((first, other)) = before.first()
            && other.title != report.title
        {
            let first = plain(first);
            warnings.push(format!(
                "{name} is of the recipe {:?} and {first} of {:?}: they differ in more than their seed",
                report.title, other.title
            ));
        }
        if let Some((twin, _)) = before.iter().find(|run| run.1.seed == report.seed) {
            warnings.push(format!(
                "{name} has the seed of {}, {}: the interval is too narrow where both are in it",
                plain(twin),
                report.seed
            ));
        }
    }
    warnings
}

/// The table, and what must be known to read it.
pub fn text(runs: &[(String, Report)], score: Score) -> String {
    let cells = rows(runs, score).iter().map(OverSeeds::cells).collect();
    with_notes(
        table(heads(score).map(str::to_owned), cells),
        warnings(runs),
    )
}

/// One line a system; a field is empty where there is no number.
pub fn csv(runs: &[(String, Report)], score: Score) -> String {
    let mut csv = String::from(
        "system,params_low,params_high,macs_per_second_low,macs_per_second_high,n_seeds,test,test_low,test_high,ahead,ahead_low,ahead_high\r\n",
    );
    for row in rows(runs, score) {
        let fields = [
            field(&row.system),
            row.n_params.map(|n| n.to_string()).join(","),
            row.macs_per_second.map(|n| n.to_string()).join(","),
            row.seeds.len().to_string(),
            number_field(&row.test),
            interval_fields(&row.test_interval),
            number_field(&row.ahead_of_first),
            interval_fields(&row.ahead_interval),
        ];
        csv.push_str(&fields.join(","));
        csv.push_str("\r\n");
    }
    csv
}

/// The table as one HTML file.
pub fn html(runs: &[(String, Report)], score: Score) -> String {
    let cells: Vec<Vec<String>> = rows(runs, score)
        .iter()
        .map(|row| row.cells().to_vec())
        .collect();
    page(
        "Runs over seeds",
        plain_table(&heads(score), &cells),
        warnings(runs),
    )
}

#[cfg(test)]
mod tests {
    use super::super::report::{System, sample};
    use super::*;

    /// The sample's report with this seed, its single network and ensemble that accurate.
    fn run(seed: u64, single: f64, ensemble: f64) -> (String, Report) {
        let mut report = sample::report(&sample::USUAL);
        report.seed = seed;
        report.baselines.clear();
        let set = |system: &mut Measured<System>, accuracy: f64| {
            if let Measured::Value(System {
                test: Measured::Value(judged),
                ..
            }) = system
            {
                judged.accuracy = Measured::from(accuracy);
            } else {
                panic!("the sample has judged systems");
            }
        };
        set(&mut report.single, single);
        set(&mut report.ensemble, ensemble);
        (format!("run {seed}"), report)
    }

    #[test]
    fn a_system_has_its_mean_over_seeds_and_the_interval_of_students_t() {
        let runs = [run(1, 0.97, 0.98), run(2, 0.96, 0.98), run(3, 0.98, 0.98)];
        let rows = rows(&runs, Score::Accuracy);
        assert_eq!(rows.len(), 2);
        let single = &rows[0];
        assert!((single.test.number().unwrap() - 0.97).abs() < 1e-12);
        // 0.97 and 4.303 * 0.01 / sqrt(3) to both sides, cut at 1 where it is above.
        let half = 4.302_653 * 0.01 / 3_f64.sqrt();
        let interval = single.test_interval.value().unwrap();
        assert!((interval.low - (0.97 - half)).abs() < 1e-6);
        assert!((interval.high - (0.97 + half)).abs() < 1e-6);
        let ensemble = &rows[1];
        let always = ensemble.test_interval.value().unwrap();
        assert!((always.low - 0.98).abs() < 1e-12 && (always.high - 0.98).abs() < 1e-12);
        // Of the differences 1, 2 and 0 points.
        assert!((ensemble.ahead_of_first.number().unwrap() - 0.01).abs() < 1e-12);
        let ahead = ensemble.ahead_interval.value().unwrap();
        assert!((ahead.low - (0.01 - half)).abs() < 1e-6);
        assert!((ahead.high - (0.01 + half)).abs() < 1e-6);
        let [first, second, third] = runs.clone();
        let said = text(&[third, first, second], Score::Accuracy);
        assert!(said.contains("1: 97.00, 2: 96.00, 3: 98.00"), "{said}");
        assert!(said.contains("+1.00 (-1.48 – +3.48)"), "{said}");
        assert!(!said.contains("note:"), "{said}");
        assert_eq!(csv(&runs, Score::Accuracy).lines().count(), 3);
        assert!(html(&runs, Score::Accuracy).contains("Runs over seeds"));
    }

    #[test]
    fn one_run_has_no_interval_and_runs_that_are_no_seeds_of_one_recipe_are_named() {
        let one = [run(1, 0.97, 0.98)];
        let rows = rows(&one, Score::Accuracy);
        assert!(rows[0].test_interval.reason().is_some());
        assert!((rows[1].ahead_of_first.number().unwrap() - 0.01).abs() < 1e-12);
        assert!(rows[1].ahead_interval.reason().is_some());
        let mut other = run(1, 0.9, 0.9);
        other.0 = "other".into();
        other.1.title = "another recipe".into();
        let said = text(&[one[0].clone(), other], Score::Accuracy);
        assert!(said.contains("other has the seed of run 1, 1"), "{said}");
        assert!(said.contains("differ in more than their seed"), "{said}");
    }

    #[test]
    fn classes_of_unlike_sizes_are_compared_by_the_mean_of_their_shares() {
        let mut runs = [run(1, 0.9, 0.8), run(2, 0.9, 0.8)];
        for (at, (_, report)) in runs.iter_mut().enumerate() {
            let balance = |system: &mut Measured<System>, share: f64| {
                if let Measured::Value(System {
                    test: Measured::Value(judged),
                    ..
                }) = system
                {
                    judged.balanced_accuracy = Measured::from(share);
                }
            };
            balance(&mut report.single, 0.4 + 0.1 * at as f64);
            balance(&mut report.ensemble, 0.6);
        }
        let rows = rows(&runs, Score::BalancedAccuracy);
        assert!((rows[0].test.number().unwrap() - 0.45).abs() < 1e-12);
        assert!((rows[1].ahead_of_first.number().unwrap() - 0.15).abs() < 1e-12);
        let said = text(&runs, Score::BalancedAccuracy);
        assert!(said.contains("test, balanced, mean"), "{said}");
        assert!(said.contains("1: 40.00, 2: 50.00"), "{said}");
    }
}
