//! Layers over bands and time: convolution, pooling, the broadcast of a mean over bands.
//!
//! Between layers a frame is flat, channel-major; inside, bands are an axis of their own.

use super::Form;
use super::graph::{int, ints};
use super::writer::Writer;
use crate::model::layers::LayerShape;
use crate::model::layers::batch_norm;
use crate::model::layers::broadcast::BroadcastShape;
use crate::model::layers::conv2d::{Conv2dShape, Norm};
use crate::model::layers::pool::{PoolShape, Reduction};
use crate::model::{Port, WeightsError};

/// Below every value that was heard: what lies before the first frame when the largest is asked for.
const LOWEST: f32 = f32::MIN;

impl Writer<'_> {
    /// `[1, n_channels * n_bands, n_frames]` to `[1, n_channels, n_bands, n_frames]`.
    fn banded(&mut self, name: &str, frames: &str, port: Port) -> String {
        let shape = [1, port.n_channels as i64, port.n_bands as i64, -1];
        self.reshape(name, frames, &shape)
    }

    fn flat(&mut self, name: &str, frames: &str, port: Port) -> String {
        self.reshape(name, frames, &[1, port.n_values() as i64, -1])
    }

    pub(super) fn conv2d(
        &mut self,
        shape: &Conv2dShape,
        prefix: &str,
        frames: &str,
    ) -> Result<String, WeightsError> {
        let weight = self.weight(&format!("{prefix}.weight"), &shape.weight_shape())?;
        let n_values = shape.input.n_values();
        let past = self.past(prefix, frames, n_values, shape.n_past());
        let banded = self.banded(&format!("{prefix}.banded"), &past.frames, shape.input);
        let (below, above) = shape.band_padding();
        let attributes = vec![
            ints("kernel_shape", &[shape.kernel.bands, shape.kernel.frames]),
            ints(
                "strides",
                &[
                    shape.stride.bands,
                    self.stride_in_graph(shape.stride.frames),
                ],
            ),
            ints("dilations", &[shape.dilation.bands, shape.dilation.frames]),
            ints("pads", &[below, past.n_padded, above, 0]),
            int(
                "group",
                if shape.depthwise {
                    shape.n_out as i64
                } else {
                    1
                },
            ),
        ];
        let weight = self.floats(&format!("{prefix}.weight"), &shape.weight_shape(), weight);
        let mut output = self.op_with("Conv", prefix, &[&banded, &weight], attributes);
        if shape.norm != Norm::None {
            output = self.norm_of_bands(shape, prefix, &output)?;
        }
        if shape.relu {
            output = self.op("Relu", &format!("{prefix}.relu"), &[&output]);
        }
        Ok(self.flat(&format!("{prefix}.flat"), &output, shape.output()))
    }

    /// One scale and one offset a channel and sub-band.
    fn norm_of_bands(
        &mut self,
        shape: &Conv2dShape,
        prefix: &str,
        banded: &str,
    ) -> Result<String, WeightsError> {
        let name = format!("{prefix}.norm");
        let norms = batch_norm::folded(self.weights, &name, shape.n_norms())?;
        let port = shape.output();
        let n_bands_each = port.n_values() / norms.len();
        let each: Vec<_> = (0..port.n_values())
            .map(|i| norms[i / n_bands_each])
            .collect();
        let dims = [1, port.n_channels, port.n_bands, 1];
        let scales: Vec<f32> = each.iter().map(|(scale, _)| *scale).collect();
        let offsets: Vec<f32> = each.iter().map(|(_, offset)| *offset).collect();
        let scales = self.floats(&format!("{name}.scales"), &dims, &scales);
        let offsets = self.floats(&format!("{name}.offsets"), &dims, &offsets);
        let scaled = self.op("Mul", &format!("{name}.scaled"), &[banded, &scales]);
        Ok(self.op("Add", &name, &[&scaled, &offsets]))
    }

    pub(super) fn pool(&mut self, shape: &PoolShape, prefix: &str, frames: &str) -> String {
        let pooled = match shape.reduction {
            Reduction::Mean => self.mean_pool(shape, prefix, frames),
            Reduction::Max => self.max_pool(shape, prefix, frames),
        };
        self.flat(&format!("{prefix}.flat"), &pooled, shape.output())
    }

    /// The mean over time, then over groups of bands: the last group may be smaller.
    fn mean_pool(&mut self, shape: &PoolShape, prefix: &str, frames: &str) -> String {
        let (n_values, n_window) = (shape.input.n_values(), shape.window_frames);
        let name = format!("{prefix}.mean");
        let mean = self.mean_of_past(&name, frames, n_values, n_window, shape.stride_frames);
        let banded = self.banded(&format!("{prefix}.banded"), &mean, shape.input);
        let (n_bands, n_out) = (shape.input.n_bands, shape.output().n_bands);
        let mut shares = vec![0.0; n_out * n_bands];
        for (group, row) in shares.chunks_exact_mut(n_bands).enumerate() {
            let start = group * shape.window_bands;
            let end = (start + shape.window_bands).min(n_bands);
            row[start..end].fill(1.0 / (end - start) as f32);
        }
        let shares = self.floats(&format!("{prefix}.shares"), &[n_out, n_bands], &shares);
        self.op("MatMul", prefix, &[&shares, &banded])
    }

    fn max_pool(&mut self, shape: &PoolShape, prefix: &str, frames: &str) -> String {
        let (n_values, n_window) = (shape.input.n_values(), shape.window_frames);
        let past = self.past(prefix, frames, n_values, n_window - 1);
        let mut window = past.frames;
        if self.form == Form::Stream && n_window > 1 {
            let seen = self.seen(prefix, n_window);
            let in_sight = self.in_sight(prefix, &seen, n_window);
            let lowest = self.float(&format!("{prefix}.lowest"), LOWEST);
            let name = format!("{prefix}.heard");
            window = self.op("Where", &name, &[&in_sight, &window, &lowest]);
        }
        let banded = self.banded(&format!("{prefix}.banded"), &window, shape.input);
        let window_bands = shape.window_bands.min(shape.input.n_bands);
        let n_missing = shape.output().n_bands * window_bands - shape.input.n_bands;
        let attributes = vec![
            ints("kernel_shape", &[window_bands, n_window]),
            ints(
                "strides",
                &[window_bands, self.stride_in_graph(shape.stride_frames)],
            ),
            ints("pads", &[0, past.n_padded, n_missing, 0]),
        ];
        self.op_with("MaxPool", prefix, &[&banded], attributes)
    }

    pub(super) fn broadcast(
        &mut self,
        shape: &BroadcastShape,
        prefix: &str,
        frames: &str,
    ) -> Result<String, WeightsError> {
        let name = |part: &str| format!("{prefix}.{part}");
        let banded = self.banded(&name("banded"), frames, shape.port);
        let mean = self.mean(&name("mean"), &banded, 2);
        let n_channels = shape.port.n_channels as i64;
        let mean = self.reshape(&name("mean.flat"), &mean, &[1, n_channels, -1]);
        let filtered = self.conv_norm(&shape.temporal(), &name("temporal"), &mean)?;
        let filtered = self.swish(&name("swish"), &filtered);
        let added = self.linear(&shape.pointwise(), &name("pointwise"), &filtered)?;
        let added = self.reshape(&name("added"), &added, &[1, n_channels, 1, -1]);
        let sum = self.op("Add", prefix, &[&banded, &added]);
        Ok(self.flat(&name("flat"), &sum, shape.port))
    }
}
