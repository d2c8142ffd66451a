//! A socket whose reads end at a deadline, however slowly its bytes drip.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A client that does not take what it is sent for this long is gone.
const SEND_PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

impl Timed {
    pub fn new(stream: TcpStream, patience: Duration) -> io::Result<Self> {
        // Answers are short and wanted at once.
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(SEND_PATIENCE))?;
        Ok(Self {
            stream,
            deadline: Instant::now() + patience,
        })
    }

    /// All reads from now on must be done within this time.
    pub fn allow(&mut self, patience: Duration) {
        self.deadline = Instant::now() + patience;
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(too_late());
        }
        self.stream.set_read_timeout(Some(left))?;
        match self.stream.read(buffer) {
            Err(error) if is_timeout(&error) => Err(too_late()),
            other => other,
        }
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.stream.write(bytes) {
            Err(error) if is_timeout(&error) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client does not take what it is sent",
            )),
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Systems differ in how they call it.
fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn too_late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "nothing whole came in time")
}
