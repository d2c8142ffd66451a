//! What a user sees of a folder or a manifest after it was scanned.

use super::*;
use crate::audit::{AuditError, audit};
use crate::background::{BackgroundSpec, NoiseDivision};
use crate::testing::shared;
use crate::utterance::slashed;

fn spec(keywords: &[&str], splits: SplitSpec) -> CorpusSpec {
    CorpusSpec {
        layout: Layout::FolderPerClass,
        speaker: SpeakerPattern::nohash(),
        labels: LabelSpec {
            keywords: keywords.iter().map(|&word| word.to_owned()).collect(),
            unknown: false,
            unknown_percent: None,
            silence: false,
            silence_percent: None,
        },
        splits,
        background: BackgroundSpec {
            folders: vec![],
            divide: NoiseDivision::Position,
        },
        clip_ms: 1000,
        max_reject_share: 0.05,
        seed: 7,
    }
}

const HASH: SplitSpec = SplitSpec::Hash {
    validation_percent: 10.0,
    test_percent: 10.0,
};

fn list(path: &str) -> SplitSpec {
    SplitSpec::List {
        path: path.into(),
        train: "train".into(),
        validation: None,
        test: Some("dev".into()),
        validation_percent_of_train: Some(10.0),
    }
}

fn corpus(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    folder
}

fn words_of(rows: &[Utterance]) -> BTreeMap<&str, usize> {
    let mut words = BTreeMap::new();
    rows.iter()
        .for_each(|row| *words.entry(row.label.as_str()).or_default() += 1);
    words
}

#[test]
fn a_folder_is_a_word_and_noise_hidden_and_other_files_are_not() {
    let folder = corpus(&[
        "go/ann_nohash_0.wav",
        "go/ann_nohash_1.OGG",
        "go/notes.txt",
        "go/.ann_nohash_2.wav",
        "go/deeper/bob_nohash_0.flac",
        "up/bob_nohash_0.wav",
        "_background_noise_/tap.wav",
        ".git/x.wav",
        "README.wav",
    ]);
    let rows = scan(folder.path(), &spec(&[], HASH)).unwrap();
    assert_eq!(words_of(&rows), BTreeMap::from([("go", 3), ("up", 1)]));
    let paths: Vec<String> = rows
        .iter()
        .map(|row| slashed(&row.path).into_owned())
        .collect();
    assert_eq!(
        paths,
        [
            "go/ann_nohash_0.wav",
            "go/ann_nohash_1.OGG",
            "go/deeper/bob_nohash_0.flac",
            "up/bob_nohash_0.wav"
        ]
    );
    assert_eq!(rows[0].speaker.as_deref(), Some("ann"));
    assert_eq!(rows[2].split, rows[3].split);
}

#[test]
fn other_words_are_left_out_or_become_unknown() {
    let folder = corpus(&[
        "go/a_nohash_0.wav",
        "up/a_nohash_0.wav",
        "cat/a_nohash_0.wav",
    ]);
    let mut asked = spec(&["up", "go"], HASH);
    assert_eq!(
        words_of(&scan(folder.path(), &asked).unwrap()),
        BTreeMap::from([("go", 1), ("up", 1)])
    );
    asked.labels.unknown = true;
    let rows = scan(folder.path(), &asked).unwrap();
    assert_eq!(
        words_of(&rows),
        BTreeMap::from([("_unknown_", 1), ("go", 1), ("up", 1)])
    );
    assert_eq!(asked.labels.class_names(&rows), ["_unknown_", "up", "go"]);
}

#[test]
fn what_cannot_be_used_is_named() {
    let folder = corpus(&["go/a_nohash_0.wav", "up/a.wav", "list.tsv"]);
    let error = |spec: &CorpusSpec| scan(folder.path(), spec).unwrap_err().to_string();
    let absent = error(&spec(&["go", "stop"], HASH));
    assert!(
        absent.contains("`stop`") && absent.contains("go up"),
        "{absent}"
    );
    let speaker = error(&spec(
        &[],
        SplitSpec::Speaker {
            validation_percent: 10.0,
            test_percent: 10.0,
        },
    ));
    assert!(
        speaker.contains("up/a.wav") && speaker.contains("no speaker"),
        "{speaker}"
    );
    let given = error(&spec(&[], SplitSpec::Given));
    assert!(given.contains("manifest"), "{given}");
    let percents = error(&spec(
        &[],
        SplitSpec::Hash {
            validation_percent: 60.0,
            test_percent: 50.0,
        },
    ));
    assert!(percents.contains("60 %"), "{percents}");
    std::fs::write(
        folder.path().join("list.tsv"),
        "path\tspeaker\tsplit\ngo/a_nohash_0.wav\ta\ttrain\n",
    )
    .unwrap();
    let unlisted = error(&spec(&[], list("list.tsv")));
    assert!(
        unlisted.contains("list.tsv") && unlisted.contains("up/a.wav") && unlisted.contains('1'),
        "{unlisted}"
    );
    std::fs::write(
        folder.path().join("list.tsv"),
        "path\tspeaker\tsplit\ngo/a_nohash_0.wav\ta\ttset\n",
    )
    .unwrap();
    let side = error(&spec(&[], list("list.tsv")));
    assert!(
        side.contains("list.tsv:2") && side.contains("`tset`") && side.contains("train or dev"),
        "{side}"
    );
    let nowhere = scan(&folder.path().join("nowhere"), &spec(&[], HASH))
        .unwrap_err()
        .to_string();
    assert!(nowhere.contains("nowhere"), "{nowhere}");
    let empty = corpus(&["readme.txt"]);
    assert!(
        scan(empty.path(), &spec(&[], HASH))
            .unwrap_err()
            .to_string()
            .contains("a folder for each word")
    );
}

#[test]
fn beside_recordings_no_synthetic_clip_is_for_test_and_alone_they_may_be() {
    let rows_of = |synthetic_of_second: &str| {
        let folder = corpus(&["go/1.wav", "go/2.wav", "go/3.wav", "go/4.wav"]);
        let list = format!(
            "path\tspeaker\tsplit\tsynthetic\ngo/1.wav\tann\ttrain\ttrue\ngo/2.wav\tbob\ttest\t{synthetic_of_second}\n\
             go/3.wav\tcid\ttest\ttrue\ngo/4.wav\tdan\tdev\ttrue\n"
        );
        std::fs::write(folder.path().join("splits.tsv"), list).unwrap();
        let splits = SplitSpec::List {
            path: "splits.tsv".into(),
            train: "train".into(),
            validation: Some("dev".into()),
            test: Some("test".into()),
            validation_percent_of_train: None,
        };
        let rows = scan(folder.path(), &spec(&[], splits)).unwrap();
        let path = |row: &Utterance| row.path.display().to_string();
        rows.iter().map(path).collect::<Vec<_>>()
    };
    assert_eq!(rows_of(""), ["go/1.wav", "go/2.wav", "go/4.wav"]);
    assert_eq!(
        rows_of("true"),
        ["go/1.wav", "go/2.wav", "go/3.wav", "go/4.wav"]
    );
}

#[test]
fn a_split_by_beginnings_of_names_places_sources_and_says_which_nobody_has() {
    let folder = corpus(&[
        "de/a__x__1.wav",
        "de/a__y__1.wav",
        "fr/b__z__1.wav",
        "fr/c__z__1.wav",
    ]);
    let with = |validation: &str, test: &str| {
        let splits = SplitSpec::Prefix {
            validation: vec![validation.into()],
            test: vec![test.into()],
        };
        let rows = scan(folder.path(), &spec(&[], splits))?;
        Ok::<_, CorpusError>(rows.iter().map(|row| row.split).collect::<Vec<_>>())
    };
    assert_eq!(
        with("a__y", "b").unwrap(),
        [Split::Train, Split::Validation, Split::Test, Split::Train]
    );
    let error = with("a", "nobody").unwrap_err().to_string();
    assert!(error.contains("`nobody`"), "{error}");
}

#[test]
fn a_list_gives_speaker_side_and_origin_with_tabs_or_commas() {
    let table =
        "path\tspeaker\tsplit\tsynthetic\ngo/1.wav\tann\ttrain\ttrue\ngo/2.wav\tunknown\tdev\t\n";
    for text in [table.to_owned(), table.replace('\t', ",")] {
        let folder = corpus(&["go/1.wav", "go/2.wav"]);
        std::fs::write(folder.path().join("splits.csv"), text).unwrap();
        let splits = SplitSpec::List {
            path: "splits.csv".into(),
            train: "train".into(),
            validation: None,
            test: Some("dev".into()),
            validation_percent_of_train: None,
        };
        let rows = scan(folder.path(), &spec(&[], splits)).unwrap();
        assert_eq!(
            (rows[0].speaker.as_deref(), rows[0].split, rows[0].synthetic),
            (Some("ann"), Split::Train, true)
        );
        assert_eq!(
            (rows[1].speaker.as_deref(), rows[1].split, rows[1].synthetic),
            (None, Split::Test, false)
        );
    }
}

#[test]
fn two_lists_of_paths_leave_the_rest_for_training() {
    let folder = corpus(&[
        "go/a_nohash_0.ogg",
        "go/b_nohash_0.ogg",
        "go/c_nohash_0.ogg",
    ]);
    std::fs::write(
        folder.path().join("validation_list.txt"),
        "go/a_nohash_0.wav\n",
    )
    .unwrap();
    std::fs::write(
        folder.path().join("testing_list.txt"),
        "go/b_nohash_0.wav\n",
    )
    .unwrap();
    let lists = SplitSpec::FileLists {
        validation: "validation_list.txt".into(),
        test: "testing_list.txt".into(),
    };
    let splits = |spec: &CorpusSpec| {
        scan(folder.path(), spec).map(|rows| rows.iter().map(|r| r.split).collect::<Vec<_>>())
    };
    assert_eq!(
        splits(&spec(&[], lists.clone())).unwrap(),
        [Split::Validation, Split::Test, Split::Train]
    );
    std::fs::write(
        folder.path().join("testing_list.txt"),
        "clips/go/b_nohash_0.wav\n",
    )
    .unwrap();
    assert!(
        splits(&spec(&[], lists))
            .unwrap_err()
            .to_string()
            .contains("testing_list.txt")
    );
}

#[test]
fn a_manifest_gives_parts_of_files_and_its_own_splits() {
    let folder = corpus(&[]);
    let text = "path,label,speaker,split,start,end\nlong.wav,go,ann,train,2.0,3.0\nlong.wav,up,ann,train,0.5,1.5\n\
                b.wav,go,bob,test,,\n";
    std::fs::write(folder.path().join("m.csv"), text).unwrap();
    let asked = CorpusSpec {
        layout: Layout::Manifest {
            path: "m.csv".into(),
        },
        ..spec(&["go", "up"], SplitSpec::Given)
    };
    let rows = scan(folder.path(), &asked).unwrap();
    let seen: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                slashed(&row.path),
                row.label.as_str(),
                row.start_s,
                row.split,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("b.wav".into(), "go", None, Split::Test),
            ("long.wav".into(), "up", Some(0.5), Split::Train),
            ("long.wav".into(), "go", Some(2.0), Split::Train),
        ]
    );
    std::fs::write(
        folder.path().join("m.csv"),
        format!("{text}long.wav,go,ann,train,2.0,3.0\nb.wav,go,bob,test,,\n"),
    )
    .unwrap();
    let twice = scan(folder.path(), &asked).unwrap_err().to_string();
    assert!(
        twice.contains("m.csv:5") && twice.contains("line 2"),
        "{twice}"
    );
    std::fs::write(
        folder.path().join("m.csv"),
        "path,label\na.wav,go\nb.wav,up\n",
    )
    .unwrap();
    let no_split = scan(folder.path(), &asked).unwrap_err().to_string();
    assert!(
        no_split.contains("a.wav") && no_split.contains("no split"),
        "{no_split}"
    );
}

#[test]
fn speakers_are_read_from_the_names_that_corpora_use() {
    let check = |pattern: &SpeakerPattern, name: &str, speaker: Option<&str>| {
        assert_eq!(pattern.speaker_of(Path::new(name)), speaker, "{name}");
    };
    check(
        &SpeakerPattern::nohash(),
        "go/23add12a_nohash_0.ogg",
        Some("23add12a"),
    );
    check(&SpeakerPattern::nohash(), "go/0.ogg", None);
    check(
        &SpeakerPattern::Before {
            separator: "_".into(),
        },
        "yes/00000001_NO_01.ogg",
        Some("00000001"),
    );
    let second = SpeakerPattern::Field {
        separator: "__".into(),
        index: 1,
    };
    check(
        &second,
        "cs/fillets__big-fish__alibaba.ogg",
        Some("big-fish"),
    );
    check(&second, "cs/alibaba.ogg", None);
    check(&SpeakerPattern::Unnamed, "go/23add12a_nohash_0.ogg", None);
}

#[test]
fn a_recipe_table_is_read_and_a_misspelt_key_is_not() {
    let json = r#"{"layout":{"kind":"folder-per-class"},"speaker":{"kind":"before","separator":"_nohash_"},
        "labels":{"keywords":["go"],"unknown":true,"unknown_percent":10,"silence":false},
        "splits":{"kind":"list","path":"splits.tsv","train":"train","test":"dev","validation_percent_of_train":10},
        "background":{"folders":["../noise"],"divide":"file"},"clip_ms":1000,"max_reject_share":0.05,"seed":7}"#;
    let spec: CorpusSpec = serde_json::from_str(json).unwrap();
    spec.validate().unwrap();
    assert_eq!(
        serde_json::from_str::<CorpusSpec>(&serde_json::to_string(&spec).unwrap()).unwrap(),
        spec
    );
    assert!(serde_json::from_str::<CorpusSpec>(&json.replace("clip_ms", "clip_length")).is_err());
    assert!(serde_json::from_str::<CorpusSpec>(&json.replace("\"train\":", "\"trian\":")).is_err());
}

/// The twelve words of the real folder and its own list, whose `dev` side is kept for the test.
fn commands_12() -> CorpusSpec {
    let words = [
        "down", "eight", "five", "go", "left", "one", "right", "up", "zero", "bed", "cat", "happy",
    ];
    spec(&words, list("splits.tsv"))
}

#[test]
fn twelve_real_words_keep_their_speakers_apart() {
    let Some(root) = shared("data/kws_en") else {
        return;
    };
    let rows = scan(&root, &commands_12()).unwrap();
    assert_eq!(rows, scan(&root, &commands_12()).unwrap());
    assert_eq!(rows.len(), 6356 - 318);
    assert_eq!(words_of(&rows)["eight"], 431);
    assert!(
        rows.windows(2)
            .all(|pair| slashed(&pair[0].path) < slashed(&pair[1].path))
    );
    let summary = audit(&rows).unwrap();
    assert_eq!(summary.n_without_speaker, 0);
    let n = |split| summary.n_in(split) as f64;
    assert!(
        (n(Split::Validation) / (n(Split::Train) + n(Split::Validation)) - 0.1).abs() < 0.03,
        "{summary:?}"
    );
    assert!(summary.n_in(Split::Test) > 600, "{summary:?}");
    for split in Split::ALL {
        assert_eq!(
            summary.n_clips[&split].len(),
            12,
            "every word is in the {split} split"
        );
    }
}

#[test]
fn real_words_that_are_no_keyword_become_unknown() {
    let Some(root) = shared("data/kws_en") else {
        return;
    };
    let mut asked = commands_12();
    asked.labels.unknown = true;
    let rows = scan(&root, &asked).unwrap();
    assert_eq!((rows.len(), words_of(&rows)["_unknown_"]), (6356, 318));
    audit(&rows).unwrap();
}

#[test]
fn a_real_split_by_file_is_refused_by_the_audit() {
    let Some(root) = shared("data/kws_en") else {
        return;
    };
    let mut rows = scan(&root, &spec(&[], HASH)).unwrap();
    audit(&rows).unwrap();
    for (at, row) in rows.iter_mut().enumerate() {
        row.split = Split::ALL[at % 3];
    }
    let error = audit(&rows).unwrap_err();
    assert!(
        matches!(&error, AuditError::SpeakerCrossesSplits { n_speakers, .. } if *n_speakers > 500),
        "{error}"
    );
}

#[test]
fn arabic_words_split_by_the_same_rule_without_change() {
    let Some(root) = shared("data/kws_ar") else {
        return;
    };
    let asked = CorpusSpec {
        speaker: SpeakerPattern::Before {
            separator: "_".into(),
        },
        ..spec(&[], list("splits.tsv"))
    };
    let rows = scan(&root, &asked).unwrap();
    assert_eq!((rows.len(), words_of(&rows).len()), (2400, 10));
    let summary = audit(&rows).unwrap();
    assert_eq!(
        (summary.n_in(Split::Test), summary.n_speakers[&Split::Test]),
        (600, 6)
    );
}
