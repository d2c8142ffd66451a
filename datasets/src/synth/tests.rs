//! What comes out of the synthetic corpus. What needs espeak-ng itself is passed over, with a reason, where it is not installed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::wave::{read_wav, word_range};
use super::*;
use crate::audit::audit;
use crate::background::{BackgroundSpec, NoiseDivision, noise_files};
use crate::corpus::{CorpusSpec, Layout, SpeakerPattern, scan};
use crate::labels::LabelSpec;
use crate::split::{Split, SplitSpec};

mod flite;
mod piper;
mod recorded;

fn spec() -> SynthSpec {
    SynthSpec {
        noise_s: 2,
        n_readings: 1,
        vocabulary: "bread butter sugar water apple lemon orange pepper onion garlic carrot potato tomato cheese honey coffee"
            .split(' ')
            .map(String::from)
            .collect(),
        ..SynthSpec::english(&["left", "hey_computer"], &["cat"], 30, 1, 7)
    }
}

fn installed() -> Installed {
    let english = SynthSpec::english(&["left"], &[], 30, 1, 7);
    let variants = (1..=8).flat_map(|n| [format!("m{n}"), format!("f{n}")]);
    Installed {
        engine: "espeak-ng",
        version: "1.51".into(),
        accents: english.accents.into_iter().collect(),
        variants: variants.collect(),
        timbres: Timbres::OfAnyAccent,
        for_training: Vec::new(),
    }
}

fn espeak() -> Option<Espeak> {
    match Espeak::find() {
        Ok(espeak) => Some(espeak),
        Err(SynthError::ProgramMissing { .. }) => {
            eprintln!("skipped: espeak-ng is not installed");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// A program of that name in a folder: what a shell does with the script.
#[cfg(unix)]
fn stand_in(folder: &Path, name: &str, script: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let program = folder.join(name);
    fs::write(&program, format!("#!/bin/sh\n{script}")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

#[test]
fn speakers_are_distinct_and_share_no_timbre_between_splits() {
    for n_speakers in [30, 61, 200] {
        let spec = SynthSpec {
            n_speakers,
            ..spec()
        };
        let speakers = speakers(&spec, &installed()).unwrap();
        assert_eq!(speakers.len(), n_speakers);
        let ids: BTreeSet<_> = speakers.iter().map(|s| &s.id).collect();
        let manners: BTreeSet<_> = speakers
            .iter()
            .map(|s| (&s.voice, s.pitch, s.speed_wpm))
            .collect();
        assert_eq!((ids.len(), manners.len()), (n_speakers, n_speakers));
        let mut timbres: BTreeMap<&str, BTreeSet<Split>> = BTreeMap::new();
        let mut counts: BTreeMap<Split, usize> = BTreeMap::new();
        for speaker in &speakers {
            timbres
                .entry(speaker.voice.split_once('+').unwrap().1)
                .or_default()
                .insert(speaker.split);
            *counts.entry(speaker.split).or_default() += 1;
        }
        assert!(
            timbres.values().all(|splits| splits.len() == 1),
            "{timbres:?}"
        );
        for split in [Split::Validation, Split::Test] {
            assert!(
                (counts[&split] as f64 / n_speakers as f64 - 0.15).abs() < 0.02,
                "{counts:?}"
            );
        }
    }
}

#[test]
fn the_plan_follows_from_the_seed_and_no_take_is_said_twice_the_same_way() {
    let spec = SynthSpec {
        n_takes: 50,
        ..spec()
    };
    let planned = plan(&spec, &installed()).unwrap();
    assert_eq!(planned, plan(&spec, &installed()).unwrap());
    assert_ne!(
        planned,
        plan(
            &SynthSpec {
                seed: 8,
                ..spec.clone()
            },
            &installed()
        )
        .unwrap()
    );
    assert_eq!(planned.len(), 30 * (2 * 50 + 1 + 1));
    let takes: BTreeSet<_> = planned
        .iter()
        .map(|u| (&u.word, &u.speaker, u.pitch, u.speed_wpm))
        .collect();
    assert_eq!(takes.len(), planned.len());
    assert!(
        planned
            .iter()
            .all(|u| u.pitch <= 99 && (80..=450).contains(&u.speed_wpm)),
        "what espeak-ng takes"
    );
}

#[test]
fn each_speaker_reads_other_words_each_time() {
    let spec = SynthSpec {
        n_readings: 5,
        ..spec()
    };
    let planned = plan(&spec, &installed()).unwrap();
    let read: Vec<_> = planned.iter().filter(|u| u.word == READING).collect();
    assert_eq!(read.len(), 30 * 5);
    let texts: BTreeSet<&str> = read.iter().map(|u| u.text.as_str()).collect();
    assert_eq!(texts.len(), read.len());
    for utterance in read {
        let words: Vec<&str> = utterance.text.split(' ').collect();
        let is_known = |word: &&str| spec.vocabulary.iter().any(|w| w == word);
        assert!(words.len() == 8 && words.iter().all(is_known), "{words:?}");
    }
    let said = planned.iter().find(|u| u.word == "hey_computer").unwrap();
    assert_eq!(said.text, "hey computer");
}

#[test]
fn what_cannot_be_spoken_is_refused_by_name() {
    let said = |spec: SynthSpec| plan(&spec, &installed()).unwrap_err().to_string();
    assert!(
        said(SynthSpec {
            accents: vec!["en-mars".into()],
            ..spec()
        })
        .contains("en-mars")
    );
    assert!(
        said(SynthSpec {
            words: vec!["--help".into()],
            ..spec()
        })
        .contains("--help")
    );
    assert!(
        said(SynthSpec {
            words: vec!["../up".into()],
            ..spec()
        })
        .contains("../up")
    );
    assert!(
        said(SynthSpec {
            unknown_words: vec!["left".into()],
            ..spec()
        })
        .contains("twice")
    );
    assert!(
        said(SynthSpec {
            n_speakers: 29,
            ..spec()
        })
        .contains("29")
    );
    assert!(
        said(SynthSpec {
            vocabulary: vec!["bread".into()],
            ..spec()
        })
        .contains("1 words")
    );
    let few = Installed {
        variants: ["f1".to_owned()].into(),
        ..installed()
    };
    assert!(
        plan(&spec(), &few)
            .unwrap_err()
            .to_string()
            .contains("timbres")
    );
}

#[test]
fn a_missing_program_says_how_to_install_it() {
    let error = Espeak::find_at(Path::new("no-such-espeak-ng")).unwrap_err();
    assert!(matches!(error, SynthError::ProgramMissing { .. }));
    assert!(
        error.to_string().contains("apt-get install espeak-ng"),
        "{error}"
    );
}

fn files_of(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            files.extend(
                files_of(&path)
                    .into_iter()
                    .map(|(inside, bytes)| (format!("{name}/{inside}"), bytes)),
            );
        } else {
            files.insert(name, fs::read(path).unwrap());
        }
    }
    files
}

#[test]
fn a_corpus_is_made_once_goes_on_after_a_stop_and_is_the_same_bytes_again() {
    let Some(espeak) = espeak() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let whole = generate(&spec(), &one, &espeak, 2, &|_, _| (), &|| false).unwrap();
    assert_eq!(
        (whole.n_files, whole.n_made, whole.n_speakers),
        (30 * 4 + 5, 30 * 4 + 5, 30)
    );

    let asked = AtomicUsize::new(0);
    let stopped = generate(&spec(), &two, &espeak, 2, &|_, _| (), &|| {
        asked.fetch_add(1, Ordering::Relaxed) >= 20
    });
    assert!(
        matches!(
            stopped,
            Err(SynthError::Stopped {
                n_done: 18..=20,
                n_total: 125
            })
        ),
        "{stopped:?}"
    );
    // A file that a crash left half-written, and one that is gone.
    let cut = two.join(plan(&spec(), &espeak.installed().unwrap()).unwrap()[0].path());
    fs::write(&cut, &fs::read(&cut).unwrap()[..1000]).unwrap();
    let most = AtomicUsize::new(0);
    let heard = |done, total| {
        most.fetch_max(done, Ordering::Relaxed);
        assert_eq!(total, 125);
    };
    let rest = generate(&spec(), &two, &espeak, 1, &heard, &|| false).unwrap();
    assert!(
        (106..=108).contains(&rest.n_made),
        "{} were made",
        rest.n_made
    );
    assert_eq!(most.into_inner(), 125);
    assert!(
        files_of(&one) == files_of(&two),
        "the same seed gives the same bytes"
    );

    let again = generate(&spec(), &one, &espeak, 2, &|_, _| (), &|| false).unwrap();
    assert_eq!(again.n_made, 0);
    let other = generate(
        &SynthSpec { seed: 8, ..spec() },
        &one,
        &espeak,
        2,
        &|_, _| (),
        &|| false,
    )
    .unwrap_err();
    assert!(
        matches!(other, SynthError::OtherCorpus { .. }) && other.to_string().contains("one"),
        "{other}"
    );
    let foreign = generate(&spec(), folder.path(), &espeak, 2, &|_, _| (), &|| false).unwrap_err();
    assert!(
        matches!(foreign, SynthError::OtherCorpus { .. }),
        "a folder with other things in it is left alone"
    );

    check_scan(&one, &espeak);
    check_sequence(&one, folder.path(), &espeak);
}

/// The task of telling keywords in a corpus of ours.
fn task(keywords: &[&str]) -> CorpusSpec {
    CorpusSpec {
        layout: Layout::FolderPerClass,
        speaker: SpeakerPattern::nohash(),
        labels: LabelSpec {
            keywords: keywords.iter().map(|&word| word.to_owned()).collect(),
            unknown: true,
            unknown_percent: None,
            silence: false,
            silence_percent: None,
        },
        splits: SplitSpec::List {
            path: "splits.tsv".into(),
            train: "train".into(),
            validation: Some("validation".into()),
            test: Some("test".into()),
            validation_percent_of_train: None,
        },
        background: BackgroundSpec {
            folders: vec![],
            divide: NoiseDivision::Position,
        },
        clip_ms: 1000,
        max_reject_share: 0.0,
        seed: 7,
    }
}

fn check_scan(corpus: &Path, espeak: &Espeak) {
    let spec = task(&["left", "hey_computer"]);
    let rows = scan(corpus, &spec).unwrap();
    let summary = audit(&rows).unwrap();
    assert_eq!(
        (rows.len(), summary.n_synthetic, summary.n_without_speaker),
        (120, 120, 0)
    );
    assert_eq!(summary.n_speakers.values().sum::<usize>(), 30);
    assert_eq!(noise_files(corpus, &spec.background).unwrap().len(), 5);
    let utterances = plan(&self::spec(), &espeak.installed().unwrap()).unwrap();
    let mut heard = BTreeSet::new();
    for utterance in &utterances {
        let path = utterance.path();
        let samples = read_wav(&corpus.join(&path)).unwrap();
        assert!(samples.len() >= 22_050);
        heard.insert(samples.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
        let peak = samples.iter().fold(0.0f32, |peak, x| peak.max(x.abs()));
        assert!(peak > 0.01 && peak < 1.0, "{}: peak {peak}", path.display());
        if utterance.word == READING {
            assert_eq!(samples.len(), 22_050, "a piece of what is read");
            let halves = samples.chunks(11_025).map(crate::augment::rms);
            let hiss = 10f64.powf(f64::from(utterance.hiss_dbfs) / 20.0);
            assert!(halves.into_iter().all(|level| level > 1.5 * hiss));
            continue;
        }
        // The word as espeak-ng speaks it, without hiss, says where it must be found under the hiss.
        let clean = word_of(espeak, utterance);
        let room = samples.len() - clean;
        let start = (room as i64 / 2 + i64::from(utterance.offset_ms) * 22_050 / 1000)
            .clamp(0, room as i64) as usize;
        let word = word_range(&samples, Some(utterance.hiss_dbfs)).unwrap();
        let inside = word.start + 230 >= start && word.end <= start + clean + 230;
        assert!(
            inside && word.len() * 2 > clean,
            "{}: {word:?} of {start}..{}",
            path.display(),
            start + clean
        );
    }
    assert_eq!(heard.len(), rows.len(), "no two clips are the same");
}

/// How many samples a word takes as espeak-ng speaks it.
fn word_of(espeak: &Espeak, utterance: &SynthUtterance) -> usize {
    let spoken = espeak.speak(utterance).unwrap();
    let spoken: Vec<f32> = spoken.iter().map(|&x| f32::from(x) / 32_768.0).collect();
    word_range(&spoken, None).unwrap().len()
}

fn check_sequence(corpus: &Path, into: &Path, espeak: &Espeak) {
    let spec = SequenceSpec {
        words: vec!["left".into(), "hey_computer".into()],
        n_words: 5,
        gap_ms: [400, 900],
        hiss_dbfs: -65.0,
        seed: 3,
    };
    let (wav, labels) = (into.join("sequence.wav"), into.join("sequence.csv"));
    let sequence = write_sequence(corpus, &spec, &wav, &labels).unwrap();
    assert_eq!(
        sequence,
        write_sequence(corpus, &spec, &wav, &labels).unwrap()
    );
    let list = fs::read_to_string(corpus.join("splits.tsv")).unwrap();
    let mut of_speaker = list.lines().filter(|line| line.contains(&sequence.speaker));
    assert!(
        of_speaker.all(|line| line.contains("\ttest\t")),
        "the speaker was never heard in training"
    );
    assert!(
        sequence
            .words
            .windows(2)
            .all(|pair| pair[0].word != pair[1].word)
    );

    // By ear: what is loud lies inside the true times, and what lies between them is quiet.
    let samples = read_wav(&wav).unwrap();
    assert!((sequence.duration_s - samples.len() as f64 / 22_050.0).abs() < 1e-9);
    let part = |from: f64, to: f64| {
        &samples[(from * 22_050.0).round() as usize..(to * 22_050.0).round() as usize]
    };
    let utterances = plan(&self::spec(), &espeak.installed().unwrap()).unwrap();
    let mut before = 0.0;
    for word in &sequence.words {
        // Each speaker says each word once in this corpus, so there is one true length.
        let spoken = utterances
            .iter()
            .find(|u| u.word == word.word && u.speaker == sequence.speaker)
            .unwrap();
        let (true_s, found_s) = (
            word_of(espeak, spoken) as f64 / 22_050.0,
            word.end_s - word.start_s,
        );
        assert!(
            found_s > true_s / 2.0 && found_s < true_s + 0.021,
            "{found_s} s of {true_s} s"
        );
        assert!((0.4 - 1e-3..0.9 + 1e-3).contains(&(word.start_s - before)));
        assert!(crate::augment::rms(part(before, word.start_s)) < 0.001);
        assert!(crate::augment::rms(part(word.start_s, word.end_s)) > 0.005);
        before = word.end_s;
    }
    let rows = fs::read_to_string(&labels).unwrap();
    assert_eq!(rows.lines().count(), 6);
    assert!(rows.starts_with("word,start_s,end_s\n"));
    let nobody = SequenceSpec {
        words: vec!["stop".into()],
        ..spec
    };
    assert!(
        write_sequence(corpus, &nobody, &wav, &labels)
            .unwrap_err()
            .to_string()
            .contains("stop")
    );
}
