//! From frames to one answer: pooling over a bounded window of the past, then one matrix.
//!
//! The window is bounded so that a stream forgets: at every step the answer speaks of the last
//! `window_frames` feature frames, fewer at the start. Padding behind a clip's last frame is never read.

mod step;

#[cfg(feature = "search")]
mod net;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::blocks::svdf::SvdfSpec;
use super::cost::Tally;
use super::genome::{GenomeError, MAX_CHANNELS, MAX_FRAMES, check_range};
use super::layers::linear::LinearShape;
use super::port::Port;
use super::wiring::Wiring;

#[cfg(feature = "search")]
pub use net::HeadNet;
pub use step::HeadStep;

/// Added to a variance before its root.
pub(crate) const VARIANCE_FLOOR: f32 = 1e-5;

/// Layers of the fixed decoder.
const N_DECODER_LAYERS: usize = 3;

/// One layer of the fixed decoder.
const DECODER_LAYER: SvdfSpec = SvdfSpec {
    n_units: 32,
    memory_frames: 32,
};

/// How frames become one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Head {
    /// The mean of each channel.
    Mean { window_frames: usize },
    /// The mean and the standard deviation of each channel (Snyder et al. 2018).
    Statistics { window_frames: usize },
    /// The same, each frame weighted by `softmax over the window of v tanh(W x + b)` (Okabe et al. 2018; the
    /// score's own offset is left out, a softmax does not see it). `n_hidden`: rows of `W`.
    AttentiveStatistics {
        window_frames: usize,
        n_hidden: usize,
    },
    /// The mean and the standard deviation of each channel, then a matrix to `n_hidden` values and ReLU: the layer
    /// that an x-vector is read from (Snyder et al. 2018, segment 6; its normalisation and segment 7 are left out).
    StatisticsEmbedding {
        window_frames: usize,
        n_hidden: usize,
    },
    /// The last frame as it is: for blocks that remember.
    Last {},
    /// Three SVDF layers of 32 units that remember 32 frames, then the last frame: the decoder that is held
    /// fixed while the encoder before it is searched (Mazzawi et al. 2019).
    SvdfDecoder {},
}

impl Head {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        if let Self::AttentiveStatistics { n_hidden, .. }
        | Self::StatisticsEmbedding { n_hidden, .. } = self
        {
            check_range(place, "n_hidden", *n_hidden, MAX_CHANNELS)?;
        }
        check_range(place, "window_frames", self.window_frames(), MAX_FRAMES)
    }

    /// Feature frames that one answer pools; 1 where only the last frame answers.
    pub fn window_frames(&self) -> usize {
        match self {
            Self::Mean { window_frames }
            | Self::Statistics { window_frames }
            | Self::AttentiveStatistics { window_frames, .. }
            | Self::StatisticsEmbedding { window_frames, .. } => *window_frames,
            Self::Last {} | Self::SvdfDecoder {} => 1,
        }
    }

    /// Steps that one answer pools where steps lie `jump_frames` feature frames apart, at least one.
    pub(crate) fn n_window(&self, jump_frames: usize) -> usize {
        self.window_frames().div_ceil(jump_frames).max(1)
    }

    pub(crate) fn has_deviation(&self) -> bool {
        matches!(
            self,
            Self::Statistics { .. }
                | Self::AttentiveStatistics { .. }
                | Self::StatisticsEmbedding { .. }
        )
    }

    /// The layers before the pooling, each with the prefix of its weights' names.
    pub(crate) fn decoder(&self, n_features: usize) -> Vec<(String, Wiring)> {
        let n_layers = match self {
            Self::SvdfDecoder {} => N_DECODER_LAYERS,
            _ => 0,
        };
        let mut port = Port::flat(n_features);
        let mut wirings = Vec::with_capacity(n_layers);
        for i in 0..n_layers {
            let wiring = DECODER_LAYER.wiring(port);
            port = wiring.output();
            wirings.push((format!("head.decoder.{i}"), wiring));
        }
        wirings
    }

    /// Values of a frame that is pooled.
    pub(crate) fn n_pooled(&self, n_features: usize) -> usize {
        match self {
            Self::SvdfDecoder {} => DECODER_LAYER.n_units,
            _ => n_features,
        }
    }

    /// The two matrices that weigh a frame.
    pub(crate) fn attention(&self, n_features: usize) -> Option<[LinearShape; 2]> {
        let Self::AttentiveStatistics { n_hidden, .. } = *self else {
            return None;
        };
        let shape = |n_in, n_out, bias| LinearShape { n_in, n_out, bias };
        Some([shape(n_features, n_hidden, true), shape(n_hidden, 1, false)])
    }

    /// Values that leave the pooling.
    pub(crate) fn n_statistics(&self, n_features: usize) -> usize {
        let n_each = if self.has_deviation() { 2 } else { 1 };
        self.n_pooled(n_features) * n_each
    }

    /// The matrix between pooling and classifier, where there is one.
    pub(crate) fn embedding(&self, n_features: usize) -> Option<LinearShape> {
        let Self::StatisticsEmbedding { n_hidden, .. } = *self else {
            return None;
        };
        Some(LinearShape {
            n_in: self.n_statistics(n_features),
            n_out: n_hidden,
            bias: true,
        })
    }

    pub(crate) fn classifier(&self, n_features: usize, n_classes: usize) -> LinearShape {
        let embedding = self.embedding(n_features);
        LinearShape {
            n_in: embedding.map_or(self.n_statistics(n_features), |shape| shape.n_out),
            n_out: n_classes,
            bias: true,
        }
    }

    /// Floats that one remembered frame of the window takes: its values, and its score where it has one.
    fn n_values_per_step(&self, n_features: usize) -> usize {
        let n_scores = usize::from(self.attention(n_features).is_some());
        self.n_pooled(n_features) + n_scores
    }

    /// Floats that the stepping form remembers behind blocks that answer every `jump_frames`.
    pub fn n_state_values(&self, n_features: usize, jump_frames: usize) -> u64 {
        let decoder = self.decoder(n_features);
        let decoder = decoder.iter().map(|(_, wiring)| wiring.n_state_values());
        let window = self.n_window(jump_frames) * self.n_values_per_step(n_features);
        decoder.sum::<u64>() + window as u64
    }

    pub(crate) fn account(&self, n_features: usize, n_classes: usize, tally: &mut Tally) {
        for (_, wiring) in self.decoder(n_features) {
            wiring.account(tally);
        }
        for matrix in self.attention(n_features).iter().flatten() {
            tally.layer(matrix);
        }
        let n_steps = tally.steps_in(self.window_frames());
        tally.window(n_steps, self.n_values_per_step(n_features));
        if let Some(embedding) = self.embedding(n_features) {
            tally.layer(&embedding);
        }
        tally.layer(&self.classifier(n_features, n_classes));
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean { window_frames } => write!(f, "mean {window_frames}"),
            Self::Statistics { window_frames } => write!(f, "statistics {window_frames}"),
            Self::AttentiveStatistics {
                window_frames,
                n_hidden,
            } => write!(f, "attentive {window_frames}h{n_hidden}"),
            Self::StatisticsEmbedding {
                window_frames,
                n_hidden,
            } => write!(f, "embedding {window_frames}h{n_hidden}"),
            Self::Last {} => write!(f, "last"),
            Self::SvdfDecoder {} => write!(f, "svdf-decoder"),
        }
    }
}

#[cfg(test)]
pub(crate) mod examples {
    use super::Head;

    /// Every kind, windows shorter than the clips of the tests.
    pub(crate) fn heads() -> Vec<Head> {
        vec![
            Head::Mean { window_frames: 20 },
            Head::Statistics { window_frames: 33 },
            Head::AttentiveStatistics {
                window_frames: 21,
                n_hidden: 4,
            },
            Head::StatisticsEmbedding {
                window_frames: 19,
                n_hidden: 6,
            },
            Head::Last {},
            Head::SvdfDecoder {},
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_head_reads_back_from_its_text() {
        for head in examples::heads() {
            let text = serde_json::to_string(&head).unwrap();
            assert_eq!(serde_json::from_str::<Head>(&text).unwrap(), head);
        }
    }

    #[test]
    fn texts_of_heads_written_earlier_mean_the_same() {
        let read = |text| serde_json::from_str::<Head>(text).unwrap();
        let mean = read(r#"{"kind":"mean","window_frames":98}"#);
        assert_eq!(mean, Head::Mean { window_frames: 98 });
        let statistics = read(r#"{"kind":"statistics","window_frames":60}"#);
        assert_eq!(statistics, Head::Statistics { window_frames: 60 });
    }

    #[test]
    fn a_field_that_a_head_does_not_have_is_refused() {
        for text in [
            r#"{"kind":"last","window_frames":98}"#,
            r#"{"kind":"svdf-decoder","n_units":64}"#,
            r#"{"kind":"mean","window_frames":98,"n_hidden":4}"#,
        ] {
            assert!(serde_json::from_str::<Head>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_attention_without_rows_is_refused_with_its_place() {
        let head = Head::AttentiveStatistics {
            window_frames: 98,
            n_hidden: 0,
        };
        assert_eq!(
            head.validate("head").unwrap_err().to_string(),
            "head: n_hidden is 0, expected 1 to 4096"
        );
    }
}
