//! Connections to a PostgreSQL server: opened when needed, kept for the next use, thrown away when they broke. No
//! password is ever part of a message.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use postgres::config::SslMode;
use postgres::error::SqlState;
use postgres::types::ToSql;
use postgres::{Client, Config, NoTls, Row, Statement};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{StoreError, StudyAddress};

/// How long an attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long what was sent may stay unanswered by the other machine before the connection counts as broken.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(20);

/// Connections kept open between uses: one for a worker's trials, one for its signs of life.
const MAX_IDLE: usize = 2;

pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A database, however many connections to it are open.
pub(super) struct Database {
    /// Without a password.
    pub place: String,
    config: Config,
    idle: Mutex<Vec<Connection>>,
    broke: Mutex<Option<Instant>>,
}

/// A connection and the statements that it has prepared.
pub(super) struct Connection {
    pub client: Client,
    statements: HashMap<String, Statement>,
}

impl Connection {
    pub fn statement(&mut self, sql: &str) -> Result<Statement, postgres::Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql)?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    pub fn query(&mut self, sql: &str, params: Params) -> Result<Vec<Row>, postgres::Error> {
        let statement = self.statement(sql)?;
        self.client.query(&statement, params)
    }

    pub fn execute(&mut self, sql: &str, params: Params) -> Result<u64, postgres::Error> {
        let statement = self.statement(sql)?;
        self.client.execute(&statement, params)
    }
}

impl Database {
    /// Reads the address; connects to nothing yet. The password is that of the address, or `PGPASSWORD`'s.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        let place = StudyAddress::database(url).to_string();
        let wrong = |found: String| StoreError::Address {
            found,
            expected: "postgres://USER@HOST:PORT/DATABASE".into(),
        };
        // The error could repeat a part of the address.
        let mut config = Config::from_str(url).map_err(|_| wrong(place.clone()))?;
        if config.get_password().is_none()
            && let Ok(password) = std::env::var("PGPASSWORD")
        {
            config.password(password);
        }
        config
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(SILENCE_TIMEOUT)
            .application_name("auricle");
        Ok(Self {
            place,
            config,
            idle: Mutex::new(Vec::new()),
            broke: Mutex::new(None),
        })
    }

    /// What an error means for whoever asked.
    pub fn fault(&self, error: &postgres::Error) -> StoreError {
        let place = self.place.clone();
        let code = error.code().cloned();
        let is_passing = match &code {
            Some(code) => {
                let passing = [
                    SqlState::ADMIN_SHUTDOWN,
                    SqlState::CRASH_SHUTDOWN,
                    SqlState::CANNOT_CONNECT_NOW,
                    SqlState::TOO_MANY_CONNECTIONS,
                    SqlState::IDLE_SESSION_TIMEOUT,
                    SqlState::T_R_DEADLOCK_DETECTED,
                    SqlState::T_R_SERIALIZATION_FAILURE,
                    SqlState::DISK_FULL,
                ];
                passing.contains(code) || code.code().starts_with("08")
            }
            None => error.is_closed() || has_io_cause(error),
        };
        let reason = match error.as_db_error() {
            Some(said) => said.message().to_owned(),
            None => causes(error),
        };
        match is_passing {
            true => StoreError::Unavailable { place, reason },
            false => StoreError::Postgres { place, reason },
        }
    }

    /// How long ago the database could not be reached; `None` where that never was.
    pub fn since_broken(&self) -> Option<Duration> {
        let broke = self.broke.lock().unwrap_or_else(PoisonError::into_inner);
        broke.map(|at| at.elapsed())
    }

    pub fn take(&self) -> Result<Connection, StoreError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match idle.filter(|connection| !connection.client.is_closed()) {
            Some(connection) => Ok(connection),
            None => self.connect(),
        }
    }

    pub fn put_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE && !connection.client.is_closed() {
            idle.push(connection);
        }
    }

    /// Uses a connection; one that broke is thrown away.
    pub fn with<T>(
        &self,
        f: impl FnOnce(&mut Connection) -> Result<T, postgres::Error>,
    ) -> Result<T, StoreError> {
        let mut connection = self.take()?;
        match f(&mut connection) {
            Ok(value) => {
                self.put_back(connection);
                Ok(value)
            }
            Err(error) => {
                let fault = self.fault(&error);
                if fault.is_passing() {
                    self.note_broken();
                } else {
                    self.put_back(connection);
                }
                Err(fault)
            }
        }
    }

    pub fn note_broken(&self) {
        *self.broke.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        // The others are likely to be broken as well.
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let connected = match self.config.get_ssl_mode() {
            SslMode::Require => self.config.connect(self.tls()?),
            _ => self.config.connect(NoTls),
        };
        let client = connected.map_err(|error| {
            let fault = self.fault(&error);
            if fault.is_passing() {
                self.note_broken();
            }
            fault
        })?;
        Ok(Connection {
            client,
            statements: HashMap::new(),
        })
    }

    /// The server's certificate is held against the file that `PGSSLROOTCERT` names, or against Mozilla's list.
    fn tls(&self) -> Result<MakeRustlsConnect, StoreError> {
        let roots = match std::env::var_os("PGSSLROOTCERT").map(PathBuf::from) {
            Some(path) => roots_of(&path).map_err(|reason| StoreError::Postgres {
                place: path.display().to_string(),
                reason,
            })?,
            None => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
        };
        // Named, and not the process's: a build for buckets holds two of them, and rustls does not choose.
        let provider = rustls::crypto::ring::default_provider();
        let config = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .expect("ring speaks the versions of TLS that rustls calls safe")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }
}

fn roots_of(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    for certificate in certificates {
        let added = certificate
            .map_err(|error| error.to_string())
            .and_then(|it| roots.add(it).map_err(|error| error.to_string()));
        added?;
    }
    Ok(roots)
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    text
}

fn has_io_cause(error: &dyn std::error::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<std::io::Error>() {
            return true;
        }
        cause = inner.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_makes_no_sense_is_named_without_its_password() {
        let url = "postgres://me:secret@host:port/db";
        let error = Database::new(url).err().unwrap().to_string();
        assert!(
            error.contains("me@host") && !error.contains("secret"),
            "{error}"
        );
    }
}
