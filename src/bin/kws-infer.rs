//! `kws-infer`: hears keywords. What it does stands in `cli::infer`; this is where it meets the process.

use std::io::{self, Write};
use std::process::ExitCode;

use auricle::cli::infer::{KwsInfer, exit_status, kws_infer, message};
use clap::Parser;

fn main() -> ExitCode {
    let command = KwsInfer::parse();
    let (mut input, mut out, mut err) = (io::stdin().lock(), io::stdout().lock(), io::stderr());
    let result = kws_infer(&command, &mut input, &mut out, &mut err);
    if let Err(error) = &result {
        // Where not even this can be written, the exit status still tells.
        let _ = writeln!(err, "error: {}", message(error));
    }
    ExitCode::from(exit_status(&result))
}
