//! Who may import whom: the table of ARCHITECTURE.md, read off the `use` lines.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Room, and what of ours it may name. `cli` may name all and is not listed.
const MAY_IMPORT: [(&str, &[&str]); 12] = [
    ("audio", &[]),
    ("model", &["burn"]),
    ("evaluate", &["auricle_datasets"]),
    ("bundle", &["auricle_features", "model"]),
    ("export", &["model", "bundle"]),
    ("stream", &["audio", "auricle_features", "model", "bundle"]),
    ("serve", &["audio", "bundle", "stream"]),
    ("ingest", &["audio", "auricle_features", "auricle_datasets"]),
    (
        "search",
        &[
            "auricle_features",
            "auricle_datasets",
            "model",
            "evaluate",
            "burn",
        ],
    ),
    (
        "recipe",
        &[
            "auricle_features",
            "auricle_datasets",
            "model",
            "bundle",
            "search",
        ],
    ),
    (
        "run",
        &[
            "audio",
            "auricle_features",
            "auricle_datasets",
            "model",
            "evaluate",
            "bundle",
            "stream",
            "ingest",
            "search",
            "recipe",
            "burn",
        ],
    ),
    ("cli", &["*"]),
];

const OURS: [&str; 14] = [
    "audio",
    "model",
    "evaluate",
    "bundle",
    "export",
    "stream",
    "serve",
    "ingest",
    "search",
    "recipe",
    "run",
    "cli",
    "auricle_features",
    "auricle_datasets",
];

fn root() -> PathBuf {
    std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Rooms and crates that a file's code names: `crate::room` and `crate_name::`.
fn named(text: &str) -> BTreeSet<&'static str> {
    let code: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    let mut found = BTreeSet::new();
    for room in OURS {
        if code.contains(&format!("crate::{room}"))
            || code.contains(&format!("{room}::")) && room.contains('_')
        {
            found.insert(room);
        }
    }
    if code.contains("use burn::") || code.contains(" burn::") || code.contains("(burn::") {
        found.insert("burn");
    }
    found
}

#[test]
fn every_room_imports_only_what_the_plan_lets_it() {
    let rooms: BTreeSet<String> = fs::read_dir(root().join("src"))
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_dir() && entry.file_name() != "bin")
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let listed: BTreeSet<String> = MAY_IMPORT
        .iter()
        .map(|(room, _)| (*room).to_owned())
        .collect();
    assert_eq!(
        rooms, listed,
        "a room that the table does not know, or the other way about"
    );
    for (room, allowed) in MAY_IMPORT {
        for file in rust_files(&root().join("src").join(room)) {
            for name in named(&fs::read_to_string(&file).unwrap()) {
                let is_allowed = name == room || allowed.contains(&name) || allowed == ["*"];
                assert!(is_allowed, "{} imports {name}", file.display());
            }
        }
    }
}

#[test]
fn only_cli_prints_or_exits() {
    for (room, _) in MAY_IMPORT.iter().filter(|(room, _)| *room != "cli") {
        for file in rust_files(&root().join("src").join(room)) {
            let text = fs::read_to_string(&file).unwrap();
            let is_test = file.components().any(|part| part.as_os_str() == "tests")
                || file.file_name().is_some_and(|name| name == "tests.rs");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for word in ["println!", "eprintln!", "process::exit"] {
                assert!(
                    is_test || !code.contains(word),
                    "{}: {word}",
                    file.display()
                );
            }
        }
    }
}

/// Leases, ages and budgets are measured by the clock of the store or the depot, or as time that passes.
#[test]
fn a_search_reads_no_wall_clock() {
    for file in rust_files(&root().join("src/search")) {
        let text = fs::read_to_string(&file).unwrap();
        for word in ["SystemTime", "chrono::", "UNIX_EPOCH"] {
            assert!(!text.contains(word), "{}: {word}", file.display());
        }
    }
}

#[test]
fn the_crates_know_no_tensors_and_features_open_no_file() {
    for (folder, words) in [
        (
            "features/src",
            &["burn", "std::fs", "std::time", "File::"][..],
        ),
        ("datasets/src", &["burn::", "symphonia", "auricle::"][..]),
    ] {
        for file in rust_files(&root().join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            for word in words {
                assert!(!text.contains(word), "{}: {word}", file.display());
            }
        }
    }
}

#[test]
fn files_stay_short_enough_to_read() {
    for folder in ["src", "features/src", "datasets/src", "tests"] {
        for file in rust_files(&root().join(folder)) {
            let n_lines = fs::read_to_string(&file).unwrap().lines().count();
            assert!(n_lines <= 520, "{}: {n_lines} lines", file.display());
        }
    }
}
