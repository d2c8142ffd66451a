//! `auricle export`.

use std::io::Write;

use anyhow::{Context, bail};

use crate::bundle::Bundle;
use crate::cli::args::ExportArgs;

pub fn export(args: &ExportArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let name = if args.single {
        "single.auricle"
    } else {
        "ensemble.auricle"
    };
    let from = args.run.join(name);
    if !from.exists() {
        bail!(
            "{}: found no {name}, expected the folder of a finished run",
            args.run.display()
        );
    }
    // Opened and written again, so that what leaves is known to be whole.
    let bundle = Bundle::load(&from)?;
    bundle
        .save(&args.to)
        .with_context(|| format!("cannot export {}", from.display()))?;
    writeln!(
        out,
        "{}: {} labels, {} network(s), {} parameters",
        args.to.display(),
        bundle.labels.len(),
        bundle.members.len(),
        bundle
            .costs()?
            .iter()
            .map(|cost| cost.n_params)
            .sum::<u64>()
    )?;
    Ok(())
}
