//! Where a study is, as a user writes it: `postgres://USER@HOST/DATABASE#NAME`, the folder of a run, or an SQLite
//! file. A password is read from the environment or a file, never from a command line.

use std::fmt;
use std::path::{Path, PathBuf};

#[cfg(feature = "postgres")]
use super::PostgresStore;
use super::{SqliteStore, StoreError, StudyEdit, StudySettings, StudyStore};

/// What holds studies.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// One study in a file.
    Sqlite(PathBuf),
    /// Any number of them in a database; the address, perhaps with a password.
    Postgres(String),
}

/// A study in its place. Shown and printed without a password.
#[derive(Clone, PartialEq, Eq)]
pub struct StudyAddress {
    pub place: Place,
    /// `None`: the only one there.
    pub name: Option<String>,
}

const EXPECTED: &str = "postgres://USER@HOST/DATABASE#NAME, a run's folder, or an SQLite file";

impl StudyAddress {
    /// Reads an address as it stands on a command line, where anybody may see it; `@FILE` is one that stands in a
    /// file.
    ///
    /// # Errors
    ///
    /// An address with a password in it.
    pub fn parse(text: &str) -> Result<Self, StoreError> {
        if let Some(path) = text.strip_prefix('@') {
            let path = PathBuf::from(path);
            return match std::fs::read_to_string(&path) {
                Ok(text) => Self::parse_secret(text.trim()),
                Err(source) => Err(StoreError::Io { path, source }),
            };
        }
        let address = Self::parse_secret(text)?;
        if let Place::Postgres(url) = &address.place
            && has_password(url)
        {
            return Err(StoreError::Address {
                found: "a password on the command line".into(),
                expected: "it in PGPASSWORD, or the whole address in AURICLE_STUDY or as @FILE"
                    .into(),
            });
        }
        Ok(address)
    }

    /// Reads an address that nobody else sees: from the environment or a file.
    pub fn parse_secret(text: &str) -> Result<Self, StoreError> {
        let is_postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
        if is_postgres {
            let (url, name) = match text.split_once('#') {
                Some((url, name)) if !name.is_empty() => (url, Some(name.to_owned())),
                Some((url, _)) => (url, None),
                None => (text, None),
            };
            return Ok(Self {
                place: Place::Postgres(url.into()),
                name,
            });
        }
        let path = text.strip_prefix("sqlite:").unwrap_or(text);
        if path.is_empty() || path.contains("://") {
            return Err(StoreError::Address {
                found: format!("`{}`", path.split('@').next_back().unwrap_or_default()),
                expected: EXPECTED.into(),
            });
        }
        let path = PathBuf::from(path);
        let path = match path.is_dir() {
            true => path.join("study.sqlite"),
            false => path,
        };
        Ok(Self {
            place: Place::Sqlite(path),
            name: None,
        })
    }

    /// The only study of a database.
    #[cfg(feature = "postgres")]
    pub(super) fn database(url: &str) -> Self {
        Self {
            place: Place::Postgres(url.into()),
            name: None,
        }
    }

    /// Opens the study.
    pub fn open(&self) -> Result<Box<dyn StudyStore>, StoreError> {
        match &self.place {
            Place::Sqlite(path) => Ok(Box::new(SqliteStore::open_any(path)?)),
            #[cfg(feature = "postgres")]
            Place::Postgres(url) => Ok(Box::new(PostgresStore::open(url, self.name.as_deref())?)),
            #[cfg(not(feature = "postgres"))]
            Place::Postgres(_) => Err(without_postgres()),
        }
    }

    /// Begins a study there.
    ///
    /// # Errors
    ///
    /// [`StoreError::StudyExists`] where it is there already.
    pub fn create(
        &self,
        name: &str,
        fingerprint: &str,
        recipe: &str,
        settings: &StudySettings,
    ) -> Result<(), StoreError> {
        match &self.place {
            Place::Sqlite(path) => {
                if path.exists() {
                    return Err(StoreError::StudyExists {
                        place: path.display().to_string(),
                        name: name.into(),
                    });
                }
                let folder = path.parent().unwrap_or(Path::new("."));
                std::fs::create_dir_all(folder).map_err(|source| StoreError::Io {
                    path: folder.into(),
                    source,
                })?;
                let store = SqliteStore::open(path, fingerprint)?;
                store.set_recipe(name, recipe)?;
                store.edit(&StudyEdit {
                    status: None,
                    settings: Some(settings.clone()),
                })
            }
            #[cfg(feature = "postgres")]
            Place::Postgres(url) => PostgresStore::create(url, name, fingerprint, recipe, settings),
            #[cfg(not(feature = "postgres"))]
            Place::Postgres(_) => Err(without_postgres()),
        }
    }

    /// Removes the study with its trials; artifacts stay until they are collected.
    pub fn delete(&self) -> Result<(), StoreError> {
        match &self.place {
            Place::Sqlite(path) => {
                drop(SqliteStore::open_any(path)?); // only what is a study
                for suffix in ["", "-wal", "-shm", "-proposing"] {
                    let mut name = path.clone().into_os_string();
                    name.push(suffix);
                    let path = PathBuf::from(name);
                    match std::fs::remove_file(&path) {
                        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                            return Err(StoreError::Io { path, source });
                        }
                        _ => {}
                    }
                }
                Ok(())
            }
            #[cfg(feature = "postgres")]
            Place::Postgres(url) => {
                let name = self.open()?.study()?.name;
                PostgresStore::delete(url, &name)
            }
            #[cfg(not(feature = "postgres"))]
            Place::Postgres(_) => Err(without_postgres()),
        }
    }
}

/// Names of the studies in a place.
pub fn studies_in(place: &Place) -> Result<Vec<String>, StoreError> {
    match place {
        Place::Sqlite(path) => Ok(vec![SqliteStore::open_any(path)?.study()?.name]),
        #[cfg(feature = "postgres")]
        Place::Postgres(url) => PostgresStore::names(url),
        #[cfg(not(feature = "postgres"))]
        Place::Postgres(_) => Err(without_postgres()),
    }
}

#[cfg(not(feature = "postgres"))]
fn without_postgres() -> StoreError {
    StoreError::Address {
        found: "a PostgreSQL database, of which this build knows nothing".into(),
        expected: "a build with `--features postgres`, or an SQLite file".into(),
    }
}

fn has_password(url: &str) -> bool {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let (authority, options) = rest.split_once(['/', '?']).unwrap_or((rest, ""));
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    user.is_some_and(|user| user.contains(':')) || options.contains("password=")
}

impl fmt::Display for StudyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Sqlite(path) => write!(f, "{}", path.display()),
            Place::Postgres(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", ""));
                let rest = rest.split('?').next().unwrap_or_default();
                let (user, host) = rest.rsplit_once('@').unwrap_or(("", rest));
                let user = user.split(':').next().unwrap_or_default();
                let at = if user.is_empty() { "" } else { "@" };
                write!(f, "{scheme}://{user}{at}{host}")?;
                self.name
                    .as_ref()
                    .map_or(Ok(()), |name| write!(f, "#{name}"))
            }
        }
    }
}

impl fmt::Debug for StudyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_database_with_a_name_or_a_file() {
        let address = StudyAddress::parse("postgres://me@host/db?sslmode=require#words").unwrap();
        assert_eq!(address.name.as_deref(), Some("words"));
        assert_eq!(address.to_string(), "postgres://me@host/db#words");
        let file = StudyAddress::parse("sqlite:some/study.sqlite").unwrap();
        assert!(file.place == Place::Sqlite("some/study.sqlite".into()));
        for text in ["", "mysql://host/db", "http://host"] {
            let error = StudyAddress::parse(text).unwrap_err().to_string();
            assert!(error.contains("expected postgres://"), "{error}");
        }
    }

    #[test]
    fn a_password_is_refused_on_a_command_line_taken_from_a_file_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("address");
        for url in [
            "postgres://me:geheim@host/db#a",
            "postgres://host/db?password=geheim",
        ] {
            let error = StudyAddress::parse(url).unwrap_err().to_string();
            assert!(
                error.contains("PGPASSWORD") && !error.contains("geheim"),
                "{error}"
            );
            std::fs::write(&path, format!("{url}\n")).unwrap();
            let address = StudyAddress::parse(&format!("@{}", path.display())).unwrap();
            assert!(
                !format!("{address} {address:?}").contains("geheim"),
                "{address}"
            );
        }
    }
}
