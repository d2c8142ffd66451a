//! One file and one function a command.

mod clips;
mod compare;
mod dataset;
mod demo;
mod describe;
mod devices;
mod distil;
mod evaluate;
mod explain;
mod export;
mod ingest;
mod own_words;
mod run;
mod study;
mod tune;
mod worker;

use std::io::Write;

use super::args::{Auricle, Command};

/// Runs a command line; the exit status.
pub fn auricle(args: &Auricle) -> u8 {
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let result = match &args.command {
        Command::Serve(args) => {
            let result = super::infer::serve(args, &mut err);
            return told(&result, &mut err);
        }
        Command::Demo(args) => demo::demo(args, &mut out),
        Command::Run(args) => run::run(args, &mut out),
        Command::OwnWords(args) => own_words::own_words(args, &mut out),
        Command::Search(args) => run::search(args, &mut out),
        Command::Dataset(args) => dataset::dataset(args, &mut out),
        Command::Ingest(args) => ingest::ingest(args, &mut out),
        Command::Worker(args) => worker::worker(args, &mut out),
        Command::Study(args) => study::study(args, &mut out),
        Command::Distil(args) => distil::distil(args, &mut out),
        Command::Evaluate(args) => evaluate::evaluate(args, &mut out, &mut err),
        Command::Compare(args) => compare::compare(args, &mut out, &mut err),
        Command::Explain(args) => explain::explain(args, &mut out),
        Command::Export(args) => export::export(args, &mut out, &mut err),
        Command::Tune(args) => tune::tune(args, &mut out, &mut err),
        Command::Describe(args) => describe::describe(args, &mut out),
        Command::Devices => devices::devices(&mut out),
        Command::Infer(args) => {
            let mut input = std::io::stdin().lock();
            let result = super::infer::infer(args, &mut input, &mut out, &mut err);
            return told(&result, &mut err);
        }
    };
    match result {
        Ok(()) => 0,
        // Whoever read our output went away: a quiet end.
        Err(error) if is_broken_pipe(&error) => 0,
        Err(error) => {
            let _ = writeln!(err, "error: {}", super::infer::message(&error));
            1
        }
    }
}

/// Files at a time: so many, or one a core.
fn workers(asked: Option<usize>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    asked.unwrap_or_else(cores)
}

/// Threads for work on many files.
fn pool(asked: Option<usize>) -> anyhow::Result<rayon::ThreadPool> {
    Ok(rayon::ThreadPoolBuilder::new()
        .num_threads(workers(asked).max(1))
        .build()?)
}

/// The exit status of a listener's command, its error told.
fn told(result: &anyhow::Result<()>, err: &mut dyn Write) -> u8 {
    if let Err(error) = result {
        let _ = writeln!(err, "error: {}", super::infer::message(error));
    }
    super::infer::exit_status(result)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
