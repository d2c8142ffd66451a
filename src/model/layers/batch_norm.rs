//! The four vectors of a batch normalisation (Ioffe & Szegedy 2015) by their names, for the layers that own
//! one: not a layer itself.

use super::conv_norm::EPSILON;
use crate::model::weights::{Weights, WeightsError};

/// Reads the normalisation under `prefix` as what it comes to once trained: a scale and an offset for each of
/// its `n` groups, `(x - mean) * gamma / sqrt(var + eps) + beta`.
pub(crate) fn folded(
    weights: &Weights,
    prefix: &str,
    n: usize,
) -> Result<Vec<(f32, f32)>, WeightsError> {
    let part = |name: &str| weights.get(&format!("{prefix}.{name}"), &[n]);
    let (gamma, beta) = (part("gamma")?, part("beta")?);
    let (mean, var) = (part("running_mean")?, part("running_var")?);
    let fold = |i: usize| {
        let scale = f64::from(gamma[i]) / (f64::from(var[i].max(0.0)) + EPSILON).sqrt();
        let offset = f64::from(beta[i]) - f64::from(mean[i]) * scale;
        (scale as f32, offset as f32)
    };
    Ok((0..n).map(fold).collect())
}

#[cfg(feature = "search")]
pub(crate) use trainable::{init, load, mode, remember, store};

#[cfg(feature = "search")]
mod trainable {
    use burn::module::Param;
    use burn::nn::BatchNorm;
    use burn::tensor::{Device, Tensor};

    use super::EPSILON;
    use crate::model::layers::{first_weights, tensors};
    use crate::model::ops::norm::Statistics;
    use crate::model::weights::{Weights, WeightsError};

    /// Leaves a normalisation that changes nothing under `prefix`.
    pub(crate) fn init(weights: &mut Weights, prefix: &str, n: usize) {
        for (part, value) in [
            ("gamma", 1.0),
            ("beta", 0.0),
            ("running_mean", 0.0),
            ("running_var", 1.0),
        ] {
            first_weights::constant(weights, format!("{prefix}.{part}"), n, value);
        }
    }

    /// The trainable form of the normalisation under `prefix`.
    pub(crate) fn load(
        weights: &Weights,
        prefix: &str,
        n: usize,
        device: &Device,
    ) -> Result<BatchNorm, WeightsError> {
        let name = |part: &str| format!("{prefix}.{part}");
        let param = |part: &str| tensors::load_param(weights, &name(part), [n], device);
        let running = |part: &str| tensors::load_running(weights, &name(part), n, device);
        Ok(BatchNorm {
            gamma: param("gamma")?,
            beta: param("beta")?,
            training: Param::from_bool(true),
            running_mean: running("running_mean")?,
            running_var: running("running_var")?,
            momentum: 0.1,
            epsilon: EPSILON,
        })
    }

    /// Copies the normalisation out under `prefix`.
    pub(crate) fn store(norm: &BatchNorm, prefix: &str, weights: &mut Weights) {
        let name = |part: &str| format!("{prefix}.{part}");
        tensors::store(weights, name("gamma"), norm.gamma.val());
        tensors::store(weights, name("beta"), norm.beta.val());
        let (mean, var) = (&norm.running_mean, &norm.running_var);
        tensors::store(weights, name("running_mean"), mean.value_sync());
        tensors::store(weights, name("running_var"), var.value_sync());
    }

    /// What values on that device are to be normalised with: running statistics, or `None` for their batch's own.
    /// Nothing at all where a training runs with running statistics.
    pub(crate) fn mode(norm: &BatchNorm, device: &Device) -> Option<Option<Statistics>> {
        if device.is_autodiff() {
            return norm.training.is_enabled().then_some(None);
        }
        let numbers = |tensor: Tensor<1>| tensor.into_data().iter::<f32>().collect();
        Some(Some(Statistics {
            mean: numbers(norm.running_mean.value_sync()),
            variance: numbers(norm.running_var.value_sync()),
        }))
    }

    /// Moves the running statistics towards those of a batch.
    pub(crate) fn remember(norm: &BatchNorm, batch: Statistics) {
        let share = norm.momentum as f32;
        for (running, batch) in [
            (&norm.running_mean, batch.mean),
            (&norm.running_var, batch.variance),
        ] {
            let before = running.value_sync();
            let device = before.device();
            let moved: Vec<f32> = before
                .into_data()
                .iter::<f32>()
                .zip(batch)
                .map(|(before, batch)| before * (1.0 - share) + batch * share)
                .collect();
            running.update(Tensor::from_floats(&moved[..], &device));
        }
    }
}
