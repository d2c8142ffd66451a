//! What a bundle promises to whoever opens one, a stranger's among them.

use std::fs;
use std::path::PathBuf;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::container::seal;
use super::examples::{bundle, genome, recurrent, residual};
use super::*;

fn two_members() -> Bundle {
    bundle(&[residual(), recurrent()], 3)
}

/// The part of a file that its checksum covers.
fn hashed_part(bytes: &[u8]) -> Vec<u8> {
    bytes[44..].to_vec()
}

/// The file with one text in its manifest changed for another of any length, its checksum right.
fn with_manifest(bytes: &[u8], change: impl Fn(&mut serde_json::Value)) -> Vec<u8> {
    let n = u64::from_le_bytes(bytes[44..52].try_into().unwrap()) as usize;
    let mut manifest = serde_json::from_slice(&bytes[52..52 + n]).unwrap();
    change(&mut manifest);
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let mut hashed = (manifest.len() as u64).to_le_bytes().to_vec();
    hashed.extend_from_slice(&manifest);
    hashed.extend_from_slice(&bytes[52 + n..]);
    seal(FORMAT_VERSION, &hashed)
}

#[test]
fn what_is_saved_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.auricle");
    two_members().save(&path).unwrap();
    assert_eq!(Bundle::load(&path).unwrap(), two_members());
}

#[test]
fn the_same_bundle_is_the_same_bytes() {
    assert_eq!(
        two_members().to_bytes().unwrap(),
        two_members().to_bytes().unwrap()
    );
}

#[test]
fn saving_replaces_a_file_and_leaves_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.auricle");
    fs::write(&path, "something older").unwrap();
    two_members().save(&path).unwrap();
    Bundle::load(&path).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_loaded_is_not_saved_and_the_older_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.auricle");
    two_members().save(&path).unwrap();
    let mut broken = two_members();
    broken.labels.pop();
    let error = broken.save(&path).unwrap_err().to_string();
    assert!(
        error.contains("two.auricle: member 0: tensor head.classifier.weight"),
        "{error}"
    );
    assert_eq!(Bundle::load(&path).unwrap(), two_members());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_save_that_fails_leaves_nothing_beside_the_target() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taken.auricle");
    fs::create_dir(&path).unwrap();
    assert!(matches!(
        two_members().save(&path),
        Err(BundleError::Io { .. })
    ));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn the_costs_are_those_of_the_genomes() {
    let costs = two_members().costs().unwrap();
    let ports = two_members().ports();
    assert_eq!(
        costs,
        [
            Cost::of(&residual(), &ports),
            Cost::of(&recurrent(), &ports)
        ]
    );
    assert_eq!(ports.frames_per_1000_s, 100_000);
}

#[track_caller]
fn check_bytes_refused(bytes: &[u8], expected: &str) {
    let error = Bundle::from_bytes(bytes).unwrap_err().to_string();
    assert_eq!(error, expected);
}

#[test]
fn some_other_file_is_told_from_a_bundle() {
    let expected = r#"expected a file that begins with "auricle\n""#;
    check_bytes_refused(
        b"",
        &format!("not a bundle: found an empty file, {expected}"),
    );
    check_bytes_refused(
        b"RIFF\x24\0\0\0WAVE",
        &format!(r#"not a bundle: found "RIFF$\\x00\\x00\\x00", {expected}"#),
    );
}

#[test]
fn a_later_version_is_refused_with_both_numbers() {
    let bytes = two_members().to_bytes().unwrap();
    for version in [0, 4, u32::MAX] {
        check_bytes_refused(
            &seal(version, &hashed_part(&bytes)),
            &format!(
                "found bundle format version {version}, expected 1 to 3: it needs a newer auricle"
            ),
        );
    }
}

#[test]
fn every_single_changed_byte_and_every_cut_is_noticed() {
    let bytes = bundle(&[recurrent()], 3).to_bytes().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..300 {
        let mut changed = bytes.clone();
        let at = rng.random_range(0..bytes.len());
        changed[at] ^= rng.random_range(1..=255u8);
        assert!(Bundle::from_bytes(&changed).is_err(), "byte {at} changed");
        assert!(Bundle::from_bytes(&bytes[..at]).is_err(), "cut at {at}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(
        Bundle::from_bytes(&longer),
        Err(BundleError::Checksum { .. })
    ));
}

#[track_caller]
fn check_manifest_refused(change: impl Fn(&mut serde_json::Value), expected: &str) {
    let bytes = two_members().to_bytes().unwrap();
    let error = Bundle::from_bytes(&with_manifest(&bytes, change)).unwrap_err();
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn a_lying_manifest_is_refused_with_what_is_wrong() {
    let huge = u64::MAX;
    for (pointer, value, expected) in [
        (
            "/labels",
            serde_json::json!(["yes", "yes", "a", "b"]),
            "label \"yes\" is there twice",
        ),
        (
            "/labels",
            serde_json::json!(["yes", "", "a", "b"]),
            "found label \"\"",
        ),
        (
            "/labels",
            serde_json::json!(["yes", "n\u{1b}o", "a", "b"]),
            "found label \"n\\u{1b}o\"",
        ),
        (
            "/labels",
            serde_json::json!(["yes"]),
            "the manifest's ports are",
        ),
        (
            "/ports/n_mels",
            serde_json::json!(41),
            "the manifest's ports are",
        ),
        (
            "/frontend/hop_samples",
            serde_json::json!(0),
            "hop_samples is 0",
        ),
        (
            "/frontend/fft_samples",
            serde_json::json!(huge),
            "fft_samples is",
        ),
        (
            "/clip_ms",
            serde_json::json!(0),
            "found 0 clip_ms, expected 1 to 600000",
        ),
        (
            "/clip_ms",
            serde_json::json!(10),
            "shorter than one window of 400",
        ),
        (
            "/detector/threshold",
            serde_json::json!(1.5),
            "the threshold of all keywords is 1.5",
        ),
        (
            "/detector/thresholds",
            serde_json::json!({"_unknown_": 0.5}),
            "expected one of the keywords: yes, no",
        ),
        (
            "/members/0/weight",
            serde_json::json!(-1.0),
            "member 0 has the weight -1",
        ),
        (
            "/members/0/start_byte",
            serde_json::json!(huge),
            "expected them to begin at 0",
        ),
        ("/members/0/n_bytes", serde_json::json!(huge), "to end by"),
        (
            "/members/1/start_byte",
            serde_json::json!(0),
            "member 1: found bytes 0",
        ),
        (
            "/members",
            serde_json::json!([]),
            "found 0 members, expected 1 to 64",
        ),
        (
            "/members/0/genome/stem/n_channels",
            serde_json::json!(1_000_000),
            "stem: n_channels is 1000000",
        ),
        (
            "/members/0/genome/stem/n_channels",
            serde_json::json!(9),
            "the genome expects [9, 40, 3]",
        ),
        (
            "/members/0/genome/blocks/0/kind",
            serde_json::json!("oracle"),
            "unknown variant `oracle`",
        ),
        (
            "/title",
            serde_json::json!("x".repeat(5000)),
            "found 5000 bytes of title",
        ),
    ] {
        check_manifest_refused(
            |manifest| *manifest.pointer_mut(pointer).unwrap() = value.clone(),
            expected,
        );
    }
    let unknown = |manifest: &mut serde_json::Value| manifest["colour"] = "red".into();
    check_manifest_refused(unknown, "unknown field `colour`");
}

#[test]
fn a_genome_that_asks_for_the_moon_is_refused_before_it_gets_it() {
    let ports = two_members().ports();
    let mut greedy = bundle(&[], 0);
    let block =
        r#"{"kind":"dilated-conv1d","n_channels":1,"kernel_frames":4096,"dilation_frames":4096}"#;
    let strided = r#"{"kind":"conv1d","n_channels":1,"kernel_frames":1,"stride_frames":4096}"#;
    for (blocks, expected) in [
        (block.to_owned(), "bytes of state"),
        (vec![strided; 64].join(","), "a stride in frames of"),
    ] {
        let genome = genome(&format!(
            r#"{{"stem":{{"n_channels":8,"kernel_frames":1,"stride_frames":1}},
                 "blocks":[{blocks}],"head":{{"kind":"mean","window_frames":1}}}}"#
        ));
        let error = bounds::check_genome(0, &genome, &ports).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        // Without any weights: the bound speaks before they are looked at.
        greedy.members = vec![Member {
            genome,
            weights: Weights::default(),
            weight: 1.0,
        }];
        let error = greedy.validate().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn state_is_bounded_by_what_the_networks_really_remember() {
    for genome in [residual(), recurrent()] {
        let ports = two_members().ports();
        let counted = bounds::check_genome(0, &genome, &ports).unwrap();
        assert_eq!(counted, Cost::of(&genome, &ports).state_bytes);
    }
}

#[test]
fn a_weight_that_is_no_number_is_refused_even_where_no_network_reads_it() {
    for name in ["stem.conv.weight", "left.over"] {
        let mut bundle = two_members();
        let tensors = &mut bundle.members[1].weights.tensors;
        let tensor = tensors["stem.conv.weight"].clone();
        let tensor = tensors.entry(name.into()).or_insert(tensor);
        tensor.values[5] = f32::NAN;
        let error = bundle.validate().unwrap_err().to_string();
        assert_eq!(
            error,
            format!("member 1: tensor {name} holds a value that is not finite")
        );
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = Bundle::load(Path::new("no/such.auricle"))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("no/such.auricle: "), "{error}");
}

fn fixture() -> PathBuf {
    std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"))
        .join("tests/fixtures/bundle-v1.auricle")
}

/// The bundle of the fixture as it was written with format version 1: `AURICLE_WRITE_FIXTURE=1 cargo test fixture`
/// writes it anew, which is right only before a version was released.
fn fixture_bundle() -> Bundle {
    bundle(
        &[
            genome(
                r#"{"stem":{"n_channels":6,"kernel_frames":3,"stride_frames":2},
                    "blocks":[{"kind":"conv1d","n_channels":5,"kernel_frames":3,"stride_frames":1},
                              {"kind":"dilated-conv1d","n_channels":5,"kernel_frames":3,"dilation_frames":2},
                              {"kind":"separable-conv1d","n_channels":6,"kernel_frames":5,"stride_frames":2},
                              {"kind":"residual","n_channels":6,"kernel_frames":3,"stride_frames":1}],
                    "head":{"kind":"mean","window_frames":98}}"#,
            ),
            genome(
                r#"{"stem":{"n_channels":5,"kernel_frames":3,"stride_frames":1},
                    "blocks":[{"kind":"svdf","n_units":6,"memory_frames":8},
                              {"kind":"projection","n_channels":4},
                              {"kind":"gru","n_units":5}],
                    "head":{"kind":"statistics","window_frames":50}}"#,
            ),
        ],
        11,
    )
}

#[test]
fn the_fixture_of_format_version_1_opens_and_answers_as_it_always_did() {
    if std::env::var_os("AURICLE_WRITE_FIXTURE").is_some() {
        fixture_bundle().save(&fixture()).unwrap();
    }
    let bundle = Bundle::load(&fixture()).unwrap();
    assert_eq!(bundle.frontend, FrontendSpec::speech_16k());
    assert_eq!(bundle.labels, ["yes", "no", "_unknown_", "_silence_"]);
    assert_eq!(bundle.clip_ms, 1000);
    let answer = |member: &Member| -> Vec<f32> {
        let mut network = StreamNet::new(&member.genome, &bundle.ports(), &member.weights).unwrap();
        let mut logits = vec![];
        for i in 0..97 {
            let frame: Vec<f32> = (0..40)
                .map(|band| -7.0 + ((i * 7 + band * 13) % 23) as f32 * 0.25)
                .collect();
            if let Some(answer) = network.step(&frame) {
                logits = answer.to_vec();
            }
        }
        logits
    };
    let answers: Vec<f32> = bundle.members.iter().flat_map(answer).collect();
    let pinned = PINNED_LOGITS.as_flattened();
    assert_eq!(answers.len(), pinned.len());
    for (answer, pinned) in answers.iter().zip(pinned) {
        assert!(
            (answer - pinned).abs() < 1e-4,
            "{answers:?}, pinned {pinned:?}"
        );
    }
}

/// `AURICLE_WRITE_FIXTURE_2=1 cargo test fixture` writes it anew, which is right only before version 2 was released.
#[test]
fn the_fixture_of_format_version_2_is_that_of_version_1_in_8_bits() {
    let path = fixture().with_file_name("bundle-v2.auricle");
    let expected = Bundle::load(&fixture()).unwrap().rounded_to_int8();
    if std::env::var_os("AURICLE_WRITE_FIXTURE_2").is_some() {
        expected.save(&path).unwrap();
    }
    assert_eq!(Bundle::load(&path).unwrap(), expected);
}

#[test]
fn eight_bits_are_saved_and_opened_as_what_was_measured() {
    let rounded = two_members().rounded_to_int8();
    let bytes = rounded.to_bytes().unwrap();
    assert_eq!(Bundle::from_bytes(&bytes).unwrap(), rounded);
    // Also where nobody rounded before: the file rounds.
    let mut unrounded = two_members();
    unrounded.storage = Storage::Int8;
    assert_eq!(unrounded.to_bytes().unwrap(), bytes);
    assert_eq!(rounded.rounded_to_int8(), rounded);
    assert!(bytes.len() < two_members().to_bytes().unwrap().len());
}

#[test]
fn a_bundle_is_written_as_the_first_version_that_knows_all_of_it() {
    let version = |bundle: &Bundle| bundle.to_bytes().unwrap()[8];
    assert_eq!(version(&two_members()), 1);
    assert_eq!(version(&two_members().rounded_to_int8()), 2);
    assert_eq!(version(&two_languages()), 3);
    let mut gated = two_members();
    gated.detector.voice_threshold = Some(0.7);
    assert_eq!(version(&gated), 3);
}

/// The first fixture as languages, with a voice gate.
fn two_languages() -> Bundle {
    let mut bundle = Bundle::load(&fixture()).unwrap();
    bundle.labels = ["en", "de", "fr", "es"].map(String::from).to_vec();
    bundle.detector.voice_threshold = Some(0.7);
    let point = |heard_ms, temperature| Temperature {
        heard_ms,
        temperature,
    };
    bundle.languages = Some(LanguageSpec {
        floor: 0.6,
        temperatures: vec![point(1000, 2.5), point(5000, 1.25)],
    });
    bundle
}

/// `AURICLE_WRITE_FIXTURE_3=1 cargo test fixture` writes it anew, which is right only before version 3 was released.
#[test]
fn the_fixture_of_format_version_3_has_languages_and_a_voice_gate() {
    let path = fixture().with_file_name("bundle-v3.auricle");
    if std::env::var_os("AURICLE_WRITE_FIXTURE_3").is_some() {
        two_languages().save(&path).unwrap();
    }
    assert_eq!(Bundle::load(&path).unwrap(), two_languages());
}

#[test]
fn what_a_version_does_not_know_is_refused_in_a_file_of_it() {
    let bytes = two_languages().to_bytes().unwrap();
    check_bytes_refused(
        &seal(2, &hashed_part(&bytes)),
        "found languages in format version 2, expected version 3",
    );
}

#[test]
fn a_voice_is_told_at_16_khz_only() {
    let mut bundle = two_members();
    bundle.detector.voice_threshold = Some(0.7);
    bundle.frontend.sample_rate_hz = 22_050;
    let error = bundle.validate().unwrap_err().to_string();
    assert_eq!(
        error,
        "found a voice threshold at 22050 Hz, expected a front-end at 16000 Hz with it"
    );
}

#[test]
fn integers_in_a_file_of_version_1_are_refused() {
    let bytes = two_members().rounded_to_int8().to_bytes().unwrap();
    check_bytes_refused(
        &seal(1, &hashed_part(&bytes)),
        "found weights as int8 in format version 1, expected version 2",
    );
}

const PINNED_LOGITS: [[f32; 4]; 2] = [
    [1.0159024, -4.8558397, -4.8294444, -4.120531],
    [0.81561124, -0.4006431, 2.6312852, 0.41253862],
];

#[test]
fn a_label_of_other_case_or_spacing_is_known_for_what_was_meant() {
    let bundle = two_members();
    assert_eq!(bundle.meant_by(" Yes"), Some("yes"));
    // Nobody names noise so by chance, and `silence` is a word.
    for label in ["yes", "_unknown_", "silence", "yess", "maybe"] {
        assert_eq!(bundle.meant_by(label), None, "{label}");
    }
}
