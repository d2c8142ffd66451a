//! Recordings of any length from several sources: the whole way, and what can be asked of its outcome.

use std::fs;
use std::path::{Path, PathBuf};

use auricle::evaluate::{Breakdown, Report, report};

use crate::pipeline::{auricle, run_folder};
use crate::tones;

const SOURCES: [&str; 3] = ["studio", "radio", "archive"];

/// Tones in place of languages: each of `de` and `fr` hums its own, for 0.6 to 3.4 seconds, in three sources.
fn corpus(folder: &Path) {
    let mut list = String::from("path\tsource\tspeaker\n");
    for (language, name) in ["de", "fr"].into_iter().enumerate() {
        fs::create_dir_all(folder.join(name)).unwrap();
        for (source, source_name) in SOURCES.into_iter().enumerate() {
            for speaker in 0..3 {
                for take in 0..4_u64 {
                    let n_samples = 9_600 + 3_200 * ((speaker + 3 * take as usize + source) % 15);
                    let mut samples: Vec<f32> = (0..4)
                        .flat_map(|part| {
                            tones::clip(language, speaker + 3 * source, 4 * take + part)
                        })
                        .collect();
                    samples.truncate(n_samples);
                    let path = format!("{name}/{source_name}__{source_name}{speaker}__{take}.wav");
                    tones::write(&folder.join(&path), samples);
                    list += &format!("{path}\t{source_name}\t{source_name}{speaker}\n");
                }
            }
        }
    }
    fs::write(folder.join("sources.tsv"), list).unwrap();
}

fn recipe(folder: &Path) -> PathBuf {
    let path = tones::recipe(folder, 2);
    let text = fs::read_to_string(&path).unwrap();
    let mut said = String::new();
    for line in text.lines() {
        let key = line.split(" =").next().unwrap_or_default();
        said += match key {
            "clip_ms" => {
                "clip_ms = 1500\nlengths = { kind = \"whole\", max_ms = 3000 }\nsource = { kind = \"field\", separator = \"__\", index = 0 }\nrooms = { simulated = { n_rooms = 2, size_m = [3.0, 4.0], rt60_ms = [100.0, 150.0], distance_m = [0.5, 1.0] } }"
            }
            "speaker" => "speaker = { kind = \"field\", separator = \"__\", index = 1 }",
            "splits" => {
                "splits = { kind = \"prefix\", validation = [\"radio\"], test = [\"archive\", \"studio__studio2\"] }"
            }
            "labels" => {
                "labels = { keywords = [\"de\", \"fr\"], unknown = false, silence = false }"
            }
            "augment" => {
                "mixup = { probability = 0.5, alpha = 0.3 }\naugment = { time_shift_ms = 50.0, room = { probability = 0.3 }, channel = { probability = 0.3, kinds = [{ kind = \"telephone\" }] } }"
            }
            "heads" => "heads = [{ kind = \"statistics\", window_frames = [400] }]",
            _ => line,
        };
        said.push('\n');
    }
    said += "\n[languages]\nfloor = 0.5\n";
    fs::write(&path, said).unwrap();
    path
}

fn by<'a>(breakdowns: &'a [Breakdown], what: &str) -> &'a Breakdown {
    let found = breakdowns.iter().find(|breakdown| breakdown.by == what);
    found.unwrap_or_else(|| panic!("nothing by {what}"))
}

fn names(breakdown: &Breakdown) -> Vec<&str> {
    breakdown.groups.iter().map(|g| g.name.as_str()).collect()
}

#[test]
fn recordings_of_any_length_are_learnt_from_and_judged_by_source_and_by_seconds_heard() {
    let folder = tempfile::tempdir().unwrap();
    let (data, runs) = (folder.path().join("corpus"), folder.path().join("runs"));
    corpus(&data);
    let recipe = recipe(folder.path());
    let say = |args: &[&str]| {
        let args: Vec<&std::ffi::OsStr> = args.iter().map(AsRef::as_ref).collect();
        let (status, text) = auricle(&args);
        assert!(status, "{text}");
        text
    };
    let path = |path: &Path| path.display().to_string();
    let (recipe, data, runs_said) = (path(&recipe), path(&data), path(&runs));
    say(&[
        "run",
        &recipe,
        "--data",
        &data,
        "--runs",
        &runs_said,
        "--device",
        "cpu",
        "--workers",
        "1",
    ]);
    let run = run_folder(&runs);
    let report: Report = report::read_json(&run.join("report.json")).unwrap();
    let single = report.single.value().unwrap();
    let test = single.test.value().unwrap();
    // Two languages: 3 speakers of `archive` and 1 of `studio`, 4 takes each.
    assert_eq!(test.n_examples, 2 * 4 * 4);
    assert!(test.accuracy.number().unwrap() > 0.6, "{:?}", test.accuracy);
    assert_eq!(names(by(&test.breakdowns, "source")), ["archive", "studio"]);
    let sides = by(&test.breakdowns, "within or across sources");
    let counts: Vec<u64> = sides.groups.iter().map(|g| g.n_examples).collect();
    assert_eq!(counts, [24, 8], "{sides:?}");
    assert!(sides.groups[0].name.starts_with("across"));
    let heard = by(&test.breakdowns, "seconds heard");
    let counts: Vec<u64> = heard.groups.iter().map(|g| g.n_examples).collect();
    assert_eq!(
        names(heard),
        ["first 1 s", "first 2 s", "first 3 s", "first 5 s", "whole"]
    );
    assert!(counts[0] > counts[1] && counts[1] > counts[2] && counts[2] > 0);
    assert_eq!((counts[3], counts[4]), (0, 32));
    assert!(heard.groups[3].accuracy.reason().is_some());
    let lengths = by(&test.breakdowns, "length");
    assert_eq!(lengths.groups.iter().map(|g| g.n_examples).sum::<u64>(), 32);

    // The bundle hears recordings one by one, a frame at a time and unpadded: the same answers.
    let bundle = path(&run.join("single.auricle"));
    let judged = say(&[
        "evaluate",
        &bundle,
        "--data",
        &data,
        "--list",
        "sources.tsv",
        "--by",
        "source",
        "--by",
        "length",
        "--by",
        "speaker",
        "--seconds",
        "1,2",
        "--format",
        "json",
        "--against",
        &bundle,
    ]);
    let judged: serde_json::Value = serde_json::from_str(&judged).unwrap();
    let groups = |at: usize| -> Vec<(String, u64, u64)> {
        let groups = judged["judgement"]["breakdowns"][at]["groups"].as_array();
        let number = |value: &serde_json::Value| value.as_u64().unwrap();
        let group = |group: &serde_json::Value| {
            let name = group["name"].as_str().unwrap().to_owned();
            (
                name,
                number(&group["n_examples"]),
                number(&group["n_correct"]),
            )
        };
        groups.unwrap().iter().map(group).collect()
    };
    let archive = &by(&test.breakdowns, "source").groups[0];
    assert_eq!(
        groups(0)[0],
        ("archive".into(), archive.n_examples, archive.n_correct)
    );
    assert_eq!(groups(1).len(), 9, "nine speakers");
    assert_eq!(judged["against"]["paired"]["gain"], 0.0);

    // It was calibrated when it was packed, and tells while it listens what it says of the recording afterwards.
    let packed = auricle::bundle::Bundle::load(Path::new(&bundle)).unwrap();
    let languages = packed.languages.expect("a recipe of languages");
    assert_eq!((languages.floor, languages.temperatures.len()), (0.5, 1));
    let csv = say(&[
        "evaluate",
        &bundle,
        "--data",
        &data,
        "--list",
        "sources.tsv",
        "--format",
        "csv",
    ]);
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let columns = rows.headers().unwrap().clone();
    let column = |name: &str| columns.iter().position(|column| column == name).unwrap();
    for row in rows.records().step_by(11) {
        let row = row.unwrap();
        let file = format!("{data}/{}", &row[column("id")]);
        let lines = say(&["infer", &bundle, &file]);
        let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        assert_eq!(last["occasion"], "end");
        for language in ["de", "fr"] {
            let judged: f64 = row[column(&format!("p:{language}"))].parse().unwrap();
            let live = last["posterior"][language].as_f64().unwrap();
            assert!(
                (judged - live).abs() < 1e-5,
                "{file}: {judged}, live {live}"
            );
        }
    }

    let page = folder.path().join("page.html");
    let page_said = path(&page);
    let shown = say(&[
        "evaluate",
        &bundle,
        "--data",
        &data,
        "--list",
        "sources.tsv",
        "--by",
        "source",
        "--format",
        "html",
    ]);
    assert!(shown.contains("By source") && shown.contains("Calibration"));
    let clip = format!("{data}/de/archive__archive0__0.wav");
    say(&["explain", &bundle, &clip, "--out", &page_said]);
    let shown = fs::read_to_string(&page).unwrap();
    assert!(shown.contains("The decision") && shown.contains("data:image/bmp"));
    let text = say(&[
        "dataset",
        "augment-page",
        &clip,
        "--recipe",
        &recipe,
        "--out",
        &page_said,
    ]);
    assert!(text.contains("4 changes"), "{text}");
    let shown = fs::read_to_string(&page).unwrap();
    assert!(shown.contains("Room") && shown.contains("Channel: telephone"));
    let run = path(&run);
    let table = say(&["compare", &run, &run]);
    assert!(table.matches("searched, single").count() == 2 && !table.contains("note:"));
    // As `runs/*` does, one names what is no finished run; it is left out and the rest compared.
    let ingested = path(&folder.path().join("ingested"));
    fs::create_dir_all(&ingested).unwrap();
    let beside = say(&["compare", &run, &ingested, &run]);
    assert!(
        beside.contains(&table) && beside.contains(&format!("left out: {ingested}")),
        "{beside}"
    );
    let by_class = ["--over-seeds", "--score", "balanced-accuracy"];
    let table = say(&[&["compare", &run][..], &by_class].concat());
    assert!(table.contains("test, balanced, mean"), "{table}");
    let table = say(&["compare", &run, "--format", "csv"]);
    assert_eq!(table.lines().count(), 1 + report.systems().count());
}

#[test]
fn a_list_of_words_becomes_a_corpus_with_near_misses_and_a_recipe() {
    if auricle_datasets::synth::Espeak::find().is_err() {
        println!("espeak-ng is not installed: nothing is tested");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("own").display().to_string();
    let say = |words: &str| {
        let args = [
            "dataset",
            "synth",
            "--words",
            words,
            "--into",
            &into,
            "--voices",
            "30",
            "--takes",
            "1",
            "--near-misses",
            "2",
            "--readings",
            "3",
            "--languages",
            "en-us",
        ];
        let args: Vec<&std::ffi::OsStr> = args.iter().map(AsRef::as_ref).collect();
        auricle(&args)
    };
    let (status, text) = say("lumo,robin");
    assert!(status, "{text}");
    let recipe = auricle::recipe::Recipe::read(&Path::new(&into).join("recipe.toml")).unwrap();
    assert_eq!(recipe.data.labels.keywords, ["lumo", "robin"]);
    let rows = auricle_datasets::scan(Path::new(&into), &recipe.corpus()).unwrap();
    assert!(rows.iter().all(|row| row.synthetic));
    let n_unknown = rows.iter().filter(|row| row.label == "_unknown_").count();
    assert!(n_unknown > 60, "{n_unknown}");
    let (status, text) = say("lumo,robin");
    assert!(status && text.contains("(0 made now"), "{text}");
    let (status, text) = say("lumo,l/r");
    assert!(!status && text.contains("`l/r`"), "{text}");
}

/// A word said by espeak-ng in place of a person.
fn said(path: &Path, word: &str, pitch: usize) -> bool {
    let mut espeak = std::process::Command::new("espeak-ng");
    espeak.args(["-v", "en-us", "-p", &pitch.to_string()]);
    let status = espeak.args(["-w".as_ref(), path.as_os_str(), word.as_ref()]);
    status.status().is_ok_and(|status| status.success())
}

#[test]
fn a_folder_of_recordings_becomes_a_detector_with_one_command() {
    let folder = tempfile::tempdir().unwrap();
    let people = folder.path().join("people");
    fs::create_dir_all(people.join("hey robin")).unwrap();
    for speaker in ["ann", "bob", "cai"] {
        for take in 0..2 {
            let path = people.join(format!("hey robin/{speaker}_nohash_{take}.wav"));
            if !said(&path, "hey robin", 30 + 10 * speaker.len() + 5 * take) {
                println!("espeak-ng is not installed: nothing is tested");
                return;
            }
        }
    }
    let path = |name: &str| folder.path().join(name).into_os_string();
    let (people, into, runs) = (path("people"), path("own"), path("runs"));
    let mut args: Vec<&std::ffi::OsStr> = vec![
        "own-words".as_ref(),
        "--recordings".as_ref(),
        &people,
        "--into".as_ref(),
        &into,
        "--runs".as_ref(),
        &runs,
    ];
    let few = "--voices 30 --takes 1 --near-misses 0 --readings 0 --without-flite --device cpu";
    args.extend(few.split(' ').map(AsRef::<std::ffi::OsStr>::as_ref));
    let (status, text) = auricle(&args);
    assert!(status, "{text}");
    assert!(text.contains("6 recordings, "), "{text}");
    assert!(
        text.contains("hey_robin: 2 recordings to learn from, 2 to choose by, 2 to judge by"),
        "{text}"
    );
    assert!(!text.contains("fewer than three speakers"), "{text}");
    let run = run_folder(Path::new(&runs));
    assert!(run.join("ensemble.auricle").exists(), "{text}");
    let report: Report =
        serde_json::from_slice(&fs::read(run.join("report.json")).unwrap()).unwrap();
    let mut splits = report.corpus.splits.iter();
    let test = splits.find(|split| split.name == "test").unwrap();
    let mut classes = test.per_class.iter();
    let robin = classes.find(|class| class.label == "hey_robin").unwrap();
    assert_eq!(robin.n_utterances, 2, "people alone are what is judged by");
    assert!(text.contains("Its threshold is a guess"), "{text}");

    // Talk without the word sets thresholds; nothing is trained again.
    let talk = Path::new(&people).with_file_name("talk");
    args.extend(["--negative".as_ref(), talk.as_os_str()]);
    let (status, text) = auricle(&args);
    assert!(!status && text.contains("talk"), "{text}");
    fs::create_dir(&talk).unwrap();
    assert!(said(
        &talk.join("0.wav"),
        "the weather is fine, and the garden is full of robins",
        50
    ));
    let (status, text) = auricle(&args);
    assert!(status && text.contains("(0 made now"), "{text}");
    assert!(text.contains("nothing was run again"), "{text}");
    let tuned = auricle::bundle::Bundle::load(&run.join("tuned.auricle")).unwrap();
    assert!(
        tuned.detector.thresholds.contains_key("hey_robin"),
        "{text}"
    );
    assert!(
        text.contains("tuned.auricle --mic") && !text.contains("a guess"),
        "{text}"
    );
    let heard = text
        .lines()
        .find(|line| line.starts_with("hey_robin"))
        .unwrap();
    assert!(
        heard.contains(" 4 "),
        "what was held out is listened to: {heard}"
    );
}
