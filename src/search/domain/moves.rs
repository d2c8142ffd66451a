//! Ways from one point to another, the same for every controller. None returns the point it began with.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::{Alphabet, Domain, Point};

/// How a proposal was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Drawn anew.
    Draw,
    /// One part set to another option.
    Replace,
    /// One field of one slot or part set to another value.
    Vary,
    /// One part more.
    Grow,
    /// One part fewer.
    Shrink,
    /// Two parts changed places.
    Swap,
    /// Parts of two parents.
    Cross,
    /// The best there is by a model of the losses.
    Model,
}

/// Draws for a crossover that differs from both parents.
const MAX_CROSSES: usize = 8;

impl Domain {
    /// One part, or one slot that has several kinds, set to another option. `None` where nothing has another.
    pub fn replace(&self, point: &Point, rng: &mut impl Rng) -> Option<Point> {
        let slots = (0..self.n_slots()).filter(|at| self.slot(*at).n_kinds() > 1);
        let parts = (0..point.parts.len()).filter(|at| self.part(*at).n_options() > 1);
        let parts = parts.map(|at| at + self.n_slots());
        let open: Vec<usize> = slots.chain(parts).collect();
        let at = *open.get(rng.random_range(0..open.len().max(1)))?;
        self.set_at(point, at, |alphabet, option| {
            alphabet.draw_other(option, rng)
        })
    }

    /// One part set to another option, slots left alone. `None` where no part has another.
    pub fn replace_part(&self, point: &Point, rng: &mut impl Rng) -> Option<Point> {
        let is_open = |at: &usize| self.part(*at).n_options() > 1;
        let open: Vec<usize> = (0..point.parts.len()).filter(is_open).collect();
        let at = *open.get(rng.random_range(0..open.len().max(1)))?;
        let at = at + self.n_slots();
        self.set_at(point, at, |alphabet, option| {
            alphabet.draw_other(option, rng)
        })
    }

    /// One field of one slot or part set to another value. `None` where nothing has a field to vary.
    pub fn vary(&self, point: &Point, rng: &mut impl Rng) -> Option<Point> {
        let n = self.n_slots() + point.parts.len();
        super::shuffled(n as u64, rng).find_map(|at| {
            self.set_at(point, at as usize, |alphabet, option| {
                alphabet.vary(option, rng)
            })
        })
    }

    /// One part more at the end. `None` at the greatest depth.
    pub fn grow(&self, point: &Point, rng: &mut impl Rng) -> Option<Point> {
        let at = point.parts.len();
        if at >= self.depth[1] {
            return None;
        }
        let mut grown = point.clone();
        grown.parts.push(self.part(at).draw(rng));
        Some(grown)
    }

    /// One part more anywhere; at the end where positions differ. `None` at the greatest depth.
    pub fn insert(&self, point: &Point, rng: &mut impl Rng) -> Option<Point> {
        if !self.parts_are_alike() || point.parts.len() >= self.depth[1] {
            return self.grow(point, rng);
        }
        let mut grown = point.clone();
        let at = rng.random_range(0..=point.parts.len());
        grown.parts.insert(at, self.part(at).draw(rng));
        Some(grown)
    }

    /// One part fewer, any of them; the last where positions differ. `None` at the least depth.
    pub fn shrink(&self, point: &Point, rng: &mut impl Rng) -> Option<Point> {
        let n = point.parts.len();
        if n <= self.depth[0] || n == 0 {
            return None;
        }
        let mut shrunk = point.clone();
        if self.parts_are_alike() {
            shrunk.parts.remove(rng.random_range(0..n));
        } else {
            shrunk.parts.pop();
        }
        Some(shrunk)
    }

    /// Two different parts change places. `None` where positions differ or all parts are the same.
    pub fn swap(&self, point: &Point, rng: &mut impl Rng) -> Option<Point> {
        let n = point.parts.len();
        if !self.parts_are_alike() || n < 2 {
            return None;
        }
        let parts = &point.parts;
        let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
        let unequal: Vec<(usize, usize)> = pairs.filter(|(i, j)| parts[*i] != parts[*j]).collect();
        let (i, j) = *unequal.get(rng.random_range(0..unequal.len().max(1)))?;
        let mut swapped = point.clone();
        swapped.parts.swap(i, j);
        Some(swapped)
    }

    /// The first parts of one and the last of the other, cut at one place each; each slot of either. `None` where
    /// no cut that was drawn makes a point that differs from both and has a depth of the domain.
    pub fn cross(&self, a: &Point, b: &Point, rng: &mut impl Rng) -> Option<Point> {
        let [low, high] = self.depth;
        (0..MAX_CROSSES).find_map(|_| {
            let cut = rng.random_range(0..=a.parts.len());
            let resume = if self.parts_are_alike() {
                rng.random_range(0..=b.parts.len())
            } else {
                cut.min(b.parts.len())
            };
            let head = a.parts[..cut].iter();
            let parts: Vec<u32> = head.chain(&b.parts[resume..]).copied().collect();
            let pairs = a.slots.iter().zip(&b.slots);
            let pick = |(a, b): (&u32, &u32)| if rng.random_bool(0.5) { *a } else { *b };
            let child = Point {
                slots: pairs.map(pick).collect(),
                parts,
            };
            let is_new = child != *a && child != *b;
            ((low..=high).contains(&child.parts.len()) && is_new).then_some(child)
        })
    }

    /// One move drawn by these shares: replace 4, vary 3, insert 1, shrink 1, swap 1. A move that a point leaves
    /// no room for is drawn again. `None` where there is no other point.
    pub fn mutate(&self, point: &Point, rng: &mut impl Rng) -> Option<(Point, How)> {
        const MAX_TRIES: usize = 40;
        (0..MAX_TRIES).find_map(|_| {
            let (moved, how) = match rng.random_range(0..10) {
                0..4 => (self.replace(point, rng), How::Replace),
                4..7 => (self.vary(point, rng), How::Vary),
                7 => (self.insert(point, rng), How::Grow),
                8 => (self.shrink(point, rng), How::Shrink),
                _ => (self.swap(point, rng), How::Swap),
            };
            moved.map(|moved| (moved, how))
        })
    }

    /// How many numbers [`Domain::neighbour`] takes.
    pub fn n_neighbours(&self, point: &Point) -> u64 {
        self.sections(point).iter().sum()
    }

    /// The point one step away of that number: another option in one slot or part, one part fewer, one more, two
    /// changed places. Some numbers lead to equal points, and those that would lead back to the point itself give
    /// `None`, as do numbers from [`Domain::n_neighbours`] on.
    pub fn neighbour(&self, point: &Point, index: u64) -> Option<(Point, How)> {
        let mut rest = index;
        let sections = self.sections(point);
        let n_dims = self.n_slots() + point.parts.len();
        let n = point.parts.len();
        for (section, size) in sections.into_iter().enumerate() {
            if rest >= size {
                rest -= size;
                continue;
            }
            if section < n_dims {
                let moved = self.set_at(point, section, |alphabet, option| {
                    Some(alphabet.other(option, rest as u32))
                })?;
                return Some((moved, How::Replace));
            }
            let mut moved = point.clone();
            let how = match section - n_dims {
                0 if self.parts_are_alike() => {
                    moved.parts.remove(rest as usize);
                    How::Shrink
                }
                0 => {
                    moved.parts.pop();
                    How::Shrink
                }
                1 if self.parts_are_alike() => {
                    let n_options = u64::from(self.part(0).n_options());
                    let at = (rest / n_options) as usize;
                    moved.parts.insert(at, (rest % n_options) as u32);
                    How::Grow
                }
                1 => {
                    moved.parts.push(rest as u32);
                    How::Grow
                }
                _ => {
                    let (i, j) = ((rest / n as u64) as usize, (rest % n as u64) as usize);
                    if i >= j {
                        return None;
                    }
                    moved.parts.swap(i, j);
                    How::Swap
                }
            };
            return (moved != *point).then_some((moved, how));
        }
        None
    }

    /// Neighbours by what is changed: each slot, each part, then shrinking, growing, swapping.
    fn sections(&self, point: &Point) -> Vec<u64> {
        let n = point.parts.len();
        let alike = self.parts_are_alike();
        let mut sections: Vec<u64> = Vec::with_capacity(self.n_slots() + n + 3);
        let others = |alphabet: &Alphabet| u64::from(alphabet.n_options()) - 1;
        sections.extend(self.slots.iter().map(others));
        sections.extend((0..n).map(|at| others(self.part(at))));
        let n_shrunk = if alike { n as u64 } else { 1 };
        let may_shrink = n > self.depth[0] && n > 0;
        sections.push(if may_shrink { n_shrunk } else { 0 });
        let n_places = if alike { n as u64 + 1 } else { 1 };
        let may_grow = n < self.depth[1];
        let n_grown = |alphabet: &Alphabet| n_places * u64::from(alphabet.n_options());
        sections.push(if may_grow { n_grown(self.part(n)) } else { 0 });
        sections.push(if alike { (n * n) as u64 } else { 0 });
        sections
    }

    /// The point with the slot or (counted on behind the slots) part changed by `change`.
    fn set_at(
        &self,
        point: &Point,
        at: usize,
        change: impl FnOnce(&Alphabet, u32) -> Option<u32>,
    ) -> Option<Point> {
        let mut changed = point.clone();
        if at < self.n_slots() {
            changed.slots[at] = change(self.slot(at), point.slots[at])?;
        } else {
            let at = at - self.n_slots();
            changed.parts[at] = change(self.part(at), point.parts[at])?;
        }
        Some(changed)
    }
}
