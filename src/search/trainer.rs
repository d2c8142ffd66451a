//! One training, as a function: weights in, better weights and their scores out, or a typed failure.
//!
//! AdamW, warm-up and cosine, label smoothing, early stopping by validation loss; what is kept is the
//! best epoch's weights. It neither knows how the genome was chosen nor where the weights came from.

use auricle_datasets::Split;
use auricle_datasets::augment::{AugmentError, AugmentSpec};
use auricle_datasets::batch::Batch;
use auricle_datasets::sampler::{SamplerSpec, epoch_order};
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::Watch;
use super::corpus::Corpus;
use super::schedule::learning_rate;
use super::trial::{CurvePoint, Scores};
use crate::model::stream_net::NetworkError;
use crate::model::{Genome, Network, Weights};

/// Clips evaluated at a time.
const EVALUATION_BATCH: usize = 256;

/// How a network is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSpec {
    pub n_epochs: usize,
    pub batch_size: usize,
    /// Peak of the schedule.
    pub learning_rate: f64,
    /// Share of all steps that climb to the peak.
    pub warmup_share: f64,
    /// Decoupled weight decay (Loshchilov & Hutter 2019).
    pub weight_decay: f32,
    /// Probability that is spread evenly over all classes (Szegedy et al. 2016).
    pub label_smoothing: f32,
    /// Epochs without a better validation loss after which the training ends; `None` never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience_epochs: Option<usize>,
    pub sampler: SamplerSpec,
    pub augment: AugmentSpec,
}

/// A setting that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum TrainSpecError {
    #[error("train.{field}: found {found}, expected {expected}")]
    OutOfRange {
        field: &'static str,
        found: String,
        expected: &'static str,
    },
    #[error("train.augment.{0}")]
    Augment(#[from] AugmentError),
}

/// A finished training.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Of the best epoch.
    pub weights: Weights,
    pub scores: Scores,
    pub curve: Vec<CurvePoint>,
    pub n_steps: usize,
}

/// Why a training gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("the loss is not finite in epoch {epoch}")]
    NonFinite { epoch: usize },
    #[error("stopped")]
    Stopped,
    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl TrainSpec {
    /// Checks ranges.
    pub fn validate(&self) -> Result<(), TrainSpecError> {
        let range = |field, found: f64, low: f64, high: f64, expected| {
            if (low..=high).contains(&found) {
                return Ok(());
            }
            Err(TrainSpecError::OutOfRange {
                field,
                found: found.to_string(),
                expected,
            })
        };
        range("n_epochs", self.n_epochs as f64, 1.0, 1e5, "1 to 100,000")?;
        range(
            "batch_size",
            self.batch_size as f64,
            2.0,
            65_536.0,
            "2 to 65,536",
        )?;
        range(
            "learning_rate",
            self.learning_rate,
            1e-7,
            10.0,
            "1e-7 to 10",
        )?;
        range("warmup_share", self.warmup_share, 0.0, 1.0, "0 to 1")?;
        range(
            "weight_decay",
            self.weight_decay.into(),
            0.0,
            10.0,
            "0 to 10",
        )?;
        range(
            "label_smoothing",
            self.label_smoothing.into(),
            0.0,
            0.9,
            "0 to 0.9",
        )?;
        if let Some(patience) = self.patience_epochs {
            range("patience_epochs", patience as f64, 1.0, 1e5, "1 to 100,000")?;
        }
        Ok(self.augment.validate()?)
    }
}

/// What is trained, and on what.
pub struct Training<'a> {
    /// Shown to the watcher.
    pub name: &'a str,
    pub genome: &'a Genome,
    pub first_weights: &'a Weights,
    pub corpus: &'a Corpus,
    pub spec: &'a TrainSpec,
    /// Order of clips and their augmentation.
    pub seed: u64,
    /// Without autodiff; the trainer adds it.
    pub device: &'a Device,
}

/// Trains; see the module.
pub fn train(training: &Training, watch: &dyn Watch) -> Result<Outcome, TrainError> {
    let Training {
        genome,
        corpus,
        spec,
        ..
    } = training;
    let ports = corpus.ports();
    let device = training.device.clone().autodiff();
    let items = corpus.items(Split::Train);
    let labels: Vec<usize> = items.iter().map(|&item| corpus.class(item)).collect();
    let n_steps_per_epoch = items.len().div_ceil(spec.batch_size);
    let n_steps = n_steps_per_epoch * spec.n_epochs;
    let mut network = Network::load(genome, &ports, training.first_weights, &device)?;
    let mut optimizer = AdamWConfig::new()
        .with_weight_decay(spec.weight_decay)
        .with_epsilon(1e-8)
        .init();
    let mut best: Option<Outcome> = None;
    let mut best_epoch = 0;
    let mut curve = Vec::new();
    let mut step = 0;
    for epoch in 0..spec.n_epochs {
        let order = epoch_order(spec.sampler, &labels, training.seed, epoch as u64);
        let mut loss_sum: Option<Tensor<1>> = None;
        for chunk in order.chunks(spec.batch_size) {
            if watch.stopped() {
                return Err(TrainError::Stopped);
            }
            let rate = learning_rate(spec.learning_rate, spec.warmup_share, step, n_steps);
            step += 1;
            // A batch of one has no variance to normalise by.
            if chunk.len() < 2 {
                continue;
            }
            let chunk: Vec<usize> = chunk.iter().map(|&index| items[index]).collect();
            let batch = corpus.training_batch(&chunk, &spec.augment, training.seed, epoch as u64);
            let logits = network.forward(frames_tensor(&batch, &device));
            let targets = targets_tensor(&batch, ports.n_classes, spec.label_smoothing, &device);
            let loss = cross_entropy(logits, targets);
            let value = loss.clone().detach().inner();
            loss_sum = Some(match loss_sum {
                Some(sum) => sum + value,
                None => value,
            });
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(rate, network, gradients);
        }
        let train_loss = match loss_sum {
            Some(sum) => f64::from(sum.into_scalar::<f32>()) / n_steps_per_epoch as f64,
            None => 0.0,
        };
        let scores = score(&network.valid(), corpus, Split::Validation, training.device);
        let point = CurvePoint {
            epoch: epoch + 1,
            train_loss,
            validation_loss: scores.validation_loss,
            validation_accuracy: scores.validation_accuracy,
        };
        if !point.train_loss.is_finite() || !point.validation_loss.is_finite() {
            return Err(TrainError::NonFinite { epoch: epoch + 1 });
        }
        curve.push(point);
        watch.epoch(training.name, &point, spec.n_epochs);
        let is_better = best
            .as_ref()
            .is_none_or(|best| scores.validation_loss < best.scores.validation_loss);
        if is_better {
            best_epoch = epoch;
            best = Some(Outcome {
                weights: network.store(genome, &ports),
                scores,
                curve: Vec::new(),
                n_steps: step,
            });
        }
        let n_since = epoch - best_epoch;
        if spec
            .patience_epochs
            .is_some_and(|patience| n_since >= patience)
        {
            break;
        }
    }
    let best = best.expect("at least one epoch was trained");
    Ok(Outcome {
        curve,
        n_steps: step,
        ..best
    })
}

/// Mean loss and accuracy of a network over a split.
pub fn score(network: &Network, corpus: &Corpus, split: Split, device: &Device) -> Scores {
    let items = corpus.items(split);
    let logits = logits(network, corpus, &items, device);
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
fn frames_tensor(batch: &Batch, device: &Device) -> Tensor<3> {
    let shape = [batch.len(), batch.n_mels, batch.n_frames];
    Tensor::from_data(TensorData::new(batch.frames.clone(), shape), device)
}

/// `[batch, n_classes]`: one for the right class, smoothed.
fn targets_tensor(batch: &Batch, n_classes: usize, smoothing: f32, device: &Device) -> Tensor<2> {
    let floor = smoothing / n_classes as f32;
    let mut targets = vec![floor; batch.len() * n_classes];
    for (row, &class) in batch.labels.iter().enumerate() {
        targets[row * n_classes + class] += 1.0 - smoothing;
    }
    Tensor::from_data(TensorData::new(targets, [batch.len(), n_classes]), device)
}

/// Mean over the batch of `-sum(targets * log softmax(logits))`.
fn cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let n_batch = logits.dims()[0] as f32;
    (log_softmax(logits, 1) * targets).sum().neg() / n_batch
}
