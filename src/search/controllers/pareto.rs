//! Several aims at once, in the way of NSGA-II (Deb et al. 2002): loss and costs, all minimised; parents by
//! non-dominated rank and then by crowding; children by crossover and mutation.
//!
//! Steady state: every trial told joins the population at once, which is thinned whenever it has doubled. Without
//! costs it is an elitist genetic algorithm of the loss alone.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{Controller, MAX_MOVES, Observation, Proposal};
use crate::search::domain::{Domain, How, Point};

/// How often a crossed child is mutated too.
const MUTATE_CROSSED: f64 = 0.5;

/// The state: the population.
pub struct Pareto {
    domain: Domain,
    population_size: usize,
    crossover_probability: f64,
    members: Vec<Member>,
}

#[derive(Clone, Debug)]
struct Member {
    number: u64,
    point: Point,
    aims: Vec<f64>,
    standing: Standing,
}

/// Less is better for the rank, more for the crowding.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Standing {
    rank: usize,
    crowding: f64,
}

impl Pareto {
    pub fn new(domain: Domain, population_size: usize, crossover_probability: f64) -> Self {
        Self {
            domain,
            population_size,
            crossover_probability,
            members: Vec::new(),
        }
    }

    /// The better of two drawn members.
    fn parent(&self, rng: &mut ChaCha8Rng) -> &Member {
        let mut draw = || &self.members[rng.random_range(0..self.members.len())];
        let (a, b) = (draw(), draw());
        if is_before(&b.standing, &a.standing) {
            b
        } else {
            a
        }
    }
}

impl Controller for Pareto {
    fn ask(&mut self, admit: &dyn Fn(&Point) -> bool, rng: &mut ChaCha8Rng) -> Option<Proposal> {
        if self.members.len() >= self.population_size {
            for _ in 0..MAX_MOVES {
                let parent = self.parent(rng);
                let mut moved = None;
                if rng.random_bool(self.crossover_probability) {
                    let other = self.parent(rng);
                    let crossed = self.domain.cross(&parent.point, &other.point, rng);
                    moved = crossed.map(|crossed| (crossed, How::Cross));
                }
                if moved.is_none() || rng.random_bool(MUTATE_CROSSED) {
                    let base = moved.as_ref().map_or(&parent.point, |(point, _)| point);
                    moved = self.domain.mutate(base, rng);
                }
                if let Some((point, how)) = moved.filter(|(point, _)| admit(point)) {
                    return Some(Proposal {
                        point,
                        parent: Some(parent.number),
                        how,
                    });
                }
            }
        }
        Some(Proposal {
            point: self.domain.find(admit, rng)?,
            parent: None,
            how: How::Draw,
        })
    }

    /// Every observation has the same number of costs; one with a cost that is not finite counts as failed.
    fn tell(&mut self, observation: &Observation) {
        let Some(loss) = observation.loss() else {
            return;
        };
        let mut aims = vec![loss];
        aims.extend(&observation.costs);
        if aims.iter().any(|aim| !aim.is_finite()) {
            return;
        }
        self.members.push(Member {
            number: observation.number,
            point: observation.point.clone(),
            aims,
            standing: Standing {
                rank: 0,
                crowding: 0.0,
            },
        });
        let aims: Vec<&[f64]> = self.members.iter().map(|m| m.aims.as_slice()).collect();
        let standings = standings(&aims);
        for (member, standing) in self.members.iter_mut().zip(standings) {
            member.standing = standing;
        }
        if self.members.len() >= 2 * self.population_size {
            self.members.sort_by(|a, b| {
                let (a, b) = (&a.standing, &b.standing);
                a.rank.cmp(&b.rank).then(b.crowding.total_cmp(&a.crowding))
            });
            self.members.truncate(self.population_size);
        }
    }
}

/// Indices of those that no other is better than in one aim and at least as good in all.
pub fn front(aims: &[&[f64]]) -> Vec<usize> {
    let is_dominated = |at: &usize| aims.iter().any(|other| dominates(other, aims[*at]));
    (0..aims.len()).filter(|at| !is_dominated(at)).collect()
}

fn dominates(a: &[f64], b: &[f64]) -> bool {
    let mut pairs = a.iter().zip(b);
    pairs.all(|(a, b)| a <= b) && a.iter().zip(b).any(|(a, b)| a < b)
}

fn is_before(a: &Standing, b: &Standing) -> bool {
    a.rank < b.rank || a.rank == b.rank && a.crowding > b.crowding
}

/// Fast non-dominated sorting, and the crowding distance within each rank.
fn standings(aims: &[&[f64]]) -> Vec<Standing> {
    let mut standings = vec![
        Standing {
            rank: 0,
            crowding: 0.0
        };
        aims.len()
    ];
    let mut left: Vec<usize> = (0..aims.len()).collect();
    let mut rank = 0;
    while !left.is_empty() {
        let ranked: Vec<&[f64]> = left.iter().map(|at| aims[*at]).collect();
        let first: Vec<usize> = front(&ranked).into_iter().map(|i| left[i]).collect();
        for (at, crowding) in first.iter().zip(crowdings(&first, aims)) {
            standings[*at] = Standing { rank, crowding };
        }
        left.retain(|at| !first.contains(at));
        rank += 1;
    }
    standings
}

/// Side lengths of the empty box around each member of a front, as shares of the front's extent; infinite at its
/// ends.
fn crowdings(members: &[usize], aims: &[&[f64]]) -> Vec<f64> {
    let mut crowdings = vec![0.0; members.len()];
    let n_aims = members.first().map_or(0, |at| aims[*at].len());
    let of_all = |aim: usize| -> Vec<f64> { members.iter().map(|at| aims[*at][aim]).collect() };
    for values in (0..n_aims).map(of_all) {
        let mut order: Vec<usize> = (0..members.len()).collect();
        order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
        let (first, last) = (order[0], order[order.len() - 1]);
        let extent = values[last] - values[first];
        crowdings[first] = f64::INFINITY;
        crowdings[last] = f64::INFINITY;
        for three in order.windows(3) {
            if extent > 0.0 {
                crowdings[three[1]] += (values[three[2]] - values[three[0]]) / extent;
            }
        }
    }
    crowdings
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::search::domain::tests::cells;

    #[test]
    fn a_front_holds_what_nothing_dominates() {
        let aims: [&[f64]; 5] = [
            &[1.0, 5.0],
            &[2.0, 2.0],
            &[3.0, 3.0],
            &[5.0, 1.0],
            &[2.0, 2.0],
        ];
        assert_eq!(front(&aims), [0, 1, 3, 4]);
    }

    #[test]
    fn ranks_and_crowding_are_those_of_the_paper() {
        let aims: [&[f64]; 5] = [
            &[0.0, 4.0],
            &[1.0, 1.0],
            &[4.0, 0.0],
            &[2.0, 2.0],
            &[5.0, 5.0],
        ];
        let standings = standings(&aims);
        assert_eq!(
            standings.iter().map(|s| s.rank).collect::<Vec<_>>(),
            [0, 0, 0, 1, 2]
        );
        // In the middle of its front: the whole extent in both aims.
        assert_eq!(standings[1].crowding, 2.0);
        assert!(standings[0].crowding.is_infinite() && standings[2].crowding.is_infinite());
    }

    #[test]
    fn thinning_keeps_both_ends_of_the_first_front() {
        let mut controller = Pareto::new(cells(), 4, 0.5);
        for number in 0..8 {
            controller.tell(&Observation {
                number,
                point: cells().nth(number).unwrap(),
                parent: None,
                outcome: Some(number as f64),
                costs: vec![7.0 - number as f64],
            });
        }
        let numbers: Vec<u64> = controller.members.iter().map(|m| m.number).collect();
        assert_eq!(numbers.len(), 4);
        assert!(numbers.contains(&0) && numbers.contains(&7));
    }

    #[test]
    fn a_trial_with_a_cost_that_is_not_finite_is_no_parent() {
        let mut controller = Pareto::new(cells(), 2, 0.5);
        for number in 0..6 {
            controller.tell(&Observation {
                number,
                point: cells().nth(number).unwrap(),
                parent: None,
                outcome: Some(0.0),
                costs: vec![f64::INFINITY],
            });
        }
        let rng = &mut ChaCha8Rng::seed_from_u64(0);
        assert_eq!(controller.ask(&|_| true, rng).unwrap().parent, None);
    }
}
