//! Misses against false accepts per hour, as one SVG file that needs no page around it.

use super::axis::Axis;
use super::pictures::{percent_tick, plot};
use super::svg::{Drawing, Mark};
use crate::evaluate::detection::{EventJudgement, OperatingPoint, RecordingJudgement};
use crate::evaluate::format::cut;

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 330.0;
/// Lines of single keywords.
const N_KEYWORDS: usize = 3;
const CLASSES: [&str; N_KEYWORDS] = ["curve k1", "curve k2", "curve k3"];
/// The page's style sheet is not there: only what this picture needs.
const STYLE: &str = "\
svg{background:#fff;font-family:system-ui,sans-serif}text{fill:#16181d;font-size:12px}.tick{fill:#5a5f6a;font-size:11px}\
.axis-name,.legend{fill:#5a5f6a}.grid{stroke:#ebecea}.axis,.tickmark{stroke:#8a8f99}.curve{fill:none;stroke-width:2}\
.all{stroke:#16181d}.k1{stroke:#2463c2}.k2{stroke:#d9622b}.k3{stroke:#16966a}.range{stroke:#c43c3c;stroke-width:1.5}\
.chosen{fill:#c43c3c}";

/// A name, the class of its style, and its points: false accepts and misses.
type Line = (String, &'static str, Vec<(f64, f64)>);

/// The curve of a sweep, of all keywords and of the first few, with the operating point that was chosen and its intervals.
pub fn det_svg(title: &str, points: &[OperatingPoint], chosen: &RecordingJudgement) -> String {
    let lines: Vec<Line> = std::iter::once(("all keywords", "curve all"))
        .map(|(name, class)| {
            (
                name.to_owned(),
                class,
                curve(points, |judged| Some(&judged.total)),
            )
        })
        .chain(
            keywords(points)
                .into_iter()
                .zip(CLASSES)
                .map(|(name, class)| {
                    let line = curve(points, |judged| {
                        let mut keywords = judged.per_keyword.iter();
                        keywords.find(|keyword| keyword.keyword.as_ref() == Some(&name))
                    });
                    (cut(&name, 20), class, line)
                }),
        )
        .collect();

    let hours = chosen.total.exposure_h.max(1e-3);
    // What has no false accept lies at the left edge: below one in all the hours there is nothing to see.
    let least = 0.5 / hours;
    let all = || lines.iter().flat_map(|(_, _, line)| line.iter());
    let most = all()
        .map(|point| point.0)
        .fold(2.0 * least, f64::max)
        .min(3600.0);
    let highest = all().map(|point| point.1).fold(0.05, f64::max);
    let plot = plot(
        Axis::log([least, most].into_iter()).within(least, most),
        Axis::exactly(0.0, highest),
        1,
    );
    let mut drawing = Drawing::new(WIDTH, HEIGHT);
    plot.draw_axes(
        &mut drawing,
        ("false accepts per hour", &|rate| format!("{rate}")),
        ("missed", &percent_tick),
    );
    let mut legend: Vec<(Option<Mark>, &str, &str)> = Vec::new();
    for (name, class, line) in &lines {
        let places: Vec<(f64, f64)> = line
            .iter()
            .map(|&(x, y)| plot.at(x.max(least), y))
            .collect();
        drawing.path(class, &places);
        legend.push((None, class, name));
    }
    if let Some((rate, miss)) = rates(&chosen.total) {
        let at = |x: f64, y: f64| plot.at(x.max(least), y);
        if let Some(interval) = chosen.total.false_accepts_per_hour_interval.value() {
            drawing.line("range", at(interval.low, miss), at(interval.high, miss));
        }
        if let Some(interval) = chosen.total.miss_rate_interval.value() {
            drawing.line("range", at(rate, interval.low), at(rate, interval.high));
        }
        let told = format!("{:.2} an hour, {:.1} % missed", rate, 100.0 * miss);
        drawing.mark(Mark::Circle, "chosen", at(rate, miss), 9.0, &told);
        legend.push((Some(Mark::Circle), "chosen", "thresholds, 95 %"));
    }
    drawing.legend((plot.left, 18.0), plot.right, &legend);
    let body = drawing.finish(title);
    let open = body.find('>').map_or(0, |end| end + 1);
    let head = body[..open].replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1);
    format!("{head}<style>{STYLE}</style>{}", &body[open..])
}

fn keywords(points: &[OperatingPoint]) -> Vec<String> {
    let last = points.last().map(|point| &point.judged.per_keyword);
    let said = last
        .into_iter()
        .flatten()
        .filter(|keyword| keyword.n_targets > 0);
    said.filter_map(|keyword| keyword.keyword.clone()).collect()
}

fn curve(
    points: &[OperatingPoint],
    of: impl Fn(&RecordingJudgement) -> Option<&EventJudgement>,
) -> Vec<(f64, f64)> {
    let judged = points.iter().filter_map(|point| of(&point.judged));
    judged.filter_map(rates).collect()
}

/// False accepts per hour and miss rate.
fn rates(judged: &EventJudgement) -> Option<(f64, f64)> {
    Some((
        judged.false_accepts_per_hour.number()?,
        judged.miss_rate.number()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::detection::{Event, MatchSpec, Recording, Target, match_events};

    fn judged(n_hits: usize, n_false: usize) -> RecordingJudgement {
        let event = |at_s: f64| Event {
            keyword: "<stop>".into(),
            at_s,
            score: 0.9,
            latency_s: None,
        };
        let hits = (0..n_hits).map(|i| event(10.0 * i as f64 + 0.4));
        let false_accepts = (0..n_false).map(|i| event(1000.0 + 10.0 * i as f64));
        let recording = Recording {
            targets: (0..10)
                .map(|i| Target {
                    keyword: "<stop>".into(),
                    start_s: 10.0 * f64::from(i),
                    end_s: 10.0 * f64::from(i) + 0.5,
                })
                .collect(),
            events: hits.chain(false_accepts).collect(),
            audio_s: 3600.0,
        };
        match_events(&[recording], &MatchSpec::half_second()).expect("valid")
    }

    #[test]
    fn the_file_is_whole_stands_alone_and_lets_no_name_out_of_its_place() {
        let points: Vec<OperatingPoint> = [(0.9, 5, 0), (0.6, 8, 1), (0.3, 9, 20)]
            .map(|(threshold, n_hits, n_false)| OperatingPoint {
                threshold,
                judged: judged(n_hits, n_false),
            })
            .to_vec();
        let svg = det_svg("a & b", &points, &judged(8, 1));
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
        assert!(svg.trim_end().ends_with("</svg>"));
        assert!(
            svg.contains("&lt;stop&gt;") && !svg.contains("<stop>") && svg.contains("a &amp; b")
        );
        assert_eq!(
            svg.matches("class=\"curve").count(),
            4,
            "two lines, two legends"
        );
        assert_eq!(svg.matches("class=\"range\"").count(), 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        // Nothing to draw is a picture too.
        let empty = match_events(&[], &MatchSpec::half_second()).expect("valid");
        assert!(!det_svg("", &[], &empty).contains("NaN"));
    }
}
