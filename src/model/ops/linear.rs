//! One matrix at every frame, as one operation.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::multiply::{Taps, matrix_gradient};
use super::norm::sum_rows;
use super::rows::{Frames, Rows, frames_tensor, numbers, plain_tensor};
use super::{Derivative, Input, finish};

/// `None` where the tensors are not on the CPU device.
///
/// # Shapes
///
/// - `frames`: `[batch, n_in, n_frames]`
/// - `weight`: `[n_in, n_out]`
/// - `bias`: `[n_out]`
/// - output: `[batch, n_out, n_frames]`
pub fn frames(
    frames: &Tensor<3>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<1>>,
) -> Option<Tensor<3>> {
    let [n_in, n_out] = weight.dims();
    let (input, weight) = (Input::of(frames)?, Input::of(weight)?);
    let from = Frames::of(input.values());
    let values = numbers(weight.values());
    let mut taps = Taps::matrix(&values, n_in, n_out);
    let to = Rows::dense(from.n_clips, from.n_frames, n_out);
    let mut output = vec![0.0; to.n_rows() * n_out];
    let mut run = |taps: Taps| {
        taps.multiply(from.values(), &from.rows(), &[0], &mut output, &to);
        frames_tensor(std::mem::take(&mut output), to.n_clips, to.n_frames, n_out)
    };
    let Some(bias) = bias else {
        let output = run(taps);
        let derivative = || LinearDerivative {
            frames: from,
            weight: values,
            n_out,
        };
        return Some(finish([input, weight], output, derivative));
    };
    let bias = Input::of(bias)?;
    taps = taps.with_bias(&numbers(bias.values()));
    let output = run(taps);
    let derivative = || LinearDerivative {
        frames: from,
        weight: values,
        n_out,
    };
    Some(finish([input, weight, bias], output, derivative))
}

#[derive(Clone, Debug)]
struct LinearDerivative {
    frames: Frames,
    /// `[n_in, n_out]`
    weight: Vec<f32>,
    n_out: usize,
}

impl LinearDerivative {
    fn frames_gradient(&self, gradient: &Frames) -> FlexTensor {
        let (n_in, from, to) = (self.frames.n_channels, gradient.rows(), self.frames.rows());
        let mut output = vec![0.0; to.n_rows() * n_in];
        Taps::transposed(&self.weight, n_in, self.n_out).multiply(
            gradient.values(),
            &from,
            &[0],
            &mut output,
            &to,
        );
        frames_tensor(output, to.n_clips, to.n_frames, n_in)
    }

    fn weight_gradient(&self, gradient: &Frames) -> FlexTensor {
        let (n_in, n_out) = (self.frames.n_channels, self.n_out);
        let input = self.frames.values();
        let (from, to) = (self.frames.rows(), gradient.rows());
        let mut found = vec![0.0; n_in * n_out];
        let dims = [n_in, n_out];
        matrix_gradient(input, &from, &[0], gradient.values(), &to, dims, &mut found);
        plain_tensor(found, [n_in, n_out])
    }
}

impl Derivative<2> for LinearDerivative {
    fn backward(self, gradient: FlexTensor, wants: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let gradient = Frames::of(&gradient);
        [
            wants[0].then(|| self.frames_gradient(&gradient)),
            wants[1].then(|| self.weight_gradient(&gradient)),
        ]
    }
}

impl Derivative<3> for LinearDerivative {
    fn backward(self, gradient: FlexTensor, wants: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let gradient = Frames::of(&gradient);
        [
            wants[0].then(|| self.frames_gradient(&gradient)),
            wants[1].then(|| self.weight_gradient(&gradient)),
            wants[2].then(|| {
                let sums = sum_rows(gradient.values(), self.n_out);
                let sums = sums.iter().map(|sum| *sum as f32).collect();
                plain_tensor(sums, [self.n_out])
            }),
        ]
    }
}
