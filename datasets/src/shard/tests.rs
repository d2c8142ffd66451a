//! A shard gives back what was put in, or an error; never a panic, whatever the bytes.

use std::fs;
use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const FEATURES: Payload = Payload::Features { n_mels: 5 };

fn write_features(path: &Path, items: &[Vec<f32>]) {
    let mut writer = ShardWriter::create(path, FEATURES, "0123456789abcdef").unwrap();
    for (at, item) in items.iter().enumerate() {
        assert_eq!(writer.push_features(item).unwrap(), at);
    }
    assert_eq!(writer.finish().unwrap(), items.len());
}

fn items() -> Vec<Vec<f32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    [3, 0, 1, 7, 2]
        .map(|n_frames| (0..n_frames * 5).map(|_| rng.random::<f32>()).collect())
        .to_vec()
}

/// The file as it would be with other header fields, its checksums made right again: a lie that was told on purpose.
fn lying(bytes: &[u8], at: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + with.len()].copy_from_slice(with);
    let body = crc32fast::hash(&bytes[HEADER_BYTES..]);
    bytes[40..44].copy_from_slice(&body.to_le_bytes());
    bytes[44..48].fill(0);
    let header = crc32fast::hash(&bytes[..HEADER_BYTES]);
    bytes[44..48].copy_from_slice(&header.to_le_bytes());
    bytes
}

#[test]
fn features_come_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.shard");
    let items = items();
    write_features(&path, &items);
    let shard = Shard::open_features(&path, "0123456789abcdef", 5).unwrap();
    assert_eq!(shard.len(), items.len());
    for (at, item) in items.iter().enumerate() {
        assert_eq!(shard.features(at), (item.as_slice(), item.len() / 5));
        assert_eq!(shard.n_rows(at), item.len() / 5);
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left beside the shard"
    );
}

#[test]
fn samples_of_odd_lengths_come_back_and_an_empty_shard_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("samples.shard");
    for n_items in [0, 1, 5] {
        let items: Vec<Vec<i16>> = (0..n_items)
            .map(|n| (0..n * 3 + 1).map(|i| i * 1000 - 7).collect())
            .collect();
        let mut writer = ShardWriter::create(&path, Payload::Samples, "").unwrap();
        items
            .iter()
            .for_each(|item| assert!(writer.push_samples(item).is_ok()));
        writer.finish().unwrap();
        let shard = Shard::open_samples(&path, "").unwrap();
        assert_eq!(
            (shard.len(), shard.is_empty()),
            (items.len(), items.is_empty())
        );
        items
            .iter()
            .enumerate()
            .for_each(|(at, item)| assert_eq!(shard.samples(at), item.as_slice()));
    }
}

#[test]
fn the_payload_starts_on_a_64_byte_boundary() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.shard");
    write_features(&path, &items());
    let shard = Shard::open(&path, "0123456789abcdef").unwrap();
    assert_eq!(shard.features(0).0.as_ptr() as usize % 64, 0);
}

#[test]
fn a_shard_of_another_front_end_or_kind_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.shard");
    write_features(&path, &items());
    let said = |result: Result<Shard, ShardError>| result.err().unwrap().to_string();
    let other = said(Shard::open(&path, "ffff"));
    assert!(
        other.contains("0123456789abcdef")
            && other.contains("ffff")
            && other.contains("features.shard"),
        "{other}"
    );
    let bands = said(Shard::open_features(&path, "0123456789abcdef", 40));
    assert!(
        bands.contains("5 bands") && bands.contains("40 bands"),
        "{bands}"
    );
    assert!(said(Shard::open_samples(&path, "0123456789abcdef")).contains("samples"));
    assert!(said(Shard::open(folder.path(), "")).contains("expected a file"));
    assert!(matches!(
        Shard::open(&folder.path().join("gone"), ""),
        Err(ShardError::Io { .. })
    ));
}

#[test]
fn a_writer_takes_only_what_fits_and_an_unfinished_one_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.shard");
    let mut writer = ShardWriter::create(&path, FEATURES, "f").unwrap();
    assert!(writer.push_features(&[0.0; 7]).is_err());
    assert!(writer.push_samples(&[0; 5]).is_err());
    assert_eq!(writer.push_features(&[0.0; 10]).unwrap(), 0);
    assert!(ShardWriter::create(&path, FEATURES, &"f".repeat(65)).is_err());
    assert!(ShardWriter::create(&path, Payload::Features { n_mels: 0 }, "f").is_err());
    assert!(!path.exists());
    drop(writer);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_open_shard_stays_as_it_was_when_it_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.shard");
    write_features(&path, &items());
    let old = Shard::open(&path, "0123456789abcdef").unwrap();
    write_features(&path, &[vec![1.0; 5]]);
    assert_eq!(old.features(3).0, items()[3]);
    assert_eq!(Shard::open(&path, "0123456789abcdef").unwrap().len(), 1);
}

#[test]
fn every_flipped_bit_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.shard");
    write_features(&path, &items());
    let bytes = fs::read(&path).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &flipped).unwrap();
        assert!(
            Shard::open(&path, "0123456789abcdef").is_err(),
            "bit {bit} went unnoticed"
        );
    }
}

#[test]
fn every_cut_and_every_addition_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.shard");
    write_features(&path, &items());
    let bytes = fs::read(&path).unwrap();
    for n in 0..bytes.len() {
        fs::write(&path, &bytes[..n]).unwrap();
        assert!(
            Shard::open(&path, "0123456789abcdef").is_err(),
            "cut to {n} bytes"
        );
    }
    for extra in [1, 8, 64] {
        fs::write(&path, [bytes.as_slice(), &vec![0; extra]].concat()).unwrap();
        assert!(
            Shard::open(&path, "0123456789abcdef").is_err(),
            "{extra} bytes more"
        );
    }
}

#[test]
fn a_header_that_lies_with_a_right_checksum_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.shard");
    write_features(&path, &items());
    let bytes = fs::read(&path).unwrap();
    let open = |lie: &[u8]| {
        fs::write(&path, lie).unwrap();
        Shard::open(&path, "0123456789abcdef")
    };
    assert!(
        open(&lying(&bytes, 8, &1u32.to_le_bytes())).is_ok(),
        "the truth is still believed"
    );
    for at in [8, 12, 16, 20] {
        for value in [0u32, 3, 6, 64, 1 << 16, 1 << 31, u32::MAX] {
            assert!(
                open(&lying(&bytes, at, &value.to_le_bytes())).is_err(),
                "{value} at {at}"
            );
        }
    }
    for at in [24, 32] {
        for value in [
            0u64,
            4,
            14,
            1 << 32,
            1 << 61,
            (1 << 61) - 1,
            1 << 63,
            u64::MAX - 1,
            u64::MAX,
        ] {
            assert!(
                open(&lying(&bytes, at, &value.to_le_bytes())).is_err(),
                "{value} at {at}"
            );
        }
    }
    // An index that points outside the payload, or backwards.
    let index = bytes.len() - 6 * 8;
    for value in [1u64, 14, 1 << 40, u64::MAX] {
        for entry in [0, 2, 5] {
            let lie = lying(&bytes, index + entry * 8, &value.to_le_bytes());
            assert!(open(&lie).is_err(), "{value} as entry {entry} of the index");
        }
    }
}

#[test]
fn random_bytes_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.shard");
    write_features(&path, &items());
    let bytes = fs::read(&path).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for _ in 0..2000 {
        let mut header = bytes[..HEADER_BYTES].to_vec();
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(8..40);
            header[at] = rng.random();
        }
        let lie = lying(
            &[header.as_slice(), &bytes[HEADER_BYTES..]].concat(),
            0,
            &MAGIC,
        );
        fs::write(&path, lie).unwrap();
        if let Ok(shard) = Shard::open(&path, "0123456789abcdef") {
            (0..shard.len()).for_each(|item| assert!(shard.n_rows(item) < 100));
        }
    }
}
