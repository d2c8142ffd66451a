//! A web server of a few lines: it sends whatever bytes it is told to, which need not be HTTP as it should be.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a client asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    pub path: String,
    /// The first byte of the range, if one was asked for.
    pub from: Option<usize>,
    pub if_range: Option<String>,
}

/// What is sent back.
pub(super) struct Reply {
    pub bytes: Vec<u8>,
    /// Keeps the connection open and says nothing more until the client goes away.
    pub hangs: bool,
}

pub(super) struct Server {
    pub address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Answers the request number n, from 0, as the function says, one connection a request.
    pub fn start(answer: impl Fn(usize, &Asked) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let Some(request) = read(&stream) else {
                    continue;
                };
                let at = {
                    let mut log = log.lock().unwrap();
                    log.push(request.clone());
                    log.len() - 1
                };
                let reply = answer(at, &request);
                let _ = stream.write_all(&reply.bytes);
                if reply.hangs {
                    // Until the client's side is closed there is nothing to read.
                    let _ = BufReader::new(&stream).read_line(&mut String::new());
                }
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
        Self { address, asked }
    }

    pub fn url(&self) -> String {
        format!("{}/words.tar.gz", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut lines = BufReader::new(stream).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let (mut from, mut if_range) = (None, None);
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                from = value
                    .strip_prefix("bytes=")?
                    .strip_suffix('-')?
                    .parse()
                    .ok()
            }
            "if-range" => if_range = Some(value.to_owned()),
            _ => {}
        }
    }
    Some(Asked {
        path,
        from,
        if_range,
    })
}

/// A reply with these lines in its head.
pub(super) fn reply(status: &str, lines: &[String], body: &[u8]) -> Reply {
    let mut bytes = format!("HTTP/1.1 {status}\r\nConnection: close\r\n").into_bytes();
    for line in lines {
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    Reply {
        bytes,
        hangs: false,
    }
}

/// As a good server answers, with ranges; the body is cut after `n_most` bytes of it.
pub(super) fn honest(content: &[u8], asked: &Asked, tag: &str, n_most: usize) -> Reply {
    let is_same = asked.if_range.as_ref().is_none_or(|asked| asked == tag);
    let from = asked.from.filter(|_| is_same).unwrap_or(0);
    let mut lines = vec![format!("ETag: {tag}"), "Accept-Ranges: bytes".to_owned()];
    if from >= content.len() {
        lines.push(format!("Content-Range: bytes */{}", content.len()));
        return reply("416 Range Not Satisfiable", &lines, b"");
    }
    let body = &content[from..];
    lines.push(format!("Content-Length: {}", body.len()));
    let status = if from > 0 {
        let (last, total) = (content.len() - 1, content.len());
        lines.push(format!("Content-Range: bytes {from}-{last}/{total}"));
        "206 Partial Content"
    } else {
        "200 OK"
    };
    reply(status, &lines, &body[..n_most.min(body.len())])
}

/// A server that knows nothing of ranges.
pub(super) fn rangeless(content: &[u8], n_most: usize) -> Reply {
    let lines = [format!("Content-Length: {}", content.len())];
    reply("200 OK", &lines, &content[..n_most.min(content.len())])
}
