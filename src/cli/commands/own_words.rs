//! `auricle own-words`: from a list of words, or a folder of recordings, to a detector.

use std::io::Write;

use crate::cli::args::OwnWordsArgs;
use crate::cli::progress::{Progress, listen_for_stop};
use crate::recipe::Recipe;

pub fn own_words(args: &OwnWordsArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    listen_for_stop();
    let progress = Progress::new();
    let path = super::dataset::own_corpus(&args.corpus, None, &progress, out)?;
    let mut recipe = Recipe::read(&path)?;
    super::run::take_noise(&mut recipe, &args.noise)?;
    recipe.seed = args.corpus.seed;
    super::run::take_budget(&mut recipe, args.minutes, None);
    let into = &args.corpus.into;
    let finished = super::run::whole(&recipe, into, &args.place, None, &progress, out)?;
    drop(progress);
    let bundle = finished.folder.join("ensemble.auricle");
    writeln!(
        out,
        "next: kws-infer {} --mic    (or a file in place of --mic)",
        bundle.display()
    )?;
    let advice = match args.corpus.recordings {
        None => {
            "No person has said these words yet, to learn from or to judge by: --recordings DIR takes some, three a word at least."
        }
        Some(_) => {
            "Its threshold is a guess: `auricle tune` finds one, with recordings that it has not heard and an hour without the words."
        }
    };
    writeln!(out, "{advice}")?;
    Ok(())
}
