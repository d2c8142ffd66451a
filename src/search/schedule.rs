//! The learning rate over a training: a straight warm-up, then half a cosine to zero (Loshchilov &
//! Hutter 2017).

/// The rate of one step. `step` counts from 0 to `n_steps - 1`; the first `warmup_share` of them climb.
pub fn learning_rate(peak: f64, warmup_share: f64, step: usize, n_steps: usize) -> f64 {
    let n_warmup = (warmup_share * n_steps as f64).round();
    let at = step as f64;
    if at < n_warmup {
        return peak * (at + 1.0) / n_warmup;
    }
    let n_falling = (n_steps as f64 - n_warmup).max(1.0);
    let phase = ((at - n_warmup) / n_falling).min(1.0);
    0.5 * peak * (1.0 + (std::f64::consts::PI * phase).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_climbs_to_the_peak_and_falls_towards_zero_without_a_jump() {
        let rates: Vec<f64> = (0..100)
            .map(|step| learning_rate(0.01, 0.1, step, 100))
            .collect();
        assert!((rates[0] - 0.001).abs() < 1e-12 && (rates[9] - 0.01).abs() < 1e-12);
        assert!(rates[10..].is_sorted_by(|a, b| a >= b));
        assert!((rates[55] - 0.005).abs() < 1e-12 && rates[99] < 1e-5 && rates[99] > 0.0);
        assert!(
            rates
                .windows(2)
                .all(|pair| (pair[0] - pair[1]).abs() <= 0.001 + 1e-12)
        );
    }

    #[test]
    fn it_stays_finite_for_a_single_step_and_without_warm_up() {
        assert_eq!(learning_rate(0.1, 0.0, 0, 1), 0.1);
        assert_eq!(learning_rate(0.1, 1.0, 0, 1), 0.1);
    }
}
