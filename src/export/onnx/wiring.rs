//! How a block's layers hang together: one function a layer, chained as the wiring says.

use super::writer::Writer;
use crate::model::WeightsError;
use crate::model::wiring::{Layer, Shortcut, Stage, Wiring};

impl Writer<'_> {
    /// # Shapes
    ///
    /// - `frames`: `[1, n_values, n_frames]`
    /// - output: the same with the block's values and frames
    pub fn wiring(
        &mut self,
        wiring: &Wiring,
        prefix: &str,
        frames: &str,
    ) -> Result<String, WeightsError> {
        let mut frames = frames.to_owned();
        for (at, stage) in wiring.stages.iter().enumerate() {
            frames = self.stage(stage, prefix, &format!("{prefix}.stage.{at}"), &frames)?;
        }
        Ok(frames)
    }

    fn stage(
        &mut self,
        stage: &Stage,
        prefix: &str,
        name: &str,
        input: &str,
    ) -> Result<String, WeightsError> {
        let jump_frames = self.jump_frames;
        let mut output = input.to_owned();
        for link in &stage.chain {
            output = self.layer(&link.layer, &format!("{prefix}.{}", link.name), &output)?;
        }
        let added = match &stage.shortcut {
            Shortcut::None | Shortcut::Concatenate(_) => None,
            Shortcut::Identity => Some(input.to_owned()),
            Shortcut::Layer(layer) => {
                // It begins where the chain begins.
                let behind = std::mem::replace(&mut self.jump_frames, jump_frames);
                let added = self.layer(layer, &format!("{prefix}.shortcut"), input)?;
                self.jump_frames = behind;
                Some(added)
            }
        };
        if let Some(added) = added {
            output = self.op("Add", &format!("{name}.sum"), &[&output, &added]);
        }
        if stage.relu {
            output = self.op("Relu", &format!("{name}.relu"), &[&output]);
        }
        if let Shortcut::Concatenate(_) = stage.shortcut {
            output = self.concat(&format!("{name}.joined"), &[input, &output], 1);
        }
        Ok(output)
    }

    fn layer(&mut self, layer: &Layer, prefix: &str, frames: &str) -> Result<String, WeightsError> {
        let output = match layer {
            Layer::Conv(shape) => self.conv_norm(shape, prefix, frames),
            Layer::Linear(shape) => self.linear(shape, prefix, frames),
            Layer::Gru(shape) => self.gru(shape, prefix, frames),
            Layer::Broadcast(shape) => self.broadcast(shape, prefix, frames),
            Layer::Conv2d(shape) => self.conv2d(shape, prefix, frames),
            Layer::Identity(_) => Ok(frames.to_owned()),
            Layer::Pool(shape) => Ok(self.pool(shape, prefix, frames)),
            Layer::SqueezeExcite(shape) => self.squeeze_excite(shape, prefix, frames),
            Layer::Activation(shape) => Ok(self.activation(shape, prefix, frames)),
            Layer::Attention(shape) => self.attention(shape, prefix, frames),
            Layer::Bidirectional(shape) => self.bidirectional(shape, prefix, frames),
            Layer::LayerNorm(shape) => self.layer_norm(shape, prefix, frames),
            Layer::Recurrent(shape) => self.recurrent(shape, prefix, frames),
            Layer::Res2(shape) => self.res2(shape, prefix, frames),
        }?;
        self.jump_frames *= layer.shape().stride_frames();
        Ok(output)
    }
}
