//! Finding networks: a space, algorithms that propose, a trainer, a memory, and the loop that
//! introduces them ([`study`]).
//!
//! The room parses no file of settings, prints nothing and chooses no device: it is handed specs, a
//! corpus and a device, and tells what happens through [`Watch`].

pub mod checkpoint;
pub mod combine;
pub mod controllers;
pub mod corpus;
pub mod depot;
pub mod distil;
pub mod domain;
pub mod ensemble;
pub mod fidelity;
pub mod full;
pub mod hyper;
pub mod mixup;
pub mod optimizer;
mod panics;
pub mod schedule;
pub mod scoring;
pub mod sharing;
pub mod space;
pub mod store;
pub mod study;
pub mod train_spec;
pub mod trainer;
pub mod trial;
pub mod worker;

pub use controllers::{Controller, ControllerSpec, Observation, Proposal};
pub use corpus::Corpus;
pub use ensemble::EnsembleSpec;
pub use full::Member;
pub use space::{Limits, Space, SpaceSpec};
pub use store::{StoreError, StudyStore};
pub use study::{Budget, StudyError, StudySpec, search, work};
pub use train_spec::TrainSpec;
pub use trainer::{NetworkTrainer, Outcome, TrainError, Trainer, train};
pub use trial::{Artifacts, CurvePoint, Failure, FailureKind, Scores, Trial, TrialState};

/// What happens, as it happens, and whether to go on. The room above shows it.
pub trait Watch: Sync {
    /// An epoch of a training is over.
    fn epoch(&self, what: &str, point: &CurvePoint, n_epochs: usize);
    /// A trial is over, well or not.
    fn trial(&self, trial: &Trial);
    /// Asked often: end cleanly and soon?
    fn stopped(&self) -> bool;
    /// A training can be taken up again from here, should its process die.
    fn checkpoint(&self, _what: &str, _checkpoint: &checkpoint::Checkpoint) {}
}
