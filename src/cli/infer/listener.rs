//! What is made of a stream: detections of keywords, or which language is spoken, a line each.

use std::cell::RefCell;

use anyhow::bail;

use super::lines::Lines;
use super::{InferArgs, InferError};
use crate::audio::AudioError;
use crate::bundle::Bundle;
use crate::stream::{Answer, Detection, LanguageError, LanguageSession, Opinion, Session};

/// Hears one stream after the other.
pub struct Listener {
    sample_rate_hz: u32,
    ear: Ear,
}

enum Ear {
    Keywords { session: Box<Session>, traces: bool },
    Languages(Box<LanguageSession>),
}

impl Listener {
    /// # Errors
    ///
    /// A bundle that cannot run; arguments that say nothing to it.
    pub fn new(bundle: &Bundle, args: &InferArgs) -> anyhow::Result<Self> {
        let ear = if bundle.languages.is_some() {
            let of_keywords = [
                ("--refractory-ms", args.refractory_ms.is_some()),
                ("--smoothing-ms", args.smoothing_ms.is_some()),
                ("--voice-gate", args.voice_gate.is_some()),
                ("--trace", args.trace),
            ];
            if let Some((flag, _)) = of_keywords.iter().find(|(_, given)| *given) {
                let message = format!("{flag} is for keywords, found a bundle of languages");
                bail!(InferError::Usage(message));
            }
            match LanguageSession::new(bundle, &args.languages) {
                Ok(session) => Ear::Languages(Box::new(session)),
                Err(error @ LanguageError::Language { .. }) => {
                    bail!(InferError::Usage(format!("--languages: {error}")))
                }
                Err(error) => bail!(error),
            }
        } else {
            if !args.languages.is_empty() {
                let error = LanguageError::Keywords;
                bail!(InferError::Usage(format!("--languages: {error}")));
            }
            Ear::Keywords {
                session: Box::new(Session::new(bundle)?),
                traces: args.trace,
            }
        };
        Ok(Self {
            sample_rate_hz: bundle.frontend.sample_rate_hz,
            ear,
        })
    }

    /// The rate at which samples are heard.
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// One whole stream. What can be heard before an error is heard.
    pub fn hear(
        &mut self,
        name: &str,
        lines: &mut Lines,
        mut read: impl FnMut(&mut Vec<f32>) -> Result<bool, AudioError>,
    ) -> anyhow::Result<()> {
        match &mut self.ear {
            Ear::Keywords { session, .. } => session.reset(),
            Ear::Languages(session) => session.reset(),
        }
        let mut samples = Vec::new();
        let ended = loop {
            samples.clear();
            let more = read(&mut samples);
            self.hear_chunk(name, lines, Some(&samples))?;
            match more {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.hear_chunk(name, lines, None)?;
        Ok(ended?)
    }

    /// Some samples, or the end of the stream; lines are written before this returns.
    pub fn hear_chunk(
        &mut self,
        name: &str,
        lines: &mut Lines,
        samples: Option<&[f32]>,
    ) -> anyhow::Result<()> {
        let rate_hz = self.sample_rate_hz;
        let written = RefCell::new((lines, Ok(())));
        // The first line that cannot be written is the error; later ones are not tried.
        let write = |line: &dyn Fn(&mut Lines) -> anyhow::Result<()>| {
            let (lines, written) = &mut *written.borrow_mut();
            if written.is_ok() {
                *written = line(lines);
            }
        };
        match &mut self.ear {
            Ear::Keywords { session, traces } => {
                let labels = traces.then(|| session.labels().to_vec());
                let on = |detection: Detection| {
                    write(&|lines| lines.detection(name, &detection, rate_hz));
                };
                let on_answer = |answer: &Answer| {
                    if let Some(labels) = &labels {
                        write(&|lines| lines.trace(name, labels, answer, rate_hz));
                    }
                };
                match samples {
                    Some(samples) => session.push_traced(samples, on, on_answer),
                    None => session.finish_traced(on, on_answer),
                }
            }
            Ear::Languages(session) => {
                let labels = session.labels().to_vec();
                let on = |opinion: &Opinion| {
                    write(&|lines| lines.opinion(name, &labels, opinion, rate_hz));
                };
                match samples {
                    Some(samples) => session.push(samples, on),
                    None => session.finish(on),
                }
            }
        }
        written.into_inner().1
    }
}
