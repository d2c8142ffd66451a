//! What a network says of clips, and how well it does.

use auricle_datasets::Split;
use auricle_datasets::batch::Batch;
use burn::tensor::{Device, Tensor, TensorData};

use super::corpus::Corpus;
use super::trial::Scores;
use crate::model::Network;

/// Clips evaluated at a time.
const EVALUATION_BATCH: usize = 256;

/// Mean loss and accuracy of a network over a split.
///
/// The logits of all of `base` are added to its own; they may be none.
pub fn score(
    network: &Network,
    base: &[Network],
    corpus: &Corpus,
    split: Split,
    device: &Device,
) -> Scores {
    let items = corpus.items(split);
    let mut logits = logits(network, corpus, &items, device);
    for one in base {
        let added = self::logits(one, corpus, &items, device);
        for (sum, value) in logits.iter_mut().zip(added) {
            *sum += value;
        }
    }
    let n_classes = corpus.labels().len();
    let (mut loss, mut n_right) = (0.0, 0_usize);
    for (row, &item) in logits.chunks_exact(n_classes).zip(&items) {
        let class = corpus.class(item);
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = row
            .iter()
            .map(|&logit| f64::from(logit - largest).exp())
            .sum();
        loss += sum.ln() - f64::from(row[class] - largest);
        let first_largest = row.iter().position(|&logit| logit == largest);
        n_right += usize::from(first_largest == Some(class));
    }
    let n = items.len().max(1) as f64;
    Scores {
        validation_loss: loss / n,
        validation_accuracy: n_right as f64 / n,
    }
}

/// The logits of each item, `[n_items, n_classes]` row-major. The device is without autodiff.
pub fn logits(network: &Network, corpus: &Corpus, items: &[usize], device: &Device) -> Vec<f32> {
    let mut all = Vec::with_capacity(items.len() * corpus.labels().len());
    for chunk in items.chunks(EVALUATION_BATCH) {
        let batch = corpus.evaluation_batch(chunk);
        let logits = network.forward(frames_tensor(&batch, device)).into_data();
        all.extend(logits.iter::<f32>());
    }
    all
}

/// `[batch, n_mels, n_frames]` on the device.
pub(super) fn frames_tensor(batch: &Batch, device: &Device) -> Tensor<3> {
    let shape = [batch.len(), batch.n_mels, batch.n_frames];
    Tensor::from_data(TensorData::new(batch.frames.clone(), shape), device)
}
