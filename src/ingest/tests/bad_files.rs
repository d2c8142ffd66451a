//! What becomes of files that are no good.

use super::*;

#[test]
fn a_bad_file_is_set_aside_with_its_reason_and_the_rest_goes_on() {
    let folder = corpus();
    let go = folder.path().join("source/go");
    let good = fs::read(go.join("00000000_nohash_0.wav")).unwrap();
    let changed = |at: usize, bytes: &[u8]| {
        let mut changed = good.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        changed
    };
    let bad = [
        ("empty", Vec::new(), Reason::Empty),
        ("text", b"no sound at all\n".repeat(90), Reason::NotAudio),
        ("cut", good[..7_000].to_vec(), Reason::Truncated),
        (
            "long",
            changed(40, &0x7fff_ff00_u32.to_le_bytes()),
            Reason::LyingHeader,
        ),
        (
            "short",
            changed(40, &3_200_u32.to_le_bytes()),
            Reason::LyingHeader,
        ),
        (
            "rate",
            changed(24, &0_u32.to_le_bytes()),
            Reason::LyingHeader,
        ),
    ];
    for (name, bytes, _) in &bad {
        fs::write(go.join(format!("{name}_nohash_0.wav")), bytes).unwrap();
    }
    write(&go.join("still_nohash_0.wav"), vec![0.0; 16_000]);
    write(&go.join("stuck_nohash_0.wav"), vec![1.0; 16_000]);
    write(&go.join("brief_nohash_0.wav"), sound(399, 0.1));
    write(&go.join("endless_nohash_0.wav"), sound(301 * 16_000, 0.1));

    let summary = run(
        &folder,
        &CorpusSpec {
            max_reject_share: 0.5,
            ..spec()
        },
        2,
    )
    .unwrap();
    assert_eq!((summary.n_utterances, summary.n_rejected), (20, 10));
    let mut found: Vec<(String, Reason)> = rejects(&folder)
        .into_iter()
        .inspect(|reject| {
            assert!(
                reject.message.contains(&*reject.path.to_string_lossy()),
                "{}",
                reject.message
            )
        })
        .map(|reject| {
            (
                reject
                    .path
                    .file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .replace("_nohash_0.wav", ""),
                reject.reason,
            )
        })
        .collect();
    let mut want: Vec<(String, Reason)> = bad
        .iter()
        .map(|(name, _, reason)| ((*name).to_owned(), *reason))
        .collect();
    want.extend([
        ("still".to_owned(), Reason::Silent),
        ("stuck".to_owned(), Reason::Silent),
        ("brief".to_owned(), Reason::TooShort),
        ("endless".to_owned(), Reason::TooLong),
    ]);
    found.sort();
    want.sort();
    assert_eq!(found, want);
    assert_eq!(summary.rejects_by_reason[&Reason::LyingHeader], 3);
    assert_eq!(prepared(&folder).utterances.len(), 20);
}

#[test]
#[cfg(target_os = "linux")]
fn a_name_that_no_list_can_hold_costs_its_own_file_only() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = corpus();
    let go = folder.path().join("source/go");
    let good = go.join("00000000_nohash_0.wav");
    fs::copy(&good, go.join(OsStr::from_bytes(b"caf\xe9_nohash_0.wav"))).unwrap();
    // Of what is no sound nobody asks.
    fs::write(go.join(OsStr::from_bytes(b"caf\xe9.txt")), "a note").unwrap();
    let some = CorpusSpec {
        max_reject_share: 0.5,
        ..spec()
    };
    let summary = run(&folder, &some, 2).unwrap();
    assert_eq!((summary.n_utterances, summary.n_rejected), (20, 1));
    let reject = rejects(&folder).remove(0);
    assert_eq!(reject.reason, Reason::Unreadable);
    assert_eq!(reject.path, Path::new("go/caf\u{fffd}_nohash_0.wav"));
    let said = "found a name that is not UTF-8, expected one that a list can hold: rename the file";
    assert!(reject.message.ends_with(said), "{}", reject.message);
}

#[test]
fn too_many_bad_files_stop_the_run_with_counts_and_reasons() {
    let folder = corpus();
    for name in ["a", "b"] {
        fs::write(
            folder.path().join(format!("source/go/{name}_nohash_0.wav")),
            b"",
        )
        .unwrap();
    }
    let error = run(&folder, &spec(), 2).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("2 of the first") && message.contains("at most 5 %"),
        "{message}"
    );
    assert!(
        message.contains("[empty]") && message.contains("a_nohash_0.wav"),
        "{message}"
    );
    assert!(matches!(
        error,
        IngestError::TooManyRejects {
            n_rejected: 2,
            n_total: 22,
            ..
        }
    ));
    assert_eq!(rejects(&folder).len(), 2);
    let error = open(&folder.path().join("into"), &FrontendSpec::speech_16k())
        .err()
        .unwrap();
    assert!(matches!(error, IngestError::NotIngested { .. }));
    assert_eq!(
        files(&folder.path().join("into")).len(),
        1,
        "only rejects.jsonl is left"
    );
}

#[test]
fn nothing_but_bad_files_is_an_error_at_any_bound() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("source/go")).unwrap();
    fs::write(folder.path().join("source/go/a_nohash_0.wav"), b"").unwrap();
    let error = run(
        &folder,
        &CorpusSpec {
            max_reject_share: 1.0,
            ..spec()
        },
        2,
    )
    .unwrap_err();
    assert!(
        matches!(error, IngestError::NothingLeft { n_rejected: 1, .. }),
        "{error}"
    );
}

#[test]
fn the_decoder_cases_among_real_clips_are_kept_or_set_aside_each_by_its_reason() {
    let Some(data) = shared_data() else { return };
    let folder = tempfile::tempdir().unwrap();
    let word = folder.path().join("source/computer");
    fs::create_dir_all(&word).unwrap();
    for part in ["good", "bad"] {
        for entry in fs::read_dir(data.join("formats").join(part)).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, word.join(path.file_name().unwrap())).unwrap();
        }
    }
    let splits = SplitSpec::Hash {
        validation_percent: 0.0,
        test_percent: 0.0,
    };
    let spec = CorpusSpec {
        max_reject_share: 0.6,
        splits,
        speaker: SpeakerPattern::Unnamed,
        ..spec()
    };
    run(&folder, &spec, 2).unwrap();
    let found: BTreeMap<String, Reason> = rejects(&folder)
        .into_iter()
        .map(|reject| {
            (
                reject
                    .path
                    .file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
                reject.reason,
            )
        })
        .collect();
    let want = [
        ("channels_65535.wav", Reason::LyingHeader),
        ("channels_zero.wav", Reason::LyingHeader),
        ("clipped_silence_dc.wav", Reason::Silent),
        ("computer_16k.webm", Reason::Unsupported),
        ("computer_48k.opus", Reason::Unsupported),
        ("corrupt.flac", Reason::Damaged),
        ("header_lies_long.wav", Reason::LyingHeader),
        ("header_lies_short.wav", Reason::LyingHeader),
        ("header_only.wav", Reason::Empty),
        ("inf_float.wav", Reason::NonFinite),
        ("nan_float.wav", Reason::NonFinite),
        ("random.wav", Reason::NotAudio),
        ("rate_zero.wav", Reason::LyingHeader),
        ("silence.wav", Reason::Silent),
        ("ten_samples.wav", Reason::TooShort),
        ("text.wav", Reason::NotAudio),
        ("truncated.mp3", Reason::Truncated),
        ("truncated.ogg", Reason::Truncated),
        ("truncated_data.wav", Reason::Truncated),
        ("truncated_header.wav", Reason::Truncated),
        ("zero_bytes.wav", Reason::Empty),
    ];
    let want: BTreeMap<String, Reason> = want
        .into_iter()
        .map(|(name, reason)| (name.to_owned(), reason))
        .collect();
    // Which file endings are listed at all is the corpus scan's to say: what it leaves out is not here either.
    let listed: BTreeSet<String> = prepared(&folder)
        .utterances
        .iter()
        .map(|row| row.path.file_name().unwrap().to_str().unwrap().to_owned())
        .chain(found.keys().cloned())
        .collect();
    let want: BTreeMap<String, Reason> = want
        .into_iter()
        .filter(|(name, _)| listed.contains(name))
        .collect();
    assert_eq!(found, want);
    for kept in [
        "clipped.wav",
        "header_ffffffff.wav",
        "computer_16k.m4a",
        "computer_16k_wrong_ext.mp3",
    ] {
        assert!(listed.contains(kept), "{kept}");
    }
}
