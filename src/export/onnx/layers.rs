//! Layers over time alone: convolution, matrix, activation, normalisation of a frame, gate.

use super::Form;
use super::graph::{int, ints};
use super::writer::Writer;
use crate::model::WeightsError;
use crate::model::layers::activation::{Activation, ActivationShape};
use crate::model::layers::batch_norm;
use crate::model::layers::conv_norm::ConvShape;
use crate::model::layers::layer_norm::{self, LayerNormShape};
use crate::model::layers::linear::LinearShape;
use crate::model::layers::res2::Res2Shape;
use crate::model::layers::squeeze_excite::SqueezeExciteShape;

impl Writer<'_> {
    /// `Conv` with the normalisation folded into its weights.
    pub(super) fn conv_norm(
        &mut self,
        shape: &ConvShape,
        prefix: &str,
        frames: &str,
    ) -> Result<String, WeightsError> {
        let dims = shape.weight_shape();
        let weight = self.weight(&format!("{prefix}.weight"), &dims)?;
        let norms = batch_norm::folded(self.weights, &format!("{prefix}.norm"), shape.n_out)?;
        let n_each = dims[1] * dims[2];
        let scaled = weight.iter().enumerate();
        let scaled: Vec<f32> = scaled
            .map(|(at, value)| value * norms[at / n_each].0)
            .collect();
        let offsets: Vec<f32> = norms.iter().map(|(_, offset)| *offset).collect();
        let weight = self.floats(&format!("{prefix}.weight"), &dims, &scaled);
        let bias = self.floats(&format!("{prefix}.bias"), &[shape.n_out], &offsets);
        let past = self.past(prefix, frames, shape.n_in, shape.n_past());
        let groups = if shape.depthwise { shape.n_in } else { 1 };
        let attributes = vec![
            ints("kernel_shape", &[shape.kernel_frames]),
            ints("strides", &[self.stride_in_graph(shape.stride_frames)]),
            ints("dilations", &[shape.dilation_frames]),
            // Zeros before the first frame and none after the last: a frame never sees its future.
            ints("pads", &[past.n_padded, 0]),
            int("group", groups as i64),
        ];
        let output = self.op_with("Conv", prefix, &[&past.frames, &weight, &bias], attributes);
        Ok(match shape.relu {
            true => self.op("Relu", &format!("{prefix}.relu"), &[&output]),
            false => output,
        })
    }

    /// The stride of an operator: in the streaming form there is one frame, and whether it counts is
    /// said elsewhere.
    pub(super) fn stride_in_graph(&self, stride_frames: usize) -> usize {
        match self.form {
            Form::Clip => stride_frames,
            Form::Stream => 1,
        }
    }

    /// The same matrix at every frame: a convolution of one frame.
    pub(super) fn linear(
        &mut self,
        shape: &LinearShape,
        prefix: &str,
        frames: &str,
    ) -> Result<String, WeightsError> {
        let weight = self.weight(&format!("{prefix}.weight"), &[shape.n_in, shape.n_out])?;
        let bias = match shape.bias {
            true => Some(self.weight(&format!("{prefix}.bias"), &[shape.n_out])?),
            false => None,
        };
        Ok(self.matrix(prefix, frames, shape.n_in, weight, bias))
    }

    /// `weight`: `[n_in, n_out]`, as the model holds it.
    pub(super) fn matrix(
        &mut self,
        name: &str,
        frames: &str,
        n_in: usize,
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> String {
        let n_out = weight.len() / n_in;
        let dims = [n_out, n_in, 1];
        let weight = self.floats(&format!("{name}.weight"), &dims, &turned(weight, n_in));
        let bias = bias.map(|bias| self.floats(&format!("{name}.bias"), &[n_out], bias));
        let mut inputs = vec![frames, &weight];
        inputs.extend(bias.as_deref());
        self.op_with("Conv", name, &inputs, vec![ints("kernel_shape", &[1])])
    }

    pub(super) fn activation(
        &mut self,
        shape: &ActivationShape,
        prefix: &str,
        frames: &str,
    ) -> String {
        match shape.activation {
            Activation::Glu => {
                let n = shape.n_out as i64;
                let values = self.slice(&format!("{prefix}.values"), frames, 0, n, 1);
                let gates = self.slice(&format!("{prefix}.gates"), frames, n, 2 * n, 1);
                let gates = self.op("Sigmoid", &format!("{prefix}.sigmoid"), &[&gates]);
                self.op("Mul", prefix, &[&values, &gates])
            }
            Activation::Half => {
                let half = self.float(&format!("{prefix}.half"), 0.5);
                self.op("Mul", prefix, &[frames, &half])
            }
            Activation::Relu => self.op("Relu", prefix, &[frames]),
            Activation::Swish => self.swish(prefix, frames),
        }
    }

    pub(super) fn layer_norm(
        &mut self,
        shape: &LayerNormShape,
        prefix: &str,
        frames: &str,
    ) -> Result<String, WeightsError> {
        let n = shape.n_values;
        let gamma = self.weight(&format!("{prefix}.gamma"), &[n])?;
        let beta = self.weight(&format!("{prefix}.beta"), &[n])?;
        let gamma = self.floats(&format!("{prefix}.gamma"), &[1, n, 1], gamma);
        let beta = self.floats(&format!("{prefix}.beta"), &[1, n, 1], beta);
        let floor = self.float(&format!("{prefix}.epsilon"), layer_norm::EPSILON);
        let name = |part: &str| format!("{prefix}.{part}");
        let mean = self.mean(&name("mean"), frames, 1);
        let centred = self.op("Sub", &name("centred"), &[frames, &mean]);
        let squares = self.op("Mul", &name("squares"), &[&centred, &centred]);
        let variance = self.mean(&name("variance"), &squares, 1);
        let variance = self.op("Add", &name("floored"), &[&variance, &floor]);
        let deviation = self.op("Sqrt", &name("deviation"), &[&variance]);
        let scaled = self.op("Div", &name("scaled"), &[&centred, &deviation]);
        let scaled = self.op("Mul", &name("stretched"), &[&scaled, &gamma]);
        Ok(self.op("Add", prefix, &[&scaled, &beta]))
    }

    pub(super) fn squeeze_excite(
        &mut self,
        shape: &SqueezeExciteShape,
        prefix: &str,
        frames: &str,
    ) -> Result<String, WeightsError> {
        let (n, n_window) = (shape.n_channels, shape.window_frames);
        let mean = self.mean_of_past(&format!("{prefix}.mean"), frames, n, n_window, 1);
        let hidden = self.linear(&shape.squeeze(), &format!("{prefix}.squeeze"), &mean)?;
        let hidden = self.op("Relu", &format!("{prefix}.relu"), &[&hidden]);
        let gates = self.linear(&shape.excite(), &format!("{prefix}.excite"), &hidden)?;
        let gates = self.op("Sigmoid", &format!("{prefix}.gates"), &[&gates]);
        Ok(self.op("Mul", prefix, &[frames, &gates]))
    }

    pub(super) fn res2(
        &mut self,
        shape: &Res2Shape,
        prefix: &str,
        frames: &str,
    ) -> Result<String, WeightsError> {
        let n_each = shape.n_each() as i64;
        let mut groups = vec![self.slice(&format!("{prefix}.0"), frames, 0, n_each, 1)];
        for (i, name) in shape.prefixes(prefix).iter().enumerate() {
            let from = (i as i64 + 1) * n_each;
            let own = self.slice(&format!("{name}.own"), frames, from, from + n_each, 1);
            let mixed = match i {
                0 => own,
                _ => self.op("Add", &format!("{name}.mixed"), &[&own, &groups[i]]),
            };
            groups.push(self.conv_norm(&shape.conv(), name, &mixed)?);
        }
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        Ok(self.concat(prefix, &groups, 1))
    }

    /// The mean of the last `n_window` frames, fewer at the start, at every `stride_frames`-th frame.
    pub(super) fn mean_of_past(
        &mut self,
        name: &str,
        frames: &str,
        n_values: usize,
        n_window: usize,
        stride_frames: usize,
    ) -> String {
        let n_past = n_window - 1;
        let past = self.past(name, frames, n_values, n_past);
        if self.form == Form::Stream {
            if n_past == 0 {
                return past.frames;
            }
            let sum = self.sum(&format!("{name}.sum"), &past.frames, 2);
            let seen = self.seen(name, n_window);
            return self.op("Div", name, &[&sum, &seen]);
        }
        let attributes = vec![
            ints("kernel_shape", &[n_window]),
            ints("strides", &[stride_frames]),
            ints("pads", &[past.n_padded, 0]),
            int("count_include_pad", 0),
        ];
        self.op_with("AveragePool", name, &[&past.frames], attributes)
    }
}

/// `[n_rows, n_columns]` to `[n_columns, n_rows]`.
pub(super) fn turned(matrix: &[f32], n_rows: usize) -> Vec<f32> {
    let n_columns = matrix.len() / n_rows;
    let column = |at: usize| (0..n_rows).map(move |row| matrix[row * n_columns + at]);
    (0..n_columns).flat_map(column).collect()
}
