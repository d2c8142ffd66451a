//! `auricle dataset check` and `auricle dataset stats`.

use std::io::Write;
use std::path::PathBuf;

use auricle_datasets::card::{CardSpec, TaskSpec, card};
use auricle_datasets::corpus::rows_of;
use auricle_datasets::inspect::{self, Inspected, Inspection, Severity, check_counts};
use auricle_datasets::{ManifestRow, SpeakerPattern};

use crate::cli::args_dataset::{CheckArgs, CorpusArgs, StatsArgs, StatsFormat};
use crate::cli::progress::{Progress, listen_for_stop};
use crate::ingest;

/// A corpus, heard.
struct Corpus {
    clips: Vec<Inspected>,
    task: Option<(&'static CardSpec, &'static TaskSpec)>,
}

/// The clips of a corpus and the folder that their paths start at.
pub(super) struct Listed {
    pub root: PathBuf,
    pub rows: Vec<ManifestRow>,
    pub task: Option<(&'static CardSpec, &'static TaskSpec)>,
}

pub(super) fn listed(args: &CorpusArgs, progress: &Progress) -> anyhow::Result<Listed> {
    let n_workers = super::super::workers(args.workers);
    let task = match &args.card {
        Some(name) => {
            let card = card(name)?;
            Some((card, card.task(args.task.as_deref())?))
        }
        None => None,
    };
    let (root, rows): (PathBuf, Vec<ManifestRow>) = match task {
        Some((_, task)) => {
            let inside = args.place.join(&task.root);
            let root = if inside.is_dir() {
                inside
            } else {
                args.place.clone()
            };
            let rows = ingest::task_rows(&root, &task.corpus, n_workers, progress)?;
            (root, rows)
        }
        None => {
            let source = args.source.clone().unwrap_or(SpeakerPattern::Unnamed);
            rows_of(&args.place, args.list.as_deref(), &args.speaker, &source)?
        }
    };
    Ok(Listed { root, rows, task })
}

fn hear(args: &CorpusArgs) -> anyhow::Result<Corpus> {
    listen_for_stop();
    let progress = Progress::new();
    let Listed { root, rows, task } = listed(args, &progress)?;
    let n_workers = super::super::workers(args.workers);
    let clips = ingest::hear(&root, rows, n_workers, &progress)?;
    Ok(Corpus { clips, task })
}

pub(super) fn check(args: &CheckArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let Corpus { clips, task } = hear(&args.corpus)?;
    let rows = || clips.iter().map(|clip| &clip.row);
    let counts = task.map_or_else(Vec::new, |(_, task)| check_counts(rows(), task));
    let rate_hz = task.and_then(|(card, _)| card.sample_rate_hz);
    let inspection = Inspection::of(&clips, rate_hz, counts);
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&inspection)?)?;
    } else {
        text(&inspection, out)?;
    }
    if !inspection.is_sound() {
        let errors = inspection
            .findings
            .iter()
            .filter(|f| f.severity == Severity::Error);
        let n_counts = inspection
            .counts
            .iter()
            .filter(|count| !count.is_right())
            .count();
        let counts = match n_counts {
            0 => String::new(),
            n => format!(" and {n} counts that are not the card's"),
        };
        anyhow::bail!(
            "found {} kinds of error{counts}, expected none",
            errors.count()
        );
    }
    Ok(())
}

fn text(inspection: &Inspection, out: &mut dyn Write) -> anyhow::Result<()> {
    let duration = inspect::length(inspection.duration_s);
    writeln!(out, "{} clips, {duration}", inspection.n_clips)?;
    for count in &inspection.counts {
        let (what, expected, found) = (&count.what, count.expected, count.found);
        if count.is_right() {
            writeln!(out, "right: {found} {what}")?;
        } else {
            let source = &count.source;
            writeln!(out, "error: {found} {what}, expected {expected} ({source})")?;
        }
    }
    for finding in &inspection.findings {
        writeln!(out, "{finding}")?;
    }
    if inspection.findings.is_empty() && inspection.is_sound() {
        writeln!(out, "nothing is wrong")?;
    }
    Ok(())
}

pub(super) fn stats(args: &StatsArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let Corpus { clips, task } = hear(&args.corpus)?;
    let stats = inspect::stats(&clips);
    match args.format {
        StatsFormat::Text => write!(out, "{stats}")?,
        StatsFormat::Json => writeln!(out, "{}", serde_json::to_string_pretty(&stats)?)?,
        StatsFormat::Svg => {
            let place = std::path::absolute(&args.corpus.place)?;
            let folder = place
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let title = task.map_or(folder, |(card, task)| {
                format!("{}, {}", card.title, task.name)
            });
            write!(out, "{}", inspect::svg(&stats, &title))?;
        }
    }
    Ok(())
}
