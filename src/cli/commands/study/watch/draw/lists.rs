//! Trials, workers and failures, a line each, as many as there is room for; the title says how many there are.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Row, Table};

use super::super::super::workers::Worker;
use super::super::reader::{Measure, Picture, Running};
use super::{BAD, GOOD, LABEL, section};
use crate::evaluate::format::{DASH, duration, percent, thousands};

/// Below this share of its lease a worker is late.
const LATE: Style = Style::new().fg(Color::Yellow);

/// Columns of a curve.
const CURVE_WIDTH: usize = 16;

/// Rows that so many lines need with their titles, as far as there is room; none where there is no line.
pub(super) fn rows_of(n_lines: usize, room: u16) -> u16 {
    match n_lines.min(1000) as u16 {
        0 => 0,
        n => (n + 2).min(room),
    }
}

/// A table with its heads, where they take no more than a third of the room.
fn table<'a>(
    frame: &mut Frame,
    area: Rect,
    head: &[&'a str],
    widths: &[Constraint],
    rows: Vec<Row<'a>>,
) {
    let mut table = Table::new(rows, widths.to_vec());
    if area.height >= 3 {
        table = table.header(Row::new(head.to_vec()).style(LABEL));
    }
    frame.render_widget(table, area);
}

/// Trials that no other beats in that measure and in size, the best first.
pub(super) fn front(frame: &mut Frame, area: Rect, picture: &Picture, measure: Measure) {
    let front = picture.front(measure);
    let inner = section(frame, area, &format!("front: {}", front.len()));
    let rows = front.into_iter().rev().map(|trial| {
        Row::new([
            trial.number.to_string(),
            percent(trial.accuracy, 2),
            format!("{:.4}", trial.loss),
            thousands(trial.n_params),
        ])
    });
    let widths = [6, 8, 7, 10].map(Constraint::Length);
    let head = ["trial", "accuracy", "loss", "parameters"];
    table(frame, inner, &head, &widths, rows.collect());
}

/// Trials that workers have, with their curves.
pub(super) fn running(frame: &mut Frame, area: Rect, picture: &Picture) {
    let n = picture.running.len();
    let inner = section(frame, area, &format!("running: {n}"));
    if n == 0 {
        let text = Line::styled("no worker has a trial", LABEL);
        frame.render_widget(text, inner);
        return;
    }
    let row = |trial: &Running| {
        let epoch = match picture.n_epochs {
            Some(all) => format!("{}/{all}", trial.losses.len()),
            None => trial.losses.len().to_string(),
        };
        let accuracy = trial.accuracy.map_or(DASH.into(), |it| percent(it, 1));
        let loss = trial.losses.last();
        let loss = loss.map_or(DASH.into(), |it| format!("{it:.4}"));
        let again = match trial.attempt {
            0 | 1 => String::new(),
            attempt => format!("attempt {attempt}, "),
        };
        Row::new([
            Span::raw(trial.number.to_string()),
            Span::raw(epoch),
            Span::raw(accuracy),
            Span::raw(loss),
            Span::styled(curve(&trial.losses, CURVE_WIDTH), GOOD),
            Span::raw(format!("{again}{}", trial.worker)),
            Span::raw(trial.genome.to_string()),
        ])
    };
    let rows: Vec<Row> = picture.running.iter().map(row).collect();
    let widths = [
        Constraint::Length(6),
        Constraint::Length(6),
        Constraint::Length(8),
        Constraint::Length(7),
        Constraint::Length(CURVE_WIDTH as u16),
        Constraint::Fill(1),
        Constraint::Fill(1),
    ];
    let head = [
        "trial",
        "epoch",
        "accuracy",
        "loss",
        "loss by epoch",
        "worker",
        "network",
    ];
    // The network only where the worker's name has room beside it.
    let n_columns = if inner.width >= 90 { 7 } else { 6 };
    table(frame, inner, &head[..n_columns], &widths[..n_columns], rows);
}

/// Who has trials, and when they were last heard by the store's clock.
pub(super) fn workers(frame: &mut Frame, area: Rect, picture: &Picture) {
    let title = format!("workers with trials: {}", picture.workers.len());
    let inner = section(frame, area, &title);
    let row = |worker: &Worker| {
        let trials: Vec<String> = worker.trials.iter().map(u64::to_string).collect();
        let heard = format!("{} ago", duration(worker.seconds_since_beat.max(0.0)));
        let lease = match worker.seconds_left {
            None => Span::raw("none"),
            Some(left) if left < 0.0 => {
                Span::styled(format!("ran out {} ago", duration(-left)), BAD)
            }
            Some(left) => {
                let style = match left < worker.seconds_since_beat {
                    true => LATE,
                    false => Style::new(),
                };
                Span::styled(format!("{} left", duration(left)), style)
            }
        };
        Row::new([
            Span::raw(worker.name.clone()),
            Span::raw(heard),
            lease,
            Span::raw(trials.join(" ")),
        ])
    };
    let rows: Vec<Row> = picture.workers.iter().map(row).collect();
    let widths = [
        Constraint::Fill(2),
        Constraint::Length(14),
        Constraint::Length(16),
        Constraint::Fill(1),
    ];
    let head = ["worker", "last heard", "lease", "trials"];
    table(frame, inner, &head, &widths, rows);
}

/// What went wrong, by kind.
pub(super) fn failures(frame: &mut Frame, area: Rect, picture: &Picture) {
    if picture.failures.is_empty() {
        return;
    }
    let all = picture.failures.iter();
    let n: u64 = all.map(|it| it.n_ended + it.n_retried).sum();
    let inner = section(frame, area, &format!("failures: {}", thousands(n)));
    let rows = picture.failures.iter().map(|failures| {
        Row::new([
            Span::styled(failures.kind.name(), BAD),
            Span::raw(thousands(failures.n_ended)),
            Span::raw(thousands(failures.n_retried)),
            Span::raw(
                failures
                    .reason
                    .lines()
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            ),
        ])
    });
    let widths = [
        Constraint::Length(13),
        Constraint::Length(6),
        Constraint::Length(11),
        Constraint::Fill(1),
    ];
    let head = ["failure", "ended", "tried again", "the last one's reason"];
    table(frame, inner, &head, &widths, rows.collect());
}

/// A curve as bars from its least to its greatest value, over at most so many columns; a loss that is not finite is
/// a gap.
fn curve(values: &[f64], width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let finite = || values.iter().copied().filter(|it| it.is_finite());
    let low = finite().fold(f64::INFINITY, f64::min);
    let high = finite().fold(f64::NEG_INFINITY, f64::max);
    let n_columns = values.len().min(width);
    let bar = |column: usize| {
        // The last value always stands in the last column.
        let value = values[(column + 1) * values.len() / n_columns - 1];
        if !value.is_finite() {
            return ' ';
        }
        let share = if high > low {
            (value - low) / (high - low)
        } else {
            0.0
        };
        BARS[(share * 7.0).round() as usize]
    };
    (0..n_columns).map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::curve;

    #[test]
    fn a_curve_falls_from_its_greatest_to_its_least_value_whatever_its_length() {
        assert_eq!(curve(&[8.0, 6.0, 4.0, 1.0], 16), "█▆▄▁");
        let long: Vec<f64> = (0..1000).rev().map(f64::from).collect();
        let drawn = curve(&long, 8);
        assert_eq!(
            (drawn.chars().count(), drawn.chars().last()),
            (8, Some('▁'))
        );
        assert_eq!(curve(&[2.0, f64::NAN, 1.0], 16), "█ ▁");
        assert_eq!(curve(&[2.0, 2.0], 16), "▁▁");
        assert_eq!(curve(&[], 16), "");
    }
}
