//! Listening to a microphone until the process ends.

use std::io::Write;

use anyhow::Context;

use super::InferArgs;
use super::lines::Lines;
use super::listener::Listener;
use crate::audio::capture::{Microphone, input_devices};
use crate::audio::lasting::{Heard, Lasting, Patience};
use crate::audio::{AudioError, SilenceWatch};
use crate::bundle::Bundle;

/// One line for each microphone.
pub fn list_devices(lines: &mut Lines) -> anyhow::Result<()> {
    let devices = input_devices()?;
    if devices.is_empty() {
        return lines.text("no microphone on this machine");
    }
    for (index, device) in devices.iter().enumerate() {
        lines.text(&format!("{index}: {device}"))?;
    }
    Ok(())
}

/// Hears the microphone; what there is to say of it goes to `err`.
pub fn listen(
    args: &InferArgs,
    bundle: &Bundle,
    lines: &mut Lines,
    err: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut listener = Listener::new(bundle, args)?;
    let sample_rate_hz = listener.sample_rate_hz();
    // Once it is open a device is known by its name: numbers change when one is pulled out.
    let mut asked = args.device.clone();
    let open = || -> Result<Microphone, AudioError> {
        let microphone = Microphone::open(asked.as_deref(), sample_rate_hz)?;
        if asked.is_some() {
            asked = Some(microphone.name().to_owned());
        }
        Ok(microphone)
    };
    let mut input = Lasting::open(open, Patience::microphone())?;
    let mut name = String::new();
    let mut say = |text: &str| writeln!(err, "{text}").context("standard error");
    if let Some(microphone) = input.device() {
        name = microphone.name().to_owned();
        let rate_hz = microphone.source_rate_hz();
        say(&format!(
            "listening to {name} ({rate_hz} Hz); Ctrl-C ends it"
        ))?;
    }
    let mut silence = SilenceWatch::new(sample_rate_hz);
    let (mut samples, mut n_overruns) = (Vec::new(), 0);
    loop {
        samples.clear();
        match input.next(&mut samples) {
            Heard::Samples => {
                if let Some(notice) = silence.push(&samples) {
                    say(&format!("{name}: {notice}"))?;
                }
                listener.hear_chunk(&name, lines, Some(&samples))?;
            }
            Heard::Nothing => {}
            Heard::Gone { reason } => {
                say(&format!("{name} is gone, waiting for it: {reason}"))?;
                listener.hear_chunk(&name, lines, None)?;
            }
            Heard::Back => {
                let now = input
                    .device()
                    .map(|microphone| microphone.name().to_owned());
                name = now.unwrap_or(name);
                say(&format!("{name} is there again; times count from here"))?;
                silence = SilenceWatch::new(sample_rate_hz);
            }
        }
        if input.n_overruns() > n_overruns {
            n_overruns = input.n_overruns();
            say(&format!(
                "warning: {n_overruns} chunks of sound lost so far"
            ))?;
        }
    }
}
