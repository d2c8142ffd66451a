//! What may be said to `auricle`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::args_dataset::{DatasetCommand, OwnWords};
use super::device::DeviceChoice;
use super::infer::{InferArgs, ServeArgs};
use crate::evaluate::detection::MatchSpec;

mod study;

pub use study::{
    BudgetArgs, CreateArgs, StudyArg, StudyArgs, StudyCommand, TrialsArgs, WatchArgs, WorkerArgs,
};

/// Search, train and run small speech networks
#[derive(Clone, Debug, Parser)]
#[command(
    name = "auricle",
    version,
    after_help = "\
Start here:
  auricle demo                                              the whole way on synthetic speech, some minutes
  auricle own-words --words hey_robin --into own_words      a detector of one's own words, spoken by programs
  auricle run recipes/commands-12/recipe.toml --data DIR    the same on recorded words"
)]
pub struct Auricle {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// The whole way on a synthetic corpus: speak, ingest, search, ensemble, judge, pack, listen
    Demo(DemoArgs),
    /// The whole way on a corpus: ingest, search, ensemble, judge on the test split, pack
    Run(RunArgs),
    /// The whole way from a list of words, or a folder of recordings: speak a corpus, then run a recipe over it
    OwnWords(OwnWordsArgs),
    /// Decode, check and label a corpus, and compute its features; a second time does nothing
    Ingest(IngestArgs),
    /// Only search, and list the best trials; goes on where it was stopped
    Search(RunArgs),
    /// Train trials of a study that many workers share, until its budget is spent or it is told to stop
    Worker(WorkerArgs),
    /// Begin, show and steer studies that workers share
    Study(StudyArgs),
    /// Teach one small network what a packed ensemble knows, and pack it
    Distil(DistilArgs),
    /// Judge a bundle on any labelled folder or list, or as a listener on recordings
    Evaluate(EvaluateArgs),
    /// Set finished runs side by side
    Compare(CompareArgs),
    /// Draw what a bundle hears in one clip
    Explain(ExplainArgs),
    /// Get, check, make and look at data sets
    #[command(subcommand)]
    Dataset(DatasetCommand),
    /// Find a bundle's thresholds on one's own recordings: few misses at so many false accepts a day
    Tune(TuneArgs),
    /// Copy the bundle of a finished run to a file
    Export(ExportArgs),
    /// Say what a bundle, a recipe or a run's folder holds
    Describe(DescribeArgs),
    /// List what can compute and what can listen
    Devices,
    /// Hear keywords in files, on standard input or from a microphone (the same as kws-infer)
    Infer(InferArgs),
    /// Hear for others: Wyoming, WebSockets and a page (the same as kws-infer serve)
    Serve(ServeArgs),
}

/// Where results go and what computes.
#[derive(Clone, Debug, Args)]
pub struct Where {
    /// Folder of all runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,
    /// auto, cpu, wgpu[:N] or cuda[:N]; auto takes a real GPU if there is one
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    pub device: DeviceChoice,
    /// Trainings at a time; one repeats bit for bit [default: the recipe's; 1 on a GPU]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Example:
  auricle demo --runs runs")]
pub struct DemoArgs {
    #[command(flatten)]
    pub place: Where,
    /// Print the recipe that the demo runs, and stop
    #[arg(long)]
    pub show_recipe: bool,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  auricle own-words --words hey_robin,lights_out --into own_words
  auricle own-words --recordings my_recordings --into own_words
  auricle own-words --recordings my_recordings --negative evenings --into own_words

The corpus is that of `auricle dataset synth`, whose help says more; a second time goes on where the first was stopped.")]
pub struct OwnWordsArgs {
    #[command(flatten)]
    pub corpus: OwnWords,
    #[command(flatten)]
    pub place: Where,
    /// Folder of background noise to train with, in place of the corpus's; may be said more than once
    #[arg(long, value_name = "DIR")]
    pub noise: Vec<PathBuf>,
    /// Minutes of search [default: 6; with recordings none, the recipe's own network is trained]
    #[arg(long)]
    pub minutes: Option<f64>,
    /// An hour or more without the words (radio, talk), any format: thresholds become the lowest from which no more false accepts are expected than are borne
    #[arg(long, value_name = "DIR")]
    pub negative: Option<PathBuf>,
    /// False accepts a day that are borne, of all words together
    #[arg(long, value_name = "N", default_value_t = 12.0, requires = "negative")]
    pub target_fa_per_day: f64,
}

/// What of a recipe may be said on the command line instead.
#[derive(Clone, Debug, Args)]
pub struct RecipeArgs {
    /// The recipe
    #[arg(value_name = "RECIPE")]
    pub recipe: PathBuf,
    /// The corpus: a folder for each word, or what the recipe says
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Folder of background noise to train with, in place of the recipe's; may be said more than once
    #[arg(long, value_name = "DIR")]
    pub noise: Vec<PathBuf>,
    /// In place of the recipe's
    #[arg(long)]
    pub seed: Option<u64>,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  auricle run recipes/commands-12/recipe.toml --data speech_commands --noise noise
  auricle run recipes/commands-12/recipe.toml --data speech_commands --minutes 5 --workers 1")]
pub struct RunArgs {
    #[command(flatten)]
    pub recipe: RecipeArgs,
    #[command(flatten)]
    pub place: Where,
    /// Minutes of search, in place of the recipe's
    #[arg(long)]
    pub minutes: Option<f64>,
    /// Trials of the search, in place of the recipe's
    #[arg(long, value_name = "N")]
    pub trials: Option<u64>,
    /// Try the best genomes of a finished search first: the folder of its run, over whatever data
    #[arg(long, value_name = "RUN")]
    pub replay: Option<PathBuf>,
    /// How many of them
    #[arg(long, value_name = "N", default_value_t = 10, requires = "replay")]
    pub replay_best: usize,
    /// Search beside the workers of this study of `auricle study create`, over the same recipe and data
    #[arg(long, value_name = "ADDRESS")]
    pub study: Option<String>,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Example:
  auricle distil ensemble.auricle recipes/commands-12/recipe.toml --data speech_commands --to small.auricle")]
pub struct DistilArgs {
    /// Who teaches: any bundle of the recipe's labels and front-end
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    #[command(flatten)]
    pub place: Where,
    /// Where to
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// The student's genome as JSON [default: that of the bundle's smallest member]
    #[arg(long, value_name = "FILE")]
    pub genome: Option<PathBuf>,
    /// Divides the logits of both sides before they are compared
    #[arg(long, default_value_t = 2.0)]
    pub temperature: f32,
    /// Weight of the labels; the teacher's is what is left of 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.3)]
    pub label_weight: f32,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Example:
  auricle ingest recipes/commands-12/recipe.toml --data speech_commands")]
pub struct IngestArgs {
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Folder of all runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,
    /// Files at a time [default: the number of cores]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
    /// One line for each clip, with all probabilities (compare: for each system)
    Csv,
    /// A page with pictures
    Html,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  auricle evaluate ensemble.auricle --data my_recordings
  auricle evaluate ensemble.auricle --data kws_en --list splits.tsv --split dev --format json
  auricle evaluate ensemble.auricle --data kws_en --against single.auricle
  auricle evaluate language.auricle --data langid --list clips.tsv --by source --seconds 1,2,3,5 --format html > page.html
  auricle evaluate ensemble.auricle --data corpus --list corpus/clips.csv --format csv > scores.csv
  auricle evaluate ensemble.auricle --stream --positive words --negative hours --noise noise --snr 20,10,0")]
pub struct EvaluateArgs {
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// A folder for each label, or the folder that the paths of --list start from
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "stream",
        conflicts_with = "stream"
    )]
    pub data: Option<PathBuf>,
    /// Judge what it hears in recordings: keywords missed, false accepts per hour
    #[arg(long, requires = "positive", requires = "negative")]
    pub stream: bool,
    #[command(flatten)]
    pub field: FieldArgs,
    /// Folder of noise to mix in, a folder inside it for each kind
    #[arg(long, value_name = "DIR", requires = "stream")]
    pub noise: Option<PathBuf>,
    /// Levels of speech above that noise
    #[arg(long, value_name = "DB", value_delimiter = ',', default_values_t = [20.0, 10.0, 0.0], allow_hyphen_values = true, requires = "noise")]
    pub snr: Vec<f32>,
    /// CSV, TSV or JSONL with `path` and `label` (or the path's folder), perhaps `speaker`, `split`, `start`, `end`
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
    /// Only rows of the list with this in their `split`
    #[arg(long, value_name = "NAME", requires = "list")]
    pub split: Option<String>,
    /// Tell clips apart by a column of the list, by `speaker`, `length` or `loudness`; may be said more than once
    #[arg(long, value_name = "COLUMN")]
    pub by: Vec<String>,
    /// Judge also as if only the first so many seconds had been heard
    #[arg(long, value_name = "SECONDS", value_delimiter = ',')]
    pub seconds: Vec<f64>,
    /// Another bundle of the same labels, on the same clips: is it better by more than chance?
    #[arg(long, value_name = "BUNDLE")]
    pub against: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Clips at a time [default: the number of cores]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
}

/// Recordings to try a listener on.
#[derive(Clone, Debug, Args)]
pub struct FieldArgs {
    /// Recordings with one keyword each: a folder for each keyword, or one folder for the only one.
    /// With --list: the folder its paths start from. `tune` can do without
    #[arg(long, value_name = "DIR")]
    pub positive: Option<PathBuf>,
    /// Recordings of any length without a keyword
    #[arg(long, value_name = "DIR")]
    pub negative: Option<PathBuf>,
    /// How long after a keyword's end it may be reported
    #[arg(long, value_name = "SECONDS", default_value_t = MatchSpec::default().tolerance_s)]
    pub tolerance_s: f64,
    /// False accepts sooner than this after another of the same keyword are one
    #[arg(long, value_name = "SECONDS", default_value_t = MatchSpec::default().refractory_s)]
    pub refractory_s: f64,
    /// Report only where somebody is heard to speak with this score, in place of the bundle's; 0: everywhere
    #[arg(long, value_name = "SCORE")]
    pub voice_gate: Option<f32>,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  auricle tune wake.auricle --positive my_voice --negative evenings --target-fa-per-day 2
  auricle tune wake.auricle --negative evenings --target-fa-per-day 2      no recordings
  auricle tune wake.auricle --positive my_voice --negative evenings --target-fa-per-day 1 --out tuned.auricle --det det.svg")]
pub struct TuneArgs {
    /// Its thresholds are replaced, unless --out names another file
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    #[command(flatten)]
    pub field: FieldArgs,
    /// CSV, TSV or JSONL with `path`, `label`, perhaps `start` and `end` of each keyword in seconds
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
    /// False accepts a day that are borne, of all keywords together
    #[arg(long, value_name = "N")]
    pub target_fa_per_day: f64,
    /// Write the tuned bundle here and leave the other as it is
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Where the picture of misses against false accepts goes [default: beside the bundle, `.det.svg`]
    #[arg(long, value_name = "FILE", requires = "positive")]
    pub det: Option<PathBuf>,
    /// Where the sounds taken for a keyword go, to train against [default: beside the bundle, `.false`]
    #[arg(long, value_name = "DIR")]
    pub false_clips: Option<PathBuf>,
    /// Most of them
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub max_clips: usize,
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
    /// Recordings at a time [default: the number of cores]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScoreChoice {
    Accuracy,
    BalancedAccuracy,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  auricle compare runs/0123456789abcdef runs/fedcba9876543210 --format csv
  auricle compare runs/* --over-seeds
  auricle compare runs/* --over-seeds --score balanced-accuracy")]
pub struct CompareArgs {
    /// Folders of finished runs
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// One row a system: the mean over the runs and its 95 % interval, for runs of one recipe with several seeds
    #[arg(long)]
    pub over_seeds: bool,
    /// What the rows over seeds are of: for classes of unlike sizes the mean of their shares says more than the share of all clips
    #[arg(long, value_enum, value_name = "SCORE", default_value_t = ScoreChoice::Accuracy, requires = "over_seeds")]
    pub score: ScoreChoice,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Example:
  auricle explain commands.auricle recording.wav --out page.html")]
pub struct ExplainArgs {
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Any audio file
    #[arg(value_name = "CLIP")]
    pub clip: PathBuf,
    /// Where to
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  auricle export runs/0123456789abcdef --to commands.auricle --single
  auricle export commands.auricle --onnx commands.onnx
  auricle export commands.auricle --onnx commands-stream.onnx --streaming
  auricle export commands.auricle --int8 small.auricle --data kws_en --list splits.tsv --split dev")]
#[command(group = clap::ArgGroup::new("target").required(true).multiple(true))]
pub struct ExportArgs {
    /// Folder of a finished run, or a bundle
    #[arg(value_name = "RUN|BUNDLE")]
    pub what: PathBuf,
    /// The bundle as it is
    #[arg(long, value_name = "FILE", group = "target")]
    pub to: Option<PathBuf>,
    /// One ONNX graph (operator set 17) of all networks: the log-mel frames of a clip to probabilities
    #[arg(long, value_name = "FILE", group = "target")]
    pub onnx: Option<PathBuf>,
    /// The graph that takes one frame a run, with its states as inputs and outputs
    #[arg(long, requires = "onnx")]
    pub streaming: bool,
    /// A bundle with weights of 8 bits, about a quarter of the size
    #[arg(long, value_name = "FILE", group = "target")]
    pub int8: Option<PathBuf>,
    /// Of a run: the single network and not the ensemble
    #[arg(long)]
    pub single: bool,
    /// Clips to measure what 8 bits cost: a folder for each label, or where the paths of --list start
    #[arg(long, value_name = "DIR", requires = "int8")]
    pub data: Option<PathBuf>,
    /// As of `auricle evaluate`
    #[arg(long, value_name = "FILE", requires = "data")]
    pub list: Option<PathBuf>,
    /// As of `auricle evaluate`
    #[arg(long, value_name = "NAME", requires = "list")]
    pub split: Option<String>,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  auricle describe commands.auricle
  auricle describe recipes/commands-12/recipe.toml
  auricle describe runs/0123456789abcdef")]
pub struct DescribeArgs {
    /// A bundle, a recipe or the folder of a run
    #[arg(value_name = "WHAT")]
    pub what: PathBuf,
}
