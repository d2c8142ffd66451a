//! The trainable whole-clip form of a network, on Burn.
//!
//! It is made from weights and gives weights back; it draws none of its own from a device's
//! generator, so a seed means the same on every device.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::genome::{Genome, Ports};
use super::head::HeadNet;
use super::layers::tensors;
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
        let n_features = wirings.last().map_or(0, |(_, wiring)| wiring.n_out());
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
        let n_features = wirings.last().map_or(0, |(_, wiring)| wiring.n_out());
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
        self.head.store(&mut weights);
        weights
    }

    /// The answer at the last frame of each clip.
    ///
    /// # Shapes
    ///
    /// - `frames`: `[batch, n_mels, n_frames]`, as the front-end gives them
    /// - output: logits `[batch, n_classes]`
    pub fn forward(&self, frames: Tensor<3>) -> Tensor<2> {
        let mean = self.mean.val().unsqueeze_dims::<3>(&[0, 2]);
        let inv_deviation = self.inv_deviation.val().unsqueeze_dims::<3>(&[0, 2]);
        let scaled = (frames - mean) * inv_deviation;
        let frames = self
            .blocks
            .iter()
            .fold(scaled, |frames, block| block.forward(frames));
        self.head.forward(frames)
    }
}
