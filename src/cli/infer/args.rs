//! The command line of `kws-infer` and `auricle infer`: what may be said, not what is done.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  Two files, one JSON line for each keyword that is heard:
    kws-infer commands.auricle meeting.mp3 kitchen.wav

  Another program's sound, as text to read:
    arecord -q -r 16000 -f S16_LE -t raw | kws-infer commands.auricle - --pretty
    ffmpeg -v error -i talk.mkv -f f32le -ac 1 -ar 48000 - | kws-infer commands.auricle - --rate 48000 --format f32le

  A microphone, by a part of its name, with a stricter threshold:
    kws-infer devices
    kws-infer commands.auricle --mic --device usb --threshold 0.9

  Which language is it? After 1, 2, 3 and 5 s, when it changes and at the end:
    kws-infer languages.auricle --mic --languages en,de,fr --pretty

  Which word is it? One line for each clip:
    kws-infer commands.auricle --classify clips/*.wav

Output, one line each:
  {\"file\":\"kitchen.wav\",\"keyword\":\"stop\",\"time_s\":3.265,\"score\":0.97,\"decided_s\":3.345,\"start_s\":2.565,\"end_s\":3.115,\"latency_s\":0.23}
  time_s: where the score was highest; start_s, end_s: where the word lies, by its loudness; decided_s: when it was
  known; latency_s: that after the word's end
  {\"file\":\"talk.mp3\",\"heard_s\":2.0,\"occasion\":\"heard\",\"language\":\"de\",\"score\":0.91,\"posterior\":{\"en\":0.06,\"de\":0.91,\"fr\":0.03}}
  occasion: heard (1, 2, 3, 5 s), change, end; language: null where none reaches the bundle's floor; score: of the most probable

Exit status: 0 all was heard, 1 some input failed (the others were heard), 2 wrong usage.
`auricle infer` takes the same arguments.";

const SERVE_EXAMPLES: &str = "\
Examples:
  In place of openWakeWord, for Home Assistant on the same machine:
    kws-infer serve wake.auricle --wyoming tcp://127.0.0.1:10400

  A page that listens with the browser's microphone:
    kws-infer serve wake.auricle --websocket 127.0.0.1:8080

There is no password: give an address that others can reach only in a network that you trust.";

/// Hear keywords, or which language is spoken, in audio files, on standard input, or from a microphone
#[derive(Clone, Debug, Parser)]
#[command(
    name = "kws-infer",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct KwsInfer {
    #[command(subcommand)]
    pub command: Option<KwsCommand>,
    #[command(flatten)]
    pub args: InferArgs,
}

#[derive(Clone, Debug, Subcommand)]
pub enum KwsCommand {
    /// Hear for others: Home Assistant's Wyoming protocol, WebSockets and a page
    Serve(ServeArgs),
    /// List the microphones
    Devices,
}

/// The arguments of `kws-infer serve` and `auricle serve`.
#[derive(Clone, Debug, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub struct ServeArgs {
    /// What to listen with
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,

    /// Address for Wyoming; port 0 takes a free one
    #[arg(long, value_name = "tcp://HOST:PORT")]
    pub wyoming: Option<String>,

    /// Address for WebSockets and their page
    #[arg(long, value_name = "HOST:PORT")]
    pub websocket: Option<String>,

    /// Clients at a time on each address
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub max_clients: usize,

    /// Largest message of a client
    #[arg(long, value_name = "KIB", default_value_t = 1024)]
    pub max_message_kib: usize,

    /// A client that says nothing for this long is let go
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub idle_s: u64,

    /// Score from which a keyword counts, in place of all thresholds of the bundle
    #[arg(long, value_name = "SCORE")]
    pub threshold: Option<f32>,

    /// Report only where somebody is heard to speak with this score (0.5 is a start), in place of the bundle's; 0: everywhere
    #[arg(long, value_name = "SCORE")]
    pub voice_gate: Option<f32>,
}

/// The arguments of `kws-infer` and `auricle infer`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InferArgs {
    /// What to listen with: a file made by `auricle export`
    #[arg(value_name = "BUNDLE", required_unless_present = "list_devices")]
    pub bundle: Option<PathBuf>,

    /// Audio files of any rate and length (WAV, FLAC, MP3, Ogg, M4A, AIFF, ...); `-`: raw PCM on standard input
    #[arg(value_name = "FILE", required_unless_present_any = ["mic", "list_devices"], conflicts_with = "mic")]
    pub files: Vec<PathBuf>,

    /// Listen to a microphone until interrupted
    #[arg(long)]
    pub mic: bool,

    /// Microphone: its number in --list-devices or a part of its name [default: the system's]
    #[arg(long, value_name = "NAME", requires = "mic", conflicts_with = "files")]
    pub device: Option<String>,

    /// List the microphones and stop
    #[arg(long)]
    pub list_devices: bool,

    /// Sample rate of standard input [default: 16000]
    #[arg(long, value_name = "HZ")]
    pub rate: Option<u32>,

    /// Channels of standard input, interleaved; they are mixed down [default: 1]
    #[arg(long, value_name = "N")]
    pub channels: Option<usize>,

    /// Sample format of standard input [default: s16le]
    #[arg(long, value_enum)]
    pub format: Option<PcmFormat>,

    /// Score from which a keyword counts, 0 to 1, in place of all thresholds of the bundle; of languages, probability from which one is named
    #[arg(long, value_name = "SCORE")]
    pub threshold: Option<f32>,

    /// Time after a detection in which nothing counts, in place of the bundle's
    #[arg(long, value_name = "MS")]
    pub refractory_ms: Option<u32>,

    /// Time over which scores are averaged, in place of the bundle's
    #[arg(long, value_name = "MS")]
    pub smoothing_ms: Option<u32>,

    /// Report only where somebody is heard to speak with this score (0.5 is a start), in place of the bundle's; 0: everywhere
    #[arg(long, value_name = "SCORE")]
    pub voice_gate: Option<f32>,

    /// Languages that may be spoken, of a bundle that tells languages [default: all of it]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub languages: Vec<String>,

    /// Text to read instead of JSON lines
    #[arg(long)]
    pub pretty: bool,

    /// One line for each input: which label the whole of it is, as a clip (its middle if it is longer than one)
    #[arg(long, conflicts_with_all = ["mic", "trace", "refractory_ms", "smoothing_ms", "threshold", "voice_gate", "languages"])]
    pub classify: bool,

    /// A JSON line for each answer of the networks too, with raw and smoothed probabilities
    #[arg(long, conflicts_with = "pretty")]
    pub trace: bool,
}

/// How a sample is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PcmFormat {
    /// 8 bits, unsigned
    U8,
    /// 16 bits, signed, little-endian
    S16le,
    /// 24 bits in 3 bytes, signed, little-endian
    S24le,
    /// 32 bits, signed, little-endian
    S32le,
    /// 32-bit float, little-endian
    F32le,
}
