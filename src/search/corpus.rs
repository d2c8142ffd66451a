//! What a search learns from and is judged by: an ingested corpus, opened once and shared by all
//! trials, and batches of it.
//!
//! Training batches are augmented; evaluation batches are the stored features as they are. The test
//! split is only reached by its name: nothing in this room asks for it but [`Corpus::items`].

use auricle_datasets::augment::{AugmentSpec, NoiseBank, augment_frames, augment_samples};
use auricle_datasets::batch::{Batch, Crop};
use auricle_datasets::seeded::clip_rng;
use auricle_datasets::shard::Shard;
use auricle_datasets::{Split, Utterance};
use auricle_features::{FrontendSpec, LogMel, SpecError, fit_clip};

use crate::model::{InputNorm, Ports};

/// An ingested corpus.
pub struct Corpus {
    labels: Vec<String>,
    utterances: Vec<Utterance>,
    classes: Vec<usize>,
    features: Shard,
    samples: Shard,
    noise: NoiseBank,
    log_mel: LogMel,
    clip_samples: usize,
    norm: InputNorm,
}

/// Why a corpus cannot be learnt from.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    #[error(transparent)]
    Frontend(#[from] SpecError),
    #[error("{what} holds {found} clips, the manifest {expected}: ingest again")]
    Length {
        what: &'static str,
        found: usize,
        expected: usize,
    },
    #[error("the manifest names the label `{found}`, which is not one of {expected:?}")]
    Label {
        found: String,
        expected: Vec<String>,
    },
    #[error("the {split} split is empty: {why}")]
    Empty {
        split: &'static str,
        why: &'static str,
    },
}

/// What a corpus is made of: a finished ingestion, and how it is read.
pub struct CorpusParts {
    pub utterances: Vec<Utterance>,
    /// Row `i` belongs to utterance `i`: frames.
    pub features: Shard,
    /// The same: 16-bit samples.
    pub samples: Shard,
    /// Noise that training may mix in.
    pub noise: Shard,
    pub frontend: FrontendSpec,
    /// Class names, in the order of the network's outputs.
    pub labels: Vec<String>,
    /// Length of the clips that networks see.
    pub clip_ms: u32,
}

impl Corpus {
    /// Checks that the parts fit, and measures the training split's scale.
    pub fn new(parts: CorpusParts) -> Result<Self, CorpusError> {
        let CorpusParts {
            utterances,
            features,
            samples,
            noise: noise_shard,
            frontend,
            labels,
            clip_ms,
        } = parts;
        for (what, shard) in [
            ("the feature shard", &features),
            ("the sample shard", &samples),
        ] {
            if shard.len() != utterances.len() {
                return Err(CorpusError::Length {
                    what,
                    found: shard.len(),
                    expected: utterances.len(),
                });
            }
        }
        let class_of = |utterance: &Utterance| {
            let position = labels.iter().position(|label| *label == utterance.label);
            position.ok_or_else(|| CorpusError::Label {
                found: utterance.label.clone(),
                expected: labels.clone(),
            })
        };
        let classes = utterances.iter().map(class_of).collect::<Result<_, _>>()?;
        let mut noise = NoiseBank::new(frontend.sample_rate_hz);
        for item in 0..noise_shard.len() {
            noise.push(noise_shard.samples(item).to_vec());
        }
        let clip_samples = u64::from(clip_ms) * u64::from(frontend.sample_rate_hz) / 1000;
        let mut corpus = Self {
            labels,
            utterances,
            classes,
            features,
            samples,
            noise,
            log_mel: LogMel::new(&frontend)?,
            clip_samples: clip_samples as usize,
            norm: InputNorm {
                mean: Vec::new(),
                inv_deviation: Vec::new(),
            },
        };
        if corpus.items(Split::Train).is_empty() {
            return Err(CorpusError::Empty {
                split: "train",
                why: "nothing to learn from",
            });
        }
        if corpus.items(Split::Validation).is_empty() {
            return Err(CorpusError::Empty {
                split: "validation",
                why: "nothing to choose by",
            });
        }
        corpus.norm = corpus.measure();
        Ok(corpus)
    }

    /// Class names, in the order of the network's outputs.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// What a genome is plugged between.
    pub fn ports(&self) -> Ports {
        let spec = self.log_mel.spec();
        Ports {
            n_mels: spec.n_mels,
            n_classes: self.labels.len(),
            frames_per_1000_s: (spec.frames_per_second() * 1000.0).round() as u64,
        }
    }

    /// The training split's scale, per band.
    pub fn input_norm(&self) -> &InputNorm {
        &self.norm
    }

    /// The rows of a split, in the manifest's order.
    pub fn items(&self, split: Split) -> Vec<usize> {
        let rows = self.utterances.iter().enumerate();
        rows.filter(|(_, utterance)| utterance.split == split)
            .map(|(item, _)| item)
            .collect()
    }

    pub fn class(&self, item: usize) -> usize {
        self.classes[item]
    }

    pub fn utterance(&self, item: usize) -> &Utterance {
        &self.utterances[item]
    }

    pub fn utterances(&self) -> &[Utterance] {
        &self.utterances
    }

    fn n_frames(&self) -> usize {
        self.log_mel.spec().n_frames(self.clip_samples)
    }

    fn new_batch(&self, n_clips: usize) -> Batch {
        Batch::with_capacity(n_clips, self.log_mel.spec().n_mels, self.n_frames())
    }

    /// Clips as they are: shorter ones between zeros, of longer ones the middle.
    pub fn evaluation_batch(&self, items: &[usize]) -> Batch {
        let mut batch = self.new_batch(items.len());
        for &item in items {
            // What is stored is of the whole recording: the same only where that is a clip long.
            if self.samples.n_rows(item) == self.clip_samples {
                let (values, _) = self.features.features(item);
                batch.push(values, self.classes[item], 0.0, Crop::Centre);
            } else {
                let frames = self
                    .log_mel
                    .clip(&fit_clip(&self.floats(item), self.clip_samples));
                batch.push(&frames.values, self.classes[item], 0.0, Crop::Centre);
            }
        }
        batch
    }

    /// Clips changed as the recipe says, each by a generator of its own (seed, epoch, row).
    pub fn training_batch(
        &self,
        items: &[usize],
        spec: &AugmentSpec,
        seed: u64,
        epoch: u64,
    ) -> Batch {
        let mut batch = self.new_batch(items.len());
        let mut changed = Vec::new();
        for &item in items {
            let mut rng = clip_rng(seed, epoch, item as u64);
            let clip = fit_clip(&self.floats(item), self.clip_samples);
            augment_samples(&clip, &self.noise, spec, &mut rng, &mut changed);
            let mut frames = self.log_mel.clip(&changed);
            augment_frames(&mut frames.values, &self.norm.mean, spec, &mut rng);
            batch.push(&frames.values, self.classes[item], 0.0, Crop::Centre);
        }
        batch
    }

    fn floats(&self, item: usize) -> Vec<f32> {
        let samples = self.samples.samples(item).iter();
        samples
            .map(|&sample| f32::from(sample) / 32_768.0)
            .collect()
    }

    fn measure(&self) -> InputNorm {
        let n_mels = self.log_mel.spec().n_mels;
        let (mut sum, mut square_sum) = (vec![0.0_f64; n_mels], vec![0.0_f64; n_mels]);
        let mut n_frames = 0_u64;
        for item in self.items(Split::Train) {
            let (values, n) = self.features.features(item);
            n_frames += n as u64;
            for row in values.chunks_exact(n_mels) {
                for (band, &value) in row.iter().enumerate() {
                    sum[band] += f64::from(value);
                    square_sum[band] += f64::from(value) * f64::from(value);
                }
            }
        }
        let n = n_frames.max(1) as f64;
        let mean: Vec<f32> = sum.iter().map(|sum| (sum / n) as f32).collect();
        let deviation = square_sum.iter().zip(&sum).map(|(square, sum)| {
            let variance = square / n - (sum / n) * (sum / n);
            variance.max(1e-6).sqrt()
        });
        InputNorm {
            inv_deviation: deviation
                .map(|deviation| (1.0 / deviation) as f32)
                .collect(),
            mean,
        }
    }
}
