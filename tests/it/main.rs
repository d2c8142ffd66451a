//! The house from outside: command lines in, text and files out.

mod cli;
mod dataset;
mod ensembles;
mod export;
mod fidelity;
mod field;
mod gpu;
mod languages;
mod layers;
mod listener;
#[cfg(all(feature = "mic", target_os = "linux"))]
mod live;
mod pipeline;
mod place;
mod recipes;
mod serve;
mod study;
mod tabular;
mod tones;
