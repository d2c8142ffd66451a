//! Whether a probability of 0.9 is right nine times in ten.
//!
//! Looks at the probability of the predicted class alone (reliability, ECE) and at the whole row (Brier), and finds the
//! temperature that would make it so. Changes nothing: who packs a bundle writes it down.

use serde::{Deserialize, Serialize};

use super::{Measured, Scores};

/// Bins of the reliability table.
pub const N_BINS: usize = 15;

/// Examples whose confidence lies in `(low, high]`; the first bin holds its lower end too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReliabilityBin {
    pub low: f64,
    pub high: f64,
    pub n_examples: u64,
    /// Mean probability of the predicted class.
    pub confidence: Measured,
    /// Share of examples whose predicted class is the true one.
    pub accuracy: Measured,
}

/// Confidence against accuracy in [`N_BINS`] bins of equal width.
pub fn reliability(scores: &Scores) -> Vec<ReliabilityBin> {
    let mut sums = [(0_u64, 0.0_f64, 0_u64); N_BINS];
    for example in 0..scores.n_examples() {
        let predicted = scores.prediction(example);
        let confidence = f64::from(scores.row(example)[predicted]);
        let bin = ((confidence * N_BINS as f64).ceil() as usize).clamp(1, N_BINS) - 1;
        sums[bin].0 += 1;
        sums[bin].1 += confidence;
        sums[bin].2 += u64::from(predicted == scores.truth[example]);
    }
    let empty = "no example has such a confidence";
    sums.iter()
        .enumerate()
        .map(
            |(bin, &(n_examples, confidence, n_correct))| ReliabilityBin {
                low: bin as f64 / N_BINS as f64,
                high: (bin + 1) as f64 / N_BINS as f64,
                n_examples,
                confidence: match n_examples {
                    0 => Measured::missing(empty),
                    n => Measured::from(confidence / n as f64),
                },
                accuracy: Measured::ratio(n_correct, n_examples, empty),
            },
        )
        .collect()
}

/// Expected calibration error: the mean gap between confidence and accuracy over the bins, weighted by their examples.
///
/// C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3, with 15 bins.
pub fn expected_calibration_error(bins: &[ReliabilityBin]) -> Measured {
    let n_examples: u64 = bins.iter().map(|bin| bin.n_examples).sum();
    if n_examples == 0 {
        return Measured::missing("no examples");
    }
    let gap = |bin: &ReliabilityBin| match (bin.confidence.number(), bin.accuracy.number()) {
        (Some(confidence), Some(accuracy)) => bin.n_examples as f64 * (confidence - accuracy).abs(),
        _ => 0.0,
    };
    Measured::from(bins.iter().map(gap).sum::<f64>() / n_examples as f64)
}

/// Brier score over all classes, from 0 to 2: mean of `sum_k (p_k - [truth = k])^2`.
///
/// G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78 (1950).
pub fn brier(scores: &Scores) -> f64 {
    let of_example = |example: usize| -> f64 {
        let row = scores.row(example).iter().enumerate();
        row.map(|(class, &p)| (f64::from(p) - f64::from(class == scores.truth[example])).powi(2))
            .sum()
    };
    (0..scores.n_examples()).map(of_example).sum::<f64>() / scores.n_examples() as f64
}

/// Least and most inverse temperature that is tried.
const INVERSE_TEMPERATURES: (f64, f64) = (0.05, 20.0);
/// Probabilities below count as this much: one certain error is not infinitely dear.
const LEAST_PROBABILITY: f64 = 1e-9;

/// The temperature by which logarithms of probabilities are divided so that the truth becomes most probable: least
/// mean negative logarithm of the true class's probability, 0.05 to 20.
///
/// C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2. The loss is convex in the inverse
/// temperature, so its slope is halved to its zero.
pub fn fit_temperature(scores: &Scores) -> f64 {
    let log = |p: &f32| f64::from(*p).max(LEAST_PROBABILITY).ln();
    let rows: Vec<Vec<f64>> = (0..scores.n_examples())
        .map(|example| scores.row(example).iter().map(log).collect())
        .collect();
    // Of the summed loss: what the logarithms are expected to be, less what they are for the truth.
    let slope = |inverse: f64| -> f64 {
        let of_row = |(row, &truth): (&Vec<f64>, &usize)| {
            let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let power = |log: &f64| (inverse * (log - top)).exp();
            let sum: f64 = row.iter().map(power).sum();
            let expected: f64 = row.iter().map(|log| power(log) / sum * log).sum();
            expected - row[truth]
        };
        rows.iter().zip(&scores.truth).map(of_row).sum()
    };
    let (mut low, mut high) = INVERSE_TEMPERATURES;
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        if slope(middle) > 0.0 {
            high = middle;
        } else {
            low = middle;
        }
    }
    1.0 / (low * high).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(rows: &[([f32; 2], usize)]) -> Scores {
        let labels = vec!["a".to_string(), "b".to_string()];
        let ids = (0..rows.len()).map(|i| i.to_string()).collect();
        let probabilities = rows.iter().flat_map(|row| row.0).collect();
        Scores::new(
            labels,
            rows.iter().map(|row| row.1).collect(),
            probabilities,
            ids,
        )
        .expect("valid")
    }

    #[test]
    fn who_is_right_as_often_as_he_says_is_calibrated() {
        // Four examples at 0.75, three of them right; binary fractions, so exactly.
        let scores = scores(&[
            ([0.75, 0.25], 0),
            ([0.75, 0.25], 0),
            ([0.25, 0.75], 1),
            ([0.25, 0.75], 0),
        ]);
        let bins = reliability(&scores);
        assert_eq!(expected_calibration_error(&bins), Measured::Value(0.0));
        assert_eq!(bins.iter().map(|bin| bin.n_examples).sum::<u64>(), 4);
        assert_eq!(bins[11].n_examples, 4);
        assert_eq!(brier(&scores), (3.0 * 0.125 + 1.125) / 4.0);
    }

    #[test]
    fn certain_and_right_costs_nothing_certain_and_wrong_costs_most() {
        let right = scores(&[([1.0, 0.0], 0)]);
        let wrong = scores(&[([1.0, 0.0], 1)]);
        assert_eq!((brier(&right), brier(&wrong)), (0.0, 2.0));
        assert_eq!(
            expected_calibration_error(&reliability(&right)),
            Measured::Value(0.0)
        );
        assert_eq!(
            expected_calibration_error(&reliability(&wrong)),
            Measured::Value(1.0)
        );
    }

    #[test]
    fn an_empty_bin_has_reasons_and_not_numbers() {
        let bins = reliability(&scores(&[([1.0, 0.0], 0)]));
        assert!(bins[0].accuracy.reason().is_some() && bins[0].confidence.reason().is_some());
        assert!(expected_calibration_error(&[]).reason().is_some());
    }

    #[test]
    fn the_temperature_undoes_what_made_probabilities_too_sure() {
        // Right three times in four, as 0.75 says; then sharpened by a temperature of 0.5: 0.9 and 0.1.
        let right = ([0.9, 0.1], 0);
        let sharpened = scores(&[right, right, right, ([0.9, 0.1], 1)]);
        assert!((fit_temperature(&sharpened) - 2.0).abs() < 1e-4);
        let honest = scores(&[
            ([0.75, 0.25], 0),
            ([0.25, 0.75], 1),
            ([0.75, 0.25], 0),
            ([0.75, 0.25], 1),
        ]);
        assert!((fit_temperature(&honest) - 1.0).abs() < 1e-4);
    }

    #[test]
    fn the_temperature_of_what_is_always_right_or_no_better_than_chance_is_bounded() {
        assert!((fit_temperature(&scores(&[([0.6, 0.4], 0)])) - 0.05).abs() < 1e-6);
        let chance = scores(&[([0.9, 0.1], 0), ([0.9, 0.1], 1)]);
        assert!((fit_temperature(&chance) - 20.0).abs() < 1e-4);
    }
}
