//! Algorithms that propose points, one file each. None trains, reads a file, asks for the time or knows what a
//! point means.

mod beam;
mod constrained_descent;
mod coordinate_descent;
mod evolution;
mod gaussian_process;
mod harmonica;
mod identity;
mod linear_model;
mod local_search;
mod loss_model;
mod normal_scores;
mod pareto;
mod random;
mod spec;
mod surrogate;

use rand_chacha::ChaCha8Rng;

use super::domain::{How, Point};
pub use constrained_descent::ConstrainedDescent;
pub use coordinate_descent::{CoordinateDescent, DepthSchedule};
pub use evolution::Evolution;
pub use harmonica::Harmonica;
pub use identity::Identity;
pub use linear_model::LinearModel;
pub use local_search::LocalSearch;
pub use pareto::{Pareto, front};
pub use random::Random;
pub use spec::{ControllerError, ControllerSpec};
pub use surrogate::Surrogate;

/// A point to try, the finished trial that it was made from, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    pub point: Point,
    pub parent: Option<u64>,
    pub how: How,
}

/// What a controller learns of a finished trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Of the trial, rising with the order in which trials began.
    pub number: u64,
    pub point: Point,
    /// The proposal's parent.
    pub parent: Option<u64>,
    /// The loss, which is minimised; `None` for a trial that failed. What is not finite counts as failed.
    pub outcome: Option<f64>,
    /// Further quantities to be minimised, for controllers that weigh several; may be empty.
    pub costs: Vec<f64>,
}

impl Observation {
    /// The loss of a trial that did not fail.
    pub fn loss(&self) -> Option<f64> {
        self.outcome.filter(|loss| loss.is_finite())
    }
}

/// A tried point that a model of the losses takes for the best one.
#[derive(Clone, Debug, PartialEq)]
pub struct Incumbent {
    pub number: u64,
    pub point: Point,
}

/// Proposes points (ask) and learns from their losses (tell).
///
/// What is proposed depends on the observations told, in their order, and on the generator, on nothing else: not
/// on how often was asked in between. So several workers may ask before any of them tells, and a study that goes
/// on after a stop, told all earlier trials again, proposes what it would have proposed without the stop.
pub trait Controller: Send {
    /// The next point for which `admit` holds: within the limits and not tried before. `None` where the space is
    /// exhausted as far as can be told.
    fn ask(&mut self, admit: &dyn Fn(&Point) -> bool, rng: &mut ChaCha8Rng) -> Option<Proposal>;

    /// Takes the result of a trial in: proposed by this controller or not, failed or not.
    fn tell(&mut self, observation: &Observation);

    /// The tried point with the least expected loss, where the controller has a model that sees through the noise
    /// of single trainings; `None` where it has none, and the least loss seen has to do.
    fn incumbent(&mut self) -> Option<Incumbent> {
        None
    }
}

/// Moves that a controller makes from a parent before it draws anew.
const MAX_MOVES: usize = 400;

#[cfg(test)]
mod contract;
