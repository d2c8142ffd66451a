//! `auricle dataset listen-html`: samples of each label on one page, to be heard and seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use auricle_datasets::ManifestRow;
use auricle_datasets::seeded::purpose_rng;
use auricle_datasets::slashed;
use rand::seq::SliceRandom;

use super::inspect::{Listed, listed};
use crate::audio::{AudioError, AudioReader, Clip, wav_bytes};
use crate::cli::args_dataset::ListenHtmlArgs;
use crate::cli::progress::{Progress, is_stopping, listen_for_stop};
use crate::evaluate::report::{Media, SoundSection, player, silence, sound_page, waveform};

/// What training hears.
const RATE_HZ: u32 = 16_000;

pub(super) fn listen_html(args: &ListenHtmlArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    if !(args.max_s > 0.0 && args.max_s <= 600.0) {
        bail!("--max-s: found {}, expected up to 600 seconds", args.max_s);
    }
    listen_for_stop();
    let progress = Progress::new();
    let Listed { root, rows, task } = listed(&args.corpus, &progress)?;
    let n_rows = rows.len();
    let mut labels: BTreeMap<&str, Vec<&ManifestRow>> = BTreeMap::new();
    for row in &rows {
        labels.entry(&row.label).or_default().push(row);
    }
    for wanted in &args.label {
        if !labels.contains_key(wanted.as_str()) {
            let known: Vec<&str> = labels.keys().copied().collect();
            bail!(
                "--label: found no clip of `{wanted}`, only of {}",
                known.join(", ")
            );
        }
    }
    if !args.label.is_empty() {
        labels.retain(|label, _| args.label.iter().any(|wanted| wanted == label));
    }
    let mut parts = Vec::with_capacity(labels.len());
    let (mut n_shown, mut n_faulty) = (0, 0);
    progress.step("draw the clips");
    for (label, rows) in &labels {
        let mut pictures = Vec::new();
        for row in drawn(rows, args.clips.get(), args.seed, label) {
            if is_stopping() {
                bail!("stopped");
            }
            n_shown += 1;
            match shown(args, &root, row) {
                Ok(shown) => pictures.push(shown),
                Err(error) => {
                    n_faulty += 1;
                    pictures.push(silence(&error.to_string()));
                }
            }
        }
        let speakers: BTreeSet<&str> = rows
            .iter()
            .filter_map(|row| row.speaker.as_deref())
            .collect();
        parts.push(SoundSection {
            title: (*label).to_owned(),
            note: format!("{} clips, {} speakers", rows.len(), speakers.len()),
            pictures,
        });
    }
    drop(progress);
    let mut facts = vec![
        ("corpus".to_owned(), args.corpus.place.display().to_string()),
        (
            "clips".to_owned(),
            format!("{n_shown} of {n_rows}, drawn by seed {}", args.seed),
        ),
    ];
    if let Some((card, task)) = task {
        facts.push(("card".to_owned(), format!("{}, {}", card.title, task.name)));
        facts.push(("licence".to_owned(), card.licence.clone()));
    }
    let page = sound_page("Samples of each label", &facts, &parts);
    std::fs::write(&args.out, page).with_context(|| args.out.display().to_string())?;
    if n_faulty > 0 {
        writeln!(out, "{n_faulty} of them cannot be heard; the page says why")?;
    }
    writeln!(out, "{n_shown} clips of {} labels", labels.len())?;
    writeln!(out, "  {}", args.out.display())?;
    Ok(())
}

/// Clips in a drawn order, one of each speaker before a second of any.
fn drawn<'a>(rows: &[&'a ManifestRow], n: usize, seed: u64, label: &str) -> Vec<&'a ManifestRow> {
    let mut order: Vec<&ManifestRow> = rows.to_vec();
    order.shuffle(&mut purpose_rng(seed, &format!("listen to {label}")));
    let mut n_of: BTreeMap<&str, usize> = BTreeMap::new();
    let mut turns: Vec<(usize, &ManifestRow)> = Vec::with_capacity(order.len());
    for row in order {
        // A clip of nobody known takes no turn from another.
        let turn = row.speaker.as_deref().map_or(0, |speaker| {
            let turn = n_of.entry(speaker).or_default();
            *turn += 1;
            *turn - 1
        });
        turns.push((turn, row));
    }
    turns.sort_by_key(|(turn, _)| *turn);
    turns.into_iter().take(n).map(|(_, row)| row).collect()
}

/// One clip: a line on it, a player, its waveform.
fn shown(args: &ListenHtmlArgs, root: &Path, row: &ManifestRow) -> anyhow::Result<String> {
    let path = root.join(&row.path);
    let (clip, is_cut) = stretch(&path, row, args.max_s)?;
    let mut caption = slashed(&row.path).into_owned();
    let mut more = |what: &str, value: &str| {
        let _ = write!(caption, ", {what}{value}");
    };
    if let Some(speaker) = &row.speaker {
        more("speaker ", speaker);
    }
    if let Some(split) = row.split {
        more("", &split.to_string());
    }
    if row.synthetic {
        more("", "synthetic");
    }
    if let Some(start_s) = row.start_s {
        more("from ", &format!("{start_s:.2} s"));
    }
    more("", &format!("{:.2} s", clip.seconds()));
    if is_cut {
        more("", "cut here");
    }
    let peak = clip
        .samples
        .iter()
        .fold(0.0_f32, |peak, x| peak.max(x.abs()));
    let picture = waveform(&clip.samples, clip.seconds(), peak);
    let player = if args.link {
        player(&caption, Media::Link(&address(&path, row, &args.out)?))
    } else {
        player(&caption, Media::Wav(&wav_bytes(&path, &clip)?))
    };
    Ok(player + &picture)
}

/// The row's stretch of its file, at most `max_s` of it, and whether there was more.
fn stretch(path: &Path, row: &ManifestRow, max_s: f64) -> Result<(Clip, bool), AudioError> {
    // Casts from float saturate.
    let at = |seconds: f64| (seconds * f64::from(RATE_HZ)).round() as usize;
    let start = at(row.start_s.unwrap_or(0.0));
    let wanted_end = row.end_s.map_or(usize::MAX, at);
    let end = wanted_end.min(start.saturating_add(at(max_s)));
    let mut reader = AudioReader::open(path, RATE_HZ)?;
    let (mut samples, mut chunk, mut n_read) = (Vec::new(), Vec::new(), 0);
    // One sample more than is shown tells whether there is more.
    while n_read <= end {
        chunk.clear();
        let more = reader.read(&mut chunk)?;
        let chunk_end = n_read + chunk.len();
        let (from, to) = (start.clamp(n_read, chunk_end), end.clamp(n_read, chunk_end));
        samples.extend_from_slice(&chunk[from - n_read..to - n_read]);
        n_read = chunk_end;
        if !more {
            break;
        }
    }
    let clip = Clip {
        samples,
        sample_rate_hz: RATE_HZ,
    };
    Ok((clip, n_read > end && end < wanted_end))
}

/// The file as a page at `page` refers to it: relative where both lie below one folder, with its stretch of time.
fn address(file: &Path, row: &ManifestRow, page: &Path) -> anyhow::Result<String> {
    let (file, page) = (std::path::absolute(file)?, std::path::absolute(page)?);
    let folder = page.parent().unwrap_or(&page);
    let n_common = file
        .components()
        .zip(folder.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = folder.components().skip(n_common).map(|_| Path::new(".."));
    let down = file.components().skip(n_common);
    let mut relative: PathBuf = up.collect();
    relative.extend(down);
    let mut address = String::new();
    for byte in slashed(&relative).bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                address.push(char::from(byte));
            }
            other => write!(address, "%{other:02X}")?,
        }
    }
    match (row.start_s, row.end_s) {
        (None, None) => {}
        (start, None) => write!(address, "#t={}", start.unwrap_or(0.0))?,
        (start, Some(end)) => write!(address, "#t={},{end}", start.unwrap_or(0.0))?,
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: &str, speaker: Option<&str>) -> ManifestRow {
        ManifestRow {
            path: path.into(),
            label: "go".into(),
            speaker: speaker.map(Into::into),
            split: None,
            source: None,
            start_s: None,
            end_s: None,
            synthetic: false,
            line: 0,
        }
    }

    #[test]
    fn every_speaker_is_heard_before_any_is_heard_twice() {
        let speaker = |i: usize| {
            Some(if i < 10 {
                "ann"
            } else {
                ["bob", "eve"][i - 10]
            })
        };
        let rows: Vec<ManifestRow> = (0..12).map(|i| row(&i.to_string(), speaker(i))).collect();
        let rows: Vec<&ManifestRow> = rows.iter().collect();
        for seed in 0..20 {
            let three = drawn(&rows, 3, seed, "go");
            let speakers: BTreeSet<_> = three.iter().map(|row| row.speaker.clone()).collect();
            assert_eq!(speakers.len(), 3, "seed {seed}");
            assert_eq!(three, drawn(&rows, 3, seed, "go"));
        }
        assert_eq!(drawn(&rows, 99, 1, "go").len(), 12);
        assert_ne!(drawn(&rows, 12, 1, "go"), drawn(&rows, 12, 2, "go"));
    }

    #[test]
    fn a_page_finds_the_files_from_where_it_lies() {
        let mut clip = row("a", None);
        let of = |clip: &ManifestRow, page: &str| {
            address(Path::new("/data/up/a b#1.ogg"), clip, Path::new(page)).unwrap()
        };
        assert_eq!(of(&clip, "/data/listen.html"), "up/a%20b%231.ogg");
        assert_eq!(
            of(&clip, "/pages/x/listen.html"),
            "../../data/up/a%20b%231.ogg"
        );
        clip.end_s = Some(2.5);
        assert_eq!(of(&clip, "/data/listen.html"), "up/a%20b%231.ogg#t=0,2.5");
    }
}
