//! Heads: a pool over a window of the past, then a matrix or two.

use super::Form;
use super::graph::int;
use super::writer::Writer;
use crate::model::WeightsError;
use crate::model::head::{Head, VARIANCE_FLOOR};

/// The score of a frame that was not there: its share is zero, exactly.
const NO_SCORE: f32 = -1e9;

impl Writer<'_> {
    /// `[1, n_features, n_frames]` to logits `[1, n_classes]`.
    pub(super) fn head(
        &mut self,
        head: &Head,
        n_features: usize,
        n_classes: usize,
        frames: &str,
    ) -> Result<String, WeightsError> {
        let mut frames = frames.to_owned();
        for (prefix, wiring) in head.decoder(n_features) {
            frames = self.wiring(&wiring, &prefix, &frames)?;
        }
        let n_pooled = head.n_pooled(n_features);
        let n_window = head.n_window(self.jump_frames);
        let scores = match head.attention(n_features) {
            None => None,
            Some([matrix, vector]) => {
                let hidden = self.linear(&matrix, "head.attention.matrix", &frames)?;
                let hidden = self.op("Tanh", "head.attention.tanh", &[&hidden]);
                Some(self.linear(&vector, "head.attention.vector", &hidden)?)
            }
        };
        let (window, shares) = match self.form {
            Form::Clip => self.window_of_clip(&frames, scores, n_window),
            Form::Stream => self.window_of_stream(&frames, scores, n_pooled, n_window),
        };
        let mean = self.pooled("head.mean", &window, shares.as_deref());
        let statistics = if head.has_deviation() {
            let centred = self.op("Sub", "head.centred", &[&window, &mean]);
            let squares = self.op("Mul", "head.squares", &[&centred, &centred]);
            let variance = self.pooled("head.variance", &squares, shares.as_deref());
            let floor = self.float("head.variance.floor", VARIANCE_FLOOR);
            let variance = self.op("Add", "head.variance.floored", &[&variance, &floor]);
            let deviation = self.op("Sqrt", "head.deviation", &[&variance]);
            self.concat("head.statistics", &[&mean, &deviation], 1)
        } else {
            mean
        };
        let statistics = match head.embedding(n_features) {
            None => statistics,
            Some(shape) => {
                let hidden = self.linear(&shape, "head.embedding", &statistics)?;
                self.op("Relu", "head.embedding.relu", &[&hidden])
            }
        };
        let classifier = head.classifier(n_features, n_classes);
        let logits = self.linear(&classifier, "head.classifier", &statistics)?;
        Ok(self.reshape("head.logits", &logits, &[1, n_classes as i64]))
    }

    fn window_of_clip(
        &mut self,
        frames: &str,
        scores: Option<String>,
        n_window: usize,
    ) -> (String, Option<String>) {
        let window = self.last_frames("head.window", frames, n_window);
        let shares = scores.map(|scores| {
            let scores = self.last_frames("head.scores", &scores, n_window);
            self.op_with("Softmax", "head.shares", &[&scores], vec![int("axis", 2)])
        });
        (window, shares)
    }

    fn window_of_stream(
        &mut self,
        frames: &str,
        scores: Option<String>,
        n_pooled: usize,
        n_window: usize,
    ) -> (String, Option<String>) {
        if n_window == 1 {
            // One frame has all there is to share.
            return (frames.to_owned(), None);
        }
        let window = self
            .past("head.window", frames, n_pooled, n_window - 1)
            .frames;
        let seen = self.seen("head", n_window);
        let in_sight = self.in_sight("head", &seen, n_window);
        let shares = match scores {
            Some(scores) => {
                let scores = self.past("head.scores", &scores, 1, n_window - 1).frames;
                let lowest = self.float("head.no_score", NO_SCORE);
                let name = "head.scores.seen";
                let scores = self.op("Where", name, &[&in_sight, &scores, &lowest]);
                self.op_with("Softmax", "head.shares", &[&scores], vec![int("axis", 2)])
            }
            None => {
                let one = self.float("head.one", 1.0);
                let nothing = self.float("head.nothing", 0.0);
                let share = self.op("Div", "head.share", &[&one, &seen]);
                self.op("Where", "head.shares", &[&in_sight, &share, &nothing])
            }
        };
        (window, Some(shares))
    }

    /// The mean over frames, by shares where there are some: `[1, n_values, 1]`.
    fn pooled(&mut self, name: &str, frames: &str, shares: Option<&str>) -> String {
        match shares {
            None => self.mean(name, frames, 2),
            Some(shares) => {
                let weighted = self.op("Mul", &format!("{name}.parts"), &[frames, shares]);
                self.sum(name, &weighted, 2)
            }
        }
    }
}
