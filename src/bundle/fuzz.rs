//! Files of strangers: whatever was done to a bundle, opening it ends with a bundle that runs or with words,
//! and asks for no more memory than such a file is worth.
//!
//! Damage is drawn from a fixed seed, so a run is the same everywhere; `AURICLE_FUZZ_SEED` takes another one
//! and `AURICLE_SLOW` many more. What once failed is kept in `proptest-regressions/` and tried first.

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use super::container::seal;
use super::examples::{bundle, recurrent, residual};
use super::*;
use crate::allocations::most_bytes;
use crate::damage::{self, Change};

/// Where the part begins that the checksum covers.
const HASHED_FROM: usize = 44;
/// What opening may hold beyond a multiple of the file: the networks' state, twice, and small things.
const SPARE_BYTES: u64 = 2 * bounds::MAX_STATE_BYTES + (4 << 20);
/// Copies of the file's content in one form or another: as integers they grow fourfold when read.
const MOST_COPIES: u64 = 24;

fn config() -> Config {
    let base = Config {
        max_shrink_iters: 2_000,
        ..Config::with_source_file(file!())
    };
    damage::config(600, 20_000, base)
}

/// Bundles of every format version.
fn originals() -> &'static [Vec<u8>] {
    static ORIGINALS: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    ORIGINALS.get_or_init(make_originals)
}

fn make_originals() -> Vec<Vec<u8>> {
    let floats = bundle(&[residual(), recurrent()], 3);
    let mut mixed = bundle(&[recurrent(), recurrent()], 4);
    mixed.mixture = Some(Combination::WeightedLogits {
        mixture: crate::model::Mixture::Vector(vec![0.5; 8]),
        bias: vec![0.1; 4],
    });
    let mut languages = bundle(&[residual(), recurrent()], 5);
    languages.labels = ["en", "de", "fr", "es"].map(String::from).to_vec();
    languages.detector.voice_threshold = Some(0.5);
    languages.languages = Some(LanguageSpec {
        floor: 0.5,
        temperatures: vec![Temperature {
            heard_ms: 1000,
            temperature: 1.5,
        }],
    });
    let bundles = [floats.rounded_to_int8(), floats, mixed, languages];
    bundles.map(|bundle| bundle.to_bytes().unwrap()).to_vec()
}

/// Opens it and, where that went well, runs it a little.
fn open(bytes: &[u8]) -> Result<bool, TestCaseError> {
    let (opened, held) = most_bytes(|| Bundle::from_bytes(bytes));
    let most = MOST_COPIES * bytes.len() as u64 + SPARE_BYTES;
    prop_assert!(held <= most, "{held} bytes for a file of {}", bytes.len());
    let Ok(bundle) = opened else {
        return Ok(false);
    };
    bundle.validate().unwrap();
    bundle.costs().unwrap();
    let frame = vec![-5.0; bundle.frontend.n_mels];
    for member in &bundle.members {
        let mut network = StreamNet::new(&member.genome, &bundle.ports(), &member.weights).unwrap();
        for _ in 0..3 {
            network.step(&frame);
        }
    }
    // What opened can be written, and what was written opens as what it is.
    let again = bundle.to_bytes().unwrap();
    let second = Bundle::from_bytes(&again).unwrap();
    prop_assert_eq!(&second.to_bytes().unwrap(), &again);
    if bundle.storage == Storage::F32 {
        prop_assert_eq!(&second, &bundle);
    }
    Ok(true)
}

fn change() -> impl Strategy<Value = Change> {
    let integer = prop_oneof![
        Just(0),
        Just(u64::MAX),
        Just(u64::from(u32::MAX)),
        Just(1 << 63),
        Just(1 << 31),
        any::<u64>(),
        0..1000u64
    ];
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        2 => (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Change::Bit(at, bit)),
        2 => (any::<Index>(), integer, prop_oneof![Just(4usize), Just(8)])
            .prop_map(|(at, value, n_bytes)| Change::Integer {
                at,
                value,
                n_bytes,
                is_big_endian: false,
            }),
        1 => any::<Index>().prop_map(Change::Cut),
        1 => (any::<Index>(), 1..64usize).prop_map(|(at, n)| Change::Remove(at, n)),
        1 => (any::<Index>(), 1..64usize).prop_map(|(at, n)| Change::Repeat(at, n)),
    ]
}

/// Any JSON that a manifest might hold in some place, and much that it might not.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..70_000u64).prop_map(Value::from),
        (0..10u64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0.0..2.0f64).prop_map(Value::from),
        prop::sample::select(WORDS).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(WORDS), inner, 0..4).prop_map(|map| {
                let entries = map.into_iter();
                entries
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            }),
        ]
    })
}

const WORDS: &[&str] = &[
    "",
    "kind",
    "gru",
    "conv1d",
    "mean",
    "last",
    "svdf-decoder",
    "bilstm",
    "identity",
    "int8",
    "f32",
    "n_units",
    "n_channels",
    "kernel_frames",
    "weights",
    "dtype",
    "F32",
    "I8",
    "F64",
    "BOOL",
    "shape",
    "data_offsets",
    "__metadata__",
    "stem.conv.weight",
    "yes",
    "_unknown_",
    "\u{0}",
    "é",
];

/// One thing done to a tree of JSON.
#[derive(Clone, Debug)]
enum Rewrite {
    Replace(Index, Value),
    Remove(Index),
    Repeat(Index),
    /// The value of one place at another.
    Copy(Index, Index),
}

fn rewrite() -> impl Strategy<Value = Rewrite> {
    prop_oneof![
        6 => (any::<Index>(), json()).prop_map(|(at, value)| Rewrite::Replace(at, value)),
        1 => any::<Index>().prop_map(Rewrite::Remove),
        1 => any::<Index>().prop_map(Rewrite::Repeat),
        2 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Rewrite::Copy(from, to)),
    ]
}

/// Where each value of the tree is, the root left out.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut child = |key: String, value: &Value| {
        let place = format!("{at}/{key}");
        found.push(place.clone());
        places(value, &place, found);
    };
    match value {
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(key, value)| child(key.to_string(), value));
        }
        Value::Object(fields) => {
            let escaped = |key: &str| key.replace('~', "~0").replace('/', "~1");
            fields
                .iter()
                .for_each(|(key, value)| child(escaped(key), value));
        }
        _ => {}
    }
}

fn rewrite_tree(change: &Rewrite, tree: &mut Value) {
    let mut found = Vec::new();
    places(tree, "", &mut found);
    if found.is_empty() {
        return;
    }
    let place = |at: &Index| at.get(&found).clone();
    match change {
        Rewrite::Replace(at, value) => *tree.pointer_mut(&place(at)).unwrap() = value.clone(),
        Rewrite::Copy(from, to) => {
            let value = tree.pointer(&place(from)).unwrap().clone();
            *tree.pointer_mut(&place(to)).unwrap() = value;
        }
        Rewrite::Remove(at) | Rewrite::Repeat(at) => {
            let place = place(at);
            let (parent, key) = place.rsplit_once('/').unwrap();
            match tree.pointer_mut(parent).unwrap() {
                Value::Array(items) => {
                    let at: usize = key.parse().unwrap();
                    match change {
                        Rewrite::Remove(_) => drop(items.remove(at)),
                        _ => items.insert(at, items[at].clone()),
                    }
                }
                Value::Object(fields) => drop(fields.remove(key)),
                _ => unreachable!("only these have places below them"),
            }
        }
    }
}

/// JSON behind its length in eight bytes, as the manifest and each blob of weights begin.
fn split(bytes: &[u8]) -> (Value, &[u8]) {
    let n = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    (
        serde_json::from_slice(&bytes[8..8 + n]).unwrap(),
        &bytes[8 + n..],
    )
}

fn joined(head: &Value, rest: &[u8]) -> Vec<u8> {
    let head = serde_json::to_vec(head).unwrap();
    [&(head.len() as u64).to_le_bytes(), &head[..], rest].concat()
}

/// Tries the property on everything that the seed draws; how many files opened.
#[track_caller]
fn n_opened<S: Strategy>(
    damage: S,
    property: impl Fn(S::Value) -> Result<bool, TestCaseError>,
) -> usize {
    let n_opened = std::cell::Cell::new(0);
    let tried = TestRunner::new(config()).run(&damage, |damage| {
        n_opened.set(n_opened.get() + usize::from(property(damage)?));
        Ok(())
    });
    if let Err(failure) = tried {
        panic!("{failure}");
    }
    n_opened.get()
}

#[test]
fn bytes_of_no_meaning_are_refused() {
    let noise = prop::collection::vec(any::<u8>(), 0..400);
    let n_opened = n_opened((0..4u32, noise), |(version, bytes)| {
        Ok(open(&bytes)? || open(&seal(version, &bytes))?)
    });
    assert_eq!(n_opened, 0);
}

#[test]
fn a_change_that_the_checksum_does_not_know_is_refused() {
    let changes = prop::collection::vec(change(), 1..5);
    let n_opened = n_opened((0..4usize, changes), |(which, changes)| {
        let original = &originals()[which];
        let mut bytes = original.clone();
        for change in &changes {
            change.apply(&mut bytes, usize::MAX);
        }
        Ok(&bytes != original && open(&bytes)?)
    });
    assert_eq!(n_opened, 0);
}

#[test]
fn changed_bytes_of_a_right_checksum_end_in_words_or_a_bundle_that_runs() {
    let changes = prop::collection::vec(change(), 1..4);
    let reach = prop_oneof![Just(8usize), Just(4_000), Just(8_000), Just(usize::MAX)];
    let n_opened = n_opened((0..4usize, changes, reach), |(which, changes, reach)| {
        let original = &originals()[which];
        let mut hashed = original[HASHED_FROM..].to_vec();
        for change in &changes {
            change.apply(&mut hashed, reach);
        }
        open(&seal(version_of(original), &hashed))
    });
    assert!(n_opened > 0, "the inner parts were never reached");
}

#[test]
fn a_manifest_that_lies_ends_in_words_or_a_bundle_that_runs() {
    let version = prop_oneof![4 => Just(None), 1 => (0..5u32).prop_map(Some)];
    let changes = prop::collection::vec(rewrite(), 1..3);
    let n_opened = n_opened(
        (0..4usize, version, changes),
        |(which, version, changes)| {
            let original = &originals()[which];
            let (mut manifest, blobs) = split(&original[HASHED_FROM..]);
            for change in &changes {
                rewrite_tree(change, &mut manifest);
            }
            let version = version.unwrap_or(version_of(original));
            open(&seal(version, &joined(&manifest, blobs)))
        },
    );
    assert!(n_opened > 0, "the inner parts were never reached");
}

#[test]
fn weights_that_lie_end_in_words_or_a_bundle_that_runs() {
    let changes = prop::collection::vec(rewrite(), 0..3);
    let bytes = prop::collection::vec(change(), 0..3);
    let n_opened = n_opened((0..4usize, changes, bytes), |(which, changes, bytes)| {
        let original = &originals()[which];
        let (mut manifest, blobs) = split(&original[HASHED_FROM..]);
        let n_first = manifest["members"][0]["n_bytes"].as_u64().unwrap() as usize;
        let (mut head, values) = split(&blobs[..n_first]);
        for change in &changes {
            rewrite_tree(change, &mut head);
        }
        let mut values = values.to_vec();
        for change in &bytes {
            change.apply(&mut values, usize::MAX);
        }
        let first = joined(&head, &values);
        // The members' places are right: only the blob itself lies.
        manifest["members"][0]["n_bytes"] = first.len().into();
        manifest["members"][1]["start_byte"] = first.len().into();
        let blobs = [&first, &blobs[n_first..]].concat();
        open(&seal(version_of(original), &joined(&manifest, &blobs)))
    });
    assert!(n_opened > 0, "the inner parts were never reached");
}

fn version_of(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes[8..12].try_into().unwrap())
}

#[test]
fn what_was_not_changed_opens() {
    for original in originals() {
        assert!(open(original).unwrap());
        let (manifest, blobs) = split(&original[HASHED_FROM..]);
        assert!(open(&seal(version_of(original), &joined(&manifest, blobs))).unwrap());
    }
}
