//! What a network is: a genome that describes it, what it costs, its weights, and its two forms.
//!
//! A [`Genome`] is plain data. From it come the cost, counted without building anything
//! ([`Cost::of`]); the trainable whole-clip form on Burn ([`Network`]); and the stepping form that
//! takes one frame at a time and allocates nothing ([`StreamNet`]). Both forms read the same
//! [`Weights`] by the same names, and tests hold them equal for every block kind.
//!
//! The room does not know how a genome was chosen or where its weights came from. The stepping
//! form is plain Rust, so a build without the `search` feature has no tensor library at all.

pub mod blocks;
pub mod combination;
pub mod cost;
pub mod genome;
pub mod head;
pub mod layers;
#[cfg(feature = "search")]
pub mod lengths;
#[cfg(feature = "search")]
pub mod network;
#[cfg(feature = "search")]
pub mod ops;
pub mod port;
pub mod stream_net;
pub mod weights;
pub mod wiring;

pub use blocks::Block;
pub use combination::{Combination, CombinationError, Mixture};
pub use cost::Cost;
pub use genome::{Genome, GenomeError, Ports};
pub use head::Head;
#[cfg(feature = "search")]
pub use lengths::Lengths;
#[cfg(feature = "search")]
pub use network::{Dropout, InputNorm, Network};
pub use port::Port;
pub use stream_net::StreamNet;
pub use weights::{NamedTensor, Weights, WeightsError};

#[cfg(all(test, feature = "search"))]
mod baselines;
#[cfg(all(test, feature = "search"))]
mod sequence_golden;
#[cfg(all(test, feature = "search"))]
mod spectral_golden;
#[cfg(all(test, feature = "search"))]
mod tests;
