//! What may be said to `auricle dataset`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use auricle_datasets::SpeakerPattern;
use clap::{Args, Subcommand, ValueEnum};

#[derive(Clone, Debug, Subcommand)]
pub enum DatasetCommand {
    /// List the published corpora that are known, or say all that is known of one
    List(ListArgs),
    /// Download a published corpus, check it and unpack it; goes on where it was stopped
    Get(GetArgs),
    /// Audit a corpus: duplicates and speakers across splits, counts, clipping, silence, rates, labels
    Check(CheckArgs),
    /// Count a corpus: clips, speakers, lengths, levels; as text, JSON or a picture
    Stats(StatsArgs),
    /// A page to listen to samples of each label, with their waveforms
    ListenHtml(ListenHtmlArgs),
    /// Speak a corpus of words with espeak-ng or piper, near misses among them, and write a recipe beside it
    Synth(SynthArgs),
    /// Draw what each augmentation of a recipe does to one clip
    AugmentPage(AugmentPageArgs),
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  auricle dataset list
  auricle dataset list speech-commands-v2")]
pub struct ListArgs {
    /// The corpus to say all of: a name from the list, or the file of a card of your own
    #[arg(value_name = "CARD")]
    pub card: Option<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  auricle dataset get speech-commands-v2 --to corpora/sc2
  auricle dataset get librispeech --part dev-clean --to corpora/librispeech
  auricle dataset get voxlingua107 --language et --language fi --to corpora/voxlingua107

An archive that already lies in the folder is used in place of a download, if it is the right one.")]
pub struct GetArgs {
    /// Which corpus: a name from `auricle dataset list`, or the file of a card of your own
    #[arg(value_name = "CARD")]
    pub card: String,
    /// Folder it goes to
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Only this part; may be said more than once [default: all that are not optional]
    #[arg(long, value_name = "PART")]
    pub part: Vec<String>,
    /// A language, for corpora that come by language; may be said more than once
    #[arg(long, value_name = "CODE")]
    pub language: Vec<String>,
    /// Keep the archives once they are unpacked
    #[arg(long)]
    pub keep_archives: bool,
}

/// Which corpus, and how its rows are read.
#[derive(Clone, Debug, Args)]
pub struct CorpusArgs {
    /// A corpus folder, or a list (CSV, TSV, JSONL)
    #[arg(value_name = "DIR|LIST")]
    pub place: PathBuf,
    /// Read it as this published corpus: a name from `auricle dataset list`, or the file of a card of your own
    #[arg(long, value_name = "CARD")]
    pub card: Option<String>,
    /// A task of the card [default: its first]
    #[arg(long, value_name = "TASK", requires = "card")]
    pub task: Option<String>,
    /// A list of the clips of the folder
    #[arg(long, value_name = "FILE", conflicts_with = "card")]
    pub list: Option<PathBuf>,
    /// Where file names tell the speaker: `SEP` (before the first SEP) or `SEP:N` (field N from 0)
    #[arg(long, value_name = "SEP[:N]", default_value = "_nohash_", value_parser = pattern)]
    pub speaker: SpeakerPattern,
    /// Where file names tell the source, in the same way
    #[arg(long, value_name = "SEP[:N]", value_parser = pattern)]
    pub source: Option<SpeakerPattern>,
    /// Files at a time [default: the number of cores]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  auricle dataset check my_recordings
  auricle dataset check corpora/sc2 --card speech-commands-v2 --task v2-12
  auricle dataset check langid --speaker __:1 --source __:0 --json

It ends with status 1 where results from the corpus would be false: the same audio or speaker in two splits,
files that cannot be read, counts that are not those of the card.")]
pub struct CheckArgs {
    #[command(flatten)]
    pub corpus: CorpusArgs,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatsFormat {
    Text,
    Json,
    Svg,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  auricle dataset stats my_recordings
  auricle dataset stats my_recordings --format svg > my_recordings.svg")]
pub struct StatsArgs {
    #[command(flatten)]
    pub corpus: CorpusArgs,
    #[arg(long, value_enum, default_value_t = StatsFormat::Text)]
    pub format: StatsFormat,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  auricle dataset listen-html my_recordings --out listen.html
  auricle dataset listen-html corpora/sc2 --card speech-commands-v2 --task v2-12 --clips 8 --out listen.html
  auricle dataset listen-html my_recordings --link --out my_recordings/listen.html

The page holds the sounds, as training hears them (16 kHz, one channel), and can be sent to anybody; with --link it stays small and
plays the files where they lie.")]
pub struct ListenHtmlArgs {
    #[command(flatten)]
    pub corpus: CorpusArgs,
    /// Clips of each label, of as many speakers as there are
    #[arg(long, value_name = "N", default_value = "6")]
    pub clips: NonZeroUsize,
    /// Only this label; may be said more than once
    #[arg(long, value_name = "LABEL")]
    pub label: Vec<String>,
    /// Refer to the files in place of holding their sound
    #[arg(long)]
    pub link: bool,
    /// At most so many seconds of each clip are shown and held
    #[arg(long, value_name = "S", default_value_t = 10.0)]
    pub max_s: f64,
    /// Draws the clips
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where to
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// `SEP` or `SEP:N`.
fn pattern(text: &str) -> Result<SpeakerPattern, String> {
    if text.is_empty() {
        return Ok(SpeakerPattern::Unnamed);
    }
    match text.rsplit_once(':') {
        Some((separator, index)) if !separator.is_empty() => match index.parse() {
            Ok(index) => Ok(SpeakerPattern::Field {
                separator: separator.to_owned(),
                index,
            }),
            Err(_) => Err(format!(
                "found `{index}` after the colon, expected a number"
            )),
        },
        _ => Ok(SpeakerPattern::Before {
            separator: text.to_owned(),
        }),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SynthEngine {
    EspeakNg,
    Piper,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  auricle dataset synth --words hey_robin,lights_out --into own_words
  auricle dataset synth --words hey_robin,lights_out --recordings my_recordings --into own_words
  auricle run own_words/recipe.toml --data own_words
  auricle dataset synth --words lumo --languages de --candidates german.txt --into lumo
  auricle dataset synth --words lumo --engine piper --piper-voices voices --languages en --into lumo

What is said beside the words is chosen by espeak-ng's sounds, whichever program speaks; --near-misses 0 --readings 0 does
without it.")]
pub struct SynthArgs {
    #[command(flatten)]
    pub corpus: OwnWords,
    /// Files at a time [default: the number of cores]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
}

/// Words, and who says them.
#[derive(Clone, Debug, Args)]
pub struct OwnWords {
    /// The words, `_` for a space [default: the folders of --recordings]
    #[arg(
        long,
        value_name = "WORDS",
        value_delimiter = ',',
        required_unless_present = "recordings"
    )]
    pub words: Vec<String>,
    /// People who say some of them: a folder for each word with three recordings or more, and other speech in folders with other
    /// names (beginning with `_`, where --words is left out). `<speaker>_nohash_<take>` tells who speaks
    #[arg(long, value_name = "DIR")]
    pub recordings: Option<PathBuf>,
    /// Folder of the corpus; a second time goes on in it
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
    /// The program that speaks
    #[arg(long, value_enum, default_value_t = SynthEngine::EspeakNg)]
    pub engine: SynthEngine,
    /// Folder of piper's voices: `*.onnx` with `*.onnx.json` beside them
    #[arg(long, value_name = "DIR", required_if_eq("engine", "piper"))]
    pub piper_voices: Option<PathBuf>,
    /// Leave flite aside: where it is installed, its English voices speak beside espeak-ng's, for training only
    #[arg(long)]
    pub without_flite: bool,
    /// Whose accents speak: languages or espeak-ng voices
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "en"
    )]
    pub languages: Vec<String>,
    /// The most words that sound nearly alike, for each word
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub near_misses: usize,
    /// Clips of each voice reading other words aloud, a row of them at a time
    #[arg(long, value_name = "N", default_value_t = 48)]
    pub readings: usize,
    /// A list of words, one a line, for near misses and readings: besides everyday English, in place of it for other languages
    #[arg(long, value_name = "FILE")]
    pub candidates: Option<PathBuf>,
    /// Synthetic voices, 30 to 2,000
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub voices: usize,
    /// How often each voice says each word
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub takes: usize,
    /// Milliseconds of a clip
    #[arg(long, value_name = "MS", default_value_t = 1500)]
    pub clip_ms: u32,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Example:
  auricle dataset augment-page go/a.wav --recipe recipes/commands-12/recipe.toml --noise noise --out page.html")]
pub struct AugmentPageArgs {
    /// The clip: any audio file
    #[arg(value_name = "CLIP")]
    pub clip: PathBuf,
    #[arg(long, value_name = "FILE")]
    pub recipe: PathBuf,
    /// The corpus, for its noise and its recorded rooms
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Folder of background noise, in place of the recipe's; may be said more than once
    #[arg(long, value_name = "DIR")]
    pub noise: Vec<PathBuf>,
    /// The augmentation of the search's trainings and not of the full ones
    #[arg(long)]
    pub search: bool,
    /// How often each change is drawn
    #[arg(long, value_name = "N", default_value = "2")]
    pub takes: NonZeroUsize,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where to
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}
