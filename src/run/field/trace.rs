//! The answers of one recording, kept, and detectors run over them.

use std::path::Path;

use crate::audio::AudioReader;
use crate::bundle::{Bundle, DetectorSpec, keywords};
use crate::evaluate::detection::{
    Event, MatchSpec, OperatingPoint, Recording, RecordingJudgement, Target, match_events,
};
use crate::evaluate::{EvaluateError, Measured};
use crate::run::field::FieldError;
use crate::stream::{Answer, Detection, Detector, Session};

/// Lowest and highest threshold that is tried, in log-odds: 0.02 and 0.9999.
const GRID_LOG_ODDS: (f64, f64) = (-3.892, 9.21);
const N_THRESHOLDS: usize = 120;

/// What the networks said of one recording.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Samples heard at each answer.
    at_samples: Vec<u64>,
    /// Smoothed probabilities `[n_answers, n_classes]`.
    smoothed: Vec<f32>,
    /// How sure it was at each that somebody spoke, where the detector asks.
    voices: Vec<Option<f32>>,
    /// Keywords and where they are in the recording.
    targets: Vec<Target>,
    /// What was heard before the recording began.
    lead_s: f64,
    /// The recording alone.
    audio_s: f64,
    /// What the bundle's own detector said.
    detections: Vec<Detection>,
    sample_rate_hz: u32,
    answer_samples: u64,
}

/// One stream being heard.
pub(super) struct Hearing<'a> {
    session: &'a mut Session,
    trace: Trace,
}

impl<'a> Hearing<'a> {
    pub fn start(bundle: &Bundle, session: &'a mut Session) -> Self {
        session.reset();
        let sample_rate_hz = bundle.frontend.sample_rate_hz;
        let answer_samples = session.answer_samples();
        Self {
            session,
            trace: Trace {
                at_samples: Vec::new(),
                smoothed: Vec::new(),
                voices: Vec::new(),
                targets: Vec::new(),
                lead_s: 0.0,
                audio_s: 0.0,
                detections: Vec::new(),
                sample_rate_hz,
                answer_samples,
            },
        }
    }

    pub fn push(&mut self, samples: &[f32]) {
        let Trace {
            at_samples,
            smoothed,
            voices,
            detections,
            ..
        } = &mut self.trace;
        self.session.push_traced(
            samples,
            |detection| detections.push(detection),
            |answer: &Answer| {
                at_samples.push(answer.at_sample);
                smoothed.extend_from_slice(answer.smoothed);
                voices.push(answer.voice);
            },
        );
    }

    /// Ends the stream. The recording lay behind `lead_s` seconds of other sound and is `audio_s` long; whatever was heard
    /// around it is not judged.
    pub fn finish(mut self, targets: Vec<Target>, lead_s: f64, audio_s: f64) -> Trace {
        let Trace {
            at_samples,
            smoothed,
            voices,
            detections,
            ..
        } = &mut self.trace;
        self.session.finish_traced(
            |detection| detections.push(detection),
            |answer: &Answer| {
                at_samples.push(answer.at_sample);
                smoothed.extend_from_slice(answer.smoothed);
                voices.push(answer.voice);
            },
        );
        (self.trace.lead_s, self.trace.audio_s) = (lead_s, audio_s);
        self.trace.targets = targets;
        self.trace
    }
}

/// Hears a file as it is, whatever its length. Damage at its end is no error: what can be heard counts.
pub(super) fn hear_file(
    bundle: &Bundle,
    session: &mut Session,
    path: &Path,
    mut change: impl FnMut(&mut [f32]),
) -> Result<Trace, FieldError> {
    let mut reader = AudioReader::open(path, bundle.frontend.sample_rate_hz)?;
    let mut hearing = Hearing::start(bundle, session);
    let (mut samples, mut n_samples) = (Vec::new(), 0_usize);
    loop {
        samples.clear();
        let more = reader.read(&mut samples)?;
        change(&mut samples);
        hearing.push(&samples);
        n_samples += samples.len();
        if !more {
            let audio_s = n_samples as f64 / f64::from(bundle.frontend.sample_rate_hz);
            return Ok(hearing.finish(Vec::new(), 0.0, audio_s));
        }
    }
}

impl Trace {
    pub fn audio_s(&self) -> f64 {
        self.audio_s
    }

    /// What the bundle's own detector made of it while it was heard.
    pub fn as_heard(&self, spec: &MatchSpec) -> Recording {
        let event = |detection: &Detection| Event {
            keyword: detection.keyword.clone(),
            at_s: self.seconds(detection.decided_at_sample),
            score: detection.score,
            latency_s: Some(self.seconds(detection.latency_samples())),
        };
        self.recording(self.detections.iter().map(event), spec)
    }

    /// What a detector of other parameters makes of it; smoothing stays as it was.
    pub fn heard_by(
        &self,
        detector: &DetectorSpec,
        labels: &[String],
        spec: &MatchSpec,
    ) -> Recording {
        let mut heard = Vec::new();
        let (rate_hz, step) = (self.sample_rate_hz, self.answer_samples);
        let mut detector = Detector::new(detector, labels, rate_hz, step);
        let answers = self.smoothed.chunks_exact(labels.len());
        let answers = self.at_samples.iter().zip(answers).zip(&self.voices);
        for ((at_sample, scores), voice) in answers {
            heard.extend(detector.push(*at_sample, scores, *voice));
        }
        heard.extend(detector.finish());
        let events = heard.iter().map(|event| Event {
            keyword: labels[event.label].clone(),
            at_s: self.seconds(event.decided_at_sample),
            score: event.score,
            latency_s: None,
        });
        self.recording(events, spec)
    }

    /// Times from the recording's start; what was said before it or long after its end does not belong to it.
    fn recording(&self, events: impl Iterator<Item = Event>, spec: &MatchSpec) -> Recording {
        let within = 0.0..=self.audio_s + spec.tolerance_s;
        let shifted = events.map(|event| Event {
            at_s: event.at_s - self.lead_s,
            ..event
        });
        Recording {
            targets: self.targets.clone(),
            events: shifted
                .filter(|event| within.contains(&event.at_s))
                .collect(),
            audio_s: self.audio_s,
        }
    }

    fn seconds(&self, sample: u64) -> f64 {
        sample as f64 / f64::from(self.sample_rate_hz)
    }
}

/// What a detector makes of many recordings. Where words end is found while they are heard and not kept, so there is
/// no latency.
pub(super) fn judge(
    traces: &[Trace],
    detector: &DetectorSpec,
    labels: &[String],
    spec: &MatchSpec,
) -> Result<RecordingJudgement, EvaluateError> {
    let heard = traces
        .iter()
        .map(|trace| trace.heard_by(detector, labels, spec));
    let judged = match_events(&heard.collect::<Vec<_>>(), spec)?;
    let mut judged = judged.with_each(keywords(labels));
    let all = std::iter::once(&mut judged.total).chain(&mut judged.per_keyword);
    for judged in all {
        let unknown = || Measured::missing("the answers were kept, not where words end");
        (judged.median_latency_s, judged.latency_s_p95) = (unknown(), unknown());
    }
    Ok(judged)
}

/// Thresholds from high to low, evenly spaced in log-odds: as dense near 1 as networks' answers are.
pub fn threshold_grid() -> Vec<f32> {
    let (low, high) = GRID_LOG_ODDS;
    let step = (high - low) / (N_THRESHOLDS - 1) as f64;
    let steps = (0..N_THRESHOLDS).rev();
    steps
        .map(|i| probability(low + step * i as f64) as f32)
        .collect()
}

pub(super) fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// The detector at every threshold of the grid, the same for all keywords.
pub(super) fn sweep(
    traces: &[Trace],
    detector: &DetectorSpec,
    labels: &[String],
    spec: &MatchSpec,
) -> Result<Vec<OperatingPoint>, EvaluateError> {
    let mut detector = detector.clone();
    detector.thresholds.clear();
    let mut points = Vec::new();
    for threshold in threshold_grid() {
        detector.threshold = threshold;
        points.push(OperatingPoint {
            threshold: f64::from(threshold),
            judged: judge(traces, &detector, labels, spec)?,
        });
    }
    Ok(points)
}
