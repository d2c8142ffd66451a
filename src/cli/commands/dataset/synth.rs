//! `auricle dataset synth`: from a list of words to a corpus and its recipe.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use auricle_datasets::Split;
use auricle_datasets::partial::write_bytes;
use auricle_datasets::synth::{
    Engine, Espeak, EspeakAndFlite, Flite, Installed, OtherWords, Piper, Recording, Recordings,
    SAMPLE_RATE_HZ, SynthError, SynthSpec, Timbres, generate, join_recordings, other_words,
    recorded_words, recordings, remove_recordings,
};

use crate::audio;
use crate::cli::args_dataset::{OwnWords, SynthArgs, SynthEngine};
use crate::cli::progress::{Progress, is_stopping, listen_for_stop};
use crate::recipe::Recipe;

/// What is run over the words.
const RECIPE: &str = include_str!("../../../../recipes/own-words/recipe.toml");

/// Everyday words that are near no keyword: the rest of the language, as far as `_unknown_` can stand for it.
const FAR_WORDS: [&str; 16] = [
    "people",
    "garden",
    "seven",
    "yellow",
    "morning",
    "between",
    "question",
    "wonderful",
    "paper",
    "evening",
    "because",
    "music",
    "thursday",
    "mountain",
    "together",
    "nobody",
];

/// Seconds of each noise.
const NOISE_S: u32 = 60;

pub fn synth(args: &SynthArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    listen_for_stop();
    let progress = Progress::new();
    let made = corpus(&args.corpus, args.workers, &progress, out)?;
    drop(progress);
    writeln!(
        out,
        "next: auricle run {} --data {}",
        made.recipe.display(),
        args.corpus.into.display()
    )?;
    Ok(())
}

/// A corpus of one's own words.
pub(in crate::cli::commands) struct OwnCorpus {
    /// The file of its recipe.
    pub recipe: PathBuf,
    /// The people in it.
    pub recorded: Option<Recordings>,
}

/// The corpus, with its recipe, and what it holds.
pub(in crate::cli::commands) fn corpus(
    args: &OwnWords,
    workers: Option<usize>,
    progress: &Progress,
    out: &mut dyn Write,
) -> anyhow::Result<OwnCorpus> {
    let engine: Box<dyn Engine> = match (args.engine, &args.piper_voices) {
        (SynthEngine::Piper, Some(voices)) => Box::new(Piper::find(voices)?),
        (SynthEngine::Piper, None) => bail!("--engine piper: found no --piper-voices"),
        (SynthEngine::EspeakNg, None) => espeak_and_flite(args)?,
        (SynthEngine::EspeakNg, Some(voices)) => bail!(
            "--piper-voices {}: found --engine espeak-ng, expected --engine piper",
            voices.display()
        ),
    };
    let voices = accents(&args.languages, &engine.installed()?)?;
    let more = match &args.candidates {
        Some(path) => candidates(path)?,
        None => Vec::new(),
    };
    let mut words: Vec<String> = args.words.iter().map(|w| w.trim().to_owned()).collect();
    let recorded = match &args.recordings {
        Some(folder) => {
            let place = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
            if place(folder).starts_with(place(&args.into)) {
                bail!(
                    "--recordings {}: found a folder of the corpus that --into names, expected one beside it",
                    folder.display()
                );
            }
            if words.is_empty() {
                words = recorded_words(folder)?;
            }
            Some(recordings(folder, &words, args.seed)?)
        }
        None => None,
    };
    progress.step("look for other words");
    let others = if args.near_misses + args.readings == 0 {
        OtherWords::default()
    } else {
        let espeak = Espeak::find()?;
        // piper's `en_US` is espeak-ng's `en`.
        let language = |name: &String| name.split('_').next().unwrap_or(name).to_owned();
        let languages: Vec<String> = args.languages.iter().map(language).collect();
        let dialects = accents(&languages, &espeak.installed()?)?;
        other_words(&words, args.near_misses, &dialects[0], &more, &espeak)?
    };
    let spec = spec(args, &words, voices, &others);
    spec.validate()?;
    progress.step("speak");
    let made = generate(
        &spec,
        &args.into,
        engine.as_ref(),
        super::super::workers(workers),
        &|done, total| crate::ingest::Watch::progress(progress, done, total, "speak"),
        &is_stopping,
    )?;
    progress.end_bar();
    writeln!(
        out,
        "{} files by {} synthetic voices ({} made now, {} {})",
        made.n_files, made.n_speakers, made.n_made, made.engine, made.version
    )?;
    match &recorded {
        Some(recorded) => join(recorded, args, &words, progress, out)?,
        None => remove_recordings(&args.into)?,
    }
    let path = args.into.join("recipe.toml");
    let text = recipe_text(&words, args.clip_ms, recorded.is_some())?;
    Recipe::parse(&text, &path)?;
    write_bytes(&path, text.as_bytes()).with_context(|| path.display().to_string())?;
    for word in &words {
        let misses = others.near.iter().filter(|miss| miss.keyword == *word);
        let misses: Vec<&str> = misses.map(|miss| miss.word.as_str()).collect();
        let misses = match misses.as_slice() {
            [] => "no word that is near it".to_owned(),
            misses => misses.join(", "),
        };
        writeln!(out, "  {word}: told from {misses}")?;
    }
    writeln!(out, "  {}", path.display())?;
    Ok(OwnCorpus {
        recipe: path,
        recorded,
    })
}

/// What is spoken: the words, those that are near them, and some that are not.
fn spec(args: &OwnWords, words: &[String], accents: Vec<String>, others: &OtherWords) -> SynthSpec {
    let mut unknown_words: Vec<String> = others.near.iter().map(|miss| miss.word.clone()).collect();
    let far = FAR_WORDS.iter().map(|&word| word.to_owned());
    let far = far.filter(|word| !words.contains(word) && !unknown_words.contains(word));
    let far: Vec<String> = far.collect();
    unknown_words.extend(far);
    SynthSpec {
        words: words.to_vec(),
        unknown_words,
        n_speakers: args.voices,
        n_takes: args.takes,
        n_unknown_takes: 1,
        n_readings: args.readings,
        vocabulary: others.vocabulary.clone(),
        accents,
        clip_ms: args.clip_ms,
        noise_s: NOISE_S,
        seed: args.seed,
    }
}

/// Puts the recordings into the corpus, and says what became of them.
fn join(
    recorded: &Recordings,
    args: &OwnWords,
    words: &[String],
    progress: &Progress,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    progress.step("take the recordings");
    let decode = |path: &Path| match audio::decode(path, SAMPLE_RATE_HZ) {
        Ok(clip) => Ok(clip.samples),
        Err(error) => Err(error.to_string()),
    };
    let joined = join_recordings(
        recorded,
        &args.into,
        args.clip_ms,
        args.seed,
        &decode,
        &|done, total| crate::ingest::Watch::progress(progress, done, total, "recordings"),
        &is_stopping,
    )?;
    progress.end_bar();
    for (file, reason) in &joined.set_aside {
        writeln!(out, "set aside: {}: {reason}", file.display())?;
    }
    writeln!(
        out,
        "{} recordings, {} clips of them; {} set aside",
        recorded.all.len() - joined.set_aside.len(),
        joined.n_clips,
        joined.set_aside.len()
    )?;
    for word in words {
        let on = |split| {
            let of_word = |r: &&Recording| r.word.as_ref() == Some(word) && r.split == split;
            recorded.all.iter().filter(of_word).count()
        };
        let sides = [Split::Train, Split::Validation, Split::Test].map(on);
        writeln!(
            out,
            "  {word}: {} recordings to learn from, {} to choose by, {} to judge by",
            sides[0], sides[1], sides[2]
        )?;
    }
    if !recorded.by_speaker {
        writeln!(
            out,
            "  the files name fewer than three speakers (`<speaker>_nohash_<take>`): the same people may be on two sides, and what is\n  \
             judged is voices that training may have heard"
        )?;
    }
    Ok(())
}

/// espeak-ng, and flite beside it where it is installed and English is spoken.
fn espeak_and_flite(args: &OwnWords) -> anyhow::Result<Box<dyn Engine>> {
    let espeak = Espeak::find()?;
    let is_english = args
        .languages
        .iter()
        .any(|name| name.trim().starts_with("en"));
    if args.without_flite || !is_english {
        return Ok(Box::new(espeak));
    }
    match Flite::find() {
        Ok(flite) => Ok(Box::new(EspeakAndFlite::new(espeak, flite))),
        Err(SynthError::ProgramMissing { .. }) => Ok(Box::new(espeak)),
        Err(error) => Err(error.into()),
    }
}

/// What the recipe's networks look back over: its clip of 1.5 s.
const WINDOW_FRAMES: &str = "148";

/// The recipe of own words, with these as its keywords, over clips of that length. Where there are recordings nothing is searched:
/// most of what would choose is synthetic, and all networks hear that well.
fn recipe_text(words: &[String], clip_ms: u32, has_recordings: bool) -> anyhow::Result<String> {
    let keywords = serde_json::to_string(words)?;
    // A frame begins every 10 ms and is 25 ms long.
    let n_frames = (clip_ms.saturating_sub(25) / 10 + 1).to_string();
    let mut text = String::with_capacity(RECIPE.len());
    for line in RECIPE.lines() {
        let line = match line.split_once("keywords = [") {
            Some((before, rest)) if line.starts_with("labels = ") => {
                let (_, after) = rest
                    .split_once(']')
                    .context("the list of keywords of the recipe has no end")?;
                format!("{before}keywords = {keywords}{after}")
            }
            _ if has_recordings && line.starts_with("budget = ") => {
                "budget = { n_trials = 1 }".into()
            }
            _ if has_recordings && line.starts_with("n_finalists = ") => "n_finalists = 1".into(),
            _ if line.starts_with("clip_ms = ") => format!("clip_ms = {clip_ms}"),
            _ => ["", "["].iter().fold(line.to_owned(), |line, open| {
                let window = |n| format!("window_frames = {open}{n}");
                line.replace(&window(WINDOW_FRAMES), &window(&n_frames))
            }),
        };
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

/// The voices of those languages: a name that is a voice is that voice and those that begin with it.
fn accents(languages: &[String], installed: &Installed) -> anyhow::Result<Vec<String>> {
    let mut accents: Vec<String> = Vec::new();
    for language in languages {
        let language = language.trim();
        if language == "en" && installed.timbres == Timbres::OfAnyAccent {
            let english = SynthSpec::english(&["x"], &[], 30, 1, 0).accents;
            accents.extend(
                english
                    .into_iter()
                    .filter(|a| installed.accents.contains(a)),
            );
            continue;
        }
        let dialects = ["-", "_"].map(|mark| format!("{language}{mark}"));
        let is_of = |voice: &str| dialects.iter().any(|dialect| voice.starts_with(dialect));
        let found: Vec<&String> = installed
            .accents
            .iter()
            .filter(|voice| *voice == language || is_of(voice))
            .collect();
        if found.is_empty() {
            let known: Vec<&str> = installed.accents.iter().map(String::as_str).collect();
            bail!(
                "--languages: {} {} has no voice `{language}`; it has {}",
                installed.engine,
                installed.version,
                known.join(" ")
            );
        }
        accents.extend(found.into_iter().cloned());
    }
    accents.dedup();
    Ok(accents)
}

fn candidates(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let words = text.lines().map(|line| line.trim().replace(' ', "_"));
    let is_word = |word: &String| {
        word.starts_with(char::is_alphanumeric)
            && word
                .chars()
                .all(|c| c.is_alphanumeric() || c == '_' || c == '\'')
    };
    Ok(words.filter(is_word).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_of_own_words_is_sound_with_any_words_in_it() {
        let words = ["hey_robin", "licht"].map(String::from);
        for (clip_ms, window) in [(1500, 148), (1000, 98)] {
            let text = recipe_text(&words, clip_ms, false).unwrap();
            let recipe = Recipe::parse(&text, Path::new("recipe.toml")).unwrap();
            assert_eq!(recipe.data.labels.keywords, words);
            assert_eq!(recipe.data.clip_ms, clip_ms);
            let head = &recipe.search.suggestions[0].head;
            assert_eq!(head.window_frames(), window);
            assert_eq!(text.matches(&format!("{window}]")).count(), 2);
            assert!(recipe.search.budget.minutes.is_some());
        }
        let text = recipe_text(&words, 1500, true).unwrap();
        let recipe = Recipe::parse(&text, Path::new("recipe.toml")).unwrap();
        assert_eq!(recipe.search.budget.n_trials, Some(1));
        assert_eq!(recipe.search.budget.minutes, None);
        assert_eq!(recipe.ensemble.n_finalists, 1);
    }

    #[test]
    fn a_language_means_its_dialects_and_an_unknown_one_is_said() {
        let installed = Installed {
            engine: "espeak-ng",
            version: "1.51".into(),
            accents: ["de", "en-us", "fr-be", "fr-fr", "frx"]
                .map(String::from)
                .into(),
            variants: Default::default(),
            timbres: Timbres::OfAnyAccent,
            for_training: Vec::new(),
        };
        let found = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&n| n.to_owned()).collect();
            accents(&names, &installed)
        };
        assert_eq!(found(&["en", "fr"]).unwrap(), ["en-us", "fr-be", "fr-fr"]);
        assert_eq!(found(&["de"]).unwrap(), ["de"]);
        let error = found(&["xx"]).unwrap_err().to_string();
        assert!(error.contains("`xx`") && error.contains("fr-fr"), "{error}");
    }
}
