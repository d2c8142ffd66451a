//! The artefact that leaves the house: one file that holds everything needed to listen.
//!
//! A [`Bundle`] is a front-end, labels, one network or several, and a detector. [`Bundle::save`]
//! writes it whole or not at all; [`Bundle::load`] trusts nothing in the file: every size is held
//! against the file's length and a fixed maximum before memory is asked for, every value is checked,
//! and no bytes make it panic. The byte layout stands in `container.rs`.
//!
//! The room does not know how the networks were found or trained: [`Bundle::provenance`] is text to it.

mod bounds;
mod container;
mod detector_spec;
mod error;
mod int8;
mod languages;
mod manifest;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use auricle_features::FrontendSpec;
use serde::{Deserialize, Serialize};

use crate::model::{Combination, Cost, Genome, Ports, StreamNet, Weights};

pub use container::{FORMAT_VERSION, MAGIC};
pub use detector_spec::{DetectorSpec, DetectorSpecError, VOICE_RATE_HZ};
pub use error::BundleError;
pub use languages::{LanguageSpec, LanguageSpecError, TEMPERATURES, Temperature};

/// The label of whatever is spoken and is none of the keywords. Never reported.
pub const UNKNOWN_LABEL: &str = "_unknown_";
/// The label of silence and noise. Never reported.
pub const SILENCE_LABEL: &str = "_silence_";

/// Longest file that is opened.
pub const MAX_FILE_BYTES: u64 = 256 << 20;
/// Most members of one bundle.
pub const MAX_MEMBERS: usize = 64;
/// Most labels.
pub const MAX_LABELS: usize = 4096;
/// Longest label, in bytes.
pub const MAX_LABEL_BYTES: usize = 256;
/// Longest clip that a network may be trained on.
pub const MAX_CLIP_MS: u32 = 600_000;

/// Most samples of such a clip: one is held in memory.
pub const MAX_CLIP_SAMPLES: u64 = 1 << 25;

/// Everything that is needed to listen.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    pub title: String,
    /// Samples to frames, as in training.
    pub frontend: FrontendSpec,
    /// Class names, in the order of the networks' logits.
    pub labels: Vec<String>,
    /// At least one. Their probabilities are averaged, each by its weight, unless there is a mixture.
    pub members: Vec<Member>,
    /// How the members' logits make one answer; members' weights do not count then.
    pub mixture: Option<Combination>,
    /// Answers to detections.
    pub detector: DetectorSpec,
    /// Where the classes are languages: how it is told which one is spoken.
    pub languages: Option<LanguageSpec>,
    /// Length of the clips the networks were trained on.
    pub clip_ms: u32,
    /// Recordings are judged as long as they are, of longer ones the middle of this length; `None` where every
    /// recording is brought to [`Bundle::clip_ms`].
    pub whole_clips_ms: Option<u32>,
    /// How the weights are kept in a file.
    pub storage: Storage,
    /// Where it comes from: free text by key (recipe, fingerprint, commit, ...).
    pub provenance: BTreeMap<String, String>,
}

/// One network of a bundle.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub genome: Genome,
    pub weights: Weights,
    /// Its part in the average, above 0; members' weights need not add up to anything.
    pub weight: f32,
}

/// How a bundle's weights are kept in its file. In memory they are 32-bit floats in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// As they are.
    F32,
    /// Matrices and filters as 8-bit integers with one scale for each output channel, about a quarter of
    /// the size: what is opened is [`Bundle::rounded_to_int8`] of what was saved.
    Int8,
}

impl Storage {
    fn before_version_2() -> Self {
        Self::F32
    }

    fn is_f32(&self) -> bool {
        *self == Self::F32
    }
}

/// Whether a label stands for the absence of a keyword.
pub fn is_reserved(label: &str) -> bool {
    label == UNKNOWN_LABEL || label == SILENCE_LABEL
}

/// The labels that are words to be heard.
pub fn keywords(labels: &[String]) -> impl Iterator<Item = &String> {
    labels.iter().filter(|label| !is_reserved(label))
}

impl Bundle {
    /// What every member is plugged between.
    pub fn ports(&self) -> Ports {
        Ports {
            n_mels: self.frontend.n_mels,
            n_classes: self.labels.len(),
            frames_per_1000_s: (self.frontend.frames_per_second() * 1000.0).round() as u64,
        }
    }

    /// The keyword of which `label` differs in case, spaces, `-` and `_` only: a slip of whoever named a folder. `None` for a label
    /// of the bundle.
    pub fn meant_by(&self, label: &str) -> Option<&str> {
        let letters = |label: &str| -> String {
            let letters = label.chars().filter(|c| !c.is_whitespace());
            let letters = letters.filter(|c| !matches!(c, '-' | '_'));
            letters.flat_map(char::to_lowercase).collect()
        };
        if self.labels.iter().any(|known| known == label) {
            return None;
        }
        let found = letters(label);
        let mut known = keywords(&self.labels);
        known
            .find(|known| letters(known) == found)
            .map(String::as_str)
    }

    /// Samples of a clip of [`Bundle::clip_ms`], rounded to the nearest.
    pub fn clip_samples(&self) -> usize {
        samples_in(self.clip_ms, self.frontend.sample_rate_hz) as usize
    }

    /// The most samples of one recording that are judged.
    pub fn judged_samples(&self) -> usize {
        let longest_ms = self.whole_clips_ms.unwrap_or(self.clip_ms);
        samples_in(longest_ms, self.frontend.sample_rate_hz) as usize
    }

    /// What each member costs, in the order of the members.
    ///
    /// # Errors
    ///
    /// As [`Bundle::validate`]: the cost of an unbounded genome is not counted.
    pub fn costs(&self) -> Result<Vec<Cost>, BundleError> {
        self.validate()?;
        let ports = self.ports();
        let genomes = self.members.iter().map(|member| &member.genome);
        Ok(genomes.map(|genome| Cost::of(genome, &ports)).collect())
    }

    /// The same bundle with [`Storage::Int8`], its weights as they will be once it is saved and opened:
    /// what is measured on it holds for the file.
    pub fn rounded_to_int8(&self) -> Self {
        let mut rounded = self.clone();
        rounded.storage = Storage::Int8;
        for member in &mut rounded.members {
            member.weights = int8::rounded(&member.weights);
        }
        rounded
    }

    /// What of the bundle the first format version does not know, and the version that does; older programs open what they
    /// can.
    fn newest_part(&self) -> (&'static str, u32) {
        if self.languages.is_some() {
            return ("languages", 3);
        }
        if self.detector.voice_threshold.is_some() {
            return ("a voice threshold", 3);
        }
        match self.storage {
            Storage::F32 => ("weights as f32", 1),
            Storage::Int8 => ("weights as int8", 2),
        }
    }

    /// Checks everything against everything: what passes can be saved, loaded and run.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with what was found and what was expected.
    pub fn validate(&self) -> Result<(), BundleError> {
        bounds::check_texts(&self.title, &self.provenance)?;
        self.frontend.validate()?;
        check_labels(&self.labels)?;
        bounds::within("clip_ms", self.clip_ms.into(), 1, MAX_CLIP_MS.into())?;
        let n_clip_samples = self.clip_samples() as u64;
        bounds::within("samples of clip", n_clip_samples, 1, MAX_CLIP_SAMPLES)?;
        if let Some(longest_ms) = self.whole_clips_ms {
            let (lowest, highest) = (self.clip_ms.into(), MAX_CLIP_MS.into());
            bounds::within("whole_clips_ms", longest_ms.into(), lowest, highest)?;
            let n_samples = self.judged_samples() as u64;
            bounds::within("samples of whole clips", n_samples, 1, MAX_CLIP_SAMPLES)?;
        }
        if self.frontend.n_frames(self.clip_samples()) == 0 {
            return Err(BundleError::ClipBelowWindow {
                clip_samples: self.clip_samples(),
                window_samples: self.frontend.window_samples,
            });
        }
        self.detector.validate(&self.labels)?;
        let found_hz = self.frontend.sample_rate_hz;
        if self.detector.voice_threshold.is_some() && found_hz != VOICE_RATE_HZ {
            return Err(BundleError::VoiceRate { found_hz });
        }
        if let Some(languages) = &self.languages {
            languages.validate(&self.labels)?;
        }
        if let Some(mixture) = &self.mixture {
            mixture.validate(self.members.len(), self.labels.len())?;
        }
        bounds::within("members", self.members.len() as u64, 1, MAX_MEMBERS as u64)?;
        let ports = self.ports();
        let mut n_state_bytes = 0;
        for (index, member) in self.members.iter().enumerate() {
            if !(member.weight > 0.0 && member.weight <= 1e6) {
                return Err(BundleError::MemberWeight {
                    index,
                    found: member.weight,
                });
            }
            let fault = |source| BundleError::Network { index, source };
            member
                .genome
                .validate()
                .map_err(|source| fault(source.into()))?;
            n_state_bytes += bounds::check_genome(index, &member.genome, &ports)?;
            bounds::within("bytes of state", n_state_bytes, 0, bounds::MAX_STATE_BYTES)?;
            StreamNet::new(&member.genome, &ports, &member.weights).map_err(fault)?;
            bounds::check_finite(index, &member.weights)?;
        }
        Ok(())
    }

    /// Writes the file whole or not at all: a temporary file in the same folder, then a rename.
    ///
    /// # Errors
    ///
    /// What [`Bundle::validate`] finds, and [`BundleError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), BundleError> {
        let at = |error| in_file(path, error);
        let bytes = self.to_bytes().map_err(at)?;
        write_whole(path, &bytes).map_err(|source| BundleError::Io {
            path: path.to_owned(),
            source,
        })
    }

    /// Opens a file of any format version up to [`FORMAT_VERSION`].
    ///
    /// # Errors
    ///
    /// [`BundleError::Io`]; [`BundleError::InFile`] with what was found in the file and what was expected.
    pub fn load(path: &Path) -> Result<Self, BundleError> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|source| BundleError::Io {
                path: path.to_owned(),
                source,
            })?;
        Self::from_bytes(&bytes).map_err(|error| in_file(path, error))
    }

    /// The content of a file.
    ///
    /// # Errors
    ///
    /// What [`Bundle::validate`] finds, and a bundle longer than [`MAX_FILE_BYTES`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, BundleError> {
        self.validate()?;
        container::pack(self)
    }

    /// Reads the content of a file. Never panics, whatever the bytes.
    ///
    /// # Errors
    ///
    /// All of [`BundleError`] but those of files.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BundleError> {
        let bundle = container::unpack(bytes)?;
        bundle.validate()?;
        Ok(bundle)
    }
}

/// Samples in a time, rounded to the nearest.
pub(crate) fn samples_in(ms: u32, sample_rate_hz: u32) -> u64 {
    (u64::from(ms) * u64::from(sample_rate_hz) + 500) / 1000
}

fn check_labels(labels: &[String]) -> Result<(), BundleError> {
    bounds::within("labels", labels.len() as u64, 1, MAX_LABELS as u64)?;
    let mut seen = BTreeSet::new();
    for label in labels {
        let is_text = !label.is_empty()
            && label.trim() == label
            && label.len() <= MAX_LABEL_BYTES
            && !label.chars().any(char::is_control);
        if !is_text {
            return Err(BundleError::Label {
                found: label.clone(),
            });
        }
        if !seen.insert(label) {
            return Err(BundleError::LabelTwice {
                label: label.clone(),
            });
        }
    }
    Ok(())
}

fn in_file(path: &Path, error: BundleError) -> BundleError {
    BundleError::InFile {
        path: path.to_owned(),
        fault: Box::new(error),
    }
}

/// Writes a file whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = partial_path(path)?;
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&partial, path)
    };
    let written = write();
    let is_foreign = matches!(&written, Err(error) if error.kind() == io::ErrorKind::AlreadyExists);
    if written.is_err() && !is_foreign {
        // The error of writing is the one to tell; a temporary file that stays does no harm.
        let _ = fs::remove_file(&partial);
    }
    written
}

/// A name beside the target that no other process and no other save of this one takes.
fn partial_path(path: &Path) -> io::Result<PathBuf> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static N_SAVES: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| {
        let reason = "the path names a folder, expected a file";
        io::Error::new(io::ErrorKind::InvalidInput, reason)
    })?;
    let mut partial = std::ffi::OsString::from(".");
    partial.push(name);
    let n_save = N_SAVES.fetch_add(1, Ordering::Relaxed);
    partial.push(format!(".{}-{n_save}.partial", std::process::id()));
    Ok(path.with_file_name(partial))
}

#[cfg(test)]
pub(crate) mod examples;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
