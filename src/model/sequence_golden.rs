//! The answers of recurrent, attention and a few convolutional blocks against PyTorch's.
//!
//! Numbers from `python src/model/sequence_golden.py` with PyTorch 2.15.0 in double precision: its `RNN`, `LSTM`
//! (with `proj_size`; bidirectional over packed clips), `TransformerEncoderLayer` and `MultiheadAttention`.

use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::wiring::{WiringNet, WiringStep};
use super::{Block, Lengths, Port, Weights};

const N_IN: usize = 3;

fn sines(n: usize, amplitude: f64, offset: f64, step: f64, phase: f64) -> Vec<f32> {
    let value = |i: usize| offset + amplitude * (step * i as f64 + phase).sin();
    (0..n).map(|i| value(i) as f32).collect()
}

/// The block's tensors, filled with the script's numbers.
fn weights(block: &Block) -> Weights {
    let mut weights = Weights::default();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    block
        .wiring(Port::flat(N_IN))
        .init("block", &mut weights, &mut rng);
    for (k, (name, tensor)) in weights.tensors.iter_mut().enumerate() {
        let is_positive = name.ends_with("gamma") || name.ends_with("running_var");
        let (amplitude, offset) = if is_positive { (0.4, 1.0) } else { (0.8, 0.0) };
        let phase = 1.9 * k as f64 + 0.3;
        tensor.values = sines(tensor.values.len(), amplitude, offset, 0.7, phase);
    }
    weights
}

/// Both forms of the block over clips of these lengths, the first the longest; `expected` holds each clip's true
/// frames, `[n_out, n_frames]`.
#[track_caller]
fn check(block: &str, lengths: &[usize], expected: &[f32]) {
    let block: Block = serde_json::from_str(block).unwrap();
    let (wiring, weights) = (block.wiring(Port::flat(N_IN)), weights(&block));
    let net = WiringNet::load(&wiring, "block", &weights, &Device::flex()).unwrap();
    let (n_batch, n_frames) = (lengths.len(), lengths[0]);
    let clips = sines(n_batch * N_IN * n_frames, 1.5, 0.0, 0.9, 0.5);
    let input = TensorData::new(clips.clone(), [n_batch, N_IN, n_frames]);
    let input = Tensor::<3>::from_data(input, &Device::flex());
    let padded = (n_batch > 1).then(|| Lengths::new(lengths.to_vec()));
    let found = net.forward(input, padded.as_ref()).into_data();
    let found: Vec<f32> = found.iter().collect();
    let n_out = wiring.output().n_values();
    let mut stream = wiring
        .streams()
        .then(|| WiringStep::load(&wiring, "block", &weights).unwrap());
    let mut expected = expected.iter();
    for (clip, &length) in lengths.iter().enumerate() {
        let mut streamed = vec![0.0; n_out * n_frames];
        if let Some(stream) = &mut stream {
            stream.reset();
            for at in 0..length {
                let value = |channel| clips[(clip * N_IN + channel) * n_frames + at];
                let frame: Vec<f32> = (0..N_IN).map(value).collect();
                let answer = stream.step(&frame).unwrap();
                for (channel, value) in answer.iter().enumerate() {
                    streamed[channel * n_frames + at] = *value;
                }
            }
        }
        for at in (0..n_out).flat_map(|channel| (0..length).map(move |i| channel * n_frames + i)) {
            let expected = expected.next().expect("a number for each true frame");
            let of_clip = found[clip * n_out * n_frames + at];
            assert!((of_clip - expected).abs() <= 2e-6, "{of_clip} {expected}");
            if stream.is_some() {
                let found = streamed[at];
                assert!(
                    (found - expected).abs() <= 2e-6,
                    "stream: {found} {expected}"
                );
            }
        }
    }
    assert_eq!(expected.len(), 0, "a true frame for each number");
}

#[test]
fn an_rnn_through_tanh_answers_as_pytorchs() {
    check(
        r#"{"kind":"rnn","n_units":4,"activation":"tanh"}"#,
        &[6],
        &[
            -0.18074, -0.637273, -0.465413, 0.043929, 0.557399, 0.699683, 0.546606, 0.05424,
            0.073102, 0.296724, 0.621588, 0.785468, 0.808004, 0.684015, 0.548492, 0.400302,
            0.449385, 0.63753, 0.801085, 0.841261, 0.701066, 0.329864, 0.01267, 0.093621,
        ],
    );
}

#[test]
fn an_rnn_through_relu_answers_as_pytorchs() {
    check(
        r#"{"kind":"rnn","n_units":4,"activation":"relu"}"#,
        &[6],
        &[
            0.0, 0.0, 0.0, 0.378614, 0.870102, 0.90563, 0.613528, 0.030121, 0.060837, 0.471396,
            0.889459, 1.037256, 1.121253, 0.705718, 0.30289, 0.342473, 0.49049, 0.681044, 1.101634,
            1.049405, 0.40249, 0.05248, 0.0, 0.004526,
        ],
    );
}

#[test]
fn an_lstm_answers_as_pytorchs() {
    check(
        r#"{"kind":"lstm","n_units":3}"#,
        &[6],
        &[
            0.007786, 0.003434, -0.159344, -0.582835, -0.758679, -0.703488, -0.077982, -0.171526,
            -0.386641, -0.516969, -0.636064, -0.636066, -0.26346, -0.438691, -0.419381, 0.175494,
            0.347118, 0.11179,
        ],
    );
}

#[test]
fn a_projected_lstm_answers_as_pytorchs() {
    check(
        r#"{"kind":"projected-lstm","n_units":4,"n_channels":2}"#,
        &[6],
        &[
            -0.351246, -0.291091, -0.023975, 0.051285, 0.04484, 0.298199, -0.324923, -0.130032,
            0.157256, 0.140386, 0.178774, 0.14855,
        ],
    );
}

#[test]
fn a_bilstm_answers_as_pytorchs_over_packed_clips() {
    check(
        r#"{"kind":"bilstm","n_units":2}"#,
        &[5, 3],
        &[
            0.078176, 0.166883, 0.20479, 0.063077, -0.101837, 0.030836, 0.108695, 0.201022,
            0.095519, -0.199236, 0.086168, 0.108256, 0.06679, -0.055392, -0.200493, -0.033293,
            0.05854, 0.049139, -0.052723, -0.262961, 0.086433, 0.161706, 0.04512, 0.072781,
            0.167633, 0.074549, 0.136094, 0.123058, 0.036722, 0.075433, 0.087374, 0.02943,
        ],
    );
}

#[test]
fn a_transformer_answers_as_pytorchs_encoder_layer_with_a_band_mask() {
    check(
        r#"{"kind":"transformer","n_channels":4,"n_heads":2,"left_context_frames":2,"n_hidden":5}"#,
        &[6],
        &[
            1.153275, 1.319338, 1.475373, 1.841028, 1.444305, 1.281163, 1.902555, 1.712003,
            2.113965, 2.825506, 2.804739, 2.54026, 1.757033, 1.299485, 1.758327, 2.481104, 2.84606,
            2.604633, 0.785151, 0.2758, 0.57572, 0.969801, 1.548835, 1.444006,
        ],
    );
}

#[test]
fn a_full_transformer_answers_as_pytorchs_encoder_layer_with_a_padding_mask() {
    check(
        r#"{"kind":"full-transformer","n_channels":4,"n_heads":2,"max_distance_frames":2,"n_hidden":5}"#,
        &[5, 3],
        &[
            2.269861, 1.393317, 0.869137, 0.288154, 0.484998, 2.605771, 1.498768, 1.231036,
            1.149016, 1.712339, 1.716146, 0.899324, 1.01396, 1.469477, 2.13434, 0.019391,
            -0.123085, 0.320003, 1.098821, 1.552528, 1.089484, 1.033215, 0.140599, 1.429113,
            1.416167, 1.063329, 1.096608, 1.133075, 1.485959, 0.248351, 0.317079, 1.209719,
        ],
    );
}

#[test]
fn a_conformer_answers_as_one_made_of_pytorchs_parts() {
    check(
        r#"{"kind":"conformer","n_channels":4,"n_heads":2,"left_context_frames":2,"kernel_frames":3,"n_hidden":5}"#,
        &[6],
        &[
            -0.130609, 0.366644, 0.532224, 0.978848, 1.09379, 1.174213, 1.568795, 1.431796,
            1.367935, 1.138937, 1.063209, 1.004924, 0.992296, 0.706651, 0.60479, 0.309056,
            0.226737, 0.167181, -0.647481, -0.656795, -0.642862, -0.552298, -0.513309, -0.481082,
        ],
    );
}

#[test]
fn a_projected_svdf_answers_as_one_made_of_pytorchs_parts() {
    check(
        r#"{"kind":"projected-svdf","n_units":4,"memory_frames":3,"n_channels":2}"#,
        &[6],
        &[
            1.060799, 0.731888, 0.461168, 0.953072, 1.172785, 1.162752, 0.988074, 0.426095,
            0.200357, 0.997846, 1.505743, 1.593772,
        ],
    );
}

#[test]
fn a_se_res2_answers_as_one_made_of_pytorchs_parts() {
    check(
        r#"{"kind":"se-res2","n_channels":6,"n_groups":3,"kernel_frames":2,"dilation_frames":2,"n_hidden":3,"window_frames":3}"#,
        &[5],
        &[
            1.674919, 1.845623, 1.465294, 0.801414, 0.396241, 0.227648, -0.32514, -0.371339,
            0.124013, 0.786044, -0.133695, 0.562375, 0.691967, 0.241891, -0.323167, 2.624943,
            2.742169, 1.853017, 0.685674, -0.075119, -2.004584, -3.470079, -3.57653, -2.225903,
            0.328535, -0.81556, 1.001654, 1.928684, 1.424156, -0.204823,
        ],
    );
}
