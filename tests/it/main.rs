//! The house from outside: command lines in, text and files out.

mod cli;
mod dataset;
mod ensembles;
mod export;
mod fidelity;
mod gpu;
mod languages;
mod layers;
mod pipeline;
mod place;
mod recipes;
mod study;
mod tabular;
mod tones;
