//! The options of one slot or position: kinds, each with fields of some values, numbered through without a list
//! of their products.

use rand::{Rng, RngExt};

use super::DomainError;

/// Draws that may turn out to be the same option again before the others are drawn from evenly.
const MAX_DRAWS: usize = 20;

/// Options in mixed radix: kind by kind, the last field counting fastest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alphabet {
    kinds: Vec<Kind>,
    n_options: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    first: u32,
    /// How many values each field has.
    radices: Vec<u32>,
}

impl Alphabet {
    /// For each kind, the number of values of each of its fields.
    pub fn new(kinds: Vec<Vec<u32>>) -> Result<Self, DomainError> {
        if kinds.is_empty() {
            return Err(DomainError::NoChoice);
        }
        let mut n_options: u32 = 0;
        let mut numbered = Vec::with_capacity(kinds.len());
        for radices in kinds {
            let mut n: u32 = 1;
            for radix in &radices {
                if *radix == 0 {
                    return Err(DomainError::NoChoice);
                }
                n = n.checked_mul(*radix).ok_or(DomainError::TooManyOptions)?;
            }
            let first = n_options;
            n_options = first.checked_add(n).ok_or(DomainError::TooManyOptions)?;
            numbered.push(Kind { first, radices });
        }
        Ok(Self {
            kinds: numbered,
            n_options,
        })
    }

    /// Options that have nothing in common: kinds without fields.
    pub fn plain(n_options: u32) -> Result<Self, DomainError> {
        Self::new(vec![Vec::new(); n_options as usize])
    }

    pub fn n_options(&self) -> u32 {
        self.n_options
    }

    pub fn n_kinds(&self) -> usize {
        self.kinds.len()
    }

    /// Values of each field of a kind.
    pub fn radices(&self, kind: usize) -> &[u32] {
        &self.kinds[kind].radices
    }

    /// Most fields of any kind.
    pub fn max_fields(&self) -> usize {
        let n_fields = self.kinds.iter().map(|kind| kind.radices.len());
        n_fields.max().unwrap_or(0)
    }

    /// The kind of an option.
    pub fn kind(&self, option: u32) -> usize {
        self.kinds.partition_point(|kind| kind.first <= option) - 1
    }

    /// The option's value of each field, as numbers of values.
    pub fn digits(&self, option: u32) -> impl Iterator<Item = u32> {
        let kind = &self.kinds[self.kind(option)];
        let (mut step, mut rest) = (kind.radices.iter().product::<u32>(), option - kind.first);
        kind.radices.iter().map(move |radix| {
            step /= radix;
            let digit = rest / step;
            rest %= step;
            digit
        })
    }

    /// The option of a kind with those values; [`Alphabet::digits`] turned round.
    pub fn option(&self, kind: usize, digits: &[u32]) -> u32 {
        let Kind { first, radices } = &self.kinds[kind];
        let steps = digits.iter().zip(radices);
        first + steps.fold(0, |number, (digit, radix)| number * radix + digit)
    }

    /// Kind drawn evenly, then each field.
    pub fn draw(&self, rng: &mut impl Rng) -> u32 {
        let kind = &self.kinds[rng.random_range(0..self.kinds.len())];
        let n: u32 = kind.radices.iter().product();
        kind.first + rng.random_range(0..n)
    }

    /// Drawn as [`Alphabet::draw`] does, but never `option` itself; `None` where there is no other.
    pub fn draw_other(&self, option: u32, rng: &mut impl Rng) -> Option<u32> {
        if self.n_options < 2 {
            return None;
        }
        let drawn = (0..MAX_DRAWS)
            .map(|_| self.draw(rng))
            .find(|other| *other != option);
        Some(drawn.unwrap_or_else(|| self.other(option, rng.random_range(0..self.n_options - 1))))
    }

    /// The `index`-th option that is not `option`.
    pub fn other(&self, option: u32, index: u32) -> u32 {
        index + u32::from(index >= option)
    }

    /// The same option with one field set to another of its values; `None` where no field has another.
    pub fn vary(&self, option: u32, rng: &mut impl Rng) -> Option<u32> {
        let kind = self.kind(option);
        let radices = &self.kinds[kind].radices;
        let n_open = radices.iter().filter(|radix| **radix > 1).count();
        if n_open == 0 {
            return None;
        }
        let chosen = rng.random_range(0..n_open);
        let open = |(field, radix): (usize, &u32)| (*radix > 1).then_some(field);
        let field = radices.iter().enumerate().filter_map(open).nth(chosen)?;
        let mut digits: Vec<u32> = self.digits(option).collect();
        let index = rng.random_range(0..radices[field] - 1);
        digits[field] = index + u32::from(index >= digits[field]);
        Some(self.option(kind, &digits))
    }
}
