//! Statistics as a picture: clips of each label by side, how long and how loud clips are. One SVG without scripts, fonts
//! or requests.

use std::fmt::Write as _;

use super::stats::{CorpusStats, Histogram};

/// Labels that get a bar of their own; the rest share one.
const MAX_BARS: usize = 60;

const BAR: f64 = 16.0;
const LEFT: f64 = 160.0;
const WIDTH: f64 = 420.0;
const GAP: f64 = 60.0;
const HISTOGRAM_HEIGHT: f64 = 160.0;

/// Sides and their colours: told apart without red and green.
const SIDES: [(&str, &str); 4] = [
    ("train", "#4477aa"),
    ("validation", "#ccbb44"),
    ("test", "#aa3377"),
    ("none", "#999999"),
];

/// Draws the statistics.
pub fn svg(stats: &CorpusStats, title: &str) -> String {
    let mut labels: Vec<(String, Vec<usize>)> = stats
        .labels
        .iter()
        .map(|label| {
            let of = |side: &str| label.n_clips.get(side).copied().unwrap_or(0);
            (
                label.label.clone(),
                SIDES.iter().map(|(side, _)| of(side)).collect(),
            )
        })
        .collect();
    labels.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.iter().sum::<usize>()));
    if labels.len() > MAX_BARS {
        let rest = labels.split_off(MAX_BARS - 1);
        let mut sums = vec![0; SIDES.len()];
        for (_, counts) in &rest {
            sums.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
        }
        labels.push((format!("{} other labels", rest.len()), sums));
    }
    let height =
        (80.0 + BAR * labels.len() as f64 + 20.0).max(90.0 + 2.0 * (HISTOGRAM_HEIGHT + GAP));
    let width = LEFT + WIDTH + GAP + WIDTH + 20.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"12\" y=\"24\" font-size=\"16\">{}</text>\n\
         <text x=\"12\" y=\"44\">{} clips, {:.1} hours, {} labels, {} speakers</text>\n",
        escaped(title),
        stats.n_clips,
        stats.duration_s / 3600.0,
        stats.labels.len(),
        stats.n_speakers
    );
    bars(&mut out, &labels);
    let right = LEFT + WIDTH + GAP;
    histogram(
        &mut out,
        &stats.durations_s,
        (right, 80.0),
        "clips by length in seconds",
    );
    let below = 80.0 + HISTOGRAM_HEIGHT + GAP;
    histogram(
        &mut out,
        &stats.levels_dbfs,
        (right, below),
        "clips by level in dB of full scale",
    );
    out.push_str("</svg>\n");
    out
}

fn bars(out: &mut String, labels: &[(String, Vec<usize>)]) {
    let is_used = |side: usize| labels.iter().any(|(_, counts)| counts[side] > 0);
    let mut x = LEFT;
    for (_, (side, colour)) in SIDES.iter().enumerate().filter(|(at, _)| is_used(*at)) {
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"56\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"65\">{side}</text>",
            x + 14.0
        );
        x += 90.0;
    }
    let most = labels
        .iter()
        .map(|(_, counts)| counts.iter().sum())
        .max()
        .unwrap_or(0)
        .max(1);
    for (at, (label, counts)) in labels.iter().enumerate() {
        let y = 80.0 + BAR * at as f64;
        let mut x = LEFT;
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            y + BAR - 4.0,
            escaped(&shortened(label))
        );
        for (n, (side, colour)) in counts.iter().zip(SIDES) {
            if *n > 0 {
                let width = (WIDTH - 60.0) * *n as f64 / most as f64;
                let _ = writeln!(
                    out,
                    "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" fill=\"{colour}\">\
                     <title>{}, {side}: {n}</title></rect>",
                    BAR - 3.0,
                    escaped(label)
                );
                x += width;
            }
        }
        let sum: usize = counts.iter().sum();
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{}\">{sum}</text>",
            x + 4.0,
            y + BAR - 4.0
        );
    }
}

fn histogram(out: &mut String, histogram: &Histogram, (left, top): (f64, f64), title: &str) {
    let _ = writeln!(out, "<text x=\"{left}\" y=\"{}\">{title}</text>", top - 8.0);
    let most = histogram.counts.iter().max().copied().unwrap_or(0).max(1);
    let step = WIDTH / histogram.counts.len().max(1) as f64;
    for (at, (edge, n)) in histogram.edges.iter().zip(&histogram.counts).enumerate() {
        let height = HISTOGRAM_HEIGHT * *n as f64 / most as f64;
        let (x, bottom) = (left + step * at as f64, top + HISTOGRAM_HEIGHT);
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"#4477aa\">\
             <title>from {edge}: {n}</title></rect>\
             <text x=\"{x:.1}\" y=\"{:.1}\" font-size=\"10\">{edge}</text>",
            bottom - height,
            step - 2.0,
            bottom + 12.0
        );
    }
}

/// A label that fits beside its bar.
fn shortened(label: &str) -> String {
    const MOST: usize = 22;
    if label.chars().count() <= MOST {
        return label.to_owned();
    }
    label.chars().take(MOST - 1).chain(['…']).collect()
}

fn escaped(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    text.replace('"', "&quot;")
}
