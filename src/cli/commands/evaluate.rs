//! `auricle evaluate`.

use std::io::Write;
use std::path::Path;

use anyhow::{anyhow, bail};
use auricle_datasets::Utterance;
use auricle_datasets::columns::read_column;

use super::clips::{Clips, Listed};
use crate::bundle::Bundle;
use crate::cli::args::{EvaluateArgs, Format};
use crate::cli::progress::{Progress, listen_for_stop};
use crate::evaluate::detection::MatchSpec;
use crate::evaluate::report::{JudgedPage, judged_page};
use crate::evaluate::{Bootstrap, Judgement, Paired, text};
use crate::run::{Asked, Column, Judged, RunError, judge_bundle};

/// Seed of the intervals' resampling: a judgement is the same every time.
const SEED: u64 = 1;

pub fn evaluate(
    args: &EvaluateArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<()> {
    let bundle = Bundle::load(&args.bundle)?;
    listen_for_stop();
    let Some(data) = &args.data else {
        return super::tune::evaluate_stream(args, bundle, out, err);
    };
    if args.against.is_some() && args.format == Format::Csv {
        bail!("--format csv is of one bundle, expected text, json or html with --against");
    }
    let field = &args.field;
    let is_named = field.positive.is_some() || field.negative.is_some();
    let is_tuned =
        field.voice_gate.is_some() || super::tune::match_spec(field) != MatchSpec::default();
    if is_named || is_tuned {
        bail!(
            "--positive, --negative, --tolerance-s, --refractory-s and --voice-gate are for --stream, expected none of them with --data"
        );
    }
    if let Some(found) = (args.seconds.iter()).find(|s| !(s.is_finite() && **s > 0.0)) {
        bail!("--seconds is {found}, expected more than 0");
    }
    let clips = Clips {
        data,
        list: args.list.as_deref(),
        split: args.split.as_deref(),
    };
    let (utterances, n_other) = clips.find(&bundle)?;
    let columns = columns(args, &clips, &utterances)?;
    let asked = Asked {
        by: &columns,
        by_length: args.by.iter().any(|name| name == "length"),
        by_loudness: args.by.iter().any(|name| name == "loudness"),
        seconds: &args.seconds,
    };
    let pool = super::pool(args.workers)?;
    let clips: Vec<Utterance> = utterances.into_iter().map(|listed| listed.clip).collect();
    let progress = Progress::new();
    let judge = |bundle: &Bundle| {
        let judged = pool.install(|| judge_bundle(bundle, data, &clips, asked, SEED, &progress));
        judged.map_err(|error| match error {
            // A judgement is not a run: none of it is kept.
            RunError::Stopped => anyhow!("stopped; nothing is kept of it"),
            other => other.into(),
        })
    };
    let (judged, unjudged) = judge(&bundle)?;
    let against = match &args.against {
        Some(path) => {
            let other = Bundle::load(path)?;
            same_labels(&bundle, &other, path)?;
            let (other, _) = judge(&other)?;
            Some((path.display().to_string(), compared(&judged, other)?))
        }
        None => None,
    };
    drop(progress);
    for clip in &unjudged {
        writeln!(err, "not judged: {}", clip.reason)?;
    }
    if n_other > 0 {
        writeln!(
            err,
            "{n_other} clips have labels that the bundle does not know and were left out"
        )?;
    }
    let name = args.bundle.display().to_string();
    match args.format {
        Format::Text => {
            write!(out, "{}", text::judgement(&judged.judgement))?;
            if let Some((other, (theirs, paired))) = &against {
                writeln!(out, "\n{other}")?;
                write!(out, "{}", text::judgement(theirs))?;
                write!(out, "\n{}", text::paired(paired, &name, other))?;
            }
        }
        Format::Json => {
            let mut all = serde_json::json!({
                "bundle": name,
                "data": data.display().to_string(),
                "judgement": judged.judgement,
                "not_judged": unjudged,
                "n_other_labels": n_other,
            });
            if let Some((other, (theirs, paired))) = &against {
                all["against"] = serde_json::json!({
                    "bundle": other, "judgement": theirs, "paired": paired,
                });
            }
            writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?;
        }
        Format::Csv => write!(out, "{}", text::predictions_csv(&judged.scores)?)?,
        Format::Html => {
            let facts = [
                ("bundle".to_owned(), name),
                ("data".to_owned(), data.display().to_string()),
            ];
            let against = against.as_ref();
            let page = judged_page(&JudgedPage {
                title: &bundle.title,
                facts: &facts,
                scores: &judged.scores,
                judgement: &judged.judgement,
                against: against.map(|(name, (theirs, paired))| (name.as_str(), theirs, paired)),
            });
            write!(out, "{page}")?;
        }
    }
    Ok(())
}

/// What `--by` tells clips apart by, but for what their samples say.
fn columns(
    args: &EvaluateArgs,
    clips: &Clips,
    utterances: &[Listed],
) -> anyhow::Result<Vec<Column>> {
    let mut columns = Vec::new();
    let is_measured = |name: &&String| matches!(name.as_str(), "length" | "loudness");
    for name in args.by.iter().filter(|name| !is_measured(name)) {
        let values = if name == "speaker" {
            let speaker = |listed: &Listed| Some(listed.clip.speaker.as_ref()?.to_string());
            utterances.iter().map(speaker).collect()
        } else {
            let Some(list) = clips.list() else {
                bail!("--by {name}: found no --list, expected one with such a column");
            };
            let values = read_column(&list, name)?;
            let value = |listed: &Listed| values.get(&listed.line?).cloned();
            utterances.iter().map(value).collect()
        };
        columns.push(Column {
            name: name.clone(),
            values,
        });
    }
    Ok(columns)
}

/// A bundle can only be set against one that says the same words.
fn same_labels(bundle: &Bundle, other: &Bundle, path: &Path) -> anyhow::Result<()> {
    let sorted = |bundle: &Bundle| {
        let mut labels = bundle.labels.clone();
        labels.sort();
        labels
    };
    if sorted(bundle) != sorted(other) {
        bail!(
            "{}: found the labels {}, expected those of the first bundle: {}",
            path.display(),
            other.labels.join(", "),
            bundle.labels.join(", ")
        );
    }
    Ok(())
}

/// The other system's judgement, and the two on the clips that both could judge.
fn compared(one: &Judged, other: Judged) -> anyhow::Result<(Judgement, Paired)> {
    let common = |judged: &Judged, known: &Judged| -> Vec<usize> {
        let known: std::collections::BTreeSet<&str> =
            known.scores.ids.iter().map(String::as_str).collect();
        (0..judged.scores.ids.len())
            .filter(|&clip| known.contains(judged.scores.ids[clip].as_str()))
            .collect()
    };
    let of_one = common(one, &other);
    let speakers: Option<Vec<&String>> = (one.speakers.as_ref())
        .map(|speakers| of_one.iter().map(|&clip| &speakers[clip]).collect());
    let bootstrap = Bootstrap {
        n_resamples: 2_000,
        seed: SEED,
    };
    let paired = Paired::of(
        &one.scores.subset(&of_one),
        &other.scores.subset(&common(&other, one)),
        speakers.as_deref(),
        bootstrap,
    )?;
    Ok((other.judgement, paired))
}
