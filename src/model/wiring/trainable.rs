//! The trainable form of stages and blocks, and their first weights.

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use rand::Rng;

use super::{Layer, Link, Shortcut, Stage, Wiring};
use crate::model::layers::Trainable;
use crate::model::layers::activation::ActivationNet;
use crate::model::layers::attention::Attention;
use crate::model::layers::bidirectional::Bidirectional;
use crate::model::layers::broadcast::Broadcast;
use crate::model::layers::conv_norm::ConvNorm;
use crate::model::layers::conv2d::Conv2d;
use crate::model::layers::gru::Gru;
use crate::model::layers::identity::Identity;
use crate::model::layers::layer_norm::LayerNorm;
use crate::model::layers::linear::Linear;
use crate::model::layers::pool::Pool;
use crate::model::layers::recurrent::Recurrent;
use crate::model::layers::res2::Res2;
use crate::model::layers::squeeze_excite::SqueezeExcite;
use crate::model::lengths::Lengths;
use crate::model::ops::join::add_relu;
use crate::model::weights::{Weights, WeightsError};

impl Layer {
    fn init(&self, name: &str, weights: &mut Weights, rng: &mut impl Rng) {
        match self {
            Self::Conv(shape) => shape.init(name, weights, rng),
            Self::Linear(shape) => shape.init(name, weights, rng),
            Self::Gru(shape) => shape.init(name, weights, rng),
            Self::Broadcast(shape) => shape.init(name, weights, rng),
            Self::Conv2d(shape) => shape.init(name, weights, rng),
            Self::Identity(_) => {}
            Self::Pool(_) => {}
            Self::SqueezeExcite(shape) => shape.init(name, weights, rng),
            Self::Activation(_) => {}
            Self::Attention(shape) => shape.init(name, weights, rng),
            Self::Bidirectional(shape) => shape.init(name, weights, rng),
            Self::LayerNorm(shape) => shape.init(name, weights, rng),
            Self::Recurrent(shape) => shape.init(name, weights, rng),
            Self::Res2(shape) => shape.init(name, weights, rng),
        }
    }
}

impl Wiring {
    /// Draws first weights under `prefix`.
    pub fn init(&self, prefix: &str, weights: &mut Weights, rng: &mut impl Rng) {
        for stage in &self.stages {
            for Link { name, layer } in &stage.chain {
                layer.init(&format!("{prefix}.{name}"), weights, rng);
            }
            if let Shortcut::Layer(layer) = &stage.shortcut {
                layer.init(&format!("{prefix}.shortcut"), weights, rng);
            }
        }
    }
}

/// The trainable form of a layer.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // a network has a few dozen of these
enum LayerNet {
    Conv(ConvNorm),
    Linear(Linear),
    Gru(Gru),
    Broadcast(Broadcast),
    Conv2d(Conv2d),
    Identity(Identity),
    Pool(Pool),
    SqueezeExcite(SqueezeExcite),
    Activation(ActivationNet),
    Attention(Attention),
    Bidirectional(Bidirectional),
    LayerNorm(LayerNorm),
    Recurrent(Recurrent),
    Res2(Res2),
}

impl LayerNet {
    fn load(
        layer: &Layer,
        name: &str,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        Ok(match *layer {
            Layer::Conv(shape) => Self::Conv(ConvNorm::load(shape, name, weights, device)?),
            Layer::Linear(shape) => Self::Linear(Linear::load(shape, name, weights, device)?),
            Layer::Gru(shape) => Self::Gru(Gru::load(shape, name, weights, device)?),
            Layer::Broadcast(shape) => {
                Self::Broadcast(Broadcast::load(shape, name, weights, device)?)
            }
            Layer::Conv2d(shape) => Self::Conv2d(Conv2d::load(shape, name, weights, device)?),
            Layer::Identity(shape) => Self::Identity(Identity::new(shape)),
            Layer::Pool(shape) => Self::Pool(Pool::new(shape)),
            Layer::SqueezeExcite(shape) => {
                Self::SqueezeExcite(SqueezeExcite::load(shape, name, weights, device)?)
            }
            Layer::Activation(shape) => Self::Activation(ActivationNet::load(shape)),
            Layer::Attention(shape) => {
                Self::Attention(Attention::load(shape, name, weights, device)?)
            }
            Layer::Bidirectional(shape) => {
                Self::Bidirectional(Bidirectional::load(shape, name, weights, device)?)
            }
            Layer::LayerNorm(shape) => {
                Self::LayerNorm(LayerNorm::load(shape, name, weights, device)?)
            }
            Layer::Recurrent(shape) => {
                Self::Recurrent(Recurrent::load(shape, name, weights, device)?)
            }
            Layer::Res2(shape) => Self::Res2(Res2::load(shape, name, weights, device)?),
        })
    }

    fn form(&self) -> &dyn Trainable {
        match self {
            Self::Conv(form) => form,
            Self::Linear(form) => form,
            Self::Gru(form) => form,
            Self::Broadcast(form) => form,
            Self::Conv2d(form) => form,
            Self::Identity(form) => form,
            Self::Pool(form) => form,
            Self::SqueezeExcite(form) => form,
            Self::Activation(form) => form,
            Self::Attention(form) => form,
            Self::Bidirectional(form) => form,
            Self::LayerNorm(form) => form,
            Self::Recurrent(form) => form,
            Self::Res2(form) => form,
        }
    }
}

/// The trainable form of a stage.
#[derive(Module, Debug)]
struct StageNet {
    chain: Vec<LayerNet>,
    shortcut: Option<LayerNet>,
    adds_input: bool,
    joins_input: bool,
    relu: bool,
}

impl StageNet {
    fn load(
        stage: &Stage,
        prefix: &str,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let load = |link: &Link| {
            let name = format!("{prefix}.{}", link.name);
            LayerNet::load(&link.layer, &name, weights, device)
        };
        let shortcut = match stage.shortcut {
            Shortcut::Layer(layer) => {
                let name = format!("{prefix}.shortcut");
                Some(LayerNet::load(&layer, &name, weights, device)?)
            }
            Shortcut::None | Shortcut::Identity | Shortcut::Concatenate(_) => None,
        };
        Ok(Self {
            chain: stage.chain.iter().map(load).collect::<Result<_, _>>()?,
            shortcut,
            adds_input: stage.shortcut == Shortcut::Identity,
            joins_input: matches!(stage.shortcut, Shortcut::Concatenate(_)),
            relu: stage.relu,
        })
    }

    fn forward(&self, frames: Tensor<3>, lengths: Option<&Lengths>) -> Tensor<3> {
        let added = match &self.shortcut {
            Some(layer) => Some(layer.form().forward(frames.clone(), lengths)),
            None => self.adds_input.then(|| frames.clone()),
        };
        let joined = self.joins_input.then(|| frames.clone());
        let mut lengths = lengths.cloned();
        let mut output = frames;
        for layer in &self.chain {
            output = layer.form().forward(output, lengths.as_ref());
            lengths = lengths.map(|it| it.strided(layer.form().stride_frames()));
        }
        let output = match (added, self.relu) {
            (Some(added), true) => {
                add_relu(&output, &added).unwrap_or_else(|| relu(output + added))
            }
            (Some(added), false) => output + added,
            (None, true) => relu(output),
            (None, false) => output,
        };
        match joined {
            Some(input) => Tensor::cat(vec![input, output], 1),
            None => output,
        }
    }
}

/// The trainable form of a block.
#[derive(Module, Debug)]
pub struct WiringNet {
    stages: Vec<StageNet>,
    stride_frames: usize,
}

impl WiringNet {
    /// Reads the weights under `prefix`.
    pub fn load(
        wiring: &Wiring,
        prefix: &str,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let stages = wiring.stages.iter();
        let stages = stages.map(|stage| StageNet::load(stage, prefix, weights, device));
        Ok(Self {
            stages: stages.collect::<Result<_, _>>()?,
            stride_frames: wiring.stride_frames(),
        })
    }

    /// Copies the weights out under `prefix`, by the names of the wiring it was loaded from.
    pub fn store(&self, wiring: &Wiring, prefix: &str, weights: &mut Weights) {
        for (net, stage) in self.stages.iter().zip(&wiring.stages) {
            for (layer, link) in net.chain.iter().zip(&stage.chain) {
                let name = format!("{prefix}.{}", link.name);
                layer.form().store(&name, weights);
            }
            if let Some(layer) = &net.shortcut {
                let name = format!("{prefix}.shortcut");
                layer.form().store(&name, weights);
            }
        }
    }

    /// Input frames per output frame.
    pub fn stride_frames(&self) -> usize {
        self.stride_frames
    }

    /// # Shapes
    ///
    /// - `frames`: `[batch, n_in, n_frames]`
    /// - output: `[batch, n_out, ceil(n_frames / stride)]`
    pub fn forward(&self, frames: Tensor<3>, lengths: Option<&Lengths>) -> Tensor<3> {
        let mut lengths = lengths.cloned();
        let mut output = frames;
        for stage in &self.stages {
            output = stage.forward(output, lengths.as_ref());
            let strides = stage.chain.iter().map(|layer| layer.form().stride_frames());
            let stride: usize = strides.product();
            lengths = lengths.map(|lengths| lengths.strided(stride));
        }
        output
    }
}
