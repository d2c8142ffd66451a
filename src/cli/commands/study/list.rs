//! Studies and their trials as text and as JSON.

use std::collections::BTreeMap;
use std::io::Write;

use super::workers::workers;
use crate::cli::args::TrialsArgs;
use crate::search::store::StudyStore;
use crate::search::{Budget, Trial, TrialState};

pub(super) fn budget_line(budget: &Budget) -> String {
    let parts = [
        budget.n_trials.map(|n| format!("{n} trials")),
        budget.minutes.map(|minutes| format!("{minutes} minutes")),
        budget
            .trial_minutes
            .map(|minutes| format!("at most {minutes} minutes a trial")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// A trial for a program: everything but the genome's layers in words.
fn json(trial: &Trial) -> serde_json::Value {
    serde_json::to_value(trial).expect("a trial is plain data")
}

const HEAD: &str = "trial  state       accuracy    loss  parameters  MACs/s  seconds  genome";

fn line(trial: &Trial) -> String {
    let (accuracy, loss) = match trial.scores() {
        Some(scores) => (
            format!("{:.2} %", 100.0 * scores.validation_accuracy),
            format!("{:.4}", scores.validation_loss),
        ),
        None => ("-".into(), "-".into()),
    };
    let note = match &trial.state {
        TrialState::Failed { failure } | TrialState::Infeasible { failure } => {
            format!("  ({}: {})", failure.kind.name(), failure.reason)
        }
        _ => String::new(),
    };
    format!(
        "{:>5}  {:<10}  {accuracy:>8}  {loss:>6}  {:>10}  {:>5.2}M  {:>7.1}  {}{note}",
        trial.number,
        trial.state.name(),
        trial.cost.n_params,
        trial.cost.macs_per_second as f64 / 1e6,
        trial.seconds,
        trial.genome,
    )
}

pub(super) fn trials(
    store: &dyn StudyStore,
    args: &TrialsArgs,
    is_json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut trials = store.trials()?;
    if let Some(state) = &args.state {
        trials.retain(|trial| trial.state.name() == state);
    }
    if !is_json {
        writeln!(out, "{HEAD}")?;
    }
    for trial in &trials {
        if is_json {
            writeln!(out, "{}", json(trial))?;
            continue;
        }
        writeln!(out, "{}", line(trial))?;
        if args.curves {
            let losses = trial.curve.iter();
            let losses: Vec<String> = losses
                .map(|point| format!("{:.4}", point.validation_loss))
                .collect();
            writeln!(out, "       {}", losses.join(" "))?;
        }
    }
    Ok(())
}

pub(super) fn best(
    store: &dyn StudyStore,
    n: usize,
    is_json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if !is_json {
        writeln!(out, "{HEAD}")?;
    }
    for trial in store.best(n)? {
        match is_json {
            true => writeln!(out, "{}", json(&trial))?,
            false => writeln!(out, "{}", line(&trial))?,
        }
    }
    Ok(())
}

pub(super) fn show(
    store: &dyn StudyStore,
    is_json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let study = store.study()?;
    let summary = store.summary()?;
    let workers = workers(&store.leases()?);
    if is_json {
        let workers: Vec<_> = workers
            .iter()
            .map(|worker| {
                serde_json::json!({
                    "name": worker.name,
                    "trials": worker.trials,
                    "seconds_since_sign_of_life": worker.seconds_since_beat,
                    "seconds_of_lease_left": worker.seconds_left,
                })
            })
            .collect();
        let value = serde_json::json!({
            "name": study.name,
            "fingerprint": study.fingerprint,
            "status": study.status.name(),
            "settings": study.settings,
            "seconds": study.seconds,
            "n_trials": summary.n_trials(),
            "n_by_state": summary.n_by_state,
            "n_by_failure": summary.n_by_failure,
            "training_seconds": summary.seconds,
            "best": summary.best.as_ref().map(json),
            "workers": workers,
        });
        writeln!(out, "{value}")?;
        return Ok(());
    }
    let counts = |counts: &BTreeMap<String, u64>| -> String {
        let counts = counts.iter().map(|(name, n)| format!("{n} {name}"));
        counts.collect::<Vec<_>>().join(", ")
    };
    writeln!(out, "study     {} of run {}", study.name, study.fingerprint)?;
    writeln!(out, "status    {}", study.status.name())?;
    if let Some(budget) = &study.settings.budget {
        writeln!(out, "budget    {} (set by hand)", budget_line(budget))?;
    }
    writeln!(
        out,
        "trials    {}: {}",
        summary.n_trials(),
        counts(&summary.n_by_state)
    )?;
    if !summary.n_by_failure.is_empty() {
        writeln!(out, "failures  {}", counts(&summary.n_by_failure))?;
    }
    writeln!(
        out,
        "time      {:.0} s since the first trial began, {:.0} s of training",
        study.seconds, summary.seconds
    )?;
    if let Some(artifacts) = &study.settings.artifacts {
        writeln!(out, "artifacts {artifacts}")?;
    }
    for worker in &workers {
        let trials: Vec<String> = worker.trials.iter().map(u64::to_string).collect();
        writeln!(
            out,
            "worker    {}: trial {}, last sign of life {:.1} s ago",
            worker.name,
            trials.join(", "),
            worker.seconds_since_beat
        )?;
    }
    if let Some(best) = &summary.best {
        writeln!(out, "best\n{HEAD}\n{}", line(best))?;
    }
    Ok(())
}
