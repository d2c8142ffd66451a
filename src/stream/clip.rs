//! One finished recording -> one answer, as in training and evaluation.

use auricle_features::{LogMel, fit_clip};

use super::committee::Committee;
use crate::bundle::{Bundle, BundleError, LanguageSpec};

/// Answers for whole clips, one after another.
pub struct ClipClassifier {
    log_mel: LogMel,
    committee: Committee,
    /// Where recordings are brought to one length.
    clip_samples: Option<usize>,
    judged_samples: usize,
    /// How answers are calibrated, and the last answer `[n_classes]`, where the classes are languages.
    languages: Option<(LanguageSpec, Vec<f32>)>,
}

impl ClipClassifier {
    /// # Errors
    ///
    /// Where [`Bundle::validate`] finds one.
    pub fn new(bundle: &Bundle) -> Result<Self, BundleError> {
        Ok(Self {
            log_mel: LogMel::new(&bundle.frontend)?,
            committee: Committee::new(bundle)?,
            clip_samples: match bundle.whole_clips_ms {
                None => Some(bundle.clip_samples()),
                Some(_) => None,
            },
            judged_samples: bundle.judged_samples(),
            languages: bundle
                .languages
                .clone()
                .map(|spec| (spec, vec![0.0; bundle.labels.len()])),
        })
    }

    /// Probabilities `[n_classes]` of a recording at the front-end's rate, brought to the length of a
    /// training clip by [`fit_clip`]: a shorter one lies between zeros, of a longer one the middle counts.
    /// A bundle of whole clips hears it as long as it is, up to the most it may be; one shorter than a window
    /// of the front-end lies between zeros up to that. Where the classes are languages the answer is calibrated for
    /// the time heard.
    ///
    /// Each member's answer is its last one. Where its stride does not divide the clip's frames, that is
    /// some frames before the end, and still the answer of the whole-clip network: causal layers of total
    /// stride `s` have `ceil(n_frames / s)` outputs, the last of them at frame
    /// `floor((n_frames - 1) / s) * s` in both forms.
    pub fn classify(&mut self, samples: &[f32]) -> &[f32] {
        let n_samples = match self.clip_samples {
            Some(n_samples) => n_samples,
            None if samples.len() < self.log_mel.spec().window_samples => self.judged_samples,
            None => samples.len().min(self.judged_samples),
        };
        let frames = self.log_mel.clip(&fit_clip(samples, n_samples));
        self.committee.reset();
        for i in 0..frames.n_frames() {
            self.committee.step(frames.frame(i));
        }
        let answer = self.committee.probabilities();
        let Some((spec, calibrated)) = &mut self.languages else {
            return answer;
        };
        calibrated.copy_from_slice(answer);
        let heard_s = n_samples as f64 / f64::from(self.log_mel.spec().sample_rate_hz);
        spec.calibrate(heard_s, calibrated);
        calibrated
    }
}

/// Probabilities `[n_classes]` of one recording: [`ClipClassifier::classify`] for a single use.
///
/// # Errors
///
/// Where [`Bundle::validate`] finds one.
pub fn classify_clip(bundle: &Bundle, samples: &[f32]) -> Result<Vec<f32>, BundleError> {
    Ok(ClipClassifier::new(bundle)?.classify(samples).to_vec())
}
