//! What is heard of a corpus on the disk, of sound files and bad ones.

use auricle_datasets::inspect::{Inspection, Kind};
use auricle_datasets::{ManifestRow, SpeakerPattern, Split, corpus::rows_of};

use super::Counting;
use crate::audio::{Clip, write_wav};
use crate::ingest::hear;

fn tone(step: f32, n_samples: usize, rate_hz: u32) -> Clip {
    Clip {
        samples: (0..n_samples)
            .map(|i| 0.4 * (step * i as f32).sin())
            .collect(),
        sample_rate_hz: rate_hz,
    }
}

#[test]
fn duplicates_rates_and_broken_files_of_a_folder_are_found_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, clip: &Clip| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_wav(&path, clip).unwrap();
    };
    write("go/ann_nohash_0.wav", &tone(0.05, 16_000, 16_000));
    write("go/eve_nohash_0.wav", &tone(0.05, 16_000, 16_000));
    write("up/bob_nohash_0.wav", &tone(0.07, 8_000, 8_000));
    write("up/ann_nohash_0.wav", &tone(0.09, 16_000, 16_000));
    std::fs::write(folder.path().join("up/bob_nohash_1.wav"), "text").unwrap();
    std::fs::write(
        folder.path().join("splits.tsv"),
        "path\tsplit\ngo/ann_nohash_0.wav\ttrain\ngo/eve_nohash_0.wav\ttest\nup/bob_nohash_0.wav\tdev\n\
         up/ann_nohash_0.wav\ttrain\nup/bob_nohash_1.wav\tdev\n",
    )
    .unwrap();
    let heard = |n_workers| {
        let unnamed = SpeakerPattern::Unnamed;
        let (root, rows) =
            rows_of(folder.path(), None, &SpeakerPattern::nohash(), &unnamed).unwrap();
        hear(&root, rows, n_workers, &Counting::patient()).unwrap()
    };
    let clips = heard(1);
    assert_eq!(clips, heard(3));
    let inspection = Inspection::of(&clips, Some(16_000), Vec::new());
    let found: Vec<(Kind, usize)> = inspection.findings.iter().map(|f| (f.kind, f.n)).collect();
    assert_eq!(
        found,
        [
            (Kind::Unreadable, 1),
            (Kind::DuplicateAcrossSplits, 1),
            (Kind::WrongRate, 1)
        ]
    );
    assert!(inspection.findings[0].examples[0].contains("bob_nohash_1.wav"));
    assert!((inspection.duration_s - 4.0).abs() < 1e-6);
    assert_eq!(clips[0].row.split, Some(Split::Train));
}

#[test]
fn pieces_of_one_file_are_heard_each_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let samples: Vec<f32> = tone(0.05, 32_000, 16_000).samples;
    let path = folder.path().join("long.wav");
    write_wav(
        &path,
        &Clip {
            samples: [samples.clone(), samples].concat(),
            sample_rate_hz: 16_000,
        },
    )
    .unwrap();
    let list = folder.path().join("pieces.csv");
    std::fs::write(
        &list,
        "path,label,start,end\nlong.wav,a,0,2\nlong.wav,a,2,4\nlong.wav,b,1,1.5\nlong.wav,b,3,9\nlong.wav,b,9,\n",
    )
    .unwrap();
    let none = SpeakerPattern::Unnamed;
    let (root, rows): (_, Vec<ManifestRow>) = rows_of(&list, None, &none, &none).unwrap();
    let clips = hear(&root, rows, 2, &Counting::patient()).unwrap();
    let heard = |at: usize| clips[at].heard.as_ref().unwrap();
    assert_eq!(heard(0).content, heard(1).content);
    assert!((heard(2).duration_s - 0.5).abs() < 1e-9);
    let fault = |at: usize| clips[at].heard.as_ref().unwrap_err();
    assert!(fault(3).contains("long.wav: found an end at 9 s, expected it within 4.000 s"));
    assert!(fault(4).contains("long.wav: found a piece from 9.000 s"));
}
