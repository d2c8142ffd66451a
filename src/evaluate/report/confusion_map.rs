//! The confusion matrix as a heat map with its numbers.

use super::svg::{Anchor, Drawing, text_width};
use crate::evaluate::confusion::Confusion;
use crate::evaluate::format::{cut, percent, short};

/// Characters of a label that are written; pointing at it shows the rest.
const LABEL_CHARS: usize = 16;

/// Rows are the truth, columns the predictions. What is right is shaded by the share of its row, what is wrong by its share
/// of its row against the worst such share.
pub(crate) fn draw(confusion: &Confusion) -> String {
    let n_classes = confusion.labels.len();
    let (cell, font) = match n_classes {
        0..=8 => (52.0, "cell big"),
        9..=14 => (42.0, "cell"),
        15..=24 => (32.0, "cell small"),
        _ => (25.0, "cell tiny"),
    };
    let labels: Vec<String> = confusion
        .labels
        .iter()
        .map(|label| cut(label, LABEL_CHARS))
        .collect();
    let longest = labels
        .iter()
        .map(|label| text_width(label, 12.0))
        .fold(30.0, f64::max);
    let turned = labels
        .iter()
        .any(|label| text_width(label, 12.0) > cell - 6.0);
    let left = longest + 34.0;
    let top = if turned { longest * 0.8 + 42.0 } else { 44.0 };
    let size = n_classes as f64 * cell;
    // Turned labels lean out over the right edge.
    let lean = if turned { longest * 0.62 + 8.0 } else { 8.0 };
    let mut drawing = Drawing::new(left + size + lean, top + size + 8.0);
    drawing.text(
        "axis-name",
        (left + size / 2.0, 14.0),
        Anchor::Middle,
        "predicted",
    );
    drawing.turned_text(
        "axis-name middle",
        (14.0, top + size / 2.0),
        -90.0,
        "true",
        "",
    );
    let share = |row: usize, column: usize| {
        confusion.counts[row][column] as f64 / confusion.support(row).max(1) as f64
    };
    let pairs = || (0..n_classes).flat_map(|row| (0..n_classes).map(move |column| (row, column)));
    let worst = pairs()
        .filter(|(row, column)| row != column)
        .map(|(row, column)| share(row, column))
        .fold(0.0, f64::max);
    for (class, label) in labels.iter().enumerate() {
        let middle = (class as f64 + 0.5) * cell;
        drawing.turned_text(
            "row-label",
            (left - 8.0, top + middle + 4.0),
            0.0,
            label,
            &confusion.labels[class],
        );
        if turned {
            drawing.turned_text(
                "column-label",
                (left + middle + 2.0, top - 8.0),
                -52.0,
                label,
                &confusion.labels[class],
            );
        } else {
            drawing.text(
                "tick strong",
                (left + middle, top - 8.0),
                Anchor::Middle,
                label,
            );
        }
    }
    for (row, column) in pairs() {
        let (count, share) = (confusion.counts[row][column], share(row, column));
        let (x, y) = (left + column as f64 * cell, top + row as f64 * cell);
        let (class, opacity) = match (row == column, count) {
            (_, 0) => ("empty", 1.0),
            (true, _) => ("right", 0.12 + 0.88 * share.powi(2)),
            (false, _) => ("wrong", 0.15 + 0.75 * share / worst.max(f64::MIN_POSITIVE)),
        };
        let title = format!(
            "{} taken for {}: {count} of {} ({})",
            confusion.labels[row],
            confusion.labels[column],
            confusion.support(row),
            percent(share, 1)
        );
        drawing.rect(
            class,
            opacity,
            (x + 0.75, y + 0.75),
            (cell - 1.5, cell - 1.5),
            &title,
        );
        if count > 0 {
            let text = if count < 10_000 {
                count.to_string()
            } else {
                short(count as f64).replace(' ', "")
            };
            let ink = if class == "right" && opacity > 0.5 {
                "on-dark"
            } else {
                "on-light"
            };
            drawing.text(
                &format!("{font} {ink}"),
                (x + cell / 2.0, y + cell / 2.0 + 4.0),
                Anchor::Middle,
                &text,
            );
        }
    }
    drawing.finish("Confusion matrix: rows are the true classes, columns the predicted ones")
}
