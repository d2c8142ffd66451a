//! The temporal half of a broadcasted residual (Kim et al. 2021, "Broadcasted residual learning for efficient keyword
//! spotting"), as one operation: the mean over bands, a filter a channel over time, normalisation, swish and a matrix
//! over channels, added to every band.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use pulp::{Arch, Simd, WithSimd};

use super::conv::{Conv, NormedConv};
use super::pool::Mean;
use super::{Planes, planes_tensor};
use crate::model::layers::broadcast::BroadcastShape;
use crate::model::layers::conv2d::{Conv2dShape, Extent, Norm};
use crate::model::layers::pool::{PoolShape, Reduction};
use crate::model::ops::cells::sigmoid;
use crate::model::ops::norm::{Affine, Statistics};
use crate::model::ops::rows::{numbers, plain_tensor};
use crate::model::ops::{Derivative, Input, finish};
use crate::model::port::Port;

/// The parameters of the layer.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<'a> {
    /// `[n_channels, 1, kernel_frames]`
    pub temporal: &'a Tensor<3>,
    /// `[n_channels]`
    pub gamma: &'a Tensor<1>,
    /// `[n_channels]`
    pub beta: &'a Tensor<1>,
    /// `[n_channels, n_channels]`, from rows to columns.
    pub pointwise: &'a Tensor<2>,
    /// Added to the variance before its root.
    pub epsilon: f64,
}

/// The output, and the statistics that the means were normalised with: those of this batch, or `running` ones, which
/// have no derivative. `None` where the tensors are not on the CPU device, the batch is empty, or a derivative is
/// wanted that is not there.
///
/// # Shapes
///
/// - `frames`, output: `[batch, n_channels * n_bands, n_frames]`
pub fn broadcast(
    shape: BroadcastShape,
    frames: &Tensor<3>,
    parameters: &Parameters<'_>,
    running: Option<Statistics>,
) -> Option<(Tensor<3>, Statistics)> {
    if frames.dims().contains(&0) {
        return None;
    }
    let inputs = [
        Input::of(frames)?,
        Input::of(parameters.temporal)?,
        Input::of(parameters.gamma)?,
        Input::of(parameters.beta)?,
        Input::of(parameters.pointwise)?,
    ];
    if running.is_some() && matches!(inputs[0], Input::Tracked(_)) {
        return None;
    }
    let frames = Planes::of(inputs[0].values());
    let (n_clips, n_frames) = (frames.n_clips(), frames.n_frames());
    let Port {
        n_channels,
        n_bands,
    } = shape.port;
    let mean = PoolShape {
        input: shape.port,
        reduction: Reduction::Mean,
        window_frames: 1,
        stride_frames: 1,
        window_bands: n_bands,
    };
    let mean = Mean::new(mean, n_clips, n_frames);
    let flat = Port::flat(n_channels);
    let one = |frames| Extent::new(1, frames);
    let temporal = Conv2dShape::depthwise(flat, one(shape.kernel_frames))
        .with_dilation(one(shape.dilation_frames));
    let pointwise = Conv2dShape::dense(flat, n_channels, one(1)).with_norm(Norm::None);
    let planes = |values| Planes::of(&planes_tensor(values, n_clips, n_frames));

    let means = planes(mean.forward(frames.values()));
    let affine = Affine {
        gamma: numbers(inputs[2].values()),
        beta: numbers(inputs[3].values()),
        epsilon: parameters.epsilon,
        relu: false,
    };
    let conv = Conv::of(temporal, means, numbers(inputs[1].values()));
    let (filtered, temporal) = NormedConv::forward(conv, affine, running);
    let mut gated = vec![0.0; filtered.len()];
    Arch::new().dispatch(Swish {
        values: &filtered,
        output: &mut gated,
    });
    let weight = transposed(&numbers(inputs[4].values()), n_channels);
    let pointwise = Conv::of(pointwise, planes(gated), weight);
    let mut output = Vec::with_capacity(frames.values().len());
    Arch::new().dispatch(AddToBands {
        frames: frames.values(),
        added: &pointwise.forward(|_| {}),
        share: 1.0,
        n_bands,
        n_frames,
        output: &mut output,
    });
    let output = planes_tensor(output, n_clips, n_frames);
    let statistics = temporal.statistics.clone();
    let derivative = || BroadcastDerivative {
        n_bands,
        temporal,
        filtered,
        pointwise,
    };
    Some((finish(inputs, output, derivative), statistics))
}

#[derive(Clone, Debug)]
struct BroadcastDerivative {
    n_bands: usize,
    temporal: NormedConv,
    /// Before swish.
    filtered: Vec<f32>,
    pointwise: Conv,
}

impl Derivative<5> for BroadcastDerivative {
    fn backward(self, gradient: FlexTensor, wants: [bool; 5]) -> [Option<FlexTensor>; 5] {
        let Self {
            n_bands,
            temporal,
            pointwise,
            ..
        } = &self;
        let gradient = Planes::of(&gradient);
        let (n_clips, n_frames) = (gradient.n_clips(), gradient.n_frames());
        let n_channels = pointwise.grid.shape.n_out;
        let mut d_added = vec![0.0; self.filtered.len()];
        Arch::new().dispatch(SumBands {
            frames: gradient.values(),
            n_bands: *n_bands,
            n_frames,
            output: &mut d_added,
        });
        let [d_gated, d_pointwise] = pointwise.backward_plain([true, wants[4]], &d_added);
        let mut d_filtered = d_gated.expect("wanted in the line above");
        Arch::new().dispatch(SwishBack {
            values: &self.filtered,
            gradient: &mut d_filtered,
        });
        let ([d_means, d_temporal], norm) = temporal.backward([wants[0], wants[1]], &d_filtered);
        let d_frames = d_means.map(|d_means| {
            let mut d_frames = Vec::with_capacity(gradient.values().len());
            Arch::new().dispatch(AddToBands {
                frames: gradient.values(),
                added: &d_means,
                share: 1.0 / *n_bands as f32,
                n_bands: *n_bands,
                n_frames,
                output: &mut d_frames,
            });
            planes_tensor(d_frames, n_clips, n_frames)
        });
        let kernel_frames = temporal.conv.grid.shape.kernel.frames;
        [
            d_frames,
            d_temporal.map(|values| plain_tensor(values, [n_channels, 1, kernel_frames])),
            wants[2].then(|| plain_tensor(norm.gamma, [n_channels])),
            wants[3].then(|| plain_tensor(norm.beta, [n_channels])),
            d_pointwise.map(|values| {
                plain_tensor(transposed(&values, n_channels), [n_channels, n_channels])
            }),
        ]
    }
}

/// A square matrix.
fn transposed(values: &[f32], n: usize) -> Vec<f32> {
    (0..n)
        .flat_map(|column| (0..n).map(move |row| values[row * n + column]))
        .collect()
}

/// `x * sigmoid(x)` (Ramachandran et al. 2017)
struct Swish<'a> {
    values: &'a [f32],
    output: &'a mut [f32],
}

impl WithSimd for Swish<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for (to, x) in self.output.iter_mut().zip(self.values) {
            *to = x * sigmoid(*x);
        }
    }
}

/// Its gradient from that of what came out, in place.
struct SwishBack<'a> {
    values: &'a [f32],
    gradient: &'a mut [f32],
}

impl WithSimd for SwishBack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for (gradient, x) in self.gradient.iter_mut().zip(self.values) {
            let gate = sigmoid(*x);
            *gradient *= gate + x * gate * (1.0 - gate);
        }
    }
}

/// `output[.., b, t] = frames[.., b, t] + share * added[.., t]`
struct AddToBands<'a> {
    frames: &'a [f32],
    added: &'a [f32],
    share: f32,
    n_bands: usize,
    n_frames: usize,
    output: &'a mut Vec<f32>,
}

impl WithSimd for AddToBands<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let (n, share) = (self.n_frames, self.share);
        let mut row = vec![0.0; n];
        let planes = self.frames.chunks_exact(self.n_bands * n);
        for (plane, added) in planes.zip(self.added.chunks_exact(n)) {
            for band in plane.chunks_exact(n) {
                for ((to, value), added) in row.iter_mut().zip(band).zip(added) {
                    *to = value + share * added;
                }
                self.output.extend_from_slice(&row);
            }
        }
    }
}

/// `output[.., t] = sum over b of frames[.., b, t]`
struct SumBands<'a> {
    frames: &'a [f32],
    n_bands: usize,
    n_frames: usize,
    output: &'a mut [f32],
}

impl WithSimd for SumBands<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let n = self.n_frames;
        let planes = self.frames.chunks_exact(self.n_bands * n);
        for (bands, sums) in planes.zip(self.output.chunks_exact_mut(n)) {
            for band in bands.chunks_exact(n) {
                for (sum, value) in sums.iter_mut().zip(band) {
                    *sum += value;
                }
            }
        }
    }
}
