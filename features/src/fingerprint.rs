//! A name for what a front-end computes, so that features made by another are never mistaken for its own.

use crate::spec::{FrontendSpec, PcenSpec, RunningNormSpec};

impl FrontendSpec {
    /// 16 hex digits that change when any value does: FNV-1a (64 bits) over a text of all fields, floats
    /// by their bits. The text is written here, field by field, so that no serialiser has a say in it; its
    /// first word counts up when the same values come to mean another computation.
    pub fn fingerprint(&self) -> String {
        let Self {
            sample_rate_hz,
            window_samples,
            hop_samples,
            fft_samples,
            n_mels,
            low_hz,
            high_hz,
            window,
            mel_scale,
            mel_norm,
            spectrum,
            log_floor,
            pre_emphasis,
            remove_dc,
            pcen,
            running_norm,
        } = self;
        let bits = |value: &f32| (value + 0.0).to_bits(); // -0 is 0
        let pcen = pcen.as_ref().map(|pcen| {
            let PcenSpec {
                scale,
                gain,
                bias,
                power,
                time_constant_s,
                eps,
            } = pcen;
            [scale, gain, bias, power, time_constant_s, eps].map(bits)
        });
        let running_norm = running_norm.as_ref().map(|norm| {
            let RunningNormSpec {
                time_constant_s,
                variance,
            } = norm;
            (bits(time_constant_s), *variance)
        });
        let text = format!(
            "log-mel 1|{sample_rate_hz}|{window_samples}|{hop_samples}|{fft_samples}|{n_mels}|{}|{}|{window:?}|\
             {mel_scale:?}|{mel_norm:?}|{spectrum:?}|{}|{:?}|{remove_dc}|{pcen:?}|{running_norm:?}",
            bits(low_hz),
            bits(high_hz),
            bits(log_floor),
            pre_emphasis.as_ref().map(bits),
        );
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        format!("{hash:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{MelNorm, MelScale, Spectrum, Window};

    #[test]
    fn presets_keep_their_fingerprints() {
        assert_eq!(FrontendSpec::speech_16k().fingerprint(), "fb597f76ede8aefb");
        assert_eq!(
            FrontendSpec::speech_16k_64().fingerprint(),
            "b1bc4c37f9332870"
        );
        let with_all = FrontendSpec {
            window: Window::Povey,
            mel_scale: MelScale::Kaldi,
            mel_norm: MelNorm::Slaney,
            spectrum: Spectrum::Magnitude,
            pre_emphasis: Some(0.97),
            pcen: Some(PcenSpec::librosa()),
            running_norm: Some(RunningNormSpec {
                time_constant_s: 1.5,
                variance: true,
            }),
            ..FrontendSpec::speech_16k()
        };
        assert_eq!(with_all.fingerprint(), "f80e97ff1ec4c6aa");
    }

    #[test]
    fn every_field_counts() {
        type Change = fn(&mut FrontendSpec);
        let changes: [Change; 24] = [
            |_| {},
            |spec| spec.sample_rate_hz = 8_000,
            |spec| spec.window_samples += 1,
            |spec| spec.hop_samples += 1,
            |spec| spec.fft_samples += 1,
            |spec| spec.n_mels += 1,
            |spec| spec.low_hz += 1.0,
            |spec| spec.high_hz += 1.0,
            |spec| spec.window = Window::Hamming,
            |spec| spec.mel_scale = MelScale::Slaney,
            |spec| spec.mel_norm = MelNorm::Slaney,
            |spec| spec.spectrum = Spectrum::Magnitude,
            |spec| spec.log_floor = 1e-7,
            |spec| spec.pre_emphasis = Some(0.0),
            |spec| spec.remove_dc = true,
            |spec| spec.pcen = Some(PcenSpec::librosa()),
            |spec| {
                spec.pcen = Some(PcenSpec {
                    scale: 1.0,
                    ..PcenSpec::librosa()
                })
            },
            |spec| {
                spec.pcen = Some(PcenSpec {
                    gain: 0.9,
                    ..PcenSpec::librosa()
                })
            },
            |spec| {
                spec.pcen = Some(PcenSpec {
                    bias: 1.0,
                    ..PcenSpec::librosa()
                })
            },
            |spec| {
                spec.pcen = Some(PcenSpec {
                    power: 0.4,
                    ..PcenSpec::librosa()
                })
            },
            |spec| {
                spec.pcen = Some(PcenSpec {
                    time_constant_s: 0.5,
                    ..PcenSpec::librosa()
                })
            },
            |spec| {
                spec.pcen = Some(PcenSpec {
                    eps: 1e-5,
                    ..PcenSpec::librosa()
                })
            },
            |spec| {
                spec.running_norm = Some(RunningNormSpec {
                    time_constant_s: 1.0,
                    variance: false,
                })
            },
            |spec| {
                spec.running_norm = Some(RunningNormSpec {
                    time_constant_s: 1.0,
                    variance: true,
                })
            },
        ];
        let fingerprints: std::collections::BTreeSet<String> = changes
            .iter()
            .map(|change| {
                let mut spec = FrontendSpec::speech_16k();
                change(&mut spec);
                spec.fingerprint()
            })
            .collect();
        assert_eq!(fingerprints.len(), changes.len());
    }
}
