//! Who has trials of a study, and when they were last heard.

use std::collections::BTreeMap;

use crate::search::store::Lease;

/// Somebody who has trials.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Worker {
    pub name: String,
    pub trials: Vec<u64>,
    /// By the store's clock.
    pub seconds_since_beat: f64,
    /// Until the first of its leases runs out, below 0 where it did; `None` where none ever does.
    pub seconds_left: Option<f64>,
}

/// Leases by who has them, by name.
pub(super) fn workers(leases: &[Lease]) -> Vec<Worker> {
    let mut workers: BTreeMap<&str, Worker> = BTreeMap::new();
    for lease in leases {
        let worker = workers.entry(&lease.worker).or_insert_with(|| Worker {
            name: lease.worker.clone(),
            trials: Vec::new(),
            seconds_since_beat: f64::INFINITY,
            seconds_left: None,
        });
        worker.trials.push(lease.number);
        worker.seconds_since_beat = worker.seconds_since_beat.min(lease.seconds_since_beat);
        let both = worker.seconds_left.into_iter().chain(lease.seconds_left);
        worker.seconds_left = both.min_by(f64::total_cmp);
    }
    workers.into_values().collect()
}
