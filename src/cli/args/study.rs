//! What may be said to `auricle worker` and `auricle study`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::super::device::DeviceChoice;
use super::{RecipeArgs, Where};

/// Which study.
#[derive(Clone, Debug, Args)]
pub struct StudyArg {
    /// postgres://USER@HOST/DATABASE#NAME, a run's folder, an SQLite file, or @FILE that holds such an address
    /// [default: AURICLE_STUDY of the environment; a password is PGPASSWORD's]
    #[arg(long = "study", value_name = "ADDRESS", global = true)]
    pub address: Option<String>,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Example:
  auricle worker --study postgres://me@db/auricle#commands --data speech_commands")]
pub struct WorkerArgs {
    #[command(flatten)]
    pub study: StudyArg,
    /// The corpus, as the study was created over
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Where the noise of the study lies on this machine; may be said more than once [default: as where it was created]
    #[arg(long, value_name = "DIR")]
    pub noise: Vec<PathBuf>,
    #[command(flatten)]
    pub place: Where,
    /// Seconds that this worker may be silent before its trials are given to others
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub lease: f64,
    /// The beginning of this worker's name [default: the machine's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  auricle study create --study postgres://me@db/auricle#commands recipe.toml --data corpus --artifacts s3://bucket/a
  auricle study show --study postgres://me@db/auricle#commands
  auricle study watch --study runs/0123456789abcdef
  auricle study set-budget --study runs/0123456789abcdef --trials 200")]
pub struct StudyArgs {
    #[command(flatten)]
    pub study: StudyArg,
    /// One JSON value a line, for programs
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: StudyCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub enum StudyCommand {
    /// Begin a study that any number of workers share
    Create(CreateArgs),
    /// Name the studies of a database
    List,
    /// Counts, the best trial, who works on what
    Show,
    /// Show it on the terminal as it goes on: the best, the front, what runs, who lives, what failed; q leaves
    Watch(WatchArgs),
    /// List trials
    Trials(TrialsArgs),
    /// List the trials with the lowest validation losses
    Best {
        /// How many
        #[arg(short, long, value_name = "N", default_value_t = 10)]
        n: usize,
    },
    /// Begin no trial until it is resumed; what runs is finished
    Pause,
    /// Go on after a pause or a stop
    Resume,
    /// Workers hand back what they run, and leave
    Stop,
    /// Queue trials anew that failed, were stopped, or run on a worker that hangs
    Retry {
        #[arg(value_name = "TRIAL", required_unless_present = "failed")]
        numbers: Vec<u64>,
        /// All that failed
        #[arg(long)]
        failed: bool,
    },
    /// End trials, whoever has them
    Kill {
        #[arg(value_name = "TRIAL", required = true)]
        numbers: Vec<u64>,
    },
    /// Queue a genome of your own
    Suggest {
        /// The genome as JSON
        #[arg(value_name = "FILE")]
        genome: PathBuf,
    },
    /// Change when the search ends, while workers run
    SetBudget(BudgetArgs),
    /// Write the study with all trials as JSON lines
    Export {
        /// Where to [default: standard output]
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Begin a study from an export
    Import {
        #[arg(value_name = "FILE")]
        from: PathBuf,
    },
    /// Remove the study with its trials; artifacts stay until `gc`
    Delete {
        /// Really
        #[arg(long)]
        yes: bool,
    },
    /// Remove artifacts that no trial of the database names
    Gc {
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
        /// Younger ones stay: a worker may be about to name them
        #[arg(long, value_name = "HOURS", default_value_t = 24.0)]
        older_than: f64,
    },
}

#[derive(Clone, Debug, Args)]
pub struct CreateArgs {
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Folder of all runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,
    /// What the workers compute on: auto, cpu, wgpu[:N] or cuda[:N]
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    pub device: DeviceChoice,
    /// Folder or bucket that all workers reach [default: `artifacts` beside an SQLite file]
    #[arg(long, value_name = "PLACE")]
    pub artifacts: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub struct WatchArgs {
    /// Between two looks at the study
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    pub every: f64,
}

#[derive(Clone, Debug, Args)]
pub struct TrialsArgs {
    /// Only those in this state: queued, running, paused, given-up, complete, failed, infeasible, stopped
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// With the validation loss after every epoch
    #[arg(long)]
    pub curves: bool,
}

#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = true)]
pub struct BudgetArgs {
    /// Trials begun, earlier ones included
    #[arg(long, value_name = "N")]
    pub trials: Option<u64>,
    /// Minutes since the first trial began
    #[arg(long)]
    pub minutes: Option<f64>,
    /// Most minutes of one trial
    #[arg(long, value_name = "MINUTES")]
    pub trial_minutes: Option<f64>,
    /// That of the recipe again
    #[arg(long, conflicts_with_all = ["trials", "minutes", "trial_minutes"])]
    pub recipe: bool,
}
