//! The weighted average of tensors, each covering all of a tensor or a corner of it.
//!
//! Every value is divided by the sum of the weights of those that cover it, and by nothing else.

use super::layout::Axis;
use crate::model::NamedTensor;

/// Sums for one tensor.
pub struct Average {
    shape: Vec<usize>,
    /// Weighted sum and sum of weights of each value.
    sums: Vec<(f64, f64)>,
    /// Whether a value leads from inputs that a donor does not have to outputs that it has.
    leads_from_new: Vec<bool>,
}

/// Whether a donor's tensor of that shape can be copied into one of the child's shape.
pub fn fit(axes: &[Axis], child: &[usize], donor: &[usize]) -> bool {
    let is_sound = |(axis, (child, donor)): (&Axis, (&usize, &usize))| match axis {
        Axis::Fixed => child == donor,
        Axis::In { n_parts } | Axis::Out { n_parts } => {
            child % n_parts == 0 && donor % n_parts == 0
        }
    };
    axes.len() == child.len()
        && axes.len() == donor.len()
        && axes.iter().zip(child.iter().zip(donor)).all(is_sound)
}

impl Average {
    pub fn of(tensor: &NamedTensor) -> Self {
        Self {
            shape: tensor.shape.clone(),
            sums: vec![(0.0, 0.0); tensor.values.len()],
            leads_from_new: vec![false; tensor.values.len()],
        }
    }

    /// Adds a donor's tensor: of the same shape where `axes` is `None`, else one that [`fit`]s.
    pub fn add(&mut self, donor: &NamedTensor, axes: Option<&[Axis]>, share: f64) {
        let Some(axes) = axes else {
            for (sums, value) in self.sums.iter_mut().zip(&donor.values) {
                sums.0 += share * f64::from(*value);
                sums.1 += share;
            }
            return;
        };
        // For each axis: the donor's index of each of the child's.
        let maps: Vec<Vec<Option<usize>>> = axes
            .iter()
            .zip(self.shape.iter().zip(&donor.shape))
            .map(|(axis, (child, donor))| index_map(*axis, *child, *donor))
            .collect();
        let mut index = vec![0; self.shape.len()];
        for (i, sums) in self.sums.iter_mut().enumerate() {
            let mut at = Some(0);
            let mut is_old_output = true;
            for (axis, map) in maps.iter().enumerate() {
                let place = map[index[axis]];
                at = at
                    .zip(place)
                    .map(|(at, place)| at * donor.shape[axis] + place);
                is_old_output &= place.is_some() || matches!(axes[axis], Axis::In { .. });
            }
            match at {
                Some(at) => {
                    sums.0 += share * f64::from(donor.values[at]);
                    sums.1 += share;
                }
                None => self.leads_from_new[i] |= is_old_output,
            }
            step(&mut index, &self.shape);
        }
    }

    /// Writes the averages, and zeros where only new inputs lead to old outputs; the rest stays as it was. The
    /// number of values that donors covered.
    pub fn write(&self, tensor: &mut NamedTensor) -> u64 {
        let mut n_covered = 0;
        let sums = self.sums.iter().zip(&self.leads_from_new);
        for (value, ((sum, share), leads_from_new)) in tensor.values.iter_mut().zip(sums) {
            if *share > 0.0 {
                *value = (sum / share) as f32;
                n_covered += 1;
            } else if *leads_from_new {
                *value = 0.0;
            }
        }
        n_covered
    }
}

fn index_map(axis: Axis, n_child: usize, n_donor: usize) -> Vec<Option<usize>> {
    let n_parts = match axis {
        Axis::Fixed => 1,
        Axis::In { n_parts } | Axis::Out { n_parts } => n_parts,
    };
    let (own, other) = (n_child / n_parts, n_donor / n_parts);
    let place = |i: usize| (i % own < other).then(|| i / own * other + i % own);
    (0..n_child).map(place).collect()
}

/// The next index in row-major order.
fn step(index: &mut [usize], shape: &[usize]) {
    for (at, length) in index.iter_mut().zip(shape).rev() {
        *at += 1;
        if *at < *length {
            return;
        }
        *at = 0;
    }
}
