//! `auricle evaluate`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;
use auricle_datasets::manifest::{self, ManifestRow};
use auricle_datasets::{SpeakerPattern, Split, Utterance};

use crate::bundle::{Bundle, is_reserved};
use crate::cli::args::{EvaluateArgs, Format};
use crate::cli::progress::{Progress, listen_for_stop};
use crate::evaluate::text;
use crate::run::judge_bundle;

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
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(args.workers.unwrap_or(cores).max(1))
        .build()?;
    let progress = Progress::new();
    let (judged, unjudged) =
        pool.install(|| judge_bundle(&bundle, &args.data, &utterances, SEED, &progress))?;
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
    match args.format {
        Format::Text => write!(out, "{}", text::judgement(&judged.judgement))?,
        Format::Json => {
            let all = serde_json::json!({
                "bundle": args.bundle.display().to_string(),
                "data": args.data.display().to_string(),
                "judgement": judged.judgement,
                "not_judged": unjudged,
                "n_other_labels": n_other,
            });
            writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?;
        }
        Format::Csv => write!(out, "{}", text::predictions_csv(&judged.scores)?)?,
    }
    Ok(())
}

/// The clips of the bundle's labels, and how many others there were.
fn keep(
    bundle: &Bundle,
    clips: impl Iterator<Item = (PathBuf, String, Option<ManifestRow>)>,
) -> (Vec<Utterance>, usize) {
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
        utterances.push(Utterance {
            speaker: speaker.or_else(|| speakers.speaker_of(&path)),
            label,
            split: Split::Test,
            start_s: row.as_ref().and_then(|row| row.start_s),
            end_s: row.as_ref().and_then(|row| row.end_s),
            synthetic: false,
            n_samples: 0,
            path,
        });
    }
    (utterances, n_other)
}

fn foldered(args: &EvaluateArgs, bundle: &Bundle) -> anyhow::Result<(Vec<Utterance>, usize)> {
    let clips = auricle_datasets::corpus::labelled_files(&args.data)?;
    Ok(keep(
        bundle,
        clips.into_iter().map(|(path, label)| (path, label, None)),
    ))
}

fn listed(
    args: &EvaluateArgs,
    bundle: &Bundle,
    list: &Path,
) -> anyhow::Result<(Vec<Utterance>, usize)> {
    let beside = args.data.join(list);
    let list = if list.exists() || !beside.exists() {
        list
    } else {
        &beside
    };
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
