//! A store that notes how long proposals take: from asking for the lock until the new trial is written down.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use auricle::search::Trial;
use auricle::search::store::{
    Beat, Changes, Force, HandBack, Holder, Lease, NewTrial, StoreError, Study, StudyEdit,
    StudyStore, Suggesting, Summary, TrialEnd,
};

/// Another store, with its proposals timed.
pub struct Asked<'a> {
    store: &'a dyn StudyStore,
    since: Mutex<Option<Instant>>,
    times: Mutex<Vec<Duration>>,
}

impl<'a> Asked<'a> {
    pub fn new(store: &'a dyn StudyStore) -> Self {
        Self {
            store,
            since: Mutex::default(),
            times: Mutex::default(),
        }
    }

    /// The median and the longest of them, in milliseconds.
    pub fn median_and_most_ms(&self) -> (f64, f64) {
        let mut times = self.times.lock().unwrap().clone();
        times.sort();
        let ms = |time: Duration| 1e3 * time.as_secs_f64();
        (ms(times[times.len() / 2]), ms(times[times.len() - 1]))
    }
}

impl StudyStore for Asked<'_> {
    fn suggesting(&self) -> Result<Box<dyn Suggesting + '_>, StoreError> {
        *self.since.lock().unwrap() = Some(Instant::now());
        self.store.suggesting()
    }

    fn begin(&self, new: &NewTrial, holder: Option<&Holder>) -> Result<Trial, StoreError> {
        let begun = self.store.begin(new, holder);
        if let Some(since) = self.since.lock().unwrap().take() {
            self.times.lock().unwrap().push(since.elapsed());
        }
        begun
    }

    fn study(&self) -> Result<Study, StoreError> {
        self.store.study()
    }
    fn edit(&self, edit: &StudyEdit) -> Result<(), StoreError> {
        self.store.edit(edit)
    }
    fn changed(&self, since: u64) -> Result<Changes, StoreError> {
        self.store.changed(since)
    }
    fn trial(&self, number: u64) -> Result<Trial, StoreError> {
        self.store.trial(number)
    }
    fn summary(&self) -> Result<Summary, StoreError> {
        self.store.summary()
    }
    fn best(&self, n: usize) -> Result<Vec<Trial>, StoreError> {
        self.store.best(n)
    }
    fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        self.store.leases()
    }
    fn import(&self, trials: &[(String, Trial)]) -> Result<(), StoreError> {
        self.store.import(trials)
    }
    fn claim(&self, holder: &Holder, busy: &[u64]) -> Result<Option<Trial>, StoreError> {
        self.store.claim(holder, busy)
    }
    fn take_over(&self, number: u64, holder: &Holder) -> Result<Trial, StoreError> {
        self.store.take_over(number, holder)
    }
    fn resume(&self, number: u64, holder: &Holder) -> Result<Trial, StoreError> {
        self.store.resume(number, holder)
    }
    fn heartbeat(&self, beat: &Beat) -> Result<(), StoreError> {
        self.store.heartbeat(beat)
    }
    fn hand_back(&self, back: &HandBack) -> Result<(), StoreError> {
        self.store.hand_back(back)
    }
    fn finish(&self, end: &TrialEnd) -> Result<(), StoreError> {
        self.store.finish(end)
    }
    fn force(&self, number: u64, to: Force) -> Result<Trial, StoreError> {
        self.store.force(number, to)
    }
}
