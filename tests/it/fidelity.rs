//! Successive halving and median stopping against full training, on measured curves: the 345 recurrent
//! networks of NAS-Bench-NLP (Klyuchnikov et al. 2020), trained for up to 50 epochs on WikiText-2.

use std::io::Read;
use std::path::PathBuf;

use auricle::search::fidelity::{FidelitySpec, Next, Scheduler, Verdict};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

const N_EPOCHS: usize = 50;
const N_DRAWS: u64 = 50;

/// The curves, or a printed reason why there are none.
fn curves() -> Option<Vec<Vec<f64>>> {
    let shared = std::env::var("AURICLE_SHARED").map_or_else(
        |_| {
            std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"))
                .join("../shared")
        },
        PathBuf::from,
    );
    let path = shared.join("reference/nb_nlp_wt2_curves.jsonl.gz");
    let Ok(file) = std::fs::File::open(&path) else {
        println!("skipped: {} is not there", path.display());
        return None;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("a gzip file of text");
    let read = |line: &str| -> Vec<f64> {
        // A diverged epoch is written as NaN, which is not JSON.
        let row: serde_json::Value =
            serde_json::from_str(&line.replace("NaN", "null").replace("Infinity", "null"))
                .expect("a row of JSON");
        let losses = row["val_losses"].as_array().expect("a curve").iter();
        losses
            .map(|loss| loss.as_f64().unwrap_or(f64::NAN))
            .collect()
    };
    Some(text.lines().map(read).collect())
}

/// `n_workers` train epoch by epoch in turn, new networks in that order, until none is left and none can be
/// promoted. A curve that ends early or diverges is a failed trial.
fn search(
    spec: &FidelitySpec,
    curves: &[Vec<f64>],
    order: &[usize],
    n_workers: usize,
) -> Scheduler {
    let mut scheduler = spec.scheduler(N_EPOCHS).expect("sound settings");
    let mut n_begun = 0;
    let mut epochs = vec![0; order.len()];
    let mut at: Vec<Option<u64>> = vec![None; n_workers];
    loop {
        for worker in &mut at {
            let number = match *worker {
                Some(number) => number,
                None => match scheduler.next() {
                    Next::Promote { number, .. } => {
                        scheduler
                            .promote(number)
                            .expect("a promotable trial is paused");
                        number
                    }
                    Next::New if n_begun < order.len() => {
                        n_begun += 1;
                        scheduler.begin(n_begun as u64 - 1);
                        n_begun as u64 - 1
                    }
                    Next::New => continue,
                },
            };
            let trial = number as usize;
            let loss = curves[order[trial]].get(epochs[trial]).copied();
            epochs[trial] += 1;
            *worker = match loss.filter(|loss| loss.is_finite()) {
                Some(loss) => match scheduler.observe(number, loss) {
                    Verdict::GoOn => Some(number),
                    Verdict::Pause | Verdict::Stop | Verdict::Finished => None,
                },
                None => {
                    scheduler.fail(number);
                    None
                }
            };
        }
        let is_idle = at.iter().all(Option::is_none);
        if is_idle && n_begun == order.len() && scheduler.next() == Next::New {
            return scheduler;
        }
    }
}

/// What a rule costs and loses, over draws of the networks and of their order.
struct Measured {
    /// Mean epochs spent.
    n_epochs: f64,
    /// Mean distance of the pick's lowest loss from the best network's, in nats.
    regret: f64,
    /// Draws in which the pick is the best network.
    n_same: u64,
}

/// Searches among `n_drawn` of the networks, `N_DRAWS` times.
fn measure(
    name: &str,
    spec: &FidelitySpec,
    curves: &[Vec<f64>],
    n_drawn: usize,
    n_workers: usize,
) -> Measured {
    let lowest = |curve: &[f64]| curve.iter().copied().fold(f64::INFINITY, f64::min);
    let is_sound =
        |curve: &[f64]| curve.len() == N_EPOCHS && curve.iter().all(|loss| loss.is_finite());
    let mut measured = Measured {
        n_epochs: 0.0,
        regret: 0.0,
        n_same: 0,
    };
    for seed in 0..N_DRAWS {
        let mut order: Vec<usize> = (0..curves.len()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        order.truncate(n_drawn);
        let drawn = order
            .iter()
            .map(|i| &curves[*i][..])
            .filter(|curve| is_sound(curve));
        let best = drawn.map(lowest).fold(f64::INFINITY, f64::min);
        let scheduler = search(spec, curves, &order, n_workers);
        let (pick, _) = scheduler.incumbent().expect("a trial has a loss");
        let loss = lowest(&curves[order[pick as usize]]);
        measured.n_epochs += scheduler.n_epochs_spent() as f64 / N_DRAWS as f64;
        measured.regret += (loss - best) / N_DRAWS as f64;
        measured.n_same += u64::from(loss == best);
    }
    let Measured {
        n_epochs,
        regret,
        n_same,
    } = &measured;
    println!(
        "{name}, {n_drawn} networks, {n_workers} workers: {n_epochs:.0} epochs, pick {regret:.4} nats above the best \
         network, the same in {n_same} of {N_DRAWS} draws"
    );
    measured
}

fn asha(reduction_factor: usize, n_brackets: usize) -> FidelitySpec {
    FidelitySpec::Asha {
        min_epochs: 1,
        reduction_factor,
        n_brackets: Some(n_brackets),
    }
}

#[test]
fn halving_picks_the_network_that_full_training_picks_with_a_fifth_of_its_epochs() {
    let Some(curves) = curves() else { return };
    assert_eq!(curves.len(), 345);
    let full = measure("full", &FidelitySpec::Full, &curves, 345, 1);
    assert_eq!(full.regret, 0.0);
    for (reduction_factor, n_brackets) in [(2, 1), (3, 1), (4, 1), (3, 2)] {
        for n_workers in [1, 4] {
            let name = format!("asha by {reduction_factor}, {n_brackets} brackets");
            let spec = asha(reduction_factor, n_brackets);
            let halved = measure(&name, &spec, &curves, 345, n_workers);
            println!(
                "    {:.1} times fewer epochs",
                full.n_epochs / halved.n_epochs
            );
            assert!(full.n_epochs > 5.0 * halved.n_epochs);
            assert!(halved.regret < 0.01 && halved.n_same >= N_DRAWS - 1);
        }
    }
}

/// The best of all 345 stands out from the third epoch on. Among some of the networks the best is another each
/// time, and the pick may be a near one.
#[test]
fn halving_among_some_of_the_networks_loses_little() {
    let Some(curves) = curves() else { return };
    for n_drawn in [30, 100] {
        let full = measure("full", &FidelitySpec::Full, &curves, n_drawn, 1);
        for reduction_factor in [2, 3, 4] {
            let name = format!("asha by {reduction_factor}");
            let halved = measure(&name, &asha(reduction_factor, 1), &curves, n_drawn, 1);
            println!(
                "    {:.1} times fewer epochs",
                full.n_epochs / halved.n_epochs
            );
            assert!(full.n_epochs > 5.0 * halved.n_epochs && halved.regret < 0.1);
        }
    }
}

#[test]
fn median_stopping_keeps_the_pick_and_saves_epochs() {
    let Some(curves) = curves() else { return };
    let spec = FidelitySpec::MedianStopping {
        grace_epochs: 3,
        min_trials: 5,
    };
    for n_drawn in [100, 345] {
        let full = measure("full", &FidelitySpec::Full, &curves, n_drawn, 1);
        let stopped = measure("median stopping", &spec, &curves, n_drawn, 1);
        println!(
            "    {:.1} times fewer epochs",
            full.n_epochs / stopped.n_epochs
        );
        assert!(full.n_epochs > 1.5 * stopped.n_epochs && stopped.regret < 0.05);
    }
}
