use std::collections::HashSet;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::examples::small;
use super::*;
use crate::model::{Cost, Genome, Ports};

const PORTS: Ports = Ports {
    n_mels: 40,
    n_classes: 12,
    frames_per_1000_s: 100_000,
};

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// The example with cells.
fn celled(depth: [usize; 2], cells: Value) -> SpaceSpec {
    SpaceSpec {
        depth,
        cells: Some(serde_json::from_value(cells).unwrap()),
        ..small()
    }
}

fn free() -> SpaceSpec {
    celled(
        [1, 7],
        json!({"blocks_per_cell": 2, "reduction": [
            {"kind": "conv1d", "n_channels": [16, 24], "kernel_frames": [3], "stride_frames": [3]},
        ]}),
    )
}

fn repeated() -> SpaceSpec {
    celled(
        [1, 3],
        json!({"blocks_per_cell": 3, "n_repeats": [2, 4], "reduction": [
            {"kind": "separable-conv1d", "n_channels": [20], "kernel_frames": [3], "stride_frames": [2, 3]},
        ]}),
    )
}

#[test]
fn every_point_drawn_or_mutated_is_a_valid_genome_and_found_again() {
    for spec in [small(), free(), repeated()] {
        let space = spec.compile().unwrap();
        let domain = space.domain();
        let mut rng = rng(1);
        for _ in 0..300 {
            let point = domain.draw(&mut rng);
            let genome = space.genome(&point);
            genome.validate().unwrap();
            let found = space.point(&genome).unwrap();
            assert_eq!(space.genome(&found), genome);
            let (mutated, _) = domain.mutate(&point, &mut rng).unwrap();
            space.genome(&mutated).validate().unwrap();
        }
    }
}

#[test]
fn without_cells_points_and_genomes_are_the_same_thing_told_twice() {
    let spec = SpaceSpec {
        depth: [0, 1],
        ..small()
    };
    let space = spec.compile().unwrap();
    let n_points = space.domain().n_points().unwrap();
    let mut genomes = HashSet::new();
    for index in 0..n_points {
        let point = space.domain().nth(index).unwrap();
        let genome = space.genome(&point);
        assert_eq!(space.point(&genome), Some(point));
        assert!(genomes.insert(genome));
    }
    // Stems, heads, and no block or one of 8 + 4 + 8 + 8 + 4 + 2 + 2.
    assert_eq!(n_points, 4 * 3 * (1 + 36));
}

#[test]
fn a_seed_draws_the_same_genomes_again() {
    let draw = || {
        let space = small().compile().unwrap();
        let mut rng = rng(9);
        let draws = (0..50).map(|_| space.genome(&space.domain().draw(&mut rng)).canonical());
        draws.collect::<Vec<_>>()
    };
    assert_eq!(draw(), draw());
}

#[test]
fn a_genome_of_another_space_has_no_point() {
    let space = small().compile().unwrap();
    let genome = space.genome(&space.domain().draw_of_depth(2, &mut rng(1)));
    let with = |change: &dyn Fn(&mut Value)| -> Genome {
        let mut value = serde_json::to_value(&genome).unwrap();
        change(&mut value);
        serde_json::from_value(value).unwrap()
    };
    assert!(space.point(&genome).is_some());
    let others = [
        with(&|value| value["stem"]["n_channels"] = json!(9)),
        with(&|value| value["head"]["window_frames"] = json!(61)),
        with(&|value| value["blocks"][1] = json!({"kind": "gru", "n_units": 9})),
        with(&|value| value["blocks"] = json!([])),
    ];
    for other in others {
        assert_eq!(space.point(&other), None, "{other}");
    }
}

#[test]
fn a_reduction_stands_after_every_full_cell_and_is_the_same_in_all_of_a_genome() {
    let space = free().compile().unwrap();
    for seed in 0..100 {
        let point = space.domain().draw(&mut rng(seed));
        let genome = space.genome(&point);
        let n = point.parts.len();
        assert_eq!(genome.blocks.len(), n + n / 2);
        let reductions: HashSet<_> = genome.blocks.iter().skip(2).step_by(3).collect();
        assert_eq!(reductions.len(), usize::from(n >= 2));
    }
}

#[test]
fn a_repeated_cell_stands_as_often_as_chosen_each_time_with_its_reduction() {
    let space = repeated().compile().unwrap();
    let mut lengths = HashSet::new();
    for seed in 0..100 {
        let point = space.domain().draw(&mut rng(seed));
        let genome = space.genome(&point);
        let cell = point.parts.len() + 1;
        lengths.insert(genome.blocks.len() / cell);
        let cells: HashSet<_> = genome.blocks.chunks(cell).collect();
        assert_eq!((cells.len(), genome.blocks.len() % cell), (1, 0));
    }
    assert_eq!(lengths, HashSet::from([2, 4]));
}

#[test]
fn a_chain_whose_cells_are_cut_short_or_differ_has_no_point() {
    let space = free().compile().unwrap();
    let mut genome = space.genome(&space.domain().draw_of_depth(4, &mut rng(1)));
    assert!(space.point(&genome).is_some());
    let whole = genome.blocks.clone();
    genome.blocks.pop();
    assert_eq!(space.point(&genome), None);
    genome.blocks = whole;
    genome.blocks.swap(0, 2);
    assert_eq!(space.point(&genome), None);
}

#[test]
fn a_space_without_sense_is_refused_with_its_place() {
    let check = |spec: SpaceSpec, expected: &str| {
        assert_eq!(spec.validate().unwrap_err().to_string(), expected);
    };
    let with = |change: &dyn Fn(&mut SpaceSpec)| {
        let mut spec = small();
        change(&mut spec);
        spec
    };
    check(
        with(&|s| s.blocks[0].fields["kernel_frames"] = json!([3, 0])),
        "space.blocks (conv1d): blocks (conv1d): kernel_frames is 0, expected 1 to 4096",
    );
    check(
        with(&|s| s.blocks[0].fields["kernel_frames"] = json!([3, 5, 3])),
        "space.blocks (conv1d).kernel_frames: found 3 twice, expected every value once",
    );
    check(
        with(&|s| s.blocks[0].fields["kernel_frames"] = json!(3)),
        "space.blocks (conv1d).kernel_frames: found 3, expected a list of at least one value",
    );
    check(
        with(&|s| s.stem.as_mut().unwrap()["n_channels"] = json!([8, 0])),
        "space.stem: stem: n_channels is 0, expected 1 to 4096",
    );
    check(
        with(&|s| s.limits.latency_frames = Some([3, 2])),
        "space.limits.latency_frames: found 3 to 2, expected the least and then the most",
    );
    check(
        with(&|s| s.blocks[1] = s.blocks[0].clone()),
        "space.blocks (conv1d).kind: found conv1d twice, expected every value once",
    );
    check(
        SpaceSpec {
            depth: [1, 2],
            ..repeated()
        },
        "space.cells.blocks_per_cell: found 3, expected 2, the most blocks of `depth`, which begins at 1",
    );
    check(
        SpaceSpec {
            depth: [1, 60],
            ..free()
        },
        "space.cells.reduction: found 90 blocks, expected 64 or fewer in the deepest genome",
    );
    let unknown = with(&|s| s.blocks[0].kind = "conv9d".into());
    assert!(
        unknown
            .validate()
            .unwrap_err()
            .to_string()
            .contains("conv9d")
    );
}

#[test]
fn limits_admit_their_ends_and_nothing_beyond() {
    let space = small().compile().unwrap();
    let draws = (0..200).map(|seed| space.genome(&space.domain().draw(&mut rng(seed))));
    let costs: Vec<Cost> = draws.map(|genome| Cost::of(&genome, &PORTS)).collect();
    for cost in &costs {
        let values = [
            (Some(cost.n_params), 0),
            (Some(cost.macs_per_second), 1),
            (cost.receptive_field_frames.map(|frames| frames as u64), 2),
            (Some(cost.latency_frames as u64), 3),
            (Some(cost.state_bytes), 4),
        ];
        for (found, which) in values {
            let admits = |low, high| {
                let mut ranges = [None; 5];
                ranges[which] = Some([low, high]);
                let [
                    n_params,
                    macs_per_second,
                    receptive_field_frames,
                    latency_frames,
                    state_bytes,
                ] = ranges;
                let limits = Limits {
                    n_params,
                    macs_per_second,
                    receptive_field_frames,
                    latency_frames,
                    state_bytes,
                };
                limits.admit(cost)
            };
            let Some(found) = found else {
                assert!(!admits(0, u64::MAX), "without end is within no bound");
                continue;
            };
            assert!(admits(found, found));
            assert!(!admits(found + 1, u64::MAX));
            assert!(found == 0 || !admits(0, found - 1));
        }
    }
    assert!(
        costs
            .iter()
            .any(|cost| cost.receptive_field_frames.is_none())
    );
}

#[test]
fn kinds_of_many_values_need_no_list_of_their_products() {
    let values = |n: usize| json!((1..=n).collect::<Vec<_>>());
    let mut spec = small();
    spec.blocks.truncate(1);
    for field in ["n_channels", "kernel_frames", "stride_frames"] {
        spec.blocks[0].fields[field] = values(100);
    }
    let space = spec.compile().unwrap();
    assert_eq!(space.domain().part(0).n_options(), 1_000_000);
    for seed in 0..50 {
        let point = space.domain().draw(&mut rng(seed));
        assert_eq!(space.point(&space.genome(&point)), Some(point));
    }
}

#[test]
fn a_recipes_table_reads_as_written_and_a_surplus_entry_is_refused() {
    let text = serde_json::to_value(free()).unwrap();
    assert_eq!(
        serde_json::from_value::<SpaceSpec>(text.clone()).unwrap(),
        free()
    );
    let mut surplus = text;
    surplus["cells"]["surplus"] = json!(1);
    assert!(serde_json::from_value::<SpaceSpec>(surplus).is_err());
}
