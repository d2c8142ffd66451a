//! A microphone as mono samples at the rate that was asked for.
//!
//! The device's callback only copies: mixing and resampling are done by whoever reads, and when nobody reads in time
//! the newest chunks are dropped and counted, never queued without bound. Refuses to print.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{ErrorKind, FromSample, SizedSample, StreamConfig, SupportedStreamConfig};

use super::lasting::Device;
use super::{AudioError, CHANNEL_COUNTS, Mixdown, Resampler, SAMPLE_RATES_HZ};

/// Chunks that wait for the reader: a few seconds at the usual 10 to 40 ms a chunk.
const QUEUE_CHUNKS: usize = 128;

/// What is known of an input device.
#[derive(Clone, Debug, PartialEq)]
pub struct InputDevice {
    pub name: String,
    pub is_default: bool,
    /// Lowest and highest rate of all its configurations; 0 where it would not say.
    pub min_sample_rate_hz: u32,
    pub max_sample_rate_hz: u32,
    pub max_channels: usize,
}

impl std::fmt::Display for InputDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let default = if self.is_default { " (default)" } else { "" };
        write!(
            f,
            "{}{default}, {} to {} Hz, up to {} channels",
            self.name, self.min_sample_rate_hz, self.max_sample_rate_hz, self.max_channels
        )
    }
}

/// The input devices of this machine, in the order [`Microphone::open`] counts them.
///
/// # Errors
///
/// [`AudioError::Device`] when the sound system cannot be asked.
pub fn input_devices() -> Result<Vec<InputDevice>, AudioError> {
    let host = cpal::default_host();
    let default_id = host
        .default_input_device()
        .and_then(|device| device.id().ok());
    let devices = host.input_devices().map_err(|error| trouble("", error))?;
    Ok(devices
        .map(|device| {
            let configs: Vec<_> = device
                .supported_input_configs()
                .map(Iterator::collect)
                .unwrap_or_default();
            InputDevice {
                name: device_name(&device),
                is_default: default_id.is_some() && device.id().ok() == default_id,
                min_sample_rate_hz: configs
                    .iter()
                    .map(|c| c.min_sample_rate())
                    .min()
                    .unwrap_or(0),
                max_sample_rate_hz: configs
                    .iter()
                    .map(|c| c.max_sample_rate())
                    .max()
                    .unwrap_or(0),
                max_channels: configs
                    .iter()
                    .map(|c| usize::from(c.channels()))
                    .max()
                    .unwrap_or(0),
            }
        })
        .collect())
}

/// An open microphone. Dropping it closes the device.
pub struct Microphone {
    name: String,
    source_rate_hz: u32,
    intake: Intake,
    chunks: Receiver<Message>,
    spent: SyncSender<Vec<f32>>,
    n_overruns: Arc<AtomicU64>,
    // Last, so that the callback's channels outlive it.
    _stream: cpal::Stream,
}

enum Message {
    Chunk(Vec<f32>),
    Failed(String),
}

impl Microphone {
    /// Opens a device by its index in [`input_devices`], by its name or by a part of its name (the first that matches, case does
    /// not matter), or the system's default for `None`, in the configuration it prefers.
    ///
    /// # Errors
    ///
    /// [`AudioError::NoDevice`] with the list of those that exist; [`AudioError::Device`] when it cannot be opened;
    /// [`AudioError::Rate`] for a rate beyond the room's.
    pub fn open(asked: Option<&str>, sample_rate_hz: u32) -> Result<Self, AudioError> {
        let host = cpal::default_host();
        let mut devices: Vec<_> = host
            .input_devices()
            .map_err(|error| trouble("", error))?
            .collect();
        let names: Vec<String> = devices.iter().map(device_name).collect();
        let device = match asked {
            Some(asked) => match choose(&names, asked) {
                Some(index) => devices.swap_remove(index),
                None => {
                    return Err(AudioError::NoDevice {
                        asked: asked.to_owned(),
                        available: names,
                    });
                }
            },
            None => host.default_input_device().ok_or(AudioError::NoDevice {
                asked: "default".to_owned(),
                available: names,
            })?,
        };
        let name = device_name(&device);
        let config = device
            .default_input_config()
            .map_err(|error| trouble(&name, error))?;
        check_config(&name, &config)?;
        let intake = Intake::new(
            usize::from(config.channels()),
            config.sample_rate(),
            sample_rate_hz,
        )?;

        let (chunk_sender, chunks) = sync_channel(QUEUE_CHUNKS);
        let (spent, spent_receiver) = sync_channel(QUEUE_CHUNKS);
        let n_overruns = Arc::new(AtomicU64::new(0));
        let port = Port {
            chunks: chunk_sender,
            spent: spent_receiver,
            n_overruns: Arc::clone(&n_overruns),
        };
        let stream = open_stream(&device, &name, &config, port)?;
        stream.play().map_err(|error| trouble(&name, error))?;
        Ok(Microphone {
            name,
            source_rate_hz: config.sample_rate(),
            intake,
            chunks,
            spent,
            n_overruns,
            _stream: stream,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rate the device itself runs at.
    pub fn source_rate_hz(&self) -> u32 {
        self.source_rate_hz
    }
}

impl Device for Microphone {
    /// Errors: [`AudioError::Device`] when the device is gone.
    fn read(&mut self, out: &mut Vec<f32>, patience: Duration) -> Result<bool, AudioError> {
        match self.chunks.recv_timeout(patience) {
            Ok(Message::Chunk(chunk)) => {
                self.intake.push(&chunk, out);
                // A full pool means that enough buffers are under way.
                let _ = self.spent.try_send(chunk);
                Ok(true)
            }
            Ok(Message::Failed(reason)) => Err(AudioError::Device {
                device: self.name.clone(),
                reason,
            }),
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => Err(AudioError::Device {
                device: self.name.clone(),
                reason: "it has stopped".to_owned(),
            }),
        }
    }

    /// Chunks lost so far, because nobody read them in time or the device itself was late.
    fn n_overruns(&self) -> u64 {
        self.n_overruns.load(Ordering::Relaxed)
    }
}

/// From interleaved frames at the device's rate to mono at the rate that was asked for.
struct Intake {
    mixdown: Mixdown,
    resampler: Resampler,
    mono: Vec<f32>,
}

impl Intake {
    fn new(n_channels: usize, from_hz: u32, to_hz: u32) -> Result<Self, AudioError> {
        Ok(Intake {
            mixdown: Mixdown::new(n_channels),
            resampler: Resampler::new(from_hz, to_hz)?,
            mono: Vec::new(),
        })
    }

    fn push(&mut self, interleaved: &[f32], out: &mut Vec<f32>) {
        self.mono.clear();
        self.mixdown.push(interleaved, &mut self.mono);
        self.resampler.push(&self.mono, out);
    }
}

/// The callback's side of the queue.
struct Port {
    chunks: SyncSender<Message>,
    spent: Receiver<Vec<f32>>,
    n_overruns: Arc<AtomicU64>,
}

impl Port {
    /// Copies a chunk into a used buffer and passes it on, or counts it as lost. Never waits.
    fn pass<T: SizedSample>(&self, data: &[T])
    where
        f32: FromSample<T>,
    {
        let mut chunk = self.spent.try_recv().unwrap_or_default();
        chunk.clear();
        // A driver's NaN must not live on in the filters of the resampler.
        chunk.extend(
            data.iter()
                .map(|&sample| f32::from_sample_(sample))
                .map(|s| if s.is_finite() { s } else { 0.0 }),
        );
        if let Err(TrySendError::Full(_)) = self.chunks.try_send(Message::Chunk(chunk)) {
            self.n_overruns.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn open_stream(
    device: &cpal::Device,
    name: &str,
    config: &SupportedStreamConfig,
    port: Port,
) -> Result<cpal::Stream, AudioError> {
    let plain = config.config();
    match config.sample_format() {
        cpal::SampleFormat::I8 => build::<i8>(device, name, plain, port),
        cpal::SampleFormat::I16 => build::<i16>(device, name, plain, port),
        cpal::SampleFormat::I24 => build::<cpal::I24>(device, name, plain, port),
        cpal::SampleFormat::I32 => build::<i32>(device, name, plain, port),
        cpal::SampleFormat::U8 => build::<u8>(device, name, plain, port),
        cpal::SampleFormat::U16 => build::<u16>(device, name, plain, port),
        cpal::SampleFormat::U24 => build::<cpal::U24>(device, name, plain, port),
        cpal::SampleFormat::U32 => build::<u32>(device, name, plain, port),
        cpal::SampleFormat::F32 => build::<f32>(device, name, plain, port),
        cpal::SampleFormat::F64 => build::<f64>(device, name, plain, port),
        other => Err(AudioError::Device {
            device: name.to_owned(),
            reason: format!("it gives samples as {other}, expected integers or floats"),
        }),
    }
}

fn build<T>(
    device: &cpal::Device,
    name: &str,
    config: StreamConfig,
    port: Port,
) -> Result<cpal::Stream, AudioError>
where
    T: SizedSample + Send + 'static,
    f32: FromSample<T>,
{
    let (failures, n_overruns) = (port.chunks.clone(), Arc::clone(&port.n_overruns));
    let on_error = move |error: cpal::Error| match error.kind() {
        ErrorKind::Xrun => {
            n_overruns.fetch_add(1, Ordering::Relaxed);
        }
        // The sound goes on, by another way or with less certainty.
        ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => {}
        _ => {
            let _ = failures.try_send(Message::Failed(error.to_string()));
        }
    };
    device
        .build_input_stream(config, move |data: &[T], _| port.pass(data), on_error, None)
        .map_err(|error| trouble(name, error))
}

fn check_config(name: &str, config: &SupportedStreamConfig) -> Result<(), AudioError> {
    let (rate_hz, n_channels) = (config.sample_rate(), usize::from(config.channels()));
    if SAMPLE_RATES_HZ.contains(&rate_hz) && CHANNEL_COUNTS.contains(&n_channels) {
        return Ok(());
    }
    let reason =
        format!("it prefers {n_channels} channels at {rate_hz} Hz, which is out of measure");
    Err(AudioError::Device {
        device: name.to_owned(),
        reason,
    })
}

/// The device that is meant: by index, by its whole name, or by a part of it.
fn choose(names: &[String], asked: &str) -> Option<usize> {
    let by_index = asked
        .trim()
        .parse::<usize>()
        .ok()
        .filter(|&index| index < names.len());
    let lower = asked.to_lowercase();
    by_index
        .or_else(|| names.iter().position(|name| name.to_lowercase() == lower))
        .or_else(|| {
            names
                .iter()
                .position(|name| !lower.is_empty() && name.to_lowercase().contains(&lower))
        })
}

fn device_name(device: &cpal::Device) -> String {
    device.description().map_or_else(
        |_| "unnamed".to_owned(),
        |description| description.name().to_owned(),
    )
}

fn trouble(name: &str, error: cpal::Error) -> AudioError {
    let device = if name.is_empty() { "any" } else { name };
    AudioError::Device {
        device: device.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["Built-in Audio", "USB Microphone", "USB Microphone Pro"]
            .map(str::to_owned)
            .to_vec()
    }

    #[test]
    fn a_device_is_chosen_by_index_name_or_part_of_a_name() {
        assert_eq!(choose(&names(), "2"), Some(2));
        assert_eq!(choose(&names(), "usb microphone pro"), Some(2));
        assert_eq!(choose(&names(), "usb"), Some(1));
        assert_eq!(choose(&names(), "BUILT"), Some(0));
        for none in ["3", "bluetooth", ""] {
            assert_eq!(choose(&names(), none), None);
        }
    }

    #[test]
    fn a_wrong_name_is_answered_with_what_there_is() {
        let error = AudioError::NoDevice {
            asked: "bluetooth".to_owned(),
            available: names(),
        };
        let want = r#"no microphone "bluetooth"; there are 0: Built-in Audio, 1: USB Microphone, 2: USB Microphone Pro"#;
        assert_eq!(error.to_string(), want);
    }

    #[test]
    fn asking_for_a_device_that_is_not_there_never_panics() {
        let error = Microphone::open(Some("no such microphone anywhere"), 16_000).err();
        assert!(
            matches!(
                error,
                Some(AudioError::NoDevice { .. } | AudioError::Device { .. })
            ),
            "{error:?}"
        );
    }

    #[test]
    fn a_slow_reader_loses_the_newest_chunks_and_is_told() {
        let (sender, chunks) = sync_channel(2);
        let (_spent, spent_receiver) = sync_channel::<Vec<f32>>(2);
        let n_overruns = Arc::new(AtomicU64::new(0));
        let port = Port {
            chunks: sender,
            spent: spent_receiver,
            n_overruns: Arc::clone(&n_overruns),
        };
        for chunk in [[1_i16, 2], [3, 4], [5, 6], [7, 8]] {
            port.pass(&chunk);
        }
        assert_eq!(n_overruns.load(Ordering::Relaxed), 2);
        assert_eq!(chunks.try_iter().count(), 2);
    }

    #[test]
    fn device_chunks_sound_like_the_same_file() {
        let stereo: Vec<f32> = (0..48_000)
            .flat_map(|i| [0.0, (i as f32 * 0.05).sin() * 0.5])
            .collect();
        let mut intake = Intake::new(2, 48_000, 16_000).unwrap();
        let mut heard = Vec::new();
        for chunk in stereo.chunks(2 * 480) {
            intake.push(chunk, &mut heard);
        }
        let want: Vec<f32> = (0..heard.len())
            .map(|i| (i as f32 * 0.15).sin() * 0.5)
            .collect();
        assert!(heard.len() > 15_000);
        for (found, want) in heard.iter().zip(&want).skip(500) {
            assert!((found - want).abs() < 1e-3);
        }
    }
}
