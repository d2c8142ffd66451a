//! What a corpus is like: clips, seconds and voices by side and label, how long and how loud clips are, where they come
//! from. It counts and does not judge.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::Inspected;
use crate::manifest::{ManifestRow, known_speaker};
use crate::split::Split;

/// Lower bounds of the bins of clip lengths, in seconds.
const DURATION_EDGES_S: [f64; 12] = [
    0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0,
];

/// Lower bounds of the bins of levels, in dB of full scale; the first takes all that is fainter.
const LEVEL_EDGES_DBFS: [f64; 12] = [
    -80.0, -60.0, -50.0, -45.0, -40.0, -35.0, -30.0, -25.0, -20.0, -15.0, -10.0, -5.0,
];

/// A corpus, counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CorpusStats {
    /// Clips.
    pub n_clips: usize,
    /// Those that could not be heard; lengths and levels leave them out.
    pub n_unreadable: usize,
    /// Seconds in all.
    pub duration_s: f64,
    /// Speakers with a name.
    pub n_speakers: usize,
    /// Clips without one.
    pub n_without_speaker: usize,
    /// Clips made by a program.
    pub n_synthetic: usize,
    /// By side: `train`, `validation`, `test`, or `none`.
    pub splits: BTreeMap<&'static str, SplitStats>,
    /// By label, in alphabetical order.
    pub labels: Vec<LabelStats>,
    /// Clips by source, where the corpus tells it.
    pub sources: BTreeMap<String, usize>,
    /// Clips by rate of the file in Hz.
    pub rates_hz: BTreeMap<u32, usize>,
    /// How long clips are, in seconds.
    pub durations_s: Histogram,
    /// How loud clips are, in dB of full scale, without exact silence.
    pub levels_dbfs: Histogram,
}

/// A side.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SplitStats {
    /// Clips.
    pub n_clips: usize,
    /// Seconds.
    pub duration_s: f64,
    /// Speakers with a name.
    pub n_speakers: usize,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelStats {
    /// Which.
    pub label: String,
    /// Clips by side.
    pub n_clips: BTreeMap<&'static str, usize>,
    /// Seconds.
    pub duration_s: f64,
    /// Speakers with a name.
    pub n_speakers: usize,
    /// The source with the largest share of its clips, and that share, where sources are known: a label that comes from
    /// one source is told by the microphone.
    pub main_source: Option<(String, f64)>,
}

impl LabelStats {
    /// Clips on all sides.
    pub fn n(&self) -> usize {
        self.n_clips.values().sum()
    }
}

/// How many values lie from each bound to the next; the last bin has no end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Histogram {
    /// The lower bound of each bin; the first takes what is below it, too.
    pub edges: Vec<f64>,
    /// Values in each bin.
    pub counts: Vec<usize>,
    /// The smallest value, or `None` where there is none.
    pub min: Option<f64>,
    /// The value that half of them do not exceed.
    pub median: Option<f64>,
    /// The largest value.
    pub max: Option<f64>,
}

impl Histogram {
    fn of(edges: &[f64], mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let mut counts = vec![0; edges.len()];
        for value in &values {
            let bin = edges.iter().rposition(|edge| edge <= value).unwrap_or(0);
            counts[bin] += 1;
        }
        Self {
            edges: edges.to_vec(),
            counts,
            min: values.first().copied(),
            median: values.get(values.len().saturating_sub(1) / 2).copied(),
            max: values.last().copied(),
        }
    }
}

fn side(split: Option<Split>) -> &'static str {
    split.map_or("none", Split::name)
}

fn n_speakers<'a>(rows: impl Iterator<Item = &'a ManifestRow>) -> usize {
    rows.filter_map(|row| known_speaker(row.speaker.as_deref()))
        .collect::<BTreeSet<_>>()
        .len()
}

pub(super) fn seconds<'a>(clips: impl Iterator<Item = &'a Inspected>) -> f64 {
    clips
        .filter_map(|clip| clip.heard.as_ref().ok())
        .map(|heard| heard.duration_s)
        // The sum of nothing is -0.0.
        .fold(0.0, |sum, duration_s| sum + duration_s)
}

/// Counts the corpus.
pub fn stats(clips: &[Inspected]) -> CorpusStats {
    let mut by_label: BTreeMap<&str, Vec<&Inspected>> = BTreeMap::new();
    let mut by_split: BTreeMap<&'static str, Vec<&Inspected>> = BTreeMap::new();
    let (mut sources, mut rates_hz) = (BTreeMap::new(), BTreeMap::new());
    for clip in clips {
        by_label.entry(&clip.row.label).or_default().push(clip);
        by_split.entry(side(clip.row.split)).or_default().push(clip);
        if let Some(source) = &clip.row.source {
            *sources.entry(source.to_string()).or_default() += 1;
        }
        if let Ok(heard) = &clip.heard {
            *rates_hz.entry(heard.rate_hz).or_default() += 1;
        }
    }
    let heard = || clips.iter().filter_map(|clip| clip.heard.as_ref().ok());
    CorpusStats {
        n_clips: clips.len(),
        n_unreadable: clips.len() - heard().count(),
        duration_s: seconds(clips.iter()),
        n_speakers: n_speakers(clips.iter().map(|clip| &clip.row)),
        n_without_speaker: clips
            .iter()
            .filter(|clip| known_speaker(clip.row.speaker.as_deref()).is_none())
            .count(),
        n_synthetic: clips.iter().filter(|clip| clip.row.synthetic).count(),
        splits: by_split
            .into_iter()
            .map(|(split, clips)| {
                let stats = SplitStats {
                    n_clips: clips.len(),
                    duration_s: seconds(clips.iter().copied()),
                    n_speakers: n_speakers(clips.iter().map(|clip| &clip.row)),
                };
                (split, stats)
            })
            .collect(),
        labels: by_label
            .into_iter()
            .map(|(label, clips)| of_label(label, &clips))
            .collect(),
        sources,
        rates_hz,
        durations_s: Histogram::of(&DURATION_EDGES_S, heard().map(|h| h.duration_s).collect()),
        levels_dbfs: Histogram::of(
            &LEVEL_EDGES_DBFS,
            heard()
                .map(|h| h.level_dbfs)
                .filter(|level| level.is_finite())
                .collect(),
        ),
    }
}

fn of_label(label: &str, clips: &[&Inspected]) -> LabelStats {
    let mut n_clips = BTreeMap::new();
    let mut sources: BTreeMap<&str, usize> = BTreeMap::new();
    for clip in clips {
        *n_clips.entry(side(clip.row.split)).or_default() += 1;
        if let Some(source) = &clip.row.source {
            *sources.entry(source).or_default() += 1;
        }
    }
    let main_source = sources.into_iter().max_by_key(|&(_, n)| n);
    LabelStats {
        label: label.to_owned(),
        n_clips,
        duration_s: seconds(clips.iter().copied()),
        n_speakers: n_speakers(clips.iter().map(|clip| &clip.row)),
        main_source: main_source
            .map(|(source, n)| (source.to_owned(), n as f64 / clips.len() as f64)),
    }
}

/// Tables for a terminal.
impl fmt::Display for CorpusStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} clips, {}, {} labels, {} speakers{}{}{}",
            self.n_clips,
            length(self.duration_s),
            self.labels.len(),
            self.n_speakers,
            some(self.n_without_speaker, "clips without a speaker"),
            some(self.n_unreadable, "unreadable"),
            some(self.n_synthetic, "synthetic"),
        )?;
        writeln!(
            f,
            "\n{:<12} {:>8} {:>10} {:>9}",
            "split", "clips", "length", "speakers"
        )?;
        let order = |name: &str| {
            ["train", "validation", "test", "none"]
                .iter()
                .position(|s| *s == name)
        };
        let mut splits: Vec<_> = self.splits.iter().collect();
        splits.sort_by_key(|(name, _)| order(name));
        for (name, split) in &splits {
            writeln!(
                f,
                "{name:<12} {:>8} {:>10} {:>9}",
                split.n_clips,
                length(split.duration_s),
                split.n_speakers
            )?;
        }
        let width = self
            .labels
            .iter()
            .map(|l| l.label.chars().count())
            .max()
            .unwrap_or(0)
            .max(12);
        write!(f, "\n{:<width$}", "label")?;
        for (name, _) in &splits {
            write!(f, " {name:>10}")?;
        }
        writeln!(
            f,
            " {:>10} {:>9}{}",
            "length",
            "speakers",
            if self.sources.is_empty() {
                ""
            } else {
                "  most from"
            }
        )?;
        for label in &self.labels {
            write!(f, "{:<width$}", label.label)?;
            for (name, _) in &splits {
                write!(f, " {:>10}", label.n_clips.get(*name).copied().unwrap_or(0))?;
            }
            write!(
                f,
                " {:>10} {:>9}",
                length(label.duration_s),
                label.n_speakers
            )?;
            match &label.main_source {
                Some((source, share)) => writeln!(f, "  {source} {:.0} %", 100.0 * share)?,
                None => writeln!(f)?,
            }
        }
        let rates = self
            .rates_hz
            .iter()
            .map(|(rate, n)| format!("{n} at {rate} Hz"));
        writeln!(f, "\nrates: {}", rates.collect::<Vec<_>>().join(", "))?;
        bars(f, "seconds", &self.durations_s, 2)?;
        bars(f, "dB of full scale", &self.levels_dbfs, 0)
    }
}

fn some(n: usize, what: &str) -> String {
    if n == 0 {
        String::new()
    } else {
        format!(", {n} {what}")
    }
}

/// Seconds as hours, minutes or seconds.
pub fn length(duration_s: f64) -> String {
    match duration_s {
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.1} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

fn bars(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    histogram: &Histogram,
    digits: usize,
) -> fmt::Result {
    const WIDTH: usize = 40;
    let Histogram {
        min: Some(min),
        median: Some(median),
        max: Some(max),
        ..
    } = histogram
    else {
        return Ok(());
    };
    writeln!(
        f,
        "\n{what}: {min:.digits$} to {max:.digits$}, half of them up to {median:.digits$}"
    )?;
    let most = histogram.counts.iter().max().copied().unwrap_or(0).max(1);
    for (edge, n) in histogram.edges.iter().zip(&histogram.counts) {
        let bar = "#".repeat((n * WIDTH).div_ceil(most));
        writeln!(f, "  from {edge:>6.digits$} {n:>8} {bar}")?;
    }
    Ok(())
}
