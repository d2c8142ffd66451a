//! Servers as other people's programs meet them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::listener::{Running, has, heard_in_file, listener, recording};

/// A Python with a package, if there is one: `AURICLE_PYTHON`, or the system's.
fn python_with(package: &str) -> Option<String> {
    let named = std::env::var("AURICLE_PYTHON").ok();
    let python = named.unwrap_or_else(|| "python3".into());
    let import = format!("import {package}");
    let output = Command::new(&python).args(["-c", &import]).output();
    output
        .is_ok_and(|output| output.status.success())
        .then_some(python)
}

/// Starts a server on a free port and gives the address it says.
fn serve(bundle: &Path, flag: &str) -> (Running, String) {
    let mut server = Command::new(env!("CARGO_BIN_EXE_kws-infer"))
        .arg("serve")
        .arg(bundle)
        .args([flag, "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(server.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    // What it says later is not to fill the pipe.
    std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    let address = line.split("://").nth(1).unwrap_or_else(|| panic!("{line}"));
    let address = address.split(['/', ',', '\n']).next().unwrap().to_owned();
    (Running(server), address)
}

#[test]
fn the_wyoming_package_hears_what_the_file_says() {
    let Some(python) = python_with("wyoming") else {
        println!("skipped: no Python with the package `wyoming` (AURICLE_PYTHON names one)");
        return;
    };
    let listener = listener();
    let wav = listener.path("wyoming.wav");
    recording(&wav, 4);
    let expected = heard_in_file(&listener.bundle, &wav);
    let (_server, address) = serve(&listener.bundle, "--wyoming");
    let script = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"))
        .join("benches/peers/wyoming_client.py");
    let output = Command::new(python)
        .arg(script)
        .args(["--uri", &format!("tcp://{address}"), "--wav"])
        .arg(&wav)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        answer["models"],
        serde_json::json!(["word0", "word1", "word2", "word3"])
    );
    let words: Vec<&str> = expected.iter().map(|line| line.keyword.as_str()).collect();
    assert!(!words.is_empty());
    // Half a second of hum in every second and a half.
    let gaps = expected
        .windows(2)
        .map(|pair| pair[1].start_s - pair[0].start_s);
    assert!(gaps.into_iter().all(|gap_s| gap_s > 1.0), "{expected:?}");
    assert!(expected.iter().all(|line| line.latency_s >= 0.0));
    assert_eq!(answer["detections"], serde_json::json!(words));
}

/// Chromium with a WAV in place of its microphone opens the page, which writes what it heard to the browser's console.
#[test]
fn a_browsers_microphone_is_heard_on_the_page() {
    if !has("chromium") {
        println!("skipped: there is no chromium");
        return;
    }
    let listener = listener();
    let wav = listener.path("browser.wav");
    recording(&wav, 3);
    let expected = heard_in_file(&listener.bundle, &wav);
    assert!(!expected.is_empty());
    let (_server, address) = serve(&listener.bundle, "--websocket");
    let profile = tempfile::tempdir().unwrap();
    let mut browser = Command::new("chromium")
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args([
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
        ])
        .arg(format!(
            "--use-file-for-fake-audio-capture={}",
            wav.display()
        ))
        .args([
            "--autoplay-policy=no-user-gesture-required",
            "--enable-logging=stderr",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://{address}/?listen"))
        .env("HOME", profile.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, said) = std::sync::mpsc::channel();
    let lines = BufReader::new(browser.stderr.take().unwrap()).lines();
    let _browser = Running(browser);
    std::thread::spawn(move || {
        lines
            .map_while(Result::ok)
            .try_for_each(|line| sender.send(line))
    });
    // The file comes round again and again; where in it the page begins to listen is not known.
    let expected: Vec<&str> = expected.iter().map(|line| line.keyword.as_str()).collect();
    let mut heard = Vec::new();
    while heard.len() < 2 * expected.len() {
        let line = said.recv_timeout(Duration::from_secs(90));
        let line = line.unwrap_or_else(|_| panic!("nothing more is heard after {heard:?}"));
        if let Some((_, words)) = line.split_once("\"heard ") {
            heard.extend(words.split(' ').next().map(str::to_owned));
        }
    }
    let is_turn = |from: usize| {
        let turn = heard.iter().skip(from).take(expected.len());
        turn.eq(expected.iter())
    };
    assert!(
        (0..=expected.len()).any(is_turn),
        "{heard:?}, in the file {expected:?}"
    );
}

#[test]
fn a_server_says_what_is_wrong_with_its_arguments() {
    let listener = listener();
    for (args, status, words) in [
        (&[][..], 2, "--wyoming"),
        (&["--wyoming", "nonsense"], 2, "nonsense"),
        (
            &["--websocket", "127.0.0.1:0", "--threshold", "7"],
            2,
            "threshold",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_kws-infer"))
            .arg("serve")
            .arg(&listener.bundle)
            .args(args)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{text}");
        assert!(text.contains(words), "{text}");
    }
}
