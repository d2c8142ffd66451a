//! `auricle worker`.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::run::{device, plan, take_noise, today};
use super::study::address;
use crate::cli::args::WorkerArgs;
use crate::cli::progress::{Progress, listen_for_stop};
use crate::recipe::Recipe;
use crate::run::{Run, Shared};
use crate::search::store::StudyStore;
use crate::search::study::Ending;

/// The recipe that a study keeps.
pub(super) fn recipe_of(store: &dyn StudyStore, place: &str) -> anyhow::Result<Recipe> {
    let study = store.study()?;
    anyhow::ensure!(
        !study.recipe.is_empty(),
        "{place}: the study of a run that works alone, expected one of `auricle study create`"
    );
    Ok(Recipe::parse_json(&study.recipe, Path::new(place))?)
}

/// A name that no other worker has: the machine, the process, the instant.
pub(super) fn worker_name(given: Option<&str>) -> String {
    let machine = || {
        let read = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let machine = read.or_else(|| std::env::var("HOSTNAME").ok());
        machine.map_or("worker".into(), |name| name.trim().to_owned())
    };
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_nanos() as u64);
    let name = given.map_or_else(machine, str::to_owned);
    format!("{name}-{}-{:08x}", std::process::id(), now as u32)
}

pub(super) fn lease(seconds: f64) -> anyhow::Result<Duration> {
    anyhow::ensure!(
        (0.5..=86_400.0).contains(&seconds),
        "--lease: found {seconds}, expected 0.5 to 86400 seconds"
    );
    Ok(Duration::from_secs_f64(seconds))
}

pub fn worker(args: &WorkerArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let address = address(&args.study)?;
    let lease = lease(args.lease)?;
    let store = address.open()?;
    let mut recipe = recipe_of(&*store, &address.to_string())?;
    take_noise(&mut recipe, &args.noise)?;
    let name = worker_name(args.name.as_deref());
    let shared = Shared::open(store, &name, lease)?;
    listen_for_stop();
    let (chosen, today) = (device(&args.place, &recipe)?, today());
    let progress = Progress::new();
    let plan = plan(&recipe, &args.data, &args.place, &chosen, &today);
    let run = Run::open(plan, &progress)?.share(shared)?;
    writeln!(out, "worker {name} on {}, study {address}", chosen.0.name)?;
    out.flush().context("standard output")?;
    let (ending, trials) = run.work_only(&progress)?;
    let n_complete = trials
        .iter()
        .filter(|trial| trial.scores().is_some())
        .count();
    let why = match ending {
        Ending::BudgetSpent => "the budget is spent",
        Ending::Exhausted => "nothing is left to propose",
        Ending::Stopped => "stopped; what ran here is handed back",
    };
    writeln!(
        out,
        "{why}: {n_complete} of {} trials have a result",
        trials.len()
    )?;
    Ok(())
}
