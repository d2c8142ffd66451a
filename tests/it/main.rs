//! The house from outside: command lines in, text and files out.

mod cli;
mod ensembles;
mod fidelity;
mod gpu;
mod layers;
mod pipeline;
mod place;
mod recipes;
mod study;
mod tabular;
mod tones;
