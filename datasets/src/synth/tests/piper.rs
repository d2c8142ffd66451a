//! A corpus spoken by piper, or by a stand-in for it.

use super::*;

/// A stand-in for piper that knows its options: a tone whose pitch is the speaker's, as long as the length scale says.
#[cfg(unix)]
fn piper(folder: &Path) -> Piper {
    let program = stand_in(
        folder,
        "piper",
        r#"
speaker=0
while [ $# -gt 0 ]; do
    case "$1" in
    --help) echo "usage: piper [-h] -m MODEL [--output_raw]"; echo "  --model MODEL"; exit 0 ;;
    --version) echo "error: the following arguments are required: -m/--model" >&2; exit 2 ;;
    --model) [ -f "$2" ] || { echo "Unable to find voice: $2" >&2; exit 1; }; shift 2 ;;
    --length_scale) length=$2; shift 2 ;;
    --noise_scale | --noise_w) [ "$2" = 0 ] || exit 3; shift 2 ;;
    --speaker) speaker=$2; shift 2 ;;
    --output_raw) shift ;;
    *) echo "unknown $1" >&2; exit 4 ;;
    esac
done
read -r text || exit 5
[ -n "$text" ] || exit 6
awk -v n="$length" -v f="$speaker" 'BEGIN { for (i = 0; i < 6000 * n; i++) {
    v = int(i * (300 + 40 * f) / 22050 * 2) % 2; printf "%s", v ? "~~" : "!!" } }'
"#,
    );
    let voices = folder.join("voices");
    fs::create_dir_all(&voices).unwrap();
    for (name, rate, n_speakers) in [
        ("en_US-many-medium", 22_050, 4),
        ("en_GB-one-medium", 22_050, 1),
        ("en_US-low-low", 16_000, 1),
        ("de_DE-one-high", 22_050, 1),
    ] {
        fs::write(voices.join(format!("{name}.onnx")), "").unwrap();
        let config = format!(r#"{{"audio":{{"sample_rate":{rate}}},"num_speakers":{n_speakers}}}"#);
        fs::write(voices.join(format!("{name}.onnx.json")), config).unwrap();
    }
    fs::write(voices.join("en_US-undescribed-medium.onnx"), "").unwrap();
    Piper::find_at(&program, &voices).unwrap()
}

#[cfg(unix)]
#[test]
fn piper_speaks_a_corpus_with_the_voices_of_a_folder_apart_by_split() {
    let folder = tempfile::tempdir().unwrap();
    let piper = piper(folder.path());
    let installed = piper.installed().unwrap();
    let voices: Vec<&str> = installed.variants.iter().map(String::as_str).collect();
    assert_eq!(
        voices,
        [
            "de_DE-one-high",
            "en_GB-one-medium",
            "en_US-many-medium-000",
            "en_US-many-medium-001",
            "en_US-many-medium-002",
            "en_US-many-medium-003",
        ],
        "those of another rate or without a description are left out"
    );
    let spec = SynthSpec {
        accents: vec!["en_US".into(), "en_GB".into()],
        noise_s: 0,
        ..spec()
    };
    let into = folder.path().join("corpus");
    let made = generate(&spec, &into, &piper, 2, &|_, _| (), &|| false).unwrap();
    assert_eq!((made.engine, made.n_made), ("piper", 30 * 4));
    let mut sides: BTreeMap<String, BTreeSet<Split>> = BTreeMap::new();
    for utterance in plan(&spec, &installed).unwrap() {
        assert!(!utterance.voice.starts_with("de_DE"), "{utterance:?}");
        sides
            .entry(utterance.voice)
            .or_default()
            .insert(utterance.split);
    }
    assert_eq!(sides.len(), 5);
    assert!(sides.values().all(|sides| sides.len() == 1), "{sides:?}");
    let splits = fs::read_to_string(into.join("splits.tsv")).unwrap();
    assert!(splits.lines().skip(1).all(|line| line.contains("\ttrue\t")));
    let again = generate(&spec, &into, &piper, 2, &|_, _| (), &|| false).unwrap();
    assert_eq!(again.n_made, 0);
    let one = SynthSpec {
        accents: vec!["en_GB".into()],
        ..spec
    };
    let error = plan(&one, &installed).unwrap_err().to_string();
    assert!(
        error.starts_with("piper") && error.contains("three"),
        "{error}"
    );
}

#[test]
fn without_piper_or_its_voices_it_is_said_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let error = Piper::find_at(Path::new("no-such-piper"), folder.path()).unwrap_err();
    assert!(
        error.to_string().contains("pip install piper-tts"),
        "{error}"
    );
    #[cfg(unix)]
    {
        let empty = folder.path().join("empty");
        fs::create_dir_all(&empty).unwrap();
        piper(folder.path());
        let piper = Piper::find_at(&folder.path().join("piper"), &empty).unwrap();
        let error = piper.installed().unwrap_err().to_string();
        assert!(
            error.contains("empty") && error.contains("download_voices"),
            "{error}"
        );
    }
}
