//! The templates of recipes/deploy: everything in them that can be checked without a cluster. What needs another
//! program is left out, with a line that says so, where that program is not installed.

mod manifests;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use auricle::cli::Auricle;
use auricle::search::store::StudyAddress;
use clap::{CommandFactory, Parser};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/deploy")
}

fn text_of(path: &str) -> String {
    fs::read_to_string(folder().join(path)).unwrap()
}

/// Words after `auricle`, as the program itself reads them; addresses with a password in them are refused.
#[track_caller]
fn check_command(place: &str, words: &[String]) {
    let all = std::iter::once("auricle").chain(words.iter().map(String::as_str));
    if let Err(error) = Auricle::try_parse_from(all) {
        panic!("{place}: auricle {}: {error}", words.join(" "));
    }
    let address = words.iter().skip_while(|word| *word != "--study").nth(1);
    if let Some(address) = address.filter(|address| !address.starts_with(['@', '.'])) {
        StudyAddress::parse(address).unwrap_or_else(|error| panic!("{place}: {error}"));
    }
}

/// The command lines of ours in a text for a shell: from `auricle` and one of its commands to the line's end.
fn commands_in(text: &str) -> Vec<Vec<String>> {
    let command = Auricle::command();
    let names: Vec<&str> = command.get_subcommands().map(|it| it.get_name()).collect();
    let mut found = Vec::new();
    for line in text.replace("\\\n", " ").lines() {
        let words = line
            .split_whitespace()
            .map(|word| word.trim_matches(['"', '\'', '`']));
        let words: Vec<&str> = words
            .take_while(|word| !word.starts_with(['#', ';', '>', '|']))
            .collect();
        let at = words
            .windows(2)
            .position(|pair| pair[0] == "auricle" && names.contains(&pair[1]));
        if let Some(at) = at {
            found.push(
                words[at + 1..]
                    .iter()
                    .map(|word| (*word).to_owned())
                    .collect(),
            );
        }
    }
    found
}

#[test]
fn every_command_line_of_the_pages_is_one_that_the_program_takes() {
    let mut n = 0;
    for page in ["", "compose/", "kubernetes/", "slurm/", "systemd/"] {
        let place = format!("{page}README.md");
        for words in commands_in(&text_of(&place)) {
            check_command(&place, &words);
            n += 1;
        }
    }
    assert!(n >= 7, "{n} command lines: they are not found any more");
}

#[test]
fn the_unit_is_one_that_systemd_takes_and_its_command_one_that_the_program_takes() {
    let unit = text_of("systemd/auricle-worker@.service");
    let program = "/usr/local/bin/auricle";
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    let words: Vec<String> = start.split_whitespace().map(str::to_owned).collect();
    assert_eq!(words[0], program);
    check_command("systemd/auricle-worker@.service", &words[1..]);
    // It is verified with a program that is there.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("auricle-worker@words.service");
    fs::write(&path, unit.replace(program, env!("CARGO_BIN_EXE_auricle"))).unwrap();
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&path)
        .output();
    let Ok(verified) = verified else {
        eprintln!("skipped: there is no `systemd-analyze` to verify the unit");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    // An older one says what it does not know and ends well.
    let is_well = verified.status.success() && !said.contains("auricle-worker");
    assert!(is_well, "{said}");
}

/// A program of that name which writes its arguments down, a line each, and after them a word of its own.
#[cfg(unix)]
fn stub(folder: &Path, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/bash\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(unix)]
#[test]
fn the_batch_script_of_slurm_starts_a_worker_with_what_the_environment_says() {
    let script = folder().join("slurm/workers.sbatch");
    let Ok(sound) = Command::new("bash").arg("-n").arg(&script).status() else {
        eprintln!("skipped: there is no `bash` to read the batch script");
        return;
    };
    assert!(sound.success());
    let place = tempfile::tempdir().unwrap();
    let said = place.path().join("said");
    // srun leaves its own options out and runs the rest.
    stub(
        place.path(),
        "srun",
        "while [[ $1 == --* ]]; do shift; done; exec \"$@\"",
    );
    stub(place.path(), "auricle", "printf '%s\\n' \"$@\" > \"$SAID\"");
    let path = std::env::var("PATH").unwrap();
    let run = |data: Option<&str>| {
        let mut command = Command::new("bash");
        command
            .arg(&script)
            .env("PATH", format!("{}:{path}", place.path().display()))
            .env("SAID", &said)
            .env("SLURM_JOB_ID", "71")
            .env("SLURM_ARRAY_TASK_ID", "3")
            .env("SLURM_CPUS_PER_TASK", "4")
            .env("SLURM_TMPDIR", "/scratch/71")
            .env("AURICLE_ADDRESS", "/home/me/.auricle study")
            .env_remove("AURICLE_DATA")
            .env_remove("AURICLE_DEVICE")
            .stderr(Stdio::piped());
        if let Some(data) = data {
            command.env("AURICLE_DATA", data);
        }
        command.output().unwrap()
    };
    let refused = run(None);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(
        !refused.status.success() && text.contains("AURICLE_DATA"),
        "{text}"
    );
    let output = run(Some("/shared/corpus"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let words = fs::read_to_string(&said).unwrap();
    let words: Vec<String> = words.lines().map(str::to_owned).collect();
    check_command("slurm/workers.sbatch", &words);
    let expected = [
        ["--study", "@/home/me/.auricle study"],
        ["--data", "/shared/corpus"],
        ["--runs", "/scratch/71/auricle-71"],
        ["--workers", "4"],
        ["--name", "71-3"],
    ];
    for pair in expected {
        assert!(
            words.windows(2).any(|two| two == pair),
            "{pair:?} in {words:?}"
        );
    }
    // What Slurm itself reads.
    let options: Vec<String> = text_of("slurm/workers.sbatch")
        .lines()
        .filter_map(|line| line.strip_prefix("#SBATCH --").map(str::to_owned))
        .collect();
    let named = |name: &str| {
        options
            .iter()
            .any(|option| option.split('=').next() == Some(name))
    };
    for name in ["array", "cpus-per-task", "mem", "time", "signal", "requeue"] {
        assert!(named(name), "{name} in {options:?}");
    }
}

#[test]
fn the_image_is_built_from_features_that_there_are() {
    let text = text_of("compose/Dockerfile");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let mut words = text.split_whitespace();
    words.find(|word| *word == "--features").unwrap();
    for feature in words.next().unwrap().split(',') {
        let features = manifest["features"].as_table().unwrap();
        assert!(features.contains_key(feature), "{feature}");
    }
    let needed = manifest["workspace"]["package"]["rust-version"]
        .as_str()
        .unwrap();
    assert!(text.contains(&format!("FROM rust:{needed}")), "{needed}");
    assert!(text.contains("ENTRYPOINT [\"auricle\"]"));
}
