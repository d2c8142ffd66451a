//! In which order clips are seen in an epoch: a permutation, or a draw in which every class comes equally often.
//!
//! An order follows from the seed and the epoch alone, so a run that is resumed sees what it would have seen.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::seeded::clip_rng;

/// How an epoch is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SamplerSpec {
    /// Every clip once.
    Shuffled,
    /// As many clips as there are, every class equally often (within one): clips of rare classes come repeatedly,
    /// and each clip of a class comes once before any comes again.
    Balanced,
}

/// The clips of an epoch, as indices into `labels` (the class index of each clip).
pub fn epoch_order(spec: SamplerSpec, labels: &[usize], seed: u64, epoch: u64) -> Vec<usize> {
    let mut rng = clip_rng(seed, epoch, u64::MAX);
    match spec {
        SamplerSpec::Shuffled => {
            let mut order: Vec<usize> = (0..labels.len()).collect();
            order.shuffle(&mut rng);
            order
        }
        SamplerSpec::Balanced => balanced(labels, &mut rng),
    }
}

fn balanced(labels: &[usize], rng: &mut ChaCha8Rng) -> Vec<usize> {
    let n_classes = labels.iter().max().map_or(0, |&largest| largest + 1);
    let mut decks: Vec<Vec<usize>> = vec![Vec::new(); n_classes];
    labels
        .iter()
        .enumerate()
        .for_each(|(clip, &label)| decks[label].push(clip));
    decks.retain(|deck| !deck.is_empty());
    let mut dealt = vec![0usize; decks.len()];
    let mut order = Vec::with_capacity(labels.len());
    let mut round: Vec<usize> = (0..decks.len()).collect();
    while order.len() < labels.len() {
        round.shuffle(rng); // so that it is not always the same class that misses the last round
        for &class in round.iter().take(labels.len() - order.len()) {
            let deck = &mut decks[class];
            if dealt[class].is_multiple_of(deck.len()) {
                deck.shuffle(rng);
            }
            order.push(deck[dealt[class] % deck.len()]);
            dealt[class] += 1;
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<usize> {
        // 60 of class 0, 30 of class 2, 7 of class 5; 1, 3 and 4 do not occur.
        [vec![0; 60], vec![2; 30], vec![5; 7]].concat()
    }

    #[test]
    fn an_epoch_sees_every_clip_once_and_never_in_the_same_order() {
        let order = |seed, epoch| epoch_order(SamplerSpec::Shuffled, &labels(), seed, epoch);
        let mut sorted = order(7, 0);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..97).collect::<Vec<_>>());
        assert_eq!(order(7, 3), order(7, 3));
        assert_ne!(order(7, 3), order(7, 4));
        assert_ne!(order(7, 3), order(8, 3));
    }

    #[test]
    fn a_balanced_epoch_sees_every_class_equally_and_spares_no_clip_of_a_rare_one() {
        let labels = labels();
        for epoch in 0..20 {
            let order = epoch_order(SamplerSpec::Balanced, &labels, 7, epoch);
            assert_eq!(order.len(), labels.len());
            assert_eq!(order, epoch_order(SamplerSpec::Balanced, &labels, 7, epoch));
            for class in [0, 2, 5] {
                let seen: Vec<usize> = order
                    .iter()
                    .copied()
                    .filter(|&clip| labels[clip] == class)
                    .collect();
                assert!(
                    (32..=33).contains(&seen.len()),
                    "class {class}: {}",
                    seen.len()
                );
                let times = |clip| seen.iter().filter(|&&c| c == clip).count();
                let n_in_class = labels.iter().filter(|&&l| l == class).count();
                let most = seen.len().div_ceil(n_in_class);
                let of_class = (0..97).filter(|&clip| labels[clip] == class);
                assert!(
                    of_class
                        .into_iter()
                        .all(|clip| (most - 1..=most).contains(&times(clip)))
                );
            }
        }
    }

    #[test]
    fn no_clips_make_an_empty_epoch() {
        assert!(epoch_order(SamplerSpec::Shuffled, &[], 7, 0).is_empty());
        assert!(epoch_order(SamplerSpec::Balanced, &[], 7, 0).is_empty());
    }
}
