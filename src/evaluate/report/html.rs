//! The page: a report as one HTML file with its style and pictures inside.
//!
//! No script, no request; the policy in its head forbids both. Every text that comes from outside goes through
//! [`escape`].

use super::svg::escape;
use super::tables::{
    breakdown_table, class_table, measured, measured_percent, milliseconds, most_confused, put,
    split_table, system_row, trial_table,
};
use super::{Report, System, TrialStatus, confusion_map, curves, pictures};
use crate::evaluate::format::{
    DASH, bytes, duration, percent_or_dash, percent_range, short, thousands,
};
use crate::evaluate::{Judgement, Measured};

/// Trials shown before the reader asks for all.
const N_SHOWN: usize = 10;

pub(crate) fn page(report: &Report) -> String {
    let mut html = String::with_capacity(200_000);
    header(&mut html, report);
    headline(&mut html, report);
    html.push_str("<div class=\"pair\">\n");
    section(
        &mut html,
        "Search history",
        "Each trial's accuracy on the validation split, in the order of the search.",
        &picture(pictures::search_history(report)),
    );
    section(
        &mut html,
        "Accuracy against parameters",
        "On the validation split. Nothing on the front is both smaller and better than another point of it.",
        &picture(pictures::accuracy_against_parameters(report)),
    );
    html.push_str("</div>\n");
    let curves = format!(
        "<div class=\"two\">{}{}</div>",
        picture(curves::accuracy_curves(report)),
        picture(curves::loss_curves(report))
    );
    section(
        &mut html,
        "Learning curves",
        "The trials with the best validation accuracy.",
        &curves,
    );
    test_results(&mut html, report);
    members(&mut html, report);
    trials(&mut html, report);
    corpus(&mut html, report);
    circumstances(&mut html, report);
    frame(&report.title, &html)
}

/// A whole page around what it shows: no script, no request, pictures only from within.
pub(super) fn frame(title: &str, body: &str) -> String {
    frame_with_media(title, body, "data:")
}

/// The same, for a page that plays sounds from elsewhere: `media` is a list of sources as a Content-Security-Policy has it.
pub(super) fn frame_with_media(title: &str, body: &str, media: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src {media}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n\
         {body}</main>\n</body>\n</html>\n",
        escape(title),
        include_str!("style.css")
    )
}

fn header(html: &mut String, report: &Report) {
    put(html, format_args!("<h1>{}</h1>\n", escape(&report.title)));
    let facts = [
        ("run", &report.fingerprint),
        ("made", &report.created),
        ("device", &report.device),
        ("corpus", &report.corpus.name),
    ];
    let mut meta: Vec<String> = facts
        .iter()
        .map(|(name, value)| format!("{name} {}", escape(value)))
        .collect();
    meta.push(format!("seed {}", report.seed));
    put(
        html,
        format_args!(
            "<p class=\"meta\">{}</p>\n<div class=\"tiles\">\n",
            meta.join(" · ")
        ),
    );
    for (name, system) in [
        ("Single, test accuracy", &report.single),
        ("Ensemble, test accuracy", &report.ensemble),
    ] {
        match judged(system) {
            Ok(judgement) => tile(
                html,
                name,
                &percent_or_dash(&judgement.accuracy),
                &format!("95 %: {}", percent_range(&judgement.accuracy_interval)),
            ),
            Err(why) => tile(html, name, DASH, &why),
        }
    }
    match report.single.value() {
        Some(System { cost, .. }) => {
            tile(
                html,
                "Parameters, single",
                &short(cost.n_params as f64),
                &format!("{} exactly", thousands(cost.n_params)),
            );
            let state = format!("{} of streaming state", bytes(cost.state_bytes));
            tile(
                html,
                "MACs per second of audio",
                &short(cost.macs_per_second as f64),
                &state,
            );
        }
        None => tile(
            html,
            "Parameters, single",
            DASH,
            report.single.reason().unwrap_or("not known"),
        ),
    }
    let n_failed = report
        .trials
        .iter()
        .filter(|trial| matches!(trial.status, TrialStatus::Failed { .. }))
        .count();
    let seconds: f64 = report
        .budget
        .spent
        .iter()
        .filter_map(|spent| spent.seconds.number())
        .sum();
    let more = format!("{n_failed} failed · {} in all", duration(seconds));
    tile(html, "Trials", &report.trials.len().to_string(), &more);
    html.push_str("</div>\n");
}

fn tile(html: &mut String, name: &str, value: &str, more: &str) {
    let class = if value == DASH {
        "value missing"
    } else {
        "value"
    };
    put(
        html,
        format_args!(
            "<div class=\"tile\"><div class=\"name\">{}</div><div class=\"{class}\">{}</div><div class=\"more\">{}</div></div>\n",
            escape(name),
            escape(value),
            escape(more)
        ),
    );
}

fn headline(html: &mut String, report: &Report) {
    let mut body = String::from(
        "<div class=\"wide\"><table>\n<tr><th>system</th><th class=\"n\">parameters</th><th class=\"n\">MACs/s</th><th class=\"n\">validation<br>accuracy</th>\
         <th class=\"n\">test<br>accuracy</th><th class=\"n\">95 % interval<br>(Wilson)</th><th class=\"n\">95 % interval<br>(by speaker)</th><th class=\"n\">errors</th>\
         <th class=\"n\">balanced<br>accuracy</th><th class=\"n\">cross<br>entropy</th><th class=\"n\">ECE</th></tr>\n",
    );
    for (name, system, class) in [
        ("single", &report.single, " class=\"chosen\""),
        ("ensemble", &report.ensemble, ""),
    ] {
        match system {
            Measured::Value(system) => system_row(&mut body, system, class),
            Measured::Missing(why) => put(
                &mut body,
                format_args!(
                    "<tr><td class=\"name\">{name}</td><td colspan=\"10\" class=\"why\">{}</td></tr>\n",
                    escape(why)
                ),
            ),
        }
    }
    for system in &report.baselines {
        system_row(&mut body, system, "");
    }
    body.push_str("</table></div>\n");
    body.push_str(&picture(pictures::test_accuracy(report)));
    match &report.ensemble_gain {
        Measured::Value(gain) => put(
            &mut body,
            format_args!(
                "<p class=\"note\">Ensemble against single, the same test utterances: {:+.2} to {:+.2} points of accuracy (95 %, bootstrap over speakers).</p>\n",
                gain.low * 100.0,
                gain.high * 100.0
            ),
        ),
        Measured::Missing(why) => put(
            &mut body,
            format_args!(
                "<p class=\"note\">Ensemble against single: {}.</p>\n",
                escape(why)
            ),
        ),
    }
    let any = report.systems().any(|system| system.test.value().is_some());
    let judged = if any {
        "Judged on the test split, once. "
    } else {
        ""
    };
    let baselines = if report.baselines.is_empty() {
        "No hand-designed network was trained beside them."
    } else {
        "Baselines are hand-designed networks, trained by the same trainer."
    };
    section(
        html,
        "What came out",
        &format!("{judged}{baselines}"),
        &body,
    );
}

fn test_results(html: &mut String, report: &Report) {
    let shown = [("single", &report.single), ("ensemble", &report.ensemble)];
    let mut any = false;
    for (place, (_, system)) in shown.into_iter().enumerate() {
        let (Some(system), Ok(judgement)) = (system.value(), judged(system)) else {
            continue;
        };
        let body = format!(
            "<div class=\"picture heat\">{}</div>\n{}<h3>By class</h3>\n{}{}",
            confusion_map::draw(&judgement.confusion),
            most_confused(judgement),
            class_table(judgement),
            breakdowns(system)
        );
        let title = format!("Test results of {}", system.name);
        let note = "Rows are the truth, columns what it was taken for. Blue: right, by share of the row; orange: wrong, darker where it happens most.";
        // The second table is a click away: most readers compare the headline.
        let body = if place == 0 || !any {
            body
        } else {
            format!(
                "<details><summary>Show the confusion matrix and classes</summary>{body}</details>"
            )
        };
        section(html, &title, note, &body);
        any = true;
    }
    if !any {
        let why = judged(&report.single).err().unwrap_or_default();
        section(
            html,
            "Test results",
            "",
            &format!("<p class=\"nothing\">{}</p>", escape(&why)),
        );
    }
}

/// Parts of the test split, and of the validation split for comparison.
fn breakdowns(system: &System) -> String {
    let sides = [("test", &system.test), ("validation", &system.validation)];
    let mut html = String::new();
    for (side, judgement) in sides {
        let breakdowns = judgement.value().map(|judged| judged.breakdowns.iter());
        for breakdown in breakdowns.into_iter().flatten() {
            put(
                &mut html,
                format_args!(
                    "<h3>By {} ({side} split)</h3>\n{}",
                    escape(&breakdown.by),
                    breakdown_table(breakdown)
                ),
            );
        }
    }
    html
}

fn members(html: &mut String, report: &Report) {
    let mut body = String::new();
    if let Some(single) = report.single.value() {
        let cost = &single.cost;
        put(
            &mut body,
            format_args!(
                "<h3>{}</h3>\n<p><code>{}</code></p>\n<p class=\"note\">{}{} parameters · {} MACs/s · receptive field {} · latency {} · streaming state {}</p>\n",
                escape(&single.name),
                escape(&single.genome),
                single
                    .trial
                    .map_or(String::new(), |number| format!("from trial {number} · ")),
                thousands(cost.n_params),
                short(cost.macs_per_second as f64),
                milliseconds(&cost.receptive_field_ms),
                milliseconds(&cost.latency_ms),
                bytes(cost.state_bytes)
            ),
        );
    }
    if let Some(ensemble) = report.ensemble.value() {
        put(
            &mut body,
            format_args!(
                "<h3>{}</h3>\n<p class=\"note\">{}</p>\n<div class=\"wide\"><table>\n<tr><th>member</th><th class=\"n\">weight</th><th class=\"n\">seed</th>\
             <th class=\"n\">parameters</th><th class=\"n\">validation accuracy</th><th>network</th></tr>\n",
                escape(&ensemble.name),
                escape(&ensemble.genome)
            ),
        );
        for member in &ensemble.members {
            put(
                &mut body,
                format_args!(
                    "<tr><td class=\"name\">{}</td><td class=\"n\">{:.3}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"genome\"><code>{}</code></td></tr>\n",
                    escape(&member.name),
                    member.weight,
                    member.seed,
                    thousands(member.n_params),
                    measured_percent(&member.validation_accuracy),
                    escape(&member.genome)
                ),
            );
        }
        body.push_str("</table></div>\n");
    }
    if !report.baselines.is_empty() {
        body.push_str("<h3>Baselines</h3>\n");
    }
    for baseline in &report.baselines {
        put(
            &mut body,
            format_args!(
                "<p><b>{}</b><br><code>{}</code></p>\n",
                escape(&baseline.name),
                escape(&baseline.genome)
            ),
        );
    }
    if !body.is_empty() {
        section(html, "The networks", "", &body);
    }
}

fn trials(html: &mut String, report: &Report) {
    if report.trials.is_empty() {
        return section(
            html,
            "Trials",
            "",
            "<p class=\"nothing\">No trial was started.</p>",
        );
    }
    let best = report.best_trials();
    let chosen = report.single.value().and_then(|single| single.trial);
    let mut body = String::new();
    if !best.is_empty() {
        body.push_str(&trial_table(best.iter().take(N_SHOWN).copied(), chosen));
    }
    let open = if best.is_empty() { " open" } else { "" };
    let details = match report.trials.len() {
        n if n > N_SHOWN || best.len() < n => format!(
            "<details{open}><summary>All {n} trials in the order of the search</summary>{}</details>\n",
            trial_table(report.trials.iter(), chosen)
        ),
        _ => String::new(),
    };
    body.push_str(&details);
    let note = match best.len() {
        0 => "No trial has a validation accuracy.".to_string(),
        n if n > N_SHOWN => format!(
            "The best {N_SHOWN} of {} by validation accuracy.",
            report.trials.len()
        ),
        _ => "By validation accuracy.".to_string(),
    };
    section(html, "Trials", &note, &body);
}

fn corpus(html: &mut String, report: &Report) {
    let corpus = &report.corpus;
    let mut body = split_table(corpus);
    if corpus.rejects.is_empty() {
        body.push_str("<p class=\"note\">No file was set aside.</p>\n");
    } else {
        let all: u64 = corpus.rejects.iter().map(|reject| reject.n_files).sum();
        put(
            &mut body,
            format_args!("<p class=\"note\">{} file(s) set aside: ", thousands(all)),
        );
        let reasons: Vec<String> = corpus
            .rejects
            .iter()
            .map(|reject| format!("{} ({})", escape(&reject.reason), thousands(reject.n_files)))
            .collect();
        put(&mut body, format_args!("{}.</p>\n", reasons.join(", ")));
    }
    section(html, "Corpus", &corpus.name, &body);
}

fn circumstances(html: &mut String, report: &Report) {
    let mut body = String::from("<div class=\"two\"><div>\n<h3>Protocol</h3>\n");
    for paragraph in &report.protocol {
        put(&mut body, format_args!("<p>{}</p>\n", escape(paragraph)));
    }
    body.push_str("<h3>Budget</h3>\n");
    for limit in &report.budget.limits {
        put(
            &mut body,
            format_args!("<p class=\"note\">{}</p>\n", escape(limit)),
        );
    }
    body.push_str("<table>\n");
    for spent in &report.budget.spent {
        put(
            &mut body,
            format_args!(
                "<tr><td>{}</td><td class=\"n\">{}</td></tr>\n",
                escape(&spent.what),
                measured(&spent.seconds, duration)
            ),
        );
    }
    body.push_str("</table>\n</div><div>\n<h3>Environment</h3>\n<table>\n");
    for (name, value) in &report.environment {
        put(
            &mut body,
            format_args!(
                "<tr><td>{}</td><td><code>{}</code></td></tr>\n",
                escape(name),
                escape(value)
            ),
        );
    }
    body.push_str("</table>\n</div></div>\n");
    section(html, "How it was done", "", &body);
}

/// The test judgement of a system, or why there is none.
fn judged(system: &Measured<System>) -> Result<&Judgement, String> {
    match system {
        Measured::Missing(why) => Err(why.clone()),
        Measured::Value(system) => system
            .test
            .value()
            .ok_or_else(|| system.test.reason().unwrap_or("not judged").to_string()),
    }
}

pub(super) fn section(html: &mut String, title: &str, note: &str, body: &str) {
    put(
        html,
        format_args!("<section>\n<h2>{}</h2>\n", escape(title)),
    );
    if !note.is_empty() {
        put(
            html,
            format_args!("<p class=\"note\">{}</p>\n", escape(note)),
        );
    }
    html.push_str(body);
    html.push_str("</section>\n");
}

pub(super) fn picture(svg: String) -> String {
    format!("<div class=\"picture\">{svg}</div>")
}
