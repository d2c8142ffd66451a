//! AdamW (Loshchilov & Hutter 2019) as one pass over each parameter.
//!
//! Burn's own optimiser does a dozen tensor operations for each parameter, which is a large part of a step of a small
//! network. This one keeps the same state and gives the same numbers; off the CPU device it is Burn's.

use burn::backend::Flex;
use burn::optim::{
    AdamWConfig, AdamWState, AdaptiveMomentumState, LearningRate, ModuleOptimizer, Optimizer,
};
use burn::tensor::{Device, Tensor};
use pulp::{Arch, Simd, WithSimd};

use super::Input;
use super::lanes::{load, store};
use super::rows::{numbers, plain_tensor};

/// The settings that do not change from step to step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWSpec {
    pub beta_1: f32,
    pub beta_2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Decoupled: a share of the weights, times the learning rate, at every step.
    pub weight_decay: f32,
}

impl AdamWSpec {
    /// For a whole network.
    pub fn init(self) -> ModuleOptimizer {
        let composed = AdamWConfig::new()
            .with_beta_1(self.beta_1)
            .with_beta_2(self.beta_2)
            .with_epsilon(self.epsilon)
            .with_weight_decay(self.weight_decay)
            .build();
        ModuleOptimizer::from(AdamW {
            spec: self,
            composed,
        })
    }
}

#[derive(Clone)]
struct AdamW {
    spec: AdamWSpec,
    composed: burn::optim::AdamW,
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        match self.spec.step(rate, &tensor, &gradient, state.as_ref()) {
            Some((tensor, state)) => (tensor, Some(state)),
            None => self.composed.step(rate, tensor, gradient, state),
        }
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        burn::optim::AdamW::to_device(state, device)
    }
}

impl AdamWSpec {
    /// `None` off the CPU device.
    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: &Tensor<D>,
        gradient: &Tensor<D>,
        state: Option<&AdamWState<D>>,
    ) -> Option<(Tensor<D>, AdamWState<D>)> {
        let values = |tensor: &Tensor<D>| match Input::of(tensor)? {
            Input::Plain(tensor) => Some(numbers(&tensor)),
            Input::Tracked(_) => None,
        };
        let mut weights = values(tensor)?;
        let gradient = values(gradient)?;
        let momentum = state.map(|state| &state.momentum);
        let [mut moment_1, mut moment_2] = match momentum {
            Some(momentum) => [values(&momentum.moment_1)?, values(&momentum.moment_2)?],
            None => [vec![0.0; weights.len()], vec![0.0; weights.len()]],
        };
        let time = momentum.map_or(0, |momentum| momentum.time) + 1;
        let steps = i32::try_from(time).unwrap_or(i32::MAX);
        Arch::new().dispatch(Update {
            spec: *self,
            rate: rate as f32,
            keep: (1.0 - rate * f64::from(self.weight_decay)) as f32,
            correct: [self.beta_1, self.beta_2].map(|beta| 1.0 / (1.0 - beta.powi(steps))),
            weights: &mut weights,
            gradient: &gradient,
            moment_1: &mut moment_1,
            moment_2: &mut moment_2,
        });
        let shape = tensor.dims();
        let tensor = |values| Tensor::from_primitive::<Flex>(plain_tensor(values, shape));
        let momentum = AdaptiveMomentumState::new(time, tensor(moment_1), tensor(moment_2));
        Some((tensor(weights), AdamWState::new(momentum)))
    }
}

struct Update<'a> {
    spec: AdamWSpec,
    rate: f32,
    /// Share of the weights that decay leaves.
    keep: f32,
    /// What makes up for moments that started at zero.
    correct: [f32; 2],
    weights: &'a mut [f32],
    gradient: &'a [f32],
    moment_1: &'a mut [f32],
    moment_2: &'a mut [f32],
}

impl WithSimd for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let [rest_1, rest_2] = [self.spec.beta_1, self.spec.beta_2].map(|beta| 1.0 - beta);
        let (beta_1, rest_1) = (simd.splat_f32s(self.spec.beta_1), simd.splat_f32s(rest_1));
        let (beta_2, rest_2) = (simd.splat_f32s(self.spec.beta_2), simd.splat_f32s(rest_2));
        let (rate, keep) = (simd.splat_f32s(self.rate), simd.splat_f32s(self.keep));
        let correct_1 = simd.splat_f32s(self.correct[0]);
        let correct_2 = simd.splat_f32s(self.correct[1]);
        let epsilon = simd.splat_f32s(self.spec.epsilon);
        let n = S::F32_LANES;
        let weights = self.weights.chunks_mut(n).zip(self.gradient.chunks(n));
        let moments = self.moment_1.chunks_mut(n).zip(self.moment_2.chunks_mut(n));
        for ((weights, gradient), (moment_1, moment_2)) in weights.zip(moments) {
            let gradient = load(simd, gradient);
            let first = simd.mul_f32s(load(simd, moment_1), beta_1);
            let first = simd.mul_add_e_f32s(gradient, rest_1, first);
            let square = simd.mul_f32s(gradient, gradient);
            let second = simd.mul_f32s(load(simd, moment_2), beta_2);
            let second = simd.mul_add_e_f32s(square, rest_2, second);
            let root = simd.sqrt_f32s(simd.mul_f32s(second, correct_2));
            let step = simd.div_f32s(
                simd.mul_f32s(first, correct_1),
                simd.add_f32s(root, epsilon),
            );
            let kept = simd.mul_f32s(load(simd, weights), keep);
            let moved = simd.sub_f32s(kept, simd.mul_f32s(rate, step));
            store(simd, moment_1, first);
            store(simd, moment_2, second);
            store(simd, weights, moved);
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::optim::GradientsParams;
    use burn::tensor::TensorData;

    use super::*;

    #[test]
    fn it_goes_where_the_composed_optimiser_goes() {
        let device = Device::flex().autodiff();
        let spec = AdamWSpec {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.05,
        };
        let train = |mut optimizer: ModuleOptimizer| {
            let values: Vec<f32> = (0..21).map(|i| (i as f32 * 0.7).sin()).collect();
            let start = Tensor::<2>::from_data(TensorData::new(values, [3, 7]), &device);
            let mut param = Param::from_tensor(start);
            for step in 1..20 {
                let loss = (param.val() * step as f32 - 1.0).square().mean();
                let gradients = GradientsParams::from_grads(loss.backward(), &param);
                param = optimizer.step(0.01 * f64::from(step), param, gradients);
            }
            param.val().into_data().try_to_vec::<f32>().unwrap()
        };
        let found = train(spec.init());
        let expected = train(
            AdamWConfig::new()
                .with_epsilon(1e-8)
                .with_weight_decay(0.05)
                .init(),
        );
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }
}
