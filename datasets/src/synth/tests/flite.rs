//! flite's voices beside espeak-ng's, with a stand-in for flite; passed over, with a reason, where espeak-ng is not installed.

#![cfg(unix)]

use super::*;

/// How high the stand-in speaks, in hertz, and for how long as it is usual, in seconds.
const TONE_HZ: f32 = 400.0;
const USUAL_S: f32 = 0.5;

/// A stand-in for flite that knows its options: 400 Hz, half a second by the factor of its length, in a WAV whose sizes are unknown.
fn flite(folder: &Path) -> Flite {
    let program = stand_in(
        folder,
        "flite",
        r#"
while [ $# -gt 0 ]; do
    case "$1" in
    --help) echo "flite: a small simple speech synthesizer"; echo "  version: flite-2.2-current Sep 2018 (url)"; exit 0 ;;
    -lv) echo "Voices available: kal awb_time kal16 rms slt "; exit 0 ;;
    -voice) case "$2" in kal16 | rms | slt) ;; *) echo "no voice $2" >&2; exit 3 ;; esac; shift 2 ;;
    --setf) stretch=${2#duration_stretch=}; shift 2 ;;
    -o) [ "$2" = /dev/stdout ] || exit 4; shift 2 ;;
    -t) [ -n "$2" ] || exit 5; shift 2 ;;
    *) echo "unknown $1" >&2; exit 6 ;;
    esac
done
printf 'RIFF\377\377\377\377WAVEfmt \020\000\000\000\001\000\001\000\200\076\000\000\000\175\000\000\002\000\020\000data\377\377\377\377'
awk -v n="$stretch" 'BEGIN { for (i = 0; i < 8000 * n; i++) printf "%s", int(i * 800 / 16000) % 2 ? "0P" : "00" }'
"#,
    );
    Flite::find_at(&program).unwrap()
}

#[test]
fn flites_voices_join_the_training_side_and_leave_every_other_clip_as_it_was() {
    let Some(espeak) = espeak() else { return };
    let folder = tempfile::tempdir().unwrap();
    let both = EspeakAndFlite::new(espeak.clone(), flite(folder.path()));
    assert!(
        both.version().ends_with(" and flite 2.2"),
        "{}",
        both.version()
    );
    let installed = both.installed().unwrap();
    assert_eq!(installed.for_training, ["kal16", "rms", "slt"]);

    let planned = plan(&spec(), &installed).unwrap();
    let (more, same): (Vec<_>, Vec<_>) = planned
        .into_iter()
        .partition(|utterance| installed.for_training.contains(&utterance.voice));
    assert_eq!(same, plan(&spec(), &espeak.installed().unwrap()).unwrap());
    let speakers: BTreeSet<_> = more.iter().map(|u| (&u.speaker, &u.voice)).collect();
    assert_eq!(speakers.len(), 9, "three more for every ten: {speakers:?}");
    assert!(more.iter().all(|u| u.split == Split::Train));

    let into = folder.path().join("corpus");
    let made = generate(&spec(), &into, &both, 2, &|_, _| (), &|| false).unwrap();
    assert_eq!((made.n_speakers, made.n_made), (39, 39 * 4 + 5));
    let alone = folder.path().join("alone");
    generate(&spec(), &alone, &espeak, 2, &|_, _| (), &|| false).unwrap();
    let (files, before) = (files_of(&into), files_of(&alone));
    let changed = before.iter().filter(|&(name, bytes)| files[name] != *bytes);
    let changed: Vec<&String> = changed.map(|(name, _)| name).collect();
    assert_eq!(
        changed,
        ["_background_noise_/babble.wav", "splits.tsv", "synth.json"],
        "babble is made of what training hears"
    );
    let heard = read_wav(&into.join(more[0].path())).unwrap();
    assert!(heard.iter().any(|x| x.abs() > 0.01));
}

#[test]
fn pitch_raises_flites_voice_rate_changes_its_length_and_neither_the_other() {
    let Some(espeak) = espeak() else { return };
    let folder = tempfile::tempdir().unwrap();
    let both = EspeakAndFlite::new(espeak, flite(folder.path()));
    let planned = plan(&spec(), &both.installed().unwrap()).unwrap();
    let usual = planned.into_iter().find(|u| u.voice == "slt").unwrap();
    let said = |pitch, speed_wpm| {
        let utterance = SynthUtterance {
            pitch,
            speed_wpm,
            ..usual.clone()
        };
        let samples = both.speak(&utterance).unwrap();
        let range = word_range(
            &samples.iter().map(|&x| f32::from(x)).collect::<Vec<_>>(),
            None,
        );
        let tone = &samples[range.unwrap()];
        let seconds = tone.len() as f32 / SAMPLE_RATE_HZ as f32;
        let middle = tone
            .iter()
            .max()
            .unwrap()
            .midpoint(*tone.iter().min().unwrap());
        let is_rise = |pair: &&[i16]| pair[0] <= middle && pair[1] > middle;
        (
            tone.windows(2).filter(is_rise).count() as f32 / seconds,
            seconds,
        )
    };
    for (pitch, speed_wpm, hz, seconds) in [
        (50, 165, TONE_HZ, USUAL_S),
        (75, 165, TONE_HZ * 2f32.powf(0.25), USUAL_S),
        (30, 165, TONE_HZ * 2f32.powf(-0.2), USUAL_S),
        (50, 220, TONE_HZ, USUAL_S * 0.75),
        (75, 110, TONE_HZ * 2f32.powf(0.25), USUAL_S * 1.5),
    ] {
        let (found_hz, found_s) = said(pitch, speed_wpm);
        assert!(
            (found_hz / hz - 1.0).abs() < 0.03 && (found_s - seconds).abs() < 0.015,
            "pitch {pitch}, {speed_wpm} words a minute: {found_hz} Hz for {found_s} s, not {hz} Hz for {seconds} s"
        );
    }
}

#[test]
fn a_program_that_is_no_flite_or_has_no_voice_of_16_khz_is_told_by_what_it_said() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, script: &str| {
        let program = stand_in(folder.path(), name, script);
        Flite::find_at(&program).unwrap_err().to_string()
    };
    let error = refused("tool", "echo some other tool 1.0");
    assert!(
        error.contains("tool --help") && error.contains("some other tool 1.0"),
        "{error}"
    );
    let error = refused(
        "narrow",
        r#"[ "$1" = -lv ] && echo "Voices available: kal awb_time" || echo "version: flite-2.0.0-release""#,
    );
    assert!(
        error.contains("narrow -lv") && error.contains("kal awb_time") && error.contains("slt"),
        "{error}"
    );
    let missing = Flite::find_at(Path::new("no-such-flite")).unwrap_err();
    assert!(matches!(missing, SynthError::ProgramMissing { .. }));
}
