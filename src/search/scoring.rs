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
    // Clips of one length side by side: little padding, and none where all are alike.
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|&at| corpus.judged_samples(items[at]));
    let n_classes = corpus.labels().len();
    let mut all = vec![0.0; items.len() * n_classes];
    for chunk in order.chunks(EVALUATION_BATCH) {
        let chunk_items: Vec<usize> = chunk.iter().map(|&at| items[at]).collect();
        let batch = corpus.evaluation_batch(&chunk_items);
        for (row, &at) in forward(network, corpus, &batch, device)
            .chunks_exact(n_classes)
            .zip(chunk)
        {
            all[at * n_classes..(at + 1) * n_classes].copy_from_slice(row);
        }
    }
    all
}

/// The same of the first `n_samples` of each item, all of which are at least as long.
pub fn logits_of_first(
    network: &Network,
    corpus: &Corpus,
    items: &[usize],
    n_samples: usize,
    device: &Device,
) -> Vec<f32> {
    let chunks = items.chunks(EVALUATION_BATCH);
    chunks
        .flat_map(|chunk| {
            let batch = corpus.first_batch(chunk, n_samples);
            forward(network, corpus, &batch, device)
        })
        .collect()
}

fn forward(network: &Network, corpus: &Corpus, batch: &Batch, device: &Device) -> Vec<f32> {
    let lengths = corpus.lengths(batch);
    let frames = frames_tensor(batch, device);
    let logits = network.forward_padded(frames, lengths.as_ref());
    logits.into_data().iter::<f32>().collect()
}

/// `[batch, n_mels, n_frames]` on the device.
pub(super) fn frames_tensor(batch: &Batch, device: &Device) -> Tensor<3> {
    let shape = [batch.len(), batch.n_mels, batch.n_frames];
    Tensor::from_data(TensorData::new(batch.frames.clone(), shape), device)
}
