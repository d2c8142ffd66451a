//! A user's walk through `auricle study`, `auricle worker` and `auricle run`: a place, an address, a command after the other.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::tones;

/// A folder with a corpus of tones and a recipe, from which a user gives commands.
pub struct Walk {
    pub folder: tempfile::TempDir,
    pub corpus: PathBuf,
    pub recipe: PathBuf,
    /// What `--study` is told.
    pub address: String,
    /// What `--artifacts` is told.
    pub artifacts: String,
    /// What the environment says besides.
    pub variables: Vec<(&'static str, String)>,
}

impl Walk {
    pub fn new(n_trials: u64, address: Option<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let corpus = folder.path().join("corpus");
        tones::corpus(&corpus, &tones::words(4), 16);
        let file = folder.path().join("shared/study.sqlite");
        Self {
            recipe: tones::recipe(folder.path(), n_trials),
            address: address.unwrap_or_else(|| file.display().to_string()),
            corpus,
            folder,
            artifacts: "shared/artifacts".into(),
            variables: Vec::new(),
        }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_auricle"));
        command
            .args(args)
            .env("AURICLE_STUDY", &self.address)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    pub fn over(&self, args: &[&str]) -> Command {
        let mut command = self.command(args);
        command.args([OsStr::new("--data"), self.corpus.as_ref()]);
        command.args(["--runs", "runs", "--device", "cpu"]);
        command
    }

    #[track_caller]
    pub fn text(mut command: Command, is_well: bool) -> String {
        let output = command.output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.success(), is_well, "{text}");
        text
    }

    #[track_caller]
    pub fn create(&self) {
        let recipe = self.recipe.display().to_string();
        let text = Self::text(
            self.over(&["study", "create", &recipe, "--artifacts", &self.artifacts]),
            true,
        );
        assert!(text.contains(" of run "), "{text}");
    }

    /// What `auricle study ARGS --json` says, a value a line.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Vec<Value> {
        let text = Self::text(self.command(&[&["study", "--json"], args].concat()), true);
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[track_caller]
    pub fn work(&self) -> String {
        Self::text(self.over(&["worker", "--workers", "1"]), true)
    }
}

/// The states of trials as JSON.
pub fn states(trials: &[Value]) -> Vec<&str> {
    let states = trials.iter();
    states
        .map(|trial| trial["state"]["state"].as_str().unwrap())
        .collect()
}
