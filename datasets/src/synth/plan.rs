//! Who says what, and how: a list that follows from the spec and the voices that are installed, before anything sounds.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{Installed, READING, SynthError, SynthSpec, Timbres};
use crate::seeded::{clip_rng, purpose_rng, rank};
use crate::split::Split;

/// Timbres of espeak-ng that sound like people, in an order that does not depend on the machine. Left out are robots,
/// demons, whispers and the like.
const HUMAN_VARIANTS: [&str; 69] = [
    "f1",
    "f2",
    "f3",
    "f4",
    "f5",
    "m1",
    "m2",
    "m3",
    "m4",
    "m5",
    "m6",
    "m7",
    "m8",
    "adam",
    "Alex",
    "Alicia",
    "Andrea",
    "Andy",
    "anika",
    "Annie",
    "antonio",
    "aunty",
    "belinda",
    "benjamin",
    "boris",
    "caleb",
    "david",
    "Denis",
    "Diogo",
    "ed",
    "edward",
    "edward2",
    "Gene",
    "Gene2",
    "grandma",
    "grandpa",
    "gustave",
    "Henrique",
    "Hugo",
    "iven",
    "iven2",
    "iven3",
    "iven4",
    "Jacky",
    "john",
    "kaukovalta",
    "klatt",
    "klatt2",
    "klatt3",
    "klatt4",
    "Lee",
    "linda",
    "marcelo",
    "Marco",
    "Mario",
    "max",
    "Michael",
    "michel",
    "miguel",
    "Mike",
    "norbert",
    "pablo",
    "paul",
    "pedro",
    "quincy",
    "rob",
    "robert",
    "shelby",
    "zac",
];

/// What `amplitude` is at full scale.
const FULL_AMPLITUDE: f32 = 120.0;

/// Words of a reading.
const N_READ: usize = 8;

/// Somebody who does not exist.
#[derive(Clone, Debug, PartialEq)]
pub struct Speaker {
    /// Eight hexadecimal digits, a hash of what follows and of the seed.
    pub id: String,
    /// Which side all of their clips are on.
    pub split: Split,
    /// The voice: of espeak-ng accent and timbre, such as `en-us+f3`; of piper its file, such as `en_US-joe-medium`.
    pub voice: String,
    /// Their usual pitch, 0 to 99.
    pub pitch: u8,
    /// Their usual rate, in words a minute.
    pub speed_wpm: u16,
}

/// A word that somebody says.
#[derive(Clone, Debug, PartialEq)]
pub struct SynthUtterance {
    /// The name of its folder: the word, or [`READING`].
    pub word: String,
    /// What is said.
    pub text: String,
    /// Who says it.
    pub speaker: String,
    /// Which side it is on.
    pub split: Split,
    /// The speaker's voice.
    pub voice: String,
    /// 0 to 99.
    pub pitch: u8,
    /// Words a minute.
    pub speed_wpm: u16,
    /// Loudness, 0 to 200.
    pub amplitude: u8,
    /// Which of the speaker's takes of the word, from 0.
    pub take: usize,
    /// How far what is said is off the middle of the clip, in milliseconds; positive is later.
    pub offset_ms: i32,
    /// The level of the hiss behind it, in dB below full scale.
    pub hiss_dbfs: f32,
    /// Draws the hiss.
    pub hiss_seed: u64,
}

impl SynthUtterance {
    /// The factor to full scale, for a program that brings all it says to one level.
    pub(super) fn gain(&self) -> f32 {
        (f32::from(self.amplitude) / FULL_AMPLITUDE).min(1.0)
    }

    /// Where it lies in the corpus: `<word>/<speaker>_nohash_<take>.wav`.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(&self.word).join(format!("{}_nohash_{}.wav", self.speaker, self.take))
    }
}

/// The speakers of a corpus: distinct, and of timbres that no two splits share.
pub fn speakers(spec: &SynthSpec, installed: &Installed) -> Result<Vec<Speaker>, SynthError> {
    spec.validate()?;
    let missing: Vec<&str> = spec
        .accents
        .iter()
        .filter(|a| !installed.accents.contains(*a))
        .map(String::as_str)
        .collect();
    let lacking = |missing: String, found: Vec<&str>| SynthError::VoiceMissing {
        engine: installed.engine,
        version: installed.version.clone(),
        missing,
        found: found.join(" "),
    };
    if !missing.is_empty() {
        return Err(lacking(
            missing.join(" "),
            installed.accents.iter().map(String::as_str).collect(),
        ));
    }
    let mut variants: Vec<&str> = match installed.timbres {
        // espeak-ng speaks with the plain voice when a timbre is not there, and does not say so.
        Timbres::OfAnyAccent => HUMAN_VARIANTS
            .into_iter()
            .filter(|&v| installed.variants.contains(v))
            .collect(),
        Timbres::OfOneAccent => {
            let of = |accent: &String, voice: &str| {
                let rest = voice.strip_prefix(accent.as_str());
                rest.is_some_and(|rest| rest.starts_with('-'))
            };
            let all = installed.variants.iter().map(String::as_str);
            all.filter(|&voice| spec.accents.iter().any(|accent| of(accent, voice)))
                .collect()
        }
    };
    let (n_fewest, what) = match installed.timbres {
        Timbres::OfAnyAccent => (10, "of ten different timbres"),
        Timbres::OfOneAccent => (3, "of three different timbres, one for each split"),
    };
    if variants.len() < n_fewest {
        return Err(lacking(what.into(), variants));
    }
    let mut rng = purpose_rng(spec.seed, "speakers");
    variants.shuffle(&mut rng);
    let held_out = |n: usize| ((n as f64 * 0.15).round() as usize).max(1);
    let (n_held_out, v_held_out) = (held_out(spec.n_speakers), held_out(variants.len()));
    let (validation, rest) = variants.split_at(v_held_out);
    let (test, train) = rest.split_at(v_held_out);
    let sides = [
        (Split::Train, spec.n_speakers - 2 * n_held_out, train),
        (Split::Validation, n_held_out, validation),
        (Split::Test, n_held_out, test),
    ];
    let mut speakers = Vec::with_capacity(spec.n_speakers);
    let mut ids = BTreeSet::new();
    // Draws a manner for a voice; nothing where somebody has it.
    let mut push = |speakers: &mut Vec<Speaker>, voice: String, split, rng: &mut ChaCha8Rng| {
        let (pitch, speed_wpm) = (rng.random_range(25..=75), rng.random_range(130..=200));
        let manner = format!("{voice} {pitch} {speed_wpm}");
        let id = format!("{:08x}", rank(spec.seed, &manner) as u32);
        let is_new = ids.insert(id.clone());
        if is_new {
            speakers.push(Speaker {
                id,
                split,
                voice,
                pitch,
                speed_wpm,
            });
        }
        is_new
    };
    for (split, n_speakers, variants) in sides {
        let mut accents = spec.accents.clone();
        accents.shuffle(&mut rng);
        for at in 0.. {
            if speakers
                .iter()
                .filter(|s: &&Speaker| s.split == split)
                .count()
                == n_speakers
            {
                break;
            }
            // Timbres and accents in turn, so that each is heard before any comes again.
            let timbre = variants[at % variants.len()];
            let voice = match installed.timbres {
                Timbres::OfAnyAccent => format!("{}+{timbre}", accents[at % accents.len()]),
                Timbres::OfOneAccent => timbre.to_owned(),
            };
            push(&mut speakers, voice, split, &mut rng);
        }
    }
    let voices = installed.for_training.iter().cycle();
    for voice in voices.take(spec.n_speakers * 3 / 10) {
        while !push(&mut speakers, voice.clone(), Split::Train, &mut rng) {}
    }
    Ok(speakers)
}

/// Every utterance of a corpus, sorted by path.
pub fn plan(spec: &SynthSpec, installed: &Installed) -> Result<Vec<SynthUtterance>, SynthError> {
    let speakers = speakers(spec, installed)?;
    let keywords = spec.words.iter().map(|word| (word, spec.n_takes));
    let words: Vec<_> = keywords
        .chain(
            spec.unknown_words
                .iter()
                .map(|word| (word, spec.n_unknown_takes)),
        )
        .collect();
    let mut utterances = Vec::new();
    for speaker in &speakers {
        for &(word, n_takes) in &words {
            let mut rng = clip_rng(
                spec.seed,
                0,
                rank(spec.seed, &format!("{} {word}", speaker.id)),
            );
            let mut spoken = BTreeSet::new();
            for take in 0..n_takes {
                let said = |_: &mut ChaCha8Rng| word.replace('_', " ");
                utterances.push(utterance(speaker, word, said, take, &mut spoken, &mut rng));
            }
        }
        let mut rng = clip_rng(
            spec.seed,
            0,
            rank(spec.seed, &format!("{} reads", speaker.id)),
        );
        for take in 0..spec.n_readings {
            let read = |rng: &mut ChaCha8Rng| sentence(&spec.vocabulary, rng);
            // Other words each time: it may be in the same manner.
            let mut spoken = BTreeSet::new();
            let mut utterance = utterance(speaker, READING, read, take, &mut spoken, &mut rng);
            utterance.offset_ms = rng.random_range(-1_000..=1_000);
            utterances.push(utterance);
        }
    }
    utterances.sort_by_key(SynthUtterance::path);
    Ok(utterances)
}

/// Words in a row, enough for some seconds.
fn sentence(vocabulary: &[String], rng: &mut ChaCha8Rng) -> String {
    let words = (0..N_READ).map(|_| vocabulary[rng.random_range(0..vocabulary.len())].as_str());
    words.collect::<Vec<_>>().join(" ").replace('_', " ")
}

/// One take, different in pitch or rate from those before.
fn utterance(
    speaker: &Speaker,
    word: &str,
    text: impl FnOnce(&mut ChaCha8Rng) -> String,
    take: usize,
    spoken: &mut BTreeSet<(u8, u16)>,
    rng: &mut ChaCha8Rng,
) -> SynthUtterance {
    let (pitch, speed_wpm) = loop {
        let pitch = speaker.pitch + rng.random_range(0..=12) - 6;
        let speed_wpm = speaker.speed_wpm + rng.random_range(0..=40) - 20;
        if spoken.insert((pitch, speed_wpm)) {
            break (pitch, speed_wpm);
        }
    };
    SynthUtterance {
        word: word.to_owned(),
        text: text(rng),
        speaker: speaker.id.clone(),
        split: speaker.split,
        voice: speaker.voice.clone(),
        pitch,
        speed_wpm,
        amplitude: rng.random_range(30..=110),
        take,
        offset_ms: rng.random_range(-100..=100),
        hiss_dbfs: rng.random_range(-75.0..=-45.0),
        hiss_seed: rng.random(),
    }
}
