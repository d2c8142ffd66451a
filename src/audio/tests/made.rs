//! Files that the tests make themselves, for a clone without recordings.

use super::*;

fn tone(n: usize, rate_hz: u32) -> Vec<f32> {
    (0..n)
        .map(|i| 0.5 * (i as f32 * 440.0 * std::f32::consts::TAU / rate_hz as f32).sin())
        .collect()
}

/// Half a second of a tone as 16-bit WAV, mono, 16 kHz, and its bytes.
pub(super) fn small_wav() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tone.wav");
    write_wav(
        &path,
        &Clip {
            samples: tone(8_000, RATE_HZ),
            sample_rate_hz: RATE_HZ,
        },
    )
    .unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 44 + 16_000);
    (folder, path, bytes)
}

/// Writes the tone's WAV after a change to its bytes and checks what becomes of it.
#[track_caller]
fn check_changed(outcome: &Outcome, change: impl FnOnce(&mut Vec<u8>)) {
    let (_folder, path, mut bytes) = small_wav();
    change(&mut bytes);
    fs::write(&path, bytes).unwrap();
    check(&path, outcome);
}

#[test]
fn what_is_written_is_read_back() {
    let (_folder, path, _) = small_wav();
    let clip = decode(&path, RATE_HZ).unwrap();
    for (found, want) in clip.samples.iter().zip(tone(8_000, RATE_HZ)) {
        assert!((found - want).abs() <= 0.5 / 32_768.0 + 1e-7);
    }
    assert_eq!(clip.samples.len(), 8_000);
}

#[test]
fn writing_clips_at_full_scale_and_refuses_what_is_no_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loud.wav");
    let mut clip = Clip {
        samples: vec![3.0, -3.0, 0.25],
        sample_rate_hz: RATE_HZ,
    };
    write_wav(&path, &clip).unwrap();
    assert_eq!(
        decode(&path, RATE_HZ).unwrap().samples,
        [32_767.0 / 32_768.0, -1.0, 0.25]
    );
    clip.samples[1] = f32::NAN;
    assert!(matches!(
        write_wav(&path, &clip),
        Err(AudioError::NonFinite { .. })
    ));
}

#[test]
fn every_width_rate_and_channel_count_of_wav_is_heard() {
    let folder = tempfile::tempdir().unwrap();
    for (bits_per_sample, sample_format) in [
        (8, hound::SampleFormat::Int),
        (16, hound::SampleFormat::Int),
        (24, hound::SampleFormat::Int),
        (32, hound::SampleFormat::Int),
        (32, hound::SampleFormat::Float),
    ] {
        for (sample_rate, channels) in [
            (8_000, 1),
            (16_000, 2),
            (22_050, 6),
            (48_000, 2),
            (96_000, 1),
        ] {
            let path = folder.path().join("sound.wav");
            let spec = hound::WavSpec {
                channels,
                sample_rate,
                bits_per_sample,
                sample_format,
            };
            let mut writer = hound::WavWriter::create(&path, spec).unwrap();
            let full = f64::from((1_u64 << (bits_per_sample - 1)) as u32);
            for sample in tone(sample_rate as usize / 2, sample_rate) {
                for _ in 0..channels {
                    match sample_format {
                        hound::SampleFormat::Float => writer.write_sample(sample).unwrap(),
                        hound::SampleFormat::Int => writer
                            .write_sample((f64::from(sample) * full) as i32)
                            .unwrap(),
                    }
                }
            }
            writer.finalize().unwrap();
            let clip = decode(&path, RATE_HZ).unwrap();
            let name = format!("{bits_per_sample} bits, {sample_rate} Hz, {channels} channels");
            assert!(
                clip.samples.len().abs_diff(8_000) <= 1,
                "{name}: {} samples",
                clip.samples.len()
            );
            let want = tone(8_000, RATE_HZ);
            for (at, (found, want)) in clip
                .samples
                .iter()
                .zip(&want)
                .enumerate()
                .skip(400)
                .take(7_200)
            {
                assert!(
                    (found - want).abs() < 0.01,
                    "{name}, sample {at}: {found}, not {want}"
                );
            }
        }
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    let bytes = words.iter().flat_map(|word| word.to_be_bytes());
    bytes.collect()
}

/// The same tone as 16-bit samples, the high byte first.
fn big_endian_tone() -> Vec<u8> {
    let samples = tone(8_000, RATE_HZ);
    let bytes = samples
        .iter()
        .flat_map(|s| ((s * 32_768.0) as i16).to_be_bytes());
    bytes.collect()
}

/// Half a second of a tone as AU with that many bytes promised.
pub(super) fn small_au(n_bytes: u32) -> Vec<u8> {
    [
        b".snd".to_vec(),
        words(&[24, n_bytes, 3, RATE_HZ, 1]),
        big_endian_tone(),
    ]
    .concat()
}

/// Half a second of a tone as AIFF.
pub(super) fn small_aiff() -> Vec<u8> {
    // 16,000 as an 80-bit float: exponent 13, mantissa 16,000 << 50.
    let rate = [0x40, 0x0c, 0xfa, 0, 0, 0, 0, 0, 0, 0];
    let common = [
        b"COMM".to_vec(),
        words(&[18]),
        vec![0, 1],
        words(&[8_000]),
        vec![0, 16],
        rate.to_vec(),
    ]
    .concat();
    let sound = [b"SSND".to_vec(), words(&[16_008, 0, 0]), big_endian_tone()].concat();
    let form_bytes = (4 + common.len() + sound.len()) as u32;
    [
        b"FORM".to_vec(),
        words(&[form_bytes]),
        b"AIFF".to_vec(),
        common,
        sound,
    ]
    .concat()
}

#[test]
fn an_au_and_an_aiff_written_by_hand_are_heard() {
    let folder = tempfile::tempdir().unwrap();
    // The name says something else: only the content counts.
    let path = folder.path().join("sound.mp3");
    fs::write(&path, small_au(16_000)).unwrap();
    check(&path, &Whole(0.5));
    fs::write(&path, small_au(u32::MAX)).unwrap();
    check(&path, &Whole(0.5));
    fs::write(&path, small_au(32_000)).unwrap();
    check(&path, &Part("truncated", 0.5));
    let mut other_code = small_au(16_000);
    other_code[15] = 23;
    fs::write(&path, other_code).unwrap();
    check(&path, &Refused("unsupported"));
    fs::write(&path, small_aiff()).unwrap();
    check(&path, &Whole(0.5));
}

#[test]
fn a_file_without_bytes_or_samples_is_empty() {
    check_changed(&Refused("empty"), |bytes| bytes.clear());
    check_changed(&Refused("empty"), |bytes| bytes.truncate(44));
}

#[test]
fn a_cut_file_says_what_is_left_and_what_was_promised() {
    check_changed(&Part("truncated", 0.25), |bytes| bytes.truncate(44 + 8_000));
    check_changed(&Refused("truncated"), |bytes| bytes.truncate(20));
    let (_folder, path, bytes) = small_wav();
    fs::write(&path, &bytes[..44 + 8_000]).unwrap();
    let message = decode(&path, RATE_HZ).unwrap_err().to_string();
    assert!(
        message.contains("found 0.250 s") && message.contains("0.500 s that the header promises"),
        "{message}"
    );
}

#[test]
fn a_lying_header_is_told_from_a_cut_file() {
    let data_bytes =
        |bytes: &mut Vec<u8>, size: u32| bytes[40..44].copy_from_slice(&size.to_le_bytes());
    check_changed(&Refused("lying-header"), |bytes| {
        data_bytes(bytes, 0x7fff_ff00)
    });
    check_changed(&Part("lying-header", 0.1), |bytes| data_bytes(bytes, 3_200));
    check_changed(&Refused("lying-header"), |bytes| data_bytes(bytes, 0));
    // Sizes of a writer that could not know.
    check_changed(&Whole(0.5), |bytes| {
        bytes[4..8].fill(0xff);
        data_bytes(bytes, u32::MAX);
    });
    check_changed(&Whole(0.5), |bytes| {
        bytes[4..8].copy_from_slice(&0x7fff_f024_u32.to_le_bytes());
        data_bytes(bytes, 0x7fff_f000);
    });
}

#[test]
fn counts_and_rates_out_of_measure_are_lies() {
    for n_channels in [0_u16, 33, u16::MAX] {
        check_changed(&Refused("lying-header"), |bytes| {
            bytes[22..24].copy_from_slice(&n_channels.to_le_bytes())
        });
    }
    for rate_hz in [0_u32, 1, 1_000_000, u32::MAX] {
        check_changed(&Refused("lying-header"), |bytes| {
            bytes[24..28].copy_from_slice(&rate_hz.to_le_bytes())
        });
    }
    check_changed(&Refused("unsupported"), |bytes| {
        bytes[20..22].copy_from_slice(&0x0161_u16.to_le_bytes())
    });
}

#[test]
fn chunks_after_the_samples_are_no_samples() {
    check_changed(&Whole(0.5), |bytes| {
        bytes.extend(b"LIST");
        bytes.extend(2_000_u32.to_le_bytes());
        bytes.extend([7; 2_000]);
    });
}

#[test]
fn samples_that_are_no_numbers_are_found_at_their_second() {
    let folder = tempfile::tempdir().unwrap();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30] {
        let path = folder.path().join("float.wav");
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: RATE_HZ,
            bits_per_sample: 32,
            sample_format: hound::SampleFormat::Float,
        };
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        for at in 0..32_000 {
            writer
                .write_sample(if at == 24_001 { bad } else { 0.1 })
                .unwrap();
        }
        writer.finalize().unwrap();
        match decode(&path, RATE_HZ) {
            Err(AudioError::NonFinite { at_s, .. }) => {
                assert!((at_s - 0.75).abs() < 1e-9, "{at_s}")
            }
            other => panic!("{bad}: {other:?}"),
        }
    }
}

#[test]
fn what_is_no_file_or_no_audio_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    check(folder.path(), &Refused("not-audio"));
    check(&folder.path().join("absent.wav"), &Refused("io"));
    let path = folder.path().join("sound.wav");
    fs::write(&path, "Down with the north wind.\n".repeat(300)).unwrap();
    check(&path, &Refused("not-audio"));
    assert!(
        decode(&path, RATE_HZ)
            .unwrap_err()
            .to_string()
            .contains("found text (\"Down with")
    );
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    fs::write(
        &path,
        (0..50_000).map(|_| rng.random()).collect::<Vec<u8>>(),
    )
    .unwrap();
    check(&path, &Refused("not-audio"));
    fs::write(&path, b"RF64\xff\xff\xff\xffWAVE").unwrap();
    check(&path, &Refused("unsupported"));
    for marker in [
        &b"fLaC"[..],
        b"OggS",
        b"FORM\0\0\0\x0aAIFF",
        b"\0\0\0\x18ftypM4A ",
        b"ID3\x04\0\0\0\0\0\0",
    ] {
        fs::write(&path, marker).unwrap();
        let error = decode(&path, RATE_HZ).unwrap_err();
        assert!(
            matches!(error.kind(), "truncated" | "damaged" | "unsupported"),
            "{error}"
        );
    }
}
