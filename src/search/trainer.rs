//! One training, as a function: weights in, better weights and their scores out, or a typed failure.
//!
//! Warm-up and a schedule, label smoothing, early stopping by validation loss, on request a teacher or a frozen
//! base; what is kept is the best epoch's weights. Between epochs it asks whether to go on, and what it has then
//! can be kept and taken up again. It neither knows how the genome was chosen nor where the weights came from.

use auricle_datasets::Split;
use auricle_datasets::batch::Batch;
use auricle_datasets::sampler::epoch_order;
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Bytes, Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::Watch;
use super::checkpoint::{Checkpoint, Progress};
use super::corpus::Corpus;
use super::distil::{DistilSpec, mean_logits};
use super::mixup::Mixed;
use super::optimizer::{add_l2, clip_global_norm};
use super::scoring::{frames_tensor, score};
pub use super::train_spec::{TrainSpec, TrainSpecError};
use super::trial::{CurvePoint, Scores};
use super::worker::seed_for;
use crate::model::ops::memory::keep_freed_memory;
use crate::model::stream_net::NetworkError;
use crate::model::{Dropout, Genome, Network, Weights};

/// A finished training.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Of the best epoch.
    pub weights: Weights,
    pub scores: Scores,
    pub curve: Vec<CurvePoint>,
    pub n_steps: usize,
}

/// How a training ended that did not fail.
#[derive(Clone, Debug)]
pub enum Ending {
    /// All epochs done, or no better for long enough.
    Done(Outcome),
    /// Enough for now, by the verdict.
    Paused(Box<Checkpoint>),
    /// The watcher said stop: as it was after the last whole epoch, `None` before the end of the first.
    Stopped(Option<Box<Checkpoint>>),
    /// Asked to give up: it can no longer win.
    GivenUp(Outcome),
}

/// What is asked of a training after each epoch. After the last it is done whatever is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    GoOn,
    /// Enough for now: keep it for later.
    Pause,
    /// It can no longer win.
    GiveUp,
}

/// Why a training failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("the loss is not finite in epoch {epoch}")]
    NonFinite { epoch: usize },
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error("the optimiser's record does not fit: {0}")]
    Record(String),
}

/// Where a training begins.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    Fresh(&'a Weights),
    Resumed(&'a Checkpoint),
}

/// Networks that help and are not trained. They lie on the device without autodiff.
#[derive(Clone, Copy, Default)]
pub struct Guides<'a> {
    /// Whose averaged answers are learned from.
    pub teacher: Option<(&'a DistilSpec, &'a [Network])>,
    /// Whose logits are all added to its own: it learns what they leave over (boosting).
    pub base: &'a [Network],
}

/// What is trained, and on what.
pub struct Training<'a> {
    /// Shown to the watcher.
    pub name: &'a str,
    pub genome: &'a Genome,
    pub start: Start<'a>,
    pub corpus: &'a Corpus,
    pub spec: &'a TrainSpec,
    pub guides: Guides<'a>,
    /// Order of clips, their augmentation, dropout.
    pub seed: u64,
    /// Without autodiff; the trainer adds it.
    pub device: &'a Device,
    /// Asked after each epoch, with the curve so far.
    pub verdict: &'a (dyn Fn(&[CurvePoint]) -> Verdict + Sync),
}

/// A training between two epochs.
struct Learner<'a> {
    training: &'a Training<'a>,
    /// With autodiff.
    device: Device,
    /// Away only while a step is made.
    network: Option<Network>,
    optimizer: ModuleOptimizer,
    items: Vec<usize>,
    labels: Vec<usize>,
    n_steps: usize,
    step: usize,
    curve: Vec<CurvePoint>,
    best: Option<Best>,
}

struct Best {
    epoch: usize,
    scores: Scores,
    weights: Weights,
}

/// Who trains. [`NetworkTrainer`] does; a test may have another.
pub trait Trainer: Sync {
    fn train(&self, training: &Training, watch: &dyn Watch) -> Result<Ending, TrainError>;
}

/// Trains networks on the training's device.
pub struct NetworkTrainer;

impl Trainer for NetworkTrainer {
    fn train(&self, training: &Training, watch: &dyn Watch) -> Result<Ending, TrainError> {
        train(training, watch)
    }
}

/// Trains; see the module.
pub fn train(training: &Training, watch: &dyn Watch) -> Result<Ending, TrainError> {
    keep_freed_memory();
    let mut learner = Learner::new(training)?;
    let spec = training.spec;
    // What could be taken up again: as it was after the last whole epoch.
    let mut kept = match training.start {
        Start::Fresh(_) => None,
        Start::Resumed(checkpoint) => Some(Box::new(checkpoint.clone())),
    };
    while learner.curve.len() < spec.n_epochs && !learner.has_no_patience_left() {
        let Some(train_loss) = learner.epoch(watch) else {
            return Ok(Ending::Stopped(kept));
        };
        learner.judge(train_loss, watch)?;
        let checkpoint = Box::new(learner.checkpoint()?);
        let is_last = learner.curve.len() >= spec.n_epochs;
        match (training.verdict)(&learner.curve) {
            _ if is_last => {}
            Verdict::GoOn => {
                watch.checkpoint(training.name, &checkpoint);
                kept = Some(checkpoint);
            }
            Verdict::Pause => return Ok(Ending::Paused(checkpoint)),
            Verdict::GiveUp => return Ok(Ending::GivenUp(learner.outcome())),
        }
    }
    Ok(Ending::Done(learner.outcome()))
}

impl<'a> Learner<'a> {
    fn new(training: &'a Training<'a>) -> Result<Self, TrainError> {
        let Training { corpus, spec, .. } = training;
        let device = training.device.clone().autodiff();
        let items = corpus.items(Split::Train);
        let labels = items.iter().map(|&item| corpus.class(item)).collect();
        let load = |weights| Network::load(training.genome, &corpus.ports(), weights, &device);
        let optimizer = spec.optimizer.build(spec.weight_decay);
        let n_steps = items.len().div_ceil(spec.batch_size) * spec.n_epochs;
        let mut learner = match training.start {
            Start::Fresh(weights) => Self {
                network: Some(load(weights)?),
                optimizer,
                curve: Vec::new(),
                best: None,
                step: 0,
                training,
                device: device.clone(),
                items,
                labels,
                n_steps,
            },
            Start::Resumed(Checkpoint {
                progress,
                last,
                best,
                optimizer: record,
            }) => Self {
                network: Some(load(last)?),
                optimizer: optimizer
                    .from_bytes(Bytes::from_bytes_vec(record.clone()))
                    .map_err(|error| TrainError::Record(error.to_string()))?,
                curve: progress.curve.clone(),
                best: Some(Best {
                    epoch: progress.best_epoch,
                    scores: progress.best_scores,
                    weights: best.clone(),
                }),
                step: progress.n_steps,
                training,
                device: device.clone(),
                items,
                labels,
                n_steps,
            },
        };
        learner.n_steps = learner.n_steps.max(1);
        Ok(learner)
    }

    /// One pass over the training split; its mean loss, `None` where it was stopped.
    fn epoch(&mut self, watch: &dyn Watch) -> Option<f64> {
        let Training {
            corpus, spec, seed, ..
        } = *self.training;
        let epoch = self.curve.len() as u64;
        let order = epoch_order(spec.sampler, &self.labels, seed, epoch);
        let augment = spec.augment.scaled(spec.augment_strength);
        let mut loss_sum: Option<Tensor<1>> = None;
        let mut n_batches = 0_usize;
        for chunk in order.chunks(spec.batch_size) {
            if watch.stopped() {
                return None;
            }
            self.step += 1;
            // A batch of one has no variance to normalise by.
            if chunk.len() < 2 {
                continue;
            }
            n_batches += 1;
            let chunk: Vec<usize> = chunk.iter().map(|&index| self.items[index]).collect();
            let batch = corpus.training_batch(&chunk, &augment, seed, epoch);
            let value = self.learn(batch);
            loss_sum = Some(match loss_sum {
                Some(sum) => sum + value,
                None => value,
            });
        }
        let sum = loss_sum.map_or(0.0, |sum| f64::from(sum.into_scalar::<f32>()));
        Some(sum / n_batches.max(1) as f64)
    }

    /// One step on one batch; its loss.
    fn learn(&mut self, mut batch: Batch) -> Tensor<1> {
        let Training { spec, guides, .. } = self.training;
        let network = self.network.take().expect("it is back after each step");
        let step = self.step - 1;
        let rate = spec
            .schedule
            .rate_at(spec.learning_rate, spec.warmup_share, step, self.n_steps);
        let mixed = spec.mixup.and_then(|mixup| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed_for(self.training.seed, "mixup"));
            rng.set_stream(step as u64);
            mixup.mix(&mut batch, &mut rng)
        });
        let batch = &batch;
        let frames = frames_tensor(batch, &self.device);
        let lengths = self.training.corpus.lengths(batch);
        let lengths = lengths.as_ref();
        let plain = frames.clone().inner();
        let say = |networks: &[Network]| -> Vec<Tensor<2>> {
            let logits = networks
                .iter()
                .map(|network| network.forward_padded(plain.clone(), lengths));
            logits.map(Tensor::from_inner).collect()
        };
        let mut logits = if spec.dropout > 0.0 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed_for(self.training.seed, "dropout"));
            rng.set_stream(step as u64);
            let mut dropout = Dropout {
                rate: spec.dropout,
                rng: &mut rng,
            };
            network.forward_dropping(frames, lengths, &mut dropout)
        } else {
            network.forward_padded(frames, lengths)
        };
        for base in say(guides.base) {
            logits = logits + base;
        }
        let n_classes = logits.dims()[1];
        let targets = targets_tensor(
            batch,
            mixed.as_ref(),
            n_classes,
            spec.label_smoothing,
            &self.device,
        );
        let mut loss = cross_entropy(logits.clone(), targets);
        if let Some((distil, networks)) = guides.teacher
            && let Some(teacher) = mean_logits(say(networks))
        {
            let weight = distil.weight_at(step, self.n_steps);
            loss = loss * distil.label_weight + distil.teacher_loss(logits, teacher) * weight;
        }
        let value = loss.clone().detach().inner();
        let mut gradients = GradientsParams::from_grads(loss.backward(), &network);
        if spec.l2 > 0.0 {
            gradients = add_l2(gradients, &network, spec.l2);
        }
        if let Some(max_norm) = spec.max_gradient_norm {
            gradients = clip_global_norm(gradients, &network, max_norm);
        }
        self.network = Some(self.optimizer.step(rate, network, gradients));
        value
    }

    /// Scores the epoch just done on the validation split.
    fn judge(&mut self, train_loss: f64, watch: &dyn Watch) -> Result<(), TrainError> {
        let Training {
            genome,
            corpus,
            spec,
            name,
            device,
            guides,
            ..
        } = self.training;
        let epoch = self.curve.len();
        let valid = self.network().valid();
        let scores = score(&valid, guides.base, corpus, Split::Validation, device);
        let point = CurvePoint {
            epoch: epoch + 1,
            train_loss,
            validation_loss: scores.validation_loss,
            validation_accuracy: scores.validation_accuracy,
        };
        if !point.train_loss.is_finite() || !point.validation_loss.is_finite() {
            return Err(TrainError::NonFinite { epoch: epoch + 1 });
        }
        self.curve.push(point);
        watch.epoch(name, &point, spec.n_epochs);
        let is_better = self
            .best
            .as_ref()
            .is_none_or(|best| scores.validation_loss < best.scores.validation_loss);
        if is_better {
            self.best = Some(Best {
                epoch,
                scores,
                weights: self.network().store(genome, &corpus.ports()),
            });
        }
        Ok(())
    }

    fn network(&self) -> &Network {
        let network = self.network.as_ref();
        network.expect("it is back after each step")
    }

    fn has_no_patience_left(&self) -> bool {
        let (Some(patience), Some(best)) = (self.training.spec.patience_epochs, &self.best) else {
            return false;
        };
        self.curve.len() > best.epoch + patience
    }

    fn checkpoint(&self) -> Result<Checkpoint, TrainError> {
        let best = self.best.as_ref().expect("an epoch was judged");
        let Training { genome, corpus, .. } = self.training;
        let record = self.optimizer.into_bytes();
        let record = record.map_err(|error| TrainError::Record(error.to_string()))?;
        Ok(Checkpoint {
            progress: Progress {
                seed: self.training.seed,
                curve: self.curve.clone(),
                n_steps: self.step,
                best_epoch: best.epoch,
                best_scores: best.scores,
            },
            last: self.network().store(genome, &corpus.ports()),
            best: best.weights.clone(),
            optimizer: record.to_vec(),
        })
    }

    fn outcome(self) -> Outcome {
        let best = self.best.expect("at least one epoch was trained");
        Outcome {
            weights: best.weights,
            scores: best.scores,
            curve: self.curve,
            n_steps: self.step,
        }
    }
}

/// `[batch, n_classes]`: one for the right class, smoothed, mixed as the clips are.
fn targets_tensor(
    batch: &Batch,
    mixed: Option<&Mixed>,
    n_classes: usize,
    smoothing: f32,
    device: &Device,
) -> Tensor<2> {
    let floor = smoothing / n_classes as f32;
    let mut targets = vec![floor; batch.len() * n_classes];
    for (row, &class) in batch.labels.iter().enumerate() {
        targets[row * n_classes + class] += 1.0 - smoothing;
    }
    if let Some(mixed) = mixed {
        mixed.mix_targets(&mut targets, n_classes);
    }
    Tensor::from_data(TensorData::new(targets, [batch.len(), n_classes]), device)
}

/// Mean over the batch of `-sum(targets * log softmax(logits))`.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let n_batch = logits.dims()[0] as f32;
    (log_softmax(logits, 1) * targets).sum().neg() / n_batch
}
