//! Every change is the size it says, and the same for the same seed.

use std::f64::consts::TAU;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn tone(hz: f64, n_samples: usize, amplitude: f64) -> Vec<f32> {
    (0..n_samples)
        .map(|i| (amplitude * (TAU * hz * i as f64 / 16_000.0).sin()) as f32)
        .collect()
}

fn hiss(n_samples: usize, seed: u64) -> Vec<f32> {
    let mut rng = rng(seed);
    (0..n_samples)
        .map(|_| rng.random_range(-0.3..0.3))
        .collect()
}

fn bank() -> NoiseBank {
    let mut bank = NoiseBank::new(16_000);
    for seed in 0..3 {
        bank.push(
            hiss(40_000, seed)
                .iter()
                .map(|x| (x * 32_767.0) as i16)
                .collect(),
        );
    }
    bank
}

fn rooms() -> RoomBank {
    let mut rooms = RoomBank::new(16_000);
    let spec = SimulatedRooms {
        n_rooms: 2,
        size_m: [3.0, 5.0],
        rt60_ms: [100.0, 150.0],
        distance_m: [0.5, 2.0],
    };
    rooms.simulate(&spec, 1);
    rooms
}

#[track_caller]
fn check_snr(speech: &[f32], noise: &[f32], snr_db: f32) {
    let mut mixed = speech.to_vec();
    mix_at_snr_db(&mut mixed, noise, snr_db).unwrap();
    let added: Vec<f32> = mixed.iter().zip(speech).map(|(m, s)| m - s).collect();
    let measured = 20.0 * (rms(speech) / rms(&added)).log10();
    assert!(
        (measured - f64::from(snr_db)).abs() < 0.01,
        "asked for {snr_db} dB, measured {measured} dB"
    );
}

#[test]
fn noise_is_mixed_at_the_asked_ratio_to_a_hundredth_of_a_db() {
    for snr_db in [-10.0, -3.3, 0.0, 5.0, 12.25, 30.0] {
        check_snr(&tone(440.0, 16_000, 0.5), &hiss(16_000, 1), snr_db);
        check_snr(&tone(440.0, 16_000, 0.01), &hiss(16_000, 1), snr_db);
        check_snr(&hiss(16_000, 2), &tone(100.0, 16_000, 0.9), snr_db);
        // Half of the clip is a pause: the ratio is to the clip as a whole.
        check_snr(
            &[tone(440.0, 8_000, 0.5), vec![0.0; 8_000]].concat(),
            &hiss(16_000, 1),
            snr_db,
        );
        // Noise that is too short or too long.
        check_snr(&tone(440.0, 16_000, 0.5), &hiss(700, 1), snr_db);
        check_snr(&tone(440.0, 16_000, 0.5), &hiss(50_000, 1), snr_db);
    }
}

#[test]
fn without_speech_or_noise_there_is_no_ratio_and_nothing_changes() {
    let speech = tone(440.0, 1_000, 0.5);
    for (speech, noise) in [
        (speech.clone(), vec![0.0; 1_000]),
        (vec![0.0; 1_000], hiss(1_000, 1)),
        (speech, vec![]),
        (vec![], hiss(1_000, 1)),
        (tone(440.0, 1_000, 0.5), vec![f32::NAN; 1_000]),
    ] {
        let mut mixed = speech.clone();
        assert_eq!(mix_at_snr_db(&mut mixed, &noise, 10.0), None);
        assert_eq!(mixed, speech);
    }
}

#[test]
fn gain_is_in_decibels() {
    let mut clip = tone(440.0, 16_000, 0.1);
    let before = rms(&clip);
    apply_gain_db(&mut clip, 6.0);
    assert!((20.0 * (rms(&clip) / before).log10() - 6.0).abs() < 1e-4);
    apply_gain_db(&mut clip, -6.0);
    assert!((rms(&clip) / before - 1.0).abs() < 1e-5);
}

#[test]
fn a_shift_moves_and_uncovers_zeros() {
    let shifted = |shift| {
        let mut clip = vec![1.0, 2.0, 3.0, 4.0];
        shift_samples(&mut clip, shift);
        clip
    };
    assert_eq!(shifted(0), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(shifted(1), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(shifted(-3), [4.0, 0.0, 0.0, 0.0]);
    for beyond in [4, 9, -4, i64::MIN, i64::MAX] {
        assert_eq!(shifted(beyond), [0.0; 4]);
    }
    let mut frames = vec![1.0, 10.0, 2.0, 20.0, 3.0, 30.0];
    shift_frames(&mut frames, &[-1.0, -2.0], 1);
    assert_eq!(frames, [-1.0, -2.0, 1.0, 10.0, 2.0, 20.0]);
    shift_frames(&mut frames, &[-1.0, -2.0], -2);
    assert_eq!(frames, [2.0, 20.0, -1.0, -2.0, -1.0, -2.0]);
}

/// The frequency of a tone by its zero crossings.
fn hz_of(clip: &[f32]) -> f64 {
    let inside: Vec<f32> = clip.iter().copied().filter(|&x| x != 0.0).collect();
    let crossings = inside
        .windows(2)
        .filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0)
        .count();
    crossings as f64 * 16_000.0 / inside.len() as f64
}

#[test]
fn speed_scales_pitch_and_keeps_the_length_and_the_middle() {
    let clip = tone(440.0, 16_000, 0.5);
    for factor in [0.85, 0.97, 1.0, 1.1, 1.15] {
        let mut out = Vec::new();
        change_speed(&clip, factor, &mut out);
        assert_eq!(out.len(), clip.len());
        let expected = 440.0 * f64::from(factor);
        assert!(
            (hz_of(&out) - expected).abs() < 2.0,
            "{} Hz at {factor}",
            hz_of(&out)
        );
        // Against the exact tone, by its formula, in the middle half.
        let centre = 7_999.5;
        for (i, &x) in out.iter().enumerate().take(12_000).skip(4_000) {
            let at = centre + (i as f64 - centre) * f64::from(factor);
            let exact = 0.5 * (TAU * 440.0 * at / 16_000.0).sin();
            assert!((f64::from(x) - exact).abs() < 1e-3);
        }
    }
    let mut same = Vec::new();
    change_speed(&clip, 1.0, &mut same);
    assert_eq!(same, clip);
}

#[test]
fn masks_hide_no_more_than_they_may_and_only_with_the_fill() {
    let fill: Vec<f32> = (0..40).map(|band| -5.0 - band as f32).collect();
    let masks = SpecAugment {
        n_time_masks: 2,
        max_time_frames: 20,
        n_frequency_masks: 2,
        max_bands: 7,
    };
    let mut most = (0, 0);
    for seed in 0..300 {
        let mut frames = vec![1.0; 98 * 40];
        mask_frames(&mut frames, &fill, &masks, &mut rng(seed));
        let rows: Vec<&[f32]> = frames.chunks(40).collect();
        let hidden_frames = rows.iter().filter(|row| **row == fill).count();
        let hidden_bands = (0..40)
            .filter(|&band| rows.iter().all(|row| row[band] == fill[band]))
            .count();
        assert!(
            hidden_frames <= 40 && hidden_bands <= 14,
            "{hidden_frames} frames, {hidden_bands} bands"
        );
        most = (most.0.max(hidden_frames), most.1.max(hidden_bands));
        for row in &rows {
            assert!(row.iter().zip(&fill).all(|(x, f)| *x == 1.0 || x == f));
        }
    }
    assert!(
        most.0 > 30 && most.1 > 10,
        "masks reach their width: {most:?}"
    );
}

#[test]
fn masks_never_hide_all_of_a_short_clip_at_once() {
    let masks = SpecAugment {
        n_time_masks: 1,
        max_time_frames: 50,
        n_frequency_masks: 1,
        max_bands: 50,
    };
    for n_frames in [0, 1, 2, 5] {
        for seed in 0..50 {
            let mut frames = vec![1.0; n_frames * 3];
            mask_frames(&mut frames, &[0.0; 3], &masks, &mut rng(seed));
            assert!(n_frames == 0 || frames.contains(&1.0), "{n_frames} frames");
        }
    }
}

#[test]
fn a_crop_of_noise_has_the_asked_length_and_every_recording_is_heard() {
    let mut bank = NoiseBank::new(16_000);
    bank.push(vec![0; 500]); // silence: passed over
    bank.push(vec![100; 300]);
    bank.push(vec![200; 3_000]);
    assert_eq!(bank.len(), 2);
    let (mut low, mut high) = (0, 0);
    for seed in 0..2_000 {
        let crop = bank.crop(1_000, &mut rng(seed));
        assert_eq!(crop.len(), 1_000);
        assert!(
            crop.iter().all(|&x| x == crop[0]),
            "a crop comes from one recording"
        );
        if crop[0] == 100.0 / 32_768.0 {
            low += 1
        } else {
            high += 1
        }
    }
    let share = f64::from(low) / f64::from(low + high);
    assert!((share - 300.0 / 3_300.0).abs() < 0.03, "{share}");
    assert!(NoiseBank::new(16_000).crop(1_000, &mut rng(0)).is_empty());
}

#[test]
fn a_clip_of_an_epoch_can_be_made_again_and_another_seed_makes_another() {
    let (clip, bank) = (tone(300.0, 16_000, 0.3), bank());
    let spec = AugmentSpec {
        speed: Some([0.9, 1.1]),
        max_frame_shift: 5,
        room: Some(RoomMix { probability: 0.9 }),
        channel: Some(ChannelMix {
            probability: 0.9,
            kinds: vec![
                ChannelKind::Telephone {},
                ChannelKind::MuLaw {},
                ChannelKind::LowPass {
                    cutoff_hz: [1_000.0, 6_000.0],
                },
            ],
        }),
        ..AugmentSpec::commands()
    };
    spec.validate().unwrap();
    let make = |seed| {
        let mut out = vec![9.0; 3];
        augment_samples(&clip, &bank, &rooms(), &spec, &mut rng(seed), &mut out);
        out
    };
    assert_eq!(make(1), make(1));
    assert_ne!(make(1), make(2));
    assert_eq!(make(1).len(), clip.len());
    assert!(make(1).iter().all(|x| x.is_finite()));
    let frames = |seed| {
        let mut frames: Vec<f32> = (0..98 * 40).map(|i| i as f32).collect();
        augment_frames(&mut frames, &[0.0; 40], &spec, &mut rng(seed));
        frames
    };
    assert_eq!(frames(1), frames(1));
    assert_ne!(frames(1), frames(2));
}

#[test]
fn nothing_asked_is_nothing_done() {
    let clip = tone(300.0, 16_000, 0.3);
    let mut out = Vec::new();
    augment_samples(
        &clip,
        &bank(),
        &rooms(),
        &AugmentSpec::none(),
        &mut rng(1),
        &mut out,
    );
    assert_eq!(out, clip);
    let mut frames = clip.clone();
    augment_frames(&mut frames, &[0.0; 40], &AugmentSpec::none(), &mut rng(1));
    assert_eq!(frames, clip);
}

#[test]
fn shifts_reach_both_ends_of_their_range_and_noise_comes_as_often_as_asked() {
    let mut click = vec![0.0; 16_000];
    click[8_000] = 1.0;
    let spec = AugmentSpec {
        time_shift_ms: 100.0,
        ..AugmentSpec::none()
    };
    let mut out = Vec::new();
    let places: Vec<i64> = (0..2_000)
        .map(|seed| {
            augment_samples(
                &click,
                &NoiseBank::new(16_000),
                &rooms(),
                &spec,
                &mut rng(seed),
                &mut out,
            );
            out.iter().position(|&x| x == 1.0).unwrap() as i64 - 8_000
        })
        .collect();
    assert!(places.iter().all(|shift| (-1_600..=1_600).contains(shift)));
    assert!(*places.iter().min().unwrap() < -1_580 && *places.iter().max().unwrap() > 1_580);

    let clip = tone(300.0, 1_000, 0.3);
    let noisy = AugmentSpec {
        noise: Some(NoiseMix {
            probability: 0.8,
            snr_db: [10.0, 10.0],
        }),
        ..AugmentSpec::none()
    };
    let n = (0..2_000).filter(|&seed| {
        augment_samples(&clip, &bank(), &rooms(), &noisy, &mut rng(seed), &mut out);
        out != clip
    });
    assert!((n.count() as i64 - 1_600).abs() < 80);
}

#[test]
fn noise_in_a_room_is_at_the_asked_ratio_to_what_is_heard_there() {
    let (clip, bank, rooms) = (tone(300.0, 16_000, 0.3), bank(), rooms());
    let with = |noise: Option<NoiseMix>| {
        let spec = AugmentSpec {
            room: Some(RoomMix { probability: 1.0 }),
            noise,
            ..AugmentSpec::none()
        };
        let mut out = Vec::new();
        augment_samples(&clip, &bank, &rooms, &spec, &mut rng(4), &mut out);
        out
    };
    let heard = with(None);
    let noisy = with(Some(NoiseMix {
        probability: 1.0,
        snr_db: [7.0, 7.0],
    }));
    assert_ne!(heard, clip);
    let added: Vec<f32> = noisy.iter().zip(&heard).map(|(n, h)| n - h).collect();
    let measured = 20.0 * (rms(&heard) / rms(&added)).log10();
    assert!((measured - 7.0).abs() < 0.01, "{measured} dB");
}

#[test]
fn a_spec_that_makes_no_sense_is_refused_by_name() {
    let fault = |spec: AugmentSpec| spec.validate().unwrap_err().field;
    let none = AugmentSpec::none;
    assert_eq!(
        fault(AugmentSpec {
            time_shift_ms: -1.0,
            ..none()
        }),
        "time_shift_ms"
    );
    assert_eq!(
        fault(AugmentSpec {
            time_shift_ms: f32::NAN,
            ..none()
        }),
        "time_shift_ms"
    );
    assert_eq!(
        fault(AugmentSpec {
            gain_db: Some([3.0, -3.0]),
            ..none()
        }),
        "gain_db"
    );
    assert_eq!(
        fault(AugmentSpec {
            speed: Some([0.5, 1.0]),
            ..none()
        }),
        "speed"
    );
    let noise = |probability, snr_db| AugmentSpec {
        noise: Some(NoiseMix {
            probability,
            snr_db,
        }),
        ..none()
    };
    assert_eq!(
        fault(AugmentSpec {
            room: Some(RoomMix { probability: -0.1 }),
            ..none()
        }),
        "room.probability"
    );
    let channel = |probability, kinds| AugmentSpec {
        channel: Some(ChannelMix { probability, kinds }),
        ..none()
    };
    assert_eq!(fault(channel(0.5, vec![])), "channel.kinds");
    assert_eq!(
        fault(channel(2.0, vec![ChannelKind::MuLaw {}])),
        "channel.probability"
    );
    let low_pass = ChannelKind::LowPass {
        cutoff_hz: [3_000.0, 2_000.0],
    };
    assert_eq!(
        fault(channel(0.5, vec![low_pass])),
        "channel.kinds.cutoff_hz"
    );
    assert_eq!(fault(noise(1.5, [0.0, 1.0])), "noise.probability");
    assert_eq!(fault(noise(0.5, [f32::NAN, 1.0])), "noise.snr_db");
    let json = serde_json::to_string(&AugmentSpec::commands()).unwrap();
    assert_eq!(
        serde_json::from_str::<AugmentSpec>(&json).unwrap(),
        AugmentSpec::commands()
    );
    assert!(serde_json::from_str::<AugmentSpec>(&json.replace("snr_db", "snr")).is_err());
}
