//! Wyoming as its clients speak it.

use super::*;

fn send(stream: &mut TcpStream, kind: &str, data: &Value, payload: &[u8]) {
    let data = data.to_string();
    let header = json!({"type": kind, "version": "1.10.2", "data_length": data.len(), "payload_length": payload.len()});
    let mut bytes = format!("{header}\n{data}").into_bytes();
    bytes.extend_from_slice(payload);
    stream.write_all(&bytes).unwrap();
}

/// The next event, with its data.
fn receive(reader: &mut impl BufRead) -> Option<(String, Value)> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let header: Value = serde_json::from_str(&line).unwrap();
    let mut data = vec![0; header["data_length"].as_u64().unwrap_or(0) as usize];
    reader.read_exact(&mut data).unwrap();
    let data = if data.is_empty() {
        header["data"].clone()
    } else {
        serde_json::from_slice(&data).unwrap()
    };
    Some((header["type"].as_str().unwrap().to_owned(), data))
}

/// Plays a sound in chunks of 80 ms and gives all that is answered up to the end of a ping behind it.
fn play(
    stream: &mut TcpStream,
    samples: &[f32],
    rate_hz: u32,
    channels: usize,
) -> Vec<(String, Value)> {
    let format = json!({"rate": rate_hz, "width": 2, "channels": channels});
    send(stream, "audio-start", &format, &[]);
    let n_chunk = rate_hz as usize * 8 / 100;
    for (i, chunk) in samples.chunks(n_chunk).enumerate() {
        let frames: Vec<f32> = chunk
            .iter()
            .flat_map(|&s| std::iter::repeat_n(s, channels))
            .collect();
        let mut data = format.clone();
        data["timestamp"] = json!(1000 + 80 * i);
        send(stream, "audio-chunk", &data, &s16le(&frames));
    }
    send(stream, "audio-stop", &json!({}), &[]);
    send(stream, "ping", &json!({"text": "done"}), &[]);
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut events = Vec::new();
    loop {
        let event = receive(&mut reader).expect("the server is there");
        if event.0 == "pong" {
            assert_eq!(event.1["text"], "done");
            return events;
        }
        events.push(event);
    }
}

fn names(events: &[(String, Value)]) -> Vec<String> {
    let detections = events.iter().filter(|(kind, _)| kind == "detection");
    detections
        .map(|(_, data)| data["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_client_learns_which_words_there_are() {
    let desk = Desk::new(Protocol::Wyoming, patient());
    let mut stream = desk.connect();
    stream
        .write_all(b"{\"type\": \"describe\", \"version\": \"1.10.2\"}\n")
        .unwrap();
    let (kind, info) = receive(&mut BufReader::new(stream)).unwrap();
    assert_eq!(kind, "info");
    let models = info["wake"][0]["models"].as_array().unwrap();
    let words: Vec<&str> = models
        .iter()
        .map(|model| model["name"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["yes", "no"]);
    assert_eq!(info["asr"], json!([]));
}

#[test]
fn what_is_played_is_detected_as_in_a_file_with_the_time_of_the_deciding_chunk() {
    let desk = Desk::new(Protocol::Wyoming, patient());
    let samples = sound();
    let expected = desk.expected(&samples);
    let mut stream = desk.connect();
    send(&mut stream, "detect", &json!({"names": null}), &[]);
    // The same connection again and again: every stream starts afresh.
    for _ in 0..2 {
        let events = play(&mut stream, &samples, 16_000, 1);
        let words: Vec<&str> = expected.iter().map(|d| d.keyword.as_str()).collect();
        assert_eq!(names(&events), words);
        for ((_, data), detection) in events.iter().zip(&expected) {
            if detection.decided_at_sample <= samples.len() as u64 {
                let chunk = (detection.decided_at_sample - 1) / 1280;
                assert_eq!(data["timestamp"], json!(1000 + 80 * chunk));
            }
        }
        assert!(events.iter().all(|(kind, _)| kind == "detection"));
    }
    let stereo = play(&mut stream, &samples, 16_000, 2);
    assert_eq!(names(&stereo).len(), expected.len());
}

#[test]
fn a_stream_without_the_words_that_were_asked_for_is_not_detected() {
    let desk = Desk::new(Protocol::Wyoming, patient());
    let samples = sound();
    let mut stream = desk.connect();
    let silence = play(&mut stream, &[0.0; 16_000], 16_000, 1);
    assert_eq!(
        silence.last().map(|(kind, _)| kind.as_str()),
        Some("not-detected")
    );
    send(&mut stream, "detect", &json!({"names": ["another"]}), &[]);
    let events = play(&mut stream, &samples, 16_000, 1);
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].0, "not-detected");
    let word = desk.expected(&samples)[0].keyword.to_uppercase();
    send(&mut stream, "detect", &json!({"names": [word]}), &[]);
    assert!(!names(&play(&mut stream, &samples, 16_000, 1)).is_empty());
}

#[test]
fn events_that_are_not_known_are_passed_over() {
    let desk = Desk::new(Protocol::Wyoming, patient());
    let mut stream = desk.connect();
    send(
        &mut stream,
        "transcribe",
        &json!({"language": "en"}),
        b"abc",
    );
    send(&mut stream, "audio-stop", &json!({}), &[]);
    assert!(is_served(&mut stream, Protocol::Wyoming));
}

#[track_caller]
fn check_refused(bytes: &[u8], why: &str) {
    let desk = Desk::new(Protocol::Wyoming, patient());
    let mut stream = desk.connect();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let (kind, data) = receive(&mut BufReader::new(stream)).expect("a word of farewell");
    assert_eq!(kind, "error");
    let text = data["text"].as_str().unwrap();
    assert!(text.contains(why), "{text}");
}

#[test]
fn what_breaks_the_protocol_is_told_why_and_let_go() {
    check_refused(b"hello\n", "no event");
    check_refused(b"{\"type\":\"describe\"", "ended within an event");
    check_refused(
        b"{\"type\":\"audio-chunk\",\"payload_length\":99999999999}\n",
        "payload_length is 99999999999, expected at most 65536",
    );
    check_refused(
        b"{\"type\":\"ping\",\"data_length\":18446744073709551615}\n",
        "data_length is 18446744073709551615",
    );
    check_refused(b"{\"type\":\"ping\",\"data_length\":3}\n[1]", "no object");
    check_refused(b"{\"type\":\"ping\",\"payload_length\":-1}\n", "no event");
    let chunk = |rate: &str, width: u32, channels: u64| {
        format!(
            "{{\"type\":\"audio-chunk\",\"data\":{{\"rate\":{rate},\"width\":{width},\"channels\":{channels}}},\"payload_length\":4}}\nabcd"
        )
    };
    check_refused(chunk("16000", 7, 1).as_bytes(), "width of 7 bytes");
    check_refused(chunk("1", 2, 1).as_bytes(), "sample rate of 1 Hz");
    check_refused(chunk("99999999999999", 2, 1).as_bytes(), "sample rate");
    check_refused(chunk("\"x\"", 2, 1).as_bytes(), "expected a number");
    check_refused(chunk("16000", 2, 0).as_bytes(), "0 channels");
    check_refused(chunk("16000", 2, 1 << 40).as_bytes(), "channels");
}

#[test]
fn a_payload_that_stops_half_way_ends_at_its_deadline() {
    let desk = Desk::new(Protocol::Wyoming, quick());
    let mut stream = desk.connect();
    stream
        .write_all(b"{\"type\":\"audio-chunk\",\"payload_length\":60000}\n half of it")
        .unwrap();
    rest_of(&mut stream);
    assert!(desk.lets_go_because("in time"));
}
