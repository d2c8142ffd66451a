//! An input that outlives its device: pulled out, it is waited for; back, it goes on.
//!
//! Refuses to print and to know what is listened for. What there is to say comes as [`Heard`] values.

use std::time::Duration;

use super::AudioError;

/// A device that gives samples as they come.
pub trait Device {
    /// Waits for a chunk for at most `patience` and appends its samples. `false`: none came in time.
    ///
    /// # Errors
    ///
    /// When the device is gone.
    fn read(&mut self, out: &mut Vec<f32>, patience: Duration) -> Result<bool, AudioError>;

    /// Chunks lost so far.
    fn n_overruns(&self) -> u64;
}

/// How long things are waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// One read.
    pub read: Duration,
    /// A device that gives no chunk for this long is taken for gone: not every driver says that it is.
    pub stalled: Duration,
    /// Between two tries to open a device that is gone.
    pub retry: Duration,
}

impl Patience {
    pub fn microphone() -> Self {
        Self {
            read: Duration::from_millis(200),
            stalled: Duration::from_secs(3),
            retry: Duration::from_secs(1),
        }
    }
}

/// What became of one wait.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// Samples were appended.
    Samples,
    /// None yet.
    Nothing,
    /// The device is gone, and why; from now on it is waited for.
    Gone { reason: String },
    /// It is there again; what comes is a new stream.
    Back,
}

/// A device, and the way to open it again.
pub struct Lasting<D, O> {
    open: O,
    device: Option<D>,
    patience: Patience,
    waited: Duration,
    /// Of devices that are gone.
    n_overruns: u64,
}

impl<D: Device, O: FnMut() -> Result<D, AudioError>> Lasting<D, O> {
    /// Opens the device for the first time.
    ///
    /// # Errors
    ///
    /// Those of `open`: a device that was never there is not waited for.
    pub fn open(mut open: O, patience: Patience) -> Result<Self, AudioError> {
        Ok(Self {
            device: Some(open()?),
            open,
            patience,
            waited: Duration::ZERO,
            n_overruns: 0,
        })
    }

    /// The device, while it is there.
    pub fn device(&self) -> Option<&D> {
        self.device.as_ref()
    }

    /// Waits for what comes next and appends samples where it is [`Heard::Samples`].
    pub fn next(&mut self, out: &mut Vec<f32>) -> Heard {
        let Some(device) = &mut self.device else {
            std::thread::sleep(self.patience.retry);
            return match (self.open)() {
                Ok(device) => {
                    self.device = Some(device);
                    self.waited = Duration::ZERO;
                    Heard::Back
                }
                Err(_) => Heard::Nothing,
            };
        };
        match device.read(out, self.patience.read) {
            Ok(true) => {
                self.waited = Duration::ZERO;
                Heard::Samples
            }
            Ok(false) => {
                self.waited += self.patience.read;
                if self.waited < self.patience.stalled {
                    return Heard::Nothing;
                }
                let waited_s = self.waited.as_secs_f64();
                self.lose(format!("it gives nothing for {waited_s:.0} s"))
            }
            Err(error) => self.lose(error.to_string()),
        }
    }

    /// Chunks lost so far, of all devices there were.
    pub fn n_overruns(&self) -> u64 {
        self.n_overruns + self.device.as_ref().map_or(0, Device::n_overruns)
    }

    fn lose(&mut self, reason: String) -> Heard {
        self.n_overruns = self.n_overruns();
        self.device = None;
        Heard::Gone { reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Gives what it was told to: a chunk, nothing, or its end.
    struct Scripted(Vec<Option<bool>>);

    impl Device for Scripted {
        fn read(&mut self, out: &mut Vec<f32>, _: Duration) -> Result<bool, AudioError> {
            match self.0.pop() {
                Some(Some(true)) => {
                    out.push(0.5);
                    Ok(true)
                }
                Some(Some(false)) => Ok(false),
                Some(None) | None => Err(AudioError::Device {
                    device: "usb".into(),
                    reason: "no longer there".into(),
                }),
            }
        }

        fn n_overruns(&self) -> u64 {
            2
        }
    }

    fn patience() -> Patience {
        Patience {
            read: Duration::from_millis(100),
            stalled: Duration::from_millis(300),
            retry: Duration::ZERO,
        }
    }

    #[test]
    fn a_device_that_is_pulled_out_is_waited_for_and_goes_on() {
        let n_opened = Cell::new(0);
        let open = || {
            n_opened.set(n_opened.get() + 1);
            match n_opened.get() {
                2 | 3 => Err(AudioError::NoDevice {
                    asked: "usb".into(),
                    available: vec![],
                }),
                _ => Ok(Scripted(vec![None, Some(true)])),
            }
        };
        let mut lasting = Lasting::open(open, patience()).unwrap();
        let mut samples = Vec::new();
        let heard: Vec<Heard> = (0..6).map(|_| lasting.next(&mut samples)).collect();
        let gone = Heard::Gone {
            reason: "microphone \"usb\": no longer there".into(),
        };
        let expected = [
            Heard::Samples,
            gone,
            Heard::Nothing,
            Heard::Nothing,
            Heard::Back,
            Heard::Samples,
        ];
        assert_eq!(heard, expected);
        assert_eq!(samples, [0.5, 0.5]);
        assert_eq!(lasting.n_overruns(), 4, "those of both devices");
    }

    #[test]
    fn a_device_that_only_stops_giving_is_gone_too_and_a_slow_one_is_not() {
        let script = vec![
            Some(false),
            Some(false),
            Some(false),
            Some(true),
            Some(false),
            Some(false),
        ];
        let mut lasting = Lasting::open(|| Ok(Scripted(script.clone())), patience()).unwrap();
        let heard: Vec<Heard> = (0..6).map(|_| lasting.next(&mut Vec::new())).collect();
        assert_eq!(heard[..3], [Heard::Nothing, Heard::Nothing, Heard::Samples]);
        assert!(matches!(&heard[5], Heard::Gone { reason } if reason.contains("gives nothing")));
    }

    #[test]
    fn a_device_that_was_never_there_is_an_error_at_once() {
        let open = || -> Result<Scripted, AudioError> {
            Err(AudioError::NoDevice {
                asked: "usb".into(),
                available: vec![],
            })
        };
        assert!(Lasting::open(open, patience()).is_err());
    }
}
