//! `auricle ingest`.

use std::io::Write;

use crate::cli::args::IngestArgs;
use crate::cli::progress::{Progress, listen_for_stop};
use crate::ingest::{self, IngestSummary};
use crate::run::ingest_folder;

/// A few lines on what came of it.
pub(super) fn summary(ingested: &IngestSummary, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(
        out,
        "{} clips, {:.1} minutes of speech, {:.1} of noise{}",
        ingested.n_utterances,
        ingested.audio_s / 60.0,
        ingested.noise_s / 60.0,
        if ingested.already_done {
            " (ingested before; nothing was done again)"
        } else {
            ""
        }
    )?;
    if ingested.n_rejected > 0 {
        let reasons = ingested.rejects_by_reason.iter();
        let reasons: Vec<String> = reasons.map(|(reason, n)| format!("{n} {reason}")).collect();
        writeln!(
            out,
            "{} files set aside ({}); see rejects.jsonl",
            ingested.n_rejected,
            reasons.join(", ")
        )?;
    }
    Ok(())
}

pub fn ingest(args: &IngestArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let recipe = super::run::recipe(&args.recipe)?;
    listen_for_stop();
    let into = ingest_folder(&args.runs, &args.recipe.data, &recipe);
    let ingested = ingest::ingest(
        &args.recipe.data,
        &into,
        &recipe.corpus(),
        &recipe.frontend().expect("a checked recipe has a front-end"),
        super::workers(args.workers),
        &Progress::new(),
    )?;
    summary(&ingested, out)?;
    writeln!(out, "  {}", into.display())?;
    Ok(())
}
