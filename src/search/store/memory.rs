//! A study that lives as long as the process: for tests and for searches that nobody resumes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{
    Beat, Changes, Force, HandBack, Holder, Lease, NewTrial, Status, StoreError, Study, StudyEdit,
    StudySettings, StudyStore, Suggesting, Summary, Trial, TrialEnd, TrialState,
};

/// Trials in a vector.
pub struct MemoryStore {
    inner: Mutex<Inner>,
    proposing: Mutex<()>,
}

struct Inner {
    rows: Vec<Row>,
    revision: u64,
    status: Status,
    settings: StudySettings,
    started: Option<Instant>,
}

struct Row {
    key: String,
    trial: Trial,
    worker: String,
    beat: Instant,
    /// `None`: for ever.
    lease: Option<Duration>,
    revision: u64,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                rows: Vec::new(),
                revision: 0,
                status: Status::Running,
                settings: StudySettings::alone(),
                started: None,
            }),
            proposing: Mutex::new(()),
        }
    }
}

struct Proposing<'a>(#[allow(dead_code, reason = "held until it is dropped")] MutexGuard<'a, ()>);

impl Suggesting for Proposing<'_> {}

impl Row {
    fn is_running(&self) -> bool {
        self.trial.state == TrialState::Running
    }

    fn is_lost(&self) -> bool {
        self.is_running() && self.lease.is_some_and(|lease| self.beat.elapsed() >= lease)
    }

    fn hold(&mut self, holder: &Holder) {
        self.worker.clone_from(&holder.worker);
        self.lease = holder.lease;
        self.beat = Instant::now();
    }
}

impl Inner {
    fn touch(&mut self, index: usize) -> Trial {
        self.revision += 1;
        self.rows[index].revision = self.revision;
        self.rows[index].trial.clone()
    }

    fn find(&self, is_it: impl Fn(&Row) -> bool) -> Option<usize> {
        let found = self.rows.iter().enumerate().filter(|(_, row)| is_it(row));
        found
            .min_by_key(|(_, row)| row.trial.number)
            .map(|(index, _)| index)
    }

    fn running_at(&self, number: u64, attempt: u32) -> Result<usize, StoreError> {
        self.find(|row| {
            row.trial.number == number && row.trial.attempt == attempt && row.is_running()
        })
        .ok_or(StoreError::Fenced { number, attempt })
    }

    fn start(&mut self) {
        self.started.get_or_insert_with(Instant::now);
    }
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is one assignment after all checks, so a panic elsewhere leaves the rows whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StudyStore for MemoryStore {
    fn study(&self) -> Result<Study, StoreError> {
        let inner = self.lock();
        Ok(Study {
            name: "memory".into(),
            fingerprint: String::new(),
            recipe: String::new(),
            status: inner.status,
            settings: inner.settings.clone(),
            seconds: inner
                .started
                .map_or(0.0, |started| started.elapsed().as_secs_f64()),
        })
    }

    fn edit(&self, edit: &StudyEdit) -> Result<(), StoreError> {
        let mut inner = self.lock();
        inner.status = edit.status.unwrap_or(inner.status);
        if let Some(settings) = &edit.settings {
            inner.settings = settings.clone();
        }
        Ok(())
    }

    fn changed(&self, since: u64) -> Result<Changes, StoreError> {
        let inner = self.lock();
        let rows = inner.rows.iter().filter(|row| row.revision > since);
        let mut trials: Vec<Trial> = rows.map(|row| row.trial.clone()).collect();
        trials.sort_by_key(|trial| trial.number);
        Ok(Changes {
            trials,
            mark: inner.revision,
        })
    }

    fn trial(&self, number: u64) -> Result<Trial, StoreError> {
        let inner = self.lock();
        let index = inner.find(|row| row.trial.number == number);
        let index = index.ok_or(StoreError::NoTrial {
            place: "memory".into(),
            number,
        })?;
        Ok(inner.rows[index].trial.clone())
    }

    fn summary(&self) -> Result<Summary, StoreError> {
        Ok(Summary::of(self.trials()?.iter()))
    }

    fn best(&self, n: usize) -> Result<Vec<Trial>, StoreError> {
        let mut trials = self.trials()?;
        trials.retain(|trial| trial.scores().is_some());
        let loss = |trial: &Trial| trial.scores().map_or(f64::NAN, |it| it.validation_loss);
        trials.sort_by(|a, b| loss(a).total_cmp(&loss(b)).then(a.number.cmp(&b.number)));
        trials.truncate(n);
        Ok(trials)
    }

    fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        let inner = self.lock();
        let running = inner.rows.iter().filter(|row| row.is_running());
        let mut leases: Vec<Lease> = running
            .map(|row| Lease {
                number: row.trial.number,
                worker: row.worker.clone(),
                seconds_since_beat: row.beat.elapsed().as_secs_f64(),
                seconds_left: row
                    .lease
                    .map(|lease| lease.as_secs_f64() - row.beat.elapsed().as_secs_f64()),
            })
            .collect();
        leases.sort_by_key(|lease| lease.number);
        Ok(leases)
    }

    fn suggesting(&self) -> Result<Box<dyn Suggesting + '_>, StoreError> {
        let guard = self.proposing.lock();
        Ok(Box::new(Proposing(
            guard.unwrap_or_else(PoisonError::into_inner),
        )))
    }

    fn begin(&self, new: &NewTrial, holder: Option<&Holder>) -> Result<Trial, StoreError> {
        let mut inner = self.lock();
        let is_same = |row: &Row| row.trial.number == new.number || row.key == new.key;
        if inner.rows.iter().any(is_same) {
            return Err(StoreError::Taken {
                number: new.number,
                key: new.key.clone(),
            });
        }
        inner.start();
        inner.rows.push(Row {
            key: new.key.clone(),
            trial: new.row(holder.is_some()),
            worker: holder.map(|it| it.worker.clone()).unwrap_or_default(),
            beat: Instant::now(),
            lease: holder.and_then(|holder| holder.lease),
            revision: 0,
        });
        let last = inner.rows.len() - 1;
        Ok(inner.touch(last))
    }

    fn import(&self, trials: &[(String, Trial)]) -> Result<(), StoreError> {
        let mut inner = self.lock();
        for (at, (key, trial)) in trials.iter().enumerate() {
            let others = trials[..at].iter().map(|(key, trial)| (key, trial.number));
            let rows = inner.rows.iter().map(|row| (&row.key, row.trial.number));
            if rows
                .chain(others)
                .any(|(k, n)| k == key || n == trial.number)
            {
                return Err(StoreError::Taken {
                    number: trial.number,
                    key: key.clone(),
                });
            }
        }
        for (key, trial) in trials {
            inner.rows.push(Row {
                key: key.clone(),
                trial: trial.imported(),
                worker: String::new(),
                beat: Instant::now(),
                lease: None,
                revision: 0,
            });
            let last = inner.rows.len() - 1;
            inner.touch(last);
        }
        Ok(())
    }

    fn claim(&self, holder: &Holder, busy: &[u64]) -> Result<Option<Trial>, StoreError> {
        let mut inner = self.lock();
        inner.start();
        let is_ours = |row: &Row| row.is_running() && row.worker == holder.worker;
        let is_forgotten =
            |row: &Row| is_ours(row) && row.lease.is_some() && !busy.contains(&row.trial.number);
        loop {
            if let Some(index) = inner.find(is_forgotten) {
                inner.rows[index].trial.set_running();
                inner.rows[index].hold(holder);
                return Ok(Some(inner.touch(index)));
            }
            if let Some(index) = inner.find(|row| row.is_lost() && !is_ours(row)) {
                let policy = inner.settings.retry.clone();
                let worker = inner.rows[index].worker.clone();
                let goes_on = inner.rows[index].trial.set_lost(&worker, &policy);
                inner.rows[index].hold(holder);
                let trial = inner.touch(index);
                if goes_on {
                    return Ok(Some(trial));
                }
                continue;
            }
            let Some(index) = inner.find(|row| row.trial.state == TrialState::Queued) else {
                return Ok(None);
            };
            inner.rows[index].trial.set_running();
            inner.rows[index].hold(holder);
            return Ok(Some(inner.touch(index)));
        }
    }

    fn take_over(&self, number: u64, holder: &Holder) -> Result<Trial, StoreError> {
        let mut inner = self.lock();
        let is_left =
            |row: &Row| row.trial.number == number && row.is_running() && row.lease.is_none();
        let index = inner.find(is_left);
        let index = index.ok_or(StoreError::Fenced { number, attempt: 0 })?;
        inner.rows[index].trial.set_running();
        inner.rows[index].hold(holder);
        Ok(inner.touch(index))
    }

    fn resume(&self, number: u64, holder: &Holder) -> Result<Trial, StoreError> {
        let mut inner = self.lock();
        let is_paused = |row: &Row| {
            row.trial.number == number && matches!(row.trial.state, TrialState::Paused { .. })
        };
        let index = inner.find(is_paused);
        let index = index.ok_or(StoreError::Fenced { number, attempt: 0 })?;
        inner.rows[index].trial.set_running();
        inner.rows[index].hold(holder);
        Ok(inner.touch(index))
    }

    fn heartbeat(&self, beat: &Beat) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let index = inner.running_at(beat.number, beat.attempt)?;
        let row = &mut inner.rows[index];
        row.beat = Instant::now();
        row.lease = beat.lease;
        if let Some(progress) = &beat.progress {
            row.trial.set_progress(progress);
            inner.touch(index);
        }
        Ok(())
    }

    fn hand_back(&self, back: &HandBack) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let index = inner.running_at(back.number, back.attempt)?;
        inner.rows[index].trial.set_back(back);
        inner.touch(index);
        Ok(())
    }

    fn finish(&self, end: &TrialEnd) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let index = inner.running_at(end.number, end.attempt)?;
        inner.rows[index].trial.set_end(end);
        inner.touch(index);
        Ok(())
    }

    fn force(&self, number: u64, to: Force) -> Result<Trial, StoreError> {
        let mut inner = self.lock();
        let index = inner.find(|row| row.trial.number == number);
        let index = index.ok_or(StoreError::NoTrial {
            place: "memory".into(),
            number,
        })?;
        inner.rows[index].trial.set_forced(to)?;
        Ok(inner.touch(index))
    }
}
