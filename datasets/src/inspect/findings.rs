//! What is wrong with a corpus, with how many clips and with which.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use serde::Serialize;

use super::labels::near_labels;
use super::{Heard, Inspected};
use crate::audit::{crossing_speakers, shared_stretch};
use crate::labels::SILENCE;
use crate::utterance::slashed;

/// Examples that are named in a text.
const N_EXAMPLES: usize = 5;

/// A clip with a larger share of its samples at full scale is clipped.
const CLIPPED_SHARE: f64 = 0.001;

/// A clip below this level, in dB of full scale, is too faint to be speech near a microphone.
const FAINT_DBFS: f64 = -60.0;

/// Seconds below which nothing can be said.
const SHORTEST_S: f64 = 0.1;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Results would be false.
    Error,
    /// Results would suffer.
    Warning,
    /// Something cannot be known.
    Note,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The file cannot be decoded, or has no samples.
    Unreadable,
    /// The same samples on two sides.
    DuplicateAcrossSplits,
    /// The same stretch of a file on two sides.
    StretchAcrossSplits,
    /// A speaker on two sides.
    SpeakerAcrossSplits,
    /// The same samples under two labels.
    DuplicateAcrossLabels,
    /// The same samples twice on one side under one label.
    DuplicateWithinSplit,
    /// Every sample is the same.
    Silent,
    /// Too faint to be speech.
    Faint,
    /// Driven against full scale.
    Clipped,
    /// A rate other than that of the corpus.
    WrongRate,
    /// Too short to say anything.
    TooShort,
    /// Two labels that look like one.
    LabelTypo,
    /// A side without clips, where another has some.
    EmptySplit,
    /// Clips on no side.
    WithoutSplit,
    /// Clips whose speaker nobody knows.
    WithoutSpeaker,
}

/// Clips that share a fault.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub kind: Kind,
    /// Clips, speakers or labels it is wrong with.
    pub n: usize,
    /// The same in words.
    pub message: String,
    /// All of them; none where they are counted only.
    pub examples: Vec<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(f, "{severity}: {}", self.message)?;
        for example in self.examples.iter().take(N_EXAMPLES) {
            write!(f, "\n    {example}")?;
        }
        if self.examples.len() > N_EXAMPLES {
            write!(f, "\n    and {} more", self.examples.len() - N_EXAMPLES)?;
        }
        Ok(())
    }
}

/// All that is wrong, the worst first.
pub fn findings(clips: &[Inspected], rate_hz: Option<u32>) -> Vec<Finding> {
    let mut found = Found::default();
    unreadable(clips, &mut found);
    duplicates(clips, &mut found);
    sides(clips, &mut found);
    sound(clips, rate_hz, &mut found);
    labels(clips, &mut found);
    let mut findings = found.findings;
    findings.sort_by_key(|finding| (finding.severity, finding.kind));
    findings
}

#[derive(Default)]
struct Found {
    findings: Vec<Finding>,
}

impl Found {
    /// Adds a finding if there is any example of it.
    fn add(&mut self, severity: Severity, kind: Kind, message: &str, all: Vec<String>) {
        if !all.is_empty() {
            self.add_counted(
                severity,
                kind,
                format!("{message}: {}", all.len()),
                all.len(),
                all,
            );
        }
    }

    fn add_counted(
        &mut self,
        severity: Severity,
        kind: Kind,
        message: String,
        n: usize,
        examples: Vec<String>,
    ) {
        self.findings.push(Finding {
            severity,
            kind,
            n,
            message,
            examples,
        });
    }
}

fn heard(clips: &[Inspected]) -> impl Iterator<Item = (&Inspected, &Heard)> {
    clips
        .iter()
        .filter_map(|clip| Some((clip, clip.heard.as_ref().ok()?)))
}

fn name(clip: &Inspected) -> String {
    let path = slashed(&clip.row.path);
    match clip.row.start_s {
        Some(start_s) => format!("{path} from {start_s:.2} s"),
        None => path.into_owned(),
    }
}

fn place(clip: &Inspected) -> String {
    let split = clip.row.split.map_or("no split", |split| split.name());
    format!("{} ({}, {split})", name(clip), clip.row.label)
}

fn unreadable(clips: &[Inspected], found: &mut Found) {
    let bad = clips
        .iter()
        .filter_map(|clip| clip.heard.as_ref().err().cloned());
    found.add(
        Severity::Error,
        Kind::Unreadable,
        "clips that cannot be read as they should be",
        bad.collect(),
    );
}

/// Equal samples. Exact silence is left to its own finding: any two such clips of a length are equal.
fn duplicates(clips: &[Inspected], found: &mut Found) {
    let mut groups: HashMap<u128, Vec<&Inspected>> = HashMap::new();
    for (clip, heard) in heard(clips).filter(|(_, heard)| !heard.is_constant) {
        groups.entry(heard.content).or_default().push(clip);
    }
    let mut groups: Vec<Vec<&Inspected>> = groups
        .into_values()
        .filter(|group| group.len() > 1)
        .collect();
    for group in &mut groups {
        group.sort_by_key(|clip| name(clip));
    }
    groups.sort_by_key(|group| name(group[0]));
    let (mut across_splits, mut across_labels, mut within) = (Vec::new(), Vec::new(), Vec::new());
    for group in groups {
        let splits: BTreeSet<_> = group.iter().filter_map(|clip| clip.row.split).collect();
        let labels: BTreeSet<_> = group.iter().map(|clip| &clip.row.label).collect();
        let places: Vec<String> = group.iter().map(|clip| place(clip)).collect();
        let said = places.join(" = ");
        if splits.len() > 1 {
            across_splits.push(said);
        } else if labels.len() > 1 {
            across_labels.push(said);
        } else {
            within.push(said);
        }
    }
    found.add(
        Severity::Error,
        Kind::DuplicateAcrossSplits,
        "recordings in more than one split",
        across_splits,
    );
    found.add(
        Severity::Warning,
        Kind::DuplicateAcrossLabels,
        "recordings under more than one label",
        across_labels,
    );
    found.add(
        Severity::Warning,
        Kind::DuplicateWithinSplit,
        "recordings that are there more than once",
        within,
    );
}

fn sides(clips: &[Inspected], found: &mut Found) {
    let placed = || {
        clips
            .iter()
            .filter_map(|clip| Some((&clip.row, clip.row.split?)))
    };
    let speakers = placed().map(|(row, split)| (row.speaker.as_deref(), split, row.path.as_path()));
    let crossing = crossing_speakers(speakers);
    found.add(
        Severity::Error,
        Kind::SpeakerAcrossSplits,
        "speakers in more than one split",
        crossing.iter().map(ToString::to_string).collect(),
    );
    let shared = shared_stretch(placed(), |(row, split)| {
        (&row.path, (row.start_s, row.end_s), split)
    });
    if let Some((path, first, second)) = shared {
        found.add(
            Severity::Error,
            Kind::StretchAcrossSplits,
            "files of which two splits share a moment, at least",
            vec![format!("{}: in {first} and in {second}", slashed(path))],
        );
    }
    let n_placed = placed().count();
    if n_placed == 0 {
        let message =
            "no clip is on a side: neither split nor its honesty can be checked".to_owned();
        found.add_counted(
            Severity::Note,
            Kind::WithoutSplit,
            message,
            clips.len(),
            Vec::new(),
        );
    } else {
        let without = clips.iter().filter(|clip| clip.row.split.is_none());
        found.add(
            Severity::Warning,
            Kind::WithoutSplit,
            "clips on no side, where others are",
            without.map(name).collect(),
        );
        for split in crate::split::Split::ALL {
            if !placed().any(|(_, side)| side == split) {
                let message = format!("the {split} side is empty");
                found.add_counted(Severity::Note, Kind::EmptySplit, message, 1, Vec::new());
            }
        }
    }
    let is_anonymous = |clip: &&Inspected| {
        clip.row.label != SILENCE
            && crate::manifest::known_speaker(clip.row.speaker.as_deref()).is_none()
    };
    let n_anonymous = clips.iter().filter(is_anonymous).count();
    if n_anonymous > 0 {
        let message = format!(
            "{n_anonymous} of {} clips tell no speaker: nobody can say whether a voice is on two sides",
            clips.len()
        );
        found.add_counted(
            Severity::Note,
            Kind::WithoutSpeaker,
            message,
            n_anonymous,
            Vec::new(),
        );
    }
}

fn sound(clips: &[Inspected], rate_hz: Option<u32>, found: &mut Found) {
    let spoken = || heard(clips).filter(|(clip, _)| clip.row.label != SILENCE);
    let silent = spoken().filter(|(_, heard)| heard.is_constant);
    found.add(
        Severity::Warning,
        Kind::Silent,
        "clips of exact silence",
        silent.map(|(clip, _)| name(clip)).collect(),
    );
    let faint = spoken().filter(|(_, heard)| !heard.is_constant && heard.level_dbfs < FAINT_DBFS);
    found.add(
        Severity::Warning,
        Kind::Faint,
        "clips below -60 dB of full scale",
        faint
            .map(|(clip, heard)| format!("{}: {:.0} dB", name(clip), heard.level_dbfs))
            .collect(),
    );
    let mut clipped: Vec<_> = heard(clips)
        .filter(|(_, heard)| !heard.is_constant && heard.full_scale_share > CLIPPED_SHARE)
        .collect();
    clipped.sort_by(|a, b| b.1.full_scale_share.total_cmp(&a.1.full_scale_share));
    let share = |(clip, heard): (&Inspected, &Heard)| {
        format!(
            "{}: {:.1} % of its samples",
            name(clip),
            100.0 * heard.full_scale_share
        )
    };
    found.add(
        Severity::Warning,
        Kind::Clipped,
        "clips driven against full scale in more than 0.1 % of their samples",
        clipped.into_iter().map(share).collect(),
    );
    let mut rates: BTreeMap<u32, usize> = BTreeMap::new();
    for (_, heard) in heard(clips) {
        *rates.entry(heard.rate_hz).or_default() += 1;
    }
    let most = rates
        .iter()
        .max_by_key(|&(_, &n)| n)
        .map(|(&rate_hz, _)| rate_hz);
    if let Some(right_hz) = rate_hz.or(most) {
        let other = heard(clips).filter(|(_, heard)| heard.rate_hz != right_hz);
        found.add(
            Severity::Warning,
            Kind::WrongRate,
            &format!("clips not at {right_hz} Hz"),
            other
                .map(|(clip, heard)| format!("{}: {} Hz", name(clip), heard.rate_hz))
                .collect(),
        );
    }
    let short = heard(clips).filter(|(_, heard)| heard.duration_s < SHORTEST_S);
    found.add(
        Severity::Warning,
        Kind::TooShort,
        "clips shorter than 0.1 s",
        short
            .map(|(clip, heard)| format!("{}: {:.3} s", name(clip), heard.duration_s))
            .collect(),
    );
}

fn labels(clips: &[Inspected], found: &mut Found) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for clip in clips {
        *counts.entry(clip.row.label.to_string()).or_default() += 1;
    }
    let near = near_labels(&counts).into_iter().map(|near| {
        format!(
            "`{}` ({} clips) beside `{}` ({})",
            near.rare, near.n_rare, near.common, near.n_common
        )
    });
    found.add(
        Severity::Warning,
        Kind::LabelTypo,
        "labels that look like another label",
        near.collect(),
    );
}
