//! A bundle as one ONNX graph (operator set 17), in one of two forms.
//!
//! # The whole-clip form
//!
//! ```text
//! frames [1, n_frames, n_mels]  ->  logits [n_members, n_classes], probabilities [1, n_classes]
//! ```
//!
//! `n_frames` is free. The answer is that of the whole clip: each member's last one.
//!
//! # The streaming form
//!
//! ```text
//! frames [1, 1, n_mels], states ...  ->  logits, probabilities, states ... .next
//! ```
//!
//! One frame a run, one hop of sound. Every input but `frames` is a state: zeros at first, then what the
//! output of the same name with `.next` behind it was. A state is named by the layer that remembers it.
//! Outputs are the latest answer at every frame, as a listening program has it: a network that answers
//! every fourth frame says the same four times. What lies behind a stride is computed at every frame and
//! kept at every fourth, so that no runtime needs branches.
//!
//! Feature scale, folded normalisations, the rule of an ensemble and the softmax are in the graph; the
//! front-end and the detector are not, and stand in the metadata as JSON.

mod attention;
mod combination;
mod graph;
mod head;
mod layers;
pub(super) mod proto;
mod recurrent;
mod spectral;
mod wiring;
mod writer;

use prost::Message;

use self::graph::{Builder, Dim};
use self::writer::Writer;
use crate::bundle::Bundle;
use crate::model::stream_net::NetworkError;
use crate::model::{CombinationError, Genome, GenomeError, WeightsError};

/// What one run of the graph takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All frames of a clip.
    Clip,
    /// One frame, and what earlier ones left behind.
    Stream,
}

/// Why a bundle cannot be written as a graph.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("member {index}: {source}")]
    Network { index: usize, source: NetworkError },
    #[error(
        "member {index}: {place} reads whole clips, expected blocks that stream; its whole-clip form can be exported"
    )]
    CannotStream { index: usize, place: String },
    #[error(transparent)]
    Mixture(#[from] CombinationError),
    #[error("found no member, expected at least one")]
    NoMember,
}

/// The bytes of an `.onnx` file.
///
/// # Errors
///
/// Genomes or weights that do not fit; for [`Form::Stream`] a block that reads whole clips, by its name.
pub fn write(bundle: &Bundle, form: Form) -> Result<Vec<u8>, ExportError> {
    let mut graph = Builder::default();
    let n_mels = bundle.frontend.n_mels;
    let n_frames = match form {
        Form::Clip => Dim::Named("n_frames"),
        Form::Stream => Dim::Fixed(1),
    };
    let dims = [Dim::Fixed(1), n_frames, Dim::Fixed(n_mels)];
    let frames = graph.input(
        "frames",
        &dims,
        "log-mel frames, as the front-end makes them",
    );
    let frames = graph.node(
        "Transpose",
        "features",
        &[&frames],
        vec![graph::ints("perm", &[0, 2, 1])],
    );
    let mut logits = Vec::with_capacity(bundle.members.len());
    for (index, member) in bundle.members.iter().enumerate() {
        let network = |source| ExportError::Network { index, source };
        let invalid = |source: GenomeError| network(source.into());
        member.genome.validate().map_err(invalid)?;
        if form == Form::Stream {
            refuse_whole_clips(index, &member.genome, n_mels)?;
        }
        let prefix = format!("members.{index}.");
        let mut writer = Writer::new(&mut graph, form, prefix, &member.weights);
        let unfit = |source: WeightsError| network(source.into());
        let of_member = writer
            .network(&member.genome, &bundle.ports(), &frames)
            .map_err(unfit)?;
        logits.push(of_member);
    }
    let n_classes = bundle.labels.len();
    combination::write(&mut graph, bundle, &logits)?;
    let metadata = metadata(bundle, form);
    let model = proto::Model {
        ir_version: proto::IR_VERSION,
        opset_import: vec![proto::OperatorSet {
            domain: String::new(),
            version: proto::OPSET_VERSION,
        }],
        producer_name: "auricle".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        doc_string: format!("{}: {n_classes} classes", bundle.title),
        graph: Some(graph.finish("auricle")),
        metadata_props: metadata,
    };
    Ok(model.encode_to_vec())
}

fn refuse_whole_clips(index: usize, genome: &Genome, n_mels: usize) -> Result<(), ExportError> {
    let whole = genome.wirings(n_mels).into_iter();
    let mut whole = whole.filter(|(_, wiring)| !wiring.streams());
    let Some((prefix, _)) = whole.next() else {
        return Ok(());
    };
    let at = prefix
        .strip_prefix("blocks.")
        .and_then(|at| at.parse::<usize>().ok());
    let place = match at.and_then(|at| genome.blocks.get(at)) {
        Some(block) => format!("{prefix} ({})", block.kind()),
        None => prefix,
    };
    Err(ExportError::CannotStream { index, place })
}

/// Frames from one answer to the next: those of the fastest member.
fn answer_frames(bundle: &Bundle) -> usize {
    let jumps = bundle.members.iter().map(|member| {
        let wirings = member.genome.wirings(bundle.frontend.n_mels);
        let strides = wirings.iter().map(|(_, wiring)| wiring.stride_frames());
        strides.product::<usize>()
    });
    jumps.min().unwrap_or(1)
}

/// What a program needs beside the graph, each value JSON but the title.
fn metadata(bundle: &Bundle, form: Form) -> Vec<proto::Entry> {
    let json = |value: serde_json::Result<String>| value.expect("plain data is JSON");
    let form = match form {
        Form::Clip => "clip",
        Form::Stream => "stream",
    };
    let entries = [
        ("auricle.title", bundle.title.clone()),
        ("auricle.form", json(serde_json::to_string(form))),
        (
            "auricle.labels",
            json(serde_json::to_string(&bundle.labels)),
        ),
        (
            "auricle.frontend",
            json(serde_json::to_string(&bundle.frontend)),
        ),
        (
            "auricle.detector",
            json(serde_json::to_string(&bundle.detector)),
        ),
        (
            "auricle.languages",
            json(serde_json::to_string(&bundle.languages)),
        ),
        ("auricle.clip_ms", bundle.clip_ms.to_string()),
        (
            "auricle.whole_clips_ms",
            json(serde_json::to_string(&bundle.whole_clips_ms)),
        ),
        ("auricle.answer_frames", answer_frames(bundle).to_string()),
        (
            "auricle.provenance",
            json(serde_json::to_string(&bundle.provenance)),
        ),
    ];
    let entry = |(key, value): (&str, String)| proto::Entry {
        key: key.to_owned(),
        value,
    };
    entries.into_iter().map(entry).collect()
}
