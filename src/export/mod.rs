//! Bundles for runtimes that are not ours: one ONNX graph out of all networks of a bundle.
//!
//! The room writes and never reads, knows the layers' shapes and weights and not how they were found,
//! and leaves the front-end out: frames go in, as [`auricle-features`](auricle_features) or any tool
//! with the same parameters makes them. Those stand in the file's metadata.

pub mod onnx;

pub use onnx::{ExportError, Form};

#[cfg(test)]
mod tests;
