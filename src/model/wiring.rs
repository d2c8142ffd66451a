//! How a block's layers hang together: a chain, and beside it perhaps a shortcut that is added.
//!
//! A block kind only says its [`Wiring`]; what it costs, its first weights, its trainable form and
//! its stepping form all follow from that here, once for every kind.

use super::cost::Tally;
use super::layers::conv_norm::{ConvNormStep, ConvShape};
use super::layers::gru::{GruShape, GruStep};
use super::layers::linear::{LinearShape, LinearStep};
use super::layers::relu;
use super::weights::{Weights, WeightsError};

/// One layer and its name below the block's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub name: &'static str,
    pub layer: Layer,
}

/// A layer by its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Convolution and normalisation, then ReLU if asked for.
    Conv { shape: ConvShape, relu: bool },
    /// A matrix at every frame.
    Linear(LinearShape),
    /// A recurrent layer.
    Gru(GruShape),
}

/// What is added to the end of the chain, before a last ReLU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortcut {
    /// Nothing, and no last ReLU.
    None,
    /// The block's own input.
    Identity,
    /// The input through a convolution of the chain's total stride (named `shortcut`).
    Conv(ConvShape),
}

/// The layers of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wiring {
    pub chain: Vec<Link>,
    pub shortcut: Shortcut,
}

impl Layer {
    /// Channels that leave the layer.
    pub fn n_out(&self) -> usize {
        match self {
            Self::Conv { shape, .. } => shape.n_out,
            Self::Linear(shape) => shape.n_out,
            Self::Gru(shape) => shape.n_units,
        }
    }

    fn stride_frames(&self) -> usize {
        match self {
            Self::Conv { shape, .. } => shape.stride_frames,
            Self::Linear(_) | Self::Gru(_) => 1,
        }
    }
}

impl Wiring {
    /// A chain without a shortcut.
    pub fn chain(links: impl Into<Vec<Link>>) -> Self {
        Self {
            chain: links.into(),
            shortcut: Shortcut::None,
        }
    }

    /// Channels that leave the block.
    pub fn n_out(&self) -> usize {
        let last = self.chain.last().expect("a block has a layer");
        last.layer.n_out()
    }

    /// Input frames per output frame.
    pub fn stride_frames(&self) -> usize {
        self.chain
            .iter()
            .map(|link| link.layer.stride_frames())
            .product()
    }

    pub(crate) fn account(&self, tally: &mut Tally) {
        for link in &self.chain {
            match &link.layer {
                Layer::Conv { shape, .. } => tally.conv(shape),
                Layer::Linear(shape) => tally.linear(shape),
                Layer::Gru(shape) => tally.gru(shape),
            }
        }
        if let Shortcut::Conv(shape) = &self.shortcut {
            tally.side_conv(shape);
        }
    }
}

/// The stepping form of a layer.
#[derive(Clone, Debug)]
enum LayerStep {
    Conv { conv: ConvNormStep, relu: bool },
    Linear(LinearStep),
    Gru(GruStep),
}

impl LayerStep {
    fn load(layer: &Layer, prefix: &str, weights: &Weights) -> Result<Self, WeightsError> {
        Ok(match *layer {
            Layer::Conv { shape, relu } => Self::Conv {
                conv: ConvNormStep::load(shape, prefix, weights)?,
                relu,
            },
            Layer::Linear(shape) => Self::Linear(LinearStep::load(shape, prefix, weights)?),
            Layer::Gru(shape) => Self::Gru(GruStep::load(shape, prefix, weights)?),
        })
    }

    fn step(&mut self, frame: &[f32], output: &mut [f32]) -> bool {
        match self {
            Self::Conv { conv, relu } => return conv.step(frame, output, *relu),
            Self::Linear(linear) => linear.step(frame, output),
            Self::Gru(gru) => gru.step(frame, output),
        }
        true
    }

    fn reset(&mut self) {
        match self {
            Self::Conv { conv, .. } => conv.reset(),
            Self::Linear(_) => {}
            Self::Gru(gru) => gru.reset(),
        }
    }

    fn n_state_values(&self) -> usize {
        match self {
            Self::Conv { conv, .. } => conv.n_state_values(),
            Self::Linear(_) => 0,
            Self::Gru(gru) => gru.n_state_values(),
        }
    }
}

/// The stepping form of a block. All its memory is made when it is loaded.
#[derive(Clone, Debug)]
pub struct WiringStep {
    chain: Vec<(LayerStep, Vec<f32>)>,
    adds_input: bool,
    shortcut: Option<(ConvNormStep, Vec<f32>)>,
}

impl WiringStep {
    /// Reads the weights under `prefix`.
    pub fn load(wiring: &Wiring, prefix: &str, weights: &Weights) -> Result<Self, WeightsError> {
        let load = |link: &Link| {
            let name = format!("{prefix}.{}", link.name);
            let step = LayerStep::load(&link.layer, &name, weights)?;
            Ok((step, vec![0.0; link.layer.n_out()]))
        };
        let shortcut = match wiring.shortcut {
            Shortcut::Conv(shape) => {
                let conv = ConvNormStep::load(shape, &format!("{prefix}.shortcut"), weights)?;
                Some((conv, vec![0.0; shape.n_out]))
            }
            Shortcut::None | Shortcut::Identity => None,
        };
        Ok(Self {
            chain: wiring.chain.iter().map(load).collect::<Result<_, _>>()?,
            adds_input: wiring.shortcut == Shortcut::Identity,
            shortcut,
        })
    }

    /// Takes one frame; the block's output frame where this frame completes one.
    pub fn step(&mut self, frame: &[f32]) -> Option<&[f32]> {
        // The shortcut sees every frame, so that its stride keeps in phase with the chain's.
        if let Some((conv, added)) = &mut self.shortcut {
            conv.step(frame, added, false);
        }
        for i in 0..self.chain.len() {
            let (before, rest) = self.chain.split_at_mut(i);
            let input = before.last().map_or(frame, |(_, output)| output);
            let (layer, output) = &mut rest[0];
            if !layer.step(input, output) {
                return None;
            }
        }
        let (_, output) = self.chain.last_mut().expect("a block has a layer");
        let added = match &self.shortcut {
            Some((_, added)) => Some(&added[..]),
            None => self.adds_input.then_some(frame),
        };
        if let Some(added) = added {
            for (sum, value) in output.iter_mut().zip(added) {
                *sum += value;
            }
            relu(output);
        }
        Some(output)
    }

    /// Back to silence.
    pub fn reset(&mut self) {
        self.chain.iter_mut().for_each(|(layer, _)| layer.reset());
        if let Some((conv, _)) = &mut self.shortcut {
            conv.reset();
        }
    }

    pub fn n_state_values(&self) -> usize {
        let chain = self.chain.iter().map(|(layer, _)| layer.n_state_values());
        let shortcut = self.shortcut.as_ref();
        chain.sum::<usize>() + shortcut.map_or(0, |(conv, _)| conv.n_state_values())
    }
}

#[cfg(feature = "search")]
pub use trainable::WiringNet;

#[cfg(feature = "search")]
mod trainable {
    use burn::module::Module;
    use burn::tensor::activation::relu;
    use burn::tensor::{Device, Tensor};
    use rand::Rng;

    use super::{Layer, Link, Shortcut, Wiring};
    use crate::model::layers::conv_norm::ConvNorm;
    use crate::model::layers::gru::Gru;
    use crate::model::layers::linear::Linear;
    use crate::model::weights::{Weights, WeightsError};

    impl Wiring {
        /// Draws first weights under `prefix`.
        pub fn init(&self, prefix: &str, weights: &mut Weights, rng: &mut impl Rng) {
            for Link { name, layer } in &self.chain {
                let name = format!("{prefix}.{name}");
                match layer {
                    Layer::Conv { shape, .. } => shape.init(&name, weights, rng),
                    Layer::Linear(shape) => shape.init(&name, weights, rng),
                    Layer::Gru(shape) => shape.init(&name, weights, rng),
                }
            }
            if let Shortcut::Conv(shape) = &self.shortcut {
                shape.init(&format!("{prefix}.shortcut"), weights, rng);
            }
        }
    }

    /// The trainable form of a layer.
    #[derive(Module, Debug)]
    #[allow(clippy::large_enum_variant)] // a network has a few dozen of these
    enum LayerNet {
        Conv(ConvNorm),
        ConvRelu(ConvNorm),
        Linear(Linear),
        Gru(Gru),
    }

    impl LayerNet {
        fn load(
            layer: &Layer,
            name: &str,
            weights: &Weights,
            device: &Device,
        ) -> Result<Self, WeightsError> {
            Ok(match *layer {
                Layer::Conv { shape, relu } => {
                    let conv = ConvNorm::load(shape, name, weights, device)?;
                    if relu {
                        Self::ConvRelu(conv)
                    } else {
                        Self::Conv(conv)
                    }
                }
                Layer::Linear(shape) => Self::Linear(Linear::load(shape, name, weights, device)?),
                Layer::Gru(shape) => Self::Gru(Gru::load(shape, name, weights, device)?),
            })
        }

        fn store(&self, name: &str, weights: &mut Weights) {
            match self {
                Self::Conv(conv) | Self::ConvRelu(conv) => conv.store(name, weights),
                Self::Linear(linear) => linear.store(name, weights),
                Self::Gru(gru) => gru.store(name, weights),
            }
        }

        fn forward(&self, frames: Tensor<3>) -> Tensor<3> {
            match self {
                Self::Conv(conv) => conv.forward(frames),
                Self::ConvRelu(conv) => relu(conv.forward(frames)),
                Self::Linear(linear) => linear.forward_frames(frames),
                Self::Gru(gru) => gru.forward(frames),
            }
        }
    }

    /// The trainable form of a block.
    #[derive(Module, Debug)]
    pub struct WiringNet {
        chain: Vec<LayerNet>,
        shortcut: Option<ConvNorm>,
        adds_input: bool,
    }

    impl WiringNet {
        /// Reads the weights under `prefix`.
        pub fn load(
            wiring: &Wiring,
            prefix: &str,
            weights: &Weights,
            device: &Device,
        ) -> Result<Self, WeightsError> {
            let load = |link: &Link| {
                let name = format!("{prefix}.{}", link.name);
                LayerNet::load(&link.layer, &name, weights, device)
            };
            let shortcut = match wiring.shortcut {
                Shortcut::Conv(shape) => {
                    let name = format!("{prefix}.shortcut");
                    Some(ConvNorm::load(shape, &name, weights, device)?)
                }
                Shortcut::None | Shortcut::Identity => None,
            };
            Ok(Self {
                chain: wiring.chain.iter().map(load).collect::<Result<_, _>>()?,
                shortcut,
                adds_input: wiring.shortcut == Shortcut::Identity,
            })
        }

        /// Copies the weights out under `prefix`, by the names of the wiring it was loaded from.
        pub fn store(&self, wiring: &Wiring, prefix: &str, weights: &mut Weights) {
            for (layer, link) in self.chain.iter().zip(&wiring.chain) {
                layer.store(&format!("{prefix}.{}", link.name), weights);
            }
            if let Some(conv) = &self.shortcut {
                conv.store(&format!("{prefix}.shortcut"), weights);
            }
        }

        /// # Shapes
        ///
        /// - `frames`: `[batch, n_in, n_frames]`
        /// - output: `[batch, n_out, ceil(n_frames / stride)]`
        pub fn forward(&self, frames: Tensor<3>) -> Tensor<3> {
            let added = match &self.shortcut {
                Some(conv) => Some(conv.forward(frames.clone())),
                None => self.adds_input.then(|| frames.clone()),
            };
            let output = self
                .chain
                .iter()
                .fold(frames, |frames, layer| layer.forward(frames));
            match added {
                Some(added) => relu(output + added),
                None => output,
            }
        }
    }
}
