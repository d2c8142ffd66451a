//! `auricle study`: what workers share, seen and steered by hand.

mod list;
mod moves;
mod watch;
mod workers;

use std::io::Write;

use anyhow::Context;

use super::worker::recipe_of;
use crate::cli::args::{BudgetArgs, CreateArgs, StudyArg, StudyArgs, StudyCommand};
use crate::cli::progress::{Progress, listen_for_stop};
use crate::model::{Cost, Genome, Ports};
use crate::recipe::Recipe;
use crate::run::{Plan, Run};
use crate::search::Budget;
use crate::search::hyper::HyperPoint;
use crate::search::store::{
    Force, NewTrial, Place, RetryPolicy, Status, StudyAddress, StudyEdit, StudySettings,
    StudyStore, studies_in,
};
use crate::search::trial::TrialState;

/// The study that a command line or the environment names.
pub(super) fn address(arg: &StudyArg) -> anyhow::Result<StudyAddress> {
    if let Some(text) = &arg.address {
        return Ok(StudyAddress::parse(text)?);
    }
    let text = std::env::var("AURICLE_STUDY").ok();
    let text = text.context("found no study, expected --study ADDRESS or AURICLE_STUDY")?;
    Ok(StudyAddress::parse_secret(&text)?)
}

pub fn study(args: &StudyArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let address = address(&args.study)?;
    let say = |out: &mut dyn Write, what: &str, json: serde_json::Value| -> anyhow::Result<()> {
        match args.json {
            true => writeln!(out, "{json}")?,
            false => writeln!(out, "{what}")?,
        }
        Ok(())
    };
    match &args.command {
        StudyCommand::Create(create_args) => {
            let fingerprint = create(&address, create_args)?;
            let json =
                serde_json::json!({"study": address.to_string(), "fingerprint": fingerprint});
            say(out, &format!("study {address} of run {fingerprint}"), json)
        }
        StudyCommand::List => {
            for name in studies_in(&address.place)? {
                say(out, &name, serde_json::json!({"name": name}))?;
            }
            Ok(())
        }
        StudyCommand::Watch(watch_args) => watch::watch(&address, watch_args),
        StudyCommand::Show => list::show(&*address.open()?, args.json, out),
        StudyCommand::Trials(trials) => list::trials(&*address.open()?, trials, args.json, out),
        StudyCommand::Best { n } => list::best(&*address.open()?, *n, args.json, out),
        StudyCommand::Pause => set_status(&address, Status::Paused, args.json, out),
        StudyCommand::Resume => set_status(&address, Status::Running, args.json, out),
        StudyCommand::Stop => set_status(&address, Status::Stopped, args.json, out),
        StudyCommand::Retry { numbers, failed } => {
            let store = address.open()?;
            let mut numbers = numbers.clone();
            if *failed {
                let has_failed = |state: &TrialState| matches!(state, TrialState::Failed { .. });
                let trials = store.trials()?.into_iter();
                numbers.extend(
                    trials
                        .filter(|it| has_failed(&it.state))
                        .map(|it| it.number),
                );
            }
            force(&*store, &numbers, Force::Queue, args.json, out)
        }
        StudyCommand::Kill { numbers } => {
            force(&*address.open()?, numbers, Force::Stop, args.json, out)
        }
        StudyCommand::Suggest { genome } => {
            let text =
                std::fs::read_to_string(genome).with_context(|| genome.display().to_string())?;
            let genome: Genome =
                serde_json::from_str(&text).with_context(|| genome.display().to_string())?;
            let store = address.open()?;
            let number = suggest(&*store, &address, genome)?;
            let json = serde_json::json!({"number": number, "state": "queued"});
            say(out, &format!("trial {number} is queued"), json)
        }
        StudyCommand::SetBudget(budget) => set_budget(&address, budget, args.json, out),
        StudyCommand::Export { to } => {
            let store = address.open()?;
            match to {
                None => moves::export(&*store, out),
                Some(path) => {
                    let file = std::fs::File::create(path);
                    let file = file.with_context(|| path.display().to_string())?;
                    let mut file = std::io::BufWriter::new(file);
                    moves::export(&*store, &mut file)?;
                    file.flush().with_context(|| path.display().to_string())
                }
            }
        }
        StudyCommand::Import { from } => {
            let n = moves::import(&address, from)?;
            let json = serde_json::json!({"study": address.to_string(), "n_trials": n});
            say(out, &format!("study {address}: {n} trials"), json)
        }
        StudyCommand::Delete { yes } => {
            anyhow::ensure!(*yes, "study {address}: its trials would be gone; say --yes");
            address.delete()?;
            let json = serde_json::json!({"deleted": address.to_string()});
            say(out, &format!("study {address} is deleted"), json)
        }
        StudyCommand::Gc {
            dry_run,
            older_than,
        } => moves::collect(&address, *dry_run, *older_than, args.json, out),
    }
}

/// Begins a study; the fingerprint of its run.
fn create(address: &StudyAddress, args: &CreateArgs) -> anyhow::Result<String> {
    let artifacts = match (&args.artifacts, &address.place) {
        (Some(place), _) if place.contains("://") => place.clone(),
        (Some(place), _) => std::path::absolute(place)?.display().to_string(),
        (None, Place::Sqlite(path)) => std::path::absolute(path.with_file_name("artifacts"))?
            .display()
            .to_string(),
        (None, Place::Postgres(_)) => anyhow::bail!(
            "found no --artifacts, expected a folder or bucket that the workers of {address} all reach"
        ),
    };
    let name = match (&address.name, &address.place) {
        (Some(name), _) => name.clone(),
        (None, Place::Sqlite(path)) => path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        (None, Place::Postgres(_)) => {
            anyhow::bail!("study {address}: found no name, expected {address}#NAME")
        }
    };
    let recipe = super::run::recipe(&args.recipe)?;
    listen_for_stop();
    let (device, today) = (args.device.open()?, super::run::today());
    let plan = Plan {
        recipe: &recipe,
        source: &args.recipe.data,
        runs: &args.runs,
        device: &device.device,
        device_kind: device.kind,
        device_name: &device.name,
        n_workers: super::workers(None),
        today: &today,
    };
    let run = Run::open(plan, &Progress::new())?;
    let text = serde_json::to_string(&recipe)?;
    let settings = StudySettings {
        budget: None,
        retry: RetryPolicy::shared(),
        artifacts: Some(artifacts),
    };
    address.create(&name, &run.fingerprint, &text, &settings)?;
    Ok(run.fingerprint)
}

fn set_status(
    address: &StudyAddress,
    status: Status,
    is_json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    address.open()?.edit(&StudyEdit {
        status: Some(status),
        settings: None,
    })?;
    match is_json {
        true => writeln!(out, "{}", serde_json::json!({"status": status.name()}))?,
        false => writeln!(out, "study {address} is {}", status.name())?,
    }
    Ok(())
}

fn force(
    store: &dyn StudyStore,
    numbers: &[u64],
    to: Force,
    is_json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    for number in numbers {
        let trial = store.force(*number, to)?;
        let state = trial.state.name();
        match is_json {
            true => writeln!(
                out,
                "{}",
                serde_json::json!({"number": number, "state": state})
            )?,
            false => writeln!(out, "trial {number} is {state}")?,
        }
    }
    Ok(())
}

/// What a genome is plugged between, where the recipe says it without its data.
fn ports(recipe: &Recipe) -> Option<Ports> {
    let labels = &recipe.data.labels;
    let frontend = recipe.frontend()?;
    (!labels.keywords.is_empty()).then(|| Ports {
        n_mels: frontend.n_mels,
        n_classes: labels.class_names(&[]).len(),
        frames_per_1000_s: (frontend.frames_per_second() * 1000.0).round() as u64,
    })
}

/// Queues a genome as the next trial; its number.
fn suggest(store: &dyn StudyStore, address: &StudyAddress, genome: Genome) -> anyhow::Result<u64> {
    genome.validate().context("the genome")?;
    let recipe = recipe_of(store, &address.to_string())?;
    let ports = ports(&recipe).context(
        "labels: found no keywords, expected them in the recipe: without the data \
         nobody knows how many classes there are",
    )?;
    let _held = store.suggesting()?;
    let trials = store.trials()?;
    let number = trials.last().map_or(0, |last| last.number + 1);
    let hash = genome.hash_hex();
    let is_new = trials.iter().all(|trial| trial.genome.hash_hex() != hash);
    let new = NewTrial {
        number,
        key: match is_new && !recipe.search.repeats {
            true => hash,
            false => format!("{hash}-{number}"),
        },
        parent: None,
        cost: Cost::of(&genome, &ports),
        hyper: HyperPoint::default(),
        donors: Vec::new(),
        teachers: Vec::new(),
        batch_size: recipe.search.train.batch_size,
        learned: Vec::new(),
        genome,
    };
    Ok(store.begin(&new, None)?.number)
}

fn set_budget(
    address: &StudyAddress,
    args: &BudgetArgs,
    is_json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let store = address.open()?;
    let mut settings = store.study()?.settings;
    settings.budget = match args.recipe {
        true => None,
        false => {
            let now = settings.budget.unwrap_or(Budget {
                n_trials: None,
                minutes: None,
                trial_minutes: None,
            });
            let budget = Budget {
                n_trials: args.trials.or(now.n_trials),
                minutes: args.minutes.or(now.minutes),
                trial_minutes: args.trial_minutes.or(now.trial_minutes),
            };
            budget.validate()?;
            Some(budget)
        }
    };
    let budget = settings.budget;
    store.edit(&StudyEdit {
        status: None,
        settings: Some(settings),
    })?;
    match (is_json, budget) {
        (true, budget) => writeln!(out, "{}", serde_json::json!({"budget": budget}))?,
        (false, None) => writeln!(out, "study {address}: the recipe's budget")?,
        (false, Some(budget)) => writeln!(out, "study {address}: {}", list::budget_line(&budget))?,
    }
    Ok(())
}
