//! Finding networks: a space, algorithms that propose, a trainer, a memory, and the loop that
//! introduces them ([`study`]).
//!
//! The room parses no file of settings, prints nothing and chooses no device: it is handed specs, a
//! corpus and a device, and tells what happens through [`Watch`].

pub mod controllers;
pub mod corpus;
pub mod ensemble;
pub mod schedule;
pub mod space;
pub mod store;
pub mod study;
pub mod trainer;
pub mod transfer;
pub mod trial;
pub mod worker;

pub use controllers::{Controller, ControllerSpec, Observation, Proposal};
pub use corpus::Corpus;
pub use ensemble::{EnsembleSpec, Member};
pub use space::{Limits, SpaceSpec};
pub use store::{StoreError, StudyStore};
pub use study::{Budget, StudyError, StudySpec, search};
pub use trainer::{Outcome, TrainError, TrainSpec, train};
pub use trial::{CurvePoint, Scores, Trial, TrialState};

/// What happens, as it happens, and whether to go on. The room above shows it.
pub trait Watch: Sync {
    /// An epoch of a training is over.
    fn epoch(&self, what: &str, point: &CurvePoint, n_epochs: usize);
    /// A trial is over, well or not.
    fn trial(&self, trial: &Trial);
    /// Asked often: end cleanly and soon?
    fn stopped(&self) -> bool;
}
