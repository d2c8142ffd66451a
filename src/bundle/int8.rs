//! Weights in a byte each: matrices and filters as 8-bit integers, one scale for each output channel
//! (symmetric: `weight = integer * scale`, integers from -127 to 127, no zero point). Vectors (biases,
//! normalisations, the feature scale) and tables of biases stay 32-bit floats.
//!
//! On disk a safetensors blob: the integers under the tensor's name, the scales under the name with
//! `.scale` behind it, `[n_out]`. The output channel is a filter's first axis and a matrix's second one.
//!
//! Only what is stored is narrow: a network computes with the floats that they stand for.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::bounds;
use super::error::BundleError;
use crate::model::{NamedTensor, Weights, WeightsError};

const SCALE: &str = ".scale";
const LARGEST: f32 = 127.0;
/// Bits of a scale that are zero, so that its product with any of the integers is exact. Rounding what was
/// rounded then changes nothing.
const SPARE_BITS: u32 = 0x7f;

/// How the values of one tensor lie by output channel: channel `(at / n_below) % n_out`.
struct Channels {
    n_out: usize,
    n_below: usize,
}

impl Channels {
    /// `None` for what stays as it is.
    fn of(name: &str, shape: &[usize]) -> Option<Self> {
        match shape {
            // A tensor without values may claim any number of channels.
            _ if name.ends_with("bias") || shape.contains(&0) => None,
            [_, n_out] => Some(Self {
                n_out: *n_out,
                n_below: 1,
            }),
            [n_out, rest @ ..] if !rest.is_empty() => Some(Self {
                n_out: *n_out,
                n_below: rest.iter().product(),
            }),
            _ => None,
        }
    }

    fn at(&self, at: usize) -> usize {
        at / self.n_below % self.n_out
    }
}

/// The scale that takes that magnitude to the largest integer, or a little below it.
fn scale(magnitude: f32) -> f32 {
    let exact = magnitude / LARGEST;
    if exact < f32::MIN_POSITIVE {
        return 0.0; // too little to be told from nothing
    }
    let above = f32::from_bits((exact.to_bits() + SPARE_BITS) & !SPARE_BITS);
    if (above * LARGEST).is_finite() {
        above
    } else {
        f32::from_bits(exact.to_bits() & !SPARE_BITS)
    }
}

/// Integers and scales of one tensor.
fn quantised(channels: &Channels, values: &[f32]) -> (Vec<i8>, Vec<f32>) {
    let mut magnitudes = vec![0.0_f32; channels.n_out];
    for (at, value) in values.iter().enumerate() {
        let magnitude = &mut magnitudes[channels.at(at)];
        *magnitude = magnitude.max(value.abs());
    }
    let scales: Vec<f32> = magnitudes.into_iter().map(scale).collect();
    let integer = |(at, value): (usize, &f32)| match scales[channels.at(at)] {
        0.0 => 0,
        scale => (value / scale).round().clamp(-LARGEST, LARGEST) as i8,
    };
    let integers = values.iter().enumerate().map(integer).collect();
    (integers, scales)
}

fn restored(channels: &Channels, integers: &[i8], scales: &[f32]) -> Vec<f32> {
    let value = |(at, integer): (usize, &i8)| f32::from(*integer) * scales[channels.at(at)];
    integers.iter().enumerate().map(value).collect()
}

/// What is stored: no network reads a tensor that is named like a scale.
fn stored(weights: &Weights) -> impl Iterator<Item = (&String, &NamedTensor)> {
    let tensors = weights.tensors.iter();
    tensors.filter(|(name, _)| !name.ends_with(SCALE))
}

/// The same weights as they are after a way through the file. A second time changes nothing.
pub fn rounded(weights: &Weights) -> Weights {
    let tensors = stored(weights).map(|(name, tensor)| {
        let values = match Channels::of(name, &tensor.shape) {
            None => tensor.values.clone(),
            Some(channels) => {
                let (integers, scales) = quantised(&channels, &tensor.values);
                restored(&channels, &integers, &scales)
            }
        };
        let shape = tensor.shape.clone();
        (name.clone(), NamedTensor { shape, values })
    });
    Weights {
        tensors: tensors.collect(),
    }
}

/// The safetensors form.
pub fn to_bytes(weights: &Weights) -> Vec<u8> {
    let float_bytes =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let mut parts: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for (name, tensor) in stored(weights) {
        let shape = tensor.shape.clone();
        let Some(channels) = Channels::of(name, &shape) else {
            let bytes = float_bytes(&tensor.values);
            parts.insert(name.clone(), (Dtype::F32, shape, bytes));
            continue;
        };
        let (integers, scales) = quantised(&channels, &tensor.values);
        let bytes = integers.iter().map(|integer| integer.to_le_bytes()[0]);
        parts.insert(name.clone(), (Dtype::I8, shape, bytes.collect()));
        let scale = (Dtype::F32, vec![channels.n_out], float_bytes(&scales));
        parts.insert(format!("{name}{SCALE}"), scale);
    }
    let views = parts.iter().map(|(name, (dtype, shape, bytes))| {
        let view = TensorView::new(*dtype, shape.clone(), bytes)
            .expect("a tensor holds as many values as its shape says");
        (name.clone(), view)
    });
    safetensors::serialize(views, None).expect("views of equal length and shape serialise")
}

/// Reads the safetensors form of a member. `n_bytes_left`: most bytes of floats that may come of it,
/// lessened by what does.
pub fn from_bytes(
    index: usize,
    blob: &[u8],
    n_bytes_left: &mut u64,
) -> Result<Weights, BundleError> {
    let weights_error = |source| BundleError::Weights { index, source };
    let parsed = SafeTensors::deserialize(blob)
        .map_err(|error| weights_error(WeightsError::NotSafetensors(error.to_string())))?;
    let mut tensors = BTreeMap::new();
    let mut is_integer = Vec::new();
    for (name, view) in parsed.tensors() {
        let shape = view.shape().to_vec();
        let n_values = shape.iter().product::<usize>();
        let n_bytes = 4 * n_values as u64;
        bounds::within("bytes of weights once read", n_bytes, 0, *n_bytes_left)?;
        *n_bytes_left -= n_bytes;
        let values = match view.dtype() {
            Dtype::F32 => floats(view.data()),
            Dtype::I8 => {
                is_integer.push(name.clone());
                let bytes = view.data().iter();
                bytes.map(|&byte| f32::from(byte as i8)).collect()
            }
            other => {
                let found = format!("{other:?}");
                return Err(weights_error(WeightsError::WrongType { name, found }));
            }
        };
        tensors.insert(name, NamedTensor { shape, values });
    }
    let mut weights = Weights { tensors };
    for name in is_integer {
        let scale = format!("{name}{SCALE}");
        let scales = weights.tensors.remove(&scale);
        let Some(tensor) = weights.tensors.get_mut(&name) else {
            continue; // integers as the scale of others: taken above
        };
        let Some(channels) = Channels::of(&name, &tensor.shape) else {
            let shape = tensor.shape.clone();
            return Err(BundleError::NoChannels { index, name, shape });
        };
        let Some(scales) = scales else {
            return Err(weights_error(WeightsError::Missing { name: scale }));
        };
        if scales.shape != [channels.n_out] {
            return Err(weights_error(WeightsError::WrongShape {
                name: scale,
                found: scales.shape,
                expected: vec![channels.n_out],
            }));
        }
        for (at, value) in tensor.values.iter_mut().enumerate() {
            *value *= scales.values[channels.at(at)];
        }
    }
    Ok(weights)
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let four = bytes.chunks_exact(4);
    four.map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn weights() -> Weights {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut weights = Weights::default();
        for (name, shape) in [
            ("input.mean", vec![40]),
            ("stem.conv.weight", vec![6, 40, 3]),
            ("blocks.0.gru.w_input", vec![6, 21]),
            ("blocks.1.attention.relative_bias", vec![2, 5]),
            ("blocks.2.conv.weight", vec![4, 1, 3, 3]),
        ] {
            let n: usize = shape.iter().product();
            let values = (0..n).map(|_| rng.random_range(-2.0..3.0)).collect();
            let tensor = NamedTensor { shape, values };
            weights.tensors.insert(name.into(), tensor);
        }
        weights
    }

    #[test]
    fn what_was_rounded_comes_back_bit_for_bit() {
        let rounded = rounded(&weights());
        assert_ne!(rounded, weights());
        assert_eq!(super::rounded(&rounded), rounded);
        let mut room = u64::MAX;
        let read = from_bytes(0, &to_bytes(&weights()), &mut room).unwrap();
        assert_eq!(read, rounded);
        let read = from_bytes(0, &to_bytes(&rounded), &mut room).unwrap();
        assert_eq!(read, rounded);
    }

    #[test]
    fn no_value_moves_further_than_half_a_step_of_its_own_channel() {
        let (before, after) = (weights(), rounded(&weights()));
        for (name, n_out, n_below) in [
            ("stem.conv.weight", 6, 120),
            ("blocks.0.gru.w_input", 21, 1),
            ("blocks.2.conv.weight", 4, 9),
        ] {
            let (before, after) = (&before.tensors[name].values, &after.tensors[name].values);
            for channel in 0..n_out {
                let of_channel = |at: &usize| at / n_below % n_out == channel;
                let places: Vec<usize> = (0..before.len()).filter(of_channel).collect();
                let most = places.iter().map(|&at| before[at].abs());
                let step = most.fold(0.0, f32::max) / 127.0;
                for at in places {
                    let moved = (before[at] - after[at]).abs();
                    assert!(
                        moved <= 0.5001 * step,
                        "{name} {at}: {moved}, a step is {step}"
                    );
                }
            }
        }
    }

    #[test]
    fn vectors_and_biases_stay_as_they_are() {
        for name in ["input.mean", "blocks.1.attention.relative_bias"] {
            assert_eq!(rounded(&weights()).tensors[name], weights().tensors[name]);
        }
    }

    #[test]
    fn the_smallest_and_the_largest_numbers_stay_finite() {
        let mut weights = Weights::default();
        let values = vec![
            f32::MAX,
            0.0,
            -f32::MAX,
            1e-45,
            f32::MIN_POSITIVE,
            -1e-40,
            0.0,
            -0.0,
        ];
        let shape = vec![4, 2];
        let tensor = NamedTensor { shape, values };
        weights.tensors.insert("w".into(), tensor);
        let once = rounded(&weights);
        assert!(
            once.tensors["w"]
                .values
                .iter()
                .all(|value| value.is_finite())
        );
        assert_eq!(rounded(&once), once);
    }

    #[test]
    fn more_floats_than_there_is_room_for_are_refused() {
        let blob = to_bytes(&weights());
        let error = from_bytes(0, &blob, &mut 100).unwrap_err().to_string();
        assert!(error.contains("bytes of weights once read"), "{error}");
    }

    #[test]
    fn integers_without_their_scales_are_refused_by_name() {
        let bytes = [1u8; 6];
        let view = TensorView::new(Dtype::I8, vec![2, 3], &bytes).unwrap();
        let blob = safetensors::serialize([("w", view)], None).unwrap();
        let error = from_bytes(2, &blob, &mut 1000).unwrap_err().to_string();
        assert_eq!(error, "member 2: tensor w.scale is missing");
        let view = TensorView::new(Dtype::I8, vec![6], &bytes).unwrap();
        let blob = safetensors::serialize([("w", view)], None).unwrap();
        let error = from_bytes(2, &blob, &mut 1000).unwrap_err().to_string();
        assert_eq!(
            error,
            "member 2: tensor w holds integers in the shape [6], expected a matrix or filters"
        );
    }
}
