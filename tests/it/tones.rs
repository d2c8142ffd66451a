//! A corpus of hummed tones, made in a moment: as many words as asked for, speakers that differ in
//! pitch and level, the layout of Speech Commands.

use std::f32::consts::TAU;
use std::fs;
use std::path::Path;

use auricle::audio::{Clip, write_wav};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub const SAMPLE_RATE_HZ: u32 = 16_000;

/// One clip of a word: two tones in turn, whose pitches are the word.
pub fn clip(word: usize, speaker: usize, take: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(take * 1000 + speaker as u64 * 31 + word as u64);
    let voice = 1.0 + 0.02 * (speaker % 7) as f32;
    let (first, second) = (
        300.0 * 1.35_f32.powi(word as i32),
        2500.0 / 1.3_f32.powi(word as i32),
    );
    let level = rng.random_range(0.1..0.5);
    let start = rng.random_range(2_000..4_000);
    (0..SAMPLE_RATE_HZ as usize)
        .map(|i| {
            let hiss = rng.random_range(-0.003..0.003);
            let Some(at) = i.checked_sub(start).filter(|at| *at < 8_000) else {
                return hiss;
            };
            let pitch = voice * if at < 4_000 { first } else { second };
            hiss + level * (TAU * pitch * at as f32 / SAMPLE_RATE_HZ as f32).sin()
        })
        .collect()
}

/// What is heard between words.
pub fn hiss(n_samples: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n_samples)
        .map(|_| rng.random_range(-0.003..0.003))
        .collect()
}

/// Writes a WAV file, and the folders above it.
pub fn write(path: &Path, samples: Vec<f32>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let clip = Clip {
        samples,
        sample_rate_hz: SAMPLE_RATE_HZ,
    };
    write_wav(path, &clip).unwrap();
}

/// Writes `n_speakers` speakers saying every word twice, and a `splits.tsv` in which every fourth
/// speaker is for validation and every fourth for test.
pub fn corpus(folder: &Path, words: &[String], n_speakers: usize) {
    let mut list = String::from("path\tspeaker\tsplit\n");
    for (index, word) in words.iter().enumerate() {
        for speaker in 0..n_speakers {
            for take in 0..2 {
                let name = format!("{word}/s{speaker:02}_nohash_{take}.wav");
                write(&folder.join(&name), clip(index, speaker, take));
                let split = ["train", "train", "validation", "test"][speaker % 4];
                list += &format!("{name}\ts{speaker:02}\t{split}\n");
            }
        }
    }
    fs::write(folder.join("splits.tsv"), list).unwrap();
}

pub fn words(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("word{i}")).collect()
}

/// A recipe for such a corpus that takes seconds.
pub fn recipe(folder: &Path, n_trials: u64) -> std::path::PathBuf {
    let path = folder.join("tones.toml");
    let text = RECIPE.replace("N_TRIALS", &n_trials.to_string());
    fs::write(&path, text).unwrap();
    path
}

const RECIPE: &str = r#"
title = "Four tones"
seed = 3
n_workers = 1
frontend = "speech_16k"

[data]
clip_ms = 1000
max_reject_share = 0.05
layout = { kind = "folder-per-class" }
speaker = { kind = "before", separator = "_nohash_" }
splits = { kind = "list", path = "splits.tsv", train = "train", validation = "validation", test = "test" }
background = { folders = [], divide = "position" }
labels = { keywords = ["word0", "word1", "word2", "word3"], unknown = false, silence = false }

[space]
depth = [1, 2]
stem = { n_channels = [8, 12], kernel_frames = [3], stride_frames = [2] }
blocks = [
  { kind = "conv1d", n_channels = [8, 12], kernel_frames = [3, 5], stride_frames = [1, 2] },
  { kind = "separable-conv1d", n_channels = [8, 12], kernel_frames = [5], stride_frames = [1, 2] },
  { kind = "residual", n_channels = [8, 12], kernel_frames = [3], stride_frames = [2] },
]
heads = [{ kind = "mean", window_frames = [98] }]
limits = { n_params = [0, 8000] }

[search]
controller = { kind = "coordinate-descent", beam_size = 2, grow_probability = 0.5, vary_probability = 0.5, trials_per_depth = 2 }
budget = { n_trials = N_TRIALS }

[search.train]
n_epochs = 2
batch_size = 16
learning_rate = 0.01
warmup_share = 0.1
weight_decay = 0.01
label_smoothing = 0.05
sampler = "shuffled"
augment = { time_shift_ms = 50.0 }

[ensemble]
n_finalists = 1
n_members = 2

[ensemble.train]
n_epochs = 16
batch_size = 16
learning_rate = 0.01
warmup_share = 0.1
weight_decay = 0.01
label_smoothing = 0.05
sampler = "shuffled"
augment = { time_shift_ms = 50.0 }

[[baselines]]
name = "plain"
source = "one convolution, for comparison"
[baselines.genome]
stem = { n_channels = 8, kernel_frames = 3, stride_frames = 2 }
blocks = [{ kind = "conv1d", n_channels = 8, kernel_frames = 3, stride_frames = 2 }]
head = { kind = "mean", window_frames = 98 }

[detector]
threshold = 0.6
smoothing_ms = 100
min_consecutive = 2
refractory_ms = 700
warmup_ms = 300
"#;
