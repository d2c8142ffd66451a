//! Triangular bands on a mel scale, each a short run of weights over bins; and the bank that sums a
//! spectrum by them. It knows nothing of frames or time.

use crate::spec::{FrontendSpec, MelNorm, MelScale};

/// Bins summed side by side. A band's run of weights is filled up with zeros to a multiple of it.
const LANES: usize = 8;

/// One band: the first bin that counts and the weights, all above zero, from there on.
#[derive(Clone, Debug, PartialEq)]
pub struct MelBand {
    pub first_bin: usize,
    pub weights: Vec<f32>,
}

/// The bands of a front-end, lowest first. A band too narrow for the bins has no weights.
pub(crate) fn bands(spec: &FrontendSpec) -> Vec<MelBand> {
    let scale = spec.mel_scale;
    let low = hz_to_mel(scale, spec.low_hz.into());
    let high = hz_to_mel(scale, spec.high_hz.into());
    let step = (high - low) / (spec.n_mels + 1) as f64;
    let edge_mel = |index: usize| low + index as f64 * step;

    // Where bins and edges lie on the axis over which the triangles are straight.
    let place_of_hz = |hz: f64| match scale {
        MelScale::Kaldi => hz_to_mel(scale, hz),
        MelScale::Htk | MelScale::Slaney => hz,
    };
    let place_of_mel = |mel: f64| match scale {
        MelScale::Kaldi => mel,
        MelScale::Htk | MelScale::Slaney => mel_to_hz(scale, mel),
    };
    let bin_hz = f64::from(spec.sample_rate_hz) / spec.fft_samples as f64;
    let n_bins = spec.fft_samples.div_ceil(2); // a bin at Nyquist lies inside no band
    let bins: Vec<f64> = (0..n_bins)
        .map(|bin| place_of_hz(bin as f64 * bin_hz))
        .collect();

    let band = |index: usize| {
        let [left, centre, right] = [0, 1, 2].map(|offset| place_of_mel(edge_mel(index + offset)));
        let norm = match spec.mel_norm {
            MelNorm::None => 1.0,
            MelNorm::Slaney => {
                let [left, right] = [0, 2].map(|offset| mel_to_hz(scale, edge_mel(index + offset)));
                2.0 / (right - left)
            }
        };
        let first_bin = bins.partition_point(|&bin| bin <= left);
        let inside = bins[first_bin..].iter().take_while(|&&bin| bin < right);
        let weight = |&bin: &f64| {
            let rising = (bin - left) / (centre - left);
            let falling = (right - bin) / (right - centre);
            (rising.min(falling) * norm) as f32
        };
        MelBand {
            first_bin,
            weights: inside.map(weight).collect(),
        }
    };
    (0..spec.n_mels).map(band).collect()
}

/// The bands laid out for speed.
pub(crate) struct MelBank {
    /// First bin and number of lane groups of each band.
    runs: Vec<(usize, usize)>,
    /// The weights of all bands one after another, each filled up to whole lane groups.
    weights: Vec<[f32; LANES]>,
}

impl MelBank {
    pub(crate) fn new(bands: &[MelBand]) -> Self {
        let mut weights = Vec::new();
        let runs = bands.iter().map(|band| {
            let groups = band.weights.chunks(LANES).map(|group| {
                let mut filled = [0.0; LANES];
                filled[..group.len()].copy_from_slice(group);
                filled
            });
            let before = weights.len();
            weights.extend(groups);
            (band.first_bin, weights.len() - before)
        });
        Self {
            runs: runs.collect(),
            weights,
        }
    }

    /// Length of the spectrum that [`Self::sum`] reads: the bins, and what the zeros reach beyond them.
    pub(crate) fn n_readable_bins(&self, n_bins: usize) -> usize {
        n_bins + LANES
    }

    /// The value of each band over a spectrum of [`Self::n_readable_bins`], finite beyond its bins.
    pub(crate) fn sum(&self, spectrum: &[f32], values: &mut [f32]) {
        let mut weights = self.weights.as_slice();
        for (value, &(first_bin, n_groups)) in values.iter_mut().zip(&self.runs) {
            let (groups, rest) = weights.split_at(n_groups);
            weights = rest;
            let (bins, _) = spectrum[first_bin..].as_chunks::<LANES>();
            let mut sums = [0.0_f32; LANES];
            for (bins, group) in bins.iter().zip(groups) {
                for lane in 0..LANES {
                    sums[lane] += bins[lane] * group[lane];
                }
            }
            let [a, b, c, d, e, f, g, h] = sums;
            *value = ((a + e) + (c + g)) + ((b + f) + (d + h));
        }
    }
}

fn hz_to_mel(scale: MelScale, hz: f64) -> f64 {
    match scale {
        MelScale::Htk => 2595.0 * (1.0 + hz / 700.0).log10(),
        MelScale::Kaldi => 1127.0 * (1.0 + hz / 700.0).ln(),
        // Straight up to 1 kHz, 200/3 Hz a mel, then 27 mels per factor of 6.4.
        MelScale::Slaney if hz < 1000.0 => hz * 3.0 / 200.0,
        MelScale::Slaney => 15.0 + (hz / 1000.0).ln() * 27.0 / 6.4_f64.ln(),
    }
}

fn mel_to_hz(scale: MelScale, mel: f64) -> f64 {
    match scale {
        MelScale::Htk => 700.0 * (10.0_f64.powf(mel / 2595.0) - 1.0),
        MelScale::Kaldi => 700.0 * ((mel / 1127.0).exp() - 1.0),
        MelScale::Slaney if mel < 15.0 => mel * 200.0 / 3.0,
        MelScale::Slaney => 1000.0 * ((mel - 15.0) * 6.4_f64.ln() / 27.0).exp(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALES: [MelScale; 3] = [MelScale::Htk, MelScale::Slaney, MelScale::Kaldi];

    #[test]
    fn scales_are_their_own_inverse() {
        for scale in SCALES {
            for hz in [0.0, 20.0, 999.0, 1000.0, 4000.0, 7600.0] {
                assert!((mel_to_hz(scale, hz_to_mel(scale, hz)) - hz).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn between_the_first_and_last_peak_two_bands_share_each_bin_wholly() {
        for mel_scale in SCALES {
            let spec = FrontendSpec {
                mel_scale,
                ..FrontendSpec::speech_16k()
            };
            let bands = bands(&spec);
            assert_eq!(bands.len(), 40);
            let mut shares = vec![0.0; spec.fft_samples / 2 + 1];
            for band in &bands {
                for (i, weight) in band.weights.iter().enumerate() {
                    shares[band.first_bin + i] += weight;
                }
            }
            // Well inside: 100 Hz to 7 kHz.
            for (bin, share) in shares.iter().enumerate().take(224).skip(4) {
                assert!(
                    (share - 1.0).abs() < 1e-5,
                    "{mel_scale:?}, bin {bin}: {share}"
                );
            }
        }
    }

    #[test]
    fn the_bank_sums_what_the_bands_say() {
        for spec in [FrontendSpec::speech_16k(), FrontendSpec::speech_16k_64()] {
            let bands = bands(&spec);
            let bank = MelBank::new(&bands);
            let n_bins = spec.fft_samples / 2 + 1;
            let mut spectrum = vec![0.0; bank.n_readable_bins(n_bins)];
            for (bin, value) in spectrum.iter_mut().enumerate().take(n_bins) {
                *value = 1.0 + (bin * 37 % 101) as f32;
            }
            let mut values = vec![0.0; spec.n_mels];
            bank.sum(&spectrum, &mut values);
            for (value, band) in values.iter().zip(&bands) {
                let bins = spectrum[band.first_bin..].iter().zip(&band.weights);
                let exact: f64 = bins.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
                assert!((f64::from(*value) / exact - 1.0).abs() < 1e-6);
            }
        }
    }
}
