//! What the front-end computes, as data: every parameter, and the presets. It computes nothing itself.

use serde::{Deserialize, Serialize};

/// A log-mel front-end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontendSpec {
    /// Rate of the samples.
    pub sample_rate_hz: u32,
    /// Samples that one frame sees.
    pub window_samples: usize,
    /// Samples from the start of one window to the start of the next.
    pub hop_samples: usize,
    /// Length of the Fourier transform; the window is followed by zeros.
    pub fft_samples: usize,
    /// Bands.
    pub n_mels: usize,
    /// Lower edge of the first band.
    pub low_hz: f32,
    /// Upper edge of the last band.
    pub high_hz: f32,
    /// Shape of the window.
    pub window: Window,
    /// How bands are spaced and shaped.
    pub mel_scale: MelScale,
    /// How bands are scaled.
    pub mel_norm: MelNorm,
    /// What of the spectrum is summed.
    pub spectrum: Spectrum,
    /// Band values below this are raised to it before the natural logarithm.
    pub log_floor: f32,
    /// `x[t] - pre_emphasis * x[t - 1]` within each window, its first sample its own past (Kaldi's rule).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_emphasis: Option<f32>,
    /// Whether each window's mean is taken off first.
    pub remove_dc: bool,
    /// Per-channel energy normalisation in place of the logarithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pcen: Option<PcenSpec>,
    /// Running normalisation after the logarithm or PCEN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_norm: Option<RunningNormSpec>,
}

/// Shape of a window of `n` samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    /// `0.5 - 0.5 cos(2 pi i / n)`: librosa, torchaudio.
    HannPeriodic,
    /// `0.5 - 0.5 cos(2 pi i / (n - 1))`.
    HannSymmetric,
    /// `0.54 - 0.46 cos(2 pi i / (n - 1))`.
    Hamming,
    /// The symmetric Hann window to the power 0.85: Kaldi.
    Povey,
}

/// How bands are spaced and shaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MelScale {
    /// `2595 log10(1 + f / 700)`, triangles straight over hertz: librosa with `htk=True`.
    Htk,
    /// Slaney's Auditory Toolbox, straight below 1 kHz: librosa's default.
    Slaney,
    /// HTK's scale, triangles straight over mels: Kaldi.
    Kaldi,
}

/// How bands are scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MelNorm {
    /// Peaks of one.
    None,
    /// Divided by half the band's width in hertz: equal areas (librosa's `norm="slaney"`).
    Slaney,
}

/// What of the spectrum is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spectrum {
    /// Squared magnitude.
    Power,
    /// Magnitude.
    Magnitude,
}

/// Per-channel energy normalisation (Wang et al. 2017, arXiv:1607.05666) of band values `E = scale * value`:
///
/// `M[t] = (1 - s) M[t - 1] + s E[t]`, output `(E / (eps + M)^gain + bias)^power - bias^power`
///
/// with `s = (sqrt(1 + 4 T^2) - 1) / (2 T^2)`, `T` the time constant in frames, as `librosa.pcen`
/// computes it. `M` is 1 before the first frame, as there, so a clip and a stream begin alike and the
/// gain settles within a time constant or two. At `power` 0 the output is `ln(1 + E / (eps + M)^gain)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PcenSpec {
    /// Factor on the band values. The other defaults are meant for 2^31 with samples in -1..1 and
    /// magnitudes.
    pub scale: f32,
    /// Exponent of the gain control: 0 has none, 1 takes the loudness away wholly.
    pub gain: f32,
    /// Added before the root, so that small values stay small.
    pub bias: f32,
    /// The root that compresses.
    pub power: f32,
    /// Time constant of the average `M`.
    pub time_constant_s: f32,
    /// Keeps the gain finite in silence.
    pub eps: f32,
}

impl PcenSpec {
    /// The defaults of librosa 0.11, for samples in -1..1.
    pub fn librosa() -> Self {
        Self {
            scale: 2_147_483_648.0,
            gain: 0.98,
            bias: 2.0,
            power: 0.5,
            time_constant_s: 0.4,
            eps: 1e-6,
        }
    }
}

/// Takes a running mean off each band, and may divide by a running deviation:
///
/// `m[t] = m[t - 1] + r (x[t] - m[t - 1])`, output `y = x - m`; with the variance
/// `v[t] = v[t - 1] + r (y[t]^2 - v[t - 1])`, output `y / sqrt(v + 1e-5)`
///
/// with `r = 1 - exp(-1 / T)`, `T` the time constant in frames. Before the first frame `m` is that
/// frame, so that the first output is 0, and `v` is 1. It never looks ahead and knows no utterances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunningNormSpec {
    /// Time after which the mean has followed 63 % of a step.
    pub time_constant_s: f32,
    /// Whether to divide by the deviation too.
    pub variance: bool,
}

impl FrontendSpec {
    /// 40 bands over 20 Hz to 7.6 kHz, 25 ms windows every 10 ms at 16 kHz.
    pub fn speech_16k() -> Self {
        Self {
            sample_rate_hz: 16_000,
            window_samples: 400,
            hop_samples: 160,
            fft_samples: 512,
            n_mels: 40,
            low_hz: 20.0,
            high_hz: 7_600.0,
            window: Window::HannPeriodic,
            mel_scale: MelScale::Htk,
            mel_norm: MelNorm::None,
            spectrum: Spectrum::Power,
            log_floor: 1e-6,
            pre_emphasis: None,
            remove_dc: false,
            pcen: None,
            running_norm: None,
        }
    }

    /// As [`Self::speech_16k`] with 64 bands over a transform of 1,024 samples.
    pub fn speech_16k_64() -> Self {
        Self {
            n_mels: 64,
            fft_samples: 1_024,
            ..Self::speech_16k()
        }
    }

    /// The preset of that name, as recipes write it.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "speech_16k" => Some(Self::speech_16k()),
            "speech_16k_64" => Some(Self::speech_16k_64()),
            _ => None,
        }
    }

    /// Frames of a clip: windows that lie wholly within it.
    pub fn n_frames(&self, n_samples: usize) -> usize {
        match n_samples.checked_sub(self.window_samples) {
            Some(beyond) => 1 + beyond / self.hop_samples.max(1),
            None => 0,
        }
    }

    /// Frames per second of audio.
    pub fn frames_per_second(&self) -> f64 {
        f64::from(self.sample_rate_hz) / self.hop_samples as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_second_at_16_khz_is_98_frames_and_less_than_a_window_none() {
        let spec = FrontendSpec::speech_16k();
        assert_eq!(spec.n_frames(16_000), 98);
        let n_frames = [0, 399, 400, 559, 560].map(|n_samples| spec.n_frames(n_samples));
        assert_eq!(n_frames, [0, 0, 1, 1, 2]);
        assert_eq!(spec.frames_per_second(), 100.0);
    }

    #[test]
    fn a_spec_comes_back_from_text_as_it_was() {
        let spec = FrontendSpec {
            pre_emphasis: Some(0.97),
            pcen: Some(PcenSpec::librosa()),
            running_norm: Some(RunningNormSpec {
                time_constant_s: 0.3,
                variance: true,
            }),
            ..FrontendSpec::speech_16k()
        };
        for spec in [spec, FrontendSpec::speech_16k_64()] {
            let text = serde_json::to_string(&spec).unwrap();
            assert_eq!(serde_json::from_str::<FrontendSpec>(&text).unwrap(), spec);
        }
    }

    #[test]
    fn a_misspelt_field_is_refused_by_name() {
        let text = serde_json::to_string(&FrontendSpec::speech_16k()).unwrap();
        let text = text.replacen('{', "{\"preemphasis\": 0.97, ", 1);
        let error = serde_json::from_str::<FrontendSpec>(&text).unwrap_err();
        assert!(
            error.to_string().contains("unknown field `preemphasis`"),
            "{error}"
        );
    }
}
