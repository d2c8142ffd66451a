//! What a search learns from and is judged by: an ingested corpus, opened once and shared by all
//! trials, and batches of it.
//!
//! Training batches are augmented; evaluation batches are the stored features as they are. The test
//! split is only reached by its name: nothing in this room asks for it but [`Corpus::items`].

use std::collections::BTreeMap;
use std::sync::Arc;

use auricle_datasets::augment::{
    AugmentSpec, NoiseBank, RoomBank, augment_frames, augment_samples,
};
use auricle_datasets::batch::{Batch, Crop};
use auricle_datasets::seeded::clip_rng;
use auricle_datasets::shard::Shard;
use auricle_datasets::{Split, Utterance};
use auricle_features::{FrontendSpec, LogMel, SpecError, fit_clip};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::hyper::HyperPoint;
use super::train_spec::frontend_of;
use crate::model::{InputNorm, Lengths, Ports};

/// What is done with recordings that are not as long as a clip of the task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ClipLengths {
    /// Shorter ones lie between zeros, of longer ones the middle counts, in training and in judging.
    #[default]
    Fixed,
    /// Shorter ones stay as short as they are. Training hears another stretch of a longer one in every epoch; it is judged
    /// whole, or its middle of `max_ms` where it is longer than that.
    Whole { max_ms: u32 },
}

impl ClipLengths {
    pub fn is_fixed(&self) -> bool {
        *self == Self::Fixed
    }

    /// The longest that is judged, where that is not the length of a clip.
    pub fn longest_ms(&self) -> Option<u32> {
        match *self {
            Self::Fixed => None,
            Self::Whole { max_ms } => Some(max_ms),
        }
    }

    /// Says what is wrong, if anything.
    pub fn check(&self, clip_ms: u32) -> Result<(), String> {
        match *self {
            Self::Whole { max_ms } if !(clip_ms..=600_000).contains(&max_ms) => Err(format!(
                "data.lengths.max_ms: found {max_ms}, expected {clip_ms} (a clip) to 600,000"
            )),
            _ => Ok(()),
        }
    }
}

/// An ingested corpus behind a front-end.
pub struct Corpus {
    recordings: Arc<Recordings>,
    log_mel: LogMel,
    /// Whether the stored features are this front-end's.
    is_stored: bool,
    norm: InputNorm,
    /// The same recordings behind the other front-ends that a search may choose, by the name of the preset.
    others: BTreeMap<String, Corpus>,
}

/// What does not depend on the front-end.
struct Recordings {
    labels: Vec<String>,
    utterances: Vec<Utterance>,
    classes: Vec<usize>,
    features: Shard,
    samples: Shard,
    noise: NoiseBank,
    rooms: RoomBank,
    clip_samples: usize,
    /// The longest that is judged, where clips differ in length.
    longest_samples: Option<usize>,
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
    /// Rooms that training may hear clips in.
    pub rooms: RoomBank,
    pub frontend: FrontendSpec,
    /// Others of the same rate that a search may choose, by name.
    pub other_frontends: BTreeMap<String, FrontendSpec>,
    /// Class names, in the order of the network's outputs.
    pub labels: Vec<String>,
    /// Length of the clips that networks see.
    pub clip_ms: u32,
    pub lengths: ClipLengths,
}

impl Corpus {
    /// Checks that the parts fit, and measures the training split's scale.
    pub fn new(parts: CorpusParts) -> Result<Self, CorpusError> {
        let CorpusParts {
            utterances,
            features,
            samples,
            noise: noise_shard,
            rooms,
            frontend,
            other_frontends,
            labels,
            clip_ms,
            lengths,
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
                found: utterance.label.to_string(),
                expected: labels.clone(),
            })
        };
        let classes = utterances.iter().map(class_of).collect::<Result<_, _>>()?;
        let mut noise = NoiseBank::new(frontend.sample_rate_hz);
        for item in 0..noise_shard.len() {
            noise.push(noise_shard.samples(item).to_vec());
        }
        let samples_in =
            |ms: u32| (u64::from(ms) * u64::from(frontend.sample_rate_hz) / 1000) as usize;
        let recordings = Arc::new(Recordings {
            labels,
            utterances,
            classes,
            features,
            samples,
            noise,
            rooms,
            clip_samples: samples_in(clip_ms),
            longest_samples: lengths.longest_ms().map(samples_in),
        });
        let mut corpus = Self::behind_frontend(&recordings, &frontend, true)?;
        for (name, other) in other_frontends {
            if other != frontend {
                let other = Self::behind_frontend(&recordings, &other, false)?;
                corpus.others.insert(name, other);
            }
        }
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
        for other in corpus.others.values_mut() {
            other.norm = other.measure();
        }
        Ok(corpus)
    }

    /// Not measured yet.
    fn behind_frontend(
        recordings: &Arc<Recordings>,
        frontend: &FrontendSpec,
        is_stored: bool,
    ) -> Result<Self, SpecError> {
        Ok(Self {
            recordings: recordings.clone(),
            log_mel: LogMel::new(frontend)?,
            is_stored,
            norm: InputNorm {
                mean: Vec::new(),
                inv_deviation: Vec::new(),
            },
            others: BTreeMap::new(),
        })
    }

    /// The same recordings behind the front-end that the point names; this one where it names none or this.
    pub fn behind(&self, point: &HyperPoint) -> &Self {
        let named = frontend_of(point).and_then(|name| self.others.get(name));
        named.unwrap_or(self)
    }

    /// What the features are computed by.
    pub fn frontend(&self) -> &FrontendSpec {
        self.log_mel.spec()
    }

    /// Class names, in the order of the network's outputs.
    pub fn labels(&self) -> &[String] {
        &self.recordings.labels
    }

    /// What a genome is plugged between.
    pub fn ports(&self) -> Ports {
        let spec = self.log_mel.spec();
        Ports {
            n_mels: spec.n_mels,
            n_classes: self.recordings.labels.len(),
            frames_per_1000_s: (spec.frames_per_second() * 1000.0).round() as u64,
        }
    }

    /// The training split's scale, per band.
    pub fn input_norm(&self) -> &InputNorm {
        &self.norm
    }

    /// The rows of a split, in the manifest's order.
    pub fn items(&self, split: Split) -> Vec<usize> {
        let rows = self.recordings.utterances.iter().enumerate();
        rows.filter(|(_, utterance)| utterance.split == split)
            .map(|(item, _)| item)
            .collect()
    }

    pub fn class(&self, item: usize) -> usize {
        self.recordings.classes[item]
    }

    pub fn utterance(&self, item: usize) -> &Utterance {
        &self.recordings.utterances[item]
    }

    pub fn utterances(&self) -> &[Utterance] {
        &self.recordings.utterances
    }

    /// Samples of a clip that is judged.
    pub fn judged_samples(&self, item: usize) -> usize {
        match self.recordings.longest_samples {
            None => self.recordings.clip_samples,
            Some(longest) => self.recordings.samples.n_rows(item).min(longest),
        }
    }

    /// Samples of a recording, whole.
    pub fn recorded_samples(&self, item: usize) -> usize {
        self.recordings.samples.n_rows(item)
    }

    /// Samples of so many seconds.
    pub fn samples_in(&self, seconds: f64) -> usize {
        (seconds * f64::from(self.log_mel.spec().sample_rate_hz)).round() as usize
    }

    /// How long a number of samples is.
    pub fn seconds(&self, n_samples: usize) -> f64 {
        n_samples as f64 / f64::from(self.log_mel.spec().sample_rate_hz)
    }

    /// What a network is told of the clips' lengths: nothing where all are full.
    pub fn lengths(&self, batch: &Batch) -> Option<Lengths> {
        let is_padded = batch.lengths.iter().any(|&n| n < batch.n_frames);
        (self.recordings.longest_samples.is_some() && is_padded)
            .then(|| Lengths::new(batch.lengths.clone()))
    }

    fn new_batch(&self, n_clips: usize, n_samples: usize) -> Batch {
        let spec = self.log_mel.spec();
        Batch::with_capacity(n_clips, spec.n_mels, spec.n_frames(n_samples))
    }

    /// The first `n_samples` of clips that are at least as long.
    ///
    /// # Panics
    ///
    /// When one is shorter.
    pub fn first_batch(&self, items: &[usize], n_samples: usize) -> Batch {
        let mut batch = self.new_batch(items.len(), n_samples);
        for &item in items {
            let frames = self.log_mel.clip(&self.floats(item)[..n_samples]);
            batch.push(
                &frames.values,
                self.recordings.classes[item],
                0.0,
                Crop::Centre,
            );
        }
        batch
    }

    /// Clips as they are judged: shorter ones between zeros, of longer ones the middle; where clips differ in length,
    /// whole ones, padded behind, and of those that are too long the middle.
    pub fn evaluation_batch(&self, items: &[usize]) -> Batch {
        if self.recordings.longest_samples.is_some() {
            let longest = items.iter().map(|&item| self.judged_samples(item)).max();
            let mut batch = self.new_batch(items.len(), longest.unwrap_or(0));
            for &item in items {
                let n_samples = self.judged_samples(item);
                if self.is_stored && n_samples == self.recordings.samples.n_rows(item) {
                    let (values, _) = self.recordings.features.features(item);
                    batch.push_from_start(values, self.recordings.classes[item], &self.norm.mean);
                } else {
                    let frames = self.log_mel.clip(&fit_clip(&self.floats(item), n_samples));
                    batch.push_from_start(
                        &frames.values,
                        self.recordings.classes[item],
                        &self.norm.mean,
                    );
                }
            }
            return batch;
        }
        let mut batch = self.new_batch(items.len(), self.recordings.clip_samples);
        for &item in items {
            // What is stored is of the whole recording: the same only where that is a clip long.
            if self.is_stored
                && self.recordings.samples.n_rows(item) == self.recordings.clip_samples
            {
                let (values, _) = self.recordings.features.features(item);
                batch.push(values, self.recordings.classes[item], 0.0, Crop::Centre);
            } else {
                let frames = self
                    .log_mel
                    .clip(&fit_clip(&self.floats(item), self.recordings.clip_samples));
                batch.push(
                    &frames.values,
                    self.recordings.classes[item],
                    0.0,
                    Crop::Centre,
                );
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
        let heard = |item: &usize| {
            self.recordings
                .samples
                .n_rows(*item)
                .min(self.recordings.clip_samples)
        };
        let n_samples = match self.recordings.longest_samples {
            None => self.recordings.clip_samples,
            Some(_) => items.iter().map(heard).max().unwrap_or(0),
        };
        let mut batch = self.new_batch(items.len(), n_samples);
        let mut changed = Vec::new();
        for &item in items {
            let mut rng = clip_rng(seed, epoch, item as u64);
            let clip = match self.recordings.longest_samples {
                None => fit_clip(&self.floats(item), self.recordings.clip_samples),
                Some(_) => self.stretch(item, &mut rng),
            };
            augment_samples(
                &clip,
                &self.recordings.noise,
                &self.recordings.rooms,
                spec,
                &mut rng,
                &mut changed,
            );
            let mut frames = self.log_mel.clip(&changed);
            augment_frames(&mut frames.values, &self.norm.mean, spec, &mut rng);
            match self.recordings.longest_samples {
                None => batch.push(
                    &frames.values,
                    self.recordings.classes[item],
                    0.0,
                    Crop::Centre,
                ),
                Some(_) => batch.push_from_start(
                    &frames.values,
                    self.recordings.classes[item],
                    &self.norm.mean,
                ),
            }
        }
        batch
    }

    /// A clip's length of a recording from anywhere in it; all of a shorter one.
    fn stretch(&self, item: usize, rng: &mut impl Rng) -> Vec<f32> {
        let mut samples = self.floats(item);
        let n_beyond = samples.len().saturating_sub(self.recordings.clip_samples);
        if n_beyond > 0 {
            samples.drain(..rng.random_range(0..=n_beyond));
            samples.truncate(self.recordings.clip_samples);
        }
        samples
    }

    fn floats(&self, item: usize) -> Vec<f32> {
        let samples = self.recordings.samples.samples(item).iter();
        samples
            .map(|&sample| f32::from(sample) / 32_768.0)
            .collect()
    }

    fn measure(&self) -> InputNorm {
        let n_mels = self.log_mel.spec().n_mels;
        let (mut sum, mut square_sum) = (vec![0.0_f64; n_mels], vec![0.0_f64; n_mels]);
        let mut n_frames = 0_u64;
        for item in self.items(Split::Train) {
            let computed;
            let values = if self.is_stored {
                self.recordings.features.features(item).0
            } else {
                computed = self.log_mel.clip(&self.floats(item)).values;
                &computed[..]
            };
            n_frames += (values.len() / n_mels) as u64;
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
