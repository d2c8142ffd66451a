//! `bc-residual`: BC-ResNet's block (Kim et al. 2021, "Broadcasted residual learning for efficient keyword
//! spotting", equations 3 and 4), made causal, without its dropout.
//!
//! A filter a channel over bands with sub-spectral normalisation, then a temporal part on the mean over bands that
//! is broadcast back. Where channels and bands stay the same the input is added too; else a matrix over channels
//! stands before and nothing is added (the paper's transition block).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::genome::{GenomeError, MAX_BANDS, MAX_CHANNELS, MAX_FRAMES, check_range};
use crate::model::layers::LayerShape;
use crate::model::layers::broadcast::BroadcastShape;
use crate::model::layers::conv2d::{Conv2dShape, Extent, Norm};
use crate::model::port::Port;
use crate::model::wiring::{Layer, Link, Shortcut, Stage, Wiring};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BcResidualSpec {
    pub n_channels: usize,
    /// Kernel over bands: 3 in the paper.
    pub kernel_bands: usize,
    pub stride_bands: usize,
    /// Kernel over time: 3 in the paper.
    pub kernel_frames: usize,
    pub dilation_frames: usize,
    /// Groups of bands that are normalised apart: 5 in the paper. The next fewer that divide the bands where
    /// these do not.
    pub n_subbands: usize,
}

impl BcResidualSpec {
    pub(crate) fn validate(&self, place: &str) -> Result<(), GenomeError> {
        check_range(place, "n_channels", self.n_channels, MAX_CHANNELS)?;
        check_range(place, "kernel_bands", self.kernel_bands, MAX_BANDS)?;
        check_range(place, "stride_bands", self.stride_bands, MAX_BANDS)?;
        check_range(place, "kernel_frames", self.kernel_frames, MAX_FRAMES)?;
        check_range(place, "dilation_frames", self.dilation_frames, MAX_FRAMES)?;
        check_range(place, "n_subbands", self.n_subbands, MAX_BANDS)
    }

    pub(crate) fn wiring(&self, input: Port) -> Wiring {
        let mut chain = Vec::with_capacity(3);
        let keeps_shape = input.n_channels == self.n_channels && self.stride_bands == 1;
        let mut port = input;
        if !keeps_shape {
            let matrix = Conv2dShape::dense(port, self.n_channels, Extent::new(1, 1)).with_relu();
            port = matrix.output();
            chain.push(Link {
                name: "transition",
                layer: Layer::Conv2d(matrix),
            });
        }
        let frequency = Conv2dShape::depthwise(port, Extent::new(self.kernel_bands, 1))
            .with_stride(Extent::new(self.stride_bands, 1))
            .with_norm(Norm::PerSubband(self.n_subbands));
        let broadcast = BroadcastShape {
            port: frequency.output(),
            kernel_frames: self.kernel_frames,
            dilation_frames: self.dilation_frames,
        };
        chain.push(Link {
            name: "frequency",
            layer: Layer::Conv2d(frequency),
        });
        chain.push(Link {
            name: "broadcast",
            layer: Layer::Broadcast(broadcast),
        });
        let shortcut = if keeps_shape {
            Shortcut::Identity
        } else {
            Shortcut::None
        };
        Wiring {
            stages: vec![Stage {
                chain,
                shortcut,
                relu: true,
            }],
        }
    }
}

/// Bands before frames: `bc 8k3x3s1d2g5`.
impl fmt::Display for BcResidualSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            n_channels,
            kernel_bands,
            stride_bands,
            kernel_frames,
            dilation_frames,
            n_subbands,
        } = self;
        write!(
            f,
            "bc {n_channels}k{kernel_bands}x{kernel_frames}s{stride_bands}d{dilation_frames}g{n_subbands}"
        )
    }
}
