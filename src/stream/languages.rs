//! Which language is spoken, while it is spoken: samples in, a posterior that rests on all that was heard.
//!
//! The networks' answer after any time is their answer of all frames so far, as long as a recording may be that they are
//! judged on (the bundle's whole clips); it is calibrated for the time heard. A longer stream is heard in windows of that
//! length, each afresh, and its evidence is the mean of their logarithms, weighted by their lengths: it never claims more
//! certainty than was calibrated. What is restricted to some languages is the same posterior, brought to a sum of 1.
//!
//! Invariant: whatever way the samples are cut into chunks, the same is told at the same places; and after a recording that is no
//! longer than a window the posterior is [`ClipClassifier::classify`](super::ClipClassifier::classify)'s.

use auricle_features::{LogMel, LogMelStream};

use super::committee::Committee;
use crate::bundle::{Bundle, BundleError, LanguageSpec};

/// Seconds after which it is told what is spoken.
pub const TOLD_AFTER_S: [u64; 4] = [1, 2, 3, 5];
/// Another language, or none, is told once it has been so for this long: an answer on the border wavers.
pub const CHANGE_HOLDS_MS: u64 = 300;

/// Samples looked at in one piece; only how broken samples are mended depends on it.
const PIECE_SAMPLES: usize = 512;
/// Probabilities below count as this much, so that one answer can be outweighed.
const LEAST_PROBABILITY: f32 = 1e-9;

/// Why something is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// One of [`TOLD_AFTER_S`] has been heard.
    Heard,
    /// It is another language than was told, or undecided.
    Change,
    /// The stream has ended.
    End,
}

/// What was heard so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Opinion<'a> {
    pub occasion: Occasion,
    /// Samples from the start of the stream.
    pub heard_samples: u64,
    /// Index of the language in the labels; `None`: undecided.
    pub language: Option<usize>,
    /// Calibrated, `[n_languages]` in the order of the labels; 0 for those that are ruled out.
    pub posterior: &'a [f32],
}

/// A bundle that does not tell languages, or not those.
#[derive(Debug, thiserror::Error)]
pub enum LanguageError {
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error("found a bundle of keywords, expected one whose classes are languages")]
    Keywords,
    #[error("found the language {found:?}, expected some of {expected}")]
    Language { found: String, expected: String },
}

/// Hears one stream. Made once; [`LanguageSession::finish`] or [`LanguageSession::reset`] make it ready for the next. After it
/// is made it allocates nothing.
pub struct LanguageSession {
    labels: Vec<String>,
    /// `[n_languages]`
    allowed: Vec<bool>,
    rate_hz: u64,
    window_samples: u64,
    frontend: LogMelStream,
    listening: Listening,
    n_heard: u64,
    /// Of the present window.
    n_in_window: u64,
    n_told: usize,
}

/// What becomes of frames and answers.
struct Listening {
    spec: LanguageSpec,
    rate_hz: f64,
    frame_samples: u64,
    hop_samples: u64,
    hold_samples: u64,
    committee: Committee,
    n_frames: u64,
    /// Logarithms of the finished windows' answers, each times its samples, `[n_languages]`.
    evidence: Vec<f64>,
    n_evidence: u64,
    posterior: Vec<f32>,
    /// What was told last, once anything was.
    told: Option<Option<usize>>,
    /// What it would be now if it is another, and since when.
    other: Option<(Option<usize>, u64)>,
}

impl LanguageSession {
    /// `languages`: those that may be spoken; none means all of the bundle's.
    ///
    /// # Errors
    ///
    /// A bundle of keywords, languages that it does not know, and where [`Bundle::validate`] finds one.
    pub fn new(bundle: &Bundle, languages: &[String]) -> Result<Self, LanguageError> {
        let committee = Committee::new(bundle)?;
        let Some(spec) = &bundle.languages else {
            return Err(LanguageError::Keywords);
        };
        if let Some(found) = languages.iter().find(|name| !bundle.labels.contains(name)) {
            return Err(LanguageError::Language {
                found: found.clone(),
                expected: bundle.labels.join(", "),
            });
        }
        let is_allowed = |label: &String| languages.is_empty() || languages.contains(label);
        let rate_hz = u64::from(bundle.frontend.sample_rate_hz);
        let n_languages = bundle.labels.len();
        let mut session = Self {
            labels: bundle.labels.clone(),
            allowed: bundle.labels.iter().map(is_allowed).collect(),
            rate_hz,
            window_samples: bundle.judged_samples() as u64,
            frontend: LogMelStream::new(LogMel::new(&bundle.frontend).map_err(BundleError::from)?),
            listening: Listening {
                spec: spec.clone(),
                rate_hz: rate_hz as f64,
                frame_samples: bundle.frontend.window_samples as u64,
                hop_samples: bundle.frontend.hop_samples as u64,
                hold_samples: CHANGE_HOLDS_MS * rate_hz / 1000,
                committee,
                n_frames: 0,
                evidence: vec![0.0; n_languages],
                n_evidence: 0,
                posterior: vec![0.0; n_languages],
                told: None,
                other: None,
            },
            n_heard: 0,
            n_in_window: 0,
            n_told: 0,
        };
        session.reset();
        Ok(session)
    }

    /// Names of the languages, in the order of a posterior's values.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Takes any number of samples at the front-end's rate, full scale -1 to 1, and calls `on` with what there is to tell.
    /// A sample that is no finite number is heard as 0.
    pub fn push(&mut self, samples: &[f32], mut on: impl FnMut(&Opinion)) {
        let mut rest = samples;
        while !rest.is_empty() {
            // No piece reaches beyond a place where something is told or a window ends.
            let due = TOLD_AFTER_S.get(self.n_told).map(|s| s * self.rate_hz);
            let n_to_due = due.map_or(u64::MAX, |due| due - self.n_heard);
            let n_free = n_to_due.min(self.window_samples - self.n_in_window);
            let n = (rest.len().min(PIECE_SAMPLES) as u64).min(n_free) as usize;
            let (piece, later) = rest.split_at(n);
            rest = later;
            self.hear(piece, &mut on);
            if Some(self.n_heard) == due {
                self.n_told += 1;
                self.tell(Occasion::Heard, &mut on);
            }
            if self.n_in_window == self.window_samples {
                self.listening.close_window(self.window_samples);
                self.frontend.reset();
                self.n_in_window = 0;
            }
        }
    }

    /// The stream has ended: what it is is told once more, then all is ready for a new stream.
    pub fn finish(&mut self, mut on: impl FnMut(&Opinion)) {
        self.tell(Occasion::End, &mut on);
        self.reset();
    }

    /// Forgets the stream.
    pub fn reset(&mut self) {
        self.frontend.reset();
        (self.n_heard, self.n_in_window, self.n_told) = (0, 0, 0);
        self.listening.reset();
    }

    fn hear(&mut self, piece: &[f32], on: &mut impl FnMut(&Opinion)) {
        let Self {
            allowed,
            frontend,
            listening,
            ..
        } = self;
        let window_start = self.n_heard - self.n_in_window;
        let mut mended = [0.0; PIECE_SAMPLES];
        for (mended, &sample) in mended.iter_mut().zip(piece) {
            *mended = if sample.is_finite() { sample } else { 0.0 };
        }
        frontend.push_with(&mended[..piece.len()], |frame| {
            listening.frame(frame, window_start, allowed, on);
        });
        self.n_heard += piece.len() as u64;
        self.n_in_window += piece.len() as u64;
    }

    fn tell(&mut self, occasion: Occasion, on: &mut impl FnMut(&Opinion)) {
        let listening = &mut self.listening;
        listening.update(self.n_in_window, &self.allowed);
        let language = listening.decided();
        (listening.told, listening.other) = (Some(language), None);
        on(&Opinion {
            occasion,
            heard_samples: self.n_heard,
            language,
            posterior: &listening.posterior,
        });
    }
}

impl Listening {
    fn frame(
        &mut self,
        frame: &[f32],
        window_start: u64,
        allowed: &[bool],
        on: &mut impl FnMut(&Opinion),
    ) {
        let n_in_window = self.n_frames * self.hop_samples + self.frame_samples;
        self.n_frames += 1;
        let is_answer = self.committee.step(frame);
        // Before anything was told nothing can change.
        let Some(told) = self.told.filter(|_| is_answer) else {
            return;
        };
        self.update(n_in_window, allowed);
        let (now, at_sample) = (self.decided(), window_start + n_in_window);
        if now == told {
            self.other = None;
            return;
        }
        let since = match self.other {
            Some((other, since)) if other == now => since,
            _ => at_sample,
        };
        self.other = Some((now, since));
        if at_sample - since >= self.hold_samples {
            (self.told, self.other) = (Some(now), None);
            on(&Opinion {
                occasion: Occasion::Change,
                heard_samples: at_sample,
                language: now,
                posterior: &self.posterior,
            });
        }
    }

    /// The present window's answer, calibrated for so many samples of it, `[n_languages]`; nothing before the first frame.
    fn answer(&mut self, n_in_window: u64) -> bool {
        if self.n_frames == 0 {
            return false;
        }
        self.posterior
            .copy_from_slice(self.committee.probabilities());
        let heard_s = n_in_window as f64 / self.rate_hz;
        self.spec.calibrate(heard_s, &mut self.posterior);
        true
    }

    /// Brings the posterior up to date.
    fn update(&mut self, n_in_window: u64, allowed: &[bool]) {
        let has_answer = self.answer(n_in_window);
        if !has_answer {
            self.posterior.fill(1.0);
        }
        if self.n_evidence > 0 {
            let n_now = if has_answer { n_in_window } else { 0 };
            let share = 1.0 / (self.n_evidence + n_now) as f64;
            for (p, evidence) in self.posterior.iter_mut().zip(&self.evidence) {
                *p = ((evidence + n_now as f64 * log(*p)) * share).exp() as f32;
            }
        }
        for (p, &allowed) in self.posterior.iter_mut().zip(allowed) {
            *p = if allowed { *p } else { 0.0 };
        }
        let sum: f32 = self.posterior.iter().sum();
        let n_allowed = allowed.iter().filter(|&&allowed| allowed).count();
        for (p, &allowed) in self.posterior.iter_mut().zip(allowed) {
            // All languages that are left had a probability of 0: nothing tells them apart.
            *p = if sum > 0.0 {
                *p / sum
            } else if allowed {
                1.0 / n_allowed as f32
            } else {
                0.0
            };
        }
    }

    /// The most probable language, the earlier of two that are equal, if it reaches the floor.
    fn decided(&self) -> Option<usize> {
        let all = self.posterior.iter().enumerate().rev();
        let (language, p) = all.max_by(|a, b| a.1.total_cmp(b.1))?;
        (*p >= self.spec.floor).then_some(language)
    }

    fn close_window(&mut self, n_samples: u64) {
        if self.answer(n_samples) {
            for (evidence, p) in self.evidence.iter_mut().zip(&self.posterior) {
                *evidence += n_samples as f64 * log(*p);
            }
            self.n_evidence += n_samples;
        }
        self.committee.reset();
        self.n_frames = 0;
    }

    fn reset(&mut self) {
        self.committee.reset();
        self.n_frames = 0;
        self.evidence.fill(0.0);
        self.n_evidence = 0;
        (self.told, self.other) = (None, None);
    }
}

fn log(probability: f32) -> f64 {
    f64::from(probability.max(LEAST_PROBABILITY)).ln()
}

#[cfg(test)]
mod tests;
