//! What happens to band values in time: the logarithm, PCEN, running normalisation. Their state goes
//! forward only, a frame at a time, and never depends on how the frames came in.

use crate::spec::{FrontendSpec, PcenSpec};

/// Added to the running variance before its root, in squared log units.
const VARIANCE_FLOOR: f32 = 1e-5;

/// State between frames.
#[derive(Clone, Debug)]
pub(crate) struct Normaliser {
    log_floor: f32,
    pcen: Option<Pcen>,
    running: Option<RunningNorm>,
}

#[derive(Clone, Debug)]
struct Pcen {
    spec: PcenSpec,
    bias_to_power: f32,
    /// Share of a new frame in the average.
    rate: f32,
    /// `M` of each band.
    average: Vec<f32>,
}

#[derive(Clone, Debug)]
struct RunningNorm {
    /// Share of a new frame in the mean.
    rate: f32,
    with_variance: bool,
    started: bool,
    mean: Vec<f32>,
    variance: Vec<f32>,
}

impl Normaliser {
    pub(crate) fn new(spec: &FrontendSpec) -> Self {
        let frames_per_second = spec.frames_per_second();
        let pcen = spec.pcen.clone().map(|pcen| {
            let frames = f64::from(pcen.time_constant_s) * frames_per_second;
            Pcen {
                bias_to_power: pcen.bias.powf(pcen.power),
                // librosa's (sqrt(1 + 4 t^2) - 1) / (2 t^2), without its cancellation.
                rate: (2.0 / (1.0 + (1.0 + 4.0 * frames * frames).sqrt())) as f32,
                average: vec![1.0; spec.n_mels],
                spec: pcen,
            }
        });
        let running = spec.running_norm.as_ref().map(|norm| {
            let frames = f64::from(norm.time_constant_s) * frames_per_second;
            RunningNorm {
                rate: -(-1.0 / frames).exp_m1() as f32,
                with_variance: norm.variance,
                started: false,
                mean: vec![0.0; spec.n_mels],
                variance: vec![1.0; spec.n_mels],
            }
        });
        Self {
            log_floor: spec.log_floor,
            pcen,
            running,
        }
    }

    /// Band values in, features out, in place.
    pub(crate) fn frame(&mut self, values: &mut [f32]) {
        // Samples that are not finite, or too large to square, must not stay in the state for ever.
        for value in values.iter_mut() {
            *value = if *value < f32::INFINITY { *value } else { 0.0 };
        }
        match &mut self.pcen {
            Some(pcen) => pcen.frame(values),
            None => {
                for value in values.iter_mut() {
                    *value = value.max(self.log_floor).ln();
                }
            }
        }
        if let Some(running) = &mut self.running {
            running.frame(values);
        }
    }

    pub(crate) fn reset(&mut self) {
        if let Some(pcen) = &mut self.pcen {
            pcen.average.fill(1.0);
        }
        if let Some(running) = &mut self.running {
            running.started = false;
        }
    }
}

impl Pcen {
    fn frame(&mut self, values: &mut [f32]) {
        let &mut Self {
            ref spec,
            bias_to_power,
            rate,
            ref mut average,
        } = self;
        let &PcenSpec {
            scale,
            gain,
            bias,
            power,
            eps,
            ..
        } = spec;
        for (value, average) in values.iter_mut().zip(average) {
            let energy = *value * scale;
            *average += rate * (energy - *average);
            let gained = energy * (-gain * (eps + *average).ln()).exp();
            *value = if power == 0.0 {
                gained.ln_1p()
            } else if bias == 0.0 {
                gained.powf(power)
            } else {
                bias_to_power * root_beyond_one(gained / bias, power)
            };
        }
    }
}

/// `(1 + x)^power - 1`. The forms exact near nought take twice as long, and only small values need them.
fn root_beyond_one(x: f32, power: f32) -> f32 {
    if x < 0.1 {
        (power * x.ln_1p()).exp_m1()
    } else {
        (power * (1.0 + x).ln()).exp() - 1.0
    }
}

impl RunningNorm {
    fn frame(&mut self, values: &mut [f32]) {
        if !self.started {
            self.mean.copy_from_slice(values);
            self.variance.fill(1.0);
            self.started = true;
        }
        let state = self.mean.iter_mut().zip(&mut self.variance);
        for (value, (mean, variance)) in values.iter_mut().zip(state) {
            *mean += self.rate * (*value - *mean);
            *value -= *mean;
            if self.with_variance {
                *variance += self.rate * (*value * *value - *variance);
                *value /= (*variance + VARIANCE_FLOOR).sqrt();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_exact_for_small_and_large_values_alike() {
        for power in [0.1_f32, 0.25, 0.5, 1.0, 2.0] {
            for exponent in -40..40 {
                let x = 1.37_f32 * 2.0_f32.powi(exponent);
                let exact = (f64::from(power) * f64::from(x).ln_1p()).exp_m1();
                let error = f64::from(root_beyond_one(x, power)) / exact - 1.0;
                assert!(error.abs() < 2e-5, "x {x}, power {power}: off by {error:e}");
            }
        }
    }

    #[test]
    fn a_running_mean_has_followed_63_percent_of_a_step_after_its_time_constant() {
        let spec = FrontendSpec {
            running_norm: Some(crate::spec::RunningNormSpec {
                time_constant_s: 0.5,
                variance: false,
            }),
            n_mels: 1,
            ..FrontendSpec::speech_16k()
        };
        let mut normaliser = Normaliser::new(&spec);
        let mut step = |energy: f32| {
            let mut frame = [energy];
            normaliser.frame(&mut frame);
            frame[0]
        };
        assert_eq!(step(1.0), 0.0);
        let after: Vec<f32> = (0..50).map(|_| step(std::f32::consts::E)).collect();
        assert!((after[49] - (-1.0_f32).exp()).abs() < 1e-4, "{}", after[49]);
    }
}
