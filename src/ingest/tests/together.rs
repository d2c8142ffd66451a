//! Several processes and one folder: the lock is the folder's own, which Windows does not have.

use super::*;

#[test]
#[cfg(unix)]
fn two_that_fill_one_folder_wait_for_one_another_and_one_of_them_does_the_work() {
    let folder = corpus();
    let alone = corpus();
    run(&alone, &spec(), 1).unwrap();
    let mut summaries = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| run(&folder, &spec(), 1)))
            .collect();
        let ended = runs.into_iter().map(|run| run.join().unwrap().unwrap());
        ended.collect::<Vec<_>>()
    });
    summaries.sort_by_key(|summary| summary.already_done);
    let done: Vec<bool> = summaries
        .iter()
        .map(|summary| summary.already_done)
        .collect();
    assert_eq!(done, [false, true, true]);
    assert_eq!(summaries[1].n_utterances, 20);
    let of =
        |folder: &TempDir, name: &str| fs::read(folder.path().join("into").join(name)).unwrap();
    for name in ["features.shard", "samples.shard", "manifest.jsonl"] {
        assert_eq!(of(&folder, name), of(&alone, name), "{name}");
    }
    assert!(
        !files(&folder.path().join("into"))
            .keys()
            .any(|name| name.ends_with(".partial"))
    );
}

#[test]
#[cfg(unix)]
fn whoever_waits_for_another_can_be_stopped() {
    let folder = corpus();
    let into = folder.path().join("into");
    fs::create_dir(&into).unwrap();
    let other = fs::File::open(&into).unwrap();
    other.lock().unwrap();
    let watch = Counting::new(3);
    let source = folder.path().join("source");
    let frontend = FrontendSpec::speech_16k();
    let stopped = ingest(&source, &into, &spec(), &frontend, 1, &watch);
    assert!(matches!(stopped, Err(IngestError::Stopped)));
    let shown = watch.last.into_inner().unwrap();
    assert!(
        shown.contains_key("waiting for another process that ingests here"),
        "{shown:?}"
    );
    drop(other);
    assert_eq!(run(&folder, &spec(), 1).unwrap().n_utterances, 20);
}
