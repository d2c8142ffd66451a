//! A microphone that exists only in software, heard by the real program: silence is said, words are those of the file,
//! and a sound system that goes away is waited for.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::listener::{Line, Running, has, heard_in_file, listener, recording};

/// Longest wait for anything; on a busy machine all of it is late.
const PATIENCE: Duration = Duration::from_secs(90);

/// PulseAudio with a sink that nobody hears; what is played into it comes out of its monitor.
struct SoundSystem {
    folder: PathBuf,
    server: Option<Running>,
}

impl SoundSystem {
    fn start(folder: &Path) -> Self {
        let config = format!(
            "</usr/share/alsa/alsa.conf>\n\
             pcm.!default {{ type pulse server \"unix:{0}/pulse.sock\" device \"virtual.monitor\" }}\n\
             ctl.!default {{ type pulse server \"unix:{0}/pulse.sock\" }}\n",
            folder.display()
        );
        fs::write(folder.join("asound.conf"), config).unwrap();
        let mut system = SoundSystem {
            folder: folder.to_owned(),
            server: None,
        };
        system.plug_in();
        system
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("pulse.sock")
    }

    fn plug_in(&mut self) {
        let _ = fs::remove_file(self.socket());
        let native = format!(
            "module-native-protocol-unix auth-anonymous=1 socket={}",
            self.socket().display()
        );
        let sink = "module-null-sink sink_name=virtual rate=16000 channels=1 format=s16le";
        let server = Command::new("pulseaudio")
            .args([
                "-n",
                "--daemonize=no",
                "--exit-idle-time=-1",
                "--use-pid-file=no",
                "--disable-shm=yes",
            ])
            .args(["-L", &native, "-L", sink])
            .env("HOME", &self.folder)
            .env("XDG_RUNTIME_DIR", &self.folder)
            .env("PULSE_RUNTIME_PATH", &self.folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.server = Some(Running(server));
        let started = Instant::now();
        while !self
            .client("pactl")
            .arg("info")
            .output()
            .is_ok_and(|output| output.status.success())
        {
            assert!(started.elapsed() < PATIENCE, "PulseAudio does not start");
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn pull_out(&mut self) {
        self.server = None;
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("PULSE_SERVER", format!("unix:{}", self.socket().display()))
            .env("HOME", &self.folder)
            .env("XDG_RUNTIME_DIR", &self.folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn play(&self, wav: &Path) {
        let played = self
            .client("paplay")
            .arg("--device=virtual")
            .arg(wav)
            .status();
        assert!(played.unwrap().success());
    }

    fn kws_infer(&self, bundle: &Path) -> Ear {
        let mut program = Command::new(env!("CARGO_BIN_EXE_kws-infer"))
            .arg(bundle)
            .arg("--mic")
            .env("ALSA_CONFIG_PATH", self.folder.join("asound.conf"))
            .env("HOME", &self.folder)
            .env("XDG_RUNTIME_DIR", &self.folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines_of(program.stdout.take().unwrap());
        let said = lines_of(program.stderr.take().unwrap());
        Ear {
            _program: Running(program),
            lines,
            said,
        }
    }
}

/// A running `kws-infer --mic`.
struct Ear {
    _program: Running,
    lines: Receiver<String>,
    said: Receiver<String>,
}

impl Ear {
    /// Waits until it has said something.
    fn wait_for(&self, words: &str) {
        let mut all = Vec::new();
        while let Ok(line) = self.said.recv_timeout(PATIENCE) {
            if line.contains(words) {
                return;
            }
            all.push(line);
        }
        panic!("{words:?} was not said; said was {all:?}");
    }

    fn hear(&self, n_lines: usize) -> Vec<Line> {
        let parse = |line: String| serde_json::from_str(&line).unwrap();
        let lines = (0..n_lines).map_while(|_| self.lines.recv_timeout(PATIENCE).ok());
        lines.map(parse).collect()
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

#[track_caller]
fn check_same(live: &[Line], file: &[Line]) {
    let words = |lines: &[Line]| lines.iter().map(|l| l.keyword.clone()).collect::<Vec<_>>();
    assert_eq!(words(live), words(file));
    // When it began to listen is not known: what lies between the words is.
    for (live, file) in live.windows(2).zip(file.windows(2)) {
        let (live_s, file_s) = (
            live[1].start_s - live[0].start_s,
            file[1].start_s - file[0].start_s,
        );
        assert!(
            (live_s - file_s).abs() < 0.1,
            "{live_s} s, in the file {file_s} s"
        );
    }
    assert!(
        live.iter()
            .all(|line| line.latency_s >= 0.0 && line.latency_s < 1.5)
    );
}

#[test]
fn a_virtual_microphone_is_heard_like_the_file_and_waited_for_when_it_goes() {
    for program in ["pulseaudio", "pactl", "paplay"] {
        if !has(program) {
            println!("skipped: there is no {program} (.ci/setup live)");
            return;
        }
    }
    if !Path::new("/usr/share/alsa/alsa.conf").exists() {
        println!("skipped: ALSA is not configured here");
        return;
    }
    let listener = listener();
    let wav = listener.path("words.wav");
    recording(&wav, 5);
    let expected = heard_in_file(&listener.bundle, &wav);
    assert!(expected.len() >= 4, "{expected:?}");

    let folder = tempfile::tempdir().unwrap();
    let mut system = SoundSystem::start(folder.path());
    let ear = system.kws_infer(&listener.bundle);
    ear.wait_for("listening to");
    ear.wait_for("exact silence");
    system.play(&wav);
    ear.wait_for("gives sound again");
    check_same(&ear.hear(expected.len()), &expected);

    system.pull_out();
    ear.wait_for("is gone");
    system.plug_in();
    ear.wait_for("there again");
    system.play(&wav);
    check_same(&ear.hear(expected.len()), &expected);
}
