//! PCM in, JSON out over a WebSocket, and a page that sends a browser's microphone.
//!
//! `GET /` is the page (`/?listen`: it begins by itself). `GET /listen?rate=48000&channels=1&format=f32le` becomes a WebSocket: binary messages are PCM of
//! that format (16,000 Hz, mono and `s16le` if left out), cut anywhere; the text `end` decides what is open and starts
//! afresh. Out go `{"type":"ready","keywords":[...]}`, `{"type":"detection",...}` with times in seconds of the sound
//! sent, and `{"type":"ended"}`. A page of another site may not connect: the `Origin` a browser sends must be this host.

use std::io::Write;
use std::net::TcpStream;

use serde_json::json;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::hearing::Hearing;
use super::http::{self, Request};
use super::timed::Timed;
use super::{ClientError, Limits, refused};
use crate::audio::{CHANNEL_COUNTS, RawFormat, SAMPLE_RATES_HZ, SampleFormat};
use crate::bundle::{Bundle, keywords};
use crate::stream::Detection;

const PAGE: &str = include_str!("page.html");
const TEXT: &str = "text/plain";

/// Speaks with one client until it leaves or breaks a rule.
pub(super) fn attend(
    stream: TcpStream,
    bundle: &Bundle,
    limits: &Limits,
) -> Result<(), ClientError> {
    let mut stream = Timed::new(stream, limits.message)?;
    let request = match http::read(&mut stream) {
        Ok(Some(request)) => request,
        Ok(None) => return Ok(()),
        Err(ClientError::Refused(reason)) => {
            http::answer(&mut stream, "400 Bad Request", TEXT, &reason)?;
            return Err(refused(reason));
        }
        Err(error) => return Err(error),
    };
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/") => http::answer(&mut stream, "200 OK", "text/html", PAGE),
        ("GET", "/listen") => match (may_listen(&request), format_of(&request)) {
            (Ok(()), Ok(format)) => listen(stream, &request, format, bundle, limits),
            (Err((status, reason)), _) | (Ok(()), Err((status, reason))) => {
                http::answer(&mut stream, status, TEXT, &reason)?;
                Err(refused(reason))
            }
        },
        _ => http::answer(
            &mut stream,
            "404 Not Found",
            TEXT,
            "there are / and /listen\n",
        ),
    }
}

type Refusal = (&'static str, String);

fn may_listen(request: &Request) -> Result<(), Refusal> {
    let is_upgrade = request.has("connection", "upgrade")
        && request.has("upgrade", "websocket")
        && request.header("sec-websocket-version") == Some("13")
        && request.header("sec-websocket-key").is_some();
    if !is_upgrade {
        let reason = "expected a WebSocket, version 13\n".to_owned();
        return Err(("426 Upgrade Required", reason));
    }
    let Some(origin) = request.header("origin") else {
        return Ok(());
    };
    let host = request.header("host").unwrap_or_default();
    let of_origin = origin.split_once("://").map_or(origin, |(_, host)| host);
    if of_origin.eq_ignore_ascii_case(host) {
        return Ok(());
    }
    let reason = format!("a page of {origin:?} may not listen here, expected one of {host:?}\n");
    Err(("403 Forbidden", reason))
}

fn format_of(request: &Request) -> Result<RawFormat, Refusal> {
    let bad = |reason: String| ("400 Bad Request", reason);
    let number = |key: &str, default: u32| match request.value(key) {
        None => Ok(default),
        Some(text) => text
            .parse()
            .map_err(|_| bad(format!("{key} is {text:?}, expected a number\n"))),
    };
    let (sample_rate_hz, n_channels) = (number("rate", 16_000)?, number("channels", 1)? as usize);
    if !SAMPLE_RATES_HZ.contains(&sample_rate_hz) || !CHANNEL_COUNTS.contains(&n_channels) {
        let reason = format!(
            "found {n_channels} channels at {sample_rate_hz} Hz, which is out of measure\n"
        );
        return Err(bad(reason));
    }
    let sample_format = match request.value("format").unwrap_or("s16le") {
        "s16le" => SampleFormat::S16Le,
        "f32le" => SampleFormat::F32Le,
        other => {
            return Err(bad(format!(
                "format is {other:?}, expected s16le or f32le\n"
            )));
        }
    };
    Ok(RawFormat {
        sample_rate_hz,
        n_channels,
        sample_format,
    })
}

fn listen(
    mut stream: Timed,
    request: &Request,
    format: RawFormat,
    bundle: &Bundle,
    limits: &Limits,
) -> Result<(), ClientError> {
    let key = request.header("sec-websocket-key").unwrap_or_default();
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    stream.write_all(head.as_bytes())?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(limits.max_message_bytes))
        .max_frame_size(Some(limits.max_message_bytes))
        .max_write_buffer_size(1 << 20);
    let rest = request.rest.clone();
    let mut socket = WebSocket::from_partially_read(stream, rest, Role::Server, Some(config));

    let mut hearing = Hearing::new(bundle)?;
    let keywords: Vec<&String> = keywords(&bundle.labels).collect();
    let ready = json!({"type": "ready", "title": bundle.title, "keywords": keywords});
    send(&mut socket, ready)?;
    loop {
        socket.get_mut().allow(limits.idle);
        let mut heard = Vec::new();
        match socket.read() {
            Ok(Message::Binary(bytes)) => {
                let pushed = hearing.push(format, &bytes, |detection| heard.push(detection));
                tell(&mut socket, &hearing, &heard)?;
                pushed.inspect_err(|error| close(&mut socket, &error.to_string()))?;
            }
            Ok(Message::Text(text)) if text.as_str() == "end" => {
                hearing.finish(|detection| heard.push(detection));
                tell(&mut socket, &hearing, &heard)?;
                send(&mut socket, json!({"type": "ended"}))?;
            }
            Ok(Message::Text(_)) => {
                let reason = "found a text, expected PCM or the text `end`";
                close(&mut socket, reason);
                return Err(refused(reason));
            }
            Ok(_) => {}
            Err(Error::ConnectionClosed | Error::AlreadyClosed) => return Ok(()),
            Err(Error::Io(error)) => return Err(error.into()),
            Err(error) => {
                close(&mut socket, &error.to_string());
                return Err(refused(error.to_string()));
            }
        }
    }
}

fn tell(
    socket: &mut WebSocket<Timed>,
    hearing: &Hearing,
    heard: &[Detection],
) -> Result<(), ClientError> {
    for detection in heard {
        let seconds = |sample| hearing.time_of(sample).as_secs_f64();
        send(
            socket,
            json!({
                "type": "detection",
                "keyword": detection.keyword,
                "score": detection.score,
                "start_s": seconds(detection.start_sample),
                "end_s": seconds(detection.end_sample),
                "decided_s": seconds(detection.decided_at_sample),
                "latency_s": seconds(detection.latency_samples()),
            }),
        )?;
    }
    Ok(())
}

fn send(socket: &mut WebSocket<Timed>, message: serde_json::Value) -> Result<(), ClientError> {
    match socket.send(Message::text(message.to_string())) {
        Ok(()) => Ok(()),
        Err(Error::Io(error)) => Err(error.into()),
        Err(error) => Err(refused(error.to_string())),
    }
}

/// Says goodbye with a reason, as far as it still can be said.
fn close(socket: &mut WebSocket<Timed>, reason: &str) {
    use tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
    // A close frame holds 123 bytes of text.
    let end = reason.floor_char_boundary(reason.len().min(120));
    let _ = socket.close(Some(CloseFrame {
        code: CloseCode::Policy,
        reason: reason[..end].to_owned().into(),
    }));
    let _ = socket.flush();
}
