//! What a new trial's first weights are: fresh ones, or what earlier trials learned.
//!
//! A parent's weights as they are, or the average of several trials', over whichever layers the two networks
//! share. The room reads genomes and weights and neither draws nor trains: what is not taken over stays as the
//! caller drew it.
//!
//! A layer moves whole or not at all, normalisation statistics included; the input's scale is the corpus's own
//! and never moves. What differs from Model Search on purpose: averages are divided by the sum of their weights
//! and by nothing else; layers of other widths can be taken over in part.
//!
//! # Partial width
//!
//! With `partial_width` a layer that differs from the donor's in nothing but its width takes over what both have:
//! the channels that both make, over the inputs that both read. Weights from new inputs to old outputs are set
//! to zero, so that under `common-prefix` the old channels compute what they did in a single donor, to the last layer
//! taken over, and the new ones begin to matter as they learn (as Net2Net widens, Chen et al. 2016, but with
//! fresh filters instead of copies). Gates of recurrent layers and parts of pooled statistics are copied one by
//! one. Where that would not hold the layer is left out, and under `common-prefix` so is all that follows: when a
//! layer reads fewer channels than the donor's, or a recurrent one has fewer units. See `LayerLayout::takes`.

mod average;
mod layout;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use average::Average;
use layout::{LayerLayout, Part};

use crate::model::weights::is_buffer;
use crate::model::{Genome, NamedTensor, Ports, Weights};

/// Where first weights come from, as a recipe writes it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SharingSpec {
    /// Fresh weights.
    None,
    /// The parent's.
    Snapshot { by: MatchBy, partial_width: bool },
    /// The average of the best trials'.
    UniformAverage {
        n_trials: usize,
        /// A trial counts `discount` times as much as the one after it: 1 counts all alike.
        discount: f64,
        by: MatchBy,
        partial_width: bool,
    },
    /// The average of the best trials', weighted by the softmax of minus their losses over the temperature.
    LossWeightedAverage {
        n_trials: usize,
        /// In nats; 1 is Model Search's. The lower, the more the best trial counts.
        temperature_nats: f64,
        by: MatchBy,
        partial_width: bool,
    },
}

/// Which layers of two networks are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MatchBy {
    /// Those whose tensors have the same names and shapes, whatever lies before them.
    NameAndShape,
    /// Those of the longest common prefix of stem, blocks and head (Mazzawi et al. 2019, figure 2).
    CommonPrefix,
}

/// A setting that makes no sense.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("sharing.{field}: found {found}, expected {expected}")]
pub struct SharingError {
    pub field: &'static str,
    pub found: String,
    pub expected: &'static str,
}

/// A finished trial whose weights could be taken over.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    pub number: u64,
    pub genome: &'a Genome,
    pub loss: f64,
}

/// A trial and its weights.
#[derive(Clone, Copy, Debug)]
pub struct Donor<'a> {
    pub number: u64,
    pub genome: &'a Genome,
    pub weights: &'a Weights,
    pub loss: f64,
}

/// What was taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inherited {
    /// Trained values that come from donors.
    pub n_values: u64,
    /// The donors that gave any, in the order that they were handed over.
    pub from: Vec<u64>,
}

impl SharingSpec {
    /// Checks ranges.
    pub fn validate(&self) -> Result<(), SharingError> {
        let fault = |field, found: String, expected| {
            Err(SharingError {
                field,
                found,
                expected,
            })
        };
        match *self {
            Self::UniformAverage { n_trials: 0, .. }
            | Self::LossWeightedAverage { n_trials: 0, .. } => {
                fault("n_trials", "0".into(), "at least 1")
            }
            Self::UniformAverage { discount, .. } if !(discount > 0.0 && discount <= 1.0) => {
                fault("discount", format!("{discount:?}"), "above 0, at most 1")
            }
            Self::LossWeightedAverage {
                temperature_nats: found,
                ..
            } if !(found > 0.0 && found.is_finite()) => {
                fault("temperature_nats", format!("{found:?}"), "above 0, finite")
            }
            _ => Ok(()),
        }
    }

    fn matching(&self) -> Option<(MatchBy, bool)> {
        match *self {
            Self::None => None,
            Self::Snapshot { by, partial_width }
            | Self::UniformAverage {
                by, partial_width, ..
            }
            | Self::LossWeightedAverage {
                by, partial_width, ..
            } => Some((by, partial_width)),
        }
    }
}

/// The trials whose weights must be fetched for [`first_weights`], best first: for a snapshot the parent alone,
/// finished or not, else the first of `finished`, which come by loss. Under `common-prefix` only trials that share at
/// least the first part count. Losses that are not finite do not.
pub fn donors_wanted<'a>(
    spec: &SharingSpec,
    child: &Genome,
    ports: &Ports,
    finished: impl Iterator<Item = Finished<'a>>,
    parent: Option<u64>,
) -> Vec<u64> {
    let n_trials = match *spec {
        SharingSpec::None => return Vec::new(),
        SharingSpec::Snapshot { .. } => return parent.into_iter().collect(),
        SharingSpec::UniformAverage { n_trials, .. }
        | SharingSpec::LossWeightedAverage { n_trials, .. } => n_trials,
    };
    let has_common = |trial: &Finished<'_>| match spec.matching() {
        Some((MatchBy::CommonPrefix, partial_width)) => {
            !common_prefix(child, trial.genome, ports, partial_width).is_empty()
        }
        _ => true,
    };
    finished
        .filter(|trial| trial.loss.is_finite())
        .filter(has_common)
        .take(n_trials)
        .map(|trial| trial.number)
        .collect()
}

/// Writes into a child's fresh weights what the donors share with it.
///
/// Of a snapshot the first donor counts. A donor whose weights are not those of its genome, or not finite, gives
/// what is sound of them.
pub fn first_weights(
    child: &mut Weights,
    child_genome: &Genome,
    ports: &Ports,
    donors: &[Donor<'_>],
    spec: &SharingSpec,
) -> Inherited {
    let Some((by, partial_width)) = spec.matching() else {
        return Inherited::default();
    };
    let donors = match spec {
        SharingSpec::Snapshot { .. } => &donors[..donors.len().min(1)],
        _ => donors,
    };
    let own_layouts = layouts(child_genome, ports);
    let givers: Vec<Giver<'_>> = donors
        .iter()
        .zip(log_shares(donors, spec))
        .filter_map(|(donor, log_share)| {
            let scopes = match by {
                MatchBy::NameAndShape => None,
                MatchBy::CommonPrefix => Some(common_prefix(
                    child_genome,
                    donor.genome,
                    ports,
                    partial_width,
                )),
            };
            Some(Giver {
                donor: *donor,
                log_share: log_share?,
                scopes,
                layouts: if partial_width {
                    layouts(donor.genome, ports)
                } else {
                    BTreeMap::new()
                },
            })
        })
        .collect();
    let mut inherited = Inherited::default();
    let mut gave = BTreeSet::new();
    for (prefix, names) in layers_of(child) {
        let takes: Vec<(&Giver<'_>, Option<&LayerLayout>)> = givers
            .iter()
            .filter(|giver| giver.is_in_scope(&prefix))
            .filter_map(|giver| {
                if giver.has_same_shapes(&prefix, &names, child) {
                    return Some((giver, None));
                }
                let (own, other) = (own_layouts.get(&prefix)?, giver.layouts.get(&prefix)?);
                (own.takes(other) && giver.has_same_axes(&prefix, &names, child, own))
                    .then_some((giver, Some(own)))
            })
            .collect();
        // Relative to the largest share of this layer, so that tiny ones do not vanish together.
        let top = takes
            .iter()
            .map(|(giver, _)| giver.log_share)
            .fold(f64::NEG_INFINITY, f64::max);
        for name in &names {
            let tensor = child
                .tensors
                .get_mut(name)
                .expect("the name is one of the child's");
            let mut average = Average::of(tensor);
            for (giver, layout) in &takes {
                let suffix = &name[(prefix.len() + 1).min(name.len())..];
                let axes = layout.and_then(|layout| layout.axes(suffix));
                let share = (giver.log_share - top).exp().max(f64::MIN_POSITIVE.sqrt());
                average.add(&giver.donor.weights.tensors[name], axes.as_deref(), share);
                gave.insert(giver.donor.number);
            }
            let n_covered = average.write(tensor);
            if !is_buffer(name) {
                inherited.n_values += n_covered;
            }
        }
    }
    let numbers = donors.iter().map(|donor| donor.number);
    inherited.from = numbers.filter(|number| gave.contains(number)).collect();
    inherited
}

/// A donor, its share of the average, and what of it may be taken.
struct Giver<'a> {
    donor: Donor<'a>,
    log_share: f64,
    /// The parts that may be taken; `None` for all.
    scopes: Option<Vec<String>>,
    layouts: BTreeMap<String, LayerLayout>,
}

impl Giver<'_> {
    fn is_in_scope(&self, layer: &str) -> bool {
        let is_part = |scope: &String| {
            layer
                .strip_prefix(scope.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.scopes
            .as_ref()
            .is_none_or(|scopes| scopes.iter().any(is_part))
    }

    fn tensors<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a NamedTensor)> {
        let tensors = self.donor.weights.tensors.iter();
        tensors.filter(move |(name, _)| layer_of(name) == Some(prefix))
    }

    /// Whether the donor's layer has the child's tensors and no others, and each passes `fits`.
    fn has_tensors(
        &self,
        prefix: &str,
        names: &[String],
        fits: impl Fn(&str, &NamedTensor) -> bool,
    ) -> bool {
        let is_sound = |tensor: &NamedTensor| {
            tensor.values.len() == tensor.shape.iter().product::<usize>()
                && tensor.values.iter().all(|value| value.is_finite())
        };
        let mut n = 0;
        self.tensors(prefix).all(|(name, tensor)| {
            n += 1;
            names.contains(name) && is_sound(tensor) && fits(name, tensor)
        }) && n == names.len()
    }

    fn has_same_shapes(&self, prefix: &str, names: &[String], child: &Weights) -> bool {
        self.has_tensors(prefix, names, |name, tensor| {
            child.tensors[name].shape == tensor.shape
        })
    }

    /// Whether the tensors of two layers of other widths are what the layout says.
    fn has_same_axes(
        &self,
        prefix: &str,
        names: &[String],
        child: &Weights,
        layout: &LayerLayout,
    ) -> bool {
        self.has_tensors(prefix, names, |name, tensor| {
            let suffix = name
                .strip_prefix(prefix)
                .and_then(|rest| rest.strip_prefix('.'));
            let axes = suffix.and_then(|suffix| layout.axes(suffix));
            axes.is_some_and(|axes| average::fit(&axes, &child.tensors[name].shape, &tensor.shape))
        })
    }
}

/// The logarithm of each donor's share, up to a common factor; `None` where it has none.
fn log_shares(donors: &[Donor<'_>], spec: &SharingSpec) -> Vec<Option<f64>> {
    let newest = donors.iter().map(|donor| donor.number).max().unwrap_or(0);
    let log_share = |donor: &Donor<'_>| match *spec {
        SharingSpec::UniformAverage { discount, .. } => {
            Some((newest - donor.number) as f64 * discount.ln())
        }
        SharingSpec::LossWeightedAverage {
            temperature_nats, ..
        } => donor
            .loss
            .is_finite()
            .then_some(-donor.loss / temperature_nats),
        SharingSpec::None | SharingSpec::Snapshot { .. } => Some(0.0),
    };
    donors.iter().map(log_share).collect()
}

/// The layouts of all layers by their prefixes.
fn layouts(genome: &Genome, ports: &Ports) -> BTreeMap<String, LayerLayout> {
    let layers = layout::parts(genome, ports)
        .into_iter()
        .flat_map(|part| part.layers);
    layers.map(|layer| (layer.prefix.clone(), layer)).collect()
}

/// The prefixes of the parts that the child has in common with a donor, from the first to before the first that
/// differs: `stem`, `blocks.0`, ..., and `head` where all the rest is common.
fn common_prefix(
    child: &Genome,
    donor: &Genome,
    ports: &Ports,
    partial_width: bool,
) -> Vec<String> {
    let own = layout::parts(child, ports);
    let other = layout::parts(donor, ports);
    let n_parts = own.len();
    let is_common = |(i, (own, other)): &(usize, (&Part, &Part))| {
        let is_last = *i + 1 == n_parts;
        if partial_width {
            return own.takes(other);
        }
        match i.checked_sub(1) {
            _ if own.prefix != other.prefix => false,
            None => child.stem == donor.stem,
            Some(_) if is_last => child.head == donor.head,
            Some(i) => child.blocks[i] == donor.blocks[i],
        }
    };
    let pairs = own.iter().zip(&other).enumerate();
    let common = pairs
        .take_while(is_common)
        .map(|(_, (own, _))| own.prefix.clone());
    common.collect()
}

/// The child's tensors by the layers that they belong to.
fn layers_of(weights: &Weights) -> BTreeMap<String, Vec<String>> {
    let mut layers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in weights.tensors.keys() {
        if let Some(prefix) = layer_of(name) {
            layers
                .entry(prefix.to_owned())
                .or_default()
                .push(name.clone());
        }
    }
    layers
}

/// The layer that a tensor belongs to: `stem.conv.weight` to `stem.conv`, `blocks.2.time.norm.beta` to
/// `blocks.2.time`. `None` for the input's scale.
fn layer_of(name: &str) -> Option<&str> {
    let n_names = match name.split('.').next() {
        Some("input") => return None,
        Some("blocks") => 3,
        _ => 2,
    };
    let end = name
        .match_indices('.')
        .nth(n_names - 1)
        .map_or(name.len(), |(at, _)| at);
    Some(&name[..end])
}
