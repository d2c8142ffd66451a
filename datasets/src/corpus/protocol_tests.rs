//! The published protocol of Speech Commands, on its published file names and on a small corpus of the same layout.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use crate::audit::audit;
use crate::background::{NoiseFile, divide, silence_rows};
use crate::card::card;
use crate::corpus::{CorpusSpec, scan};
use crate::split::{Split, speech_commands_split};
use crate::testing::shared;
use crate::utterance::Utterance;

/// What `which_set` of TensorFlow's speech example (`input_data.py`, 10 % and 10 %), run in Python 3, says of
/// `f"{i * 2654435761 % 2**32:08x}_nohash_{i % 5}.wav"` for i = 0, 1, ... 999: v is validation, t testing, a dot training.
const WHICH_SET: &str = "\
     vv........v...v....t............tt.t....tv..v...............v..v.....v...........tv.t...............\
     ..t.tv.......v...........t..vv..tv....t...........v....................t......tv..vtt...vv.t.t......\
     ......v.........t..t.............tt..............v.........t...tt.......v..tv...tt.......v....vv....\
     t...t........v..t.v..........t.......t....vtv........tv.....t........t....tv.....v....t....v.tt.....\
     ....v...vv.....t.vt.............ttt..t...tt....v...........v..............t.........t...t.t.........\
     .tt....tt..v.....................t....t...t.....t..v......t.....v....t....v.....vt...v....v......t..\
     ...v......v..tt...v.v....v........t....v...............vt.....v.....tt.........tt...t.t....tt..v....\
     ...t.t.....t...........v....t...v...tt...tt.....t.......t................t..vvvv......v....v...v....\
     .........t.t.......v....v...........tvt...t....t..v......t......v..v.......vvvtv..tt...v.tv.....t...\
     ...............tt..t......tvv...............v....v.........vv..t...tt.....tv...vt...........v.v.....\
     ";

#[test]
fn a_thousand_names_fall_where_the_published_rule_puts_them() {
    let letters: Vec<char> = WHICH_SET.chars().filter(|c| !c.is_whitespace()).collect();
    assert_eq!(letters.len(), 1000);
    for (i, &letter) in letters.iter().enumerate() {
        let i = i as u64;
        let name = format!("{:08x}_nohash_{}.wav", i * 2_654_435_761 % (1 << 32), i % 5);
        let expected = match letter {
            'v' => Split::Validation,
            't' => Split::Test,
            _ => Split::Train,
        };
        assert_eq!(speech_commands_split(&name, 10.0, 10.0), expected, "{name}");
    }
}

fn task(name: &str, task: &str) -> CorpusSpec {
    card(name).unwrap().task(Some(task)).unwrap().corpus.clone()
}

fn touch(root: &Path, file: &str) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "").unwrap();
}

/// The six noise recordings of the corpus, each a minute or more long.
fn noise() -> Vec<NoiseFile> {
    (0..6)
        .map(|at| NoiseFile {
            path: format!("_background_noise_/{at}.wav").into(),
            duration_s: 60.0,
        })
        .collect()
}

fn with_silence(root: &Path, spec: &CorpusSpec) -> Vec<Utterance> {
    let mut rows = scan(root, spec).unwrap();
    let silence = silence_rows(&rows, &divide(&noise(), spec), spec).unwrap();
    rows.extend(silence);
    rows
}

fn counts(rows: &[Utterance]) -> BTreeMap<(Split, &str), usize> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry((row.split, row.label.as_str())).or_default() += 1;
    }
    counts
}

/// The lists are those published with TC-ResNet. They name all keyword clips of v0.01, and the others that were drawn.
#[test]
fn the_published_names_give_the_published_counts_of_the_12_label_task() {
    let Some(lists) = shared("reference/sc_v1_12_lists") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for list in ["train", "valid", "test"] {
        let file = std::fs::File::open(lists.join(format!("{list}.txt.gz"))).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(file)
            .read_to_string(&mut text)
            .unwrap();
        for name in text.lines().filter(|name| !name.starts_with("_silence_")) {
            touch(folder.path(), name);
            // More unknown words than are asked for, as in the corpus itself.
            if name.starts_with("bed/") || name.starts_with("wow/") {
                touch(
                    folder.path(),
                    &name.replace("bed/", "marvel/").replace("wow/", "wonder/"),
                );
            }
        }
    }
    let spec = task("speech-commands-v1", "v1-12-hash");
    let rows = with_silence(folder.path(), &spec);
    let counts = counts(&rows);
    let total = |split| rows.iter().filter(|row| row.split == split).count();
    assert_eq!(Split::ALL.map(total), [22_246, 3_093, 3_081], "{counts:?}");
    for (split, n) in Split::ALL.into_iter().zip([1_854, 258, 257]) {
        assert_eq!(counts[&(split, "_unknown_")], n, "{split}");
        assert_eq!(counts[&(split, "_silence_")], n, "{split}");
    }
    // Two of the keywords, counted in the lists themselves.
    assert_eq!(counts[&(Split::Test, "up")], 272);
    assert_eq!(counts[&(Split::Train, "stop")], 1_885);
    audit(&rows).unwrap();
}

/// A corpus as the two archives unpack side by side: 40 speakers say the ten keywords and three other words.
fn small_corpus() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (main, test_set) = ("speech_commands_v0.02", "speech_commands_test_set_v0.02");
    let keywords = [
        "yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go",
    ];
    let mut lists = BTreeMap::from([
        (Split::Validation, String::new()),
        (Split::Test, String::new()),
    ]);
    for speaker in 0..40 {
        for word in keywords.into_iter().chain(["bed", "cat", "wow"]) {
            let name = format!("{word}/{speaker:08x}_nohash_0.wav");
            touch(folder.path(), &format!("{main}/{name}"));
            let split = speech_commands_split(&name, 10.0, 10.0);
            if let Some(list) = lists.get_mut(&split) {
                list.push_str(&format!("{name}\n"));
            }
            if split == Split::Test {
                if keywords.contains(&word) {
                    touch(folder.path(), &format!("{test_set}/{name}"));
                } else if word == "cat" {
                    let name = format!("_unknown_/{word}_{speaker:08x}_nohash_0.wav");
                    touch(folder.path(), &format!("{test_set}/{name}"));
                }
            }
        }
    }
    touch(folder.path(), &format!("{main}/_background_noise_/hum.wav"));
    let n_test = lists[&Split::Test].lines().count() * 10 / 13;
    for at in 0..n_test.div_ceil(10) {
        touch(folder.path(), &format!("{test_set}/_silence_/{at}.wav"));
    }
    let write = |name, split| {
        std::fs::write(folder.path().join(main).join(name), &lists[&split]).unwrap();
    };
    write("validation_list.txt", Split::Validation);
    write("testing_list.txt", Split::Test);
    folder
}

#[test]
fn the_official_test_set_is_the_test_side_and_nothing_of_the_main_archive_joins_it() {
    let folder = small_corpus();
    let card = card("speech-commands-v2").unwrap();
    let task = card.task(Some("v2-12")).unwrap();
    let rows = with_silence(&folder.path().join(&task.root), &task.corpus);
    let test_rows = || rows.iter().filter(|row| row.split == Split::Test);
    assert!(test_rows().count() > 20);
    for row in test_rows() {
        let path = row.path.to_string_lossy();
        assert!(path.contains("test_set"), "{path}");
    }
    let on_disk = crate::corpus::audio_files(&folder.path().join("speech_commands_test_set_v0.02"));
    assert_eq!(test_rows().count(), on_disk.unwrap().len());
    for row in rows.iter().filter(|row| row.split != Split::Test) {
        assert!(!row.path.to_string_lossy().contains("test_set"), "{row:?}");
        let side = speech_commands_split(&row.path.to_string_lossy(), 10.0, 10.0);
        assert!(row.label == "_silence_" || side == row.split, "{row:?}");
    }
    // Both extra classes are a tenth of the keywords, rounded up, on every side.
    let counts = counts(&rows);
    for split in [Split::Train, Split::Validation] {
        let n_keywords: usize = counts
            .iter()
            .filter(|((side, label), _)| *side == split && !label.starts_with('_'))
            .map(|(_, n)| n)
            .sum();
        assert_eq!(
            counts[&(split, "_unknown_")],
            n_keywords.div_ceil(10),
            "{split}"
        );
        assert_eq!(
            counts[&(split, "_silence_")],
            n_keywords.div_ceil(10),
            "{split}"
        );
    }
    assert_eq!(
        task.corpus.labels.class_names(&rows).join(" "),
        "_silence_ _unknown_ yes no up down left right on off stop go"
    );
    audit(&rows).unwrap();
}

#[test]
fn the_tasks_of_35_and_of_10_words_take_the_lists_and_add_no_class() {
    let folder = small_corpus();
    let card = card("speech-commands-v2").unwrap();
    let ten = card.task(Some("v2-10")).unwrap();
    let rows = scan(&folder.path().join(&ten.root), &ten.corpus).unwrap();
    assert_eq!(rows.len(), 400);
    for row in &rows {
        assert_eq!(
            row.split,
            speech_commands_split(&row.path.to_string_lossy(), 10.0, 10.0)
        );
        assert!(!row.label.starts_with('_'));
    }
    let all = card.task(Some("v2-35")).unwrap();
    let rows = scan(&folder.path().join(&all.root), &all.corpus).unwrap();
    assert_eq!(rows.len(), 13 * 40);
}
