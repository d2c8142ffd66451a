//! Archives that would write elsewhere, fill the disk or are not what they say.

use super::*;
use crate::fetch::unpack::unpack;

/// Unpacks these bytes inside a folder of their own; the error, after a look that nothing was written outside.
fn unpacked(
    bytes: &[u8],
    format: ArchiveFormat,
    rules: &Rules,
) -> (Result<u64, FetchError>, Vec<(String, u64)>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a/b/archive");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, bytes).unwrap();
    let staging = folder.path().join("a/b/staging");
    let spec = ArchiveSpec {
        format,
        ..archive(vec!["https://example.org/".into()], Checksum::Unknown)
    };
    let result = unpack(&file, &spec, &staging, rules, &Seen::all());
    let outside: Vec<(String, u64)> = files(folder.path())
        .into_iter()
        .filter(|(name, _)| name != "a/b/archive" && !name.starts_with("a/b/staging/"))
        .collect();
    assert!(outside.is_empty(), "written outside: {outside:?}");
    let inside = if staging.exists() {
        files(&staging)
    } else {
        Vec::new()
    };
    (result.map(|unpacked| unpacked.n_files), inside)
}

/// A tar with one entry as raw as can be.
fn raw_tar(name: &[u8], kind: tar::EntryType, link: &str, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    if !link.is_empty() {
        header.set_link_name(link).unwrap();
    }
    header.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&header, content).unwrap();
    gz(&builder.into_inner().unwrap())
}

fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[track_caller]
fn check_unsafe(bytes: &[u8], format: ArchiveFormat, words: &[&str]) {
    let error = unpacked(bytes, format, &hasty()).0.unwrap_err();
    assert!(matches!(error, FetchError::Unsafe { .. }), "{error}");
    for word in words {
        assert!(
            error.to_string().contains(word),
            "`{word}` is not in: {error}"
        );
    }
}

#[test]
fn names_that_lead_out_of_the_folder_are_refused_in_tars_and_zips() {
    for name in [
        "../evil",
        "a/../../evil",
        "a/../b",
        "/etc/evil",
        "..",
        "c:\\evil",
        "a\\..\\evil",
        "a:b",
    ] {
        let tar = raw_tar(name.as_bytes(), tar::EntryType::Regular, "", b"x");
        check_unsafe(&tar, ArchiveFormat::TarGz, &["expected plain files"]);
        check_unsafe(
            &zip_of(&[(name, b"x")]),
            ArchiveFormat::Zip,
            &["expected plain files"],
        );
    }
    let tar = raw_tar(b"a/\xff\xfe", tar::EntryType::Regular, "", b"x");
    check_unsafe(&tar, ArchiveFormat::TarGz, &["UTF-8"]);
}

#[test]
fn links_and_devices_are_refused() {
    for (kind, word) in [
        (tar::EntryType::Symlink, "link"),
        (tar::EntryType::Link, "link"),
        (tar::EntryType::Char, "neither file nor folder"),
        (tar::EntryType::Block, "neither file nor folder"),
        (tar::EntryType::Fifo, "neither file nor folder"),
    ] {
        let link = if word == "link" { "/etc/passwd" } else { "" };
        check_unsafe(
            &raw_tar(b"go/a", kind, link, b""),
            ArchiveFormat::TarGz,
            &[word, "go/a"],
        );
    }
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    writer.add_symlink("go/a", "/etc", options).unwrap();
    let zip = writer.finish().unwrap().into_inner();
    check_unsafe(&zip, ArchiveFormat::Zip, &["link", "go/a"]);
}

#[test]
fn an_archive_that_swells_beyond_its_bound_ends_at_it() {
    let zeros = vec![0; 64 << 20];
    for (bytes, format) in [
        (tar_gz(&[("zeros", &zeros)]), ArchiveFormat::TarGz),
        (zip_of(&[("zeros", &zeros)]), ArchiveFormat::Zip),
    ] {
        assert!(bytes.len() < 1 << 20, "{} bytes", bytes.len());
        let (result, inside) = unpacked(&bytes, format, &hasty());
        let error = result.unwrap_err();
        assert!(matches!(error, FetchError::TooLarge { .. }), "{error}");
        let n_written: u64 = inside.iter().map(|(_, n)| n).sum();
        let bound = (bytes.len() as u64 * hasty().max_ratio).max(hasty().small_bytes);
        assert!(
            n_written <= bound,
            "{n_written} bytes were written, {bound} allowed"
        );
        assert!(n_written < zeros.len() as u64 / 8);
    }
}

#[test]
fn an_archive_of_countless_entries_ends_at_its_bound() {
    let names: Vec<String> = (0..1_001).map(|at| format!("{at}.wav")).collect();
    let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    for (bytes, format) in [
        (tar_gz(&entries), ArchiveFormat::TarGz),
        (zip_of(&entries), ArchiveFormat::Zip),
    ] {
        let error = unpacked(&bytes, format, &hasty())
            .0
            .unwrap_err()
            .to_string();
        assert!(error.contains("1000 entries"), "{error}");
    }
}

#[test]
fn a_disk_that_fills_up_on_the_way_ends_the_work() {
    let rules = Rules {
        free_bytes: |_| Ok(1000),
        ..hasty()
    };
    let error = unpacked(&corpus(), ArchiveFormat::TarGz, &rules)
        .0
        .unwrap_err();
    assert!(matches!(error, FetchError::Space { .. }), "{error}");
}

#[test]
fn damage_anywhere_in_an_archive_is_found() {
    let tar = corpus();
    let zip = zip_of(&[("go/ann.wav", &noise(10_000)), ("up/bob.wav", b"RIFF")]);
    for (bytes, format) in [(&tar, ArchiveFormat::TarGz), (&zip, ArchiveFormat::Zip)] {
        assert_eq!(unpacked(bytes, format, &hasty()).0.unwrap(), 2);
        for cut in [0, 10, bytes.len() / 2, bytes.len() - 1] {
            let (result, _) = unpacked(&bytes[..cut], format, &hasty());
            assert!(
                matches!(result, Err(FetchError::Damaged { .. })),
                "cut at {cut}: {result:?}"
            );
        }
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 3] ^= 0x55;
        let result = unpacked(&flipped, format, &hasty()).0;
        assert!(result.is_err(), "a flipped byte in {format:?} passed");
    }
    let page = b"<html>404</html>";
    for format in [ArchiveFormat::TarGz, ArchiveFormat::Zip] {
        let error = unpacked(page, format, &hasty()).0.unwrap_err();
        assert!(matches!(error, FetchError::Damaged { .. }), "{error}");
    }
}

#[test]
fn what_a_maker_adds_for_its_own_programs_is_passed_over() {
    let files: [(&str, &[u8]); 4] = [
        ("go/ann.wav", b"RIFF"),
        ("go/._ann.wav", b"x"),
        ("__MACOSX/go/ann.wav", b"x"),
        (".DS_Store", b"x"),
    ];
    for (bytes, format) in [
        (tar_gz(&files), ArchiveFormat::TarGz),
        (zip_of(&files), ArchiveFormat::Zip),
    ] {
        let (result, inside) = unpacked(&bytes, format, &hasty());
        assert_eq!(result.unwrap(), 1);
        assert_eq!(inside, [("go/ann.wav".to_owned(), 4)]);
    }
}

#[test]
fn archives_side_by_side_join_their_folders_and_a_link_in_the_way_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, word) in [("one", "go"), ("two", "up")] {
        let from = folder.path().join(name);
        fs::create_dir_all(from.join("train").join(word)).unwrap();
        fs::write(from.join("train").join(word).join("a.wav"), name).unwrap();
        crate::fetch::merge::merge(&from, &folder.path().join("to")).unwrap();
    }
    let expected = [
        ("train/go/a.wav".to_owned(), 3),
        ("train/up/a.wav".to_owned(), 3),
    ];
    assert_eq!(files(&folder.path().join("to")), expected);
    #[cfg(unix)]
    {
        let (from, elsewhere) = (folder.path().join("three"), folder.path().join("elsewhere"));
        fs::create_dir_all(from.join("train/no")).unwrap();
        fs::create_dir_all(&elsewhere).unwrap();
        fs::write(from.join("train/no/a.wav"), "x").unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.path().join("to/train/no")).unwrap();
        let error = crate::fetch::merge::merge(&from, &folder.path().join("to")).unwrap_err();
        assert!(error.to_string().contains("link"), "{error}");
        assert!(files(&elsewhere).is_empty());
    }
}

#[test]
fn a_file_of_somebodys_is_never_replaced_by_one_of_an_archive() {
    let content = corpus();
    let folder = tempfile::tempdir().unwrap();
    let put_there = |bytes: &[u8]| fs::write(folder.path().join("words.tar.gz"), bytes).unwrap();
    let lone = archive(Vec::new(), sha256(&content));
    put_there(&content);
    let get = || fetch(lone.clone(), folder.path(), &hasty(), &Seen::all());
    get().unwrap();
    check_whole(folder.path());
    let unpacked = files(folder.path());
    let (name, _) = unpacked
        .iter()
        .find(|(name, _)| !name.starts_with('.'))
        .unwrap();
    let forget = || {
        for (note, _) in unpacked.iter().filter(|(name, _)| name.starts_with('.')) {
            fs::remove_file(folder.path().join(note)).unwrap();
        }
    };
    // Without the note of what was unpacked, the folder is somebody's. What is the same may stay.
    forget();
    put_there(&content);
    get().unwrap();
    forget();
    put_there(&content);
    let theirs = folder.path().join(name);
    fs::write(&theirs, "mine").unwrap();
    let error = get().unwrap_err();
    assert!(
        matches!(&error, FetchError::InTheWay { path } if *path == theirs),
        "{error}"
    );
    assert_eq!(fs::read(&theirs).unwrap(), b"mine");
}

#[test]
fn parts_languages_and_cards_by_hand_are_explained() {
    let selection = |parts: &[&str], languages: &[&str]| Selection {
        parts: parts.iter().map(|&part| part.to_owned()).collect(),
        languages: languages
            .iter()
            .map(|&language| language.to_owned())
            .collect(),
    };
    let of =
        |card: &str, selection: Selection| select(crate::card::card(card).unwrap(), &selection);
    let files = |archives: Vec<ArchiveSpec>| -> Vec<String> {
        archives.into_iter().map(|archive| archive.file).collect()
    };
    let defaults = files(of("librispeech", Selection::default()).unwrap());
    assert_eq!(
        defaults,
        [
            "dev-clean.tar.gz",
            "test-clean.tar.gz",
            "train-clean-100.tar.gz"
        ]
    );
    let one = of("librispeech", selection(&["test-other"], &[])).unwrap();
    assert_eq!(files(one), ["test-other.tar.gz"]);
    let two = of("voxlingua107", selection(&["train"], &["et", "fi"])).unwrap();
    assert!(two.iter().all(|archive| archive.urls[0].ends_with(".zip")));
    assert_eq!(files(two), ["voxlingua107-et.zip", "voxlingua107-fi.zip"]);
    for (card, selection, words) in [
        (
            "librispeech",
            selection(&["dev"], &[]),
            ["dev-clean", "`dev`"],
        ),
        ("fleurs", Selection::default(), ["de_de", "language"]),
        ("fleurs", selection(&[], &["de"]), ["`de`", "de_de"]),
        (
            "common-voice",
            Selection::default(),
            ["commonvoice.mozilla.org", "train.tsv"],
        ),
    ] {
        let error = of(card, selection).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "`{word}` is not in: {error}");
        }
    }
}

#[test]
fn an_archive_that_was_there_before_is_never_removed_for_being_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(vec!["https://example.org/".into()], Checksum::Unknown);
    let file = folder.path().join(&archive.file);
    fs::write(&file, "not an archive").unwrap();
    let seen = Seen::all();
    let error = fetch(archive, folder.path(), &hasty(), &seen).unwrap_err();
    assert!(matches!(error, FetchError::Damaged { .. }), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "not an archive");
    assert!(seen.notes().contains("remove it"), "{}", seen.notes());
}
