//! Points as numbers of fixed length, for the models of losses: one-hot features and codes whose differences can
//! be counted.

use super::{Domain, Point};

/// Where a chain shorter than the longest stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Align {
    /// First part in the first position, missing parts at the end.
    Head,
    /// Last part in the last position, missing parts at the start.
    Base,
}

/// What a whole differing position counts for in [`Encoder::distance`]. It divides by up to six fields evenly.
pub const POSITION_WEIGHT: u16 = 120;

/// Codes that are compared at once.
const N_LANES: usize = 16;

/// Numbers features: for every slot and position one for "no part", one for each kind and one for each value of
/// each of the kind's fields.
#[derive(Clone, Debug)]
pub struct Encoder {
    align: Align,
    n_slots: usize,
    dims: Vec<Dim>,
    n_features: usize,
    n_codes: usize,
    /// Of each code, and zeroes up to a whole number of lanes.
    weights: Vec<u16>,
}

#[derive(Clone, Debug)]
struct Dim {
    alphabet: super::Alphabet,
    /// Feature of "no part"; kinds follow.
    empty: u32,
    /// Of each kind, the feature of the first value of each of its fields.
    fields: Vec<Vec<u32>>,
    /// Codes of this dimension: one for the kind and one for each of the most fields.
    n_codes: usize,
}

impl Encoder {
    pub fn new(domain: &Domain, align: Align) -> Self {
        let mut n_features: u32 = 0;
        let mut weights = Vec::new();
        let dims: Vec<Dim> = domain
            .alphabets()
            .map(|alphabet| {
                let empty = n_features;
                n_features += 1 + alphabet.n_kinds() as u32;
                let mut number = |radix: &u32| {
                    let first = n_features;
                    n_features += radix;
                    first
                };
                let fields = (0..alphabet.n_kinds())
                    .map(|kind| alphabet.radices(kind).iter().map(&mut number).collect())
                    .collect();
                let n_fields = alphabet.max_fields();
                let share = (POSITION_WEIGHT / 2)
                    .checked_div(n_fields as u16)
                    .unwrap_or(0);
                weights.push(POSITION_WEIGHT - share * n_fields as u16);
                weights.extend(std::iter::repeat_n(share, n_fields));
                Dim {
                    alphabet: alphabet.clone(),
                    empty,
                    fields,
                    n_codes: 1 + n_fields,
                }
            })
            .collect();
        let n_codes = weights.len();
        weights.resize(n_codes.next_multiple_of(N_LANES), 0);
        Self {
            align,
            n_slots: domain.n_slots(),
            n_features: n_features as usize,
            n_codes: weights.len(),
            dims,
            weights,
        }
    }

    /// Features that a one-hot vector has.
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// Codes of a point, those included that fill up lanes.
    pub fn n_codes(&self) -> usize {
        self.n_codes
    }

    /// Slots and positions.
    pub fn n_dims(&self) -> usize {
        self.dims.len()
    }

    /// Features that are 1, rising; the others are 0.
    pub fn active(&self, point: &Point) -> Vec<u32> {
        let mut active = Vec::with_capacity(self.n_codes);
        for (at, dim) in self.dims.iter().enumerate() {
            match self.option_at(point, at) {
                None => active.push(dim.empty),
                Some(option) => dim.push_features(option, &mut active),
            }
        }
        active
    }

    /// The features of an option in a dimension; of no part where there is none.
    pub fn features_of(&self, at: usize, option: Option<u32>) -> Vec<u32> {
        let dim = &self.dims[at];
        let mut features = Vec::with_capacity(dim.n_codes);
        match option {
            None => features.push(dim.empty),
            Some(option) => dim.push_features(option, &mut features),
        }
        features
    }

    /// The point's option in a dimension, slots first; `None` where the chain is too short.
    pub fn option_at(&self, point: &Point, at: usize) -> Option<u32> {
        if at < self.n_slots {
            return Some(point.slots[at]);
        }
        let at = at - self.n_slots;
        let n_missing = self.dims.len() - self.n_slots - point.parts.len();
        match self.align {
            Align::Head => point.parts.get(at).copied(),
            Align::Base => at.checked_sub(n_missing).map(|at| point.parts[at]),
        }
    }

    /// Codes of fixed length: as many for each dimension as its kinds have fields at most and one for the kind.
    /// Two points have the same code at a place where they agree. `codes` holds whole points only, and so stays a
    /// whole number of lanes long.
    pub fn push_codes(&self, point: &Point, codes: &mut Vec<u16>) {
        let mut features = Vec::new();
        for (at, dim) in self.dims.iter().enumerate() {
            features.clear();
            match self.option_at(point, at) {
                None => features.push(dim.empty),
                Some(option) => dim.push_features(option, &mut features),
            }
            // A kind with fewer fields than others repeats itself, so that kinds differ at every place.
            features.resize(dim.n_codes, features[0]);
            // Codes are compared within a dimension only. One of more than 65,536 features would take some values
            // for one another, which blurs a model and breaks nothing.
            codes.extend(features.iter().map(|feature| (feature - dim.empty) as u16));
        }
        codes.resize(codes.len().next_multiple_of(N_LANES), 0);
    }

    /// Differences between two points' codes, weighed: [`POSITION_WEIGHT`] for every dimension where kinds differ,
    /// half of it or less where only fields do.
    pub fn distance(&self, a: &[u16], b: &[u16]) -> u32 {
        let (a, b) = (a.as_chunks::<N_LANES>().0, b.as_chunks::<N_LANES>().0);
        let weights = self.weights.as_chunks::<N_LANES>().0;
        let mut sums = [0u16; N_LANES]; // at most 120 for each of 128 dimensions
        for ((a, b), weight) in a.iter().zip(b).zip(weights) {
            for lane in 0..N_LANES {
                // All ones where the codes differ: no branch, so that lanes are worked on side by side.
                let mask = u16::from(a[lane] != b[lane]).wrapping_neg();
                sums[lane] += mask & weight[lane];
            }
        }
        sums.iter().map(|sum| u32::from(*sum)).sum()
    }

    /// The greatest distance there is.
    pub fn max_distance(&self) -> u32 {
        u32::from(POSITION_WEIGHT) * self.dims.len() as u32
    }
}

impl Dim {
    fn push_features(&self, option: u32, features: &mut Vec<u32>) {
        let kind = self.alphabet.kind(option);
        features.push(self.empty + 1 + kind as u32);
        let digits = self.alphabet.digits(option);
        features.extend(
            self.fields[kind]
                .iter()
                .zip(digits)
                .map(|(first, digit)| first + digit),
        );
    }
}
