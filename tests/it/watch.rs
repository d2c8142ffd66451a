//! `auricle study watch` on a terminal of its own, which `script` lends.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use auricle::search::store::{RetryPolicy, StudyAddress, StudySettings};

/// A command on a terminal of 100 columns and 30 rows.
struct Screen {
    child: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<String>>,
}

impl Screen {
    /// `None` where nothing lends a terminal.
    fn open(address: &str) -> Option<Self> {
        let program = env!("CARGO_BIN_EXE_auricle");
        // What the terminal is like afterwards is said after what the command said.
        let line = format!(
            "stty rows 30 cols 100; '{program}' study watch --study '{address}' --every 0.2; \
             echo status $?; stty -a"
        );
        let child = Command::new("script")
            .args(["-qfec", &line, "/dev/null"])
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            eprintln!("skipped: there is no `script` that lends a terminal");
            return None;
        };
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut said, kept) = (child.stdout.take().unwrap(), shown.clone());
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = said.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..n]);
                kept.lock().unwrap().push_str(&text);
            }
        });
        Some(Self {
            keys: child.stdin.take().unwrap(),
            child,
            shown,
        })
    }

    /// Waits until what was written since the mark holds that; the mark after it.
    #[track_caller]
    fn wait_until(&self, what: &str, from: usize, has_it: impl Fn(&str) -> bool) -> usize {
        let begun = Instant::now();
        loop {
            let shown = self.shown.lock().unwrap();
            if shown.get(from..).is_some_and(&has_it) {
                return shown.len();
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "found no {what:?} in {:?}",
                shown.get(from..)
            );
            drop(shown);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    fn wait_for(&self, part: &str, from: usize) -> usize {
        self.wait_until(part, from, |written| written.contains(part))
    }

    /// The same for words of the picture: only cells that change are written, so blanks may be jumped over.
    #[track_caller]
    fn wait_for_words(&self, words: &str, from: usize) -> usize {
        let squeezed = words.replace(' ', "");
        self.wait_until(words, from, |written| {
            without_jumps(written).contains(&squeezed)
        })
    }

    /// Presses keys, after which the command must end well and leave a terminal as it was.
    #[track_caller]
    fn leave_by(mut self, keys: &[u8]) {
        self.keys.write_all(keys).unwrap();
        self.keys.flush().unwrap();
        for said in ["\x1b[?1049l", "status 0", " icanon", " echo "] {
            self.wait_for(said, 0);
        }
        drop(self.keys);
        self.child.wait().unwrap();
    }
}

/// What was written, without blanks and without the sequences that move and paint: ESC, `[`, parameters, a letter.
fn without_jumps(written: &str) -> String {
    let mut parts = written.split('\x1b');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|it: char| it.is_ascii_alphabetic());
        text += end.map_or("", |end| &part[end + 1..]);
    }
    text.retain(|it| !it.is_whitespace());
    text
}

fn settings() -> StudySettings {
    StudySettings {
        budget: None,
        retry: RetryPolicy::shared(),
        artifacts: None,
    }
}

/// A study in a file of that folder; its address.
fn study(folder: &Path) -> String {
    let path = folder.join("study.sqlite").display().to_string();
    let address = StudyAddress::parse(&path).unwrap();
    address.create("words", "c0ffee", "", &settings()).unwrap();
    path
}

#[test]
fn a_study_is_watched_until_a_key_says_so_and_the_terminal_is_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let address = study(folder.path());
    for keys in [&b"q"[..], b"\x03", b"\x1b"] {
        let Some(screen) = Screen::open(&address) else {
            return;
        };
        let entered = screen.wait_for("\x1b[?1049h", 0);
        screen.wait_for_words("no trial has a result yet", entered);
        screen.leave_by(keys);
    }
}

#[test]
fn without_a_terminal_it_is_said_what_shows_the_same_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let address = study(folder.path());
    let output = Command::new(env!("CARGO_BIN_EXE_auricle"))
        .args(["study", "watch", "--study", &address])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && output.stdout.is_empty());
    let expected = format!("auricle study show --study {address}");
    assert!(
        text.contains("no terminal") && text.contains(&expected),
        "{text}"
    );
}

#[cfg(feature = "postgres")]
#[test]
fn a_database_that_goes_away_is_said_and_watched_again_when_it_is_back() {
    use auricle::search::store::{PostgresStore, Status, StudyEdit, StudyStore};
    let Some(server) = crate::postgres_server::Server::start(&[]) else {
        return;
    };
    PostgresStore::create(&server.url(), "words", "c0ffee", "", &settings()).unwrap();
    let address = format!("{}#words", server.url());
    let Some(screen) = Screen::open(&address) else {
        return;
    };
    let seen = screen.wait_for_words("no trial has a result yet", 0);
    server.down();
    let away = screen.wait_for_words("no answer for", seen);
    server.up();
    let back = screen.wait_for_words("q leaves, m shows", away);
    // It is not only said that it is back: what changed meanwhile is seen.
    let store = PostgresStore::open(&server.url(), Some("words")).unwrap();
    let edit = StudyEdit {
        status: Some(Status::Paused),
        settings: None,
    };
    store.edit(&edit).unwrap();
    screen.wait_for_words("paused", back);
    screen.leave_by(b"q");
}
