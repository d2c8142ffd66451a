//! `auricle evaluate`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;
use auricle_datasets::columns::read_column;
use auricle_datasets::manifest::{self, ManifestRow};
use auricle_datasets::{SpeakerPattern, Split, Utterance};

use crate::bundle::{Bundle, is_reserved};
use crate::cli::args::{EvaluateArgs, Format};
use crate::cli::progress::{Progress, listen_for_stop};
use crate::evaluate::report::{JudgedPage, judged_page};
use crate::evaluate::{Bootstrap, Judgement, Paired, text};
use crate::run::{Asked, Column, Judged, judge_bundle};

/// Seed of the intervals' resampling: a judgement is the same every time.
const SEED: u64 = 1;

pub fn evaluate(
    args: &EvaluateArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<()> {
    let bundle = Bundle::load(&args.bundle)?;
    listen_for_stop();
    let (utterances, n_other) = match &args.list {
        Some(list) => listed(args, &bundle, list)?,
        None => foldered(args, &bundle)?,
    };
    if utterances.is_empty() {
        bail!(
            "{}: found no clip of any of the bundle's labels ({}), expected a folder for each label or --list",
            args.data.display(),
            bundle.labels.join(", ")
        );
    }
    let columns = columns(args, &utterances)?;
    let asked = Asked {
        by: &columns,
        by_length: args.by.iter().any(|name| name == "length"),
        by_loudness: args.by.iter().any(|name| name == "loudness"),
        seconds: &args.seconds,
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(args.workers.unwrap_or(cores).max(1))
        .build()?;
    let clips: Vec<Utterance> = utterances.into_iter().map(|listed| listed.clip).collect();
    let progress = Progress::new();
    let judge = |bundle: &Bundle| {
        pool.install(|| judge_bundle(bundle, &args.data, &clips, asked, SEED, &progress))
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
                "data": args.data.display().to_string(),
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
                ("data".to_owned(), args.data.display().to_string()),
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

/// A clip, and the line of the list that it stands on.
struct Listed {
    clip: Utterance,
    line: Option<u64>,
}

/// What `--by` tells clips apart by, but for what their samples say.
fn columns(args: &EvaluateArgs, utterances: &[Listed]) -> anyhow::Result<Vec<Column>> {
    let mut columns = Vec::new();
    let is_measured = |name: &&String| matches!(name.as_str(), "length" | "loudness");
    for name in args.by.iter().filter(|name| !is_measured(name)) {
        let values = if name == "speaker" {
            let speaker = |listed: &Listed| listed.clip.speaker.clone();
            utterances.iter().map(speaker).collect()
        } else {
            let Some(list) = &args.list else {
                bail!("--by {name}: found no --list, expected one with such a column");
            };
            let values = read_column(&place_of(args, list), name)?;
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
    let speakers: Vec<&String> = of_one.iter().map(|&clip| &one.speakers[clip]).collect();
    let bootstrap = Bootstrap {
        n_resamples: 2_000,
        seed: SEED,
    };
    let paired = Paired::of(
        &one.scores.subset(&of_one),
        &other.scores.subset(&common(&other, one)),
        &speakers,
        bootstrap,
    )?;
    Ok((other.judgement, paired))
}

/// The clips of the bundle's labels, and how many others there were.
fn keep(
    bundle: &Bundle,
    clips: impl Iterator<Item = (PathBuf, String, Option<ManifestRow>)>,
) -> (Vec<Listed>, usize) {
    let speakers = SpeakerPattern::nohash();
    let has_unknown = bundle
        .labels
        .iter()
        .any(|label| label == crate::bundle::UNKNOWN_LABEL);
    let (mut utterances, mut n_other) = (Vec::new(), 0);
    for (path, label, row) in clips {
        let label = if bundle.labels.contains(&label) {
            label
        } else if has_unknown && !is_reserved(&label) && !label.starts_with('_') {
            crate::bundle::UNKNOWN_LABEL.to_owned()
        } else {
            n_other += 1;
            continue;
        };
        let speaker = row.as_ref().and_then(|row| row.speaker.clone());
        let line = row.as_ref().map(|row| row.line);
        let clip = Utterance {
            speaker: speaker.or_else(|| speakers.speaker_of(&path)),
            label,
            split: Split::Test,
            start_s: row.as_ref().and_then(|row| row.start_s),
            end_s: row.as_ref().and_then(|row| row.end_s),
            synthetic: false,
            n_samples: 0,
            path,
        };
        utterances.push(Listed { clip, line });
    }
    (utterances, n_other)
}

fn foldered(args: &EvaluateArgs, bundle: &Bundle) -> anyhow::Result<(Vec<Listed>, usize)> {
    let clips = auricle_datasets::corpus::labelled_files(&args.data)?;
    Ok(keep(
        bundle,
        clips.into_iter().map(|(path, label)| (path, label, None)),
    ))
}

/// Where the list lies: as said, or in the folder of the data.
fn place_of(args: &EvaluateArgs, list: &Path) -> PathBuf {
    let beside = args.data.join(list);
    if list.exists() || !beside.exists() {
        list.to_path_buf()
    } else {
        beside
    }
}

fn listed(
    args: &EvaluateArgs,
    bundle: &Bundle,
    list: &Path,
) -> anyhow::Result<(Vec<Listed>, usize)> {
    let list = place_of(args, list);
    let list = list.as_path();
    let split: Option<Split> = args.split.as_deref().map(str::parse).transpose()?;
    let rows = manifest::read_rows(list)?;
    let n_rows = rows.len();
    let rows: Vec<ManifestRow> = rows
        .into_iter()
        .filter(|row| split.is_none() || row.split == split)
        .collect();
    if rows.is_empty() {
        bail!(
            "{}: found {n_rows} rows, none with `{}` as split",
            list.display(),
            args.split.as_deref().unwrap_or_default()
        );
    }
    let clips = rows
        .into_iter()
        .map(|row| (row.path.clone(), row.label.clone(), Some(row)));
    Ok(keep(bundle, clips))
}
