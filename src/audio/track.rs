//! The audio track of a container, its decoder, or in this room's words why there is none.

use std::path::Path;

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known as codec;
use symphonia::core::codecs::audio::{
    AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions,
};
use symphonia::core::errors::Error;
use symphonia::core::formats::{FormatReader, Track, TrackType};

use super::{AudioError, CHANNEL_COUNTS, SAMPLE_RATES_HZ};

/// The track that is heard, and how it is coded.
pub(super) fn audio_track<'r>(
    reader: &'r (dyn FormatReader + 'r),
    path: &Path,
) -> Result<(&'r Track, AudioCodecParameters), AudioError> {
    let track = reader.default_track(TrackType::Audio);
    match track.map(|track| (track, &track.codec_params)) {
        Some((track, Some(CodecParameters::Audio(params)))) => {
            let measure = params.channels.as_ref().map(|channels| channels.count());
            check_measure(path, params.sample_rate, measure)?;
            Ok((track, params.clone()))
        }
        _ => {
            let found = format!(
                "{} without an audio track that is known",
                reader.format_info().long_name
            );
            Err(AudioError::Unsupported {
                path: path.to_owned(),
                found,
            })
        }
    }
}

/// Refuses rates and channel counts that no recording has, before a buffer is made for them.
pub(super) fn check_measure(
    path: &Path,
    rate_hz: Option<u32>,
    n_channels: Option<usize>,
) -> Result<(), AudioError> {
    let lie = |what, found: String, expected: String| AudioError::LyingHeader {
        path: path.to_owned(),
        what,
        found,
        expected,
    };
    if let Some(rate_hz) = rate_hz.filter(|rate_hz| !SAMPLE_RATES_HZ.contains(rate_hz)) {
        let expected = format!(
            "{} to {} Hz",
            SAMPLE_RATES_HZ.start(),
            SAMPLE_RATES_HZ.end()
        );
        return Err(lie("sample rate", format!("{rate_hz} Hz"), expected));
    }
    if let Some(n_channels) = n_channels.filter(|n_channels| !CHANNEL_COUNTS.contains(n_channels)) {
        let expected = format!("{} to {}", CHANNEL_COUNTS.start(), CHANNEL_COUNTS.end());
        return Err(lie("channel count", n_channels.to_string(), expected));
    }
    Ok(())
}

pub(super) fn make_decoder(
    path: &Path,
    params: &AudioCodecParameters,
) -> Result<Box<dyn AudioDecoder>, AudioError> {
    let options = AudioDecoderOptions::default().verify(params.codec == codec::CODEC_ID_FLAC);
    symphonia::default::get_codecs()
        .make_audio_decoder(params, &options)
        .map_err(|error| match error {
            Error::Unsupported(reason) => {
                let found =
                    codec_name(params.codec).map_or_else(|| reason.to_owned(), str::to_owned);
                AudioError::Unsupported {
                    path: path.to_owned(),
                    found,
                }
            }
            other => refusal(path, other),
        })
}

fn codec_name(id: AudioCodecId) -> Option<&'static str> {
    let names = [
        (codec::CODEC_ID_OPUS, "Opus"),
        (codec::CODEC_ID_SPEEX, "Speex"),
        (codec::CODEC_ID_AC3, "AC-3"),
        (codec::CODEC_ID_EAC3, "E-AC-3"),
        (codec::CODEC_ID_AC4, "AC-4"),
        (codec::CODEC_ID_DCA, "DTS"),
        (codec::CODEC_ID_WMA, "Windows Media Audio"),
        (codec::CODEC_ID_WAVPACK, "WavPack"),
        (codec::CODEC_ID_MONKEYS_AUDIO, "Monkey's Audio"),
        (codec::CODEC_ID_TRUEHD, "TrueHD"),
        (codec::CODEC_ID_MUSEPACK, "Musepack"),
        (
            codec::CODEC_ID_AAC,
            "a kind of AAC other than low complexity",
        ),
    ];
    names
        .iter()
        .find(|(known, _)| *known == id)
        .map(|(_, name)| *name)
}

/// Why a file cannot even be opened, in this room's words.
pub(super) fn refusal(path: &Path, error: Error) -> AudioError {
    let path = path.to_owned();
    match error {
        Error::IoError(source) => AudioError::reading_header(&path, source),
        Error::Unsupported(reason) if reason.contains("probe") => AudioError::NotAudio {
            path,
            found: "a marker of audio with nothing fitting behind it".to_owned(),
        },
        Error::Unsupported(reason) => AudioError::Unsupported {
            path,
            found: reason.to_owned(),
        },
        other => AudioError::Damaged {
            path,
            at_s: 0.0,
            reason: other.to_string(),
        },
    }
}
