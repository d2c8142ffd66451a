//! The plan: window, transform and bands made once, applied to a clip.

use std::fmt;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use crate::frames::Frames;
use crate::mel::{self, MelBand, MelBank};
use crate::normalise::Normaliser;
use crate::spec::{FrontendSpec, Spectrum};
use crate::validate::SpecError;
use crate::window;

/// A front-end ready to compute. Cheap to clone; shared between threads.
#[derive(Clone)]
pub struct LogMel {
    plan: Arc<Plan>,
}

struct Plan {
    spec: FrontendSpec,
    window: Vec<f32>,
    bands: Vec<MelBand>,
    bank: MelBank,
    fft: Arc<dyn RealToComplex<f32>>,
}

/// Buffers of one thread's work.
pub(crate) struct Workspace {
    /// `[fft_samples]`
    input: Vec<f32>,
    /// `[fft_samples / 2 + 1]`
    output: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    /// Power or magnitude, `[fft_samples / 2 + 1]`, then the zeros that the bank may read.
    spectrum: Vec<f32>,
}

impl LogMel {
    /// Makes the plan.
    ///
    /// # Errors
    ///
    /// Where [`FrontendSpec::validate`] finds one.
    pub fn new(spec: &FrontendSpec) -> Result<Self, SpecError> {
        spec.validate()?;
        let bands = mel::bands(spec);
        let plan = Plan {
            spec: spec.clone(),
            window: window::weights(spec.window, spec.window_samples),
            bank: MelBank::new(&bands),
            bands,
            fft: RealFftPlanner::new().plan_fft_forward(spec.fft_samples),
        };
        Ok(Self {
            plan: Arc::new(plan),
        })
    }

    /// What it computes.
    pub fn spec(&self) -> &FrontendSpec {
        &self.plan.spec
    }

    /// The bands, lowest first.
    pub fn bands(&self) -> &[MelBand] {
        &self.plan.bands
    }

    /// All frames of a clip of mono samples in -1..1: [`FrontendSpec::n_frames`] rows, frame `i` over the
    /// samples from `i * hop_samples` on. Nothing is padded and the rest that fills no window is left out.
    ///
    /// A frame that holds a sample which is not finite comes out as silence.
    pub fn clip(&self, samples: &[f32]) -> Frames {
        let spec = self.spec();
        let n_frames = spec.n_frames(samples.len());
        let mut workspace = self.workspace();
        let mut normaliser = Normaliser::new(spec);
        let mut values = vec![0.0; n_frames * spec.n_mels];
        let windows = samples.windows(spec.window_samples);
        let windows = windows.step_by(spec.hop_samples);
        for (window, row) in windows.zip(values.chunks_exact_mut(spec.n_mels)) {
            self.frame(window, &mut workspace, row);
            normaliser.frame(row);
        }
        Frames {
            n_mels: spec.n_mels,
            values,
        }
    }

    pub(crate) fn workspace(&self) -> Workspace {
        let Plan {
            spec, bank, fft, ..
        } = &*self.plan;
        let n_bins = spec.fft_samples / 2 + 1;
        Workspace {
            input: fft.make_input_vec(),
            output: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            spectrum: vec![0.0; bank.n_readable_bins(n_bins)],
        }
    }

    /// Band values of one window of samples, before the logarithm.
    pub(crate) fn frame(&self, samples: &[f32], workspace: &mut Workspace, values: &mut [f32]) {
        let Plan {
            spec,
            window,
            bank,
            fft,
            ..
        } = &*self.plan;
        let Workspace {
            input,
            output,
            scratch,
            spectrum,
        } = workspace;
        let (windowed, padding) = input.split_at_mut(spec.window_samples);
        let dc = if spec.remove_dc { mean(samples) } else { 0.0 };
        match spec.pre_emphasis {
            None => taper(samples, dc, window, windowed),
            Some(pre_emphasis) => emphasise_and_taper(samples, dc, pre_emphasis, window, windowed),
        }
        padding.fill(0.0); // the transform uses its input as scratch
        fft.process_with_scratch(input, output, scratch)
            .expect("buffers were made by this plan");
        let bins = spectrum.iter_mut().zip(output.iter());
        match spec.spectrum {
            Spectrum::Power => bins.for_each(|(bin, z)| *bin = z.re * z.re + z.im * z.im),
            Spectrum::Magnitude => {
                bins.for_each(|(bin, z)| *bin = (z.re * z.re + z.im * z.im).sqrt());
            }
        }
        bank.sum(spectrum, values);
    }
}

impl fmt::Debug for LogMel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("LogMel").field(self.spec()).finish()
    }
}

/// Eight sums side by side, so that the additions need not wait for one another.
fn mean(samples: &[f32]) -> f32 {
    let (eights, rest) = samples.as_chunks::<8>();
    let mut sums = [0.0_f32; 8];
    for eight in eights {
        for (sum, sample) in sums.iter_mut().zip(eight) {
            *sum += sample;
        }
    }
    let sum = sums.iter().chain(rest).sum::<f32>();
    sum / samples.len() as f32
}

fn taper(samples: &[f32], dc: f32, window: &[f32], windowed: &mut [f32]) {
    for ((out, sample), weight) in windowed.iter_mut().zip(samples).zip(window) {
        *out = (sample - dc) * weight;
    }
}

/// The first sample of the window is its own past.
fn emphasise_and_taper(
    samples: &[f32],
    dc: f32,
    pre_emphasis: f32,
    window: &[f32],
    windowed: &mut [f32],
) {
    let first = samples[0] - dc;
    windowed[0] = (first - pre_emphasis * first) * window[0];
    let pairs = samples.iter().zip(&samples[1..]);
    let outs = windowed[1..].iter_mut().zip(&window[1..]);
    for ((past, sample), (out, weight)) in pairs.zip(outs) {
        *out = ((sample - dc) - pre_emphasis * (past - dc)) * weight;
    }
}
