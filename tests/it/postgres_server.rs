//! A PostgreSQL server of a test's own: a cluster in a temporary folder, on a free port of this machine alone.
//! Where no server is installed it says so, and the test that asked ends early.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

pub struct Server {
    folder: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
}

/// An authority and a server's certificate for this machine.
const CERTIFICATES: &str = "
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem
    openssl req -newkey rsa:2048 -nodes -subj /CN=server -keyout server.key -out server.csr
    echo subjectAltName=IP:127.0.0.1 > names
    openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem
    chmod 600 server.key
    if [ \"$(id -u)\" = 0 ]; then chown postgres server.key; fi";

static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());

/// The folder of `initdb` and `pg_ctl`: on the path, or where Debian keeps each version's.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let on_path = std::env::split_paths(&path).find(|folder| folder.join("initdb").exists());
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok();
    let versions = versions.into_iter().flatten().flatten();
    let latest = versions
        .map(|version| version.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .max();
    on_path.or(latest)
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout == b"0\n")
}

impl Server {
    /// A server that all tests of this process share while one of them runs; `None` where there is none to start.
    pub fn shared() -> Option<Arc<Self>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Self::start(&[])?);
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    /// A server that speaks TLS with a certificate of its own authority, whose is `ca.pem` in its folder.
    pub fn with_tls() -> Option<Self> {
        let server = Self::start(&[])?;
        let made = Command::new("sh")
            .args(["-ec", CERTIFICATES])
            .current_dir(server.folder.path())
            .output();
        if !made.is_ok_and(|made| made.status.success()) {
            eprintln!("skipped: openssl made no certificate");
            return None;
        }
        let conf = Path::new(&server.data()).join("postgresql.conf");
        let folder = server.folder.path().display();
        let tls = format!(
            "\nssl = on\nssl_cert_file = '{folder}/server.pem'\nssl_key_file = '{folder}/server.key'\n"
        );
        let text = std::fs::read_to_string(&conf).unwrap() + &tls;
        std::fs::write(&conf, text).unwrap();
        server.down();
        server.up();
        Some(server)
    }

    /// A server of its own, with further lines of `postgresql.conf`.
    pub fn start(settings: &[&str]) -> Option<Self> {
        let Some(bin) = programs() else {
            eprintln!("skipped: no PostgreSQL server is installed (.ci/setup postgres)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        if is_root() {
            // The server refuses to run as root.
            let owned = Command::new("chown")
                .arg("postgres")
                .arg(folder.path())
                .status();
            if !owned.is_ok_and(|status| status.success()) {
                eprintln!("skipped: there is no user `postgres` to run a server as");
                return None;
            }
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            port: free.local_addr().unwrap().port(),
            folder,
            bin,
        };
        let data = server.data();
        let args = [
            "-A",
            "trust",
            "-U",
            "auricle",
            "-E",
            "UTF8",
            "--no-sync",
            "-D",
        ];
        server.program("initdb", &[&args[..], &[&data]].concat());
        let mut text = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\nfsync = off\n\
             max_connections = 300\n",
            server.port,
            server.folder.path().display(),
        );
        text += &settings.join("\n");
        let conf = Path::new(&data).join("postgresql.conf");
        let all = std::fs::read_to_string(&conf).unwrap() + "\n" + &text;
        std::fs::write(&conf, all).unwrap();
        drop(free);
        server.up();
        Some(server)
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    /// A file beside the cluster that the server may read.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn program(&self, name: &str, args: &[&str]) {
        let program = self.bin.join(name);
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        let status = command
            .args(args)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{name} {args:?}");
    }

    pub fn up(&self) {
        let log = self.folder.path().join("log").display().to_string();
        self.program("pg_ctl", &["start", "-w", "-D", &self.data(), "-l", &log]);
    }

    /// As if the machine lost it: nobody is told, no connection is closed in peace.
    pub fn down(&self) {
        self.program(
            "pg_ctl",
            &["stop", "-w", "-m", "immediate", "-D", &self.data()],
        );
    }

    pub fn url(&self) -> String {
        format!("postgres://auricle@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stop = || self.down();
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(stop));
    }
}
