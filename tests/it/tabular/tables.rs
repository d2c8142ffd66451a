//! NAS-Bench-201 (Dong & Yang 2020) and NAS-Bench-Macro (Su et al. 2021) as spaces to search: every network was
//! trained three times, a search sees one of the three accuracies at each evaluation, drawn by a seed, and is
//! judged by their mean.

use std::collections::HashSet;
use std::fs::File;
use std::path::PathBuf;

use auricle::search::controllers::{ControllerSpec, Observation};
use auricle::search::domain::{Alphabet, Domain, Point};
use flate2::read::GzDecoder;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One data set of one benchmark.
pub struct Table {
    pub name: &'static str,
    pub domain: Domain,
    n_choices: u32,
    /// Of each network, three accuracies in percent.
    accuracies: Vec<[f64; 3]>,
}

/// What became of one search: at index i, after i + 1 evaluations.
pub struct Run {
    /// True accuracy of the network whose seen accuracy is the best so far.
    pub picks: Vec<f64>,
    /// True accuracy of the controller's incumbent at the end; the last pick where it names none.
    pub incumbent: f64,
}

/// Where the reference tables are, or why not.
pub fn folder() -> Result<PathBuf, String> {
    let beside = || {
        let root =
            std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
        Some(root.parent()?.join("shared").into_os_string())
    };
    let shared = std::env::var_os("AURICLE_SHARED").or_else(beside);
    let folder = PathBuf::from(shared.unwrap_or_default()).join("reference");
    if folder.join("nb201.csv.gz").exists() && folder.join("nb_macro.csv.gz").exists() {
        return Ok(folder);
    }
    Err(format!(
        "skipped: no nb201.csv.gz and nb_macro.csv.gz in {} (AURICLE_SHARED names the folder above)",
        folder.display()
    ))
}

/// CIFAR-10, CIFAR-100 and ImageNet16-120 of NAS-Bench-201, and NAS-Bench-Macro.
pub fn tables() -> Result<Vec<Table>, String> {
    let folder = folder()?;
    let nb201 = folder.join("nb201.csv.gz");
    Ok(vec![
        Table::read("cifar10", &nb201, "op6", "cifar10_acc", 5),
        Table::read("cifar100", &nb201, "op6", "cifar100_acc", 5),
        Table::read("imagenet16", &nb201, "op6", "imagenet_acc", 5),
        Table::read("macro", &folder.join("nb_macro.csv.gz"), "arch8", "acc", 3),
    ])
}

impl Table {
    fn read(
        name: &'static str,
        path: &std::path::Path,
        key: &str,
        accuracy: &str,
        n_choices: u32,
    ) -> Self {
        let file = File::open(path).expect("the table exists");
        let mut reader = csv::Reader::from_reader(GzDecoder::new(file));
        let headers = reader.headers().expect("a first line").clone();
        let column = |name: &str| {
            let at = headers.iter().position(|header| header == name);
            at.unwrap_or_else(|| panic!("{}: no column {name}", path.display()))
        };
        let key = column(key);
        let accuracy = [0, 1, 2].map(|seed| column(&format!("{accuracy}{seed}")));
        let mut n_positions = 0;
        let mut accuracies = Vec::new();
        for row in reader.records() {
            let row = row.expect("a whole table");
            n_positions = row[key].len();
            let digits = row[key].chars().map(|c| c.to_digit(10).expect("a digit"));
            let index = digits.fold(0, |index, digit| index * n_choices + digit);
            assert_eq!(index as usize, accuracies.len(), "networks are in order");
            accuracies.push(accuracy.map(|at| row[at].parse().expect("a number")));
        }
        assert_eq!(
            accuracies.len(),
            (n_choices as usize).pow(n_positions as u32)
        );
        let alphabet = Alphabet::plain(n_choices).expect("some choices");
        let depth = [n_positions; 2];
        Self {
            name,
            domain: Domain::new(vec![], vec![alphabet], depth).expect("a chain"),
            n_choices,
            accuracies,
        }
    }

    fn seen(&self, point: &Point) -> &[f64; 3] {
        let digits = point.parts.iter();
        let index = digits.fold(0, |index, digit| index * self.n_choices + digit);
        &self.accuracies[index as usize]
    }

    /// Mean of the three accuracies, in percent.
    pub fn truth(&self, point: &Point) -> f64 {
        self.seen(point).iter().sum::<f64>() / 3.0
    }

    /// One search; no network is evaluated twice.
    pub fn search(&self, spec: &ControllerSpec, n_evaluations: u64, seed: u64) -> Run {
        let mut controller = spec.build(&self.domain).expect("sound settings");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut tried = HashSet::new();
        let (mut best, mut pick) = (f64::INFINITY, 0.0);
        let mut picks = Vec::new();
        for number in 0..n_evaluations {
            let admit = |point: &Point| !tried.contains(point);
            let proposal = controller.ask(&admit, &mut rng).expect("a larger space");
            tried.insert(proposal.point.clone());
            let loss = 1.0 - self.seen(&proposal.point)[rng.random_range(0..3)] / 100.0;
            if loss < best {
                (best, pick) = (loss, self.truth(&proposal.point));
            }
            picks.push(pick);
            controller.tell(&Observation {
                number,
                point: proposal.point,
                parent: proposal.parent,
                outcome: Some(loss),
                costs: Vec::new(),
            });
        }
        let incumbent = controller.incumbent();
        Run {
            picks,
            incumbent: incumbent.map_or(pick, |incumbent| self.truth(&incumbent.point)),
        }
    }
}

/// Mean and its standard error.
pub fn mean(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values: Vec<f64> = values.collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0).max(1.0) / n).sqrt())
}

/// Mean pick after each number of evaluations.
pub fn curve(runs: &[Run]) -> Vec<f64> {
    let n_evaluations = runs.iter().map(|run| run.picks.len()).min().unwrap_or(0);
    (0..n_evaluations)
        .map(|at| mean(runs.iter().map(|run| run.picks[at])).0)
        .collect()
}
