//! The house from outside: command lines in, text and files out.

#[cfg(feature = "cloud")]
mod buckets;
mod cli;
mod dataset;
mod deploy;
mod ensembles;
mod export;
#[cfg(feature = "postgres")]
mod faults;
mod fidelity;
mod field;
#[cfg(feature = "postgres")]
mod fleet;
mod gpu;
mod languages;
mod layers;
mod listener;
#[cfg(all(feature = "mic", target_os = "linux"))]
mod live;
mod pipeline;
mod place;
#[cfg(feature = "postgres")]
#[allow(dead_code, reason = "shared with the benches")]
mod postgres_server;
mod recipes;
mod serve;
mod shared;
mod speech_commands;
mod study;
mod tabular;
mod tones;
mod walk;
mod watch;
