//! What a client is answered, and what a bad one can do to the others: nothing.

mod websocket;
mod wyoming;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::bundle::examples::{bundle, recurrent, residual};
use crate::stream::{Detection, Session};

/// A server that stays until the tests end.
struct Desk {
    address: SocketAddr,
    bundle: Arc<Bundle>,
    notices: Arc<Mutex<Vec<Notice>>>,
}

fn quick() -> Limits {
    Limits {
        n_clients: 3,
        max_message_bytes: 1 << 16,
        idle: Duration::from_millis(1_500),
        message: Duration::from_millis(1_500),
    }
}

/// As [`quick`], for clients that are well-behaved on a machine that is busy.
fn patient() -> Limits {
    Limits {
        idle: Duration::from_secs(60),
        message: Duration::from_secs(60),
        ..quick()
    }
}

impl Desk {
    fn new(protocol: Protocol, limits: Limits) -> Self {
        let mut bundle = bundle(&[residual(), recurrent()], 3);
        bundle.detector.threshold = 0.3;
        let bundle = Arc::new(bundle);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let notices = Arc::new(Mutex::new(Vec::new()));
        let (served, noted) = (Arc::clone(&bundle), Arc::clone(&notices));
        thread::spawn(move || {
            let tell: Arc<dyn Fn(Notice) + Send + Sync> =
                Arc::new(move |notice| noted.lock().unwrap().push(notice));
            serve(&listener, protocol, &served, limits, &tell).unwrap();
        });
        Self {
            address,
            bundle,
            notices,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        // A test that waits for ever says nothing.
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }

    /// What a session makes of the sound.
    fn expected(&self, samples: &[f32]) -> Vec<Detection> {
        let mut session = Session::new(&self.bundle).unwrap();
        let mut heard = Vec::new();
        session.push(samples, |detection| heard.push(detection));
        session.finish(|detection| heard.push(detection));
        assert!(!heard.is_empty(), "nothing to hear in the test's sound");
        heard
    }

    /// Waits until a client was let go for a reason.
    fn lets_go_because(&self, words: &str) -> bool {
        (0..6000).any(|_| {
            thread::sleep(Duration::from_millis(10));
            let is_it = |notice: &Notice| {
                matches!(notice, Notice::Left { reason: Some(reason), .. } if reason.contains(words))
            };
            self.notices.lock().unwrap().iter().any(is_it)
        })
    }
}

/// A sweep that swells and fades, in steps of 16 bits.
fn sound() -> Vec<f32> {
    let mut phase = 0.0f64;
    (0..48_000)
        .map(|i| {
            let t = f64::from(i) / 16_000.0;
            phase += (300.0 + 250.0 * (t * 3.1).sin()) / 16_000.0;
            let loud = (0.5 + 0.5 * (t * 5.0).sin()).powi(3);
            let value = 0.4 * loud * (phase * std::f64::consts::TAU).sin();
            ((value * 32_768.0).round() / 32_768.0) as f32
        })
        .collect()
}

fn s16le(samples: &[f32]) -> Vec<u8> {
    let bytes = |sample: &f32| ((sample * 32_768.0) as i16).to_le_bytes();
    samples.iter().flat_map(bytes).collect()
}

/// Reads until the server closes; a reset counts as closed.
fn rest_of(stream: &mut impl Read) -> Vec<u8> {
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(n) = stream.read(&mut piece) {
        if n == 0 {
            break;
        }
        all.extend_from_slice(&piece[..n]);
    }
    all
}

/// Bytes that no server should mind, each with a name.
fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    let mut noise = Vec::new();
    let mut state = 7u32;
    for _ in 0..5_000 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.push((state >> 24) as u8);
    }
    vec![
        ("noise", noise),
        ("zeros", vec![0; 20_000]),
        ("a line without end", vec![b'x'; 300_000]),
        (
            "deep nesting",
            [b"[".repeat(50_000), b"\n".to_vec()].concat(),
        ),
        ("no text", b"\xff\xfe\xfd\n\n\n\n".to_vec()),
        ("half a line", b"{\"type\":\"desc".to_vec()),
        ("half a request", b"GET / HTTP/1.1\r\nHost".to_vec()),
    ]
}

#[test]
fn garbage_ends_its_own_client_only() {
    for protocol in [Protocol::Wyoming, Protocol::WebSocket] {
        let desk = Desk::new(protocol, patient());
        for (name, bytes) in garbage() {
            let mut stream = desk.connect();
            // The server may close before all is sent.
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            rest_of(&mut stream);
            let mut other = desk.connect();
            assert!(is_served(&mut other, protocol), "{protocol:?} after {name}");
        }
    }
}

/// Whether a client gets its answer.
fn is_served(stream: &mut TcpStream, protocol: Protocol) -> bool {
    let (ask, answer): (&[u8], &str) = match protocol {
        Protocol::Wyoming => (b"{\"type\":\"describe\"}\n", "\"type\":\"info\""),
        Protocol::WebSocket => (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "200 OK"),
    };
    if stream.write_all(ask).is_err() {
        return false;
    }
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).is_ok() && line.contains(answer)
}

#[test]
fn a_client_that_says_nothing_or_drips_is_let_go_and_its_seat_is_free_again() {
    for protocol in [Protocol::Wyoming, Protocol::WebSocket] {
        let desk = Desk::new(protocol, quick());
        let silent: Vec<TcpStream> = (0..2).map(|_| desk.connect()).collect();
        let mut dripping = desk.connect();
        let drip = thread::spawn(move || {
            let mut n = 0;
            // A byte at a time, never a whole line: a deadline counts from the first.
            while n < 600 && dripping.write_all(b"{").is_ok() {
                n += 1;
                thread::sleep(Duration::from_millis(100));
            }
            n
        });
        assert!(drip.join().unwrap() < 600, "{protocol:?} lets it drip");
        for mut stream in silent {
            rest_of(&mut stream);
        }
        assert!(desk.lets_go_because("in time"));
        let served = (0..50).any(|_| {
            thread::sleep(Duration::from_millis(20));
            is_served(&mut desk.connect(), protocol)
        });
        assert!(served, "{protocol:?} has no seat left");
    }
}

#[test]
fn more_clients_than_there_are_seats_are_told_and_those_seated_go_on() {
    for protocol in [Protocol::Wyoming, Protocol::WebSocket] {
        let desk = Desk::new(protocol, patient());
        let mut seated: Vec<TcpStream> = (0..3).map(|_| desk.connect()).collect();
        let told = rest_of(&mut desk.connect());
        assert!(String::from_utf8_lossy(&told).contains("too many clients"));
        for stream in &mut seated {
            assert!(is_served(stream, protocol));
        }
    }
}
