//! `auricle describe`.

use std::io::Write;

use crate::bundle::{Bundle, Storage};
use crate::cli::args::DescribeArgs;
use crate::evaluate::{report, text};
use crate::model::{Cost, Ports};
use crate::recipe::Recipe;

pub fn describe(args: &DescribeArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let what = &args.what;
    if what.is_dir() {
        let report = report::read_json(&what.join("report.json"))?;
        writeln!(out, "{}", text::summary(&report))?;
        return Ok(());
    }
    if what
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        return recipe(&Recipe::read(what)?, out);
    }
    bundle(&Bundle::load(what)?, out)
}

fn bundle(bundle: &Bundle, out: &mut dyn Write) -> anyhow::Result<()> {
    let frontend = &bundle.frontend;
    writeln!(out, "{}", bundle.title)?;
    writeln!(out, "labels      {}", bundle.labels.join(", "))?;
    writeln!(
        out,
        "front-end   {} bands, {} Hz, a frame every {:.1} ms (fingerprint {})",
        frontend.n_mels,
        frontend.sample_rate_hz,
        1000.0 / frontend.frames_per_second(),
        frontend.fingerprint()
    )?;
    writeln!(out, "clip        {} ms", bundle.clip_ms)?;
    for (member, cost) in bundle.members.iter().zip(bundle.costs()?) {
        writeln!(out, "network     {}", member.genome)?;
        writeln!(out, "            {}", cost_line(&cost))?;
    }
    if bundle.storage == Storage::Int8 {
        writeln!(out, "weights     8 bits, one scale for each output channel")?;
    }
    let detector = &bundle.detector;
    writeln!(
        out,
        "detector    threshold {}, smoothed over {} ms, {} answers in a row, then {} ms of rest",
        detector.threshold, detector.smoothing_ms, detector.min_consecutive, detector.refractory_ms
    )?;
    if !detector.thresholds.is_empty() {
        let own: Vec<String> = detector
            .thresholds
            .iter()
            .map(|(keyword, threshold)| format!("{keyword} {threshold}"))
            .collect();
        writeln!(out, "            in its place: {}", own.join(", "))?;
    }
    if let Some(score) = detector.voice_threshold {
        writeln!(
            out,
            "            where somebody is heard to speak with {score}"
        )?;
    }
    if let Some(languages) = &bundle.languages {
        let points = languages.temperatures.iter();
        let told: Vec<String> = points
            .map(|point| {
                let seconds = f64::from(point.heard_ms) / 1000.0;
                format!("{:.2} after {seconds} s", point.temperature)
            })
            .collect();
        writeln!(
            out,
            "languages   named from {} on; temperature {}",
            languages.floor,
            if told.is_empty() {
                "1".into()
            } else {
                told.join(", ")
            }
        )?;
    }
    for (key, value) in &bundle.provenance {
        writeln!(out, "{key:<11} {value}")?;
    }
    Ok(())
}

fn cost_line(cost: &Cost) -> String {
    format!(
        "{} parameters, {:.2} M multiply-accumulates a second, {} bytes of state",
        cost.n_params,
        cost.macs_per_second as f64 / 1e6,
        cost.state_bytes
    )
}

fn recipe(recipe: &Recipe, out: &mut dyn Write) -> anyhow::Result<()> {
    let frontend = recipe.frontend().expect("a checked recipe has a front-end");
    let labels = &recipe.data.labels;
    writeln!(out, "{}", recipe.title)?;
    writeln!(out, "keywords    {}", labels.keywords.join(", "))?;
    writeln!(
        out,
        "front-end   {} bands, {} Hz",
        frontend.n_mels, frontend.sample_rate_hz
    )?;
    let kinds: Vec<&str> = recipe
        .space
        .blocks
        .iter()
        .map(|b| b.kind.as_str())
        .collect();
    let [low, high] = recipe.space.depth;
    writeln!(out, "space       {low} to {high} of {}", kinds.join(", "))?;
    let budget = &recipe.search.budget;
    writeln!(
        out,
        "search      {}{}, each of {} epochs",
        budget
            .n_trials
            .map_or(String::new(), |n| format!("{n} trials ")),
        budget
            .minutes
            .map_or(String::new(), |minutes| format!("{minutes} minutes")),
        recipe.search.train.n_epochs
    )?;
    writeln!(
        out,
        "ensemble    {} of the best of {} finalists, each of {} epochs",
        recipe.ensemble.n_members, recipe.ensemble.n_finalists, recipe.ensemble.train.n_epochs
    )?;
    let ports = Ports {
        n_mels: frontend.n_mels,
        n_classes: labels.keywords.len()
            + usize::from(labels.unknown)
            + usize::from(labels.silence),
        frames_per_1000_s: (frontend.frames_per_second() * 1000.0).round() as u64,
    };
    for baseline in &recipe.baselines {
        writeln!(out, "baseline    {}: {}", baseline.name, baseline.source)?;
        writeln!(out, "            {}", baseline.genome)?;
        writeln!(
            out,
            "            {}",
            cost_line(&Cost::of(&baseline.genome, &ports))
        )?;
    }
    Ok(())
}
