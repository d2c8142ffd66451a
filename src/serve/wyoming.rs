//! Home Assistant's Wyoming protocol for wake words, so that a bundle stands where openWakeWord stood.
//!
//! An event is a line of JSON `{"type", "data", "data_length", "payload_length"}`, then `data_length` bytes of JSON that
//! are merged into `data`, then `payload_length` bytes of PCM. Understood are `describe`, `detect`, `audio-start`,
//! `audio-chunk`, `audio-stop` and `ping`; other events are passed over, as the protocol asks. For each keyword that is
//! heard a `detection` is sent, with the time stamp of the chunk that decided it, in the client's own time; a stream
//! that ends without one is answered by `not-detected`.
//!
//! Protocol: <https://github.com/OHF-Voice/wyoming>.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::hearing::{Hearing, pcm};
use super::timed::Timed;
use super::{ClientError, Limits, refused};
use crate::bundle::{Bundle, keywords};

/// Longest first line of an event.
const MAX_LINE_BYTES: usize = 1 << 16;
/// Longest `data` behind it.
const MAX_DATA_BYTES: usize = 1 << 16;
/// What a client hears that comes when all seats are taken.
pub(super) const BUSY: &[u8] =
    b"{\"type\":\"error\",\"data\":{\"text\":\"too many clients\",\"code\":\"busy\"}}\n";

#[derive(Deserialize)]
struct Header {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: Option<Map<String, Value>>,
    #[serde(default)]
    data_length: Option<usize>,
    #[serde(default)]
    payload_length: Option<usize>,
}

struct Event {
    kind: String,
    data: Map<String, Value>,
    payload: Vec<u8>,
}

/// Speaks with one client until it leaves or breaks a rule, which it is told.
pub(super) fn attend(
    stream: TcpStream,
    bundle: &Bundle,
    limits: &Limits,
) -> Result<(), ClientError> {
    let mut wire = Wire {
        reader: BufReader::new(Timed::new(stream, limits.message)?),
        limits: *limits,
        is_first: true,
    };
    let mut client = Client::new(bundle)?;
    let outcome = loop {
        match wire.read() {
            Ok(None) => break Ok(()),
            Ok(Some(event)) => {
                if let Err(error) = client.take(event, &mut wire) {
                    break Err(error);
                }
            }
            Err(error) => break Err(error),
        }
    };
    if let Err(ClientError::Refused(reason)) = &outcome {
        // It may have gone: its fault is told to ours anyway.
        let _ = wire.send("error", &json!({"text": reason, "code": "refused"}));
    }
    outcome
}

/// Events in, events out.
struct Wire {
    reader: BufReader<Timed>,
    limits: Limits,
    is_first: bool,
}

impl Wire {
    /// The next event; `None` when the client has closed the connection between two.
    fn read(&mut self) -> Result<Option<Event>, ClientError> {
        if !self.is_first {
            self.reader.get_mut().allow(self.limits.idle);
        }
        if self.reader.fill_buf()?.is_empty() {
            return Ok(None);
        }
        self.is_first = false;
        self.reader.get_mut().allow(self.limits.message);

        let mut line = Vec::new();
        let mut bounded = self.reader.by_ref().take(MAX_LINE_BYTES as u64 + 1);
        bounded.read_until(b'\n', &mut line)?;
        if line.len() > MAX_LINE_BYTES {
            let reason = format!("a line of more than {MAX_LINE_BYTES} bytes");
            return Err(refused(reason));
        }
        if line.last() != Some(&b'\n') {
            return Err(refused("the connection ended within an event"));
        }
        let header: Header = serde_json::from_slice(&line)
            .map_err(|error| refused(format!("found a line that is no event: {error}")))?;
        let mut data = header.data.unwrap_or_default();
        if let Some(n_bytes) = header.data_length.filter(|n| *n > 0) {
            let bytes = self.bytes("data_length", n_bytes, MAX_DATA_BYTES)?;
            let more: Map<String, Value> = serde_json::from_slice(&bytes)
                .map_err(|error| refused(format!("found data that is no object: {error}")))?;
            data.extend(more);
        }
        let n_bytes = header.payload_length.unwrap_or(0);
        let payload = self.bytes("payload_length", n_bytes, self.limits.max_message_bytes)?;
        Ok(Some(Event {
            kind: header.kind,
            data,
            payload,
        }))
    }

    fn bytes(&mut self, what: &str, n: usize, n_most: usize) -> Result<Vec<u8>, ClientError> {
        if n > n_most {
            return Err(refused(format!("{what} is {n}, expected at most {n_most}")));
        }
        // Grows with what comes, not with what is promised.
        let mut bytes = Vec::new();
        self.reader
            .by_ref()
            .take(n as u64)
            .read_to_end(&mut bytes)?;
        if bytes.len() < n {
            return Err(refused("the connection ended within an event"));
        }
        Ok(bytes)
    }

    fn send(&mut self, kind: &str, data: &Value) -> Result<(), ClientError> {
        let data = data.to_string();
        let header =
            json!({"type": kind, "version": env!("CARGO_PKG_VERSION"), "data_length": data.len()});
        let event = format!("{header}\n{data}");
        Ok(self.reader.get_mut().write_all(event.as_bytes())?)
    }
}

/// What one client has asked for.
struct Client<'a> {
    bundle: &'a Bundle,
    /// Keywords that it wants to hear of; `None`: all.
    names: Option<Vec<String>>,
    hearing: Hearing,
    was_detected: bool,
    is_listening: bool,
}

impl<'a> Client<'a> {
    fn new(bundle: &'a Bundle) -> Result<Self, ClientError> {
        Ok(Self {
            bundle,
            names: None,
            hearing: Hearing::new(bundle)?,
            was_detected: false,
            is_listening: false,
        })
    }

    fn take(&mut self, event: Event, wire: &mut Wire) -> Result<(), ClientError> {
        match event.kind.as_str() {
            "describe" => wire.send("info", &info(self.bundle)),
            "ping" => {
                let text = event.data.get("text").cloned().unwrap_or(Value::Null);
                wire.send("pong", &json!({ "text": text }))
            }
            "detect" => {
                self.names = names(&event.data);
                Ok(())
            }
            "audio-start" => {
                self.start();
                Ok(())
            }
            "audio-chunk" => self.chunk(&event, wire),
            "audio-stop" => self.stop(wire),
            _ => Ok(()),
        }
    }

    fn start(&mut self) {
        self.hearing.start();
        (self.was_detected, self.is_listening) = (false, true);
    }

    fn chunk(&mut self, event: &Event, wire: &mut Wire) -> Result<(), ClientError> {
        if !self.is_listening {
            self.start();
        }
        let number = |key: &str| {
            let found = event.data.get(key);
            found.and_then(Value::as_u64).ok_or_else(|| {
                refused(format!(
                    "an audio chunk's {key} is {found:?}, expected a number"
                ))
            })
        };
        let (rate, n_channels) = (number("rate")?, number("channels")?);
        let format = pcm(
            u32::try_from(rate).unwrap_or(u32::MAX),
            number("width")?,
            usize::try_from(n_channels).unwrap_or(usize::MAX),
        )?;
        let mut heard = Vec::new();
        self.hearing
            .push(format, &event.payload, |detection| heard.push(detection))?;
        for detection in heard {
            let own = self
                .hearing
                .time_of(detection.decided_at_sample)
                .as_millis() as u64;
            let timestamp = event.data.get("timestamp").and_then(Value::as_u64);
            self.detected(&detection.keyword, timestamp.unwrap_or(own), wire)?;
        }
        Ok(())
    }

    fn stop(&mut self, wire: &mut Wire) -> Result<(), ClientError> {
        if !std::mem::take(&mut self.is_listening) {
            return Ok(());
        }
        let mut heard = Vec::new();
        self.hearing.finish(|detection| heard.push(detection));
        for detection in heard {
            let timestamp = self
                .hearing
                .time_of(detection.decided_at_sample)
                .as_millis() as u64;
            self.detected(&detection.keyword, timestamp, wire)?;
        }
        if !self.was_detected {
            wire.send("not-detected", &json!({}))?;
        }
        Ok(())
    }

    fn detected(
        &mut self,
        keyword: &str,
        timestamp: u64,
        wire: &mut Wire,
    ) -> Result<(), ClientError> {
        let is_wanted = |names: &Vec<String>| names.iter().any(|name| is_same(name, keyword));
        if !self.names.as_ref().is_none_or(is_wanted) {
            return Ok(());
        }
        self.was_detected = true;
        wire.send(
            "detection",
            &json!({"name": keyword, "timestamp": timestamp}),
        )
    }
}

/// Names are written in many ways: `Hey Jarvis`, `hey_jarvis`.
fn is_same(name: &str, keyword: &str) -> bool {
    let plain = |text: &str| text.to_lowercase().replace(['_', '-'], " ");
    plain(name) == plain(keyword)
}

fn names(data: &Map<String, Value>) -> Option<Vec<String>> {
    let names = data.get("names")?.as_array()?;
    let names: Vec<String> = names
        .iter()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    (!names.is_empty()).then_some(names)
}

/// What a client is told of the bundle.
fn info(bundle: &Bundle) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let attribution = json!({"name": "auricle", "url": ""});
    let models: Vec<Value> = keywords(&bundle.labels)
        .map(|keyword| {
            json!({
                "name": keyword, "phrase": keyword.replace('_', " "), "description": bundle.title,
                "languages": [], "attribution": attribution, "installed": true, "version": version,
            })
        })
        .collect();
    json!({
        "asr": [], "tts": [], "handle": [], "intent": [], "mic": [], "snd": [],
        "wake": [{
            "name": "auricle", "description": bundle.title, "attribution": attribution,
            "installed": true, "version": version, "models": models,
        }],
    })
}
