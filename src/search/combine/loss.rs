//! Losses in 64 bits, finite for any finite logits.

/// `ln(sum(exp(values)))`, without overflow.
pub fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return top;
    }
    top + values.map(|value| (value - top).exp()).sum::<f64>().ln()
}

/// `ln` of the softmax of `logits` at `class`.
///
/// # Panics
///
/// If there is no such class.
pub fn log_probability(logits: &[f32], class: usize) -> f64 {
    let values = logits.iter().map(|logit| f64::from(*logit));
    f64::from(logits[class]) - log_sum_exp(values)
}

/// Mean cross-entropy in nats.
///
/// # Shapes
///
/// - `logits`: `[n, n_classes]`
/// - `labels`: `[n]`
///
/// # Panics
///
/// If the lengths do not agree or a label is no class.
pub fn cross_entropy(logits: &[f32], n_classes: usize, labels: &[usize]) -> f64 {
    assert_eq!(logits.len(), n_classes * labels.len());
    let rows = logits.chunks_exact(n_classes).zip(labels);
    let total: f64 = rows.map(|(row, label)| -log_probability(row, *label)).sum();
    total / labels.len() as f64
}

/// Mean cross-entropy of probabilities in nats, each at least the smallest positive float.
///
/// # Shapes
///
/// - `probabilities`: `[n, n_classes]`
/// - `labels`: `[n]`
///
/// # Panics
///
/// If the lengths do not agree or a label is no class.
pub fn negative_log_likelihood(probabilities: &[f32], n_classes: usize, labels: &[usize]) -> f64 {
    assert_eq!(probabilities.len(), n_classes * labels.len());
    let rows = probabilities.chunks_exact(n_classes).zip(labels);
    let total: f64 = rows
        .map(|(row, label)| -f64::from(row[*label].max(f32::MIN_POSITIVE)).ln())
        .sum();
    total / labels.len() as f64
}
