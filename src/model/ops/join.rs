//! The end of a residual block: two branches added, then ReLU, as one operation.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use pulp::{Arch, Simd, WithSimd};

use super::lanes::{load, store};
use super::planes::{Planes, planes_tensor};
use super::{Derivative, Input, finish};

/// `relu(left + right)`. `None` where the tensors are not on the CPU device or differ in shape.
///
/// # Shapes
///
/// - `left`, `right`, output: `[batch, n_channels, n_frames]`
pub fn add_relu(left: &Tensor<3>, right: &Tensor<3>) -> Option<Tensor<3>> {
    if left.dims() != right.dims() {
        return None;
    }
    let inputs = [Input::of(left)?, Input::of(right)?];
    // With the channels innermost, unless both are planes.
    let is_turned = !inputs.iter().all(|input| input.values().is_contiguous());
    let [left, right] = [0, 1].map(|i| flat(inputs[i].values(), is_turned));
    let mut sum = vec![0.0; left.values().len()];
    Arch::new().dispatch(Join {
        left: left.values(),
        right: right.values(),
        output: &mut sum,
        step: Step::Forward,
    });
    let kept = planes_tensor(sum, left.n_clips(), left.n_frames());
    let output = turned(&kept, is_turned);
    Some(finish(inputs, output, || JoinDerivative {
        output: Planes::of(&kept),
        is_turned,
    }))
}

fn turned(tensor: &FlexTensor, is_turned: bool) -> FlexTensor {
    if is_turned {
        tensor.permute(&[0, 2, 1])
    } else {
        tensor.clone()
    }
}

fn flat(tensor: &FlexTensor, is_turned: bool) -> Planes {
    Planes::of(&turned(tensor, is_turned))
}

#[derive(Clone, Debug)]
struct JoinDerivative {
    output: Planes,
    is_turned: bool,
}

impl Derivative<2> for JoinDerivative {
    fn backward(self, gradient: FlexTensor, wants: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let (gradient, output) = (flat(&gradient, self.is_turned), &self.output);
        let mut values = vec![0.0; output.values().len()];
        Arch::new().dispatch(Join {
            left: gradient.values(),
            right: output.values(),
            output: &mut values,
            step: Step::Backward,
        });
        // One array for both branches.
        let values = planes_tensor(values, output.n_clips(), output.n_frames());
        let values = turned(&values, self.is_turned);
        wants.map(|wants| wants.then(|| values.clone()))
    }
}

/// What is done to each pair of values.
#[derive(Clone, Copy)]
enum Step {
    /// `relu(left + right)`
    Forward,
    /// `left` where `right` is above zero.
    Backward,
}

struct Join<'a> {
    left: &'a [f32],
    right: &'a [f32],
    output: &'a mut [f32],
    step: Step,
}

impl WithSimd for Join<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let zero = simd.splat_f32s(0.0);
        let pairs = self
            .left
            .chunks(S::F32_LANES)
            .zip(self.right.chunks(S::F32_LANES));
        for ((left, right), output) in pairs.zip(self.output.chunks_mut(S::F32_LANES)) {
            let (left, right) = (load(simd, left), load(simd, right));
            let value = match self.step {
                // Not the maximum: a value that is not a number stays visible.
                Step::Forward => {
                    let sum = simd.add_f32s(left, right);
                    simd.select_f32s(simd.less_than_f32s(sum, zero), zero, sum)
                }
                Step::Backward => simd.select_f32s(simd.less_than_f32s(zero, right), left, zero),
            };
            store(simd, output, value);
        }
    }
}
