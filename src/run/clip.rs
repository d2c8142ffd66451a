//! One clip of a list, as ingestion would take it.

use std::path::Path;

use auricle_datasets::Utterance;
use auricle_features::FrontendSpec;

use crate::audio::{AudioReader, decode};
use crate::ingest::{Demand, bounds, out_of_range, too_short};

/// The samples of a clip, by the rule of ingestion: its times lie in the file, and one window can be heard at least.
pub(super) fn read(
    path: &Path,
    utterance: &Utterance,
    frontend: &FrontendSpec,
) -> Result<Vec<f32>, String> {
    let rate_hz = frontend.sample_rate_hz;
    let &Utterance { start_s, end_s, .. } = utterance;
    let samples = if start_s.is_none() && end_s.is_none() {
        let clip = decode(path, rate_hz).map_err(|error| error.to_string())?;
        clip.samples
    } else {
        stretch(path, start_s, end_s, rate_hz)?
    };
    let demand = Demand {
        sample_rate_hz: rate_hz,
        min_samples: frontend.window_samples,
    };
    match too_short(samples.len(), demand) {
        Some(what) => Err(format!("{}: {what}", path.display())),
        None => Ok(samples),
    }
}

/// What lies between two times of a file, which is read no further.
fn stretch(
    path: &Path,
    start_s: Option<f64>,
    end_s: Option<f64>,
    rate_hz: u32,
) -> Result<Vec<f32>, String> {
    let (from, to) = bounds(start_s, end_s, rate_hz);
    let mut reader = AudioReader::open(path, rate_hz).map_err(|error| error.to_string())?;
    let (mut samples, mut n_skipped) = (Vec::new(), 0);
    while n_skipped + samples.len() < to {
        let is_more = (reader.read(&mut samples)).map_err(|error| error.to_string())?;
        let n_before = (from.saturating_sub(n_skipped)).min(samples.len());
        samples.drain(..n_before);
        n_skipped += n_before;
        if !is_more {
            break;
        }
    }
    if let Some(what) = out_of_range(start_s, end_s, n_skipped + samples.len(), rate_hz) {
        return Err(format!("{}: {what}", path.display()));
    }
    samples.truncate(to.saturating_sub(from));
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use auricle_datasets::Split;

    use super::*;
    use crate::audio::{Clip, write_wav};

    #[test]
    fn a_stretch_reaches_to_the_end_where_no_end_is_said_and_from_the_start_where_no_start_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.wav");
        let clip = Clip {
            samples: (0..16_000)
                .map(|at| (at as f32 * 0.05).sin() * 0.5)
                .collect(),
            sample_rate_hz: 16_000,
        };
        write_wav(&path, &clip).unwrap();
        let stretch = |start_s, end_s| {
            let utterance = Utterance {
                path: path.clone(),
                label: "go".into(),
                speaker: None,
                split: Split::Test,
                start_s,
                end_s,
                synthetic: false,
                n_samples: 0,
            };
            read(&path, &utterance, &FrontendSpec::speech_16k())
        };
        let whole = stretch(None, None).unwrap();
        assert_eq!(whole.len(), 16_000);
        assert_eq!(stretch(Some(0.25), None).unwrap(), whole[4_000..]);
        assert_eq!(stretch(None, Some(0.5)).unwrap(), whole[..8_000]);
        assert_eq!(stretch(Some(0.25), Some(0.5)).unwrap(), whole[4_000..8_000]);
        let said = stretch(Some(2.0), None).unwrap_err();
        assert!(
            said.contains("clip.wav: found a piece from 2.000 s"),
            "{said}"
        );
        let said = stretch(None, Some(9.0)).unwrap_err();
        assert!(
            said.ends_with("found an end at 9 s, expected it within 1.000 s"),
            "{said}"
        );
        // Lists are written in rounded numbers.
        assert_eq!(stretch(None, Some(1.04)).unwrap(), whole);
        let said = stretch(Some(0.5), Some(0.51)).unwrap_err();
        assert!(
            said.contains("160 samples at 16000 Hz, expected one window of 400"),
            "{said}"
        );
    }
}
