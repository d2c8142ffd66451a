//! The dashboard as a picture of any size: what matters most comes first, the rest where there is room. Nothing is
//! read here and no clock is asked.

mod charts;
mod lists;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, LineGauge, Paragraph};

use super::reader::{Measure, Picture, Scored};
use crate::evaluate::format::{duration, percent, short, thousands};

/// What is drawn.
pub(super) struct View<'a> {
    /// Of the study, as the user wrote it, without a password.
    pub address: &'a str,
    /// `None` until the first answer.
    pub picture: Option<&'a Picture>,
    /// The store cannot be reached.
    pub away: Option<Away<'a>>,
    pub measure: Measure,
}

/// Since when and why there is nothing new.
#[derive(Clone, Copy)]
pub(super) struct Away<'a> {
    pub seconds: f64,
    pub reason: &'a str,
    /// Until the next attempt.
    pub retry_seconds: f64,
}

const TITLE: Style = Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD);
const LABEL: Style = Style::new().fg(Color::DarkGray);
const GOOD: Style = Style::new().fg(Color::Green);
const BAD: Style = Style::new().fg(Color::Red);
const WARNING: Style = Style::new().fg(Color::Black).bg(Color::Yellow);

/// Rows of charts that show something.
const MIN_CHART_ROWS: u16 = 8;

/// Draws the whole of it.
pub(super) fn draw(frame: &mut Frame, view: &View) {
    let area = frame.area();
    // The line about the database is the last to go.
    let [main, foot] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    frame.render_widget(footer(view, foot.width), foot);
    let Some(picture) = view.picture else {
        let text = format!("reading {} ...", view.address);
        frame.render_widget(Paragraph::new(text), main);
        return;
    };
    let head = head(picture);
    let n_head = head.len() as u16 + 1;
    let [head_area, budget_area, body] = Layout::vertical([
        Constraint::Length(head.len() as u16),
        Constraint::Length(u16::from(main.height >= n_head)),
        Constraint::Fill(1),
    ])
    .areas(main);
    frame.render_widget(Paragraph::new(head), head_area);
    budget(frame, budget_area, picture);
    let has_charts = body.width >= 30 && body.height >= MIN_CHART_ROWS + 8;
    let n_chart_rows = if has_charts {
        (body.height * 45 / 100).max(MIN_CHART_ROWS)
    } else {
        0
    };
    let [charts, lists] =
        Layout::vertical([Constraint::Length(n_chart_rows), Constraint::Fill(1)]).areas(body);
    if has_charts {
        draw_charts(frame, charts, picture, view.measure);
    }
    draw_lists(frame, lists, picture);
}

/// Who runs what, beside one another or, where that is too narrow, below; and what failed.
fn draw_lists(frame: &mut Frame, area: Rect, picture: &Picture) {
    let n_failures = lists::rows_of(picture.failures.len(), area.height / 3);
    let [upper, failures] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length(n_failures)]).areas(area);
    lists::failures(frame, failures, picture);
    let [running, workers] = if area.width >= 100 {
        Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)])
            .spacing(2)
            .areas(upper)
    } else {
        let n_workers = lists::rows_of(picture.workers.len(), upper.height / 2);
        Layout::vertical([Constraint::Fill(1), Constraint::Length(n_workers)]).areas(upper)
    };
    lists::running(frame, running, picture);
    lists::workers(frame, workers, picture);
}

fn draw_charts(frame: &mut Frame, area: Rect, picture: &Picture, measure: Measure) {
    match area.width {
        ..60 => charts::front(frame, area, picture, measure),
        60..110 => {
            let halves = [Constraint::Fill(1), Constraint::Length(36)];
            let [chart, table] = Layout::horizontal(halves).spacing(1).areas(area);
            charts::front(frame, chart, picture, measure);
            lists::front(frame, table, picture, measure);
        }
        _ => {
            let thirds = [
                Constraint::Fill(1),
                Constraint::Fill(1),
                Constraint::Length(36),
            ];
            let [best, chart, table] = Layout::horizontal(thirds).spacing(1).areas(area);
            charts::records(frame, best, picture, measure);
            charts::front(frame, chart, picture, measure);
            lists::front(frame, table, picture, measure);
        }
    }
}

/// A part of the picture with its title above it, apart from its neighbour's; what is left for its content.
fn section(frame: &mut Frame, area: Rect, title: &str) -> Rect {
    let room = usize::from(area.width.saturating_sub(1));
    let title: String = title.chars().take(room).collect();
    let block = Block::new()
        .borders(Borders::TOP)
        .border_style(LABEL)
        .title(Span::styled(format!("{title} "), TITLE));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    inner
}

fn labelled<'a>(label: &'static str, rest: impl Into<Span<'a>>) -> Line<'a> {
    Line::from(vec![
        Span::styled(format!("{label:<8}"), LABEL),
        rest.into(),
    ])
}

fn head(picture: &Picture) -> Vec<Line<'_>> {
    let status = picture.status.name();
    let title = Line::from(vec![
        Span::styled(picture.name.as_str(), TITLE),
        format!(
            " {status}, {} since its first trial",
            duration(picture.seconds)
        )
        .into(),
        Span::styled(format!(", run {}", picture.fingerprint), LABEL),
    ]);
    let counts: Vec<String> = picture
        .n_by_state
        .iter()
        .map(|(state, n)| format!("{} {state}", thousands(*n)))
        .collect();
    let counts = match counts.is_empty() {
        true => "none yet".into(),
        false => format!(
            "{}; {} of training",
            counts.join(", "),
            duration(picture.training_seconds)
        ),
    };
    let best = match picture.best() {
        None => "no trial has a result yet".into(),
        Some(best) => Span::styled(scored(best), GOOD.add_modifier(Modifier::BOLD)),
    };
    let mut lines = vec![title, labelled("trials", counts), labelled("best", best)];
    if let Some(best) = picture.best() {
        lines.push(labelled("", &*best.genome));
    }
    lines
}

fn scored(trial: &Scored) -> String {
    format!(
        "trial {}: {}, loss {:.4}, {} parameters, {} MACs/s",
        trial.number,
        percent(trial.accuracy, 2),
        trial.loss,
        thousands(trial.n_params),
        short(trial.macs_per_second as f64),
    )
}

/// How much of each limit is used and what is left of it.
fn budget(frame: &mut Frame, area: Rect, picture: &Picture) {
    let Some(budget) = &picture.budget else {
        let text = "no recipe at hand that says it";
        frame.render_widget(labelled("budget", text), area);
        return;
    };
    let (n, spent) = (picture.n_begun, picture.spent_seconds / 60.0);
    let of_trials = budget.n_trials.map(|most| {
        let left = thousands(most.saturating_sub(n));
        let text = format!("{left} of {} trials left", thousands(most));
        (text, n as f64 / most.max(1) as f64)
    });
    let of_minutes = budget.minutes.map(|most| {
        let left = duration(60.0 * (most - spent).max(0.0));
        let text = format!("{left} of {} left", duration(60.0 * most));
        (text, spent / most.max(f64::MIN_POSITIVE))
    });
    let gauges: Vec<(String, f64)> = of_trials.into_iter().chain(of_minutes).collect();
    let [label, rest] =
        Layout::horizontal([Constraint::Length(8), Constraint::Fill(1)]).areas(area);
    frame.render_widget(Span::styled("budget", LABEL), label);
    let areas = Layout::horizontal(gauges.iter().map(|_| Constraint::Fill(1)))
        .spacing(2)
        .split(rest);
    for ((text, used), area) in gauges.into_iter().zip(areas.iter()) {
        let gauge = LineGauge::default()
            .label(text)
            .filled_style(TITLE)
            .unfilled_style(LABEL)
            .ratio(if used.is_finite() {
                used.clamp(0.0, 1.0)
            } else {
                1.0
            });
        frame.render_widget(gauge, *area);
    }
}

fn footer<'a>(view: &View, width: u16) -> Line<'a> {
    if let Some(away) = view.away {
        let text = format!(
            " no answer for {}: asking again in {:.0} s; q leaves. {} ",
            duration(away.seconds),
            away.retry_seconds.ceil(),
            away.reason
        );
        return Line::styled(text, WARNING);
    }
    let shown = view.measure.name();
    let other = view.measure.other().name();
    let keys = match width {
        ..24 => "q leaves".into(),
        24..60 => format!("q leaves, m {other}"),
        _ => format!("q leaves, m shows {other} in place of {shown}"),
    };
    Line::styled(keys, LABEL)
}
