//! The bundles of a finished run in its folder: `single.auricle`, `ensemble.auricle` and one for each baseline, so that all that was
//! compared can listen, and be judged further.

use std::collections::BTreeMap;

use super::team::Team;
use super::{Full, Run, RunError};
use crate::bundle::{self, Bundle, LanguageSpec};
use crate::evaluate::report::System;
use crate::evaluate::{Judgement, Report};
use crate::model::Combination;
use crate::search::Member;

/// Writes the bundles: the single model, the ensemble, the baselines, and the ensemble's student where there is one.
pub(super) fn pack(
    run: &Run,
    full: &Full,
    team: &Team,
    student: Option<&Member>,
    report: &Report,
) -> Result<(), RunError> {
    let alone = Combination::MeanProbabilities;
    let save = |members: &[&Member], combination, system, name: &str| -> Result<(), RunError> {
        // What reads whole clips cannot listen: it is judged, and not packed.
        if !members.iter().all(|member| member.genome.streams()) {
            return Ok(());
        }
        Ok(bundle(run, members, combination, report, system)?.save(&run.folder.join(name))?)
    };
    let single = report.single.value();
    save(&[&full.chosen], &alone, single, "single.auricle")?;
    let members: Vec<&Member> = team.members.iter().collect();
    let system = report.ensemble.value();
    save(&members, &team.combination, system, "ensemble.auricle")?;
    // The report has them in this order, and the student behind them.
    let mut systems = report.baselines.iter();
    for baseline in &full.baselines {
        let name = format!("{}.auricle", baseline.name);
        save(&[baseline], &alone, systems.next(), &name)?;
    }
    if let Some(student) = student {
        save(&[student], &alone, systems.next(), "student.auricle")?;
    }
    Ok(())
}

/// The bundle of a student whose accuracy is known or not.
pub(super) fn student(
    run: &Run,
    student: &Member,
    test: Option<&Judgement>,
) -> Result<Bundle, RunError> {
    let accuracy = test.and_then(|test| test.accuracy.number());
    let made = run.plan.today;
    bundle_of(
        run,
        &[student],
        &Combination::MeanProbabilities,
        made,
        accuracy,
    )
}

fn bundle(
    run: &Run,
    members: &[&Member],
    combination: &Combination,
    report: &Report,
    system: Option<&System>,
) -> Result<Bundle, RunError> {
    let accuracy = system
        .and_then(|system| system.test.value())
        .and_then(|test| test.accuracy.number());
    bundle_of(run, members, combination, &report.created, accuracy)
}

fn bundle_of(
    run: &Run,
    members: &[&Member],
    combination: &Combination,
    made: &str,
    accuracy: Option<f64>,
) -> Result<Bundle, RunError> {
    let weight = |at: usize| match combination {
        Combination::WeightedProbabilities { weights } => weights[at],
        _ => 1.0,
    };
    let is_of_logits = matches!(
        combination,
        Combination::MeanLogits | Combination::WeightedLogits { .. }
    );
    let recipe = run.plan.recipe;
    // All members hear the same.
    let corpus = run.corpus.behind(&members[0].hyper);
    let mut provenance = BTreeMap::from([
        ("run".to_owned(), run.fingerprint.clone()),
        ("made".to_owned(), made.to_owned()),
        (
            "program".to_owned(),
            format!("auricle {}", env!("CARGO_PKG_VERSION")),
        ),
    ]);
    if let Some(accuracy) = accuracy {
        provenance.insert("test accuracy".into(), format!("{accuracy:.4}"));
    }
    let languages = match &recipe.languages {
        Some(task) => Some(LanguageSpec {
            floor: task.floor,
            temperatures: run.temperatures(members, combination)?,
        }),
        None => None,
    };
    Ok(Bundle {
        title: recipe.title.clone(),
        frontend: corpus.frontend().clone(),
        labels: run.corpus.labels().to_vec(),
        members: members
            .iter()
            .enumerate()
            .map(|(at, member)| bundle::Member {
                genome: member.genome.clone(),
                weights: member.weights.clone(),
                weight: weight(at),
            })
            .collect(),
        mixture: is_of_logits.then(|| combination.clone()),
        detector: recipe.detector.clone(),
        languages,
        clip_ms: recipe.data.clip_ms,
        whole_clips_ms: recipe.data.lengths.longest_ms(),
        storage: bundle::Storage::F32,
        provenance,
    })
}
