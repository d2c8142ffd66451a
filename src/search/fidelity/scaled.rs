//! Model Search's parameter-scaled training: shallow networks train for fewer steps.

/// Steps of a network of `depth` blocks where one of `max_depth` blocks trains for `n_steps`.
///
/// As upstream counts: each step advances its clock of `n_steps` by
/// `max(n_steps / (depth * max(n_steps / max_depth, 1)), 1)`, all divisions rounding down. That is about
/// `n_steps * depth / max_depth` for shallow networks, and all `n_steps` once `depth` is above half of
/// `max_depth`, since the clock advances by whole steps. A depth of 0 counts as 1.
pub fn parameter_scaled_steps(n_steps: usize, depth: usize, max_depth: usize) -> usize {
    let per_block = (n_steps / max_depth.max(1)).max(1);
    let advance = (n_steps / depth.max(1).saturating_mul(per_block)).max(1);
    n_steps.div_ceil(advance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_as_upstream_does() {
        // By hand for 1,000 steps and at most 20 blocks: 1000 / (depth * 50) is 20, 10, 6, 5, 2, 1, 1.
        let steps = [1, 2, 3, 4, 10, 11, 20].map(|depth| parameter_scaled_steps(1000, depth, 20));
        assert_eq!(steps, [50, 100, 167, 200, 500, 1000, 1000]);
    }

    #[test]
    fn no_depth_asks_for_more_than_the_deepest_or_for_nothing() {
        for n_steps in [1, 2, 7, 50, 1000] {
            for max_depth in [0, 1, 5, 30] {
                let steps: Vec<usize> = (0..40)
                    .map(|depth| parameter_scaled_steps(n_steps, depth, max_depth))
                    .collect();
                assert!(steps.iter().all(|n| (1..=n_steps).contains(n)));
                assert!(steps.is_sorted());
            }
        }
    }
}
