//! What trials leave behind, under the SHA-256 of its bytes: in a folder, or in a bucket that all workers reach.
//!
//! Bytes are written before the row that names them and never changed, so a name that a row holds can be read for as
//! long as nobody collects it. What comes back damaged counts as gone. It does not know what the bytes mean.

use std::path::{Path, PathBuf};
use std::time::Duration;

use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;

/// Bytes by their digest. Safe to share between threads.
pub struct Depot {
    /// A path or an URL, as it was given.
    place: String,
    objects: Box<dyn ObjectStore>,
    prefix: ObjectPath,
    runtime: Runtime,
}

/// Something that lies in a depot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub id: String,
    pub n_bytes: u64,
    /// Since it was written, by the clock of the depot.
    pub age: Duration,
}

/// A depot that does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum DepotError {
    #[error("artifacts at {place}: {reason}")]
    Failed { place: String, reason: String },
    #[error("artifacts: found `{found}`, expected a folder, {expected}")]
    Address {
        found: String,
        expected: &'static str,
    },
}

#[cfg(feature = "cloud")]
const REMOTE: &str = "s3://, gs:// or az://";
#[cfg(not(feature = "cloud"))]
const REMOTE: &str = "or a build with `--features cloud` for s3://, gs:// and az://";

impl Depot {
    /// A folder, which is made where it is not there, or a bucket with its keys in the environment.
    pub fn open(place: &str) -> Result<Self, DepotError> {
        let failed = |reason: String| DepotError::Failed {
            place: place.into(),
            reason,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let (objects, prefix) = match place.split_once("://") {
            None => folder(Path::new(place)).map_err(failed)?,
            Some(("file", path)) => folder(Path::new(path)).map_err(failed)?,
            #[cfg(feature = "cloud")]
            Some(("s3" | "gs" | "az", _)) => bucket(place).map_err(failed)?,
            Some(_) => {
                return Err(DepotError::Address {
                    found: place.into(),
                    expected: REMOTE,
                });
            }
        };
        Ok(Self {
            place: place.into(),
            objects,
            prefix,
            runtime,
        })
    }

    fn failed(&self, error: &object_store::Error) -> DepotError {
        DepotError::Failed {
            place: self.place.clone(),
            reason: error.to_string(),
        }
    }

    fn at(&self, id: &str) -> ObjectPath {
        self.prefix.clone().join(id)
    }

    /// Keeps bytes, wholly or not at all; their name. The same bytes again cost nothing.
    pub fn put(&self, bytes: &[u8]) -> Result<String, DepotError> {
        let id = id_of(bytes);
        let options = PutOptions::from(PutMode::Overwrite);
        let written = async {
            let at = self.at(&id);
            if let Ok(found) = self.objects.head(&at).await
                && found.size == bytes.len() as u64
            {
                return Ok(());
            }
            let put = self.objects.put_opts(&at, bytes.to_vec().into(), options);
            put.await.map(|_| ())
        };
        match self.runtime.block_on(written) {
            Ok(()) => Ok(id),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Bytes kept earlier; `None` where they are gone or damaged.
    pub fn get(&self, id: &str) -> Result<Option<Vec<u8>>, DepotError> {
        let read = async {
            let found = self.objects.get(&self.at(id)).await?;
            found.bytes().await
        };
        match self.runtime.block_on(read) {
            Ok(bytes) => Ok((id_of(&bytes) == id).then(|| bytes.to_vec())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Seconds since 1970 by the clock of the place: what it says of something that is written just now.
    async fn now_s(&self) -> Result<i64, object_store::Error> {
        // Nobody else's: processes of two machines may have the same number.
        let at = self.at(&format!("clock-{:016x}", rand::random::<u64>()));
        let options = PutOptions::from(PutMode::Overwrite);
        self.objects
            .put_opts(&at, Vec::<u8>::new().into(), options)
            .await?;
        let found = self.objects.head(&at).await?;
        match self.objects.delete(&at).await {
            Err(object_store::Error::NotFound { .. }) | Ok(()) => {}
            Err(error) => return Err(error),
        }
        Ok(found.last_modified.timestamp())
    }

    /// Fails where nothing can be written, read and removed.
    pub fn probe(&self) -> Result<(), DepotError> {
        let clock = self.runtime.block_on(self.now_s());
        clock.map(|_| ()).map_err(|error| self.failed(&error))
    }

    /// All that lies there, by name, with its age by the clock of the place.
    pub fn list(&self) -> Result<Vec<Kept>, DepotError> {
        let listed = async {
            let listed = self.objects.list_with_delimiter(Some(&self.prefix)).await?;
            Ok::<_, object_store::Error>((listed, self.now_s().await?))
        };
        let (listed, now_s) = self
            .runtime
            .block_on(listed)
            .map_err(|error| self.failed(&error))?;
        let mut kept: Vec<Kept> = listed
            .objects
            .into_iter()
            .filter_map(|object| {
                let id = object.location.filename()?.to_owned();
                let age_s = now_s - object.last_modified.timestamp();
                is_id(&id).then_some(Kept {
                    id,
                    n_bytes: object.size,
                    age: Duration::from_secs(u64::try_from(age_s).unwrap_or(0)),
                })
            })
            .collect();
        kept.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(kept)
    }

    /// Removes what may be gone already.
    pub fn remove(&self, id: &str) -> Result<(), DepotError> {
        match self.runtime.block_on(self.objects.delete(&self.at(id))) {
            Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(self.failed(&error)),
        }
    }
}

type Objects = (Box<dyn ObjectStore>, ObjectPath);

fn folder(path: &Path) -> Result<Objects, String> {
    std::fs::create_dir_all(path).map_err(|error| error.to_string())?;
    let path: PathBuf = path.canonicalize().map_err(|error| error.to_string())?;
    let objects = LocalFileSystem::new_with_prefix(path).map_err(|error| error.to_string())?;
    // On disk before the row that names it is.
    Ok((Box::new(objects.with_fsync(true)), ObjectPath::default()))
}

/// Keys and endpoints come from the environment: `AWS_*`, `GOOGLE_*`, `AZURE_*`.
#[cfg(feature = "cloud")]
fn bucket(place: &str) -> Result<Objects, String> {
    use object_store::aws::AmazonS3Builder;
    use object_store::azure::MicrosoftAzureBuilder;
    use object_store::gcp::GoogleCloudStorageBuilder;
    let objects: Result<Box<dyn ObjectStore>, object_store::Error> = match place {
        s3 if s3.starts_with("s3:") => AmazonS3Builder::from_env()
            .with_url(s3)
            .build()
            .map(|it| Box::new(it) as _),
        gs if gs.starts_with("gs:") => GoogleCloudStorageBuilder::from_env()
            .with_url(gs)
            .build()
            .map(|it| Box::new(it) as _),
        az => MicrosoftAzureBuilder::from_env()
            .with_url(az)
            .build()
            .map(|it| Box::new(it) as _),
    };
    let path = place
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('/'))
        .map_or("", |(_, path)| path);
    let prefix = ObjectPath::parse(path.trim_matches('/')).map_err(|error| error.to_string())?;
    Ok((objects.map_err(|error| error.to_string())?, prefix))
}

/// The name of bytes: 64 hex digits of their SHA-256.
pub fn id_of(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depot() -> (tempfile::TempDir, Depot) {
        let folder = tempfile::tempdir().unwrap();
        let depot = Depot::open(&folder.path().join("artifacts").display().to_string()).unwrap();
        (folder, depot)
    }

    #[test]
    fn bytes_come_back_by_their_digest_and_the_same_bytes_lie_there_once() {
        let (_folder, depot) = depot();
        let abc = depot.put(b"abc").unwrap();
        // FIPS 180-4, the example of one block.
        assert_eq!(
            abc,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(depot.put(b"abc").unwrap(), abc);
        let empty = depot.put(b"").unwrap();
        assert_eq!(depot.get(&abc).unwrap().unwrap(), b"abc");
        assert_eq!(depot.get(&empty).unwrap().unwrap(), b"");
        let sizes: Vec<u64> = depot.list().unwrap().iter().map(|it| it.n_bytes).collect();
        assert_eq!(sizes, [3, 0]);
        depot.remove(&abc).unwrap();
        depot.remove(&abc).unwrap();
        assert_eq!(depot.get(&abc).unwrap(), None);
    }

    #[test]
    fn damaged_bytes_count_as_gone_and_are_written_anew() {
        let (folder, depot) = depot();
        let id = depot.put(b"whole").unwrap();
        std::fs::write(folder.path().join("artifacts").join(&id), b"cut").unwrap();
        assert_eq!(depot.get(&id).unwrap(), None);
        depot.put(b"whole").unwrap();
        assert_eq!(depot.get(&id).unwrap().unwrap(), b"whole");
    }

    #[test]
    fn what_is_no_artifact_is_not_listed_and_an_odd_address_is_refused() {
        let (folder, depot) = depot();
        std::fs::write(folder.path().join("artifacts/notes.txt"), "mine").unwrap();
        assert!(depot.list().unwrap().is_empty());
        let error = Depot::open("ftp://host/x").err().unwrap().to_string();
        assert!(error.contains("expected a folder"), "{error}");
    }

    #[test]
    fn many_threads_write_and_read_at_once() {
        let (_folder, depot) = depot();
        std::thread::scope(|scope| {
            for thread in 0..8_u8 {
                let depot = &depot;
                scope.spawn(move || {
                    for round in 0..10_u8 {
                        let id = depot.put(&[thread, round]).unwrap();
                        assert_eq!(depot.get(&id).unwrap().unwrap(), [thread, round]);
                    }
                });
            }
        });
        assert_eq!(depot.list().unwrap().len(), 80);
    }
}
