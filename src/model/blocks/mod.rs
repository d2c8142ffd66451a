//! The library of block kinds, one file a kind. A kind is its parameters, their bounds and its
//! [`Wiring`]; all else follows from that.
//!
//! A kind is causal and streams unless its file says that it reads whole clips
//! ([`Wiring::streams`]). Serialised names are those of [`Block::kind`].

pub mod bc_residual;
pub mod bilstm;
pub mod collapse_bands;
pub mod conformer;
pub mod conv1d;
pub mod conv2d;
pub mod dilated_conv1d;
pub mod full_transformer;
pub mod gru;
pub mod identity;
pub mod inverted_bottleneck;
pub mod lstm;
pub mod matchbox;
pub mod pool;
pub mod pool_bands;
pub mod projected_lstm;
pub mod projected_svdf;
pub mod projection;
pub mod residual;
pub mod residual2d;
pub mod rnn;
pub mod se_res2;
pub mod separable_conv1d;
pub mod separable_conv2d;
pub mod skip_conv1d;
pub mod svdf;
pub mod transformer;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::genome::GenomeError;
use super::port::Port;
use super::wiring::Wiring;

/// One block, its variant owning its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
pub enum Block {
    #[serde(rename = "conv1d")]
    Conv1d(conv1d::Conv1dSpec),
    #[serde(rename = "dilated-conv1d")]
    DilatedConv1d(dilated_conv1d::DilatedConv1dSpec),
    #[serde(rename = "separable-conv1d")]
    SeparableConv1d(separable_conv1d::SeparableConv1dSpec),
    #[serde(rename = "residual")]
    Residual(residual::ResidualSpec),
    #[serde(rename = "svdf")]
    Svdf(svdf::SvdfSpec),
    #[serde(rename = "gru")]
    Gru(gru::GruSpec),
    #[serde(rename = "projection")]
    Projection(projection::ProjectionSpec),
    #[serde(rename = "bc-residual")]
    BcResidual(bc_residual::BcResidualSpec),
    #[serde(rename = "collapse-bands")]
    CollapseBands(collapse_bands::CollapseBandsSpec),
    #[serde(rename = "conv2d")]
    Conv2d(conv2d::Conv2dSpec),
    #[serde(rename = "identity")]
    Identity(identity::IdentitySpec),
    #[serde(rename = "inverted-bottleneck")]
    InvertedBottleneck(inverted_bottleneck::InvertedBottleneckSpec),
    #[serde(rename = "matchbox")]
    Matchbox(matchbox::MatchboxSpec),
    #[serde(rename = "pool")]
    Pool(pool::PoolSpec),
    #[serde(rename = "pool-bands")]
    PoolBands(pool_bands::PoolBandsSpec),
    #[serde(rename = "residual2d")]
    Residual2d(residual2d::Residual2dSpec),
    #[serde(rename = "separable-conv2d")]
    SeparableConv2d(separable_conv2d::SeparableConv2dSpec),
    #[serde(rename = "skip-conv1d")]
    SkipConv1d(skip_conv1d::SkipConv1dSpec),
    #[serde(rename = "rnn")]
    Rnn(rnn::RnnSpec),
    #[serde(rename = "lstm")]
    Lstm(lstm::LstmSpec),
    #[serde(rename = "projected-lstm")]
    ProjectedLstm(projected_lstm::ProjectedLstmSpec),
    #[serde(rename = "bilstm")]
    Bilstm(bilstm::BilstmSpec),
    #[serde(rename = "transformer")]
    Transformer(transformer::TransformerSpec),
    #[serde(rename = "full-transformer")]
    FullTransformer(full_transformer::FullTransformerSpec),
    #[serde(rename = "conformer")]
    Conformer(conformer::ConformerSpec),
    #[serde(rename = "projected-svdf")]
    ProjectedSvdf(projected_svdf::ProjectedSvdfSpec),
    #[serde(rename = "se-res2")]
    SeRes2(se_res2::SeRes2Spec),
}

/// The same expression for every kind.
macro_rules! each {
    ($block:expr, $spec:ident => $value:expr) => {
        match $block {
            Block::Conv1d($spec) => $value,
            Block::DilatedConv1d($spec) => $value,
            Block::SeparableConv1d($spec) => $value,
            Block::Residual($spec) => $value,
            Block::Svdf($spec) => $value,
            Block::Gru($spec) => $value,
            Block::Projection($spec) => $value,
            Block::BcResidual($spec) => $value,
            Block::CollapseBands($spec) => $value,
            Block::Conv2d($spec) => $value,
            Block::Identity($spec) => $value,
            Block::InvertedBottleneck($spec) => $value,
            Block::Matchbox($spec) => $value,
            Block::Pool($spec) => $value,
            Block::PoolBands($spec) => $value,
            Block::Residual2d($spec) => $value,
            Block::SeparableConv2d($spec) => $value,
            Block::SkipConv1d($spec) => $value,
            Block::Rnn($spec) => $value,
            Block::Lstm($spec) => $value,
            Block::ProjectedLstm($spec) => $value,
            Block::Bilstm($spec) => $value,
            Block::Transformer($spec) => $value,
            Block::FullTransformer($spec) => $value,
            Block::Conformer($spec) => $value,
            Block::ProjectedSvdf($spec) => $value,
            Block::SeRes2($spec) => $value,
        }
    };
}

impl Block {
    /// The names of all kinds, as recipes write them.
    pub const KINDS: [&'static str; 27] = [
        "conv1d",
        "dilated-conv1d",
        "separable-conv1d",
        "residual",
        "svdf",
        "gru",
        "projection",
        "bc-residual",
        "collapse-bands",
        "conv2d",
        "identity",
        "inverted-bottleneck",
        "matchbox",
        "pool",
        "pool-bands",
        "residual2d",
        "separable-conv2d",
        "skip-conv1d",
        "rnn",
        "lstm",
        "projected-lstm",
        "bilstm",
        "transformer",
        "full-transformer",
        "conformer",
        "projected-svdf",
        "se-res2",
    ];

    /// The kind's name, as recipes write it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Conv1d(_) => "conv1d",
            Self::DilatedConv1d(_) => "dilated-conv1d",
            Self::SeparableConv1d(_) => "separable-conv1d",
            Self::Residual(_) => "residual",
            Self::Svdf(_) => "svdf",
            Self::Gru(_) => "gru",
            Self::Projection(_) => "projection",
            Self::BcResidual(_) => "bc-residual",
            Self::CollapseBands(_) => "collapse-bands",
            Self::Conv2d(_) => "conv2d",
            Self::Identity(_) => "identity",
            Self::InvertedBottleneck(_) => "inverted-bottleneck",
            Self::Matchbox(_) => "matchbox",
            Self::Pool(_) => "pool",
            Self::PoolBands(_) => "pool-bands",
            Self::Residual2d(_) => "residual2d",
            Self::SeparableConv2d(_) => "separable-conv2d",
            Self::SkipConv1d(_) => "skip-conv1d",
            Self::Rnn(_) => "rnn",
            Self::Lstm(_) => "lstm",
            Self::ProjectedLstm(_) => "projected-lstm",
            Self::Bilstm(_) => "bilstm",
            Self::Transformer(_) => "transformer",
            Self::FullTransformer(_) => "full-transformer",
            Self::Conformer(_) => "conformer",
            Self::ProjectedSvdf(_) => "projected-svdf",
            Self::SeRes2(_) => "se-res2",
        }
    }

    /// Checks every field; `place` names the block in the error.
    pub fn validate(&self, place: &str) -> Result<(), GenomeError> {
        each!(self, spec => spec.validate(place))
    }

    /// The block's layers behind that input.
    pub fn wiring(&self, input: Port) -> Wiring {
        each!(self, spec => spec.wiring(input))
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        each!(self, spec => write!(f, "{spec}"))
    }
}

#[cfg(test)]
pub(crate) mod examples {
    use super::*;

    /// Every kind at least once, with and without stride.
    pub(crate) fn blocks() -> Vec<Block> {
        let parse = |text| serde_json::from_str(text).expect("an example block");
        vec![
            parse(r#"{"kind":"conv1d","n_channels":6,"kernel_frames":3,"stride_frames":1}"#),
            parse(r#"{"kind":"conv1d","n_channels":5,"kernel_frames":5,"stride_frames":2}"#),
            parse(
                r#"{"kind":"dilated-conv1d","n_channels":6,"kernel_frames":3,"dilation_frames":4}"#,
            ),
            parse(
                r#"{"kind":"separable-conv1d","n_channels":7,"kernel_frames":9,"stride_frames":1}"#,
            ),
            parse(
                r#"{"kind":"separable-conv1d","n_channels":7,"kernel_frames":4,"stride_frames":3}"#,
            ),
            parse(r#"{"kind":"residual","n_channels":8,"kernel_frames":5,"stride_frames":1}"#),
            parse(r#"{"kind":"residual","n_channels":6,"kernel_frames":9,"stride_frames":2}"#),
            parse(r#"{"kind":"svdf","n_units":12,"memory_frames":8}"#),
            parse(r#"{"kind":"gru","n_units":9}"#),
            parse(r#"{"kind":"projection","n_channels":4}"#),
            parse(
                r#"{"kind":"bc-residual","n_channels":6,"kernel_bands":3,"stride_bands":1,"kernel_frames":3,"dilation_frames":2,"n_subbands":5}"#,
            ),
            parse(
                r#"{"kind":"bc-residual","n_channels":4,"kernel_bands":3,"stride_bands":2,"kernel_frames":3,"dilation_frames":1,"n_subbands":5}"#,
            ),
            parse(r#"{"kind":"collapse-bands","n_channels":7,"kernel_frames":5}"#),
            parse(
                r#"{"kind":"conv2d","n_channels":6,"kernel_bands":3,"kernel_frames":5,"stride_bands":1,"stride_frames":1}"#,
            ),
            parse(
                r#"{"kind":"conv2d","n_channels":6,"kernel_bands":4,"kernel_frames":3,"stride_bands":2,"stride_frames":2}"#,
            ),
            parse(r#"{"kind":"identity"}"#),
            parse(
                r#"{"kind":"inverted-bottleneck","n_channels":6,"expansion":3,"kernel_frames":5,"stride_frames":1,"gate":{"squeeze-excite":{"reduction":4,"window_frames":9}}}"#,
            ),
            parse(
                r#"{"kind":"inverted-bottleneck","n_channels":5,"expansion":1,"kernel_frames":4,"stride_frames":2,"gate":"none"}"#,
            ),
            parse(
                r#"{"kind":"matchbox","n_channels":6,"kernel_frames":5,"dilation_frames":1,"n_repeats":2,"residual":true}"#,
            ),
            parse(
                r#"{"kind":"matchbox","n_channels":5,"kernel_frames":4,"dilation_frames":3,"n_repeats":1,"residual":false}"#,
            ),
            parse(
                r#"{"kind":"pool","reduction":"mean","window_frames":4,"stride_frames":2,"window_bands":3}"#,
            ),
            parse(
                r#"{"kind":"pool","reduction":"max","window_frames":3,"stride_frames":1,"window_bands":4}"#,
            ),
            parse(r#"{"kind":"pool-bands","reduction":"mean"}"#),
            parse(
                r#"{"kind":"residual2d","n_channels":6,"kernel_bands":3,"kernel_frames":3,"dilation_bands":1,"dilation_frames":1}"#,
            ),
            parse(
                r#"{"kind":"residual2d","n_channels":4,"kernel_bands":3,"kernel_frames":2,"dilation_bands":2,"dilation_frames":3}"#,
            ),
            parse(
                r#"{"kind":"separable-conv2d","n_channels":5,"kernel_bands":3,"kernel_frames":3,"stride_bands":1,"stride_frames":1}"#,
            ),
            parse(
                r#"{"kind":"separable-conv2d","n_channels":6,"kernel_bands":5,"kernel_frames":4,"stride_bands":3,"stride_frames":2}"#,
            ),
            parse(
                r#"{"kind":"skip-conv1d","n_channels":6,"kernel_frames":3,"dilation_frames":1,"merge":"sum"}"#,
            ),
            parse(
                r#"{"kind":"skip-conv1d","n_channels":5,"kernel_frames":4,"dilation_frames":2,"merge":"concatenate"}"#,
            ),
            parse(r#"{"kind":"rnn","n_units":7,"activation":"tanh"}"#),
            parse(r#"{"kind":"rnn","n_units":6,"activation":"relu"}"#),
            parse(r#"{"kind":"lstm","n_units":8}"#),
            parse(r#"{"kind":"projected-lstm","n_units":9,"n_channels":4}"#),
            parse(r#"{"kind":"bilstm","n_units":5}"#),
            parse(
                r#"{"kind":"transformer","n_channels":6,"n_heads":2,"left_context_frames":7,"n_hidden":10}"#,
            ),
            parse(
                r#"{"kind":"transformer","n_channels":8,"n_heads":1,"left_context_frames":1,"n_hidden":9}"#,
            ),
            parse(
                r#"{"kind":"full-transformer","n_channels":6,"n_heads":3,"max_distance_frames":4,"n_hidden":8}"#,
            ),
            parse(
                r#"{"kind":"conformer","n_channels":6,"n_heads":2,"left_context_frames":5,"kernel_frames":4,"n_hidden":12}"#,
            ),
            parse(
                r#"{"kind":"conformer","n_channels":4,"n_heads":2,"left_context_frames":3,"kernel_frames":1,"n_hidden":5}"#,
            ),
            parse(r#"{"kind":"projected-svdf","n_units":11,"memory_frames":6,"n_channels":5}"#),
            parse(
                r#"{"kind":"se-res2","n_channels":6,"n_groups":3,"kernel_frames":3,"dilation_frames":2,"n_hidden":4,"window_frames":9}"#,
            ),
            parse(
                r#"{"kind":"se-res2","n_channels":8,"n_groups":4,"kernel_frames":2,"dilation_frames":1,"n_hidden":3,"window_frames":5}"#,
            ),
        ]
    }

    /// The block's text with the number at that place in it changed; `None` behind the last number.
    fn with_number(block: &Block, place: usize, number: u64) -> Option<Block> {
        fn change(value: &mut serde_json::Value, place: &mut usize, number: u64) -> bool {
            match value {
                serde_json::Value::Number(found) => {
                    *place = place.wrapping_sub(1);
                    if *place == usize::MAX {
                        *found = number.into();
                    }
                    *place == usize::MAX
                }
                serde_json::Value::Object(fields) => fields
                    .values_mut()
                    .any(|value| change(value, place, number)),
                _ => false,
            }
        }
        let mut value = serde_json::to_value(block).unwrap();
        let mut place = place;
        change(&mut value, &mut place, number).then(|| serde_json::from_value(value).unwrap())
    }

    #[test]
    fn every_number_of_every_block_is_held_to_its_bounds() {
        for block in blocks() {
            block.validate("here").unwrap();
            for place in 0.. {
                let Some(zero) = with_number(&block, place, 0) else {
                    break;
                };
                let vast = with_number(&block, place, 1 << 40).unwrap();
                for wrong in [zero, vast] {
                    let error = wrong.validate("here").unwrap_err().to_string();
                    assert!(error.starts_with("here: "), "{wrong}: {error}");
                }
            }
        }
    }

    #[test]
    fn no_two_blocks_look_alike() {
        let texts: std::collections::BTreeSet<String> =
            blocks().iter().map(Block::to_string).collect();
        assert_eq!(texts.len(), blocks().len());
    }

    #[test]
    fn every_kind_has_an_example() {
        for kind in Block::KINDS {
            assert!(blocks().iter().any(|block| block.kind() == kind), "{kind}");
        }
    }
}
