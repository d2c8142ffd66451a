//! What an exported graph promises: another reader of ONNX computes from it what our own networks answer.

use std::collections::BTreeMap;

use prost::Message;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tract_onnx::prelude::*;

use super::onnx::{self, proto};
use super::{ExportError, Form};
use crate::bundle::Bundle;
use crate::bundle::examples::{bundle, genome, random_value, recurrent, residual};
use crate::model::blocks::examples::blocks;
use crate::model::head::examples::heads;
use crate::model::stream_net::NetworkError;
use crate::model::{
    Block, Combination, Genome, Head, Mixture, NamedTensor, StreamNet, WeightsError,
};

/// The largest difference that another order of sums may make.
const TOLERANCE: f32 = 1e-4;

/// A file, opened by tract.
struct Foreign {
    model: std::sync::Arc<TypedRunnableModel>,
    inputs: Vec<(String, Vec<usize>)>,
    outputs: Vec<String>,
}

impl Foreign {
    /// Opens it for that many frames a run.
    fn open(bytes: &[u8], n_frames: usize) -> Self {
        let message = proto::Model::decode(bytes).unwrap();
        let graph = message.graph.unwrap();
        let dims = |value: &proto::ValueInfo| -> Vec<usize> {
            let tensor = value.kind.clone().unwrap().tensor_type.unwrap();
            let dims = tensor.shape.unwrap().dim;
            let size = |dim: &proto::Dimension| match dim.size.clone().unwrap() {
                proto::Size::Value(n) => n as usize,
                proto::Size::Named(name) => {
                    assert_eq!(name, "n_frames");
                    n_frames
                }
            };
            dims.iter().map(size).collect()
        };
        let named = |value: &proto::ValueInfo| (value.name.clone(), dims(value));
        let inputs: Vec<_> = graph.input.iter().map(named).collect();
        let mut model = tract_onnx::onnx()
            .model_for_read(&mut &bytes[..])
            .unwrap_or_else(|error| panic!("{error:?}"));
        for (at, (_, shape)) in inputs.iter().enumerate() {
            model = model.with_input_fact(at, f32::fact(shape).into()).unwrap();
        }
        let model = model
            .into_optimized()
            .and_then(|model| model.into_runnable())
            .unwrap_or_else(|error| panic!("{error:?}"));
        Self {
            model,
            inputs,
            outputs: graph.output.into_iter().map(|output| output.name).collect(),
        }
    }

    fn run(&self, values: &BTreeMap<String, Vec<f32>>) -> BTreeMap<String, Vec<f32>> {
        let inputs = self.inputs.iter();
        let inputs = inputs
            .map(|(name, shape)| Tensor::from_shape(shape, &values[name]).unwrap().into())
            .collect();
        let answers = self
            .model
            .run(inputs)
            .unwrap_or_else(|error| panic!("{error:?}"));
        let values = answers.iter().map(|answer| {
            let view = answer.try_as_plain_ram().unwrap();
            view.as_slice::<f32>().unwrap().to_vec()
        });
        self.outputs.iter().cloned().zip(values).collect()
    }

    fn clip(&self, frames: &[Vec<f32>]) -> BTreeMap<String, Vec<f32>> {
        self.run(&BTreeMap::from([("frames".into(), frames.concat())]))
    }

    /// The answers at every frame, all states zeros at first.
    fn stream(&self, frames: &[Vec<f32>]) -> Vec<BTreeMap<String, Vec<f32>>> {
        let zeros = |(name, shape): &(String, Vec<usize>)| {
            (name.clone(), vec![0.0; shape.iter().product()])
        };
        let mut values: BTreeMap<String, Vec<f32>> = self.inputs.iter().map(zeros).collect();
        let mut answers = Vec::new();
        for frame in frames {
            values.insert("frames".into(), frame.clone());
            let found = self.run(&values);
            for (name, value) in &found {
                if let Some(state) = name.strip_suffix(".next") {
                    let old = values.insert(state.to_owned(), value.clone());
                    assert_eq!(old.unwrap().len(), value.len(), "{state}");
                }
            }
            answers.push(found);
        }
        answers
    }
}

/// Log-mel frames of nothing in particular.
fn frames(n_frames: usize, n_mels: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut frame = || (0..n_mels).map(|_| rng.random_range(-12.0..-2.0)).collect();
    (0..n_frames).map(|_| frame()).collect()
}

/// A bundle of one network, whole clips or not, its weights drawn until nothing is missing.
fn bundle_of(genome: Genome) -> Bundle {
    let mut bundle = bundle(&[residual()], 1);
    let member = &mut bundle.members[0];
    member.genome = genome;
    member.weights.tensors.clear();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    loop {
        let Err(ExportError::Network { source, .. }) = onnx::write(&bundle, Form::Clip) else {
            return bundle;
        };
        let (name, shape) = match source {
            // Of no shape that fits, so that the next round tells the right one.
            NetworkError::Weights(WeightsError::Missing { name }) => (name, vec![0]),
            NetworkError::Weights(WeightsError::WrongShape { name, expected, .. }) => {
                (name, expected)
            }
            error => panic!("{error}"),
        };
        let n = shape.iter().product();
        let values = (0..n).map(|_| random_value(&name, n, &shape, &mut rng));
        let values: Vec<f32> = values.collect();
        let tensor = NamedTensor { shape, values };
        bundle.members[0].weights.tensors.insert(name, tensor);
    }
}

/// Each member's latest logits at every frame, by the stepping networks.
fn stepped(bundle: &Bundle, frames: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let networks = bundle.members.iter();
    let mut networks: Vec<StreamNet> = networks
        .map(|member| StreamNet::new(&member.genome, &bundle.ports(), &member.weights).unwrap())
        .collect();
    let mut latest = vec![vec![]; networks.len()];
    let mut answers = Vec::new();
    for frame in frames {
        for (network, latest) in networks.iter_mut().zip(&mut latest) {
            if let Some(logits) = network.step(frame) {
                *latest = logits.to_vec();
            }
        }
        answers.push(latest.concat());
    }
    answers
}

fn probabilities(bundle: &Bundle, logits: &[f32]) -> Vec<f32> {
    let weights = bundle.members.iter().map(|member| member.weight).collect();
    let by_weight = Combination::WeightedProbabilities { weights };
    let mut probabilities = vec![0.0; bundle.labels.len()];
    let rule = bundle.mixture.as_ref().unwrap_or(&by_weight);
    rule.apply(logits, &mut probabilities);
    probabilities
}

#[track_caller]
fn assert_near(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let pairs = found.iter().zip(expected);
    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(
        worst <= TOLERANCE,
        "{what}: {worst}\nfound    {found:?}\nexpected {expected:?}"
    );
}

#[track_caller]
fn check_clip(bundle: &Bundle, n_frames: usize) {
    let bytes = onnx::write(bundle, Form::Clip).unwrap();
    let frames = frames(n_frames, bundle.frontend.n_mels, 9);
    let found = Foreign::open(&bytes, n_frames).clip(&frames);
    let expected = stepped(bundle, &frames).pop().unwrap();
    let what = format!("clip of {n_frames}: {}", bundle.members[0].genome);
    assert_near(&found["logits"], &expected, &what);
    let expected = probabilities(bundle, &expected);
    assert_near(&found["probabilities"], &expected, &what);
}

#[track_caller]
fn check_stream(bundle: &Bundle, n_frames: usize) {
    let bytes = onnx::write(bundle, Form::Stream).unwrap();
    let frames = frames(n_frames, bundle.frontend.n_mels, 9);
    let found = Foreign::open(&bytes, 1).stream(&frames);
    let expected = stepped(bundle, &frames);
    for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let what = format!("frame {at}: {}", bundle.members[0].genome);
        assert_near(&found["logits"], expected, &what);
        let expected = probabilities(bundle, expected);
        assert_near(&found["probabilities"], &expected, &what);
    }
}

/// The block behind a stem, so that it sees channels, or in front of everything, so that it sees bands.
fn around(block: Block, stem: bool) -> Genome {
    let stem = stem.then(|| {
        serde_json::from_str(r#"{"n_channels":6,"kernel_frames":3,"stride_frames":2}"#).unwrap()
    });
    Genome {
        stem,
        blocks: vec![block],
        head: Head::Mean { window_frames: 20 },
    }
}

#[test]
fn whole_clips_of_every_kind_that_streams_are_as_the_stepping_network_has_them() {
    for block in blocks() {
        for stem in [true, false] {
            let genome = around(block, stem);
            if genome.streams() {
                check_clip(&bundle_of(genome), 37);
            }
        }
    }
}

#[test]
fn one_frame_at_a_time_of_every_kind_is_as_the_stepping_network_has_it() {
    for block in blocks() {
        for stem in [true, false] {
            let genome = around(block, stem);
            if genome.streams() {
                check_stream(&bundle_of(genome), 31);
            }
        }
    }
}

#[test]
fn every_head_answers_alike_in_both_forms() {
    for head in heads() {
        let genome = Genome {
            head,
            ..recurrent()
        };
        let bundle = bundle_of(genome);
        check_clip(&bundle, 70);
        check_stream(&bundle, 70);
    }
}

#[test]
fn clips_of_any_length_are_answered_by_the_same_file() {
    let bundle = bundle_of(around(blocks()[5], true));
    for n_frames in [1, 2, 5, 98, 150] {
        check_clip(&bundle, n_frames);
    }
}

#[test]
fn ensembles_whose_members_answer_at_their_own_pace_are_one_graph_by_any_rule() {
    let (n_members, n_classes) = (3, 4);
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(0.1..1.0)).collect() };
    let mixed = |mixture, bias| Combination::WeightedLogits { mixture, bias };
    let rules = [
        None,
        Some(Combination::MeanProbabilities),
        Some(Combination::MeanLogits),
        Some(Combination::WeightedProbabilities {
            weights: draw(n_members),
        }),
        Some(mixed(Mixture::Scalar(draw(n_members)), vec![])),
        Some(mixed(
            Mixture::Vector(draw(n_members * n_classes)),
            draw(n_classes),
        )),
        Some(mixed(
            Mixture::Matrix(draw(n_members * n_classes * n_classes)),
            draw(n_classes),
        )),
    ];
    for mixture in rules {
        let mut bundle = bundle(&[residual(), recurrent(), residual()], 3);
        bundle.mixture = mixture;
        check_clip(&bundle, 45);
        check_stream(&bundle, 25);
    }
}

#[test]
fn a_kind_that_reads_whole_clips_is_refused_by_name_where_one_listens() {
    let bilstm = genome(
        r#"{"stem":{"n_channels":6,"kernel_frames":3,"stride_frames":1},
            "blocks":[{"kind":"identity"},{"kind":"bilstm","n_units":5}],
            "head":{"kind":"last"}}"#,
    );
    let error = onnx::write(&bundle_of(bilstm), Form::Stream).unwrap_err();
    assert_eq!(
        error.to_string(),
        "member 0: blocks.1 (bilstm) reads whole clips, expected blocks that stream; \
         its whole-clip form can be exported"
    );
}

#[test]
fn states_are_named_by_the_layer_that_remembers() {
    let bundle = bundle(&[recurrent()], 3);
    let file = Foreign::open(&onnx::write(&bundle, Form::Stream).unwrap(), 1);
    let names: Vec<&str> = file.inputs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "frames",
            "members.0.phase",
            "members.0.stem.conv.past",
            "members.0.blocks.0.gru.hidden",
            "members.0.blocks.1.time.past",
            "members.0.head.window.past",
            "members.0.head.seen",
            "members.0.logits",
        ]
    );
    let states = names[1..].iter().map(|name| format!("{name}.next"));
    let expected: Vec<String> = ["logits", "probabilities"]
        .map(String::from)
        .into_iter()
        .chain(states)
        .collect();
    assert_eq!(file.outputs, expected);
}

#[test]
fn labels_and_front_end_travel_with_the_graph() {
    let bundle = bundle(&[residual()], 3);
    let message = proto::Model::decode(&onnx::write(&bundle, Form::Clip).unwrap()[..]).unwrap();
    let value = |key: &str| {
        let entry = message.metadata_props.iter().find(|entry| entry.key == key);
        serde_json::from_str::<serde_json::Value>(&entry.unwrap().value).unwrap()
    };
    assert_eq!(value("auricle.labels"), serde_json::json!(bundle.labels));
    let frontend = serde_json::from_value(value("auricle.frontend")).unwrap();
    assert_eq!(bundle.frontend, frontend);
    assert_eq!(value("auricle.form"), "clip");
    assert_eq!(value("auricle.answer_frames"), 4);
}

/// `AURICLE_ONNX_FOLDER=DIR cargo test export::` leaves every kind there for `benches/onnx/check.py`.
#[test]
fn graphs_for_other_runtimes_are_written_where_they_are_asked_for() {
    let Some(folder) = std::env::var_os("AURICLE_ONNX_FOLDER") else {
        eprintln!("AURICLE_ONNX_FOLDER is not set: nothing to write");
        return;
    };
    let folder = std::path::Path::new(&folder);
    std::fs::create_dir_all(folder).unwrap();
    let around_block = |block| [true, false].map(|stem| around(block, stem));
    let blocks = blocks().into_iter().flat_map(around_block);
    let heads = heads().into_iter().map(|head| Genome {
        head,
        ..recurrent()
    });
    for (at, genome) in blocks.chain(heads).enumerate() {
        if !genome.streams() {
            continue;
        }
        let bundle = bundle_of(genome);
        let frames = frames(40, bundle.frontend.n_mels, 9);
        for (form, name) in [(Form::Clip, "clip"), (Form::Stream, "stream")] {
            let path = folder.join(format!("{at:03}-{name}.onnx"));
            std::fs::write(&path, onnx::write(&bundle, form).unwrap()).unwrap();
            let case = serde_json::json!({
                "genome": bundle.members[0].genome.to_string(),
                "form": name,
                "frames": frames,
                "logits": stepped(&bundle, &frames),
            });
            std::fs::write(path.with_extension("json"), case.to_string()).unwrap();
        }
    }
}
