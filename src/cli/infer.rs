//! `kws-infer` and `auricle infer`: hear keywords, or which language is spoken, in files, raw PCM on standard input, or a
//! microphone.
//!
//! One line of output for each detection or opinion, written as soon as it is decided. Input is taken a chunk at a
//! time: memory does not grow with its length. How to listen is the `stream` room's business, not ours.

mod args;
mod lines;
mod listener;
#[cfg(feature = "mic")]
mod microphone;
mod serve;
#[cfg(test)]
mod tests;

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, bail};

use crate::audio::{AudioError, AudioReader, RawFormat, RawReader, SampleFormat};
use crate::bundle::{Bundle, DetectorSpec};
use crate::stream::ClipClassifier;
use lines::{Lines, OutputClosed};
use listener::Listener;

pub use args::{InferArgs, KwsCommand, KwsInfer, PcmFormat, ServeArgs};
pub use serve::serve;

/// Longest standard input that `--classify` keeps to find its middle.
const MAX_CLASSIFIED_STDIN_S: usize = 600;

/// Why not all went well, as far as the exit status tells it.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// Those inputs were reported one by one.
    #[error("{n_failed} of {n_inputs} inputs failed")]
    SomeFailed { n_failed: usize, n_inputs: usize },
    #[error("{0}")]
    Usage(String),
}

/// Runs `kws-infer`.
///
/// # Errors
///
/// As [`infer`] and [`serve`].
pub fn kws_infer(
    command: &KwsInfer,
    input: &mut dyn Read,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<()> {
    match &command.command {
        None => infer(&command.args, input, out, err),
        Some(KwsCommand::Serve(args)) => serve(args, err),
        Some(KwsCommand::Devices) => match list_devices(&mut Lines::new(out, true)) {
            Err(error) if error.is::<OutputClosed>() => Ok(()),
            other => other,
        },
    }
}

/// Runs the command. Whoever reads `out` may go away: that is a quiet end.
///
/// # Errors
///
/// [`InferError`]; anything that keeps the command from starting, such as a bundle that does not open.
pub fn infer(
    args: &InferArgs,
    input: &mut dyn Read,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut lines = Lines::new(out, args.pretty);
    match run(args, input, &mut lines, err) {
        Err(error) if error.is::<OutputClosed>() => Ok(()),
        other => other,
    }
}

/// An error with its causes, each said once: most of ours name their cause themselves.
pub fn message(error: &anyhow::Error) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

/// The exit status of [`infer`]: 0, 1, or 2 for wrong usage.
pub fn exit_status(result: &anyhow::Result<()>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(error) => match error.downcast_ref::<InferError>() {
            Some(InferError::Usage(_)) => 2,
            Some(InferError::SomeFailed { .. }) | None => 1,
        },
    }
}

fn run(
    args: &InferArgs,
    input: &mut dyn Read,
    lines: &mut Lines,
    err: &mut dyn Write,
) -> anyhow::Result<()> {
    if args.list_devices {
        return list_devices(lines);
    }
    let raw_format = raw_format(args)?;
    let Some(path) = &args.bundle else {
        bail!(InferError::Usage(
            "no bundle, expected one before the files".into()
        ));
    };
    let bundle = with_overrides(Bundle::load(path)?, Overrides::of(args))?;
    if args.mic {
        return listen_to_microphone(args, &bundle, lines, err);
    }
    let mut ears = Ears::new(&bundle, args)?;
    let mut n_failed = 0;
    for file in &args.files {
        let heard = if file == Path::new("-") {
            ears.hear_stdin(input, raw_format, lines)
        } else {
            ears.hear_file(file, lines)
        };
        match heard {
            Err(error) if error.is::<OutputClosed>() => return Err(error),
            Err(error) => {
                n_failed += 1;
                writeln!(err, "error: {}", message(&error)).context("standard error")?;
            }
            Ok(()) => {}
        }
    }
    if n_failed > 0 {
        let n_inputs = args.files.len();
        bail!(InferError::SomeFailed { n_failed, n_inputs });
    }
    Ok(())
}

fn raw_format(args: &InferArgs) -> anyhow::Result<RawFormat> {
    let n_stdin = args
        .files
        .iter()
        .filter(|file| *file == Path::new("-"))
        .count();
    let describes_stdin = [
        ("--rate", args.rate.is_some()),
        ("--channels", args.channels.is_some()),
        ("--format", args.format.is_some()),
    ];
    if let (0, Some((flag, _))) = (n_stdin, describes_stdin.iter().find(|(_, given)| *given)) {
        let message = format!("{flag} describes standard input, expected `-` among the files");
        bail!(InferError::Usage(message));
    }
    if n_stdin > 1 {
        let message = format!("found `-` {n_stdin} times, expected standard input once");
        bail!(InferError::Usage(message));
    }
    let sample_format = match args.format.unwrap_or(PcmFormat::S16le) {
        PcmFormat::U8 => SampleFormat::U8,
        PcmFormat::S16le => SampleFormat::S16Le,
        PcmFormat::S24le => SampleFormat::S24Le,
        PcmFormat::S32le => SampleFormat::S32Le,
        PcmFormat::F32le => SampleFormat::F32Le,
    };
    Ok(RawFormat {
        sample_rate_hz: args.rate.unwrap_or(16_000),
        n_channels: args.channels.unwrap_or(1),
        sample_format,
    })
}

/// What of the detector is said on the command line.
#[derive(Clone, Copy, Debug)]
struct Overrides {
    threshold: Option<f32>,
    refractory_ms: Option<u32>,
    smoothing_ms: Option<u32>,
    voice_gate: Option<f32>,
}

impl Overrides {
    fn of(args: &InferArgs) -> Self {
        Self {
            threshold: args.threshold,
            refractory_ms: args.refractory_ms,
            smoothing_ms: args.smoothing_ms,
            voice_gate: args.voice_gate,
        }
    }
}

fn with_overrides(mut bundle: Bundle, overrides: Overrides) -> anyhow::Result<Bundle> {
    let detector = &mut bundle.detector;
    if let Some(threshold) = overrides.threshold {
        detector.threshold = threshold;
        detector.thresholds.clear();
        if let Some(languages) = &mut bundle.languages {
            languages.floor = threshold;
        }
    }
    if let Some(refractory_ms) = overrides.refractory_ms {
        detector.refractory_ms = refractory_ms;
    }
    if let Some(smoothing_ms) = overrides.smoothing_ms {
        detector.smoothing_ms = smoothing_ms;
    }
    if let Some(score) = overrides.voice_gate {
        set_voice_gate(detector, score);
    }
    if let Err(error) = detector.validate(&bundle.labels) {
        bail!(InferError::Usage(error.to_string()));
    }
    Ok(bundle)
}

/// What `--voice-gate` says; 0 asks for no voice.
pub(super) fn set_voice_gate(detector: &mut DetectorSpec, score: f32) {
    detector.voice_threshold = (score != 0.0).then_some(score);
}

/// What hears one input after the other.
enum Ears {
    Stream(Listener),
    Clips {
        classifier: Box<ClipClassifier>,
        clip: ClipShape,
    },
}

struct ClipShape {
    sample_rate_hz: u32,
    clip_samples: usize,
    labels: Vec<String>,
}

impl Ears {
    fn new(bundle: &Bundle, args: &InferArgs) -> anyhow::Result<Self> {
        let sample_rate_hz = bundle.frontend.sample_rate_hz;
        if args.classify {
            return Ok(Self::Clips {
                classifier: Box::new(ClipClassifier::new(bundle)?),
                clip: ClipShape {
                    sample_rate_hz,
                    clip_samples: bundle.judged_samples(),
                    labels: bundle.labels.clone(),
                },
            });
        }
        Ok(Self::Stream(Listener::new(bundle, args)?))
    }

    fn hear_file(&mut self, path: &Path, lines: &mut Lines) -> anyhow::Result<()> {
        let name = path.display().to_string();
        match self {
            Self::Stream(listener) => {
                let mut reader = AudioReader::open(path, listener.sample_rate_hz())?;
                listener.hear(&name, lines, |samples| reader.read(samples))?;
                fault(reader.fault())
            }
            Self::Clips { classifier, clip } => {
                let samples = clip.middle_of_file(path)?;
                lines.answer(&name, &clip.labels, classifier.classify(&samples))
            }
        }
    }

    fn hear_stdin(
        &mut self,
        input: &mut dyn Read,
        format: RawFormat,
        lines: &mut Lines,
    ) -> anyhow::Result<()> {
        let rate_hz = match self {
            Self::Stream(listener) => listener.sample_rate_hz(),
            Self::Clips { clip, .. } => clip.sample_rate_hz,
        };
        let mut reader = RawReader::new(input, format, rate_hz)?;
        match self {
            Self::Stream(listener) => {
                listener.hear("-", lines, |samples| reader.read(samples))?;
            }
            Self::Clips { classifier, clip } => {
                let mut samples = Vec::new();
                while reader.read(&mut samples)? {
                    if samples.len() > MAX_CLASSIFIED_STDIN_S * rate_hz as usize {
                        bail!(
                            "-: found more than {MAX_CLASSIFIED_STDIN_S} s, expected a clip to classify"
                        );
                    }
                }
                clip.refuse_nothing("-", samples.len())?;
                lines.answer("-", &clip.labels, classifier.classify(&samples))?;
            }
        }
        fault(reader.fault())
    }
}

impl ClipShape {
    /// As much of the file's middle as the networks hear, or all of it, in memory of a clip: a long file is
    /// read twice.
    fn middle_of_file(&self, path: &Path) -> anyhow::Result<Vec<f32>> {
        let (mut start, mut chunk, mut n_samples) = (Vec::new(), Vec::new(), 0);
        let mut reader = AudioReader::open(path, self.sample_rate_hz)?;
        loop {
            chunk.clear();
            let more = reader.read(&mut chunk)?;
            n_samples += chunk.len();
            let n_wanted = self.clip_samples - start.len();
            start.extend_from_slice(&chunk[..n_wanted.min(chunk.len())]);
            if !more {
                break;
            }
        }
        fault(reader.fault())?;
        self.refuse_nothing(&path.display().to_string(), n_samples)?;
        if n_samples <= self.clip_samples {
            return Ok(start);
        }
        let from = (n_samples - self.clip_samples) / 2; // as `auricle_features::fit_clip` does
        let (mut middle, mut n_before) = (Vec::with_capacity(self.clip_samples), 0);
        let mut reader = AudioReader::open(path, self.sample_rate_hz)?;
        while middle.len() < self.clip_samples {
            chunk.clear();
            let more = reader.read(&mut chunk)?;
            let n_skipped = from.saturating_sub(n_before).min(chunk.len());
            let n_wanted = self.clip_samples - middle.len();
            middle.extend(chunk[n_skipped..].iter().take(n_wanted));
            n_before += chunk.len();
            if !more {
                break;
            }
        }
        Ok(middle)
    }

    fn refuse_nothing(&self, name: &str, n_samples: usize) -> anyhow::Result<()> {
        if n_samples == 0 {
            bail!("{name}: found no samples, expected a clip to classify");
        }
        Ok(())
    }
}

fn fault(fault: Option<&AudioError>) -> anyhow::Result<()> {
    fault.map_or(Ok(()), |fault| bail!("{fault}"))
}

#[cfg(feature = "mic")]
use microphone::{list_devices, listen as listen_to_microphone};

#[cfg(not(feature = "mic"))]
fn list_devices(_: &mut Lines) -> anyhow::Result<()> {
    bail!(no_microphones())
}

#[cfg(not(feature = "mic"))]
fn listen_to_microphone(
    _: &InferArgs,
    _: &Bundle,
    _: &mut Lines,
    _: &mut dyn Write,
) -> anyhow::Result<()> {
    bail!(no_microphones())
}

#[cfg(not(feature = "mic"))]
fn no_microphones() -> InferError {
    let message = "this build knows no microphones, expected one with the feature `mic`";
    InferError::Usage(message.into())
}
