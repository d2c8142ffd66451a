//! A whole recurrent layer as one operation with its own backward pass through time.
//!
//! The skeleton multiplies, a [`Cell`] says what happens between the products: the input's part of all gates is one product
//! over the whole clip, the hidden state's part one product a frame with a matrix that is laid out once.
//! A cell with a second state (LSTM) declares it in [`Cell::N_CARRIED`]; the skeleton hands it from frame to frame.

use std::fmt::Debug;

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use pulp::{Arch, Simd, WithSimd};

use super::multiply::{Taps, matrix_gradient};
use super::norm::sum_rows;
use super::rows::{Frames, Rows, frames_tensor, numbers, plain_tensor};
use super::{Derivative, Input, finish};

/// The elementwise part of a recurrent layer: one clip at one frame.
///
/// All slices hold groups of `n_units` values; gates lie one group after the other in the order of the weights' columns.
/// Implementations are loops over units and are marked `#[inline(always)]`, so that they are compiled for the vectors
/// of the machine they run on.
pub trait Cell: Copy + Debug + Send + 'static {
    /// Groups in a row of gates.
    const N_GATES: usize;
    /// Groups that the backward pass needs again.
    const N_KEPT: usize;
    /// Groups of state besides the hidden one: 1 for LSTM's cell.
    const N_CARRIED: usize;

    /// From the two parts of the gates, `[N_GATES]` groups each, to the new hidden state.
    /// `before` is the hidden state so far, `carried` is replaced.
    fn forward(
        n_units: usize,
        gates: [&[f32]; 2],
        before: &[f32],
        carried: &mut [f32],
        kept: &mut [f32],
        hidden: &mut [f32],
    );

    /// From the gradient of the new hidden state to those of the two parts of the gates and, without what goes through
    /// the hidden product, that of the hidden state before (`d_hidden`, replaced). `d_carried` is replaced likewise.
    fn backward(
        n_units: usize,
        kept: &[f32],
        before: &[f32],
        d_hidden: &mut [f32],
        d_carried: &mut [f32],
        d_gates: [&mut [f32]; 2],
    );
}

/// The weights of a layer.
pub struct Parameters<'a> {
    /// `[n_in, n_gates * n_units]`
    pub w_input: &'a Tensor<2>,
    /// `[n_units, n_gates * n_units]`
    pub w_hidden: &'a Tensor<2>,
    /// `[n_gates * n_units]`, added to the input's part.
    pub b_input: &'a Tensor<1>,
    /// `[n_gates * n_units]`, added to the hidden state's part.
    pub b_hidden: &'a Tensor<1>,
}

/// All frames of all clips, from zero states. `None` where the tensors are not on the CPU device.
///
/// # Shapes
///
/// - `frames`: `[batch, n_in, n_frames]`
/// - output: `[batch, n_units, n_frames]`
pub fn run<C: Cell>(_cell: C, frames: &Tensor<3>, parameters: &Parameters) -> Option<Tensor<3>> {
    let inputs = [
        Input::of(frames)?,
        Input::of(parameters.w_input)?,
        Input::of(parameters.w_hidden)?,
        Input::of(parameters.b_input)?,
        Input::of(parameters.b_hidden)?,
    ];
    let [w_input, w_hidden, b_input, b_hidden] = [1, 2, 3, 4].map(|i| numbers(inputs[i].values()));
    let layer = Layer {
        n_units: parameters.w_hidden.dims()[0],
        n_gates: C::N_GATES * parameters.w_hidden.dims()[0],
        frames: Frames::of(inputs[0].values()),
        w_input,
        w_hidden,
        cell: std::marker::PhantomData::<C>,
    };
    let (hidden, kept) = layer.forward(&b_input, &b_hidden);
    let Frames {
        n_clips, n_frames, ..
    } = layer.frames;
    let output = frames_tensor(hidden, n_clips, n_frames, layer.n_units);
    let hidden = Frames::of(&output);
    Some(finish(inputs, output, || Pass {
        layer,
        kept,
        hidden,
    }))
}

/// A layer and what it reads. All arrays are clip by clip, frame by frame.
#[derive(Clone, Debug)]
struct Layer<C> {
    n_units: usize,
    /// Of all units.
    n_gates: usize,
    frames: Frames,
    w_input: Vec<f32>,
    w_hidden: Vec<f32>,
    cell: std::marker::PhantomData<C>,
}

impl<C: Cell> Layer<C> {
    /// The rows of one frame of all clips in an array of all frames, `width` floats a row.
    fn at(&self, frame: usize, width: usize) -> Rows {
        Rows {
            n_frames: 1,
            start: frame * width,
            ..self.rows(width)
        }
    }

    fn rows(&self, width: usize) -> Rows {
        Rows::dense(self.frames.n_clips, self.frames.n_frames, width)
    }

    /// The hidden states and what is kept for the way back.
    fn forward(&self, b_input: &[f32], b_hidden: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (n, n_gates) = (self.n_units, self.n_gates);
        let (n_clips, n_frames) = (self.frames.n_clips, self.frames.n_frames);
        let n_rows = n_clips * n_frames;
        let mut from_input = vec![0.0; n_rows * n_gates];
        Taps::matrix(&self.w_input, self.frames.n_channels, n_gates)
            .with_bias(b_input)
            .multiply(
                self.frames.values(),
                &self.frames.rows(),
                &[0],
                &mut from_input,
                &self.rows(n_gates),
            );
        let w_hidden = Taps::matrix(&self.w_hidden, n, n_gates).with_bias(b_hidden);
        let mut hidden = vec![0.0; n_rows * n];
        let mut kept = vec![0.0; n_rows * n * C::N_KEPT];
        let mut carried = vec![0.0; n_clips * n * C::N_CARRIED];
        let mut from_hidden: Vec<f32> = b_hidden.repeat(n_clips);
        for frame in 0..n_frames {
            if frame > 0 {
                let to = Rows::dense(n_clips, 1, n_gates);
                w_hidden.multiply(&hidden, &self.at(frame - 1, n), &[0], &mut from_hidden, &to);
            }
            Arch::new().dispatch(ForwardFrame::<C> {
                n_units: n,
                frame,
                n_frames,
                from_input: &from_input,
                from_hidden: &from_hidden,
                carried: &mut carried,
                kept: &mut kept,
                hidden: &mut hidden,
                cell: self.cell,
            });
        }
        (hidden, kept)
    }
}

/// One pass over a batch, with what its way back needs.
#[derive(Clone, Debug)]
struct Pass<C> {
    layer: Layer<C>,
    kept: Vec<f32>,
    hidden: Frames,
}

impl<C: Cell> Pass<C> {
    /// The gradients of the input's and of the hidden state's part of the gates, at every frame.
    fn gates_gradient(&self, gradient: &Frames) -> [Vec<f32>; 2] {
        let layer = &self.layer;
        let (n, n_gates) = (layer.n_units, layer.n_gates);
        let (n_clips, n_frames) = (layer.frames.n_clips, layer.frames.n_frames);
        let mut d_input = vec![0.0; n_clips * n_frames * n_gates];
        let mut d_hidden_part = d_input.clone();
        let back = Taps::transposed(&layer.w_hidden, n, n_gates);
        // What comes back from the frame after: through the hidden product, and past it.
        let mut through = vec![0.0; n_clips * n];
        let mut d_hidden = vec![0.0; n_clips * n];
        let mut d_carried = vec![0.0; n_clips * n * C::N_CARRIED];
        for frame in (0..n_frames).rev() {
            Arch::new().dispatch(BackwardFrame {
                pass: self,
                frame,
                gradient: gradient.values(),
                through: &through,
                d_hidden: &mut d_hidden,
                d_carried: &mut d_carried,
                d_gates: [&mut d_input, &mut d_hidden_part],
            });
            if frame > 0 {
                let (from, to) = (layer.at(frame, n_gates), Rows::dense(n_clips, 1, n));
                back.multiply(&d_hidden_part, &from, &[0], &mut through, &to);
            }
        }
        [d_input, d_hidden_part]
    }
}

/// One frame of all clips.
struct ForwardFrame<'a, C> {
    n_units: usize,
    frame: usize,
    n_frames: usize,
    /// Of all frames.
    from_input: &'a [f32],
    /// Of this frame.
    from_hidden: &'a [f32],
    carried: &'a mut [f32],
    kept: &'a mut [f32],
    hidden: &'a mut [f32],
    cell: std::marker::PhantomData<C>,
}

impl<C: Cell> WithSimd for ForwardFrame<'_, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let (n, n_gates) = (self.n_units, self.n_units * C::N_GATES);
        let silence = vec![0.0; n];
        for (clip, from_hidden) in self.from_hidden.chunks_exact(n_gates).enumerate() {
            let row = clip * self.n_frames + self.frame;
            let (past, now) = self.hidden.split_at_mut(row * n);
            let before = match self.frame {
                0 => &silence[..],
                _ => &past[(row - 1) * n..],
            };
            C::forward(
                n,
                [&self.from_input[row * n_gates..][..n_gates], from_hidden],
                before,
                &mut self.carried[clip * n * C::N_CARRIED..][..n * C::N_CARRIED],
                &mut self.kept[row * n * C::N_KEPT..][..n * C::N_KEPT],
                &mut now[..n],
            );
        }
    }
}

/// One frame of all clips, on the way back.
struct BackwardFrame<'a, C> {
    pass: &'a Pass<C>,
    frame: usize,
    /// Of the output, all frames.
    gradient: &'a [f32],
    /// What comes back from the frame after through the hidden product.
    through: &'a [f32],
    /// What comes back past it; replaced.
    d_hidden: &'a mut [f32],
    d_carried: &'a mut [f32],
    /// Of all frames.
    d_gates: [&'a mut [f32]; 2],
}

impl<C: Cell> WithSimd for BackwardFrame<'_, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let (n, n_gates) = (self.pass.layer.n_units, self.pass.layer.n_gates);
        let silence = vec![0.0; n];
        let [d_input, d_hidden_part] = self.d_gates;
        for (clip, d_hidden) in self.d_hidden.chunks_exact_mut(n).enumerate() {
            let row = clip * self.pass.hidden.n_frames + self.frame;
            let parts = self.through[clip * n..][..n].iter();
            let parts = parts.zip(&self.gradient[row * n..][..n]);
            for (sum, (through, own)) in d_hidden.iter_mut().zip(parts) {
                *sum += through + own;
            }
            let before = match self.frame {
                0 => &silence[..],
                _ => &self.pass.hidden.values()[(row - 1) * n..][..n],
            };
            C::backward(
                n,
                &self.pass.kept[row * n * C::N_KEPT..][..n * C::N_KEPT],
                before,
                d_hidden,
                &mut self.d_carried[clip * n * C::N_CARRIED..][..n * C::N_CARRIED],
                [
                    &mut d_input[row * n_gates..][..n_gates],
                    &mut d_hidden_part[row * n_gates..][..n_gates],
                ],
            );
        }
    }
}

impl<C: Cell> Derivative<5> for Pass<C> {
    fn backward(self, gradient: FlexTensor, wants: [bool; 5]) -> [Option<FlexTensor>; 5] {
        let layer = &self.layer;
        let (n, n_gates, n_in) = (layer.n_units, layer.n_gates, layer.frames.n_channels);
        let (n_clips, n_frames) = (layer.frames.n_clips, layer.frames.n_frames);
        let [d_input, d_hidden] = self.gates_gradient(&Frames::of(&gradient));
        let all = layer.rows(n_gates);
        let bias = |gates: &[f32]| {
            let sums = sum_rows(gates, n_gates);
            plain_tensor(sums.iter().map(|sum| *sum as f32).collect(), [n_gates])
        };
        [
            wants[0].then(|| {
                let mut output = vec![0.0; n_clips * n_frames * n_in];
                let to = layer.frames.rows();
                Taps::transposed(&layer.w_input, n_in, n_gates).multiply(
                    &d_input,
                    &all,
                    &[0],
                    &mut output,
                    &to,
                );
                frames_tensor(output, n_clips, n_frames, n_in)
            }),
            wants[1].then(|| {
                let (input, from) = (layer.frames.values(), layer.frames.rows());
                let mut found = vec![0.0; n_in * n_gates];
                let dims = [n_in, n_gates];
                matrix_gradient(input, &from, &[0], &d_input, &all, dims, &mut found);
                plain_tensor(found, [n_in, n_gates])
            }),
            wants[2].then(|| {
                // Each frame's gates saw the hidden state of the frame before; the first saw zeros.
                let from = Rows {
                    n_frames: n_frames.saturating_sub(1),
                    ..layer.rows(n)
                };
                let to = Rows {
                    n_frames: from.n_frames,
                    start: n_gates,
                    ..all
                };
                let mut found = vec![0.0; n * n_gates];
                let dims = [n, n_gates];
                matrix_gradient(
                    self.hidden.values(),
                    &from,
                    &[0],
                    &d_hidden,
                    &to,
                    dims,
                    &mut found,
                );
                plain_tensor(found, [n, n_gates])
            }),
            wants[3].then(|| bias(&d_input)),
            wants[4].then(|| bias(&d_hidden)),
        ]
    }
}
