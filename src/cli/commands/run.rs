//! `auricle run` and `auricle search`.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cli::args::{RecipeArgs, RunArgs, Where};
use crate::cli::device::ChosenDevice;
use crate::cli::progress::{Progress, listen_for_stop};
use crate::evaluate::text;
use crate::recipe::Recipe;
use crate::run::{Finished, Plan, Run, Shared};
use crate::search::store::StudyAddress;
use crate::search::study::ranking;

/// Trials that `search` lists.
const N_LISTED: usize = 10;

/// The recipe with what the command line says instead.
pub(super) fn recipe(args: &RecipeArgs) -> anyhow::Result<Recipe> {
    let mut recipe = Recipe::read(&args.recipe)?;
    take_noise(&mut recipe, &args.noise)?;
    if let Some(seed) = args.seed {
        recipe.seed = seed;
    }
    Ok(recipe)
}

/// Other folders of noise than the recipe's, where any are named.
pub(super) fn take_noise(recipe: &mut Recipe, folders: &[PathBuf]) -> anyhow::Result<()> {
    if !folders.is_empty() {
        let absolute = folders.iter().map(std::path::absolute);
        recipe.data.background.folders = absolute.collect::<Result<_, _>>()?;
    }
    Ok(())
}

/// Another budget than the recipe's, where any of it is said.
pub(super) fn take_budget(recipe: &mut Recipe, minutes: Option<f64>, n_trials: Option<u64>) {
    if minutes.is_some() || n_trials.is_some() {
        recipe.search.budget.minutes = minutes;
        recipe.search.budget.n_trials = n_trials;
    }
}

/// What a run is given by a command line.
pub(super) fn plan<'a>(
    recipe: &'a Recipe,
    source: &'a Path,
    place: &'a Where,
    chosen: &'a (ChosenDevice, usize),
    today: &'a str,
) -> Plan<'a> {
    let (device, n_workers) = chosen;
    Plan {
        recipe,
        source,
        runs: &place.runs,
        device: &device.device,
        device_kind: device.kind,
        device_name: &device.name,
        n_workers: *n_workers,
        today,
    }
}

/// The device and how many trainings it takes at a time.
pub(super) fn device(place: &Where, recipe: &Recipe) -> anyhow::Result<(ChosenDevice, usize)> {
    let chosen = place.device.open()?;
    let usual = if chosen.kind == "cpu" {
        recipe.n_workers
    } else {
        1
    };
    Ok((chosen, place.workers.unwrap_or(usual).max(1)))
}

pub(super) fn today() -> String {
    // Days since 1970-01-01 to a civil date: Howard Hinnant's algorithm, proleptic Gregorian.
    let seconds = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs());
    let z = (seconds / 86_400) as i64 + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

/// Runs a recipe over a corpus to its end.
pub(super) fn whole(
    recipe: &Recipe,
    source: &Path,
    place: &Where,
    study: Option<&str>,
    progress: &Progress,
    out: &mut dyn Write,
) -> anyhow::Result<Finished> {
    let (chosen, today) = (device(place, recipe)?, today());
    let run = Run::open(plan(recipe, source, place, &chosen, &today), progress)?;
    let run = shared(run, study)?;
    super::ingest::summary(&run.ingested, out)?;
    writeln!(out, "run {} on {}", run.fingerprint, chosen.0.name)?;
    let finished = run.finish(progress)?;
    if finished.already_done {
        writeln!(out, "all of it was done already; nothing was run again")?;
    }
    writeln!(out, "\n{}", text::summary(&finished.report))?;
    let baselines = recipe.baselines.iter();
    let names = [
        "report.html",
        "report.json",
        "single.auricle",
        "ensemble.auricle",
        "student.auricle",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain(baselines.map(|baseline| format!("{}.auricle", baseline.file_stem())));
    for name in names {
        let path = finished.folder.join(name);
        if path.exists() {
            writeln!(out, "  {}", path.display())?;
        }
    }
    Ok(finished)
}

/// Seconds that a run may be silent before the trials that it has of a shared study are given to others.
const LEASE_S: f64 = 60.0;

/// The run, searching beside the workers of that study where one is named.
fn shared<'a>(run: Run<'a>, study: Option<&str>) -> anyhow::Result<Run<'a>> {
    let Some(study) = study else { return Ok(run) };
    let store = StudyAddress::parse(study)?.open()?;
    let name = super::worker::worker_name(None);
    let shared = Shared::open(store, &name, super::worker::lease(LEASE_S)?)?;
    Ok(run.share(shared)?)
}

pub fn run(args: &RunArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let recipe = with_budget(args)?;
    listen_for_stop();
    whole(
        &recipe,
        &args.recipe.data,
        &args.place,
        args.study.as_deref(),
        &Progress::new(),
        out,
    )?;
    Ok(())
}

pub fn search(args: &RunArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let recipe = with_budget(args)?;
    listen_for_stop();
    let (chosen, today) = (device(&args.place, &recipe)?, today());
    let progress = Progress::new();
    let plan = plan(&recipe, &args.recipe.data, &args.place, &chosen, &today);
    let run = shared(Run::open(plan, &progress)?, args.study.as_deref())?;
    super::ingest::summary(&run.ingested, out)?;
    let trials = run.search(&progress)?;
    writeln!(
        out,
        "run {}: {} trials on {}",
        run.fingerprint,
        trials.len(),
        chosen.0.name
    )?;
    writeln!(out, "trial  accuracy    loss  parameters  MACs/s  genome")?;
    for trial in ranking(&trials).into_iter().take(N_LISTED) {
        let Some(scores) = trial.scores() else {
            continue;
        };
        writeln!(
            out,
            "{:>5}  {:6.2} %  {:.4}  {:>10}  {:>5.2}M  {}",
            trial.number,
            100.0 * scores.validation_accuracy,
            scores.validation_loss,
            trial.cost.n_params,
            trial.cost.macs_per_second as f64 / 1e6,
            trial.genome
        )?;
    }
    Ok(())
}

fn with_budget(args: &RunArgs) -> anyhow::Result<Recipe> {
    let mut recipe = recipe(&args.recipe)?;
    take_budget(&mut recipe, args.minutes, args.trials);
    if let Some(folder) = &args.replay {
        let trials = crate::run::trials_of(folder)?;
        let ranked = ranking(&trials).into_iter().take(args.replay_best);
        let genomes: Vec<_> = ranked.map(|trial| trial.genome.clone()).collect();
        anyhow::ensure!(
            !genomes.is_empty(),
            "{}: found no finished trial to try again",
            folder.display()
        );
        recipe.search.suggestions.splice(0..0, genomes);
    }
    Ok(recipe)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_date_has_the_form_of_one() {
        let today = super::today();
        let parts: Vec<i64> = today.split('-').map(|part| part.parse().unwrap()).collect();
        assert!(parts[0] >= 2024 && (1..=12).contains(&parts[1]) && (1..=31).contains(&parts[2]));
    }
}
