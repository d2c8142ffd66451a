//! The stepping form of a head: one frame in, logits out, the window in between.

use super::{Head, VARIANCE_FLOOR};
use crate::model::layers::linear::LinearStep;
use crate::model::layers::{History, Step, add_scaled, relu};
use crate::model::weights::{Weights, WeightsError};
use crate::model::wiring::WiringStep;

/// The stepping form. All its memory is made when it is loaded.
#[derive(Clone, Debug)]
pub struct HeadStep {
    decoder: Vec<WiringStep>,
    attention: Option<Attention>,
    has_deviation: bool,
    window: History,
    n_window: usize,
    n_seen: usize,
    /// Share of each seen frame in the pool.
    shares: Vec<f32>,
    pooled: Vec<f32>,
    /// The matrix behind the pooling and what it answers.
    embedding: Option<(LinearStep, Vec<f32>)>,
    classifier: LinearStep,
}

/// A score for each frame of the window.
#[derive(Clone, Debug)]
struct Attention {
    matrix: LinearStep,
    vector: LinearStep,
    hidden: Vec<f32>,
    scores: History,
}

impl HeadStep {
    /// `jump_frames`: feature frames from one step to the next.
    pub fn load(
        head: &Head,
        n_features: usize,
        n_classes: usize,
        jump_frames: usize,
        weights: &Weights,
    ) -> Result<Self, WeightsError> {
        let n_window = head.n_window(jump_frames);
        let classifier = head.classifier(n_features, n_classes);
        let decoder = head.decoder(n_features);
        let decoder = decoder
            .iter()
            .map(|(prefix, wiring)| WiringStep::load(wiring, prefix, weights));
        let attention = head.attention(n_features).map(|[matrix, vector]| {
            Ok(Attention {
                matrix: LinearStep::load(matrix, "head.attention.matrix", weights)?,
                vector: LinearStep::load(vector, "head.attention.vector", weights)?,
                hidden: vec![0.0; matrix.n_out],
                scores: History::new(n_window, 1),
            })
        });
        let embedding = head.embedding(n_features).map(|shape| {
            let matrix = LinearStep::load(shape, "head.embedding", weights)?;
            Ok((matrix, vec![0.0; shape.n_out]))
        });
        Ok(Self {
            decoder: decoder.collect::<Result<_, _>>()?,
            attention: attention.transpose()?,
            has_deviation: head.has_deviation(),
            window: History::new(n_window, head.n_pooled(n_features)),
            n_window,
            n_seen: 0,
            shares: vec![0.0; n_window],
            pooled: vec![0.0; head.n_statistics(n_features)],
            embedding: embedding.transpose()?,
            classifier: LinearStep::load(classifier, "head.classifier", weights)?,
        })
    }

    /// Takes one frame `[n_features]`, leaves `[n_classes]` logits in `output`.
    pub fn step(&mut self, frame: &[f32], output: &mut [f32]) {
        let mut frame = frame;
        for layer in &mut self.decoder {
            frame = layer.step(frame).expect("a decoder has no stride");
        }
        self.window.push(frame);
        self.n_seen = (self.n_seen + 1).min(self.n_window);
        let first = self.n_window - self.n_seen;
        let shares = &mut self.shares[..self.n_seen];
        match &mut self.attention {
            None => shares.fill(1.0 / self.n_seen as f32),
            Some(attention) => {
                attention.push(frame);
                attention.weigh(first, shares);
            }
        }
        let (mean, deviation) = self.pooled.split_at_mut(frame.len());
        mean.fill(0.0);
        for (i, &share) in shares.iter().enumerate() {
            add_scaled(mean, share, self.window.frame(first + i));
        }
        if self.has_deviation {
            deviation.fill(VARIANCE_FLOOR);
            for (i, share) in shares.iter().enumerate() {
                let past = self.window.frame(first + i).iter().zip(&*mean);
                for (sum, (value, mean)) in deviation.iter_mut().zip(past) {
                    *sum += share * (value - mean) * (value - mean);
                }
            }
            for value in deviation {
                *value = value.sqrt();
            }
        }
        match &mut self.embedding {
            None => self.classifier.step(&self.pooled, output),
            Some((matrix, hidden)) => {
                matrix.step(&self.pooled, hidden);
                relu(hidden);
                self.classifier.step(hidden, output)
            }
        };
    }

    /// Back to silence.
    pub fn reset(&mut self) {
        self.decoder.iter_mut().for_each(WiringStep::reset);
        if let Some(attention) = &mut self.attention {
            attention.scores.clear();
        }
        self.window.clear();
        self.n_seen = 0;
    }

    pub fn n_state_values(&self) -> usize {
        let decoder = self.decoder.iter().map(WiringStep::n_state_values);
        let scores = self.attention.as_ref();
        let scores = scores.map_or(0, |attention| attention.scores.n_values());
        decoder.sum::<usize>() + scores + self.window.n_values()
    }
}

impl Attention {
    /// Scores a frame and remembers the score: it does not change as the frame grows old.
    fn push(&mut self, frame: &[f32]) {
        self.matrix.step(frame, &mut self.hidden);
        for value in &mut self.hidden {
            *value = value.tanh();
        }
        let mut score = [0.0];
        self.vector.step(&self.hidden, &mut score);
        self.scores.push(&score);
    }

    /// The softmax of the scores from `first` on.
    fn weigh(&self, first: usize, shares: &mut [f32]) {
        let score = |i: usize| self.scores.frame(first + i)[0];
        let highest = (0..shares.len()).map(score).fold(f32::MIN, f32::max);
        let mut sum = 0.0;
        for (i, share) in shares.iter_mut().enumerate() {
            *share = (score(i) - highest).exp();
            sum += *share;
        }
        for share in shares {
            *share /= sum;
        }
    }
}
