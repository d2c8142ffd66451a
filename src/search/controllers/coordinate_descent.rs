//! Adaptive coordinate descent with a beam, Model Search's default (Mazzawi et al. 2019, algorithms 1
//! and 2): take one of the best trials, change one thing, let depth grow with the number of trials.
//!
//! What differs from it on purpose: a replaced block is never replaced by itself; besides replacing a
//! whole block one field can be varied, stem and head included; failed trials do not count towards
//! depth; the first trials may all be different beginnings, since an empty beam draws anew.

use rand::{RngExt, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::{Controller, Observation, Proposal};
use crate::model::Genome;
use crate::search::space::SpaceSpec;

/// Draws that may turn out to be the same block again before another move is made.
const MAX_DRAWS: usize = 20;

/// The state: the best trials so far and how many there were.
pub struct CoordinateDescent {
    space: SpaceSpec,
    beam_size: usize,
    grow_probability: f64,
    vary_probability: f64,
    trials_per_depth: usize,
    /// Best first: loss, number, genome. Ties go to the earlier trial.
    beam: Vec<(f64, u64, Genome)>,
    n_complete: usize,
}

impl CoordinateDescent {
    pub fn new(
        space: SpaceSpec,
        beam_size: usize,
        grow_probability: f64,
        vary_probability: f64,
        trials_per_depth: usize,
    ) -> Self {
        Self {
            space,
            beam_size,
            grow_probability,
            vary_probability,
            trials_per_depth,
            beam: Vec::new(),
            n_complete: 0,
        }
    }

    /// Most blocks allowed after that many finished trials: one more every `trials_per_depth`.
    pub fn allowed_depth(&self, n_complete: usize) -> usize {
        let [low, high] = self.space.depth;
        (low.max(1) + n_complete / self.trials_per_depth).min(high)
    }

    fn replace_one_block(&self, genome: &Genome, rng: &mut ChaCha8Rng) -> Option<Genome> {
        if genome.blocks.is_empty() {
            return None;
        }
        let at = rng.random_range(0..genome.blocks.len());
        let other = (0..MAX_DRAWS)
            .map(|_| self.space.draw_block(rng))
            .find(|block| *block != genome.blocks[at])?;
        let mut replaced = genome.clone();
        replaced.blocks[at] = other;
        Some(replaced)
    }
}

impl Controller for CoordinateDescent {
    fn propose(&mut self, rng: &mut ChaCha8Rng) -> Proposal {
        let Some((_, parent, genome)) = self.beam.choose(rng) else {
            let depth = self.space.depth[0].max(1).min(self.space.depth[1]);
            return Proposal {
                genome: self.space.draw_genome(depth, rng),
                parent: None,
            };
        };
        let may_grow = genome.blocks.len() < self.allowed_depth(self.n_complete);
        let changed = if may_grow && rng.random_bool(self.grow_probability) {
            let mut grown = genome.clone();
            grown.blocks.push(self.space.draw_block(rng));
            Some(grown)
        } else if rng.random_bool(self.vary_probability) {
            self.space.vary_one_field(genome, rng)
        } else {
            self.replace_one_block(genome, rng)
        };
        Proposal {
            // A move that leaves no choice falls back to the parent itself, which is then refused as
            // known and drawn again.
            genome: changed.unwrap_or_else(|| genome.clone()),
            parent: Some(*parent),
        }
    }

    fn observe(&mut self, observation: &Observation) {
        let Some(loss) = observation.loss.filter(|loss| loss.is_finite()) else {
            return;
        };
        self.n_complete += 1;
        let before = |(other, number, _): &(f64, u64, Genome)| {
            (*other, *number) < (loss, observation.number)
        };
        let at = self.beam.partition_point(before);
        if at < self.beam_size {
            let entry = (loss, observation.number, observation.genome.clone());
            self.beam.insert(at, entry);
            self.beam.truncate(self.beam_size);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::search::space::examples::small;

    fn descent(beam_size: usize, grow: f64, vary: f64) -> CoordinateDescent {
        CoordinateDescent::new(small(), beam_size, grow, vary, 5)
    }

    fn tell(
        controller: &mut CoordinateDescent,
        number: u64,
        loss: Option<f64>,
        depth: usize,
    ) -> Genome {
        let mut rng = ChaCha8Rng::seed_from_u64(number);
        let genome = small().draw_genome(depth, &mut rng);
        controller.observe(&Observation {
            number,
            genome: genome.clone(),
            loss,
        });
        genome
    }

    #[test]
    fn depth_is_allowed_as_upstream_allows_it_by_default() {
        // model_search's allowed_depth with its default thresholds 5 i: floor(n / 5) + 1, at most D.
        let controller = descent(1, 1.0, 0.0);
        let allowed: Vec<usize> = [0, 4, 5, 9, 10, 14, 15, 100]
            .map(|n| controller.allowed_depth(n))
            .to_vec();
        assert_eq!(allowed, [1, 1, 2, 2, 3, 3, 4, 4]);
    }

    #[test]
    fn parents_come_from_the_best_trials_only() {
        let mut controller = descent(2, 0.5, 0.5);
        for (number, loss) in [(0, 0.9), (1, 0.3), (2, 0.5), (3, 0.4), (4, 2.0)] {
            tell(&mut controller, number, Some(loss), 2);
        }
        for seed in 0..100 {
            let proposal = controller.propose(&mut ChaCha8Rng::seed_from_u64(seed));
            assert!(
                matches!(proposal.parent, Some(1 | 3)),
                "{:?}",
                proposal.parent
            );
        }
    }

    #[test]
    fn growing_adds_one_block_behind_the_parents() {
        let mut controller = descent(1, 1.0, 0.0);
        let mut parent = None;
        for number in 0..5 {
            let genome = tell(&mut controller, number, Some(1.0 + number as f64), 1);
            parent.get_or_insert(genome);
        }
        let parent = parent.unwrap();
        let child = controller.propose(&mut ChaCha8Rng::seed_from_u64(0)).genome;
        assert_eq!(child.blocks.len(), 2);
        assert_eq!(child.blocks[0], parent.blocks[0]);
        assert_eq!((child.stem, child.head), (parent.stem, parent.head));
    }

    #[test]
    fn replacing_changes_exactly_one_block() {
        let mut controller = descent(1, 0.0, 0.0);
        let parent = tell(&mut controller, 0, Some(1.0), 4);
        for seed in 0..50 {
            let child = controller
                .propose(&mut ChaCha8Rng::seed_from_u64(seed))
                .genome;
            let n_changed = child
                .blocks
                .iter()
                .zip(&parent.blocks)
                .filter(|(a, b)| a != b)
                .count();
            assert_eq!((n_changed, child.blocks.len()), (1, 4));
        }
    }

    #[test]
    fn a_failed_or_non_finite_trial_is_no_parent_and_adds_no_depth() {
        let mut controller = descent(3, 1.0, 0.0);
        tell(&mut controller, 0, None, 1);
        tell(&mut controller, 1, Some(f64::NAN), 1);
        assert_eq!(controller.n_complete, 0);
        assert_eq!(
            controller.propose(&mut ChaCha8Rng::seed_from_u64(0)).parent,
            None
        );
    }
}
