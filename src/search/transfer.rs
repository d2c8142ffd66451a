//! What a child takes over from its parent: every tensor of the same name and shape.
//!
//! Nothing is averaged and nothing is cut to fit. Statistics come along with the weights that they
//! belong to: a normalisation moves whole or not at all, since its tensors share one shape.

use crate::model::Weights;

/// Copies what fits into `child`; the number of trained values taken over.
pub fn inherit(child: &mut Weights, parent: &Weights) -> u64 {
    let mut taken = Weights::default();
    for (name, tensor) in &mut child.tensors {
        if let Some(from) = parent.tensors.get(name)
            && from.shape == tensor.shape
        {
            tensor.values.copy_from_slice(&from.values);
            taken.tensors.insert(name.clone(), from.clone());
        }
    }
    taken.n_trainable()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NamedTensor;

    fn weights(tensors: &[(&str, &[usize], f32)]) -> Weights {
        let mut weights = Weights::default();
        for (name, shape, value) in tensors {
            let tensor = NamedTensor {
                shape: shape.to_vec(),
                values: vec![*value; shape.iter().product()],
            };
            weights.tensors.insert((*name).into(), tensor);
        }
        weights
    }

    #[test]
    fn only_tensors_of_the_same_name_and_shape_come_over() {
        let parent = weights(&[("a", &[2, 3], 7.0), ("b", &[4], 7.0), ("gone", &[1], 7.0)]);
        let mut child = weights(&[("a", &[2, 3], 0.0), ("b", &[5], 0.0), ("new", &[2], 0.0)]);
        assert_eq!(inherit(&mut child, &parent), 6);
        assert_eq!(
            child,
            weights(&[("a", &[2, 3], 7.0), ("b", &[5], 0.0), ("new", &[2], 0.0)])
        );
    }
}
