//! Losses as normal scores: only their order counts, neither their scale nor a few enormous ones.

/// What a standard normal sample of that size would have at each rank. Equal losses share their middle rank, and
/// failed trials (`None`) share the worst.
pub fn normal_scores(losses: &[Option<f64>]) -> Vec<f64> {
    let loss = |at: &usize| losses[*at].unwrap_or(f64::INFINITY);
    let mut order: Vec<usize> = (0..losses.len()).collect();
    order.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
    let mut scores = vec![0.0; losses.len()];
    let mut first = 0;
    for equal in order.chunk_by(|a, b| loss(a) == loss(b)) {
        let rank = first as f64 + 0.5 * equal.len() as f64;
        let score = normal_quantile(rank / losses.len() as f64);
        for at in equal {
            scores[*at] = score;
        }
        first += equal.len();
    }
    scores
}

/// The value below which a standard normal one is with chance `p` in (0, 1) (Abramowitz & Stegun 26.2.23, within
/// 4.5e-4).
fn normal_quantile(p: f64) -> f64 {
    let t = (-2.0 * p.min(1.0 - p).ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let upper = t - above / below;
    if p < 0.5 { -upper } else { upper }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_keep_the_order_and_lie_evenly_about_zero() {
        let scores = normal_scores(&[Some(3.0), Some(-1e30), Some(2.0), None]);
        assert!(scores[1] < scores[2] && scores[2] < scores[0] && scores[0] < scores[3]);
        assert!(scores.iter().sum::<f64>().abs() < 1e-3);
    }

    #[test]
    fn equal_losses_have_equal_scores() {
        let scores = normal_scores(&[Some(1.0), Some(0.0), Some(1.0), Some(2.0), None, None]);
        assert_eq!((scores[0], scores[4]), (scores[2], scores[5]));
        // Ranks 1 and 2 of 6 (counted from 0) meet in the middle: a third of the way.
        assert!((scores[0] + 0.430_727).abs() < 5e-4, "{}", scores[0]);
    }

    #[test]
    fn quantiles_are_the_tabled_ones() {
        for (z, p) in [(0.0, 0.5), (1.0, 0.841_344_7), (-1.96, 0.024_997_9)] {
            assert!((normal_quantile(p) - z).abs() < 5e-4, "{p}");
        }
    }
}
