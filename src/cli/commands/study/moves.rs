//! Studies that leave a database and enter one, and artifacts that nobody names any more.

use std::collections::HashSet;
use std::io::{BufRead, Write};
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::search::Trial;
use crate::search::depot::Depot;
use crate::search::store::{StudyAddress, StudySettings, StudyStore, studies_in};

/// The first line of an export; every other one is a trial.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    auricle_study: u32,
    name: String,
    fingerprint: String,
    recipe: String,
    settings: StudySettings,
}

/// Version of the export's form.
const FORM: u32 = 1;

pub(super) fn export(store: &dyn StudyStore, out: &mut dyn Write) -> anyhow::Result<()> {
    let study = store.study()?;
    let header = Header {
        auricle_study: FORM,
        name: study.name,
        fingerprint: study.fingerprint,
        recipe: study.recipe,
        settings: study.settings,
    };
    writeln!(out, "{}", serde_json::to_string(&header)?)?;
    for trial in store.trials()? {
        writeln!(out, "{}", serde_json::to_string(&trial)?)?;
    }
    Ok(())
}

/// Begins the study of an export; its number of trials.
pub(super) fn import(address: &StudyAddress, from: &Path) -> anyhow::Result<usize> {
    let file = std::fs::File::open(from).with_context(|| from.display().to_string())?;
    let mut lines = std::io::BufReader::new(file).lines();
    let at = |line: usize| format!("{}, line {line}", from.display());
    let first = lines
        .next()
        .with_context(|| at(1))?
        .with_context(|| at(1))?;
    let header: Header = serde_json::from_str(&first)
        .with_context(|| format!("{}: expected a study's export", at(1)))?;
    anyhow::ensure!(
        header.auricle_study == FORM,
        "{}: found an export of form {}, this version reads {FORM}",
        from.display(),
        header.auricle_study
    );
    let mut known = HashSet::new();
    let mut trials: Vec<(String, Trial)> = Vec::new();
    for (index, line) in lines.enumerate() {
        let line = line.with_context(|| at(index + 2))?;
        let trial: Trial = serde_json::from_str(&line).with_context(|| at(index + 2))?;
        let hash = trial.genome.hash_hex();
        let key = match known.insert(hash.clone()) {
            true => hash,
            false => format!("{hash}-{}", trial.number),
        };
        trials.push((key, trial));
    }
    let name = address.name.as_ref().unwrap_or(&header.name);
    address.create(name, &header.fingerprint, &header.recipe, &header.settings)?;
    let named = StudyAddress {
        place: address.place.clone(),
        name: Some(name.clone()),
    };
    named.open()?.import(&trials)?;
    Ok(trials.len())
}

/// Removes what lies in the study's depot and is named by no trial of any study of the same place.
pub(super) fn collect(
    address: &StudyAddress,
    is_dry: bool,
    hours: f64,
    is_json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let place = address.open()?.study()?.settings.artifacts;
    let place = place.with_context(|| {
        format!("study {address}: found no place of artifacts; a run keeps its own folder")
    })?;
    let depot = Depot::open(&place)?;
    // Listed first: what is written from now on is too young to be looked at.
    let kept = depot.list()?;
    let mut named = HashSet::new();
    for name in studies_in(&address.place)? {
        let study = StudyAddress {
            place: address.place.clone(),
            name: Some(name),
        };
        for trial in study.open()?.trials()? {
            named.extend(trial.artifacts.weights);
            named.extend(trial.artifacts.checkpoint);
        }
    }
    let (mut n, mut n_bytes) = (0_usize, 0_u64);
    for found in &kept {
        if named.contains(&found.id) || found.age.as_secs_f64() < 3600.0 * hours {
            continue;
        }
        n += 1;
        n_bytes += found.n_bytes;
        if !is_dry {
            depot.remove(&found.id)?;
        }
    }
    let verb = if is_dry {
        "would be removed"
    } else {
        "removed"
    };
    match is_json {
        true => writeln!(
            out,
            "{}",
            serde_json::json!({"n_removed": n, "n_bytes": n_bytes, "n_kept": kept.len() - n, "dry_run": is_dry})
        )?,
        false => writeln!(
            out,
            "{place}: {n} of {} artifacts {verb}, {:.1} MB",
            kept.len(),
            n_bytes as f64 / 1e6
        )?,
    }
    Ok(())
}
