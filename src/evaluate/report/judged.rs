//! The page of one judgement, perhaps beside that of another system on the same examples.

use super::axis::Axis;
use super::confusion_map;
use super::html::{frame, picture, section};
use super::pictures::{HEIGHT, WIDTH, percent_tick, plot};
use super::svg::{Drawing, Mark, escape};
use super::tables::{breakdown_table, class_table, most_confused, put};
use crate::evaluate::calibration::ReliabilityBin;
use crate::evaluate::detection::{ClassDetection, one_versus_rest};
use crate::evaluate::format::{fixed_or_dash, percent_or_dash, percent_range, thousands};
use crate::evaluate::{Judgement, Paired, Scores};

/// Classes whose curves are drawn, those with the worst equal error rates.
const N_CURVES: usize = 4;

/// What the page says of one system.
pub struct JudgedPage<'a> {
    pub title: &'a str,
    /// Name and value, in order.
    pub facts: &'a [(String, String)],
    pub scores: &'a Scores,
    pub judgement: &'a Judgement,
    /// Another system on the same examples, its name first.
    pub against: Option<(&'a str, &'a Judgement, &'a Paired)>,
}

/// The page as one HTML file that needs nothing else.
pub fn judged_page(page: &JudgedPage) -> String {
    let mut html = String::new();
    put(&mut html, format_args!("<h1>{}</h1>\n", escape(page.title)));
    let facts: Vec<String> = page
        .facts
        .iter()
        .map(|(name, value)| format!("{} {}", escape(name), escape(value)))
        .collect();
    put(
        &mut html,
        format_args!("<p class=\"meta\">{}</p>\n", facts.join(" · ")),
    );
    let judged = page.judgement;
    section(&mut html, "Numbers", "", &numbers(judged));
    if let Some((name, other, paired)) = page.against {
        section(
            &mut html,
            "Against another system",
            "Both were judged on the same examples. McNemar's test is exact and two-sided; it takes examples for independent, the interval by speaker does not.",
            &against(name, other, paired),
        );
    }
    html.push_str("<div class=\"pair\">\n");
    section(
        &mut html,
        "Calibration",
        "How often an answer of a given confidence is right; on the dashed line it is as sure as it should be. Larger marks stand for more examples.",
        &picture(reliability(&judged.reliability)),
    );
    section(
        &mut html,
        "Misses against false accepts",
        "Each class against all others, by its probability; the classes with the highest equal error rates.",
        &picture(trade_off(page.scores)),
    );
    html.push_str("</div>\n");
    let confusion = format!(
        "<div class=\"picture heat\">{}</div>\n{}<h3>By class</h3>\n{}",
        confusion_map::draw(&judged.confusion),
        most_confused(judged),
        class_table(judged)
    );
    section(
        &mut html,
        "Who was taken for whom",
        "Rows are the truth, columns what it was taken for. Blue: right, by share of the row; orange: wrong, darker where it happens most.",
        &confusion,
    );
    for breakdown in &judged.breakdowns {
        section(
            &mut html,
            &format!("By {}", breakdown.by),
            "",
            &breakdown_table(breakdown),
        );
    }
    frame(page.title, &html)
}

fn numbers(judged: &Judgement) -> String {
    let decimal = |value| fixed_or_dash(value, 4);
    let rows = [
        (
            "accuracy (micro)",
            format!(
                "{} ({} of {})",
                percent_or_dash(&judged.accuracy),
                thousands(judged.n_correct),
                thousands(judged.n_examples)
            ),
        ),
        ("95 %, Wilson", percent_range(&judged.accuracy_interval)),
        (
            "95 %, bootstrap by speaker",
            match judged.accuracy_interval_by_speaker.reason() {
                Some(why) => why.to_owned(),
                None => percent_range(&judged.accuracy_interval_by_speaker),
            },
        ),
        (
            "balanced accuracy (macro)",
            percent_or_dash(&judged.balanced_accuracy),
        ),
        (
            "95 %, bootstrap by speaker",
            percent_range(&judged.balanced_accuracy_interval_by_speaker),
        ),
        ("macro F1", percent_or_dash(&judged.macro_f1)),
        ("cross entropy", decimal(&judged.cross_entropy)),
        ("Brier score", decimal(&judged.brier)),
        (
            "expected calibration error",
            decimal(&judged.expected_calibration_error),
        ),
        (
            "equal error rate, pooled",
            percent_or_dash(&judged.pooled_equal_error_rate),
        ),
        (
            "area under misses against false accepts, pooled",
            decimal(&judged.pooled_det_area),
        ),
        ("average cost (Cavg)", decimal(&judged.average_cost)),
        ("lowest average cost", decimal(&judged.minimum_average_cost)),
    ];
    table(&rows)
}

fn against(name: &str, other: &Judgement, paired: &Paired) -> String {
    let gain = match paired.gain.number() {
        Some(gain) => format!("{:+.2} points", 100.0 * gain),
        None => "-".into(),
    };
    let range = match &paired.gain_interval_by_speaker {
        crate::evaluate::Measured::Value(interval) => {
            format!(
                "{:+.2} to {:+.2} points",
                100.0 * interval.low,
                100.0 * interval.high
            )
        }
        crate::evaluate::Measured::Missing(why) => why.clone(),
    };
    let p = match paired.mcnemar_p.number() {
        Some(p) => format!("{p:.4}"),
        None => paired.mcnemar_p.reason().unwrap_or_default().to_owned(),
    };
    let rows = [
        ("the other system", name.to_owned()),
        ("its accuracy", percent_or_dash(&other.accuracy)),
        ("its gain over this one", gain),
        ("95 %, bootstrap by speaker", range),
        ("both right", thousands(paired.n_both_right)),
        ("only this one right", thousands(paired.n_only_first_right)),
        (
            "only the other right",
            thousands(paired.n_only_second_right),
        ),
        ("both wrong", thousands(paired.n_both_wrong)),
        ("McNemar's p", p),
    ];
    table(&rows)
}

fn table(rows: &[(&str, String)]) -> String {
    let mut html = String::from("<div class=\"wide\"><table>\n");
    for (name, value) in rows {
        put(
            &mut html,
            format_args!(
                "<tr><td class=\"name\">{}</td><td>{}</td></tr>\n",
                escape(name),
                escape(value)
            ),
        );
    }
    html.push_str("</table></div>\n");
    html
}

/// A table of texts under heads.
pub(crate) fn plain_table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let mut html = String::from("<div class=\"wide\"><table>\n<tr>");
    for head in heads {
        put(&mut html, format_args!("<th>{}</th>", escape(head)));
    }
    html.push_str("</tr>\n");
    for row in rows {
        html.push_str("<tr>");
        for cell in row {
            put(&mut html, format_args!("<td>{}</td>", escape(cell)));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table></div>\n");
    html
}

fn reliability(bins: &[ReliabilityBin]) -> String {
    let points: Vec<(f64, f64, u64)> = bins
        .iter()
        .filter_map(|bin| {
            Some((
                bin.confidence.number()?,
                bin.accuracy.number()?,
                bin.n_examples,
            ))
        })
        .collect();
    let n_most = points.iter().map(|point| point.2).max().unwrap_or(1) as f64;
    let mut drawing = Drawing::new(WIDTH, HEIGHT);
    let plot = plot(Axis::exactly(0.0, 1.0), Axis::exactly(0.0, 1.0), 0);
    plot.draw_axes(
        &mut drawing,
        ("confidence", &percent_tick),
        ("accuracy", &percent_tick),
    );
    drawing.path(
        "curve plain dashed",
        &[plot.at(0.0, 0.0), plot.at(1.0, 1.0)],
    );
    let places: Vec<(f64, f64)> = points.iter().map(|p| plot.at(p.0, p.1)).collect();
    drawing.path("curve c1", &places);
    for (place, (confidence, accuracy, n)) in places.into_iter().zip(&points) {
        let size = 6.0 + 12.0 * (*n as f64 / n_most).sqrt();
        let title = format!(
            "{n} examples: confidence {:.1} %, right {:.1} %",
            100.0 * confidence,
            100.0 * accuracy
        );
        drawing.mark(Mark::Circle, "single", place, size, &title);
    }
    drawing.finish("reliability: confidence against accuracy")
}

/// Detection error trade-off: false accepts across, misses up, both logarithmic.
fn trade_off(scores: &Scores) -> String {
    let rate = |class: &ClassDetection| class.equal_error_rate().number();
    let mut classes = one_versus_rest(scores);
    classes.retain(|class| rate(class).is_some());
    classes.sort_by(|a, b| rate(b).unwrap_or(0.0).total_cmp(&rate(a).unwrap_or(0.0)));
    classes.truncate(N_CURVES);
    if classes.is_empty() {
        return super::pictures::nothing("No class has both examples and others.");
    }
    let lowest = 0.5 / scores.n_examples().max(1) as f64;
    let axis = Axis::log([lowest, 1.0].into_iter()).within(lowest, 1.0);
    let names: Vec<String> = classes
        .iter()
        .map(|class| {
            format!(
                "{} ({:.1} %, area {:.4})",
                class.label,
                100.0 * rate(class).unwrap_or(0.0),
                class.area().number().unwrap_or(0.0)
            )
        })
        .collect();
    let strokes = ["curve c1", "curve c2", "curve c3", "curve c4"];
    let legend: Vec<(Option<Mark>, &str, &str)> = names
        .iter()
        .zip(strokes)
        .map(|(name, class)| (None, class, name.as_str()))
        .collect();
    let mut drawing = Drawing::new(WIDTH, HEIGHT);
    let n_rows = drawing.legend((8.0, 14.0), WIDTH, &legend);
    let plot = plot(axis, axis, n_rows);
    plot.draw_axes(
        &mut drawing,
        ("false accepts (log scale)", &share_tick),
        ("misses (log scale)", &share_tick),
    );
    for (class, stroke) in classes.iter().zip(strokes) {
        let points: Vec<(f64, f64)> = class
            .points
            .iter()
            .map(|point| {
                plot.at(
                    point.false_accept_rate.max(lowest),
                    point.miss_rate.max(lowest),
                )
            })
            .collect();
        drawing.path(stroke, &points);
    }
    drawing.finish("detection error trade-off of the classes with the highest equal error rates")
}

fn share_tick(share: f64) -> String {
    let percent = 100.0 * share;
    if percent >= 1.0 {
        format!("{percent:.0} %")
    } else {
        format!("{percent:.1} %")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Bootstrap, Breakdown};

    #[test]
    fn the_page_says_every_number_and_escapes_every_name() {
        let scores = Scores::new(
            vec!["a<b".into(), "c&d".into()],
            vec![0, 0, 1, 1],
            vec![0.9, 0.1, 0.3, 0.7, 0.2, 0.8, 0.4, 0.6],
            (0..4).map(|i| format!("clip {i}")).collect(),
        )
        .unwrap();
        let mut judgement = Judgement::of(&scores).unwrap();
        let names: Vec<Option<String>> = vec![Some("<x>".into()); 4];
        judgement
            .breakdowns
            .push(Breakdown::of("source", &scores, &names).unwrap());
        let bootstrap = Bootstrap {
            n_resamples: 100,
            seed: 1,
        };
        let paired = Paired::of(&scores, &scores, Some(&["x", "y", "x", "y"]), bootstrap).unwrap();
        let page = judged_page(&JudgedPage {
            title: "<T>",
            facts: &[("bundle".into(), "\"q\"".into())],
            scores: &scores,
            judgement: &judgement,
            against: Some(("other", &judgement, &paired)),
        });
        for piece in [
            "&lt;T&gt;",
            "75.00",
            "(3 of 4)",
            "a&lt;b",
            "c&amp;d",
            "By source",
            "&lt;x&gt;",
            "McNemar",
            "Cavg",
            "<svg",
        ] {
            assert!(page.contains(piece), "{piece}");
        }
        assert!(!page.contains("<x>") && !page.contains("<script"));
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    }
}
