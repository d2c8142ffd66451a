//! `auricle explain`: what a bundle hears in one clip, as a page of pictures.

use std::io::Write;

use anyhow::{Context, bail};
use auricle_features::LogMel;

use crate::audio::decode;
use crate::bundle::{Bundle, keywords};
use crate::cli::args::ExplainArgs;
use crate::evaluate::report::{SoundSection, heat, shares, sound_page, waveform};
use crate::stream::{ClipClassifier, Session};

/// Labels whose probabilities are drawn: those that were the most probable at some time, by their highest.
const N_LINES: usize = 4;

pub fn explain(args: &ExplainArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let bundle = Bundle::load(&args.bundle)?;
    let rate_hz = bundle.frontend.sample_rate_hz;
    let samples = decode(&args.clip, rate_hz)?.samples;
    if samples.len() < bundle.frontend.window_samples {
        bail!(
            "{}: found {} samples, expected at least {} (one window of features)",
            args.clip.display(),
            samples.len(),
            bundle.frontend.window_samples
        );
    }
    let seconds = samples.len() as f64 / f64::from(rate_hz);
    let at_s = |at_sample: u64| at_sample as f64 / f64::from(rate_hz);

    // The clip as a whole.
    let whole = ClipClassifier::new(&bundle)?.classify(&samples).to_vec();
    let mut ranked: Vec<usize> = (0..whole.len()).collect();
    ranked.sort_by(|&a, &b| whole[b].total_cmp(&whole[a]));

    // The same as a stream.
    let mut session = Session::new(&bundle)?;
    let mut answers: Vec<(f64, Vec<f32>)> = Vec::new();
    let mut detections = Vec::new();
    {
        let mut on = |detection| detections.push(detection);
        let mut on_answer = |answer: &crate::stream::Answer| {
            answers.push((at_s(answer.at_sample), answer.smoothed.to_vec()));
        };
        session.push_traced(&samples, &mut on, &mut on_answer);
        session.finish_traced(&mut on, &mut on_answer);
    }
    let highest = |label: usize| {
        let of_label = answers.iter().map(|(_, shares)| shares[label]);
        of_label.fold(0.0_f32, f32::max)
    };
    let mut drawn: Vec<usize> = (0..bundle.labels.len()).collect();
    drawn.sort_by(|&a, &b| highest(b).total_cmp(&highest(a)));
    drawn.truncate(N_LINES);
    let lines: Vec<(String, Vec<(f64, f64)>)> = drawn
        .iter()
        .map(|&label| {
            let points = answers.iter();
            let points = points.map(|(at, shares)| (*at, f64::from(shares[label])));
            (bundle.labels[label].clone(), points.collect())
        })
        .collect();
    let moments: Vec<(f64, String)> = detections
        .iter()
        .map(|detection| (at_s(detection.at_sample), detection.keyword.clone()))
        .collect();

    let plan = LogMel::new(&bundle.frontend)?;
    let frames = plan.clip(&samples);
    let n_mels = bundle.frontend.n_mels;
    let finite = frames.values.iter().copied().filter(|x| x.is_finite());
    let ends = finite.fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], x| {
        [low.min(x), high.max(x)]
    });
    let peak = samples.iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
    let detector = &bundle.detector;
    let end_s = seconds.max(answers.last().map_or(0.0, |last| last.0));
    // All pictures over the same time: the stream goes on in silence behind the clip's end.
    let mut heard = samples.clone();
    let n_heard = (end_s * f64::from(rate_hz)).round() as usize;
    heard.resize(n_heard.max(samples.len()), 0.0);
    let (first, decision) = (ranked[0], decision(&bundle, &detections, at_s));
    let parts = [
        SoundSection {
            title: "The sound".into(),
            note: format!("{seconds:.2} s at {rate_hz} Hz, louder than {peak:.3} nowhere"),
            pictures: vec![waveform(&heard, end_s, peak)],
        },
        SoundSection {
            title: "What the networks are given".into(),
            note: format!("{} frames of {n_mels} bands, log-mel", frames.n_frames()),
            pictures: vec![heat(&plan.clip(&heard).values, n_mels, end_s, ends)],
        },
        SoundSection {
            title: "Probabilities over time, as a stream".into(),
            note: format!(
                "Averaged over {} ms. Dashed: the threshold of {}; {} answers in a row above it make a detection. After the end half a clip of silence is heard.",
                detector.smoothing_ms, detector.threshold, detector.min_consecutive
            ),
            pictures: vec![shares(
                &lines,
                end_s,
                Some(f64::from(detector.threshold)),
                &moments,
            )],
        },
        SoundSection {
            title: "The decision".into(),
            note: format!(
                "As a whole clip: {}. {decision}",
                ranked
                    .iter()
                    .take(N_LINES)
                    .map(|&label| format!("{} {:.1} %", bundle.labels[label], 100.0 * whole[label]))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            pictures: Vec::new(),
        },
    ];
    let facts = [
        ("clip".to_owned(), args.clip.display().to_string()),
        (
            "bundle".to_owned(),
            format!("{} ({})", args.bundle.display(), bundle.title),
        ),
    ];
    let page = sound_page("What was heard", &facts, &parts);
    std::fs::write(&args.out, page).with_context(|| args.out.display().to_string())?;
    writeln!(
        out,
        "{} {:.1} %",
        bundle.labels[first],
        100.0 * whole[first]
    )?;
    writeln!(out, "{decision}")?;
    writeln!(out, "  {}", args.out.display())?;
    Ok(())
}

fn decision(
    bundle: &Bundle,
    detections: &[crate::stream::Detection],
    at_s: impl Fn(u64) -> f64,
) -> String {
    if detections.is_empty() {
        return format!(
            "As a stream: none of the {} keywords was detected.",
            keywords(&bundle.labels).count()
        );
    }
    let heard = detections.iter().map(|detection| {
        format!(
            "{} at {:.2} s (score {:.2}, decided at {:.2} s)",
            detection.keyword,
            at_s(detection.at_sample),
            detection.score,
            at_s(detection.decided_at_sample)
        )
    });
    format!("As a stream: {}.", heard.collect::<Vec<_>>().join(", "))
}
