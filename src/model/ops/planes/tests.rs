//! Each operation over planes against the same layer composed of tensor operations, and against finite differences.

use burn::tensor::{Device, Tensor, TensorData};

use crate::model::Weights;
use crate::model::layers::Trainable;
use crate::model::layers::broadcast::{Broadcast, BroadcastShape};
use crate::model::layers::conv2d::{Conv2d, Conv2dShape, Extent, Norm};
use crate::model::layers::pool::{Pool, PoolShape, Reduction};
use crate::model::ops::tests::{Case, N_CLIPS, check, distance, noise, plain, weights};
use crate::model::port::Port;

fn port(n_channels: usize, n_bands: usize) -> Port {
    Port {
        n_channels,
        n_bands,
    }
}

/// Dense, depthwise and across all bands; kernels, strides and dilations that differ along the axes.
fn convolutions() -> Vec<Conv2dShape> {
    let one = (1, 1);
    let mut shapes = Vec::new();
    for (kernel, stride, dilation) in [
        (one, one, one),
        ((3, 3), one, one),
        ((3, 1), (2, 1), one),
        ((1, 3), one, (1, 4)),
        ((4, 10), (2, 2), one),
        ((2, 3), (3, 2), (2, 3)),
        ((5, 4), (1, 3), (1, 2)),
        (one, (2, 3), one),
    ] {
        let extent = |(bands, frames)| Extent::new(bands, frames);
        for shape in [
            Conv2dShape::dense(port(1, 7), 9, extent(kernel)),
            Conv2dShape::dense(port(5, 6), 3, extent(kernel)).with_norm(Norm::PerSubband(3)),
            Conv2dShape::depthwise(port(6, 9), extent(kernel)),
        ] {
            // One weight a filter is but a scale, and a normalisation leaves it a gradient that is all rounding.
            let is_scale = shape.weight_shape()[1..] == [1, 1, 1];
            let norm = if is_scale { Norm::None } else { shape.norm };
            let shape = shape.with_norm(norm).with_stride(extent(stride));
            shapes.push(shape.with_dilation(extent(dilation)));
        }
    }
    let depthwise = Conv2dShape::depthwise(port(4, 10), Extent::new(3, 1));
    shapes.push(depthwise.with_norm(Norm::PerSubband(5)));
    shapes.push(depthwise.with_norm(Norm::None));
    shapes.push(Conv2dShape::across_bands(port(4, 5), 3));
    shapes.push(Conv2dShape::across_bands(port(4, 5), 1).with_norm(Norm::None));
    let dense = Conv2dShape::dense(port(3, 4), 18, Extent::new(3, 3));
    shapes.push(dense.with_norm(Norm::None));
    shapes
}

fn conv2d(shape: Conv2dShape, device: &Device) -> Conv2d {
    let weights = weights(|weights, rng| shape.init("conv", weights, rng));
    Conv2d::load(shape, "conv", &weights, device).unwrap()
}

#[test]
fn convolution_and_norm_over_planes_are_what_they_are_composed_of() {
    for shape in convolutions() {
        let case = Case {
            layer: conv2d(shape, &Device::flex().autodiff()),
            fused: |layer, frames| layer.forward(frames, None),
            composed: Conv2d::forward_composed,
        };
        for n_frames in [1, 2, 13, 21] {
            let what = format!("{shape:?}, {n_frames} frames");
            check(&case, shape.input.n_values(), n_frames, &what);
        }
    }
}

#[test]
fn relu_after_the_norm_over_planes_is_what_it_is_composed_of() {
    for shape in convolutions() {
        let shape = shape.with_relu();
        let layer = conv2d(shape, &Device::flex().autodiff());
        let n_in = shape.input.n_values();
        let frames = noise(N_CLIPS * n_in * 11, 8);
        let fused = |layer: &Conv2d, frames| layer.forward(frames, None);
        let found = super::super::tests::see(&layer, fused, &frames, n_in, false);
        let composed = Conv2d::forward_composed;
        let expected = super::super::tests::see(&layer, composed, &frames, n_in, false);
        assert!(
            distance(&found.output, &expected.output) < 1e-5,
            "{shape:?}"
        );
        for (found, expected) in found.gradients.iter().zip(&expected.gradients) {
            assert!(distance(found, expected) < 1e-5, "{shape:?}");
        }
    }
}

/// The clips of the other examples are taken together.
#[test]
fn clips_of_planes_that_are_taken_in_parts_give_what_they_give_together() {
    for shape in [
        Conv2dShape::dense(port(19, 13), 19, Extent::new(3, 3)),
        Conv2dShape::dense(port(1, 40), 24, Extent::new(4, 10)).with_stride(Extent::new(2, 2)),
        Conv2dShape::depthwise(port(24, 10), Extent::new(3, 1)).with_norm(Norm::PerSubband(5)),
    ] {
        let case = Case {
            layer: conv2d(shape, &Device::flex().autodiff()),
            fused: |layer, frames| layer.forward(frames, None),
            composed: Conv2d::forward_composed,
        };
        for n_frames in [98, 161] {
            let what = format!("{shape:?}, {n_frames} frames");
            check(&case, shape.input.n_values(), n_frames, &what);
        }
    }
}

#[test]
fn outside_of_training_the_running_statistics_count_over_planes() {
    for shape in convolutions() {
        let device = Device::flex();
        let layer = conv2d(shape, &device);
        let n_in = shape.input.n_values();
        let data = TensorData::new(noise(N_CLIPS * n_in * 9, 5), [N_CLIPS, n_in, 9]);
        let frames = Tensor::<3>::from_data(data, &device);
        let found = plain(layer.forward(frames.clone(), None));
        let expected = plain(layer.forward_composed(frames));
        assert!(distance(&found, &expected) < 1e-5, "{shape:?}");
    }
}

fn broadcast(n_channels: usize, n_bands: usize, device: &Device) -> (BroadcastShape, Broadcast) {
    let shape = BroadcastShape {
        port: port(n_channels, n_bands),
        kernel_frames: 3,
        dilation_frames: 2,
    };
    let weights = weights(|weights, rng| shape.init("broadcast", weights, rng));
    let layer = Broadcast::load(shape, "broadcast", &weights, device).unwrap();
    (shape, layer)
}

#[test]
fn a_broadcast_is_what_it_is_composed_of() {
    for (n_channels, n_bands) in [(1, 1), (3, 5), (9, 2)] {
        let (shape, layer) = broadcast(n_channels, n_bands, &Device::flex().autodiff());
        let case = Case {
            layer,
            fused: |layer, frames| layer.forward(frames, None),
            composed: Broadcast::forward_composed,
        };
        for n_frames in [1, 13, 40] {
            let what = format!("{shape:?}, {n_frames} frames");
            check(&case, shape.port.n_values(), n_frames, &what);
        }
        let device = Device::flex();
        let (_, layer) = broadcast(n_channels, n_bands, &device);
        let n_in = shape.port.n_values();
        let data = TensorData::new(noise(N_CLIPS * n_in * 9, 5), [N_CLIPS, n_in, 9]);
        let frames = Tensor::<3>::from_data(data, &device);
        let found = plain(layer.forward(frames.clone(), None));
        let expected = plain(layer.forward_composed(frames));
        assert!(distance(&found, &expected) < 1e-5, "{shape:?}");
    }
}

#[test]
fn running_statistics_over_planes_move_as_the_composed_layers_do() {
    let device = Device::flex().autodiff();
    let shape = Conv2dShape::dense(port(2, 6), 5, Extent::new(3, 3)).with_norm(Norm::PerSubband(3));
    let frames = |seed| {
        let data = TensorData::new(noise(N_CLIPS * 12 * 8, seed), [N_CLIPS, 12, 8]);
        Tensor::<3>::from_data(data, &device)
    };
    let run = |fused: bool| {
        let (conv, (_, broadcast)) = (conv2d(shape, &device), broadcast(4, 3, &device));
        for seed in 0..3 {
            if fused {
                conv.forward(frames(seed), None);
                broadcast.forward(frames(seed), None);
            } else {
                conv.forward_composed(frames(seed));
                broadcast.forward_composed(frames(seed));
            }
        }
        let mut stored = Weights::default();
        conv.store("conv", &mut stored);
        broadcast.store("broadcast", &mut stored);
        stored
    };
    let (found, expected) = (run(true), run(false));
    for (name, tensor) in &expected.tensors {
        let found = &found.tensors[name].values;
        assert!(distance(found, &tensor.values) < 1e-5, "{name}");
    }
}

#[test]
fn a_mean_over_bands_and_frames_is_what_it_is_composed_of() {
    for (n_bands, window_bands, window_frames, stride_frames) in [
        (6, 6, 1, 1),
        (7, 3, 4, 4),
        (5, 1, 5, 2),
        (1, 1, 2, 3),
        (4, 9, 3, 1),
    ] {
        let shape = PoolShape {
            input: port(3, n_bands),
            reduction: Reduction::Mean,
            window_frames,
            stride_frames,
            window_bands,
        };
        let case = Case {
            layer: Pool::new(shape),
            fused: |layer, frames| layer.forward(frames, None),
            composed: Pool::forward_composed,
        };
        for n_frames in [1, 3, 20] {
            let what = format!("{shape:?}, {n_frames} frames");
            check(&case, shape.input.n_values(), n_frames, &what);
        }
    }
}
