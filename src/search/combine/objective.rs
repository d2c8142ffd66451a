//! AdaNet's objective for a mixture of logits (Cortes et al. 2017, section 4) and its gradient:
//!
//! ```text
//! F(w, b) = mean cross-entropy of softmax(b + sum_m w_m h_m) + sum_m (lambda r(h_m) + beta) |w_m|_1
//! ```
//!
//! The first part is smooth and convex, the second is a weighted absolute sum; they are kept apart for the
//! method of [`fit`](super::fit). The bias costs nothing.

use super::MemberLogits;
use super::fit::MixtureKind;
use super::loss::log_sum_exp;

/// The smooth part over one set of clips.
pub struct Objective<'a> {
    kind: MixtureKind,
    n_members: usize,
    n_classes: usize,
    has_bias: bool,
    labels: &'a [usize],
    /// `[n, n_members, n_classes]`
    logits: Vec<f64>,
}

impl<'a> Objective<'a> {
    pub fn new(
        kind: MixtureKind,
        has_bias: bool,
        members: &[&MemberLogits],
        n_classes: usize,
        labels: &'a [usize],
    ) -> Self {
        let mut logits = Vec::with_capacity(members.len() * n_classes * labels.len());
        for i in 0..labels.len() {
            for member in members {
                let row = &member.logits[i * n_classes..(i + 1) * n_classes];
                logits.extend(row.iter().map(|logit| f64::from(*logit)));
            }
        }
        Self {
            kind,
            n_members: members.len(),
            n_classes,
            has_bias,
            labels,
            logits,
        }
    }

    /// Weights of one member.
    pub fn n_per_member(&self) -> usize {
        match self.kind {
            MixtureKind::Scalar => 1,
            MixtureKind::Vector => self.n_classes,
            MixtureKind::Matrix => self.n_classes * self.n_classes,
        }
    }

    /// Weights of all members, without the bias.
    pub fn n_weights(&self) -> usize {
        self.n_per_member() * self.n_members
    }

    /// The mean of the logits: weights and bias, in the layout of all parameters here.
    pub fn uniform_mean(&self) -> Vec<f64> {
        let share = 1.0 / self.n_members as f64;
        let n_bias = if self.has_bias { self.n_classes } else { 0 };
        let mut values = vec![share; self.n_weights()];
        if self.kind == MixtureKind::Matrix {
            for (i, value) in values.iter_mut().enumerate() {
                let (row, column) = (i / self.n_classes % self.n_classes, i % self.n_classes);
                if row != column {
                    *value = 0.0;
                }
            }
        }
        values.resize(self.n_weights() + n_bias, 0.0);
        values
    }

    /// Mean cross-entropy in nats at these parameters.
    pub fn loss(&self, parameters: &[f64]) -> f64 {
        let mut mixed = vec![0.0; self.n_classes];
        let clips = self.logits.chunks_exact(self.n_members * self.n_classes);
        let losses = clips.zip(self.labels).map(|(logits, label)| {
            self.mix(parameters, logits, &mut mixed);
            log_sum_exp(mixed.iter().copied()) - mixed[*label]
        });
        losses.sum::<f64>() / self.labels.len() as f64
    }

    /// The loss, and its gradient into `gradient`.
    pub fn loss_and_gradient(&self, parameters: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let share = 1.0 / self.labels.len() as f64;
        let mut mixed = vec![0.0; self.n_classes];
        let mut total = 0.0;
        let clips = self.logits.chunks_exact(self.n_members * self.n_classes);
        for (logits, label) in clips.zip(self.labels) {
            self.mix(parameters, logits, &mut mixed);
            let log_total = log_sum_exp(mixed.iter().copied());
            total += log_total - mixed[*label];
            // From here on `mixed` is the derivative by the mixed logits.
            for value in &mut mixed {
                *value = share * (*value - log_total).exp();
            }
            mixed[*label] -= share;
            let (weights, bias) = gradient.split_at_mut(self.n_weights());
            for (sum, slope) in bias.iter_mut().zip(&mixed) {
                *sum += slope;
            }
            match self.kind {
                MixtureKind::Scalar => {
                    let members = logits.chunks_exact(self.n_classes);
                    for (sum, member) in weights.iter_mut().zip(members) {
                        *sum += member
                            .iter()
                            .zip(&mixed)
                            .map(|(x, slope)| x * slope)
                            .sum::<f64>();
                    }
                }
                MixtureKind::Vector => {
                    let slopes = mixed.iter().cycle();
                    for ((sum, x), slope) in weights.iter_mut().zip(logits).zip(slopes) {
                        *sum += x * slope;
                    }
                }
                MixtureKind::Matrix => {
                    for (row, x) in weights.chunks_exact_mut(self.n_classes).zip(logits) {
                        for (sum, slope) in row.iter_mut().zip(&mixed) {
                            *sum += x * slope;
                        }
                    }
                }
            }
        }
        total * share
    }

    /// The ensemble's logits of one clip.
    fn mix(&self, parameters: &[f64], logits: &[f64], mixed: &mut [f64]) {
        let (weights, bias) = parameters.split_at(self.n_weights());
        if bias.is_empty() {
            mixed.fill(0.0);
        } else {
            mixed.copy_from_slice(bias);
        }
        match self.kind {
            MixtureKind::Scalar => {
                for (weight, member) in weights.iter().zip(logits.chunks_exact(self.n_classes)) {
                    for (sum, x) in mixed.iter_mut().zip(member) {
                        *sum += weight * x;
                    }
                }
            }
            MixtureKind::Vector => {
                let members = logits.chunks_exact(self.n_classes);
                for (weights, member) in weights.chunks_exact(self.n_classes).zip(members) {
                    for (sum, (weight, x)) in mixed.iter_mut().zip(weights.iter().zip(member)) {
                        *sum += weight * x;
                    }
                }
            }
            MixtureKind::Matrix => {
                for (row, x) in weights.chunks_exact(self.n_classes).zip(logits) {
                    for (sum, weight) in mixed.iter_mut().zip(row) {
                        *sum += weight * x;
                    }
                }
            }
        }
    }
}
