//! Artifacts in a bucket, with a server that stands in for S3 on this machine: moto (`.ci/setup buckets`). Where it is not
//! installed, its test says so and ends early.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::walk::{Walk, states};

const ARTIFACTS: &str = "s3://words/of/tones";

/// A server with one empty bucket called `words`.
struct Server {
    process: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let path = cache.join("auricle/buckets/bin/moto_server");
    if !path.exists() {
        let path = path.display();
        eprintln!("skipped: there is no {path} (.ci/setup buckets)");
        return None;
    }
    Some(path)
}

impl Server {
    fn start() -> Option<Self> {
        let program = program()?;
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let process = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { process, port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let waited = begun.elapsed();
            assert!(waited < Duration::from_secs(120), "moto does not listen");
            std::thread::sleep(Duration::from_millis(100));
        }
        let answer = server.ask("PUT", "/words", "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Some(server)
    }

    /// What the server answers, head and body.
    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn holds(&self, id: &str) -> bool {
        self.ask("GET", "/words?prefix=of/tones", "").contains(id)
    }
}

fn walk_with(endpoint: &str) -> Walk {
    let mut walk = Walk::new(3, None);
    walk.artifacts = ARTIFACTS.into();
    walk.variables = [
        ("AWS_ENDPOINT", endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "words"),
        ("AWS_SECRET_ACCESS_KEY", "geheim"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into();
    walk
}

#[test]
fn a_study_keeps_its_artifacts_in_a_bucket_and_is_judged_from_there() {
    let Some(server) = Server::start() else {
        return;
    };
    let mut walk = walk_with(&format!("http://127.0.0.1:{}", server.port));
    walk.variables.push(("AWS_ALLOW_HTTP", "true".into()));
    walk.create();
    assert!(walk.work().contains("3 of 3 trials"));
    let trials = walk.json(&["trials"]);
    assert_eq!(states(&trials), ["complete"; 3]);
    let weights: Vec<&str> = trials
        .iter()
        .map(|trial| trial["artifacts"]["weights"].as_str().unwrap())
        .collect();
    assert!(weights.iter().all(|id| server.holds(id)), "{weights:?}");
    // No weights of trials lie on this machine.
    let recipe = walk.recipe.display().to_string();
    let run = walk.over(&["run", &recipe, "--study", &walk.address]);
    let text = Walk::text(run, true);
    assert!(text.contains("ensemble.auricle"), "{text}");
    // What a trial names stays, what none names goes when it is old enough.
    let nobodys = "ab".repeat(32);
    server.ask("PUT", &format!("/words/of/tones/{nobodys}"), "nobody's");
    let n_removed = |args: &[&str]| walk.json(args)[0]["n_removed"].clone();
    for (args, expected) in [
        (&["gc", "--dry-run", "--older-than", "0"][..], 1),
        (&["gc", "--older-than", "1"], 0),
    ] {
        assert_eq!(n_removed(args), Value::from(expected), "{args:?}");
        assert!(server.holds(&nobodys));
    }
    assert_eq!(n_removed(&["gc", "--older-than", "0"]), Value::from(1));
    assert!(!server.holds(&nobodys));
    assert!(weights.iter().all(|id| server.holds(id)), "{weights:?}");
}

#[test]
fn nothing_is_trained_that_could_not_be_kept() {
    // Plain HTTP is not allowed here, so nothing is asked again for minutes.
    let walk = walk_with("http://127.0.0.1:9");
    walk.create();
    for command in [
        walk.command(&["study", "gc", "--dry-run"]),
        walk.over(&["worker", "--workers", "1"]),
    ] {
        let text = Walk::text(command, false);
        assert!(
            text.contains("artifacts at s3://words/of/tones: "),
            "{text}"
        );
        assert!(
            !text.contains("geheim") && !text.contains("] work"),
            "{text}"
        );
    }
    assert!(walk.json(&["trials"]).is_empty());
}
