//! The networks of `recipes/baselines` against the sizes that their papers and codes give.

use std::fs;
use std::path::PathBuf;

use super::{Block, Cost, Genome, InputNorm, Port, Ports, StreamNet};

fn folder() -> PathBuf {
    std::path::PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"))
        .join("recipes/baselines")
}

fn baseline(name: &str) -> Genome {
    let path = folder().join(format!("{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every file's name, in alphabetical order.
fn names() -> Vec<String> {
    let files = fs::read_dir(folder()).unwrap();
    let paths = files.map(|entry| entry.unwrap().path());
    let genomes = paths.filter(|path| path.extension().is_some_and(|it| it == "json"));
    let name = |path: PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut names: Vec<String> = genomes.map(name).collect();
    names.sort();
    names
}

fn ports(n_mels: usize, n_classes: usize) -> Ports {
    Ports {
        n_mels,
        n_classes,
        frames_per_1000_s: 100_000,
    }
}

fn n_params(name: &str, n_mels: usize, n_classes: usize) -> u64 {
    Cost::of(&baseline(name), &ports(n_mels, n_classes)).n_params
}

/// A network as published: bands and labels that it is counted with, its count by the authors' code, and what the
/// genome has more or less, each with its reason.
type Published = (
    &'static str,
    usize,
    usize,
    u64,
    &'static [(i64, &'static str)],
);

const PUBLISHED: [Published; 21] = [
    // `bcresnet.py` of the authors.
    ("bc-resnet-1", 40, 12, 9_232, &[]),
    ("bc-resnet-1", 40, 35, 9_232, &[(23 * 33, "labels")]),
    ("bc-resnet-1.5", 40, 12, 17_154, &[]),
    ("bc-resnet-2", 40, 12, 27_284, &[]),
    ("bc-resnet-3", 40, 12, 54_168, &[]),
    ("bc-resnet-6", 40, 12, 187_812, &[]),
    ("bc-resnet-8", 40, 12, 321_068, &[]),
    // "Hello edge" gives 38.6, 189.2 and 497.6 KB: weights of 8 bits with normalisations folded, and the two largest
    // neighbouring activations.
    (
        "ds-cnn-s",
        10,
        12,
        38_604 - 2 * 25 * 5 * 64,
        &[(9 * 64, "gammas")],
    ),
    (
        "ds-cnn-m",
        10,
        12,
        189_212 - (25 * 10 + 13 * 5) * 172,
        &[(9 * 172, "gammas")],
    ),
    (
        "ds-cnn-l",
        10,
        12,
        497_640 - (25 * 10 + 13 * 5) * 276,
        &[(11 * 276, "gammas")],
    ),
    // MLPerf Tiny's Keras model of the same network.
    (
        "ds-cnn-s",
        10,
        12,
        24_908,
        &[
            (-9 * 2 * 64, "running statistics"),
            (-9 * 64, "biases before normalisations"),
        ],
    ),
    // honk: convolutions without bias, normalised without gamma and beta.
    (
        "res8-narrow",
        40,
        12,
        19_905,
        &[(7 * 2 * 19, "gammas and betas")],
    ),
    ("res8", 40, 12, 110_307, &[(7 * 2 * 45, "gammas and betas")]),
    (
        "res15",
        40,
        12,
        237_882,
        &[(14 * 2 * 45, "gammas and betas")],
    ),
    (
        "tc-resnet8",
        40,
        12,
        65_824,
        &[(-656, "running statistics"), (12, "the classifier's bias")],
    ),
    (
        "tc-resnet14",
        40,
        12,
        136_928,
        &[
            (-1_072, "running statistics"),
            (12, "the classifier's bias"),
        ],
    ),
    ("matchboxnet-3x1x64", 64, 30, 77_214, &[]),
    ("matchboxnet-3x2x64", 64, 30, 92_766, &[]),
    // `kwt1/model_summary.txt` of the authors.
    (
        "kwt-1",
        40,
        12,
        607_308,
        &[
            (-64, "class token"),
            (-99 * 64, "positions"),
            (12 * (2 * 97 + 1), "a bias for each distance"),
            (12 * 3 * 64, "biases of queries, keys and values"),
        ],
    ),
    // kws_streaming. Kernels of 3 without padding leave 16 of 20 coefficients; here 16 of 32 bands are left.
    (
        "crnn",
        32,
        12,
        467_004,
        &[
            (2 * 16 + 128 + 256, "gammas"),
            (3 * 256, "a second bias of each gate"),
        ],
    ),
    ("svdf", 30, 12, 354_444, &[(6 * 256, "gammas")]),
];

#[test]
fn baselines_have_the_published_size_and_what_is_said_to_differ() {
    for (name, n_mels, n_classes, published, more) in PUBLISHED {
        let more: i64 = more.iter().map(|(n, _)| n).sum();
        let expected = published.checked_add_signed(more).unwrap();
        assert_eq!(n_params(name, n_mels, n_classes), expected, "{name}");
    }
}

/// Published without what is behind the embedding: "4.2 million" with 24 bands; 120, 3 * 512 and 512 values reach
/// the layers before the pooling, each with a bias; here each has a gamma too.
#[test]
fn the_x_vector_is_of_the_published_size_up_to_its_embedding() {
    let frames = 120 * 512 + 2 * 3 * 512 * 512 + 512 * 512 + 512 * 1_500;
    let (biases, embedding) = (4 * 512 + 1_500, 3_000 * 512 + 512);
    assert_eq!((frames + biases + embedding) / 100_000, 42);
    assert_eq!(n_params("x-vector", 24, 0), frames + 2 * biases + embedding);
}

/// 2.7 M and 184 k, by features and labels that the paper does not name.
#[test]
fn the_networks_that_a_search_once_found_are_of_about_the_published_size() {
    assert_eq!(n_params("lstm-256-512-256", 40, 79), 2_686_799);
    let encoder_and_decoder = n_params("kws-encoder", 40, 0);
    assert_eq!(encoder_and_decoder, 171_072);
}

/// With three blocks of 2,713,344 the paper's network comes to 14.66 M, its "14.7 M".
#[test]
fn a_block_of_ecapa_is_of_the_published_size_without_idle_biases() {
    let block = r#"{"kind":"se-res2","n_channels":1024,"n_groups":8,"kernel_frames":3,"dilation_frames":2,"n_hidden":128,"window_frames":300}"#;
    let block: Block = serde_json::from_str(block).unwrap();
    let wiring = block.wiring(Port::flat(1024));
    let layers = wiring.layers().map(|layer| layer.shape().n_params());
    assert_eq!(
        layers.sum::<u64>(),
        2_713_344 - (2 * 1024 + 7 * 128),
        "two matrices and seven convolutions before a normalisation"
    );
}

/// A row reads ``| `name.json` | source | published | 1,234 (5 labels) | differs |``.
#[test]
fn the_page_on_baselines_names_every_file_with_its_count() {
    let page = fs::read_to_string(folder().join("README.md")).unwrap();
    let mut rows = std::collections::BTreeMap::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [file, _, _, here, ..] = cells[..] else {
            continue;
        };
        let name = file.trim_start_matches("| `").strip_suffix(".json`");
        let Some(name) = name else { continue };
        let (count, with) = here.split_once(" (").unwrap_or((here, ""));
        let said = |what: &str| {
            let number = with.trim_end_matches(')').strip_suffix(what)?;
            number.trim().parse::<usize>().ok()
        };
        let (n_mels, n_classes) = (said("bands").unwrap_or(40), said("labels").unwrap_or(12));
        let count: u64 = count.replace(',', "").parse().unwrap();
        assert_eq!(n_params(name, n_mels, n_classes), count, "{name}");
        rows.insert(name.to_owned(), count);
    }
    assert_eq!(rows.into_keys().collect::<Vec<_>>(), names());
}

#[test]
fn every_baseline_is_sound_and_all_but_one_stream() {
    let mut whole = Vec::new();
    for name in names() {
        let (genome, ports) = (baseline(&name), ports(40, 12));
        genome.validate().unwrap();
        let norm = InputNorm {
            mean: vec![0.0; ports.n_mels],
            inv_deviation: vec![1.0; ports.n_mels],
        };
        let weights = genome.init_weights(&ports, &norm, 1);
        let cost = Cost::of(&genome, &ports);
        assert_eq!(cost.n_params, weights.n_trainable(), "{name}");
        if !genome.streams() {
            whole.push(name);
            continue;
        }
        let mut stream = StreamNet::new(&genome, &ports, &weights).unwrap();
        assert_eq!(cost.state_bytes, stream.state_bytes(), "{name}");
        let logits = stream.step(&vec![1.0; ports.n_mels]).unwrap();
        assert!(logits.iter().all(|value| value.is_finite()), "{name}");
    }
    assert_eq!(whole, ["kwt-1"]);
}
