//! What a line or a codec does to a sound: less bandwidth, fewer bits.

use std::f64::consts::PI;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::{AugmentError, draw};

/// The band of a telephone line, in hertz.
const TELEPHONE_HZ: [f64; 2] = [300.0, 3400.0];

/// The order of its two edges.
const TELEPHONE_ORDER: usize = 4;

/// The highest that an edge may lie, as a share of the sample rate.
const HIGHEST_SHARE: f64 = 0.49;

/// How clips go through lines and codecs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelMix {
    /// The share of clips that do.
    pub probability: f32,
    /// Which, each as often as the others.
    pub kinds: Vec<ChannelKind>,
}

/// A line or a codec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ChannelKind {
    /// 300 to 3,400 Hz (Butterworth edges of fourth order), then mu-law.
    Telephone {},
    /// Eight bits a sample by the mu-law of ITU-T G.711; louder than full scale is clipped, as the codec does.
    MuLaw {},
    /// A Butterworth low-pass of fourth order.
    LowPass {
        /// The lowest and highest edge, in hertz.
        cutoff_hz: [f32; 2],
    },
}

impl ChannelMix {
    pub(super) fn validate(&self) -> Result<(), AugmentError> {
        let fault = |field, found: String, expected| {
            Err(AugmentError {
                field,
                found,
                expected,
            })
        };
        if !(0.0..=1.0).contains(&self.probability) {
            return fault(
                "channel.probability",
                self.probability.to_string(),
                "a share between 0 and 1",
            );
        }
        if self.kinds.is_empty() {
            return fault("channel.kinds", "none".into(), "at least one");
        }
        for kind in &self.kinds {
            if let ChannelKind::LowPass {
                cutoff_hz: [low, high],
            } = *kind
                && !(200.0 <= low && low <= high && high <= 24_000.0)
            {
                return fault(
                    "channel.kinds.cutoff_hz",
                    format!("{low} to {high}"),
                    "lowest and highest within 200..24,000 Hz",
                );
            }
        }
        Ok(())
    }

    /// Sends a clip through one of the kinds, drawn evenly.
    pub(super) fn apply(&self, samples: &mut [f32], sample_rate_hz: u32, rng: &mut impl Rng) {
        let kind = &self.kinds[rng.random_range(0..self.kinds.len())];
        let cutoff_hz = match *kind {
            ChannelKind::LowPass { cutoff_hz } => draw(cutoff_hz, rng),
            _ => 0.0,
        };
        kind.apply(samples, sample_rate_hz, cutoff_hz);
    }
}

impl ChannelKind {
    /// Sends a clip through; `cutoff_hz` is the edge of the low-pass and of nothing else. An edge beyond half of the rate
    /// lies just below it.
    pub fn apply(&self, samples: &mut [f32], sample_rate_hz: u32, cutoff_hz: f32) {
        let rate = f64::from(sample_rate_hz);
        let mut filter = |pass, hz: f64| {
            let sections = Biquad::butterworth(pass, TELEPHONE_ORDER, hz, rate);
            for mut section in sections {
                section.apply(samples);
            }
        };
        match self {
            Self::LowPass { .. } => filter(Pass::Low, f64::from(cutoff_hz)),
            Self::Telephone {} => {
                filter(Pass::High, TELEPHONE_HZ[0]);
                filter(Pass::Low, TELEPHONE_HZ[1]);
                mu_law(samples);
            }
            Self::MuLaw {} => mu_law(samples),
        }
    }
}

/// Which side of its edge a filter lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    Low,
    High,
}

/// A filter of second order, direct form II transposed.
#[derive(Clone, Debug)]
pub(super) struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
    state: [f64; 2],
}

impl Biquad {
    /// A Butterworth filter of even order as sections, by the bilinear transform with its edge (3 dB) kept in place.
    pub fn butterworth(pass: Pass, order: usize, edge_hz: f64, sample_rate_hz: f64) -> Vec<Self> {
        let edge = (edge_hz / sample_rate_hz).min(HIGHEST_SHARE);
        let k = (PI * edge).tan();
        let section = |i: usize| {
            let damping = (PI * (2 * i + 1) as f64 / (2 * order) as f64).sin();
            let norm = 1.0 / (1.0 + 2.0 * damping * k + k * k);
            let gain = match pass {
                Pass::Low => k * k * norm,
                Pass::High => norm,
            };
            let middle = match pass {
                Pass::Low => 2.0 * gain,
                Pass::High => -2.0 * gain,
            };
            Self {
                b: [gain, middle, gain],
                a: [
                    2.0 * (k * k - 1.0) * norm,
                    (1.0 - 2.0 * damping * k + k * k) * norm,
                ],
                state: [0.0; 2],
            }
        };
        (0..order / 2).map(section).collect()
    }

    pub fn apply(&mut self, samples: &mut [f32]) {
        let ([b0, b1, b2], [a1, a2]) = (self.b, self.a);
        for x in samples {
            let input = f64::from(*x);
            let output = b0 * input + self.state[0];
            self.state = [
                b1 * input - a1 * output + self.state[1],
                b2 * input - a2 * output,
            ];
            *x = output as f32;
        }
    }
}

/// There and back through eight bits a sample.
fn mu_law(samples: &mut [f32]) {
    for x in samples {
        let linear = (*x * 32_768.0).clamp(-32_768.0, 32_767.0) as i16;
        *x = f32::from(mu_law_decode(mu_law_encode(linear))) / 32_768.0;
    }
}

/// Added before the segment is looked for.
const MU_LAW_BIAS: i32 = 0x84;

/// ITU-T G.711: a sign, a segment of three bits, four bits within it, all inverted.
fn mu_law_encode(sample: i16) -> u8 {
    const LARGEST: i32 = 32_635;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(LARGEST) + MU_LAW_BIAS;
    let segment = (magnitude >> 7).ilog2() as i32;
    let step = (magnitude >> (segment + 3)) & 0x0f;
    !((sign | (segment << 4) | step) as u8)
}

fn mu_law_decode(code: u8) -> i16 {
    let code = i32::from(!code);
    let magnitude = ((((code & 0x0f) << 3) + MU_LAW_BIAS) << ((code & 0x70) >> 4)) - MU_LAW_BIAS;
    (if code & 0x80 != 0 {
        -magnitude
    } else {
        magnitude
    }) as i16
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    /// Loudness of a tone behind the filter, as a share of before, once it has settled.
    fn gain(pass: Pass, edge_hz: f64, hz: f64) -> f64 {
        let mut tone: Vec<f32> = (0..64_000)
            .map(|i| (TAU * hz * i as f64 / 16_000.0).sin() as f32)
            .collect();
        for mut section in Biquad::butterworth(pass, 4, edge_hz, 16_000.0) {
            section.apply(&mut tone);
        }
        super::super::rms(&tone[32_000..]) / 0.5f64.sqrt()
    }

    #[test]
    fn the_filters_have_the_response_that_butterworth_gave_them() {
        // |H|^2 = 1 / (1 + (w / w_edge)^(2 n)), frequencies warped by the bilinear transform.
        let warped = |hz: f64| (PI * hz / 16_000.0).tan();
        for edge_hz in [300.0, 1_000.0, 3_400.0, 6_000.0] {
            for hz in [150.0, 300.0, 500.0, 1_000.0, 3_400.0, 4_000.0, 7_000.0] {
                let ratio = warped(hz) / warped(edge_hz);
                let low = (1.0 + ratio.powi(8)).sqrt().recip();
                let high = (1.0 + ratio.powi(-8)).sqrt().recip();
                for (pass, expected) in [(Pass::Low, low), (Pass::High, high)] {
                    let found = gain(pass, edge_hz, hz);
                    assert!(
                        (found - expected).abs() < 2e-4,
                        "{pass:?} {edge_hz} Hz at {hz} Hz: {found}, expected {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn mu_law_codes_have_the_values_of_the_standard() {
        // Ends of segments in the table of G.711, scaled to 16 bits.
        for (code, value) in [
            (0x00, -32_124),
            (0x01, -31_100),
            (0x0f, -16_764),
            (0x10, -15_996),
            (0x7f, 0),
            (0x80, 32_124),
            (0x8f, 16_764),
            (0x90, 15_996),
            (0xff, 0),
        ] {
            assert_eq!(mu_law_decode(code), value, "{code:#04x}");
        }
        // Each code but the negative zero comes back from its own value, and no sample moves by more than half a step.
        for code in (0..=255u8).filter(|&code| code != 0x7f) {
            assert_eq!(mu_law_encode(mu_law_decode(code)), code);
        }
        for sample in (-32_124..=32_124).step_by(7) {
            let back = i32::from(mu_law_decode(mu_law_encode(sample as i16)));
            let largest = (i32::abs(sample) + MU_LAW_BIAS) / 32 + 4;
            assert!((back - sample).abs() <= largest, "{sample} became {back}");
        }
    }

    #[test]
    fn a_telephone_lets_a_voice_through_and_no_hum_and_no_hiss() {
        let through = |hz: f64| {
            let mut tone: Vec<f32> = (0..32_000)
                .map(|i| 0.5 * (TAU * hz * i as f64 / 16_000.0).sin() as f32)
                .collect();
            ChannelKind::Telephone {}.apply(&mut tone, 16_000, 0.0);
            20.0 * (super::super::rms(&tone[16_000..]) / (0.5 * 0.5f64.sqrt())).log10()
        };
        assert!(through(1_000.0).abs() < 0.3, "{}", through(1_000.0));
        assert!(through(50.0) < -40.0 && through(7_000.0) < -35.0);
    }

    #[test]
    fn an_edge_beyond_half_of_the_rate_is_no_end() {
        let mut noise: Vec<f32> = (0..8_000)
            .map(|i| ((i * 7919) % 97) as f32 / 97.0)
            .collect();
        let kind = ChannelKind::LowPass {
            cutoff_hz: [9_000.0, 9_000.0],
        };
        kind.apply(&mut noise, 16_000, 9_000.0);
        assert!(noise.iter().all(|x| x.is_finite() && x.abs() < 2.0));
    }
}
