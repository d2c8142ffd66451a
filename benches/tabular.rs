//! How good the controllers are, on tables of networks that were all trained: for each data set the true accuracy
//! of the pick after 100 evaluations, and the evaluations that match random search's mean pick after 500.
//!
//! `cargo bench --bench tabular -- [--seeds N] [--only KIND]`; 100 seeds unless told otherwise. The pick is the
//! network whose seen accuracy is the best; where a controller names an incumbent by its model, that follows in
//! brackets.

#[path = "../tests/it/tabular/tables.rs"]
mod tables;

use std::time::Instant;

use auricle::search::controllers::ControllerSpec;
use tables::{Run, Table, curve, mean};

const N_EVALUATIONS: u64 = 100;
const N_RANDOM: u64 = 500;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |flag: &str| {
        let at = arguments.iter().position(|argument| argument == flag)?;
        arguments.get(at + 1).cloned()
    };
    let n_seeds = value("--seeds").map_or(100, |n| n.parse().expect("--seeds takes a number"));
    let only = value("--only");
    match tables::tables() {
        Ok(tables) => print(&tables, n_seeds, only.as_deref()),
        Err(reason) => println!("{reason}"),
    }
}

fn print(tables: &[Table], n_seeds: u64, only: Option<&str>) {
    println!(
        "{n_seeds} seeds, {N_EVALUATIONS} evaluations; mean true accuracy of the pick ± standard error, [incumbent],"
    );
    println!(
        "evaluations to match random search's mean pick after {N_RANDOM}, seconds for all seeds"
    );
    let mut specs = ControllerSpec::presets(&tables[0].domain);
    specs.retain(|spec| only.is_none_or(|only| only == spec.kind()));
    let targets: Vec<f64> = tables
        .iter()
        .map(|table| {
            let runs = searches(table, &ControllerSpec::Random, N_RANDOM, n_seeds);
            curve(&runs)[N_RANDOM as usize - 1]
        })
        .collect();
    print!("{:<20}", "random after 500");
    for (table, target) in tables.iter().zip(&targets) {
        print!(" | {} {target:.2}", table.name);
    }
    println!();
    for spec in specs {
        print!("{:<20}", spec.kind());
        let start = Instant::now();
        for (at, table) in tables.iter().enumerate() {
            let Some(spec) = at_depth_of(table, &spec) else {
                continue;
            };
            let runs = searches(table, &spec, N_EVALUATIONS, n_seeds);
            let (pick, error) = mean(runs.iter().map(|run| run.picks[run.picks.len() - 1]));
            let incumbent = mean(runs.iter().map(|run| run.incumbent)).0;
            let matched = curve(&runs).iter().position(|pick| *pick >= targets[at]);
            let matched = matched.map_or(format!(">{N_EVALUATIONS}"), |n| (n + 1).to_string());
            print!(" | {pick:.2} ±{error:.2} [{incumbent:.2}] {matched:>4}");
        }
        println!(" | {:.1} s", start.elapsed().as_secs_f64());
    }
}

/// The same algorithm for that table: settings that name a depth are the preset's of the table's own.
fn at_depth_of(table: &Table, spec: &ControllerSpec) -> Option<ControllerSpec> {
    let mut presets = ControllerSpec::presets(&table.domain).into_iter();
    presets.find(|preset| preset.kind() == spec.kind())
}

fn searches(table: &Table, spec: &ControllerSpec, n_evaluations: u64, n_seeds: u64) -> Vec<Run> {
    let search = |seed| table.search(spec, n_evaluations, seed);
    (0..n_seeds).map(search).collect()
}
