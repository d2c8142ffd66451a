//! What long work shows: a bar with rate and time left on a terminal, one line a step elsewhere; and
//! the stop that Ctrl-C asks for.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};

use crate::search::{CurvePoint, Trial, TrialState};

static STOP: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C asks to end cleanly; a second one ends at once.
pub fn listen_for_stop() {
    let asked = || {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        eprintln!("\nstopping after the present step; again to stop at once");
    };
    // A handler that is there already asks for the same thing.
    let _ = ctrlc::set_handler(asked);
}

/// Whether Ctrl-C was pressed.
pub fn is_stopping() -> bool {
    STOP.load(Ordering::SeqCst)
}

/// Shows the work of one command on standard error.
pub struct Progress {
    is_terminal: bool,
    bar: Mutex<Option<(String, ProgressBar)>>,
    n_trials: AtomicUsize,
    best: Mutex<Option<(f64, f64)>>,
    started: std::time::Instant,
}

impl Progress {
    pub fn new() -> Self {
        Self {
            is_terminal: std::io::stderr().is_terminal() && std::io::stdout().is_terminal(),
            bar: Mutex::new(None),
            n_trials: AtomicUsize::new(0),
            best: Mutex::new(None),
            started: std::time::Instant::now(),
        }
    }

    /// A step begins.
    pub fn step(&self, what: &str) {
        self.end_bar();
        let elapsed = self.started.elapsed().as_secs();
        eprintln!("[{:>2}:{:02}] {what}", elapsed / 60, elapsed % 60);
    }

    /// The bar goes, so that what is printed next stands alone.
    pub fn end_bar(&self) {
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bar)) = bar.take() {
            bar.finish_and_clear();
        }
    }

    fn show(&self, key: &str, length: Option<u64>, update: impl FnOnce(&ProgressBar)) {
        const COUNTED: &str = "  {msg} {wide_bar} {pos}/{len} {per_sec} {eta} left";
        self.show_as(COUNTED, key, length, update);
    }

    fn show_as(
        &self,
        template: &str,
        key: &str,
        length: Option<u64>,
        update: impl FnOnce(&ProgressBar),
    ) {
        if !self.is_terminal {
            return;
        }
        let mut bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        if bar.as_ref().is_none_or(|(of, _)| of != key) {
            if let Some((_, old)) = bar.take() {
                old.finish_and_clear();
            }
            let new = match length {
                Some(length) => ProgressBar::new(length).with_style(
                    ProgressStyle::with_template(template).expect("the template is sound"),
                ),
                None => ProgressBar::new_spinner().with_style(
                    ProgressStyle::with_template("  {spinner} {wide_msg} {elapsed}")
                        .expect("the template is sound"),
                ),
            };
            *bar = Some((key.to_owned(), new));
        }
        if let Some((_, bar)) = &*bar {
            update(bar);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end_bar();
    }
}

impl crate::ingest::Watch for Progress {
    fn progress(&self, done: usize, total: usize, what: &str) {
        self.show(what, Some(total as u64), |bar| {
            bar.set_message(what.to_owned());
            bar.set_position(done as u64);
        });
    }

    fn stopped(&self) -> bool {
        is_stopping()
    }
}

impl auricle_datasets::fetch::Watch for Progress {
    fn progress(&self, done: u64, total: Option<u64>, what: &str) {
        const BYTES: &str = "  {msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta} left";
        self.show_as(BYTES, what, total, |bar| {
            match total {
                Some(_) => bar.set_message(what.to_owned()),
                None => bar.set_message(format!("{what}: {}", auricle_datasets::fetch::size(done))),
            }
            bar.set_position(done);
        });
    }

    fn note(&self, text: &str) {
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        match &*bar {
            Some((_, bar)) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    fn stopped(&self) -> bool {
        is_stopping()
    }
}

impl crate::search::Watch for Progress {
    fn epoch(&self, what: &str, point: &CurvePoint, n_epochs: usize) {
        let n_trials = self.n_trials.load(Ordering::Relaxed);
        let best = *self.best.lock().unwrap_or_else(PoisonError::into_inner);
        let best = best.map_or(String::new(), |(accuracy, _)| {
            format!(", best {:.2} %", 100.0 * accuracy)
        });
        let rate = 60.0 * n_trials as f64 / self.started.elapsed().as_secs_f64().max(1.0);
        self.show("train", None, |bar| {
            bar.set_message(format!(
                "{n_trials} trials ({rate:.1} a minute{best})  {what}: epoch {}/{n_epochs}, {:.2} %",
                point.epoch,
                100.0 * point.validation_accuracy
            ));
            bar.tick();
        });
    }

    fn trial(&self, trial: &Trial) {
        self.n_trials.fetch_add(1, Ordering::Relaxed);
        let line = match &trial.state {
            TrialState::Complete { scores }
            | TrialState::GivenUp { scores }
            | TrialState::Paused { scores } => {
                let mut best = self.best.lock().unwrap_or_else(PoisonError::into_inner);
                if best.is_none_or(|(_, loss)| scores.validation_loss < loss) {
                    *best = Some((scores.validation_accuracy, scores.validation_loss));
                }
                format!(
                    "trial {:>3}  {:6.2} %  loss {:.4}  {:>7} parameters  {:4.0} s  {}{}",
                    trial.number,
                    100.0 * scores.validation_accuracy,
                    scores.validation_loss,
                    trial.cost.n_params,
                    trial.seconds,
                    trial.genome,
                    match trial.state {
                        TrialState::Paused { .. } => "  (paused)",
                        TrialState::GivenUp { .. } => "  (given up)",
                        _ => "",
                    }
                )
            }
            TrialState::Failed { failure } | TrialState::Infeasible { failure } => {
                format!(
                    "trial {:>3}  {} ({}): {}  {}",
                    trial.number,
                    trial.state.name(),
                    failure.kind.name(),
                    failure.reason,
                    trial.genome
                )
            }
            TrialState::Queued | TrialState::Running | TrialState::Stopped => return,
        };
        if self.is_terminal {
            let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
            match &*bar {
                Some((_, bar)) => bar.println(line),
                None => eprintln!("{line}"),
            }
        }
    }

    fn stopped(&self) -> bool {
        is_stopping()
    }
}

impl crate::run::Watch for Progress {
    fn step(&self, what: &str) {
        Progress::step(self, what);
    }
}
