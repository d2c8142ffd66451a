//! `auricle export`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use auricle_datasets::Utterance;

use super::clips::Clips;
use crate::bundle::{self, Bundle};
use crate::cli::args::ExportArgs;
use crate::cli::progress::{Progress, listen_for_stop};
use crate::evaluate::Scores;
use crate::export::{self, Form};
use crate::run::{Asked, judge_bundle};

/// Seed of a judgement's resampling, whose interval is not shown here.
const SEED: u64 = 1;

pub fn export(args: &ExportArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<()> {
    let from = source(args)?;
    let bundle = Bundle::load(&from)?;
    let cannot = || format!("cannot export {}", from.display());
    if let Some(to) = &args.to {
        // Opened and written again, so that what leaves is known to be whole.
        bundle.save(to).with_context(cannot)?;
        writeln!(out, "{}: {}", to.display(), summary(&bundle)?)?;
    }
    if let Some(to) = &args.onnx {
        let form = match args.streaming {
            true => Form::Stream,
            false => Form::Clip,
        };
        let bytes = export::onnx::write(&bundle, form).with_context(cannot)?;
        bundle::write_whole(to, &bytes).with_context(|| to.display().to_string())?;
        let what = match form {
            Form::Clip => "ONNX, a clip a run",
            Form::Stream => "ONNX, a frame a run",
        };
        let n_bytes = bytes.len();
        writeln!(
            out,
            "{}: {}, {what}, {n_bytes} bytes",
            to.display(),
            summary(&bundle)?
        )?;
    }
    if let Some(to) = &args.int8 {
        let rounded = bundle.rounded_to_int8();
        rounded.save(to).with_context(cannot)?;
        let n_before = bundle.to_bytes()?.len();
        let n_after = rounded.to_bytes()?.len();
        writeln!(
            out,
            "{}: {}, weights of 8 bits, {n_after} bytes in place of {n_before}",
            to.display(),
            summary(&bundle)?
        )?;
        if let Some(data) = &args.data {
            let clips = Clips {
                data,
                list: args.list.as_deref(),
                split: args.split.as_deref(),
            };
            let (found, _) = clips.find(&bundle)?;
            let utterances: Vec<Utterance> = found.into_iter().map(|listed| listed.clip).collect();
            compare(&bundle, &rounded, data, &utterances, out, err)?;
        }
    }
    Ok(())
}

/// The file to export: a bundle, or one in the folder of a run.
fn source(args: &ExportArgs) -> anyhow::Result<PathBuf> {
    if args.what.is_file() {
        if args.single {
            bail!(
                "{}: found a bundle, expected the folder of a finished run for --single",
                args.what.display()
            );
        }
        return Ok(args.what.clone());
    }
    let name = match args.single {
        true => "single.auricle",
        false => "ensemble.auricle",
    };
    let from = args.what.join(name);
    if !from.exists() {
        bail!(
            "{}: found no {name}, expected the folder of a finished run or a bundle",
            args.what.display()
        );
    }
    Ok(from)
}

fn summary(bundle: &Bundle) -> anyhow::Result<String> {
    let costs = bundle.costs()?;
    let n_params: u64 = costs.iter().map(|cost| cost.n_params).sum();
    let (n_labels, n_members) = (bundle.labels.len(), bundle.members.len());
    Ok(format!(
        "{n_labels} labels, {n_members} network(s), {n_params} parameters"
    ))
}

/// Says what rounding changes on labelled clips.
fn compare(
    before: &Bundle,
    after: &Bundle,
    data: &Path,
    utterances: &[Utterance],
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<()> {
    listen_for_stop();
    let progress = Progress::new();
    let (judged_before, unjudged) =
        judge_bundle(before, data, utterances, Asked::default(), SEED, &progress)?;
    let (judged_after, _) =
        judge_bundle(after, data, utterances, Asked::default(), SEED, &progress)?;
    drop(progress);
    for clip in &unjudged {
        writeln!(err, "not judged: {}", clip.reason)?;
    }
    let share = |scores: &Scores| {
        let n_correct = scores.correct().iter().filter(|&&correct| correct).count();
        100.0 * n_correct as f64 / scores.n_examples() as f64
    };
    let (of_floats, of_int8) = (&judged_before.scores, &judged_after.scores);
    let n_clips = of_floats.n_examples();
    let differs = |&at: &usize| of_floats.prediction(at) != of_int8.prediction(at);
    let n_different = (0..n_clips).filter(differs).count();
    let values = (0..n_clips).flat_map(|at| of_floats.row(at).iter().zip(of_int8.row(at)));
    let furthest = values.map(|(a, b)| (a - b).abs()).fold(0.0_f32, f32::max);
    let (of_floats, of_int8) = (share(of_floats), share(of_int8));
    writeln!(
        out,
        "{n_clips} clips: {of_floats:.2} % right with floats, {of_int8:.2} % with 8 bits ({:+.2} points); \
         {n_different} answered otherwise, no probability moved by more than {furthest:.3}",
        of_int8 - of_floats
    )?;
    Ok(())
}
