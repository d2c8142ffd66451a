//! `auricle tune` and `auricle evaluate --stream`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::json;

use super::pool;
use crate::bundle::{Bundle, keywords};
use crate::cli::args::{EvaluateArgs, FieldArgs, Format, ReportFormat, TuneArgs};
use crate::cli::infer::set_voice_gate;
use crate::cli::progress::{Progress, listen_for_stop};
use crate::evaluate::detection::{MatchSpec, text};
use crate::evaluate::format::{DASH, percent_or_dash};
use crate::evaluate::intervals;
use crate::evaluate::report::det_svg;
use crate::run::field::{
    AREA_TO_PER_HOUR, Choice, FalseClip, FieldReport, Material, NoiseSpec, Tuned, judge_stream,
    save_false_clips, tune as tune_bundle,
};

/// Seed of the noise that is mixed in: a judgement is the same every time.
const SEED: u64 = 1;

pub fn tune(args: &TuneArgs, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<()> {
    check_target(args.target_fa_per_day)?;
    let bundle = gated(Bundle::load(&args.bundle)?, &args.field)?;
    listen_for_stop();
    let material = material(&args.field, args.list.as_deref(), &bundle, err)?;
    let spec = match_spec(&args.field);
    let progress = Progress::new();
    let work = || -> anyhow::Result<(Tuned, Bundle, Vec<FalseClip>)> {
        let choice = match args.field.positive {
            Some(_) => Choice::FewestMisses,
            None => Choice::MostSensitive,
        };
        let target = args.target_fa_per_day;
        let (tuned, changed) =
            with_thresholds(&bundle, &material, target, choice, &spec, &progress)?;
        // What either set of thresholds takes for a keyword is worth training against.
        let mut eager = bundle.clone();
        for keyword in keywords(&bundle.labels) {
            let (before, after) = (
                bundle.detector.threshold_of(keyword),
                tuned.detector.threshold_of(keyword),
            );
            eager
                .detector
                .thresholds
                .insert(keyword.clone(), before.min(after));
        }
        let folder = args
            .false_clips
            .clone()
            .unwrap_or_else(|| beside(args, "false"));
        let was_heard = |path: &&PathBuf| !tuned.not_heard.iter().any(|(file, _)| file == *path);
        let heard: Vec<PathBuf> = material
            .negatives
            .iter()
            .filter(was_heard)
            .cloned()
            .collect();
        let clips = save_false_clips(&eager, &heard, &folder, args.max_clips, &progress)?;
        Ok((tuned, changed, clips))
    };
    let (tuned, changed, clips) = pool(args.workers)?.install(work)?;
    drop(progress);
    // Without recordings of keywords nothing is missed, and there is nothing to draw.
    let named = || args.det.clone().unwrap_or_else(|| beside(args, "det.svg"));
    let picture = args.field.positive.as_ref().map(|_| named());
    if let Some(picture) = &picture {
        let svg = det_svg(&bundle.title, &tuned.sweep, &tuned.after);
        auricle_datasets::partial::write_bytes(picture, svg.as_bytes())
            .with_context(|| picture.display().to_string())?;
    }
    let target = args.out.as_ref().unwrap_or(&args.bundle);
    changed.save(target)?;

    not_heard(&tuned.not_heard, err)?;
    if args.format == ReportFormat::Json {
        let all = json!({
            "bundle": target, "det": picture, "detector": tuned.detector,
            "before": tuned.before, "after": tuned.after, "beyond": tuned.beyond,
            "without_recordings": tuned.untouched, "not_heard": tuned.not_heard, "false_clips": clips,
        });
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?);
    }
    let titles = ["before", "after"];
    findings(&bundle, args.target_fa_per_day, titles, &tuned, out)?;
    writeln!(out, "\n  {}", target.display())?;
    if let Some(picture) = picture {
        writeln!(out, "  {}", picture.display())?;
    }
    let folder = args
        .false_clips
        .clone()
        .unwrap_or_else(|| beside(args, "false"));
    writeln!(
        out,
        "  {}  ({} sounds taken for a keyword)",
        folder.display(),
        clips.len()
    )?;
    Ok(())
}

/// The bundle with thresholds that keep to so many false accepts a day, and what they are by.
pub(super) fn with_thresholds(
    bundle: &Bundle,
    material: &Material,
    target_fa_per_day: f64,
    choice: Choice,
    spec: &MatchSpec,
    progress: &Progress,
) -> anyhow::Result<(Tuned, Bundle)> {
    let tuned = tune_bundle(bundle, material, target_fa_per_day, choice, spec, progress)?;
    let mut changed = bundle.clone();
    changed.detector = tuned.detector.clone();
    let hours = tuned.after.total.exposure_h;
    let by = match choice {
        Choice::FewestMisses => {
            format!("{} keywords and {hours:.2} h without", material.n_targets())
        }
        Choice::MostSensitive => format!("{hours:.2} h without keywords alone"),
    };
    let note = format!("{target_fa_per_day} false accepts a day at most, by {by}");
    changed.provenance.insert("tuned".into(), note);
    Ok((tuned, changed))
}

/// Files that were left out; the reason names each.
pub(super) fn not_heard(files: &[(PathBuf, String)], out: &mut dyn Write) -> anyhow::Result<()> {
    for (_, reason) in files {
        writeln!(out, "not heard: {reason}")?;
    }
    Ok(())
}

/// Refuses a rate of false accepts that is none.
pub(super) fn check_target(fa_per_day: f64) -> anyhow::Result<()> {
    if !(fa_per_day >= 0.0 && fa_per_day.is_finite()) {
        bail!("--target-fa-per-day is {fa_per_day}, expected at least 0");
    }
    Ok(())
}

/// Both judgements under their titles, the thresholds, and what they do not show.
pub(super) fn findings(
    before: &Bundle,
    target_fa_per_day: f64,
    titles: [&str; 2],
    tuned: &Tuned,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    write!(out, "{}", text::table(titles[0], &tuned.before))?;
    write!(out, "\n{}", text::table(titles[1], &tuned.after))?;
    writeln!(out, "\nthresholds")?;
    for (keyword, threshold) in &tuned.detector.thresholds {
        let was = before.detector.threshold_of(keyword);
        writeln!(out, "  {keyword}  {threshold:.4}  (was {was:.4})")?;
    }
    caveats(target_fa_per_day, tuned, out)
}

/// What the recordings cannot show, said.
fn caveats(target_fa_per_day: f64, tuned: &Tuned, out: &mut dyn Write) -> anyhow::Result<()> {
    if tuned.choice == Choice::MostSensitive {
        writeln!(
            out,
            "each threshold is the lowest from which no more false accepts are expected; what is too rare to be counted is reckoned from the ten highest scores"
        )?;
    }
    let hours = tuned.after.total.exposure_h;
    let shown_per_day = intervals::poisson(0).high / hours * 24.0;
    if hours > 0.0 && shown_per_day > target_fa_per_day {
        writeln!(
            out,
            "{hours:.2} h without a keyword can show no better than {shown_per_day:.1} false accepts a day (95 %)"
        )?;
    }
    writeln!(
        out,
        "thresholds were chosen on these very recordings: on others expect somewhat more of both"
    )?;
    let total = &tuned.after.total;
    let interval = total.false_accepts_per_hour_interval.value();
    if let (Some(rate), Some(interval)) = (total.false_accepts_per_hour.number(), interval)
        && 24.0 * interval.low > target_fa_per_day
    {
        let (per_day, sure_per_day) = (24.0 * rate, 24.0 * interval.low);
        writeln!(
            out,
            "it is not kept to {target_fa_per_day} false accepts a day: on these recordings there are {per_day:.1}, and {sure_per_day:.1} at least (95 %)"
        )?;
    }
    for keyword in &tuned.beyond {
        writeln!(
            out,
            "{keyword}: no threshold keeps to its share of false accepts; it has the highest"
        )?;
    }
    for keyword in &tuned.untouched {
        let what = match tuned.choice {
            Choice::FewestMisses => "no recording",
            Choice::MostSensitive => "hardly anything was taken for it",
        };
        writeln!(out, "{keyword}: {what}, its threshold is as it was")?;
    }
    Ok(())
}

pub fn evaluate_stream(
    args: &EvaluateArgs,
    bundle: Bundle,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<()> {
    let bundle = &gated(bundle, &args.field)?;
    let for_clips = [
        ("--format csv", args.format == Format::Csv),
        ("--format html", args.format == Format::Html),
        ("--by", !args.by.is_empty()),
        ("--seconds", !args.seconds.is_empty()),
        ("--against", args.against.is_some()),
    ];
    if let Some((option, _)) = for_clips.iter().find(|(_, is_said)| *is_said) {
        bail!("{option} is for clips (--data), expected none of it with --stream");
    }
    if let Some(found) = args.snr.iter().find(|snr| !snr.is_finite()) {
        bail!("--snr is {found}, expected decibels");
    }
    let material = material(&args.field, args.list.as_deref(), bundle, err)?;
    let noise = args.noise.as_ref().map(|folder| NoiseSpec {
        folder: folder.clone(),
        snr_db: args.snr.clone(),
        seed: SEED,
    });
    let spec = match_spec(&args.field);
    let progress = Progress::new();
    let report = pool(args.workers)?
        .install(|| judge_stream(bundle, &material, noise.as_ref(), &spec, &progress))?;
    drop(progress);
    not_heard(&report.not_heard, err)?;
    if args.format == Format::Json {
        let all = json!({
            "bundle": args.bundle, "detector": bundle.detector, "match": spec, "report": report,
        });
        return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?);
    }
    stream_text(&report, bundle, &spec, out)
}

fn stream_text(
    report: &FieldReport,
    bundle: &Bundle,
    spec: &MatchSpec,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let detector = &bundle.detector;
    writeln!(
        out,
        "hit: reported from a keyword's start to {} s after its end; false accepts within {} s are one",
        spec.tolerance_s, spec.refractory_s
    )?;
    writeln!(
        out,
        "detector: smoothing {} ms, {} answers in a row, refractory {} ms, warm-up {} ms; {}\n",
        detector.smoothing_ms,
        detector.min_consecutive,
        detector.refractory_ms,
        detector.warmup_ms,
        match detector.voice_threshold {
            Some(score) => format!("where somebody speaks with a score of {score}"),
            None => "no voice gate".into(),
        }
    )?;
    for condition in &report.conditions {
        let title = condition.condition.to_string();
        // One kind of noise at one level is a line; the rest has one for each keyword.
        if condition.condition.noise.is_some() {
            write!(out, "{}", text::row(&title, 26, &condition.judged.total))?;
            continue;
        }
        write!(out, "\n{}", text::table(&title, &condition.judged))?;
        let misses = condition.miss_rate_at.iter();
        let told: Vec<String> = misses
            .map(|(rate, miss)| format!("{} at {rate}", percent_or_dash(miss)))
            .collect();
        if !told.is_empty() {
            writeln!(
                out,
                "missed at false accepts per hour, one threshold for all, chosen on these recordings: {}",
                told.join(", ")
            )?;
            if let Some(mean) = &condition.mean_miss_rate {
                writeln!(
                    out,
                    "missed on average over 0 to {AREA_TO_PER_HOUR} false accepts per hour: {}",
                    percent_or_dash(mean)
                )?;
            }
        }
        writeln!(out)?;
    }
    if report.conditions.is_empty() {
        writeln!(out, "{DASH}")?;
    }
    Ok(())
}

/// The bundle with the voice gate of the command line.
fn gated(mut bundle: Bundle, args: &FieldArgs) -> anyhow::Result<Bundle> {
    if let Some(score) = args.voice_gate {
        set_voice_gate(&mut bundle.detector, score);
        bundle.validate()?;
    }
    Ok(bundle)
}

pub(super) fn match_spec(args: &FieldArgs) -> MatchSpec {
    MatchSpec {
        tolerance_s: args.tolerance_s,
        refractory_s: args.refractory_s,
    }
}

fn material(
    args: &FieldArgs,
    list: Option<&Path>,
    bundle: &Bundle,
    err: &mut dyn Write,
) -> anyhow::Result<Material> {
    let Some(negative) = &args.negative else {
        bail!("expected --negative DIR");
    };
    let material = match (&args.positive, list) {
        (Some(positive), list) => Material::find(bundle, positive, list, negative)?,
        (None, None) => Material::without_keywords(negative)?,
        (None, Some(list)) => bail!(
            "--list {}: expected --positive DIR, from which its paths start",
            list.display()
        ),
    };
    if material.n_other > 0 {
        writeln!(
            err,
            "{} recordings are of words that are no keyword of the bundle and were left out",
            material.n_other
        )?;
    }
    Ok(material)
}

/// A name beside the bundle that is written.
fn beside(args: &TuneArgs, extension: &str) -> PathBuf {
    args.out
        .as_ref()
        .unwrap_or(&args.bundle)
        .with_extension(extension)
}
