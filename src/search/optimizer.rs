//! How gradients become steps: Model Search's five optimisers and AdamW, with what is done to the gradients
//! before. It neither computes gradients nor chooses rates.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdaGradConfig, AdamConfig, GradientsParams, ModuleOptimizer, RmsPropConfig, SgdConfig,
};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::model::ops::adamw::AdamWSpec;

/// Added to the root of second moments.
const EPSILON: f32 = 1e-8;
/// Momentum of `momentum`, smoothing of `rmsprop`: as in Model Search.
const MOMENTUM: f64 = 0.9;

/// Which rule steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
    #[default]
    #[serde(rename = "adamw")]
    AdamW,
    /// Kingma & Ba 2015.
    #[serde(rename = "adam")]
    Adam,
    #[serde(rename = "sgd")]
    Sgd,
    /// SGD with momentum 0.9.
    #[serde(rename = "momentum")]
    Momentum,
    /// Duchi et al. 2011.
    #[serde(rename = "adagrad")]
    AdaGrad,
    /// Hinton 2012, smoothing 0.9, no momentum.
    #[serde(rename = "rmsprop")]
    RmsProp,
}

impl OptimizerKind {
    /// Whether this is what a spec means that does not say.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The optimiser before its first step. `weight_decay` is decoupled for AdamW and added to the gradient for
    /// the others, as PyTorch has it.
    pub fn build(self, weight_decay: f32) -> ModuleOptimizer {
        let decay = (weight_decay > 0.0).then(|| WeightDecayConfig::new(weight_decay));
        match self {
            Self::AdamW => AdamWSpec {
                beta_1: 0.9,
                beta_2: 0.999,
                epsilon: EPSILON,
                weight_decay,
            }
            .init(),
            Self::Adam => AdamConfig::new()
                .with_epsilon(EPSILON)
                .with_weight_decay(decay)
                .init(),
            Self::Sgd => SgdConfig::new().with_weight_decay(decay).init(),
            Self::Momentum => {
                let momentum = MomentumConfig::new()
                    .with_momentum(MOMENTUM)
                    .with_dampening(0.0);
                SgdConfig::new()
                    .with_momentum(Some(momentum))
                    .with_weight_decay(decay)
                    .init()
            }
            Self::AdaGrad => AdaGradConfig::new()
                .with_epsilon(EPSILON)
                .with_weight_decay(decay)
                .init(),
            Self::RmsProp => RmsPropConfig::new()
                .with_alpha(MOMENTUM as f32)
                .with_momentum(0.0)
                .with_epsilon(EPSILON)
                .with_weight_decay(decay)
                .init(),
        }
    }
}

/// Adds `l2 * w` to the gradient of every weight `w`: the gradient of `l2 / 2 * sum(w^2)`, biases and
/// normalisations included as in Model Search.
pub fn add_l2<M: Module>(gradients: GradientsParams, network: &M, l2: f32) -> GradientsParams {
    struct Adder {
        gradients: GradientsParams,
        l2: f32,
    }
    impl ModuleVisitor for Adder {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.remove::<D>(param.id) {
                let pull = param.val().inner() * self.l2;
                self.gradients.register(param.id, gradient + pull);
            }
        }
    }
    let mut adder = Adder { gradients, l2 };
    network.visit(&mut adder);
    adder.gradients
}

/// Shrinks all gradients together where the norm of all of them is beyond `max_norm` (Pascanu et al. 2013).
pub fn clip_global_norm<M: Module>(
    gradients: GradientsParams,
    network: &M,
    max_norm: f32,
) -> GradientsParams {
    struct Summer<'a> {
        gradients: &'a GradientsParams,
        sum: Option<Tensor<1>>,
    }
    impl ModuleVisitor for Summer<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                let square = gradient.square().sum();
                self.sum = Some(match self.sum.take() {
                    Some(sum) => sum + square,
                    None => square,
                });
            }
        }
    }
    struct Scaler {
        gradients: GradientsParams,
        scale: Tensor<1>,
    }
    impl ModuleVisitor for Scaler {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.remove::<D>(param.id) {
                let scaled = gradient * self.scale.clone().reshape([1; D]);
                self.gradients.register(param.id, scaled);
            }
        }
    }
    let mut summer = Summer {
        gradients: &gradients,
        sum: None,
    };
    network.visit(&mut summer);
    let Some(sum) = summer.sum else {
        return gradients;
    };
    let scale = (sum.sqrt() + 1e-12).recip() * max_norm;
    let mut scaler = Scaler {
        gradients,
        scale: scale.clamp_max(1.0),
    };
    network.visit(&mut scaler);
    scaler.gradients
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    #[derive(Module, Debug)]
    struct Pair {
        a: Param<Tensor<1>>,
        b: Param<Tensor<2>>,
    }

    impl Pair {
        fn new() -> Self {
            let device = Device::flex().autodiff();
            let tensor = |values: Vec<f32>| {
                let n = values.len();
                Tensor::<1>::from_data(TensorData::new(values, [n]), &device)
            };
            Self {
                a: Param::from_tensor(tensor(vec![1.0, -2.0])),
                b: Param::from_tensor(tensor(vec![0.5, 4.0]).reshape([1, 2])),
            }
        }

        /// Gradients of `3 a0 + 4 b1`: 3, 0 and 0, 4.
        fn gradients(&self) -> GradientsParams {
            let loss = self.a.val().narrow(0, 0, 1) * 3.0
                + self.b.val().reshape([2]).narrow(0, 1, 1) * 4.0;
            GradientsParams::from_grads(loss.sum().backward(), self)
        }

        fn values(&self) -> Vec<f32> {
            let (a, b) = (self.a.val().into_data(), self.b.val().into_data());
            a.iter::<f32>().chain(b.iter::<f32>()).collect()
        }
    }

    fn numbers(gradients: &GradientsParams, pair: &Pair) -> Vec<f32> {
        let a = gradients.get::<1>(pair.a.id).unwrap().into_data();
        let b = gradients.get::<2>(pair.b.id).unwrap().into_data();
        a.iter::<f32>().chain(b.iter::<f32>()).collect()
    }

    fn close(found: &[f32], expected: &[f32]) {
        for (x, y) in found.iter().zip(expected) {
            assert!((x - y).abs() < 1e-6, "{found:?}, expected {expected:?}");
        }
    }

    #[test]
    fn the_norm_of_all_gradients_together_is_held() {
        let pair = Pair::new();
        let clipped = clip_global_norm(pair.gradients(), &pair, 1.0);
        close(&numbers(&clipped, &pair), &[0.6, 0.0, 0.0, 0.8]);
        let untouched = clip_global_norm(pair.gradients(), &pair, 6.0);
        close(&numbers(&untouched, &pair), &[3.0, 0.0, 0.0, 4.0]);
    }

    #[test]
    fn l2_pulls_every_weight_towards_zero() {
        let pair = Pair::new();
        let pulled = add_l2(pair.gradients(), &pair, 0.1);
        close(&numbers(&pulled, &pair), &[3.1, -0.2, 0.05, 4.4]);
    }

    #[test]
    fn each_rule_takes_the_first_step_of_its_paper() {
        // From a gradient of 3: SGD moves by rate * 3, Adam and AdaGrad by the rate, RMSProp by rate / sqrt(0.1).
        for (kind, expected) in [
            (OptimizerKind::Sgd, 0.03),
            (OptimizerKind::Momentum, 0.03),
            (OptimizerKind::Adam, 0.01),
            (OptimizerKind::AdamW, 0.01),
            (OptimizerKind::AdaGrad, 0.01),
            (OptimizerKind::RmsProp, 0.01 / 0.1_f32.sqrt()),
        ] {
            let pair = Pair::new();
            let gradients = pair.gradients();
            let stepped = kind.build(0.0).step(0.01_f64, pair, gradients);
            close(&stepped.values()[..2], &[1.0 - expected, -2.0]);
        }
    }
}
