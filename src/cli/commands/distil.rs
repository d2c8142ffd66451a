//! `auricle distil`.

use std::io::Write;

use anyhow::Context;

use super::run::{device, plan, recipe, today};
use crate::bundle::Bundle;
use crate::cli::args::DistilArgs;
use crate::cli::progress::{Progress, listen_for_stop};
use crate::evaluate::Judgement;
use crate::model::Genome;
use crate::run::Run;
use crate::search::distil::{DistilLoss, DistilSpec};

pub fn distil(args: &DistilArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let recipe = recipe(&args.recipe)?;
    let teacher = Bundle::load(&args.bundle)?;
    let genome: Option<Genome> = match &args.genome {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let genome: Genome =
                serde_json::from_str(&text).with_context(|| path.display().to_string())?;
            genome
                .validate()
                .with_context(|| path.display().to_string())?;
            Some(genome)
        }
    };
    anyhow::ensure!(
        (0.0..=1.0).contains(&args.label_weight),
        "--label-weight: found {}, expected 0 to 1",
        args.label_weight
    );
    let teacher_weight = 1.0 - args.label_weight;
    let spec = DistilSpec {
        loss: DistilLoss::CrossEntropy,
        temperature: args.temperature,
        label_weight: args.label_weight,
        teacher_weight: [teacher_weight, teacher_weight],
        ramp_share: 0.0,
    };
    spec.check().map_err(anyhow::Error::msg)?;
    listen_for_stop();
    let (chosen, today) = (device(&args.place, &recipe)?, today());
    let progress = Progress::new();
    let plan = plan(&recipe, &args.recipe.data, &args.place, &chosen, &today);
    let run = Run::open(plan, &progress)?;
    super::ingest::summary(&run.ingested, out)?;
    let distilled = run.distil(&teacher, genome.as_ref(), &spec, &progress)?;
    distilled.bundle.save(&args.to)?;
    let percent = |judgement: &Judgement| match judgement.accuracy.number() {
        Some(accuracy) => format!("{:.2} %", 100.0 * accuracy),
        None => "not known".into(),
    };
    writeln!(
        out,
        "teacher: {} networks, {} parameters, validation {}",
        distilled.teacher_cost.len(),
        distilled
            .teacher_cost
            .iter()
            .map(|cost| cost.n_params)
            .sum::<u64>(),
        percent(&distilled.teacher_validation)
    )?;
    writeln!(
        out,
        "student: {}, {} parameters, validation {}{}",
        distilled.genome,
        distilled.cost.n_params,
        percent(&distilled.validation),
        match &distilled.test {
            Some(test) => format!(", test {}", percent(test)),
            None => String::new(),
        }
    )?;
    writeln!(out, "  {}", args.to.display())?;
    Ok(())
}
