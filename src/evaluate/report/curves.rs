//! Learning curves of the best few trials: accuracy, and training against validation loss.

use super::axis::Axis;
use super::pictures::{HEIGHT, WIDTH, accuracy_axis, nothing, percent_tick, plot, whole};
use super::svg::{Drawing, Mark};
use super::{EpochPoint, Report, TrialSummary};
use crate::evaluate::Measured;

/// Trials whose learning curves are shown.
const N_CURVES: usize = 4;

/// Validation accuracy over epochs of the best few trials.
pub(crate) fn accuracy_curves(report: &Report) -> String {
    curves(
        report,
        "validation accuracy",
        &[("", |point| &point.validation_accuracy)],
        &percent_tick,
    )
}

/// Training and validation loss over epochs of the best few trials.
pub(crate) fn loss_curves(report: &Report) -> String {
    let lines: [Line; 2] = [
        ("", |point| &point.validation_loss),
        (" dashed", |point| &point.train_loss),
    ];
    curves(report, "loss (nats, log scale)", &lines, &|loss| {
        format!("{:.2}", loss + 0.0)
    })
}

/// The end of a curve from where it last rises through a value.
fn above(points: &[(f64, f64)], low: f64) -> Vec<(f64, f64)> {
    let Some(below) = points.iter().rposition(|point| point.1 < low) else {
        return points.to_vec();
    };
    let mut end = points[below + 1..].to_vec();
    if let Some(&(x, y)) = end.first() {
        let (from_x, from_y) = points[below];
        end.insert(
            0,
            (from_x + (x - from_x) * (low - from_y) / (y - from_y), low),
        );
    }
    end
}

type Line = (&'static str, fn(&EpochPoint) -> &Measured);

fn curves(report: &Report, name: &str, lines: &[Line], label: &dyn Fn(f64) -> String) -> String {
    let best = report.best_trials();
    let shown: Vec<&TrialSummary> = best
        .into_iter()
        .filter(|trial| trial.curve.len() > 1)
        .take(N_CURVES)
        .collect();
    let points_of = |trial: &TrialSummary, of: fn(&EpochPoint) -> &Measured| -> Vec<(f64, f64)> {
        let points = trial
            .curve
            .iter()
            .filter_map(|point| Some((point.epoch as f64, of(point).number()?)));
        points.filter(|point| point.1 > 0.0).collect()
    };
    let all: Vec<(f64, f64)> = shown
        .iter()
        .flat_map(|trial| lines.iter().flat_map(|&(_, of)| points_of(trial, of)))
        .collect();
    if all.is_empty() {
        return nothing("No trial left a learning curve of more than one epoch.");
    }
    let is_accuracy = lines.len() == 1;
    let values = || all.iter().map(|point| point.1);
    // What matters is where the curves end; how steeply they begin may lie below the axis.
    let y = if is_accuracy {
        accuracy_axis(values(), 0.4)
    } else {
        Axis::log(values())
    };
    let (first, last) = all.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), p| {
        (low.min(p.0), high.max(p.0))
    });
    let mut drawing = Drawing::new(WIDTH, HEIGHT);
    let names: Vec<String> = shown
        .iter()
        .map(|trial| format!("trial {}", trial.number))
        .collect();
    let mut legend: Vec<(Option<Mark>, &str, &str)> = Vec::new();
    let classes = ["curve c1", "curve c2", "curve c3", "curve c4"];
    legend.extend(
        names
            .iter()
            .zip(classes)
            .map(|(name, class)| (None, class, name.as_str())),
    );
    if !is_accuracy {
        legend.push((None, "curve plain", "validation"));
        legend.push((None, "curve plain dashed", "training"));
    }
    let n_rows = drawing.legend((8.0, 14.0), WIDTH, &legend);
    let plot = plot(Axis::exactly(first, last), y, n_rows);
    plot.draw_axes(&mut drawing, ("epoch", &whole), (name, label));
    // The best is drawn last, on top.
    for (trial, class) in shown.iter().zip(classes).rev() {
        for &(dash, of) in lines {
            let visible = above(&points_of(trial, of), plot.y.low());
            let drawn: Vec<(f64, f64)> = visible.iter().map(|&(x, y)| plot.at(x, y)).collect();
            drawing.path(&format!("{class}{dash}"), &drawn);
        }
    }
    drawing.finish(&format!(
        "{name} over epochs of the best {} trials",
        shown.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_enters_the_picture_where_it_rises_through_the_axis() {
        let points = [(1.0, 0.2), (2.0, 0.6), (3.0, 0.8), (4.0, 0.9)];
        assert_eq!(above(&points, 0.7)[1..], points[2..]);
        let (epoch, value) = above(&points, 0.7)[0];
        assert!((epoch - 2.5).abs() < 1e-12 && value == 0.7);
        assert_eq!(above(&points, 0.1), points);
        assert!(above(&points, 1.0).is_empty());
    }
}
