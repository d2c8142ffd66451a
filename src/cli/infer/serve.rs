//! `kws-infer serve` and `auricle serve`: a bundle behind a port.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use super::{InferError, Overrides, ServeArgs, with_overrides};
use crate::bundle::Bundle;
use crate::serve::{Limits, Notice, Protocol, serve as serve_port};

/// Serves until the process ends; what happens is written to standard error.
///
/// # Errors
///
/// An address that cannot be had, a bundle that does not open.
pub fn serve(args: &ServeArgs, err: &mut dyn Write) -> anyhow::Result<()> {
    let overrides = Overrides {
        threshold: args.threshold,
        refractory_ms: None,
        smoothing_ms: None,
        voice_gate: args.voice_gate,
    };
    let asked = [
        (Protocol::Wyoming, &args.wyoming),
        (Protocol::WebSocket, &args.websocket),
    ];
    if asked.iter().all(|(_, address)| address.is_none()) {
        let message =
            "nothing to serve, expected --wyoming tcp://HOST:PORT or --websocket HOST:PORT";
        bail!(InferError::Usage(message.into()));
    }
    let bundle = Arc::new(with_overrides(Bundle::load(&args.bundle)?, overrides)?);
    let limits = Limits {
        n_clients: args.max_clients.max(1),
        max_message_bytes: args.max_message_kib.clamp(4, 1 << 16) << 10,
        idle: Duration::from_secs(args.idle_s.clamp(1, 86_400)),
        ..Limits::home()
    };
    let mut listeners = Vec::new();
    for (protocol, address) in asked {
        if let Some(address) = address {
            listeners.push((protocol, bind(address, err)?));
        }
    }
    for (protocol, listener) in &listeners {
        let address = listener.local_addr()?;
        match protocol {
            Protocol::Wyoming => writeln!(err, "Wyoming at tcp://{address}")?,
            Protocol::WebSocket => writeln!(
                err,
                "page at http://{address}/, WebSocket at ws://{address}/listen"
            )?,
        }
    }
    err.flush()?;
    let tell: Arc<dyn Fn(Notice) + Send + Sync> = Arc::new(|notice: Notice| {
        // Nobody may be reading; serving goes on.
        let _ = writeln!(std::io::stderr(), "{notice}");
    });
    thread::scope(|scope| -> anyhow::Result<()> {
        let serving: Vec<_> = listeners
            .iter()
            .map(|(protocol, listener)| {
                let (bundle, tell) = (&bundle, &tell);
                scope.spawn(move || serve_port(listener, *protocol, bundle, limits, tell))
            })
            .collect();
        for thread in serving {
            match thread.join() {
                Ok(served) => served?,
                Err(_) => bail!("a server has failed"),
            }
        }
        Ok(())
    })
}

fn bind(asked: &str, err: &mut dyn Write) -> anyhow::Result<TcpListener> {
    let plain = asked.strip_prefix("tcp://").unwrap_or(asked);
    let usage =
        |why: String| InferError::Usage(format!("{asked}: {why}, expected tcp://HOST:PORT"));
    let addresses: Vec<SocketAddr> = plain
        .to_socket_addrs()
        .map_err(|error| usage(error.to_string()))?
        .collect();
    let listener = TcpListener::bind(&addresses[..]).with_context(|| format!("address {asked}"))?;
    if !listener.local_addr()?.ip().is_loopback() {
        let warning = "warning: whoever can reach this machine can connect; there is no password";
        writeln!(err, "{warning}")?;
    }
    Ok(listener)
}
