//! WebSockets as a browser or a program opens them.

use tungstenite::client::{IntoClientRequest, client};
use tungstenite::{Error, Message, WebSocket};

use super::*;

fn open(desk: &Desk, query: &str, origin: Option<&str>) -> Result<WebSocket<TcpStream>, String> {
    let url = format!("ws://{}/listen{query}", desk.address);
    let mut request = url.into_client_request().unwrap();
    if let Some(origin) = origin {
        let headers = request.headers_mut();
        headers.insert("origin", origin.parse().unwrap());
    }
    client(request, desk.connect())
        .map(|(socket, _)| socket)
        .map_err(|error| match error {
            tungstenite::HandshakeError::Failure(Error::Http(response)) => {
                response.status().to_string()
            }
            other => other.to_string(),
        })
}

fn receive(socket: &mut WebSocket<TcpStream>) -> Value {
    loop {
        match socket.read().expect("the server is there") {
            Message::Text(text) => return serde_json::from_str(text.as_str()).unwrap(),
            Message::Close(frame) => {
                return json!({"type": "close", "reason": frame.unwrap().reason.to_string()});
            }
            _ => {}
        }
    }
}

/// All detections up to the server's `ended`.
fn play(socket: &mut WebSocket<TcpStream>, bytes: &[u8], n_chunk: usize) -> Vec<Value> {
    for chunk in bytes.chunks(n_chunk) {
        socket.send(Message::binary(chunk.to_vec())).unwrap();
    }
    socket.send(Message::text("end")).unwrap();
    let mut heard = Vec::new();
    loop {
        let message = receive(socket);
        if message["type"] == "ended" {
            return heard;
        }
        assert_eq!(message["type"], "detection");
        heard.push(message);
    }
}

#[test]
fn pcm_in_any_chunks_gives_the_detections_of_a_file() {
    let desk = Desk::new(Protocol::WebSocket, patient());
    let samples = sound();
    let expected: Vec<Value> = desk
        .expected(&samples)
        .iter()
        .map(|d| {
            let seconds = |sample: u64| sample as f64 / 16_000.0;
            json!({
                "type": "detection", "keyword": d.keyword, "score": d.score,
                "start_s": seconds(d.start_sample), "end_s": seconds(d.end_sample),
                "decided_s": seconds(d.decided_at_sample), "latency_s": seconds(d.latency_samples()),
            })
        })
        .collect();
    let close = |found: &[Value]| {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found["keyword"], expected["keyword"]);
            for key in ["score", "start_s", "end_s", "decided_s", "latency_s"] {
                let (a, b) = (
                    found[key].as_f64().unwrap(),
                    expected[key].as_f64().unwrap(),
                );
                assert!((a - b).abs() < 1e-6, "{key}: {a} {b}");
            }
        }
    };
    let mut socket = open(&desk, "", None).unwrap();
    let ready = receive(&mut socket);
    assert_eq!(
        (&ready["type"], &ready["keywords"]),
        (&json!("ready"), &json!(["yes", "no"]))
    );
    close(&play(&mut socket, &s16le(&samples), 3_001));
    close(&play(&mut socket, &s16le(&samples), 32_000));
    let floats: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    let mut socket = open(&desk, "?format=f32le&rate=16000&channels=1", None).unwrap();
    receive(&mut socket);
    close(&play(&mut socket, &floats, 8_192));
}

#[test]
fn a_page_of_this_host_may_listen_and_one_of_another_site_may_not() {
    let desk = Desk::new(Protocol::WebSocket, patient());
    let own = format!("http://{}", desk.address);
    assert!(open(&desk, "", Some(&own)).is_ok());
    for origin in ["http://evil.example", "null", ""] {
        assert!(
            open(&desk, "", Some(origin))
                .unwrap_err()
                .starts_with("403")
        );
    }
}

#[test]
fn a_format_out_of_measure_is_refused_before_anything_is_heard() {
    let desk = Desk::new(Protocol::WebSocket, patient());
    for query in [
        "?rate=1",
        "?rate=x",
        "?channels=0",
        "?channels=99",
        "?format=mp3",
    ] {
        assert!(
            open(&desk, query, None).unwrap_err().starts_with("400"),
            "{query}"
        );
    }
}

#[test]
fn the_page_comes_whole_and_nothing_else_is_served() {
    let desk = Desk::new(Protocol::WebSocket, patient());
    let get = |path: &str| {
        let mut stream = desk.connect();
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes())
            .unwrap();
        String::from_utf8(rest_of(&mut stream)).unwrap()
    };
    let page = get("/");
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}", body.len())));
    assert!(body.starts_with("<!doctype html>") && body.trim_end().ends_with("</script>"));
    assert!(get("/../etc/passwd").starts_with("HTTP/1.1 404"));
    assert!(get("/listen").starts_with("HTTP/1.1 426"));
}

#[test]
fn a_message_too_large_or_broken_ends_with_a_reason() {
    let desk = Desk::new(Protocol::WebSocket, patient());
    let mut socket = open(&desk, "", None).unwrap();
    receive(&mut socket);
    let _ = socket.send(Message::binary(vec![0; 1 << 17]));
    let mut socket_of_texts = open(&desk, "", None).unwrap();
    receive(&mut socket_of_texts);
    socket_of_texts
        .send(Message::text("please listen"))
        .unwrap();
    let goodbye = receive(&mut socket_of_texts);
    assert!(goodbye["reason"].as_str().unwrap().contains("expected PCM"));
    let mut socket = open(&desk, "?format=f32le", None).unwrap();
    receive(&mut socket);
    socket
        .send(Message::binary(f32::NAN.to_le_bytes().to_vec()))
        .unwrap();
    let goodbye = receive(&mut socket);
    assert!(
        goodbye["reason"].as_str().unwrap().contains("NaN"),
        "{goodbye}"
    );
}

#[test]
fn frames_that_lie_or_drip_are_let_go() {
    let desk = Desk::new(Protocol::WebSocket, quick());
    // A frame that promises an exabyte; one that never ends; one without a mask.
    for frame in [
        &[0x82, 0xff, 0x0f, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4][..],
        &[0x82, 0xfe, 0xff, 0xff, 1, 2, 3, 4, 5],
        &[0x82, 0x05, 1, 2, 3, 4, 5],
        &[0xf3, 0x80, 0, 0, 0, 0],
    ] {
        let mut socket = open(&desk, "", None).unwrap();
        receive(&mut socket);
        let stream = socket.get_mut();
        stream.write_all(frame).unwrap();
        rest_of(stream);
    }
    assert!(is_served(&mut desk.connect(), Protocol::WebSocket));
}
