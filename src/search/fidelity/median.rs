//! Median stopping (Golovin et al. 2017, section 3.2.2): a trial is hopeless at an epoch when its lowest loss
//! so far is above the median of the others' mean losses up to the same epoch.
//!
//! The others are those that have ended and got as far, stopped ones included. Running ones do not count, so
//! that a decision does not hang on how fast workers are.

use super::{Curve, CurveState};

/// Whether the trial of that curve should stop after its last epoch, given all others.
pub fn is_hopeless<'a>(
    curve: &Curve,
    others: impl Iterator<Item = &'a Curve>,
    min_trials: usize,
) -> bool {
    let epoch = curve.losses.len();
    let mut means: Vec<f64> = others
        .filter(|other| other.state == CurveState::Ended)
        .filter_map(|other| other.mean_at(epoch))
        .filter(|mean| mean.is_finite())
        .collect();
    if means.len() < min_trials.max(1) {
        return false;
    }
    means.sort_by(f64::total_cmp);
    let (lower, upper) = (means[(means.len() - 1) / 2], means[means.len() / 2]);
    curve.best_loss > 0.5 * (lower + upper)
}
