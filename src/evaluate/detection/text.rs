//! Judgements of detections as plain text: a line a condition, a line a keyword.

use std::fmt::Write;

use super::{EventJudgement, RecordingJudgement};
use crate::evaluate::format::{DASH, fixed_or_dash, percent_or_dash};
use crate::evaluate::text::plain;
use crate::evaluate::{Interval, Measured};

/// The head of the columns that [`row`] writes, after a name `n_name` wide.
pub fn head(name: &str, n_name: usize) -> String {
    format!(
        "{name:<n_name$}{:>9}{:>9}{:>18}{:>10}{:>20}{:>8}{:>10}\n",
        "targets", "missed", "95 % (Wilson)", "false/h", "95 % (Poisson)", "hours", "latency"
    )
}

/// One judgement in a line.
pub fn row(name: &str, n_name: usize, judged: &EventJudgement) -> String {
    let percents =
        |Interval { low, high }: &Interval| format!("{:.1} - {:.1} %", 100.0 * low, 100.0 * high);
    let rates = |Interval { low, high }: &Interval| format!("{low:.2} - {high:.2}");
    let interval = |measured: &Measured<Interval>, show: &dyn Fn(&Interval) -> String| {
        measured.value().map_or_else(|| DASH.to_owned(), show)
    };
    let name = plain(name);
    let latency = match judged.median_latency_s.number() {
        Some(seconds) => format!("{seconds:.2} s"),
        None => DASH.to_owned(),
    };
    format!(
        "{name:<n_name$}{:>9}{:>9}{:>18}{:>10}{:>20}{:>8.2}{:>10}\n",
        judged.n_targets,
        percent_or_dash(&judged.miss_rate),
        interval(&judged.miss_rate_interval, &percents),
        fixed_or_dash(&judged.false_accepts_per_hour, 2),
        interval(&judged.false_accepts_per_hour_interval, &rates),
        judged.exposure_h,
        latency,
    )
}

/// All keywords together and each by itself.
pub fn table(title: &str, judged: &RecordingJudgement) -> String {
    let names = judged
        .per_keyword
        .iter()
        .filter_map(|k| k.keyword.as_deref());
    let n_name = names
        .chain([title, "all keywords"])
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0)
        .min(40)
        + 2;
    let mut text = head(title, n_name);
    for keyword in &judged.per_keyword {
        let name = keyword.keyword.as_deref().unwrap_or(DASH);
        text.push_str(&row(name, n_name, keyword));
    }
    // A table has a row at least: with nothing to hear and nothing heard, how long it was listened.
    if judged.per_keyword.len() != 1 {
        text.push_str(&row("all keywords", n_name, &judged.total));
    }
    if judged.per_keyword.len() > 1 {
        let mean = percent_or_dash(&judged.macro_miss_rate);
        let _ = writeln!(text, "mean of the keywords' miss rates: {mean}");
    }
    if judged.total.n_confusions + judged.total.n_repeats > 0 {
        let _ = writeln!(
            text,
            "{} heard as another keyword, {} heard twice: neither counts as a false accept",
            judged.total.n_confusions, judged.total.n_repeats
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::evaluate::detection::{Event, MatchSpec, Recording, Target, match_events};

    use super::*;

    #[test]
    fn a_table_lines_up_and_says_what_was_not_measured_with_a_dash() {
        let recording = Recording {
            targets: vec![Target {
                keyword: "stop\u{1b}".into(),
                start_s: 1.0,
                end_s: 1.5,
            }],
            events: vec![
                Event {
                    keyword: "stop\u{1b}".into(),
                    at_s: 1.75,
                    score: 0.9,
                    latency_s: None,
                },
                Event {
                    keyword: "go".into(),
                    at_s: 30.0,
                    score: 0.9,
                    latency_s: None,
                },
            ],
            audio_s: 3601.0,
        };
        let judged = match_events(&[recording], &MatchSpec::half_second()).expect("valid");
        let text = table("clean", &judged);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        let width = lines[0].chars().count();
        assert!(
            lines[1..4].iter().all(|line| line.chars().count() == width),
            "{text}"
        );
        assert!(lines[1].starts_with("go") && lines[1].contains(DASH));
        assert!(lines[2].starts_with("stop\u{fffd}") && lines[2].contains("0.25 s"));
        assert!(lines[3].contains("0.03 - 5.57"), "{text}");
    }

    #[test]
    fn an_hour_in_which_nothing_was_said_or_heard_has_its_row() {
        let recording = Recording {
            targets: Vec::new(),
            events: Vec::new(),
            audio_s: 3600.0,
        };
        let judged = match_events(&[recording], &MatchSpec::half_second()).expect("valid");
        let text = table("quiet", &judged);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[1].starts_with("all keywords") && lines[1].contains("0.00 - 3.69"));
    }
}
