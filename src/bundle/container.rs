//! The bytes of a bundle file, format versions 1 to 3. Integers are little-endian.
//!
//! ```text
//! offset  bytes
//!      0      8  magic "auricle\n"
//!      8      4  format version
//!     12     32  SHA-256 of everything from offset 44 to the end
//!     44      8  n: bytes of the manifest
//!     52      n  manifest, JSON in UTF-8
//! 52 + n         members' weights: safetensors blobs, one after the other without gaps, to the end
//! ```
//!
//! Version 2 adds the manifest's `storage`: weights as 8-bit integers, see `int8.rs`. Version 3 adds `languages` and the
//! detector's `voice_threshold`. A bundle is written as the first version that knows all of it, so that older programs open
//! what they can.
//!
//! A version is never changed once it was released; a file of each stays in the tests.

use sha2::{Digest, Sha256};

use super::error::BundleError;
use super::manifest::{Manifest, MemberEntry};
use super::{Bundle, MAX_FILE_BYTES, MAX_MEMBERS, Member, Storage, bounds, int8};
use crate::model::{Cost, Weights};

/// How every bundle begins.
pub const MAGIC: [u8; 8] = *b"auricle\n";
pub(super) const MAGIC_TEXT: &str = "auricle\n";
/// The latest version.
pub const FORMAT_VERSION: u32 = 3;

const MAX_MANIFEST_BYTES: u64 = 8 << 20;
const HASHED_FROM: usize = 44;

/// The file of a bundle that was validated.
pub fn pack(bundle: &Bundle) -> Result<Vec<u8>, BundleError> {
    let ports = bundle.ports();
    let mut blobs = Vec::new();
    let mut members = Vec::new();
    for member in &bundle.members {
        let blob = match bundle.storage {
            Storage::F32 => member.weights.to_bytes(),
            Storage::Int8 => int8::to_bytes(&member.weights),
        };
        let cost = Cost::of(&member.genome, &ports);
        members.push(MemberEntry {
            genome: member.genome.clone(),
            weight: member.weight,
            start_byte: blobs.len() as u64,
            n_bytes: blob.len() as u64,
            cost: serde_json::to_value(cost).map_err(manifest_error)?,
        });
        blobs.extend_from_slice(&blob);
        bounds::within("bytes of weights", blobs.len() as u64, 0, MAX_FILE_BYTES)?;
    }
    let manifest = Manifest {
        title: bundle.title.clone(),
        frontend: bundle.frontend.clone(),
        labels: bundle.labels.clone(),
        clip_ms: bundle.clip_ms,
        whole_clips_ms: bundle.whole_clips_ms,
        ports,
        detector: bundle.detector.clone(),
        languages: bundle.languages.clone(),
        members,
        mixture: bundle.mixture.clone(),
        storage: bundle.storage,
        provenance: bundle.provenance.clone(),
    };
    let manifest = serde_json::to_vec_pretty(&manifest).map_err(manifest_error)?;
    let n_manifest_bytes = manifest.len() as u64;
    bounds::within("bytes of manifest", n_manifest_bytes, 1, MAX_MANIFEST_BYTES)?;

    let mut hashed = n_manifest_bytes.to_le_bytes().to_vec();
    hashed.extend_from_slice(&manifest);
    hashed.append(&mut blobs);
    let bytes = seal(bundle.newest_part().1, &hashed);
    bounds::within("bytes of file", bytes.len() as u64, 1, MAX_FILE_BYTES)?;
    Ok(bytes)
}

/// Everything before and the checksum of `hashed`, then `hashed`.
pub(super) fn seal(version: u32, hashed: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&Sha256::digest(hashed));
    bytes.extend_from_slice(hashed);
    bytes
}

/// Reads a file; its values are not validated yet.
pub fn unpack(bytes: &[u8]) -> Result<Bundle, BundleError> {
    let n_bytes = bytes.len() as u64;
    if !bytes.starts_with(&MAGIC) {
        let found = head_text(bytes);
        return Err(BundleError::NotABundle { found });
    }
    bounds::within("bytes of file", n_bytes, 0, MAX_FILE_BYTES)?;
    let mut rest = &bytes[MAGIC.len()..];
    let version = u32::from_le_bytes(take(&mut rest, "format version")?);
    if version == 0 || version > FORMAT_VERSION {
        return Err(BundleError::Version {
            found: version,
            expected: FORMAT_VERSION,
        });
    }
    let expected: [u8; 32] = take(&mut rest, "checksum")?;
    let found: [u8; 32] = Sha256::digest(rest).into();
    if found != expected {
        return Err(BundleError::Checksum {
            found: hex::encode(found),
            expected: hex::encode(expected),
        });
    }
    debug_assert_eq!(bytes.len() - rest.len(), HASHED_FROM);

    let n_manifest_bytes = u64::from_le_bytes(take(&mut rest, "the manifest's length")?);
    bounds::within("bytes of manifest", n_manifest_bytes, 1, MAX_MANIFEST_BYTES)?;
    let Some((manifest, blobs)) = rest.split_at_checked(n_manifest_bytes as usize) else {
        return Err(BundleError::Size {
            what: "manifest",
            found: rest.len() as u64,
            expected: n_manifest_bytes,
        });
    };
    let manifest: Manifest = serde_json::from_slice(manifest).map_err(manifest_error)?;
    let n_members = manifest.members.len() as u64;
    bounds::within("members", n_members, 1, MAX_MEMBERS as u64)?;
    let storage = manifest.storage;
    let members = unpack_members(&manifest.members, storage, blobs)?;

    let bundle = Bundle {
        title: manifest.title,
        frontend: manifest.frontend,
        labels: manifest.labels,
        members,
        detector: manifest.detector,
        languages: manifest.languages,
        clip_ms: manifest.clip_ms,
        whole_clips_ms: manifest.whole_clips_ms,
        mixture: manifest.mixture,
        storage,
        provenance: manifest.provenance,
    };
    let (what, expected) = bundle.newest_part();
    if expected > version {
        return Err(BundleError::TooNew {
            what,
            version,
            expected,
        });
    }
    // Ports divide by the hop.
    bundle.frontend.validate()?;
    let ports = bundle.ports();
    if ports != manifest.ports {
        return Err(BundleError::Ports {
            found: format!("{:?}", manifest.ports),
            expected: format!("{ports:?}"),
        });
    }
    Ok(bundle)
}

fn unpack_members(
    entries: &[MemberEntry],
    storage: Storage,
    blobs: &[u8],
) -> Result<Vec<Member>, BundleError> {
    let n_blob_bytes = blobs.len() as u64;
    let mut start = 0;
    // Integers grow when they are read: not beyond what floats could be in a file.
    let mut n_bytes_left = MAX_FILE_BYTES;
    let mut members = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let end = u128::from(entry.start_byte) + u128::from(entry.n_bytes);
        if entry.start_byte != start || end > u128::from(n_blob_bytes) {
            return Err(BundleError::Range {
                index,
                found_start: entry.start_byte,
                found_end: end,
                expected_start: start,
                expected_end: n_blob_bytes,
            });
        }
        let end = end as u64; // not above the length of the file
        let blob = &blobs[start as usize..end as usize];
        let weights = match storage {
            Storage::F32 => Weights::from_bytes(blob)
                .map_err(|source| BundleError::Weights { index, source })?,
            Storage::Int8 => int8::from_bytes(index, blob, &mut n_bytes_left)?,
        };
        members.push(Member {
            genome: entry.genome.clone(),
            weights,
            weight: entry.weight,
        });
        start = end;
    }
    if start != n_blob_bytes {
        return Err(BundleError::Size {
            what: "weights",
            found: n_blob_bytes,
            expected: start,
        });
    }
    Ok(members)
}

fn take<const N: usize>(rest: &mut &[u8], what: &'static str) -> Result<[u8; N], BundleError> {
    let Some((taken, later)) = rest.split_first_chunk::<N>() else {
        return Err(BundleError::Size {
            what,
            found: rest.len() as u64,
            expected: N as u64,
        });
    };
    *rest = later;
    Ok(*taken)
}

fn manifest_error(error: serde_json::Error) -> BundleError {
    BundleError::Manifest(error.to_string())
}

fn head_text(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "an empty file".into();
    }
    let head = &bytes[..bytes.len().min(MAGIC.len())];
    format!("{:?}", head.escape_ascii().to_string())
}
