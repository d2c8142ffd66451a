//! Recordings of people among the synthetic voices: which side each is on, where in it the word is, and its row in the list.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rand::RngExt;

use super::generate::create_folder;
use super::wave::{samples_in, write_wav};
use super::{SAMPLE_RATE_HZ, SynthError};
use crate::corpus::{SpeakerPattern, labelled_files};
use crate::partial::{Durability, write_whole};
use crate::seeded::{clip_rng, rank};
use crate::split::Split;
use crate::utterance::slashed;

/// The folder of recordings: inside a word's folder those that say the word, beside them those that say none.
const RECORDED: &str = "_recorded_";

/// Percent of the recordings, or of those who speak in them, for validation, and as many for the test.
const HELD_OUT_PERCENT: usize = 15;

/// Training hears each recording at so many places of a clip, about, for each word: a few recordings would drown among the
/// synthetic voices.
const N_CLIPS_OF_WORD: usize = 400;

/// The most places of one recording.
const MAX_PLACES: usize = 12;

/// How far from its middle a word may lie in a clip of training, in milliseconds.
const SHIFT_MS: i64 = 150;

/// A recording of a person, and what it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The file, relative to the folder of recordings.
    pub path: PathBuf,
    /// The keyword that it says; `None` where it says others.
    pub word: Option<String>,
    /// Who speaks, where the file's name tells: `<speaker>_nohash_<take>`.
    pub speaker: Option<String>,
    /// Its side.
    pub split: Split,
}

/// A folder of recordings: a folder for each word, other speech in others.
#[derive(Clone, Debug, PartialEq)]
pub struct Recordings {
    folder: PathBuf,
    /// All of them, sorted by path.
    pub all: Vec<Recording>,
    /// No speaker is on two sides. Else sides go by file, since the names tell too few speakers apart.
    pub by_speaker: bool,
}

impl Recordings {
    /// The files that training does not hear, and the keyword that each says.
    pub fn held_out(&self) -> impl Iterator<Item = (PathBuf, &str)> {
        let held_out = self.all.iter().filter(|r| r.split != Split::Train);
        held_out.filter_map(|r| Some((self.folder.join(&r.path), r.word.as_deref()?)))
    }
}

/// The word that a folder's name says.
fn word_of(folder: &str) -> String {
    folder.replace(' ', "_")
}

/// The words that the folders in `folder` are named by; those whose name begins with `_` hold other speech.
///
/// # Errors
///
/// [`SynthError::Recordings`] where the folder cannot be read.
pub fn recorded_words(folder: &Path) -> Result<Vec<String>, SynthError> {
    let words: BTreeSet<String> = labelled_files(folder)?
        .into_iter()
        .map(|(_, label)| word_of(&label))
        .filter(|word| !word.starts_with('_'))
        .collect();
    Ok(words.into_iter().collect())
}

/// Lists a folder of recordings of some of the `words` and gives each its side: 15 % for validation, 15 % for the test, one at least.
///
/// # Errors
///
/// [`SynthError::Recordings`] where it cannot be read; [`SynthError::FewRecordings`] of a word that has fewer than three.
pub fn recordings(folder: &Path, words: &[String], seed: u64) -> Result<Recordings, SynthError> {
    let pattern = SpeakerPattern::nohash();
    let mut all: Vec<Recording> = labelled_files(folder)?
        .into_iter()
        .map(|(path, label)| Recording {
            speaker: pattern.speaker_of(&path).map(str::to_owned),
            word: Some(word_of(&label)).filter(|word| words.contains(word)),
            path,
            split: Split::Train,
        })
        .collect();
    all.sort_by(|a, b| slashed(&a.path).cmp(&slashed(&b.path)));
    for word in words {
        let n_found = all.iter().filter(|r| r.word.as_ref() == Some(word)).count();
        if (1..3).contains(&n_found) {
            return Err(SynthError::FewRecordings {
                folder: folder.to_path_buf(),
                word: word.clone(),
                n_found,
            });
        }
    }
    let of_words = all.iter().filter(|r| r.word.is_some());
    let speakers: Option<BTreeSet<String>> = of_words.map(|r| r.speaker.clone()).collect();
    let speakers = speakers.unwrap_or_default();
    let by_speaker = speakers.len() >= 3;
    if by_speaker {
        let sides = sides(speakers, seed);
        for recording in &mut all {
            let side = recording.speaker.as_ref().and_then(|name| sides.get(name));
            recording.split = side.copied().unwrap_or(Split::Train);
        }
    } else {
        // Each word alone, so that each is on every side; a speaker's name would only say that it is on two.
        for of_kind in by_word(&mut all) {
            let name = |recording: &Recording| slashed(&recording.path).into_owned();
            let sides = sides(of_kind.iter().map(|r| name(r)).collect(), seed);
            for recording in of_kind {
                recording.split = sides[&name(recording)];
                recording.speaker = None;
            }
        }
    }
    Ok(Recordings {
        folder: folder.to_path_buf(),
        all,
        by_speaker,
    })
}

/// The recordings of each word, and those of none.
fn by_word(all: &mut [Recording]) -> Vec<Vec<&mut Recording>> {
    let mut kinds: BTreeMap<Option<String>, Vec<&mut Recording>> = BTreeMap::new();
    for recording in all {
        kinds
            .entry(recording.word.clone())
            .or_default()
            .push(recording);
    }
    kinds.into_values().collect()
}

/// A side for each name; with fewer than three all are for training.
fn sides(names: BTreeSet<String>, seed: u64) -> BTreeMap<String, Split> {
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort_by_key(|name| rank(seed, name));
    let n_held = names.len() * HELD_OUT_PERCENT / 100;
    let n_held = if names.len() < 3 { 0 } else { n_held.max(1) };
    let split = |at| match at {
        at if at < n_held => Split::Test,
        at if at < 2 * n_held => Split::Validation,
        _ => Split::Train,
    };
    let named = names.into_iter().enumerate();
    named.map(|(at, name)| (name, split(at))).collect()
}

/// What came of recordings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Joined {
    /// Clips that were written.
    pub n_clips: usize,
    /// Files that could not be used, and why.
    pub set_aside: Vec<(PathBuf, String)>,
}

/// Puts recordings into a corpus that [`generate`](super::generate) made, in place of those that it had before: clips of `clip_ms`
/// around the loudest stretch of each recording of a word (for training at several places), and what says no word in pieces.
/// `decode` gives the samples of a file at [`SAMPLE_RATE_HZ`]; `stopped` is asked before each.
///
/// # Errors
///
/// A file of the corpus that cannot be read or written; the caller stopped it. What cannot be decoded is set aside.
pub fn join_recordings(
    recordings: &Recordings,
    into: &Path,
    clip_ms: u32,
    seed: u64,
    decode: &dyn Fn(&Path) -> Result<Vec<f32>, String>,
    progress: &dyn Fn(usize, usize),
    stopped: &dyn Fn() -> bool,
) -> Result<Joined, SynthError> {
    remove_recordings(into)?;
    let all = &recordings.all;
    let mut n_learnt: BTreeMap<&String, usize> = BTreeMap::new();
    for recording in all.iter().filter(|r| r.split == Split::Train) {
        if let Some(word) = &recording.word {
            *n_learnt.entry(word).or_default() += 1;
        }
    }
    let mut joined = Joined::default();
    let mut rows = Vec::new();
    for (number, recording) in all.iter().enumerate() {
        if stopped() {
            return Err(SynthError::Stopped {
                n_done: number,
                n_total: all.len(),
            });
        }
        let file = recordings.folder.join(&recording.path);
        let samples = match decode(&file) {
            Ok(samples) => samples,
            Err(reason) => {
                joined.set_aside.push((file, reason));
                continue;
            }
        };
        let n_places = match (&recording.word, recording.split) {
            (Some(word), Split::Train) => (N_CLIPS_OF_WORD / n_learnt[word]).clamp(1, MAX_PLACES),
            _ => 1,
        };
        let clips = match &recording.word {
            Some(_) => around_the_word(&samples, clip_ms, n_places, seed, number as u64),
            None => pieces(&samples, clip_ms),
        };
        if clips.is_empty() {
            let reason = "found no sound in it, expected speech".to_owned();
            joined.set_aside.push((file, reason));
            continue;
        }
        let folder = match &recording.word {
            Some(word) => format!("{word}/{RECORDED}"),
            None => RECORDED.to_owned(),
        };
        create_folder(&into.join(&folder))?;
        // What would end a column early is no part of a name there.
        let column = |text: &str| text.replace(['\t', '\n', '\r', '"'], "_");
        let speaker = column(recording.speaker.as_deref().unwrap_or("-"));
        let (split, file) = (recording.split, column(&slashed(&recording.path)));
        for (at, clip) in clips.iter().enumerate() {
            let path = format!("{folder}/{number:05}_{at:04}.wav");
            write_wav(&into.join(&path), clip)?;
            rows.push(format!("{path}\t{speaker}\t{split}\tfalse\t{file}\t\t\t\t"));
        }
        progress(number + 1, all.len());
    }
    joined.n_clips = rows.len();
    let list = into.join("splits.tsv");
    let fault = |source| SynthError::Io {
        path: list.clone(),
        source,
    };
    let synthetic = fs::read_to_string(&list).map_err(fault)?;
    write_whole(&list, Durability::Synced, |out| {
        out.write_all(synthetic.as_bytes())?;
        rows.iter().try_for_each(|row| writeln!(out, "{row}"))
    })
    .map_err(fault)?;
    Ok(joined)
}

/// Takes the recordings out of a corpus, and leaves everything else.
///
/// # Errors
///
/// [`SynthError::Io`].
pub fn remove_recordings(into: &Path) -> Result<(), SynthError> {
    let fault = |path: &Path| {
        let path = path.to_path_buf();
        move |source| SynthError::Io { path, source }
    };
    let mut folders = vec![into.join(RECORDED)];
    for folder in fs::read_dir(into).map_err(fault(into))? {
        folders.push(folder.map_err(fault(into))?.path().join(RECORDED));
    }
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        fs::remove_dir_all(folder).map_err(fault(folder))?;
    }
    Ok(())
}

/// Clips with the loudest stretch in their middle, the others a little beside it; a recording that is shorter than a clip lies in
/// silence. None where nothing is heard.
fn around_the_word(
    samples: &[f32],
    clip_ms: u32,
    n_places: usize,
    seed: u64,
    number: u64,
) -> Vec<Vec<f32>> {
    let Some(word) = loudest_stretch(samples) else {
        return Vec::new();
    };
    let n_clip = samples_in(clip_ms);
    let middle = ((word.start + word.end) / 2) as i64;
    // Below zero where a clip begins before its recording.
    let last = samples.len() as i64 - n_clip as i64;
    let mut rng = clip_rng(seed, 0, number);
    let mut starts = BTreeSet::new();
    for place in 0..n_places {
        let shift_ms = if place == 0 {
            0
        } else {
            rng.random_range(-SHIFT_MS..=SHIFT_MS)
        };
        let start = middle - n_clip as i64 / 2 + shift_ms * i64::from(SAMPLE_RATE_HZ) / 1000;
        starts.insert(start.clamp(last.min(0), last.max(0)));
    }
    let clip = |start: i64| {
        let (silent, skipped) = ((-start).max(0) as usize, start.max(0) as usize);
        let mut clip = vec![0.0; n_clip];
        let heard = clip[silent..].iter_mut().zip(&samples[skipped..]);
        heard.for_each(|(to, &from)| *to = from);
        clip
    };
    starts.into_iter().map(clip).collect()
}

/// Clips one behind the other; what is left over at the end is a clip where it is half as long at least, or all there is.
fn pieces(samples: &[f32], clip_ms: u32) -> Vec<Vec<f32>> {
    let n_clip = samples_in(clip_ms);
    let chunks = samples.chunks(n_clip).enumerate();
    chunks
        .filter(|(at, piece)| *at == 0 || 2 * piece.len() >= n_clip)
        .map(|(_, piece)| piece.to_vec())
        .collect()
}

/// The loudest stretch without a pause of 150 ms: what is within 28 dB of the loudest, less where noise lies higher. `None` in silence.
fn loudest_stretch(samples: &[f32]) -> Option<Range<usize>> {
    const MAX_PAUSE: usize = 15;
    const SILENCE: f64 = 1e-9;
    let hop = samples_in(10);
    let power = |part: &[f32]| {
        part.iter()
            .map(|&x| f64::from(x) * f64::from(x))
            .sum::<f64>()
            / part.len() as f64
    };
    let powers: Vec<f64> = samples.chunks(hop).map(power).collect();
    let level = |at: usize| {
        let around = &powers[at.saturating_sub(2)..(at + 3).min(powers.len())];
        (around.iter().sum::<f64>() / 5.0 + 1e-10).ln()
    };
    let levels: Vec<f64> = (0..powers.len()).map(level).collect();
    let mut sorted = levels.clone();
    sorted.sort_by(f64::total_cmp);
    let loudest = *sorted.last()?;
    if loudest < SILENCE.ln() {
        return None;
    }
    let quiet = sorted[sorted.len() / 10];
    let bound = loudest - (0.7 * (loudest - quiet)).min(6.5);
    let loud: Vec<usize> = (0..levels.len())
        .filter(|&at| levels[at] >= bound)
        .collect();
    let energy = |frames: &&[usize]| frames.iter().map(|&at| powers[at]).sum::<f64>();
    let best = loud
        .chunk_by(|a, b| b - a <= MAX_PAUSE)
        .max_by(|a, b| energy(a).total_cmp(&energy(b)))?;
    let (first, last) = (best[0], best[best.len() - 1]);
    Some(first * hop..((last + 1) * hop).min(samples.len()))
}
