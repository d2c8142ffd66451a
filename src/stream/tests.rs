//! What a listener is promised: the same answers for any chunks, and those of the networks themselves.

use auricle_features::LogMel;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::allocations::count;
use crate::bundle::Bundle;
use crate::bundle::examples::{bundle, genome, recurrent, residual};
use crate::model::{Genome, StreamNet};

/// Tones that come and go over noise, by a formula.
fn sound(n_samples: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut phase = 0.0f32;
    (0..n_samples)
        .map(|i| {
            let t = i as f32 / 16_000.0;
            phase += (300.0 + 250.0 * (t * 3.1).sin() + 90.0 * (t * 7.7).sin()) / 16_000.0;
            let loud = (0.5 + 0.5 * (t * 5.0).sin()).powi(3);
            let tone = (phase.fract() * std::f32::consts::TAU).sin();
            0.4 * loud * tone + rng.random_range(-0.01..0.01)
        })
        .collect()
}

#[derive(Clone, Debug, PartialEq)]
struct Heard {
    at_samples: Vec<u64>,
    raw: Vec<f32>,
    smoothed: Vec<f32>,
    detections: Vec<Detection>,
}

/// Everything that comes of the samples, cut by `next_chunk`, and of their end.
fn hear(session: &mut Session, samples: &[f32], mut next_chunk: impl FnMut() -> usize) -> Heard {
    let mut heard = Heard {
        at_samples: vec![],
        raw: vec![],
        smoothed: vec![],
        detections: vec![],
    };
    let mut detections = vec![];
    let mut take = |answer: &Answer| {
        heard.at_samples.push(answer.at_sample);
        heard.raw.extend_from_slice(answer.raw);
        heard.smoothed.extend_from_slice(answer.smoothed);
    };
    let mut rest = samples;
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at(next_chunk().min(rest.len()));
        session.push_traced(chunk, |detection| detections.push(detection), &mut take);
        rest = later;
    }
    session.finish_traced(|detection| detections.push(detection), &mut take);
    heard.detections = detections;
    heard
}

fn hear_whole(bundle: &Bundle, samples: &[f32]) -> Heard {
    hear(&mut Session::new(bundle).unwrap(), samples, || {
        samples.len().max(1)
    })
}

/// A bundle whose random networks waver enough to fire now and then.
fn talkative(genomes: &[Genome]) -> Bundle {
    let mut bundle = bundle(genomes, 3);
    bundle.detector.threshold = 0.3;
    bundle.detector.smoothing_ms = 100;
    bundle.detector.refractory_ms = 100;
    bundle
}

#[test]
fn any_way_of_cutting_gives_the_same_answers_bit_for_bit_and_the_same_detections() {
    let samples = sound(60_000, 1);
    for genomes in [
        &[residual()][..],
        &[recurrent()],
        &[residual(), recurrent()],
    ] {
        let bundle = talkative(genomes);
        let whole = hear_whole(&bundle, &samples);
        assert!(
            !whole.detections.is_empty(),
            "nothing was detected: the test shows little"
        );
        assert!(whole.raw.iter().all(|value| value.is_finite()));
        let mut session = Session::new(&bundle).unwrap();
        for n in [1, 7, 159, 160, 161, 400, 1_024, 16_000] {
            // The same session again and again: a finished one starts afresh.
            assert_eq!(hear(&mut session, &samples, || n), whole, "chunks of {n}");
        }
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        for _ in 0..10 {
            let random = || rng.random_range(1..16_000);
            assert_eq!(hear(&mut session, &samples, random), whole, "random chunks");
        }
    }
}

fn softmax(logits: &[f32]) -> Vec<f64> {
    let powers: Vec<f64> = logits.iter().map(|&logit| f64::from(logit).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

#[test]
fn every_answer_is_what_the_networks_say_of_the_frames_of_all_samples_so_far() {
    let samples = sound(20_000, 2);
    let bundle = talkative(&[residual(), recurrent()]);
    let mut session = Session::new(&bundle).unwrap();
    assert_eq!(session.answer_samples(), 3 * 160);
    let (mut at_samples, mut answers) = (vec![], vec![]);
    session.push_traced(
        &samples,
        |_| {},
        |answer| {
            at_samples.push(answer.at_sample);
            answers.push(answer.raw.to_vec());
        },
    );
    assert_eq!(
        answers.len(),
        1 + (bundle.frontend.n_frames(samples.len()) - 1) / 3
    );
    let log_mel = LogMel::new(&bundle.frontend).unwrap();
    for (at_sample, answer) in at_samples.iter().zip(&answers) {
        let frames = log_mel.clip(&samples[..*at_sample as usize]);
        let mut expected = vec![0.0; 4];
        // The members' weights are 1 and 2.
        for (member, share) in bundle.members.iter().zip([1.0 / 3.0, 2.0 / 3.0]) {
            let mut network =
                StreamNet::new(&member.genome, &bundle.ports(), &member.weights).unwrap();
            let mut latest = vec![];
            for i in 0..frames.n_frames() {
                if let Some(logits) = network.step(frames.frame(i)) {
                    latest = softmax(logits);
                }
            }
            for (sum, probability) in expected.iter_mut().zip(latest) {
                *sum += share * probability;
            }
        }
        for (found, expected) in answer.iter().zip(&expected) {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-6,
                "{found} {expected}"
            );
        }
    }
}

#[test]
fn smoothed_answers_are_the_averages_of_the_raw_ones() {
    let bundle = talkative(&[residual()]); // an answer every 40 ms, averaged over 100 ms: 3 answers
    let heard = hear_whole(&bundle, &sound(30_000, 3));
    let raw: Vec<&[f32]> = heard.raw.chunks(4).collect();
    for (i, smoothed) in heard.smoothed.chunks(4).enumerate() {
        let window = &raw[i.saturating_sub(2)..=i];
        for (class, value) in smoothed.iter().enumerate() {
            let mean = window.iter().map(|answer| answer[class]).sum::<f32>() / window.len() as f32;
            assert!((value - mean).abs() < 1e-6, "answer {i}");
        }
    }
}

#[test]
fn a_detection_points_at_an_answer_that_was_given_and_at_its_score() {
    let bundle = talkative(&[residual(), recurrent()]);
    let heard = hear_whole(&bundle, &sound(60_000, 1));
    for detection in &heard.detections {
        let at = heard
            .at_samples
            .iter()
            .position(|at| *at == detection.at_sample)
            .unwrap();
        let label = bundle
            .labels
            .iter()
            .position(|label| *label == detection.keyword)
            .unwrap();
        assert_eq!(heard.smoothed[at * 4 + label], detection.score);
        assert!(detection.score >= bundle.detector.threshold);
        assert!(detection.decided_at_sample >= detection.at_sample);
        assert!(detection.at_sample >= 8_000, "within the warm-up");
    }
}

#[test]
fn a_word_begins_and_ends_before_it_is_decided() {
    let bundle = talkative(&[residual(), recurrent()]);
    let heard = hear_whole(&bundle, &sound(60_000, 1));
    assert!(!heard.detections.is_empty());
    for detection in &heard.detections {
        let Detection {
            start_sample,
            end_sample,
            at_sample,
            decided_at_sample,
            ..
        } = *detection;
        assert!(start_sample < end_sample && end_sample <= decided_at_sample);
        assert!(start_sample + 16_000 + 400 >= at_sample, "{detection:?}");
        assert_eq!(detection.latency_samples(), decided_at_sample - end_sample);
    }
}

/// A long stream in which the same second of sound comes again and again, between pauses in which all is forgotten.
#[test]
fn time_stamps_do_not_drift_and_chunks_of_10_ms_and_1_s_give_the_same() {
    let bundle = talkative(&[residual()]);
    let period = 4 * 16_000;
    let mut turn = vec![0.0; period];
    turn[8_000..40_000].copy_from_slice(&sound(32_000, 1));
    let samples: Vec<f32> = (0..40).flat_map(|_| turn.clone()).collect();
    let mut session = Session::new(&bundle).unwrap();
    let heard = hear(&mut session, &samples, || 160);
    assert_eq!(hear(&mut session, &samples, || 16_000), heard);
    let n_turns: Vec<Vec<u64>> = (0..40)
        .map(|i| {
            let within = |at: &u64| (i * period as u64..(i + 1) * period as u64).contains(at);
            let starts = heard.detections.iter().map(|found| found.decided_at_sample);
            starts
                .filter(within)
                .map(|at| at - i * period as u64)
                .collect()
        })
        .collect();
    assert!(!n_turns[1].is_empty(), "nothing was detected");
    for (i, turn) in n_turns.iter().enumerate().skip(2) {
        assert_eq!(turn, &n_turns[1], "turn {i}");
    }
}

/// Loud hiss, a pause, vowels, a pause, hiss; and where the vowels are.
fn hiss_and_speech() -> (Vec<f32>, std::ops::Range<u64>) {
    let pause = vec![0.0; 40_000];
    let before = [voice::examples::noise(64_000, 1), pause.clone()].concat();
    let speech = voice::examples::speech();
    let range = before.len() as u64..(before.len() + speech.len()) as u64;
    let after = [pause, voice::examples::noise(64_000, 2)].concat();
    ([before, speech, after].concat(), range)
}

#[test]
fn a_voice_gate_withholds_what_hiss_fires_reports_what_speech_does_and_moves_no_time() {
    let (samples, speech) = hiss_and_speech();
    let mut bundle = talkative(&[residual(), recurrent()]);
    bundle.detector.threshold = 0.25;
    let open = hear_whole(&bundle, &samples);
    bundle.detector.voice_threshold = Some(0.85);
    let gated = hear_whole(&bundle, &samples);
    assert_eq!(
        (&gated.raw, &gated.smoothed),
        (&open.raw, &open.smoothed),
        "the networks hear the same"
    );
    // A voice counts for a clip and the time to a decision.
    let within = |detection: &&Detection| {
        (speech.start..speech.end + 20_000).contains(&detection.decided_at_sample)
    };
    let expected: Vec<Detection> = open.detections.iter().filter(within).cloned().collect();
    let n_in_hiss = open.detections.len() - expected.len();
    assert!(
        !expected.is_empty() && n_in_hiss > 0,
        "{:?}",
        open.detections
    );
    assert_eq!(gated.detections, expected);
    let mut session = Session::new(&bundle).unwrap();
    for n in [1, 160, 511, 4_000] {
        // The same session again and again: its voices are forgotten with the stream.
        assert_eq!(hear(&mut session, &samples, || n), gated, "chunks of {n}");
    }
}

#[test]
fn a_voice_is_told_only_where_it_is_asked_for() {
    let mut bundle = talkative(&[residual()]);
    let voices = |bundle: &Bundle| {
        let (mut session, mut voices) = (Session::new(bundle).unwrap(), vec![]);
        session.push_traced(
            &hiss_and_speech().0,
            |_| {},
            |answer| voices.push(answer.voice),
        );
        voices
    };
    assert!(voices(&bundle).iter().all(Option::is_none));
    bundle.detector.voice_threshold = Some(0.5);
    let told: Vec<f32> = voices(&bundle).into_iter().flatten().collect();
    assert!(told.iter().all(|level| (0.0..=1.0).contains(level)));
    assert!(told.iter().any(|level| *level > 0.85));
}

#[test]
fn the_end_of_a_stream_is_half_a_clip_of_zeros() {
    let bundle = talkative(&[residual()]);
    let samples = sound(30_000, 5);
    let mut longer = samples.clone();
    longer.resize(samples.len() + 8_000, 0.0);
    let mut session = Session::new(&bundle).unwrap();
    let mut answers = vec![];
    session.push_traced(
        &longer,
        |_| {},
        |answer| answers.extend_from_slice(answer.raw),
    );
    assert_eq!(hear_whole(&bundle, &samples).raw, answers);
}

#[test]
fn a_sample_that_is_no_number_is_heard_as_zero() {
    let bundle = talkative(&[recurrent()]);
    let (mut broken, mut mended) = (sound(20_000, 6), sound(20_000, 6));
    for (i, value) in [
        (3, f32::NAN),
        (700, f32::INFINITY),
        (701, f32::NEG_INFINITY),
        (19_000, f32::NAN),
    ] {
        broken[i] = value;
        mended[i] = 0.0;
    }
    assert_eq!(hear_whole(&bundle, &broken), hear_whole(&bundle, &mended));
}

#[test]
fn nothing_at_all_is_a_stream_too() {
    let heard = hear_whole(&talkative(&[residual()]), &[]);
    assert_eq!(heard.detections, []);
    assert_eq!(heard.at_samples.len(), 12); // of the zeros behind it: 48 frames, one answer in 4
}

#[test]
fn nothing_is_allocated_while_listening() {
    let samples = sound(48_000, 7);
    let mut quiet = talkative(&[residual(), recurrent()]);
    quiet.detector.voice_threshold = Some(0.7);
    quiet.detector.threshold = 1.0; // a detection's name is the one thing that is allocated
    let mut session = Session::new(&quiet).unwrap();
    session.push(&samples[..2_000], |_| {});
    let n = count(|| {
        for chunk in samples.chunks(1_111) {
            session.push_traced(chunk, |_| {}, |_| {});
        }
        session.push(&samples, |_| {});
    });
    assert_eq!(n, 0);
    assert_eq!(
        count(|| drop(Vec::<u8>::with_capacity(8))),
        1,
        "the counter counts"
    );
}

#[test]
fn a_bundle_that_cannot_run_is_refused() {
    let mut bundle = bundle(&[residual()], 1);
    bundle.members[0].weights.tensors.remove("stem.conv.weight");
    let error = Session::new(&bundle)
        .err()
        .expect("a missing tensor")
        .to_string();
    assert_eq!(error, "member 0: tensor stem.conv.weight is missing");
    assert!(classify_clip(&bundle, &[0.0; 16_000]).is_err());
}

#[test]
fn a_clip_is_brought_to_length_and_answered_like_a_stream_of_that_clip() {
    let bundle = talkative(&[residual(), recurrent()]);
    let mut classifier = ClipClassifier::new(&bundle).unwrap();
    for n in [0, 1, 5_000, 15_999, 16_000, 16_001, 40_000] {
        let samples = sound(n, 8);
        let clip = auricle_features::fit_clip(&samples, 16_000);
        let mut session = Session::new(&bundle).unwrap();
        let mut last = vec![];
        session.push_traced(&clip, |_| {}, |answer| last = answer.raw.to_vec());
        // 98 frames: the fastest member (every 3rd) answers last at frame 96, where the other (every 4th) does too.
        assert_eq!(classifier.classify(&samples), last, "{n} samples");
        assert_eq!(
            classify_clip(&bundle, &samples).unwrap(),
            last,
            "{n} samples"
        );
        assert!((last.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
}

/// The whole-clip network by its definition, in 64 bits: all frames of a layer at once, zeros before the
/// first, an output at every `stride`-th frame from the first on; then the mean of the last ones.
fn clip_logits_by_definition(bundle: &Bundle, frames: &[Vec<f64>]) -> Vec<f64> {
    let member = &bundle.members[0];
    let tensor = |name: &str| -> Vec<f64> {
        let values = &member.weights.tensors[name].values;
        values.iter().map(|&value| f64::from(value)).collect()
    };
    let scale: Vec<(f64, f64)> = tensor("input.mean")
        .into_iter()
        .zip(tensor("input.inv_deviation"))
        .collect();
    let scaled = |frame: &Vec<f64>| -> Vec<f64> {
        frame
            .iter()
            .zip(&scale)
            .map(|(x, (mean, inverse))| (x - mean) * inverse)
            .collect()
    };
    let mut rows: Vec<Vec<f64>> = frames.iter().map(scaled).collect();
    for (prefix, n_out, kernel, stride) in [("stem.conv", 5, 4, 3), ("blocks.0.conv", 6, 3, 2)] {
        let weight = tensor(&format!("{prefix}.weight"));
        let norm = ["gamma", "beta", "running_mean", "running_var"]
            .map(|part| tensor(&format!("{prefix}.norm.{part}")));
        let n_in = rows[0].len();
        let n_steps = rows.len().div_ceil(stride);
        let output = |step: usize| -> Vec<f64> {
            let channel = |o: usize| {
                let mut sum = 0.0;
                for k in 0..kernel {
                    // Tap `kernel - 1` reads the newest frame.
                    let Some(row) = (step * stride + k + 1).checked_sub(kernel) else {
                        continue;
                    };
                    for i in 0..n_in {
                        sum += weight[(o * n_in + i) * kernel + k] * rows[row][i];
                    }
                }
                let [gamma, beta, mean, var] = &norm;
                ((sum - mean[o]) / (var[o] + 1e-5).sqrt() * gamma[o] + beta[o]).max(0.0)
            };
            (0..n_out).map(channel).collect()
        };
        rows = (0..n_steps).map(output).collect();
    }
    // 40 frames are 7 steps of 6.
    let pooled = &rows[rows.len().saturating_sub(7)..];
    let (weight, bias) = (
        tensor("head.classifier.weight"),
        tensor("head.classifier.bias"),
    );
    let logit = |class: usize| {
        let mean = |i: usize| pooled.iter().map(|row| row[i]).sum::<f64>() / pooled.len() as f64;
        bias[class] + (0..6).map(|i| mean(i) * weight[i * 4 + class]).sum::<f64>()
    };
    (0..4).map(logit).collect()
}

#[test]
fn a_clip_whose_frames_the_stride_does_not_divide_has_the_answer_of_the_whole_clip_network() {
    let strided = genome(
        r#"{"stem":{"n_channels":5,"kernel_frames":4,"stride_frames":3},
            "blocks":[{"kind":"conv1d","n_channels":6,"kernel_frames":3,"stride_frames":2}],
            "head":{"kind":"mean","window_frames":40}}"#,
    );
    let mut bundle = bundle(&[strided], 9);
    for clip_ms in [995, 1000, 1010, 1020, 1030, 1040, 1050, 300] {
        bundle.clip_ms = clip_ms;
        let samples = sound(bundle.clip_samples(), 10);
        let found = classify_clip(&bundle, &samples).unwrap();
        let frames = LogMel::new(&bundle.frontend).unwrap().clip(&samples);
        let rows: Vec<Vec<f64>> = (0..frames.n_frames())
            .map(|i| {
                frames
                    .frame(i)
                    .iter()
                    .map(|&value| f64::from(value))
                    .collect()
            })
            .collect();
        let logits = clip_logits_by_definition(&bundle, &rows);
        let logits: Vec<f32> = logits.iter().map(|&logit| logit as f32).collect();
        for (found, expected) in found.iter().zip(softmax(&logits)) {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-5,
                "{clip_ms} ms: {found} {expected}"
            );
        }
    }
}
