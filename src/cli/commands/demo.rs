//! `auricle demo`.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use auricle_datasets::synth::{Espeak, SequenceSpec, generate, write_sequence};
use clap::Parser;

use crate::cli::args::DemoArgs;
use crate::cli::infer::{KwsInfer, infer};
use crate::cli::progress::{Progress, is_stopping, listen_for_stop};
use crate::recipe::Recipe;

/// The recipe that the demo runs.
const RECIPE: &str = include_str!("../../../recipes/demo/recipe.toml");

/// Words that the unseen voice says.
const N_WORDS: usize = 8;

/// How far the time of a detection may be from the word's middle to count as that word.
const TOLERANCE_S: f64 = 0.75;

pub fn demo(args: &DemoArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    if args.show_recipe {
        write!(out, "{RECIPE}")?;
        return Ok(());
    }
    let recipe = Recipe::parse(RECIPE, Path::new("recipes/demo/recipe.toml"))?;
    let spec = recipe
        .data
        .synth
        .as_ref()
        .context("the demo's recipe has no synth table")?;
    listen_for_stop();
    let progress = Progress::new();
    let corpus = args.place.runs.join("demo-corpus");
    progress.step("speak a corpus with espeak-ng");
    let espeak = Espeak::find()?;
    let made = generate(
        spec,
        &corpus,
        &espeak,
        recipe.n_workers,
        &|done, total| crate::ingest::Watch::progress(&progress, done, total, "speak"),
        &is_stopping,
    )?;
    writeln!(
        out,
        "{} clips of {} synthetic voices in {} ({} made now)",
        made.n_files,
        spec.n_speakers,
        corpus.display(),
        made.n_made
    )?;
    let finished = super::run::whole(&recipe, &corpus, &args.place, None, &progress, out)?;
    progress.step("listen to a voice that was never heard");
    let wav = args.place.runs.join("demo-sequence.wav");
    let sequence = write_sequence(
        &corpus,
        &SequenceSpec {
            words: spec.words.clone(),
            n_words: N_WORDS,
            gap_ms: [700, 1500],
            hiss_dbfs: -60.0,
            seed: recipe.seed,
        },
        &wav,
        &wav.with_extension("csv"),
    )?;
    drop(progress);
    let bundle = finished.folder.join("ensemble.auricle");
    writeln!(
        out,
        "\n$ kws-infer {} {} --pretty",
        bundle.display(),
        wav.display()
    )?;
    write!(out, "{}", listen(&[&bundle, &wav, Path::new("--pretty")])?)?;
    let heard = detections(&listen(&[&bundle, &wav])?)?;
    writeln!(out, "\nwhat was said:")?;
    let mut n_heard = 0;
    for spoken in &sequence.words {
        let middle_s = 0.5 * (spoken.start_s + spoken.end_s);
        let is_heard = heard.iter().any(|(keyword, at_s)| {
            *keyword == spoken.word && (at_s - middle_s).abs() <= TOLERANCE_S
        });
        n_heard += usize::from(is_heard);
        let mark = if is_heard { "heard" } else { "missed" };
        writeln!(out, "{middle_s:>7.2} s  {:<12} {mark}", spoken.word)?;
    }
    let n_false = heard.len().saturating_sub(n_heard);
    writeln!(
        out,
        "{n_heard} of {} words heard, {n_false} false detections",
        sequence.words.len()
    )?;
    Ok(())
}

/// What `kws-infer` prints for those arguments.
fn listen(arguments: &[&Path]) -> anyhow::Result<String> {
    let program = Path::new("kws-infer");
    let line = [program].into_iter().chain(arguments.iter().copied());
    let args = KwsInfer::try_parse_from(line)?.args;
    let (mut printed, mut complaints) = (Vec::new(), Vec::new());
    infer(&args, &mut std::io::empty(), &mut printed, &mut complaints)
        .with_context(|| String::from_utf8_lossy(&complaints).into_owned())?;
    Ok(String::from_utf8(printed)?)
}

/// Keyword and time in seconds of each line.
fn detections(lines: &str) -> anyhow::Result<Vec<(String, f64)>> {
    #[derive(serde::Deserialize)]
    struct Line {
        keyword: String,
        time_s: f64,
    }
    let parse = |line| {
        let Line { keyword, time_s } = serde_json::from_str(line)?;
        Ok((keyword, time_s))
    };
    lines.lines().map(parse).collect()
}
