//! Says when an input that should be heard gives nothing but silence: muted, unplugged at the source, or not allowed.
//!
//! Time is counted in samples, so it knows no clock.

/// Silence for this long is said.
const PATIENCE_S: u64 = 5;
/// Nothing in a room is as quiet as this to a working microphone: -80 dB of full scale.
const QUIETEST_PEAK: f32 = 1e-4;

/// What there is to say of an input's level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SoundNotice {
    /// Nothing above a peak for [`PATIENCE_S`] seconds; 0 where every sample was exactly zero.
    Silent { peak: f32 },
    /// After silence that was said: sound again.
    Back,
}

impl std::fmt::Display for SoundNotice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SoundNotice::Silent { peak: 0.0 } => write!(
                f,
                "{PATIENCE_S} s of exact silence: the input is muted, or this program may not hear it"
            ),
            SoundNotice::Silent { peak } => write!(
                f,
                "{PATIENCE_S} s of silence (peak {:.0} dB of full scale): is the input muted or turned down?",
                20.0 * peak.log10()
            ),
            SoundNotice::Back => write!(f, "the input gives sound again"),
        }
    }
}

/// Watches the level of one input.
#[derive(Clone, Debug)]
pub struct SilenceWatch {
    patience_samples: u64,
    n_quiet_samples: u64,
    peak: f32,
    was_said: bool,
}

impl SilenceWatch {
    pub fn new(sample_rate_hz: u32) -> Self {
        Self {
            patience_samples: PATIENCE_S * u64::from(sample_rate_hz),
            n_quiet_samples: 0,
            peak: 0.0,
            was_said: false,
        }
    }

    /// Takes the next samples. A silence is said once, and its end once.
    pub fn push(&mut self, samples: &[f32]) -> Option<SoundNotice> {
        let peak = samples.iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
        if peak > QUIETEST_PEAK {
            let was_said = self.was_said;
            (self.n_quiet_samples, self.peak, self.was_said) = (0, 0.0, false);
            return was_said.then_some(SoundNotice::Back);
        }
        self.n_quiet_samples += samples.len() as u64;
        self.peak = self.peak.max(peak);
        if self.was_said || self.n_quiet_samples < self.patience_samples {
            return None;
        }
        self.was_said = true;
        Some(SoundNotice::Silent { peak: self.peak })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of seconds of a level, with the second in which it is said.
    fn said(levels: &[f32]) -> Vec<(usize, SoundNotice)> {
        let mut watch = SilenceWatch::new(100);
        let mut said = Vec::new();
        for (second, &level) in levels.iter().enumerate() {
            for _ in 0..10 {
                said.extend(watch.push(&[level; 10]).map(|notice| (second, notice)));
            }
        }
        said
    }

    #[test]
    fn silence_is_said_once_after_five_seconds_and_so_is_its_end() {
        let mut levels = vec![0.1; 2];
        levels.extend([0.0; 9]);
        levels.extend([0.2; 3]);
        levels.extend([5e-5; 6]);
        assert_eq!(
            said(&levels),
            [
                (6, SoundNotice::Silent { peak: 0.0 }),
                (11, SoundNotice::Back),
                (18, SoundNotice::Silent { peak: 5e-5 }),
            ]
        );
    }

    #[test]
    fn pauses_in_speech_and_the_hiss_of_a_room_are_no_silence() {
        assert_eq!(said(&[0.1, 0.0, 0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0]), []);
        assert_eq!(said(&[0.001; 30]), []);
    }

    #[test]
    fn the_words_name_the_cause() {
        let exact = SoundNotice::Silent { peak: 0.0 }.to_string();
        assert!(exact.contains("exact silence") && exact.contains("muted"));
        let faint = SoundNotice::Silent { peak: 5e-5 }.to_string();
        assert!(faint.contains("-86 dB"), "{faint}");
    }
}
