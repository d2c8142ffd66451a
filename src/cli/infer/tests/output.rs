//! When lines are written, and what happens where nobody takes them.

use super::*;

/// A reader of the output that leaves after a few lines, or a disk that is full.
struct Closing {
    n_left: usize,
    kind: io::ErrorKind,
}

impl Write for Closing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.n_left == 0 {
            return Err(self.kind.into());
        }
        self.n_left -= 1;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_leaves_is_a_quiet_end_and_a_full_disk_is_not() {
    let desk = Desk::new();
    let words = [
        "kws-infer".to_owned(),
        desk.path("b.auricle"),
        desk.path("sound.wav"),
        "--trace".to_owned(),
    ];
    let args = KwsInfer::try_parse_from(words).unwrap().args;
    for (kind, status) in [
        (io::ErrorKind::BrokenPipe, 0),
        (io::ErrorKind::StorageFull, 1),
    ] {
        let (mut out, mut err) = (Closing { n_left: 3, kind }, vec![]);
        let result = infer(&args, &mut io::empty(), &mut out, &mut err);
        assert_eq!(exit_status(&result), status);
        assert_eq!(err.is_empty(), status == 0);
    }
}

/// Notes how long the output was whenever the input is asked for more.
struct Watching<'a> {
    bytes: &'a [u8],
    n_written: &'a std::cell::Cell<usize>,
    seen: Vec<usize>,
}

impl Read for Watching<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.seen.push(self.n_written.get());
        let n = buffer.len().min(self.bytes.len()).min(3_200);
        buffer[..n].copy_from_slice(&self.bytes[..n]);
        self.bytes = &self.bytes[n..];
        Ok(n)
    }
}

struct Counting<'a>(&'a std::cell::Cell<usize>);

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.set(self.0.get() + 1);
        Ok(())
    }
}

#[test]
fn a_detection_is_out_before_more_input_is_waited_for() {
    let desk = Desk::new();
    let bytes = s16le(&desk.samples);
    let n_written = std::cell::Cell::new(0);
    let mut input = Watching {
        bytes: &bytes,
        n_written: &n_written,
        seen: vec![],
    };
    let words = [
        "kws-infer".to_owned(),
        desk.path("b.auricle"),
        "-".to_owned(),
    ];
    let args = KwsInfer::try_parse_from(words).unwrap().args;
    infer(&args, &mut input, &mut Counting(&n_written), &mut vec![]).unwrap();
    let mut session = Session::new(&desk.bundle).unwrap();
    let mut n_expected = 0;
    let mut expected = vec![0];
    for chunk in desk.samples.chunks(1_600) {
        session.push(chunk, |_| n_expected += 1);
        expected.push(n_expected);
    }
    assert!(n_expected > 0);
    assert_eq!(input.seen[..expected.len()], expected);
}
