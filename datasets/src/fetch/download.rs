//! One archive from the first mirror that gives it whole and right, over connections that break.
//!
//! What has come stays in `<archive>.part` until its length and sum are right. It is gone on with only where the bytes
//! to come are certain to be of the same file: from the same address with the same validator (`ETag` or
//! `Last-Modified`), or from any mirror where a checksum will tell.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ureq::Agent;
use ureq::http::{HeaderMap, Response, StatusCode};

use super::sums::Sums;
use super::{FetchError, Rules, Watch};
use crate::card::{ArchiveSpec, Checksum};
use crate::partial::write_bytes;

/// Faults that are told in the end; the last ones say most.
const N_TOLD: usize = 8;

/// Where an unfinished download lies.
pub(super) fn part_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    file.with_file_name(name)
}

/// What is known of the bytes in the part.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Memory {
    url: String,
    validator: Option<String>,
    n_bytes: Option<u64>,
}

/// Why one try ended.
enum Attempt {
    /// Nothing that another try could mend.
    Fatal(FetchError),
    /// Something another try or mirror may mend.
    Fault(String),
    /// The same, and what has come so far is not to be trusted.
    Discard(String),
    /// A whole file that is not the right one: once more may be worth it, since bytes do get lost.
    Wrong(String),
}

impl From<FetchError> for Attempt {
    fn from(error: FetchError) -> Self {
        Attempt::Fatal(error)
    }
}

/// Downloads the archive to `file`.
pub(super) fn download(
    archive: &ArchiveSpec,
    file: &Path,
    rules: &Rules,
    watch: &dyn Watch,
) -> Result<Sums, FetchError> {
    let mut job = Job {
        archive,
        part: part_of(file),
        rules,
        watch,
        memory: Memory::default(),
        wrong: Vec::new(),
    };
    job.remember();
    let mut faults: Vec<String> = Vec::new();
    for _ in 0..rules.n_rounds.max(1) {
        for url in &archive.urls {
            if job.has_another(url) {
                continue;
            }
            match job.ask_mirror(url, &mut faults)? {
                Some(sums) => {
                    fs::rename(&job.part, file).map_err(FetchError::io(file))?;
                    let _ = fs::remove_file(job.memory_path());
                    return Ok(sums);
                }
                None => watch.note(&format!(
                    "{}: giving up on {url} for now: {}",
                    archive.file,
                    faults.last().map_or("", String::as_str)
                )),
            }
        }
    }
    let n_untold = faults.len().saturating_sub(N_TOLD);
    let mut told = faults.split_off(n_untold);
    if n_untold > 0 {
        told.insert(0, format!("({n_untold} earlier ones)"));
    }
    Err(FetchError::NoMirror {
        file: archive.file.clone(),
        faults: told,
    })
}

struct Job<'a> {
    archive: &'a ArchiveSpec,
    part: PathBuf,
    rules: &'a Rules,
    watch: &'a dyn Watch,
    memory: Memory,
    /// Whole files that were not the right one: where they came from, and what they were.
    wrong: Vec<(String, String)>,
}

impl Job<'_> {
    /// Whether a mirror gave the same wrong file twice: it is what lies there.
    fn has_another(&self, url: &str) -> bool {
        let mut of_mirror = self.wrong.iter().filter(|(from, _)| from == url);
        of_mirror.any(|one| self.wrong.iter().filter(|other| *other == one).count() > 1)
    }

    fn memory_path(&self) -> PathBuf {
        self.part.with_added_extension("json")
    }

    /// Takes up what an earlier run left.
    fn remember(&mut self) {
        let text = fs::read(self.memory_path()).ok();
        self.memory = text
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
    }

    fn n_here(&self) -> u64 {
        fs::metadata(&self.part).map_or(0, |metadata| metadata.len())
    }

    fn discard(&self) -> Result<(), FetchError> {
        let _ = fs::remove_file(self.memory_path());
        match fs::remove_file(&self.part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(FetchError::io(&self.part)(error))
            }
            _ => Ok(()),
        }
    }

    /// Tries one mirror until it brings nothing new several times over. `None`: it is of no use now.
    fn ask_mirror(
        &mut self,
        url: &str,
        faults: &mut Vec<String>,
    ) -> Result<Option<Sums>, FetchError> {
        let agent = agent(url, self.rules);
        let (mut most, mut n_fruitless) = (self.n_here(), 0);
        while n_fruitless < self.rules.n_fruitless.max(1) {
            if n_fruitless > 0 {
                self.wait(n_fruitless)?;
            }
            let fault = match self.attempt(&agent, url).and_then(|()| self.judge(url)) {
                Ok(sums) => return Ok(Some(sums)),
                Err(Attempt::Fatal(error)) => return Err(error),
                Err(Attempt::Fault(fault)) => fault,
                Err(Attempt::Discard(fault)) => {
                    self.discard()?;
                    fault
                }
                Err(Attempt::Wrong(fault)) => {
                    self.discard()?;
                    self.wrong.push((url.to_owned(), fault.clone()));
                    fault
                }
            };
            faults.push(format!("{url}: {fault}"));
            if self.has_another(url) {
                return Ok(None);
            }
            n_fruitless += 1;
            let n_here = self.n_here();
            if n_here > most {
                (most, n_fruitless) = (n_here, 0);
            }
        }
        Ok(None)
    }

    /// Waits before another try, and looks up often.
    fn wait(&self, n_fruitless: usize) -> Result<(), FetchError> {
        let factor = 1 << n_fruitless.saturating_sub(1).min(10);
        let mut left = (self.rules.pause * factor).min(Duration::from_secs(60));
        while !left.is_zero() {
            if self.watch.stopped() {
                return Err(FetchError::Stopped);
            }
            let step = left.min(Duration::from_millis(200));
            std::thread::sleep(step);
            left -= step;
        }
        Ok(())
    }

    /// Whether the part is whole and right.
    fn judge(&self, url: &str) -> Result<Sums, Attempt> {
        let sums = Sums::of(&self.part, self.archive, self.watch)?;
        match sums.fault(self.archive) {
            None => Ok(sums),
            Some((found, expected)) => {
                let fault = format!("found {found}, expected {expected}");
                self.watch
                    .note(&format!("{}: {url}: {fault}", self.archive.file));
                Err(Attempt::Wrong(fault))
            }
        }
    }

    /// One request: appends to the part what comes of it. `Ok` where the whole file seems to be there.
    fn attempt(&mut self, agent: &Agent, url: &str) -> Result<(), Attempt> {
        let is_same = self.memory.url == url && self.memory.validator.is_some();
        let mut n_here = self.n_here();
        if n_here > 0 && !is_same && self.archive.checksum == Checksum::Unknown {
            self.discard()?;
            n_here = 0;
        }
        if let Some(total) = self.archive.n_bytes {
            if n_here == total {
                return Ok(());
            }
            if n_here > total {
                return Err(Attempt::Discard(format!(
                    "found {n_here} bytes, expected {total}"
                )));
            }
        }
        let mut request = agent.get(url).header("Accept-Encoding", "identity");
        if n_here > 0 {
            request = request.header("Range", format!("bytes={n_here}-"));
            if let Some(validator) = self.memory.validator.as_ref().filter(|_| is_same) {
                request = request.header("If-Range", validator);
            }
        }
        let response = request
            .call()
            .map_err(|error| Attempt::Fault(error.to_string()))?;
        let total = self.check_head(&response, n_here)?;
        if response.status() == StatusCode::OK {
            n_here = 0; // it begins at the beginning, whatever was asked
        }
        self.memory = Memory {
            url: url.to_owned(),
            validator: validator(response.headers()),
            n_bytes: total,
        };
        let folder = self.part.parent().unwrap_or(Path::new("."));
        let to_come = total.map_or(0, |total| total.saturating_sub(n_here));
        self.rules.check_space(folder, to_come)?;
        let path = self.memory_path();
        let text = serde_json::to_vec(&self.memory).expect("a memory is plain data");
        write_bytes(&path, &text).map_err(FetchError::io(&path))?;
        self.receive(response, n_here, total)
    }

    /// What the head of an answer says of the length of the whole file, if it can be believed.
    fn check_head<B>(&self, response: &Response<B>, n_here: u64) -> Result<Option<u64>, Attempt> {
        let headers = response.headers();
        if let Some(encoding) = text_of(headers, "content-encoding").filter(|e| *e != "identity") {
            return Err(Attempt::Fault(format!(
                "found the encoding {encoding}, expected none"
            )));
        }
        let length = text_of(headers, "content-length").and_then(|text| text.parse::<u64>().ok());
        let total = match response.status() {
            StatusCode::OK => length,
            StatusCode::PARTIAL_CONTENT => {
                let said = text_of(headers, "content-range").unwrap_or_default();
                let Some((first, total)) = content_range(said) else {
                    return Err(Attempt::Discard(format!("found the range `{said}`")));
                };
                if first != n_here {
                    let fault =
                        format!("found bytes from {first} on, expected them from {n_here} on");
                    return Err(Attempt::Discard(fault));
                }
                let old = self
                    .memory
                    .n_bytes
                    .filter(|_| self.archive.checksum == Checksum::Unknown);
                if let (Some(old), Some(new)) = (old, total)
                    && old != new
                {
                    let fault = format!("found {new} bytes, where {old} were promised before");
                    return Err(Attempt::Discard(fault));
                }
                total
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                let fault = format!("found nothing after byte {n_here}");
                return Err(Attempt::Discard(fault));
            }
            status => return Err(Attempt::Fault(format!("found the answer {status}"))),
        };
        if let (Some(found), Some(expected)) = (total, self.archive.n_bytes)
            && found != expected
        {
            let fault = format!("found a file of {found} bytes, expected {expected}");
            return Err(Attempt::Fault(fault));
        }
        let is_framed = total.is_some()
            || self.archive.n_bytes.is_some()
            || self.archive.checksum != Checksum::Unknown
            || text_of(headers, "transfer-encoding").is_some_and(|text| text.contains("chunked"));
        if !is_framed {
            let fault =
                "found neither a length nor chunks, so that its end could not be told from a break";
            return Err(Attempt::Fault(fault.to_owned()));
        }
        Ok(total.or(self.archive.n_bytes))
    }

    fn receive(
        &self,
        response: Response<ureq::Body>,
        n_here: u64,
        total: Option<u64>,
    ) -> Result<(), Attempt> {
        let mut out = OpenOptions::new()
            .create(true)
            .append(n_here > 0)
            .write(true)
            .truncate(n_here == 0)
            .open(&self.part)
            .map_err(FetchError::io(&self.part))?;
        let what = format!("downloading {}", self.archive.file);
        let mut body = response.into_body().into_reader();
        let (mut buffer, mut n_here) = (vec![0; 1 << 18], n_here);
        loop {
            if self.watch.stopped() {
                self.sync(&mut out)?;
                return Err(FetchError::Stopped.into());
            }
            let n_read = match body.read(&mut buffer) {
                Ok(n_read) => n_read,
                Err(error) => {
                    self.sync(&mut out)?;
                    return Err(Attempt::Fault(format!(
                        "broke off after byte {n_here}: {error}"
                    )));
                }
            };
            if n_read == 0 {
                break;
            }
            if total.is_some_and(|total| n_here + n_read as u64 > total) {
                let total = total.unwrap_or(0);
                return Err(Attempt::Discard(format!(
                    "found more than the {total} bytes promised"
                )));
            }
            let written = out.write_all(&buffer[..n_read]);
            written.map_err(FetchError::io(&self.part))?;
            n_here += n_read as u64;
            self.watch.progress(n_here, total, &what);
        }
        self.sync(&mut out)?;
        match total {
            Some(total) if n_here < total => Err(Attempt::Fault(format!(
                "ended after {n_here} of {total} bytes"
            ))),
            _ => Ok(()),
        }
    }

    fn sync(&self, out: &mut File) -> Result<(), FetchError> {
        out.sync_data().map_err(FetchError::io(&self.part))
    }
}

/// A client for one address. Where it is https, no redirection leads to anything else.
fn agent(url: &str, rules: &Rules) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .https_only(url.starts_with("https://"))
        .timeout_connect(Some(rules.answer_timeout))
        .timeout_recv_response(Some(rules.answer_timeout))
        .timeout_per_read(Some(rules.silence_timeout))
        .user_agent(concat!("auricle/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// What tells that a file is still the same: a strong `ETag`, or else when it was changed.
fn validator(headers: &HeaderMap) -> Option<String> {
    let tag = text_of(headers, "etag").filter(|tag| tag.starts_with('"'));
    tag.or_else(|| text_of(headers, "last-modified"))
        .map(str::to_owned)
}

/// First byte and length of the whole, from `bytes 100-199/1000`; the length may be `*`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (
        first.trim().parse::<u64>().ok()?,
        last.trim().parse::<u64>().ok()?,
    );
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse::<u64>().ok()?),
    };
    (first <= last && total.is_none_or(|total| last < total)).then_some((first, total))
}
