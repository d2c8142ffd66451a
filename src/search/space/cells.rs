//! Blocks in cells: after every cell a reduction, which is drawn once for a genome and is not one of its parts.

use serde::{Deserialize, Serialize};

use super::{KindChoices, SpaceError};
use crate::model::genome::MAX_BLOCKS;
use crate::search::domain::CellShape;

/// How blocks group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellsSpec {
    /// Blocks between one reduction and the next.
    pub blocks_per_cell: usize,
    /// How many times a genome repeats its one cell, a list to choose from. Left out, cells are all different and
    /// depth counts the blocks of all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_repeats: Option<Vec<usize>>,
    /// What may stand after a cell: tables as of blocks. One is chosen for the whole genome.
    pub reduction: Vec<KindChoices>,
}

impl CellsSpec {
    /// Checks the numbers against one another and the depth of the space.
    pub(super) fn validate(&self, depth: [usize; 2]) -> Result<(), SpaceError> {
        let fault = |field, found: String, expected: String| {
            Err(SpaceError::Cells {
                field,
                found,
                expected,
            })
        };
        let n_cell = self.blocks_per_cell;
        if !(1..=MAX_BLOCKS).contains(&n_cell) {
            return fault(
                "blocks_per_cell",
                n_cell.to_string(),
                format!("1 to {MAX_BLOCKS}"),
            );
        }
        if self.reduction.is_empty() {
            return fault("reduction", "none".into(), "at least one kind".into());
        }
        let high = depth[1];
        let n_blocks = match &self.n_repeats {
            None => high + high / n_cell,
            Some(list) => {
                let is_listed = !list.is_empty() && list.iter().all(|n| *n > 0);
                let distinct: std::collections::BTreeSet<_> = list.iter().collect();
                if !is_listed || distinct.len() < list.len() {
                    let expected = "a list of different numbers from 1 on";
                    return fault("n_repeats", format!("{list:?}"), expected.into());
                }
                if high != n_cell || depth[0] == 0 {
                    let expected = format!("{high}, the most blocks of `depth`, which begins at 1");
                    return fault("blocks_per_cell", n_cell.to_string(), expected);
                }
                let most = list.iter().max().copied().unwrap_or(0);
                most.saturating_mul(high + 1)
            }
        };
        if n_blocks > MAX_BLOCKS {
            let expected = format!("{MAX_BLOCKS} or fewer in the deepest genome");
            return fault("reduction", format!("{n_blocks} blocks"), expected);
        }
        Ok(())
    }

    /// What the controllers are told.
    pub(super) fn shape(&self) -> CellShape {
        CellShape {
            n_parts: self.blocks_per_cell,
            repeated: self.n_repeats.is_some(),
        }
    }

    /// The whole chain; `n_repeats` is of a genome with one repeated cell.
    pub(super) fn expand<B: Clone>(
        &self,
        core: Vec<B>,
        reduction: &B,
        n_repeats: Option<usize>,
    ) -> Vec<B> {
        let mut chain = Vec::with_capacity(2 * core.len());
        match n_repeats {
            Some(n_repeats) => {
                for _ in 0..n_repeats {
                    chain.extend(core.iter().cloned());
                    chain.push(reduction.clone());
                }
            }
            None => {
                for (i, block) in core.into_iter().enumerate() {
                    chain.push(block);
                    if (i + 1) % self.blocks_per_cell == 0 {
                        chain.push(reduction.clone());
                    }
                }
            }
        }
        chain
    }

    /// Every core, reduction and number of repeats that make the chain; [`CellsSpec::expand`] turned round. None
    /// where the chain is not of such cells; no reduction where no cell is full.
    pub(super) fn contract<B: Clone + PartialEq>(&self, chain: &[B]) -> Vec<Cells<B>> {
        match &self.n_repeats {
            None => self.contract_different(chain).into_iter().collect(),
            // A cell of several equal pieces may be told in several ways, not all of them in the space.
            Some(list) => list
                .iter()
                .filter_map(|n_repeats| self.contract_repeated(chain, *n_repeats))
                .collect(),
        }
    }

    fn contract_different<B: Clone + PartialEq>(&self, chain: &[B]) -> Option<Cells<B>> {
        let period = self.blocks_per_cell + 1;
        let blocks = chain.iter().enumerate();
        let (reductions, core): (Vec<_>, Vec<_>) =
            blocks.partition(|(i, _)| (i + 1).is_multiple_of(period));
        // A full cell is never without its reduction.
        let is_cut_short = chain.len() % period == self.blocks_per_cell;
        let reduction = reductions.first().map(|(_, block)| (*block).clone());
        let mut others = reductions.iter();
        let is_one = others.all(|(_, block)| Some(*block) == reduction.as_ref());
        (is_one && !is_cut_short).then(|| Cells {
            core: core.into_iter().map(|(_, block)| block.clone()).collect(),
            reduction,
            n_repeats: None,
        })
    }

    fn contract_repeated<B: Clone + PartialEq>(
        &self,
        chain: &[B],
        n_repeats: usize,
    ) -> Option<Cells<B>> {
        if chain.is_empty() || !chain.len().is_multiple_of(n_repeats) {
            return None;
        }
        let mut cells = chain.chunks(chain.len() / n_repeats);
        let first = cells.next()?;
        let (reduction, core) = first.split_last()?;
        let fits = !core.is_empty() && core.len() <= self.blocks_per_cell;
        (fits && cells.all(|cell| cell == first)).then(|| Cells {
            core: core.to_vec(),
            reduction: Some(reduction.clone()),
            n_repeats: Some(n_repeats),
        })
    }
}

/// A chain taken apart.
#[derive(Debug, PartialEq)]
pub(super) struct Cells<B> {
    pub core: Vec<B>,
    pub reduction: Option<B>,
    pub n_repeats: Option<usize>,
}
