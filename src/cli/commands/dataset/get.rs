//! `auricle dataset get`.

use std::io::Write;

use auricle_datasets::card::card;
use auricle_datasets::fetch::{self, Rules, Selection, size};

use crate::cli::args_dataset::GetArgs;
use crate::cli::progress::{Progress, listen_for_stop};

pub(super) fn get(args: &GetArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let card = card(&args.card)?;
    let selection = Selection {
        parts: args.part.clone(),
        languages: args.language.clone(),
    };
    listen_for_stop();
    let progress = Progress::new();
    let fetched = fetch::get(
        card,
        &selection,
        &args.to,
        args.keep_archives,
        &Rules::patient(),
        &progress,
    )?;
    drop(progress);
    for archive in &fetched {
        writeln!(
            out,
            "{}: {}, {}; {} files, {} in {}{}",
            archive.file,
            size(archive.n_bytes),
            if archive.is_verified {
                "checksum right".to_owned()
            } else {
                format!("no checksum on record, found sha256 {}", archive.sha256)
            },
            archive.n_files,
            size(archive.unpacked_bytes),
            args.to.join(&archive.into).display(),
            if archive.already_done {
                " (done before)"
            } else {
                ""
            },
        )?;
    }
    writeln!(
        out,
        "licence {}; cite {}",
        card.licence,
        card.citation.trim()
    )?;
    let to = args.to.display();
    writeln!(out, "next: auricle dataset check {to} --card {}", args.card)?;
    Ok(())
}
