//! Each operation against the same layer composed of tensor operations, and against finite differences.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::model::Weights;
use crate::model::layers::Trainable;
use crate::model::layers::conv_norm::{ConvNorm, ConvShape};
use crate::model::layers::gru::{Gru, GruShape};
use crate::model::layers::linear::{Linear, LinearShape};
use crate::model::ops::cells::LstmCell;
use crate::model::ops::recurrent::{self, Parameters};

/// Clips and frames of the examples.
pub(super) const N_CLIPS: usize = 3;

/// A layer and its two forms.
pub(super) struct Case<M> {
    pub(super) layer: M,
    pub(super) fused: fn(&M, Tensor<3>) -> Tensor<3>,
    pub(super) composed: fn(&M, Tensor<3>) -> Tensor<3>,
}

/// What a form answers, and the gradients of the frames and of each parameter.
pub(super) struct Seen {
    pub(super) output: Vec<f32>,
    pub(super) gradients: Vec<Vec<f32>>,
}

/// Numbers that no symmetry hides.
pub(super) fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

pub(super) fn weights(init: impl Fn(&mut Weights, &mut ChaCha8Rng)) -> Weights {
    let mut weights = Weights::default();
    init(&mut weights, &mut ChaCha8Rng::seed_from_u64(3));
    for (i, tensor) in weights.tensors.values_mut().enumerate() {
        let moves = noise(tensor.values.len(), i as u64);
        for (value, moved) in tensor.values.iter_mut().zip(moves) {
            *value += 0.3 * moved;
        }
    }
    weights
}

struct Collect<'a> {
    gradients: &'a Gradients,
    found: Vec<Vec<f32>>,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad(self.gradients) {
            self.found.push(plain(gradient));
        }
    }
}

pub(super) fn plain<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().unwrap()
}

/// The loss weighs each output value differently.
fn loss(output: Tensor<3>) -> Tensor<1> {
    let shape = output.dims();
    let shares = TensorData::new(noise(shape.iter().product(), 99), shape);
    (output.clone() * Tensor::from_data(shares, &output.device())).sum()
}

pub(super) fn see<M: Module>(
    layer: &M,
    form: fn(&M, Tensor<3>) -> Tensor<3>,
    frames: &[f32],
    n_in: usize,
    turned: bool,
) -> Seen {
    let device = Device::flex().autodiff();
    let n_frames = frames.len() / (N_CLIPS * n_in);
    let data = TensorData::new(frames.to_vec(), [N_CLIPS, n_in, n_frames]);
    let leaf = Tensor::<3>::from_data(data, &device).require_grad();
    // The other layout in memory, the same numbers.
    let input = if turned {
        leaf.clone()
            .permute([0, 2, 1])
            .mul_scalar(1.0)
            .permute([0, 2, 1])
    } else {
        leaf.clone()
    };
    let output = form(layer, input);
    let gradients = loss(output.clone()).backward();
    let mut collect = Collect {
        gradients: &gradients,
        found: vec![plain(leaf.grad(&gradients).expect("the frames are a leaf"))],
    };
    layer.visit(&mut collect);
    Seen {
        output: plain(output),
        gradients: collect.found,
    }
}

/// Largest difference beside the largest value, or beside one: a gradient that is zero but for rounding, such as that
/// of a scale before a normalisation, has no size of its own.
pub(super) fn distance(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected
        .iter()
        .fold(1.0_f32, |largest, value| largest.max(value.abs()));
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max) / largest
}

pub(super) fn check<M: Module>(case: &Case<M>, n_in: usize, n_frames: usize, what: &str) {
    let frames = noise(N_CLIPS * n_in * n_frames, 7);
    let expected = see(&case.layer, case.composed, &frames, n_in, false);
    for turned in [false, true] {
        let found = see(&case.layer, case.fused, &frames, n_in, turned);
        let difference = distance(&found.output, &expected.output);
        assert!(difference < 1e-5, "{what}: outputs differ by {difference}");
        assert_eq!(found.gradients.len(), expected.gradients.len(), "{what}");
        for (i, (found, expected)) in found.gradients.iter().zip(&expected.gradients).enumerate() {
            let difference = distance(found, expected);
            assert!(
                difference < 1e-5,
                "{what}: gradient {i} differs by {difference}"
            );
        }
        let again = see(&case.layer, case.fused, &frames, n_in, turned);
        assert_eq!(again.output, found.output, "{what}: not the same twice");
        assert_eq!(
            again.gradients, found.gradients,
            "{what}: not the same twice"
        );
    }
    check_by_differences(case, n_in, &frames, what);
}

/// The slope of the loss along a direction of the frames, measured.
fn check_by_differences<M: Module>(case: &Case<M>, n_in: usize, frames: &[f32], what: &str) {
    let device = Device::flex().autodiff();
    let direction = noise(frames.len(), 41);
    let step = 1e-3_f32;
    let at = |sign: f32| -> f64 {
        let moved: Vec<f32> = frames
            .iter()
            .zip(&direction)
            .map(|(value, along)| value + sign * step * along)
            .collect();
        let n_frames = frames.len() / (N_CLIPS * n_in);
        let data = TensorData::new(moved, [N_CLIPS, n_in, n_frames]);
        let output = (case.fused)(&case.layer, Tensor::from_data(data, &device));
        let shares = noise(output.dims().iter().product(), 99);
        let values = plain(output).into_iter().zip(shares);
        values
            .map(|(value, share)| f64::from(value) * f64::from(share))
            .sum()
    };
    let measured = (at(1.0) - at(-1.0)) / (2.0 * f64::from(step));
    let seen = see(&case.layer, case.fused, frames, n_in, false);
    let slopes = seen.gradients[0].iter().zip(&direction);
    let told: f64 = slopes.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    let scale: f64 = seen.gradients[0]
        .iter()
        .map(|a| f64::from(a * a))
        .sum::<f64>()
        .sqrt();
    assert!(
        (measured - told).abs() < 2e-2 * scale.max(0.1),
        "{what}: slope {told}, measured {measured}"
    );
}

fn convolutions() -> Vec<ConvShape> {
    let mut shapes = Vec::new();
    for (stride, dilation) in [(1, 1), (2, 1), (3, 1), (1, 3), (2, 2)] {
        for kernel in [1, 3, 4] {
            for dense in [
                ConvShape::dense(6, 9, kernel),
                ConvShape::dense(5, 24, kernel),
            ] {
                shapes.push(dense.with_stride(stride).with_dilation(dilation));
            }
            let depthwise = ConvShape::depthwise(7, kernel);
            shapes.push(depthwise.with_stride(stride).with_dilation(dilation));
        }
    }
    shapes
}

fn conv_norm(shape: ConvShape, device: &Device) -> ConvNorm {
    let weights = weights(|weights, rng| shape.init("conv", weights, rng));
    ConvNorm::load(shape, "conv", &weights, device).unwrap()
}

#[test]
fn convolution_and_norm_are_what_they_are_composed_of() {
    for shape in convolutions() {
        let case = Case {
            layer: conv_norm(shape, &Device::flex().autodiff()),
            fused: |layer, frames| layer.forward(frames, None),
            composed: ConvNorm::forward_composed,
        };
        for n_frames in [1, 2, 13] {
            check(
                &case,
                shape.n_in,
                n_frames,
                &format!("{shape:?}, {n_frames} frames"),
            );
        }
    }
}

/// So long that the few clips of the examples are taken one after the other.
#[test]
fn clips_that_are_taken_in_parts_give_what_they_give_together() {
    for shape in [
        ConvShape::dense(40, 24, 5),
        ConvShape::dense(32, 33, 9).with_stride(2),
        ConvShape::dense(32, 16, 3).with_dilation(4),
        ConvShape::dense(48, 32, 1).with_stride(2),
        ConvShape::depthwise(48, 9),
    ] {
        let case = Case {
            layer: conv_norm(shape, &Device::flex().autodiff()),
            fused: |layer, frames| layer.forward(frames, None),
            composed: ConvNorm::forward_composed,
        };
        for n_frames in [400, 700] {
            check(
                &case,
                shape.n_in,
                n_frames,
                &format!("{shape:?}, {n_frames} frames"),
            );
        }
    }
}

#[test]
fn relu_after_the_norm_is_what_it_is_composed_of() {
    for shape in convolutions() {
        let layer = conv_norm(shape.with_relu(), &Device::flex().autodiff());
        let frames = noise(N_CLIPS * shape.n_in * 11, 8);
        let fused = |layer: &ConvNorm, frames| layer.forward(frames, None);
        let found = see(&layer, fused, &frames, shape.n_in, false);
        let expected = see(
            &layer,
            ConvNorm::forward_composed,
            &frames,
            shape.n_in,
            false,
        );
        assert!(
            distance(&found.output, &expected.output) < 1e-5,
            "{shape:?}"
        );
        for (found, expected) in found.gradients.iter().zip(&expected.gradients) {
            assert!(distance(found, expected) < 1e-5, "{shape:?}");
        }
    }
}

#[test]
fn running_statistics_move_as_the_composed_layers_do() {
    let shape = ConvShape::dense(6, 9, 3);
    let device = Device::flex().autodiff();
    let run = |form: fn(&ConvNorm, Tensor<3>) -> Tensor<3>| {
        let layer = conv_norm(shape, &device);
        for seed in 0..3 {
            let data = TensorData::new(noise(N_CLIPS * 6 * 8, seed), [N_CLIPS, 6, 8]);
            form(&layer, Tensor::from_data(data, &device));
        }
        let mut stored = Weights::default();
        layer.store("conv", &mut stored);
        stored
    };
    let (found, expected) = (
        run(|layer, frames| layer.forward(frames, None)),
        run(ConvNorm::forward_composed),
    );
    for (name, tensor) in &expected.tensors {
        assert!(
            distance(&found.tensors[name].values, &tensor.values) < 1e-6,
            "{name}"
        );
    }
}

#[test]
fn outside_of_training_the_running_statistics_count() {
    for shape in convolutions() {
        let device = Device::flex();
        let layer = conv_norm(shape, &device);
        let data = TensorData::new(noise(N_CLIPS * shape.n_in * 9, 5), [N_CLIPS, shape.n_in, 9]);
        let frames = Tensor::<3>::from_data(data, &device);
        let found = plain(layer.forward(frames.clone(), None));
        let expected = plain(layer.forward_composed(frames));
        assert!(distance(&found, &expected) < 1e-5, "{shape:?}");
    }
}

#[test]
fn two_branches_join_as_they_are_composed() {
    let device = Device::flex().autodiff();
    let data = |seed| TensorData::new(noise(N_CLIPS * 5 * 7, seed), [N_CLIPS, 5, 7]);
    let run = |join: fn(Tensor<3>, Tensor<3>) -> Tensor<3>| {
        let leaves = [1, 2].map(|seed| Tensor::<3>::from_data(data(seed), &device).require_grad());
        let [left, right] = leaves.clone();
        let output = join(left.permute([2, 1, 0]).permute([2, 1, 0]), right);
        let gradients = loss(output.clone()).backward();
        (
            plain(output),
            leaves.map(|leaf| plain(leaf.grad(&gradients).unwrap())),
        )
    };
    let found = run(|left, right| super::join::add_relu(&left, &right).unwrap());
    let expected = run(|left, right| burn::tensor::activation::relu(left + right));
    assert_eq!(found, expected);
}

#[test]
fn a_matrix_at_every_frame_is_what_it_is_composed_of() {
    for bias in [false, true] {
        for (n_in, n_out) in [(1, 1), (6, 9), (17, 32)] {
            let shape = LinearShape { n_in, n_out, bias };
            let weights = weights(|weights, rng| shape.init("linear", weights, rng));
            let case = Case {
                layer: Linear::load(shape, "linear", &weights, &Device::flex().autodiff()).unwrap(),
                fused: |layer, frames| layer.forward(frames, None),
                composed: Linear::forward_frames_composed,
            };
            for n_frames in [1, 10] {
                check(
                    &case,
                    n_in,
                    n_frames,
                    &format!("{shape:?}, {n_frames} frames"),
                );
            }
        }
    }
}

#[test]
fn a_gated_recurrent_unit_is_what_it_is_composed_of() {
    for (n_in, n_units) in [(1, 1), (5, 7), (12, 16)] {
        let shape = GruShape { n_in, n_units };
        let weights = weights(|weights, rng| shape.init("gru", weights, rng));
        let case = Case {
            layer: Gru::load(shape, "gru", &weights, &Device::flex().autodiff()).unwrap(),
            fused: |layer, frames| layer.forward(frames, None),
            composed: Gru::forward_composed,
        };
        for n_frames in [1, 2, 20] {
            check(
                &case,
                n_in,
                n_frames,
                &format!("{shape:?}, {n_frames} frames"),
            );
        }
    }
}

/// A layer with a second state, for the skeleton of recurrent layers.
#[derive(Module, Debug)]
struct Lstm {
    w_input: Param<Tensor<2>>,
    w_hidden: Param<Tensor<2>>,
    b_input: Param<Tensor<1>>,
    b_hidden: Param<Tensor<1>>,
}

impl Lstm {
    fn new(n_in: usize, n: usize, device: &Device) -> Self {
        let matrix = |n_in: usize, seed| {
            let data = TensorData::new(noise(n_in * 4 * n, seed), [n_in, 4 * n]);
            Param::from_tensor(Tensor::from_data(data, device))
        };
        let vector =
            |seed| Param::from_tensor(Tensor::from_floats(&noise(4 * n, seed)[..], device));
        Self {
            w_input: matrix(n_in, 1),
            w_hidden: matrix(n, 2),
            b_input: vector(3),
            b_hidden: vector(4),
        }
    }

    fn fused(&self, frames: Tensor<3>) -> Tensor<3> {
        let parameters = Parameters {
            w_input: &self.w_input.val(),
            w_hidden: &self.w_hidden.val(),
            b_input: &self.b_input.val(),
            b_hidden: &self.b_hidden.val(),
        };
        recurrent::run(LstmCell, &frames, &parameters).expect("on the CPU device")
    }

    fn composed(&self, frames: Tensor<3>) -> Tensor<3> {
        use burn::tensor::activation::sigmoid;
        let [n_clips, n_in, n_frames] = frames.dims();
        let n = self.w_hidden.dims()[0];
        let mut hidden = Tensor::<2>::zeros([n_clips, n], &frames.device());
        let mut state = hidden.clone();
        let mut outputs = Vec::new();
        for t in 0..n_frames {
            let frame = frames.clone().narrow(2, t, 1).reshape([n_clips, n_in]);
            let gates = frame.matmul(self.w_input.val())
                + self.b_input.val().unsqueeze()
                + hidden.matmul(self.w_hidden.val())
                + self.b_hidden.val().unsqueeze();
            let gate = |k: usize| gates.clone().narrow(1, k * n, n);
            state = sigmoid(gate(1)) * state + sigmoid(gate(0)) * gate(2).tanh();
            hidden = sigmoid(gate(3)) * state.clone().tanh();
            outputs.push(hidden.clone().unsqueeze_dim::<3>(2));
        }
        Tensor::cat(outputs, 2)
    }
}

#[test]
fn a_cell_with_a_second_state_is_what_it_is_composed_of() {
    for (n_in, n_units) in [(1, 1), (5, 7), (12, 16)] {
        let case = Case {
            layer: Lstm::new(n_in, n_units, &Device::flex().autodiff()),
            fused: Lstm::fused,
            composed: Lstm::composed,
        };
        for n_frames in [1, 2, 9] {
            check(
                &case,
                n_in,
                n_frames,
                &format!("{n_in} to {n_units}, {n_frames} frames"),
            );
        }
    }
}
