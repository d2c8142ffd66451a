//! A trial as the columns of a table, the same in every database: what is counted, compared or sorted there has a
//! column of its own, the rest is JSON.

use std::path::Path;

use super::{StoreError, Trial};

/// What [`Row`] reads, in its order.
pub(super) const COLUMNS: &str = "number, parent, genome, hyper, cost, donors, teachers, attempt, state, curve, seconds, \
     n_inherited, batch_size, learned, earlier, artifacts";

/// A trial as it lies in a table.
pub(super) struct Row {
    pub number: i64,
    pub parent: Option<i64>,
    pub genome: String,
    pub hyper: String,
    pub cost: String,
    pub donors: String,
    pub teachers: String,
    pub attempt: i64,
    pub state: String,
    pub curve: String,
    pub seconds: f64,
    pub n_inherited: i64,
    pub batch_size: i64,
    pub learned: String,
    pub earlier: String,
    pub artifacts: String,
}

/// Plain data as JSON.
pub(super) fn text<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("rows are plain data")
}

impl Row {
    pub fn of(trial: &Trial) -> Self {
        Self {
            number: trial.number as i64,
            parent: trial.parent.map(|parent| parent as i64),
            genome: trial.genome.canonical(),
            hyper: text(&trial.hyper),
            cost: text(&trial.cost),
            donors: text(&trial.donors),
            teachers: text(&trial.teachers),
            attempt: trial.attempt.into(),
            state: text(&trial.state),
            curve: text(&trial.curve),
            seconds: trial.seconds,
            n_inherited: trial.n_inherited as i64,
            batch_size: trial.batch_size as i64,
            learned: text(&trial.learned),
            earlier: text(&trial.earlier),
            artifacts: text(&trial.artifacts),
        }
    }

    /// The trial, or an error that names `place` and the field that is damaged.
    pub fn parse(self, place: &Path) -> Result<Trial, StoreError> {
        fn part<T: for<'a> serde::Deserialize<'a>>(
            place: &Path,
            number: i64,
            field: &str,
            text: &str,
        ) -> Result<T, StoreError> {
            serde_json::from_str(text).map_err(|error| StoreError::Damaged {
                path: place.into(),
                what: format!("{field} of trial {number}"),
                reason: error.to_string(),
            })
        }
        let number = self.number;
        Ok(Trial {
            number: number as u64,
            parent: self.parent.map(|parent| parent as u64),
            genome: part(place, number, "genome", &self.genome)?,
            hyper: part(place, number, "hyper", &self.hyper)?,
            cost: part(place, number, "cost", &self.cost)?,
            donors: part(place, number, "donors", &self.donors)?,
            teachers: part(place, number, "teachers", &self.teachers)?,
            attempt: self.attempt as u32,
            state: part(place, number, "state", &self.state)?,
            curve: part(place, number, "curve", &self.curve)?,
            seconds: self.seconds,
            n_inherited: self.n_inherited as u64,
            batch_size: self.batch_size as usize,
            learned: part(place, number, "learned", &self.learned)?,
            earlier: part(place, number, "earlier", &self.earlier)?,
            artifacts: part(place, number, "artifacts", &self.artifacts)?,
        })
    }
}
