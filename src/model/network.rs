//! The trainable whole-clip form of a network, on Burn.
//!
//! It is made from weights and gives weights back; it draws none of its own from a device's
//! generator, so a seed means the same on every device.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::genome::{Genome, Ports};
use super::head::HeadNet;
use super::layers::tensors;
use super::lengths::Lengths;
use super::stream_net::NetworkError;
use super::weights::{NamedTensor, Weights};
use super::wiring::WiringNet;

/// The scale of the features, per band, over the training split: not trained.
#[derive(Clone, Debug, PartialEq)]
pub struct InputNorm {
    pub mean: Vec<f32>,
    pub inv_deviation: Vec<f32>,
}

/// A network that learns.
#[derive(Module, Debug)]
pub struct Network {
    mean: Param<Tensor<1>>,
    inv_deviation: Param<Tensor<1>>,
    blocks: Vec<WiringNet>,
    head: HeadNet,
}

/// Silences whole channels of a clip behind every block and raises the others to make up for them (Tompson et
/// al. 2015). Drawn from the generator given, not from the device's.
pub struct Dropout<'a> {
    /// Share of channels silenced, below one.
    pub rate: f32,
    pub rng: &'a mut ChaCha8Rng,
}

impl Dropout<'_> {
    fn apply(&mut self, frames: Tensor<3>) -> Tensor<3> {
        let [n_batch, n_values, _] = frames.dims();
        let kept = 1.0 / (1.0 - self.rate);
        let mut draw = || {
            if self.rng.random::<f32>() < self.rate {
                0.0
            } else {
                kept
            }
        };
        let mask: Vec<f32> = (0..n_batch * n_values).map(|_| draw()).collect();
        let data = TensorData::new(mask, [n_batch, n_values, 1]);
        frames.clone() * Tensor::from_data(data, &frames.device())
    }
}

impl Genome {
    /// First weights: drawn from the seed, the input's scale as given.
    pub fn init_weights(&self, ports: &Ports, norm: &InputNorm, seed: u64) -> Weights {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut weights = Weights::default();
        let mut put = |name: &str, values: &[f32]| {
            let tensor = NamedTensor {
                shape: vec![values.len()],
                values: values.to_vec(),
            };
            weights.tensors.insert(name.into(), tensor);
        };
        put("input.mean", &norm.mean);
        put("input.inv_deviation", &norm.inv_deviation);
        let wirings = self.wirings(ports.n_mels);
        for (prefix, wiring) in &wirings {
            wiring.init(prefix, &mut weights, &mut rng);
        }
        let n_features = self.features_port(ports.n_mels).n_values();
        self.head
            .init(n_features, ports.n_classes, &mut weights, &mut rng);
        weights
    }
}

impl Network {
    /// Reads the weights by the genome's names and shapes.
    pub fn load(
        genome: &Genome,
        ports: &Ports,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, NetworkError> {
        genome.validate()?;
        let wirings = genome.wirings(ports.n_mels);
        let blocks = wirings
            .iter()
            .map(|(prefix, wiring)| WiringNet::load(wiring, prefix, weights, device))
            .collect::<Result<_, _>>()?;
        let jump_frames = wirings
            .iter()
            .map(|(_, wiring)| wiring.stride_frames())
            .product();
        let n_features = genome.features_port(ports.n_mels).n_values();
        let scale = |name: &str| {
            tensors::load_param::<1>(weights, name, [ports.n_mels], device)
                .map(|param| param.set_require_grad(false))
        };
        Ok(Self {
            mean: scale("input.mean")?,
            inv_deviation: scale("input.inv_deviation")?,
            blocks,
            head: HeadNet::load(
                &genome.head,
                n_features,
                ports.n_classes,
                jump_frames,
                weights,
                device,
            )?,
        })
    }

    /// Copies the weights out, by the names of the genome it was loaded from.
    pub fn store(&self, genome: &Genome, ports: &Ports) -> Weights {
        let mut weights = Weights::default();
        tensors::store(&mut weights, "input.mean".into(), self.mean.val());
        let inv_deviation = self.inv_deviation.val();
        tensors::store(&mut weights, "input.inv_deviation".into(), inv_deviation);
        let wirings = genome.wirings(ports.n_mels);
        for (block, (prefix, wiring)) in self.blocks.iter().zip(&wirings) {
            block.store(wiring, prefix, &mut weights);
        }
        let n_features = genome.features_port(ports.n_mels).n_values();
        self.head.store(&genome.head, n_features, &mut weights);
        weights
    }

    /// The answer at the last frame of each clip.
    ///
    /// # Shapes
    ///
    /// - `frames`: `[batch, n_mels, n_frames]`, as the front-end gives them
    /// - output: logits `[batch, n_classes]`
    pub fn forward(&self, frames: Tensor<3>) -> Tensor<2> {
        self.forward_padded(frames, None)
    }

    /// The answer at the last true frame of each clip: what lies behind a clip's length is never read.
    ///
    /// # Shapes
    ///
    /// As [`Network::forward`]; `lengths`: frames of each clip, all full where `None`.
    pub fn forward_padded(&self, frames: Tensor<3>, lengths: Option<&Lengths>) -> Tensor<2> {
        self.pass(frames, lengths, None)
    }

    /// The answer while it learns: some channels are silenced.
    pub fn forward_dropping(
        &self,
        frames: Tensor<3>,
        lengths: Option<&Lengths>,
        dropout: &mut Dropout,
    ) -> Tensor<2> {
        self.pass(frames, lengths, Some(dropout))
    }

    fn pass(
        &self,
        frames: Tensor<3>,
        lengths: Option<&Lengths>,
        mut dropout: Option<&mut Dropout>,
    ) -> Tensor<2> {
        let mean = self.mean.val().unsqueeze_dims::<3>(&[0, 2]);
        let inv_deviation = self.inv_deviation.val().unsqueeze_dims::<3>(&[0, 2]);
        let scaled = (frames - mean) * inv_deviation;
        let mut lengths = lengths.cloned();
        let mut frames = scaled;
        for block in &self.blocks {
            frames = block.forward(frames, lengths.as_ref());
            if let Some(dropout) = &mut dropout {
                frames = dropout.apply(frames);
            }
            lengths = lengths.map(|lengths| lengths.strided(block.stride_frames()));
        }
        self.head.forward(frames, lengths.as_ref())
    }
}
