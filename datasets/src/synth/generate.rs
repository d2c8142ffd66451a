//! Making the corpus: a folder per word, a table of splits, and noise. A second run finds it done.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::wave::{add_hiss, fade_ends, is_complete, read_wav, samples_in, word_range, write_wav};
use super::{Engine, READING, SAMPLE_RATE_HZ, SynthError, SynthSpec, SynthUtterance, noise, plan};
use crate::augment::rms;
use crate::corpus::BACKGROUND_NOISE;
use crate::partial::{Durability, write_whole};
use crate::seeded::purpose_rng;
use crate::split::Split;
use crate::utterance::slashed;

/// What a run did.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// Clips and noises of the corpus.
    pub n_files: usize,
    /// Those that this run made; 0 says that all was done before.
    pub n_made: usize,
    /// Speakers.
    pub n_speakers: usize,
    /// The program that spoke.
    pub engine: &'static str,
    /// Its version.
    pub version: String,
}

/// Makes a synthetic corpus in the folder `into`, or what is missing of it.
///
/// It writes `<word>/<speaker>_nohash_<take>.wav`, readings likewise in [`READING`], `splits.tsv` (path, speaker, split, synthetic, voice, pitch,
/// speed_wpm, amplitude, hiss_dbfs), `_background_noise_/*.wav` and `synth.json` (the spec, and which program spoke).
/// `progress` hears how many files are done and how many there will be; `stopped` is asked before each.
///
/// # Errors
///
/// The program or a voice is missing; the folder holds another corpus; a file cannot be written; the caller stopped it.
pub fn generate(
    spec: &SynthSpec,
    into: &Path,
    engine: &dyn Engine,
    n_workers: usize,
    progress: &(dyn Fn(usize, usize) + Sync),
    stopped: &(dyn Fn() -> bool + Sync),
) -> Result<Generated, SynthError> {
    let utterances = plan(spec, &engine.installed()?)?;
    let speakers: BTreeSet<&str> = utterances.iter().map(|u| u.speaker.as_str()).collect();
    describe(spec, into, engine)?;
    let folders = spec
        .words
        .iter()
        .chain(&spec.unknown_words)
        .map(String::as_str);
    let reading = (spec.n_readings > 0).then_some(READING);
    for folder in folders.chain(reading).chain([BACKGROUND_NOISE]) {
        create_folder(&into.join(folder))?;
    }
    write_splits(into, &utterances)?;

    let noises = noise_names(spec);
    let n_files = utterances.len() + noises.len();
    let job = Job {
        done: AtomicUsize::new(0),
        made: AtomicUsize::new(0),
        n_files,
        progress,
        stopped,
    };
    job.run(&utterances, n_workers, |utterance| {
        let path = into.join(utterance.path());
        job.make_once(&path, || {
            Ok(clip_of(&speak(engine, utterance)?, utterance, spec.clip_ms))
        })
    })?;
    // After the words, since babble is made of them.
    job.run(&noises, n_workers, |&name| {
        let path = into.join(BACKGROUND_NOISE).join(format!("{name}.wav"));
        job.make_once(&path, || noise_of(name, spec, into, &utterances))
    })?;
    Ok(Generated {
        n_files,
        n_made: job.made.into_inner(),
        n_speakers: speakers.len(),
        engine: engine.name(),
        version: engine.version().to_owned(),
    })
}

/// The work on files, and what the caller hears of it.
struct Job<'a> {
    done: AtomicUsize,
    made: AtomicUsize,
    n_files: usize,
    progress: &'a (dyn Fn(usize, usize) + Sync),
    stopped: &'a (dyn Fn() -> bool + Sync),
}

impl Job<'_> {
    /// Works through the items on a few threads, until one fails or the caller stops it.
    fn run<T: Sync>(
        &self,
        items: &[T],
        n_workers: usize,
        work: impl Fn(&T) -> Result<(), SynthError> + Sync,
    ) -> Result<(), SynthError> {
        let next = AtomicUsize::new(0);
        let failed: Mutex<Option<SynthError>> = Mutex::new(None);
        let worker = || {
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                let result = if (self.stopped)() {
                    Err(SynthError::Stopped {
                        n_done: self.done.load(Ordering::Relaxed),
                        n_total: self.n_files,
                    })
                } else {
                    work(item)
                };
                if let Err(error) = result {
                    next.store(items.len(), Ordering::Relaxed);
                    failed
                        .lock()
                        .expect("no worker panics with the lock")
                        .get_or_insert(error);
                    return;
                }
                (self.progress)(1 + self.done.fetch_add(1, Ordering::Relaxed), self.n_files);
            }
        };
        std::thread::scope(|scope| {
            (0..n_workers.clamp(1, 64)).for_each(|_| {
                scope.spawn(worker);
            });
        });
        failed
            .into_inner()
            .expect("no worker panics with the lock")
            .map_or(Ok(()), Err)
    }

    fn make_once(
        &self,
        path: &Path,
        make: impl FnOnce() -> Result<Vec<f32>, SynthError>,
    ) -> Result<(), SynthError> {
        if !is_complete(path) {
            write_wav(path, &make()?)?;
            self.made.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The spec and the program that made the corpus; another one in its place is refused.
fn describe(spec: &SynthSpec, into: &Path, engine: &dyn Engine) -> Result<(), SynthError> {
    let path = into.join("synth.json");
    let program = engine.name().replace('-', "_");
    let description =
        serde_json::json!({ "synthetic": true, program: engine.version(), "spec": spec });
    let found = match fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => return Err(SynthError::Io { path, source }),
    };
    match found {
        Some(bytes)
            if serde_json::from_slice::<serde_json::Value>(&bytes)
                .ok()
                .as_ref()
                == Some(&description) =>
        {
            Ok(())
        }
        Some(_) => Err(SynthError::OtherCorpus { path }),
        None => {
            create_folder(into)?;
            let mut entries = fs::read_dir(into).map_err(|source| SynthError::Io {
                path: into.to_path_buf(),
                source,
            })?;
            // A run that was killed while it wrote the description left only its temporary file.
            let is_litter = |name: &std::ffi::OsStr| name.as_encoded_bytes().ends_with(b".partial");
            if entries.any(|entry| entry.is_ok_and(|entry| !is_litter(&entry.file_name()))) {
                return Err(SynthError::OtherCorpus {
                    path: into.to_path_buf(),
                });
            }
            write_whole(&path, Durability::Synced, |out| {
                serde_json::to_writer_pretty(&mut *out, &description)?;
                out.write_all(b"\n")
            })
            .map_err(|source| SynthError::Io { path, source })
        }
    }
}

pub(super) fn create_folder(path: &Path) -> Result<(), SynthError> {
    fs::create_dir_all(path).map_err(|source| SynthError::Io {
        path: path.to_path_buf(),
        source,
    })
}

fn write_splits(into: &Path, utterances: &[SynthUtterance]) -> Result<(), SynthError> {
    let path = into.join("splits.tsv");
    write_whole(&path, Durability::Synced, |out| {
        writeln!(
            out,
            "path\tspeaker\tsplit\tsynthetic\tvoice\tpitch\tspeed_wpm\tamplitude\thiss_dbfs"
        )?;
        for u in utterances {
            let path = u.path();
            let path = slashed(&path);
            let (speaker, split, voice) = (&u.speaker, u.split, &u.voice);
            writeln!(
                out,
                "{path}\t{speaker}\t{split}\ttrue\t{voice}\t{}\t{}\t{}\t{:.1}",
                u.pitch, u.speed_wpm, u.amplitude, u.hiss_dbfs
            )?;
        }
        Ok(())
    })
    .map_err(|source| SynthError::Io { path, source })
}

/// What is said alone, without the pauses around it.
fn speak(engine: &dyn Engine, utterance: &SynthUtterance) -> Result<Vec<f32>, SynthError> {
    let samples: Vec<f32> = engine
        .speak(utterance)?
        .into_iter()
        .map(|x| f32::from(x) / 32_768.0)
        .collect();
    match word_range(&samples, None) {
        Some(range) if range.len() >= samples_in(30) => {
            let mut word = samples[range].to_vec();
            fade_ends(&mut word, 2);
            Ok(word)
        }
        _ => Err(SynthError::Program {
            command: format!("{} {} {}", engine.name(), utterance.voice, utterance.text),
            found: "silence".into(),
            expected: "speech",
        }),
    }
}

/// The word near the middle of a clip, or that much of a reading, on a floor of hiss.
fn clip_of(spoken: &[f32], utterance: &SynthUtterance, clip_ms: u32) -> Vec<f32> {
    let is_cut = utterance.word == READING;
    let n_samples = samples_in(clip_ms).max(if is_cut { 0 } else { spoken.len() });
    let offset = i64::from(utterance.offset_ms) * i64::from(SAMPLE_RATE_HZ) / 1000;
    // Below zero where what is said begins before the clip.
    let room = n_samples as i64 - spoken.len() as i64;
    let start = (room / 2 + offset).clamp(room.min(0), room.max(0));
    let mut clip = vec![0.0; n_samples];
    add_hiss(
        &mut clip,
        utterance.hiss_dbfs,
        &mut ChaCha8Rng::seed_from_u64(utterance.hiss_seed),
    );
    let (silent, cut) = (start.max(0) as usize, (-start).max(0) as usize);
    clip[silent..]
        .iter_mut()
        .zip(&spoken[cut..])
        .for_each(|(x, w)| *x += w);
    clip
}

fn noise_names(spec: &SynthSpec) -> Vec<&'static str> {
    let all = [
        "white_noise",
        "pink_noise",
        "brown_noise",
        "mains_hum",
        "babble",
    ];
    let has_babble = !spec.unknown_words.is_empty() && spec.n_unknown_takes > 0;
    let mut names = if spec.noise_s == 0 {
        Vec::new()
    } else {
        all.to_vec()
    };
    names.retain(|&name| name != "babble" || has_babble);
    names
}

fn noise_of(
    name: &str,
    spec: &SynthSpec,
    into: &Path,
    utterances: &[SynthUtterance],
) -> Result<Vec<f32>, SynthError> {
    let n_samples = spec.noise_s as usize * SAMPLE_RATE_HZ as usize;
    let mut rng = purpose_rng(spec.seed, name);
    Ok(match name {
        "white_noise" => noise::white(n_samples, &mut rng),
        "pink_noise" => noise::pink(n_samples, &mut rng),
        "brown_noise" => noise::brown(n_samples, &mut rng),
        "mains_hum" => noise::hum(n_samples, &mut rng),
        _ => {
            // Only voices that training hears anyway, and all of them alike in loudness.
            let spoken = utterances
                .iter()
                .filter(|u| u.split == Split::Train && spec.unknown_words.contains(&u.word));
            let mut clips = Vec::new();
            for utterance in spoken {
                let clip = read_wav(&into.join(utterance.path()))?;
                let mut word = word_range(&clip, Some(utterance.hiss_dbfs))
                    .map_or(Vec::new(), |range| clip[range].to_vec());
                fade_ends(&mut word, 5);
                let loudness = rms(&word).max(1e-6) as f32;
                word.iter_mut().for_each(|x| *x *= 0.05 / loudness);
                clips.push(word);
            }
            noise::babble(n_samples, &clips, &mut rng)
        }
    })
}
