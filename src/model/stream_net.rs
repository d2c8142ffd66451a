//! The stepping form of a whole network: one feature frame in, logits out, state in between.
//!
//! Equal to the whole-clip form within rounding, allocates nothing after it is made, and knows
//! neither audio nor threshold. The first frames of a stream are treated as a clip's first frames
//! are: with zeros before them.

use super::genome::{Genome, GenomeError, Ports};
use super::head::HeadStep;
use super::weights::{Weights, WeightsError};
use super::wiring::WiringStep;

/// A network that listens.
#[derive(Clone, Debug)]
pub struct StreamNet {
    mean: Vec<f32>,
    inv_deviation: Vec<f32>,
    scaled: Vec<f32>,
    blocks: Vec<WiringStep>,
    head: HeadStep,
    logits: Vec<f32>,
    jump_frames: usize,
}

/// Why a network cannot be made of a genome and weights.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error(transparent)]
    Genome(#[from] GenomeError),
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

impl StreamNet {
    /// Reads the weights by the genome's names and shapes.
    pub fn new(genome: &Genome, ports: &Ports, weights: &Weights) -> Result<Self, NetworkError> {
        genome.validate()?;
        let wirings = genome.wirings(ports.n_mels);
        let blocks = wirings
            .iter()
            .map(|(prefix, wiring)| WiringStep::load(wiring, prefix, weights))
            .collect::<Result<_, _>>()?;
        let jump_frames = wirings
            .iter()
            .map(|(_, wiring)| wiring.stride_frames())
            .product();
        let n_features = genome.features_port(ports.n_mels).n_values();
        let n_mels = ports.n_mels;
        Ok(Self {
            mean: weights.get("input.mean", &[n_mels])?.to_vec(),
            inv_deviation: weights.get("input.inv_deviation", &[n_mels])?.to_vec(),
            scaled: vec![0.0; n_mels],
            blocks,
            head: HeadStep::load(
                &genome.head,
                n_features,
                ports.n_classes,
                jump_frames,
                weights,
            )?,
            logits: vec![0.0; ports.n_classes],
            jump_frames,
        })
    }

    /// Takes one frame `[n_mels]`; logits `[n_classes]` where this frame completes a step, else `None`.
    ///
    /// # Panics
    ///
    /// If the frame does not hold `n_mels` values.
    pub fn step(&mut self, frame: &[f32]) -> Option<&[f32]> {
        assert_eq!(frame.len(), self.mean.len(), "bands in a frame");
        let statistics = self.mean.iter().zip(&self.inv_deviation);
        let values = frame.iter().zip(statistics);
        for (scaled, (value, (mean, inv_deviation))) in self.scaled.iter_mut().zip(values) {
            *scaled = (value - mean) * inv_deviation;
        }
        let mut frame = &self.scaled[..];
        for block in &mut self.blocks {
            frame = block.step(frame)?;
        }
        self.head.step(frame, &mut self.logits);
        Some(&self.logits)
    }

    /// Feature frames from one answer to the next.
    pub fn jump_frames(&self) -> usize {
        self.jump_frames
    }

    /// Back to the silence before the first frame.
    pub fn reset(&mut self) {
        self.blocks.iter_mut().for_each(WiringStep::reset);
        self.head.reset();
    }

    /// Bytes remembered between frames.
    pub fn state_bytes(&self) -> u64 {
        let blocks = self.blocks.iter().map(WiringStep::n_state_values);
        4 * (blocks.sum::<usize>() + self.head.n_state_values()) as u64
    }
}
