//! The operations that training spends its time in, written out for the CPU with their own derivatives.
//!
//! Each is one step of Burn's graph instead of dozens, and computes on arrays with the channels innermost
//! ([`rows::Frames`]) or, over bands and time, with the frames innermost ([`planes`]). They are for Burn's `flex` device
//! in f32: elsewhere [`Input::of`] answers `None` and a layer composes the same function from tensor operations, which
//! the tests here hold equal, forward and backward.
//! Everything is summed in an order that only the shapes and the width of the machine's vectors decide, so a training
//! repeats bit for bit.

pub mod adamw;
pub mod cells;
pub mod conv;
pub mod depthwise;
pub mod join;
pub mod lanes;
pub mod linear;
pub mod memory;
pub mod multiply;
pub mod norm;
pub mod planes;
pub mod recurrent;
pub mod rows;

#[cfg(test)]
mod tests;

use std::fmt::Debug;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Tensor};

type Tracked = FloatTensor<Autodiff<Flex>>;

/// A tensor on the CPU device, as an operation takes it.
#[derive(Clone, Debug)]
pub enum Input {
    /// Outside of any graph.
    Plain(FlexTensor),
    /// On the training device.
    Tracked(Tracked),
}

impl Input {
    /// `None` where the tensor is not in f32 on the CPU device.
    pub fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        if tensor.dtype() != DType::F32 {
            return None;
        }
        let input = if tensor.device().is_autodiff() {
            let tensor = tensor.clone().try_into_primitive::<Autodiff<Flex>>();
            Self::Tracked(tensor.ok()?)
        } else {
            Self::Plain(tensor.clone().try_into_primitive::<Flex>().ok()?)
        };
        Some(input)
    }

    /// The numbers.
    pub fn values(&self) -> &FlexTensor {
        match self {
            Self::Plain(tensor) => tensor,
            Self::Tracked(tensor) => tensor.primitive(),
        }
    }
}

/// What an operation keeps for its backward pass, and that pass.
pub trait Derivative<const N: usize>: Clone + Debug + Send + 'static {
    /// The gradients of those inputs that `wants` names, from the gradient of the output.
    fn backward(self, gradient: FlexTensor, wants: [bool; N]) -> [Option<FlexTensor>; N];
}

/// The output of an operation as a tensor, its derivative entered in the graph of the inputs if there is one.
pub fn finish<D: Derivative<N>, const N: usize, const RANK: usize>(
    inputs: [Input; N],
    output: FlexTensor,
    derivative: impl FnOnce() -> D,
) -> Tensor<RANK> {
    if !inputs
        .iter()
        .any(|input| matches!(input, Input::Tracked(_)))
    {
        return Tensor::from_primitive::<Flex>(output);
    }
    let nodes = inputs.map(|input| match input {
        Input::Plain(tensor) => Tracked::new(tensor).node(),
        Input::Tracked(tensor) => tensor.node(),
    });
    let step = Step(std::marker::PhantomData::<D>);
    let prepared = Backward::<Flex, N>::prepare::<NoCheckpointing>(step, nodes);
    let output = match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(derivative(), output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(output)
}

/// A derivative as a step of Burn's graph.
#[derive(Debug)]
struct Step<D>(std::marker::PhantomData<D>);

impl<D: Derivative<N>, const N: usize> Backward<Flex, N> for Step<D> {
    type State = D;

    fn backward(self, ops: Ops<D, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let wants = ops.parents.each_ref().map(Option::is_some);
        let found = ops.state.backward(gradient, wants);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
    }
}
