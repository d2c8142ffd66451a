//! Listening for others: a bundle behind a socket, for Home Assistant's Wyoming protocol and for WebSockets.
//!
//! One thread and one [`Session`](crate::stream::Session) a client, over one bundle that all share. No byte that comes
//! in is believed: lines, frames and payloads have a longest length, a message must arrive whole within a time, a
//! client that says nothing is let go, and there are never more than [`Limits::n_clients`] of them. What one client
//! does wrong ends that client and no other. The room opens no port by itself, prints nothing, and has no passwords:
//! whoever can reach the port may listen with it.

mod hearing;
mod http;
mod timed;
pub mod websocket;
pub mod wyoming;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::bundle::{Bundle, BundleError};
use crate::stream::Session;

/// How much a client may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Clients at a time, of one listener.
    pub n_clients: usize,
    /// Largest message or payload.
    pub max_message_bytes: usize,
    /// A client that says nothing for this long is let go.
    pub idle: Duration,
    /// A message must be whole this long after its first byte; so must the first request after connecting.
    pub message: Duration,
}

impl Limits {
    /// Eight clients, 1 MiB, a minute, ten seconds.
    pub fn home() -> Self {
        Self {
            n_clients: 8,
            max_message_bytes: 1 << 20,
            idle: Duration::from_secs(60),
            message: Duration::from_secs(10),
        }
    }
}

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Wyoming,
    WebSocket,
}

/// What a server has to say while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    Connected {
        peer: SocketAddr,
    },
    /// `reason`: why the server let it go, if it was not the client's wish.
    Left {
        peer: SocketAddr,
        reason: Option<String>,
    },
    /// There were [`Limits::n_clients`] already.
    TurnedAway {
        peer: SocketAddr,
    },
    /// The system gave no connection; it is tried again.
    NoConnection {
        reason: String,
    },
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Notice::Connected { peer } => write!(f, "{peer} connected"),
            Notice::Left { peer, reason: None } => write!(f, "{peer} left"),
            Notice::Left {
                peer,
                reason: Some(reason),
            } => write!(f, "{peer} was let go: {reason}"),
            Notice::TurnedAway { peer } => write!(f, "{peer} turned away: too many clients"),
            Notice::NoConnection { reason } => write!(f, "no connection: {reason}"),
        }
    }
}

/// Why a client is let go.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It broke the protocol or a limit.
    #[error("{0}")]
    Refused(String),
}

pub(crate) fn refused(reason: impl Into<String>) -> ClientError {
    ClientError::Refused(reason.into())
}

/// Serves a port until the process ends. Each client gets its own thread.
///
/// # Errors
///
/// Where [`Bundle::validate`] finds one. It does not return otherwise.
pub fn serve(
    listener: &TcpListener,
    protocol: Protocol,
    bundle: &Arc<Bundle>,
    limits: Limits,
    tell: &Arc<dyn Fn(Notice) + Send + Sync>,
) -> Result<(), BundleError> {
    Session::new(bundle)?;
    let n_clients = Arc::new(AtomicUsize::new(0));
    loop {
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file handles, or the client has gone already: others may still come.
                tell(Notice::NoConnection {
                    reason: error.to_string(),
                });
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let seat = Seat::take(&n_clients);
        if n_clients.load(Ordering::SeqCst) > limits.n_clients {
            turn_away(stream, protocol);
            tell(Notice::TurnedAway { peer });
            continue;
        }
        let (bundle, tell_client) = (Arc::clone(bundle), Arc::clone(tell));
        let spawned = thread::Builder::new()
            .name(format!("client {peer}"))
            .spawn(move || {
                let _seat = seat; // given back even if this thread panics
                tell_client(Notice::Connected { peer });
                let ended = match protocol {
                    Protocol::Wyoming => wyoming::attend(stream, &bundle, &limits),
                    Protocol::WebSocket => websocket::attend(stream, &bundle, &limits),
                };
                let reason = ended.err().map(|error| error.to_string());
                tell_client(Notice::Left { peer, reason });
            });
        if let Err(error) = spawned {
            let reason = error.to_string();
            tell(Notice::NoConnection { reason });
        }
    }
}

/// One client's place among the few.
struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(n_taken: &Arc<AtomicUsize>) -> Self {
        n_taken.fetch_add(1, Ordering::SeqCst);
        Seat(Arc::clone(n_taken))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Says so without waiting for anything; what does not fit into the system's buffer is lost.
fn turn_away(stream: TcpStream, protocol: Protocol) {
    let text: &[u8] = match protocol {
        Protocol::Wyoming => wyoming::BUSY,
        Protocol::WebSocket => http::BUSY,
    };
    let _ = stream.set_nonblocking(true);
    let _ = io::Write::write(&mut &stream, text);
    let _ = stream.shutdown(std::net::Shutdown::Write);
}

#[cfg(test)]
mod tests;
