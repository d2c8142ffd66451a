//! What a wider or narrower child takes over, held against what the networks compute.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::*;
use super::{BASE, drawn, genome, ports, snapshot, taken};
use crate::model::StreamNet;

/// The logits at every step of the same made-up clip.
fn answers(genome: &Genome, weights: &Weights) -> Vec<f32> {
    let mut weights = weights.clone();
    weights
        .tensors
        .get_mut("input.mean")
        .unwrap()
        .values
        .fill(0.0);
    let mut net = StreamNet::new(genome, &ports(), &weights).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(99);
    let mut answers = Vec::new();
    for _ in 0..60 {
        let frame: Vec<f32> = (0..ports().n_mels)
            .map(|_| rng.random::<f32>() * 2.0 - 1.0)
            .collect();
        answers.extend(net.step(&frame).into_iter().flatten());
    }
    assert!(!answers.is_empty());
    answers
}

#[track_caller]
fn check_that_widening_keeps_the_answers(donor: &str, child: &str) {
    let (donor, child) = (genome(donor), genome(child));
    let (weights, inherited) = taken(&child, &donor, snapshot(MatchBy::CommonPrefix, true));
    let expected = answers(&donor, &drawn(&donor, 1));
    let found = answers(&child, &weights);
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(&expected) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
    assert_eq!(
        inherited.n_values,
        drawn(&donor, 1).n_trainable(),
        "all that the donor knew came over"
    );
}

#[test]
fn a_wider_child_answers_as_its_donor_does() {
    // Each kind of block behind a stem that grows and before a head that reads more.
    for (narrow, wide) in [
        ("conv1d c=6 k=3 s=2", "conv1d c=9 k=3 s=2"),
        ("dilated-conv1d c=6 k=3 d=2", "dilated-conv1d c=7 k=3 d=2"),
        (
            "separable-conv1d c=6 k=3 s=1",
            "separable-conv1d c=11 k=3 s=1",
        ),
        ("residual c=7 k=3 s=1", "residual c=9 k=3 s=1"),
        ("residual c=5 k=3 s=1", "residual c=8 k=3 s=1"),
        ("svdf u=8 m=3", "svdf u=10 m=3"),
        ("gru u=4", "gru u=7"),
        ("projection c=4", "projection c=6"),
    ] {
        for head in ["mean w=20", "statistics w=20"] {
            let narrow = format!("stem c=5 k=3 s=1 | {narrow}, gru u=3 | {head}");
            let wide = format!("stem c=8 k=3 s=1 | {wide}, gru u=5 | {head}");
            check_that_widening_keeps_the_answers(&narrow, &wide);
        }
    }
    check_that_widening_keeps_the_answers(
        BASE,
        "stem c=8 k=3 s=1 | residual c=8 k=3 s=1, separable-conv1d c=9 k=3 s=2, svdf u=12 m=3, gru u=6 | statistics w=20",
    );
}

#[test]
fn a_narrower_layer_keeps_its_channels_and_what_reads_it_begins_afresh() {
    let donor = genome("stem c=8 k=3 s=1 | conv1d c=6 k=3 s=1, gru u=4 | mean w=20");
    let child = genome("stem c=8 k=3 s=1 | conv1d c=4 k=3 s=1, gru u=4 | mean w=20");
    let (weights, inherited) = taken(&child, &donor, snapshot(MatchBy::CommonPrefix, true));
    let (from, own) = (drawn(&donor, 1), drawn(&child, 2));
    // By hand: the stem's 8 * 5 * 3 + 16 values and four of the filters, 4 * 8 * 3 + 8.
    assert_eq!(inherited.n_values, 8 * 5 * 3 + 16 + 4 * 8 * 3 + 8);
    let part = |weights: &Weights, name: &str, n: usize| weights.tensors[name].values[..n].to_vec();
    for (name, n) in [
        ("blocks.0.conv.weight", 96),
        ("blocks.0.conv.norm.running_var", 4),
    ] {
        assert_eq!(part(&weights, name, n), part(&from, name, n), "{name}");
    }
    for name in [
        "blocks.1.gru.w_input",
        "blocks.1.gru.w_hidden",
        "head.classifier.weight",
    ] {
        assert_eq!(weights.tensors[name], own.tensors[name], "{name}");
    }
}

#[test]
fn a_recurrent_layer_of_fewer_units_begins_afresh() {
    let donor = genome("stem c=6 k=3 s=1 | gru u=4, gru u=4 | mean w=20");
    let child = genome("stem c=6 k=3 s=1 | gru u=3, gru u=4 | mean w=20");
    for by in [MatchBy::NameAndShape, MatchBy::CommonPrefix] {
        let (weights, _) = taken(&child, &donor, snapshot(by, true));
        let own = drawn(&child, 2);
        for (name, tensor) in &weights.tensors {
            if name.starts_with("blocks.0.") {
                assert_eq!(tensor, &own.tensors[name], "{name}");
            }
        }
    }
}

#[test]
fn gates_are_copied_one_by_one() {
    let donor = genome("stem c=2 k=1 s=1 | gru u=1 | mean w=20");
    let child = genome("stem c=3 k=1 s=1 | gru u=2 | mean w=20");
    let (weights, _) = taken(&child, &donor, snapshot(MatchBy::CommonPrefix, true));
    let (from, own) = (drawn(&donor, 1), drawn(&child, 2));
    let values = |weights: &Weights, part: &str| {
        weights.tensors[&format!("blocks.0.gru.{part}")]
            .values
            .clone()
    };
    let (old, new) = (values(&from, "w_input"), values(&own, "w_input"));
    // Rows are inputs, columns r r z z n n: the first column of each gate is the old unit's.
    let row = |input: usize| {
        [
            old[3 * input],
            new[6 * input + 1],
            old[3 * input + 1],
            new[6 * input + 3],
            old[3 * input + 2],
            new[6 * input + 5],
        ]
    };
    let third = [0.0, new[13], 0.0, new[15], 0.0, new[17]];
    assert_eq!(
        values(&weights, "w_input"),
        [row(0), row(1), third].concat()
    );
    let bias = values(&weights, "b_hidden");
    let old = values(&from, "b_hidden");
    assert_eq!([bias[0], bias[2], bias[4]], [old[0], old[1], old[2]]);
}
