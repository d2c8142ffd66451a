//! One client's sound: PCM of its format -> samples -> detections.

use std::time::Duration;

use super::{ClientError, refused};
use crate::audio::{RawFormat, RawIntake, SampleFormat};
use crate::bundle::Bundle;
use crate::stream::{Detection, Session};

pub(super) struct Hearing {
    session: Session,
    sample_rate_hz: u32,
    intake: Option<RawIntake>,
    samples: Vec<f32>,
}

impl Hearing {
    pub fn new(bundle: &Bundle) -> Result<Self, ClientError> {
        Ok(Self {
            session: Session::new(bundle).map_err(|error| refused(error.to_string()))?,
            sample_rate_hz: bundle.frontend.sample_rate_hz,
            intake: None,
            samples: Vec::new(),
        })
    }

    /// Forgets all sound.
    pub fn start(&mut self) {
        self.session.reset();
        self.intake = None;
    }

    /// Hears bytes of a format; what was heard before in another format goes on.
    pub fn push(
        &mut self,
        format: RawFormat,
        bytes: &[u8],
        mut on: impl FnMut(Detection),
    ) -> Result<(), ClientError> {
        let is_same = |intake: &RawIntake| intake.format() == format;
        if !self.intake.as_ref().is_some_and(is_same) {
            let intake = RawIntake::new(format, self.sample_rate_hz);
            self.intake = Some(intake.map_err(|error| refused(error.to_string()))?);
        }
        let intake = self.intake.as_mut().expect("set above");
        self.samples.clear();
        intake
            .push(bytes, &mut self.samples)
            .map_err(|error| refused(error.to_string()))?;
        self.session.push(&self.samples, &mut on);
        Ok(())
    }

    /// The sound has ended; what is still open is decided.
    pub fn finish(&mut self, mut on: impl FnMut(Detection)) {
        self.samples.clear();
        if let Some(mut intake) = self.intake.take() {
            // Half a frame at the end is nobody's fault worth telling.
            let _ = intake.finish(&mut self.samples);
        }
        self.session.push(&self.samples, &mut on);
        self.session.finish(&mut on);
    }

    /// A place in the sound.
    pub fn time_of(&self, sample: u64) -> Duration {
        Duration::from_secs_f64(sample as f64 / f64::from(self.sample_rate_hz))
    }
}

/// Linear PCM of a width in bytes, little-endian and signed.
pub(super) fn pcm(
    sample_rate_hz: u32,
    width_bytes: u64,
    n_channels: usize,
) -> Result<RawFormat, ClientError> {
    let sample_format = match width_bytes {
        2 => SampleFormat::S16Le,
        3 => SampleFormat::S24Le,
        4 => SampleFormat::S32Le,
        _ => {
            let reason = format!("width of {width_bytes} bytes a sample, expected 2, 3 or 4");
            return Err(refused(reason));
        }
    };
    Ok(RawFormat {
        sample_rate_hz,
        n_channels,
        sample_format,
    })
}
