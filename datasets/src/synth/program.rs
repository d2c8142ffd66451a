//! Another program, run to its end: its output, or what it said instead.

use std::io::{self, Write};
use std::process::{Command, Output, Stdio};

use super::SynthError;
use super::wave::samples_of;

/// Runs with a short text on standard input.
///
/// # Errors
///
/// [`SynthError::ProgramMissing`]; [`SynthError::Program`] where it ends without success.
pub(super) fn run(command: &mut Command, input: &[u8]) -> Result<Output, SynthError> {
    // Ctrl-C on a terminal is for whoever asked; the file at hand is finished.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let talk = |command: &mut Command| {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // Who does not read its input says why by its status.
            let _ = stdin.write_all(input);
        }
        child.wait_with_output()
    };
    let output = talk(command).map_err(|source| {
        let program = command.get_program().into();
        match source.kind() {
            io::ErrorKind::NotFound => SynthError::ProgramMissing { program },
            _ => SynthError::Io {
                path: program,
                source,
            },
        }
    })?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    // The last line of a long complaint is its reason.
    let reason = said.trim().lines().last().unwrap_or_default();
    Err(SynthError::Program {
        command: describe(command),
        found: format!("{}, {reason}", output.status),
        expected: "success",
    })
}

/// Runs a program that writes a WAV of that rate, `expected` in words, to its output. Returns its samples.
///
/// # Errors
///
/// Those of [`run`]; [`SynthError::Program`] where it writes anything else.
pub(super) fn run_for_wav(
    command: &mut Command,
    rate_hz: u32,
    expected: &'static str,
) -> Result<Vec<i16>, SynthError> {
    let output = run(command, &[])?;
    samples_of(&output.stdout, rate_hz).map_err(|found| SynthError::Program {
        command: describe(command),
        found: found.to_owned(),
        expected,
    })
}

/// The command line, for errors.
pub(super) fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
