//! Categorical Harmonica (Hazan et al. 2017, as Model Search varies it): the loss as a sparse polynomial of degree
//! two in a Fourier basis of every position's categories, found by Lasso; proposals are the least of it.
//!
//! Differs on purpose from upstream: a real basis in place of two rows for each trial, losses by rank, the largest
//! coefficients by magnitude and not by sign, one Lasso where upstream repeats a deterministic one. Chains have one
//! depth. A position with very many options takes part by its kinds; fields are then drawn.

use std::collections::VecDeque;
use std::f64::consts::{PI, SQRT_2};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::normal_scores::normal_scores;
use super::{Controller, Observation, Proposal};
use crate::search::domain::{Alphabet, Domain, How, Point};

/// Alphabets of more options are taken by kind.
const MAX_CATEGORIES: u32 = 24;
/// Latest trials that the polynomial is fitted to.
const WINDOW: usize = 300;
/// Most trials from one fit to the next.
const MAX_BETWEEN_FITS: usize = 50;
/// Products in the polynomial; beyond, only those of basis functions that matter most by themselves.
const MAX_PRODUCTS: usize = 1_500;
/// Sweeps of the coordinate descent.
const MAX_SWEEPS: usize = 100;
/// Draws of what the polynomial leaves open, for each of its best candidates.
const N_COMPLETIONS: usize = 8;

/// One basis function, or the product of two: dimension and function in it.
type Monomial = Vec<(usize, usize)>;

/// The state: a window of trials and the polynomial fitted to it.
pub struct Harmonica {
    domain: Domain,
    depth: usize,
    lasso_penalty: f64,
    n_monomials: usize,
    n_pool: usize,
    /// Of each dimension, its basis functions at its categories.
    bases: Vec<Vec<Vec<f64>>>,
    /// Categories and loss.
    window: VecDeque<(Vec<usize>, Option<f64>)>,
    n_complete: usize,
    next_fit: usize,
    polynomial: Vec<(Monomial, f64)>,
}

impl Harmonica {
    /// Chains of `depth` parts; the `n_monomials` of the largest coefficients are kept, and `n_pool` ways of
    /// setting what they speak of are weighed.
    pub fn new(
        domain: Domain,
        depth: usize,
        n_initial: usize,
        lasso_penalty: f64,
        n_monomials: usize,
        n_pool: usize,
    ) -> Self {
        let bases = dimensions(&domain, depth)
            .map(|alphabet| fourier_basis(n_categories(alphabet)))
            .collect();
        Self {
            domain,
            depth,
            lasso_penalty,
            n_monomials,
            n_pool,
            bases,
            window: VecDeque::new(),
            n_complete: 0,
            next_fit: n_initial,
            polynomial: Vec::new(),
        }
    }

    fn categories(&self, point: &Point) -> Vec<usize> {
        let options = point.slots.iter().chain(&point.parts);
        let pairs = dimensions(&self.domain, self.depth).zip(options);
        pairs
            .map(|(alphabet, option)| category(alphabet, *option))
            .collect()
    }

    fn fit(&mut self) {
        let losses: Vec<Option<f64>> = self.window.iter().map(|(_, loss)| *loss).collect();
        let targets = normal_scores(&losses);
        let singles: Vec<Monomial> = (0..self.bases.len())
            .flat_map(|dim| (0..self.bases[dim].len()).map(move |function| vec![(dim, function)]))
            .collect();
        let columns: Vec<Vec<f64>> = singles.iter().map(|m| self.column(m)).collect();
        let mut strength: Vec<(f64, usize)> = columns
            .iter()
            .map(|column| super::gaussian_process::dot(column, &targets).abs())
            .zip(0..)
            .collect();
        strength.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut monomials = singles.clone();
        'all: for (rank, (_, later)) in strength.iter().enumerate() {
            for (_, earlier) in &strength[..rank] {
                let (a, b) = (&singles[*earlier][0], &singles[*later][0]);
                if a.0 != b.0 {
                    monomials.push(vec![*a, *b]);
                }
                if monomials.len() >= singles.len() + MAX_PRODUCTS {
                    break 'all;
                }
            }
        }
        let columns: Vec<Vec<f64>> = monomials.iter().map(|m| self.column(m)).collect();
        let coefficients = lasso(&columns, &targets, self.lasso_penalty);
        let mut terms: Vec<(Monomial, f64)> = monomials
            .into_iter()
            .zip(coefficients)
            .filter(|(_, coefficient)| *coefficient != 0.0)
            .collect();
        terms.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
        terms.truncate(self.n_monomials);
        self.polynomial = terms;
    }

    fn column(&self, monomial: &Monomial) -> Vec<f64> {
        let value = |(categories, _): &(Vec<usize>, Option<f64>)| self.term(monomial, categories);
        self.window.iter().map(value).collect()
    }

    fn term(&self, monomial: &Monomial, categories: &[usize]) -> f64 {
        let factors = monomial.iter();
        factors
            .map(|(dim, function)| self.bases[*dim][*function][categories[*dim]])
            .product()
    }

    /// Categories of the dimensions that the polynomial speaks of, its least values first; the other dimensions
    /// are left at 0.
    fn candidates(&self, relevant: &[usize], rng: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
        let n_of = |dim: &usize| self.bases[*dim].len() + 1;
        let n_all = relevant
            .iter()
            .try_fold(1usize, |n, dim| n.checked_mul(n_of(dim)));
        let every = n_all.filter(|n| *n <= self.n_pool);
        let candidate = |index: usize, rng: &mut ChaCha8Rng| {
            let mut rest = index;
            let mut categories = vec![0; self.bases.len()];
            for dim in relevant {
                categories[*dim] = match every {
                    Some(_) => rest % n_of(dim),
                    None => rng.random_range(0..n_of(dim)),
                };
                rest /= n_of(dim);
            }
            categories
        };
        let value = |categories: &[usize]| -> f64 {
            let terms = self.polynomial.iter();
            terms
                .map(|(monomial, c)| c * self.term(monomial, categories))
                .sum()
        };
        let mut weighed: Vec<(f64, Vec<usize>)> = (0..every.unwrap_or(self.n_pool))
            .map(|index| candidate(index, rng))
            .map(|categories| (value(&categories), categories))
            .collect();
        weighed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        weighed
            .into_iter()
            .map(|(_, categories)| categories)
            .collect()
    }
}

impl Controller for Harmonica {
    fn ask(&mut self, admit: &dyn Fn(&Point) -> bool, rng: &mut ChaCha8Rng) -> Option<Proposal> {
        let proposal = |point, how| Proposal {
            point,
            parent: None,
            how,
        };
        if !self.polynomial.is_empty() {
            let dims = self.polynomial.iter().flat_map(|(monomial, _)| monomial);
            let mut relevant: Vec<usize> = dims.map(|(dim, _)| *dim).collect();
            relevant.sort_unstable();
            relevant.dedup();
            for categories in self.candidates(&relevant, rng) {
                for _ in 0..N_COMPLETIONS {
                    let mut point = self.domain.draw_of_depth(self.depth, rng);
                    let options = point.slots.iter_mut().chain(&mut point.parts);
                    let dims = dimensions(&self.domain, self.depth).zip(options);
                    for (dim, (alphabet, option)) in dims.enumerate() {
                        if relevant.contains(&dim) {
                            *option = option_of(alphabet, categories[dim], rng);
                        }
                    }
                    if admit(&point) {
                        return Some(proposal(point, How::Model));
                    }
                }
            }
        }
        let depth = self.depth;
        let draw = &mut |rng: &mut ChaCha8Rng| Some(self.domain.draw_of_depth(depth, rng));
        let admit = |point: &Point| point.parts.len() == depth && admit(point);
        let point = self.domain.find_by(draw, &admit, rng)?;
        Some(proposal(point, How::Draw))
    }

    fn tell(&mut self, observation: &Observation) {
        if observation.point.parts.len() != self.depth {
            return; // of another depth: no row of this polynomial
        }
        if self.window.len() == WINDOW {
            self.window.pop_front();
        }
        let row = (self.categories(&observation.point), observation.loss());
        self.window.push_back(row);
        self.n_complete += usize::from(observation.loss().is_some());
        if self.n_complete >= self.next_fit {
            self.fit();
            self.next_fit = self.n_complete + (self.n_complete / 10).clamp(1, MAX_BETWEEN_FITS);
        }
    }
}

fn dimensions(domain: &Domain, depth: usize) -> impl Iterator<Item = &Alphabet> {
    let slots = (0..domain.n_slots()).map(|at| domain.slot(at));
    slots.chain((0..depth).map(|at| domain.part(at)))
}

fn by_kind(alphabet: &Alphabet) -> bool {
    alphabet.n_options() > MAX_CATEGORIES
}

fn n_categories(alphabet: &Alphabet) -> usize {
    if by_kind(alphabet) {
        alphabet.n_kinds()
    } else {
        alphabet.n_options() as usize
    }
}

fn category(alphabet: &Alphabet, option: u32) -> usize {
    if by_kind(alphabet) {
        alphabet.kind(option)
    } else {
        option as usize
    }
}

fn option_of(alphabet: &Alphabet, category: usize, rng: &mut ChaCha8Rng) -> u32 {
    if !by_kind(alphabet) {
        return category as u32;
    }
    let radices = alphabet.radices(category).iter();
    let digits: Vec<u32> = radices.map(|radix| rng.random_range(0..*radix)).collect();
    alphabet.option(category, &digits)
}

/// The real Fourier basis over `n` categories without its constant: `n - 1` functions of mean 0 and mean square
/// 1, orthogonal to one another.
fn fourier_basis(n: usize) -> Vec<Vec<f64>> {
    let angle = |frequency: usize, k: usize| 2.0 * PI * (frequency * k) as f64 / n as f64;
    let mut basis = Vec::with_capacity(n.saturating_sub(1));
    for frequency in 1..=n / 2 {
        let is_alternating = 2 * frequency == n;
        let scale = if is_alternating { 1.0 } else { SQRT_2 };
        basis.push((0..n).map(|k| scale * angle(frequency, k).cos()).collect());
        if !is_alternating {
            basis.push((0..n).map(|k| scale * angle(frequency, k).sin()).collect());
        }
    }
    basis
}

/// Coefficients that minimise `|targets - columns c|^2 / 2n + penalty |c|_1`, by cyclic coordinate descent
/// (Friedman et al. 2010).
fn lasso(columns: &[Vec<f64>], targets: &[f64], penalty: f64) -> Vec<f64> {
    let n = targets.len() as f64;
    let squares: Vec<f64> = columns
        .iter()
        .map(|column| super::gaussian_process::dot(column, column) / n)
        .collect();
    let mut residual = targets.to_vec();
    let mut coefficients = vec![0.0; columns.len()];
    for sweep in 0..MAX_SWEEPS {
        let mut largest: f64 = 0.0;
        for (at, column) in columns.iter().enumerate() {
            // Between whole sweeps only what is not 0 is looked at.
            let is_idle = sweep % 10 != 0 && coefficients[at] == 0.0;
            if squares[at] < 1e-12 || is_idle {
                continue;
            }
            let old: f64 = coefficients[at];
            let pull = super::gaussian_process::dot(column, &residual) / n + squares[at] * old;
            let new = pull.signum() * (pull.abs() - penalty).max(0.0) / squares[at];
            if new != old {
                for (r, x) in residual.iter_mut().zip(column) {
                    *r -= (new - old) * x;
                }
                coefficients[at] = new;
                largest = largest.max((new - old).abs());
            }
        }
        if largest < 1e-6 && sweep % 10 == 0 {
            break;
        }
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::search::domain::tests::cells;

    #[test]
    fn the_basis_is_orthonormal_and_without_a_constant() {
        for n in 1..9 {
            let basis = fourier_basis(n);
            assert_eq!(basis.len(), n - 1);
            for (i, a) in basis.iter().enumerate() {
                assert!(a.iter().sum::<f64>().abs() < 1e-12);
                for (j, b) in basis.iter().enumerate() {
                    let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                    let wanted = if i == j { n as f64 } else { 0.0 };
                    assert!((product - wanted).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn lasso_shrinks_orthogonal_coefficients_by_the_penalty_and_drops_small_ones() {
        let columns = fourier_basis(4);
        let targets: Vec<f64> = (0..4)
            .map(|k| 2.0 * columns[0][k] - 0.05 * columns[1][k])
            .collect();
        let coefficients = lasso(&columns, &targets, 0.1);
        assert!((coefficients[0] - 1.9).abs() < 1e-9);
        assert_eq!(&coefficients[1..], [0.0, 0.0]);
    }

    #[test]
    fn no_coefficient_can_be_moved_to_a_lower_objective() {
        let rng = &mut ChaCha8Rng::seed_from_u64(4);
        let mut noise = || rng.random_range(-1.0..1.0);
        let columns: Vec<Vec<f64>> = (0..30)
            .map(|_| (0..20).map(|_| noise()).collect())
            .collect();
        let targets: Vec<f64> = (0..20).map(|_| noise()).collect();
        let penalty = 0.02;
        let objective = |coefficients: &[f64]| {
            let error = |row: usize| {
                let fit: f64 = columns
                    .iter()
                    .zip(coefficients)
                    .map(|(x, c)| x[row] * c)
                    .sum();
                (targets[row] - fit).powi(2)
            };
            let errors: f64 = (0..20).map(error).sum();
            errors / 40.0 + penalty * coefficients.iter().map(|c| c.abs()).sum::<f64>()
        };
        let found = lasso(&columns, &targets, penalty);
        let least = objective(&found);
        for at in 0..30 {
            for step in [-0.01, 0.01] {
                let mut moved = found.clone();
                moved[at] += step;
                assert!(objective(&moved) >= least - 1e-6);
            }
        }
    }

    #[test]
    fn it_finds_the_interaction_of_two_positions() {
        // Only equal first and fourth parts are good, and a 2 in the sixth.
        let mut controller = Harmonica::new(cells(), 6, 150, 0.05, 30, 2_000);
        let rng = &mut ChaCha8Rng::seed_from_u64(2);
        for number in 0..150 {
            let point = cells().draw(rng);
            let parts = &point.parts;
            let loss = f64::from(u8::from(parts[0] != parts[3]) + u8::from(parts[5] != 2));
            controller.tell(&Observation {
                number,
                point,
                parent: None,
                outcome: Some(loss),
                costs: vec![],
            });
        }
        let Proposal { point, how, .. } = controller.ask(&|_| true, rng).unwrap();
        assert_eq!(how, How::Model);
        assert_eq!((point.parts[0], point.parts[5]), (point.parts[3], 2));
    }
}
