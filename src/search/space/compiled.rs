//! What a space means: the domain of its points, and for each point its genome.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::part_table::PartTable;
use super::{CellsSpec, Limits, SpaceError, SpaceSpec};
use crate::model::{Block, Cost, Genome, Head, Ports};
use crate::search::domain::{Alphabet, Domain, Point};

/// A space ready to be searched.
///
/// Slots are the stem (where there is one), the head, the reduction and the number of repeats (where there are
/// cells); parts are blocks. Several points may describe one genome, where cells have reductions to choose from and
/// none is full; who trains nothing twice compares genomes.
#[derive(Clone, Debug)]
pub struct Space {
    domain: Domain,
    limits: Limits,
    whole_clips: bool,
    stems: Option<PartTable<StemFields>>,
    heads: PartTable<Head>,
    /// `None` where no genome has a block.
    blocks: Option<PartTable<Block>>,
    cells: Option<(CellsSpec, PartTable<Block>)>,
    /// A genome without blocks, and without a stem where the space has none.
    bare: Genome,
}

/// A stem, whatever its type: as the field `stem` of a genome writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct StemFields(Value);

impl Space {
    pub(super) fn new(spec: &SpaceSpec) -> Result<Self, SpaceError> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let heads = PartTable::of_kinds("heads", &spec.heads, |head: &Head, place| {
            head.validate(place).map_err(|error| text(&error))
        })?;
        let check = |block: &Block, place: &str| block.validate(place).map_err(|e| text(&e));
        let blocks = match spec.blocks.as_slice() {
            [] => None,
            blocks => Some(PartTable::of_kinds("blocks", blocks, check)?),
        };
        let head = heads.part(0);
        let stems = spec.stem.as_ref().map(|stem| {
            PartTable::of_fields("stem", stem, |stem: &StemFields, _| {
                let genome = genome_of(Some(&stem.0), &head).map_err(|error| text(&error))?;
                genome.validate().map_err(|error| text(&error))
            })
        });
        let stems = stems.transpose()?;
        let first = stems.as_ref().map(|stems| stems.part(0).0);
        let bare = genome_of(first.as_ref(), &head).map_err(|error| SpaceError::NoSuch {
            place: "stem".into(),
            reason: error.to_string(),
        })?;
        let cells = match &spec.cells {
            None => None,
            Some(cells) => {
                let place = "cells.reduction";
                let reductions = PartTable::of_kinds(place, &cells.reduction, check)?;
                Some((cells.clone(), reductions))
            }
        };
        let mut slots: Vec<Alphabet> = Vec::new();
        slots.extend(stems.as_ref().map(|stems| stems.alphabet().clone()));
        slots.push(heads.alphabet().clone());
        if let Some((cells, reductions)) = &cells {
            slots.push(reductions.alphabet().clone());
            if let Some(list) = &cells.n_repeats {
                slots.push(Alphabet::new(vec![vec![list.len() as u32]])?);
            }
        }
        let parts = blocks.iter().map(|blocks| blocks.alphabet().clone());
        let mut domain = Domain::new(slots, parts.collect(), spec.depth)?;
        if let Some((cells, _)) = &cells {
            domain = domain.with_cells(cells.shape())?;
        }
        Ok(Self {
            domain,
            limits: spec.limits,
            whole_clips: spec.whole_clips,
            stems,
            heads,
            blocks,
            cells,
            bare,
        })
    }

    /// What controllers search.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What a point of the domain describes.
    pub fn genome(&self, point: &Point) -> Genome {
        let mut slots = point.slots.iter().copied();
        let mut slot = || slots.next().expect("a point of the domain has all slots");
        let mut genome = self.bare.clone();
        if let Some(stems) = &self.stems {
            let option = slot();
            if option > 0 {
                let stem = stems.part(option).0;
                genome = genome_of(Some(&stem), &genome.head).expect("a stem that was checked");
            }
        }
        genome.head = self.heads.part(slot());
        let blocks = self.blocks.iter();
        let core: Vec<Block> = blocks
            .flat_map(|blocks| point.parts.iter().map(|option| blocks.part(*option)))
            .collect();
        genome.blocks = match &self.cells {
            None => core,
            Some((cells, reductions)) => {
                let reduction = reductions.part(slot());
                let lists = cells.n_repeats.as_ref();
                let n_repeats = lists.map(|list| list[slot() as usize]);
                cells.expand(core, &reduction, n_repeats)
            }
        };
        genome
    }

    /// A point that describes the genome; `None` where the space does not have it.
    pub fn point(&self, genome: &Genome) -> Option<Point> {
        let mut slots = Vec::with_capacity(self.domain.n_slots());
        let stem = stem_of(genome);
        match &self.stems {
            Some(stems) => slots.push(stems.option(&StemFields(stem?))?),
            None if stem != stem_of(&self.bare) => return None,
            None => {}
        }
        slots.push(self.heads.option(&genome.head)?);
        let Some((cells, reductions)) = &self.cells else {
            return self.with_parts(slots, &genome.blocks);
        };
        cells
            .contract(&genome.blocks)
            .into_iter()
            .find_map(|parts| {
                let mut slots = slots.clone();
                slots.push(match &parts.reduction {
                    Some(reduction) => reductions.option(reduction)?,
                    None => 0,
                });
                if let Some(list) = &cells.n_repeats {
                    let at = list.iter().position(|n| Some(*n) == parts.n_repeats)?;
                    slots.push(at as u32);
                }
                self.with_parts(slots, &parts.core)
            })
    }

    fn with_parts(&self, slots: Vec<u32>, core: &[Block]) -> Option<Point> {
        let option = |block: &Block| self.blocks.as_ref()?.option(block);
        let parts: Option<Vec<u32>> = core.iter().map(option).collect();
        let point = Point {
            slots,
            parts: parts?,
        };
        self.domain.contains(&point).then_some(point)
    }

    /// Whether a genome can be built and its cost lies within the limits.
    pub fn admits(&self, genome: &Genome, ports: &Ports) -> bool {
        let may_read = self.whole_clips || genome.streams();
        genome.validate().is_ok() && may_read && self.limits.admit(&Cost::of(genome, ports))
    }
}

/// A genome without blocks.
fn genome_of(stem: Option<&Value>, head: &Head) -> Result<Genome, serde_json::Error> {
    let mut whole = serde_json::json!({"blocks": [], "head": head});
    if let Some(stem) = stem {
        whole["stem"] = stem.clone();
    }
    serde_json::from_value(whole)
}

/// The stem as the genome writes it; `None` where it writes none.
fn stem_of(genome: &Genome) -> Option<Value> {
    let value = serde_json::to_value(genome).ok()?;
    value.get("stem").filter(|stem| !stem.is_null()).cloned()
}
