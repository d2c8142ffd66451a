//! Each class against all others, over the scores of clips.

use serde::{Deserialize, Serialize};

use crate::evaluate::{Measured, Scores};

/// What accepting every score of at least `threshold` does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetPoint {
    pub threshold: f64,
    /// Share of targets below the threshold.
    pub miss_rate: f64,
    /// Share of non-targets at or above the threshold.
    pub false_accept_rate: f64,
}

/// Misses against false accepts of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassDetection {
    pub label: String,
    pub n_targets: u64,
    pub n_non_targets: u64,
    /// One point for each distinct score, from the highest threshold to the lowest. Accepting nothing (all missed, no false
    /// accept) is understood before the first.
    pub points: Vec<DetPoint>,
}

impl ClassDetection {
    /// Sweeps the threshold over all distinct scores.
    pub fn of(label: &str, targets: &[f32], non_targets: &[f32]) -> Self {
        let mut scores: Vec<(f32, bool)> = targets.iter().map(|&score| (score, true)).collect();
        scores.extend(non_targets.iter().map(|&score| (score, false)));
        scores.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (n_targets, n_non_targets) = (targets.len() as u64, non_targets.len() as u64);
        let (mut n_hit, mut n_false) = (0_u64, 0_u64);
        let mut points = Vec::new();
        if n_targets > 0 && n_non_targets > 0 {
            for (place, &(score, target)) in scores.iter().enumerate() {
                n_hit += u64::from(target);
                n_false += u64::from(!target);
                if scores.get(place + 1).is_none_or(|next| next.0 != score) {
                    points.push(DetPoint {
                        threshold: f64::from(score),
                        miss_rate: (n_targets - n_hit) as f64 / n_targets as f64,
                        false_accept_rate: n_false as f64 / n_non_targets as f64,
                    });
                }
            }
        }
        ClassDetection {
            label: label.to_string(),
            n_targets,
            n_non_targets,
            points,
        }
    }

    /// The rate at which misses and false accepts are equal, by straight lines between the points.
    pub fn equal_error_rate(&self) -> Measured {
        let (mut far, mut miss) = (0.0, 1.0);
        for point in &self.points {
            let (next_far, next_miss) = (point.false_accept_rate, point.miss_rate);
            if next_miss <= next_far {
                let (before, after) = (miss - far, next_far - next_miss);
                let share = before / (before + after);
                return Measured::from(far + share * (next_far - far));
            }
            (far, miss) = (next_far, next_miss);
        }
        self.nothing_to_measure()
    }

    /// The area under misses against false accepts, by straight lines between the points (equal scores share one): 0 is
    /// perfect, 0.5 is chance, 1 less the area under the ROC curve.
    pub fn area(&self) -> Measured {
        if self.points.is_empty() {
            return self.nothing_to_measure();
        }
        let (mut area, mut far, mut miss) = (0.0, 0.0, 1.0);
        for point in &self.points {
            area += (point.false_accept_rate - far) * (point.miss_rate + miss) / 2.0;
            (far, miss) = (point.false_accept_rate, point.miss_rate);
        }
        Measured::from(area)
    }

    /// The lowest miss rate among thresholds whose false accepts stay within a rate; nothing is interpolated.
    pub fn miss_rate_at(&self, false_accept_rate: f64) -> Measured {
        if self.points.is_empty() {
            return self.nothing_to_measure();
        }
        if !(0.0..=1.0).contains(&false_accept_rate) {
            return Measured::missing(format!(
                "a false accept rate of {false_accept_rate} is not between 0 and 1"
            ));
        }
        let within = self
            .points
            .iter()
            .take_while(|point| point.false_accept_rate <= false_accept_rate);
        Measured::from(within.last().map_or(1.0, |point| point.miss_rate))
    }

    fn nothing_to_measure(&self) -> Measured {
        let what = if self.n_targets == 0 {
            "no examples of this class"
        } else {
            "no examples of other classes"
        };
        Measured::missing(what)
    }
}

/// Each class against all others, by its probability.
pub fn one_versus_rest(scores: &Scores) -> Vec<ClassDetection> {
    let of_class = |class: usize| {
        let (mut targets, mut non_targets) = (Vec::new(), Vec::new());
        for example in 0..scores.n_examples() {
            let side = if scores.truth[example] == class {
                &mut targets
            } else {
                &mut non_targets
            };
            side.push(scores.row(example)[class]);
        }
        ClassDetection::of(&scores.labels[class], &targets, &non_targets)
    };
    (0..scores.n_classes()).map(of_class).collect()
}
