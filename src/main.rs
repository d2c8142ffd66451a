//! `auricle`: what it does stands in `cli::commands`; this is where it meets the process.

use std::process::ExitCode;

use auricle::cli::{Auricle, auricle};
use clap::Parser;

fn main() -> ExitCode {
    ExitCode::from(auricle(&Auricle::parse()))
}
