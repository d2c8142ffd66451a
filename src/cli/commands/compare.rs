//! `auricle compare`.

use std::io::Write;

use anyhow::bail;
use serde::Serialize;

use crate::cli::args::{CompareArgs, Format, ScoreChoice};
use crate::evaluate::over_seeds::{self, Score};
use crate::evaluate::{report, side_by_side};

pub fn compare(args: &CompareArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<()> {
    // `runs/*` names what was ingested too, and runs that are not done.
    let (finished, others): (Vec<_>, Vec<_>) = (args.runs.iter())
        .partition(|folder| !folder.is_dir() || folder.join("report.json").exists());
    if finished.is_empty() {
        bail!("found no report.json in any of the folders, expected finished runs");
    }
    for folder in others {
        writeln!(err, "left out: {}: no report.json", folder.display())?;
    }
    let mut runs = Vec::with_capacity(finished.len());
    for folder in finished {
        runs.push((
            folder.display().to_string(),
            report::read_json(&folder.join("report.json"))?,
        ));
    }
    let score = match args.score {
        ScoreChoice::Accuracy => Score::Accuracy,
        ScoreChoice::BalancedAccuracy => Score::BalancedAccuracy,
    };
    let said = match (args.format, args.over_seeds) {
        (Format::Text, false) => side_by_side::text(&runs),
        (Format::Text, true) => over_seeds::text(&runs, score),
        (Format::Csv, false) => side_by_side::csv(&runs),
        (Format::Csv, true) => over_seeds::csv(&runs, score),
        (Format::Html, false) => side_by_side::html(&runs),
        (Format::Html, true) => over_seeds::html(&runs, score),
        (Format::Json, false) => json(&side_by_side::rows(&runs))?,
        (Format::Json, true) => json(&over_seeds::rows(&runs, score))?,
    };
    write!(out, "{said}")?;
    Ok(())
}

fn json(rows: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(rows)? + "\n")
}
