//! The members of a bundle, asked together: one frame in, one answer by the bundle's rule out.

use crate::bundle::{Bundle, BundleError};
use crate::model::{Combination, StreamNet};

/// The networks of one bundle with their state. Allocates nothing after it is made.
///
/// Members may answer at different rates. The committee answers when its fastest member does; a slower
/// one counts with the latest answer it gave. All answer at the very first frame.
#[derive(Clone, Debug)]
pub struct Committee {
    members: Vec<Voice>,
    /// How logits make one answer; without one the mean of probabilities does.
    mixture: Option<Combination>,
    /// Every member's latest logits `[n_members, n_classes]`.
    logits: Vec<f32>,
    mean: Vec<f32>,
    answer_frames: usize,
    n_frames: u64,
}

#[derive(Clone, Debug)]
struct Voice {
    network: StreamNet,
    /// Its part in the mean; all parts add up to 1.
    share: f32,
    probabilities: Vec<f32>,
}

impl Committee {
    /// Checks the bundle and builds its networks.
    pub fn new(bundle: &Bundle) -> Result<Self, BundleError> {
        bundle.validate()?;
        let (ports, n_classes) = (bundle.ports(), bundle.labels.len());
        let total: f64 = bundle
            .members
            .iter()
            .map(|member| f64::from(member.weight))
            .sum();
        let mut members = Vec::with_capacity(bundle.members.len());
        for (index, member) in bundle.members.iter().enumerate() {
            let network = StreamNet::new(&member.genome, &ports, &member.weights)
                .map_err(|source| BundleError::Network { index, source })?;
            members.push(Voice {
                network,
                share: (f64::from(member.weight) / total) as f32,
                probabilities: vec![0.0; n_classes],
            });
        }
        let jumps = members.iter().map(|member| member.network.jump_frames());
        Ok(Self {
            answer_frames: jumps.min().expect("a bundle that is valid has a member"),
            logits: vec![0.0; members.len() * n_classes],
            mixture: bundle.mixture.clone(),
            members,
            mean: vec![0.0; n_classes],
            n_frames: 0,
        })
    }

    /// Feature frames from one answer to the next.
    pub fn answer_frames(&self) -> usize {
        self.answer_frames
    }

    /// Takes one frame `[n_mels]`. True when it completes an answer: see [`Committee::probabilities`].
    pub fn step(&mut self, frame: &[f32]) -> bool {
        let rows = self.logits.chunks_exact_mut(self.mean.len());
        for (member, row) in self.members.iter_mut().zip(rows) {
            if let Some(logits) = member.network.step(frame) {
                row.copy_from_slice(logits);
                softmax(logits, &mut member.probabilities);
            }
        }
        let answers = self.n_frames.is_multiple_of(self.answer_frames as u64);
        self.n_frames += 1;
        answers
    }

    /// The probabilities `[n_classes]` by every member's latest answer.
    pub fn probabilities(&mut self) -> &[f32] {
        if let Some(mixture) = &self.mixture {
            mixture.apply(&self.logits, &mut self.mean);
            return &self.mean;
        }
        self.mean.fill(0.0);
        for member in &self.members {
            for (sum, probability) in self.mean.iter_mut().zip(&member.probabilities) {
                *sum += member.share * probability;
            }
        }
        &self.mean
    }

    /// Back to before the first frame.
    pub fn reset(&mut self) {
        for member in &mut self.members {
            member.network.reset();
            member.probabilities.fill(0.0);
        }
        self.logits.fill(0.0);
        self.n_frames = 0;
    }
}

/// `exp(x_i) / sum exp(x_j)`, the largest logit taken off first. NaN where a logit is.
fn softmax(logits: &[f32], probabilities: &mut [f32]) {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for (probability, logit) in probabilities.iter_mut().zip(logits) {
        *probability = (logit - top).exp();
        sum += *probability;
    }
    for probability in probabilities {
        *probability /= sum;
    }
}
