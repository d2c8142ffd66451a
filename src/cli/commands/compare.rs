//! `auricle compare`.

use std::io::Write;

use crate::cli::args::{CompareArgs, Format};
use crate::evaluate::{report, side_by_side};

pub fn compare(args: &CompareArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut runs = Vec::with_capacity(args.runs.len());
    for folder in &args.runs {
        runs.push((
            folder.display().to_string(),
            report::read_json(&folder.join("report.json"))?,
        ));
    }
    match args.format {
        Format::Text => write!(out, "{}", side_by_side::text(&runs))?,
        Format::Csv => write!(out, "{}", side_by_side::csv(&runs))?,
        Format::Json => {
            let rows = side_by_side::rows(&runs);
            writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
        }
        Format::Html => write!(out, "{}", side_by_side::html(&runs))?,
    }
    Ok(())
}
