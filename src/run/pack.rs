//! The bundles of a finished run: `single.auricle` and `ensemble.auricle` in its folder.

use std::collections::BTreeMap;

use super::{Run, RunError};
use crate::bundle::{self, Bundle};
use crate::evaluate::Report;
use crate::evaluate::report::System;
use crate::search::Member;

/// Writes both bundles.
pub(super) fn pack(run: &Run, members: &[Member], report: &Report) -> Result<(), RunError> {
    let single = bundle(run, &members[..1], report, report.single.value());
    single.save(&run.folder.join("single.auricle"))?;
    let ensemble = bundle(run, members, report, report.ensemble.value());
    ensemble.save(&run.folder.join("ensemble.auricle"))?;
    Ok(())
}

fn bundle(run: &Run, members: &[Member], report: &Report, system: Option<&System>) -> Bundle {
    let recipe = run.plan.recipe;
    let accuracy = system
        .and_then(|system| system.test.value())
        .and_then(|test| test.accuracy.number());
    let mut provenance = BTreeMap::from([
        ("run".to_owned(), run.fingerprint.clone()),
        ("made".to_owned(), report.created.clone()),
        (
            "program".to_owned(),
            format!("auricle {}", env!("CARGO_PKG_VERSION")),
        ),
    ]);
    if let Some(accuracy) = accuracy {
        provenance.insert("test accuracy".into(), format!("{accuracy:.4}"));
    }
    Bundle {
        title: recipe.title.clone(),
        frontend: recipe.frontend().expect("a checked recipe has a front-end"),
        labels: run.corpus.labels().to_vec(),
        members: members
            .iter()
            .map(|member| bundle::Member {
                genome: member.genome.clone(),
                weights: member.weights.clone(),
                weight: 1.0,
            })
            .collect(),
        detector: recipe.detector.clone(),
        clip_ms: recipe.data.clip_ms,
        provenance,
    }
}
