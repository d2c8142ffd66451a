//! `auricle own-words`: from a list of words, or a folder of recordings, to a detector.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;
use auricle_datasets::synth::Recordings;

use super::pool;
use super::tune::{check_target, findings, not_heard, with_thresholds};
use crate::bundle::Bundle;
use crate::cli::args::OwnWordsArgs;
use crate::cli::progress::{Progress, listen_for_stop};
use crate::evaluate::detection::MatchSpec;
use crate::recipe::Recipe;
use crate::run::field::{Choice, Material, Take};

pub fn own_words(args: &OwnWordsArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    check_target(args.target_fa_per_day)?;
    // Before anything long is begun.
    let negative = args.negative.as_deref();
    let material = negative.map(Material::without_keywords).transpose()?;
    args.place.device.open()?;
    if let Some(folder) = args.noise.iter().find(|folder| !folder.is_dir()) {
        bail!("--noise {}: expected a folder", folder.display());
    }
    let is_a_while = |minutes: f64| minutes.is_finite() && minutes > 0.0;
    if let Some(minutes) = args.minutes.filter(|&minutes| !is_a_while(minutes)) {
        bail!("--minutes is {minutes}, expected more than 0");
    }
    listen_for_stop();
    let progress = Progress::new();
    let made = super::dataset::own_corpus(&args.corpus, None, &progress, out)?;
    let mut recipe = Recipe::read(&made.recipe)?;
    super::run::take_noise(&mut recipe, &args.noise)?;
    recipe.seed = args.corpus.seed;
    super::run::take_budget(&mut recipe, args.minutes, None);
    let into = &args.corpus.into;
    let finished = super::run::whole(&recipe, into, &args.place, None, &progress, out)?;
    let mut bundle = finished.folder.join("ensemble.auricle");
    if let Some(material) = material {
        let recorded = made.recorded.as_ref();
        bundle = tuned(args, &bundle, material, recorded, &progress, out)?;
    }
    drop(progress);
    writeln!(
        out,
        "next: kws-infer {} --mic    (or a file in place of --mic)",
        bundle.display()
    )?;
    if made.recorded.is_none() {
        writeln!(
            out,
            "No person has said these words yet, to learn from or to judge by: --recordings DIR takes some, three a word at least."
        )?;
    }
    if args.negative.is_none() {
        writeln!(
            out,
            "Its threshold is a guess: --negative DIR, an hour or more without the words, finds one; nothing is trained again."
        )?;
    }
    Ok(())
}

/// The detector with thresholds by the sound without its words, beside the one without. What training has not heard of the
/// recordings is listened to with both; it is too little to choose by.
fn tuned(
    args: &OwnWordsArgs,
    path: &Path,
    mut material: Material,
    recorded: Option<&Recordings>,
    progress: &Progress,
    out: &mut dyn Write,
) -> anyhow::Result<PathBuf> {
    let held_out = recorded.into_iter().flat_map(Recordings::held_out);
    material.positives = held_out
        .map(|(path, word)| Take {
            path,
            keywords: vec![(word.to_owned(), (None, None))],
        })
        .collect();
    let bundle = Bundle::load(path)?;
    progress.step("find thresholds");
    let (target, choice) = (args.target_fa_per_day, Choice::MostSensitive);
    let (found, changed) = pool(args.place.workers)?.install(|| {
        let spec = MatchSpec::default();
        with_thresholds(&bundle, &material, target, choice, &spec, progress)
    })?;
    progress.end_bar();
    let tuned = path.with_file_name("tuned.auricle");
    changed.save(&tuned)?;
    not_heard(&found.not_heard, out)?;
    let titles = ["by the recipe", "tuned"];
    findings(&bundle, target, titles, &found, out)?;
    writeln!(out, "\n  {}", tuned.display())?;
    Ok(tuned)
}
