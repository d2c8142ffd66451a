//! The recipes of the published Speech Commands protocol, over a small corpus that lies as the archives unpack.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use auricle::recipe::Recipe;
use auricle_datasets::corpus::scan;
use auricle_datasets::split::speech_commands_split;
use auricle_datasets::{Split, SplitSpec, card};

use crate::recipes::run_smoke;
use crate::tones;

const TEN: [&str; 10] = [
    "yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go",
];
const N_SPEAKERS: usize = 40;

/// Whether a recipe takes the official lists.
pub fn is_of(recipe: &Recipe) -> bool {
    matches!(recipe.data.splits, SplitSpec::FileLists { .. })
}

fn recipe(name: &str) -> Recipe {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo");
    let path = PathBuf::from(root)
        .join("recipes")
        .join(name)
        .join("recipe.toml");
    Recipe::read(&path).unwrap_or_else(|error| panic!("{error}"))
}

/// The two archives side by side in `folder`: the words said once by every speaker, the lists by the published rule, noise,
/// and a test archive. Returns the main archive's folder and the clips on each side that the lists make of it.
fn corpus(folder: &Path, version: &str, words: &[String]) -> (PathBuf, BTreeMap<Split, usize>) {
    let main = folder.join(format!("speech_commands_{version}"));
    let test_set = folder.join(format!("speech_commands_test_set_{version}"));
    let mut lists: BTreeMap<Split, Vec<String>> = BTreeMap::new();
    for speaker in 0..N_SPEAKERS {
        for (index, word) in words.iter().enumerate() {
            let name = format!("{speaker:08x}_nohash_0.wav");
            let split = speech_commands_split(&name, 10.0, 10.0);
            let samples = tones::clip(index, speaker, 0);
            if split == Split::Test {
                let label = if TEN.contains(&word.as_str()) {
                    Some(format!("{word}/{name}"))
                } else {
                    // Of the other words the archive has a few, under one label.
                    (index == words.len() - 1).then(|| format!("_unknown_/{word}_{name}"))
                };
                if let Some(name) = label {
                    tones::write(&test_set.join(name), samples.clone());
                }
            }
            tones::write(&main.join(word).join(&name), samples);
            let list = lists.entry(split).or_default();
            list.push(format!("{word}/{name}"));
        }
    }
    // As much silence as unknown words: a tenth of the keywords.
    let n_test_speakers = lists[&Split::Test].len() / words.len();
    for at in 0..n_test_speakers {
        let name = format!("_silence_/{at}.wav");
        tones::write(&test_set.join(name), tones::hiss(16_000, at as u64));
    }
    for at in 0..3 {
        let name = format!("_background_noise_/{at}.wav");
        tones::write(&main.join(name), tones::hiss(60 * 16_000, 100 + at));
    }
    for (file, split) in [
        ("validation_list.txt", Split::Validation),
        ("testing_list.txt", Split::Test),
    ] {
        fs::write(main.join(file), lists[&split].join("\n")).unwrap();
    }
    let counts = lists.into_iter().map(|(split, list)| (split, list.len()));
    (main, counts.collect())
}

/// The report's line on the corpus: clips of each side.
fn sides(text: &str) -> Vec<usize> {
    let line = text.lines().find(|line| line.starts_with("corpus "));
    let line = line.unwrap_or_else(|| panic!("no line on the corpus in: {text}"));
    let words = [" train", " validation", " test"];
    let before = |word: &str| line.split(word).next().unwrap();
    let number = |word: &&str| {
        let text = before(word).rsplit([' ', ':']).next().unwrap();
        text.replace(',', "").parse().unwrap()
    };
    words.iter().map(number).collect()
}

#[test]
fn speech_commands_recipes_say_of_their_data_what_the_cards_tasks_say() {
    for (name, of, task) in [
        ("speech-commands-v1-12", "speech-commands-v1", "v1-12"),
        ("speech-commands-v2-12", "speech-commands-v2", "v2-12"),
        ("speech-commands-v2-35", "speech-commands-v2", "v2-35"),
    ] {
        let mut ours = recipe(name).corpus();
        let card = card::card(of).unwrap().task(Some(task)).unwrap();
        if card.corpus.labels.keywords.is_empty() {
            // The card takes every folder; the recipe names the words.
            assert_eq!(ours.labels.keywords.len(), 35);
            ours.labels.keywords.clear();
        }
        assert_eq!(ours, card.corpus, "{name}");
    }
}

#[test]
fn speech_commands_recipes_of_12_labels_run_on_the_two_archives_as_they_unpack() {
    for (name, version) in [
        ("speech-commands-v1-12", "v0.01"),
        ("speech-commands-v2-12", "v0.02"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let words = TEN.into_iter().chain(["bed", "cat", "wow"]);
        let words: Vec<String> = words.map(String::from).collect();
        let (main, counts) = corpus(folder.path(), version, &words);
        let recipe = recipe(name);
        let rows = scan(&main, &recipe.corpus()).unwrap();
        let n_test_files = rows.iter().filter(|row| row.split == Split::Test).count();
        let (status, text) = run_smoke(recipe, &main, folder.path());
        assert!(status, "{name}: {text}");
        assert!(text.contains("ensemble of 2"), "{text}");
        // Keywords, and a tenth of them of unknown and of silence.
        let side = |split| {
            let n_keywords = counts[&split] / words.len() * TEN.len();
            n_keywords + 2 * n_keywords.div_ceil(10)
        };
        let n_speakers = counts[&Split::Test] / words.len();
        let n_test = n_speakers * (TEN.len() + 2);
        assert_eq!(n_test_files, n_test, "the test archive and no more");
        let expected = [side(Split::Train), side(Split::Validation), n_test];
        assert_eq!(sides(&text), expected, "{text}");
    }
}

#[test]
fn the_speech_commands_recipe_of_35_words_runs_by_the_lists() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe("speech-commands-v2-35");
    let words = recipe.data.labels.keywords.clone();
    let (main, counts) = corpus(folder.path(), "v0.02", &words);
    let (status, text) = run_smoke(recipe, &main, folder.path());
    assert!(status, "{text}");
    let expected: Vec<usize> = Split::ALL.iter().map(|split| counts[split]).collect();
    assert_eq!(sides(&text), expected, "{text}");
}
