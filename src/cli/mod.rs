//! The command line: the only room that prints, exits, reads flags or names a backend. It holds no
//! logic: a command is a function from arguments to text.

#[cfg(feature = "search")]
mod args;
#[cfg(feature = "search")]
mod args_dataset;
#[cfg(feature = "search")]
mod commands;
#[cfg(feature = "search")]
pub mod device;
pub mod infer;
#[cfg(feature = "search")]
mod progress;

#[cfg(feature = "search")]
pub use args::Auricle;
#[cfg(feature = "search")]
pub use commands::auricle;
