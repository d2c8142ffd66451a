//! Which layers of which donors a child takes over.

mod averages;
mod width;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::model::wiring::{Layer, Shortcut};

fn ports() -> Ports {
    Ports {
        n_mels: 5,
        n_classes: 3,
        frames_per_1000_s: 100_000,
    }
}

fn genome(text: &str) -> Genome {
    // `stem | block, block | head`, each a kind and its fields.
    let part = |text: &str| {
        let mut words = text.split_whitespace();
        let kind = words.next().unwrap();
        let mut fields = serde_json::Map::new();
        if kind != "stem" {
            fields.insert("kind".into(), kind.into());
        }
        for word in words {
            let (name, value) = word.split_once('=').unwrap();
            let name = match name {
                "c" => "n_channels",
                "k" => "kernel_frames",
                "s" => "stride_frames",
                "d" => "dilation_frames",
                "u" => "n_units",
                "m" => "memory_frames",
                "w" => "window_frames",
                other => panic!("{other}"),
            };
            fields.insert(name.into(), value.parse::<u64>().unwrap().into());
        }
        serde_json::Value::Object(fields)
    };
    let parts: Vec<&str> = text.split('|').map(str::trim).collect();
    let blocks = parts[1]
        .split(',')
        .map(str::trim)
        .filter(|block| !block.is_empty());
    let genome = Genome {
        stem: serde_json::from_value(part(parts[0])).unwrap(),
        blocks: blocks
            .map(|block| serde_json::from_value(part(block)).unwrap())
            .collect(),
        head: serde_json::from_value(part(parts[2])).unwrap(),
    };
    genome.validate().unwrap();
    genome
}

/// Weights of every name and shape that the genome reads, drawn anew.
fn drawn(genome: &Genome, seed: u64) -> Weights {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut weights = Weights::default();
    let mut put = |name: String, shape: &[usize]| {
        let low = if name.ends_with("running_var") {
            0.5
        } else {
            -0.5
        };
        let n = shape.iter().product();
        let values = (0..n).map(|_| low + rng.random::<f32>()).collect();
        let shape = shape.to_vec();
        weights.tensors.insert(name, NamedTensor { shape, values });
    };
    let wirings = genome.wirings(ports().n_mels);
    let n_channels = wirings.last().unwrap().1.output().n_values();
    for (prefix, wiring) in wirings {
        let mut layers: Vec<(String, Layer)> = Vec::new();
        for stage in &wiring.stages {
            let chain = stage.chain.iter();
            layers.extend(chain.map(|link| (link.name.to_owned(), link.layer)));
            if let Shortcut::Layer(layer) = stage.shortcut {
                layers.push(("shortcut".into(), layer));
            }
        }
        for (name, layer) in layers {
            let name = |part: &str| format!("{prefix}.{name}.{part}");
            if let Layer::Conv(shape) = layer {
                let n_in = if shape.depthwise { 1 } else { shape.n_in };
                put(name("weight"), &[shape.n_out, n_in, shape.kernel_frames]);
                for part in ["gamma", "beta", "running_mean", "running_var"] {
                    put(name(&format!("norm.{part}")), &[shape.n_out]);
                }
            } else if let Layer::Linear(shape) = layer {
                put(name("weight"), &[shape.n_in, shape.n_out]);
                if shape.bias {
                    put(name("bias"), &[shape.n_out]);
                }
            } else if let Layer::Gru(shape) = layer {
                put(name("w_input"), &[shape.n_in, 3 * shape.n_units]);
                put(name("w_hidden"), &[shape.n_units, 3 * shape.n_units]);
                put(name("b_input"), &[3 * shape.n_units]);
                put(name("b_hidden"), &[3 * shape.n_units]);
            }
        }
    }
    let n_parts = if matches!(genome.head, crate::model::Head::Statistics { .. }) {
        2
    } else {
        1
    };
    put(
        "head.classifier.weight".into(),
        &[n_parts * n_channels, ports().n_classes],
    );
    put("head.classifier.bias".into(), &[ports().n_classes]);
    for (name, value) in [("input.mean", seed as f32), ("input.inv_deviation", 1.0)] {
        let values = vec![value; ports().n_mels];
        let shape = vec![values.len()];
        weights
            .tensors
            .insert(name.into(), NamedTensor { shape, values });
    }
    weights
}

fn snapshot(by: MatchBy, partial_width: bool) -> SharingSpec {
    SharingSpec::Snapshot { by, partial_width }
}

/// The child's weights after it took over from one donor, and what it took.
fn taken(child: &Genome, donor: &Genome, spec: SharingSpec) -> (Weights, Inherited) {
    let from = drawn(donor, 1);
    let mut weights = drawn(child, 2);
    let donor = Donor {
        number: 7,
        genome: donor,
        weights: &from,
        loss: 0.5,
    };
    let inherited = first_weights(&mut weights, child, &ports(), &[donor], &spec);
    (weights, inherited)
}

const BASE: &str = "stem c=6 k=3 s=1 | residual c=6 k=3 s=1, separable-conv1d c=7 k=3 s=2, svdf u=8 m=3, gru u=4 | statistics w=20";

/// Which layers came over as they were.
fn whole_layers(child: &Genome, donor: &Genome, spec: SharingSpec) -> Vec<String> {
    let (weights, _) = taken(child, donor, spec);
    let from = drawn(donor, 1);
    let layers = layers_of(&weights).into_iter();
    let came = layers.filter(|(_, names)| {
        names
            .iter()
            .all(|name| from.tensors.get(name) == weights.tensors.get(name))
    });
    came.map(|(prefix, _)| prefix).collect()
}

#[test]
fn the_same_genome_takes_everything_and_keeps_its_own_scale_of_the_input() {
    let base = genome(BASE);
    for by in [MatchBy::NameAndShape, MatchBy::CommonPrefix] {
        for partial_width in [false, true] {
            let (weights, inherited) = taken(&base, &base, snapshot(by, partial_width));
            let mut expected = drawn(&base, 1);
            for name in ["input.mean", "input.inv_deviation"] {
                let own = drawn(&base, 2).tensors.remove(name).unwrap();
                expected.tensors.insert(name.into(), own);
            }
            assert_eq!(weights, expected);
            assert_eq!(
                inherited,
                Inherited {
                    n_values: expected.n_trainable(),
                    from: vec![7]
                }
            );
        }
    }
}

#[test]
fn a_common_prefix_ends_at_the_first_block_that_differs() {
    let donor = genome("stem c=6 k=3 s=1 | conv1d c=6 k=3 s=1, gru u=4, svdf u=8 m=3 | mean w=20");
    let child = genome("stem c=6 k=3 s=1 | conv1d c=6 k=3 s=1, gru u=5, svdf u=8 m=3 | mean w=20");
    let spec = snapshot(MatchBy::CommonPrefix, false);
    assert_eq!(
        whole_layers(&child, &donor, spec),
        ["blocks.0.conv", "stem.conv"]
    );
    // By name and shape what lies behind the changed block comes too: its time filters and the head.
    let spec = snapshot(MatchBy::NameAndShape, false);
    let expected = [
        "blocks.0.conv",
        "blocks.2.time",
        "head.classifier",
        "stem.conv",
    ];
    assert_eq!(whole_layers(&child, &donor, spec), expected);
    // A grown child keeps its parent's blocks and gets a head of its own.
    let grown =
        genome("stem c=6 k=3 s=1 | conv1d c=6 k=3 s=1, gru u=4, svdf u=8 m=3, gru u=8 | mean w=20");
    let spec = snapshot(MatchBy::CommonPrefix, false);
    let expected = [
        "blocks.0.conv",
        "blocks.1.gru",
        "blocks.2.feature",
        "blocks.2.time",
        "stem.conv",
    ];
    assert_eq!(whole_layers(&grown, &donor, spec), expected);
    // Another stride leaves every shape as it is, and still is another block.
    let strided =
        genome("stem c=6 k=3 s=2 | conv1d c=6 k=3 s=1, gru u=4, svdf u=8 m=3 | mean w=20");
    assert_eq!(taken(&strided, &donor, spec).1, Inherited::default());
}

#[test]
fn a_layer_moves_whole_or_not_at_all() {
    // The kernel differs: the filters do not fit, and so their normalisation stays too, though it would fit.
    let donor = genome("stem c=6 k=3 s=1 | conv1d c=6 k=3 s=1 | mean w=20");
    let child = genome("stem c=6 k=3 s=1 | conv1d c=6 k=5 s=1 | mean w=20");
    for partial_width in [false, true] {
        let (weights, _) = taken(
            &child,
            &donor,
            snapshot(MatchBy::NameAndShape, partial_width),
        );
        let own = drawn(&child, 2);
        for (name, tensor) in &weights.tensors {
            if name.starts_with("blocks.0.") {
                assert_eq!(tensor, &own.tensors[name], "{name}");
            }
        }
    }
}

#[test]
fn damaged_or_foreign_donors_are_passed_over_without_a_panic() {
    let base = genome(BASE);
    let own = drawn(&base, 2);
    for damage in [0, 1, 2] {
        let mut from = drawn(&base, 1);
        for tensor in from.tensors.values_mut() {
            match damage {
                0 => tensor.values[0] = f32::NAN,
                1 => drop(tensor.values.pop()),
                _ => tensor.shape.push(1),
            }
        }
        for by in [MatchBy::NameAndShape, MatchBy::CommonPrefix] {
            let mut weights = own.clone();
            let donor = Donor {
                number: 1,
                genome: &base,
                weights: &from,
                loss: 0.1,
            };
            let spec = snapshot(by, true);
            let inherited = first_weights(&mut weights, &base, &ports(), &[donor], &spec);
            assert_eq!(
                (inherited, &weights),
                (Inherited::default(), &own),
                "damage {damage}"
            );
        }
    }
    let mut weights = own.clone();
    assert_eq!(
        first_weights(&mut weights, &base, &ports(), &[], &averages::uniform(1.0)),
        Inherited::default()
    );
}

#[test]
fn donors_are_the_parent_or_the_best_that_share_something() {
    let child = genome("stem c=6 k=3 s=1 | gru u=4 | mean w=20");
    let (same, wider) = (
        child.clone(),
        genome("stem c=9 k=3 s=1 | gru u=4 | mean w=20"),
    );
    let other = genome("stem c=6 k=5 s=1 | gru u=4 | mean w=20");
    let finished = [
        Finished {
            number: 0,
            genome: &same,
            loss: 0.5,
        },
        Finished {
            number: 1,
            genome: &other,
            loss: 0.1,
        },
        Finished {
            number: 2,
            genome: &wider,
            loss: 0.2,
        },
        Finished {
            number: 3,
            genome: &same,
            loss: f64::NAN,
        },
        Finished {
            number: 4,
            genome: &same,
            loss: 0.3,
        },
    ];
    let by_loss = || {
        let mut sorted = finished;
        sorted.sort_by(|a, b| a.loss.total_cmp(&b.loss));
        sorted.into_iter()
    };
    let wanted = |spec| donors_wanted(&spec, &child, &ports(), by_loss(), Some(4));
    let average = |by, partial_width| SharingSpec::UniformAverage {
        n_trials: 3,
        discount: 1.0,
        by,
        partial_width,
    };
    assert_eq!(wanted(SharingSpec::None), [0; 0]);
    assert_eq!(wanted(snapshot(MatchBy::CommonPrefix, false)), [4]);
    assert_eq!(wanted(average(MatchBy::NameAndShape, false)), [1, 2, 4]);
    assert_eq!(wanted(average(MatchBy::CommonPrefix, false)), [4, 0]);
    let narrower = donors_wanted(
        &average(MatchBy::CommonPrefix, true),
        &wider,
        &ports(),
        by_loss(),
        None,
    );
    assert_eq!(narrower, [2, 4, 0], "a narrower stem can be taken over");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for (text, reason) in [
        (
            r#"{"kind":"uniform-average","n_trials":0,"discount":1.0,"by":"common-prefix","partial_width":true}"#,
            "sharing.n_trials: found 0",
        ),
        (
            r#"{"kind":"uniform-average","n_trials":2,"discount":0.0,"by":"common-prefix","partial_width":true}"#,
            "sharing.discount: found 0.0",
        ),
        (
            r#"{"kind":"loss-weighted-average","n_trials":2,"temperature_nats":0.0,"by":"name-and-shape","partial_width":false}"#,
            "sharing.temperature_nats",
        ),
    ] {
        let spec: SharingSpec = serde_json::from_str(text).unwrap();
        assert!(spec.validate().unwrap_err().to_string().starts_with(reason));
        assert_eq!(serde_json::to_string(&spec).unwrap(), text);
    }
    assert!(
        serde_json::from_str::<SharingSpec>(r#"{"kind":"snapshot","by":"common-prefix"}"#).is_err()
    );
}
