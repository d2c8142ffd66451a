//! `se-res2`: ECAPA-TDNN's block (Desplanques et al. 2020), made causal: a matrix, Res2Net's hierarchy of narrow dilated
//! convolutions, a matrix, a squeeze-and-excitation gate, and the input added.
//!
//! ReLU stands behind each normalisation, not before it as in the paper, and the gate hears the last `window_frames`
//! frames in place of the whole recording. The blocks' outputs are not gathered: one follows the other.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_CHANNELS, MAX_FRAMES, check_multiple, check_range};
use crate::model::layers::conv_norm::ConvShape;
use crate::model::layers::res2::Res2Shape;
use crate::model::layers::squeeze_excite::SqueezeExciteShape;
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Shortcut, Stage, Wiring};

/// Most groups of channels.
const MAX_GROUPS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeRes2Spec {
    pub n_channels: usize,
    /// Groups of channels (the paper's scale, 8); divides `n_channels`.
    pub n_groups: usize,
    pub kernel_frames: usize,
    pub dilation_frames: usize,
    /// Width of the gate's narrow layer: 128 in the paper.
    pub n_hidden: usize,
    /// Frames that the gate hears.
    pub window_frames: usize,
}

impl SeRes2Spec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "n_channels", self.n_channels, MAX_CHANNELS)?;
        check_range(place, "n_groups", self.n_groups, MAX_GROUPS)?;
        let divisor = ("n_groups", self.n_groups);
        check_multiple(place, ("n_channels", self.n_channels), divisor)?;
        check_range(place, "kernel_frames", self.kernel_frames, MAX_FRAMES)?;
        check_range(place, "dilation_frames", self.dilation_frames, MAX_FRAMES)?;
        check_range(place, "n_hidden", self.n_hidden, MAX_CHANNELS)?;
        check_range(place, "window_frames", self.window_frames, MAX_FRAMES)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let (n_in, n) = (input.n_values(), self.n_channels);
        let res2 = Res2Shape {
            n_channels: n,
            n_groups: self.n_groups,
            kernel_frames: self.kernel_frames,
            dilation_frames: self.dilation_frames,
        };
        let gate = SqueezeExciteShape {
            n_channels: n,
            n_hidden: self.n_hidden,
            window_frames: self.window_frames,
        };
        let link = |name, layer| Link { name, layer };
        let matrix = |n_in| Layer::Conv(ConvShape::dense(n_in, n, 1).with_relu());
        let shortcut = if n_in == n {
            Shortcut::Identity
        } else {
            Shortcut::Layer(Layer::Conv(ConvShape::dense(n_in, n, 1)))
        };
        Wiring {
            stages: vec![Stage {
                chain: vec![
                    link("enter", matrix(n_in)),
                    link("res2", Layer::Res2(res2)),
                    link("leave", matrix(n)),
                    link("gate", Layer::SqueezeExcite(gate)),
                ],
                shortcut,
                relu: false,
            }],
        }
    }
}

/// `se-res2 128g8k3d2h32w300`: groups, kernel, dilation, the gate's width and window.
impl fmt::Display for SeRes2Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n_channels,
            n_groups,
            kernel_frames,
            dilation_frames,
            n_hidden,
            window_frames,
        } = self;
        write!(
            f,
            "se-res2 {n_channels}g{n_groups}k{kernel_frames}d{dilation_frames}h{n_hidden}w{window_frames}"
        )
    }
}
