//! auricle: search, train and run small speech networks.
//!
//! The rooms and who may import whom stand in ARCHITECTURE.md. Without the feature `search` only
//! what `kws-infer` needs is left: no tensors, no corpora, no GPU.

#[cfg(test)]
mod allocations;
pub mod audio;
pub mod bundle;
pub mod cli;
#[cfg(test)]
mod damage;
#[cfg(feature = "search")]
pub mod evaluate;
#[cfg(feature = "export")]
pub mod export;
#[cfg(feature = "search")]
pub mod ingest;
pub mod model;
#[cfg(feature = "search")]
pub mod recipe;
#[cfg(feature = "search")]
pub mod run;
#[cfg(feature = "search")]
pub mod search;
pub mod serve;
pub mod stream;
