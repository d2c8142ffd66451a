//! The moving average of the last answers.

/// Averages the last `n_answers` answers, fewer at the start.
///
/// The sum is taken afresh at every answer: nothing drifts, and one answer that is no number is gone
/// when it leaves the window.
#[derive(Clone, Debug)]
pub struct Smoothing {
    /// `[n_answers, n_classes]`, a ring.
    past: Vec<f32>,
    n_answers: usize,
    next: usize,
    n_seen: usize,
    mean: Vec<f32>,
}

impl Smoothing {
    pub fn new(n_answers: usize, n_classes: usize) -> Self {
        Self {
            past: vec![0.0; n_answers * n_classes],
            n_answers,
            next: 0,
            n_seen: 0,
            mean: vec![0.0; n_classes],
        }
    }

    /// Takes one answer `[n_classes]`, gives the average up to it.
    pub fn push(&mut self, answer: &[f32]) -> &[f32] {
        let n_classes = self.mean.len();
        self.past[self.next * n_classes..(self.next + 1) * n_classes].copy_from_slice(answer);
        self.next = (self.next + 1) % self.n_answers;
        self.n_seen = (self.n_seen + 1).min(self.n_answers);
        self.mean.fill(0.0);
        // Oldest first, so that an average does not depend on where in the ring it lies.
        for age in (1..=self.n_seen).rev() {
            let slot = (self.next + self.n_answers - age) % self.n_answers;
            let past = &self.past[slot * n_classes..(slot + 1) * n_classes];
            for (sum, value) in self.mean.iter_mut().zip(past) {
                *sum += value;
            }
        }
        let share = 1.0 / self.n_seen as f32;
        for value in &mut self.mean {
            *value *= share;
        }
        &self.mean
    }

    /// Back to before the first answer.
    pub fn reset(&mut self) {
        self.next = 0;
        self.n_seen = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_average_is_of_the_last_answers_and_no_others() {
        let mut smoothing = Smoothing::new(3, 2);
        for turn in 0..2 {
            let answers: Vec<[f32; 2]> = (0..10).map(|i| [i as f32, (i * i) as f32]).collect();
            for i in 0..answers.len() {
                let seen = &answers[i.saturating_sub(2)..=i];
                let mean = |class: usize| {
                    seen.iter().map(|answer| answer[class]).sum::<f32>() / seen.len() as f32
                };
                let smoothed = smoothing.push(&answers[i]);
                assert!(
                    (smoothed[0] - mean(0)).abs() < 1e-4,
                    "answer {i}, turn {turn}"
                );
                assert!(
                    (smoothed[1] - mean(1)).abs() < 1e-4,
                    "answer {i}, turn {turn}"
                );
            }
            smoothing.reset();
        }
    }

    #[test]
    fn an_answer_that_is_no_number_is_forgotten() {
        let mut smoothing = Smoothing::new(2, 1);
        smoothing.push(&[f32::NAN]);
        assert!(smoothing.push(&[0.5])[0].is_nan());
        assert_eq!(smoothing.push(&[0.5]), [0.5]);
    }
}
