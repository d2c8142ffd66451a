//! Where in what was just heard the word lies, by its loudness: a keyword's own times, not the decision's.
//!
//! The networks say *that* a word was spoken; their peak comes when it lies where words lay in training.
//! This keeps the loudness of the last clip's frames and looks back from the peak for the stretch that is
//! clearly louder than the quietest of them. It knows no words: in running speech the stretch is what was
//! said without a pause, at most a clip long, and in noise as loud as the word it is a guess.

/// Frames over which loudness is averaged.
const AVERAGED_FRAMES: u64 = 5;
/// A pause this short lies within a word (the closure of a stop consonant).
const PAUSE_FRAMES: u64 = 15;
/// How far below the loudest frame a word's frames lie, in nats of power: 28 dB, as weak
/// fricatives do.
const DEPTH_NATS: f32 = 6.5;
/// The same as a share of the way down to the quietest frame, where that is less.
const DEPTH_SHARE: f32 = 0.8;

/// The first frame of a word and the one behind its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub start_frame: u64,
    pub end_frame: u64,
}

/// Loudness of the newest frames. Allocates nothing after it is made.
#[derive(Clone, Debug)]
pub struct Loudness {
    /// Mean of the log-mel bands, a ring.
    levels: Vec<f32>,
    n_frames: u64,
    clip_frames: u64,
}

impl Loudness {
    /// `clip_frames`: how far before a peak its word may begin. `wait_frames`: longest time from a peak to
    /// the decision.
    pub fn new(clip_frames: usize, wait_frames: usize) -> Self {
        Self {
            levels: vec![0.0; clip_frames + wait_frames + 1],
            n_frames: 0,
            clip_frames: clip_frames as u64,
        }
    }

    /// Takes one log-mel frame `[n_mels]`.
    pub fn push(&mut self, frame: &[f32]) {
        let slot = (self.n_frames % self.levels.len() as u64) as usize;
        self.levels[slot] = frame.iter().sum::<f32>() / frame.len().max(1) as f32;
        self.n_frames += 1;
    }

    /// The word whose score was highest at `peak_frame`.
    pub fn word_before(&self, peak_frame: u64) -> Extent {
        let newest = self.n_frames.saturating_sub(1);
        let peak = peak_frame.min(newest);
        let oldest = (peak + 1)
            .saturating_sub(self.clip_frames)
            .max(self.oldest());
        let (mut top, mut floor) = (f32::NEG_INFINITY, f32::INFINITY);
        for frame in oldest..=peak {
            let level = self.averaged(frame);
            (top, floor) = (top.max(level), floor.min(level));
        }
        let threshold = top - DEPTH_NATS.min(DEPTH_SHARE * (top - floor));
        let is_loud = |frame: u64| self.averaged(frame) >= threshold;

        let Some(last) = (oldest..=peak).rev().find(|&frame| is_loud(frame)) else {
            // Levels that are no numbers.
            return Extent {
                start_frame: oldest,
                end_frame: peak + 1,
            };
        };
        let mut end = last;
        // A peak within the word: it goes on behind it.
        while end >= peak && end < newest && is_loud(end + 1) {
            end += 1;
        }
        let mut start = last;
        let mut frame = last;
        while frame > oldest && start - (frame - 1) <= PAUSE_FRAMES {
            frame -= 1;
            if is_loud(frame) {
                start = frame;
            }
        }
        Extent {
            start_frame: start,
            end_frame: end + 1,
        }
    }

    /// Back to before the first frame.
    pub fn reset(&mut self) {
        self.n_frames = 0;
    }

    fn oldest(&self) -> u64 {
        self.n_frames.saturating_sub(self.levels.len() as u64)
    }

    /// The mean around a frame, of the frames there are.
    fn averaged(&self, frame: u64) -> f32 {
        let from = frame.saturating_sub(AVERAGED_FRAMES / 2).max(self.oldest());
        let to = (frame + AVERAGED_FRAMES / 2 + 1).min(self.n_frames);
        let n = self.levels.len() as u64;
        let sum: f32 = (from..to).map(|i| self.levels[(i % n) as usize]).sum();
        sum / (to - from) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loudness of `n` frames, quiet but for the given stretches.
    fn heard(n: u64, loud: &[std::ops::Range<u64>]) -> Loudness {
        let mut loudness = Loudness::new(100, 30);
        for frame in 0..n {
            let is_loud = loud.iter().any(|stretch| stretch.contains(&frame));
            let ripple = 0.2 * (frame as f32 * 1.3).sin();
            loudness.push(&[if is_loud { -4.0 } else { -9.0 } + ripple; 3]);
        }
        loudness
    }

    #[track_caller]
    fn check(found: Extent, start: u64, end: u64) {
        let near = |a: u64, b: u64| a.abs_diff(b) <= 2;
        assert!(
            near(found.start_frame, start) && near(found.end_frame, end),
            "{found:?}, expected {start} to {end}"
        );
    }

    #[test]
    fn a_word_between_silences_is_found_wherever_the_peak_is() {
        for peak in [190, 200, 215, 230] {
            check(
                heard(240, std::slice::from_ref(&(150..190))).word_before(peak),
                150,
                190,
            );
        }
        // Before its end, too.
        check(
            heard(240, std::slice::from_ref(&(150..190))).word_before(180),
            150,
            190,
        );
    }

    #[test]
    fn a_closure_within_the_word_does_not_cut_it_and_a_pause_does() {
        check(heard(240, &[150..170, 180..200]).word_before(210), 150, 200);
        check(heard(240, &[120..140, 165..200]).word_before(210), 165, 200);
    }

    #[test]
    fn running_speech_is_at_most_a_clip() {
        let loudness = heard(400, std::slice::from_ref(&(0..400)));
        let found = loudness.word_before(380);
        assert!(found.end_frame - found.start_frame <= 100 + 20, "{found:?}");
    }

    #[test]
    fn what_was_heard_long_ago_does_not_count_and_nothing_panics() {
        let long = heard(10_000, std::slice::from_ref(&(9_900..9_950)));
        check(long.word_before(9_960), 9_900, 9_950);
        for n in [0, 1, 2, 5, 131, 132] {
            let loudness = heard(n, &[]);
            for peak in [0, 1, n, n + 7] {
                let found = loudness.word_before(peak);
                assert!(found.start_frame <= found.end_frame);
            }
        }
        let mut broken = Loudness::new(10, 5);
        for _ in 0..20 {
            broken.push(&[f32::NAN]);
        }
        let found = broken.word_before(18);
        assert!(found.start_frame < found.end_frame);
    }
}
