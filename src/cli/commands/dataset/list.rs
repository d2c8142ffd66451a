//! `auricle dataset list`.

use std::io::Write;

use auricle_datasets::card::{ArchiveSpec, CardSpec, Checksum, card, cards};
use auricle_datasets::fetch::size;

use crate::cli::args_dataset::ListArgs;

pub(super) fn list(args: &ListArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    match (&args.card, args.json) {
        (Some(name), true) => writeln!(out, "{}", serde_json::to_string_pretty(card(name)?)?)?,
        (None, true) => writeln!(out, "{}", serde_json::to_string_pretty(cards())?)?,
        (Some(name), false) => one(card(name)?, out)?,
        (None, false) => {
            for card in cards() {
                writeln!(out, "{:<24} {:<16} {}", card.name, card.licence, card.about)?;
            }
        }
    }
    Ok(())
}

fn one(card: &CardSpec, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "{}: {}", card.title, card.about)?;
    writeln!(out, "\nhomepage  {}", card.homepage)?;
    writeln!(out, "licence   {}", card.licence)?;
    if let Some(rate_hz) = card.sample_rate_hz {
        writeln!(out, "rate      {rate_hz} Hz")?;
    }
    writeln!(out, "cite      {}", card.citation.trim())?;
    if let Some(how) = &card.by_hand {
        writeln!(out, "\n{how}")?;
    }
    if !card.archives.is_empty() {
        writeln!(out, "\nparts")?;
    }
    for archive in &card.archives {
        writeln!(out, "  {}", archive_line(archive))?;
    }
    if !card.languages.is_empty() {
        writeln!(out, "\nlanguages {}", card.languages.join(" "))?;
    }
    writeln!(out, "\ntasks")?;
    for task in &card.tasks {
        writeln!(out, "  {:<18} {}", task.name, task.about)?;
        for count in &task.counts {
            let label = count
                .label
                .as_ref()
                .map_or(String::new(), |label| format!(" of {label}"));
            let split = count
                .split
                .map_or(String::new(), |split| format!(" in {split}"));
            let (n, of, source) = (count.n, count.of.name(), &count.source);
            writeln!(out, "  {:<18}   {n} {of}{label}{split} ({source})", "")?;
        }
    }
    for note in &card.notes {
        writeln!(out, "\n{note}")?;
    }
    Ok(())
}

fn archive_line(archive: &ArchiveSpec) -> String {
    let size = archive
        .n_bytes
        .map_or("size not on record".to_owned(), size);
    let checksum = match archive.checksum {
        Checksum::Sha256 { .. } => "sha256 known",
        Checksum::Md5 { .. } => "md5 known",
        Checksum::Unknown => "no checksum on record",
    };
    let optional = if archive.optional {
        ", only if asked for"
    } else {
        ""
    };
    format!(
        "{:<18} {} ({size}, {checksum}{optional})",
        archive.part, archive.file
    )
}
