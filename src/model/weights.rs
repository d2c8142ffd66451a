//! Named tensors of plain numbers: what training leaves behind and what every form of a network
//! reads. No tensor library is needed to hold, save or check them.
//!
//! On disk they are a safetensors blob (f32, little-endian), so any tool of the field opens them.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// One tensor: row-major values and their shape.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// All tensors of one network, by dotted name (`blocks.0.conv.weight`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    pub tensors: BTreeMap<String, NamedTensor>,
}

/// Why weights could not be read or do not fit a genome.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error("the weights are not a safetensors blob: {0}")]
    NotSafetensors(String),
    #[error("tensor {name} holds {found:?}, expected 32-bit floats")]
    WrongType { name: String, found: String },
    #[error("tensor {name} is missing")]
    Missing { name: String },
    #[error("tensor {name} has shape {found:?}, the genome expects {expected:?}")]
    WrongShape {
        name: String,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
    #[error("tensor {name} holds a value that is not finite")]
    NotFinite { name: String },
    #[error("layer {name} reads frames after its own, expected one that streams")]
    CannotStream { name: String },
}

impl Weights {
    /// The tensor of that name, if its shape is the expected one.
    pub fn get(&self, name: &str, expected: &[usize]) -> Result<&[f32], WeightsError> {
        let tensor = self
            .tensors
            .get(name)
            .ok_or_else(|| WeightsError::Missing { name: name.into() })?;
        if tensor.shape != expected {
            return Err(WeightsError::WrongShape {
                name: name.into(),
                found: tensor.shape.clone(),
                expected: expected.to_vec(),
            });
        }
        if tensor.values.iter().any(|value| !value.is_finite()) {
            return Err(WeightsError::NotFinite { name: name.into() });
        }
        Ok(&tensor.values)
    }

    /// Number of trainable values: everything but running statistics and the input's scale.
    pub fn n_trainable(&self) -> u64 {
        self.tensors
            .iter()
            .filter(|(name, _)| !is_buffer(name))
            .map(|(_, tensor)| tensor.values.len() as u64)
            .sum()
    }

    /// The safetensors form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes: BTreeMap<&str, Vec<u8>> = self
            .tensors
            .iter()
            .map(|(name, tensor)| {
                let values = tensor.values.iter().flat_map(|value| value.to_le_bytes());
                (name.as_str(), values.collect())
            })
            .collect();
        let views = self.tensors.iter().map(|(name, tensor)| {
            let view = TensorView::new(Dtype::F32, tensor.shape.clone(), &bytes[name.as_str()])
                .expect("a tensor holds as many values as its shape says");
            (name.clone(), view)
        });
        safetensors::serialize(views, None).expect("views of equal length and shape serialise")
    }

    /// Reads the safetensors form. Sizes are those of the blob: nothing is allocated on its word.
    pub fn from_bytes(blob: &[u8]) -> Result<Self, WeightsError> {
        let parsed = SafeTensors::deserialize(blob)
            .map_err(|error| WeightsError::NotSafetensors(error.to_string()))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in parsed.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(WeightsError::WrongType {
                    name,
                    found: format!("{:?}", view.dtype()),
                });
            }
            let values = view
                .data()
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
                .collect();
            let shape = view.shape().to_vec();
            tensors.insert(name, NamedTensor { shape, values });
        }
        Ok(Self { tensors })
    }
}

/// Whether a tensor of that name is a statistic of the data and not trained by gradients.
pub fn is_buffer(name: &str) -> bool {
    name.starts_with("input.") || name.ends_with("running_mean") || name.ends_with("running_var")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Weights {
        let mut weights = Weights::default();
        for (name, shape) in [("input.mean", vec![3]), ("stem.conv.weight", vec![2, 1, 3])] {
            let n: usize = shape.iter().product();
            let values = (0..n).map(|i| i as f32 * 0.5 - 1.0).collect();
            weights
                .tensors
                .insert(name.into(), NamedTensor { shape, values });
        }
        weights
    }

    #[test]
    fn bytes_round_trip_to_the_same_weights() {
        assert_eq!(Weights::from_bytes(&two().to_bytes()).unwrap(), two());
    }

    #[test]
    fn only_trained_values_count_as_parameters() {
        assert_eq!(two().n_trainable(), 6);
    }

    #[test]
    fn cut_or_changed_bytes_are_an_error_or_other_weights_but_never_a_panic() {
        let bytes = two().to_bytes();
        for cut in 0..bytes.len() {
            assert!(Weights::from_bytes(&bytes[..cut]).is_err());
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x41;
            let _ = Weights::from_bytes(&changed);
        }
    }

    #[test]
    fn a_wrong_shape_says_what_was_found_and_expected() {
        let error = two().get("stem.conv.weight", &[2, 1, 5]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "tensor stem.conv.weight has shape [2, 1, 3], the genome expects [2, 1, 5]"
        );
    }
}
