//! The signs of life of a worker's trials, and what comes back: that another worker has one of them now, or that the
//! study was stopped. Trainings say how far they are and never wait for the store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::search::Watch;
use crate::search::checkpoint::Checkpoint;
use crate::search::store::{Beat, Holder, Progress, Status, StoreError, StudyStore};
use crate::search::trial::{CurvePoint, Trial};
use crate::search::worker::{Workshop, trial_name};

/// Signs of life in the time of one lease.
const BEATS_PER_LEASE: u32 = 3;

/// Most time that news wait for company.
const MAX_GAP: Duration = Duration::from_secs(1);

pub(super) struct Pulse<'a> {
    store: &'a dyn StudyStore,
    holder: &'a Holder,
    inner: Mutex<Inner>,
    news: Condvar,
    is_leaving: AtomicBool,
}

#[derive(Default)]
struct Inner {
    trials: BTreeMap<u64, Beating>,
    has_news: bool,
    is_over: bool,
}

struct Beating {
    attempt: u32,
    progress: Progress,
    is_news: bool,
    is_lost: bool,
}

impl<'a> Pulse<'a> {
    pub fn new(store: &'a dyn StudyStore, holder: &'a Holder) -> Self {
        Self {
            store,
            holder,
            inner: Mutex::default(),
            news: Condvar::new(),
            is_leaving: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn begin(&self, trial: &Trial) {
        let beating = Beating {
            attempt: trial.attempt,
            progress: Progress {
                curve: trial.curve.clone(),
                artifacts: trial.artifacts.clone(),
            },
            is_news: false,
            is_lost: false,
        };
        self.lock().trials.insert(trial.number, beating);
    }

    /// The trial is not run here any more; how far it was, as far as that was told.
    pub fn end(&self, number: u64) -> Option<Progress> {
        let beating = self.lock().trials.remove(&number);
        beating.map(|beating| beating.progress)
    }

    pub fn report(&self, number: u64, change: impl FnOnce(&mut Progress)) {
        let mut inner = self.lock();
        if let Some(beating) = inner.trials.get_mut(&number) {
            change(&mut beating.progress);
            beating.is_news = true;
            inner.has_news = true;
            self.news.notify_one();
        }
    }

    /// Whether another worker has it now, or it was stopped by hand.
    pub fn is_lost(&self, number: u64) -> bool {
        let inner = self.lock();
        inner.trials.get(&number).is_some_and(|it| it.is_lost)
    }

    /// Whether the study was stopped.
    pub fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Relaxed)
    }

    /// No more signs of life.
    pub fn stop(&self) {
        self.lock().is_over = true;
        self.news.notify_one();
    }

    /// Gives signs of life until it is stopped. Without leases there is nothing to give.
    pub fn run(&self) {
        let Some(lease) = self.holder.lease else {
            return;
        };
        let interval = lease / BEATS_PER_LEASE;
        let mut wait = interval;
        loop {
            let due: Vec<(u64, u32, Option<Progress>)> = {
                let inner = self.lock();
                let is_idle = |inner: &mut Inner| !inner.has_news && !inner.is_over;
                let waited = self.news.wait_timeout_while(inner, wait, is_idle);
                let (mut inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
                if inner.is_over {
                    return;
                }
                inner.has_news = false;
                let alive = inner.trials.iter_mut().filter(|(_, it)| !it.is_lost);
                alive
                    .map(|(number, it)| {
                        let news = std::mem::take(&mut it.is_news).then(|| it.progress.clone());
                        (*number, it.attempt, news)
                    })
                    .collect()
            };
            let is_heard = due.into_iter().all(|(number, attempt, progress)| {
                let is_news = progress.is_some();
                let beat = Beat {
                    number,
                    attempt,
                    lease: Some(lease),
                    progress,
                };
                let result = self.store.heartbeat(&beat);
                let mut inner = self.lock();
                let beating = inner.trials.get_mut(&number);
                let Some(beating) = beating.filter(|it| it.attempt == attempt) else {
                    return true; // it ended meanwhile
                };
                match result {
                    Ok(()) => true,
                    Err(StoreError::Fenced { .. }) => {
                        beating.is_lost = true;
                        true
                    }
                    Err(_) => {
                        beating.is_news |= is_news;
                        false
                    }
                }
            });
            // Often enough to be heard soon after the store is back.
            wait = match is_heard {
                true => interval,
                false => (interval / 4).min(MAX_GAP),
            };
            // News of many short epochs go together.
            let inner = self.lock();
            let gap = (interval / 4).min(MAX_GAP);
            drop(
                self.news
                    .wait_timeout_while(inner, gap, |inner| !inner.is_over),
            );
            if let Ok(study) = self.store.study() {
                let is_stopped = study.status == Status::Stopped;
                self.is_leaving.store(is_stopped, Ordering::Relaxed);
            }
        }
    }
}

/// One training, watched for its worker: what it says goes on, and whether it ends also depends on its lease.
pub(super) struct Watched<'a> {
    pub pulse: &'a Pulse<'a>,
    pub workshop: &'a Workshop<'a>,
    pub number: u64,
    kept: Mutex<Instant>,
}

impl<'a> Watched<'a> {
    pub fn new(pulse: &'a Pulse<'a>, workshop: &'a Workshop<'a>, number: u64) -> Self {
        Self {
            pulse,
            workshop,
            number,
            kept: Mutex::new(Instant::now()),
        }
    }
}

impl Watch for Watched<'_> {
    fn epoch(&self, what: &str, point: &CurvePoint, n_epochs: usize) {
        self.workshop.watch.epoch(what, point, n_epochs);
    }

    fn trial(&self, trial: &Trial) {
        self.workshop.watch.trial(trial);
    }

    fn stopped(&self) -> bool {
        self.workshop.watch.stopped() || self.pulse.is_leaving() || self.pulse.is_lost(self.number)
    }

    /// Where others could go on from it, a training is kept as often as a lease lasts: that much is lost at most.
    fn checkpoint(&self, what: &str, checkpoint: &Checkpoint) {
        let (Some(lease), Some(_)) = (self.pulse.holder.lease, self.workshop.depot) else {
            return;
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.elapsed() < lease {
            return;
        }
        *kept = Instant::now();
        debug_assert_eq!(what, trial_name(self.number));
        // What cannot be kept now may be kept after the next epoch; at its end the trial says what is wrong.
        if let Ok(id) = self.workshop.keep_progress(what, checkpoint) {
            self.pulse
                .report(self.number, |progress| progress.artifacts.checkpoint = id);
        }
    }
}
