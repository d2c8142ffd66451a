//! Recordings of people in a synthetic corpus. No program speaks here: the corpus is a list of three synthetic clips.

use super::super::wave::{samples_in, write_wav};
use super::*;

/// Seconds of hiss with a loud tone at the given times.
fn recording(path: &Path, seconds: f64, tones_s: &[std::ops::Range<f64>]) {
    let n_samples = (seconds * f64::from(SAMPLE_RATE_HZ)) as usize;
    let sample = |at: usize| {
        let at_s = at as f64 / f64::from(SAMPLE_RATE_HZ);
        let is_loud = tones_s.iter().any(|tone| tone.contains(&at_s));
        let level = if is_loud { 0.3 } else { 0.001 };
        level * (at_s * 500.0 * std::f64::consts::TAU).sin() as f32
    };
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_wav(path, &(0..n_samples).map(sample).collect::<Vec<_>>()).unwrap();
}

fn corpus(folder: &Path) -> std::path::PathBuf {
    let into = folder.join("corpus");
    let mut list =
        "path\tspeaker\tsplit\tsynthetic\tvoice\tpitch\tspeed_wpm\tamplitude\thiss_dbfs\n"
            .to_owned();
    for (split, speaker) in [("train", "v1"), ("validation", "v2"), ("test", "v3")] {
        let path = format!("lumo/{speaker}_nohash_0.wav");
        recording(&into.join(&path), 1.0, &[0.3..0.6]);
        list.push_str(&format!(
            "{path}\t{speaker}\t{split}\ttrue\ten-us\t50\t165\t100\t-60.0\n"
        ));
    }
    fs::write(into.join("splits.tsv"), list).unwrap();
    into
}

fn join(found: &Recordings, into: &Path) -> Joined {
    let decode = |path: &Path| read_wav(path).map_err(|error| error.to_string());
    join_recordings(found, into, 1000, 7, &decode, &|_, _| (), &|| false).unwrap()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

#[test]
fn recordings_join_a_corpus_with_the_word_in_the_middle_and_are_what_is_judged_by() {
    let folder = tempfile::tempdir().unwrap();
    let (into, people) = (corpus(folder.path()), folder.path().join("people"));
    for n in 0..10 {
        // A click before it is louder than nothing, and no word.
        recording(
            &people.join(format!("lumo/{n}.wav")),
            4.0,
            &[0.5..0.52, 2.0..2.4],
        );
    }
    for n in 10..14 {
        // Shorter than a clip, the word at its end.
        recording(&people.join(format!("lumo/{n}\t\".wav")), 0.6, &[0.2..0.6]);
    }
    recording(&people.join("_talk/radio.wav"), 3.7, &[0.0..3.7]);
    recording(&people.join("lumo/silent.wav"), 2.0, &[]);
    fs::write(people.join("lumo/broken.wav"), "no sound").unwrap();
    write_wav(&people.join("lumo/silent.wav"), &vec![0.0; 40_000]).unwrap();
    assert_eq!(recorded_words(&people).unwrap(), ["lumo"]);
    let found = recordings(&people, &words(&["lumo"]), 7).unwrap();
    assert!(!found.by_speaker);
    let before = files_of(&into);
    let joined = join(&found, &into);
    let aside: Vec<String> = joined
        .set_aside
        .iter()
        .map(|(file, _)| file.display().to_string())
        .collect();
    assert!(
        aside.len() == 2
            && aside[0].ends_with("lumo/broken.wav")
            && aside[1].ends_with("lumo/silent.wav"),
        "{joined:?}"
    );

    let rows = scan(&into, &task(&["lumo"])).unwrap();
    audit(&rows).unwrap();
    assert!(
        rows.iter()
            .all(|row| row.split != Split::Test || !row.synthetic),
        "what a program said is not judged by beside people"
    );
    let mut starts = BTreeSet::new();
    for row in rows
        .iter()
        .filter(|row| !row.synthetic && row.label == "lumo")
    {
        let clip = read_wav(&into.join(&row.path)).unwrap();
        assert_eq!(clip.len(), samples_in(1000));
        let loud: Vec<usize> = (0..clip.len()).filter(|&at| clip[at].abs() > 0.1).collect();
        let (first, last) = (loud[0], loud[loud.len() - 1]);
        assert!(
            last - first > samples_in(390),
            "{}: the whole tone",
            row.path.display()
        );
        let middle_ms = (first + last) as f64 / 2.0 / f64::from(SAMPLE_RATE_HZ) * 1000.0;
        let most_ms = if row.split == Split::Train {
            165.0
        } else {
            15.0
        };
        assert!(
            (middle_ms - 500.0).abs() < most_ms,
            "{}: {middle_ms} ms",
            row.path.display()
        );
        starts.insert((row.split, first));
    }
    let on = |split| {
        rows.iter()
            .filter(|row| !row.synthetic && row.label == "lumo" && row.split == split)
            .count()
    };
    assert!(on(Split::Train) > 100, "{}", on(Split::Train));
    assert!(
        [Split::Validation, Split::Test]
            .map(on)
            .iter()
            .all(|n| (1..3).contains(n))
    );
    assert!(
        starts.len() > 20,
        "a word is learnt at many places of a clip"
    );
    let talk: Vec<_> = rows
        .iter()
        .filter(|row| row.path.starts_with("_recorded_"))
        .collect();
    assert_eq!(
        talk.len(),
        4,
        "seconds one behind the other, and what is left"
    );
    assert!(talk.iter().all(|row| row.label == "_unknown_"));

    let after = files_of(&into);
    fs::write(into.join("splits.tsv"), &before["splits.tsv"]).unwrap();
    assert_eq!(join(&found, &into), joined);
    assert!(files_of(&into) == after, "a second time is the same bytes");
    fs::write(into.join("splits.tsv"), &before["splits.tsv"]).unwrap();
    remove_recordings(&into).unwrap();
    assert!(files_of(&into) == before, "without them it is as it was");
}

#[test]
fn whoever_speaks_is_on_one_side_of_all_words_where_names_tell() {
    let folder = tempfile::tempdir().unwrap();
    for word in ["lumo", "hey robin"] {
        for speaker in ["ann", "bob", "cai", "dee", "eli", "fay", "gus"] {
            recording(
                &folder.path().join(format!("{word}/{speaker}_nohash_0.wav")),
                0.2,
                &[],
            );
        }
    }
    recording(&folder.path().join("talk/ann_nohash_9.wav"), 0.2, &[]);
    let found = recordings(
        folder.path(),
        &words(&["hey_robin", "lumo", "spoken_only"]),
        1,
    )
    .unwrap();
    assert!(found.by_speaker);
    assert_eq!(found.all.len(), 15);
    let mut sides: BTreeMap<&str, BTreeSet<Split>> = BTreeMap::new();
    for recording in &found.all {
        let speaker = recording.speaker.as_deref().unwrap();
        sides.entry(speaker).or_default().insert(recording.split);
    }
    assert!(sides.values().all(|splits| splits.len() == 1), "{sides:?}");
    let on = |split| {
        sides
            .values()
            .filter(|splits| splits.contains(&split))
            .count()
    };
    assert_eq!(
        [Split::Train, Split::Validation, Split::Test].map(on),
        [5, 1, 1]
    );
}

#[test]
fn too_few_recordings_of_a_word_are_refused_with_their_number() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..2 {
        recording(&folder.path().join(format!("lumo/{n}.wav")), 0.2, &[]);
    }
    let error = recordings(folder.path(), &words(&["lumo"]), 1)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("found 2 recordings of `lumo`; expected 3"),
        "{error}"
    );
    let error = recordings(&folder.path().join("absent"), &words(&["lumo"]), 1)
        .unwrap_err()
        .to_string();
    assert!(error.contains("absent"), "{error}");
}
