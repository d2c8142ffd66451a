//! One stream of samples through front-end, networks, smoothing and detector.

use auricle_features::{LogMel, LogMelStream};

use super::committee::Committee;
use super::detector::{Detector, Event};
use super::extent::Loudness;
use super::smoothing::Smoothing;
use super::voice::{AHEAD_SAMPLES, Voice};
use crate::bundle::{Bundle, BundleError};

/// Samples looked at in one piece; only how a chunk with broken samples is mended depends on it.
const PIECE_SAMPLES: usize = 512;
const _: () = assert!(PIECE_SAMPLES <= AHEAD_SAMPLES);

/// A keyword, heard in a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    pub keyword: String,
    /// Where the word begins, in samples from the start of the stream. It and the end are found by loudness:
    /// see [`super::extent`] for what that cannot know.
    pub start_sample: u64,
    /// Where the word ends.
    pub end_sample: u64,
    /// Samples from the start of the stream to the end of the newest frame of the answer with the highest
    /// smoothed score: the smoothing and the networks' look back put it up to about half a clip after
    /// the word.
    pub at_sample: u64,
    /// That score: a probability, averaged over the smoothing time.
    pub score: f32,
    /// Samples of the stream that had to be heard for the decision. Beyond the end of the stream for
    /// what [`Session::finish`] decides.
    pub decided_at_sample: u64,
}

impl Detection {
    /// From the end of the word to the decision.
    pub fn latency_samples(&self) -> u64 {
        self.decided_at_sample.saturating_sub(self.end_sample)
    }
}

/// What the networks say at one time, for tests and traces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer<'a> {
    /// Samples from the start of the stream to the end of the newest frame.
    pub at_sample: u64,
    /// Weighted mean of the members' probabilities `[n_classes]`.
    pub raw: &'a [f32],
    /// The same, averaged over the smoothing time `[n_classes]`.
    pub smoothed: &'a [f32],
    /// How sure it is, 0 to 1, that somebody spoke within the last clip; `None` where the detector does not ask.
    pub voice: Option<f32>,
}

/// Hears one stream. Made once; [`Session::finish`] or [`Session::reset`] make it ready for the next.
///
/// After it is made it allocates nothing but the name in each [`Detection`].
pub struct Session {
    labels: Vec<String>,
    frontend: LogMelStream,
    hearing: Hearing,
    tail_samples: usize,
}

/// What becomes of frames.
struct Hearing {
    window_samples: u64,
    hop_samples: u64,
    n_frames: u64,
    loudness: Loudness,
    voice: Option<Voice>,
    committee: Committee,
    raw: Vec<f32>,
    smoothing: Smoothing,
    detector: Detector,
}

impl Session {
    /// # Errors
    ///
    /// Where [`Bundle::validate`] finds one.
    pub fn new(bundle: &Bundle) -> Result<Self, BundleError> {
        let committee = Committee::new(bundle)?;
        let hop_samples = bundle.frontend.hop_samples as u64;
        let detector = Detector::new(
            &bundle.detector,
            &bundle.labels,
            bundle.frontend.sample_rate_hz,
            hop_samples * committee.answer_frames() as u64,
        );
        let n_classes = bundle.labels.len();
        let clip_frames = bundle.frontend.n_frames(bundle.clip_samples());
        // A voice may have spoken as long before the decision as its word may.
        let wait_samples = hop_samples * committee.answer_frames() as u64;
        let voice_samples =
            bundle.clip_samples() as u64 + wait_samples * detector.longest_wait_answers() as u64;
        let asks = bundle.detector.voice_threshold.is_some();
        let wait_frames = detector.longest_wait_answers() * committee.answer_frames();
        Ok(Self {
            labels: bundle.labels.clone(),
            frontend: LogMelStream::new(LogMel::new(&bundle.frontend)?),
            tail_samples: bundle.clip_samples() / 2,
            hearing: Hearing {
                window_samples: bundle.frontend.window_samples as u64,
                hop_samples,
                n_frames: 0,
                loudness: Loudness::new(clip_frames, wait_frames),
                voice: asks.then(|| Voice::new(voice_samples)),
                committee,
                raw: vec![0.0; n_classes],
                smoothing: Smoothing::new(detector.n_smoothed_answers(), n_classes),
                detector,
            },
        })
    }

    /// Class names, in the order of an [`Answer`]'s values.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Samples from one answer to the next.
    pub fn answer_samples(&self) -> u64 {
        self.hearing.hop_samples * self.hearing.committee.answer_frames() as u64
    }

    /// Takes any number of samples at the front-end's rate, full scale -1 to 1, and calls `on` with each
    /// keyword that they complete. A sample that is no finite number is heard as 0.
    pub fn push(&mut self, samples: &[f32], on: impl FnMut(Detection)) {
        self.push_traced(samples, on, |_| {});
    }

    /// As [`Session::push`]; `on_answer` sees every answer, before a detection that it completes.
    pub fn push_traced(
        &mut self,
        samples: &[f32],
        mut on: impl FnMut(Detection),
        mut on_answer: impl FnMut(&Answer),
    ) {
        let Self {
            labels,
            frontend,
            hearing,
            ..
        } = self;
        for piece in samples.chunks(PIECE_SAMPLES) {
            let mut mended = [0.0; PIECE_SAMPLES];
            let piece = if piece.iter().all(|sample| sample.is_finite()) {
                piece
            } else {
                for (mended, &sample) in mended.iter_mut().zip(piece) {
                    *mended = if sample.is_finite() { sample } else { 0.0 };
                }
                &mended[..piece.len()]
            };
            if let Some(voice) = &mut hearing.voice {
                voice.push(piece);
            }
            frontend.push_with(piece, |frame| {
                if let Some(event) = hearing.frame(frame, &mut on_answer) {
                    on(hearing.detection(labels, event));
                }
            });
        }
    }

    /// The stream has ended. Half a clip of zeros is heard after it, so that the networks see its last
    /// word where they saw words in training: in the middle of a clip. Then all is ready for a new stream.
    pub fn finish(&mut self, on: impl FnMut(Detection)) {
        self.finish_traced(on, |_| {});
    }

    /// As [`Session::finish`]; `on_answer` sees every answer.
    pub fn finish_traced(
        &mut self,
        mut on: impl FnMut(Detection),
        mut on_answer: impl FnMut(&Answer),
    ) {
        let silence = [0.0; PIECE_SAMPLES];
        let mut n_left = self.tail_samples;
        while n_left > 0 {
            let n = n_left.min(PIECE_SAMPLES);
            self.push_traced(&silence[..n], &mut on, &mut on_answer);
            n_left -= n;
        }
        if let Some(event) = self.hearing.detector.finish() {
            on(self.hearing.detection(&self.labels, event));
        }
        self.reset();
    }

    /// Forgets the stream, without deciding what is open.
    pub fn reset(&mut self) {
        self.frontend.reset();
        self.hearing.n_frames = 0;
        self.hearing.loudness.reset();
        if let Some(voice) = &mut self.hearing.voice {
            voice.reset();
        }
        self.hearing.committee.reset();
        self.hearing.smoothing.reset();
        self.hearing.detector.reset();
    }
}

impl Hearing {
    fn frame(&mut self, frame: &[f32], on_answer: &mut impl FnMut(&Answer)) -> Option<Event> {
        let at_sample = self.n_frames * self.hop_samples + self.window_samples;
        self.n_frames += 1;
        self.loudness.push(frame);
        if !self.committee.step(frame) {
            return None;
        }
        self.raw.copy_from_slice(self.committee.probabilities());
        let smoothed = self.smoothing.push(&self.raw);
        let voice = self.voice.as_ref().map(|voice| voice.level(at_sample));
        on_answer(&Answer {
            at_sample,
            raw: &self.raw,
            smoothed,
            voice,
        });
        self.detector.push(at_sample, smoothed, voice)
    }

    fn detection(&self, labels: &[String], event: Event) -> Detection {
        let frame_of = |sample: u64| sample.saturating_sub(self.window_samples) / self.hop_samples;
        let word = self.loudness.word_before(frame_of(event.at_sample));
        // Frames overlap: each stands for the hop around its middle.
        let margin_samples = self.window_samples.saturating_sub(self.hop_samples) / 2;
        Detection {
            keyword: labels[event.label].clone(),
            start_sample: word.start_frame * self.hop_samples + margin_samples,
            end_sample: word.end_frame * self.hop_samples + margin_samples,
            at_sample: event.at_sample,
            score: event.score,
            decided_at_sample: event.decided_at_sample,
        }
    }
}
