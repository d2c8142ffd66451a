//! The head of one HTTP request, read with bounds, and the few answers there are.

use std::io::{Read, Write};

use super::timed::Timed;
use super::{ClientError, refused};

const MAX_HEAD_BYTES: usize = 8 << 10;
const MAX_HEADERS: usize = 64;
/// What a client hears that comes when all seats are taken.
pub(super) const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 17\r\nConnection: close\r\n\r\ntoo many clients\n";

/// What was asked for.
pub(super) struct Request {
    pub method: String,
    pub path: String,
    /// Without the question mark.
    pub query: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    /// Bytes that came behind the head.
    pub rest: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether a comma-separated header has a word.
    pub fn has(&self, name: &str, word: &str) -> bool {
        let is_word = |part: &str| part.trim().eq_ignore_ascii_case(word);
        self.header(name)
            .is_some_and(|value| value.split(',').any(is_word))
    }

    /// A value of the query, as it stands there.
    pub fn value(&self, key: &str) -> Option<&str> {
        let pairs = self
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        pairs
            .into_iter()
            .find(|(found, _)| *found == key)
            .map(|(_, value)| value)
    }
}

/// Reads up to the empty line. `None`: closed before a byte came.
pub(super) fn read(stream: &mut Timed) -> Result<Option<Request>, ClientError> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 1024]);
    loop {
        let n_read = stream.read(&mut piece)?;
        if n_read == 0 && bytes.is_empty() {
            return Ok(None);
        }
        bytes.extend_from_slice(&piece[..n_read]);
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let parsed = request
            .parse(&bytes)
            .map_err(|error| refused(format!("found no HTTP request: {error}")))?;
        if let httparse::Status::Complete(n_head) = parsed {
            let target = request.path.unwrap_or_default();
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let text = |value: &[u8]| String::from_utf8_lossy(value).trim().to_owned();
            let headers = request.headers.iter();
            return Ok(Some(Request {
                method: request.method.unwrap_or_default().to_owned(),
                path: path.to_owned(),
                query: query.to_owned(),
                headers: headers
                    .map(|header| (header.name.to_lowercase(), text(header.value)))
                    .collect(),
                rest: bytes[n_head..].to_vec(),
            }));
        }
        if n_read == 0 || bytes.len() > MAX_HEAD_BYTES {
            let reason = format!("found no end of a request within {MAX_HEAD_BYTES} bytes");
            return Err(refused(reason));
        }
    }
}

/// Answers and is done.
pub(super) fn answer(
    stream: &mut Timed,
    status: &str,
    kind: &str,
    body: &str,
) -> Result<(), ClientError> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    Ok(stream.write_all(body.as_bytes())?)
}
