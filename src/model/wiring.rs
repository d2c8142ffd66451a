//! How a block's layers hang together: stages one after the other, each a chain of layers and beside it
//! perhaps a shortcut that is added or concatenated.
//!
//! A block kind only says its [`Wiring`]; what it costs, its first weights, its trainable form and
//! its stepping form all follow from that here, once for every kind. A new layer is a variant of [`Layer`]
//! and of the two enums of its forms.

use super::cost::Tally;
use super::layers::activation::{ActivationShape, ActivationStep};
use super::layers::attention::{AttentionShape, AttentionStep};
use super::layers::bidirectional::BidirectionalShape;
use super::layers::broadcast::{BroadcastShape, BroadcastStep};
use super::layers::conv_norm::{ConvNormStep, ConvShape};
use super::layers::conv2d::{Conv2dShape, Conv2dStep};
use super::layers::gru::{GruShape, GruStep};
use super::layers::identity::{IdentityShape, IdentityStep};
use super::layers::layer_norm::{LayerNormShape, LayerNormStep};
use super::layers::linear::{LinearShape, LinearStep};
use super::layers::pool::{PoolShape, PoolStep};
use super::layers::recurrent::{RecurrentShape, RecurrentStep};
use super::layers::res2::{Res2Shape, Res2Step};
use super::layers::squeeze_excite::{SqueezeExciteShape, SqueezeExciteStep};
use super::layers::{LayerShape, Step, relu};
use super::port::Port;
use super::weights::{Weights, WeightsError};

/// One layer and its name below the block's. Names within a block differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub name: &'static str,
    pub layer: Layer,
}

/// A layer by its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Convolution over time and normalisation.
    Conv(ConvShape),
    /// A matrix at every frame.
    Linear(LinearShape),
    /// A gated recurrent layer.
    Gru(GruShape),
    /// What the mean over bands says in time, added to every band.
    Broadcast(BroadcastShape),
    /// Convolution over bands and time, perhaps normalised.
    Conv2d(Conv2dShape),
    /// Nothing.
    Identity(IdentityShape),
    /// Mean or maximum over bands and time.
    Pool(PoolShape),
    /// A gate a channel from what was heard lately.
    SqueezeExcite(SqueezeExciteShape),
    /// A function without weights.
    Activation(ActivationShape),
    /// Each frame over frames around it.
    Attention(AttentionShape),
    /// Two recurrent layers, one from either end.
    Bidirectional(BidirectionalShape),
    /// Each frame normalised by itself.
    LayerNorm(LayerNormShape),
    /// A simple or a long short-term recurrent layer.
    Recurrent(RecurrentShape),
    /// Narrow convolutions, each also hearing the one before it.
    Res2(Res2Shape),
}

/// What goes around a chain to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortcut {
    None,
    /// The stage's own input is added.
    Identity,
    /// The input is added through one layer of the chain's total stride (named `shortcut`).
    Layer(Layer),
    /// Nothing is added: the stage's own input, of this shape, stands before the chain's end. Only without stride.
    Concatenate(Port),
}

/// A chain of layers and what goes around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    pub chain: Vec<Link>,
    pub shortcut: Shortcut,
    /// ReLU at the chain's end, after the sum where there is one.
    pub relu: bool,
}

/// The layers of one block: stages in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wiring {
    pub stages: Vec<Stage>,
}

impl Layer {
    pub(crate) fn shape(&self) -> &dyn LayerShape {
        match self {
            Self::Conv(shape) => shape,
            Self::Linear(shape) => shape,
            Self::Gru(shape) => shape,
            Self::Broadcast(shape) => shape,
            Self::Conv2d(shape) => shape,
            Self::Identity(shape) => shape,
            Self::Pool(shape) => shape,
            Self::SqueezeExcite(shape) => shape,
            Self::Activation(shape) => shape,
            Self::Attention(shape) => shape,
            Self::Bidirectional(shape) => shape,
            Self::LayerNorm(shape) => shape,
            Self::Recurrent(shape) => shape,
            Self::Res2(shape) => shape,
        }
    }
}

impl Stage {
    /// A chain without a shortcut.
    pub fn chain(links: impl Into<Vec<Link>>) -> Self {
        Self {
            chain: links.into(),
            shortcut: Shortcut::None,
            relu: false,
        }
    }

    /// The same with its own input added to its end.
    pub fn with_identity(self) -> Self {
        Self {
            shortcut: Shortcut::Identity,
            ..self
        }
    }

    fn output(&self) -> Port {
        let last = self.chain.last().expect("a stage has a layer");
        let output = last.layer.shape().output();
        match self.shortcut {
            Shortcut::Concatenate(input) => Port::flat(input.n_values() + output.n_values()),
            Shortcut::None | Shortcut::Identity | Shortcut::Layer(_) => output,
        }
    }
}

impl Wiring {
    /// One chain without a shortcut.
    pub fn chain(links: impl Into<Vec<Link>>) -> Self {
        Self {
            stages: vec![Stage::chain(links)],
        }
    }

    /// What leaves the block.
    pub fn output(&self) -> Port {
        self.stages.last().expect("a block has a stage").output()
    }

    /// Every layer, shortcuts left out.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        let chains = self.stages.iter().flat_map(|stage| &stage.chain);
        chains.map(|link| &link.layer)
    }

    /// Input frames per output frame.
    pub fn stride_frames(&self) -> usize {
        let strides = self.layers().map(|layer| layer.shape().stride_frames());
        strides.product()
    }

    /// Whether every layer has a stepping form.
    pub fn streams(&self) -> bool {
        self.layers().all(|layer| layer.shape().streams())
    }

    /// Floats that the stepping form remembers.
    pub fn n_state_values(&self) -> u64 {
        let layers = self.layers().map(|layer| layer.shape().n_state_values());
        let shortcuts = self.stages.iter().map(|stage| match &stage.shortcut {
            Shortcut::Layer(layer) => layer.shape().n_state_values(),
            Shortcut::None | Shortcut::Identity | Shortcut::Concatenate(_) => 0,
        });
        layers.sum::<u64>() + shortcuts.sum::<u64>()
    }

    pub(crate) fn account(&self, tally: &mut Tally) {
        for stage in &self.stages {
            for link in &stage.chain {
                tally.layer(link.layer.shape());
            }
            if let Shortcut::Layer(layer) = &stage.shortcut {
                tally.side_layer(layer.shape());
            }
        }
    }
}

/// The stepping form of a layer.
#[derive(Clone, Debug)]
enum LayerStep {
    Conv(ConvNormStep),
    Linear(LinearStep),
    Gru(GruStep),
    Broadcast(BroadcastStep),
    Conv2d(Conv2dStep),
    Identity(IdentityStep),
    Pool(PoolStep),
    SqueezeExcite(SqueezeExciteStep),
    Activation(ActivationStep),
    Attention(AttentionStep),
    LayerNorm(LayerNormStep),
    Recurrent(RecurrentStep),
    Res2(Res2Step),
}

impl LayerStep {
    fn load(layer: &Layer, prefix: &str, weights: &Weights) -> Result<Self, WeightsError> {
        Ok(match *layer {
            Layer::Conv(shape) => Self::Conv(ConvNormStep::load(shape, prefix, weights)?),
            Layer::Linear(shape) => Self::Linear(LinearStep::load(shape, prefix, weights)?),
            Layer::Gru(shape) => Self::Gru(GruStep::load(shape, prefix, weights)?),
            Layer::Broadcast(shape) => {
                Self::Broadcast(BroadcastStep::load(shape, prefix, weights)?)
            }
            Layer::Conv2d(shape) => Self::Conv2d(Conv2dStep::load(shape, prefix, weights)?),
            Layer::Identity(_) => Self::Identity(IdentityStep),
            Layer::Pool(shape) => Self::Pool(PoolStep::new(shape)),
            Layer::SqueezeExcite(shape) => {
                Self::SqueezeExcite(SqueezeExciteStep::load(shape, prefix, weights)?)
            }
            Layer::Activation(shape) => Self::Activation(ActivationStep::load(shape)),
            Layer::Attention(shape) => {
                Self::Attention(AttentionStep::load(shape, prefix, weights)?)
            }
            Layer::Bidirectional(_) => {
                let name = prefix.into();
                return Err(WeightsError::CannotStream { name });
            }
            Layer::LayerNorm(shape) => {
                Self::LayerNorm(LayerNormStep::load(shape, prefix, weights)?)
            }
            Layer::Recurrent(shape) => {
                Self::Recurrent(RecurrentStep::load(shape, prefix, weights)?)
            }
            Layer::Res2(shape) => Self::Res2(Res2Step::load(shape, prefix, weights)?),
        })
    }

    fn form(&self) -> &dyn Step {
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
            Self::LayerNorm(form) => form,
            Self::Recurrent(form) => form,
            Self::Res2(form) => form,
        }
    }

    fn form_mut(&mut self) -> &mut dyn Step {
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
            Self::LayerNorm(form) => form,
            Self::Recurrent(form) => form,
            Self::Res2(form) => form,
        }
    }
}

/// The stepping form of a stage.
#[derive(Clone, Debug)]
struct StageStep {
    chain: Vec<(LayerStep, Vec<f32>)>,
    adds_input: bool,
    shortcut: Option<(LayerStep, Vec<f32>)>,
    /// Room for the input and the chain's end, where they are concatenated.
    joined: Option<Vec<f32>>,
    relu: bool,
}

impl StageStep {
    fn load(stage: &Stage, prefix: &str, weights: &Weights) -> Result<Self, WeightsError> {
        let load = |link: &Link| {
            let name = format!("{prefix}.{}", link.name);
            let step = LayerStep::load(&link.layer, &name, weights)?;
            Ok((step, vec![0.0; link.layer.shape().output().n_values()]))
        };
        let shortcut = match stage.shortcut {
            Shortcut::Layer(layer) => {
                let step = LayerStep::load(&layer, &format!("{prefix}.shortcut"), weights)?;
                Some((step, vec![0.0; layer.shape().output().n_values()]))
            }
            Shortcut::None | Shortcut::Identity | Shortcut::Concatenate(_) => None,
        };
        let joins = matches!(stage.shortcut, Shortcut::Concatenate(_));
        Ok(Self {
            chain: stage.chain.iter().map(load).collect::<Result<_, _>>()?,
            adds_input: stage.shortcut == Shortcut::Identity,
            shortcut,
            joined: joins.then(|| vec![0.0; stage.output().n_values()]),
            relu: stage.relu,
        })
    }

    fn step(&mut self, frame: &[f32]) -> Option<&[f32]> {
        // The shortcut sees every frame, so that its stride keeps in phase with the chain's.
        if let Some((layer, added)) = &mut self.shortcut {
            layer.form_mut().step(frame, added);
        }
        for i in 0..self.chain.len() {
            let (before, rest) = self.chain.split_at_mut(i);
            let input = before.last().map_or(frame, |(_, output)| output);
            let (layer, output) = &mut rest[0];
            if !layer.form_mut().step(input, output) {
                return None;
            }
        }
        let (_, output) = self.chain.last_mut().expect("a stage has a layer");
        let added = match &self.shortcut {
            Some((_, added)) => Some(&added[..]),
            None => self.adds_input.then_some(frame),
        };
        if let Some(added) = added {
            for (sum, value) in output.iter_mut().zip(added) {
                *sum += value;
            }
        }
        if self.relu {
            relu(output);
        }
        let Some(joined) = &mut self.joined else {
            return Some(output);
        };
        let (before, behind) = joined.split_at_mut(frame.len());
        before.copy_from_slice(frame);
        behind.copy_from_slice(output);
        Some(joined)
    }
}

/// The stepping form of a block. All its memory is made when it is loaded.
#[derive(Clone, Debug)]
pub struct WiringStep {
    stages: Vec<StageStep>,
}

impl WiringStep {
    /// Reads the weights under `prefix`.
    pub fn load(wiring: &Wiring, prefix: &str, weights: &Weights) -> Result<Self, WeightsError> {
        let stages = wiring.stages.iter();
        let stages = stages.map(|stage| StageStep::load(stage, prefix, weights));
        Ok(Self {
            stages: stages.collect::<Result<_, _>>()?,
        })
    }

    /// Takes one frame; the block's output frame where this frame completes one.
    pub fn step<'a>(&'a mut self, frame: &'a [f32]) -> Option<&'a [f32]> {
        let mut frame = frame;
        for stage in &mut self.stages {
            frame = stage.step(frame)?;
        }
        Some(frame)
    }

    /// Back to silence.
    pub fn reset(&mut self) {
        for stage in &mut self.stages {
            for (layer, _) in &mut stage.chain {
                layer.form_mut().reset();
            }
            if let Some((layer, _)) = &mut stage.shortcut {
                layer.form_mut().reset();
            }
        }
    }

    pub fn n_state_values(&self) -> usize {
        let count = |stage: &StageStep| {
            let chain = stage.chain.iter();
            let chain = chain.map(|(layer, _)| layer.form().n_state_values());
            let shortcut = stage.shortcut.as_ref();
            chain.sum::<usize>() + shortcut.map_or(0, |(layer, _)| layer.form().n_state_values())
        };
        self.stages.iter().map(count).sum()
    }
}

#[cfg(feature = "search")]
pub use trainable::WiringNet;

#[cfg(feature = "search")]
mod trainable;
