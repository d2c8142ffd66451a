//! Learning from a teacher's answers besides the labels (Hinton et al. 2015).
//!
//! A teacher is one network or several whose logits are averaged, never summed; the temperature divides both
//! sides. It does not know where the teacher came from.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_softmax, softmax};
use serde::{Deserialize, Serialize};

/// How a student is drawn to its teacher, as a recipe writes it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistilSpec {
    pub loss: DistilLoss,
    /// Divides the logits of both before their softmax; `mse-logits` has no use for it.
    pub temperature: f32,
    /// Weight of the labels' own loss.
    pub label_weight: f32,
    /// Weight of the teacher's loss at the first step and from the end of the ramp on.
    pub teacher_weight: [f32; 2],
    /// Share of all steps over which the weight goes from the one to the other.
    #[serde(default)]
    pub ramp_share: f32,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DistilLoss {
    /// Mean squared difference of logits.
    MseLogits,
    /// Mean squared difference of probabilities.
    MseSoftmax,
    /// Cross-entropy of the student's probabilities under the teacher's, times the square of the temperature so that
    /// its gradients keep their size.
    CrossEntropy,
}

/// How the trials of a search are taught, as a recipe writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeachingSpec {
    pub teacher: Teacher,
    pub distil: DistilSpec,
}

/// Who teaches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Teacher {
    /// The best trials so far, their answers averaged: one, or an ensemble of several.
    BestTrials {
        n_trials: usize,
        /// Trials that are not taught before there are this many.
        after_trials: u64,
    },
    /// The networks of a bundle of the same labels and front-end.
    Bundle { path: std::path::PathBuf },
}

impl DistilSpec {
    /// What is wrong with it, if anything.
    pub fn check(&self) -> Result<(), String> {
        let weights = [
            self.label_weight,
            self.teacher_weight[0],
            self.teacher_weight[1],
        ];
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return Err(format!(
                "temperature: found {}, expected more than 0",
                self.temperature
            ));
        }
        if weights.iter().any(|w| !w.is_finite() || *w < 0.0) || weights == [0.0; 3] {
            return Err(format!(
                "label_weight and teacher_weight: found {weights:?}, expected 0 or more, not all 0"
            ));
        }
        if !(0.0..=1.0).contains(&self.ramp_share) {
            return Err(format!(
                "ramp_share: found {}, expected 0 to 1",
                self.ramp_share
            ));
        }
        Ok(())
    }

    /// The teacher's weight at one step: a straight ramp that stays within its ends.
    pub fn weight_at(&self, step: usize, n_steps: usize) -> f32 {
        let [first, last] = self.teacher_weight;
        let n_ramp = self.ramp_share * n_steps as f32;
        if n_ramp < 1.0 {
            return last;
        }
        first + (last - first) * (step as f32 / n_ramp).min(1.0)
    }

    /// The teacher's part of the loss, before its weight.
    ///
    /// # Shapes
    ///
    /// - `student`, `teacher`: logits `[batch, n_classes]`
    /// - output: `[1]`
    pub fn teacher_loss(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        let t = self.temperature;
        match self.loss {
            DistilLoss::MseLogits => (student - teacher).square().mean(),
            DistilLoss::MseSoftmax => {
                let difference = softmax(student / t, 1) - softmax(teacher / t, 1);
                difference.square().mean()
            }
            DistilLoss::CrossEntropy => {
                let n_batch = student.dims()[0] as f32;
                let target = softmax(teacher / t, 1);
                (log_softmax(student / t, 1) * target).sum().neg() * (t * t / n_batch)
            }
        }
    }
}

/// Mean of several networks' logits, each `[batch, n_classes]`; `None` of none.
pub fn mean_logits(logits: Vec<Tensor<2>>) -> Option<Tensor<2>> {
    let n = logits.len() as f32;
    let sum = logits.into_iter().reduce(|sum, one| sum + one)?;
    Some(sum / n)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn spec(loss: DistilLoss, temperature: f32) -> DistilSpec {
        DistilSpec {
            loss,
            temperature,
            label_weight: 1.0,
            teacher_weight: [1.0, 1.0],
            ramp_share: 0.0,
        }
    }

    fn tensor(rows: [[f32; 3]; 2]) -> Tensor<2> {
        let values = rows.concat();
        Tensor::from_data(TensorData::new(values, [2, 3]), &Device::flex())
    }

    const STUDENT: [[f32; 3]; 2] = [[1.0, 0.0, -1.0], [0.5, 0.5, 2.0]];
    const TEACHER: [[f32; 3]; 2] = [[2.0, 0.0, 0.0], [0.0, 1.0, 3.0]];

    fn loss(loss: DistilLoss, temperature: f32, student: [[f32; 3]; 2]) -> f32 {
        let spec = spec(loss, temperature);
        let value = spec.teacher_loss(tensor(student), tensor(TEACHER));
        value.into_scalar::<f32>()
    }

    /// The cross-entropy worked out in f64 beside the tensors.
    fn cross_entropy_by_hand(temperature: f64) -> f64 {
        let softmax = |row: [f32; 3]| {
            let e = row.map(|x| (f64::from(x) / temperature).exp());
            let sum: f64 = e.iter().sum();
            e.map(|x| x / sum)
        };
        let rows = STUDENT.iter().zip(TEACHER);
        let of_row = |(student, teacher): (&[f32; 3], [f32; 3])| -> f64 {
            let (p, q) = (softmax(teacher), softmax(*student));
            -p.iter().zip(q).map(|(p, q)| p * q.ln()).sum::<f64>()
        };
        temperature * temperature * rows.map(of_row).sum::<f64>() / 2.0
    }

    #[test]
    fn the_losses_are_those_worked_out_by_hand() {
        let squares = 1.0 + 0.0 + 1.0 + 0.25 + 0.25 + 1.0;
        assert!((loss(DistilLoss::MseLogits, 3.0, STUDENT) - squares / 6.0).abs() < 1e-6);
        for t in [1.0, 2.5] {
            let found = f64::from(loss(DistilLoss::CrossEntropy, t, STUDENT));
            assert!((found - cross_entropy_by_hand(f64::from(t))).abs() < 1e-5);
        }
    }

    #[test]
    fn a_student_that_says_what_its_teacher_says_has_nothing_to_learn() {
        assert_eq!(loss(DistilLoss::MseLogits, 2.0, TEACHER), 0.0);
        assert_eq!(loss(DistilLoss::MseSoftmax, 2.0, TEACHER), 0.0);
        let least = loss(DistilLoss::CrossEntropy, 2.0, TEACHER);
        assert!(least < loss(DistilLoss::CrossEntropy, 2.0, STUDENT));
        // Softmax forgets an offset; logits do not.
        let moved = TEACHER.map(|row| row.map(|x| x + 5.0));
        assert!(loss(DistilLoss::MseSoftmax, 1.0, moved) < 1e-10);
        assert!((loss(DistilLoss::MseLogits, 1.0, moved) - 25.0).abs() < 1e-4);
    }

    #[test]
    fn teachers_are_averaged() {
        let mean = mean_logits(vec![tensor(STUDENT), tensor(TEACHER)]).unwrap();
        let found: Vec<f32> = mean.into_data().iter::<f32>().collect();
        assert_eq!(found, [1.5, 0.0, -0.5, 0.25, 0.75, 2.5]);
    }

    #[test]
    fn a_ramp_goes_from_its_first_weight_to_its_last_and_stays_there() {
        let spec = DistilSpec {
            teacher_weight: [0.0, 2.0],
            ramp_share: 0.5,
            ..spec(DistilLoss::CrossEntropy, 1.0)
        };
        let weights = [0, 25, 50, 99].map(|step| spec.weight_at(step, 100));
        assert_eq!(weights, [0.0, 1.0, 2.0, 2.0]);
    }
}
