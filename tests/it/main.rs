//! The house from outside: command lines in, text and files out.

mod cli;
mod gpu;
mod layers;
mod pipeline;
mod recipes;
mod tones;
