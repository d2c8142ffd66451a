//! Temperatures of a bundle whose classes are languages, fitted on the validation split when it is packed.

use auricle_datasets::Split;

use super::{Run, RunError};
use crate::bundle::{TEMPERATURES, Temperature};
use crate::evaluate::Scores;
use crate::evaluate::calibration::fit_temperature;
use crate::model::Combination;
use crate::search::full::Member;

/// Fewer clips fit nothing.
const MIN_CLIPS: usize = 30;

impl Run<'_> {
    /// A temperature for the first 1, 2, 3 and 5 seconds and for the longest clip that is judged, each by the clips that are as
    /// long; where none has clips enough, one by all clips as they are.
    pub(super) fn temperatures(
        &self,
        members: &[&Member],
        combination: &Combination,
    ) -> Result<Vec<Temperature>, RunError> {
        let items = self.corpus.items(Split::Validation);
        let networks = self.listeners(members)?;
        let data = &self.plan.recipe.data;
        let longest_s = f64::from(data.lengths.longest_ms().unwrap_or(data.clip_ms)) / 1000.0;
        let shorter = super::judge::HEARD_S.into_iter().filter(|&s| s < longest_s);
        let mut temperatures = Vec::new();
        for seconds in shorter.chain([longest_s]) {
            let scores = self.scores_of_first(seconds, &items, &networks, combination)?;
            let enough = scores.filter(|scores| scores.n_examples() >= MIN_CLIPS);
            temperatures.extend(enough.map(|scores| fitted(&scores, seconds)));
        }
        if temperatures.is_empty() {
            let scores = self.judge(members, combination, Split::Validation)?.scores;
            temperatures.push(fitted(&scores, longest_s));
        }
        Ok(temperatures)
    }
}

fn fitted(scores: &Scores, heard_s: f64) -> Temperature {
    let (low, high) = TEMPERATURES;
    Temperature {
        heard_ms: (heard_s * 1000.0).round() as u32,
        temperature: (fit_temperature(scores) as f32).clamp(low, high),
    }
}
