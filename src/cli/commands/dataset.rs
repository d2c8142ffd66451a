//! `auricle dataset`: published corpora by name, corpora spoken from words, and what any corpus is like.

mod augment_page;
mod get;
mod inspect;
mod list;
mod listen;
mod synth;

use std::io::Write;

pub(super) use synth::corpus as own_corpus;

use crate::cli::args_dataset::DatasetCommand;

pub fn dataset(command: &DatasetCommand, out: &mut dyn Write) -> anyhow::Result<()> {
    match command {
        DatasetCommand::List(args) => list::list(args, out),
        DatasetCommand::Get(args) => get::get(args, out),
        DatasetCommand::Check(args) => inspect::check(args, out),
        DatasetCommand::Stats(args) => inspect::stats(args, out),
        DatasetCommand::ListenHtml(args) => listen::listen_html(args, out),
        DatasetCommand::Synth(args) => synth::synth(args, out),
        DatasetCommand::AugmentPage(args) => augment_page::augment_page(args, out),
    }
}
