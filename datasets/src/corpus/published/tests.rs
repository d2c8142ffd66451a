//! Each corpus as its authors lay it out, small: what the reader says of every clip.

use std::collections::BTreeSet;
use std::path::Path;

use crate::corpus::{CorpusError, Layout, SpeakerPattern};
use crate::manifest::ManifestRow;
use crate::utterance::slashed;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, text) in files {
        write(folder.path(), file, text.as_bytes());
    }
    folder
}

fn write(root: &Path, file: &str, bytes: &[u8]) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn rows(root: &Path, layout: Layout) -> Result<Vec<ManifestRow>, CorpusError> {
    layout.rows(root, &SpeakerPattern::Unnamed)
}

/// `path label speaker split source`, `-` where the corpus does not say.
fn lines(root: &Path, layout: Layout) -> BTreeSet<String> {
    let said = |text: Option<&str>| text.unwrap_or("-").to_owned();
    rows(root, layout)
        .unwrap()
        .iter()
        .map(|row| {
            [
                slashed(&row.path).into_owned(),
                row.label.to_string(),
                said(row.speaker.as_deref()),
                said(row.split.map(|split| split.name())),
                said(row.source.as_deref()),
            ]
            .join(" ")
        })
        .collect()
}

#[track_caller]
fn check(root: &Path, layout: Layout, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|&line| line.to_owned()).collect();
    assert_eq!(lines(root, layout), expected);
}

const TSV: &str =
    "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccents\tlocale\tsegment\n";

#[test]
fn common_voice_gives_locale_client_and_side_and_passes_over_what_is_on_no_side() {
    let files = [
        (
            "de/train.tsv",
            format!(
                "{TSV}ann\tcommon_voice_de_1.mp3\tSie sagte \"ja\tund\" nein\t2\t0\t\t\t\tde\t\n"
            ),
        ),
        (
            "de/dev.tsv",
            format!("{TSV}bob\tcommon_voice_de_2.mp3\tÄ\t2\t0\t\t\t\tde\t\n"),
        ),
        (
            "de/other.tsv",
            format!("{TSV}eve\tcommon_voice_de_9.mp3\tx\t0\t0\t\t\t\tde\t\n"),
        ),
        (
            "fr/test.tsv",
            "client_id\tpath\tsentence\ncid\tcommon_voice_fr_7\t\"oui\n".to_owned(),
        ),
    ];
    // The first row above has a tab too many on purpose: it must be named, not read past.
    let broken = folder(&[("train.tsv", files[0].1.as_str())]);
    let error = rows(broken.path(), Layout::CommonVoice)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("train.tsv:2") && error.contains("11 fields"),
        "{error}"
    );

    let sound = files[0].1.replace("ja\tund", "ja und");
    let folder = folder(&[
        (files[0].0, &sound),
        (files[1].0, &files[1].1),
        (files[2].0, &files[2].1),
        (files[3].0, &files[3].1),
    ]);
    check(
        folder.path(),
        Layout::CommonVoice,
        &[
            "de/clips/common_voice_de_1.mp3 de ann train -",
            "de/clips/common_voice_de_2.mp3 de bob validation -",
            "fr/clips/common_voice_fr_7.mp3 fr cid test -",
        ],
    );
    check(
        &folder.path().join("fr"),
        Layout::CommonVoice,
        &["clips/common_voice_fr_7.mp3 fr cid test -"],
    );
}

#[test]
fn spoken_words_of_all_languages_come_with_word_speaker_and_side() {
    let folder = folder(&[
        (
            "en/en_splits.csv",
            "SET,LINK,WORD,VALID,SPEAKER,GENDER\n\
             TRAIN,aachen/common_voice_en_18833718.opus,aachen,True,f41b,MALE\n\
             DEV,rock'n/common_voice_en_1__2.opus,rock'n,True,aa00,FEMALE\n\
             TEST,zoo/common_voice_en_3.opus,zoo,False,NA,NAN\n",
        ),
        (
            "pl/pl_test.csv",
            "LINK,WORD,VALID,SPEAKER,GENDER\nźle/common_voice_pl_4.opus,źle,True,9c,OTHER\n",
        ),
    ]);
    let all = [
        "en/clips/aachen/common_voice_en_18833718.opus aachen f41b train -",
        "en/clips/rock'n/common_voice_en_1__2.opus rock'n aa00 validation -",
        "en/clips/zoo/common_voice_en_3.opus zoo - test -",
        "pl/clips/źle/common_voice_pl_4.opus źle 9c test -",
    ];
    check(folder.path(), Layout::Mswc { valid_only: false }, &all);
    check(
        folder.path(),
        Layout::Mswc { valid_only: true },
        &[all[0], all[1], all[3]],
    );
    check(
        &folder.path().join("pl"),
        Layout::Mswc { valid_only: false },
        &["clips/źle/common_voice_pl_4.opus źle 9c test -"],
    );
    // As the clips of a language lie when their archive brought its own folder along.
    write(folder.path(), "pl/pl/clips/źle/common_voice_pl_4.opus", b"");
    check(
        &folder.path().join("pl"),
        Layout::Mswc { valid_only: false },
        &["pl/clips/źle/common_voice_pl_4.opus źle 9c test -"],
    );
}

#[test]
fn fleurs_lists_have_no_header_and_their_sentences_are_sources() {
    let row =
        |id: u32, name: &str| format!("{id}\t{name}\tRaw \"text\ttext\tt e x t\t57600\tMALE\n");
    let train = row(77, "100.wav") + &row(77, "200.wav") + &row(77, "200.wav");
    let folder = folder(&[
        ("de_de/train.tsv", &train),
        ("de_de/audio/train/100.wav", ""),
        ("fr_fr/dev.tsv", &row(12, "5.wav")),
        ("fr_fr/audio/dev/5.wav", ""),
        ("notes/readme.txt", ""),
    ]);
    check(
        folder.path(),
        Layout::Fleurs,
        &[
            "de_de/audio/train/100.wav de_de - train 77",
            "de_de/audio/train/200.wav de_de - train 77",
            "fr_fr/audio/dev/5.wav fr_fr - validation 12",
        ],
    );
}

#[test]
fn a_video_of_voxlingua_is_a_speaker_and_withdrawn_codes_are_renamed() {
    let folder = folder(&[
        ("train/en/ab-C_dEfGhI__U__S12---0110.190-0125.270.wav", ""),
        ("train/iw/zzzzzzzzzzz__U__S1---0000.000-0004.000.wav", ""),
        ("dev/dev/en/qqqqqqqqqqq__U__S3---0001.000-0009.000.wav", ""),
        ("dev/dev/jw/odd.wav", ""),
    ]);
    check(
        folder.path(),
        Layout::VoxLingua107,
        &[
            "train/en/ab-C_dEfGhI__U__S12---0110.190-0125.270.wav en ab-C_dEfGhI train ab-C_dEfGhI",
            "train/iw/zzzzzzzzzzz__U__S1---0000.000-0004.000.wav he zzzzzzzzzzz train zzzzzzzzzzz",
            "dev/dev/en/qqqqqqqqqqq__U__S3---0001.000-0009.000.wav en qqqqqqqqqqq test qqqqqqqqqqq",
            "dev/dev/jw/odd.wav jv - test -",
        ],
    );
}

#[test]
fn common_language_is_read_in_utf_16_from_either_end() {
    let text = "\tclient_id\tpath\tsentence\tage\tgender\n0\tclient7\tcommon_voice_cy_1.wav\tŵ\tnan\tnan\n";
    let folder = folder(&[(
        "common_voice_kpd/Welsh/test/client7/common_voice_cy_1.wav",
        "",
    )]);
    let expected =
        ["common_voice_kpd/Welsh/test/client7/common_voice_cy_1.wav Welsh client7 test -"];
    let list = "common_voice_kpd/Welsh/test.csv";
    let little: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let big: Vec<u8> = [0xfe, 0xff]
        .into_iter()
        .chain(text.encode_utf16().flat_map(u16::to_be_bytes))
        .collect();
    for bytes in [&little, &big, text.as_bytes()] {
        write(folder.path(), list, bytes);
        check(folder.path(), Layout::CommonLanguage, &expected);
    }
    write(folder.path(), list, &little[..little.len() - 1]);
    let error = rows(folder.path(), Layout::CommonLanguage)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("test.csv") && error.contains("UTF-16"),
        "{error}"
    );
}

#[test]
fn librispeech_tells_speaker_chapter_and_side_by_its_folders() {
    let files = [
        (
            "LibriSpeech/train-clean-100/103/1240/103-1240-0000.flac",
            "",
        ),
        (
            "LibriSpeech/train-clean-100/103/1240/103-1240.trans.txt",
            "103-1240-0000 A",
        ),
        ("LibriSpeech/dev-other/116/288045/116-288045-0000.flac", ""),
        ("LibriSpeech/test-clean/61/70968/61-70968-0000.flac", ""),
        ("LibriSpeech/SPEAKERS.TXT", ""),
    ];
    let folder = folder(&files);
    let layout = || Layout::LibriSpeech {
        label: "_unknown_".into(),
    };
    check(
        folder.path(),
        layout(),
        &[
            "LibriSpeech/train-clean-100/103/1240/103-1240-0000.flac _unknown_ 103 train 103-1240",
            "LibriSpeech/dev-other/116/288045/116-288045-0000.flac _unknown_ 116 validation 116-288045",
            "LibriSpeech/test-clean/61/70968/61-70968-0000.flac _unknown_ 61 test 61-70968",
        ],
    );
    assert_eq!(
        rows(&folder.path().join("LibriSpeech"), layout())
            .unwrap()
            .len(),
        3
    );
    write(folder.path(), "LibriSpeech/test-clean/stray.flac", b"");
    let error = rows(folder.path(), layout()).unwrap_err().to_string();
    assert!(
        error.contains("stray.flac") && error.contains("expected"),
        "{error}"
    );
}

#[test]
fn esc50_folds_become_sides_and_takes_share_a_source() {
    let folder = folder(&[(
        "meta/esc50.csv",
        "filename,fold,target,category,esc10,src_file,take\n\
         1-100032-A-0.wav,1,0,dog,True,100032,A\n\
         4-100038-A-14.wav,4,14,chirping_birds,False,100038,A\n\
         5-9032-A-0.wav,5,0,dog,True,9032,A\n5-9032-B-0.wav,5,0,dog,True,9032,B\n",
    )]);
    check(
        folder.path(),
        Layout::Esc50 {
            validation_fold: 4,
            test_fold: 5,
        },
        &[
            "audio/1-100032-A-0.wav dog - train 100032",
            "audio/4-100038-A-14.wav chirping_birds - validation 100038",
            "audio/5-9032-A-0.wav dog - test 9032",
            "audio/5-9032-B-0.wav dog - test 9032",
        ],
    );
}

#[test]
fn musan_and_rooms_are_labelled_by_their_folders_and_noise_is_no_room() {
    let musan = folder(&[
        ("musan/noise/free-sound/noise-free-sound-0000.wav", ""),
        ("musan/music/fma/music-fma-0000.wav", ""),
        ("musan/noise/free-sound/LICENSE", ""),
        ("musan/README", ""),
    ]);
    check(
        musan.path(),
        Layout::Musan,
        &[
            "musan/noise/free-sound/noise-free-sound-0000.wav noise - - free-sound",
            "musan/music/fma/music-fma-0000.wav music - - fma",
        ],
    );
    let rooms = folder(&[
        (
            "RIRS_NOISES/simulated_rirs/smallroom/Room001/Room001-00001.wav",
            "",
        ),
        (
            "RIRS_NOISES/real_rirs_isotropic_noises/RVB2014_type1_rir_largeroom1_far_angla.wav",
            "",
        ),
        (
            "RIRS_NOISES/real_rirs_isotropic_noises/RVB2014_type1_noise_largeroom1_1.wav",
            "",
        ),
        ("RIRS_NOISES/pointsource_noises/free-sound-0000.wav", ""),
    ]);
    check(
        rooms.path(),
        Layout::ImpulseResponses,
        &[
            "RIRS_NOISES/simulated_rirs/smallroom/Room001/Room001-00001.wav simulated_rirs - - \
             RIRS_NOISES/simulated_rirs/smallroom/Room001",
            "RIRS_NOISES/real_rirs_isotropic_noises/RVB2014_type1_rir_largeroom1_far_angla.wav \
             real_rirs_isotropic_noises - - RIRS_NOISES/real_rirs_isotropic_noises",
        ],
    );
}

#[test]
fn a_clip_that_two_lists_name_differently_is_an_error_and_so_is_some_other_folder() {
    let row = "ann\tcommon_voice_de_1.mp3\tx\t2\t0\t\t\t\tde\t\n";
    let twice = folder(&[
        ("train.tsv", &format!("{TSV}{row}{row}")),
        ("test.tsv", &format!("{TSV}{row}")),
    ]);
    let error = rows(twice.path(), Layout::CommonVoice)
        .unwrap_err()
        .to_string();
    for word in ["test.tsv:2", "common_voice_de_1.mp3", "train", "test"] {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
    let other = folder(&[("go/a.wav", "")]);
    for layout in [
        Layout::CommonVoice,
        Layout::Mswc { valid_only: false },
        Layout::Fleurs,
        Layout::CommonLanguage,
        Layout::LibriSpeech { label: "x".into() },
        Layout::Esc50 {
            validation_fold: 4,
            test_fold: 5,
        },
        Layout::Musan,
    ] {
        let error = rows(other.path(), layout.clone()).unwrap_err().to_string();
        let named = error.contains(&*other.path().to_string_lossy());
        assert!(named, "{layout:?}: {error}");
    }
}
