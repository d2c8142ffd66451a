//! One file -> interleaved samples at the file's own rate, packet by packet, and what was wrong with it.
//!
//! Wraps the demuxers and decoders of symphonia so that no input can crash, and checks what they let pass: headers that promise
//! other than what is there, streams that end early, packets that are lost. Mixing and resampling are done by the caller.

use std::fs::File;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use symphonia::core::errors::{Error, Result as StreamResult};
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;

use super::au::AuReader;
use super::decoder::Decoder;
use super::format::{Format, sniff};
use super::mp4::{self, Edit};
use super::track::{audio_track, check_measure, refusal};
use super::{AudioError, is_number, riff};

/// A lossy codec may give this many frames less than its container says: encoder delay and padding of two AAC frames.
const LOSSY_SLACK_FRAMES: u64 = 4_096;

/// A file that is being decoded.
pub(super) struct Source {
    path: PathBuf,
    demuxer: Demuxer,
    decoder: Decoder,
    track_id: u32,
    pub sample_rate_hz: u32,
    pub n_channels: usize,
    promise: Promise,
    n_frames: u64,
    /// Decoded frames that are heard: the rest is the codec's start-up and filling.
    heard: Range<u64>,
    /// Where the next packet should start, for streams whose packets say where they stand.
    next_frame: Option<i64>,
    /// The first packet, decoded while opening.
    primed: Vec<f32>,
    ended: bool,
    cut: bool,
    damage: Option<AudioError>,
    fault: Option<AudioError>,
}

enum Demuxer {
    Symphonia(Box<dyn FormatReader>),
    Au(AuReader),
}

/// What the container says about its length.
#[derive(Clone, Copy)]
struct Promise {
    n_frames: Option<u64>,
    slack_frames: u64,
    /// Whether a gap between packets means that one was lost.
    is_gapless: bool,
    /// Whether the container says where it ends, so that the end of the file alone is not enough.
    has_end: bool,
}

impl Source {
    /// Opens the file and decodes its first packet, so that rate and channels are what the decoder gives.
    pub fn open(path: &Path) -> Result<Self, AudioError> {
        let io = |source: std::io::Error| {
            let path = path.to_owned();
            let is_missing = source.kind() == std::io::ErrorKind::NotFound;
            if is_missing && path.to_string_lossy().contains(char::REPLACEMENT_CHARACTER) {
                return AudioError::NameNotUtf8 { path };
            }
            AudioError::Io { path, source }
        };
        let metadata = std::fs::metadata(path).map_err(io)?;
        if !metadata.is_file() {
            let found = if metadata.is_dir() {
                "a folder"
            } else {
                "a device or pipe"
            };
            return Err(AudioError::NotAudio {
                path: path.to_owned(),
                found: found.to_owned(),
            });
        }
        if metadata.len() == 0 {
            return Err(AudioError::Empty {
                path: path.to_owned(),
                found: "a file of 0 bytes",
            });
        }
        let mut file = File::open(path).map_err(io)?;
        let format = sniff(&mut file).map_err(io)?;
        let fault = match &format {
            Format::Other(found) => {
                return Err(AudioError::NotAudio {
                    path: path.to_owned(),
                    found: found.clone(),
                });
            }
            Format::Known(found) => {
                return Err(AudioError::Unsupported {
                    path: path.to_owned(),
                    found: (*found).to_owned(),
                });
            }
            Format::Wav => riff::inspect(&mut file, path, metadata.len())?,
            _ => None,
        };
        let edit = if format == Format::Mp4 {
            mp4::edit(&mut file, metadata.len())
        } else {
            None
        };
        let mut source = guarded(path, 0.0, || Self::start(path, file, &format, edit))??;
        source.fault = fault;
        Ok(source)
    }

    fn start(
        path: &Path,
        file: File,
        format: &Format,
        edit: Option<Edit>,
    ) -> Result<Self, AudioError> {
        let (demuxer, track_id, params, n_promised) = if *format == Format::Au {
            let reader = AuReader::open(file, path)?;
            let (params, n_frames) = (reader.codec_params.clone(), reader.n_frames);
            (Demuxer::Au(reader), 0, params, n_frames)
        } else {
            let stream = MediaSourceStream::new(Box::new(file), Default::default());
            let reader = symphonia::default::get_probe()
                .probe(
                    &Hint::new(),
                    stream,
                    FormatOptions::default(),
                    MetadataOptions::default(),
                )
                .map_err(|error| refusal(path, error))?;
            let (track, params) = audio_track(&*reader, path)?;
            let (id, n_frames) = (track.id, track.num_frames);
            (Demuxer::Symphonia(reader), id, params, n_frames)
        };
        let mut source = Source {
            path: path.to_owned(),
            decoder: Decoder::of(path, &params)?,
            demuxer,
            track_id,
            sample_rate_hz: params.sample_rate.unwrap_or(0),
            n_channels: params
                .channels
                .as_ref()
                .map_or(0, |channels| channels.count()),
            promise: Promise::of(format, n_promised),
            n_frames: 0,
            heard: 0..u64::MAX,
            next_frame: None,
            primed: Vec::new(),
            ended: false,
            cut: false,
            damage: None,
            fault: None,
        };
        if let (Some(edit), Some(rate_hz)) = (edit, params.sample_rate) {
            source.heard = heard(edit, rate_hz, n_promised);
        }
        let mut first = Vec::new();
        source.decode_next(&mut first)?;
        source.primed = first;
        Ok(source)
    }

    /// Replaces `interleaved` by the next packet's samples, `[n_frames, n_channels]`. `false`: there are no more.
    pub fn next(&mut self, interleaved: &mut Vec<f32>) -> Result<bool, AudioError> {
        interleaved.clear();
        if !self.primed.is_empty() {
            std::mem::swap(interleaved, &mut self.primed);
            return Ok(true);
        }
        if self.ended {
            return Ok(false);
        }
        let (path, at_s) = (self.path.clone(), self.seconds(self.n_frames));
        let outcome =
            guarded(&path, at_s, || self.decode_next(interleaved)).and_then(|outcome| outcome);
        self.ended |= !matches!(outcome, Ok(true));
        outcome
    }

    /// What was wrong with the file, known once [`Source::next`] has returned `false`.
    pub fn fault(&self) -> Option<&AudioError> {
        self.fault.as_ref()
    }

    pub fn into_fault(self) -> Option<AudioError> {
        self.fault
    }

    fn seconds(&self, n_frames: u64) -> f64 {
        n_frames as f64 / f64::from(self.sample_rate_hz.max(1))
    }

    fn decode_next(&mut self, interleaved: &mut Vec<f32>) -> Result<bool, AudioError> {
        loop {
            let packet = match self.demuxer.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => return self.end(),
                Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    self.cut = self.promise.has_end;
                    return self.end();
                }
                Err(Error::IoError(source)) => {
                    return Err(AudioError::Io {
                        path: self.path.clone(),
                        source,
                    });
                }
                Err(Error::ResetRequired) => {
                    self.restart()?;
                    continue;
                }
                Err(error) => {
                    self.note_damage(error.to_string());
                    return self.end();
                }
            };
            if packet.track_id != self.track_id {
                continue;
            }
            self.check_place(&packet);
            match self.decoder.decode(&packet) {
                Ok(buffer) if buffer.frames() == 0 => {}
                Ok(buffer) => {
                    let (rate, n_channels) =
                        (buffer.spec().rate(), buffer.spec().channels().count());
                    buffer.copy_to_vec_interleaved(interleaved);
                    return self.accept(rate, n_channels, interleaved);
                }
                Err(error) => self.note_damage(error.to_string()),
            }
        }
    }

    fn accept(
        &mut self,
        rate_hz: u32,
        n_channels: usize,
        interleaved: &mut Vec<f32>,
    ) -> Result<bool, AudioError> {
        if self.n_frames == 0 {
            check_measure(&self.path, Some(rate_hz), Some(n_channels))?;
            (self.sample_rate_hz, self.n_channels) = (rate_hz, n_channels);
        } else if (self.sample_rate_hz, self.n_channels) != (rate_hz, n_channels) {
            interleaved.clear();
            self.note_damage(format!(
                "the stream changes from {} Hz and {} channels to {rate_hz} Hz and {n_channels}",
                self.sample_rate_hz, self.n_channels
            ));
            return self.end();
        }
        if let Some(at) = interleaved.iter().position(|&sample| !is_number(sample)) {
            let at_s = self.seconds(self.n_frames + (at / n_channels) as u64);
            let found = interleaved[at];
            interleaved.clear();
            return Err(AudioError::NonFinite {
                path: self.path.clone(),
                at_s,
                found,
            });
        }
        let start = self.n_frames;
        self.n_frames += (interleaved.len() / n_channels) as u64;
        // Frames of this packet, counted from its start, that are heard.
        let within = |frame: u64| (frame.clamp(start, self.n_frames) - start) as usize * n_channels;
        interleaved.truncate(within(self.heard.end));
        interleaved.drain(..within(self.heard.start).min(interleaved.len()));
        Ok(true)
    }

    /// A demuxer that lost packets says nothing, but the next one it gives stands too late.
    fn check_place(&mut self, packet: &Packet) {
        if !self.promise.is_gapless {
            return;
        }
        let start = packet.pts.get();
        if let Some(expected) = self.next_frame.filter(|&expected| start > expected) {
            self.note_damage(format!("{} samples are missing", start - expected));
        }
        self.next_frame = start.checked_add_unsigned(packet.dur.get());
    }

    fn note_damage(&mut self, reason: String) {
        if self.damage.is_none() {
            let at_s = self.seconds(self.n_frames);
            self.damage = Some(AudioError::Damaged {
                path: self.path.clone(),
                at_s,
                reason,
            });
        }
    }

    /// The streams of a chained file follow one another: the next one needs its own decoder.
    fn restart(&mut self) -> Result<(), AudioError> {
        let Demuxer::Symphonia(reader) = &self.demuxer else {
            return Ok(());
        };
        let (track, params) = audio_track(&**reader, &self.path)?;
        let track_id = track.id;
        self.decoder = Decoder::of(&self.path, &params)?;
        self.track_id = track_id;
        self.next_frame = None;
        self.promise.n_frames = None;
        Ok(())
    }

    /// Weighs what was found against what was promised. Always `Ok(false)` if anything was decoded.
    fn end(&mut self) -> Result<bool, AudioError> {
        self.ended = true;
        let is_verified = self.decoder.finalize().verify_ok;
        let found_s = self.seconds(self.n_frames);
        let n_promised = self.promise.n_frames.filter(|&n| n > 0);
        let is_short = n_promised.is_some_and(|n| self.n_frames + self.promise.slack_frames < n);
        if self.fault.is_none() {
            self.fault = self.damage.take();
        }
        if self.fault.is_none() && (self.cut || is_short) {
            let header_s = n_promised
                .filter(|&n| n > self.n_frames)
                .map(|n| self.seconds(n));
            self.fault = Some(AudioError::Truncated {
                path: self.path.clone(),
                found_s,
                header_s,
            });
        }
        if self.fault.is_none() && is_verified == Some(false) {
            self.fault = Some(AudioError::Damaged {
                path: self.path.clone(),
                at_s: 0.0,
                reason: "the samples do not match the checksum (MD5) in the header".to_owned(),
            });
        }
        if self.n_frames > 0 {
            return Ok(false);
        }
        Err(self.fault.take().unwrap_or(AudioError::Empty {
            path: self.path.clone(),
            found: "a container without samples",
        }))
    }
}

impl Demuxer {
    fn next_packet(&mut self) -> StreamResult<Option<Packet>> {
        match self {
            Demuxer::Symphonia(reader) => reader.next_packet(),
            Demuxer::Au(reader) => reader.next_packet().map_err(Error::IoError),
        }
    }
}

impl Promise {
    fn of(format: &Format, n_frames: Option<u64>) -> Self {
        let (n_frames, slack_frames) = match format {
            // The bytes of a WAV are counted when it is opened, and ADPCM blocks may be padded.
            Format::Wav => (None, 0),
            // Only an estimate, unless the first frame holds a count.
            Format::Mpeg { counted: false } | Format::Adts => (None, 0),
            Format::Mpeg { counted: true } | Format::Mp4 | Format::Matroska => {
                (n_frames, LOSSY_SLACK_FRAMES)
            }
            // The end of an Ogg stream is marked.
            Format::Ogg => (None, 0),
            Format::Aiff | Format::Au | Format::Flac | Format::Caf => (n_frames, 0),
            Format::Known(_) | Format::Other(_) => (None, 0),
        };
        Promise {
            n_frames,
            slack_frames,
            is_gapless: *format == Format::Flac,
            has_end: matches!(
                format,
                Format::Ogg | Format::Mp4 | Format::Matroska | Format::Flac
            ),
        }
    }
}

fn heard(edit: Edit, rate_hz: u32, n_frames: Option<u64>) -> Range<u64> {
    let frames = |seconds: f64| (seconds * f64::from(rate_hz)).round() as u64;
    let start = frames(edit.skip_s);
    let end = start.saturating_add(frames(edit.keep_s));
    // The edit counts in the movie's coarse units; the track itself knows its length to a frame.
    start..n_frames.filter(|&n| n > start).map_or(end, |n| end.min(n))
}

/// Decoders have been known to panic on hostile files; that is the file's fault and becomes its error.
fn guarded<T>(path: &Path, at_s: f64, work: impl FnOnce() -> T) -> Result<T, AudioError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| AudioError::Damaged {
        path: path.to_owned(),
        at_s,
        reason: "the decoder gave up on it".to_owned(),
    })
}
