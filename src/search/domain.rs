//! What a controller sees of a search space: a [`Point`] is a few fixed slots and a chain of parts, each of them
//! the number of an option in an [`Alphabet`].
//!
//! The domain draws, varies, enumerates and encodes points. It knows neither genomes nor losses, so the same
//! controllers search speech networks and tabular benchmarks.

mod alphabet;
mod encoding;
mod moves;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use alphabet::Alphabet;
pub use encoding::{Align, Encoder, POSITION_WEIGHT};
pub use moves::How;

/// Most parts of a point.
pub const MAX_DEPTH: usize = 64;
/// Most slots of a point.
pub const MAX_SLOTS: usize = 64;
/// Draws before a search for an admitted point turns to enumeration, or gives up where there is too much to
/// enumerate.
const MAX_DRAWS: usize = 2_000;
/// Domains up to this size are enumerated, so that exhaustion is known and not guessed.
const MAX_ENUMERATED: u64 = 65_536;

/// One candidate: options by number, of the domain that made it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// One option for each slot.
    pub slots: Vec<u32>,
    /// One option for each part, in order.
    pub parts: Vec<u32>,
}

impl Point {
    /// 16 hex digits that name the point within its domain: the first half of its SHA-256 over little-endian
    /// 32-bit numbers, the count of slots first.
    pub fn hash_hex(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update((self.slots.len() as u32).to_le_bytes());
        for option in self.slots.iter().chain(&self.parts) {
            hasher.update(option.to_le_bytes());
        }
        let digest = hasher.finalize();
        hex::encode(&digest[..8])
    }
}

/// How parts group into cells, for the controller that is built around them; the points know nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellShape {
    /// Parts between one reduction and the next.
    pub n_parts: usize,
    /// The parts are one cell that is repeated, rather than the whole chain.
    pub repeated: bool,
}

/// Which points there are.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    slots: Vec<Alphabet>,
    /// One for all positions, or one for each.
    parts: Vec<Alphabet>,
    depth: [usize; 2],
    cell: Option<CellShape>,
}

/// A domain that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    #[error(
        "depth: found {low} to {high}, expected the fewest parts and then the most, {MAX_DEPTH} or fewer"
    )]
    Depth { low: usize, high: usize },
    #[error("found {found} slots, expected {MAX_SLOTS} or fewer")]
    TooManySlots { found: usize },
    #[error(
        "found {found} alphabets for parts, expected one for all or one for each of {high} positions"
    )]
    Alphabets { found: usize, high: usize },
    #[error("an alphabet has a kind or a field without a choice")]
    NoChoice,
    #[error("an alphabet has more than {} options", u32::MAX)]
    TooManyOptions,
    #[error("a cell of no parts")]
    EmptyCell,
}

impl Domain {
    /// `parts` holds one alphabet for all positions, or one for each of `depth[1]` positions.
    pub fn new(
        slots: Vec<Alphabet>,
        parts: Vec<Alphabet>,
        depth: [usize; 2],
    ) -> Result<Self, DomainError> {
        let [low, high] = depth;
        if low > high || high > MAX_DEPTH {
            return Err(DomainError::Depth { low, high });
        }
        if slots.len() > MAX_SLOTS {
            return Err(DomainError::TooManySlots { found: slots.len() });
        }
        let is_enough = parts.len() == 1 || parts.len() == high;
        if high > 0 && !is_enough {
            return Err(DomainError::Alphabets {
                found: parts.len(),
                high,
            });
        }
        Ok(Self {
            slots,
            parts,
            depth,
            cell: None,
        })
    }

    /// The same points, whose parts group into cells.
    pub fn with_cells(mut self, cell: CellShape) -> Result<Self, DomainError> {
        if cell.n_parts == 0 {
            return Err(DomainError::EmptyCell);
        }
        self.cell = Some(cell);
        Ok(self)
    }

    /// Fewest and most parts.
    pub fn depth(&self) -> [usize; 2] {
        self.depth
    }

    pub fn cell(&self) -> Option<CellShape> {
        self.cell
    }

    pub fn n_slots(&self) -> usize {
        self.slots.len()
    }

    /// The alphabet of a slot.
    pub fn slot(&self, at: usize) -> &Alphabet {
        &self.slots[at]
    }

    /// The alphabet of a position in the chain.
    pub fn part(&self, at: usize) -> &Alphabet {
        if self.parts.len() == 1 {
            &self.parts[0]
        } else {
            &self.parts[at]
        }
    }

    /// Whether a part may stand at any position.
    pub fn parts_are_alike(&self) -> bool {
        self.parts.len() == 1
    }

    /// Slots and then positions: the alphabets of a point of the greatest depth.
    pub fn alphabets(&self) -> impl Iterator<Item = &Alphabet> {
        let parts = (0..self.depth[1]).map(|at| self.part(at));
        self.slots.iter().chain(parts)
    }

    /// Whether the point is one of the domain's.
    pub fn contains(&self, point: &Point) -> bool {
        let [low, high] = self.depth;
        let fits = |alphabet: &Alphabet, option: u32| option < alphabet.n_options();
        point.slots.len() == self.slots.len()
            && (low..=high).contains(&point.parts.len())
            && self
                .slots
                .iter()
                .zip(&point.slots)
                .all(|(alphabet, option)| fits(alphabet, *option))
            && point
                .parts
                .iter()
                .enumerate()
                .all(|(at, option)| fits(self.part(at), *option))
    }

    /// How many points there are; `None` above 2^64.
    pub fn n_points(&self) -> Option<u64> {
        let mut n_slots: u64 = 1;
        for alphabet in &self.slots {
            n_slots = n_slots.checked_mul(u64::from(alphabet.n_options()))?;
        }
        let (mut chains, mut total): (u64, u64) = (1, 0);
        for depth in 0..=self.depth[1] {
            if depth > 0 {
                chains = chains.checked_mul(u64::from(self.part(depth - 1).n_options()))?;
            }
            if depth >= self.depth[0] {
                total = total.checked_add(chains)?;
            }
        }
        n_slots.checked_mul(total)
    }

    /// The point of that number; shallow ones come first. `None` beyond [`Domain::n_points`].
    pub fn nth(&self, index: u64) -> Option<Point> {
        if index >= self.n_points()? {
            return None;
        }
        let mut rest = index;
        let mut digit = |alphabet: &Alphabet| {
            let n = u64::from(alphabet.n_options());
            let option = (rest % n) as u32;
            rest /= n;
            option
        };
        let slots = self.slots.iter().map(&mut digit).collect();
        let mut depth = self.depth[0];
        loop {
            let chains: u64 = (0..depth)
                .map(|at| u64::from(self.part(at).n_options()))
                .product();
            if rest < chains {
                break;
            }
            rest -= chains;
            depth += 1;
        }
        let mut parts = Vec::with_capacity(depth);
        for at in 0..depth {
            let n = u64::from(self.part(at).n_options());
            parts.push((rest % n) as u32);
            rest /= n;
        }
        Some(Point { slots, parts })
    }

    /// A point of that many parts; every option's kind is drawn evenly, then each of its fields.
    pub fn draw_of_depth(&self, depth: usize, rng: &mut impl Rng) -> Point {
        Point {
            slots: self.slots.iter().map(|slot| slot.draw(rng)).collect(),
            parts: (0..depth).map(|at| self.part(at).draw(rng)).collect(),
        }
    }

    /// A point, its depth drawn evenly.
    pub fn draw(&self, rng: &mut impl Rng) -> Point {
        let [low, high] = self.depth;
        self.draw_of_depth(rng.random_range(low..=high), rng)
    }

    /// A point that is admitted: drawn, or else looked for one by one where the domain is small. `None` where
    /// there is none, or none that many draws would find.
    pub fn find(&self, admit: &dyn Fn(&Point) -> bool, rng: &mut impl Rng) -> Option<Point> {
        self.find_by(&mut |rng| Some(self.draw(rng)), admit, rng)
    }

    /// The same with a way of drawing of one's own; enumeration is over the whole domain all the same.
    pub fn find_by<R: Rng>(
        &self,
        draw: &mut dyn FnMut(&mut R) -> Option<Point>,
        admit: &dyn Fn(&Point) -> bool,
        rng: &mut R,
    ) -> Option<Point> {
        let n_points = self.n_points().filter(|n| *n <= MAX_ENUMERATED);
        // A small domain is better enumerated than drawn from again and again.
        let n_draws = n_points.map_or(MAX_DRAWS, |n| (n as usize / 4).clamp(1, MAX_DRAWS));
        for _ in 0..n_draws {
            if let Some(point) = draw(rng).filter(|point| admit(point)) {
                return Some(point);
            }
        }
        let n_points = n_points?;
        shuffled(n_points, rng)
            .filter_map(|index| self.nth(index))
            .find(|point| admit(point))
    }
}

/// Every number below `n` once, in an order that the generator gives, in constant memory: steps of a stride
/// without a common factor with `n`.
pub fn shuffled(n: u64, rng: &mut impl Rng) -> Shuffled {
    let common_factor = |mut a: u64, mut b: u64| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let first = rng.random_range(0..n.max(1));
    let mut stride = rng.random_range(1..=n.max(1));
    while common_factor(stride, n) > 1 {
        stride = stride % n + 1;
    }
    Shuffled {
        n,
        n_left: n,
        next: first,
        stride,
    }
}

/// See [`shuffled`].
#[derive(Clone, Debug)]
pub struct Shuffled {
    n: u64,
    n_left: u64,
    next: u64,
    stride: u64,
}

impl Iterator for Shuffled {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.n_left = self.n_left.checked_sub(1)?;
        let present = self.next;
        let sum = u128::from(present) + u128::from(self.stride);
        self.next = (sum % u128::from(self.n)) as u64;
        Some(present)
    }
}

#[cfg(test)]
pub(crate) mod tests;
