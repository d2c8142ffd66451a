//! Randomness that can be repeated: every draw follows from a seed and from what is drawn for, never from the order
//! in which threads happen to run.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha1::{Digest, Sha1};

/// The generator of one clip in one epoch, the same whichever worker asks and in whatever order.
pub fn clip_rng(seed: u64, epoch: u64, item: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ epoch.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    rng.set_stream(item);
    rng
}

/// A generator named by a seed and a purpose, so that two purposes never share their draws.
pub fn purpose_rng(seed: u64, purpose: &str) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(rank(seed, purpose))
}

/// A number that follows from a seed and a name. Ranking names by it draws a sample that does not depend on
/// the order they come in, and that hardly moves when a few names are added.
pub(crate) fn rank(seed: u64, name: &str) -> u64 {
    let mut hash = Sha1::new();
    hash.update(seed.to_le_bytes());
    hash.update(name.as_bytes());
    let digest = hash.finalize();
    u64::from_be_bytes(digest[..8].try_into().expect("a SHA-1 digest has 20 bytes"))
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn a_clip_draws_the_same_again_and_its_neighbours_draw_something_else() {
        let draw = |seed, epoch, item| clip_rng(seed, epoch, item).random::<u64>();
        assert_eq!(draw(7, 3, 11), draw(7, 3, 11));
        let others = [
            draw(7, 3, 11),
            draw(8, 3, 11),
            draw(7, 4, 11),
            draw(7, 3, 12),
            draw(7, 11, 3),
        ];
        let distinct: std::collections::BTreeSet<u64> = others.into_iter().collect();
        assert_eq!(distinct.len(), others.len());
    }

    #[test]
    fn purposes_do_not_share_draws() {
        assert_ne!(
            purpose_rng(7, "silence").random::<u64>(),
            purpose_rng(7, "unknown").random::<u64>()
        );
    }
}
