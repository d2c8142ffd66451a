//! Connections that break, lengths that lie, ranges that are ignored, bytes that are wrong.

use super::server::{Asked, Reply, Server, honest, rangeless, reply};
use super::*;

const TAG: &str = "\"first\"";

#[test]
fn a_whole_answer_is_unpacked_checked_and_not_fetched_again() {
    let content = corpus();
    let sum = sha256(&content);
    let server = Server::start(move |_, asked| honest(&content, asked, TAG, usize::MAX));
    let folder = tempfile::tempdir().unwrap();
    let run = || {
        let archive = archive(vec![server.url()], sum.clone());
        fetch(archive, folder.path(), &hasty(), &Seen::all()).unwrap()
    };
    let first = run();
    check_whole(folder.path());
    assert!(first[0].is_verified && !first[0].already_done);
    assert_eq!((first[0].n_files, first[0].unpacked_bytes), (2, 300_004));
    let second = run();
    assert!(second[0].already_done);
    assert_eq!(second[0].sha256, first[0].sha256);
    assert_eq!(server.asked().len(), 1);
    assert_eq!(server.asked()[0].path, "/words.tar.gz");
}

#[test]
fn a_broken_connection_is_gone_on_with_from_the_byte_it_broke_at() {
    let content = corpus();
    let sum = sha256(&content);
    let server = Server::start(move |_, asked| honest(&content, asked, TAG, 100_000));
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(vec![server.url()], sum);
    fetch(archive, folder.path(), &hasty(), &Seen::all()).unwrap();
    check_whole(folder.path());
    let asked = server.asked();
    let ranges: Vec<Option<usize>> = asked.iter().map(|asked| asked.from).collect();
    assert_eq!(ranges, [None, Some(100_000), Some(200_000), Some(300_000)]);
    assert!(
        asked[1..]
            .iter()
            .all(|asked| asked.if_range.as_deref() == Some(TAG))
    );
}

#[test]
fn a_stopped_download_goes_on_in_the_next_run() {
    let content = corpus();
    let sum = sha256(&content);
    let length = content.len() as u64;
    let server = Server::start(move |_, asked| honest(&content, asked, TAG, usize::MAX));
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(vec![server.url()], sum);
    let error = fetch(archive.clone(), folder.path(), &hasty(), &Seen::until(1)).unwrap_err();
    assert!(matches!(error, FetchError::Stopped), "{error}");
    let left = folder
        .path()
        .join("words.tar.gz.part")
        .metadata()
        .unwrap()
        .len();
    assert!(left > 0 && left < length, "{left}");
    assert!(!folder.path().join("words").exists());
    fetch(archive, folder.path(), &hasty(), &Seen::all()).unwrap();
    check_whole(folder.path());
    assert_eq!(server.asked().last().unwrap().from, Some(left as usize));
}

#[test]
fn a_server_that_ignores_ranges_is_read_from_the_start_again() {
    let content = corpus();
    let sum = sha256(&content);
    let server =
        Server::start(move |at, _| rangeless(&content, if at == 0 { 120_000 } else { usize::MAX }));
    let folder = tempfile::tempdir().unwrap();
    fetch(
        archive(vec![server.url()], sum),
        folder.path(),
        &hasty(),
        &Seen::all(),
    )
    .unwrap();
    check_whole(folder.path());
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_server_that_always_breaks_at_the_same_byte_is_given_up_for_the_next_mirror() {
    let content = corpus();
    let sum = sha256(&content);
    let whole = content.clone();
    let bad = Server::start(move |_, _| rangeless(&content, 50_000));
    let good = Server::start(move |_, asked| honest(&whole, asked, TAG, usize::MAX));
    let folder = tempfile::tempdir().unwrap();
    let seen = Seen::all();
    let archive = archive(vec![bad.url(), good.url()], sum);
    fetch(archive, folder.path(), &hasty(), &seen).unwrap();
    check_whole(folder.path());
    assert_eq!(
        bad.asked().len(),
        4,
        "one try that brought something, three that did not"
    );
    // The sum will tell, so the next mirror only has to give the rest.
    assert_eq!(good.asked()[0].from, Some(50_000));
    assert!(seen.notes().contains(&bad.url()), "{}", seen.notes());
}

#[test]
fn without_a_checksum_no_bytes_of_one_mirror_are_joined_to_those_of_another() {
    let content = corpus();
    let whole = content.clone();
    let bad = Server::start(move |_, _| rangeless(&content, 50_000));
    let good = Server::start(move |_, asked| honest(&whole, asked, TAG, usize::MAX));
    let folder = tempfile::tempdir().unwrap();
    let seen = Seen::all();
    let archive = archive(vec![bad.url(), good.url()], Checksum::Unknown);
    let fetched = fetch(archive, folder.path(), &hasty(), &seen).unwrap();
    check_whole(folder.path());
    assert_eq!(good.asked()[0].from, None);
    assert!(!fetched[0].is_verified);
    assert!(
        seen.notes().contains(&fetched[0].sha256),
        "{}",
        seen.notes()
    );
}

#[test]
fn a_file_that_changed_on_the_server_is_not_joined_to_its_old_half() {
    let content = corpus();
    let old = noise(content.len());
    let server = Server::start(move |at, asked| match at {
        0 => honest(&old, asked, TAG, 60_000),
        _ => honest(&content, asked, "\"second\"", usize::MAX),
    });
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(vec![server.url()], Checksum::Unknown);
    fetch(archive, folder.path(), &hasty(), &Seen::all()).unwrap();
    check_whole(folder.path());
    assert_eq!(server.asked()[1].if_range.as_deref(), Some(TAG));
}

/// What is told when every answer is of this kind; nothing is left that could be taken for the corpus.
#[track_caller]
fn check_refused(
    answer: impl Fn(&[u8], &Asked) -> Reply + Send + 'static,
    n_bytes: Option<u64>,
    is_known: bool,
    words: &[&str],
) {
    let content = corpus();
    let sum = if is_known {
        sha256(&content)
    } else {
        Checksum::Unknown
    };
    let server = Server::start(move |_, asked| answer(&content, asked));
    let folder = tempfile::tempdir().unwrap();
    let archive = ArchiveSpec {
        n_bytes,
        ..archive(vec![server.url()], sum)
    };
    let error = fetch(archive, folder.path(), &hasty(), &Seen::all())
        .unwrap_err()
        .to_string();
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
    assert!(!folder.path().join("words").exists());
    assert!(!folder.path().join("words.tar.gz").exists());
    assert!(
        server.asked().len() <= 8,
        "{} requests",
        server.asked().len()
    );
}

#[test]
fn wrong_bytes_of_the_right_length_are_refused_by_their_sum() {
    let wrong = |content: &[u8], asked: &Asked| {
        let mut content = content.to_vec();
        content[1000] ^= 1;
        honest(&content, asked, TAG, usize::MAX)
    };
    check_refused(wrong, None, true, &["found sha256", "expected sha256"]);
}

#[test]
fn a_mirror_that_has_another_file_is_asked_twice_and_one_that_is_right_once_mends_it() {
    let content = corpus();
    let sum = sha256(&content);
    let other = Server::start(|_, asked| honest(&noise(9_000), asked, TAG, usize::MAX));
    let folder = tempfile::tempdir().unwrap();
    let rules = Rules {
        n_rounds: 4,
        ..hasty()
    };
    let lone = archive(vec![other.url()], sum.clone());
    let error = fetch(lone, folder.path(), &rules, &Seen::all()).unwrap_err();
    assert!(error.to_string().contains("found sha256"), "{error}");
    assert_eq!(other.asked().len(), 2);
    assert!(files(folder.path()).is_empty());
    // Damaged on the way once.
    let mends = Server::start(move |n_before, asked| {
        let mut content = content.clone();
        content[7] ^= u8::from(n_before == 0);
        honest(&content, asked, TAG, usize::MAX)
    });
    let mended = archive(vec![mends.url()], sum);
    fetch(mended, folder.path(), &rules, &Seen::all()).unwrap();
    check_whole(folder.path());
    assert_eq!(mends.asked().len(), 2);
}

#[test]
fn a_length_that_promises_too_much_is_refused() {
    let lying = |content: &[u8], _: &Asked| {
        let lines = [format!("Content-Length: {}", content.len() + 1000)];
        reply("200 OK", &lines, content)
    };
    check_refused(
        lying,
        None,
        false,
        &["words.tar.gz", "broke off", "no mirror"],
    );
}

#[test]
fn a_length_that_promises_too_little_is_refused_by_sum_or_by_the_archive_itself() {
    let lying =
        |content: &[u8], _: &Asked| reply("200 OK", &["Content-Length: 1000".to_owned()], content);
    check_refused(lying, None, true, &["found sha256"]);
    check_refused(lying, None, false, &["whole archive"]);
    check_refused(
        lying,
        Some(corpus().len() as u64),
        false,
        &["1000 bytes", "expected"],
    );
}

#[test]
fn a_range_that_begins_elsewhere_is_refused() {
    let elsewhere = |content: &[u8], asked: &Asked| match asked.from {
        None => honest(content, asked, TAG, 1000),
        Some(_) => {
            let lines = [
                format!("ETag: {TAG}"),
                format!("Content-Length: {}", content.len() - 500),
                format!(
                    "Content-Range: bytes 500-{}/{}",
                    content.len() - 1,
                    content.len()
                ),
            ];
            reply("206 Partial Content", &lines, &content[500..])
        }
    };
    check_refused(elsewhere, None, true, &["from 500 on", "from 1000 on"]);
    let garbled = |content: &[u8], asked: &Asked| match asked.from {
        None => honest(content, asked, TAG, 1000),
        Some(_) => reply(
            "206 Partial Content",
            &["Content-Range: bytes much".to_owned()],
            b"x",
        ),
    };
    check_refused(garbled, None, true, &["bytes much"]);
}

#[test]
fn an_answer_without_end_or_of_another_kind_is_refused() {
    let endless = |content: &[u8], _: &Asked| reply("200 OK", &[], content);
    check_refused(endless, None, false, &["neither a length"]);
    let absent =
        |_: &[u8], _: &Asked| reply("404 Not Found", &["Content-Length: 0".to_owned()], b"");
    check_refused(absent, None, true, &["404"]);
    let packed = |content: &[u8], _: &Asked| {
        let lines = [
            format!("Content-Length: {}", content.len()),
            "Content-Encoding: gzip".to_owned(),
        ];
        reply("200 OK", &lines, content)
    };
    check_refused(packed, None, true, &["encoding gzip"]);
    let nonsense = |_: &[u8], _: &Asked| Reply {
        bytes: b"SSH-2.0-OpenSSH\r\n\r\n".to_vec(),
        hangs: false,
    };
    check_refused(nonsense, None, true, &["no mirror"]);
    let silent = |content: &[u8], _: &Asked| Reply {
        hangs: true,
        ..rangeless(content, 1000)
    };
    check_refused(silent, None, true, &["broke off after byte 1000"]);
}

#[test]
fn an_answer_in_chunks_has_an_end_and_a_cut_chunk_has_not() {
    let content = corpus();
    let server = Server::start(move |at, _| {
        let mut body = Vec::new();
        for chunk in content.chunks(70_000) {
            body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        let n_sent = if at == 0 { 90_000 } else { body.len() };
        reply(
            "200 OK",
            &["Transfer-Encoding: chunked".to_owned()],
            &body[..n_sent],
        )
    });
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(vec![server.url()], Checksum::Unknown);
    fetch(archive, folder.path(), &hasty(), &Seen::all()).unwrap();
    check_whole(folder.path());
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn too_little_space_is_said_before_anything_is_asked_for() {
    let content = corpus();
    let sum = sha256(&content);
    let n_bytes = Some(content.len() as u64);
    let server = Server::start(move |_, asked| honest(&content, asked, TAG, usize::MAX));
    let folder = tempfile::tempdir().unwrap();
    let rules = Rules {
        free_bytes: |_| Ok(1_500_000),
        ..hasty()
    };
    let archive = ArchiveSpec {
        n_bytes,
        ..archive(vec![server.url()], sum)
    };
    let error = fetch(archive.clone(), folder.path(), &rules, &Seen::all()).unwrap_err();
    assert!(matches!(error, FetchError::Space { .. }), "{error}");
    assert!(error.to_string().contains("1.5 MB free"), "{error}");
    assert!(server.asked().is_empty());
    // Where the card knows no size, the server's word is taken before the first byte is written.
    let unsized_archive = ArchiveSpec {
        n_bytes: None,
        ..archive
    };
    let rules = Rules {
        free_bytes: |_| Ok((1 << 20) + 200_000),
        ..hasty()
    };
    let error = fetch(unsized_archive, folder.path(), &rules, &Seen::all()).unwrap_err();
    assert!(matches!(error, FetchError::Space { .. }), "{error}");
    assert!(!folder.path().join("words.tar.gz.part").exists());
}

#[test]
fn an_archive_put_there_by_hand_is_used_if_it_is_the_right_one() {
    let content = corpus();
    let archive = archive(vec!["http://127.0.0.1:9/never".into()], sha256(&content));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("words.tar.gz");
    fs::write(&file, &content[..1000]).unwrap();
    let error = fetch(archive.clone(), folder.path(), &hasty(), &Seen::all()).unwrap_err();
    assert!(matches!(error, FetchError::NotTheArchive { .. }), "{error}");
    fs::write(&file, &content).unwrap();
    fetch(archive, folder.path(), &hasty(), &Seen::all()).unwrap();
    check_whole(folder.path());
}
