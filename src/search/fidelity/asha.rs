//! Asynchronous successive halving by promotion (Li et al. 2020, algorithm 2), over several brackets if asked
//! for (asynchronous Hyperband).
//!
//! A free worker promotes the best trial among the best `1 / reduction_factor` of a rung that was not promoted
//! yet, the highest rung first; where there is none, a new trial begins. Nobody ever waits for a rung to fill.
//! A trial's loss at a rung is its lowest so far. Brackets are compared within themselves.

/// Where trials pause, and who stands there.
#[derive(Clone, Debug)]
pub struct Rungs {
    /// Epochs of each rung, the last of which is the end of a training.
    epochs: Vec<usize>,
    reduction_factor: usize,
    /// The bracket of each trial by its number, over and over.
    pattern: Vec<usize>,
    /// By bracket, then rung.
    standings: Vec<Vec<Standing>>,
}

/// Trials that came to a rung, by loss and then number, best first.
#[derive(Clone, Debug, Default)]
struct Standing {
    arrived: Vec<(f64, u64)>,
    /// Those of them that are paused there.
    waiting: Vec<(f64, u64)>,
}

impl Rungs {
    /// Rungs at `min_epochs`, `reduction_factor` times that, and so on below `n_epochs`, and at `n_epochs`.
    /// Bracket `b` leaves out the first `b` of them.
    pub fn new(
        min_epochs: usize,
        reduction_factor: usize,
        n_brackets: usize,
        n_epochs: usize,
    ) -> Self {
        let rungs =
            std::iter::successors(Some(min_epochs), |rung| rung.checked_mul(reduction_factor));
        let mut epochs: Vec<usize> = rungs.take_while(|rung| *rung < n_epochs).collect();
        epochs.push(n_epochs);
        Self {
            pattern: pattern(n_brackets, epochs.len(), reduction_factor),
            standings: vec![vec![Standing::default(); epochs.len()]; n_brackets],
            epochs,
            reduction_factor,
        }
    }

    pub fn n_rungs(&self) -> usize {
        self.epochs.len()
    }

    fn bracket(&self, number: u64) -> usize {
        self.pattern[(number % self.pattern.len() as u64) as usize]
    }

    /// The first rung of the trial's bracket beyond that many epochs; the last rung where there is none.
    pub fn next_after(&self, number: u64, n_epochs: usize) -> usize {
        let rungs = &self.epochs[self.bracket(number)..];
        let beyond = rungs.iter().find(|rung| **rung > n_epochs);
        *beyond.unwrap_or(&self.epochs[self.epochs.len() - 1])
    }

    fn standing(&mut self, number: u64, epoch: usize) -> Option<&mut Standing> {
        let bracket = self.bracket(number);
        let rung = self.epochs.iter().position(|rung| *rung == epoch)?;
        (rung >= bracket).then(|| &mut self.standings[bracket][rung])
    }

    /// The trial has trained that many epochs; nothing happens where that is no rung of its bracket.
    pub fn arrive(&mut self, number: u64, epoch: usize, best_loss: f64) {
        if let Some(standing) = self.standing(number, epoch) {
            insert(&mut standing.arrived, (best_loss, number));
        }
    }

    /// The trial is paused at that rung.
    pub fn wait(&mut self, number: u64, epoch: usize, best_loss: f64) {
        // A trial without a finite loss is never promoted.
        if let Some(standing) = self.standing(number, epoch)
            && best_loss.is_finite()
        {
            insert(&mut standing.waiting, (best_loss, number));
        }
    }

    /// The trial is no longer paused at that rung.
    pub fn leave(&mut self, number: u64, epoch: usize) {
        if let Some(standing) = self.standing(number, epoch) {
            standing.waiting.retain(|(_, other)| *other != number);
        }
    }

    /// The trial never came to any rung beyond that many epochs.
    pub fn forget_beyond(&mut self, number: u64, n_epochs: usize) {
        let bracket = self.bracket(number);
        for (rung, standing) in self.epochs.iter().zip(&mut self.standings[bracket]) {
            if *rung > n_epochs {
                standing.arrived.retain(|(_, other)| *other != number);
            }
        }
    }

    /// The trial to promote and the epoch that it runs to.
    pub fn promotable(&self) -> Option<(u64, usize)> {
        for rung in (0..self.epochs.len() - 1).rev() {
            for standings in &self.standings {
                let Standing { arrived, waiting } = &standings[rung];
                if let Some(best) = waiting.first()
                    && rank(arrived, *best) < arrived.len() / self.reduction_factor
                {
                    return Some((best.1, self.epochs[rung + 1]));
                }
            }
        }
        None
    }

    /// Whether a trial paused at that rung would be promoted if `n_more` trials came to it, all of them worse.
    pub fn may_be_promoted(&self, number: u64, epoch: usize, n_more: u64) -> bool {
        let Some(rung) = self.epochs.iter().position(|rung| *rung == epoch) else {
            return false;
        };
        let Standing { arrived, waiting } = &self.standings[self.bracket(number)][rung];
        let Some(own) = waiting.iter().find(|(_, other)| *other == number) else {
            return false;
        };
        let n_arrived = n_more.saturating_add(arrived.len() as u64);
        (rank(arrived, *own) as u64) < n_arrived / self.reduction_factor as u64
    }

    /// Whether the two trials are compared with one another.
    pub fn are_rivals(&self, a: u64, b: u64) -> bool {
        self.bracket(a) == self.bracket(b)
    }
}

fn rank(arrived: &[(f64, u64)], own: (f64, u64)) -> usize {
    arrived.partition_point(|before| *before < own)
}

fn insert(ranked: &mut Vec<(f64, u64)>, own: (f64, u64)) {
    ranked.insert(rank(ranked, own), own);
}

/// The order in which trials go to brackets. A bracket that begins `b` rungs later gets Hyperband's share of
/// the trials, `reduction_factor^-b (n_rungs) / (n_rungs - b)`, so that each costs about as much; shares are
/// dealt out evenly over a period, always to the bracket that is most behind.
fn pattern(n_brackets: usize, n_rungs: usize, reduction_factor: usize) -> Vec<usize> {
    if n_brackets == 1 {
        return vec![0];
    }
    let share = |b: usize| {
        let halvings = (reduction_factor as f64).powi(b as i32);
        n_rungs as f64 / (n_rungs - b) as f64 / halvings
    };
    let total: f64 = (0..n_brackets).map(share).sum();
    let rarest = share(n_brackets - 1) / total;
    // Long enough for the rarest bracket to be met about four times, and bounded.
    let n = ((4.0 / rarest).ceil() as usize).clamp(n_brackets, 4096);
    let mut n_dealt = vec![0.0; n_brackets];
    (0..n)
        .map(|i| {
            let behind = |b: &usize| share(*b) / total * (i + 1) as f64 - n_dealt[*b];
            let next = (0..n_brackets)
                .max_by(|a, b| behind(a).total_cmp(&behind(b)).then(b.cmp(a)))
                .expect("there is a bracket");
            n_dealt[next] += 1.0;
            next
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_multiply_up_to_the_end_of_a_training() {
        assert_eq!(Rungs::new(1, 3, 1, 50).epochs, [1, 3, 9, 27, 50]);
        assert_eq!(Rungs::new(2, 2, 1, 16).epochs, [2, 4, 8, 16]);
        assert_eq!(Rungs::new(5, 4, 1, 5).epochs, [5]);
    }

    #[test]
    fn brackets_get_hyperbands_shares_of_the_trials() {
        // By hand for 3 rungs and a factor of 3: shares 1, 1.5 / 3 = 0.5 and 3 / 9 = 1/3 of their sum 11/6.
        let rungs = Rungs::new(1, 3, 3, 9);
        let n = 1100;
        let mut counts = [0; 3];
        (0..n).for_each(|number| counts[rungs.bracket(number)] += 1);
        for (found, expected) in counts.iter().zip([600.0, 300.0, 200.0]) {
            let off = (f64::from(*found) - expected).abs();
            assert!(off < 0.06 * n as f64, "{counts:?}");
        }
        assert_eq!(rungs.next_after(0, 0), rungs.epochs[rungs.bracket(0)]);
    }
}
