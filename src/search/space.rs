//! Which genomes a search may propose: for every field of every kind a list of values, and bounds on
//! the cost of the whole.
//!
//! It draws and varies genomes with a generator that it is given; it does not know which are good.

use rand::{Rng, RngExt, seq::IndexedRandom};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::blocks::conv1d::Conv1dSpec;
use crate::model::{Block, Cost, Genome, GenomeError, Head, Ports};

/// The search space, as a recipe writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpaceSpec {
    /// Fewest and most blocks between stem and head.
    pub depth: [usize; 2],
    pub stem: Choices,
    /// One table a kind: `kind`, and for each of its fields a list of values.
    pub blocks: Vec<KindChoices>,
    pub heads: Vec<KindChoices>,
    pub limits: Limits,
}

/// Field name to its values.
pub type Choices = Map<String, Value>;

/// The values of one kind of block or head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KindChoices {
    pub kind: String,
    #[serde(flatten)]
    pub fields: Choices,
}

/// Bounds, ends included; what is left out is unbounded. Tested before anything is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_params: Option<[u64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macs_per_second: Option<[u64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_bytes: Option<[u64; 2]>,
}

impl Limits {
    /// Nothing is bounded.
    pub fn none() -> Self {
        Self {
            n_params: None,
            macs_per_second: None,
            state_bytes: None,
        }
    }

    /// Whether a cost lies within.
    pub fn admit(&self, cost: &Cost) -> bool {
        let within = |range: Option<[u64; 2]>, found: u64| {
            range.is_none_or(|[low, high]| (low..=high).contains(&found))
        };
        within(self.n_params, cost.n_params)
            && within(self.macs_per_second, cost.macs_per_second)
            && within(self.state_bytes, cost.state_bytes)
    }
}

/// A space that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum SpaceError {
    #[error("space.{place}.{field}: found {found}, expected a list of at least one value")]
    NotAList {
        place: String,
        field: String,
        found: String,
    },
    #[error("space.{place}: {reason}")]
    NoSuch { place: String, reason: String },
    #[error("space.depth: found {low} to {high}, expected the fewest blocks and then the most")]
    Depth { low: usize, high: usize },
    #[error("space.{place}: found none, expected at least one kind")]
    Empty { place: &'static str },
}

impl SpaceSpec {
    /// Checks every value of every field by building what it describes.
    pub fn validate(&self) -> Result<(), SpaceError> {
        let [low, high] = self.depth;
        if low > high || high > crate::model::genome::MAX_BLOCKS {
            return Err(SpaceError::Depth { low, high });
        }
        if self.blocks.is_empty() && high > 0 {
            return Err(SpaceError::Empty { place: "blocks" });
        }
        if self.heads.is_empty() {
            return Err(SpaceError::Empty { place: "heads" });
        }
        check_values("stem", None, &self.stem, Conv1dSpec::validate)?;
        for KindChoices { kind, fields } in &self.blocks {
            let place = format!("blocks ({kind})");
            check_values(&place, Some(kind), fields, Block::validate)?;
        }
        for KindChoices { kind, fields } in &self.heads {
            let place = format!("heads ({kind})");
            check_values(&place, Some(kind), fields, Head::validate)?;
        }
        Ok(())
    }

    /// A block, its kind and then each field drawn evenly.
    pub fn draw_block(&self, rng: &mut impl Rng) -> Block {
        let choices = self.blocks.choose(rng).expect("a space has block kinds");
        build(draw(Some(&choices.kind), &choices.fields, rng))
    }

    /// A genome of that many blocks, every part drawn evenly.
    pub fn draw_genome(&self, depth: usize, rng: &mut impl Rng) -> Genome {
        let head = self.heads.choose(rng).expect("a space has heads");
        Genome {
            stem: build(draw(None, &self.stem, rng)),
            blocks: (0..depth).map(|_| self.draw_block(rng)).collect(),
            head: build(draw(Some(&head.kind), &head.fields, rng)),
        }
    }

    /// The same genome with one field of one part set to another of its values; `None` where the part that
    /// was drawn leaves no choice.
    pub fn vary_one_field(&self, genome: &Genome, rng: &mut impl Rng) -> Option<Genome> {
        let mut varied = genome.clone();
        let n_parts = genome.blocks.len() + 2;
        match rng.random_range(0..n_parts) {
            0 => varied.stem = build(vary(None, &genome.stem, &self.stem, rng)?),
            1 => {
                let kind = tag(&genome.head);
                let choices = self.heads.iter().find(|choices| choices.kind == kind)?;
                varied.head = build(vary(Some(&kind), &genome.head, &choices.fields, rng)?);
            }
            part => {
                let block = &genome.blocks[part - 2];
                let kind = block.kind();
                let choices = self.blocks.iter().find(|choices| choices.kind == kind)?;
                varied.blocks[part - 2] = build(vary(Some(kind), block, &choices.fields, rng)?);
            }
        }
        Some(varied)
    }

    /// Whether the genome's cost lies within the limits.
    pub fn admits(&self, genome: &Genome, ports: &Ports) -> bool {
        self.limits.admit(&Cost::of(genome, ports))
    }
}

/// Builds and validates the part with every value of every field, the other fields at their first.
fn check_values<T: for<'a> Deserialize<'a>>(
    place: &str,
    kind: Option<&str>,
    fields: &Choices,
    validate: impl Fn(&T, &str) -> Result<(), GenomeError>,
) -> Result<(), SpaceError> {
    let check = |values: Choices| {
        let no_such = |reason: String| SpaceError::NoSuch {
            place: place.into(),
            reason,
        };
        let part: T = serde_json::from_value(Value::Object(values))
            .map_err(|error| no_such(error.to_string()))?;
        validate(&part, place).map_err(|error| no_such(error.to_string()))
    };
    let mut first = tagged(kind);
    for (field, values) in fields {
        let values = values.as_array().filter(|values| !values.is_empty());
        let value = values.ok_or_else(|| SpaceError::NotAList {
            place: place.into(),
            field: field.clone(),
            found: fields[field].to_string(),
        })?;
        first.insert(field.clone(), value[0].clone());
    }
    check(first.clone())?;
    for (field, values) in fields {
        for value in values.as_array().into_iter().flatten() {
            let mut one = first.clone();
            one.insert(field.clone(), value.clone());
            check(one)?;
        }
    }
    Ok(())
}

fn tagged(kind: Option<&str>) -> Choices {
    let kind = kind.map(|kind| ("kind".to_owned(), Value::from(kind)));
    kind.into_iter().collect()
}

fn draw(kind: Option<&str>, fields: &Choices, rng: &mut impl Rng) -> Value {
    let mut drawn = tagged(kind);
    for (field, values) in fields {
        let values = values.as_array().expect("a validated space holds lists");
        let value = values.choose(rng).expect("a validated list holds a value");
        drawn.insert(field.clone(), value.clone());
    }
    Value::Object(drawn)
}

fn vary(
    kind: Option<&str>,
    part: &impl Serialize,
    fields: &Choices,
    rng: &mut impl Rng,
) -> Option<Value> {
    let mut present = serde_json::to_value(part).expect("a part is plain data");
    let other_values = |field: &String| -> Vec<Value> {
        let values = fields[field].as_array().into_iter().flatten();
        values
            .filter(|value| **value != present[field])
            .cloned()
            .collect()
    };
    let open: Vec<(String, Vec<Value>)> = fields
        .keys()
        .map(|field| (field.clone(), other_values(field)))
        .filter(|(_, others)| !others.is_empty())
        .collect();
    let (field, others) = open.choose(rng)?;
    present[field] = others.choose(rng)?.clone();
    if let Some(kind) = kind {
        present["kind"] = kind.into();
    }
    Some(present)
}

fn tag(part: &impl Serialize) -> String {
    let value = serde_json::to_value(part).expect("a part is plain data");
    value["kind"].as_str().unwrap_or_default().to_owned()
}

fn build<T: for<'a> Deserialize<'a>>(value: Value) -> T {
    serde_json::from_value(value).expect("a validated space describes what exists")
}

#[cfg(test)]
pub(crate) mod examples {
    use super::SpaceSpec;

    /// Small networks of every kind.
    pub(crate) fn small() -> SpaceSpec {
        serde_json::from_value(serde_json::json!({
            "depth": [1, 4],
            "stem": {"n_channels": [8, 12], "kernel_frames": [3], "stride_frames": [1, 2]},
            "blocks": [
                {"kind": "conv1d", "n_channels": [8, 16], "kernel_frames": [3, 5], "stride_frames": [1, 2]},
                {"kind": "dilated-conv1d", "n_channels": [8, 16], "kernel_frames": [3], "dilation_frames": [2, 4]},
                {"kind": "separable-conv1d", "n_channels": [8, 16], "kernel_frames": [5, 9], "stride_frames": [1, 2]},
                {"kind": "residual", "n_channels": [8, 16], "kernel_frames": [3, 9], "stride_frames": [1, 2]},
                {"kind": "svdf", "n_units": [16, 32], "memory_frames": [4, 8]},
                {"kind": "gru", "n_units": [8, 16]},
                {"kind": "projection", "n_channels": [8, 16]},
            ],
            "heads": [{"kind": "mean", "window_frames": [60]}, {"kind": "statistics", "window_frames": [60, 98]}],
            "limits": {"n_params": [0, 6000]},
        }))
        .expect("an example space")
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::examples::small;
    use super::*;

    #[test]
    fn every_genome_drawn_or_varied_is_valid_and_of_the_space() {
        let space = small();
        space.validate().unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for depth in [1, 2, 4] {
            for _ in 0..200 {
                let genome = space.draw_genome(depth, &mut rng);
                genome.validate().unwrap();
                assert_eq!(genome.blocks.len(), depth);
                if let Some(varied) = space.vary_one_field(&genome, &mut rng) {
                    varied.validate().unwrap();
                    assert_ne!(varied, genome);
                }
            }
        }
    }

    #[test]
    fn a_seed_draws_the_same_genomes_again() {
        let draw = || {
            let mut rng = ChaCha8Rng::seed_from_u64(9);
            let draws = (0..50).map(|_| small().draw_genome(3, &mut rng).canonical());
            draws.collect::<Vec<_>>()
        };
        assert_eq!(draw(), draw());
    }

    #[test]
    fn a_value_that_no_block_takes_is_refused_with_its_place() {
        let mut space = small();
        space.blocks[0].fields["kernel_frames"] = serde_json::json!([3, 0]);
        let error = space.validate().unwrap_err().to_string();
        assert_eq!(
            error,
            "space.blocks (conv1d): blocks (conv1d): kernel_frames is 0, expected 1 to 4096"
        );
        let mut space = small();
        space.blocks[0].kind = "conv9d".into();
        assert!(space.validate().unwrap_err().to_string().contains("conv9d"));
    }

    #[test]
    fn limits_admit_their_ends_and_nothing_beyond() {
        let ports = Ports {
            n_mels: 40,
            n_classes: 12,
            frames_per_1000_s: 100_000,
        };
        let genome = small().draw_genome(2, &mut ChaCha8Rng::seed_from_u64(3));
        let n_params = Cost::of(&genome, &ports).n_params;
        let admits = |low, high| {
            let limits = Limits {
                n_params: Some([low, high]),
                ..Limits::none()
            };
            limits.admit(&Cost::of(&genome, &ports))
        };
        assert!(admits(n_params, n_params));
        assert!(!admits(0, n_params - 1) && !admits(n_params + 1, u64::MAX));
    }
}
