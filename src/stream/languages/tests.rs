//! What a listener to languages is promised: the same for any chunks, the clip's own answer at its end, nothing more than all
//! that was heard.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::allocations::count;
use crate::bundle::Temperature;
use crate::bundle::examples::{bundle, recurrent, residual};
use crate::stream::classify_clip;

const RATE: usize = 16_000;

/// Four languages by random networks, calibrated unevenly over time; recordings are judged up to 6 s.
fn languages() -> Bundle {
    let mut bundle = bundle(&[residual(), recurrent()], 3);
    bundle.labels = ["en", "de", "fr", "es"].map(String::from).to_vec();
    bundle.whole_clips_ms = Some(6_000);
    let point = |heard_ms, temperature| Temperature {
        heard_ms,
        temperature,
    };
    bundle.languages = Some(LanguageSpec {
        floor: 0.35,
        temperatures: vec![point(1_000, 2.0), point(5_000, 0.7)],
    });
    bundle
}

/// Tones that wander over noise.
fn sound(n_samples: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut phase = 0.0_f32;
    (0..n_samples)
        .map(|i| {
            let t = i as f32 / RATE as f32;
            phase += (400.0 + 350.0 * (t * 1.7).sin() + 90.0 * (t * 9.0).sin()) / RATE as f32;
            let loud = (0.5 + 0.5 * (t * 2.3).sin()).powi(3);
            let tone = (phase.fract() * std::f32::consts::TAU).sin();
            0.4 * loud * tone + rng.random_range(-0.01..0.01)
        })
        .collect()
}

#[derive(Clone, Debug, PartialEq)]
struct Told {
    occasion: Occasion,
    heard_samples: u64,
    language: Option<usize>,
    posterior: Vec<f32>,
}

fn told(opinion: &Opinion) -> Told {
    Told {
        occasion: opinion.occasion,
        heard_samples: opinion.heard_samples,
        language: opinion.language,
        posterior: opinion.posterior.to_vec(),
    }
}

fn hear(session: &mut LanguageSession, samples: &[f32], n: usize) -> Vec<Told> {
    let mut all = vec![];
    for chunk in samples.chunks(n) {
        session.push(chunk, |opinion| all.push(told(opinion)));
    }
    session.finish(|opinion| all.push(told(opinion)));
    all
}

fn hear_whole(bundle: &Bundle, languages: &[&str], samples: &[f32]) -> Vec<Told> {
    let languages: Vec<String> = languages.iter().map(|&name| name.to_owned()).collect();
    let mut session = LanguageSession::new(bundle, &languages).unwrap();
    hear(&mut session, samples, samples.len().max(1))
}

#[track_caller]
fn check_near(found: &[f32], expected: &[f32], what: &str) {
    for (a, b) in found.iter().zip(expected) {
        assert!(
            (a - b).abs() < 1e-5,
            "{what}: {found:?}, expected {expected:?}"
        );
    }
}

#[test]
fn it_is_told_after_1_2_3_and_5_seconds_and_at_the_end_in_any_chunks() {
    let samples = sound(RATE * 13 + 777, 1);
    let bundle = languages();
    let whole = hear_whole(&bundle, &[], &samples);
    let at = |occasion| -> Vec<u64> {
        let of = whole.iter().filter(|told| told.occasion == occasion);
        of.map(|told| told.heard_samples).collect()
    };
    assert_eq!(at(Occasion::Heard), [16_000, 32_000, 48_000, 80_000]);
    assert_eq!(at(Occasion::End), [samples.len() as u64]);
    let mut session = LanguageSession::new(&bundle, &[]).unwrap();
    for n in [1, 160, 511, 513, 16_000] {
        // The same session again and again: a finished one starts afresh.
        assert_eq!(hear(&mut session, &samples, n), whole, "chunks of {n}");
    }
}

#[test]
fn after_a_recording_the_posterior_is_the_recordings_own_answer() {
    let bundle = languages();
    for n in [401, 5_000, 16_000, 40_000, 80_001, 96_000] {
        let samples = sound(n, 2);
        let told = hear_whole(&bundle, &[], &samples);
        let last = told.last().unwrap();
        check_near(
            &last.posterior,
            &classify_clip(&bundle, &samples).unwrap(),
            "end",
        );
        let heard = told.iter().filter(|told| told.occasion == Occasion::Heard);
        for told in heard {
            let first = &samples[..told.heard_samples as usize];
            check_near(
                &told.posterior,
                &classify_clip(&bundle, first).unwrap(),
                "first",
            );
        }
    }
}

#[test]
fn of_a_longer_stream_all_windows_count_by_their_length() {
    let bundle = languages();
    let samples = sound(RATE * 14, 3);
    let told = hear_whole(&bundle, &[], &samples);
    let mut expected = [0.0_f64; 4];
    for window in samples.chunks(RATE * 6) {
        let answer = classify_clip(&bundle, window).unwrap();
        for (sum, p) in expected.iter_mut().zip(answer) {
            *sum += window.len() as f64 / samples.len() as f64 * f64::from(p).ln();
        }
    }
    let total: f64 = expected.iter().map(|log| log.exp()).sum();
    let expected = expected.map(|log| (log.exp() / total) as f32);
    check_near(&told.last().unwrap().posterior, &expected, "14 s");
}

#[test]
fn to_rule_languages_out_is_to_bring_the_rest_to_a_sum_of_one() {
    let bundle = languages();
    let samples = sound(RATE * 8, 4);
    let all = hear_whole(&bundle, &[], &samples);
    let some = hear_whole(&bundle, &["de", "es"], &samples);
    let without_changes = |told: &[Told]| -> Vec<Told> {
        let others = told.iter().filter(|told| told.occasion != Occasion::Change);
        others.cloned().collect()
    };
    let (all, some) = (without_changes(&all), without_changes(&some));
    assert_eq!(all.len(), 5);
    assert_eq!(some.len(), 5);
    for (all, some) in all.iter().zip(&some) {
        let sum = all.posterior[1] + all.posterior[3];
        let expected = [0.0, all.posterior[1] / sum, 0.0, all.posterior[3] / sum];
        check_near(&some.posterior, &expected, "restricted");
        assert_eq!((some.posterior[0], some.posterior[2]), (0.0, 0.0));
        assert!(matches!(some.language, Some(1 | 3)), "{some:?}");
    }
    let alone = hear_whole(&bundle, &["fr"], &samples);
    assert!(alone.iter().all(|told| told.language == Some(2)));
}

#[test]
fn below_the_floor_it_is_undecided() {
    let samples = sound(RATE * 6, 5);
    let mut bundle = languages();
    for floor in [0.3, 0.5, 0.9] {
        bundle.languages.as_mut().unwrap().floor = floor;
        for told in hear_whole(&bundle, &[], &samples) {
            let (top, p) = told
                .posterior
                .iter()
                .enumerate()
                .max_by(|a, b| a.1.total_cmp(b.1))
                .unwrap();
            assert_eq!(told.language, (*p >= floor).then_some(top), "{told:?}");
        }
    }
}

#[test]
fn another_language_is_told_when_it_has_been_so_for_a_while() {
    let bundle = languages();
    let mut n_changes = 0;
    for seed in 0..12 {
        let told = hear_whole(&bundle, &[], &sound(RATE * 12, seed));
        for pair in told.windows(2) {
            if pair[1].occasion == Occasion::Change {
                n_changes += 1;
                assert_ne!(pair[0].language, pair[1].language);
                let n_since = pair[1].heard_samples - pair[0].heard_samples;
                assert!(n_since >= CHANGE_HOLDS_MS * 16, "{n_since}");
            }
        }
    }
    assert!(n_changes > 0, "nothing changed: the test shows nothing");
}

#[test]
fn a_stream_that_is_broken_off_leaves_nothing_behind() {
    let bundle = languages();
    let samples = sound(RATE * 7, 6);
    let mut session = LanguageSession::new(&bundle, &[]).unwrap();
    session.push(&sound(RATE * 9, 7), |_| {});
    session.reset();
    assert_eq!(
        hear(&mut session, &samples, 4_000),
        hear_whole(&bundle, &[], &samples)
    );
}

#[test]
fn nothing_heard_tells_nothing_apart() {
    let told = hear_whole(&languages(), &["en", "fr"], &[]);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].posterior, [0.5, 0.0, 0.5, 0.0]);
}

#[test]
fn a_sample_that_is_no_number_is_heard_as_zero() {
    let (mut broken, mut mended) = (sound(RATE * 2, 8), sound(RATE * 2, 8));
    for (i, value) in [(3, f32::NAN), (9_000, f32::INFINITY)] {
        broken[i] = value;
        mended[i] = 0.0;
    }
    let bundle = languages();
    assert_eq!(
        hear_whole(&bundle, &[], &broken),
        hear_whole(&bundle, &[], &mended)
    );
}

#[test]
fn nothing_is_allocated_while_listening() {
    let samples = sound(RATE * 8, 9);
    let mut session = LanguageSession::new(&languages(), &[]).unwrap();
    session.push(&samples[..2_000], |_| {});
    let n = count(|| {
        for chunk in samples.chunks(1_111) {
            session.push(chunk, |_| {});
        }
        session.finish(|_| {});
        session.push(&samples, |_| {});
    });
    assert_eq!(n, 0);
}

#[test]
fn keywords_and_unknown_languages_are_refused() {
    let refused = |bundle: &Bundle, languages: &[&str]| {
        let languages: Vec<String> = languages.iter().map(|&name| name.to_owned()).collect();
        let error = LanguageSession::new(bundle, &languages).err();
        error.expect("refused").to_string()
    };
    assert_eq!(
        refused(&languages(), &["en", "tlh"]),
        "found the language \"tlh\", expected some of en, de, fr, es"
    );
    assert_eq!(
        refused(&bundle(&[residual()], 1), &[]),
        "found a bundle of keywords, expected one whose classes are languages"
    );
}
