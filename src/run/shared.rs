//! A run whose search is shared: many processes work on one study in one store, and what trials leave behind lies in
//! one depot.

use std::path::Path;
use std::time::Duration;

use super::{Run, RunError, Watch};
use crate::search::depot::Depot;
use crate::search::store::{Holder, StudyStore};
use crate::search::study::{Ending, ranking};
use crate::search::worker::ArtefactError;
use crate::search::worker::{Workshop, trial_name};
use crate::search::{Trial, work};

/// The study that a run works on beside others.
pub struct Shared {
    store: Box<dyn StudyStore>,
    depot: Depot,
    holder: Holder,
}

impl Shared {
    /// Opens the depot of the study. `worker`: a name that no other worker has. `lease`: how long it may be silent
    /// before its trials are given to others.
    ///
    /// # Errors
    ///
    /// A study that does not say where artifacts lie, or a place that cannot be reached or written to: known before a trial is
    /// trained for nothing.
    pub fn open(
        store: Box<dyn StudyStore>,
        worker: &str,
        lease: Duration,
    ) -> Result<Self, RunError> {
        let study = store.study()?;
        let Some(place) = study.settings.artifacts else {
            return Err(RunError::NoDepot { study: study.name });
        };
        let depot = Depot::open(&place).map_err(ArtefactError::from)?;
        depot.probe().map_err(ArtefactError::from)?;
        Ok(Self {
            depot,
            store,
            holder: Holder {
                worker: worker.into(),
                lease: Some(lease),
            },
        })
    }
}

impl Run<'_> {
    /// The same run, whose search is that shared study.
    ///
    /// # Errors
    ///
    /// A study of another recipe, other data or another kind of device.
    pub fn share(mut self, shared: Shared) -> Result<Self, RunError> {
        let study = shared.store.study()?;
        if study.fingerprint != self.fingerprint {
            return Err(RunError::OtherStudy {
                study: study.name,
                found: study.fingerprint,
                expected: self.fingerprint,
            });
        }
        self.shared = Some(shared);
        Ok(self)
    }

    /// Works on the shared study until nothing is left to do or the watcher says stop.
    pub(super) fn work(
        &self,
        shared: &Shared,
        watch: &dyn Watch,
    ) -> Result<(Ending, Vec<Trial>), RunError> {
        let teachers = self.packed_teachers()?;
        let folder = self.folder.join("trials");
        let workshop = Workshop {
            depot: Some(&shared.depot),
            ..self.taught(&folder, &teachers, watch)
        };
        let ending = work(
            &self.plan.recipe.search,
            &self.plan.recipe.space,
            &workshop,
            &*shared.store,
            self.plan.n_workers,
            &shared.holder,
        )?;
        Ok((ending, shared.store.trials()?))
    }

    /// Lays the weights of finished trials where a search of one process would have left them.
    pub(super) fn bring(
        &self,
        shared: &Shared,
        trials: &[Trial],
        watch: &dyn Watch,
    ) -> Result<(), RunError> {
        let folder: &Path = &self.folder.join("trials");
        let near = self.workshop(folder, watch);
        let far = Workshop {
            depot: Some(&shared.depot),
            ..near
        };
        for trial in ranking(trials) {
            if let Some(weights) = far.weights_of(trial.number, &trial.artifacts)? {
                near.keep(&trial_name(trial.number), &weights)?;
            }
        }
        Ok(())
    }

    /// Works on the shared study and leaves the rest of the run to others; how it ended and all trials.
    ///
    /// # Errors
    ///
    /// Where the run [shares](Self::share) none.
    pub fn work_only(&self, watch: &dyn Watch) -> Result<(Ending, Vec<Trial>), RunError> {
        watch.step("work");
        let shared = self.shared.as_ref().ok_or(RunError::NotShared)?;
        self.work(shared, watch)
    }
}
