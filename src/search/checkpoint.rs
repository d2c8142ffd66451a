//! A training that was interrupted, as bytes: it goes on from the end of its last whole epoch as if it had never
//! stopped.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use serde::{Deserialize, Serialize};

use super::trial::{CurvePoint, Scores};
use crate::model::{Weights, WeightsError};

/// The state of a training between two epochs.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub progress: Progress,
    /// Of the last epoch.
    pub last: Weights,
    /// Of the best epoch.
    pub best: Weights,
    /// The optimiser's own record.
    pub optimizer: Vec<u8>,
}

/// The numbers of a [`Checkpoint`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// What the training draws from, by which it is told from others that had its name. 0 where an earlier version wrote it.
    #[serde(default)]
    pub seed: u64,
    pub curve: Vec<CurvePoint>,
    /// Steps done, also those of earlier sittings.
    pub n_steps: usize,
    /// Counted from 0.
    pub best_epoch: usize,
    pub best_scores: Scores,
}

/// Bytes that are no checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("not a checkpoint: {0}")]
    Container(String),
    #[error("a checkpoint without its part `{0}`")]
    Missing(&'static str),
    #[error("part `{part}` of a checkpoint: {source}")]
    Weights {
        part: &'static str,
        source: WeightsError,
    },
}

impl Checkpoint {
    /// One safetensors file of four parts, each a row of bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let progress = serde_json::to_vec(&self.progress).expect("progress is plain data");
        let (last, best) = (self.last.to_bytes(), self.best.to_bytes());
        let parts = [
            ("progress", &progress),
            ("last", &last),
            ("best", &best),
            ("optimizer", &self.optimizer),
        ];
        let views: HashMap<&str, TensorView> = parts
            .into_iter()
            .map(|(name, bytes)| {
                let view = TensorView::new(Dtype::U8, vec![bytes.len()], bytes);
                (name, view.expect("a row of bytes has its own length"))
            })
            .collect();
        serialize(views, None).expect("four rows of bytes")
    }

    /// Reads what [`Checkpoint::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let container =
            |error: &dyn std::fmt::Display| CheckpointError::Container(error.to_string());
        let file = SafeTensors::deserialize(bytes).map_err(|e| container(&e))?;
        let part = |name: &'static str| {
            let view = file.tensor(name);
            view.map(|view| view.data().to_vec())
                .map_err(|_| CheckpointError::Missing(name))
        };
        let weights = |name: &'static str| {
            Weights::from_bytes(&part(name)?)
                .map_err(|source| CheckpointError::Weights { part: name, source })
        };
        Ok(Self {
            progress: serde_json::from_slice(&part("progress")?).map_err(|e| container(&e))?,
            last: weights("last")?,
            best: weights("best")?,
            optimizer: part("optimizer")?,
        })
    }

    /// Epochs that are done.
    pub fn n_epochs(&self) -> usize {
        self.progress.curve.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NamedTensor;

    fn checkpoint() -> Checkpoint {
        let weights = |value: f32| {
            let mut weights = Weights::default();
            let tensor = NamedTensor {
                shape: vec![2, 2],
                values: vec![value, 0.1, f32::MIN_POSITIVE, -3.0],
            };
            weights.tensors.insert("head.weight".into(), tensor);
            weights
        };
        Checkpoint {
            progress: Progress {
                seed: 5,
                curve: vec![CurvePoint {
                    epoch: 1,
                    train_loss: 1.0 / 3.0,
                    validation_loss: 0.1 + 0.2,
                    validation_accuracy: 2.0 / 3.0,
                }],
                n_steps: 17,
                best_epoch: 0,
                best_scores: Scores {
                    validation_loss: 0.1 + 0.2,
                    validation_accuracy: 2.0 / 3.0,
                },
            },
            last: weights(1.5),
            best: weights(-1.5),
            optimizer: vec![0, 255, 7],
        }
    }

    #[test]
    fn what_is_written_is_read_back_exactly() {
        let written = checkpoint();
        let read = Checkpoint::from_bytes(&written.to_bytes()).unwrap();
        assert_eq!(read.progress, written.progress);
        assert_eq!((&read.last, &read.best), (&written.last, &written.best));
        assert_eq!(read.optimizer, written.optimizer);
    }

    #[test]
    fn a_cut_file_is_an_error() {
        let bytes = checkpoint().to_bytes();
        for n in [0, 5, bytes.len() / 2, bytes.len() - 1] {
            assert!(Checkpoint::from_bytes(&bytes[..n]).is_err(), "{n} bytes");
        }
    }
}
