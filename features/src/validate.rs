//! Which front-ends can be: each parameter within its range, and the parameters against one another.

use crate::mel;
use crate::spec::FrontendSpec;

/// Longest FFT.
const MAX_FFT_SAMPLES: usize = 1 << 16;
/// Most bands.
const MAX_MELS: usize = 1024;

/// A front-end that cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SpecError {
    #[error("{field} is {found}, expected {expected}")]
    OutOfRange {
        field: &'static str,
        found: String,
        expected: String,
    },
    #[error("hop of {hop_samples} samples is longer than the window of {window_samples}")]
    HopBeyondWindow {
        hop_samples: usize,
        window_samples: usize,
    },
    #[error("window of {window_samples} samples is longer than the transform of {fft_samples}")]
    WindowBeyondFft {
        window_samples: usize,
        fft_samples: usize,
    },
    #[error("bands from {low_hz} Hz to {high_hz} Hz, expected 0 <= low < high <= {nyquist_hz} Hz")]
    Range {
        low_hz: f32,
        high_hz: f32,
        nyquist_hz: f32,
    },
    #[error(
        "band {band} of {n_mels} holds no bin of a {fft_samples}-sample transform: fewer bands or a longer transform"
    )]
    EmptyBand {
        band: usize,
        n_mels: usize,
        fft_samples: usize,
    },
}

impl FrontendSpec {
    /// Checks each parameter, then the parameters against one another.
    ///
    /// # Errors
    ///
    /// The first that cannot be, with what was found and what would have been right.
    pub fn validate(&self) -> Result<(), SpecError> {
        self.validate_alone()?;
        if self.window_samples > self.fft_samples {
            return Err(SpecError::WindowBeyondFft {
                window_samples: self.window_samples,
                fft_samples: self.fft_samples,
            });
        }
        if self.hop_samples > self.window_samples {
            return Err(SpecError::HopBeyondWindow {
                hop_samples: self.hop_samples,
                window_samples: self.window_samples,
            });
        }
        let (low_hz, high_hz) = (self.low_hz, self.high_hz);
        let nyquist_hz = self.sample_rate_hz as f32 / 2.0;
        if !(low_hz >= 0.0 && low_hz < high_hz && high_hz <= nyquist_hz) {
            return Err(SpecError::Range {
                low_hz,
                high_hz,
                nyquist_hz,
            });
        }
        let bands = mel::bands(self);
        let empty = bands.iter().position(|band| band.weights.is_empty());
        empty.map_or(Ok(()), |band| {
            Err(SpecError::EmptyBand {
                band,
                n_mels: self.n_mels,
                fft_samples: self.fft_samples,
            })
        })
    }

    fn validate_alone(&self) -> Result<(), SpecError> {
        count(
            "sample_rate_hz",
            self.sample_rate_hz as usize,
            1_000,
            384_000,
        )?;
        count("fft_samples", self.fft_samples, 2, MAX_FFT_SAMPLES)?;
        count("window_samples", self.window_samples, 2, MAX_FFT_SAMPLES)?;
        count("hop_samples", self.hop_samples, 1, MAX_FFT_SAMPLES)?;
        count("n_mels", self.n_mels, 1, MAX_MELS)?;
        number("log_floor", self.log_floor, 1e-30, 1e30)?;
        if let Some(pre_emphasis) = self.pre_emphasis {
            number("pre_emphasis", pre_emphasis, 0.0, 1.0)?;
        }
        if let Some(pcen) = &self.pcen {
            number("pcen.scale", pcen.scale, 1e-12, 1e12)?;
            number("pcen.gain", pcen.gain, 0.0, 10.0)?;
            number("pcen.bias", pcen.bias, 0.0, 1e6)?;
            number("pcen.power", pcen.power, 0.0, 10.0)?;
            number("pcen.time_constant_s", pcen.time_constant_s, 1e-3, 1e4)?;
            number("pcen.eps", pcen.eps, 1e-30, 1.0)?;
        }
        if let Some(norm) = &self.running_norm {
            number(
                "running_norm.time_constant_s",
                norm.time_constant_s,
                1e-3,
                1e6,
            )?;
        }
        Ok(())
    }
}

fn count(field: &'static str, found: usize, least: usize, most: usize) -> Result<(), SpecError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(SpecError::OutOfRange {
        field,
        found: found.to_string(),
        expected: format!("{least} to {most}"),
    })
}

fn number(field: &'static str, found: f32, least: f32, most: f32) -> Result<(), SpecError> {
    if (least..=most).contains(&found) {
        return Ok(()); // NaN is in no range
    }
    Err(SpecError::OutOfRange {
        field,
        found: short(found),
        expected: format!("{} to {}", short(least), short(most)),
    })
}

/// `1e-30` rather than thirty noughts.
fn short(value: f32) -> String {
    match value.abs() {
        0.0 | 1e-4..1e9 => value.to_string(),
        _ => format!("{value:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{MelScale, PcenSpec, RunningNormSpec};

    #[track_caller]
    fn check_refused(change: impl Fn(&mut FrontendSpec), message: &str) {
        let mut spec = FrontendSpec::speech_16k();
        change(&mut spec);
        assert_eq!(spec.validate().unwrap_err().to_string(), message);
    }

    #[test]
    fn presets_can_be() {
        FrontendSpec::speech_16k().validate().unwrap();
        FrontendSpec::speech_16k_64().validate().unwrap();
    }

    #[test]
    fn a_window_fits_the_transform_and_a_hop_the_window() {
        check_refused(
            |spec| spec.window_samples = 600,
            "window of 600 samples is longer than the transform of 512",
        );
        check_refused(
            |spec| spec.hop_samples = 500,
            "hop of 500 samples is longer than the window of 400",
        );
    }

    #[test]
    fn bands_lie_in_order_between_zero_and_nyquist() {
        let check = |low_hz, high_hz, found: &str| {
            let message = format!("bands from {found}, expected 0 <= low < high <= 8000 Hz");
            check_refused(
                |spec| (spec.low_hz, spec.high_hz) = (low_hz, high_hz),
                &message,
            );
        };
        check(20.0, 9_000.0, "20 Hz to 9000 Hz");
        check(-1.0, 7_600.0, "-1 Hz to 7600 Hz");
        check(4_000.0, 4_000.0, "4000 Hz to 4000 Hz");
        check(4_000.0, 300.0, "4000 Hz to 300 Hz");
        check(f32::NAN, 7_600.0, "NaN Hz to 7600 Hz");
        check(20.0, f32::INFINITY, "20 Hz to inf Hz");
    }

    #[test]
    fn counts_of_nothing_and_numbers_that_are_none_are_refused() {
        check_refused(|spec| spec.n_mels = 0, "n_mels is 0, expected 1 to 1024");
        check_refused(
            |spec| spec.hop_samples = 0,
            "hop_samples is 0, expected 1 to 65536",
        );
        check_refused(
            |spec| spec.window_samples = 0,
            "window_samples is 0, expected 2 to 65536",
        );
        check_refused(
            |spec| spec.fft_samples = 0,
            "fft_samples is 0, expected 2 to 65536",
        );
        check_refused(
            |spec| spec.sample_rate_hz = 0,
            "sample_rate_hz is 0, expected 1000 to 384000",
        );
        check_refused(
            |spec| spec.log_floor = 0.0,
            "log_floor is 0, expected 1e-30 to 1e30",
        );
        check_refused(
            |spec| spec.log_floor = f32::NAN,
            "log_floor is NaN, expected 1e-30 to 1e30",
        );
        check_refused(
            |spec| spec.pre_emphasis = Some(1.5),
            "pre_emphasis is 1.5, expected 0 to 1",
        );
        check_refused(
            |spec| {
                spec.pcen = Some(PcenSpec {
                    gain: f32::NEG_INFINITY,
                    ..PcenSpec::librosa()
                });
            },
            "pcen.gain is -inf, expected 0 to 10",
        );
        check_refused(
            |spec| {
                spec.running_norm = Some(RunningNormSpec {
                    time_constant_s: 0.0,
                    variance: false,
                });
            },
            "running_norm.time_constant_s is 0, expected 0.001 to 1000000",
        );
    }

    #[test]
    fn a_band_between_two_bins_is_refused() {
        check_refused(
            |spec| spec.n_mels = 128,
            "band 1 of 128 holds no bin of a 512-sample transform: fewer bands or a longer transform",
        );
        check_refused(
            |spec| (spec.low_hz, spec.high_hz, spec.n_mels) = (1_001.0, 1_002.0, 1),
            "band 0 of 1 holds no bin of a 512-sample transform: fewer bands or a longer transform",
        );
        // The Nyquist bin, here the only one in reach, lies on the edge.
        check_refused(
            |spec| {
                spec.mel_scale = MelScale::Kaldi;
                (spec.low_hz, spec.high_hz, spec.n_mels) = (7_990.0, 8_000.0, 1);
            },
            "band 0 of 1 holds no bin of a 512-sample transform: fewer bands or a longer transform",
        );
    }
}
