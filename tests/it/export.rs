//! What leaves the program for other programs: files as a user asks for them, read by other readers.

use std::collections::BTreeMap;
use std::path::Path;

use auricle::bundle::{Bundle, DetectorSpec, Member, Storage};
use auricle::export::{Form, onnx};
use auricle::model::{Genome, InputNorm, Network, Ports};
use auricle_features::FrontendSpec;
use burn::tensor::{Device, TensorData};
use tract_onnx::prelude::*;

use crate::pipeline::auricle;
use crate::tones;

const TOLERANCE: f32 = 1e-4;

fn genome(blocks: &str) -> Genome {
    serde_json::from_str(&format!(
        r#"{{"stem":{{"n_channels":8,"kernel_frames":3,"stride_frames":2}},
             "blocks":[{blocks}],"head":{{"kind":"statistics","window_frames":60}}}}"#
    ))
    .unwrap()
}

fn bundle(genome: Genome, labels: &[String]) -> Bundle {
    let frontend = FrontendSpec::speech_16k();
    let norm = InputNorm {
        mean: vec![-6.0; 40],
        inv_deviation: vec![0.4; 40],
    };
    let ports = Ports {
        n_mels: 40,
        n_classes: labels.len(),
        frames_per_1000_s: 100_000,
    };
    Bundle {
        title: "Tones, never trained".into(),
        frontend,
        labels: labels.to_vec(),
        members: vec![Member {
            weights: genome.init_weights(&ports, &norm, 7),
            genome,
            weight: 1.0,
        }],
        mixture: None,
        detector: DetectorSpec::keywords(1000),
        languages: None,
        clip_ms: 1000,
        whole_clips_ms: None,
        storage: Storage::F32,
        provenance: BTreeMap::new(),
    }
}

fn labels() -> Vec<String> {
    tones::words(4)
}

/// `[n_mels, n_frames]`, the bands one after another.
fn bands(n_frames: usize) -> Vec<f32> {
    let value = |i: usize| -7.0 + ((i * 7919) % 101) as f32 * 0.05;
    (0..40 * n_frames).map(value).collect()
}

/// The logits of a whole-clip graph, by tract.
fn foreign_logits(bytes: &[u8], n_frames: usize) -> Vec<f32> {
    let model = tract_onnx::onnx().model_for_read(&mut &bytes[..]).unwrap();
    let model = model
        .with_input_fact(0, f32::fact([1, n_frames, 40]).into())
        .and_then(|model| model.into_optimized())
        .and_then(|model| model.into_runnable())
        .unwrap_or_else(|error| panic!("{error:?}"));
    let bands = bands(n_frames);
    let frames: Vec<f32> = (0..n_frames)
        .flat_map(|frame| (0..40).map(move |band| band * n_frames + frame))
        .map(|at| bands[at])
        .collect();
    let frames = Tensor::from_shape(&[1, n_frames, 40], &frames).unwrap();
    let answers = model.run(tvec!(frames.into())).unwrap();
    let view = answers[0].try_as_plain_ram().unwrap();
    view.as_slice::<f32>().unwrap().to_vec()
}

#[track_caller]
fn check_whole_clip(blocks: &str) {
    let bundle = bundle(genome(blocks), &labels());
    let bytes = onnx::write(&bundle, Form::Clip).unwrap();
    let (member, device) = (&bundle.members[0], Device::flex());
    let network = Network::load(&member.genome, &bundle.ports(), &member.weights, &device).unwrap();
    for n_frames in [1, 12, 98] {
        let data = TensorData::new(bands(n_frames), [1, 40, n_frames]);
        let frames = burn::tensor::Tensor::from_data(data, &device);
        let expected = network.forward(frames).into_data();
        let expected = expected.try_to_vec::<f32>().unwrap();
        let found = foreign_logits(&bytes, n_frames);
        let pairs = found.iter().zip(&expected);
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(
            worst <= TOLERANCE && found.len() == expected.len(),
            "{n_frames} frames: {found:?}, expected {expected:?}"
        );
    }
}

#[test]
fn kinds_that_read_whole_clips_are_as_the_trainable_network_has_them() {
    check_whole_clip(r#"{"kind":"bilstm","n_units":5}"#);
    check_whole_clip(
        r#"{"kind":"full-transformer","n_channels":6,"n_heads":3,"max_distance_frames":4,"n_hidden":8}"#,
    );
}

#[test]
fn kinds_that_stream_are_as_the_trainable_network_has_them_too() {
    check_whole_clip(r#"{"kind":"projected-lstm","n_units":9,"n_channels":4}"#);
    check_whole_clip(
        r#"{"kind":"conformer","n_channels":6,"n_heads":2,"left_context_frames":5,"kernel_frames":4,"n_hidden":12}"#,
    );
    check_whole_clip(
        r#"{"kind":"se-res2","n_channels":6,"n_groups":3,"kernel_frames":3,"dilation_frames":2,"n_hidden":4,"window_frames":9}"#,
    );
}

fn said(args: &[&dyn AsRef<std::ffi::OsStr>]) -> (bool, String) {
    let args: Vec<&std::ffi::OsStr> = args.iter().map(|arg| arg.as_ref()).collect();
    auricle(&args)
}

fn saved(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("tones.auricle");
    let blocks = r#"{"kind":"residual","n_channels":12,"kernel_frames":9,"stride_frames":2},
                    {"kind":"gru","n_units":16}"#;
    bundle(genome(blocks), &labels()).save(&path).unwrap();
    path
}

#[test]
fn a_bundle_leaves_as_a_graph_in_either_form() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (saved(folder.path()), folder.path().join("tones.onnx"));
    let (status, text) = said(&[&"export", &from, &"--onnx", &to]);
    assert!(status && text.contains("ONNX, a clip a run"), "{text}");
    assert_eq!(foreign_logits(&std::fs::read(&to).unwrap(), 98).len(), 4);
    let (status, text) = said(&[&"export", &from, &"--onnx", &to, &"--streaming"]);
    assert!(status && text.contains("ONNX, a frame a run"), "{text}");
    let bytes = std::fs::read(&to).unwrap();
    let model = tract_onnx::onnx().model_for_read(&mut &bytes[..]).unwrap();
    assert!(
        model.input_outlets().unwrap().len() > 3,
        "states are inputs"
    );
}

#[test]
fn eight_bits_are_smaller_and_the_change_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = folder.path().join("corpus");
    tones::corpus(&corpus, &labels(), 4);
    let (from, to) = (saved(folder.path()), folder.path().join("small.auricle"));
    let (status, text) = said(&[&"export", &from, &"--int8", &to, &"--data", &corpus]);
    assert!(status, "{text}");
    for words in [
        "weights of 8 bits",
        "32 clips:",
        "% right with floats",
        "points)",
    ] {
        assert!(text.contains(words), "`{words}` is not in: {text}");
    }
    let (before, after) = (Bundle::load(&from).unwrap(), Bundle::load(&to).unwrap());
    assert_eq!(after, before.rounded_to_int8());
    let n_bytes = |path: &Path| std::fs::metadata(path).unwrap().len();
    assert!(n_bytes(&to) < n_bytes(&from));
    let (status, text) = said(&[&"describe", &to]);
    assert!(status && text.contains("8 bits"), "{text}");
}

#[test]
fn a_listener_that_only_knows_how_to_listen_takes_eight_bits() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = folder.path().join("corpus");
    tones::corpus(&corpus, &labels(), 1);
    let (from, to) = (saved(folder.path()), folder.path().join("small.auricle"));
    let (status, text) = said(&[&"export", &from, &"--int8", &to]);
    assert!(status, "{text}");
    let clip = std::fs::read_dir(corpus.join(&labels()[0])).unwrap().next();
    let heard = std::process::Command::new(env!("CARGO_BIN_EXE_kws-infer"))
        .arg(&to)
        .arg(clip.unwrap().unwrap().path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&heard.stderr);
    assert!(heard.status.success(), "{text}");
}

#[test]
fn what_cannot_be_exported_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (saved(folder.path()), folder.path().join("x"));
    for (args, words) in [
        (
            vec!["--single", "--to", "x"],
            "expected the folder of a finished run",
        ),
        (vec![], "--to"),
        (vec!["--to", "x", "--streaming"], "--onnx"),
        (vec!["--to", "x", "--data", "."], "--int8"),
    ] {
        let mut all: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"export", &from];
        all.extend(args.iter().map(|arg| arg as &dyn AsRef<std::ffi::OsStr>));
        let (status, text) = said(&all);
        assert!(!status && text.contains(words), "{args:?}: {text}");
    }
    assert!(!to.exists());
}
