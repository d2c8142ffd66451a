//! Smoothed answers -> events: one for each keyword that is spoken.
//!
//! Knows neither audio nor network, only numbers between 0 and 1 at times counted in samples.
//!
//! - An answer counts for a keyword when its score reaches the keyword's threshold. Answers that count
//!   without a gap are a run. `_unknown_` and `_silence_` have no runs.
//! - A run is an event once it holds `min_consecutive` answers and the next score is not above its
//!   highest one: its peak is then behind. A run that climbs on is decided anyway when it has grown by
//!   another smoothing window, and at the end of the stream.
//! - Of several runs that are ready at once the highest peak wins. Every keyword that reaches its
//!   threshold when an event is decided must fall below it before it counts again: however long a word
//!   is held, it is one event, and its second-best reading is none.
//! - For `refractory_ms` after a decision nothing counts. What is still above its threshold then, and
//!   was not when the event was decided, begins its run there.
//! - Before `warmup_ms` were heard nothing counts.
//! - Where the spec asks for a voice and none was about, the event is withheld. All else goes on as if it had been
//!   reported: what is reported is what a detector that asks for none reports, at the same times.

use crate::bundle::{DetectorSpec, is_reserved, samples_in};

/// A keyword, heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// Index of the keyword in the labels.
    pub label: usize,
    /// Samples heard at the answer with the highest score.
    pub at_sample: u64,
    /// That score, smoothed.
    pub score: f32,
    /// Samples heard when the event was decided.
    pub decided_at_sample: u64,
}

/// Turns smoothed answers into events. Allocates nothing after it is made.
#[derive(Clone, Debug)]
pub struct Detector {
    /// One for each label; `None` for those that are never reported.
    keywords: Vec<Option<Keyword>>,
    n_smoothed_answers: usize,
    min_consecutive: usize,
    refractory_samples: u64,
    warmup_samples: u64,
    /// Nothing counts before.
    counts_from_sample: u64,
    last_sample: u64,
    /// From which a voice is about; `None` does not ask.
    voice_threshold: Option<f32>,
    last_voice: Option<f32>,
}

#[derive(Clone, Debug)]
struct Keyword {
    threshold: f32,
    /// False from an event until the score has fallen below the threshold.
    armed: bool,
    run: Run,
}

#[derive(Clone, Copy, Debug, Default)]
struct Run {
    n_answers: usize,
    peak_score: f32,
    peak_at_sample: u64,
}

impl Detector {
    /// `answer_samples`: samples from one answer to the next.
    pub fn new(
        spec: &DetectorSpec,
        labels: &[String],
        sample_rate_hz: u32,
        answer_samples: u64,
    ) -> Self {
        let keyword = |label: &String| {
            (!is_reserved(label)).then(|| Keyword {
                threshold: spec.threshold_of(label),
                armed: true,
                run: Run::default(),
            })
        };
        let warmup_samples = samples_in(spec.warmup_ms, sample_rate_hz);
        Self {
            keywords: labels.iter().map(keyword).collect(),
            n_smoothed_answers: n_smoothed_answers(spec, sample_rate_hz, answer_samples),
            min_consecutive: spec.min_consecutive as usize,
            refractory_samples: samples_in(spec.refractory_ms, sample_rate_hz),
            warmup_samples,
            counts_from_sample: warmup_samples,
            last_sample: 0,
            voice_threshold: spec.voice_threshold,
            last_voice: None,
        }
    }

    /// Answers that the smoothing before this detector averages, at least one.
    pub fn n_smoothed_answers(&self) -> usize {
        self.n_smoothed_answers
    }

    /// Most answers from a peak to its decision.
    pub fn longest_wait_answers(&self) -> usize {
        self.min_consecutive + self.n_smoothed_answers + 1
    }

    /// Takes one smoothed answer `[n_classes]`, known when `at_sample` samples were heard, and how sure it is then that
    /// somebody spoke lately.
    pub fn push(&mut self, at_sample: u64, scores: &[f32], voice: Option<f32>) -> Option<Event> {
        self.last_sample = at_sample;
        self.last_voice = voice;
        let counts = at_sample >= self.counts_from_sample;
        let n_longest = self.min_consecutive + self.n_smoothed_answers;
        let mut decided: Option<Event> = None;
        for (label, (keyword, &score)) in self.keywords.iter_mut().zip(scores).enumerate() {
            let Some(keyword) = keyword else { continue };
            let run = keyword.run;
            let is_above = score >= keyword.threshold; // NaN is not
            keyword.armed |= !is_above;
            let goes_on = is_above && keyword.armed && counts;
            let climbs = goes_on && (run.n_answers == 0 || score > run.peak_score);
            if climbs {
                keyword.run.peak_score = score;
                keyword.run.peak_at_sample = at_sample;
            }
            keyword.run.n_answers = if goes_on { run.n_answers + 1 } else { 0 };
            let n_answers = run.n_answers.max(keyword.run.n_answers);
            let is_ready = n_answers >= self.min_consecutive && (!climbs || n_answers >= n_longest);
            if is_ready {
                let event = keyword.run.event(label, at_sample);
                decided = Some(higher(decided, event));
            }
        }
        let event = self.decide(decided?, scores);
        self.admits(voice).then_some(event)
    }

    /// The stream has ended: what is still climbing is decided. Ready for a new stream.
    pub fn finish(&mut self) -> Option<Event> {
        let mut decided = None;
        for (label, keyword) in self.keywords.iter().enumerate() {
            let Some(Keyword { run, .. }) = keyword else {
                continue;
            };
            if run.n_answers >= self.min_consecutive {
                decided = Some(higher(decided, run.event(label, self.last_sample)));
            }
        }
        let decided = decided.filter(|_| self.admits(self.last_voice));
        self.reset();
        decided
    }

    /// Back to before the first answer.
    pub fn reset(&mut self) {
        for keyword in self.keywords.iter_mut().flatten() {
            keyword.armed = true;
            keyword.run = Run::default();
        }
        self.counts_from_sample = self.warmup_samples;
        self.last_sample = 0;
        self.last_voice = None;
    }

    /// Whether what is decided is reported. Not asked, or asked where nobody listens for a voice: yes.
    fn admits(&self, voice: Option<f32>) -> bool {
        match (self.voice_threshold, voice) {
            (Some(threshold), Some(voice)) => voice >= threshold, // NaN is not
            _ => true,
        }
    }

    fn decide(&mut self, event: Event, scores: &[f32]) -> Event {
        for (keyword, score) in self.keywords.iter_mut().zip(scores) {
            if let Some(keyword) = keyword {
                keyword.armed = *score < keyword.threshold || score.is_nan();
                keyword.run = Run::default();
            }
        }
        let refractory_end = event.decided_at_sample + self.refractory_samples;
        self.counts_from_sample = refractory_end.max(self.warmup_samples);
        event
    }
}

impl Run {
    fn event(&self, label: usize, decided_at_sample: u64) -> Event {
        Event {
            label,
            at_sample: self.peak_at_sample,
            score: self.peak_score,
            decided_at_sample,
        }
    }
}

/// The event of the higher score; the earlier label where they are equal.
fn higher(first: Option<Event>, second: Event) -> Event {
    match first {
        Some(first) if first.score >= second.score => first,
        _ => second,
    }
}

fn n_smoothed_answers(spec: &DetectorSpec, sample_rate_hz: u32, answer_samples: u64) -> usize {
    let n_samples = samples_in(spec.smoothing_ms, sample_rate_hz);
    let answer_samples = answer_samples.max(1);
    (((n_samples + answer_samples / 2) / answer_samples).max(1)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE_HZ: u32 = 1000;
    /// An answer every 10 ms.
    const STEP: u64 = 10;

    fn labels() -> Vec<String> {
        ["yes", "no", "_unknown_", "_silence_"]
            .map(String::from)
            .to_vec()
    }

    fn spec() -> DetectorSpec {
        DetectorSpec {
            threshold: 0.5,
            thresholds: Default::default(),
            smoothing_ms: 40, // done before the detector; here it bounds how long a climb is waited for
            min_consecutive: 2,
            refractory_ms: 50,
            warmup_ms: 0,
            voice_threshold: None,
        }
    }

    /// `(label, at answer, score, decided at answer)` of the events among answers of `yes` and `no`; the
    /// rest of each answer is `_silence_`.
    fn events_of_pairs(spec: &DetectorSpec, answers: &[(f32, f32)]) -> Vec<(usize, u64, f32, u64)> {
        spec.validate(&labels()).unwrap();
        let mut detector = Detector::new(spec, &labels(), RATE_HZ, STEP);
        let mut events = vec![];
        for (i, &(yes, no)) in answers.iter().enumerate() {
            events.extend(detector.push(i as u64 * STEP, &[yes, no, 0.0, 1.0 - yes - no], None));
        }
        events.extend(detector.finish());
        let readable = |e: &Event| {
            (
                e.label,
                e.at_sample / STEP,
                e.score,
                e.decided_at_sample / STEP,
            )
        };
        events.iter().map(readable).collect()
    }

    fn events(spec: &DetectorSpec, yes: &[f32]) -> Vec<(usize, u64, f32, u64)> {
        events_of_pairs(spec, &yes.iter().map(|&yes| (yes, 0.0)).collect::<Vec<_>>())
    }

    #[test]
    fn a_keyword_is_one_event_at_its_peak_decided_when_the_peak_is_behind() {
        let yes = [0.1, 0.4, 0.6, 0.8, 0.9, 0.7, 0.6, 0.2, 0.1, 0.0, 0.0, 0.0];
        assert_eq!(events(&spec(), &yes), [(0, 4, 0.9, 5)]);
    }

    #[test]
    fn a_held_score_is_one_event_however_long_it_is_held() {
        assert_eq!(events(&spec(), &[0.9; 500]), [(0, 0, 0.9, 1)]);
    }

    #[test]
    fn a_score_that_climbs_on_is_decided_after_another_smoothing_window() {
        let climbing: Vec<f32> = (0..400).map(|i| 0.5 + i as f32 * 0.001).collect();
        let events = events(&spec(), &climbing);
        assert_eq!((events.len(), events[0].3), (1, 5)); // two answers and four
    }

    #[test]
    fn a_word_at_the_very_end_is_decided_at_the_end() {
        assert_eq!(events(&spec(), &[0.1, 0.6, 0.7]), [(0, 2, 0.7, 2)]);
    }

    #[test]
    fn fewer_answers_than_asked_for_are_no_event() {
        let mut three = spec();
        three.min_consecutive = 3;
        assert_eq!(events(&three, &[0.0, 0.9, 0.9, 0.0, 0.9, 0.9, 0.0]), []);
        assert_eq!(events(&three, &[0.0, 0.9, 0.9, 0.9, 0.0]), [(0, 1, 0.9, 3)]);
        let mut one = spec();
        one.min_consecutive = 1;
        assert_eq!(events(&one, &[0.0, 0.9, 0.0]), [(0, 1, 0.9, 2)]);
    }

    #[test]
    fn a_second_bump_within_the_refractory_time_is_the_same_word() {
        let yes = [0.0, 0.9, 0.9, 0.1, 0.9, 0.9, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(events(&spec(), &yes).len(), 1);
        let mut none = spec();
        none.refractory_ms = 0;
        assert_eq!(events(&none, &yes).len(), 2);
    }

    #[test]
    fn the_same_word_again_after_the_refractory_time_is_a_second_event() {
        let mut yes = vec![0.0; 30];
        yes[3..7].fill(0.8);
        yes[20..24].fill(0.9);
        assert_eq!(events(&spec(), &yes), [(0, 3, 0.8, 4), (0, 20, 0.9, 21)]);
    }

    #[test]
    fn another_word_that_outlasts_the_refractory_time_is_heard() {
        let mut answers = vec![(0.0, 0.0); 30];
        answers[3..6].fill((0.8, 0.1));
        answers[7..14].fill((0.1, 0.8));
        // Decided at 4, deaf for the answers 5 to 8.
        assert_eq!(
            events_of_pairs(&spec(), &answers),
            [(0, 3, 0.8, 4), (1, 9, 0.8, 10)]
        );
    }

    #[test]
    fn of_two_readings_of_one_word_the_higher_is_reported_and_the_other_is_not() {
        let mut low = spec();
        low.threshold = 0.3;
        let mut answers = vec![(0.0, 0.0); 40];
        answers[5..30].fill((0.4, 0.5));
        assert_eq!(events_of_pairs(&low, &answers), [(1, 5, 0.5, 6)]);
    }

    #[test]
    fn each_keyword_has_its_own_threshold() {
        let mut strict = spec();
        strict.thresholds.insert("yes".into(), 0.95);
        let mut answers = vec![(0.0, 0.0); 40];
        answers[5..9].fill((0.9, 0.0));
        answers[20..24].fill((0.0, 0.9));
        assert_eq!(events_of_pairs(&strict, &answers), [(1, 20, 0.9, 21)]);
    }

    #[test]
    fn unknown_and_silence_are_never_reported() {
        let mut detector = Detector::new(&spec(), &labels(), RATE_HZ, STEP);
        for i in 0..100 {
            let scores = if i % 20 < 10 {
                [0.0, 0.0, 1.0, 0.0]
            } else {
                [0.0, 0.0, 0.0, 1.0]
            };
            assert_eq!(detector.push(i * STEP, &scores, None), None);
        }
        assert_eq!(detector.finish(), None);
    }

    #[test]
    fn nothing_is_reported_before_the_warm_up_and_what_is_held_over_it_is() {
        let mut slow = spec();
        slow.warmup_ms = 100;
        let mut yes = vec![0.0; 40];
        yes[2..8].fill(0.9);
        assert_eq!(events(&slow, &yes), []);
        yes[2..14].fill(0.9);
        assert_eq!(events(&slow, &yes), [(0, 10, 0.9, 11)]);
    }

    #[test]
    fn scores_that_are_no_numbers_break_a_run_and_never_fire() {
        assert_eq!(events(&spec(), &[f32::NAN; 50]), []);
        assert_eq!(
            events(&spec(), &[0.0, 0.9, f32::NAN, 0.9, f32::NAN, 0.0]),
            []
        );
    }

    #[test]
    fn a_finished_detector_starts_afresh() {
        let mut slow = spec();
        slow.warmup_ms = 20;
        let mut detector = Detector::new(&slow, &labels(), RATE_HZ, STEP);
        let mut run = || -> Vec<Option<Event>> {
            let answers = (0..30).map(|i| if i % 11 < 6 { 0.9 } else { 0.1 });
            let mut events: Vec<_> = answers
                .enumerate()
                .map(|(i, yes)| detector.push(i as u64 * STEP, &[yes, 0.0, 0.0, 0.0], None))
                .collect();
            events.push(detector.finish());
            events
        };
        assert_eq!(run(), run());
    }

    #[test]
    fn without_a_voice_an_event_is_withheld_and_nothing_else_changes() {
        let yes = [
            0.1, 0.6, 0.9, 0.7, 0.2, 0.1, 0.1, 0.1, 0.1, 0.8, 0.9, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1,
            0.6, 0.9,
        ];
        let decided = |threshold: Option<f32>, voice: &dyn Fn(usize) -> f32| {
            let mut spec = spec();
            spec.voice_threshold = threshold;
            let mut detector = Detector::new(&spec, &labels(), RATE_HZ, STEP);
            let mut at = vec![];
            for (i, yes) in yes.into_iter().enumerate() {
                let event =
                    detector.push(i as u64 * STEP, &[yes, 0.0, 0.0, 1.0 - yes], Some(voice(i)));
                at.extend(event.map(|event| event.decided_at_sample / STEP));
            }
            at.extend(
                detector
                    .finish()
                    .map(|event| event.decided_at_sample / STEP),
            );
            at
        };
        assert_eq!(decided(None, &|_| 0.0), [3, 11, 18]);
        assert_eq!(decided(Some(0.5), &|_| 0.5), [3, 11, 18]);
        assert_eq!(
            decided(Some(0.5), &|i| if i < 5 { 0.4 } else { 0.9 }),
            [11, 18]
        );
        assert_eq!(
            decided(Some(0.5), &|i| if i > 15 { f32::NAN } else { 0.9 }),
            [3, 11]
        );
        assert_eq!(decided(Some(0.5), &|_| 0.4), [0; 0]);
    }
}
