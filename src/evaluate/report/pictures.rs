//! The pictures of a report: search history, accuracy against parameters, test accuracy with intervals.
//!
//! Each function takes the report and returns one SVG, or a sentence in its place where there is nothing to draw.

use super::axis::Axis;
use super::svg::{Anchor, Drawing, Labels, Mark, Plot, text_width};
use super::{Report, System, TrialStatus, TrialSummary};
use crate::evaluate::format::{cut, percent, percent_or_dash, percent_range, short};
use crate::evaluate::{Interval, Measured};

pub(super) const WIDTH: f64 = 520.0;
pub(super) const HEIGHT: f64 = 330.0;

/// Validation accuracy of the trials in the order of the search, with the best so far.
pub(crate) fn search_history(report: &Report) -> String {
    let scored: Vec<(&TrialSummary, f64)> = scored(&report.trials).collect();
    if scored.is_empty() {
        return nothing("No trial has a validation accuracy.");
    }
    let first = report
        .trials
        .iter()
        .map(|trial| trial.number)
        .min()
        .unwrap_or(0) as f64;
    let last = report
        .trials
        .iter()
        .map(|trial| trial.number)
        .max()
        .unwrap_or(0) as f64;
    let y = accuracy_axis(scored.iter().map(|&(_, accuracy)| accuracy), 0.15);
    let failed: Vec<&TrialSummary> = report
        .trials
        .iter()
        .filter(|trial| trial.validation_accuracy.number().is_none())
        .collect();
    let n_below = scored
        .iter()
        .filter(|&&(_, accuracy)| accuracy < y.low())
        .count();
    let below = format!("{n_below} below the axis");
    let mut legend = vec![
        (Some(Mark::Circle), "trial", "trial"),
        (None, "best", "best so far"),
    ];
    if report
        .trials
        .iter()
        .any(|trial| matches!(trial.status, TrialStatus::Stopped { .. }))
    {
        legend.push((Some(Mark::Ring), "trial", "stopped early"));
    }
    if !failed.is_empty() {
        legend.push((Some(Mark::Cross), "failed", "failed"));
    }
    if n_below > 0 {
        legend.push((Some(Mark::Down), "trial", &below));
    }
    let mut drawing = Drawing::new(WIDTH, HEIGHT);
    let n_rows = drawing.legend((8.0, 14.0), WIDTH, &legend);
    let plot = plot(
        Axis::exactly(first - 0.5, last + 0.5 + (last - first) * 0.02),
        y,
        n_rows,
    );
    plot.draw_axes(
        &mut drawing,
        ("trial", &whole),
        ("validation accuracy", &percent_tick),
    );
    for trial in &failed {
        let (x, _) = plot.at(trial.number as f64, 0.0);
        drawing.mark(
            Mark::Cross,
            "failed",
            (x, plot.bottom - 7.0),
            7.0,
            &trial_title(trial),
        );
    }
    let mut best = f64::NEG_INFINITY;
    let mut line = Vec::new();
    let mut by_number = scored.clone();
    by_number.sort_by_key(|(trial, _)| trial.number);
    for (trial, accuracy) in by_number {
        let point = plot.at(trial.number as f64, accuracy);
        let mark = match trial.status {
            _ if accuracy < plot.y.low() => Mark::Down,
            TrialStatus::Stopped { .. } => Mark::Ring,
            _ => Mark::Circle,
        };
        drawing.mark(mark, "trial", point, 6.5, &trial_title(trial));
        if accuracy > best {
            if let Some(&(_, y)) = line.last() {
                line.push((point.0, y));
            }
            best = accuracy;
            line.push(point);
        }
    }
    line.extend(line.last().map(|&(_, y)| (plot.right, y)));
    drawing.path("best", &line);
    if let Some(&(x, y)) = line.last() {
        drawing.text(
            "label",
            (x, y - 8.0),
            Anchor::End,
            &format!("best {}", percent(best, 2)),
        );
    }
    let plural = if scored.len() == 1 { "" } else { "s" };
    let description = format!(
        "Validation accuracy of {} trial{plural}; the best is {}.",
        scored.len(),
        percent(best, 2)
    );
    drawing.finish(&description)
}

/// Validation accuracy against parameters, with the Pareto front over everything shown.
pub(crate) fn accuracy_against_parameters(report: &Report) -> String {
    let trials: Vec<(&TrialSummary, f64)> = scored(&report.trials)
        .filter(|(trial, _)| trial.n_params > 0)
        .collect();
    let of_systems = |systems: &mut dyn Iterator<Item = &System>| -> Vec<(String, f64, f64)> {
        let with_accuracy = systems.filter_map(|system| {
            let accuracy = system
                .validation
                .value()
                .and_then(|judged| judged.accuracy.number())?;
            (system.cost.n_params > 0)
                .then(|| (system.name.clone(), system.cost.n_params as f64, accuracy))
        });
        with_accuracy.collect()
    };
    let groups = [
        (
            Mark::Ring,
            "single",
            11.0,
            of_systems(&mut report.single.value().into_iter()),
        ),
        (
            Mark::Diamond,
            "ensemble",
            10.0,
            of_systems(&mut report.ensemble.value().into_iter()),
        ),
        (
            Mark::Square,
            "baseline",
            9.0,
            of_systems(&mut report.baselines.iter()),
        ),
    ];
    let systems = || groups.iter().flat_map(|(_, _, _, systems)| systems);
    let points: Vec<(f64, f64)> = trials
        .iter()
        .map(|&(trial, accuracy)| (trial.n_params as f64, accuracy))
        .chain(systems().map(|&(_, n_params, accuracy)| (n_params, accuracy)))
        .collect();
    if points.is_empty() {
        return nothing("Nothing was scored on the validation split.");
    }
    let mut legend = vec![
        (Some(Mark::Circle), "trial", "trial"),
        (None, "front", "Pareto front"),
    ];
    for (mark, class, _, systems) in &groups {
        if !systems.is_empty() {
            legend.push((
                Some(*mark),
                class,
                if *class == "single" {
                    "single, chosen"
                } else {
                    class
                },
            ));
        }
    }
    let mut drawing = Drawing::new(WIDTH, HEIGHT);
    let n_rows = drawing.legend((8.0, 14.0), WIDTH, &legend);
    let x = Axis::log(points.iter().map(|point| point.0));
    let plot = plot(
        x,
        accuracy_axis(points.iter().map(|point| point.1), 0.15),
        n_rows,
    );
    plot.draw_axes(
        &mut drawing,
        ("parameters (log scale)", &short),
        ("validation accuracy", &percent_tick),
    );
    let front = pareto_front(&points);
    let mut steps: Vec<(f64, f64)> = Vec::new();
    for &(n_params, accuracy) in &front {
        let point = plot.at(n_params, accuracy);
        if let Some(&(_, y)) = steps.last() {
            steps.push((point.0, y));
        }
        steps.push(point);
    }
    steps.extend(steps.last().map(|&(_, y)| (plot.right, y)));
    drawing.path("front", &steps);
    for &(trial, accuracy) in &trials {
        let on_front = front.contains(&(trial.n_params as f64, accuracy));
        let (class, size) = if on_front {
            ("trial on-front", 7.5)
        } else {
            ("trial", 6.5)
        };
        let mark = if accuracy < plot.y.low() {
            Mark::Down
        } else {
            Mark::Circle
        };
        drawing.mark(
            mark,
            class,
            plot.at(trial.n_params as f64, accuracy),
            size,
            &trial_title(trial),
        );
    }
    let marks = systems().map(|&(_, x, y)| (plot.at(x, y), 12.0));
    let mut labels = Labels::around(marks.chain(front.iter().map(|&(x, y)| (plot.at(x, y), 7.0))));
    for (name, n_params, accuracy) in systems() {
        labels.write(
            &mut drawing,
            &plot,
            plot.at(*n_params, *accuracy),
            &cut(name, 24),
        );
    }
    for (mark, class, size, systems) in &groups {
        for (name, n_params, accuracy) in systems {
            let title = format!(
                "{name}: {} parameters, {}",
                short(*n_params),
                percent(*accuracy, 2)
            );
            drawing.mark(*mark, class, plot.at(*n_params, *accuracy), *size, &title);
        }
    }
    drawing.finish(
        "Validation accuracy against parameters on a logarithmic scale, with the Pareto front.",
    )
}

/// Points that no other point beats in both fewer parameters and higher accuracy, by parameters.
pub(crate) fn pareto_front(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let mut front: Vec<(f64, f64)> = Vec::new();
    for point in sorted {
        if front.last().is_none_or(|last| point.1 > last.1) {
            front.push(point);
        }
    }
    front
}

/// Test accuracy of each system with its Wilson interval.
pub(crate) fn test_accuracy(report: &Report) -> String {
    let rows: Vec<(&System, &str, f64, Interval)> = report
        .systems()
        .enumerate()
        .filter_map(|(place, system)| {
            let judged = system.test.value()?;
            let n_single = usize::from(report.single.value().is_some());
            let class = match place {
                0 if n_single == 1 => "single",
                p if p == n_single && report.ensemble.value().is_some() => "ensemble",
                _ => "baseline",
            };
            Some((
                system,
                class,
                judged.accuracy.number()?,
                *judged.accuracy_interval.value()?,
            ))
        })
        .collect();
    if rows.is_empty() {
        return nothing("Nothing was judged on the test split.");
    }
    let (row_height, width) = (28.0, 760.0);
    let name_width = rows
        .iter()
        .map(|row| text_width(&cut(&row.0.name, 30), 12.5))
        .fold(60.0, f64::max);
    let plot = Plot {
        left: name_width + 20.0,
        right: width - 190.0,
        top: 12.0,
        bottom: 16.0 + rows.len() as f64 * row_height,
        x: Axis::linear(rows.iter().flat_map(|row| [row.3.low, row.3.high]), 0.01).within(0.0, 1.0),
        y: Axis::exactly(0.0, 1.0),
    };
    let mut drawing = Drawing::new(width, plot.bottom + 44.0);
    for tick in plot.x.ticks(6) {
        let x = plot.left + tick.place * (plot.right - plot.left);
        drawing.line("grid", (x, plot.top), (x, plot.bottom));
        drawing.text(
            "tick",
            (x, plot.bottom + 17.0),
            Anchor::Middle,
            &percent_tick(tick.value),
        );
    }
    drawing.text(
        "axis-name",
        ((plot.left + plot.right) / 2.0, plot.bottom + 36.0),
        Anchor::Middle,
        "test accuracy, Wilson 95 %",
    );
    for (place, (system, class, accuracy, interval)) in rows.iter().enumerate() {
        let y = plot.top + (place as f64 + 0.5) * row_height;
        let (low, middle, high) = (
            plot.at(interval.low, 0.0).0,
            plot.at(*accuracy, 0.0).0,
            plot.at(interval.high, 0.0).0,
        );
        let range = percent_range(&Measured::Value(*interval));
        drawing.text(
            "row-name",
            (name_width + 8.0, y + 4.0),
            Anchor::End,
            &cut(&system.name, 30),
        );
        drawing.line(&format!("whisker {class}"), (low, y), (high, y));
        let mark = match *class {
            "single" => Mark::Circle,
            "ensemble" => Mark::Diamond,
            _ => Mark::Square,
        };
        drawing.mark(
            mark,
            class,
            (middle, y),
            9.5,
            &format!("{}: {} ({range})", system.name, percent(*accuracy, 2)),
        );
        let value = format!(
            "{}  ({:.1} – {:.1})",
            percent(*accuracy, 2),
            interval.low * 100.0,
            interval.high * 100.0
        );
        drawing.text("label", (plot.right + 12.0, y + 4.0), Anchor::Start, &value);
    }
    drawing.finish("Test accuracy of each system with its 95 % Wilson interval")
}

pub(super) fn plot(x: Axis, y: Axis, n_legend_rows: usize) -> Plot {
    let top = 44.0 + 17.0 * n_legend_rows as f64;
    Plot {
        left: 56.0,
        right: WIDTH - 14.0,
        top,
        bottom: HEIGHT - 46.0,
        x,
        y,
    }
}

fn scored(trials: &[TrialSummary]) -> impl Iterator<Item = (&TrialSummary, f64)> {
    trials
        .iter()
        .filter_map(|trial| Some((trial, trial.validation_accuracy.number()?)))
}

/// An axis for accuracies that does not let a few poor ones flatten all the others; those go to its lower end.
/// The lower `share` of the values may fall below the axis where they lie far from the rest.
pub(super) fn accuracy_axis(values: impl Iterator<Item = f64>, share: f64) -> Axis {
    let mut sorted: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(&highest) = sorted.last() else {
        return Axis::exactly(0.0, 1.0);
    };
    let usual = crate::evaluate::intervals::quantile(&sorted, share);
    let lowest = usual - (highest - usual).max(0.02);
    Axis::linear(sorted.into_iter().filter(|&value| value >= lowest), 0.02).within(0.0, 1.0)
}

pub(super) fn percent_tick(share: f64) -> String {
    let value = share * 100.0;
    let text = format!("{value:.1}");
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

pub(super) fn whole(value: f64) -> String {
    if value.fract().abs() < 1e-9 {
        format!("{value:.0}")
    } else {
        String::new()
    }
}

fn trial_title(trial: &TrialSummary) -> String {
    let score = match trial.validation_accuracy.number() {
        Some(_) => percent_or_dash(&trial.validation_accuracy),
        None => trial
            .status
            .reason()
            .or(trial.validation_accuracy.reason())
            .unwrap_or("no score")
            .to_string(),
    };
    format!(
        "trial {}: {score}, {} parameters\n{}",
        trial.number,
        short(trial.n_params as f64),
        cut(&trial.genome, 200)
    )
}

pub(super) fn nothing(why: &str) -> String {
    format!("<p class=\"nothing\">{}</p>\n", super::svg::escape(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_on_the_front_is_beaten_and_everything_else_is() {
        let points: Vec<(f64, f64)> = (0..60)
            .map(|i| (f64::from(i * 37 % 61), f64::from(i * 23 % 41)))
            .collect();
        let front = pareto_front(&points);
        let beats = |a: &(f64, f64), b: &(f64, f64)| a.0 <= b.0 && a.1 >= b.1 && a != b;
        for point in &points {
            assert_eq!(
                front.contains(point),
                !points.iter().any(|other| beats(other, point)),
                "{point:?}"
            );
        }
    }

    #[test]
    fn a_few_poor_trials_do_not_flatten_the_good_ones() {
        let accuracies = [
            0.08, 0.93, 0.94, 0.95, 0.955, 0.96, 0.965, 0.97, 0.972, 0.974,
        ];
        let axis = accuracy_axis(accuracies.into_iter(), 0.15);
        assert!(axis.place(0.97) - axis.place(0.93) > 0.5);
        assert!(axis.place(0.08) < 0.0);
    }
}
