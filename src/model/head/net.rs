//! The trainable form of a head: whole clips in, one answer a clip out, padding masked.

use burn::module::Module;
use burn::tensor::activation::{relu, softmax};
use burn::tensor::{Device, Tensor};
use rand::Rng;

use super::{Head, VARIANCE_FLOOR};
use crate::model::layers::Trainable;
use crate::model::layers::linear::Linear;
use crate::model::lengths::Lengths;
use crate::model::weights::{Weights, WeightsError};
use crate::model::wiring::WiringNet;

/// Below every score of a frame that counts.
const NO_SCORE: f32 = -1e9;

/// The trainable form.
#[derive(Module, Debug)]
pub struct HeadNet {
    decoder: Vec<WiringNet>,
    attention: Option<Attention>,
    embedding: Option<Linear>,
    classifier: Linear,
    n_window: usize,
    has_deviation: bool,
}

/// A score for each frame.
#[derive(Module, Debug)]
struct Attention {
    matrix: Linear,
    vector: Linear,
}

impl Head {
    /// Draws first weights.
    pub fn init(
        &self,
        n_features: usize,
        n_classes: usize,
        weights: &mut Weights,
        rng: &mut impl Rng,
    ) {
        for (prefix, wiring) in self.decoder(n_features) {
            wiring.init(&prefix, weights, rng);
        }
        if let Some([matrix, vector]) = self.attention(n_features) {
            matrix.init("head.attention.matrix", weights, rng);
            vector.init("head.attention.vector", weights, rng);
        }
        if let Some(embedding) = self.embedding(n_features) {
            embedding.init("head.embedding", weights, rng);
        }
        self.classifier(n_features, n_classes)
            .init("head.classifier", weights, rng);
    }
}

impl HeadNet {
    /// `jump_frames`: feature frames from one step to the next.
    pub fn load(
        head: &Head,
        n_features: usize,
        n_classes: usize,
        jump_frames: usize,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let decoder = head.decoder(n_features);
        let decoder = decoder
            .iter()
            .map(|(prefix, wiring)| WiringNet::load(wiring, prefix, weights, device));
        let attention = head.attention(n_features).map(|[matrix, vector]| {
            Ok(Attention {
                matrix: Linear::load(matrix, "head.attention.matrix", weights, device)?,
                vector: Linear::load(vector, "head.attention.vector", weights, device)?,
            })
        });
        let embedding = head.embedding(n_features);
        let embedding =
            embedding.map(|shape| Linear::load(shape, "head.embedding", weights, device));
        let classifier = head.classifier(n_features, n_classes);
        Ok(Self {
            decoder: decoder.collect::<Result<_, _>>()?,
            attention: attention.transpose()?,
            embedding: embedding.transpose()?,
            classifier: Linear::load(classifier, "head.classifier", weights, device)?,
            n_window: head.n_window(jump_frames),
            has_deviation: head.has_deviation(),
        })
    }

    /// Copies the weights out, by the names of the head it was loaded from.
    pub fn store(&self, head: &Head, n_features: usize, weights: &mut Weights) {
        for (layer, (prefix, wiring)) in self.decoder.iter().zip(head.decoder(n_features)) {
            layer.store(&wiring, &prefix, weights);
        }
        if let Some(attention) = &self.attention {
            attention.matrix.store("head.attention.matrix", weights);
            attention.vector.store("head.attention.vector", weights);
        }
        if let Some(embedding) = &self.embedding {
            embedding.store("head.embedding", weights);
        }
        self.classifier.store("head.classifier", weights);
    }

    /// The answer at each clip's last true frame.
    ///
    /// # Shapes
    ///
    /// - `frames`: `[batch, n_features, n_frames]`
    /// - output: `[batch, n_classes]`
    pub fn forward(&self, frames: Tensor<3>, lengths: Option<&Lengths>) -> Tensor<2> {
        let mut frames = frames;
        for layer in &self.decoder {
            frames = layer.forward(frames, lengths);
        }
        let (frames, mask) = self.window(frames, lengths);
        let shares = self.shares(&frames, mask);
        let pool = |values: Tensor<3>| match &shares {
            None => values.mean_dim(2),
            Some(shares) => (values * shares.clone()).sum_dim(2),
        };
        let mean = pool(frames.clone()); // [batch, n_pooled, 1]
        let pooled = if self.has_deviation {
            let variance = pool((frames - mean.clone()).square());
            Tensor::cat(vec![mean, (variance + VARIANCE_FLOOR).sqrt()], 1)
        } else {
            mean
        };
        let mut rows = pooled.squeeze_dim::<2>(2);
        if let Some(embedding) = &self.embedding {
            rows = relu(embedding.forward_rows(rows));
        }
        self.classifier.forward_rows(rows)
    }

    /// What can be pooled, and where clips differ in length `[batch, 1, n_frames]` of one at each frame of a
    /// clip's own window and nought elsewhere.
    fn window(
        &self,
        frames: Tensor<3>,
        lengths: Option<&Lengths>,
    ) -> (Tensor<3>, Option<Tensor<3>>) {
        let n_frames = frames.dims()[2];
        match lengths {
            None => {
                let n_pooled = n_frames.min(self.n_window);
                (frames.narrow(2, n_frames - n_pooled, n_pooled), None)
            }
            Some(lengths) => {
                let mask = lengths.window_mask(n_frames, self.n_window, &frames.device());
                (frames, Some(mask))
            }
        }
    }

    /// The share of each frame in the pool `[batch, 1, n_frames]`; `None` where all share alike.
    fn shares(&self, frames: &Tensor<3>, mask: Option<Tensor<3>>) -> Option<Tensor<3>> {
        let Some(attention) = &self.attention else {
            return mask.map(|mask| {
                let n_pooled = mask.clone().sum_dim(2);
                mask / n_pooled
            });
        };
        let hidden = attention.matrix.forward(frames.clone(), None).tanh();
        let scores = attention.vector.forward(hidden, None); // [batch, 1, n_frames]
        let scores = match mask {
            None => scores,
            Some(mask) => scores.mask_fill(mask.equal_elem(0.0), NO_SCORE),
        };
        Some(softmax(scores, 2))
    }
}
