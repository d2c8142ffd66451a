//! The best so far and the front, as points in a plane.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::symbols::Marker;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType};

use super::super::reader::{Measure, Picture, Scored};
use super::{GOOD, LABEL, section};
use crate::evaluate::format::{percent, short, thousands};

const OTHERS: Style = Style::new().fg(Color::Gray);

/// The best value so far by trial, as a line that falls (or, of accuracies, rises).
pub(super) fn records(frame: &mut Frame, area: Rect, picture: &Picture, measure: Measure) {
    let title = format!("best {} so far, by trial", measure.name());
    let inner = section(frame, area, &title);
    let records = picture.records(measure);
    let last = picture.n_begun.saturating_sub(1) as f64;
    let mut line: Vec<(f64, f64)> = Vec::with_capacity(2 * records.len() + 1);
    for record in &records {
        if let Some((_, before)) = line.last().copied() {
            line.push((record.number as f64, before));
        }
        line.push((record.number as f64, measure.of(record)));
    }
    if let Some((_, best)) = line.last().copied() {
        line.push((last, best));
    }
    let y = bounds(line.iter().map(|point| point.1));
    let dataset = Dataset::default()
        .marker(Marker::Braille)
        .graph_type(GraphType::Line)
        .style(GOOD)
        .data(&line);
    let chart = Chart::new(vec![dataset])
        .x_axis(axis([0.0, last.max(1.0)], |n| thousands(n.round() as u64)))
        .y_axis(axis(y, |value| worded(measure, value)));
    frame.render_widget(chart, inner);
}

/// All results by size, and which of them no other beats in both.
pub(super) fn front(frame: &mut Frame, area: Rect, picture: &Picture, measure: Measure) {
    let at = |trial: &&Scored| {
        let size = (trial.n_params.max(1) as f64).log10();
        (size, measure.of(trial))
    };
    let is_finite = |point: &(f64, f64)| point.1.is_finite();
    let all: Vec<(f64, f64)> = picture
        .scored
        .iter()
        .map(|it| at(&it))
        .filter(is_finite)
        .collect();
    let front: Vec<(f64, f64)> = picture.front(measure).iter().map(at).collect();
    let title = format!(
        "{}, parameters: \u{25c6} front {}, \u{b7} {}",
        measure.name(),
        front.len(),
        thousands((all.len() - front.len()) as u64)
    );
    let inner = section(frame, area, &title);
    let x = bounds(all.iter().map(|point| point.0));
    let y = bounds(all.iter().map(|point| point.1));
    let points = |data, marker, style| {
        Dataset::default()
            .marker(marker)
            .graph_type(GraphType::Scatter)
            .style(style)
            .data(data)
    };
    let datasets = vec![
        points(&all, Marker::Custom('\u{b7}'), OTHERS),
        points(&front, Marker::Custom('\u{25c6}'), GOOD),
    ];
    let chart = Chart::new(datasets)
        .x_axis(axis(x, |log| short(10_f64.powf(log))))
        .y_axis(axis(y, |value| worded(measure, value)));
    frame.render_widget(chart, inner);
}

fn worded(measure: Measure, value: f64) -> String {
    match measure {
        Measure::Loss => format!("{value:.3}"),
        Measure::Accuracy => percent(value, 1),
    }
}

/// A range that has the values in it, with some room where they are all the same.
fn bounds(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let none = [f64::INFINITY, f64::NEG_INFINITY];
    let [low, high] = values.fold(none, |[low, high], it| [low.min(it), high.max(it)]);
    if low > high {
        return [0.0, 1.0];
    }
    let room = 0.05 * (high - low);
    let room = if room > 0.0 {
        room
    } else {
        0.05 * high.abs().max(1e-3)
    };
    [low - room, high + room]
}

fn axis<'a>(bounds: [f64; 2], word: impl Fn(f64) -> String) -> Axis<'a> {
    let middle = (bounds[0] + bounds[1]) / 2.0;
    Axis::default()
        .style(LABEL)
        .bounds(bounds)
        .labels([bounds[0], middle, bounds[1]].map(word))
}
