//! Every recipe of the house can be read, and its smoke form runs.

use std::fs;
use std::path::{Path, PathBuf};

use auricle::recipe::Recipe;

use crate::pipeline::auricle;
use crate::{speech_commands, tones};

fn recipes() -> Vec<PathBuf> {
    let folder =
        std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"))
            .join("recipes");
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path().join("recipe.toml"))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found
}

#[test]
fn every_recipe_is_sound_and_stands_beside_a_page_on_it() {
    assert!(recipes().len() >= 2);
    for path in recipes() {
        Recipe::read(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(
            path.with_file_name("README.md").exists(),
            "{}",
            path.display()
        );
    }
}

#[test]
fn every_recipe_runs_in_its_smoke_form_over_tones() {
    for path in recipes() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = Recipe::read(&path).unwrap();
        // Those of the published protocol keep all they say of data, over a corpus of its layout.
        if speech_commands::is_of(&recipe) {
            continue;
        }
        let corpus = folder.path().join("corpus");
        let mut words = recipe.data.labels.keywords.clone();
        if recipe.data.labels.unknown {
            words.extend(["other0".to_owned(), "other1".to_owned()]);
        }
        tones::corpus(&corpus, &words, 40);
        let mut smoke = recipe.clone();
        if let auricle_datasets::Layout::Manifest { path } = &recipe.data.layout {
            fs::copy(corpus.join("splits.tsv"), corpus.join(path)).unwrap();
        } else {
            smoke.data.splits = auricle_datasets::SplitSpec::List {
                path: "splits.tsv".into(),
                train: "train".into(),
                validation: Some("validation".into()),
                test: Some("test".into()),
                validation_percent_of_train: None,
            };
        }
        let folders = &recipe.data.background.folders;
        if recipe.data.labels.noise().is_some() || !folders.is_empty() {
            let folder = folders.first().map(PathBuf::as_path);
            let noise = corpus.join(folder.unwrap_or(Path::new("_background_noise_")));
            fs::create_dir_all(&noise).unwrap();
            // One file for each split at least.
            for file in 0..4 {
                let hum = (0..20).flat_map(|take| tones::clip(9, 50 + file, take));
                let name = noise.join(format!("hum{file}.wav"));
                tones::write(&name, hum.collect());
            }
        }
        smoke.data.synth = None;
        let rooms = smoke.data.rooms.iter_mut();
        for rooms in rooms.filter_map(|rooms| rooms.simulated.as_mut()) {
            rooms.n_rooms = 2;
        }
        let (status, text) = run_smoke(smoke, &corpus, folder.path());
        assert!(status, "{}: {text}", path.display());
        assert!(text.contains("ensemble of 2"), "{text}");
    }
}

/// Runs the recipe with trainings of a moment and whatever else it says.
pub fn run_smoke(mut smoke: Recipe, corpus: &Path, folder: &Path) -> (bool, String) {
    smoke.search.train.n_epochs = 1;
    smoke.search.fidelity = auricle::search::fidelity::FidelitySpec::Full;
    smoke.search.budget.minutes = None;
    smoke.search.budget.n_trials = Some(2);
    smoke.ensemble.train.n_epochs = 1;
    smoke.ensemble.n_finalists = 1;
    smoke.ensemble.n_members = 2;
    smoke.baselines.truncate(1);
    let file = folder.join("smoke.toml");
    fs::write(&file, toml::to_string(&smoke).unwrap()).unwrap();
    auricle(&[
        "run".as_ref(),
        file.as_ref(),
        "--data".as_ref(),
        corpus.as_ref(),
        "--runs".as_ref(),
        folder.join("runs").as_ref(),
        "--device".as_ref(),
        "cpu".as_ref(),
    ])
}

/// A recipe without a key of one of its sections.
fn without(text: &str, section: &str, key: &str) -> String {
    let mut inside = false;
    let kept = text.lines().filter(|line| {
        if line.starts_with('[') {
            inside = *line == format!("[{section}]");
        }
        !(inside && line.starts_with(&format!("{key} =")))
    });
    kept.map(|line| format!("{line}\n")).collect()
}

/// Rooms, without which no clip can be heard in one.
const ROOMS: &str = "rooms = { simulated = { n_rooms = 1, size_m = [3.0, 4.0], rt60_ms = [100.0, 200.0], distance_m = [0.5, 1.0] } }";

#[test]
fn the_page_on_recipes_names_every_kind_and_what_it_shows_can_be_said() {
    let page =
        std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"))
            .join("recipes/README.md");
    let page = fs::read_to_string(page).unwrap();
    for kind in auricle::model::Block::KINDS {
        assert!(page.contains(&format!("`{kind}`")), "{kind}");
    }
    // Every inline table in backticks that begins with a key is said of a recipe, one at a time.
    let folder = tempfile::tempdir().unwrap();
    let path = tones::recipe(folder.path(), 2);
    let text = fs::read_to_string(path).unwrap();
    let mut n_said = 0;
    let mut section = "";
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## `[") {
            section = title.trim_end_matches("]`");
        }
        if line.starts_with("### Augmentation") {
            section = "augment";
        }
        // The rows of kinds show values of their fields.
        if section == "space" {
            continue;
        }
        let Some((key, rest)) = line
            .strip_prefix("| `")
            .and_then(|row| row.split_once("` |"))
        else {
            continue;
        };
        for shown in rest
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|part| part.starts_with('{'))
        {
            if shown.contains("...") {
                continue;
            }
            n_said += 1;
            if section == "augment" {
                let said = text.replace("augment = { ", &format!("augment = {{ {key} = {shown}, "));
                let said = said.replace("[data]\n", &format!("[data]\n{ROOMS}\n"));
                assert_ne!(said, text);
                Recipe::parse(&said, Path::new("shown.toml"))
                    .unwrap_or_else(|error| panic!("{error}\n{shown}"));
                continue;
            }
            let table = format!("[{section}]\n");
            let old = without(&text, section, key);
            assert!(old.contains(&table), "{section}");
            let said = old.replace(&table, &format!("{table}{key} = {shown}\n"));
            // The tones' trainings are short: whatever is shown fits a longer one.
            let said = said.replace("n_epochs = 2", "n_epochs = 12");
            Recipe::parse(&said, Path::new("shown.toml"))
                .unwrap_or_else(|error| panic!("{error}\n{shown}"));
        }
    }
    assert!(n_said >= 18, "{n_said} settings are shown");
}
