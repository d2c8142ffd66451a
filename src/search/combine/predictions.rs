//! What finished trials answered on one split: logits, labels, and what each trial costs.

use serde::{Deserialize, Serialize};

use super::CombineError;

/// One trial's answers.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberLogits {
    /// The trial's number, unique among the candidates.
    pub number: u64,
    /// Blocks between stem and head.
    pub depth: usize,
    pub n_params: u64,
    pub macs_per_second: u64,
    /// `[n, n_classes]`
    pub logits: Vec<f32>,
}

/// Answers of several trials to the same clips.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    n_classes: usize,
    labels: Vec<usize>,
    members: Vec<MemberLogits>,
}

impl Predictions {
    /// # Errors
    ///
    /// Where there is no clip or no class, a label is no class, two members have one number, or logits are not
    /// `[n, n_classes]` finite values.
    pub fn new(
        n_classes: usize,
        labels: Vec<usize>,
        members: Vec<MemberLogits>,
    ) -> Result<Self, CombineError> {
        if n_classes == 0 || labels.is_empty() {
            return Err(CombineError::NoClips);
        }
        if let Some(found) = labels.iter().find(|label| **label >= n_classes) {
            return Err(CombineError::Label {
                found: *found,
                n_classes,
            });
        }
        for (i, member) in members.iter().enumerate() {
            let (number, found) = (member.number, member.logits.len());
            let expected = labels.len() * n_classes;
            if found != expected {
                return Err(CombineError::Logits {
                    number,
                    found,
                    expected,
                });
            }
            if member.logits.iter().any(|logit| !logit.is_finite()) {
                return Err(CombineError::NotFinite { number });
            }
            if members[..i].iter().any(|other| other.number == number) {
                return Err(CombineError::Twice { number });
            }
        }
        Ok(Self {
            n_classes,
            labels,
            members,
        })
    }

    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    pub fn members(&self) -> &[MemberLogits] {
        &self.members
    }

    /// The members of those numbers, in that order.
    pub fn of(&self, numbers: &[u64]) -> Result<Vec<&MemberLogits>, CombineError> {
        let find = |number: &u64| {
            let member = self.members.iter().find(|member| member.number == *number);
            member.ok_or(CombineError::NoSuch { number: *number })
        };
        numbers.iter().map(find).collect()
    }
}

/// Bounds on an ensemble as a whole, ends included; what is left out is unbounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnsembleBudget {
    /// Different trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_members: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_params: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_macs_per_second: Option<u64>,
}

impl EnsembleBudget {
    /// Without bounds.
    pub fn none() -> Self {
        Self {
            max_members: None,
            max_params: None,
            max_macs_per_second: None,
        }
    }

    /// Whether different trials fit together. A trial that counts twice runs once.
    pub fn admits<'a>(&self, members: impl Iterator<Item = &'a MemberLogits>) -> bool {
        let (mut n, mut n_params, mut macs) = (0, 0_u64, 0_u64);
        for member in members {
            n += 1;
            n_params = n_params.saturating_add(member.n_params);
            macs = macs.saturating_add(member.macs_per_second);
        }
        self.max_members.is_none_or(|most| n <= most)
            && self.max_params.is_none_or(|most| n_params <= most)
            && self.max_macs_per_second.is_none_or(|most| macs <= most)
    }
}
